//! The report on flow setup: one page, Markdown, a picture for each kind of port, and a table for the terminal. All are
//! derived from `flow-setup.jsonl`.

mod document;
mod figures;
#[cfg(test)]
pub(crate) mod tests;
pub(super) mod warnings;

use super::plots::{Picture, PlotError, flow_setup as picture};
pub use super::saved::Error;
use super::saved::{save, save_plots};
use super::terminal::Output;
use super::{html, markdown, text, units};
use crate::flow_setup::record::Recorded;
use figures::{Figures, Group};
use std::path::{Path, PathBuf};

/// Columns of a datapath's name at the most; none that there is has so many.
const LONGEST_NAME: usize = 40;

/// The files of a report on flow setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The Markdown.
    pub markdown: PathBuf,
    /// A picture for each kind of port.
    pub plots: Vec<PathBuf>,
}

/// Writes the report on the run in `folder` into it, in place of an earlier one.
///
/// # Errors
/// Where the run cannot be read or the report not be written.
pub fn write(folder: &Path) -> Result<Written, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let pictures = figures
        .groups
        .iter()
        .map(|group| draw(&figures, group))
        .collect::<Result<Vec<_>, _>>()?;
    let document = document::document(&figures, &pictures);
    let page = html::page(document::TITLE, &document)?;
    let text = markdown::page(&document)?;
    let plots = save_plots(folder, pictures.iter().flatten())?;
    Ok(Written {
        html: save(folder.join("flow-setup.html"), &page)?,
        markdown: save(folder.join("flow-setup.md"), &text)?,
        plots,
    })
}

/// The figures of the run in `folder` for a terminal, warnings first.
///
/// # Errors
/// Where the run cannot be read.
pub fn terminal_table(folder: &Path) -> Result<String, Error> {
    Ok(terminal(&Figures::of(&Recorded::read(folder)?)))
}

/// The header and the cells as JSON: rates in flows per second, times in nanoseconds, as the names say.
///
/// # Errors
/// Where the run cannot be read.
pub fn summary_json(folder: &Path) -> Result<serde_json::Value, Error> {
    let recorded = Recorded::read(folder)?;
    let figures = Figures::of(&recorded);
    let cells: Vec<_> = figures
        .groups
        .iter()
        .flat_map(|group| &group.steps)
        .flat_map(|step| step.cells.iter().map(move |shown| (step, shown)))
        .map(|(step, shown)| {
            serde_json::json!({
                "cell": shown.cell,
                "ceiling": step.ceiling,
                "warnings": shown.warnings,
            })
        })
        .collect();
    Ok(serde_json::json!({
        "header": recorded.header,
        "warnings": figures.warnings,
        "cells": cells,
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
    for group in &figures.groups {
        wrapped("", &format!("On {} ports:", group.ports));
        for step in &group.steps {
            let title = format!(
                "{}, {} installed; tester's ceiling {}/s",
                step.traffic.words(),
                units::integer(u64::from(step.installed)),
                step.ceiling.map_or_else(
                    || units::NONE.to_owned(),
                    |rate| units::integer(rate.round() as u64)
                ),
            );
            wrapped("  ", &title);
            for shown in &step.cells {
                let row = document::row(step, shown);
                let [_, _, name, rate, bounds, _, first, second, learned] = row.as_slice() else {
                    continue;
                };
                let lead = format!("    {:<18} ", text::shorten(name, LONGEST_NAME));
                if shown.cell.unavailable.is_some() {
                    wrapped(&lead, learned);
                    continue;
                }
                let figures = format!("{rate} new flows/s {bounds}");
                wrapped(&lead, &figures);
                let below = " ".repeat(23);
                let latency = format!("first packet {first} µs, second {second} µs");
                wrapped(&below, &latency);
                if shown.cell.learning.is_some() {
                    wrapped(&below, &format!("direct path after {learned}"));
                }
            }
        }
        for said in document::said(group) {
            wrapped("  ! ", &said);
        }
    }
    wrapped(
        "",
        "Latency: p50 / p90 / p99 / max, from the intended send time.",
    );
    out.0
}

/// The picture of a group; `None` if it has no figure at all.
fn draw(figures: &Figures<'_>, group: &Group<'_>) -> Result<Option<Picture>, PlotError> {
    let caution = if figures.header.profile == "smoke" {
        "smoke: too short for conclusions"
    } else {
        ""
    };
    let blocks = group
        .steps
        .iter()
        .map(|step| picture::Block {
            title: format!(
                "{}, {} installed",
                step.traffic.words(),
                units::integer(u64::from(step.installed))
            ),
            rows: step
                .cells
                .iter()
                .map(|shown| {
                    let rate = shown.cell.rate.as_ref();
                    picture::Row {
                        name: shown.cell.datapath.clone(),
                        index: shown.index,
                        rate: rate.and_then(|rate| rate.throughput),
                        bounds: rate.and_then(|rate| Some((rate.lower?, rate.upper?))),
                        ceiling: step.ceiling,
                        first_ns: shown.cell.first.as_ref().map(|first| first.p50_ns),
                        second_ns: shown.cell.second.as_ref().map(|second| second.p50_ns),
                        doubtful: !shown.warnings.is_empty(),
                    }
                })
                .collect(),
        })
        .collect();
    picture::draw(group.ports, blocks, caution)
}
