//! The core against the oracle, in random worlds: they share no code, so what one misreads the other may
//! read right.

use datapath_api::{Datapath, DropletPorts, Error, Outcome, Running};
use datapath_reference::Reference;
use mizar_wire::{Ipv4, Mac, Vni};
use netdev::Cpu;
use proptest::prelude::*;
use topologies::frame::{self, FrameLen, Outer};
use topologies::oracle::{Oracle, source_port};
use topologies::provision::{
    Access, Acl, Attachment, Cidr, Class, DirectPath, Endpoint, EndpointKind, EndpointPort, Host,
    Port, Priority, Provision,
};
use topologies::strategy::{Injection, arbitrary_provision, arbitrary_run, run_of_flows};
use topologies::topology::Transport;
use topologies::traffic::Flow;
use topologies::vectors::Expected;

/// Worlds for each test; they take some seconds together.
const WORLDS: u32 = 20_000;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: WORLDS,
        // What is found becomes a described regression test instead.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn sorted(mut paths: Vec<DirectPath>) -> Vec<DirectPath> {
    paths.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    paths
}

/// Feeds oracle and core the same frames, with and without a cache of flows; reports the first one after which
/// they differ.
fn run(provision: &Provision, injections: &[Injection]) -> Result<(), TestCaseError> {
    for caches_flows in [false, true] {
        run_on(Reference { caches_flows }, provision, injections)?;
    }
    Ok(())
}

fn run_on(
    reference: Reference,
    provision: &Provision,
    injections: &[Injection],
) -> Result<(), TestCaseError> {
    let mut oracle = Oracle::new(provision);
    let mut droplet = reference
        .install(DropletPorts::Detached, provision, Cpu(0))
        .map_err(failed)?;
    for (number, (port, frame)) in injections.iter().enumerate() {
        let expected = oracle.inject(*port, frame);
        let outcome = droplet.inject(*port, frame).map_err(failed)?;
        prop_assert!(
            Expected::from(expected.clone()).matches(&outcome),
            "frame {number} at {port}:\n{}\noracle: {}\n  core: {}",
            hex(frame),
            describe(&expected),
            describe(&outcome),
        );
    }
    prop_assert_eq!(
        sorted(droplet.direct_paths().map_err(failed)?),
        oracle.direct_paths()
    );
    Ok(())
}

fn failed(error: Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Forward { port, frame } => format!("forward to {port}: {}", hex(frame)),
        Outcome::ToStack { frame } => format!("to the stack: {}", hex(frame)),
        Outcome::Dropped { why, reason } => format!("{why:?}: {reason}"),
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn core_and_oracle_agree_on_every_run_of_frames((provision, injections) in arbitrary_run(1..24)) {
        run(&provision, &injections)?;
    }

    /// What was decided about a flow must not be remembered wrongly.
    #[test]
    fn they_agree_on_flows_that_go_on((provision, injections) in run_of_flows()) {
        run(&provision, &injections)?;
    }

    /// What was decided by tables that are no more must not be remembered, and what was learned must.
    #[test]
    fn they_agree_after_tables_changed(
        (before, injections) in run_of_flows(),
        after in arbitrary_provision(),
        share in 0usize..=100,
    ) {
        let after = Provision { host: before.host, ..after };
        let change = injections.len() * share / 100;
        for caches_flows in [false, true] {
            let mut oracle = Oracle::new(&before);
            let mut droplet = Reference { caches_flows }
                .install(DropletPorts::Detached, &before, Cpu(0))
                .map_err(failed)?;
            for (number, (port, frame)) in injections.iter().enumerate() {
                if number == change {
                    oracle.update(&after);
                    droplet.update(&after).map_err(failed)?;
                }
                let expected = oracle.inject(*port, frame);
                let outcome = droplet.inject(*port, frame).map_err(failed)?;
                prop_assert!(
                    Expected::from(expected.clone()).matches(&outcome),
                    "frame {number} at {port}, tables changed before {change}:\n{}\noracle: {}\n  core: {}",
                    hex(frame),
                    describe(&expected),
                    describe(&outcome),
                );
            }
            prop_assert_eq!(
                sorted(droplet.direct_paths().map_err(failed)?),
                oracle.direct_paths()
            );
        }
    }

    /// What leaves by the uplink comes back from there: to the droplet itself, or as a reply would.
    #[test]
    fn they_agree_on_what_comes_back((provision, injections) in arbitrary_run(1..8)) {
        let mut oracle = Oracle::new(&provision);
        let mut run_of_frames = injections.clone();
        for (port, frame) in &injections {
            if let Outcome::Forward { port: Port::Uplink, mut frame } = oracle.inject(*port, frame) {
                // Outer destination and its Ethernet address become the droplet's again.
                frame[30..34].copy_from_slice(&provision.host.ip.octets());
                frame[..6].copy_from_slice(&provision.host.mac.octets());
                run_of_frames.push((Port::Uplink, frame));
            }
        }
        run(&provision, &run_of_frames)?;
    }
}

/// Random checksums hardly ever become zero by a rewrite, which UDP writes in another way.
#[test]
fn they_agree_on_every_checksum_of_a_rewritten_flow() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let out = flow(transport, 2, 100, 40_000, 7);
        let back = flow(transport, 9, 2, 7, 40_000);
        let checksum_at = match transport {
            Transport::Udp => 40,
            Transport::Tcp => 50,
        };
        let [sent, arrived] = [out, back].map(|flow| frame::inner(&flow, FrameLen::MIN));
        let mut injections = vec![(Port::Uplink, modify_message(&out))];
        for checksum in 0..=u16::MAX {
            // In the transport header, and in an IPv4 header with options, whose sum is updated too.
            for (inner, at) in [
                (sent.clone(), checksum_at),
                (arrived.clone(), checksum_at),
                (with_options(&sent), 24),
                (with_options(&arrived), 24),
            ] {
                let mut inner = inner;
                inner[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
                injections.push(if inner[29] == 2 {
                    (Port::Endpoint(EndpointPort(0)), inner)
                } else {
                    (Port::Uplink, arriving(&inner))
                });
            }
        }
        run(&small_world(), &injections).unwrap();
    }
}

/// By another port of its VPC nobody sends in the name of an endpoint, whatever is remembered of the endpoint's flow.
#[test]
fn nobody_passes_for_an_endpoint_at_another_port() {
    let mut world = small_world();
    let mut other = world.attachments[0].clone();
    (other.port, other.ip) = (EndpointPort(1), overlay(3));
    world.attachments.push(other);
    let mut other = world.endpoints[0].clone();
    (other.port, other.ip) = (Some(EndpointPort(1)), overlay(3));
    world.endpoints.push(other);
    let frame = frame::inner(&flow(Transport::Udp, 2, 9, 40_000, 7), FrameLen::MIN);
    for guarded in [vec![], vec![Vni::default()]] {
        world.guarded = guarded;
        let ports = [0, 0, 1, 0].map(EndpointPort);
        let injections = ports.map(|port| (Port::Endpoint(port), frame.clone()));
        run(&world, &injections).unwrap();
        let mut droplet = Reference { caches_flows: true }
            .install(DropletPorts::Detached, &world, Cpu(0))
            .unwrap();
        let leaves = injections.map(|(port, frame)| {
            let outcome = droplet.inject(port, &frame).unwrap();
            matches!(outcome, Outcome::Forward { .. })
        });
        let passes = world.guarded.is_empty();
        assert_eq!(leaves, [true, true, passes, true]);
    }
}

/// What is rewritten here is judged by where it was to go.
#[test]
fn a_flow_that_is_rewritten_must_pass_the_list_of_the_service() {
    let out = flow(Transport::Udp, 2, 100, 40_000, 7);
    let frame = frame::inner(&out, FrameLen::MIN);
    let open = small_world();
    let mut guarded = open.clone();
    guarded.acls.push(Acl {
        vni: Vni::default(),
        network: Cidr::new(overlay(100), 32).unwrap(),
        default: Access::Deny,
        rules: Vec::new(),
    });
    for caches_flows in [false, true] {
        let mut droplet = Reference { caches_flows }
            .install(DropletPorts::Detached, &open, Cpu(0))
            .unwrap();
        droplet.inject(Port::Uplink, &modify_message(&out)).unwrap();
        let leaves = |droplet: &mut dyn Running| {
            let outcome = droplet.inject(Port::Endpoint(EndpointPort(0)), &frame);
            matches!(outcome.unwrap(), Outcome::Forward { .. })
        };
        assert!(leaves(&mut *droplet));
        droplet.update(&guarded).unwrap();
        assert!(!leaves(&mut *droplet));
        droplet.update(&open).unwrap();
        assert!(leaves(&mut *droplet));
    }
}

fn overlay(last: u8) -> Ipv4 {
    Ipv4::from_octets([10, 0, 0, last])
}

fn droplet(last: u8) -> Host {
    Host {
        ip: Ipv4::from_octets([192, 168, 0, last]),
        mac: Mac::new([2, 0xaa, 0, 0, 0, last]),
    }
}

fn flow(transport: Transport, src: u8, dst: u8, src_port: u16, dst_port: u16) -> Flow {
    Flow {
        transport,
        src_ip: overlay(src),
        src_mac: Mac::new([2, 0, 0, 0, 0, src]),
        dst_ip: overlay(dst),
        dst_mac: Mac::new([2, 0, 0, 0, 0, dst]),
        src_port,
        dst_port,
    }
}

/// A droplet that hosts 10.0.0.2.
fn small_world() -> Provision {
    let (vni, ip, mac) = (Vni::default(), overlay(2), Mac::new([2, 0, 0, 0, 0, 2]));
    let mut world = Provision::new(droplet(1));
    world.endpoints.push(Endpoint {
        vni,
        ip,
        mac,
        kind: EndpointKind::Simple,
        port: Some(EndpointPort(0)),
        hosts: vec![droplet(1).ip],
    });
    world.attachments.push(Attachment {
        port: EndpointPort(0),
        vni,
        ip,
        mac,
        bouncers: Vec::new(),
        pod_label: 0,
        namespace_label: 0,
        class: (Class::Premium, Priority::High),
    });
    // What the flow is rewritten to.
    world.direct_paths.push(DirectPath {
        vni,
        ip: overlay(9),
        host: droplet(2),
    });
    world
}

fn arriving(inner: &[u8]) -> Vec<u8> {
    let outer = Outer {
        src: droplet(2),
        dst: droplet(1),
        return_to_sender: droplet(2),
        vni: Vni::default(),
        src_port: source_port(overlay(2), overlay(9)),
        pod_label: 0,
        namespace_label: 0,
    };
    frame::encapsulated(&outer, inner)
}

/// Tells the source's host to rewrite `flow` to 10.0.0.9.
fn modify_message(flow: &Flow) -> Vec<u8> {
    let mut message = arriving(&frame::inner(flow, FrameLen::MIN));
    let option = [
        &[0x11, 0x01, 0x49, 7, 0x4d][..],
        &flow.src_ip.octets(),
        &overlay(9).octets(),
        &flow.src_port.to_be_bytes(),
        &flow.dst_port.to_be_bytes(),
        &flow.src_mac.octets(),
        &flow.dst_mac.octets(),
    ]
    .concat();
    message[66..66 + option.len()].copy_from_slice(&option);
    message
}

/// The same frame with four bytes of IPv4 options.
fn with_options(inner: &[u8]) -> Vec<u8> {
    let mut frame = inner.to_vec();
    frame[14] = 0x46;
    frame.splice(34..34, [1, 1, 1, 0]);
    frame
}
