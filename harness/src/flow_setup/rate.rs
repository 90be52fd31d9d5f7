//! The search for the highest rate of new flows.

use super::droplet::{Droplet, Stop};
use super::effort::{Effort, LOSS};
use super::record::TrialRecord;
use crate::record::Rate;
use crate::search::{Counters, Pps, Search, Status, Step, Trial};
use datapath_api::SwitchCounters;
use std::time::{Duration, Instant};

/// The lowest rate offered.
pub const LEAST: f64 = 1_000.0;
/// How often a disturbed trial is made at the most.
const ATTEMPTS: u32 = 2;

/// What a search came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The rate; its `irregular` says so where time ran out.
    pub rate: Rate,
    /// Trials made.
    pub trials: u32,
    /// Those of them that were disturbed.
    pub disturbed: u32,
    /// The highest rate of a single trial with little loss.
    pub fastest: Option<f64>,
    /// What a switch counted inside, all trials together.
    pub switch: Option<Box<SwitchCounters>>,
}

/// Searches for the highest rate up to `most` by trials of `offer`, for as long as the effort allows.
pub(super) fn find(
    effort: &Effort,
    most: f64,
    mut offer: impl FnMut(Pps, Duration) -> Result<TrialRecord, Stop>,
) -> Result<Found, Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::Failed(format!("rate search: {error}"));
    let least = Pps::new(LEAST).map_err(|e| failed(&e))?;
    let most = Pps::new(most.max(2.0 * LEAST)).map_err(|e| failed(&e))?;
    let mut search = Search::new(effort.search(least, most)).map_err(|e| failed(&e))?;
    let began = Instant::now();
    let (mut trials, mut disturbed, mut fastest) = (0, 0, None);
    let mut out_of_time = false;
    let mut switch: Option<Box<SwitchCounters>> = None;
    while let Step::Measure { load, duration } = search.next() {
        if began.elapsed() > effort.patience {
            out_of_time = true;
            break;
        }
        let mut attempts = 1;
        let mut record = offer(load, duration)?;
        while record.disturbed.is_some() && attempts < ATTEMPTS {
            record = offer(load, duration)?;
            attempts += 1;
        }
        if let Some(inside) = &record.switch {
            let sum = switch.map_or_else(|| (**inside).clone(), |sum| sum.and(inside));
            switch = Some(Box::new(sum));
        }
        trials += 1;
        disturbed += u32::from(record.disturbed.is_some());
        if record.loss() <= LOSS {
            let rate = record.received as f64 / record.duration_seconds;
            fastest = Some(fastest.map_or(rate, |best: f64| best.max(rate)));
        }
        let counters = Counters {
            intended: record.intended,
            offered: record.offered,
            received: record.received,
        };
        let trial = Trial::new(load, duration, duration, counters).map_err(|e| failed(&e))?;
        search.record(trial).map_err(|e| failed(&e))?;
    }
    let result = search.result();
    let Some(goal) = result.goals.first() else {
        return Err(Stop::Failed("rate search: it has no goal".to_owned()));
    };
    let lower = goal
        .lower
        .or(goal.estimate.and_then(|estimate| estimate.lower));
    let upper = goal
        .upper
        .or(goal.estimate.and_then(|estimate| estimate.upper));
    let irregular = match goal.status {
        Status::Regular => None,
        Status::Irregular(_) if out_of_time => Some(format!(
            "its {:.1} s ran out after {trials} trials",
            effort.patience.as_secs_f64()
        )),
        Status::Irregular(reason) => Some(reason.to_string()),
    };
    let rate = Rate {
        goal: goal.goal.name().to_owned(),
        loss_ratio: goal.goal.loss_ratio().get(),
        lower: lower.map(Pps::get),
        upper: upper.map(Pps::get),
        throughput: goal.conditional_throughput.or(lower).map(Pps::get),
        irregular,
    };
    Ok(Found {
        rate,
        trials,
        disturbed,
        fastest,
        switch,
    })
}

/// No rate, for this reason.
pub(super) fn none(why: String) -> Rate {
    Rate {
        goal: "flow setup".to_owned(),
        loss_ratio: LOSS,
        lower: None,
        upper: None,
        throughput: None,
        irregular: Some(why),
    }
}

/// Searches for the rate at which `droplet` sets up new flows.
pub(super) fn of_droplet(
    droplet: &mut Droplet<'_, '_>,
    effort: &Effort,
    most: f64,
) -> Result<Found, Stop> {
    // More than there are addresses for cannot be offered.
    let room = f64::from(droplet.layout().room()) / effort.trial.as_secs_f64() * 0.95;
    find(effort, most.min(room), |load, duration| {
        droplet.new_flows(load, duration)
    })
}
