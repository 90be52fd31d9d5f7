//! The first thing on the page: the question, the answer, one picture.

use crate::record::PortType;
use crate::report::cell::Cell;
use crate::report::document::{Block, Column, Line, Span, Table, plain};
use crate::report::figures::{Figures, Group, ScenarioFigures};
use crate::report::lead::Lead;
use crate::report::plots::Picture;
use crate::report::{text, units};

use super::{brief, cells, pdr_allowance};

/// Adds it.
pub(super) fn add<'a>(
    out: &mut Vec<Block<'a>>,
    figures: &Figures<'_>,
    picture: Option<&'a Picture>,
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
    if !run.environment.is_optimised() {
        out.push(Block::Notice(vec![
            Span::Strong("not optimised: every figure is worthless".to_owned()),
            Span::Text(". See the first warning.".to_owned()),
        ]));
    }
    if figures.trials.are_too_disturbed() {
        out.push(Block::Notice(vec![
            Span::Strong("the machine was too busy for conclusions".to_owned()),
            Span::Text(format!(
                ": {} of {} trials were disturbed. Do not use the figures.",
                units::integer(figures.trials.disturbed),
                units::integer(figures.trials.total)
            )),
        ]));
    }
    if !figures.failures.is_empty() {
        let count = text::count(figures.failures.len() as u64, "failure", "failures");
        out.push(Block::Notice(vec![
            Span::Strong(count),
            Span::Text(", listed below: what failed has no figures, or not all.".to_owned()),
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
    brief::add(out, figures);
    out.extend(picture.map(Block::Figure));
    separation(out, figures);
    if figures.cells().any(|(_, cell)| cells::has_marks(cell)) {
        out.push(Block::Paragraph(plain(cells::MARKS)));
    }
    out.extend(native(figures).into_iter().map(Block::Table));
    for group in &figures.groups {
        out.extend(tables(figures, group).into_iter().map(Block::Table));
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

/// Scenarios in the columns of one table; more get a table of their own.
const SCENARIOS: usize = 5;

/// PDR of each datapath in each scenario of `group`, and who leads.
fn tables(figures: &Figures<'_>, group: &Group<'_>) -> Vec<Table> {
    let caption = format!("{} ports: {}", group.ports, what_is_shown(figures));
    group
        .scenarios
        .chunks(SCENARIOS)
        .map(|scenarios| {
            let mut table = with_scenarios(&caption, &["Datapath"], scenarios);
            for (place, name) in group.datapaths.iter().enumerate() {
                let cells = scenarios.iter().map(|scenario| {
                    let cell = scenario.cells.get(place);
                    cell.map_or_else(cells::none, cells::overview)
                });
                table.row([plain(*name)].into_iter().chain(cells).collect());
            }
            let leads = scenarios.iter().map(|scenario| lead(&scenario.lead));
            let title = vec![Span::Strong("Most in this run".to_owned())];
            table.summary([title].into_iter().chain(leads).collect());
            table
        })
        .collect()
}

/// PDR of each datapath on the ports that it is made for; nothing where these are of one kind, and the group's table
/// says it.
fn native(figures: &Figures<'_>) -> Vec<Table> {
    let is_native = |cell: &Cell<'_>| cell.info.is_some_and(|info| info.variant_of.is_none());
    // Rings are no ports that a host could use.
    let groups: Vec<_> = figures
        .groups
        .iter()
        .filter(|group| group.ports != PortType::Rings)
        .filter(|group| {
            let mut cells = group.scenarios.iter().flat_map(|scenario| &scenario.cells);
            cells.any(is_native)
        })
        .collect();
    let [first, _, ..] = groups.as_slice() else {
        return Vec::new();
    };
    let caption = format!(
        "Each on the ports that it is made for: {}. Nothing is ranked here: a difference between rows with different ports is that of datapath, ports and tester together",
        what_is_shown(figures)
    );
    (0..first.scenarios.len())
        .step_by(SCENARIOS)
        .map(|start| {
            let of = |group: &Group<'_>| start..(start + SCENARIOS).min(group.scenarios.len());
            let scenarios = &first.scenarios[of(first)];
            let mut table = with_scenarios(&caption, &["Datapath", "Ports"], scenarios);
            for group in &groups {
                let scenarios = &group.scenarios[of(group)];
                for (place, name) in group.datapaths.iter().enumerate() {
                    let cells = scenarios.iter().filter_map(|it| it.cells.get(place));
                    if !cells.clone().any(is_native) {
                        continue;
                    }
                    let mut row = vec![plain(*name), plain(group.ports.to_string())];
                    row.extend(cells.map(cells::overview));
                    table.row(row);
                }
                let mut row = vec![
                    plain("the tester's ceiling"),
                    plain(group.ports.to_string()),
                ];
                row.extend(scenarios.iter().map(|scenario| {
                    let mut ceilings = scenario.cells.iter().filter_map(Cell::ceiling);
                    plain(units::mpps_or_none(ceilings.next()))
                }));
                table.row(row);
            }
            table
        })
        .collect()
}

/// What cells of these tables show.
fn what_is_shown(figures: &Figures<'_>) -> String {
    format!(
        "Mpps with intervals, the highest rate at which at most {} of the frames are lost{}",
        pdr_allowance(figures),
        if figures.is_smoke() {
            " (smoke: too short for conclusions)"
        } else {
            ""
        }
    )
}

/// A table with a column for each scenario.
fn with_scenarios(caption: &str, first: &[&str], scenarios: &[ScenarioFigures<'_>]) -> Table {
    let mut table = Table::new(caption.to_owned(), first);
    table
        .columns
        .extend(scenarios.iter().map(|scenario| Column {
            title: scenario.id.to_owned(),
            numeric: true,
        }));
    table
}

/// Who leads, emphasised if it can be said.
fn lead(lead: &Lead<'_>) -> Line {
    match lead {
        Lead::Datapath { name, .. } => {
            vec![Span::Strong((*name).to_owned()), Span::Note(lead.margin())]
        }
        Lead::Equivalent(names) => vec![
            Span::Strong(text::list(names)),
            Span::Note("equivalent".to_owned()),
        ],
        Lead::Undecided(reason) => vec![
            Span::Text("not decided".to_owned()),
            Span::Note(reason.clone()),
        ],
    }
}
