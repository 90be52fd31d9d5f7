//! Judging what comes back.

use crate::entry::Entry;
use mizar_wire::geneve::Layout;
use mizar_wire::{ethernet, ipv4, udp};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a sink is told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct SinkConfig {
    /// Where the inner frame starts in what arrives: 0, or 114; where 114, packets with the short header have it at 98.
    pub inner_at: u32,
    /// Histograms of latency to keep: none, one, or one of even and one of odd frames.
    pub latency: u32,
    /// Non-zero if this port's frames are counted at all.
    pub active: u32,
    /// The port, counted from zero; frames of other ports' entries do not belong here.
    pub port: u32,
    /// The outer destination of frames that take the direct path, as it lies in memory; zero not to count them, and
    /// [`ANYWHERE`] to count all.
    pub direct_to: u32,
    /// Frames of a round; those that take the direct path are counted for each round.
    pub round: u32,
}

/// Where the first byte of a Geneve header is.
pub const GENEVE_AT: usize = ethernet::LEN + ipv4::LEN + udp::LEN;

/// Where the inner frame starts in a frame with outer headers, by the first byte of its Geneve header.
#[inline(always)]
pub const fn inner_behind(version_options: u8) -> usize {
    Layout::of_length(version_options).encapsulation_len()
}

/// What stands for every outer destination, and for none: no host has the limited broadcast address.
pub const ANYWHERE: u32 = u32::MAX;

/// Rounds of a trial that are counted.
pub const ROUNDS: u32 = 4_096;

impl SinkConfig {
    /// The round in which a frame took the direct path; `None` if it did not, or nobody asked.
    #[inline(always)]
    pub const fn direct_round(&self, number: u32, outer_destination: u32) -> Option<u32> {
        let is_there = self.direct_to == ANYWHERE || outer_destination == self.direct_to;
        if self.direct_to == 0 || self.round == 0 || !is_there {
            return None;
        }
        let round = number / self.round;
        if round < ROUNDS { Some(round) } else { None }
    }
}

/// What a sink counted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(C)]
pub struct SinkState {
    /// Distinct frames that came back intact.
    pub received: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Frames that came more than once.
    pub duplicates: u64,
    /// Frames that came after one with a higher number.
    pub reordered: u64,
    /// Frames that came back changed where they must not be.
    pub corrupted: u64,
    /// Frames that the tester did not send; those of an earlier trial, which come late, are none of them.
    pub foreign: u64,
    /// One above the highest number so far.
    pub highest: u64,
}

/// Frames back in which a duplicate is recognised.
pub const WINDOW: u32 = 1 << 16;

impl SinkState {
    /// Counts intact frame `number` of `len` bytes; false if it came before. `seen` is its place in the window,
    /// number modulo [`WINDOW`]: the number plus one that was last seen there.
    #[inline(always)]
    pub fn count(&mut self, seen: &mut u32, number: u32, len: usize) -> bool {
        if *seen == number.wrapping_add(1) {
            self.duplicates += 1;
            return false;
        }
        *seen = number.wrapping_add(1);
        self.received += 1;
        self.bytes += len as u64;
        if u64::from(number) < self.highest {
            self.reordered += 1;
        } else {
            self.highest = u64::from(number) + 1;
        }
        true
    }
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not one of the tester's.
    Foreign,
    /// One of the tester's, with changes that no datapath may make.
    Corrupted,
    /// As it must be.
    Intact,
}

/// Judges a frame of `len` bytes by the entry that its number names.
///
/// `ip` and `ports` are the inner IPv4 header and the four bytes behind it, `head_ip` and `head_ports` those
/// of the entry.
#[inline(always)]
pub fn judge(
    entry: &Entry,
    len: usize,
    arrived_inner_at: u32,
    (ip, ports): (&ipv4::Header, u32),
    (head_ip, head_ports): (&ipv4::Header, u32),
) -> Arrival {
    let inner_len = entry.len as usize - entry.inner_at as usize;
    if ip.src.raw() != head_ip.src.raw() || ip.dst.raw() != head_ip.dst.raw() {
        return Arrival::Foreign;
    }
    let intact = len == inner_len + arrived_inner_at as usize
        && ports == head_ports
        && ip.total_length == head_ip.total_length
        && ip.protocol == head_ip.protocol
        && ip.checksum == head_ip.checksum
        && ip.ttl == head_ip.ttl;
    if intact {
        Arrival::Intact
    } else {
        Arrival::Corrupted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_on_the_direct_path_count_for_their_round() {
        let config = SinkConfig {
            direct_to: 7,
            round: 5,
            ..SinkConfig::default()
        };
        assert_eq!(config.direct_round(4, 7), Some(0));
        assert_eq!(config.direct_round(5, 7), Some(1));
        assert_eq!(config.direct_round(5, 8), None, "by a bouncer");
        assert_eq!(config.direct_round(5 * ROUNDS, 7), None, "beyond the last");
        let all = SinkConfig {
            direct_to: ANYWHERE,
            ..config
        };
        assert_eq!(all.direct_round(4, 0), Some(0));
        let nobody_asked = SinkConfig::default();
        assert_eq!(nobody_asked.direct_round(5, 0), None);
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart() {
        let mut state = SinkState::default();
        let mut seen = vec![0; WINDOW as usize];
        // 1 is lost, 3 comes before 2, and 2 comes twice.
        for (number, is_new) in [(0, true), (3, true), (2, true), (2, false), (4, true)] {
            let place = &mut seen[(number % WINDOW) as usize];
            assert_eq!(state.count(place, number, 60), is_new);
        }
        let expected = SinkState {
            received: 4,
            bytes: 240,
            duplicates: 1,
            reordered: 1,
            highest: 5,
            ..SinkState::default()
        };
        assert_eq!(state, expected);
    }
}
