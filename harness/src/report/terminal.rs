//! The figures for a terminal: plain text, aligned, at most 100 columns.

use super::cell::{Cell, Check};
use super::compose::events::{NEVER, healed};
use super::compose::learning::{NOTHING, until};
use super::compose::{null_forward, repeat};
use super::events::{self, EventFigure};
use super::figures::{Figures, Group};
use super::text::{clean, count, list, width, wrap};
use super::units;
use crate::record::{EventKind, Rate};

/// Columns of the whole.
const COLUMNS: usize = 100;

/// Columns of each field and whether it holds numbers.
const FIELDS: [(&str, usize, bool); 7] = [
    ("datapath", 16, false),
    ("NDR Mpps", 23, true),
    ("PDR Mpps", 23, true),
    ("ceiling", 9, true),
    ("PDR/c.", 6, true),
    ("ns/frame", 8, true),
    ("p99 µs", 8, true),
];

/// The table, warnings first.
pub(super) fn table(figures: &Figures<'_>) -> String {
    let mut out = Output::default();
    for warning in &figures.warnings {
        out.wrapped("warning: ", warning);
    }
    for datapath in &figures.skipped {
        for missing in &datapath.missing {
            let words = format!(
                "{}: {}; to provide it: {}",
                datapath.name, missing.what, missing.remedy
            );
            out.wrapped("skipped: ", &words);
        }
    }
    for failure in &figures.failures {
        let words = format!(
            "{} in {}: {}",
            failure.datapath, failure.scenario, failure.reason
        );
        out.wrapped("failed:  ", &words);
    }
    if figures.groups.is_empty() {
        out.wrapped("", "No datapath was measured.");
    }
    for group in &figures.groups {
        out.line("");
        out.group(figures, group);
    }
    out.line("");
    out.wrapped(
        "",
        "NDR, PDR: highest rate without and with little loss [lower, upper]. ceiling: the tester's own, Mpps. PDR/c.: PDR of the ceiling. ns/frame: processor time of the datapath. p99: latency at 50 % of PDR. !: figure not to be used, see below it. ~: irregular, or too few frames.",
    );
    let trials = figures.trials;
    out.wrapped(
        "",
        &format!(
            "{}, {} disturbed and repeated. Repeat: {}",
            count(trials.total, "trial", "trials"),
            units::integer(trials.repeated),
            repeat(figures)
        ),
    );
    out.0
}

/// What was written so far.
#[derive(Default)]
pub(crate) struct Output(pub(crate) String);

impl Output {
    /// A line.
    pub(crate) fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    /// Words behind `lead`, further lines indented as far.
    pub(crate) fn wrapped(&mut self, lead: &str, words: &str) {
        let indent = " ".repeat(width(lead));
        for (number, line) in wrap(words, COLUMNS - width(lead)).iter().enumerate() {
            let start = if number == 0 { lead } else { &indent };
            self.line(&format!("{start}{line}"));
        }
    }

    /// One port group.
    fn group(&mut self, figures: &Figures<'_>, group: &Group<'_>) {
        let smoke = if figures.is_smoke() {
            " (smoke: too short for conclusions)"
        } else {
            ""
        };
        self.wrapped("", &format!("{} ports{smoke}", group.ports));
        if figures.groups.len() > 1 {
            self.wrapped("", "Not to be compared directly with other ports.");
        }
        let titles = FIELDS.map(|(title, ..)| title.to_owned());
        self.row(&titles);
        self.line(&"─".repeat(total()));
        for scenario in &group.scenarios {
            self.wrapped("", scenario.id);
            for cell in &scenario.cells {
                self.cell(cell);
            }
            self.wrapped("  most in this run: ", &scenario.lead.words());
            for cell in &scenario.cells {
                self.events(cell);
            }
        }
    }

    /// One datapath in one scenario, with what belongs to its figures below.
    fn cell(&mut self, cell: &Cell<'_>) {
        let mut name = format!("  {}", clean(cell.datapath));
        // A name that is too long stands above the figures.
        if width(&name) > FIELDS[0].1 {
            self.wrapped("  ", cell.datapath);
            name.clear();
        }
        if let Some(absence) = cell.absence() {
            self.wrapped(&pad(&name, FIELDS[0].1 + 1, false), absence);
        } else {
            let doubt = if cell.doubt().is_some() { "!" } else { "" };
            let mark = |figure: Option<String>| match figure {
                Some(figure) => format!("{figure}{doubt}"),
                None => units::NONE.to_owned(),
            };
            let half = cell
                .latencies
                .iter()
                .find(|figure| figure.percent_of_pdr == 50);
            self.row(&[
                name,
                mark(cell.ndr().map(rate)),
                mark(cell.pdr().map(rate)),
                mark(cell.ceiling().map(units::mpps)),
                mark(
                    cell.share_of_ceiling()
                        .map(|share| units::percent(share).replace(' ', "")),
                ),
                mark(
                    cell.fastest()
                        .map(|fastest| units::nanos(fastest.cpu_ns_per_frame)),
                ),
                mark(half.map(|figure| {
                    let sign = if figure.p99.uncertain { "~" } else { "" };
                    format!("{sign}{}", units::micros(figure.p99.ns))
                })),
            ]);
        }
        for note in notes(cell) {
            self.wrapped("    ", &note);
        }
    }

    /// What happened to an overlay, on a line.
    fn events(&mut self, cell: &Cell<'_>) {
        let events = events::of(cell);
        if !cell.learning.is_empty() {
            let until = until(cell);
            let found = match until.as_str() {
                NOTHING => until,
                _ => format!("no detour any more after {until} ms"),
            };
            self.wrapped(
                &format!("  {}: direct path: ", clean(cell.datapath)),
                &found,
            );
        }
        if events.is_empty() {
            return;
        }
        let words = |event: &EventFigure<'_>| match event.kind {
            EventKind::Deletion => {
                let late = event.spread(|record| Some(record.arrived_late() as f64));
                let late = late.map_or(0.0, |late| late.most);
                format!("{}: {late:.0} frames delivered after it", event.kind)
            }
            EventKind::Migration | EventKind::Failure => {
                let healed = healed(event);
                match healed.strip_prefix(NEVER) {
                    Some(ms) => format!("{}: not all delivered again in {ms} ms", event.kind),
                    None => format!("{}: all delivered again after {healed} ms", event.kind),
                }
            }
        };
        for is_extended in [false, true] {
            let of_these = events.iter().filter(|it| it.is_extended() == is_extended);
            let words: Vec<_> = of_these.map(words).collect();
            if words.is_empty() {
                continue;
            }
            let first = events.iter().find(|it| it.is_extended());
            let droplets = first.filter(|_| is_extended).map(EventFigure::droplets);
            let droplets = droplets.map_or_else(String::new, |words| format!(", {words}"));
            let name = format!("  {}{droplets}: ", clean(cell.datapath));
            self.wrapped(&name, &words.join("; "));
        }
    }

    /// Fields beside each other. One that is too long takes blanks of those after it.
    fn row(&mut self, fields: &[String; 7]) {
        let mut line = String::new();
        let mut end = 0;
        for (field, (_, columns, numeric)) in fields.iter().zip(FIELDS) {
            if end > 0 {
                line.push(' ');
                end += 1;
            }
            end += columns;
            let room = end.saturating_sub(width(&line));
            line.push_str(&pad(field, room, numeric));
        }
        if width(&line) > COLUMNS {
            self.wrapped("", &line);
        } else {
            self.line(&line);
        }
    }
}

/// Columns of a row.
fn total() -> usize {
    FIELDS
        .iter()
        .map(|(_, columns, _)| columns + 1)
        .sum::<usize>()
        - 1
}

/// Text filled up with blanks, numbers from the left.
fn pad(text: &str, columns: usize, numeric: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(text)));
    if numeric {
        format!("{blanks}{text}")
    } else {
        format!("{text}{blanks}")
    }
}

/// A rate with its interval.
fn rate(rate: &Rate) -> String {
    let sign = if rate.irregular.is_some() { "~" } else { "" };
    let figure = units::mpps_or_none(rate.throughput);
    let interval = units::interval(rate.lower, rate.upper);
    format!("{sign}{figure} {interval}")
}

/// What belongs to the figures of a cell.
fn notes(cell: &Cell<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if cell.result.is_some() {
        notes.extend(
            cell.doubt()
                .map(|doubt| format!("! {doubt}: do not use these figures")),
        );
    }
    if cell.failed_later() {
        notes.push("! failed later; see the report's warnings".to_owned());
    }
    if let Check::Failed(passed, differing) = &cell.check {
        let many = if differing.len() >= 10 {
            " or more"
        } else {
            ""
        };
        let frames = count(differing.len() as u64, "frame", "frames");
        notes.push(format!(
            "verification failed: {frames}{many} not as the oracle says, {passed} passed"
        ));
    }
    for (name, rate) in [("NDR", cell.ndr()), ("PDR", cell.pdr())] {
        let reason = rate.and_then(|rate| rate.irregular.as_ref());
        notes.extend(reason.map(|reason| format!("~ {name} irregular: {reason}")));
    }
    notes.extend(
        cell.typical_rate()
            .map(|rate| format!("in a typical round {rate} Mpps")),
    );
    if cell.is_tester_bound() {
        notes.push("tester-bound: the datapath may be faster".to_owned());
    }
    if cell.is_contradicted() {
        notes.push("! PDR is too low: see the fastest trial".to_owned());
    }
    if let (Some(fastest), Some(null)) = (cell.fastest(), cell.null_forward()) {
        let null = null_forward(fastest.cpu_ns_per_frame, null.cpu_ns_per_frame);
        notes.push(format!("ns/frame: {null}"));
    }
    if let Some(fastest) = cell.fastest() {
        notes.push(format!(
            "fastest trial within PDR's loss: {} Mpps, processor {} busy",
            units::mpps(fastest.rate),
            units::percent(fastest.busy)
        ));
    }
    if cell.polls_busily() && cell.result.is_some() {
        notes.push("polls busily".to_owned());
    }
    if !cell.refused.is_empty() {
        let reasons: Vec<_> = cell
            .refused
            .iter()
            .map(|(reason, number)| format!("{} {reason}", units::integer(*number)))
            .collect();
        notes.push(format!("frames refused: {}", list(&reasons)));
    }
    if cell.repeated > 0 {
        let trials = count(cell.repeated, "disturbed trial", "disturbed trials");
        notes.push(format!("{trials} repeated"));
    }
    notes
}
