//! An endpoint: a namespace of its own with one device, an address, and the kernel's network stack.

use super::mtu::Mtu;
use mizar_wire::{Ipv4, Mac};
use netdev::{
    Cpu, Interface, Namespace, Tid, Urgency, add_neighbour, add_route, move_to,
    set_hardware_address, set_mtu, set_up_with_address,
};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use topologies::provision::Cidr;

/// Who an endpoint is in its VPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Its overlay address.
    pub ip: Ipv4,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its network.
    pub network: Cidr,
    /// Where it listens: a port of the topology's flow, which access lists let through; 0 for any that is free.
    pub port: u16,
}

/// See the module's documentation. Its device goes with its namespace.
#[derive(Debug)]
pub struct Endpoint {
    namespace: Arc<Namespace>,
    ip: Ipv4Addr,
    port: u16,
    cpu: Cpu,
    receiving: Vec<Tid>,
}

impl Endpoint {
    /// Makes one of `end`, the near end of a veth pair, which is moved to a new namespace. It reaches its own network by
    /// ARP. Another one it reaches as well, with the Ethernet address of `peer` for it: a droplet looks at IP addresses
    /// alone, and writes that of the destination itself. All work of the endpoint is done on `cpu`.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn new(
        end: &Interface,
        identity: &Identity,
        peer: &Identity,
        mtu: Mtu,
        cpu: Cpu,
    ) -> Result<Self, netdev::Error> {
        let namespace = Arc::new(Namespace::new()?);
        let device = move_to(end, &namespace)?;
        let ip = Ipv4Addr::from(identity.ip);
        set_hardware_address(&device, identity.mac.octets())?;
        set_mtu(&device, mtu.get().into())?;
        set_up_with_address(&namespace, device.name(), ip, 32)?;
        let route = |network: Cidr| add_route(&device, network.address().into(), network.length());
        route(identity.network)?;
        if peer.network != identity.network {
            route(peer.network)?;
            add_neighbour(&namespace, device.name(), peer.ip.into(), peer.mac.octets())?;
        }
        // It takes redirected frames only with NAPI, which comes with this offload. On a thread of its own, or the endpoint's part of receiving would
        // be done, and counted, where the datapath hands packets over.
        device.enable_gro()?;
        Ok(Self {
            receiving: device.thread_napi(cpu, Urgency::Prompt)?,
            namespace,
            ip,
            port: identity.port,
            cpu,
        })
    }

    /// Its overlay address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.ip, self.port)
    }

    /// Where its stack is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The processor on which its programs run.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// The kernel's threads that receive for it.
    pub fn receiving(&self) -> &[Tid] {
        &self.receiving
    }
}
