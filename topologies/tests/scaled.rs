//! A flow to a scaled endpoint, from its first packet to its reply, over the oracles of all droplets.

use topologies::frame::{FrameLen, inner};
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::Port;
use topologies::topology::{Parameters, Topology, Transport};
use topologies::traffic::Flow;

const SERVICE: &str = r#"
description = "A client, two servers, and a service address in front of them"
direct_path = "cold"
droplets = [
    { name = "left", ip = "172.16.0.1", mac = "02:00:00:00:00:01", under_test = true },
    { name = "right", ip = "172.16.0.2", mac = "02:00:00:00:00:02" },
    { name = "middle", ip = "172.16.0.3", mac = "02:00:00:00:00:03" },
]
vpcs = [{ name = "blue", vni = 7 }]
networks = [{ name = "green", vpc = "blue", cidr = "10.0.0.0/24", bouncers = ["middle"] }]
flows = [{ from = "client", to = "servers" }]

[[endpoints]]
name = "client"
network = "green"
ip = "10.0.0.2"
mac = "02:00:0a:00:00:02"
droplet = "left"

[[endpoints]]
name = "servers"
network = "green"
ip = "10.0.0.16"
mac = "02:00:0a:00:00:10"
count = 2
droplet = "right"

[[endpoints]]
name = "service"
network = "green"
ip = "10.0.0.9"
mac = "02:00:0a:00:00:09"
kind = "scaled"
backends = "servers"
"#;

fn oracles(text: &str) -> [Oracle; 3] {
    let topology = Topology::parse("service.toml", text, Parameters::default())
        .unwrap_or_else(|error| unreachable!("{error}"));
    ["left", "right", "middle"].map(|name| {
        let droplet = topology.droplet(name);
        let droplet = droplet.unwrap_or_else(|| unreachable!("{name} is missing"));
        Oracle::new(&topology.provision(droplet))
    })
}

#[track_caller]
fn forwarded(outcome: Outcome, expected: Port) -> Vec<u8> {
    match outcome {
        Outcome::Forward { port, frame } if port == expected => frame,
        other => unreachable!("{other:02x?}"),
    }
}

fn first_packet() -> (Flow, Vec<u8>) {
    let flow = Flow {
        transport: Transport::Tcp,
        src_ip: std::net::Ipv4Addr::new(10, 0, 0, 2).into(),
        src_mac: mizar_wire::Mac::new([2, 0, 0x0a, 0, 0, 2]),
        dst_ip: std::net::Ipv4Addr::new(10, 0, 0, 9).into(),
        dst_mac: mizar_wire::Mac::new([2, 0, 0x0a, 0, 0, 9]),
        src_port: 40_000,
        dst_port: 80,
    };
    (flow, inner(&flow, FrameLen::MIN))
}

/// The flow that a frame to the endpoint of a port belongs to, for building an answer.
fn answer_to(frame: &[u8]) -> Vec<u8> {
    let mac = |at: usize| mizar_wire::Mac::new(std::array::from_fn(|i| frame[at + i]));
    let ip = |at: usize| mizar_wire::Ipv4::from_octets(std::array::from_fn(|i| frame[at + i]));
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let flow = Flow {
        transport: Transport::Tcp,
        src_ip: ip(30),
        src_mac: mac(0),
        dst_ip: ip(26),
        dst_mac: mac(6),
        src_port: port(36),
        dst_port: port(34),
    };
    inner(&flow, FrameLen::MIN)
}

#[test]
fn the_source_host_rewrites_the_flow_and_its_replies() {
    let [mut left, mut right, mut middle] = oracles(SERVICE);
    let endpoint = Port::Endpoint(topologies::provision::EndpointPort(0));
    let (flow, frame) = first_packet();

    let sent = forwarded(left.inject(endpoint, &frame), Port::Uplink);
    let modify = forwarded(middle.inject(Port::Uplink, &sent), Port::Uplink);
    assert_eq!(modify[30..34], [172, 16, 0, 1], "back to the source");
    assert_eq!((modify[68], modify[70]), (0x49, 0x4d), "a modify message");
    let rewritten = forwarded(left.inject(Port::Uplink, &modify), Port::Uplink);
    assert_eq!(
        rewritten[30..34],
        [172, 16, 0, 3],
        "back to the bouncer, now for a backend"
    );
    let bounced = forwarded(middle.inject(Port::Uplink, &rewritten), Port::Uplink);
    let delivered = forwarded(right.inject(Port::Uplink, &bounced), endpoint);
    assert_eq!(delivered[30..33], [10, 0, 0]);
    assert!(matches!(delivered[33], 16 | 17), "a backend");

    // The second packet is rewritten by the agent.
    let second = forwarded(left.inject(endpoint, &frame), Port::Uplink);
    assert_eq!(second[114 + 30..114 + 34], delivered[30..34]);

    // The reply comes from the backend, and looks as if the service had sent it.
    let reply = answer_to(&delivered);
    let sent = forwarded(right.inject(endpoint, &reply), Port::Uplink);
    let bounced = forwarded(middle.inject(Port::Uplink, &sent), Port::Uplink);
    let received = forwarded(left.inject(Port::Uplink, &bounced), endpoint);
    let expected = Flow {
        src_ip: flow.dst_ip,
        src_mac: received_src_mac(&received),
        dst_ip: flow.src_ip,
        dst_mac: flow.src_mac,
        src_port: flow.dst_port,
        dst_port: flow.src_port,
        ..flow
    };
    assert_eq!(
        received,
        inner(&expected, FrameLen::MIN),
        "valid checksums included"
    );
    assert_eq!(expected.src_mac, flow.dst_mac);
}

fn received_src_mac(frame: &[u8]) -> mizar_wire::Mac {
    mizar_wire::Mac::new(std::array::from_fn(|i| frame[6 + i]))
}

/// Where the source's host is the bouncer itself, it needs no message.
#[test]
fn a_bouncer_that_hosts_the_source_rewrites_at_once() {
    let text = SERVICE.replacen("bouncers = [\"middle\"]", "bouncers = [\"left\"]", 1);
    let [mut left, mut right, _] = oracles(&text);
    let endpoint = Port::Endpoint(topologies::provision::EndpointPort(0));
    let (_, frame) = first_packet();
    let sent = forwarded(left.inject(endpoint, &frame), Port::Uplink);
    assert_eq!(
        sent[30..34],
        [172, 16, 0, 2],
        "straight to the backend's host"
    );
    assert_eq!(
        (sent[52], sent[68]),
        (0, 0),
        "no return to sender, no message"
    );
    let delivered = forwarded(right.inject(Port::Uplink, &sent), endpoint);
    let reply = answer_to(&delivered);
    let back = forwarded(right.inject(endpoint, &reply), Port::Uplink);
    let received = forwarded(left.inject(Port::Uplink, &back), endpoint);
    assert_eq!(received[26..30], [10, 0, 0, 9], "from the service");
}
