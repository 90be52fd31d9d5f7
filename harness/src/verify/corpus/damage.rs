//! Frames that are cut off, damaged at random, or random throughout.

use super::{Case, Way, patch};
use mizar_wire::geneve;
use topologies::frame::{self, FrameLen};
use topologies::topology::Transport;
use topologies::traffic::Flow;

/// Where headers end in an encapsulated frame before the inner one.
const OUTER_ENDS: [usize; 8] = [14, 34, 42, 50, 66, 98, 106, 114];
/// Frames with random damage for each way, and random frames for each.
const DAMAGED: u64 = 200;
const RANDOM: u64 = 50;
/// Ways of one topology keep to themselves: each has a sequence of its own.
const STRIDE: u64 = 1 << 32;

/// A frame of a flow over TCP and UDP, and an ARP request, cut before, at and behind each header's end.
pub fn truncated(cases: &mut Vec<Case>, way: &Way) {
    let flow = way.flow(0);
    let over = |transport| frame::inner(&Flow { transport, ..flow }, FrameLen::MIN);
    let [(_, arp), ..] = patch::arp_messages(&flow);
    for (what, inner, inner_ends) in [
        ("UDP", over(Transport::Udp), [14, 34, 42]),
        ("TCP", over(Transport::Tcp), [14, 34, 54]),
        ("ARP", arp, [14, 22, 42]),
    ] {
        let whole = way.wrap(&flow, &inner);
        let (outer_ends, inner_at) = if way.is_encapsulated() {
            (&OUTER_ENDS[..], geneve::ENCAPSULATION_LEN)
        } else {
            (&[][..], 0)
        };
        let ends = outer_ends
            .iter()
            .copied()
            .chain(inner_ends.map(|end| inner_at + end));
        for len in ends.flat_map(|end| [end - 1, end, end + 1]) {
            if let Some(part) = whole.get(..len) {
                cases.push(way.case(&format!("{what} cut to {len} bytes"), part.to_vec()));
            }
        }
        cases.push(way.case(&format!("{what} cut to nothing"), Vec::new()));
    }
}

/// Frames with one to three bytes changed, and frames that are valid up to some byte and random behind.
pub fn random(cases: &mut Vec<Case>, ways: &[Way]) {
    for (way, number) in ways.iter().zip(0..) {
        let mut sequence = Sequence(number * STRIDE);
        let flow = way.flow(0);
        let whole = way.wrap(&flow, &frame::inner(&flow, FrameLen::MIN));
        for index in 0..DAMAGED {
            let mut frame = whole.clone();
            let mut name = format!("damage {index}:");
            for _ in 0..=sequence.below(3) {
                let (at, value) = (sequence.below(frame.len()), sequence.byte());
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
                name.push_str(&format!(" byte {at} is {value:#04x}"));
            }
            cases.push(way.case(&name, frame));
        }
        for index in 0..RANDOM {
            let valid = sequence.below(whole.len());
            let more = sequence.below(100);
            let mut frame = whole.get(..valid).unwrap_or_default().to_vec();
            frame.extend((0..more).map(|_| sequence.byte()));
            let name = format!("{index}: random from byte {valid} on");
            cases.push(way.case(&name, frame));
        }
    }
}

/// Numbers that look random and are the same in every run: SplitMix64.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = self.0;
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `bound`, which is at least one.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
