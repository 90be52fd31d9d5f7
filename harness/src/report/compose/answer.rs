//! The first thing on the page: the question, the answer, one picture.

use crate::report::document::{Block, Column, Line, Span, Table, plain};
use crate::report::figures::{Figures, Group};
use crate::report::lead::Lead;
use crate::report::plots::GroupPictures;
use crate::report::text;

use super::{cells, pdr_allowance};

/// Adds it.
pub(super) fn add<'a>(
    out: &mut Vec<Block<'a>>,
    figures: &Figures<'_>,
    pictures: &'a [GroupPictures],
) {
    let run = figures.run;
    out.push(Block::Heading(
        1,
        "Which datapath forwards the most overlay frames?".to_owned(),
    ));
    let mut line = plain(format!(
        "Measured on {} ({}), profile {}, {}.",
        run.environment.cpu_model, run.environment.system, run.profile, run.started
    ));
    line.push(Span::Text(match figures.warnings.len() as u64 {
        0 => " No warnings.".to_owned(),
        count => format!(
            " {} below: read {} before you use a figure.",
            text::count(count, "warning", "warnings"),
            if count == 1 { "it" } else { "them" }
        ),
    }));
    out.push(Block::Paragraph(line));
    if figures.is_smoke() {
        out.push(Block::Notice(vec![
            Span::Strong("smoke: too short for conclusions".to_owned()),
            Span::Text(". The figures show that everything works, not how fast it is.".to_owned()),
        ]));
    }
    if figures.groups.is_empty() {
        out.push(Block::Notice(plain(
            "No datapath was measured: there is no answer. See what is missing below.",
        )));
        return;
    }
    if figures.cells().all(|(_, cell)| cell.result.is_none()) {
        out.push(Block::Notice(plain(
            "No datapath has a result: there is no answer. See warnings and failures below.",
        )));
    }
    separation(out, figures);
    for (group, pictures) in figures.groups.iter().zip(pictures) {
        out.push(Block::Table(table(figures, group)));
        out.extend(pictures.throughput.first().map(Block::Figure));
    }
}

/// Says that port groups must not be compared.
fn separation(out: &mut Vec<Block<'_>>, figures: &Figures<'_>) {
    if figures.groups.len() > 1 {
        let kinds = crate::report::warnings::ports(figures);
        out.push(Block::Notice(plain(format!(
            "There is one table for each kind of port ({}). Figures of different ports must not be compared directly: the ports cost more or less than the datapaths themselves.",
            text::list(&kinds)
        ))));
    }
}

/// PDR of each datapath in each scenario of `group`, and who leads.
fn table(figures: &Figures<'_>, group: &Group<'_>) -> Table {
    let caption = format!(
        "{} ports: PDR in Mpps with its interval, the highest rate at which at most {} of the frames are lost{}",
        group.ports,
        pdr_allowance(figures),
        if figures.is_smoke() {
            " (smoke: too short for conclusions)"
        } else {
            ""
        }
    );
    let mut table = Table::new(caption, &["Scenario", "Most in this run"]);
    table
        .columns
        .extend(group.datapaths.iter().map(|name| Column {
            title: (*name).to_owned(),
            numeric: true,
        }));
    for scenario in &group.scenarios {
        let mut row = vec![plain(scenario.id), lead(&scenario.lead)];
        row.extend(scenario.cells.iter().map(|cell| cells::pdr(cell, true)));
        table.row(row);
    }
    table
}

/// Who leads, emphasised if it can be said.
fn lead(lead: &Lead<'_>) -> Line {
    match lead {
        Lead::Datapath {
            name,
            times_next,
            at_least,
        } => {
            let at_least = if *at_least { "at least " } else { "" };
            vec![
                Span::Strong((*name).to_owned()),
                Span::Note(format!("{at_least}{times_next:.2} × the next")),
            ]
        }
        Lead::Undecided(reason) => vec![
            Span::Text("not decided".to_owned()),
            Span::Note(reason.clone()),
        ],
    }
}
