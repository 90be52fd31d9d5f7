//! Table cells that several tables share, each figure with the marks that belong to it.

use crate::record::Rate;

use crate::report::cell::{Cell, Check};
use crate::report::document::{Line, Span};
use crate::report::latency::Percentile;
use crate::report::telling::Telling;
use crate::report::units;

/// What stands beside rates and latency of one whose trials were at another distance than those of the others.
const ELSEWHERE: &str = "other distance of processors";

/// A figure with what makes it doubtful.
pub(super) fn figure(cell: &Cell<'_>, text: String) -> Line {
    let mut line = vec![Span::Text(text)];
    line.extend(cell.doubt().map(|doubt| Span::Mark(doubt.to_owned())));
    line
}

/// The rate of the trial that tells most.
pub(super) fn telling_rate<T>(cell: &Cell<'_>, telling: &Telling<'_, T>) -> Line {
    let mut rate = figure(cell, units::mpps(telling.rate));
    if !telling.within_loss {
        rate.push(Span::Mark("none kept to the loss: the last one".to_owned()));
    }
    rate
}

/// A rate with its interval, and why it is not to be relied on.
pub(super) fn rate(cell: &Cell<'_>, rate: Option<&Rate>) -> Line {
    let mut line = bounds(cell, rate, Span::Text);
    if let Some(reason) = shown(cell, rate).and_then(|rate| rate.irregular.as_ref()) {
        line.push(Span::Mark(format!("irregular: {reason}")));
    }
    line
}

/// PDR with its interval, and what the tester and single trials say against it.
pub(super) fn pdr(cell: &Cell<'_>) -> Line {
    let mut line = rate(cell, cell.pdr());
    line.extend(tester_bound(cell));
    if let Some(fastest) = cell.fastest()
        && cell.is_contradicted()
    {
        let rate = units::mpps(fastest.rate);
        line.push(Span::Mark(format!("too low: one trial carried {rate}")));
    }
    line
}

/// What a typical round carried, the one figure that a few disturbed trials do not move and that verdicts rest on, and PDR of the
/// search beside it; or PDR alone where there were no rounds. A word for each that is said against PDR: see [`MARKS`].
pub(super) fn overview(cell: &Cell<'_>) -> Line {
    let rounds = cell.typical().filter(|_| cell.absence().is_none());
    let emphasis = match rounds {
        Some(_) => Span::Text,
        None => Span::Strong,
    };
    let mut searched = bounds(cell, cell.pdr(), emphasis);
    if shown(cell, cell.pdr()).is_some_and(|pdr| pdr.irregular.is_some()) {
        searched.push(Span::Mark("irregular".to_owned()));
    }
    searched.extend(tester_bound(cell));
    if cell.is_contradicted() {
        searched.push(Span::Mark("too low".to_owned()));
    }
    let Some((figure, interval)) = rounds else {
        return searched;
    };
    let mut line = vec![
        Span::Strong(figure),
        Span::Text(format!(" {interval}")),
        Span::Text("; searched: ".to_owned()),
    ];
    line.extend(searched);
    line
}

/// Whether anything is in [`overview`] that [`MARKS`] explains.
pub(super) fn has_marks(cell: &Cell<'_>) -> bool {
    let is_irregular = cell.pdr().is_some_and(|pdr| pdr.irregular.is_some());
    is_irregular || cell.is_tester_bound() || cell.is_contradicted() || !cell.rounds.is_empty()
}

/// What the words in [`overview`] mean.
pub(super) const MARKS: &str = "In bold where there were rounds: what a typical one carried with PDR's loss, which verdicts rest on (≥: the tester may have set it). Searched: PDR, what came through at its lower bound, between both bounds; on a busy machine a few disturbed trials may decide it. Irregular: the search ended without both bounds, or with bounds that are too far apart; the table of the scenario says why. Too low: a single trial carried clearly more than the upper bound. Tester-bound: close to what the tester can do itself.";

/// A rate with its interval, and why nothing of this datapath can be trusted.
fn bounds(cell: &Cell<'_>, rate: Option<&Rate>, emphasis: fn(String) -> Span) -> Line {
    let Some(rate) = shown(cell, rate) else {
        let absence = cell.absence().unwrap_or("not searched");
        return vec![Span::Text(absence.to_owned())];
    };
    let mut line = vec![
        emphasis(units::mpps_or_none(rate.throughput)),
        Span::Text(format!(" {}", units::interval(rate.lower, rate.upper))),
    ];
    line.extend(cell.doubt().map(|doubt| Span::Mark(doubt.to_owned())));
    if cell.is_elsewhere {
        line.push(Span::Mark(ELSEWHERE.to_owned()));
    }
    if cell.failed_later() {
        line.push(Span::Mark("failed later".to_owned()));
    }
    line
}

/// This rate, where the datapath has figures.
fn shown<'a>(cell: &Cell<'_>, rate: Option<&'a Rate>) -> Option<&'a Rate> {
    rate.filter(|_| cell.absence().is_none())
}

fn tester_bound(cell: &Cell<'_>) -> Option<Span> {
    cell.is_tester_bound()
        .then(|| Span::Mark("tester-bound".to_owned()))
}

/// The tester's ceiling and PDR's share of it.
pub(super) fn ceiling(cell: &Cell<'_>) -> [Line; 2] {
    if cell.absence().is_some() {
        return [none(), none()];
    }
    let share = cell.share_of_ceiling();
    [
        figure(cell, units::mpps_or_none(cell.ceiling())),
        figure(
            cell,
            share.map_or_else(|| units::NONE.to_owned(), units::percent),
        ),
    ]
}

/// The fastest trial: its rate, how busy the datapath's processor was, the time a frame took, that of a null forward, and cycles.
pub(super) fn fastest(cell: &Cell<'_>) -> [Line; 5] {
    let Some(fastest) = cell.fastest() else {
        return [none(), none(), none(), none(), none()];
    };
    let ns = fastest.cpu_ns_per_frame;
    let mut busy = figure(cell, units::percent(fastest.busy));
    if cell.polls_busily() {
        busy.push(Span::Note("polls busily".to_owned()));
    }
    let null = match cell.null_forward() {
        Some(null) => {
            let null = null.cpu_ns_per_frame;
            let mut line = figure(cell, units::nanos(null));
            line.push(Span::Note(format!(
                "{} of the time beside it",
                units::percent(null / ns)
            )));
            line
        }
        None => none(),
    };
    [
        figure(cell, units::mpps(fastest.rate)),
        busy,
        figure(cell, units::nanos(ns)),
        null,
        fastest
            .cycles_per_frame
            .map_or_else(none, |cycles| figure(cell, units::fixed(cycles, 0))),
    ]
}

/// What the datapath takes of a processor while there is nothing to do.
pub(super) fn idle(cell: &Cell<'_>) -> Line {
    let idle = cell.result.and_then(|result| result.idle);
    idle.map_or_else(none, |share| figure(cell, units::percent(share)))
}

/// What of a frame's time the ports take without any datapath.
pub(in crate::report) fn null_forward(ns: f64, null: f64) -> String {
    format!(
        "null forward {}, {} of it",
        units::nanos(null),
        units::percent(null / ns)
    )
}

/// How verification went.
pub(super) fn check(cell: &Cell<'_>) -> Line {
    let mut line = vec![match &cell.check {
        Check::Passed(passed) => Span::Text(format!("passed, {}", frames(*passed))),
        Check::Failed(passed, differing) => {
            // Only the first ten are kept, so ten mean ten or more.
            let many = if differing.len() >= 10 {
                " or more"
            } else {
                ""
            };
            Span::Mark(format!(
                "failed: {}{many} not as the oracle says, {} passed",
                frames(differing.len() as u64),
                units::integer(*passed)
            ))
        }
        Check::Absent if cell.result.is_some() => Span::Mark("not checked".to_owned()),
        Check::Absent => Span::Text(units::NONE.to_owned()),
    }];
    if cell.excused > 0 {
        let count = units::integer(cell.excused);
        line.push(Span::Note(format!(
            "{count} more not compared, since declared to differ"
        )));
    }
    line
}

/// A percentile in microseconds.
pub(super) fn percentile(cell: &Cell<'_>, percentile: Percentile) -> Line {
    let sign = if percentile.uncertain { "~" } else { "" };
    let mut line = figure(cell, format!("{sign}{}", units::micros(percentile.ns)));
    if cell.is_elsewhere {
        line.push(Span::Mark(ELSEWHERE.to_owned()));
    }
    line
}

/// A cell without a figure.
pub(super) fn none() -> Line {
    vec![Span::Text(units::NONE.to_owned())]
}

/// So many frames.
fn frames(number: u64) -> String {
    crate::report::text::count(number, "frame", "frames")
}
