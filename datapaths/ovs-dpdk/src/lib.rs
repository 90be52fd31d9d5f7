//! The same rules as `openflow` on an Open vSwitch that is linked with DPDK. All of it is in `ovs-adapter`.

use ovs_adapter::droplet::{Control, Io, OpenVSwitch};

/// On vhost-user ports, which DPDK is made for.
pub const OVS_DPDK: OpenVSwitch = OpenVSwitch {
    name: "ovs-dpdk",
    summary: "the same rules on an Open vSwitch with DPDK, vhost-user ports",
    variant_of: None,
    io: Io::VhostUser,
    control: Control::Proactive,
};

/// On veth, to be compared with datapaths of the kernel on the same ports.
pub const OVS_DPDK_VETH: OpenVSwitch = OpenVSwitch {
    name: "ovs-dpdk-veth",
    summary: "ovs-dpdk on veth by DPDK's AF_XDP driver",
    variant_of: Some(OVS_DPDK.name),
    io: Io::Dpdk,
    control: Control::Proactive,
};
