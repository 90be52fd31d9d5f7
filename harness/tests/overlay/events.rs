//! What happens to overlays while packets cross them: endpoints move and are deleted, hosts die.

use super::datapath;
use datapath_api::Datapath;
use harness::environment::Placement;
use harness::record::{EventKind, EventRecord, StepKind};
use harness::run::event::{self, Watched};
use harness::tester::{FrameSize, Workload};
use libtest_mimic::Failed;
use std::time::Duration;
use topologies::catalogue;
use topologies::provision::Extensions;
use topologies::topology::{DirectPathState, Parameters};

/// How long an event is watched at most, give or take.
const LONGEST: Duration = Duration::from_secs(30);
/// Rounds of which no frame is missing, one after the other, that show that an event is over: the machine may stall in others.
const WHOLE: usize = 100;

/// Without the direct path: frames arrive at the new host after a migration, at none after a deletion, and at the new host
/// again some time after the old one died. With it, and nobody who answers, they are lost for good, unless droplets do what
/// Mizar designed and has not built.
pub fn all() -> Result<(), Failed> {
    let datapath = datapath("kernel-xdp")?;
    let topology = catalogue::find("bounce", Parameters::default())?;
    let states = [DirectPathState::Cold, DirectPathState::Warm];
    let all = states.map(|state| topology.clone().in_state(state));
    let all = all.iter().flat_map(event::with_and_without_extensions);
    for topology in all {
        let is_extended = topology.extensions() != Extensions::default();
        let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
        for event in topology.events() {
            let watched = Watched {
                topology: &topology,
                event,
                workload: &workload,
                duration: Duration::from_millis(match event.kind {
                    // Until it is found dead by probes.
                    EventKind::Failure if is_extended => 2_000,
                    _ => 600,
                }),
                carries: None,
                meeting: None,
            };
            let record = to_its_end(&watched, datapath.as_ref(), "bounce")?;
            let told = || format!("{:?}, {}", topology.direct_path(), told(&record));
            let from = (record.done_ms / record.round_ms) as usize + 1;
            let arrived_after: u32 = record.received.iter().skip(from).sum();
            let finds_its_way = is_extended || topology.direct_path() == DirectPathState::Cold;
            let arrives = finds_its_way && event.kind != EventKind::Deletion;
            if (arrived_after > 0) != arrives || record.corrupted + record.foreign > 0 {
                return Err(told().into());
            }
            let of_kind = |kinds: &[StepKind]| -> Vec<_> {
                let steps = record.steps.iter();
                let steps = steps.filter(|step| kinds.contains(&step.kind));
                steps.map(|step| step.what.as_str()).collect()
            };
            let (bouncer, right) = ("bouncer has its new tables", "right has its new tables");
            let expected: &[&str] = match event.kind {
                EventKind::Migration | EventKind::Deletion => &[bouncer, right],
                EventKind::Failure => &["right goes dead", bouncer],
            };
            // Who has a direct path there finds out by itself, and who has none does not ask.
            let found = of_kind(&[StepKind::FoundDead]);
            let finds = is_extended
                && event.kind == EventKind::Failure
                && topology.direct_path() == DirectPathState::Warm;
            let is_found = found.contains(&"left finds right dead") == finds;
            let done = of_kind(&[StepKind::Died, StepKind::Told]);
            let lost_while_dead = record.lost_after() > 0;
            if done != expected || !is_found || event.kind == EventKind::Failure && !lost_while_dead
            {
                return Err(told().into());
            }
        }
    }
    Ok(())
}

/// What happens to a trial's packets of a topology whose droplets have all extensions, and whose flows have found their direct
/// paths.
fn happens(
    name: &str,
    topology: &str,
    kind: EventKind,
    duration: Duration,
) -> Result<EventRecord, Failed> {
    let overlay = catalogue::find(topology, Parameters::default())?;
    let overlay = overlay
        .in_state(DirectPathState::Warm)
        .with_extensions(Extensions::ALL);
    let workload = Workload::new(&overlay.traffic(), FrameSize::Bytes(64), 1)?;
    let mut events = overlay.events().iter();
    let watched = Watched {
        topology: &overlay,
        event: events
            .find(|event| event.kind == kind)
            .ok_or("nothing of the kind happens there")?,
        workload: &workload,
        duration,
        carries: None,
        meeting: None,
    };
    let record = to_its_end(&watched, datapath(name)?.as_ref(), topology)?;
    if record.corrupted + record.foreign > 0 {
        return Err(told(&record).into());
    }
    Ok(record)
}

/// Where a host dies, the others find out by probes that its datapath and theirs carry, and frames arrive at the host that
/// takes its place.
pub fn dead_hosts(name: &str) -> Result<(), Failed> {
    let record = happens(name, "bounce", EventKind::Failure, Duration::from_secs(3))?;
    let steps = record.steps.iter();
    let mut found = steps.filter(|step| step.kind == StepKind::FoundDead);
    let is_found = found.any(|step| step.what == "left finds right dead");
    if !is_found || !is_whole_again(&record) {
        return Err(told(&record).into());
    }
    Ok(())
}

/// Once an endpoint is deleted no frame arrives there any more, by the direct path of its flow neither.
pub fn deleted(name: &str) -> Result<(), Failed> {
    let record = happens(name, "bounce", EventKind::Deletion, Duration::from_secs(3))?;
    let is_before = |round: &usize| (*round as f64) < record.done_ms / record.round_ms;
    let rounds = record.received.iter().enumerate();
    let mut before = rounds.clone().filter(|(round, _)| is_before(round));
    let has_carried = before.any(|(_, received)| *received > 0);
    // A cache may remember it until it is looked through again.
    let last = rounds.rev().take(WHOLE);
    if !has_carried || last.map(|(_, received)| received).any(|it| *it > 0) {
        return Err(told(&record).into());
    }
    Ok(())
}

/// Watches until some time after what is done was done. Where the machine stalls meanwhile, it is watched anew, for longer.
fn to_its_end(
    watched: &Watched<'_>,
    datapath: &dyn Datapath,
    scenario: &str,
) -> Result<EventRecord, Failed> {
    let mut duration = watched.duration;
    loop {
        let watched = Watched {
            duration,
            ..*watched
        };
        let record = watched.of(datapath, scenario, Placement::choose()?)?;
        let needed = record.done_ms + WHOLE as f64 * record.round_ms;
        if needed < duration.as_secs_f64() * 1e3 || duration > LONGEST {
            return Ok(record);
        }
        duration *= 4;
    }
}

/// A record in as few words as say what became of its frames.
fn told(record: &EventRecord) -> String {
    let runs = record.received.chunk_by(|one, next| one == next);
    let runs = runs.map(|run| format!("{} of {}", run.len(), run[0]));
    let received = runs.collect::<Vec<_>>().join(", ");
    let record = EventRecord {
        received: Vec::new(),
        ..record.clone()
    };
    format!("{record:?}, rounds of so many frames received: {received}")
}

/// Whether all frames arrived again for a while, once what an event is was done.
fn is_whole_again(record: &EventRecord) -> bool {
    let from = (record.done_ms / record.round_ms) as usize + 1;
    let after = record.received.get(from..).unwrap_or_default();
    let mut windows = after.windows(WHOLE);
    windows.any(|rounds| rounds.iter().all(|it| *it >= record.frames_a_round))
}

/// Where endpoints moved away from a direct path, frames arrive again, whatever a datapath remembers of their flows.
pub fn stale_paths_heal(name: &str) -> Result<(), Failed> {
    let migration = EventKind::Migration;
    let record = happens(name, "inter-network", migration, Duration::from_secs(2))?;
    if !is_whole_again(&record) {
        return Err(told(&record).into());
    }
    Ok(())
}
