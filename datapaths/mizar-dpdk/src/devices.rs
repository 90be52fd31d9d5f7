//! DPDK's devices for the ports of a droplet.

use datapath_api::VethPorts;
use mizar_dpdk_protocol::{Device, Role};
use netdev::Interface;
use topologies::provision::{EndpointPort, Port};

/// A driver of DPDK for a device of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// AF_PACKET: what is sent is with the other end when the call returns.
    Packet,
    /// AF_XDP.
    Xdp,
}

impl Driver {
    fn device(self, number: usize, role: Role, interface: &Interface) -> Device {
        let interface = interface.name();
        let (name, arguments) = match self {
            Self::Packet => (
                format!("net_af_packet{number}"),
                format!("iface={interface},framesz=2048,blocksz=4096,framecnt=512,qpairs=1"),
            ),
            Self::Xdp => (
                format!("net_af_xdp{number}"),
                format!("iface={interface},start_queue=0,queue_count=1"),
            ),
        };
        Device {
            role,
            name,
            arguments,
        }
    }

    /// Devices for `ports`. If `has_stack`, the last endpoint port goes to the host's stack.
    pub fn devices(self, ports: &VethPorts, has_stack: bool) -> Vec<Device> {
        let mut roles = vec![(Role::Droplet(Port::Uplink), &ports.uplink)];
        for (number, interface) in (0..).zip(&ports.endpoints) {
            let role = Role::Droplet(Port::Endpoint(EndpointPort(number)));
            roles.push((role, interface));
        }
        if has_stack && let Some((role, _)) = roles.last_mut() {
            *role = Role::Stack;
        }
        let devices = roles.into_iter().enumerate();
        devices
            .map(|(number, (role, interface))| self.device(number, role, interface))
            .collect()
    }
}
