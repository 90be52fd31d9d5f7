//! DPDK's devices for the ports of a droplet.

use datapath_api::VethPorts;
use dpdk_protocol::{Device, Role};
use topologies::provision::{EndpointPort, Port};

/// AF_XDP devices for `ports`. If `has_stack`, the last endpoint port goes to the host's stack.
///
/// DPDK's driver for AF_PACKET would not do: its socket has the kernel put fragments together (`PACKET_FANOUT_FLAG_DEFRAG`
/// in drivers/net/af_packet/rte_eth_af_packet.c) and take VLAN tags off, so that frames do not arrive as they were sent.
pub fn of_veth(ports: &VethPorts, has_stack: bool) -> Vec<Device> {
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
        .map(|(number, (role, interface))| Device {
            role,
            name: format!("net_af_xdp{number}"),
            arguments: format!("iface={},start_queue=0,queue_count=1", interface.name()),
        })
        .collect()
}
