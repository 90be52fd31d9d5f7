//! A stock Open vSwitch behind the programs, with the rules that every datapath on Open vSwitch has.
//!
//! ```text
//!   port ──► program ──► the flow's actions ──────────────────────────────► port
//!               │ no flow                                                     ▲
//!               ▼                                                             │
//!             ring ──► thread "upcalls" ──► behindN ──► ovs-vswitchd ──► behindM
//!                                                            │ its flows
//!                          BPF flows ◄── thread "mirror" ◄───┘
//! ```

mod feed;
mod mirror;

use super::SlowPath;
use super::upcalls::{Upcalls, check};
use crate::devices::Devices;
use crate::table::FlowTable;
use datapath_api::{Counters, Error, VethPorts};
use feed::Feed;
use mirror::Mirror;
use netdev::{Cpu, Tid, Worker, device};
use ovs_adapter::droplet::Behind;
use ovs_adapter::openflow::Monitor;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use topologies::provision::{DirectPath, Provision};

/// How often it is asked whether rules changed.
const LOOK: Duration = Duration::from_millis(20);
/// How long flows stand that nobody said anything about: what changes beside rules is seen then, and who is idle.
const AT_LEAST: Duration = Duration::from_secs(2);
/// How many times as long as a look takes it is waited for the next one, when there is news and when there is none.
const PAUSE: (u32, u32) = (3, 20);
/// How often masks are put into order.
const SORT: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub struct Switch {
    // In the order of being dropped: the threads before who they talk to.
    mirror: Looks,
    upcalls: Upcalls,
    feed: Arc<Mutex<Feed>>,
    behind: Behind,
    /// What it had counted when it was asked last.
    counted: Counters,
}

/// Who looks at the switch's flows.
enum Looks {
    /// Threads, as the switch gets packets and rules change.
    Ever([Worker; 2]),
    /// The droplet itself, when it is asked to: so it is in one order with single frames.
    Asked(Mirror),
}

impl Switch {
    /// Starts a switch behind the programs of `devices`, on `cpu` if one is given; otherwise for single frames.
    ///
    /// # Errors
    /// Where it does not start, or refuses something, with its reason.
    pub fn start(
        devices: &mut Devices,
        flows: &Arc<Mutex<FlowTable>>,
        ports: &VethPorts,
        provision: &Provision,
        cpu: Option<Cpu>,
    ) -> Result<Self, Error> {
        let endpoints = u16::try_from(ports.endpoints.len())
            .map_err(|error| Error::failed("starting a switch", error))?;
        let behind = Behind::start(provision, &ports.namespace, endpoints, cpu)?;
        let numbers = mirror::port_numbers(&behind.appctl())?;
        let names =
            std::iter::once(behind.uplink()).chain(behind.endpoints().iter().map(String::as_str));
        let real = std::iter::once(&ports.uplink).chain(&ports.endpoints);
        let mut fed = Vec::new();
        for (name, real) in names.zip(real) {
            let number = *numbers.get(name).ok_or_else(|| {
                Error::failed("reading the switch's ports", format!("{name} is missing"))
            })?;
            let own = device(&ports.namespace, name)?;
            devices.add(number, real, Some(&own))?;
            fed.push((number, name.to_owned()));
        }
        devices.attach(&ports.namespace)?;
        let (tell, news) = sync_channel(1);
        let feed = Feed::new(&ports.namespace, &fed, tell.clone())?;
        let feed = Arc::new(Mutex::new(feed));
        let known = fed.iter().map(|(number, _)| *number).collect();
        let mirror = Mirror::new(behind.appctl(), Arc::clone(flows), known);
        let upcalls = Upcalls::start(devices.ring()?, devices.ports(), Arc::clone(&feed))?;
        let mirror = match cpu {
            Some(_) => Looks::Ever(look_ever(&behind, mirror, Arc::clone(flows), (tell, news))?),
            None => Looks::Asked(mirror),
        };
        Ok(Self {
            mirror,
            upcalls,
            feed,
            behind,
            counted: Counters::default(),
        })
    }
}

/// A thread that mirrors flows, and one that tells it when rules changed.
fn look_ever(
    behind: &Behind,
    mut mirror: Mirror,
    flows: Arc<Mutex<FlowTable>>,
    (tell, news): (SyncSender<()>, Receiver<()>),
) -> Result<[Worker; 2], Error> {
    let mut monitors = behind.monitors()?;
    let appctl = behind.appctl();
    let rules = Worker::start("rules", move || -> Result<(), Error> {
        if !changed(&mut monitors)? {
            return Ok(());
        }
        // The switch begins to judge its flows anew at once. What it does first is followed at once; that it is through
        // with all of them it says at the end of its next round, half a second later at the most if nothing is to be done.
        let _ = tell.try_send(());
        appctl.call("revalidator/wait", &[])?;
        let _ = tell.try_send(());
        Ok(())
    })?;
    let mut pace = Pace::new();
    let mut sorted = Instant::now();
    let looks = Worker::start("mirror", move || -> Result<(), Error> {
        if news.recv_timeout(LOOK).is_ok() {
            pace.news();
        }
        if !pace.is_due() {
            return Ok(());
        }
        let began = Instant::now();
        let found = mirror.look()?;
        let took = began.elapsed();
        pace.looked(took);
        tracing::trace!(?found, ?took, "the switch's flows");
        if sorted.elapsed() > SORT {
            sorted = Instant::now();
            let mut flows = flows.lock().unwrap_or_else(PoisonError::into_inner);
            flows.sort_masks();
        }
        Ok(())
    })?;
    Ok([rules, looks])
}

/// Whether rules changed.
fn changed(monitors: &mut [Monitor]) -> Result<bool, Error> {
    let mut is_changed = false;
    for monitor in monitors {
        is_changed |= monitor.changed(LOOK / 2)?;
    }
    Ok(is_changed)
}

/// When to look: soon after news, and once again, since the switch may not have been through with it; not so often that
/// looking, which the switch does on the thread that forwards, takes most of its time.
struct Pace {
    looked: Instant,
    /// How long the last two looks took.
    took: [Duration; 2],
    /// Looks that news still ask for.
    wanted: u32,
}

impl Pace {
    fn new() -> Self {
        Self {
            looked: Instant::now(),
            took: [Duration::ZERO; 2],
            wanted: 1,
        }
    }

    fn news(&mut self) {
        self.wanted = 2;
    }

    fn is_due(&self) -> bool {
        self.looked.elapsed() >= self.pause()
    }

    /// How long after a look the next one is. One that a stall of the machine made long says nothing of how long they take: flows
    /// that are new would be waited for many times as long as the stall lasted.
    fn pause(&self) -> Duration {
        let (after_news, otherwise) = PAUSE;
        let took = self.took[0].min(self.took[1]);
        if self.wanted > 0 {
            after_news * took
        } else {
            AT_LEAST.max(otherwise * took)
        }
    }

    fn looked(&mut self, took: Duration) {
        self.looked = Instant::now();
        self.took = [self.took[1], took];
        self.wanted = self.wanted.saturating_sub(1);
    }
}

impl SlowPath for Switch {
    fn counters(&mut self) -> Result<Counters, Error> {
        match self.behind.counters() {
            Ok(counters) => self.counted = counters,
            // It counts no more, while packets go on by their flows.
            Err(_) if self.behind.check().is_err() => {}
            Err(error) => return Err(error.into()),
        }
        let mut counters = self.counted.clone();
        let lost = self
            .feed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lost();
        if lost > 0 {
            counters
                .refused
                .push(("not taken by the switch".to_owned(), lost));
        }
        Ok(counters)
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        Ok(self.behind.direct_paths()?)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        self.behind.update(provision)?;
        match &self.mirror {
            // They are told of changed rules.
            Looks::Ever(_) => Ok(()),
            Looks::Asked(_) => self.settle(true),
        }
    }

    fn settle(&mut self, is_taught: bool) -> Result<(), Error> {
        // A frame may teach what an earlier one said and was refused for.
        let is_single = matches!(self.mirror, Looks::Asked(_));
        let has_learned = is_single && self.behind.has_learned()?;
        if is_taught || has_learned {
            // What a packet taught changes what becomes of flows that are cached; the switch sees to that in the background.
            self.behind.forget_flows()?;
        }
        match &mut self.mirror {
            Looks::Asked(mirror) => mirror.look().map(|_| ()),
            Looks::Ever(_) => Ok(()),
        }
    }

    fn bridge(&self) -> Option<PathBuf> {
        Some(self.behind.bridge())
    }

    fn threads(&self) -> Result<Vec<Tid>, Error> {
        let mut threads = self.behind.threads()?;
        threads.push(self.upcalls.tid());
        if let Looks::Ever(workers) = &self.mirror {
            threads.extend(workers.iter().map(Worker::tid));
        }
        Ok(threads)
    }

    fn check(&self) -> Result<(), Error> {
        self.behind.check()?;
        self.upcalls.check()?;
        match &self.mirror {
            Looks::Ever(workers) => workers
                .iter()
                .try_for_each(|worker| check(worker, "mirroring the flows of the switch")),
            Looks::Asked(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(looks: &[u64]) -> Pace {
        let mut pace = Pace::new();
        for took in looks {
            pace.looked(Duration::from_millis(*took));
        }
        pace.news();
        pace
    }

    #[test]
    fn looks_take_a_quarter_of_the_time_at_the_most() {
        assert_eq!(paced(&[400, 400]).pause(), Duration::from_millis(1_200));
        assert_eq!(paced(&[10, 10]).pause(), Duration::from_millis(30));
    }

    #[test]
    fn one_look_that_a_stall_made_long_delays_no_other() {
        assert_eq!(paced(&[10, 10, 5_000]).pause(), Duration::from_millis(30));
        assert_eq!(paced(&[10, 5_000, 10]).pause(), Duration::from_millis(30));
    }
}
