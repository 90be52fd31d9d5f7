//! Mizar as OpenFlow rules on a stock Open vSwitch: the userspace datapath, with its ports on AF_PACKET sockets, as
//! an install without further ado has them. All of it is in `ovs-adapter`, which the other datapaths on Open
//! vSwitch use as well.

mod kernel;

pub use kernel::OpenFlowKernel;

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use ovs_adapter::droplet::{self, Io};
use ovs_adapter::{DIFFERENCES, Flavour};
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenFlow;

impl Datapath for OpenFlow {
    fn name(&self) -> &'static str {
        "openflow"
    }

    fn summary(&self) -> &'static str {
        "Mizar as OpenFlow rules on a stock Open vSwitch, AF_PACKET ports (proactive)"
    }

    fn native_ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        droplet::version(Flavour::Stock)
    }

    fn probe(&self) -> Vec<Missing> {
        droplet::probe(Flavour::Stock)
    }

    fn declared_differences(&self) -> &'static [Difference] {
        DIFFERENCES
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        droplet::install(self, Io::Packet, ports, provision, cpu)
    }
}
