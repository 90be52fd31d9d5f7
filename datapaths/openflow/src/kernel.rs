//! The same rules in the kernel's datapath (`datapath_type=system`), with the kernel's own Geneve.

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use ovs_adapter::Flavour;
use ovs_adapter::droplet::{self, Control, Io};
use topologies::provision::Provision;

/// The generic netlink family of the kernel's datapath: include/uapi/linux/openvswitch.h.
const FAMILY: &str = "ovs_datapath";

/// See the module's documentation. It was never run: the machines that this was made on offer no such datapath.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenFlowKernel;

impl Datapath for OpenFlowKernel {
    fn name(&self) -> &'static str {
        "openflow-kernel"
    }

    fn summary(&self) -> &'static str {
        "the same rules in the kernel's openvswitch datapath (never run so far: its figures are not to be trusted)"
    }

    fn ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        droplet::version(Flavour::Stock)
    }

    fn probe(&self) -> Vec<Missing> {
        let remedy =
            "modprobe openvswitch, on a kernel that has it (CONFIG_OPENVSWITCH, CONFIG_GENEVE)";
        let datapath = match netdev::has_generic_netlink_family(FAMILY) {
            Ok(true) => None,
            Ok(false) => Some(Missing::new(
                format!("the kernel's openvswitch datapath (generic netlink family {FAMILY})"),
                remedy,
            )),
            Err(error) => Some(Missing::new(error.to_string(), remedy)),
        };
        let mut missing = droplet::probe(Flavour::Stock);
        missing.extend(datapath);
        missing
    }

    fn declared_differences(&self) -> &'static [Difference] {
        Control::Proactive.differences()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        droplet::install(
            self,
            (Io::Kernel, Control::Proactive),
            ports,
            provision,
            cpu,
        )
    }
}
