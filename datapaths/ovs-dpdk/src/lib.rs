//! The same rules as `openflow` on an Open vSwitch that is linked with DPDK, with its ports on AF_XDP sockets by DPDK's
//! driver. All of it is in `ovs-adapter`.

use ovs_adapter::droplet::{Control, Io, OpenVSwitch};

/// See the module's documentation.
pub const OVS_DPDK: OpenVSwitch = OpenVSwitch {
    name: "ovs-dpdk",
    summary: "the same rules on an Open vSwitch with DPDK, its ports on DPDK's AF_XDP driver",
    io: Io::Dpdk,
    control: Control::Proactive,
};
