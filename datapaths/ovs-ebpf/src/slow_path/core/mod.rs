//! The Mizar core behind the programs.
//!
//! ```text
//!   port ──► program ──► the flow's actions ──────────────────────► port
//!               │ no flow                                             ▲
//!               ▼                                                     │ the frame as the core wrote it
//!             ring ──► thread "upcalls": the core, with its own tables ┘
//!                          │
//!                          └──► a flow that asks for all that the core may have looked at
//! ```
//!
//! What is for the network stack goes to a device that has the droplet's underlay address, as with a switch.

mod answer;
mod flow;
mod numbers;

use super::SlowPath;
use super::upcalls::Upcalls;
use crate::devices::Devices;
use crate::kind::Kind;
use crate::notation::{Action, Match};
use crate::table::FlowTable;
use answer::Answerer;
use datapath_api::{Counters, Error, PORT_MTU, VethPorts};
use foldhash::{HashMap, HashMapExt};
use megaflow::Key;
use megaflow::key::fragment;
use mizar_tables::{Entries, Native};
use mizar_wire::{Be16, Ipv4, Mac, ethernet, geneve, ipv4};
use netdev::{
    Cpu, Interface, PacketSocket, Tid, create_veth, set_hardware_address, set_up_with_address,
};
use numbers::{STACK, TUNNEL, UPLINK};
use ovs_adapter::droplet::UNDERLAY;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use topologies::provision::{DirectPath, Host, Provision};

/// See the module's documentation.
pub struct Core {
    upcalls: Upcalls,
    answerer: Arc<Mutex<Answerer>>,
}

impl Core {
    /// Answers upcalls of the programs of `devices`; without `cpu`, of single frames.
    ///
    /// # Errors
    /// Where the tables do not fit, or the kernel refuses something.
    pub fn start(
        devices: &mut Devices,
        flows: &Arc<Mutex<FlowTable>>,
        ports: &VethPorts,
        provision: &Provision,
        cpu: Option<Cpu>,
    ) -> Result<Self, Error> {
        let entries = Entries::encode(provision).map_err(|e| Error::Capacity(e.to_string()))?;
        let stack = stack(ports, provision.host)?;
        let endpoints = (0..).map(numbers::endpoint).zip(&ports.endpoints);
        let all = [(UPLINK, &ports.uplink), (STACK, &stack)];
        let mut sockets = HashMap::new();
        for (number, interface) in endpoints.chain(all) {
            devices.add(number, interface, None)?;
            let socket = PacketSocket::for_sending(&ports.namespace, interface.name())?;
            sockets.insert(number, socket);
        }
        let (asks, does) = (for_this(provision.host), [Action::Pop(TUNNEL)]);
        let mut table = flows.lock().unwrap_or_else(PoisonError::into_inner);
        table
            .enter_for_good(Kind::Uncounted, &asks, &does)
            .map_err(|error| Error::failed("entering the tunnel's flow", error))?;
        drop(table);
        devices.attach(&ports.namespace)?;
        let tables = Native::new(&entries);
        let answerer = Answerer::new(tables, sockets, Arc::clone(flows), cpu.is_none());
        let answerer = Arc::new(Mutex::new(answerer));
        let upcalls = Upcalls::start(devices.ring()?, devices.ports(), Arc::clone(&answerer))?;
        Ok(Self { upcalls, answerer })
    }

    fn answerer(&self) -> MutexGuard<'_, Answerer> {
        self.answerer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The droplet's end of the way to the network stack; the other end has the underlay address.
fn stack(ports: &VethPorts, host: Host) -> Result<Interface, Error> {
    let namespace = &ports.namespace;
    let ends = [(namespace, UNDERLAY), (namespace, "stack")];
    let [far, near] = create_veth(ends, PORT_MTU.into())?;
    set_hardware_address(&far, host.mac.octets())?;
    set_up_with_address(namespace, UNDERLAY, host.ip.into(), 0)?;
    Ok(near)
}

/// Packets of the overlay for this droplet.
fn for_this(host: Host) -> Match {
    let key = Key {
        in_port: UPLINK,
        eth_dst: host.mac,
        eth_type: ethernet::IPV4,
        protocol: ipv4::UDP,
        fragment: fragment::NO,
        ip_dst: host.ip,
        dst_port: geneve::PORT,
        ..Key::ZERO
    };
    let mask = Key {
        in_port: u32::MAX,
        eth_dst: Mac::new([0xff; 6]),
        eth_type: Be16::from_raw(u16::MAX),
        protocol: u8::MAX,
        fragment: u8::MAX,
        ip_dst: Ipv4::from_raw(u32::MAX),
        dst_port: Be16::from_raw(u16::MAX),
        ..Key::ZERO
    };
    Match { key, mask }
}

impl SlowPath for Core {
    fn counters(&mut self) -> Result<Counters, Error> {
        Ok(self.answerer().counters())
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        Ok(self.answerer().direct_paths())
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        let entries = Entries::encode(provision);
        let entries = entries.map_err(|error| Error::Capacity(error.to_string()))?;
        self.answerer().update(&entries)
    }

    fn settle(&mut self, _: bool) -> Result<(), Error> {
        // What a packet taught holds once it is answered.
        self.check()
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        Ok(vec![self.upcalls.tid()])
    }

    fn check(&self) -> Result<(), Error> {
        self.upcalls.check()
    }
}
