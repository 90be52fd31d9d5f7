//! Horizontal bars: scenarios as blocks, datapaths as rows, the figures written beside the bars.

use super::axes::{self, Axis, Margins};
use super::canvas::{
    Area, DrawError, GRID, Heading, INK, Lettering, MUTED, filled, hatched, line, outlined, px,
    svg, text_width, write,
};
use super::legend::{Legend, whisker};
use super::palette::look;
use crate::report::text;

/// Pixels of the whole picture.
pub(super) const WIDTH: i32 = 960;

/// Pixels of the names to the left.
const NAMES: i32 = 170;

/// Pixels of the axis.
const BELOW: i32 = 46;

/// Pixels of a bar.
const BAR: i32 = 15;

/// Pixels between rows.
const BETWEEN: i32 = 12;

/// Pixels of a block's heading.
const HEADING: i32 = 30;

/// Most rows of one picture; beyond, a printed page would cut it.
const MOST_ROWS: usize = 20;

/// How a bar is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fill {
    /// Diagonal lines.
    Hatched,
    /// All of it.
    Solid,
    /// Outline only: not to be trusted.
    Hollow,
}

/// A bar.
pub(super) struct Bar {
    /// Its length; `None` for none.
    pub value: Option<f64>,
    /// Bounds.
    pub interval: Option<(f64, f64)>,
    /// Filling.
    pub fill: Fill,
    /// What is written beside it.
    pub words: String,
}

/// A datapath's bars.
pub(super) struct Row {
    /// Its name.
    pub name: String,
    /// Its place in the run.
    pub index: usize,
    /// Its bars.
    pub bars: Vec<Bar>,
    /// A limit drawn across them.
    pub limit: Option<f64>,
}

/// A scenario's rows.
pub(super) struct BarBlock {
    /// Its name.
    pub title: String,
    /// Its rows.
    pub rows: Vec<Row>,
}

impl Row {
    /// Its height in pixels.
    fn height(&self) -> i32 {
        BAR * self.bars.len() as i32 + BETWEEN
    }
}

/// Splits `blocks` into pictures that fit a page.
pub(super) fn pages(blocks: Vec<BarBlock>) -> Vec<Vec<BarBlock>> {
    let mut pages: Vec<Vec<BarBlock>> = Vec::new();
    let mut rows = 0;
    for block in blocks {
        match pages.last_mut() {
            Some(page) if rows + block.rows.len() <= MOST_ROWS => {
                rows += block.rows.len();
                page.push(block);
            }
            _ => {
                rows = block.rows.len();
                pages.push(vec![block]);
            }
        }
    }
    pages
}

/// An axis called `title` that has room for all of `blocks`.
pub(super) fn axis(blocks: &[BarBlock], title: &str) -> Axis {
    let rows = blocks.iter().flat_map(|block| &block.rows);
    let max = rows
        .flat_map(|row| row.bars.iter().map(move |bar| (row, bar)))
        .flat_map(|(row, bar)| [bar.value, bar.interval.map(|(_, upper)| upper), row.limit])
        .flatten()
        .fold(0.0, f64::max);
    Axis::linear(max, 5, title)
}

/// Draws `blocks` over the axis `x`, with `figures` pixels for the words beside them.
pub(super) fn draw(
    blocks: &[BarBlock],
    x: &Axis,
    figures: i32,
    legend: Vec<(super::legend::Sample, String)>,
    heading: &Heading<'_>,
) -> Result<String, DrawError> {
    let x = Axis {
        range: x.range.clone(),
        ticks: x.ticks.clone(),
        title: x.title.clone(),
    };
    let panel = Panel::new(blocks, x, figures, legend);
    svg((WIDTH, panel.height()), heading, |_, area| panel.draw(area))
}

/// Bars with their axis and legend, as a part of a picture.
pub(super) struct Panel<'a> {
    blocks: &'a [BarBlock],
    x: Axis,
    figures: i32,
    legend: Legend,
}

impl<'a> Panel<'a> {
    /// `blocks` over the axis `x`, with `figures` pixels for the words beside them.
    pub(super) fn new(
        blocks: &'a [BarBlock],
        x: Axis,
        figures: i32,
        legend: Vec<(super::legend::Sample, String)>,
    ) -> Self {
        Self {
            blocks,
            x,
            figures,
            legend: Legend::new(legend, 8, WIDTH - 16),
        }
    }

    /// Its height in pixels.
    pub(super) fn height(&self) -> i32 {
        let rows = self.blocks.iter().flat_map(|block| &block.rows);
        let body = self.blocks.len() as i32 * HEADING + rows.map(Row::height).sum::<i32>();
        self.legend.height + body + BELOW
    }

    /// Draws it at the top of `area`, which must be as high.
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<(), DrawError> {
        let Self {
            blocks,
            x,
            figures,
            legend,
        } = self;
        legend.draw(area)?;
        let (_, below) = area.split_vertically(px(legend.height));
        let (names, rest) = below.split_horizontally(px(NAMES));
        let (data, words) = rest.split_horizontally(px(WIDTH - NAMES - figures));
        let y = Axis {
            range: 0.0..1.0,
            ticks: Vec::new(),
            title: String::new(),
        };
        let margins = Margins {
            top: 0,
            right: 12,
            bottom: BELOW,
            left: 0,
        };
        axes::draw(&data, x, &y, margins)?;
        let width = px(WIDTH - NAMES - figures - 12);
        let length = |value: f64| (value / x.range.end * f64::from(width)).round() as i32;
        let mut top = 0;
        for (number, block) in blocks.iter().enumerate() {
            if number > 0 {
                let rule = [(0, px(top)), (px(WIDTH), px(top))];
                line(&below, &rule, GRID, 2)?;
            }
            block_heading(&names, &data, top, &block.title)?;
            top += HEADING;
            for row in &block.rows {
                let middle = px(top) + px(BAR * row.bars.len() as i32) / 2;
                let name = text::shorten(&row.name, 22);
                write(&names, (px(NAMES - 10), middle), Lettering::RIGHT, &name)?;
                draw_row(&data, &words, row, top, &length)?;
                top += row.height();
            }
        }
        Ok(())
    }
}

/// Writes a block's name at its top, over the names and, where it is long, over the data on white.
fn block_heading(
    names: &Area<'_>,
    data: &Area<'_>,
    top: i32,
    title: &str,
) -> Result<(), DrawError> {
    let title = text::shorten(title, 70);
    let over = text_width(&title, 14) + 8 - NAMES;
    if over > 0 {
        filled(
            data,
            (4, px(top + 4)),
            (px(over + 6), px(top + HEADING - 6)),
            plotters::style::RGBColor(255, 255, 255),
        )?;
    }
    let lettering = Lettering::LEFT.bold().size(14);
    write(names, (px(8), px(top + HEADING / 2 - 1)), lettering, &title)
}

/// Draws a datapath's bars and writes their figures.
fn draw_row(
    data: &Area<'_>,
    words: &Area<'_>,
    row: &Row,
    top: i32,
    length: &impl Fn(f64) -> i32,
) -> Result<(), DrawError> {
    let color = look(row.index).color;
    for (number, bar) in row.bars.iter().enumerate() {
        let high = px(top + BAR * number as i32) + 2;
        let low = high + px(BAR) - 5;
        let middle = i32::midpoint(high, low);
        if let Some(value) = bar.value.filter(|value| *value > 0.0) {
            let (from, to) = ((2, high), (length(value).max(4), low));
            match bar.fill {
                Fill::Hatched => hatched(data, from, to, color)?,
                Fill::Solid => {
                    filled(data, from, to, color)?;
                    outlined(data, from, to, color)?;
                }
                Fill::Hollow => outlined(data, from, to, color)?,
            }
        }
        if let Some((lower, upper)) = bar.interval {
            whisker(data, (length(lower), length(upper)), middle)?;
        }
        let lettering = if bar.value.is_some() {
            Lettering::LEFT.color(INK)
        } else {
            Lettering::LEFT.color(MUTED)
        };
        let shown = text::shorten(&bar.words, 46);
        write(words, (px(4), middle), lettering.size(12), &shown)?;
    }
    if let Some(limit) = row.limit {
        let x = length(limit);
        let bottom = top + BAR * row.bars.len() as i32;
        line(data, &[(x, px(top) - 4), (x, px(bottom) + 2)], INK, 6)?;
    }
    Ok(())
}
