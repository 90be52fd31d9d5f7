//! Mizar as OpenFlow rules on a stock Open vSwitch, with its ports as an install without further ado has them. All of it
//! is in `ovs-adapter`, which the other datapaths on Open vSwitch use as well.

use ovs_adapter::droplet::{Control, Io, OpenVSwitch};

/// All is in the rules from the start; the userspace datapath, with its ports on AF_PACKET sockets.
pub const PROACTIVE: OpenVSwitch = OpenVSwitch {
    name: "openflow",
    summary: "Mizar as OpenFlow rules on a stock Open vSwitch, its userspace datapath, AF_PACKET ports (proactive)",
    variant_of: None,
    io: Io::Packet,
    control: Control::Proactive,
};

/// The core decides about first packets; otherwise as [`PROACTIVE`].
pub const REACTIVE: OpenVSwitch = OpenVSwitch {
    name: "openflow-reactive",
    summary: "the same switch; the core decides about first packets and adds OpenFlow rules (reactive)",
    variant_of: None,
    io: Io::Packet,
    control: Control::Reactive,
};

/// The same rules in the kernel's datapath, with the kernel's own Geneve. It was never run: the machines that this was
/// made on offer no such datapath.
pub const KERNEL: OpenVSwitch = OpenVSwitch {
    name: "openflow-kernel",
    summary: "the same rules in the kernel's openvswitch datapath (never run so far: its figures are not to be trusted)",
    variant_of: None,
    io: Io::Kernel,
    control: Control::Proactive,
};
