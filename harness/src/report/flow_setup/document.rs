//! A run of flow setup as a document.

use super::figures::{Figures, Group, Shown, Step};
use crate::flow_setup::learning::Learning;
use crate::flow_setup::record::Cell;
use crate::record::Latency;
use crate::report::document::{Block, Line, Span, Table};
use crate::report::plots::Picture;
use crate::report::{text, units};

/// The title.
pub(super) const TITLE: &str = "Flow setup";

/// How the figures came about, for who reads the document alone.
const METHOD: [&str; 5] = [
    "New flows per second: every frame is of a flow of its own, with an inner address that no earlier frame had. The \
     figure is the highest rate with at most 0.5 % loss, found by MLRsearch, with its bounds.",
    "First and second packet: pairs of frames of one flow, half a millisecond apart, from the intended send time. Lost \
     frames have no latency.",
    "Direct path: how many packets to a peer, and how much time, after the packet of the peer with the \
     return-to-sender option, until a packet to the peer goes straight to its host; right to the time of one round, \
     which is given.",
    "Installed: flows that had a packet each before, and that a second pass and their latency confirmed. A trial may add \
     as many again before the droplet is deployed anew.",
    "Datapaths on different kinds of port do not compare.",
];

/// And where access lists were in the way.
const PAST_RULES: &str = "Past so many rules: sources are in another network, and the access list by which the endpoint's host judges \
     their packets has so many rules that are not met before the one that allows them.";

/// The document; `pictures` belong to the groups, in order.
pub(super) fn document<'a>(
    figures: &Figures<'_>,
    pictures: &'a [Option<Picture>],
) -> Vec<Block<'a>> {
    let mut blocks = vec![Block::Heading(1, TITLE.to_owned())];
    for warning in &figures.warnings {
        blocks.push(Block::Notice(words(warning)));
    }
    blocks.push(Block::Paragraph(words(&format!(
        "Profile {}, seed {}, {}. {}.",
        figures.header.profile,
        figures.header.seed,
        figures.header.started,
        text::machine(&figures.header.environment),
    ))));
    let mut steps = figures.groups.iter().flat_map(|group| &group.steps);
    let is_guarded = steps.any(|step| step.traffic.rules().is_some());
    let method = METHOD.into_iter().chain(is_guarded.then_some(PAST_RULES));
    blocks.push(Block::List(method.map(words).collect()));
    for (group, picture) in figures.groups.iter().zip(pictures) {
        blocks.push(Block::Heading(2, format!("On {} ports", group.ports)));
        if let Some(picture) = picture {
            blocks.push(Block::Figure(picture));
        }
        blocks.push(Block::Table(table(group)));
        blocks.extend(inside(group).map(Block::Table));
        let doubts: Vec<Line> = said(group).iter().map(|said| words(said)).collect();
        if !doubts.is_empty() {
            blocks.push(Block::Paragraph(words("To be kept in mind:")));
            blocks.push(Block::List(doubts));
        }
    }
    let absent = absent(figures);
    if !absent.is_empty() {
        blocks.push(Block::Heading(2, "Not measured".to_owned()));
        blocks.push(Block::List(absent.iter().map(|line| words(line)).collect()));
    }
    blocks.push(Block::Paragraph(words("To repeat the run:")));
    blocks.push(Block::Command(repeat(figures)));
    blocks
}

fn words(text: &str) -> Line {
    vec![Span::Text(text.to_owned())]
}

/// What switches counted inside during the searches; `None` where no switch forwards.
fn inside(group: &Group<'_>) -> Option<Table> {
    let mut table = Table::new(
        "Inside the switch, all trials of the search together",
        &[
            "flows are",
            "#installed",
            "datapath",
            "#lookups",
            "#upcalls",
            "#upcalls failed",
            "#lost to the controller",
            "#flows at the end",
        ],
    );
    let mut is_empty = true;
    for step in &group.steps {
        for shown in &step.cells {
            let Some(switch) = &shown.cell.switch else {
                continue;
            };
            is_empty = false;
            let count = |count: u64| words(&units::integer(count));
            let known = |value: Option<u64>| value.map_or_else(|| words(units::NONE), count);
            table.row(vec![
                words(step.traffic.words().trim_start_matches("new ")),
                count(u64::from(step.installed)),
                words(&shown.cell.datapath),
                count(switch.lookups()),
                count(switch.upcalls),
                count(switch.upcalls_failed),
                known(switch.packet_ins_lost),
                known(switch.flows),
            ]);
        }
    }
    (!is_empty).then_some(table)
}

/// The columns of a table.
pub(super) const COLUMNS: [&str; 9] = [
    "flows are",
    "#installed",
    "datapath",
    "#new flows/s",
    "#bounds",
    "#ceiling",
    "#first packet µs p50/p90/p99/max",
    "#second packet µs p50/p90/p99/max",
    "#direct path known after",
];

/// The cells of a row, in the order of [`COLUMNS`]; where a step was not available, the last one says why.
pub(super) fn row(step: &Step<'_>, shown: &Shown<'_>) -> Vec<String> {
    let cell = shown.cell;
    let mut row = vec![
        step.traffic.words().trim_start_matches("new ").to_owned(),
        units::integer(u64::from(step.installed)),
        cell.datapath.clone(),
    ];
    if let Some(why) = &cell.unavailable {
        let none = || units::NONE.to_owned();
        row.extend([none(), none(), rate(step.ceiling), none(), none()]);
        row.push(format!("not available: {why}"));
        return row;
    }
    let found = cell.rate.as_ref();
    row.extend([
        rate(found.and_then(|found| found.throughput)),
        found.map_or_else(
            || units::NONE.to_owned(),
            |found| {
                let bound = |bound: Option<f64>| bound.map_or("?".to_owned(), |b| rate(Some(b)));
                format!("[{}, {}]", bound(found.lower), bound(found.upper))
            },
        ),
        rate(step.ceiling),
        percentiles(cell.first.as_ref()),
        percentiles(cell.second.as_ref()),
        learned(cell),
    ]);
    row
}

/// Frames per second, to three significant digits.
fn rate(rate: Option<f64>) -> String {
    let Some(rate) = rate.filter(|rate| *rate > 0.0) else {
        return units::NONE.to_owned();
    };
    let unit = 10f64.powi((rate.log10().floor() as i32 - 2).max(0));
    units::fixed((rate / unit).round() * unit, 0)
}

fn percentiles(latency: Option<&Latency>) -> String {
    let Some(latency) = latency.filter(|latency| latency.count > 0) else {
        return units::NONE.to_owned();
    };
    [
        latency.p50_ns,
        latency.p90_ns,
        latency.p99_ns,
        latency.max_ns,
    ]
    .map(units::micros)
    .join(" / ")
}

/// When paths were learned; in the direction that does not watch it, how many the droplet held.
fn learned(cell: &Cell) -> String {
    let Some(learning) = &cell.learning else {
        let held = cell
            .warm_up
            .as_ref()
            .and_then(|warm_up| warm_up.direct_paths);
        return held.map_or_else(
            || units::NONE.to_owned(),
            |held| format!("{} held", units::integer(held)),
        );
    };
    let at = |share: f64| {
        learning.by(share).map_or_else(
            || "not seen".to_owned(),
            |(packets, ns)| {
                let packets = text::count(u64::from(packets), "packet", "packets");
                format!("{packets}, {} µs", units::micros(ns))
            },
        )
    };
    let Learning {
        round_ns, peers, ..
    } = learning;
    format!(
        "{} (median), {} (all {peers}); ± {} µs",
        at(0.5),
        at(1.0),
        units::micros(*round_ns)
    )
}

fn table(group: &Group<'_>) -> Table {
    let caption = format!("New flows on {} ports", group.ports);
    let mut table = Table::new(caption, &COLUMNS);
    for step in &group.steps {
        for shown in &step.cells {
            table.row(row(step, shown).iter().map(|cell| words(cell)).collect());
        }
    }
    table
}

/// What is to be said of the figures of a group, each with what it is about.
pub(super) fn said(group: &Group<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for step in &group.steps {
        for shown in &step.cells {
            out.extend(shown.warnings.iter().map(|warning| {
                format!(
                    "{}, {}, {} installed: {warning}",
                    shown.cell.datapath,
                    step.traffic.words(),
                    units::integer(u64::from(step.installed)),
                )
            }));
        }
    }
    out
}

/// Datapaths that were not measured, and steps that failed.
pub(super) fn absent(figures: &Figures<'_>) -> Vec<String> {
    let missing = figures.header.datapaths.iter().flat_map(|datapath| {
        let missing = datapath.missing.iter();
        missing.map(|missing| format!("{}: {missing}", datapath.name))
    });
    let failures = figures.failures.iter().map(|failure| {
        format!(
            "{}, {}: {}",
            failure.datapath, failure.scenario, failure.reason
        )
    });
    missing.chain(failures).collect()
}

/// The command that repeats the run, with its seed.
pub(super) fn repeat(figures: &Figures<'_>) -> String {
    text::repeat(&figures.header.command, figures.header.seed)
}
