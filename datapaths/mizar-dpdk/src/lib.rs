//! The core on DPDK ports: a process of its own polls them and runs each frame to completion.
//!
//! DPDK's environment starts once a process, and `capsule` brings old dependencies, so both stay in that process
//! (`dpdk/process`, a workspace of its own). Here is what it is started with.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `devices` | DPDK's devices for the ports of a droplet |
//! | `running` | a droplet that it forwards for |

mod devices;
mod running;

pub use dpdk_protocol::Engine;

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use topologies::provision::Provision;

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub struct MizarDpdk {
    /// How frames come in and go out.
    pub engine: Engine,
}

impl Datapath for MizarDpdk {
    fn name(&self) -> &'static str {
        match self.engine {
            Engine::Burst => "mizar-dpdk",
            Engine::Capsule => "mizar-capsule",
        }
    }

    fn summary(&self) -> &'static str {
        match self.engine {
            Engine::Burst => {
                "the Mizar core in a DPDK process, AF_XDP ports, bursts run to completion"
            }
            Engine::Capsule => "the same with the runtime and pipelines of the crate capsule",
        }
    }

    fn native_ports(&self) -> PortType {
        PortType::Veth
    }

    fn version(&self) -> String {
        let dpdk = dpdk_client::version().unwrap_or_else(|| "DPDK, not built".to_owned());
        format!("core {}, {dpdk}", env!("CARGO_PKG_VERSION"))
    }

    fn probe(&self) -> Vec<Missing> {
        dpdk_client::missing()
            .into_iter()
            .chain(Missing::privileges())
            .collect()
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
        let droplet = match ports {
            DropletPorts::Detached => running::Droplet::detached(self.engine, provision, cpu)?,
            DropletPorts::Veth(ports) => {
                running::Droplet::attached(self.engine, provision, &ports, cpu)?
            }
            other => {
                return Err(Error::Ports {
                    datapath: self.name(),
                    supported: PortType::Veth,
                    given: other.port_type(),
                });
            }
        };
        Ok(Box::new(droplet))
    }
}
