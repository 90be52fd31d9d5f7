//! A frame of a workload.

use mizar_wire::{Be16, Be32, checksum};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words of 8 bytes that hold the headers of an inner frame: Ethernet, IPv4, TCP.
pub const SMALL_WORDS: usize = 7;
/// Words of 8 bytes that hold the headers of an encapsulated frame.
pub const LARGE_WORDS: usize = 21;

/// A frame as it is sent, but for its stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entry {
    /// The first bytes of the frame: [`SMALL_WORDS`] of them count for an inner frame, all for an
    /// encapsulated one.
    pub head: [u64; LARGE_WORDS],
    /// Bytes of the frame.
    pub len: u16,
    /// Where the inner frame starts: 0, or 114.
    pub inner_at: u16,
    /// Where the stamp goes, from the start of the inner frame.
    pub stamp_at: u16,
    /// Where the transport checksum goes, from the start of the inner frame.
    pub checksum_at: u16,
    /// The transport checksum of the frame with a stamp of zero, as it lies in memory.
    pub checksum: u16,
    /// The port it is sent by.
    pub port: u16,
    /// Reserved, zero.
    pub reserved: u32,
}

/// What the tester writes into a frame: in a UDP payload's first bytes, or in TCP's sequence and
/// acknowledgement numbers, since the shortest TCP frame has but six bytes of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stamp {
    /// Number of the frame, modulo 2^32.
    pub number: Be32,
    /// When it should have been sent: the lower 32 bits of a monotonic clock in nanoseconds.
    pub due: Be32,
}

impl Stamp {
    /// The stamp of frame `number`, due at `due` nanoseconds.
    #[inline(always)]
    pub const fn new(number: u32, due: u64) -> Self {
        Self {
            number: Be32::new(number),
            due: Be32::new(due as u32),
        }
    }

    /// Nanoseconds from when the frame should have been sent until `now`; right below 4.29 seconds.
    #[inline(always)]
    pub const fn age(&self, now: u64) -> u32 {
        (now as u32).wrapping_sub(self.due.get())
    }

    /// The transport checksum of the entry's frame with this stamp.
    #[inline(always)]
    pub const fn checksum(&self, entry: &Entry) -> Be16 {
        let change = checksum::Change::new()
            .word(0, self.number.raw())
            .word(0, self.due.raw());
        let checksum = change.apply(entry.checksum);
        // RFC 768: a UDP checksum of zero is sent as all ones, which TCP takes as well.
        Be16::from_raw(if checksum == 0 { 0xffff } else { checksum })
    }
}
