extern crate std;

use super::*;
use crate::tests::{encapsulated, frame, udp_packet};
use mizar_wire::Ipv4;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use proptest::prelude::*;
use std::vec::Vec;
use zerocopy::IntoBytes;

fn taken(bytes: &[u8]) -> (Taken, Key) {
    let mut bytes = bytes.to_vec();
    let mut key = Key::ZERO;
    let taken = take_off(&frame(&mut bytes), &mut key);
    (taken, key)
}

/// The outer IPv4 header with its checksum made right again.
fn mended(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[24..26].fill(0);
    let sum = bytes[14..34]
        .chunks(2)
        .map(|pair| u64::from(u16::from_ne_bytes([pair[0], pair[1]])))
        .sum();
    bytes[24..26].copy_from_slice(&checksum::fold(sum).to_ne_bytes());
    bytes
}

#[test]
fn outer_headers_become_fields() {
    let bytes = encapsulated(&udp_packet());
    let (taken, key) = taken(&bytes);
    assert_eq!(taken, Taken::Strip(ENCAPSULATION_LEN));
    assert_eq!(key.vni, 0x1000);
    assert_eq!(key.tunnel_src, Ipv4::from_octets([172, 16, 0, 1]));
    assert_eq!(key.tunnel_dst, Ipv4::from_octets([172, 16, 0, 2]));
    assert_eq!((key.tunnel_tos, key.tunnel_ttl), (2, 64));
    assert_eq!(key.tunnel_flags, KEY);
    assert_eq!(usize::from(key.options_len), OPTIONS);
    assert_eq!(key.options.as_bytes(), &bytes[OPTIONS_AT..][..OPTIONS]);
}

#[test]
fn options_of_the_short_header_are_held() {
    let mut bytes = encapsulated(&udp_packet());
    bytes.drain(OPTIONS_AT..OPTIONS_AT + OPTIONS - SHORT_OPTIONS);
    bytes[42] = (SHORT_OPTIONS / 4) as u8;
    for at in [16, 38] {
        let length = u16::from_be_bytes([bytes[at], bytes[at + 1]]) - 16;
        bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }
    let bytes = mended(bytes);
    let (taken, key) = taken(&bytes);
    assert_eq!(taken, Taken::Strip(OPTIONS_AT + SHORT_OPTIONS));
    assert_eq!(usize::from(key.options_len), SHORT_OPTIONS);
    let (held, rest) = key.options.as_bytes().split_at(SHORT_OPTIONS);
    assert_eq!(held, &bytes[OPTIONS_AT..][..SHORT_OPTIONS]);
    assert!(rest.iter().all(|byte| *byte == 0));
    // Keys that differ in an option are others.
    let mut other = key;
    other.options[4] ^= 1 << 40;
    assert!(!key.is(&other));
    assert_ne!(key.hash(), other.hash());
}

#[test]
fn what_no_switch_takes_is_dropped_and_what_cannot_be_judged_is_unknown() {
    let good = encapsulated(&udp_packet());
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    // A wrong checksum; options of IPv4; TCP; another version of Geneve; another payload than Ethernet.
    for bytes in [
        changed(24, good[24] ^ 1),
        mended(changed(14, 0x46)),
        mended(changed(23, ipv4::TCP)),
        changed(42, good[42] | 0x40),
        changed(44, 0),
    ] {
        assert_eq!(taken(&bytes).0, Taken::Unknown);
    }
    assert_eq!(taken(&changed(41, 1)).0, Taken::Unknown);
}

#[test]
fn options_of_another_length_are_counted_and_not_held() {
    let mut bytes = encapsulated(&udp_packet());
    bytes[42] = 2;
    let (taken, key) = taken(&bytes);
    assert_eq!(taken, Taken::Strip(OPTIONS_AT + 8));
    assert_eq!((key.options_len, key.options), (8, [0; OPTIONS / 8]));
}

#[test]
fn completed_headers_are_those_of_the_packet() {
    let whole = encapsulated(&udp_packet());
    let mut bytes = whole.clone();
    // As a flow has them.
    bytes[16..18].fill(0);
    bytes[24..26].fill(0);
    bytes[38..40].fill(0);
    complete(&mut frame(&mut bytes), Be16::new(0)).unwrap();
    assert_eq!(bytes, whole);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_off_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let (Taken::Strip(len), _) = taken(&bytes) {
            prop_assert!(len <= bytes.len());
        }
    }

    #[test]
    fn a_source_port_is_one_that_a_switch_would_choose(hash in any::<u64>()) {
        prop_assert!((32_768..61_000).contains(&source_port(hash).get()));
    }
}
