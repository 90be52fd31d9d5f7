extern crate std;

use super::*;
use crate::tests::{HERE, THERE, encapsulated, frame, packet, tcp_packet, udp_packet};
use mizar_wire::geneve::ENCAPSULATION_LEN;
use proptest::prelude::*;
use std::collections::HashSet;
use std::vec::Vec;

fn read(bytes: &[u8]) -> Key {
    let mut bytes = bytes.to_vec();
    let mut key = Key::ZERO;
    key.read(&frame(&mut bytes), 0);
    key
}

#[test]
fn a_udp_packet_has_addresses_and_ports() {
    let key = read(&udp_packet());
    assert_eq!((key.eth_dst, key.eth_src), (THERE, HERE));
    assert_eq!(key.eth_type, ethernet::IPV4);
    assert_eq!(key.ip_src, Ipv4::from_octets([10, 0, 0, 2]));
    assert_eq!(key.ip_dst, Ipv4::from_octets([10, 0, 0, 3]));
    assert_eq!((key.protocol, key.tos, key.ttl), (ipv4::UDP, 3, 61));
    assert_eq!((key.src_port.get(), key.dst_port.get()), (1234, 80));
    assert_eq!(key.fragment, fragment::NO);
}

#[test]
fn a_tcp_packet_has_flags_and_an_icmp_message_type_and_code() {
    let key = read(&tcp_packet());
    assert_eq!((key.src_port.get(), key.dst_port.get()), (1234, 80));
    assert_eq!(key.tcp_flags.get(), 0x012);
    let key = read(&packet(ipv4::ICMP, &[3, 1, 0, 0, 0, 0, 0, 0]));
    assert_eq!((key.src_port.get(), key.dst_port.get()), (3, 1));
}

#[test]
fn a_later_fragment_has_no_ports() {
    for (word, expected, ports) in [
        (0x2000u16, fragment::FIRST, (1234, 80)),
        (0x2001, fragment::LATER, (0, 0)),
        (0x4000, fragment::NO, (1234, 80)),
    ] {
        let mut bytes = udp_packet();
        bytes[20..22].copy_from_slice(&word.to_be_bytes());
        let key = read(&bytes);
        assert_eq!(key.fragment, expected);
        assert_eq!((key.src_port.get(), key.dst_port.get()), ports);
    }
}

#[test]
fn an_arp_request_has_four_addresses() {
    let header = [0, 1, 8, 0, 6, 4, 0, 1];
    let (sender, target) = ([10, 0, 0, 2], [10, 0, 0, 3]);
    let addresses = [&HERE.octets()[..], &sender, &[0; 6], &target].concat();
    let ethernet = [&[0xff; 6][..], &HERE.octets(), &[8, 6]].concat();
    let key = read(&[ethernet.clone(), header.to_vec(), addresses.clone()].concat());
    assert_eq!(key.protocol, 1);
    assert_eq!((key.ip_src.octets(), key.ip_dst.octets()), (sender, target));
    assert_eq!((key.arp_sender, key.arp_target), (HERE, Mac::new([0; 6])));
    // Of another kind of hardware nothing is read.
    let other = [0, 6, 8, 0, 6, 4, 0, 1];
    let key = read(&[ethernet, other.to_vec(), addresses].concat());
    assert_eq!((key.protocol, key.ip_src.octets()), (0, [0; 4]));
}

#[test]
fn a_frame_inside_another_is_read_where_it_begins() {
    let inner = udp_packet();
    let mut outer = encapsulated(&inner);
    let mut key = Key::ZERO;
    key.read(&frame(&mut outer), ENCAPSULATION_LEN);
    assert_eq!(key, read(&inner));
}

#[test]
fn keys_that_differ_in_one_thing_spread_as_if_thrown() {
    const KEYS: u16 = 2048;
    // Of as many things thrown into n places, n (1 - e^(-keys / n)) have one.
    const EXPECTED: usize = 1812;
    let plain = read(&udp_packet());
    let number = |number: u16| Ipv4::from_raw((0x0a00_0002 + u32::from(number)).to_be());
    type Way<'a> = &'a dyn Fn(&mut Key, u16);
    let ways: [Way<'_>; 5] = [
        &|key, value| key.ip_src = number(value),
        &|key, value| key.ip_dst = number(value),
        &|key, value| key.src_port = Be16::new(value),
        &|key, value| key.vni = u32::from(value),
        &|key, value| (key.ip_dst, key.src_port) = (number(value), Be16::new(value)),
    ];
    for (way, change) in ways.into_iter().enumerate() {
        let places: HashSet<u32> = (0..KEYS)
            .map(|value| {
                let mut key = plain;
                change(&mut key, value);
                crate::map::place(key.hash())
            })
            .collect();
        assert!(
            places.len() * 100 >= EXPECTED * 96,
            "way {way}: {}",
            places.len()
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let key = read(&bytes);
        prop_assert_eq!(key.masked(&Key::ZERO), Key::ZERO);
        prop_assert_eq!(key.masked(&key), key);
    }

    #[test]
    fn a_packet_that_is_cut_off_has_no_field_that_it_does_not_hold(cut in 0usize..48) {
        let whole = udp_packet();
        let key = read(&whole[..cut]);
        if cut < ethernet::LEN {
            prop_assert_eq!(key, Key::ZERO);
        } else if cut < whole.len() {
            // Its length by its header is more than there is.
            prop_assert_eq!((key.eth_type, key.protocol), (ethernet::IPV4, 0));
        }
    }

    #[test]
    fn the_words_are_the_key(words in any::<[u64; WORDS]>()) {
        let mut key = Key::ZERO;
        *key.words_mut() = words;
        prop_assert_eq!(key.words(), &words);
        let all: Vec<u8> = key.as_bytes().to_vec();
        prop_assert_eq!(Key::read_from_bytes(&all).unwrap(), key);
        key.options_len = OPTIONS as u16;
        prop_assert!(key.is(&key));
        for at in 0..WORDS {
            let mut other = key;
            other.words_mut()[at] ^= 1 << (at % 64);
            prop_assert!(!key.is(&other));
        }
    }
}
