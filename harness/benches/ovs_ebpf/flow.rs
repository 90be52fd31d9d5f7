//! The programs of the eBPF datapath with flows that nobody but this bench entered.

use anyhow::Context;
use datapath_api::VethPorts;
use datapath_ovs_ebpf::devices::Devices;
use datapath_ovs_ebpf::notation::{Action, Match, matches};
use datapath_ovs_ebpf::object::{self, FROM_SWITCH, Hook};
use datapath_ovs_ebpf::table::FlowTable;
use megaflow::Key;
use megaflow::map::Port;
use mizar_wire::frame::Slice;
use mizar_wire::{Be16, Ipv4, Mac};
use netdev::{Cpu, Urgency};
use std::any::Any;
use topologies::frame::FrameLen;
use topologies::topology::Topology;

/// Numbers of ports.
const ENDPOINT: u32 = 1;
const UPLINK: u32 = 2;

/// What packets from the endpoint ask for; all of them are sent out of the uplink.
pub struct Flows(Vec<Match>);

impl Flows {
    /// One flow, for all of IPv4 that comes by the port.
    pub fn of_the_port() -> Self {
        // What Open vSwitch makes of the rule `in_port=1,actions=output:2`.
        let asks = matches("in_port(1),eth_type(0x0800),ipv4(frag=no)");
        Self(asks.into_iter().collect())
    }

    /// One flow for each of the first `count` of the topology's first direction, spread over so many masks.
    pub fn of(topology: &Topology, count: u32, masks: u32) -> anyhow::Result<Self> {
        let traffic = topology.traffic();
        let direction = traffic.first().context("no traffic")?;
        let mut flows = Vec::new();
        for number in 0..count {
            let mut frame = direction.frame(number, FrameLen::MIN);
            let mut key = Key::ZERO;
            key.in_port = ENDPOINT;
            key.read(
                &Slice::new(&mut frame).map_err(|e| anyhow::anyhow!("{e}"))?,
                0,
            );
            let mask = mask(number % masks);
            flows.push(Match { key, mask });
        }
        // Masks are in use, whether there are flows for all or not.
        for number in 0..masks {
            let key = Key {
                in_port: UPLINK,
                ..Key::ZERO
            };
            flows.push(Match {
                key,
                mask: mask(number),
            });
        }
        Ok(Self(flows))
    }
}

/// A mask that asks for what tells flows apart, and for more, by number.
fn mask(number: u32) -> Key {
    let all = |bit: u32| if number >> bit & 1 == 1 { u8::MAX } else { 0 };
    Key {
        in_port: u32::MAX,
        eth_type: Be16::from_raw(u16::MAX),
        protocol: u8::MAX,
        fragment: u8::MAX,
        ip_src: Ipv4::from_raw(u32::MAX),
        ip_dst: Ipv4::from_raw(u32::MAX),
        src_port: Be16::from_raw(u16::MAX),
        dst_port: Be16::from_raw(u16::MAX),
        tos: all(0),
        ttl: all(1),
        eth_src: Mac::new([all(2); 6]),
        eth_dst: Mac::new([all(3); 6]),
        tunnel_ttl: all(4),
        ..Key::ZERO
    }
}

/// Programs at the ports of a droplet.
pub struct Forwarder {
    // Dropped before the devices are.
    _programs: Box<dyn Any>,
}

impl Forwarder {
    /// With these flows.
    pub fn new(ports: &VethPorts, hook: Hook, flows: &Flows, cpu: Cpu) -> anyhow::Result<Self> {
        let (mut table, ebpf, known) = FlowTable::new(object::load(hook)?);
        let mut devices = Devices::new(ebpf, known, hook);
        let endpoint = ports.endpoints.first().context("no endpoint port")?;
        devices.add(ENDPOINT, endpoint, None)?;
        devices.add(UPLINK, &ports.uplink, None)?;
        for asks in &flows.0 {
            table.enter(asks, &[Action::Output(UPLINK)], None)?;
        }
        devices.attach(&ports.namespace)?;
        thread_napi(ports, hook, cpu)?;
        Ok(Self {
            _programs: Box::new((devices, table)),
        })
    }

    /// Without flows: a program at tc that redirects what comes by the endpoint's port to the uplink.
    pub fn plain(ports: &VethPorts, cpu: Cpu) -> anyhow::Result<Self> {
        let mut loaded = object::load(Hook::Tc)?;
        let endpoint = ports.endpoints.first().context("no endpoint port")?;
        let port = Port {
            device: ports.uplink.index(),
            reserved: 0,
            upcalls: 0,
            answered: 0,
            lost: 0,
        };
        loaded.ports.write(UPLINK, port);
        let numbers = [(endpoint.index(), UPLINK + 1)];
        bpf_load::fill(&loaded.ebpf, "PORT_OF", numbers.into_iter())?;
        ports.namespace.run(|| {
            datapath_ovs_ebpf::devices::at_ingress(&mut loaded.ebpf, FROM_SWITCH, endpoint)
        })??;
        thread_napi(ports, Hook::Tc, cpu)?;
        Ok(Self {
            _programs: Box::new(loaded),
        })
    }
}

fn thread_napi(ports: &VethPorts, hook: Hook, cpu: Cpu) -> anyhow::Result<()> {
    for interface in ports.endpoints.iter().chain([&ports.uplink]) {
        if hook == Hook::Tc {
            interface.enable_napi()?;
        }
        interface.thread_napi(cpu, Urgency::Ordinary)?;
    }
    Ok(())
}
