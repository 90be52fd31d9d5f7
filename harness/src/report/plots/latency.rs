//! Latency percentiles: a panel for each share of PDR, all on one scale.

use super::axes::{self, Axis, Margins};
use super::canvas::{DrawError, Heading, Lettering, dashed, mark, px, svg, write};
use super::legend::{Legend, Sample};
use super::palette::Look;
use crate::report::units;

/// Pixels of the picture.
const WIDTH: i32 = 960;

/// Pixels from the top of the panels to the bottom of the picture.
const BODY: i32 = 370;

/// Pixels left of the data of the first panel.
const LEFT: i32 = 84;

/// Pixels between panels.
const BETWEEN: i32 = 46;

/// Percentiles with a label, by `-log10(1 - quantile)`.
const TICKS: [(f64, &str); 5] = [
    (std::f64::consts::LOG10_2, "50"),
    (1.0, "90"),
    (2.0, "99"),
    (3.0, "99.9"),
    (4.0, "99.99"),
];

/// One datapath at one share of PDR.
pub(super) struct Curve {
    /// Its name.
    pub name: String,
    /// Its look.
    pub look: Look,
    /// Its figures cannot be trusted.
    pub hollow: bool,
    /// Percent of PDR.
    pub percent_of_pdr: u8,
    /// `-log10(1 - quantile)` and nanoseconds.
    pub points: Vec<(f64, f64)>,
}

/// Draws `curves`; `None` if none has a point.
pub(super) fn draw(curves: &[Curve], heading: &Heading<'_>) -> Result<Option<String>, DrawError> {
    let values = || {
        let points = curves.iter().flat_map(|curve| &curve.points);
        points.map(|(_, ns)| (ns / 1e3).max(1e-3))
    };
    let (min, max) = values().fold((f64::MAX, 0.0), |(min, max): (f64, f64), value| {
        (min.min(value), max.max(value))
    });
    if values().next().is_none() {
        return Ok(None);
    }
    let mut shares: Vec<_> = curves.iter().map(|curve| curve.percent_of_pdr).collect();
    shares.sort_unstable();
    shares.dedup();
    let mut names = Vec::new();
    for curve in curves {
        let item = (Sample::Line(curve.look, curve.hollow), curve.name.clone());
        if names.iter().all(|(_, name)| *name != item.1) {
            names.push(item);
        }
    }
    let legend = Legend::new(names, LEFT, WIDTH - LEFT - 8);
    let y = Axis::logarithmic(min, max, "latency, µs (log scale)", |value| {
        axes::bare(&units::micros((value * 1e3).round() as u64)).to_owned()
    });
    let count = shares.len() as i32;
    let panel = (WIDTH - LEFT - 24 - BETWEEN * (count - 1)) / count;
    let svg = svg((WIDTH, legend.height + BODY), heading, |area, body| {
        legend.draw(body)?;
        let (_, mut rest) = body.split_vertically(px(legend.height));
        for (number, share) in shares.iter().enumerate() {
            let left = if number == 0 { LEFT } else { 1 };
            let (mine, others) = rest.split_horizontally(px(left + panel));
            let (_, others) = others.split_horizontally(px(BETWEEN));
            rest = others;
            let x = Axis {
                range: TICKS[0].0..TICKS[4].0,
                ticks: TICKS
                    .map(|(value, label)| (value, label.to_owned()))
                    .to_vec(),
                title: "percentile of frames".to_owned(),
            };
            let margins = Margins {
                top: 30,
                right: 0,
                bottom: 46,
                left,
            };
            let mut y_here = Axis {
                range: y.range.clone(),
                ticks: y.ticks.clone(),
                title: y.title.clone(),
            };
            if number > 0 {
                y_here.title = String::new();
                for (_, label) in &mut y_here.ticks {
                    label.clear();
                }
            }
            let chart = axes::draw(&mine, &x, &y_here, margins)?;
            let middle = (px(left + panel / 2), px(14));
            let title = format!("at {share} % of PDR");
            write(&mine, middle, Lettering::CENTER.bold(), &title)?;
            for curve in curves.iter().filter(|curve| curve.percent_of_pdr == *share) {
                let at = |(nines, ns): &(f64, f64)| {
                    let nines = nines.clamp(x.range.start, x.range.end);
                    chart.backend_coord(&(nines, (ns / 1e3).max(1e-3).log10()))
                };
                let points: Vec<_> = curve.points.iter().map(at).collect();
                dashed(area, &points, curve.look.color, 4, curve.look.dash)?;
                // A mark at each labelled percentile the curve reaches.
                for (tick, _) in TICKS {
                    let near = |point: &&(f64, f64)| (point.0 - tick).abs() < 0.013;
                    if let Some(point) = curve.points.iter().find(near) {
                        mark(
                            area,
                            at(point),
                            curve.look.marker,
                            curve.look.color,
                            curve.hollow,
                        )?;
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(Some(svg))
}
