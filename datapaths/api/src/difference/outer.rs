//! Bytes of outer headers that may be others.

use super::packet::{inner_behind, layout};
use super::{Difference, choice};
use mizar_wire::Ipv4;
use mizar_wire::geneve::{self, Layout};
use topologies::provision::{Host, Port, Provision};

const IP: usize = 14;
const TOS: usize = IP + 1;
const ID: usize = IP + 4;
const FRAGMENT: usize = IP + 6;
const TTL: usize = IP + 8;
const CHECKSUM: usize = IP + 10;
const SRC: usize = IP + 12;
const DST: usize = IP + 16;
const UDP: usize = IP + 20;
const UDP_CHECKSUM: usize = UDP + 6;
const GENEVE_FLAGS: usize = UDP + 9;
const GENEVE_RESERVED: usize = UDP + 15;
const RETURN: usize = UDP + 16;
const SCALED: usize = RETURN + 16;

/// Type and length of an option that says nothing in the place of return-to-sender, and of an unused
/// scaled-endpoint option.
const BLANK_RETURN: [u8; 2] = [0x4e, 3];
const UNUSED_SCALED: [u8; 2] = [0x49, 7];

fn byte(frame: &[u8], at: usize) -> u8 {
    frame.get(at).copied().unwrap_or_default()
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Whether a frame carries outer headers that name `host` as their source.
pub fn is_from(host: Host, frame: &[u8]) -> bool {
    frame.len() >= inner_behind(frame) && frame.get(SRC..SRC + 4) == Some(&host.ip.octets()[..])
}

/// Whether a frame carries outer headers that name `host` as source and destination.
pub fn is_to(host: Host, frame: &[u8]) -> bool {
    is_from(host, frame) && frame.get(DST..DST + 4) == Some(&host.ip.octets()[..])
}

/// `wanted`, with what `got` may lawfully have in its place.
pub fn allow(
    differences: &[Difference],
    provision: &Provision,
    port: Port,
    mut wanted: Vec<u8>,
    got: &[u8],
) -> Vec<u8> {
    if wanted.len() != got.len() || !is_from(provision.host, &wanted) {
        return wanted;
    }
    let inner = inner_behind(&wanted);
    let is_ipv4 = wanted.get(inner + 12..inner + 14) == Some(&[0x08, 0x00]);
    let inner_ttl = if is_ipv4 {
        byte(&wanted, inner + 14 + 8)
    } else {
        64
    };
    // Counted down: the droplet was its own bouncer.
    let is_hop = port == Port::Uplink || byte(&wanted, TTL) != inner_ttl;
    for difference in differences {
        match difference {
            Difference::OuterSourcePort => {
                let found: Vec<u8> = got.get(UDP..UDP + 2).unwrap_or_default().to_vec();
                put(&mut wanted, UDP, &found);
            }
            Difference::OuterTimeToLive => {
                put(&mut wanted, TTL, &[inner_ttl]);
            }
            Difference::OuterTypeOfService => {
                let ecn = match byte(&wanted, inner + 14 + 1) & 3 {
                    _ if !is_ipv4 => 0,
                    // "Congestion experienced" becomes ECT(0).
                    3 => 2,
                    ecn => ecn,
                };
                let dscp = if is_hop { 0 } else { byte(&wanted, TOS) & !3 };
                put(&mut wanted, TOS, &[dscp | ecn]);
            }
            Difference::OuterHeadersAnew if is_hop => {
                put(&mut wanted, ID, &[0, 0]);
                put(&mut wanted, FRAGMENT, &[0, 0]);
                put(&mut wanted, UDP_CHECKSUM, &[0, 0]);
                let is_critical = byte(&wanted, RETURN + 2) == geneve::RETURNED;
                let flags = if is_critical { geneve::CRITICAL } else { 0 };
                put(&mut wanted, GENEVE_FLAGS, &[flags]);
                put(&mut wanted, GENEVE_RESERVED, &[0]);
            }
            Difference::EmptyOptions if layout(&wanted) == Layout::Full => {
                for (option, header) in [(RETURN, BLANK_RETURN), (SCALED, UNUSED_SCALED)] {
                    if wanted.get(option + 2..option + 4) == Some(&[0, 0]) {
                        put(&mut wanted, option + 2, &header);
                    }
                }
            }
            Difference::BouncerChoice => {
                let groups = choice::for_sent(provision, port, is_hop, &wanted);
                let other = |group: &[Ipv4]| other_choice(provision, group, &wanted, got);
                if let Some(host) = groups.into_iter().find_map(other) {
                    put(&mut wanted, DST, &host.ip.octets());
                    put(&mut wanted, 0, &host.mac.octets());
                }
            }
            _ => {}
        }
    }
    write_checksum(&mut wanted);
    wanted
}

/// The droplet that `got` goes to, if it and the one that it should go to are of `group`.
fn other_choice(provision: &Provision, group: &[Ipv4], wanted: &[u8], got: &[u8]) -> Option<Host> {
    let next = |frame: &[u8]| {
        let address = frame.get(DST..DST + 4)?;
        group.iter().find(|ip| ip.octets()[..] == *address).copied()
    };
    next(wanted)?;
    let goes = next(got)?;
    let mut known = provision.substrate.iter().copied();
    known.find(|host| host.ip == goes)
}

fn write_checksum(frame: &mut [u8]) {
    put(frame, CHECKSUM, &[0, 0]);
    let header = frame.get(IP..IP + 20).unwrap_or_default();
    let sum = header
        .chunks_exact(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    put(
        frame,
        CHECKSUM,
        &mizar_wire::checksum::fold(sum).to_be_bytes(),
    );
}
