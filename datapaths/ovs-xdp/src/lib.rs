//! The same rules as `openflow` on the same Open vSwitch, with its ports on AF_XDP sockets that a thread of the switch
//! polls. All of it is in `ovs-adapter`.

use ovs_adapter::droplet::{Control, Io, OpenVSwitch};

/// See the module's documentation.
pub const OVS_XDP: OpenVSwitch = OpenVSwitch {
    name: "ovs-xdp",
    summary: "the same rules and userspace datapath, AF_XDP ports and a polling thread",
    variant_of: None,
    io: Io::Xdp,
    control: Control::Proactive,
};
