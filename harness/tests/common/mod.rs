//! What tests share.

use datapath_api::{Datapath, Difference, DropletPorts, Error, Missing, PortType, Running};
use netdev::Cpu;
use topologies::provision::Provision;

/// A datapath that passes for another, but for how it is installed.
pub struct Wrapped<F> {
    /// The other.
    pub inner: Box<dyn Datapath>,
    /// Installs it: the other, and what [`Datapath::install`] was given.
    pub install: F,
}

impl<F> Datapath for Wrapped<F>
where
    F: Fn(&dyn Datapath, DropletPorts, &Provision, Cpu) -> Result<Box<dyn Running>, Error>
        + Send
        + Sync,
{
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn summary(&self) -> &'static str {
        self.inner.summary()
    }

    fn ports(&self) -> PortType {
        self.inner.ports()
    }

    fn variant_of(&self) -> Option<&'static str> {
        self.inner.variant_of()
    }

    fn version(&self) -> String {
        self.inner.version()
    }

    fn probe(&self) -> Vec<Missing> {
        self.inner.probe()
    }

    fn declared_differences(&self) -> &'static [Difference] {
        self.inner.declared_differences()
    }

    fn polls_busily(&self) -> bool {
        self.inner.polls_busily()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        (self.install)(&*self.inner, ports, provision, cpu)
    }
}
