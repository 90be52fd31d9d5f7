//! Random worlds and frames reach every corner of the oracle, which holds on in all of them.
#![cfg(feature = "proptest")]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::Port;
use topologies::strategy::arbitrary_run;

proptest! {
    #[test]
    fn what_comes_out_is_what_some_port_can_carry((provision, injections) in arbitrary_run(1..20)) {
        let mut oracle = Oracle::new(&provision);
        for (port, frame) in injections {
            match oracle.inject(port, &frame) {
                Outcome::Forward { port: Port::Uplink, frame } => {
                    prop_assert_eq!(&frame[26..30], &provision.host.ip.octets());
                    prop_assert_eq!(&frame[36..38], &6081_u16.to_be_bytes());
                    // The outer header is valid, whatever it was before.
                    let sum = frame[14..34].chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair[1]));
                    prop_assert_eq!(mizar_wire::checksum::fold(sum.sum()), 0);
                }
                Outcome::Forward { port: Port::Endpoint(port), frame } => {
                    let dst = provision.endpoints.iter().find(|endpoint| endpoint.port == Some(port));
                    prop_assert_eq!(&frame[..6], &dst.unwrap().mac.octets());
                }
                Outcome::ToStack { .. } | Outcome::Dropped { .. } => {}
            }
        }
        let known: Vec<_> = provision.endpoints.iter().map(|endpoint| (endpoint.vni, endpoint.ip)).collect();
        for path in oracle.direct_paths() {
            let given = provision.direct_paths.iter().any(|given| (given.vni, given.ip) == (path.vni, path.ip));
            prop_assert!(given || !known.contains(&(path.vni, path.ip)), "learned what was known");
        }
    }
}

#[test]
fn every_outcome_occurs() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..4000 {
        let (provision, injections) = arbitrary_run(1..20)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut oracle = Oracle::new(&provision);
        for (port, frame) in injections {
            let before = inner_addresses(port, &frame);
            let came_as = (port == Port::Uplink)
                .then(|| return_to_sender(&frame))
                .flatten();
            let came_short = port == Port::Uplink && is_short(&frame);
            let outcome = oracle.inject(port, &frame);
            if let Outcome::Forward { port: out, frame } = &outcome
                && let (Some(before), Some(after)) = (before, inner_addresses(*out, frame))
                && before != after
            {
                let what = format!("flow rewritten, {} to {}", kind(port), kind(*out));
                *seen.entry(what).or_default() += 1;
            }
            if let Outcome::Forward {
                port: Port::Uplink,
                frame,
            } = &outcome
            {
                let way = match (came_as, return_to_sender(frame)) {
                    (_, Some((0xc8, 0))) if came_short => "goes back, with all options again",
                    (None, _) if is_short(frame) => "takes a direct path, with the short header",
                    (Some((0x48, 1)), Some((0xc8, 0))) => "goes back",
                    (Some((0xc8, _)), Some((0x48, 0))) => "begins again, by a bouncer",
                    (Some((0xc8, _)), Some((0x48, 1))) => "begins again, by another direct path",
                    (None, Some((0x48, 1))) => "takes a direct path",
                    _ => "goes some other way",
                };
                *seen.entry(way.to_owned()).or_default() += 1;
            }
            let what = match outcome {
                Outcome::Dropped { reason, .. } => reason.to_owned(),
                Outcome::Forward { port: out, .. } => {
                    format!("{} to {}", kind(port), kind(out))
                }
                Outcome::ToStack { .. } => format!("{} to stack", kind(port)),
            };
            *seen.entry(what).or_default() += 1;
        }
    }
    let reasons = [
        "ARP is no Ethernet/IPv4 request or reply",
        "ARP to a scaled endpoint",
        "Ethernet header truncated",
        "Geneve header truncated",
        "Geneve option of another class",
        "Geneve options truncated",
        "IPv4 header truncated",
        "TTL is zero",
        "a short header from this very droplet",
        "TTL reached zero",
        "UDP header truncated",
        "a scaled endpoint behind a scaled endpoint",
        "addressed to another droplet",
        "begins again, by a bouncer",
        "begins again, by another direct path",
        "denied by egress policy",
        "denied by ingress policy",
        "endpoint to endpoint",
        "endpoint to stack",
        "endpoint to uplink",
        "flow rewritten, endpoint to endpoint",
        "flow rewritten, endpoint to uplink",
        "flow rewritten, uplink to endpoint",
        "flow rewritten, uplink to uplink",
        "goes back",
        "goes back, with all options again",
        "inner ARP addresses truncated",
        "inner ARP header truncated",
        "inner Ethernet header truncated",
        "inner IPv4 header malformed",
        "inner IPv4 header truncated",
        "inner packet is neither IPv4 nor ARP",
        "inner transport header truncated",
        "it came back to who did not send it",
        "label options missing",
        "no backend takes this protocol",
        "no endpoint is attached to this port",
        "reply of a denied flow",
        "takes a direct path",
        "takes a direct path, with the short header",
        "the VPC has no divider",
        "the bouncer's Ethernet address is not known",
        "the endpoint has no host",
        "the endpoint is nowhere",
        "the host of the ARP target is not known",
        "the network has no bouncer",
        "the next droplet's Ethernet address is not known",
        "the scaled endpoint has no backend",
        "uplink to endpoint",
        "uplink to stack",
        "uplink to uplink",
    ];
    let missing: Vec<&str> = reasons
        .into_iter()
        .filter(|reason| !seen.contains_key(*reason))
        .collect();
    assert!(
        missing.is_empty(),
        "never seen: {missing:?}\nseen: {seen:#?}"
    );
}

/// Type and flags of the return-to-sender option of a frame that Mizar sends.
fn return_to_sender(frame: &[u8]) -> Option<(u8, u8)> {
    Some((*frame.get(52)?, *frame.get(54)?))
}

/// Whether a frame has the short header: 48 bytes of options, of which the first says so.
fn is_short(frame: &[u8]) -> bool {
    frame.get(42).is_some_and(|words| words & 0x3f == 12) && frame.get(52) == Some(&0x4a)
}

fn kind(port: Port) -> &'static str {
    match port {
        Port::Uplink => "uplink",
        Port::Endpoint(_) => "endpoint",
    }
}

/// Source and destination of the inner IPv4 packet of a frame that Mizar sends.
fn inner_addresses(port: Port, frame: &[u8]) -> Option<&[u8]> {
    let inner = match port {
        Port::Uplink => frame.get(50 + usize::from(frame.get(42)? & 0x3f) * 4..)?,
        Port::Endpoint(_) => frame,
    };
    (inner.get(12..14)? == [0x08, 0x00])
        .then(|| inner.get(26..34))
        .flatten()
}
