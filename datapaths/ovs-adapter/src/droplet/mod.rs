//! A droplet that an Open vSwitch forwards for.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `datapath` | what the harness knows of such a datapath |
//! | `ports` | the droplet's ports as the switch has them |
//! | `switch` | bridges, ports, addresses and neighbours of an instance |
//! | `behind` | a switch that another datapath asks |
//! | `injection` | single frames through a droplet without ports of its own |
//! | `counters` | what rules and the switch's caches counted |
//! | `running` | the droplet itself |

mod behind;
mod counters;
mod datapath;
mod injection;
mod ports;
mod running;
mod switch;

use crate::flow::Rule;
use crate::{DIFFERENCES, Flavour, Installation, Instance, REACTIVE_DIFFERENCES};
pub use behind::Behind;
pub use datapath::{FORGETS_WITHIN, OpenVSwitch, not_installed, version};
use datapath_api::{Difference, DropletPorts, Error, KernelRelease, PortType, Running, VethPorts};
pub use injection::Injector;
use netdev::{Cpu, Urgency};
use running::{Droplet, Plan};
pub use switch::{MARKER, UNDERLAY};
use topologies::provision::Provision;

/// How a switch has its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// AF_PACKET sockets, served by the main thread: what a stock install does with a device.
    Packet,
    /// AF_XDP sockets, polled by a thread of their own.
    Xdp,
    /// AF_XDP sockets through DPDK's driver for them, polled by a thread of a switch that is linked with DPDK.
    Dpdk,
    /// Virtio queues in memory that it shares with another process, polled by such a thread.
    VhostUser,
    /// Devices that the switch makes for it: another datapath hands frames over there.
    Internal,
    /// The kernel's own datapath, in the device's receive path, and the kernel's own tunnels.
    Kernel,
}

impl Io {
    /// The interface's type in the database.
    pub const fn interface_type(self) -> &'static str {
        match self {
            Self::Packet | Self::Kernel => "",
            Self::Internal => "internal",
            Self::Xdp => "afxdp",
            Self::Dpdk => "dpdk",
            Self::VhostUser => "dpdkvhostuserclient",
        }
    }

    /// The type of the bridges' datapath.
    pub const fn datapath_type(self) -> &'static str {
        match self {
            Self::Kernel => "system",
            _ => "netdev",
        }
    }

    /// How urgent the kernel's part of receiving is, on the processor that the switch forwards on. To a thread that
    /// sleeps while there is nothing to do it gives way, or too many frames would leave the thread no time for any;
    /// before one that never sleeps it must go, or it would not get to run at all.
    const fn receives(self) -> Urgency {
        match self {
            Self::Packet | Self::Internal => Urgency::Ordinary,
            _ => Urgency::Prompt,
        }
    }

    /// Whether a thread of the switch polls such ports without end.
    const fn polls(self) -> bool {
        matches!(self, Self::Xdp | Self::Dpdk | Self::VhostUser)
    }

    /// The build of Open vSwitch that has such ports.
    pub const fn flavour(self) -> Flavour {
        match self {
            Self::Packet | Self::Internal | Self::Xdp | Self::Kernel => Flavour::Stock,
            Self::Dpdk | Self::VhostUser => Flavour::Dpdk,
        }
    }

    /// Whether devices get a NAPI instance by an XDP program of these ports.
    const fn brings_programs(self) -> bool {
        matches!(self, Self::Xdp | Self::Dpdk)
    }

    /// The oldest kernel with all that such ports use.
    fn oldest_kernel(self) -> Option<KernelRelease> {
        match self {
            Self::Packet | Self::Internal => None,
            // Mizar's options need Geneve with metadata in the kernel's datapath: net/openvswitch/vport-geneve.c of 4.3.
            Self::Kernel => Some(KernelRelease::new(4, 3)),
            // The oldest that Open vSwitch builds its AF_XDP ports against, by the .travis.yml of 2.14.
            Self::Xdp => Some(KernelRelease::new(5, 3)),
            // DPDK 22.11: its AF_XDP driver, prerequisites; its getting started guide, system requirements.
            Self::Dpdk => Some(KernelRelease::new(4, 18)),
            Self::VhostUser => Some(KernelRelease::new(4, 14)),
        }
    }

    /// Hugepages that the switch takes, in mebibytes.
    const fn hugepages(self) -> Option<u32> {
        match self {
            Self::Dpdk | Self::VhostUser => Some(DPDK_MEBIBYTES),
            _ => None,
        }
    }

    /// The kind of port that the droplet has.
    pub const fn port_type(self) -> PortType {
        match self {
            Self::VhostUser => PortType::VhostUser,
            _ => PortType::Veth,
        }
    }

    /// How such a switch has ports on devices, which is how single frames reach it.
    const fn on_devices(self) -> Self {
        match self {
            Self::VhostUser => Self::Dpdk,
            other => other,
        }
    }
}

/// Memory of a switch on DPDK: frames of all ports, and what DPDK itself takes.
const DPDK_MEBIBYTES: u32 = 256;

/// Who decides, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// All is in the rules from the start: see [`crate::program`].
    Proactive,
    /// The core decides about first packets: see [`crate::reactive`].
    Reactive,
}

impl Control {
    /// Where packets differ from Mizar's.
    pub const fn differences(self) -> &'static [Difference] {
        match self {
            Self::Proactive => DIFFERENCES,
            Self::Reactive => REACTIVE_DIFFERENCES,
        }
    }
}

/// Installs a droplet on veth ports, or on devices of its own where it has none.
fn install(
    datapath: &OpenVSwitch,
    ports: DropletPorts,
    provision: &Provision,
    cpu: Cpu,
) -> Result<Box<dyn Running>, Error> {
    let OpenVSwitch { io, control, .. } = *datapath;
    let plan = Plan {
        installation: Installation::find(io.flavour())?,
        control,
        provision,
        rules: None,
        before: None,
    };
    let droplet = match (io.port_type(), ports) {
        (_, DropletPorts::Detached) => Droplet::detached(&plan, io.on_devices())?,
        (PortType::Veth, DropletPorts::Veth(ports)) => Droplet::on_veth(&plan, io, &ports, cpu)?,
        (PortType::VhostUser, DropletPorts::VhostUser(ports)) => {
            Droplet::on_vhost_user(&plan, &ports, cpu)?
        }
        (supported, other) => {
            return Err(Error::Ports {
                datapath: datapath.name,
                supported,
                given: other.port_type(),
            });
        }
    };
    Ok(Box::new(droplet))
}

/// Installs a droplet on veth ports whose overlay bridge has these rules and no others: to measure a program against.
///
/// # Errors
/// Where the switch does not start, or refuses something, with its reason.
pub fn install_rules(
    io: Io,
    ports: &VethPorts,
    provision: &Provision,
    rules: Vec<Rule>,
    cpu: Cpu,
) -> Result<Box<dyn Running>, Error> {
    let plan = Plan {
        installation: Installation::find(io.flavour())?,
        control: Control::Proactive,
        provision,
        rules: Some(rules),
        before: None,
    };
    Ok(Box::new(Droplet::on_veth(&plan, io, ports, cpu)?))
}

/// What somebody else does to the overlay bridge, of this name, before it is told anything.
pub type Before<'a> = &'a dyn Fn(&Instance, &str) -> Result<(), crate::Error>;

/// Installs a droplet on veth ports after `before`: to see what becomes of one whose switch refuses something.
///
/// # Errors
/// Where the switch does not start, or refuses something, with its reason.
pub fn install_after(
    before: Before<'_>,
    datapath: &OpenVSwitch,
    ports: &VethPorts,
    provision: &Provision,
    cpu: Cpu,
) -> Result<Box<dyn Running>, Error> {
    let plan = Plan {
        installation: Installation::find(datapath.io.flavour())?,
        control: datapath.control,
        provision,
        rules: None,
        before: Some(before),
    };
    Ok(Box::new(Droplet::on_veth(&plan, datapath.io, ports, cpu)?))
}

impl From<crate::Error> for Error {
    fn from(error: crate::Error) -> Self {
        Self::failed("Open vSwitch", error)
    }
}
