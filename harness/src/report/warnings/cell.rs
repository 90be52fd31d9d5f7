//! What concerns one datapath in one scenario.

use crate::record::{PortType, Purpose, Rate, ResultRecord, TrialRecord};
use crate::report::cell::{BUSY, Cell, Check, HELD_ABOVE};
use crate::report::latency::failed_unsent;
use crate::report::{inside, text, units};

/// What concerns one datapath in one scenario, to be put behind their names.
pub(super) fn of(cell: &Cell<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let mut says = |words: &str| out.push(format!(" {words}"));
    match (&cell.check, cell.result) {
        (Check::Failed(..), Some(_)) => says(
            "forwards some frames otherwise than the oracle says; its figures are marked unverified and must not be used.",
        ),
        (Check::Failed(..), None) => {
            says("failed verification and was not measured; see the differences in its scenario.")
        }
        (Check::Absent, Some(_)) if cell.doubt() == Some("not checked") => says(
            "has no record of a verification; its figures are marked not checked. Run bench verify.",
        ),
        (_, Some(result)) if result.unverified => says(
            "was measured without passing verification; its figures are marked unverified and must not be used.",
        ),
        (_, None) if cell.failures.is_empty() => {
            says("has no result: the run was interrupted or is still going on.");
        }
        _ => {}
    }
    if cell.is_elsewhere {
        says(
            "was never measured to the end at the distance of processors that the rest of its scenario shows; its NDR, PDR and latency are of another, and not to be compared with the rest. Run again.",
        );
    }
    let detached = |result: &ResultRecord| result.ports == PortType::Detached;
    if cell.result.is_some_and(detached) {
        says(
            "was measured without ports; the figures leave out all cost of sending and receiving.",
        );
    }
    if let Some(share) = cell.share_of_ceiling() {
        if share > HELD_ABOVE {
            says(
                "carried more than the tester's ceiling, which therefore was measured too low. Repeat the run on an idle machine.",
            );
        } else if cell.is_tester_bound() {
            says(
                "is tester-bound: PDR is within 5 % of what the tester can do itself, and the datapath may be faster.",
            );
        }
    } else if cell.result.is_some() && cell.ceiling().is_none() {
        says(
            "has no tester's ceiling: whether the datapath or the tester set the figures is unknown.",
        );
    }
    for (name, rate) in [("NDR", cell.ndr()), ("PDR", cell.pdr())] {
        if rate.is_some_and(|rate| unsent_decided(cell, rate)) {
            out.push(format!(": the upper bound of {name} comes from frames the tester failed to send, not from frames the datapath lost; it may carry more."));
        }
    }
    fastest(cell, &mut out);
    upcalls(cell, &mut out);
    latency(cell, &mut out);
    disturbed(cell, &mut out);
    disturbed_in_rounds(cell, &mut out);
    damaged(cell, &mut out);
    out
}

/// What the fastest trial says of PDR and of the processor.
fn fastest(cell: &Cell<'_>, out: &mut Vec<String>) {
    let Some(fastest) = cell.fastest() else {
        return;
    };
    if cell.is_contradicted() {
        out.push(
            " carried clearly more within PDR's loss in one trial than PDR's upper bound (both beside the figure): a few trials that lost frames decided it. Repeat the run on an idle machine, or with a longer profile."
                .to_owned(),
        );
    }
    if cell.has_idle_processor() && cell.polls_busily() {
        out.push(
            " polls, so that nobody knows how busy it was, and the underlay between droplets, which takes time of the tester's processor, may have set PDR."
                .to_owned(),
        );
    } else if cell.has_idle_processor() {
        out.push(format!(
            " left its processor idle for more than {} of its fastest trial: something else, most likely the tester, set PDR, and it may carry more. Compare the processor time per frame.",
            units::percent(1.0 - BUSY)
        ));
    }
    if let Some(null) = cell.null_forward()
        && null.cpu_ns_per_frame >= fastest.cpu_ns_per_frame
    {
        out.push(
            " seems to take less processor time per frame than a null forward: one of the two was disturbed, or ran so far from its limit that it woke for single frames. Do not compare the two."
                .to_owned(),
        );
    }
}

/// What the slow path of a switch had to do with PDR.
fn upcalls(cell: &Cell<'_>, out: &mut Vec<String>) {
    let misses = inside::misses(cell);
    if misses.failed > 0 {
        out.push(format!(
            ": in the trials that decided PDR {} of the switch failed: the slow path could not keep up, or its table of flows was full, and frames were lost or missed the caches again. PDR shows that, not what the caches carry. Use fewer flows, or a longer profile, in which flows are installed once.",
            text::count(misses.failed, "upcall", "upcalls")
        ));
    }
    if misses.packet_ins_lost > 0 {
        out.push(format!(
            ": in the trials that decided PDR {} lost on the way to the controller, for which the switch's queue was full. PDR shows how fast the controller decides, not what the switch's caches carry. Use fewer flows, or a longer profile, in which flows are decided once.",
            text::count(misses.packet_ins_lost, "packet was", "packets were")
        ));
    }
    if let Some(share) = misses.many() {
        out.push(format!(
            ": in the trials that decided PDR {} of all lookups missed the switch's caches and went to its slow path. PDR shows how fast it sets up flows rather than how fast it forwards.",
            units::percent(share)
        ));
    }
}

/// Latency of frames that were not all there.
fn latency(cell: &Cell<'_>, out: &mut Vec<String>) {
    let allowed = cell.pdr().map_or(0.0, |pdr| pdr.loss_ratio);
    if cell.latencies.iter().any(|figure| figure.loss > allowed) {
        out.push(
            ": while latency was taken more frames were lost or never sent than PDR allows (column Lost). The percentiles are those of the frames that came through."
                .to_owned(),
        );
    }
}

/// Trials that count although something disturbed them.
fn disturbed(cell: &Cell<'_>, out: &mut Vec<String>) {
    let still = |trial: &&&TrialRecord| trial.disturbed.is_some();
    let count = cell.trials.iter().filter(still).count() as u64;
    if count > 0 {
        out.push(format!(
            ": {}. The machine is too busy; repeat the run when it is idle.",
            match count {
                1 => "1 trial was disturbed each time it was made, and counts".to_owned(),
                more => format!(
                    "{} trials were disturbed each time they were made, and count",
                    units::integer(more)
                ),
            }
        ));
    }
}

/// Such trials of rounds. They make the rounds differ more, and so the intervals between datapaths wider.
fn disturbed_in_rounds(cell: &Cell<'_>, out: &mut Vec<String>) {
    let disturbed = cell
        .in_rounds
        .iter()
        .filter(|trial| trial.disturbed.is_some());
    let count = disturbed.count() as u64;
    if count > 0 {
        out.push(format!(
            ": {} of the rounds against others {} disturbed each time, and {}. Intervals are wider for it than on an idle machine.",
            text::count(count, "trial", "trials"),
            if count == 1 { "was" } else { "were" },
            if count == 1 { "counts" } else { "count" },
        ));
    }
}

/// Whether the trials that failed at the upper bound failed mostly by frames that were never sent.
pub(in crate::report) fn unsent_decided(cell: &Cell<'_>, rate: &Rate) -> bool {
    let Some(upper) = rate.upper else {
        return false;
    };
    let decided = cell.trials.iter().copied().filter(|trial| {
        trial.purpose == Purpose::Search && (trial.load - upper).abs() <= upper * 1e-6
    });
    failed_unsent(decided, rate.loss_ratio)
}

/// Frames that came back otherwise than exactly once and intact.
fn damaged(cell: &Cell<'_>, out: &mut Vec<String>) {
    let sum = |count: fn(&TrialRecord) -> u64| {
        cell.trials
            .iter()
            .fold(0_u64, |sum, trial| sum.saturating_add(count(trial)))
    };
    for (count, what, advice) in [
        (
            sum(|trial| trial.corrupted),
            "came back changed",
            "The datapath corrupts frames under load; do not use it before that is explained.",
        ),
        (
            sum(|trial| trial.duplicates),
            "came back more than once",
            "Look for a loop or a flood among its ports.",
        ),
        (
            sum(|trial| trial.foreign),
            "came that the tester did not send",
            "Keep other traffic off the ports and run again.",
        ),
    ] {
        if count > 0 {
            out.push(format!(
                ": {} {what}. {advice}",
                text::count(count, "frame", "frames")
            ));
        }
    }
}
