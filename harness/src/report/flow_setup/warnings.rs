//! When figures of flow setup should not be trusted, in words.

use crate::flow_setup::record::{Cell, Header};
use crate::record::{Environment, Latency};
use crate::report::warnings::busy_machine;
use crate::report::{text, units};

/// A rate this near to the tester's ceiling is the tester's.
const BOUND: f64 = 0.95;
/// Loss of pairs from which on their latency is that of a selection.
const LOST: f64 = 0.005;
/// First packets this much slower than second ones tell whether flows are held.
const TELLING: f64 = 1.3;
/// Fewer frames than these above a percentile make it a matter of chance.
const FEW: u64 = 10;

/// What is to be said of a run as a whole.
pub(super) fn of_run(header: &Header) -> Vec<String> {
    of_machine(&header.environment, &header.profile)
}

/// What is to be said of a run of this profile on this machine.
pub(in crate::report) fn of_machine(environment: &Environment, profile: &str) -> Vec<String> {
    let mut out = Vec::new();
    if !environment.is_optimised() {
        out.push("the program was built with runtime checks: no figure is worth anything; start it by `cargo run --bin bench`".to_owned());
    }
    if profile == "smoke" {
        out.push(
            "profile smoke shows that everything works; no figure of it is worth quoting"
                .to_owned(),
        );
    }
    if environment.datapath_cpu == environment.tester_cpu {
        out.push("datapath and tester shared one processor and slowed each other".to_owned());
    }
    out.extend(busy_machine(environment));
    out
}

/// What is to be said of a cell.
pub(super) fn of_cell(cell: &Cell, ceiling: Option<f64>) -> Vec<String> {
    let mut out = Vec::new();
    if cell.unavailable.is_some() {
        return out;
    }
    rate(cell, ceiling, &mut out);
    latency(cell, &mut out);
    if let (Some(held), Some(first), Some(second)) = (
        cell.warm_up
            .as_ref()
            .and_then(|warm_up| warm_up.held.as_ref()),
        &cell.first,
        &cell.second,
    ) && !is_held(held, first, second)
    {
        out.push(format!(
            "the flows installed first may no longer be held: their packets took {} µs (median), which is nearer to \
             first packets than to second ones",
            units::micros(held.p50_ns)
        ));
    }
    learning(cell, &mut out);
    if let Some(switch) = &cell.switch
        && switch.upcalls_failed > 0
    {
        out.push(format!(
            "{} of the switch failed during the search: packets were lost on the way to its slow path, or their flows \
             found no room",
            text::count(switch.upcalls_failed, "upcall", "upcalls")
        ));
    }
    let lost = cell
        .switch
        .as_ref()
        .and_then(|switch| switch.packet_ins_lost);
    if let Some(lost) = lost.filter(|lost| *lost > 0) {
        out.push(format!(
            "{} lost on the way to the controller during the search: the switch's queue for it was full",
            text::count(lost, "packet was", "packets were")
        ));
    }
    out
}

fn rate(cell: &Cell, ceiling: Option<f64>, out: &mut Vec<String>) {
    let Some(rate) = &cell.rate else {
        return;
    };
    if let Some(why) = &rate.irregular {
        out.push(format!("the search for a rate is irregular: {why}"));
    }
    match (rate.throughput, ceiling) {
        (Some(rate), Some(ceiling)) if rate >= ceiling * BOUND => out.push(
            "tester-bound: within 5 % of the tester's own ceiling; the datapath may be faster"
                .to_owned(),
        ),
        (Some(_), None) => out.push("the tester's ceiling is not known".to_owned()),
        _ => {}
    }
    if cell.disturbed > 0 {
        out.push(format!(
            "{} of {} trials of the search were disturbed by other work of the machine",
            cell.disturbed, cell.trials
        ));
    }
}

fn latency(cell: &Cell, out: &mut Vec<String>) {
    if cell.pairs_disturbed {
        out.push("latency was taken while other work disturbed".to_owned());
    }
    let counted =
        [&cell.first, &cell.second].map(|latency| latency.as_ref().map_or(0, |l| l.count));
    let came: u64 = counted.iter().sum();
    if cell.pairs_lost as f64 > LOST * (cell.pairs_lost + came) as f64 {
        out.push(format!(
            "{} of {} first and second packets were lost at a low rate; lost ones have no latency",
            cell.pairs_lost,
            cell.pairs_lost + came
        ));
    }
    if counted.iter().any(|count| count / 100 < FEW) {
        out.push("fewer than ten packets lie above the 99th percentile of latency".to_owned());
    }
}

fn learning(cell: &Cell, out: &mut Vec<String>) {
    let Some(learning) = &cell.learning else {
        return;
    };
    if learning.early > 0 {
        out.push(format!(
            "{} went straight before the answer was sent: paths were known that must not be",
            text::count(learning.early, "packet", "packets")
        ));
    }
    if !learning.is_complete() {
        out.push(format!(
            "{} of {} direct paths were not seen learned within {} ms",
            learning.peers as usize - learning.first_straight.len().min(learning.peers as usize),
            learning.peers,
            learning.watched_ns / 1_000_000
        ));
    }
}

/// Whether `held` is like second packets; true where first and second ones hardly differ.
fn is_held(held: &Latency, first: &Latency, second: &Latency) -> bool {
    let (first, second) = (first.p50_ns as f64, second.p50_ns.max(1) as f64);
    first < second * TELLING || (held.p50_ns as f64) < (first * second).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(p50_ns: u64) -> Latency {
        Latency {
            count: 1_000,
            p50_ns,
            p90_ns: p50_ns,
            p99_ns: p50_ns,
            p999_ns: p50_ns,
            max_ns: p50_ns,
            histogram: Vec::new(),
        }
    }

    #[test]
    fn a_busy_machine_is_told() {
        let mut header = crate::report::flow_setup::tests::header(1);
        assert!(of_run(&header).is_empty());
        let note = |busy: u64| vec![format!("{}{busy} %", crate::environment::BUSY)];
        header.environment.notes = note(4);
        assert!(of_run(&header).is_empty());
        header.environment.notes = note(38);
        assert!(of_run(&header)[0].contains("38 %"));
    }

    #[test]
    fn flows_are_held_if_their_packets_are_like_second_ones() {
        let (first, second) = (latency(90_000), latency(10_000));
        assert!(is_held(&latency(12_000), &first, &second));
        assert!(!is_held(&latency(80_000), &first, &second));
        let alike = latency(11_000);
        assert!(is_held(&latency(80_000), &alike, &second), "nothing tells");
    }
}
