//! One datapath in one direction with so many flows installed.

use super::bench::Bench;
use super::droplet::{CALM, CAUTIOUS, Context, Droplet, Stop};
use super::effort::Effort;
use super::flows::{LEARNED_TOGETHER, Layout, Traffic};
use super::learning::{COARSE, FINE, Learning};
use super::rate;
use super::record::{Cell, Purpose};
use crate::search::Pps;
use crate::tester::{Offer, Watch};
use datapath_api::PortType;
use mizar_wire::Ipv4;
use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub traffic: Traffic,
    pub installed: u32,
    /// The ports of the datapath.
    pub ports: PortType,
    /// The host of peers.
    pub host: Ipv4,
    /// The tester's ceiling.
    pub ceiling: Option<f64>,
    /// The rate found with fewer flows.
    pub before: Option<f64>,
}

/// The highest rate offered where no ceiling is known.
const UNKNOWN_CEILING: f64 = 4e6;

/// A search is not bounded to less than this.
const LEAST_BOUND: f64 = 100_000.0;

/// Measures: latency first, on a droplet with the installed flows and no others, then learning, then the rate.
pub(super) fn measure(
    bench: &mut dyn Bench,
    context: &mut Context<'_>,
    effort: &Effort,
    task: &Task,
) -> Result<Cell, Stop> {
    let learns = task.traffic == Traffic::NewDestinations;
    let layout = Layout {
        traffic: task.traffic,
        installed: task.installed,
        pairs: effort.pairs,
        episodes: if learns { effort.episodes + 1 } else { 0 },
        rounds: effort.rounds,
        fresh: 0,
    };
    let mut cell = Cell {
        datapath: context.name.to_owned(),
        ports: task.ports,
        traffic: task.traffic,
        installed: task.installed,
        unavailable: None,
        warm_up: None,
        rate: None,
        trials: 0,
        disturbed: 0,
        switch: None,
        first: None,
        second: None,
        pairs_lost: 0,
        pairs_disturbed: false,
        learning: None,
    };
    match steps(bench, context, effort, task, layout, &mut cell) {
        Ok(()) => {}
        Err(Stop::Unavailable(why, warm_up)) => {
            cell.unavailable = Some(why);
            cell.warm_up = warm_up.map(|warm_up| *warm_up).or(cell.warm_up);
        }
        Err(stop) => return Err(stop),
    }
    Ok(cell)
}

fn steps(
    bench: &mut dyn Bench,
    context: &mut Context<'_>,
    effort: &Effort,
    task: &Task,
    layout: Layout,
    cell: &mut Cell,
) -> Result<(), Stop> {
    if layout.room() == 0 {
        let why = format!(
            "the tester has frames for {} flows and not for {} and new ones",
            super::flows::MOST_FRAMES,
            task.installed
        );
        return Err(Stop::Unavailable(why, None));
    }
    let warm_up_load = task.before.map_or(CAUTIOUS, |rate| rate / 2.0);
    let (mut droplet, warm_up) = Droplet::new(bench, context, effort, layout, warm_up_load)?;
    cell.warm_up = warm_up;

    let (first, count) = (layout.first_pair(), 2 * layout.pairs);
    let pairs = droplet.frames(Purpose::Pairs, first, count, CALM, Watch::PairLatency)?;
    cell.pairs_lost = pairs.intended.saturating_sub(pairs.received);
    cell.pairs_disturbed = pairs.disturbed.is_some();
    cell.first = pairs.latency;
    cell.second = pairs.second_latency;

    if layout.episodes > 0 {
        cell.learning = Some(learn(&mut droplet, effort, task.host)?);
    }

    let ceiling = task
        .ceiling
        .map_or(UNKNOWN_CEILING, |ceiling| 2.0 * ceiling);
    // A search whose first loads are near the rate needs fewer trials. What was disturbed must not bound the next.
    let near = task
        .before
        .map_or(ceiling, |rate| (2.0 * rate).min(ceiling));
    let most = near.max(LEAST_BOUND);
    match rate::of_droplet(&mut droplet, effort, most) {
        Ok(found) => {
            cell.rate = Some(found.rate);
            cell.trials = found.trials;
            cell.disturbed = found.disturbed;
            cell.switch = found.switch;
        }
        // The figures above stand: their droplet did hold the flows.
        Err(Stop::Unavailable(why, _)) => cell.rate = Some(rate::none(why)),
        Err(stop) => return Err(stop),
    }
    Ok(())
}

/// Watches paths being learned: with fine rounds, and with coarse ones where that was too short for all.
fn learn(droplet: &mut Droplet<'_, '_>, effort: &Effort, host: Ipv4) -> Result<Learning, Stop> {
    // One round is sent before the answers, one is the answers.
    let rounds = effort.rounds.saturating_sub(2);
    let mut learning = Learning::new(FINE, rounds);
    for number in 0..effort.episodes {
        episode(droplet, number, FINE, host, &mut learning)?;
    }
    if !learning.is_complete() {
        let mut coarse = Learning::new(COARSE, rounds);
        episode(droplet, effort.episodes, COARSE, host, &mut coarse)?;
        if coarse.is_complete() || learning.first_straight.is_empty() {
            return Ok(coarse);
        }
    }
    Ok(learning)
}

fn episode(
    droplet: &mut Droplet<'_, '_>,
    number: u32,
    round: Duration,
    host: Ipv4,
    learning: &mut Learning,
) -> Result<(), Stop> {
    droplet.keep_warm()?;
    let layout = droplet.layout();
    let load = f64::from(LEARNED_TOGETHER) / round.as_secs_f64();
    let watch = Watch::DirectPath {
        round: LEARNED_TOGETHER,
        host,
    };
    let offer = |skipped: u32, rounds: u32| -> Result<Offer, Stop> {
        Ok(Offer {
            load: Pps::new(load).map_err(|e| Stop::Failed(e.to_string()))?,
            duration: round * rounds,
            first_entry: layout.episode(number) + skipped * LEARNED_TOGETHER,
            watch,
        })
    };
    // A trial of its own, which waits for its frames: none of them may come behind the answers.
    let (_, early) = droplet.trial(Purpose::Learning, &offer(0, 1)?)?;
    let rounds = layout.rounds.saturating_sub(1);
    let (_, straight) = droplet.trial(Purpose::Learning, &offer(1, rounds)?)?;
    let straight = straight.get(..rounds as usize).unwrap_or(&straight);
    learning.add(early.iter().sum(), straight);
    Ok(())
}
