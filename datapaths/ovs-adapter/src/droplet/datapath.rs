//! What all datapaths on Open vSwitch are: the same programs, on ports of their own kind.

use super::{Control, Io, install};
use crate::{Flavour, Installation, capability};
use datapath_api::{
    Datapath, Difference, DropletPorts, Error, Missing, Needs, PortType, Running, TESTER_MEBIBYTES,
};
use netdev::Cpu;
use std::time::Duration;
use topologies::provision::Provision;

/// The generic netlink family of the kernel's datapath: include/uapi/linux/openvswitch.h.
const FAMILY: &str = "ovs_datapath";

/// How long a switch goes on with a flow whose rules changed. It begins to look at all its flows again as soon as a rule
/// changes, and looks at them twice a second in any case (`max-revalidator`); a round may just have begun, and takes its time.
pub const FORGETS_WITHIN: Duration = Duration::from_secs(1);

/// A datapath on Open vSwitch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenVSwitch {
    /// See [`Datapath::name`].
    pub name: &'static str,
    /// See [`Datapath::summary`].
    pub summary: &'static str,
    /// See [`Datapath::variant_of`].
    pub variant_of: Option<&'static str>,
    /// How the switch has its ports.
    pub io: Io,
    /// Who decides, and when.
    pub control: Control,
}

impl Datapath for OpenVSwitch {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn ports(&self) -> PortType {
        self.io.port_type()
    }

    fn variant_of(&self) -> Option<&'static str> {
        self.variant_of
    }

    fn version(&self) -> String {
        version(self.io.flavour())
    }

    fn probe(&self) -> Vec<Missing> {
        let mut missing: Vec<Missing> = not_installed(self.io.flavour())
            .into_iter()
            .chain(Missing::privileges())
            .chain(match self.io {
                // Whoever is at the other side of these ports is such a process.
                Io::VhostUser => dpdk_client::missing(),
                _ => None,
            })
            .chain(self.io.hugepages().and_then(|own| {
                let testers = match self.io {
                    Io::VhostUser => TESTER_MEBIBYTES,
                    _ => 0,
                };
                Missing::hugepages(own + testers)
            }))
            .collect();
        let runs = missing.is_empty();
        missing.extend(lacks(self.io, runs));
        missing
    }

    fn needs(&self) -> Needs {
        Needs {
            kernel: self.io.oldest_kernel(),
            hugepages_mib: self.io.hugepages().unwrap_or(0),
            kernel_programs: self.io.brings_programs(),
            open_vswitch: true,
        }
    }

    fn declared_differences(&self) -> &'static [Difference] {
        self.control.differences()
    }

    fn polls_busily(&self) -> bool {
        self.io.polls()
    }

    fn forgets_within(&self) -> Duration {
        FORGETS_WITHIN
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        install(self, ports, provision, cpu)
    }
}

/// Which Open vSwitch of this build there is.
pub fn version(flavour: Flavour) -> String {
    Installation::find(flavour).map_or_else(
        |_| "Open vSwitch, not found".to_owned(),
        |found| format!("Open vSwitch {}, OpenFlow 1.4", found.version),
    )
}

/// What is missing to run an Open vSwitch of this build.
pub fn not_installed(flavour: Flavour) -> Option<Missing> {
    let error = Installation::find(flavour).err()?;
    let remedy = match &error {
        crate::Error::NotInstalled { package, .. } => format!("apt-get install {package}"),
        crate::Error::TooOld { .. } => {
            "a newer system: Debian 12 or Ubuntu 23.04 have such a version".to_owned()
        }
        _ => format!("apt-get install --reinstall {}", flavour.package()),
    };
    Some(Missing::new(error.to_string(), remedy))
}

/// What such ports lack. A switch that runs can be asked.
fn lacks(io: Io, runs: bool) -> Option<Missing> {
    match io {
        Io::Xdp if runs => capability::lacks_interface_type(io.interface_type()),
        Io::Packet | Io::Internal | Io::Xdp | Io::Dpdk | Io::VhostUser => None,
        Io::Kernel => {
            let remedy =
                "modprobe openvswitch, on a kernel that has it (CONFIG_OPENVSWITCH, CONFIG_GENEVE)";
            match netdev::has_generic_netlink_family(FAMILY) {
                Ok(true) => None,
                Ok(false) => Some(Missing::new(
                    format!("the kernel's openvswitch datapath (generic netlink family {FAMILY})"),
                    remedy,
                )),
                Err(error) => Some(Missing::new(error.to_string(), remedy)),
            }
        }
    }
}
