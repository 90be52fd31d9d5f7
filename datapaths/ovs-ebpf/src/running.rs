//! A droplet whose programs are loaded.

use crate::Asked;
use crate::devices::Devices;
use crate::kind::Kind;
use crate::object::{self, Hook};
use crate::slow_path::SlowPath;
use crate::slow_path::core::Core;
use crate::slow_path::switch::Switch;
use crate::table::FlowTable;
use datapath_api::{
    Counters, Enclosure, Error, Outcome, Running, SwitchCounters, VethPorts, is_overlay,
};
use megaflow::map::Count;
use netdev::{Cpu, Tid, Urgency};
use ovs_adapter::droplet::Injector;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use topologies::provision::{DirectPath, Port, Provision};

/// A droplet whose programs are attached to its ports.
pub struct Droplet {
    // In the order of being dropped: who is asked before the programs that ask, and the devices last.
    slow_path: Box<dyn SlowPath>,
    devices: Devices,
    flows: Arc<Mutex<FlowTable>>,
    injector: Option<Injector>,
    threads: Vec<Tid>,
    /// Hits by masks and masks tried for them, when that was read last.
    looked: (u64, u64),
}

impl Droplet {
    /// A droplet without ports, on devices of its own.
    ///
    /// # Errors
    /// Where something does not start, or is refused, with the reason.
    pub fn detached(asked: Asked, hook: Hook, provision: &Provision) -> Result<Self, Error> {
        let enclosure = Enclosure::new(provision, 1)?;
        if hook == Hook::Xdp {
            enclosure.take_redirected()?;
        }
        let mut droplet = Self::start(asked, hook, &enclosure.ports, provision, None)?;
        droplet.injector = Some(Injector::new(enclosure, provision)?);
        Ok(droplet)
    }

    /// A droplet on veth ports, with all its work on `cpu`.
    ///
    /// # Errors
    /// As above.
    pub fn attached(
        asked: Asked,
        hook: Hook,
        ports: &VethPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Self, Error> {
        let interfaces = || ports.endpoints.iter().chain([&ports.uplink]);
        if hook == Hook::Tc {
            // There is no NAPI instance without an XDP program.
            for interface in interfaces() {
                interface.enable_napi()?;
            }
        }
        let mut droplet = Self::start(asked, hook, ports, provision, Some(cpu))?;
        for tid in droplet.slow_path.threads()? {
            tid.pin(cpu)?;
            tid.prioritise(Urgency::Busy)?;
            droplet.threads.push(tid);
        }
        for interface in interfaces() {
            // Threads that answer for what has no flow must get to run.
            let threads = interface.thread_napi(cpu, Urgency::Ordinary)?;
            droplet.threads.extend(threads);
        }
        Ok(droplet)
    }

    /// Where `ovs-ofctl` reaches the overlay bridge, if there is a switch: `unix:` and this path.
    pub fn bridge(&self) -> Option<PathBuf> {
        self.slow_path.bridge()
    }

    fn start(
        asked: Asked,
        hook: Hook,
        ports: &VethPorts,
        provision: &Provision,
        cpu: Option<Cpu>,
    ) -> Result<Self, Error> {
        let loaded = object::load(hook).map_err(object::from_load)?;
        let (flows, ebpf, known) = FlowTable::new(loaded);
        let mut devices = Devices::new(ebpf, known, hook);
        let flows = Arc::new(Mutex::new(flows));
        let slow_path: Box<dyn SlowPath> = match asked {
            Asked::Switch => Box::new(Switch::start(&mut devices, &flows, ports, provision, cpu)?),
            Asked::Core => Box::new(Core::start(&mut devices, &flows, ports, provision, cpu)?),
        };
        Ok(Self {
            slow_path,
            devices,
            flows,
            injector: None,
            threads: Vec::new(),
            looked: (0, 0),
        })
    }

    /// What the programs counted, in the words of a switch.
    fn inside(&mut self, counts: &[u64; Count::COUNT as usize], lost: u64) -> SwitchCounters {
        let count = |what: Count| counts[what as usize];
        let (hits, tried) = (count(Count::MaskHit), count(Count::MasksTried));
        let (hits_before, tried_before) = std::mem::replace(&mut self.looked, (hits, tried));
        let new_hits = hits.saturating_sub(hits_before);
        let received = [
            Count::Sent,
            Count::Dropped,
            Count::Failed,
            Count::Renewed,
            Count::Miss,
        ];
        let received = received.map(count).iter().sum();
        let lookups = count(Count::ExactHit) + hits + count(Count::Miss);
        let answered = self.devices.answered();
        let table = self.table();
        SwitchCounters {
            received,
            recirculated: lookups.saturating_sub(received),
            emc_hits: count(Count::ExactHit),
            megaflow_hits: hits,
            upcalls: answered.saturating_sub(count(Count::Renewed)),
            upcalls_failed: lost,
            lookups_per_megaflow_hit: (new_hits > 0)
                .then(|| tried.saturating_sub(tried_before) as f64 / new_hits as f64),
            flows: Some(table.len() as u64),
            masks: Some(table.masks() as u64),
            ..SwitchCounters::default()
        }
    }

    fn table(&self) -> MutexGuard<'_, FlowTable> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running for Droplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        let mut counters = self.slow_path.counters()?;
        let (counts, lost) = (self.devices.counts()?, self.devices.lost());
        let totals = self.table().totals();
        counters.encapsulated += totals.of(Kind::Encapsulated);
        counters.forwarded += totals.of(Kind::Forwarded);
        counters.delivered += totals.of(Kind::Delivered);
        counters.passed += totals.of(Kind::Passed);
        let refused = [
            ("dropped by a flow", totals.of(Kind::Dropped)),
            ("too many without a flow", lost),
            ("an action failed", counts[Count::Failed as usize]),
        ];
        let refused = refused.into_iter().filter(|(_, count)| *count > 0);
        let refused = refused.map(|(reason, count)| (reason.to_owned(), count));
        counters.refused.extend(refused);
        counters.switch = Some(Box::new(self.inside(&counts, lost)));
        Ok(counters)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.slow_path.direct_paths()
    }

    /// The frame goes through twice if nothing changed for it: as the first of its flow, by the slow path, and as the next
    /// one, by the flow that the first one brought. What became of the second is what is told.
    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let Some(injector) = &mut self.injector else {
            let reason = "the droplet is attached to ports";
            return Err(Error::failed("injecting a frame", reason));
        };
        let is_taught = injector.teaches(port, frame);
        if is_taught {
            // With what cached flows have counted until now a switch learns once more what their packets taught: that must not
            // come after what this frame teaches.
            self.slow_path.settle(true)?;
        }
        let first = injector.inject(port, frame)?;
        self.slow_path.settle(is_taught)?;
        if is_taught {
            return Ok(first);
        }
        let second = injector.inject(port, frame)?;
        self.slow_path.settle(false)?;
        if comparable(&first) != comparable(&second) {
            let reason = format!("the slow path made {first:?} of it, and its flow {second:?}");
            return Err(Error::failed("injecting a frame", reason));
        }
        Ok(second)
    }

    fn flows(&mut self) -> Result<Option<Vec<String>>, Error> {
        let mut lines: Vec<_> = self
            .table()
            .entries()
            .map(|entry| entry.to_string())
            .collect();
        lines.sort_unstable();
        Ok(Some(lines))
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        if let Some(injector) = &mut self.injector {
            injector.update(provision);
        }
        self.slow_path.update(provision)
    }

    fn settle(&mut self) -> Result<(), Error> {
        self.slow_path.settle(true)
    }

    fn threads(&self) -> Vec<Tid> {
        self.threads.clone()
    }

    fn check(&self) -> Result<(), Error> {
        self.slow_path.check()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.check()
    }
}

/// An outcome without what lawfully differs between the slow path and flows: the outer source port, which each chooses by a
/// hash of its own.
fn comparable(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    if let Outcome::Forward { frame, .. } = &mut outcome
        && is_overlay(frame)
        && let Some(port) = frame.get_mut(SOURCE_PORT)
    {
        port.fill(0);
    }
    outcome
}

/// Where the source port is in a frame with outer headers.
const SOURCE_PORT: std::ops::Range<usize> = 34..36;
