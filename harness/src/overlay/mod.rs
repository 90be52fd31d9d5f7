//! A whole overlay: every droplet of a topology with a datapath of its own, joined by an underlay.
//!
//! ```text
//!   tester ── endpoint port ─┤ droplet ├─ uplink ──┐          ┌── uplink ─┤ droplet ├─ endpoint port ── tester
//!                                                  │ underlay │
//!                              droplet ├─ uplink ──┘          └── uplink ─┤ droplet
//! ```
//!
//! What is between endpoints is one device under test, so an [`Overlay`] is a [`Running`] like a droplet alone.

mod describe;
mod underlay;

pub use describe::describe;
pub use underlay::{Ages, Crossed, Parted, Underlay};

use crate::at_once::{at_once, several};
use crate::environment::Placement;
use crate::lab::OverlayLab;
use crate::record::Hop;
use crate::registry::{self, UnknownDatapath};
use crate::tester;
use datapath_api::{
    Counters, Datapath, Difference, Error as DatapathError, Outcome, PortType, Running,
};
use mizar_wire::Ipv4;
use netdev::{CpuTime, Tid};
use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;
use topologies::provision::{DirectPath, Port, Provision};
use topologies::topology::{Droplet, Topology};

/// Why an overlay is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A droplet's datapath.
    #[error("droplet \"{droplet}\", {datapath}: {source}")]
    Droplet {
        /// Which droplet.
        droplet: String,
        /// The datapath that it has.
        datapath: &'static str,
        /// What is wrong.
        source: Box<DatapathError>,
    },
    /// A droplet shall have a datapath that there is not.
    #[error("droplet \"{droplet}\": {source}")]
    Unknown {
        /// Which droplet.
        droplet: String,
        /// What there is.
        source: UnknownDatapath,
    },
    /// The underlay.
    #[error("the underlay: {0}")]
    Underlay(#[from] tester::Error),
}

/// A droplet of an overlay.
struct Part {
    name: String,
    differences: &'static [Difference],
    forgets_within: Duration,
    running: Box<dyn Running>,
}

impl Part {
    /// Installs a droplet of `topology`, with the datapath that it names, or else with `datapath`.
    fn install(
        datapath: &dyn Datapath,
        topology: &Topology,
        (number, droplet): (usize, &Droplet),
        lab: &OverlayLab,
        placement: Placement,
    ) -> Result<Self, Error> {
        let other = other_datapath(droplet.datapath.as_deref());
        let other = other.map_err(|source| Error::Unknown {
            droplet: droplet.name.clone(),
            source,
        })?;
        let datapath = other.as_deref().unwrap_or(datapath);
        let provision = topology.provision(droplet);
        let running = lab.install(number, datapath, &provision, placement.datapath);
        let running = running.map_err(|source| Error::Droplet {
            droplet: droplet.name.clone(),
            datapath: datapath.name(),
            source: Box::new(source),
        })?;
        Ok(Self {
            name: droplet.name.clone(),
            differences: datapath.declared_differences(),
            forgets_within: datapath.forgets_within(),
            running,
        })
    }
}

/// An overlay that runs. Dropping it takes it down.
pub struct Overlay {
    // In the order of being dropped.
    droplets: Vec<Part>,
    underlay: Underlay,
    /// How many of them are taken down at once.
    several: usize,
}

impl Overlay {
    /// Whether a datapath can be a droplet of one: they are joined by veth pairs.
    pub fn takes(datapath: &dyn Datapath) -> bool {
        datapath.ports() == PortType::Veth
    }

    /// Installs all droplets of `topology` in `lab`: with `datapath`, but for those whose datapath the topology names.
    ///
    /// # Errors
    /// Where one cannot be installed. Nothing is left behind.
    pub fn install(
        datapath: &dyn Datapath,
        topology: &Topology,
        lab: &OverlayLab,
        placement: Placement,
    ) -> Result<Self, Error> {
        let hosts = topology.droplets().iter().map(|droplet| droplet.host);
        let ends: Vec<_> = hosts.zip(lab.wire().iter().cloned()).collect();
        // First, since a device takes redirected frames only once its peer has a program.
        let underlay = Underlay::join(&ends, placement.sinks)?;
        let several = several(datapath);
        let parts = at_once(several, topology.droplets(), |number, droplet| {
            Part::install(datapath, topology, (number, droplet), lab, placement)
        });
        let mut overlay = Self {
            droplets: Vec::new(),
            underlay,
            several,
        };
        let mut failure = None;
        for part in parts {
            match part {
                Ok(part) => overlay.droplets.push(part),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        // Links come and go while datapaths take them.
        overlay.underlay.parted().map_err(tester::Error::from)?;
        Ok(overlay)
    }

    /// Stops all droplets; the first failure, if one has something to tell.
    fn take_down(&mut self) -> Result<(), DatapathError> {
        let stopped = at_once(
            self.several,
            std::mem::take(&mut self.droplets),
            |_, part| {
                let stopped = part.running.stop();
                let stopped = stopped.map_err(|error| DatapathError::failed(&part.name, error));
                // Others are stopped whatever became of this one.
                Ok::<_, Infallible>(stopped)
            },
        );
        stopped.into_iter().try_for_each(|Ok(stopped)| stopped)
    }

    /// Whether a droplet's datapath declares to differ so.
    pub fn declares(&self, difference: Difference) -> bool {
        let mut parts = self.droplets.iter();
        parts.any(|part| part.differences.contains(&difference))
    }

    /// How long after its droplets have other tables it may still forward by those before.
    pub fn forgets_within(&self) -> Duration {
        let parts = self.droplets.iter().map(|part| part.forgets_within);
        parts.max().unwrap_or_default()
    }

    /// What crossed the underlay so far.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn crossed(&self) -> Result<Crossed, tester::Error> {
        self.underlay.crossed()
    }

    /// What each droplet did so far; the ages of frames where those are summed up, see [`Underlay::sum_ages`].
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn hops(&self) -> Result<Vec<Hop>, tester::Error> {
        let (crossed, ages) = (self.crossed()?, self.underlay.ages()?);
        let hop = |((number, part), ages): ((usize, &Part), Ages)| Hop {
            droplet: part.name.clone(),
            arrived: crossed.to(number),
            cpu_ns: CpuTime::of(&part.running.threads()).running.as_nanos() as u64,
            ages,
        };
        Ok(self
            .droplets
            .iter()
            .enumerate()
            .zip(ages)
            .map(hop)
            .collect())
    }

    /// Gives a droplet, by its position in the topology, other tables.
    ///
    /// # Errors
    /// Where it cannot take them; see [`Running::update`].
    pub fn update_droplet(
        &mut self,
        droplet: usize,
        provision: &Provision,
    ) -> Result<(), DatapathError> {
        self.of_one(droplet, |running| running.update(provision))
    }

    /// Underlay addresses to which the direct paths of a droplet lead, by its position in the topology.
    ///
    /// # Errors
    /// See [`Running::direct_paths`].
    pub fn hosts_by_direct_path(&mut self, droplet: usize) -> Result<HashSet<Ipv4>, DatapathError> {
        let paths = self.of_one(droplet, |running| running.direct_paths())?;
        Ok(paths.iter().map(|path| path.host.ip).collect())
    }

    /// Cuts all ways to and from a droplet, by its position in the topology.
    ///
    /// # Errors
    /// Where the kernel refuses, or there is none.
    pub fn cut_off(&mut self, droplet: usize) -> Result<(), tester::Error> {
        for other in 0..self.droplets.len() {
            self.underlay.cut(droplet, other, true)?;
            self.underlay.cut(other, droplet, true)?;
        }
        Ok(())
    }

    /// The underlay.
    pub fn underlay(&mut self) -> &mut Underlay {
        &mut self.underlay
    }

    fn of_one<T>(
        &mut self,
        droplet: usize,
        ask: impl FnOnce(&mut dyn Running) -> Result<T, DatapathError>,
    ) -> Result<T, DatapathError> {
        let there_is_none = || DatapathError::failed("asking a droplet", "there is none");
        let part = self.droplets.get_mut(droplet).ok_or_else(there_is_none)?;
        ask(&mut *part.running).map_err(|error| DatapathError::failed(&part.name, error))
    }

    fn of_all<T>(
        &mut self,
        mut ask: impl FnMut(&mut dyn Running) -> Result<T, DatapathError>,
    ) -> Result<Vec<T>, DatapathError> {
        let asked = self.droplets.iter_mut().map(|part| {
            ask(&mut *part.running).map_err(|error| DatapathError::failed(&part.name, error))
        });
        asked.collect()
    }
}

/// The datapath of this name, if one is named.
fn other_datapath(name: Option<&str>) -> Result<Option<Box<dyn Datapath>>, UnknownDatapath> {
    match name {
        Some(name) => Ok(registry::select(&[name.to_owned()])?.pop()),
        None => Ok(None),
    }
}

impl Running for Overlay {
    /// Of all droplets together.
    fn counters(&mut self) -> Result<Counters, DatapathError> {
        let mut total = Counters::default();
        for counters in self.of_all(|running| running.counters())? {
            total.encapsulated += counters.encapsulated;
            total.forwarded += counters.forwarded;
            total.delivered += counters.delivered;
            total.passed += counters.passed;
            total.shaped += counters.shaped;
            for (reason, count) in counters.refused {
                match total.refused.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, sum)) => *sum += count,
                    None => total.refused.push((reason, count)),
                }
            }
        }
        Ok(total)
    }

    /// Of all droplets together.
    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, DatapathError> {
        let paths = self.of_all(|running| running.direct_paths())?;
        Ok(paths.into_iter().flatten().collect())
    }

    fn inject(&mut self, _: Port, _: &[u8]) -> Result<Outcome, DatapathError> {
        let reason = "an overlay has ports";
        Err(DatapathError::failed("injecting a frame", reason))
    }

    /// Of all droplets, and whether the underlay leads to each of them.
    fn check(&self) -> Result<(), DatapathError> {
        self.droplets.iter().try_for_each(|part| {
            let checked = part.running.check();
            checked.map_err(|error| DatapathError::failed(&part.name, error))
        })?;
        let doing = "asking the underlay";
        let parted = self.underlay.parted();
        match parted.map_err(|error| DatapathError::failed(doing, error))? {
            None => Ok(()),
            Some(Parted { droplet, is_back }) => {
                let droplet = self.droplets.get(droplet).map_or("?", |part| &part.name);
                let how = match is_back {
                    true => format!(
                        "it was parted: for a while there was no way to {droplet}, whose uplink had no link"
                    ),
                    false => format!(
                        "it is parted: there is no way to {droplet}, whose uplink has no link"
                    ),
                };
                let reason = format!("{how}; see what took it down");
                Err(DatapathError::failed("the underlay", reason))
            }
        }
    }

    fn threads(&self) -> Vec<Tid> {
        let threads = self.droplets.iter().map(|part| part.running.threads());
        threads.flatten().collect()
    }

    fn stop(mut self: Box<Self>) -> Result<(), DatapathError> {
        self.take_down()
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        at_once(
            self.several,
            std::mem::take(&mut self.droplets),
            |_, part| {
                drop(part);
                Ok::<_, Infallible>(())
            },
        );
    }
}
