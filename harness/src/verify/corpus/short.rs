//! Frames with the short header: from each droplet, for endpoints that are hosted here or not, and such with something wrong.
//! A droplet that does not read it refuses them all.

use super::{Case, Way, patch};
use mizar_wire::geneve;
use topologies::frame::{self, FrameLen, Outer};
use topologies::provision::Host;
use topologies::topology::{Topology, Transport};
use topologies::traffic::Flow;

/// Flows of which there are such frames, at the most.
const FLOWS: u32 = 6;
/// Where the words of options are said, and the first option has its type, its length and its data.
const WORDS: usize = 42;
const FIRST_TYPE: usize = 52;
const FIRST_LENGTH: usize = 53;
const FIRST_DATA: usize = 54;
/// Where headers end before the inner frame.
const ENDS: [usize; 5] = [50, 66, 82, 90, geneve::SHORT_ENCAPSULATION_LEN];

/// Flows over both protocols in several lengths, and ARP, from each droplet; this very one sends itself none.
///
/// Of each flow there is one frame from each droplet, and the last is from the one from which all others come: a switch that
/// learns says what a packet taught again whenever it looks at its statistics.
pub fn sound(cases: &mut Vec<Case>, topology: &Topology, here: Host, way: &Way) {
    let Some((peer, _)) = way.hosts else { return };
    let others = topology.droplets().iter().map(|droplet| droplet.host);
    for other in others.filter(|host| *host != peer).chain([peer]) {
        for (index, length) in (0..way.flows(FLOWS)).zip(super::lengths()) {
            let transport = if index % 2 == 0 {
                Transport::Udp
            } else {
                Transport::Tcp
            };
            let flow = Flow {
                transport,
                ..way.flow(index)
            };
            let inner = frame::inner(&flow, length);
            let what = format!("flow {index}, {transport:?}, {length} bytes");
            add(cases, way, here, other, (&what, &inner));
            let messages = patch::arp_messages(&flow);
            if let Some((message, arp)) = messages.get(index as usize % messages.len()) {
                let what = format!("flow {index}, ARP {message}");
                add(cases, way, here, other, (&what, arp));
            }
        }
    }
}

fn add(cases: &mut Vec<Case>, way: &Way, here: Host, from: Host, (what, inner): (&str, &[u8])) {
    if let Some(frame) = short(way, here, from, inner) {
        let what = format!("{what} with the short header from {}", from.ip);
        cases.push(way.case(&what, frame));
    }
}

fn short(way: &Way, here: Host, from: Host, inner: &[u8]) -> Option<Vec<u8>> {
    let outer = Outer {
        src: from,
        dst: here,
        return_to_sender: from,
        ..way.outer(&way.flow(0))?
    };
    Some(frame::with_short_header(&outer, inner))
}

/// One frame with one thing changed, or cut off.
pub fn damaged(cases: &mut Vec<Case>, here: Host, way: &Way) {
    let Some((peer, _)) = way.hosts else { return };
    // One that no frame before is of, where there are as many.
    let flow = way.flow(way.flows(FLOWS + 1) - 1);
    let inner = frame::inner(&flow, FrameLen::MIN);
    let Some(whole) = short(way, here, peer, &inner) else {
        return;
    };
    for (what, at, byte) in [
        ("another type of the first option", FIRST_TYPE, 0x4b),
        ("no type of the first option", FIRST_TYPE, 0),
        (
            "scaled endpoint as the first option",
            FIRST_TYPE,
            geneve::SCALED_ENDPOINT,
        ),
        (
            "return-to-sender as the first option",
            FIRST_TYPE,
            geneve::RETURN_TO_SENDER,
        ),
        ("another length of the first option", FIRST_LENGTH, 3),
        ("data in the first option", FIRST_DATA, geneve::MODIFY),
        ("another class of the first option", 50, 0x12),
        ("options of 11 words", WORDS, 11),
        ("options of 13 words", WORDS, 13),
        ("options of 16 words", WORDS, 16),
        ("Geneve version 1", WORDS, 0x4c),
        ("Geneve critical bit", 43, geneve::CRITICAL),
        ("unknown VNI", 47, 0xfe),
        ("outer TTL 1", 22, 1),
        ("low priority", 15, 0x02),
        ("another class of the pod label", 82, 0x12),
        ("another type of the pod label", 84, 0x52),
        ("another pod label", 86, 0x4d),
        ("another type of the namespace label", 92, 0x50),
    ] {
        let mut frame = whole.clone();
        patch::put(&mut frame, at, &[byte]);
        patch::mend_checksum(&mut frame);
        cases.push(way.case(&format!("short header, {what}"), frame));
    }
    for len in ENDS.into_iter().flat_map(|end| [end - 1, end, end + 1]) {
        let part = whole.get(..len).unwrap_or_default().to_vec();
        cases.push(way.case(&format!("short header cut to {len} bytes"), part));
    }
}
