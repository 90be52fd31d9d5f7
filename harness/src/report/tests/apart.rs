//! Searches at two distances of processors.

use super::fixture;
use crate::record::{Purpose, Record, ResultRecord, TrialRecord};
use crate::report::RunFolder;
use crate::report::figures::Figures;

/// The run, as it would be with everything at another distance as well, where half as much is carried.
fn twice(results: impl Fn(&ResultRecord) -> bool) -> RunFolder {
    let mut folder = fixture::run();
    let mut far = Vec::new();
    for record in &mut folder.records {
        match record {
            Record::Result(result) => {
                result.round_trip_ns = Some(96);
                if results(result) {
                    far.push(Record::Result(halved(result)));
                }
            }
            Record::Trial(trial) => far.push(Record::Trial(TrialRecord {
                distance: 1,
                load: trial.load / 2.0,
                ..trial.clone()
            })),
            _ => {}
        }
    }
    folder.records.extend(far);
    folder
}

fn halved(result: &ResultRecord) -> ResultRecord {
    let mut result = result.clone();
    (result.distance, result.round_trip_ns) = (1, Some(391));
    for rate in &mut result.rates {
        for figure in [&mut rate.lower, &mut rate.upper, &mut rate.throughput] {
            *figure = figure.map(|it| it / 2.0);
        }
    }
    result
}

#[test]
fn what_is_shown_is_of_one_distance() {
    let folder = fixture::run();
    let alone = Figures::of(&folder);
    let folder = twice(|_| true);
    let both = Figures::of(&folder);
    for ((_, one), (scenario, cell)) in alone.cells().zip(both.cells()) {
        assert_eq!(one.pdr(), cell.pdr(), "{} {}", scenario.id, cell.datapath);
        assert_eq!(one.latencies, cell.latencies);
        assert_eq!(one.losses, cell.losses);
        assert_eq!(one.refused, cell.refused);
        assert!(cell.trials.iter().all(|trial| trial.distance == 0));
        assert!(!cell.is_elsewhere);
        if cell.result.is_some() {
            assert_eq!(scenario.apart.unwrap().round_trip_ns, 96.0);
        }
    }
    let told = both.warnings.iter().any(|it| it.contains("results"));
    assert!(!told, "one for each distance is as it should be");
}

/// A search that processors kept from its end at the distance at which the others ended.
#[test]
fn who_was_measured_elsewhere_is_compared_with_nobody() {
    let mut folder = twice(|result| result.datapath == "kernel-xdp");
    folder.records.retain(|record| match record {
        Record::Result(it) => it.datapath != "kernel-xdp" || it.distance == 1,
        Record::Trial(it) => {
            it.datapath != "kernel-xdp" || it.distance == 1 || it.purpose == Purpose::Ceiling
        }
        _ => true,
    });
    let figures = Figures::of(&folder);
    let mut cells = figures
        .cells()
        .filter(|(it, _)| it.id == fixture::SCENARIOS[0]);
    let (scenario, cell) = cells.find(|(_, it)| it.datapath == "kernel-xdp").unwrap();
    assert!(cell.is_elsewhere && !cell.losses.is_empty());
    assert_eq!(
        scenario.lead.words(),
        "not decided: processors were at another distance with kernel-xdp"
    );
    let told = |it: &String| it.contains("kernel-xdp") && it.contains("not to be compared");
    assert!(figures.warnings.iter().any(told));
}
