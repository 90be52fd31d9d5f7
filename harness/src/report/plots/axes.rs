//! Axes: which values get a line and a label, and the chart they make.

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::SVGBackend;
use plotters::style::Color;

use crate::report::units;

use super::canvas::{Area, DrawError, GRID, INK, TEXT, px, style};

/// A chart with two axes.
pub(super) type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Scale, Scale>>;

/// An axis as plotters wants it: a range, and the values that get a line and a label.
pub(super) struct Scale {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// One axis. Logarithmic ones hold the logarithm.
pub(super) struct Axis {
    /// What it reaches.
    pub range: Range<f64>,
    /// Values with a grid line and their labels, ascending.
    pub ticks: Vec<(f64, String)>,
    /// What it measures, with the unit.
    pub title: String,
}

/// Pixels that plotters would cut off a title that reads upwards.
const TITLE: i32 = 10;

/// Space around the data, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins {
    /// Above.
    pub top: i32,
    /// To the right.
    pub right: i32,
    /// Below, with labels and the axis' title; 0 for neither.
    pub bottom: i32,
    /// To the left, with labels and the axis' title; 0 for neither.
    pub left: i32,
}

impl Axis {
    /// From 0 to a little over `max`, at least `1e-9`, with about `wanted` ticks.
    pub(super) fn linear(max: f64, wanted: u32, title: &str) -> Self {
        let max = if max.is_finite() && max > 1e-9 {
            max
        } else {
            1.0
        };
        let rough = max / f64::from(wanted.max(1));
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * power >= rough * 0.75)
            .unwrap_or(10.0);
        let step = factor * power;
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let end = max * 1.04;
        let ticks = (0..)
            .map(|index| f64::from(index) * step)
            .take_while(|value| *value <= end)
            .map(|value| (value, units::fixed(value, decimals)))
            .collect();
        Self {
            range: 0.0..end,
            ticks,
            title: title.to_owned(),
        }
    }

    /// Logarithmic around `min` to `max`, both above zero; `label` writes a value. Where there are few decades 2 and 5
    /// of each have a tick too.
    pub(super) fn logarithmic(
        min: f64,
        max: f64,
        title: &str,
        label: impl Fn(f64) -> String,
    ) -> Self {
        let (low, high) = ((min * 0.8).log10(), (max * 1.25).log10());
        let factors: &[f64] = if high - low < 2.5 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let decades = low.floor() as i32..=high.ceil() as i32;
        let ticks = decades
            .flat_map(|decade| {
                factors
                    .iter()
                    .map(move |factor| factor * 10_f64.powi(decade))
            })
            .filter(|value| (low..=high).contains(&value.log10()))
            .map(|value| (value.log10(), label(value)))
            .collect();
        Self {
            range: low..high,
            ticks,
            title: title.to_owned(),
        }
    }

    /// The label of the tick at `value`.
    fn label(&self, value: f64) -> String {
        let tick = self
            .ticks
            .iter()
            .find(|(tick, _)| (tick - value).abs() < 1e-9);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }

    /// For plotters.
    fn scale(&self) -> Scale {
        Scale {
            range: self.range.clone(),
            ticks: self.ticks.iter().map(|(value, _)| *value).collect(),
        }
    }
}

/// A label without the zeros at the end of its fraction.
pub(super) fn bare(label: &str) -> &str {
    match label.contains('.') {
        true => label.trim_end_matches('0').trim_end_matches('.'),
        false => label,
    }
}

/// Draws the axes in `area`. Without a left margin the values of `y` have neither lines nor labels.
pub(super) fn draw<'a>(
    area: &Area<'a>,
    x: &Axis,
    y: &Axis,
    margins: Margins,
) -> Result<Chart<'a>, DrawError> {
    let labelled = margins.left > 0;
    let outside = if y.title.is_empty() { 0 } else { TITLE };
    let mut builder = ChartBuilder::on(area);
    builder
        .margin_top(px(margins.top))
        .margin_left(px(outside))
        .margin_right(px(margins.right))
        .x_label_area_size(px(margins.bottom))
        .y_label_area_size(px(margins.left - outside));
    let mut chart = builder.build_cartesian_2d(x.scale(), y.scale())?;
    let (x_label, y_label) = (|value: &f64| x.label(*value), |value: &f64| y.label(*value));
    let mut mesh = chart.configure_mesh();
    mesh.axis_style(INK.stroke_width(2))
        .bold_line_style(GRID.stroke_width(2))
        .light_line_style(GRID.stroke_width(0))
        .max_light_lines(0)
        .x_labels(x.ticks.len() + 1)
        .y_labels(y.ticks.len() + 1)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label)
        .label_style(style(TEXT, INK))
        .axis_desc_style(style(TEXT, INK))
        .set_all_tick_mark_size(px(4));
    if !x.title.is_empty() {
        mesh.x_desc(x.title.as_str());
    }
    if labelled && !y.title.is_empty() {
        mesh.y_desc(y.title.as_str());
    }
    if !labelled {
        mesh.disable_y_mesh();
    }
    mesh.draw()?;
    Ok(chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_names_its_decades() {
        let label = |value| bare(&units::significant(value, 6)).to_owned();
        let axis = Axis::logarithmic(0.004, 200.0, "", label);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0.01", "0.1", "1", "10", "100"]);
        let axis = Axis::logarithmic(0.03, 0.3, "", label);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["0.05", "0.1", "0.2"]);
    }
}
