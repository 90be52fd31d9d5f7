//! Where a datapath's packets lawfully differ from Mizar's, as data: shown to people, and obeyed by
//! verification. Everything that is not declared must match byte for byte.
//!
//! A difference either puts frames outside the contract ([`excuse`]), so that they are not compared at all and
//! counted as such, or it allows certain bytes to be others ([`allow`]): not any, but those that it names.

mod choice;
mod excuses;
mod outer;
mod packet;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use topologies::oracle::Outcome;
use topologies::provision::{Port, Provision};
use topologies::vectors::Expected;

/// A way in which packets may lawfully differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// The outer UDP source port.
    OuterSourcePort,
    /// The outer time to live.
    OuterTimeToLive,
    /// The outer type of service.
    OuterTypeOfService,
    /// Outer headers that are made anew where Mizar changes those that came.
    OuterHeadersAnew,
    /// Type and length of options that say nothing.
    EmptyOptions,
    /// Which bouncer or divider of several.
    BouncerChoice,
    /// Classes that Mizar hands to the stack.
    NoShaping,
    /// How a refused packet ends.
    RefusalKind,
    /// Packets that the switch's parser does not take as Mizar's does.
    Parsing,
    /// Ethernet addresses of droplets.
    Neighbours,
    /// Connections, as the switch tracks them.
    Tracking,
    /// Wrong checksums of inner headers.
    InnerChecksums,
    /// Messages by which flows to scaled endpoints are rewritten.
    ScaledEndpoints,
    /// Frames shorter than an Ethernet header.
    Runts,
}

impl Difference {
    /// What it is, in a word or two.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OuterSourcePort => "outer UDP source port",
            Self::OuterTimeToLive => "outer TTL",
            Self::OuterTypeOfService => "outer DSCP and ECN",
            Self::OuterHeadersAnew => "outer headers at hops",
            Self::EmptyOptions => "options that say nothing",
            Self::BouncerChoice => "choice of bouncer",
            Self::NoShaping => "shaped classes",
            Self::RefusalKind => "drop or abort",
            Self::Parsing => "unusual packets",
            Self::Neighbours => "neighbours",
            Self::Tracking => "connection tracking",
            Self::InnerChecksums => "inner checksums",
            Self::ScaledEndpoints => "scaled endpoints",
            Self::Runts => "runts",
        }
    }

    /// Name and text in a line.
    pub fn described(self) -> String {
        format!("{}: {}", self.name(), self.text())
    }

    /// What is different, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::OuterSourcePort => {
                "the outer UDP source port comes from the switch's own hash, in the range that the switch uses"
            }
            Self::OuterTimeToLive => {
                "the outer time to live is the inner packet's, 64 for ARP, at every droplet: a hop does not count it \
                 down, and a packet whose time is spent is sent on"
            }
            Self::OuterTypeOfService => {
                "the outer ECN bits are the inner packet's, ECT(0) for CE; bouncers and dividers send with \
                 DSCP 0, and do not know the mark of low priority"
            }
            Self::OuterHeadersAnew => {
                "bouncers and dividers make outer headers anew: identification 0, no fragment bits, no UDP checksum, \
                 no Geneve flags but that of a critical option, and no options but Mizar's four"
            }
            Self::EmptyOptions => {
                "an unused scaled-endpoint option carries its type and length (0x49, 7) where Mizar writes zeros, an \
                 absent return-to-sender at a hop type 0x4e and length 3; Mizar reads both as absent"
            }
            Self::BouncerChoice => {
                "of several bouncers or dividers that a packet may go by one is picked by the switch's hash of the \
                 inner addresses, the same for both directions; where one of these is this very droplet, or its \
                 Ethernet address is not known, packets are not compared"
            }
            Self::NoShaping => {
                "classes that Mizar hands to the stack to be shaped leave by the uplink at once, with their DSCP"
            }
            Self::RefusalKind => {
                "a refused packet ends, and nothing tells whether it was dropped or aborted, or why"
            }
            Self::Parsing => {
                "the switch's parser decides about packets that an agent never makes: lengths that disagree, headers \
                 cut off, VLAN tags, other Geneve flags or options, checksums outside, other Ethernet destinations, \
                 and, where policy applies, what an endpoint sends to itself"
            }
            Self::Neighbours => {
                "the Ethernet address of the next droplet comes from the switch's neighbour table, not from \
                 return-to-sender; it learns from ARP and from packets that arrive; a droplet that is not in it is asked \
                 for, and first packets are lost; a packet that would go to this very droplet ends here"
            }
            Self::Tracking => {
                "TCP and UDP packets of an endpoint to which policy applies are tracked by the switch's own rules: \
                 fragments and packets with wrong checksums are judged without their connection, and are not \
                 compared. A reply over UDP shares the judgement on the first packet, where Mizar asks policy anew, \
                 and a packet outside the TCP window is judged without its connection, too; to tell these takes \
                 memory, so they are compared, and fail where the judgements are not the same"
            }
            Self::InnerChecksums => {
                "where a flow is rewritten, an inner IPv4 checksum that came in wrong stays wrong; Mizar mends it"
            }
            Self::ScaledEndpoints => {
                "flows to scaled endpoints are not rewritten; modify messages are passed on"
            }
            Self::Runts => {
                "frames shorter than an Ethernet header do not reach it: its ports deliver none"
            }
        }
    }
}

/// The difference that puts a frame outside the contract, if one does: then neither the datapath nor the oracle
/// is fed it.
pub fn excuse(
    differences: &[Difference],
    provision: &Provision,
    port: Port,
    frame: &[u8],
) -> Option<Difference> {
    differences
        .iter()
        .copied()
        .find(|difference| excuses::holds(*difference, provision, port, frame))
}

/// `expected` as a datapath with these differences may have it, in the light of what it did with `frame`. What
/// the differences do not cover stays as it is, so that a comparison finds it.
pub fn allow(
    differences: &[Difference],
    provision: &Provision,
    port: Port,
    expected: Expected,
    got: &Outcome,
) -> Expected {
    let declared = |difference| differences.contains(&difference);
    match (expected, got) {
        (Expected::Dropped(_), Outcome::Dropped { why, .. })
            if declared(Difference::RefusalKind) =>
        {
            Expected::Dropped(*why)
        }
        (
            Expected::Forward {
                port: Port::Uplink,
                frame,
            }
            | Expected::ToStack { frame },
            Outcome::Dropped { why, .. },
        ) if declared(Difference::Neighbours) && outer::is_to(provision.host, &frame) => {
            Expected::Dropped(*why)
        }
        (
            Expected::ToStack { frame: wanted },
            Outcome::Forward {
                port: Port::Uplink,
                frame,
            },
        ) if declared(Difference::NoShaping) && outer::is_from(provision.host, &wanted) => {
            Expected::Forward {
                port: Port::Uplink,
                frame: outer::allow(differences, provision, port, wanted, frame),
            }
        }
        (
            Expected::Forward {
                port: Port::Uplink,
                frame: wanted,
            },
            Outcome::Forward {
                port: Port::Uplink,
                frame,
            },
        ) => Expected::Forward {
            port: Port::Uplink,
            frame: outer::allow(differences, provision, port, wanted, frame),
        },
        (expected, _) => expected,
    }
}
