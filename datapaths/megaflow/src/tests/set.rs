extern crate std;

use super::*;
use crate::tests::{HERE, frame, tcp_packet, transport_sum, udp_packet};
use proptest::prelude::*;
use std::vec::Vec;

fn ip_sum(packet: &[u8]) -> u16 {
    let pairs = packet[14..34].chunks(2);
    mizar_wire::checksum::fold(
        pairs
            .map(|pair| u64::from(u16::from_ne_bytes([pair[0], pair[1]])))
            .sum(),
    )
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(udp_packet()), Just(tcp_packet())]
}

proptest! {
    #[test]
    fn addresses_and_time_to_live_change_where_the_mask_says_and_checksums_stay_right(
        packet in packets(),
        value in any::<[u8; OPERAND]>(),
        mask in any::<[u8; OPERAND]>(),
    ) {
        let mut bytes = packet.clone();
        ip_header(&mut frame(&mut bytes), &value, &mask).unwrap();
        prop_assert_eq!((ip_sum(&bytes), transport_sum(&bytes)), (0, 0));
        // Source and destination lie in the packet as in the operand.
        for at in 0..8 {
            let expected = packet[26 + at] & !mask[at] | value[at] & mask[at];
            prop_assert_eq!(bytes[26 + at], expected);
        }
        prop_assert_eq!(bytes[15], packet[15] & !mask[8] | value[8] & mask[8]);
        prop_assert_eq!(bytes[22], packet[22] & !mask[9] | value[9] & mask[9]);
    }

    #[test]
    fn ports_change_where_the_mask_says_and_checksums_stay_right(
        packet in packets(),
        value in any::<[u8; OPERAND]>(),
        mask in any::<[u8; OPERAND]>(),
    ) {
        let mut bytes = packet.clone();
        ports(&mut frame(&mut bytes), &value, &mask).unwrap();
        prop_assert_eq!((ip_sum(&bytes), transport_sum(&bytes)), (0, 0));
        for at in 0..4 {
            let expected = packet[34 + at] & !mask[at] | value[at] & mask[at];
            prop_assert_eq!(bytes[34 + at], expected);
        }
    }

    #[test]
    fn nothing_that_is_no_packet_is_changed_beyond_its_end(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..64),
        value in any::<[u8; OPERAND]>(),
    ) {
        let mask = [0xff; OPERAND];
        let len = bytes.len();
        ethernet(&mut frame(&mut bytes), &value, &mask);
        ip_header(&mut frame(&mut bytes), &value, &mask);
        ports(&mut frame(&mut bytes), &value, &mask);
        arp(&mut frame(&mut bytes), &value, &mask);
        prop_assert_eq!(bytes.len(), len);
    }
}

#[test]
fn a_udp_packet_without_a_checksum_stays_without() {
    let mut bytes = udp_packet();
    bytes[40..42].fill(0);
    let value = [7; OPERAND];
    ports(&mut frame(&mut bytes), &value, &[0xff; OPERAND]).unwrap();
    assert_eq!(bytes[40..42], [0, 0]);
}

#[test]
fn a_request_becomes_a_reply() {
    let header = [0, 1, 8, 0, 6, 4, 0, 1];
    let addresses = [&HERE.octets()[..], &[10, 0, 0, 2], &[0; 6], &[10, 0, 0, 3]].concat();
    let mut bytes = [&[0; 12][..], &[8, 6], &header, &addresses].concat();
    let value = Arp {
        sender_ip: Ipv4::from_octets([10, 0, 0, 3]),
        target_ip: Ipv4::from_octets([10, 0, 0, 2]),
        sender: Mac::new([2; 6]),
        target: HERE,
        operation: arp::REPLY,
        rest: 0,
    };
    arp(&mut frame(&mut bytes), &value.to_bytes(), &[0xff; OPERAND]).unwrap();
    assert_eq!(bytes[20..22], [0, 2]);
    assert_eq!(bytes[22..28], [2; 6]);
    assert_eq!(bytes[28..32], [10, 0, 0, 3]);
    assert_eq!(bytes[38..42], [10, 0, 0, 2]);
}
