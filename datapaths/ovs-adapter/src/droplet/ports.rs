//! The droplet's ports as the switch has them.

use super::Io;
use crate::database::Port;
use crate::flow::PortNumber;
use crate::program::{endpoint_port, underlay};
use datapath_api::{PORT_MTU, VethPorts, VhostUserPorts};
use netdev::Namespace;
use std::sync::Arc;
use topologies::provision::EndpointPort;

/// The droplet's ports as the switch has them.
pub struct Ports {
    /// Where the switch has its own devices.
    pub namespace: Arc<Namespace>,
    pub io: Io,
    pub uplink: Port,
    pub endpoints: Vec<Port>,
}

impl Ports {
    /// Ports on veth devices.
    pub fn on_veth(io: Io, ports: &VethPorts) -> Self {
        let port = |name: &str, number, index: u16| match io {
            // DPDK is told a device by its driver; the interface needs another name than the device then, which is
            // there.
            Io::Dpdk => Port {
                name: format!("dpdk{index}"),
                options: vec![(
                    "dpdk-devargs",
                    format!("net_af_xdp{index},iface={name},start_queue=0,queue_count=1"),
                )],
                ..of_its_own_size(io, number)
            },
            _ => Port {
                name: name.to_owned(),
                mtu: None,
                ..of_its_own_size(io, number)
            },
        };
        let names = ports.endpoints.iter().map(|interface| interface.name());
        Self {
            namespace: Arc::clone(&ports.namespace),
            io,
            uplink: port(ports.uplink.name(), underlay::UPLINK, 0),
            endpoints: (0u16..)
                .zip(names)
                .map(|(number, name)| port(name, endpoint_port(EndpointPort(number)), number + 1))
                .collect(),
        }
    }

    /// Devices that the switch makes in `namespace`, for a droplet with so many endpoint ports.
    pub fn internal(namespace: &Arc<Namespace>, endpoints: u16) -> Self {
        let port = |number, index: u16| Port {
            name: format!("behind{index}"),
            ..of_its_own_size(Io::Internal, number)
        };
        Self {
            namespace: Arc::clone(namespace),
            io: Io::Internal,
            uplink: port(underlay::UPLINK, 0),
            endpoints: (0..endpoints)
                .map(|number| port(endpoint_port(EndpointPort(number)), number + 1))
                .collect(),
        }
    }

    /// Ports that connect to virtio devices.
    pub fn on_vhost_user(ports: &VhostUserPorts) -> Self {
        let io = Io::VhostUser;
        let port = |path: &std::path::Path, number, index: u16| Port {
            name: format!("vhost{index}"),
            options: vec![("vhost-server-path", path.display().to_string())],
            ..of_its_own_size(io, number)
        };
        Self {
            namespace: Arc::clone(&ports.namespace),
            io,
            uplink: port(&ports.uplink, underlay::UPLINK, 0),
            endpoints: (0u16..)
                .zip(&ports.endpoints)
                .map(|(number, path)| port(path, endpoint_port(EndpointPort(number)), number + 1))
                .collect(),
        }
    }
}

/// A port without a device that says how much it carries.
fn of_its_own_size(io: Io, PortNumber(number): PortNumber) -> Port {
    Port {
        name: String::new(),
        interface_type: io.interface_type(),
        options: Vec::new(),
        // A port has a number below `OFPP_MAX`, which fits.
        number: number as u16,
        mtu: Some(PORT_MTU),
    }
}
