//! A droplet with flows installed: deploying it, warming it up, keeping it warm.

use super::bench::Bench;
use super::effort::{Effort, LOSS};
use super::flows::{Layout, Traffic};
use super::record::{Purpose, Record, TrialRecord, WarmUp};
use crate::lines::LogError;
use crate::record::Latency;
use crate::run::distances;
use crate::search::Pps;
use crate::tester::{Offer, Watch};
use std::time::{Duration, Instant};

/// Frames per second at which latency is taken: a frame every half millisecond, so that one is dealt with before
/// the next comes.
pub const CALM: f64 = 2_000.0;
/// Frames per second of a warm-up, where nothing is known of what a datapath can take.
pub const CAUTIOUS: f64 = 20_000.0;
/// Frames per second of a warm-up at the most.
const HASTY: f64 = 1e6;
/// Installed flows whose latency tells whether they are held still.
const SAMPLE: u32 = 500;
/// Passes over the flows that install them, at the most, whatever time is left.
const PASSES: u32 = 40;
/// After this long without packets flows are passed over again: Open vSwitch lets idle ones go after 10 s.
const IDLE: Duration = Duration::from_secs(4);

/// Why a droplet gave no figure.
#[derive(Debug)]
pub(super) enum Stop {
    /// Nothing can be recorded.
    Log(LogError),
    /// The datapath or the tester failed, for this reason.
    Failed(String),
    /// It cannot hold so many flows, in these words.
    Unavailable(String, Option<Box<WarmUp>>),
    /// The user wants it.
    Interrupted,
}

impl From<LogError> for Stop {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

/// What trials need beside the bench.
pub(super) struct Context<'a> {
    /// Records a line.
    pub record: &'a mut dyn FnMut(&Record) -> Result<(), LogError>,
    /// Whether to stop.
    pub interrupted: &'a dyn Fn() -> bool,
    /// When the run began.
    pub began: Instant,
    /// The datapath.
    pub name: &'a str,
}

/// A droplet with flows installed.
pub(super) struct Droplet<'a, 'b> {
    bench: &'a mut dyn Bench,
    context: &'a mut Context<'b>,
    effort: &'a Effort,
    layout: Layout,
    warm_up_load: f64,
    /// Frames of new flows sent since it was deployed.
    used: u32,
    passed: Instant,
}

impl<'a, 'b> Droplet<'a, 'b> {
    /// Deploys a droplet and installs the flows of `layout`.
    pub fn new(
        bench: &'a mut dyn Bench,
        context: &'a mut Context<'b>,
        effort: &'a Effort,
        layout: Layout,
        warm_up_load: f64,
    ) -> Result<(Self, Option<WarmUp>), Stop> {
        let mut droplet = Self {
            bench,
            context,
            effort,
            layout,
            warm_up_load: warm_up_load.clamp(CALM, HASTY).max(least(effort, &layout)),
            used: 0,
            passed: Instant::now(),
        };
        let mut warm_up = droplet.deploy()?;
        if let Some(warm_up) = &mut warm_up {
            warm_up.held = droplet.sample()?;
        }
        Ok((droplet, warm_up))
    }

    /// What is deployed.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    fn deploy(&mut self) -> Result<Option<WarmUp>, Stop> {
        self.bench.deploy(&self.layout).map_err(Stop::Failed)?;
        self.used = 0;
        if self.layout.installed == 0 {
            return Ok(None);
        }
        self.warm_up().map(Some)
    }

    /// Passes over all flows until one pass after the first loses hardly any, and sees that they are there.
    fn warm_up(&mut self) -> Result<WarmUp, Stop> {
        let began = Instant::now();
        let mut warm_up = WarmUp {
            load: self.warm_up_load,
            passes: 0,
            loss: 1.0,
            direct_paths: None,
            held: None,
        };
        let wanted = u64::from(self.layout.installed);
        loop {
            warm_up.load = self.warm_up_load;
            let pass = self.pass()?;
            warm_up.loss = pass.loss();
            warm_up.passes += 1;
            if warm_up.loss > LOSS {
                self.slow_down();
            }
            if warm_up.passes < 2 {
                continue;
            }
            let mut all = warm_up.loss <= LOSS;
            if all && self.layout.traffic == Traffic::NewSources {
                let held = self.bench.direct_paths().map_err(Stop::Failed)?;
                warm_up.direct_paths = Some(held);
                let missing = wanted.saturating_sub(held);
                // Those whose frames were lost may come with the next pass; others were let go.
                if missing > pass.intended.saturating_sub(pass.received) {
                    let why = format!("the datapath holds {held} direct paths and not {wanted}");
                    return Err(Stop::Unavailable(why, Some(Box::new(warm_up))));
                }
                all = missing as f64 <= wanted as f64 * LOSS;
            }
            if all {
                break;
            }
            if began.elapsed() > self.effort.warm_up || warm_up.passes >= PASSES {
                let why = format!(
                    "{wanted} flows could not be installed within {:.1} s: of the last of {} passes, {:.2} % of the \
                     frames were lost",
                    began.elapsed().as_secs_f64(),
                    warm_up.passes,
                    100.0 * warm_up.loss,
                );
                return Err(Stop::Unavailable(why, Some(Box::new(warm_up))));
            }
        }
        Ok(warm_up)
    }

    /// A pass that lost frames was too fast; the next one is slower.
    fn slow_down(&mut self) {
        let least = least(self.effort, &self.layout);
        self.warm_up_load = (self.warm_up_load / 2.0).max(least);
    }

    /// Latency of a packet each of the flows installed first.
    fn sample(&mut self) -> Result<Option<Latency>, Stop> {
        let count = self.layout.installed.min(SAMPLE);
        let sample = self.frames(Purpose::Held, 0, count, CALM, Watch::Latency)?;
        Ok(sample.latency)
    }

    /// One pass over all installed flows.
    fn pass(&mut self) -> Result<TrialRecord, Stop> {
        let (count, load) = (self.layout.installed, self.warm_up_load);
        let pass = self.frames(Purpose::WarmUp, 0, count, load, Watch::Counts);
        self.passed = Instant::now();
        pass
    }

    /// Passes over the flows again if their last pass is long ago.
    pub fn keep_warm(&mut self) -> Result<(), Stop> {
        if self.layout.installed > 0 && self.passed.elapsed() > IDLE {
            self.pass()?;
        }
        Ok(())
    }

    /// Offers `count` frames from `first` on at `load`.
    pub fn frames(
        &mut self,
        purpose: Purpose,
        first: u32,
        count: u32,
        load: f64,
        watch: Watch,
    ) -> Result<TrialRecord, Stop> {
        let load = Pps::new(load).map_err(|e| Stop::Failed(e.to_string()))?;
        let offer = Offer {
            load,
            duration: Duration::from_secs_f64(f64::from(count) / load.get()),
            first_entry: first,
            watch,
        };
        self.trial(purpose, &offer).map(|(trial, _)| trial)
    }

    /// One trial; with it, frames on the direct path by round.
    pub fn trial(
        &mut self,
        purpose: Purpose,
        offer: &Offer,
    ) -> Result<(TrialRecord, Vec<u64>), Stop> {
        if (self.context.interrupted)() {
            return Err(Stop::Interrupted);
        }
        let at_seconds = self.context.began.elapsed().as_secs_f64();
        let observed = self.bench.offer(offer).map_err(Stop::Failed)?;
        let report = observed.report;
        let trial = TrialRecord {
            at_seconds,
            datapath: self.context.name.to_owned(),
            traffic: self.layout.traffic,
            installed: self.layout.installed,
            purpose,
            load: offer.load.get(),
            duration_seconds: offer.duration.as_secs_f64(),
            intended: report.intended,
            offered: report.offered,
            received: report.arrived.received,
            corrupted: report.arrived.corrupted,
            foreign: report.arrived.foreign,
            latency: report.latency,
            second_latency: report.odd_latency,
            datapath_cpu_ns: observed.used.running.as_nanos() as u64,
            steal_ns: observed.stolen.as_nanos() as u64,
            round_trip_ns: observed.apart.map(distances::in_whole_nanoseconds),
            disturbed: observed.disturbed,
            switch: observed.switch,
        };
        (self.context.record)(&Record::Trial(trial.clone()))?;
        Ok((trial, report.direct))
    }

    /// Offers `load` for `duration`, each frame of a new flow.
    ///
    /// Goes on in the address space while the flows that were added are no more than those installed at first. Then,
    /// and where the space is used up, a droplet is deployed anew and warmed up again, and the same new flows are new
    /// to it.
    pub fn new_flows(&mut self, load: Pps, duration: Duration) -> Result<TrialRecord, Stop> {
        // As many as the tester makes of it, and one for rounding.
        let wanted = (load.get() * duration.as_secs_f64()).ceil() as u32 + 1;
        let count = wanted.min(self.layout.room());
        let left = self.layout.fresh.saturating_sub(self.used);
        let too_many = self.used > 0 && self.used.saturating_add(count) > self.layout.installed;
        if too_many || count > left {
            let room = self.layout.room();
            self.layout.fresh = count.max(self.layout.installed).min(room);
            self.deploy()?;
        } else {
            self.keep_warm()?;
        }
        let offer = Offer {
            load,
            duration: duration.mul_f64((f64::from(count) / f64::from(wanted)).min(1.0)),
            first_entry: self.layout.first_fresh() + self.used,
            watch: Watch::Counts,
        };
        self.used += count;
        self.trial(Purpose::Search, &offer).map(|(trial, _)| trial)
    }
}

/// The lowest rate at which there is time for two passes over the flows of `layout`, and for a part of a third.
fn least(effort: &Effort, layout: &Layout) -> f64 {
    (f64::from(layout.installed) * 2.5 / effort.warm_up.as_secs_f64()).max(CALM)
}

impl Droplet<'_, '_> {
    /// Offers `load` for `duration` over all frames in turn, for what keeps no flows.
    pub fn all_flows(&mut self, load: Pps, duration: Duration) -> Result<TrialRecord, Stop> {
        let offer = Offer {
            load,
            duration,
            first_entry: 0,
            watch: Watch::Counts,
        };
        self.trial(Purpose::Ceiling, &offer).map(|(trial, _)| trial)
    }
}
