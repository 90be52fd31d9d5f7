//! Runs of the reference datapath on rings, on processors that somebody moves.

use super::*;
use crate::record::{ResultRecord, TrialRecord};
use crate::report::RunFolder;
use datapath_reference::Reference;
use netdev::Cpu;
use std::sync::atomic::AtomicU32;
use topologies::catalogue;
use topologies::topology::Parameters;

const NEAR: Duration = Duration::from_nanos(95);
const FAR: Duration = Duration::from_nanos(390);

fn plan() -> Plan {
    let topology = catalogue::find("encap", Parameters::default()).unwrap();
    Plan {
        profile: Profile::Smoke,
        datapaths: vec![Box::<Reference>::default()],
        scenarios: vec![Task::new(topology, FrameSize::Bytes(64), false)],
        seed: 1,
        measure_anyway: false,
        command: Vec::new(),
        meeting: None,
    }
}

/// Runs it with distances that `round_trip` tells.
fn recorded(round_trip: fn(Cpu, Cpu) -> Option<Duration>) -> (Summary, RunFolder) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let placement = Placement::choose().unwrap().with_round_trip(round_trip);
    let interrupted = AtomicBool::new(false);
    let summary = run_placed(&plan(), placement, &out, &Silent, &interrupted).unwrap();
    (summary, RunFolder::read(&out).unwrap())
}

fn trials(run: &RunFolder) -> impl Iterator<Item = &TrialRecord> {
    run.records.iter().filter_map(|record| match record {
        Record::Trial(trial) => Some(trial),
        _ => None,
    })
}

fn results(run: &RunFolder) -> Vec<&ResultRecord> {
    let results = run.records.iter().filter_map(|record| match record {
        Record::Result(result) => Some(result),
        _ => None,
    });
    results.collect()
}

#[test]
fn on_processors_that_stay_there_is_one_distance() {
    let (summary, run) = recorded(|_, _| Some(NEAR));
    assert_eq!((summary.results, summary.failures), (1, 0));
    assert!(trials(&run).all(|trial| trial.distance == 0));
    let [result] = results(&run)[..] else {
        panic!("{} results", results(&run).len());
    };
    assert_eq!(result.round_trip_ns, Some(95));
    assert_eq!(result.rates.len(), 2);
}

#[test]
fn where_distances_cannot_be_measured_all_is_of_one() {
    let (summary, run) = recorded(|_, _| None);
    assert_eq!((summary.results, summary.failures), (1, 0));
    assert!(trials(&run).all(|trial| trial.distance == 0 && trial.round_trip_ns.is_none()));
    assert_eq!(results(&run).len(), 1);
}

/// Here and there in turns, sometimes in the middle of a trial.
#[test]
fn what_counts_is_of_one_distance_however_often_processors_are_moved() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let (summary, run) = recorded(|_, _| {
        let turn = CALLS.fetch_add(1, Ordering::Relaxed) / 37;
        Some(if turn.is_multiple_of(2) { NEAR } else { FAR })
    });
    assert_eq!((summary.results, summary.failures), (1, 0));
    let of = |distance: u32| if distance == 0 { 95 } else { 390 };
    let mut counted = [0, 0];
    for trial in trials(&run).filter(|trial| !trial.repeated) {
        assert_eq!(trial.round_trip_ns, Some([of(trial.distance); 2]));
        counted[trial.distance as usize] += 1;
    }
    assert!(counted.iter().all(|count| *count > 5), "{counted:?}");
    assert!(trials(&run).any(|trial| trial.repeated));
    for result in results(&run) {
        assert_eq!(result.round_trip_ns, Some(of(result.distance).into()));
    }
}

/// A slow reading now and then is none of another place.
#[test]
fn a_reading_that_is_off_moves_nothing() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let (_, run) = recorded(|_, _| {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        Some(if call % 11 == 10 { FAR * 3 } else { NEAR })
    });
    assert_eq!(results(&run).len(), 1);
    assert!(trials(&run).all(|trial| trial.distance == 0));
}
