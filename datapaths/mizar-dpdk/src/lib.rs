//! The core on DPDK ports: a process of its own polls them and runs each frame to completion.
//!
//! DPDK's environment starts once a process, and `capsule` brings old dependencies, so both stay in that process
//! (`dpdk/process`, a workspace of its own). Here is what it is started with. One processor polls the one queue that each port
//! has: more of either would measure how they share, not what a packet costs.

mod running;

pub use dpdk_protocol::Engine;

use datapath_api::{
    Datapath, Difference, DropletPorts, Error, KernelRelease, Missing, Needs, PortType, Running,
    TESTER_MEBIBYTES,
};
use netdev::Cpu;
use running::Droplet;
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MizarDpdk {
    /// How frames come in and go out.
    pub engine: Engine,
    /// By which devices.
    pub devices: Devices,
}

/// DPDK's devices for a droplet's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// vhost-user, which DPDK is made for.
    VhostUser,
    /// AF_XDP on veth, to be compared with datapaths of the kernel on the same ports.
    Veth,
}

impl Datapath for MizarDpdk {
    fn name(&self) -> &'static str {
        match (self.engine, self.devices) {
            (Engine::Burst, Devices::VhostUser) => "mizar-dpdk",
            (Engine::Capsule, Devices::VhostUser) => "mizar-capsule",
            (Engine::Burst, Devices::Veth) => "mizar-dpdk-veth",
            (Engine::Capsule, Devices::Veth) => "mizar-capsule-veth",
        }
    }

    fn summary(&self) -> &'static str {
        match (self.engine, self.devices) {
            (Engine::Burst, Devices::VhostUser) => {
                "the Mizar core in a DPDK process, vhost-user ports, bursts run to completion"
            }
            (Engine::Capsule, Devices::VhostUser) => {
                "the Mizar core in a DPDK process, vhost-user ports, pipelines of the crate capsule"
            }
            (Engine::Burst, Devices::Veth) => "mizar-dpdk on veth by DPDK's AF_XDP driver",
            (Engine::Capsule, Devices::Veth) => "mizar-capsule on veth by DPDK's AF_XDP driver",
        }
    }

    fn ports(&self) -> PortType {
        match self.devices {
            Devices::VhostUser => PortType::VhostUser,
            Devices::Veth => PortType::Veth,
        }
    }

    fn variant_of(&self) -> Option<&'static str> {
        let native = Self {
            devices: Devices::VhostUser,
            ..*self
        };
        (*self != native).then(|| native.name())
    }

    fn version(&self) -> String {
        let dpdk = dpdk_client::version().unwrap_or_else(|| "DPDK, not built".to_owned());
        format!("core {}, {dpdk}", env!("CARGO_PKG_VERSION"))
    }

    fn probe(&self) -> Vec<Missing> {
        dpdk_client::missing()
            .into_iter()
            .chain(Missing::privileges())
            .chain(match self.devices {
                Devices::VhostUser => Missing::hugepages(dpdk_client::MEBIBYTES + TESTER_MEBIBYTES),
                Devices::Veth => None,
            })
            .collect()
    }

    fn needs(&self) -> Needs {
        // DPDK 22.11: its getting started guide, system requirements; its AF_XDP driver, prerequisites. That driver also
        // has a program of its own in the kernel.
        match self.devices {
            Devices::VhostUser => Needs {
                kernel: Some(KernelRelease::new(4, 14)),
                hugepages_mib: dpdk_client::MEBIBYTES,
                ..Needs::NONE
            },
            Devices::Veth => Needs {
                kernel: Some(KernelRelease::new(4, 18)),
                kernel_programs: true,
                ..Needs::NONE
            },
        }
    }

    fn declared_differences(&self) -> &'static [Difference] {
        &[Difference::Runts]
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
        let droplet = match (self.devices, ports) {
            (_, DropletPorts::Detached) => Droplet::detached(self.engine, provision, cpu)?,
            (Devices::Veth, DropletPorts::Veth(ports)) => {
                Droplet::on_veth(self.engine, provision, &ports, cpu)?
            }
            (Devices::VhostUser, DropletPorts::VhostUser(ports)) => {
                Droplet::on_vhost_user(self.engine, provision, &ports, cpu)?
            }
            (_, other) => {
                return Err(Error::Ports {
                    datapath: self.name(),
                    supported: self.ports(),
                    given: other.port_type(),
                });
            }
        };
        Ok(Box::new(droplet))
    }
}
