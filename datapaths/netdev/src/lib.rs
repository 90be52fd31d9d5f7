//! What the lab asks of Linux: namespaces, veth pairs, offloads, threaded NAPI, sockets for whole frames, threads and
//! child processes.
//!
//! Namespaces here have no name: they live as long as a file descriptor of this process, and the kernel
//! takes them down, with every device inside, however the process ends.

mod awake;
mod ethtool;
mod generic;
mod host;
mod hugepages;
mod link;
mod namespace;
mod packet;
pub mod process;
mod round_trip;
mod scratch;
mod thread;
mod worker;

pub use awake::Awake;
pub use generic::has_generic_netlink_family;
pub use host::{add_route, move_to, set_mtu};
pub use hugepages::Hugepages;
pub use link::{
    Interface, Link, add_neighbour, create_veth, device, set_down, set_hardware_address, set_up,
    set_up_with_address,
};
pub use namespace::Namespace;
pub use packet::PacketSocket;
pub use round_trip::round_trip;
pub use scratch::scratch_folder;
pub use thread::{Cpu, CpuTime, Stay, Tid, Urgency, allowed_cpus, pin_current_thread};
pub use worker::Worker;

use std::io;

/// What can go wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A netlink request failed.
    #[error("{doing}: {source}")]
    Netlink {
        /// What was tried.
        doing: String,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// A device that should be there is not.
    #[error("interface {0} is not there")]
    NoInterface(String),
    /// The kernel made no thread for the device.
    #[error(
        "interface {0} has no NAPI thread; threaded NAPI needs Linux 5.12 and an XDP program on the device"
    )]
    NoNapiThread(String),
    /// There are too few hugepages.
    #[error(
        "{wanted} free hugepages of 2 MiB are needed and {missing} are missing: the machine's memory is full or in pieces; end something, or reserve them after a restart (sysctl vm.nr_hugepages={wanted})"
    )]
    Hugepages {
        /// How many were asked for.
        wanted: u64,
        /// How many of them there are not.
        missing: u64,
    },
    /// A thread of this process died.
    #[error("a helper thread in a network namespace died")]
    Thread,
}

impl Error {
    pub(crate) fn last(doing: impl Into<String>) -> Self {
        Self::System {
            doing: doing.into(),
            source: io::Error::last_os_error(),
        }
    }

    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::System {
            doing: doing.into(),
            source,
        }
    }
}
