//! Frames with one thing changed: what hosts do not send, and what Mizar treats in a way of its own.

use super::{Case, UNATTACHED, Way};
use mizar_wire::geneve::{self, FlowTarget};
use mizar_wire::{Be16, Ipv4, Mac, arp, checksum, ethernet};
use topologies::frame::{self, FrameLen};
use topologies::topology::Transport;
use topologies::traffic::Flow;
use zerocopy::IntoBytes;

/// An address that no topology uses.
const NOBODY: [u8; 4] = [203, 0, 113, 9];
/// Where the IPv4 header starts, in an encapsulated frame and in an inner one.
const IP_AT: usize = ethernet::LEN;
/// Where an IPv4 header has its checksum.
const CHECKSUM_AT: usize = 10;
/// Where the scaled-endpoint option starts.
const SCALED_ENDPOINT_AT: usize = 66;

/// A name, a place and what is written there.
type Patch = (&'static str, usize, &'static [u8]);

/// Changes of an encapsulated frame.
const OUTER: &[Patch] = &[
    ("other Ethernet destination", 0, &[0xff; 6]),
    ("IPv6 outside", 12, &[0x86, 0xdd]),
    ("VLAN tag outside", 12, &[0x81, 0x00]),
    ("ARP outside", 12, &[0x08, 0x06]),
    ("outer IP version 6", 14, &[0x65]),
    ("outer IPv4 options", 14, &[0x46]),
    ("low priority", 15, &[0x02]),
    ("outer DSCP and ECN", 15, &[0xb9]),
    ("outer identification", 18, &[0x12, 0x34]),
    ("outer don't-fragment bit", 20, &[0x40, 0x00]),
    ("outer first fragment", 20, &[0x20, 0x00]),
    ("outer later fragment", 20, &[0x00, 0xb9]),
    ("outer TTL 0", 22, &[0]),
    ("outer TTL 1", 22, &[1]),
    ("outer TTL 2", 22, &[2]),
    ("outer TTL 255", 22, &[255]),
    ("outer TCP", 23, &[6]),
    ("outer ICMP", 23, &[1]),
    ("wrong outer checksum", 24, &[0xba, 0xad]),
    ("unknown outer source", 26, &NOBODY),
    ("addressed to another droplet", 30, &NOBODY),
    ("addressed to every droplet", 30, &[255; 4]),
    ("Geneve's port as UDP source", 34, &[0x17, 0xc1]),
    ("VXLAN's port", 36, &[0x12, 0xb5]),
    ("outer UDP checksum", 40, &[0x12, 0x34]),
    ("no option", 42, &[0]),
    ("options of 11 words", 42, &[11]),
    ("options of 12 words", 42, &[12]),
    ("options of 15 words", 42, &[15]),
    ("options of 17 words", 42, &[17]),
    ("options of 63 words", 42, &[63]),
    ("Geneve version 1", 42, &[0x50]),
    ("Geneve control bit", 43, &[0x80]),
    ("Geneve critical bit", 43, &[0x40]),
    ("IPv4 in Geneve", 44, &[0x08, 0x00]),
    ("unknown VNI", 46, &[0xfe, 0xed, 0x01]),
    ("VNI 0", 46, &[0; 3]),
    ("reserved byte of Geneve", 49, &[0xff]),
    ("other class of return-to-sender", 50, &[0x01, 0x11]),
    ("no return-to-sender type", 52, &[0, 0]),
    ("unknown return-to-sender host", 55, &NOBODY),
    ("other class of scaled endpoint", 66, &[0x01, 0x11]),
    ("another scaled-endpoint message", 68, &[0x49, 7, 0x44]),
    ("unused scaled endpoint with its type", 68, &[0x49, 7]),
    ("other class of pod label", 98, &[0x01, 0x11]),
    ("other type of pod label", 100, &[0x52]),
    ("another pod label", 102, &[0x4d, 0, 0, 0]),
    ("other class of namespace label", 106, &[0x01, 0x11]),
    ("other type of namespace label", 108, &[0x50]),
    ("another namespace label", 110, &[4, 3, 2, 1]),
];

/// Changes of an inner frame.
const INNER: &[Patch] = &[
    ("inner Ethernet broadcast", 0, &[0xff; 6]),
    ("IPv6 inside", 12, &[0x86, 0xdd]),
    ("VLAN tag inside", 12, &[0x81, 0x00]),
    ("inner IP version 6", 14, &[0x65]),
    ("inner header of 4 words", 14, &[0x44]),
    ("inner header of 6 words", 14, &[0x46]),
    ("inner header of 15 words", 14, &[0x4f]),
    ("inner DSCP", 15, &[0xb8]),
    ("inner low priority", 15, &[0x02]),
    ("inner don't-fragment bit", 20, &[0x40, 0x00]),
    ("inner first fragment", 20, &[0x20, 0x00]),
    ("inner later fragment", 20, &[0x00, 0x10]),
    ("inner TTL 0", 22, &[0]),
    ("inner TTL 1", 22, &[1]),
    ("inner TTL 255", 22, &[255]),
    ("inner ICMP", 23, &[1]),
    ("inner SCTP", 23, &[132]),
    ("inner protocol 0", 23, &[0]),
    ("wrong inner checksum", 24, &[0xba, 0xad]),
    ("unknown inner source", 26, &NOBODY),
    ("unknown inner destination", 30, &NOBODY),
    ("inner destination broadcast", 30, &[255; 4]),
    ("source port 0", 34, &[0, 0]),
    ("Geneve's port inside", 36, &[0x17, 0xc1]),
    ("DNS's port", 36, &[0, 53]),
    ("UDP without checksum", 40, &[0, 0]),
];

/// Changes of an ARP message.
const ARP: &[Patch] = &[
    ("hardware 6", 14, &[0, 6]),
    ("protocol IPv6", 16, &[0x86, 0xdd]),
    ("hardware length 8", 18, &[8]),
    ("operation 0", 20, &[0, 0]),
    ("operation 3", 20, &[0, 3]),
    ("unknown sender", 28, &NOBODY),
    ("unknown target", 38, &NOBODY),
];

/// Every change, one at a time, of a flow's frame and of what its source asks by ARP.
pub fn patched(cases: &mut Vec<Case>, way: &Way) {
    let flow = way.flow(0);
    let udp = Flow {
        transport: Transport::Udp,
        ..flow
    };
    let inner = frame::inner(&udp, FrameLen::MIN);
    if way.is_encapsulated() {
        let whole = way.wrap(&udp, &inner);
        for change in OUTER {
            cases.push(way.case(change.0, changed(&whole, change)));
        }
        modify_messages(cases, way, &udp, &whole);
    } else {
        let mut case = way.case("from a port without endpoint", inner.clone());
        case.port = UNATTACHED;
        cases.push(case);
    }
    for change in INNER {
        cases.push(way.case(change.0, way.wrap(&udp, &changed(&inner, change))));
    }
    for (message, arp) in arp_messages(&flow) {
        for change in ARP {
            let what = format!("ARP {message}, {}", change.0);
            cases.push(way.case(&what, way.wrap(&flow, &changed(&arp, change))));
        }
    }
}

fn changed(frame: &[u8], (_, at, bytes): &Patch) -> Vec<u8> {
    let mut frame = frame.to_vec();
    put(&mut frame, *at, bytes);
    let header = IP_AT..IP_AT + 20;
    // The checksum stays valid unless it is what is changed, or the frame carries no IPv4 header there.
    if header.contains(at) && *at != IP_AT + CHECKSUM_AT && frame.get(IP_AT) == Some(&0x45) {
        mend_checksum(&mut frame);
    }
    frame
}

/// Makes the checksum of the first IPv4 header right.
pub(super) fn mend_checksum(frame: &mut [u8]) {
    put(frame, IP_AT + CHECKSUM_AT, &[0, 0]);
    let sum = frame
        .get(IP_AT..IP_AT + 20)
        .unwrap_or_default()
        .chunks(2)
        .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    put(
        frame,
        IP_AT + CHECKSUM_AT,
        &checksum::fold(sum).to_be_bytes(),
    );
}

pub(super) fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = frame.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Messages that tell to rewrite the flow, with a spent time to live and a fresh one; then the flow and
/// its reply again, which may be rewritten now.
fn modify_messages(cases: &mut Vec<Case>, way: &Way, flow: &Flow, whole: &[u8]) {
    let target = FlowTarget {
        src: flow.src_ip,
        dst: Ipv4::from_octets(NOBODY),
        src_port: Be16::new(flow.src_port),
        dst_port: Be16::new(flow.dst_port),
        src_mac: flow.src_mac,
        dst_mac: Mac::new([2, 0, 203, 0, 113, 9]),
    };
    let mut modify = whole.to_vec();
    let option = geneve::ScaledEndpoint::modify(&target);
    put(&mut modify, SCALED_ENDPOINT_AT, option.as_bytes());
    const SPENT: Patch = ("modify message with a spent TTL", 22, &[1]);
    cases.push(way.case(SPENT.0, changed(&modify, &SPENT)));
    cases.push(way.case("modify message", modify));
    cases.push(way.case("after a modify message", whole.to_vec()));
    let reply = Flow {
        src_ip: target.dst,
        src_mac: target.dst_mac,
        dst_ip: flow.src_ip,
        dst_mac: flow.src_mac,
        src_port: flow.dst_port,
        dst_port: flow.src_port,
        ..*flow
    };
    let inner = frame::inner(&reply, FrameLen::MIN);
    cases.push(way.case("reply to a modified flow", way.wrap(&reply, &inner)));
}

/// What the source of a flow may say by ARP, each with a name; 60 bytes, as Ethernet has it.
pub fn arp_messages(flow: &Flow) -> [(&'static str, Vec<u8>); 4] {
    let source = (flow.src_mac, flow.src_ip);
    [
        (
            "request",
            message(arp::REQUEST, source, (Mac::new([0; 6]), flow.dst_ip)),
        ),
        (
            "request for itself",
            message(arp::REQUEST, source, (Mac::new([0; 6]), flow.src_ip)),
        ),
        (
            "request for nobody",
            message(
                arp::REQUEST,
                source,
                (Mac::new([0; 6]), Ipv4::from_octets(NOBODY)),
            ),
        ),
        (
            "reply",
            message(arp::REPLY, source, (flow.dst_mac, flow.dst_ip)),
        ),
    ]
}

fn message(operation: Be16, sender: (Mac, Ipv4), target: (Mac, Ipv4)) -> Vec<u8> {
    let is_request = operation == arp::REQUEST;
    let ethernet = ethernet::Header {
        dst: if is_request { Mac::BROADCAST } else { target.0 },
        src: sender.0,
        ethertype: ethernet::ARP,
    };
    let header = arp::Header {
        hardware: arp::ETHERNET,
        protocol: arp::IPV4,
        hardware_len: 6,
        protocol_len: 4,
        operation,
    };
    let addresses = arp::Addresses {
        sender_mac: sender.0,
        sender_ip: sender.1,
        target_mac: target.0,
        target_ip: target.1,
    };
    let mut frame = [ethernet.as_bytes(), header.as_bytes(), addresses.as_bytes()].concat();
    frame.resize(FrameLen::MIN.get(), 0);
    frame
}
