//! The same rules as `openflow` on the same Open vSwitch, with its ports on AF_XDP sockets that a thread of the switch
//! polls. All of it is in `ovs-adapter`.

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use ovs_adapter::droplet::{self, Control, Io};
use ovs_adapter::{Flavour, capability};
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct OvsXdp;

impl Datapath for OvsXdp {
    fn name(&self) -> &'static str {
        "ovs-xdp"
    }

    fn summary(&self) -> &'static str {
        "the same rules on a stock Open vSwitch with AF_XDP ports and a polling thread"
    }

    fn native_ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        droplet::version(Flavour::Stock)
    }

    fn probe(&self) -> Vec<Missing> {
        let missing = droplet::probe(Flavour::Stock);
        if !missing.is_empty() {
            return missing;
        }
        capability::lacks_interface_type(Io::Xdp.interface_type())
            .into_iter()
            .collect()
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
        droplet::install(self, (Io::Xdp, Control::Proactive), ports, provision, cpu)
    }
}
