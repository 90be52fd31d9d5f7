//! Legends, above the data and never in it.

use super::canvas::{
    Area, DrawError, GRID, INK, Lettering, TEXT, dashed, filled, hatched, line, mark, outlined, px,
    text_width, write,
};
use super::palette::Look;

/// Pixels of one row.
const ROW: i32 = 24;

/// Pixels of a sample.
const SAMPLE: i32 = 34;

/// Pixels between a sample and its words.
const GAP: i32 = 8;

/// What stands before the words.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    /// A datapath's line and mark; hollow where it cannot be trusted.
    Line(Look, bool),
    /// A hatched bar.
    Hatched,
    /// A solid bar.
    Solid,
    /// A bar of outlines only.
    Hollow,
    /// A whisker.
    Whisker,
    /// An upright line.
    Limit,
}

/// A legend laid out for a width.
pub(super) struct Legend {
    /// Each with its place in pixels.
    items: Vec<((i32, i32), Sample, String)>,
    /// Pixels it takes.
    pub height: i32,
}

impl Legend {
    /// Lays out `items` in rows within `width` pixels, beginning at `left`.
    pub(super) fn new(items: Vec<(Sample, String)>, left: i32, width: i32) -> Self {
        let (mut x, mut y) = (left, ROW / 2 + 4);
        let mut placed = Vec::new();
        for (sample, words) in items {
            let room = SAMPLE + GAP + text_width(&words, TEXT);
            if x > left && x + room > left + width {
                x = left;
                y += ROW;
            }
            placed.push(((x, y), sample, words));
            x += room + 22;
        }
        Self {
            items: placed,
            height: y + ROW / 2 + 8,
        }
    }

    /// Draws it at the top of `area`.
    pub(super) fn draw(&self, area: &Area<'_>) -> Result<(), DrawError> {
        for ((x, y), sample, words) in &self.items {
            let (left, middle) = (px(*x), px(*y));
            let right = left + px(SAMPLE);
            let (low, high) = ((left, middle - px(6)), (right, middle + px(6)));
            match sample {
                Sample::Line(look, hollow) => {
                    dashed(
                        area,
                        &[(left, middle), (right, middle)],
                        look.color,
                        4,
                        look.dash,
                    )?;
                    mark(
                        area,
                        (left + px(SAMPLE) / 2, middle),
                        look.marker,
                        look.color,
                        *hollow,
                    )?;
                }
                Sample::Hatched => hatched(area, low, high, INK)?,
                Sample::Solid => filled(area, low, high, INK)?,
                Sample::Hollow => outlined(area, low, high, INK)?,
                Sample::Whisker => {
                    filled(area, low, (left + px(14), high.1), GRID)?;
                    whisker(area, (left + px(8), left + px(20)), middle)?;
                }
                Sample::Limit => {
                    let x = left + px(SAMPLE) / 2;
                    line(area, &[(x, middle - px(8)), (x, middle + px(8))], INK, 6)?;
                }
            }
            write(area, (right + px(GAP), middle), Lettering::LEFT, words)?;
        }
        Ok(())
    }
}

/// An interval from one coordinate to another, black within white so that it shows on any bar.
pub(super) fn whisker(
    area: &Area<'_>,
    (from, to): (i32, i32),
    middle: i32,
) -> Result<(), DrawError> {
    let cap = px(4);
    let white = plotters::style::RGBColor(255, 255, 255);
    for (color, width, more) in [(white, 8, 2), (INK, 3, 0)] {
        line(area, &[(from, middle), (to, middle)], color, width)?;
        for end in [from, to] {
            let ends = [(end, middle - cap - more), (end, middle + cap + more)];
            line(area, &ends, color, width)?;
        }
    }
    Ok(())
}
