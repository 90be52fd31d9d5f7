//! What sockets get: throughput above, then the latency of requests, and connections below.

use super::bars::{self, Bar, BarBlock, Fill, Panel};
use super::canvas::{Heading, px, svg};
use super::legend::Sample;
use super::{Picture, PlotError, named};
use crate::report::units;
use crate::sockets::record::Job;

/// Pixels for the figures beside the bars.
const FIGURES: i32 = 300;
/// Name of the file, without ending.
const FILE: &str = "sockets";

/// What was between client and server.
pub(in crate::report) struct Row {
    /// Its name.
    pub name: String,
    /// Its place in the run.
    pub index: usize,
    /// Whether it failed in some round.
    pub failed: bool,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// What the rounds of one job come to.
pub(in crate::report) struct Figure {
    /// The job.
    pub job: Job,
    /// Bits, requests or connections a second: the median, and the least and the most.
    pub rate: (f64, (f64, f64)),
    /// That over the one without an overlay.
    pub ratio: Option<f64>,
    /// Median and 99th percentile of latency, in nanoseconds.
    pub latency_ns: Option<[u64; 2]>,
}

/// Draws `rows`; `None` if there is no figure at all.
pub(in crate::report) fn draw(
    title: &str,
    rows: Vec<Row>,
    caution: &str,
) -> Result<Option<Picture>, PlotError> {
    if rows.iter().all(|row| row.figures.is_empty()) {
        return Ok(None);
    }
    let mut streams: Vec<Job> = Vec::new();
    for figure in rows.iter().flat_map(|row| &row.figures) {
        if matches!(figure.job, Job::Streams { .. }) && !streams.contains(&figure.job) {
            streams.push(figure.job);
        }
    }
    let throughput: Vec<_> = streams
        .iter()
        .map(|job| block(&job.words(), &rows, |row| vec![rate_bar(row, *job, 1e9, 2)]))
        .collect();
    let latency = [block("request and response", &rows, |row| {
        vec![latency_bar(row, 0), latency_bar(row, 1)]
    })];
    let connections = [block("connections", &rows, |row| {
        vec![rate_bar(row, Job::Connections, 1e3, 2)]
    })];
    let panels: [(&[BarBlock], &str, Vec<_>); 3] = [
        (
            &throughput,
            "throughput, Gbit/s",
            vec![
                (Sample::Solid, "median of the rounds".to_owned()),
                (Sample::Whisker, "least to most".to_owned()),
            ],
        ),
        (
            &latency,
            "latency, µs",
            vec![
                (Sample::Solid, "median".to_owned()),
                (Sample::Hatched, "99th percentile".to_owned()),
            ],
        ),
        (
            &connections,
            "connections per second, thousands",
            vec![
                (Sample::Solid, "median of the rounds".to_owned()),
                (Sample::Whisker, "least to most".to_owned()),
            ],
        ),
    ];
    let described = panels
        .iter()
        .map(|(blocks, axis, _)| super::describe_bars(title, axis, blocks));
    let description = described.collect::<Vec<_>>().join(" ");
    let panels = panels.map(|(blocks, axis, legend)| {
        Panel::new(blocks, bars::axis(blocks, axis), FIGURES, legend)
    });
    let height = panels.iter().map(Panel::height).sum();
    let heading = Heading {
        title,
        caution,
        description: &description,
    };
    let svg = svg((bars::WIDTH, height), &heading, |_, area| {
        let mut rest = area.clone();
        for panel in &panels {
            let (top, below) = rest.split_vertically(px(panel.height()));
            panel.draw(&top)?;
            rest = below;
        }
        Ok(())
    })
    .map_err(named(FILE))?;
    Ok(Some(Picture {
        file: FILE.to_owned(),
        title: title.to_owned(),
        description,
        caption: "Above: what arrives of TCP streams. In the middle: from a request of a byte to its response. Below: \
                  connections with one request each, one after the other. × is to no overlay, in the same round. On and off: with the direct path and without."
            .to_owned(),
        svg,
    }))
}

fn block(title: &str, rows: &[Row], bars: impl Fn(&Row) -> Vec<Bar>) -> BarBlock {
    let row = |row: &Row| bars::Row {
        name: row.name.clone(),
        index: row.index,
        bars: bars(row),
        limit: None,
    };
    BarBlock {
        title: title.to_owned(),
        rows: rows.iter().map(row).collect(),
    }
}

/// A bar without a figure.
fn absent(row: &Row) -> Bar {
    let words = if row.failed { "failed" } else { "not measured" };
    Bar {
        value: None,
        interval: None,
        fill: Fill::Solid,
        words: words.to_owned(),
    }
}

fn rate_bar(row: &Row, job: Job, unit: f64, decimals: usize) -> Bar {
    let Some(figure) = row.figures.iter().find(|figure| figure.job == job) else {
        return absent(row);
    };
    let (median, (least, most)) = figure.rate;
    let ratio = figure.ratio.map_or_else(String::new, |ratio| {
        format!(", × {}", units::significant(ratio, 3))
    });
    let [least, most] = [least / unit, most / unit];
    let words = [median / unit, least, most].map(|it| units::fixed(it, decimals));
    let [median_words, least_words, most_words] = words;
    let failed = if row.failed { ", failed later" } else { "" };
    Bar {
        value: Some(median / unit),
        interval: Some((least, most)),
        fill: Fill::Solid,
        words: format!("{median_words} [{least_words}, {most_words}]{ratio}{failed}"),
    }
}

/// The median, or the 99th percentile.
fn latency_bar(row: &Row, which: usize) -> Bar {
    let mut figures = row.figures.iter();
    let figure = figures.find(|figure| figure.job == Job::RequestResponse);
    let Some(ns) = figure.and_then(|figure| figure.latency_ns) else {
        return absent(row);
    };
    Bar {
        value: Some(ns[which] as f64 / 1e3),
        interval: None,
        fill: [Fill::Solid, Fill::Hatched][which],
        words: format!("{} {} µs", ["p50", "p99"][which], units::micros(ns[which])),
    }
}
