//! The same rules as `openflow` on an Open vSwitch that is linked with DPDK, with its ports on AF_XDP sockets by DPDK's
//! driver. All of it is in `ovs-adapter`.

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use ovs_adapter::Flavour;
use ovs_adapter::droplet::{self, Control, Io};
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OvsDpdk;

impl Datapath for OvsDpdk {
    fn name(&self) -> &'static str {
        "ovs-dpdk"
    }

    fn summary(&self) -> &'static str {
        "the same rules on an Open vSwitch with DPDK, its ports on DPDK's AF_XDP driver"
    }

    fn native_ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        droplet::version(Flavour::Dpdk)
    }

    fn probe(&self) -> Vec<Missing> {
        droplet::probe(Flavour::Dpdk)
    }

    fn declared_differences(&self) -> &'static [Difference] {
        Control::Proactive.differences()
    }

    fn polls_busily(&self) -> bool {
        true
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        droplet::install(self, (Io::Dpdk, Control::Proactive), ports, provision, cpu)
    }
}
