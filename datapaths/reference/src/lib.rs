//! The core in this process, over rings in memory: the datapath that needs nothing.
//!
//! It has no I/O to speak of, so that its figures are the core's own cost and an upper bound for every
//! datapath that carries the core through real ports.

mod injection;
mod worker;

use datapath_api::{
    Counters, Datapath, DropletPorts, Error, Missing, Outcome, PortType, Running, Stages,
};
use mizar_droplet::{Droplet, NativeStages};
use mizar_tables::{Entries, Native};
use netdev::{Cpu, Tid};
use topologies::provision::{DirectPath, Port, Provision};
use worker::Worker;

/// See the module's documentation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference {
    /// Whether it keeps a cache of established flows, as datapaths do whose lookups are dear. Tests compare
    /// both ways with the oracle.
    pub caches_flows: bool,
}

impl Datapath for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn summary(&self) -> &'static str {
        "the Mizar core in this process, over rings in memory"
    }

    fn ports(&self) -> PortType {
        PortType::Rings
    }

    fn version(&self) -> String {
        format!("core {}", env!("CARGO_PKG_VERSION"))
    }

    fn probe(&self) -> Vec<Missing> {
        Vec::new()
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
        let mut tables = Native::new(&encode(provision)?);
        if self.caches_flows {
            tables = tables.with_established();
        }
        let droplet = Droplet::new(tables);
        match ports {
            DropletPorts::Detached => Ok(Box::new(Detached { droplet })),
            DropletPorts::Rings { uplink, endpoints } => {
                Ok(Box::new(Worker::start(droplet, uplink, endpoints, cpu)?))
            }
            other => Err(Error::Ports {
                datapath: self.name(),
                supported: PortType::Rings,
                given: other.port_type(),
            }),
        }
    }

    fn stages(
        &self,
        provision: &Provision,
        _: Cpu,
        _: Cpu,
    ) -> Result<Option<Box<dyn Stages>>, Error> {
        let tables = Native::new(&encode(provision)?);
        Ok(Some(Box::new(NativeStages::new(tables))))
    }
}

fn encode(provision: &Provision) -> Result<Entries, Error> {
    Entries::encode(provision).map_err(|error| Error::Capacity(error.to_string()))
}

/// A droplet without ports: frames pass through by injection.
struct Detached {
    droplet: Droplet,
}

impl Running for Detached {
    fn counters(&mut self) -> Result<Counters, Error> {
        Ok(self.droplet.counters())
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        Ok(self.droplet.direct_paths())
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        injection::inject(&mut self.droplet, port, frame)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        self.droplet.update(&encode(provision)?);
        Ok(())
    }

    fn threads(&self) -> Vec<Tid> {
        Vec::new()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}
