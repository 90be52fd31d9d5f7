//! Maps by which the BPF programs and the program that answers their upcalls share flows.
//!
//! A packet's key is looked for in a cache of whole keys first; then, with each mask in use, in one table whose keys
//! begin with the mask's number. Both lead to a place in the array of flows, and to the generation that must be found
//! there. So a flow is deleted by one store of a generation, and whatever still leads to it leads nowhere.

use crate::key::Key;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Flows that there is room for.
pub const FLOWS: u32 = 1 << 17;
/// Masks that there is room for; each is one look more for the packets that others do not match.
pub const MASKS: u32 = 64;
/// Places of a processor's cache of whole keys.
pub const EXACT: u32 = 1 << INDEX_BITS;
const INDEX_BITS: u32 = 13;
/// Ports of a datapath, the tunnels' among them.
pub const PORTS: u32 = 8192;

/// Where in a processor's cache a key has its place.
#[inline(always)]
pub fn place(hash: u64) -> u32 {
    (hash >> (64 - INDEX_BITS)) as u32
}

/// Where a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct At {
    /// The generation that is found there.
    pub generation: u64,
    /// The place in the array of flows.
    pub place: u32,
    /// Zero.
    pub reserved: u32,
}

/// Key of the table of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Masked {
    /// What the mask left.
    pub key: Key,
    /// The mask's number.
    pub mask: u64,
}

/// Entry of a processor's cache of whole keys.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exact {
    /// The key.
    pub key: Key,
    /// Where its flow is.
    pub at: At,
}

/// A mask, and how many packets it found the flow of.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mask {
    /// The bits that are asked for.
    pub bits: Key,
    /// Packets.
    pub hits: u64,
}

/// What is no flow.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Config {
    /// Masks in use.
    pub masks: u64,
    /// Their numbers, in the order in which they are tried.
    pub order: [u32; MASKS as usize],
}

/// A port of the datapath, and what was counted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Port {
    /// Index of the device; 0 of a tunnel, and where there is no port.
    pub device: u32,
    /// Zero.
    pub reserved: u32,
    /// Upcalls that were handed over.
    pub upcalls: u64,
    /// Of those, how many were answered: written by who answers.
    pub answered: u64,
    /// Upcalls that were not handed over, since too many wait or there was no room; their packets are dropped.
    pub lost: u64,
}

/// Upcalls of a port that may wait for an answer.
pub const WAITING: u64 = 4096;

/// Counters, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Count {
    /// Packets that a processor's cache of whole keys had.
    ExactHit,
    /// Packets that a mask found the flow of.
    MaskHit,
    /// Masks that were tried for these.
    MasksTried,
    /// Packets without a flow.
    Miss,
    /// Packets whose flow has no action.
    Dropped,
    /// Packets that left.
    Sent,
    /// Packets that an action failed for.
    Failed,
    /// Packets whose outer headers are not as expected.
    BadTunnel,
    /// Packets of a flow that were handed over, for it to be judged anew.
    Renewed,
}

impl Count {
    /// How many there are.
    pub const COUNT: u32 = Self::Renewed as u32 + 1;
}

/// Bytes of a frame that an upcall carries at most, and of one that is short.
pub const LONGEST: usize = 2048;
/// See [`LONGEST`].
pub const SHORT: usize = 256;

/// What an upcall begins with; the frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Upcall {
    /// As what the packet was looked for.
    pub key: Key,
    /// The port of the device that it came by.
    pub port: u32,
    /// Bytes of the frame as it came by the device.
    pub len: u32,
}
