//! Tables of events: what packets suffered when endpoints moved, were deleted, or lost their host.

use crate::record::{EventKind, EventRecord, StepKind};
use crate::report::cell::Cell;
use crate::report::document::{Block, Row, Table, plain};
use crate::report::events::{self, EventFigure, Spread};
use crate::report::figures::ScenarioFigures;
use crate::report::units;
use topologies::topology::HealthTiming;

use super::cells;

/// A table for each event of the scenario, and how to read them.
pub(super) fn add(out: &mut Vec<Block<'_>>, scenario: &ScenarioFigures<'_>) {
    let of_cells: Vec<(&Cell<'_>, Vec<EventFigure<'_>>)> = scenario
        .cells
        .iter()
        .map(|cell| (cell, events::of(cell)))
        .collect();
    let mut timings: Vec<HealthTiming> = Vec::new();
    let mut known: Vec<(&str, EventKind)> = Vec::new();
    for event in of_cells.iter().flat_map(|(_, events)| events) {
        if !known.contains(&(event.description, event.kind)) {
            known.push((event.description, event.kind));
        }
        for timing in event.records.iter().filter_map(|record| record.health) {
            if !timings.contains(&timing) {
                timings.push(timing);
            }
        }
    }
    if known.is_empty() {
        return;
    }
    for (description, kind) in known {
        let last = match kind {
            EventKind::Deletion => "#Delivered after it",
            EventKind::Migration | EventKind::Failure => "#All delivered again after, ms",
        };
        let mut table = Table::new(
            format!("{}: {description}", scenario.id),
            &[
                "Datapath",
                "Droplets",
                "#Frames per second",
                last,
                "#Frames lost from then on",
                "#Lost before",
                "#Found dead after, ms",
                "#New tables took, ms",
                "#Underlay packets per frame before",
                "#from then on",
            ],
        );
        for (cell, events) in &of_cells {
            let of_this = |it: &&EventFigure<'_>| it.description == description && it.kind == kind;
            let of_this = events.iter().filter(of_this);
            table.rows.extend(of_this.map(|event| row(cell, event)));
        }
        out.push(Block::Table(table));
    }
    out.push(Block::Paragraph(plain(
        "One trial at a constant load lasts through each event; frames are counted by the millisecond in which they were due. The control plane gives droplets their new tables one after the other, new hosts first and old ones last; what these took is the time of all datapaths together. When a host fails, its uplink goes dead, and the control plane notices 200 ms later. Frames flow in one direction alone, so that nobody learns anew by an answer: a sender that knows a direct path keeps to it. Where that leads to a host that knows the endpoint no more, packets come back by a divider or bouncer, or go in circles until their time to live ends: see the packets on the underlay. Droplets that are extended (or have some of the three extensions, which are named then) do what Mizar designed and has not built (INVALIDATION.md): a packet that finds nobody at the end of a direct path goes back, and who sent it forgets the path and sends it on by a bouncer; a bouncer drops what is for an endpoint of its network that is nowhere; hosts check by probes whether those to which their direct paths lead are alive, and have their droplets pass over paths to one that is dead: when the last of those that checked it had done so is in the table; and what an agent sends by a direct path within a network has outer headers of 98 bytes instead of 114. Since nobody answers, all frames take the bouncer once a path was forgotten: what the underlay carries per frame from then on is that detour. Where Open vSwitch forwards, the time to live does not count down, and packets that go in circles do so until one is lost. An event before which frames were lost was watched again, up to three times in all; each time is recorded, the last counts. A question mark stands where frames were lost before the event as well: then that some are lost after it says nothing of the event. A stall of the machine after the event counts as the event's. With several trials: median [least, most]; a figure alone is that of one trial, and another may differ.",
    )));
    for timing in timings {
        out.push(Block::Paragraph(plain(format!(
            "Where hosts check, one asks another of which it heard nothing for {} ms (HEALTH_TIMEOUT), and again every {} ms; after {} questions in a row without an answer it takes it for dead.",
            timing.timeout_ms, timing.interval_ms, timing.misses
        ))));
    }
}

fn row(cell: &Cell<'_>, event: &EventFigure<'_>) -> Row {
    let whole = |figure: fn(&EventRecord) -> u64| {
        let spread = event.spread(|record| Some(figure(record) as f64));
        text(spread, event.records.len(), 0)
    };
    let decimal = |figure: &dyn Fn(&EventRecord) -> f64, decimals| {
        let spread = event.spread(|record| Some(figure(record)));
        text(spread, event.records.len(), decimals)
    };
    let outcome = match event.kind {
        EventKind::Deletion => whole(EventRecord::arrived_late),
        EventKind::Migration | EventKind::Failure => healed(event),
    };
    let figure = |text: String| cells::figure(cell, text);
    Row {
        cells: vec![
            plain(cell.datapath),
            plain(event.droplets()),
            figure(decimal(&|record| record.load, 0)),
            figure(outcome),
            figure(whole(EventRecord::lost_after)),
            figure(whole(EventRecord::lost_before)),
            figure(found_dead(event)),
            figure(decimal(&new_tables, 1)),
            figure(decimal(&|record| record.packets_a_frame()[0], 2)),
            figure(decimal(&|record| record.packets_a_frame()[1], 2)),
        ],
        doubtful: cell.doubt().is_some(),
    }
}

/// What milliseconds begin with that were not enough.
pub(in crate::report) const NEVER: &str = "not in ";

/// After how long all was delivered again, or how long it was waited for.
pub(in crate::report) fn healed(event: &EventFigure<'_>) -> String {
    let trials = event.records.len();
    match event.spread(EventRecord::healed_after_ms) {
        Some(spread) => text(Some(spread), trials, 0),
        // Who loses frames without an event would count as not healed for them.
        None if event.records.iter().all(|record| record.lost_before() > 0) => "?".to_owned(),
        None => {
            let healed = event.records.iter().filter(|record| record.is_healed());
            let watched = event.spread(|record| Some(record.watched_ms()));
            let watched = watched.map_or(0.0, |spread| spread.least);
            let never = format!("{NEVER}{}", units::fixed(watched, 0));
            match healed.count() {
                0 => never,
                some => format!("{never} in {} of {trials}", trials - some),
            }
        }
    }
}

/// Milliseconds that the droplets took to take their new tables.
fn new_tables(record: &EventRecord) -> f64 {
    let taken = record
        .steps
        .iter()
        .filter(|step| step.kind != StepKind::Died);
    taken.map(|step| step.took_ms).sum()
}

/// After how long droplets kept away from a dead host that they found out about, and how often they were wrong.
fn found_dead(event: &EventFigure<'_>) -> String {
    let found = event.spread(EventRecord::found_dead_after_ms);
    let found = text(found, event.records.len(), 0);
    match event
        .records
        .iter()
        .map(|record| record.false_alarms())
        .sum::<usize>()
    {
        0 => found,
        1 => format!("{found} (and 1 false alarm)"),
        alarms => format!("{found} (and {alarms} false alarms)"),
    }
}

pub(super) fn text(spread: Option<Spread>, trials: usize, decimals: usize) -> String {
    let Some(spread) = spread else {
        return units::NONE.to_owned();
    };
    let figure = |value| units::fixed(value, decimals);
    if trials < 2 {
        return figure(spread.median);
    }
    format!(
        "{} [{}, {}]",
        figure(spread.median),
        figure(spread.least),
        figure(spread.most)
    )
}
