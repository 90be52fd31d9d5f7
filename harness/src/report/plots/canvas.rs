//! Drawing on an SVG through plotters: texts, lines, marks, hatches.
//!
//! plotters' SVG backend knows whole coordinates and solid lines only. Everything is therefore drawn at twice its size
//! and shown at half, and dashes and hatches are made of short lines.

use std::fmt::Write;
use std::io;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::palette::{Dash, Marker};
use crate::report::text;

/// Coordinates per pixel.
pub(super) const SCALE: i32 = 2;

/// plotters divides the size it is given by this for the SVG.
const FONT_FACTOR: f64 = 1.24;

/// Size of ordinary text, in pixels.
pub(super) const TEXT: i32 = 13;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(27, 27, 27);

/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(214, 217, 222);

/// Notes.
pub(super) const MUTED: RGBColor = RGBColor(77, 81, 88);

/// Cautions.
const CAUTION: RGBColor = RGBColor(155, 44, 0);

/// Where to draw.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Why drawing failed.
pub(super) type DrawError = DrawingAreaErrorKind<io::Error>;

/// Coordinates of `pixels`.
pub(super) const fn px(pixels: i32) -> i32 {
    pixels * SCALE
}

/// What stands over a picture, so that it can be understood without the page around it.
pub(super) struct Heading<'a> {
    /// What it shows.
    pub title: &'a str,
    /// Why not to rely on it; empty if there is no reason.
    pub caution: &'a str,
    /// What it shows, for those who do not see it.
    pub description: &'a str,
}

/// Draws an SVG of `width` by `height` pixels and the heading above. `draw` gets the whole for absolute coordinates and
/// the part below the heading.
pub(super) fn svg(
    (width, height): (i32, i32),
    heading: &Heading<'_>,
    draw: impl FnOnce(&Area<'_>, &Area<'_>) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    /// Pixels of the heading.
    const HEADING: i32 = 34;
    let height = height + HEADING;
    let mut raw = String::new();
    let size = (px(width).unsigned_abs(), px(height).unsigned_abs());
    {
        let area = SVGBackend::with_string(&mut raw, size).into_drawing_area();
        area.fill(&RGBColor(255, 255, 255))?;
        let (above, below) = area.split_vertically(px(HEADING));
        let title = text::shorten(heading.title, 80);
        let lettering = Lettering::LEFT.bold().size(15);
        write(&above, (px(8), px(HEADING / 2)), lettering, &title)?;
        let end = (px(width - 8), px(HEADING / 2));
        let lettering = Lettering::RIGHT.bold().color(CAUTION);
        write(&above, end, lettering, heading.caution)?;
        draw(&area, &below)?;
        area.present()?;
    }
    // The backend's own root says neither what the picture is nor that it is shown at half its size.
    let body = raw.split_once('>').map_or("", |(_, body)| body);
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        size.0,
        size.1,
        text::html(heading.description)
    );
    out.push_str(body);
    Ok(out)
}

/// How wide `text` comes out at `size` pixels, in pixels; rather too much than too little.
pub(super) fn text_width(text: &str, size: i32) -> i32 {
    (text::width(text) as f64 * f64::from(size) * 0.6).ceil() as i32
}

/// A text style of `size` pixels.
pub(super) fn style<'a>(size: i32, color: RGBColor) -> TextStyle<'a> {
    let points = f64::from(px(size)) * FONT_FACTOR;
    ("sans-serif", points).into_font().color(&color)
}

/// How a text stands at its place.
#[derive(Clone, Copy)]
pub(super) struct Lettering {
    /// Size in pixels.
    pub size: i32,
    /// Colour.
    pub color: RGBColor,
    /// Which end stands at the place.
    pub anchor: HPos,
    /// Whether it is bold.
    pub bold: bool,
}

impl Lettering {
    /// Ordinary text that begins at its place.
    pub(super) const LEFT: Self = Self {
        size: TEXT,
        color: INK,
        anchor: HPos::Left,
        bold: false,
    };
    /// Ordinary text that ends at its place.
    pub(super) const RIGHT: Self = Self {
        anchor: HPos::Right,
        ..Self::LEFT
    };
    /// Ordinary text around its place.
    pub(super) const CENTER: Self = Self {
        anchor: HPos::Center,
        ..Self::LEFT
    };

    /// In bold.
    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// In `color`.
    pub(super) const fn color(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }

    /// Of `size` pixels.
    pub(super) const fn size(self, size: i32) -> Self {
        Self { size, ..self }
    }
}

/// Writes cleaned `text`, vertically centred, at coordinates `at`.
pub(super) fn write(
    area: &Area<'_>,
    at: (i32, i32),
    lettering: Lettering,
    text: &str,
) -> Result<(), DrawError> {
    let mut style =
        style(lettering.size, lettering.color).pos(Pos::new(lettering.anchor, VPos::Center));
    if lettering.bold {
        style.font = style.font.style(FontStyle::Bold);
    }
    area.draw_text(&text::clean(text), &style, at)
}

/// A line of `width` coordinates through `points`.
pub(super) fn line(
    area: &Area<'_>,
    points: &[(i32, i32)],
    color: RGBColor,
    width: i32,
) -> Result<(), DrawError> {
    area.draw(&PathElement::new(points.to_vec(), stroke(color, width)))
}

/// A dashed line of `width` coordinates through `points`.
pub(super) fn dashed(
    area: &Area<'_>,
    points: &[(i32, i32)],
    color: RGBColor,
    width: i32,
    dash: Dash,
) -> Result<(), DrawError> {
    for piece in dash.pieces(points) {
        line(area, &piece, color, width)?;
    }
    Ok(())
}

/// A filled rectangle.
pub(super) fn filled(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
    color: RGBColor,
) -> Result<(), DrawError> {
    area.draw(&Rectangle::new(
        [(left, top), (right, bottom)],
        color.filled(),
    ))
}

/// The outline of a rectangle with a hatch of diagonal lines in it.
pub(super) fn hatched(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
    color: RGBColor,
) -> Result<(), DrawError> {
    /// Coordinates between two lines.
    const STEP: usize = 10;
    let height = bottom - top;
    for start in (left - height..right).step_by(STEP) {
        // From the bottom edge to the top edge, cut off at the sides.
        let (x0, x1) = (start.max(left), (start + height).min(right));
        if x0 < x1 {
            let ends = [(x0, bottom - (x0 - start)), (x1, bottom - (x1 - start))];
            line(area, &ends, color, 3)?;
        }
    }
    outlined(area, (left, top), (right, bottom), color)
}

/// The outline of a rectangle.
pub(super) fn outlined(
    area: &Area<'_>,
    (left, top): (i32, i32),
    (right, bottom): (i32, i32),
    color: RGBColor,
) -> Result<(), DrawError> {
    let corners = [
        (left, top),
        (right, top),
        (right, bottom),
        (left, bottom),
        (left, top),
    ];
    line(area, &corners, color, 3)
}

/// A mark at coordinates `at`; hollow where figures cannot be trusted.
pub(super) fn mark(
    area: &Area<'_>,
    (x, y): (i32, i32),
    marker: Marker,
    color: RGBColor,
    hollow: bool,
) -> Result<(), DrawError> {
    let radius = px(4);
    let polygon = |points: Vec<(i32, i32)>| {
        if hollow {
            let mut outline = points.clone();
            outline.extend(points.first());
            area.draw(&Polygon::new(points, RGBColor(255, 255, 255).filled()))?;
            line(area, &outline, color, 3)
        } else {
            area.draw(&Polygon::new(points, color.filled()))
        }
    };
    let (out, half) = (radius * 5 / 4, radius * 7 / 8);
    match marker {
        Marker::Circle if hollow => {
            area.draw(&Circle::new(
                (x, y),
                radius,
                RGBColor(255, 255, 255).filled(),
            ))?;
            area.draw(&Circle::new((x, y), radius, stroke(color, 3)))
        }
        Marker::Circle => area.draw(&Circle::new((x, y), radius, color.filled())),
        Marker::Square => polygon(vec![
            (x - half, y - half),
            (x + half, y - half),
            (x + half, y + half),
            (x - half, y + half),
        ]),
        Marker::Triangle => polygon(vec![(x, y - out), (x + out, y + half), (x - out, y + half)]),
        Marker::Pointer => polygon(vec![(x, y + out), (x + out, y - half), (x - out, y - half)]),
        Marker::Diamond => polygon(vec![(x, y - out), (x + out, y), (x, y + out), (x - out, y)]),
        Marker::Cross => {
            line(
                area,
                &[(x - half, y - half), (x + half, y + half)],
                color,
                4,
            )?;
            line(
                area,
                &[(x - half, y + half), (x + half, y - half)],
                color,
                4,
            )
        }
        Marker::Star => {
            line(area, &[(x, y - out), (x, y + out)], color, 3)?;
            line(
                area,
                &[(x - out, y - half / 2), (x + out, y + half / 2)],
                color,
                3,
            )?;
            line(
                area,
                &[(x - out, y + half / 2), (x + out, y - half / 2)],
                color,
                3,
            )
        }
        Marker::Plus => {
            line(area, &[(x - out, y), (x + out, y)], color, 4)?;
            line(area, &[(x, y - out), (x, y + out)], color, 4)
        }
    }
}

/// A line from one place to another, with a head there.
pub(super) fn arrow(
    area: &Area<'_>,
    from: (i32, i32),
    to: (i32, i32),
    color: RGBColor,
) -> Result<(), DrawError> {
    let (x, y) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = x.hypot(y).max(1.0);
    let (x, y) = (x / length, y / length);
    let (long, wide) = (f64::from(px(9)), f64::from(px(4)));
    let at = |back: f64, aside: f64| {
        (
            to.0 - (x * back + y * aside).round() as i32,
            to.1 - (y * back - x * aside).round() as i32,
        )
    };
    line(area, &[from, at(long, 0.0)], color, 4)?;
    area.draw(&Polygon::new(
        vec![to, at(long, wide), at(long, -wide)],
        color.filled(),
    ))
}

/// A stroke of `width` coordinates.
fn stroke(color: RGBColor, width: i32) -> ShapeStyle {
    color.stroke_width(width.unsigned_abs())
}
