//! A flow's actions and counters, in the layout of a map's value.

use crate::tunnel::HEADER;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most actions that a flow has.
pub const STEPS: usize = 6;
/// Bytes of an action's operands.
pub const OPERAND: usize = 24;

/// What an action does.
pub mod operation {
    /// Sends the packet out of the port.
    pub const OUTPUT: u16 = 1;
    /// Puts the flow's outer headers in front; `len` bytes of them.
    pub const PUSH: u16 = 2;
    /// Takes outer headers off, and looks for a flow of what is inside as come by the port.
    pub const POP: u16 = 3;
    /// Changes the Ethernet header; operands are [`crate::set::Ethernet`].
    pub const SET_ETHERNET: u16 = 4;
    /// Changes the IPv4 header; operands are [`crate::set::Ip`].
    pub const SET_IP: u16 = 5;
    /// Changes ports of TCP or UDP; operands are [`crate::set::Ports`].
    pub const SET_PORTS: u16 = 6;
    /// Changes ARP; operands are [`crate::set::Arp`].
    pub const SET_ARP: u16 = 7;
}

/// One action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Step {
    /// One of [`operation`].
    pub operation: u16,
    /// Bytes, where the operation has some.
    pub len: u16,
    /// A port of the datapath, where the operation has one.
    pub port: u32,
    /// What is written.
    pub value: [u8; OPERAND],
    /// Which bits of it.
    pub mask: [u8; OPERAND],
}

impl Step {
    /// No action.
    pub const NONE: Self = Self {
        operation: 0,
        len: 0,
        port: 0,
        value: [0; OPERAND],
        mask: [0; OPERAND],
    };
}

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(8))]
pub struct Flow {
    /// Which of all flows it is; 0 where there is none. A flow never changes: another one takes its place, in another
    /// place of the map.
    pub generation: u64,
    /// Packets that followed it.
    pub packets: u64,
    /// Bytes of them, as they came.
    pub bytes: u64,
    /// When the last one did, in nanoseconds since the machine started.
    pub used: u64,
    /// When the next packet is to be judged anew, in the same; never if it is 0.
    pub renew: u64,
    /// How much later the one after that is, in nanoseconds.
    pub interval: u64,
    /// Actions; what follows the last has operation 0. No action at all drops.
    pub steps: [Step; STEPS],
    /// Outer headers.
    pub header: [u64; HEADER / 8],
}

impl Flow {
    /// A place without a flow.
    pub const NONE: Self = Self {
        generation: 0,
        packets: 0,
        bytes: 0,
        used: 0,
        renew: 0,
        interval: 0,
        steps: [Step::NONE; STEPS],
        header: [0; HEADER / 8],
    };
}
