//! The ports of a droplet.

use crate::ring::RingPort;
use netdev::{Interface, Namespace};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of payload that a droplet's ports carry: the longest inner frame and its outer headers, and some.
pub const PORT_MTU: u16 = 1700;

/// Mebibytes in hugepages that the tester at vhost-user ports takes, beside those of the datapath.
pub const TESTER_MEBIBYTES: u32 = 192;

/// A kind of port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortType {
    /// No ports: frames go in and come out by injection alone.
    Detached,
    /// Rings in memory, within one process.
    Rings,
    /// One end of a veth pair each, in the droplet's namespace.
    Veth,
    /// Virtio queues in memory that two processes share, as between a switch and a virtual machine.
    VhostUser,
}

impl PortType {
    /// Whether a thread that polls such ports does all that forwarding takes. On veth the kernel hands frames over, on
    /// threads of its own that have the same processor: what the polling thread counts says nothing of these.
    pub const fn needs_only_the_poller(self) -> bool {
        matches!(self, Self::VhostUser)
    }
}

impl std::fmt::Display for PortType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Detached => "detached",
            Self::Rings => "rings",
            Self::Veth => "veth",
            Self::VhostUser => "vhost-user",
        })
    }
}

/// The ports of one droplet, made by the lab.
pub enum DropletPorts {
    /// See [`PortType::Detached`].
    Detached,
    /// See [`PortType::Rings`].
    Rings {
        /// Towards the underlay.
        uplink: RingPort,
        /// Towards endpoints, by number.
        endpoints: Vec<RingPort>,
    },
    /// See [`PortType::Veth`].
    Veth(VethPorts),
    /// See [`PortType::VhostUser`].
    VhostUser(VhostUserPorts),
}

/// veth ports of one droplet.
#[derive(Debug, Clone)]
pub struct VethPorts {
    /// The droplet's namespace.
    pub namespace: Arc<Namespace>,
    /// Towards the underlay.
    pub uplink: Interface,
    /// Towards endpoints, by number.
    pub endpoints: Vec<Interface>,
}

/// vhost-user ports of one droplet: it connects to sockets, at the other ends of which virtio devices listen.
#[derive(Debug, Clone)]
pub struct VhostUserPorts {
    /// The droplet's namespace.
    pub namespace: Arc<Namespace>,
    /// The socket of the device towards the underlay.
    pub uplink: PathBuf,
    /// Sockets of those towards endpoints, by number.
    pub endpoints: Vec<PathBuf>,
}

impl DropletPorts {
    /// What kind they are.
    pub fn port_type(&self) -> PortType {
        match self {
            Self::Detached => PortType::Detached,
            Self::Rings { .. } => PortType::Rings,
            Self::Veth(_) => PortType::Veth,
            Self::VhostUser(_) => PortType::VhostUser,
        }
    }
}
