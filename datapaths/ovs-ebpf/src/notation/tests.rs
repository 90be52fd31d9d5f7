use super::*;
use megaflow::Key;
use megaflow::key::{OPTIONS, fragment};
use megaflow::tunnel::KEY;
use mizar_wire::{Ipv4, Mac, ethernet, ipv4};
use proptest::prelude::*;
use zerocopy::IntoBytes;

/// Of Open vSwitch 3.1: a frame from an endpoint that goes by a tunnel with all options.
const PUSH: &str = "tnl_push(tnl_port(5),header(size=114,type=5,eth(dst=02:00:ac:10:00:01,src=02:00:ac:10:00:02,dl_type=0x0800),ipv4(src=172.31.0.1,dst=172.31.0.3,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0x0),geneve(vni=0x7b,options({class=0x1101,type=0x48,len=12,0xac1f00010200ac10000100}{class=0x1101,type=0x49,len=28,0}{class=0x1101,type=0x50,len=4,0x7}{class=0x1101,type=0x51,len=4,0x9}))),out_port(2)),1";
/// Of the same: a packet that came by the tunnel, of whose sender the option says where it is.
const ARRIVED: &str = "tunnel(tun_id=0x1000,src=172.16.0.1,dst=172.16.0.2,ttl=0/0,tp_src=0/0,tp_dst=0/0,geneve({class=0x1101,type=0x48,len=12,0xac1000010200ac10000100/0xffffffffffffffffffff00}{class=0x1101,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0,type=0,len=0}{class=0x1101,type=0x50,len=4}{class=0x1101,type=0x51,len=4}),flags(-df-csum+key)),skb_mark(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),in_port(4),packet_type(ns=0,id=0),eth(src=02:00:0a:00:00:02/00:00:00:00:00:00,dst=02:00:0a:04:00:5c),eth_type(0x0800),ipv4(src=10.0.0.2,dst=10.4.0.92,proto=17/0,tos=0/0,ttl=64/0,frag=no),udp(src=5001/0,dst=5001/0)";

#[test]
fn a_flow_of_packets_that_arrived_is_read() {
    let asked = matches(ARRIVED).unwrap();
    let (key, mask) = (asked.key, asked.mask);
    assert_eq!((key.in_port, mask.in_port), (4, u32::MAX));
    assert_eq!((key.vni, mask.vni), (0x1000, 0x00ff_ffff));
    assert_eq!(key.tunnel_src, Ipv4::from_octets([172, 16, 0, 1]));
    assert_eq!(key.tunnel_dst, Ipv4::from_octets([172, 16, 0, 2]));
    assert_eq!((key.tunnel_flags, mask.tunnel_flags), (KEY, 0b111));
    assert_eq!((mask.tunnel_ttl, mask.tunnel_tos), (0, 0));
    assert_eq!(
        (key.options_len as usize, mask.options_len),
        (OPTIONS, u16::MAX)
    );
    let options = key.options.as_bytes();
    assert_eq!(options[..4], [0x11, 0x01, 0x48, 3]);
    assert_eq!(options[4..9], [0, 172, 16, 0, 1]);
    assert_eq!(options[9..15], [2, 0, 172, 16, 0, 1]);
    assert_eq!(
        mask.options.as_bytes()[4..16],
        [&[0][..], &[0xff; 10], &[0]].concat()
    );
    assert_eq!(options[48..52], [0x11, 0x01, 0x50, 1]);
    assert_eq!(mask.options.as_bytes()[52..56], [0; 4]);
    assert_eq!(mask.eth_src, Mac::new([0; 6]));
    assert_eq!(key.eth_dst, Mac::new([2, 0, 10, 4, 0, 0x5c]));
    assert_eq!((key.eth_type, key.fragment), (ethernet::IPV4, fragment::NO));
    assert_eq!(
        (mask.protocol, mask.src_port.raw(), mask.fragment),
        (0, 0, u8::MAX)
    );
}

#[test]
fn outer_headers_are_those_that_the_switch_would_put_in_front() {
    let does = actions(PUSH).unwrap();
    let [Action::Push(bytes), Action::Output(1)] = does.as_slice() else {
        panic!("{does:?}");
    };
    assert_eq!(bytes.len(), 114);
    assert_eq!(bytes[..6], [2, 0, 172, 16, 0, 1]);
    assert_eq!(bytes[12..15], [8, 0, 0x45]);
    assert_eq!(bytes[20..24], [0x40, 0, 64, ipv4::UDP]);
    assert_eq!(bytes[26..34], [172, 31, 0, 1, 172, 31, 0, 3]);
    assert_eq!(bytes[36..38], 6081u16.to_be_bytes());
    assert_eq!(bytes[42..50], [16, 0, 0x65, 0x58, 0, 0, 0x7b, 0]);
    assert_eq!(bytes[50..54], [0x11, 0x01, 0x48, 3]);
    assert_eq!(bytes[54..59], [0, 172, 31, 0, 1]);
    assert_eq!(bytes[98..106], [0x11, 0x01, 0x50, 1, 0, 0, 0, 7]);
}

#[test]
fn what_is_not_understood_is_refused_with_its_text() {
    for (text, named) in [
        ("in_port(1),eth_type(0x0800),ipv6(src=::1)", "ipv6(src=::1)"),
        (
            "in_port(1),eth_type(0x0800),recirc_id(0x7)",
            "recirc_id(0x7)",
        ),
        (
            "in_port(1),eth_type(0x0800),ct_state(+trk)",
            "ct_state(+trk)",
        ),
        (
            "in_port(1),eth_type(0x0800),tcp_flags(0x2/0xfff)",
            "tcp_flags(0x2/0xfff)",
        ),
        ("in_port(1),eth_type(0x0800),ipv4(label=1)", "label=1"),
        ("in_port(1),eth_type(0x0800),ipv4(ttl=999)", "999"),
        ("in_port(1)", "in_port(1)"),
        ("eth_type(0x0800)", "eth_type(0x0800)"),
        ("in_port(1),eth_type(0x0800),eth(src=02:00", "eth(src=02:00"),
        ("in_port(1),eth_type(0x0800),tunnel(flags(+new))", "+new"),
        (
            "in_port(1),eth_type(0x0800),tunnel(geneve({class=0x1101,type=1,len=8,0/0}))",
            "{class=0x1101,type=1,len=8,0/0}",
        ),
    ] {
        let refusal = matches(text).unwrap_err().to_string();
        assert!(refusal.contains(named), "{text}: {refusal}");
    }
    for (text, named) in [
        ("", ""),
        ("recirc(0x3)", "recirc(0x3)"),
        ("ct(commit),2", "ct(commit)"),
        ("userspace(pid=0,controller(reason=1))", "userspace(pid=0"),
        ("clone(2),3", "clone(2)"),
        ("set(tunnel(tun_id=0x7)),3", "tunnel(tun_id=0x7)"),
        ("set(ipv4(src=10.0.0.1),eth(dst=02:00:00:00:00:01))", "set("),
        ("tnl_push(tnl_port(5),header(size=50,type=4))", "type=4"),
        ("2,", ""),
    ] {
        match actions(text) {
            Err(refusal) => assert!(refusal.to_string().contains(named), "{text}: {refusal}"),
            // A comma at the end says nothing.
            Ok(actions) => assert_eq!((text, actions), ("2,", vec![Action::Output(2)])),
        }
    }
}

/// What a switch has for a packet to a droplet that learns nothing from it.
#[test]
fn options_that_do_not_count_are_not_asked_for() {
    let options = "{class=0x1101/0,type=0x48/0,len=12/0,0xac1000010200ac10000100/0}\
        {class=0x1101/0,type=0x49/0,len=28/0,0/0}{class=0x1101/0,type=0x50/0,len=4/0,0/0}";
    let last = "{class=0x1101/0,type=0x51/0,len=4/0,0/0}";
    let text = |options: &str| {
        format!("in_port(4),eth_type(0x0800),tunnel(tun_id=0x1000,geneve({options}))")
    };
    let flow = matches(&text(&format!("{options}{last}"))).unwrap();
    assert_eq!(
        (flow.key.options_len, flow.mask.options_len),
        (64, u16::MAX)
    );
    assert!(flow.mask.options.iter().all(|word| *word == 0));
    assert!(flow.key.options.iter().all(|word| *word == 0));
    // One that counts may be anywhere behind those.
    let open = format!("{options}{}", "{class=0x1101,type=0x51,len=4}");
    assert!(matches(&text(&open)).is_err());
    // A type that counts, of any length.
    let half = format!("{options}{}", "{class=0x1101/0,type=0x51,len=4/0,0/0}");
    assert!(matches(&text(&half)).is_err());
}

#[test]
fn what_is_done_to_a_copy_last_is_done_to_the_packet() {
    assert_eq!(
        actions("2,clone(tnl_pop(4))").unwrap(),
        [Action::Output(2), Action::Pop(4)]
    );
    assert_eq!(actions("drop").unwrap(), []);
}

#[test]
fn a_line_of_a_dump_has_three_parts() {
    let line = "ufid:03b5e3b5-1a2b-4c3d-9e8f-000000000001, recirc_id(0),in_port(1),eth_type(0x0800), packets:2599, bytes:155940, used:0.027s, dp:ovs, actions:3, dp-extra-info:miniflow_bits(5,1)";
    let dumped = dumped(line).unwrap();
    assert_eq!(dumped.ufid, "03b5e3b5-1a2b-4c3d-9e8f-000000000001");
    assert_eq!(dumped.asks, "recirc_id(0),in_port(1),eth_type(0x0800)");
    assert_eq!(dumped.does, "3");
    assert_eq!(super::dumped("flow-dump from pmd on cpu core: 1"), None);
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac::new)
}

fn address() -> impl Strategy<Value = Ipv4> {
    any::<u32>().prop_map(Ipv4::from_raw)
}

prop_compose! {
    /// Something that a flow of UDP packets may ask for.
    fn asked()(
        macs in [mac(), mac(), mac(), mac()],
        ips in [address(), address(), address(), address()],
        tunnel in [address(), address(), address(), address()],
        in_port in 0u32..8192,
        vni in (0u32..1 << 24, prop_oneof![Just(0u32), Just(0x00ff_ffff)]),
        ports in any::<[u16; 4]>(),
        bytes in any::<[u8; 6]>(),
        flags in (0u16..8, 0u16..8),
    ) -> Match {
        use mizar_wire::Be16;
        let mut key = Key::ZERO;
        let mut mask = Key::ZERO;
        (key.in_port, mask.in_port) = (in_port, u32::MAX);
        (key.eth_type, mask.eth_type) = (ethernet::IPV4, Be16::new(0xffff));
        [key.eth_src, mask.eth_src, key.eth_dst, mask.eth_dst] = macs;
        [key.ip_src, mask.ip_src, key.ip_dst, mask.ip_dst] = ips;
        [key.tunnel_src, mask.tunnel_src, key.tunnel_dst, mask.tunnel_dst] = tunnel;
        (key.vni, mask.vni) = vni;
        (key.protocol, mask.protocol) = (ipv4::UDP, u8::MAX);
        [key.src_port, mask.src_port, key.dst_port, mask.dst_port] = ports.map(Be16::new);
        [key.tos, mask.tos, key.ttl, mask.ttl, key.tunnel_ttl, mask.tunnel_ttl] = bytes;
        (key.tunnel_flags, mask.tunnel_flags) = flags;
        mask.fragment = u8::MAX;
        Match { key: key.masked(&mask), mask }
    }
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again(asked in asked()) {
        let text = print_match(&asked);
        prop_assert_eq!(matches(&text), Ok(asked), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9_=:,/(){}.+-]{0,80}") {
        let _ = (matches(&text), actions(&text), dumped(&text));
    }
}

#[test]
fn flows_of_the_switch_are_printed_as_they_were() {
    let asked = matches(ARRIVED).unwrap();
    assert_eq!(matches(&print_match(&asked)).unwrap(), asked);
    for text in [
        PUSH,
        "drop",
        "tnl_pop(4)",
        "set(eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02)),7",
        "set(ipv4(dst=10.0.0.9,ttl=63)),set(udp(src=80)),1,2",
        "set(arp(sip=10.0.0.1,tip=10.0.0.2,op=2,sha=02:00:00:00:00:01,tha=02:00:00:00:00:02)),3",
    ] {
        let does = actions(text).unwrap();
        assert_eq!(actions(&print_actions(&does)).unwrap(), does, "{text}");
    }
}
