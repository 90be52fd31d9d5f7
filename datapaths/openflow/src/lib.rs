//! Mizar as OpenFlow rules on a stock Open vSwitch: the userspace datapath, with its ports on AF_PACKET sockets, as
//! an install without further ado has them. All of it is in `ovs-adapter`, which the other datapaths on Open
//! vSwitch use as well.

mod kernel;

pub use kernel::OpenFlowKernel;

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use ovs_adapter::Flavour;
pub use ovs_adapter::droplet::Control;
use ovs_adapter::droplet::{self, Io};
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub struct OpenFlow {
    /// Who decides, and when.
    pub control: Control,
}

impl Datapath for OpenFlow {
    fn name(&self) -> &'static str {
        match self.control {
            Control::Proactive => "openflow",
            Control::Reactive => "openflow-reactive",
        }
    }

    fn summary(&self) -> &'static str {
        match self.control {
            Control::Proactive => {
                "Mizar as OpenFlow rules on a stock Open vSwitch, AF_PACKET ports (proactive)"
            }
            Control::Reactive => {
                "the core decides about first packets and adds OpenFlow rules, AF_PACKET ports (reactive)"
            }
        }
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
        self.control.differences()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        droplet::install(self, (Io::Packet, self.control), ports, provision, cpu)
    }
}
