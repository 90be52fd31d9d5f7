//! Access lists of networks: what may enter a network from others of its VPC.
//!
//! Mizar's documents say that access control between networks is evaluated at the divider, and leave it at that. Here a
//! list is *stateless*: it looks at one packet, so that replies need rules of their own. Its rules are tried in order, and
//! the first one that matches decides; where none does, the list's default. Packets from within the network are no matter
//! of it, and neither is ARP.
//!
//! Who is told of a list judges every packet into its network that arrives at the uplink: dividers, so that what is denied
//! goes no further, and every host of an endpoint of the network, so that no way around a divider leads in. Packets to a scaled
//! endpoint have their destination rewritten by the host of their source once it knows how, and nobody behind it sees where they
//! were to go: it judges them before.
//!
//! What comes from within a network is told by the source address, so that has to be true: in a VPC with access lists a host
//! refuses what an endpoint sends from an address that is not hosted at its port ([`super::Provision::guarded`]). Networks
//! with lists have no address in common with others of the VPC.

use super::Cidr;
use mizar_wire::{Ipv4, Vni, ipv4};
use serde::{Deserialize, Serialize};

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It may enter.
    Allow,
    /// It may not.
    Deny,
}

impl Access {
    /// The other one.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Self::Allow => Self::Deny,
            Self::Deny => Self::Allow,
        }
    }
}

/// Destination ports, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest, not below the lowest.
    pub last: u16,
}

impl PortRange {
    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// The range as prefixes of 16 bits, at most thirty: each a lowest port and a length from 0 to 16.
    pub fn prefixes(self) -> Vec<(u16, u8)> {
        let (mut from, end) = (u32::from(self.first), u32::from(self.last) + 1);
        let mut prefixes = Vec::new();
        while from < end {
            // The largest block that starts here and does not go beyond the end.
            let aligned = if from == 0 { 16 } else { from.trailing_zeros() };
            let fits = (end - from).ilog2();
            let bits = aligned.min(fits).min(16);
            prefixes.push((from as u16, 16 - bits as u8));
            from += 1 << bits;
        }
        prefixes
    }
}

/// What a rule asks of a packet beside its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Service {
    /// Nothing.
    Any,
    /// An IP protocol.
    Protocol(u8),
    /// A destination port of TCP. A later fragment has none, which counts as port 0.
    Tcp(PortRange),
    /// A destination port of UDP, likewise.
    Udp(PortRange),
}

impl Service {
    /// Whether a packet of `protocol` to `port` has it.
    pub fn has(self, protocol: u8, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Protocol(wanted) => protocol == wanted,
            Self::Tcp(ports) => protocol == ipv4::TCP && ports.contains(port),
            Self::Udp(ports) => protocol == ipv4::UDP && ports.contains(port),
        }
    }
}

/// A rule of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AclRule {
    /// What becomes of packets that match.
    pub access: Access,
    /// Where they come from.
    pub from: Cidr,
    /// Where they go.
    pub to: Cidr,
    /// What they are.
    pub service: Service,
}

/// The access list of a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// The VPC.
    pub vni: Vni,
    /// The network that it guards; of several that hold an address, the one with the longest prefix.
    pub network: Cidr,
    /// What becomes of packets that no rule matches.
    pub default: Access,
    /// The rules, in the order in which they are tried: 0 to [`Acl::RULES`] of them.
    pub rules: Vec<AclRule>,
}

impl Acl {
    /// Rules of a list at most.
    pub const RULES: usize = 1_000;

    /// What becomes of a packet from `src` to `dst`, which lies in the network.
    pub fn access(&self, src: Ipv4, dst: Ipv4, protocol: u8, port: u16) -> Access {
        if self.network.contains(src) {
            return Access::Allow;
        }
        let matches = |rule: &&AclRule| {
            rule.from.contains(src) && rule.to.contains(dst) && rule.service.has(protocol, port)
        };
        let first = self.rules.iter().find(matches);
        first.map_or(self.default, |rule| rule.access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prefixes_of_a_range_are_the_range(a: u16, b: u16, probe: u16) {
            let range = PortRange { first: a.min(b), last: a.max(b) };
            let prefixes = range.prefixes();
            prop_assert!(prefixes.len() <= 30);
            for port in [probe, a, b, a.wrapping_sub(1), b.wrapping_add(1)] {
                let holds = |(first, length): &&(u16, u8)| {
                    (u32::from(*first) ^ u32::from(port)) >> (16 - length) == 0
                };
                let holding = prefixes.iter().filter(holds).count();
                prop_assert_eq!(holding, usize::from(range.contains(port)));
            }
        }
    }

    #[test]
    fn every_port_is_one_prefix() {
        let every = PortRange {
            first: 0,
            last: u16::MAX,
        };
        assert_eq!(every.prefixes(), [(0, 0)]);
        let worst = PortRange {
            first: 1,
            last: u16::MAX - 1,
        };
        assert_eq!(worst.prefixes().len(), 30);
    }
}
