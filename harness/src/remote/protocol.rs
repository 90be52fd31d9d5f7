//! What the tester and a droplet that runs elsewhere say to each other. A message has the form of those to a DPDK process.

pub use dpdk_protocol::{receive, send};

use datapath_api::Counters;
use serde::{Deserialize, Serialize};
use topologies::provision::{DirectPath, Provision};

/// Which version of these messages this is. To be raised with every change of them.
pub const VERSION: u32 = 1;

/// The tester's socket within the folder where all meet.
pub const SOCKET: &str = "tester";

/// What a droplet says first. The tester answers [`Answer::Done`], or why it does not want it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The [`VERSION`] that it speaks; 0 before there was one.
    #[serde(default)]
    pub version: u32,
    /// The droplet's name in the topology.
    pub name: String,
    /// Its process.
    pub process: u32,
    /// The namespace that this number is of, as the kernel calls it.
    pub process_ids: String,
    /// The container that it runs in.
    pub container: Option<String>,
}

/// What a datapath is installed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name.
    pub datapath: String,
    /// The device towards the underlay.
    pub uplink: String,
    /// The devices towards endpoints, by number.
    pub endpoints: Vec<String>,
    /// What the droplet must know.
    pub provision: Provision,
    /// The processor of its work.
    pub cpu: usize,
}

/// A place for one datapath: a network namespace, called by the droplet's descriptor of it.
pub type PlaceId = i32;

/// What the tester asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Make a place.
    Prepare,
    /// Have a datapath run there.
    Install(PlaceId, Box<Order>),
    /// What did it count?
    Count(PlaceId),
    /// Which direct paths does it know?
    DirectPaths(PlaceId),
    /// Which flows has it?
    Flows(PlaceId),
    /// Give it other tables.
    Update(PlaceId, Box<Provision>),
    /// Is it alive?
    Check(PlaceId),
    /// Stop it.
    Stop(PlaceId),
    /// Give the place up.
    Leave(PlaceId),
}

/// What the droplet answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done; to a question, yes.
    Done,
    /// The place.
    Prepared(PlaceId),
    /// The datapath runs, with these threads.
    Installed(Vec<i32>),
    /// What was counted.
    Counted(Box<Counters>),
    /// Direct paths, in no order.
    DirectPaths(Vec<DirectPath>),
    /// Flows, if it has such.
    Flows(Option<Vec<String>>),
    /// It could not, for this reason.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use topologies::provision::Host;

    fn requests() -> Vec<Request> {
        let host = Host {
            ip: std::net::Ipv4Addr::new(172, 16, 0, 1).into(),
            mac: mizar_wire::Mac::default(),
        };
        let order = Order {
            datapath: "kernel-xdp".to_owned(),
            uplink: "d1x0".to_owned(),
            endpoints: vec!["d1x1".to_owned()],
            provision: Provision::new(host),
            cpu: 1,
        };
        vec![
            Request::Prepare,
            Request::Install(3, Box::new(order)),
            Request::Count(3),
            Request::Leave(3),
        ]
    }

    fn wire() -> Vec<u8> {
        let mut wire = Vec::new();
        for request in requests() {
            send(&mut wire, &request).unwrap();
        }
        wire
    }

    #[test]
    fn what_is_sent_is_received() {
        let wire = wire();
        let mut rest = wire.as_slice();
        for request in requests() {
            assert_eq!(receive(&mut rest).unwrap(), Some(request));
        }
        assert_eq!(receive::<Request>(&mut rest).unwrap(), None);
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let mut message = Vec::new();
        send(&mut message, &requests()[1]).unwrap();
        for length in 4..message.len() {
            let cut = receive::<Request>(&mut &message[..length]);
            assert!(cut.is_err(), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            // A length that nothing follows, or nonsense: either way an answer and no panic.
            let _ = receive::<Request>(&mut bytes.as_slice());
            let mut framed = (bytes.len() as u32).to_be_bytes().to_vec();
            framed.extend(&bytes);
            let _ = receive::<Request>(&mut framed.as_slice());
            let _ = receive::<Answer>(&mut framed.as_slice());
            let _ = receive::<Hello>(&mut framed.as_slice());
        }

        #[test]
        fn a_changed_byte_is_no_panic(place: proptest::sample::Index, byte: u8) {
            let mut wire = wire();
            let at = place.index(wire.len());
            wire[at] = byte;
            let mut rest = wire.as_slice();
            while let Ok(Some(_)) = receive::<Request>(&mut rest) {}
        }
    }
}
