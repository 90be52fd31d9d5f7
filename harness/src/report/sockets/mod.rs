//! The report on sockets: one page with its picture, Markdown, and a table for the terminal. All are derived from
//! `sockets.jsonl`.

mod document;
mod figures;
#[cfg(test)]
mod tests;

use super::plots::{Picture, PlotError, sockets as picture};
pub use super::saved::Error;
use super::saved::{save, save_plots};
use super::terminal::Output;
use super::{html, markdown, text, units};
use crate::sockets::record::{Job, Recorded};
use figures::{Cell, Figures};
use std::path::{Path, PathBuf};

/// The files of a report on sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The Markdown.
    pub markdown: PathBuf,
    /// The picture, if there is any figure.
    pub plot: Option<PathBuf>,
}

/// Writes the report on the run in `folder` into it, in place of an earlier one.
///
/// # Errors
/// Where the run cannot be read or the report not be written.
pub fn write(folder: &Path) -> Result<Written, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let picture = draw(&figures)?;
    let document = document::document(&figures, picture.as_ref());
    let page = html::page(&document::title(&figures), &document)?;
    let text = markdown::page(&document)?;
    let plot = save_plots(folder, picture.iter())?.pop();
    Ok(Written {
        html: save(folder.join("sockets.html"), &page)?,
        markdown: save(folder.join("sockets.md"), &text)?,
        plot,
    })
}

/// The figures of the run in `folder` for a terminal, warnings first.
///
/// # Errors
/// Where the run cannot be read.
pub fn terminal_table(folder: &Path) -> Result<String, Error> {
    Ok(terminal(&Figures::of(&Recorded::read(folder)?)))
}

/// The header and the figures as JSON: rates in bits, requests or connections a second, times in nanoseconds, as the names
/// say.
///
/// # Errors
/// Where the run cannot be read.
pub fn summary_json(folder: &Path) -> Result<serde_json::Value, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let spread = |it: figures::Spread| [it.median, it.least, it.most];
    let mut cells = Vec::new();
    for row in &figures.rows {
        for cell in &row.cells {
            let percentiles = cell.latency.map(|it| it.map(|it| spread(it.ns)));
            cells.push(serde_json::json!({
                "datapath": row.datapath,
                "direct_path": row.state,
                "job": cell.job,
                "rounds": cell.rounds,
                "rate_median_least_most": spread(cell.rate),
                "ratio_to_no_overlay": cell.ratio.map(spread),
                "latency_ns_p50_p90_p99_p999": percentiles,
                "latency_ratio_to_no_overlay": cell.latency_ratio.map(spread),
                "datapath_cpu_ns_each": cell.datapath_ns.map(spread),
                "endpoints_cpu_ns_each": spread(cell.endpoints_ns),
                "retransmitted": cell.retransmitted,
                "remarks": document::remarks(row, cell.job),
            }));
        }
    }
    let cross_checks: Vec<_> = figures
        .cross_checks
        .iter()
        .map(|checked| serde_json::json!({"found": checked.check, "own_rate": checked.own}))
        .collect();
    Ok(serde_json::json!({
        "header": recorded.header,
        "warnings": figures.warnings,
        "cells": cells,
        "cross_checks": cross_checks,
        "not_measured": document::absent(&figures),
    }))
}

fn terminal(figures: &Figures<'_>) -> String {
    let mut out = Output::default();
    let mut wrapped = |lead: &str, words: &str| out.wrapped(lead, words);
    for warning in &figures.warnings {
        wrapped("warning: ", warning);
    }
    for absent in document::absent(figures) {
        wrapped("not measured: ", &absent);
    }
    for job in figures.jobs() {
        wrapped("", &format!("{}:", document::heading(job)));
        for row in &figures.rows {
            let lead = format!("  {:<36} ", document::name(figures, row));
            let remarks = document::remarks(row, job);
            match row.cells.iter().find(|cell| cell.job == job) {
                Some(cell) => {
                    wrapped(&lead, &line(cell));
                    if let Some(times) = times(cell) {
                        wrapped(&" ".repeat(text::width(&lead)), &times);
                    }
                    if !remarks.is_empty() {
                        wrapped("    ! ", &remarks);
                    }
                }
                None => wrapped(&lead, &remarks),
            }
        }
    }
    for cross_check in document::cross_check_lines(figures) {
        wrapped("cross-check: ", &cross_check);
    }
    wrapped(
        "",
        "Median [least, most] of the rounds; × is to no overlay, in the same round.",
    );
    out.0
}

/// A cell's rate for a terminal.
fn line(cell: &Cell) -> String {
    let unit = match cell.job {
        Job::Streams { .. } => "Gbit/s",
        Job::RequestResponse => "requests/s",
        Job::Connections => "connections/s",
    };
    let rate = |value| document::rate(cell.job, value);
    let mut out = format!(
        "{} {unit} [{}, {}]",
        rate(cell.rate.median),
        rate(cell.rate.least),
        rate(cell.rate.most)
    );
    if cell.ratio.is_some() {
        out.push_str(&format!(", × {}", document::ratio(cell.ratio)));
    }
    out
}

/// A cell's latency, or what a kibibyte takes, for a terminal.
fn times(cell: &Cell) -> Option<String> {
    if let Some(percentiles) = cell.latency {
        let percentiles = percentiles.map(document::percentile).join(" / ");
        return Some(format!("p50 / p90 / p99 / p99.9 {percentiles} µs"));
    }
    let datapath = cell.datapath_ns?.median;
    let endpoints = cell.endpoints_ns.median;
    Some(format!(
        "ns/KiB: datapath {}, endpoints {}",
        units::nanos(datapath),
        units::nanos(endpoints)
    ))
}

/// The picture; `None` if there is no figure at all.
fn draw(figures: &Figures<'_>) -> Result<Option<Picture>, PlotError> {
    let caution = if figures.header.profile == "smoke" {
        "smoke: too short for conclusions"
    } else {
        ""
    };
    let rows = figures.rows.iter().map(|row| picture::Row {
        name: document::short_name(figures, row),
        index: row.index,
        failed: row.failed.is_some(),
        figures: row.cells.iter().map(picture_of).collect(),
    });
    picture::draw(&document::title(figures), rows.collect(), caution)
}

fn picture_of(cell: &Cell) -> picture::Figure {
    let bounds = |spread: figures::Spread| (spread.median, (spread.least, spread.most));
    let ns = |percentile: figures::Percentile| percentile.ns.median as u64;
    picture::Figure {
        job: cell.job,
        rate: bounds(cell.rate),
        ratio: cell.ratio.map(|ratio| ratio.median),
        latency_ns: cell.latency.map(|[p50, _, p99, _]| [ns(p50), ns(p99)]),
    }
}
