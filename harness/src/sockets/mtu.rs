//! How long packets of endpoints may be, so that they fit the underlay with their outer headers.
//!
//! An MTU counts an IP packet, without the Ethernet header in front of it. What an endpoint sends is an Ethernet frame,
//! and goes into the outer packet as a whole; the outer headers have an Ethernet header of their own, which the underlay's
//! MTU does not count:
//!
//! ```text
//!   outer Ethernet │ outer IPv4, UDP, Geneve with options │ inner Ethernet │ inner IP packet
//!         14       │               114 - 14               │       14       │  endpoint's MTU at the most
//!                  └────────────────── underlay's MTU at the most ──────────────────────────┘
//! ```

use mizar_wire::ethernet;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use serde::{Deserialize, Serialize};

/// Bytes by which an outer IP packet is longer than the inner one.
pub const OVERHEAD: u16 = (ENCAPSULATION_LEN - ethernet::LEN + ethernet::LEN) as u16;

/// Bytes of the longest IP packet that a device carries: 576 to 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Mtu(u16);

/// A number that is no MTU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no MTU: expected 576 to 65535 bytes")]
pub struct NoMtu(String);

impl Mtu {
    /// That of Ethernet without jumbo frames.
    pub const ETHERNET: Self = Self(1500);
    /// That of the lab's underlay, if no other is asked for.
    pub const UNDERLAY: Self = Self(datapath_api::PORT_MTU);

    /// In bytes.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Mtu {
    type Error = NoMtu;

    fn try_from(bytes: u16) -> Result<Self, NoMtu> {
        // RFC 791: every host takes packets of 576 bytes.
        if bytes >= 576 {
            Ok(Self(bytes))
        } else {
            Err(NoMtu(bytes.to_string()))
        }
    }
}

impl std::str::FromStr for Mtu {
    type Err = NoMtu;

    fn from_str(text: &str) -> Result<Self, NoMtu> {
        let bytes: u16 = text.parse().map_err(|_| NoMtu(text.to_owned()))?;
        bytes.try_into()
    }
}

impl From<Mtu> for u16 {
    fn from(mtu: Mtu) -> Self {
        mtu.0
    }
}

impl std::fmt::Display for Mtu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Packets of endpoints that do not fit the underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an endpoint's packet of {endpoint} bytes takes {} on the underlay, with {OVERHEAD} bytes of headers, and the \
     underlay carries {underlay}: give --underlay-mtu {} or more, or --endpoint-mtu {} or less",
    needed(*endpoint), needed(*endpoint), underlay.get().saturating_sub(OVERHEAD)
)]
pub struct TooLong {
    /// The endpoints' MTU.
    pub endpoint: Mtu,
    /// The underlay's.
    pub underlay: Mtu,
}

/// Bytes of the outer IP packet around the longest of an endpoint.
fn needed(endpoint: Mtu) -> u32 {
    u32::from(endpoint.0) + u32::from(OVERHEAD)
}

/// The MTU of endpoints and one of the underlay that has room for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mtus {
    endpoint: Mtu,
    underlay: Mtu,
}

impl Mtus {
    /// The two.
    ///
    /// # Errors
    /// Where the packets of endpoints do not fit the underlay.
    pub fn new(endpoint: Mtu, underlay: Mtu) -> Result<Self, TooLong> {
        if needed(endpoint) > u32::from(underlay.0) {
            return Err(TooLong { endpoint, underlay });
        }
        Ok(Self { endpoint, underlay })
    }

    /// That of endpoints.
    pub fn endpoint(self) -> Mtu {
        self.endpoint
    }

    /// That of the underlay.
    pub fn underlay(self) -> Mtu {
        self.underlay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use topologies::catalogue;
    use topologies::frame::{self, FrameLen};
    use topologies::oracle::{Oracle, Outcome};
    use topologies::provision::Port;
    use topologies::topology::Parameters;

    fn mtu(bytes: u16) -> Mtu {
        bytes.try_into().unwrap()
    }

    /// The oracle encapsulates the longest packet of an endpoint: what leaves has exactly the length that is needed.
    #[test]
    fn the_underlay_needs_what_an_encapsulated_packet_has() {
        let topology = catalogue::find("encap", Parameters::default()).unwrap();
        let provision = topology.provision(topology.under_test().unwrap());
        let direction = &topology.traffic()[0];
        let inner = frame::inner(&direction.flows.flow(0), FrameLen::MAX);
        assert_eq!(inner.len() - ethernet::LEN, 1500);
        let outcome = Oracle::new(&provision).inject(direction.ingress, &inner);
        let Outcome::Forward {
            port: Port::Uplink,
            frame,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        let outer = (frame.len() - ethernet::LEN) as u16;
        assert_eq!(outer, 1500 + OVERHEAD);
        assert!(Mtus::new(mtu(1500), mtu(outer)).is_ok());
        let error = Mtus::new(mtu(1500), mtu(outer - 1)).unwrap_err();
        let words = error.to_string();
        for number in [
            "1500 bytes",
            "1614 on",
            "1613:",
            "--underlay-mtu 1614",
            "--endpoint-mtu 1499",
        ] {
            assert!(words.contains(number), "{words}");
        }
    }

    #[test]
    fn an_mtu_is_from_576_up_and_long_ones_do_not_wrap_around() {
        assert!("575".parse::<Mtu>().is_err());
        assert!("many".parse::<Mtu>().is_err());
        assert_eq!("576".parse::<Mtu>(), Ok(mtu(576)));
        assert!(Mtus::new(mtu(65_535), mtu(65_535)).is_err());
        assert!(Mtus::new(mtu(65_421), mtu(65_535)).is_ok());
    }
}
