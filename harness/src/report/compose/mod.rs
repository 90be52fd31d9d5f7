//! What the report says, in which order: the answer, warnings, each scenario, the machine, the method.

mod about;
mod answer;
mod brief;
mod cells;
pub(super) mod events;
mod hops;
mod inside;
pub(super) mod learning;
mod scenario;
mod standing;

use crate::record::PortType;

use super::document::{Block, Span, plain};
use super::figures::{Figures, Group};
use super::plots::{GroupPictures, Picture, Pictures};
use super::text;

pub(super) use about::repeat;
pub(super) use cells::null_forward;
pub(super) use inside::share;

/// The report's title.
pub(super) fn title(figures: &Figures<'_>) -> String {
    format!("bench: overlay datapaths, {}", figures.run.started)
}

/// The whole report.
pub(super) fn document<'a>(figures: &Figures<'_>, pictures: &'a Pictures) -> Vec<Block<'a>> {
    let mut out = Vec::new();
    // Where there are no rounds, what searches found.
    let searched = match pictures.overview {
        Some(_) => None,
        None => first_picture(figures, &pictures.groups),
    };
    let first = pictures.overview.as_ref();
    answer::add(
        &mut out,
        figures,
        first.or(searched.map(|(_, picture)| picture)),
    );
    warnings(&mut out, figures);
    not_measured(&mut out, figures);
    for (group, pictures) in figures.groups.iter().zip(&pictures.groups) {
        let is_at_the_top = searched.is_some_and(|(ports, _)| ports == group.ports);
        scenario::add_group(&mut out, figures, group, pictures, is_at_the_top);
    }
    about::add(&mut out, figures);
    out
}

/// The picture of searches at the top of the page, and the group that it is of: the one with most datapaths, of several the first.
fn first_picture<'p>(
    figures: &Figures<'_>,
    pictures: &'p [GroupPictures],
) -> Option<(PortType, &'p Picture)> {
    let size = |(group, _): &(&Group<'_>, &GroupPictures)| group.datapaths.len();
    let groups = figures.groups.iter().zip(pictures).rev();
    let (group, pictures) = groups.max_by_key(size)?;
    Some((group.ports, pictures.throughput.first()?))
}

/// Warnings, in words a user can act on.
fn warnings(out: &mut Vec<Block<'_>>, figures: &Figures<'_>) {
    out.push(Block::Heading(2, "Warnings".to_owned()));
    if figures.warnings.is_empty() {
        out.push(Block::Paragraph(plain("None.")));
    } else {
        let items = figures
            .warnings
            .iter()
            .map(|warning| plain(warning.as_str()));
        out.push(Block::List(items.collect()));
    }
}

/// Datapaths skipped and what failed.
fn not_measured(out: &mut Vec<Block<'_>>, figures: &Figures<'_>) {
    if !figures.skipped.is_empty() {
        out.push(Block::Heading(2, "Skipped datapaths".to_owned()));
        let items = figures.skipped.iter().map(|datapath| {
            let mut line = vec![
                Span::Strong(datapath.name.clone()),
                Span::Text(" could not run here.".to_owned()),
            ];
            for missing in &datapath.missing {
                line.push(Span::Text(format!(
                    " Missing: {}. To provide it: ",
                    missing.what
                )));
                line.push(Span::Code(missing.remedy.clone()));
                line.push(Span::Text(".".to_owned()));
            }
            line
        });
        out.push(Block::List(items.collect()));
    }
    if !figures.failures.is_empty() {
        let count = figures.failures.len() as u64;
        out.push(Block::Heading(
            2,
            format!("Failures: {}", super::units::integer(count)),
        ));
        let items = figures.failures.iter().map(|failure| {
            vec![
                Span::Strong(failure.datapath.clone()),
                Span::Text(format!(" in {}: {}", failure.scenario, failure.reason)),
            ]
        });
        out.push(Block::List(items.collect()));
    }
}

/// What PDR allows, as all results of the run say it.
fn pdr_allowance(figures: &Figures<'_>) -> String {
    let mut allowed: Vec<_> = figures
        .cells()
        .filter_map(|(_, cell)| cell.pdr())
        .map(|rate| super::units::allowance(rate.loss_ratio))
        .collect();
    allowed.sort();
    allowed.dedup();
    match allowed.as_slice() {
        [] => "a small share".to_owned(),
        several => text::list(several),
    }
}
