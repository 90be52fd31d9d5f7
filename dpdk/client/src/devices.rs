//! DPDK's devices for the ports of a droplet, and for those of its tester.

use datapath_api::{VethPorts, VhostUserPorts};
use dpdk_protocol::{Device, Role, VHOST};
use std::path::PathBuf;
use topologies::provision::{EndpointPort, Port};

/// A virtio device that listens, with as many frames a queue as a network card has by default. Packed rings, of which each
/// buffer holds a whole frame and comes back in order, cost both sides least (virtio 1.1, section 2.7).
pub const VIRTIO: &str =
    "server=1,queues=1,queue_size=512,packed_vq=1,mrg_rxbuf=0,in_order=1,vectorized=1";

/// AF_XDP devices for `ports`. If `has_stack`, the last endpoint port goes to the host's stack.
///
/// DPDK's driver for AF_PACKET would not do: its socket has the kernel put fragments together (`PACKET_FANOUT_FLAG_DEFRAG`
/// in drivers/net/af_packet/rte_eth_af_packet.c), so that frames do not arrive as they were sent.
pub fn of_veth(ports: &VethPorts, has_stack: bool) -> Vec<Device> {
    let interfaces = [&ports.uplink].into_iter().chain(&ports.endpoints);
    let mut devices: Vec<Device> = in_order("net_af_xdp")
        .zip(interfaces)
        .map(|((role, name), interface)| Device {
            role,
            name,
            arguments: format!("iface={},start_queue=0,queue_count=1", interface.name()),
        })
        .collect();
    if has_stack && let Some(device) = devices.last_mut() {
        device.role = Role::Stack;
    }
    devices
}

/// vhost devices for `ports`. The sides with memory are the others', which listen.
pub fn of_vhost_user(ports: &VhostUserPorts) -> Vec<Device> {
    in_order(VHOST)
        .zip(sockets(ports))
        .map(|((role, name), socket)| Device {
            role,
            name,
            arguments: format!("iface={},client=1,queues=1", socket.display()),
        })
        .collect()
}

/// virtio devices at the other sides of `ports`. They have the memory, and listen.
pub fn of_tester(ports: &VhostUserPorts) -> Vec<Device> {
    in_order("net_virtio_user")
        .zip(sockets(ports))
        .map(|((role, name), socket)| Device {
            role,
            name,
            arguments: format!("path={},{VIRTIO}", socket.display()),
        })
        .collect()
}

fn sockets(ports: &VhostUserPorts) -> impl Iterator<Item = &PathBuf> {
    [&ports.uplink].into_iter().chain(&ports.endpoints)
}

/// Roles of a droplet's ports, the uplink first, with the names of their devices.
fn in_order(driver: &str) -> impl Iterator<Item = (Role, String)> {
    let endpoints = (0..).map(|number| Port::Endpoint(EndpointPort(number)));
    let ports = [Port::Uplink].into_iter().chain(endpoints);
    ports
        .enumerate()
        .map(move |(number, port)| (Role::Droplet(port), format!("{driver}{number}")))
}
