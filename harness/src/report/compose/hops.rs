//! Tables of overlays: what each droplet did, and what the direct path gives.

use crate::record::{Hop, TrialRecord};
use crate::report::apart::Apart;
use crate::report::cell::Cell;
use crate::report::document::{Row, Span, Table, plain};
use crate::report::figures::{Group, ScenarioFigures};
use crate::report::latency::LatencyFigure;
use crate::report::telling::Telling;
use crate::report::{hops, units};
use topologies::topology::DirectPathState;

use super::cells;

/// Packets and processor time by droplet, a row for each datapath.
pub(super) fn tables(scenario: &ScenarioFigures<'_>) -> Vec<Table> {
    let of = |cell| Some((cell, hops::of(cell)?));
    let all: Vec<(&Cell<'_>, Telling<'_, &[Hop]>)> = scenario.cells.iter().filter_map(of).collect();
    let Some((_, first)) = all.first() else {
        return Vec::new();
    };
    let droplets: Vec<String> = on_the_way(scenario, first.says)
        .into_iter()
        .map(|hop| format!("#{}", hop.droplet))
        .collect();
    let time = format!(
        "{}: processor time of each droplet in ns for each frame delivered, in the fastest trial within PDR's loss",
        scenario.id
    );
    let packets = format!(
        "{}: packets that the underlay brought each droplet, for each frame delivered in that trial",
        scenario.id
    );
    let table = |caption: String,
                 last: Option<&str>,
                 value: fn(&Telling<'_, &[Hop]>, &Hop) -> f64,
                 decimals| {
        let mut titles = vec!["Datapath", "#Rate of that trial, Mpps"];
        titles.extend(droplets.iter().map(String::as_str));
        titles.extend(last);
        let mut table = Table::new(caption, &titles);
        for (cell, telling) in &all {
            let values: Vec<f64> = on_the_way(scenario, telling.says)
                .into_iter()
                .map(|hop| value(telling, hop))
                .collect();
            let sum: f64 = values.iter().sum();
            let shown = values.into_iter().chain(last.map(|_| sum));
            let mut row = vec![plain(cell.datapath), cells::telling_rate(cell, telling)];
            row.extend(shown.map(|value| cells::figure(cell, units::fixed(value, decimals))));
            table.rows.push(Row {
                cells: row,
                doubtful: cell.doubt().is_some(),
            });
        }
        table
    };
    vec![
        table(
            time,
            Some("#All"),
            |telling, hop| telling.nanoseconds(hop),
            0,
        ),
        table(packets, None, |telling, hop| telling.arrived(hop), 3),
    ]
}

/// Droplets in the order in which packets reach them, as the drawing has them.
fn on_the_way<'h>(scenario: &ScenarioFigures<'_>, hops: &'h [Hop]) -> Vec<&'h Hop> {
    let droplets = scenario.info.and_then(|info| info.overlay.as_ref());
    let stage = |hop: &&Hop| {
        let mut droplets = droplets.into_iter().flat_map(|overlay| &overlay.droplets);
        let droplet = droplets.find(|droplet| droplet.name == hop.droplet);
        droplet.map_or(u8::MAX, |droplet| droplet.stage)
    };
    let mut hops: Vec<&Hop> = hops.iter().collect();
    hops.sort_by_key(stage);
    hops
}

/// How old frames are on average when they reach each droplet, and their endpoint; a row for each datapath.
pub(super) fn ages(scenario: &ScenarioFigures<'_>) -> Option<Table> {
    let of = |cell| Some((cell, hops::ages(cell)?));
    let all: Vec<(&Cell<'_>, &TrialRecord)> = scenario.cells.iter().filter_map(of).collect();
    let (_, first) = all.first()?;
    let droplets: Vec<String> = on_the_way(scenario, &first.hops)
        .into_iter()
        .map(|hop| format!("#{}", hop.droplet))
        .collect();
    let mut titles = vec!["Datapath"];
    titles.extend(droplets.iter().map(String::as_str));
    titles.extend(["#Endpoint", "#Load, Mpps"]);
    let caption = format!(
        "{}: mean time in µs from when a frame was due until it reached each droplet, at {} % of PDR",
        scenario.id,
        hops::PERCENT
    );
    let mut table = Table::new(caption, &titles);
    for (cell, trial) in all {
        let shown = |mean: Option<f64>| match mean {
            Some(mean) => cells::figure(cell, units::fixed(mean / 1e3, 1)),
            None => plain(units::NONE),
        };
        let mut figures = cell.latencies.iter();
        let end = figures.find(|figure| figure.percent_of_pdr == hops::PERCENT);
        let mut row = vec![plain(cell.datapath)];
        let hops = on_the_way(scenario, &trial.hops).into_iter();
        row.extend(hops.map(|hop| shown(hop.ages.mean_ns())));
        row.push(shown(end.and_then(LatencyFigure::mean_ns)));
        row.push(cells::figure(cell, units::mpps(trial.load)));
        table.rows.push(Row {
            cells: row,
            doubtful: cell.doubt().is_some(),
        });
    }
    Some(table)
}

/// Each datapath without the direct path and with it, for every topology that is measured so.
pub(super) fn direct_path(group: &Group<'_>) -> Vec<Table> {
    let state = |scenario: &ScenarioFigures<'_>| scenario.info.and_then(|info| info.direct_path);
    let off = group.scenarios.iter();
    let off = off.filter(|scenario| state(scenario) == Some(DirectPathState::Cold));
    off.filter_map(|off| {
        let (name, _) = off.id.rsplit_once('/')?;
        let mut scenarios = group.scenarios.iter();
        let on = scenarios.find(|on| {
            state(on) == Some(DirectPathState::Warm)
                && on
                    .id
                    .rsplit_once('/')
                    .is_some_and(|(other, _)| other == name)
        })?;
        let table = compared(name, off, on);
        (!table.rows.is_empty()).then_some(table)
    })
    .collect()
}

/// Why there is no ratio.
const NOT_ALIKE: &str = "processors were at another distance with it";

fn compared(name: &str, off: &ScenarioFigures<'_>, on: &ScenarioFigures<'_>) -> Table {
    let mut table = Table::new(
        format!("{name}: without the direct path and with it"),
        &[
            "Datapath",
            "#PDR without, Mpps",
            "#PDR with, Mpps",
            "#Times as much",
            "#By PDR's bounds",
            "#ns per frame without",
            "#ns per frame with",
            "#p50 at 50 % of PDR without, µs",
            "#p50 with, µs",
        ],
    );
    let both = off.cells.iter().zip(&on.cells);
    for (before, after) in both.filter(|(off, on)| !off.is_empty() || !on.is_empty()) {
        let pdr = |cell: &Cell<'_>| cell.pdr().and_then(|pdr| pdr.throughput);
        // The least and the most that the bounds of both allow.
        let bound = |cell: &Cell<'_>, upper: bool| {
            let pdr = cell.pdr()?;
            if upper { pdr.upper } else { pdr.lower }
        };
        let ratio = |with: Option<f64>, without: Option<f64>| {
            let (with, without) = with.zip(without).filter(|(_, without)| *without > 0.0)?;
            Some(with / without)
        };
        let are_alike = Apart::are_alike([before, after]);
        let ratio = |with, without| ratio(with, without).filter(|_| are_alike);
        let times = ratio(pdr(after), pdr(before));
        let bounds = [
            ratio(bound(after, false), bound(before, true)),
            ratio(bound(after, true), bound(before, false)),
        ]
        .map(|bound| bound.map_or_else(|| "?".to_owned(), |bound| units::fixed(bound, 2)));
        let time = |cell: &Cell<'_>| {
            let fastest = cell.fastest();
            let text = fastest.map(|fastest| units::fixed(fastest.cpu_ns_per_frame, 0));
            cells::figure(cell, text.unwrap_or_else(|| units::NONE.to_owned()))
        };
        let median = |cell: &Cell<'_>| {
            let mut figures = cell.latencies.iter();
            match figures.find(|figure| figure.percent_of_pdr == 50) {
                Some(figure) => cells::percentile(cell, figure.p50),
                None => plain(units::NONE),
            }
        };
        table.rows.push(Row {
            cells: vec![
                plain(before.datapath),
                cells::pdr(before),
                cells::pdr(after),
                match times {
                    _ if !are_alike => vec![Span::Mark(NOT_ALIKE.to_owned())],
                    Some(times) => plain(units::fixed(times, 2)),
                    None => plain(units::NONE),
                },
                plain(format!("[{}, {}]", bounds[0], bounds[1])),
                time(before),
                time(after),
                median(before),
                median(after),
            ],
            doubtful: before.doubt().is_some() || after.doubt().is_some(),
        });
    }
    table
}
