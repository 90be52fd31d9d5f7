//! The first picture: what datapaths carry in a typical round, a panel for each scenario, all of one kind of ports over one
//! scale.

use super::canvas::{
    Area, DrawError, GRID, Heading, INK, Lettering, MUTED, filled, line, outlined, px, svg, write,
};
use super::legend::{Legend, Sample, whisker};
use super::palette::look;
use super::{Picture, PlotError, named};
use crate::record::PortType;
use crate::report::cell::Cell;
use crate::report::figures::{Figures, Group, ScenarioFigures};
use crate::report::lead::Lead;
use crate::report::{text, units};

/// Pixels of the whole picture, of names to the left, and of a figure to the right of its bar.
const WIDTH: i32 = 960;
const NAMES: i32 = 150;
const FIGURE: i32 = 70;
/// Pixels of a row, a title, and what is between kinds of ports.
const ROW: i32 = 20;
const TITLE: i32 = 22;
const BETWEEN: i32 = 14;
/// Pixels of a further line of a title, and characters of a line.
const LINE: i32 = 14;
const LONGEST: usize = 24;
/// Panels side by side.
const PANELS: usize = 5;

/// Scenarios of a group side by side.
struct Band<'f, 'a> {
    group: &'f Group<'a>,
    scenarios: &'f [ScenarioFigures<'a>],
    /// The most that is drawn of the group, in frames a second.
    most: f64,
}

/// Draws it; nothing where datapaths were not measured against each other.
pub(super) fn draw(figures: &Figures<'_>, caution: &str) -> Result<Option<Picture>, PlotError> {
    let mut bands = Vec::new();
    for group in &figures.groups {
        let is_compared = group.scenarios.iter().any(|it| it.standing.is_some());
        if group.ports == PortType::Rings || !is_compared {
            continue;
        }
        let cells = || group.scenarios.iter().flat_map(|it| &it.cells);
        let ends = cells().filter_map(|cell| Some(cell.in_a_typical_round()?.to));
        let most = ends
            .chain(cells().filter_map(Cell::ceiling))
            .fold(1.0, f64::max);
        let chunks = group.scenarios.chunks(PANELS);
        bands.extend(chunks.map(|scenarios| Band {
            group,
            scenarios,
            most,
        }));
    }
    if bands.is_empty() {
        return Ok(None);
    }
    let file = "overview".to_owned();
    let title = "What datapaths carry in a typical round, Mpps".to_owned();
    let description = describe(&title, &bands);
    let heading = Heading {
        title: &title,
        caution,
        description: &description,
    };
    let legend = Legend::new(
        vec![
            (Sample::Solid, "median of rounds; bold: leads".to_owned()),
            (Sample::Whisker, "its interval, 95 %".to_owned()),
            (Sample::Limit, "tester's ceiling".to_owned()),
        ],
        8,
        WIDTH - 16,
    );
    let height = legend.height + bands.iter().map(Band::height).sum::<i32>();
    let drawn = svg((WIDTH, height), &heading, |_, area| {
        legend.draw(area)?;
        let mut top = legend.height;
        for band in &bands {
            band.draw(area, top)?;
            top += band.height();
        }
        Ok(())
    });
    Ok(Some(Picture {
        svg: drawn.map_err(named(&file))?,
        file,
        title,
        description,
        caption: "A panel for each scenario; bars of one kind of ports are over one scale, and must not be compared with those of another. ≥: the tester may have set it. No figure: too few rounds, or none.".to_owned(),
    }))
}

impl Band<'_, '_> {
    fn height(&self) -> i32 {
        self.titles() + self.rows() + BETWEEN
    }

    /// Pixels of what stands above the rows.
    fn titles(&self) -> i32 {
        let lines = self.scenarios.iter().map(|it| in_lines(it.id).len());
        2 * TITLE + (lines.max().unwrap_or(1) as i32 - 1) * LINE
    }

    fn draw(&self, area: &Area<'_>, top: i32) -> Result<(), DrawError> {
        let rule = [(0, px(top)), (px(WIDTH), px(top))];
        line(area, &rule, GRID, 2)?;
        let lettering = Lettering::LEFT.bold().size(14);
        let title = format!("{} ports", self.group.ports);
        write(area, (px(8), px(top + TITLE / 2 + 2)), lettering, &title)?;
        let body = top + self.titles();
        for (place, name) in self.group.datapaths.iter().enumerate() {
            let middle = px(body + place as i32 * ROW + ROW / 2);
            let name = text::shorten(name, 20);
            write(area, (px(NAMES - 8), middle), Lettering::RIGHT, &name)?;
        }
        let width = (WIDTH - NAMES) / PANELS as i32;
        for (number, scenario) in (0..).zip(self.scenarios) {
            let left = NAMES + number * width;
            let lettering = Lettering::LEFT.size(12).color(MUTED);
            for (line, words) in (0..).zip(in_lines(scenario.id)) {
                let at = (px(left), px(top + TITLE + TITLE / 2 + line * LINE));
                write(area, at, lettering, &words)?;
            }
            let bars = width - FIGURE;
            let axis = [(px(left), px(body)), (px(left), px(body + self.rows()))];
            line(area, &axis, INK, 2)?;
            let length =
                |rate: f64| px(left) + (rate / self.most * f64::from(px(bars))).round() as i32;
            for (place, cell) in scenario.cells.iter().enumerate() {
                let middle = px(body + place as i32 * ROW + ROW / 2);
                carried(area, scenario, cell, middle, &length, px(left + width - 8))?;
            }
        }
        Ok(())
    }

    fn rows(&self) -> i32 {
        self.group.datapaths.len() as i32 * ROW
    }
}

/// A scenario's name in as many lines as it takes, broken where its parts end.
fn in_lines(id: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in id.split('/') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + part.len() <= LONGEST => {
                line.push('/');
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    let lines = lines.iter().map(|line| text::shorten(line, LONGEST));
    lines.collect()
}

/// Whether nobody carries more, by rounds.
fn leads(scenario: &ScenarioFigures<'_>, cell: &Cell<'_>) -> bool {
    if scenario.standing.is_none() {
        return false;
    }
    match &scenario.lead {
        Lead::Datapath { name, .. } => *name == cell.datapath,
        Lead::Equivalent(names) => names.contains(&cell.datapath),
        Lead::Undecided(_) => false,
    }
}

/// The figure of a cell, as it is written.
fn figure(cell: &Cell<'_>) -> String {
    match cell.doubt() {
        Some(doubt) => doubt.to_owned(),
        None => cell
            .typical()
            .map_or(units::NONE.to_owned(), |(figure, _)| figure),
    }
}

fn carried(
    area: &Area<'_>,
    scenario: &ScenarioFigures<'_>,
    cell: &Cell<'_>,
    middle: i32,
    length: &impl Fn(f64) -> i32,
    end: i32,
) -> Result<(), DrawError> {
    let half = px(ROW) / 2 - 6;
    let interval = cell.in_a_typical_round();
    if let Some(it) = interval {
        let color = look(cell.index).color;
        let (from, to) = (
            (length(0.0), middle - half),
            (length(it.median).max(length(0.0) + 3), middle + half),
        );
        match cell.doubt() {
            None => filled(area, from, to, color)?,
            Some(_) => outlined(area, from, to, color)?,
        }
        whisker(area, (length(it.from), length(it.to)), middle)?;
    }
    if let Some(ceiling) = cell.ceiling() {
        let x = length(ceiling);
        line(
            area,
            &[(x, middle - half - 2), (x, middle + half + 2)],
            INK,
            6,
        )?;
    }
    let color = if interval.is_some() { INK } else { MUTED };
    let lettering = Lettering::RIGHT.size(12).color(color);
    let lettering = match leads(scenario, cell) {
        true => lettering.bold(),
        false => lettering,
    };
    write(area, (end, middle), lettering, &figure(cell))
}

/// All figures in words.
fn describe(title: &str, bands: &[Band<'_, '_>]) -> String {
    let mut out = format!("{title}.");
    for band in bands {
        for scenario in band.scenarios {
            out.push_str(&format!(" {}, {} ports:", scenario.id, band.group.ports));
            let figures = scenario.cells.iter().map(|cell| {
                let leads = if leads(scenario, cell) { " leads" } else { "" };
                format!(" {} {}{leads}", cell.datapath, figure(cell))
            });
            out.push_str(&figures.collect::<Vec<_>>().join(","));
            out.push(';');
        }
    }
    out
}
