//! A run of sockets as a document.

use super::figures::{Cell, CrossChecked, Figures, Percentile, Row, Spread};
use crate::record::PortType;
use crate::report::document::{Block, Line, Table, plain};
use crate::report::plots::Picture;
use crate::report::{text, units};
use crate::sockets::mtu::OVERHEAD;
use crate::sockets::record::Job;
use crate::sockets::words;
use topologies::topology::DirectPathState;

/// How the figures came about, for who reads the document alone.
const METHOD: [&str; 7] = [
    "Client and server are threads in namespaces of their own, with the kernel's TCP. Between them are whole droplets of the \
     datapath, joined by an underlay; without an overlay, nothing but a veth pair with the same MTU and the same offloads \
     (all off but generic receive offload at the endpoints).",
    "A figure is the median of the rounds, with the least and the most of them. The ratio is that of each round to the same \
     round without an overlay, and its median; of latencies, that of the medians.",
    "Streams: what arrives, without headers. Segments sent again are those of all rounds.",
    "Requests and responses: of a byte each, one after the other on one connection; latency from before sending to after \
     receiving.",
    "Connections: connect, a request, a response, and the end, one after the other; latency of all of that.",
    "Processor time: of all droplets of the overlay together, and of both endpoints, with what the kernel does on their \
     behalf and to receive for them; not that of the underlay.",
    "Before each visit packets of full size, the bytes of a stream, and the underlay's counts of packets from droplet to \
     droplet were checked.",
];

/// The title of the document.
pub(super) fn title(figures: &Figures<'_>) -> String {
    format!("Sockets: {}", figures.header.topology)
}

/// The document.
pub(super) fn document<'a>(figures: &Figures<'_>, picture: Option<&'a Picture>) -> Vec<Block<'a>> {
    let header = figures.header;
    let mut blocks = vec![Block::Heading(1, title(figures))];
    for warning in &figures.warnings {
        blocks.push(Block::Notice(plain(warning)));
    }
    blocks.push(Block::Paragraph(plain(format!("{}.", header.summary))));
    blocks.push(Block::Paragraph(plain(about(figures))));
    blocks.push(Block::List(METHOD.iter().map(|it| plain(*it)).collect()));
    blocks.push(Block::Paragraph(plain(state_words(figures))));
    if let Some(picture) = picture {
        blocks.push(Block::Figure(picture));
    }
    for job in figures.jobs() {
        blocks.push(Block::Heading(2, heading(job)));
        blocks.push(Block::Table(table(figures, job)));
    }
    if !figures.cross_checks.is_empty() {
        blocks.push(Block::Heading(2, "Cross-check".to_owned()));
        blocks.push(Block::Table(cross_check(figures)));
    }
    let absent = absent(figures);
    if !absent.is_empty() {
        blocks.push(Block::Heading(2, "Not measured".to_owned()));
        blocks.push(Block::List(absent.iter().map(plain).collect()));
    }
    blocks.push(Block::Paragraph(plain("To repeat the run:")));
    let command = text::without_folder(&header.command);
    blocks.push(Block::Command(text::shell(&command)));
    blocks
}

fn about(figures: &Figures<'_>) -> String {
    let header = figures.header;
    format!(
        "Profile {}: {} of {} s for each job. Packets of up to {} bytes at endpoints and {} on the underlay ({OVERHEAD} are \
         added). {}. {}.",
        header.profile,
        text::count(u64::from(header.rounds), "round", "rounds"),
        header.window_seconds,
        header.mtus.endpoint(),
        header.mtus.underlay(),
        header.started,
        text::machine(&header.environment),
    )
}

/// What the states of the direct path, and finding one another, mean here.
fn state_words(figures: &Figures<'_>) -> String {
    let found = if figures.header.one_network {
        "Client and server are in one network and find each other by ARP, through the overlay."
    } else {
        "Client and server are in different networks; each has an entry for the other's Ethernet address, and droplets look \
         at IP addresses alone."
    };
    let states = match figures.header.states[..] {
        [DirectPathState::Warm] => "Every direct path is known from the start.",
        [DirectPathState::Cold] => {
            "No direct path is known or learned: the underlay takes the return-to-sender option off every packet."
        }
        _ => {
            "With the direct path every droplet knows it from the start. Without, the underlay takes the return-to-sender \
             option off every packet, so that none is learned; otherwise the first answer would teach it."
        }
    };
    format!("{found} {states}")
}

/// What a job's section is called.
pub(super) fn heading(job: Job) -> String {
    match job {
        Job::Streams { .. } => format!("Throughput of {}", job.words()),
        Job::RequestResponse => "Request and response on one connection".to_owned(),
        Job::Connections => "Connections".to_owned(),
    }
}

/// What a row is called.
pub(super) fn name(figures: &Figures<'_>, row: &Row<'_>) -> String {
    let name = words(row.datapath);
    match row.state {
        Some(state) if figures.has_states() => format!("{name}, direct path {}", on_off(state)),
        _ => name.to_owned(),
    }
}

/// The same, short enough for a picture: what tells rows apart is not cut off.
pub(super) fn short_name(figures: &Figures<'_>, row: &Row<'_>) -> String {
    let name = words(row.datapath);
    match row.state {
        Some(state) if figures.has_states() => {
            format!("{} ({})", text::shorten(name, 16), on_off(state))
        }
        _ => name.to_owned(),
    }
}

fn on_off(state: DirectPathState) -> &'static str {
    match state {
        DirectPathState::Cold => "off",
        DirectPathState::Warm => "on",
    }
}

fn table(figures: &Figures<'_>, job: Job) -> Table {
    let latency = [
        "#p50 µs",
        "#p90 µs",
        "#p99 µs",
        "#p99.9 µs",
        "#p50: × no overlay",
    ];
    let mut titles = vec!["between client and server"];
    titles.extend(match job {
        Job::Streams { .. } => ["#Gbit/s", "#least to most", "#× no overlay"],
        Job::RequestResponse => ["#requests/s", "#least to most", "#× no overlay"],
        Job::Connections => ["#connections/s", "#least to most", "#× no overlay"],
    });
    match job {
        Job::Streams { .. } => {
            titles.extend(["#datapath ns/KiB", "#endpoints ns/KiB", "#sent again"])
        }
        Job::RequestResponse | Job::Connections => {
            titles.extend(latency);
            titles.extend(match job {
                Job::Connections => ["#datapath ns/connection", "#endpoints ns/connection"],
                _ => ["#datapath ns/request", "#endpoints ns/request"],
            });
        }
    }
    titles.push("to be kept in mind");
    let columns = titles.len();
    let mut table = Table::new(heading(job), &titles);
    for row in &figures.rows {
        let mut cells: Vec<Line> = vec![plain(name(figures, row))];
        if let Some(cell) = row.cells.iter().find(|cell| cell.job == job) {
            cells.extend(figures_of(cell).map(plain));
        } else {
            cells.resize(columns - 1, plain(units::NONE));
        }
        cells.push(plain(remarks(row, job)));
        table.row(cells);
    }
    table
}

/// What other programs found, beside what our own client and server did in the same round.
fn cross_check(figures: &Figures<'_>) -> Table {
    let caption =
        "The same by other programs, in the first round: Gbit/s, requests or connections a second";
    let titles = [
        "between client and server",
        "job",
        "program",
        "#its figure",
        "#ours",
        "#ours / its",
    ];
    let mut table = Table::new(caption, &titles);
    for checked in &figures.cross_checks {
        let cells = cross_check_cells(figures, checked);
        table.row(cells.map(plain).to_vec());
    }
    table
}

/// The cells of a row of it.
fn cross_check_cells(figures: &Figures<'_>, checked: &CrossChecked<'_>) -> [String; 6] {
    let CrossChecked { row, check, own } = checked;
    let none = || units::NONE.to_owned();
    let shown = |it: Option<f64>| it.map_or_else(none, |it| rate(check.job, it));
    let its = check
        .failed
        .as_ref()
        .map(|reason| format!("failed: {reason}"));
    let ratio = own.zip(check.rate).map(|(own, its)| own / its);
    let row = figures.rows.get(*row).map(|row| name(figures, row));
    [
        row.unwrap_or_default(),
        check.job.words(),
        check.program.clone(),
        its.unwrap_or_else(|| shown(check.rate)),
        shown(*own),
        ratio.map_or_else(none, |it| units::significant(it, 3)),
    ]
}

/// The same for a terminal.
pub(super) fn cross_check_lines(figures: &Figures<'_>) -> Vec<String> {
    let checks = figures.cross_checks.iter();
    let line = |checked| {
        let [row, job, program, its, own, _] = cross_check_cells(figures, checked);
        format!("{row}, {job}: {its} by {program}, {own} by bench")
    };
    checks.map(line).collect()
}

/// The figures of a cell, in the order of its table.
fn figures_of(cell: &Cell) -> impl Iterator<Item = String> {
    let mut out = vec![
        rate(cell.job, cell.rate.median),
        range(cell.rate, |value| rate(cell.job, value)),
        ratio(cell.ratio),
    ];
    let ns = |spread: Option<Spread>| {
        spread.map_or_else(|| units::NONE.to_owned(), |it| units::nanos(it.median))
    };
    let times = [ns(cell.datapath_ns), ns(Some(cell.endpoints_ns))];
    if matches!(cell.job, Job::Streams { .. }) {
        out.extend(times);
        let again = cell.retransmitted.map(units::integer);
        out.push(again.unwrap_or_else(|| units::NONE.to_owned()));
    } else {
        match cell.latency {
            Some(percentiles) => out.extend(percentiles.map(percentile)),
            None => out.extend([units::NONE; 4].map(str::to_owned)),
        }
        out.push(ratio(cell.latency_ratio));
        out.extend(times);
    }
    out.into_iter()
}

/// A rate without its unit.
pub(super) fn rate(job: Job, rate: f64) -> String {
    match job {
        Job::Streams { .. } => units::significant(rate / 1e9, 3),
        Job::RequestResponse | Job::Connections => units::fixed(rate, 0),
    }
}

fn range(spread: Spread, words: impl Fn(f64) -> String) -> String {
    format!("{} to {}", words(spread.least), words(spread.most))
}

/// A ratio to no overlay.
pub(super) fn ratio(ratio: Option<Spread>) -> String {
    ratio.map_or_else(
        || units::NONE.to_owned(),
        |ratio| units::significant(ratio.median, 3),
    )
}

/// A percentile in microseconds; `~` where it is a matter of chance.
pub(super) fn percentile(percentile: Percentile) -> String {
    let mark = if percentile.uncertain { "~" } else { "" };
    format!("{mark}{}", units::micros(percentile.ns.median as u64))
}

/// What is to be kept in mind about a row.
pub(super) fn remarks(row: &Row<'_>, job: Job) -> String {
    let mut out = Vec::new();
    let cell = row.cells.iter().find(|cell| cell.job == job);
    if let Some(cell) = cell.filter(|cell| cell.disturbed > 0) {
        out.push(format!(
            "disturbed by the hypervisor in {} of {}",
            cell.disturbed,
            text::count(cell.rounds as u64, "round", "rounds")
        ));
    }
    if let Some(failed) = row.failed {
        let (round, doing, reason) = (failed.visit.round, &failed.doing, &failed.reason);
        out.push(format!("failed in round {round}, {doing}: {reason}"));
    }
    out.join("; ")
}

/// Datapaths that were not measured, and why.
pub(super) fn absent(figures: &Figures<'_>) -> Vec<String> {
    let datapaths = figures.header.datapaths.iter();
    let absent = datapaths.flat_map(|datapath| {
        let other_ports = (datapath.ports != PortType::Veth).then(|| {
            let (name, ports) = (&datapath.name, datapath.ports);
            format!("{name}: its ports are {ports}, and endpoints are on veth ports")
        });
        let missing = datapath
            .missing
            .iter()
            .filter(|_| datapath.ports == PortType::Veth);
        let missing = missing.map(|missing| format!("{}: {missing}", datapath.name));
        other_ports.into_iter().chain(missing)
    });
    // What failed before it gave any figure has no table.
    let failed = figures.rows.iter().filter(|row| row.cells.is_empty());
    let failed = failed.map(|row| {
        let remarks = remarks(row, Job::RequestResponse);
        format!("{}: {remarks}", name(figures, row))
    });
    let programs = figures.header.programs.iter().filter_map(|program| {
        let remedy = program.remedy.as_ref()?;
        Some(format!(
            "the cross-check by {}: it is not installed; {remedy}",
            program.name
        ))
    });
    absent.chain(failed).chain(programs).collect()
}
