//! Loss over offered load.

use super::axes::{self, Axis, Margins};
use super::canvas::{DrawError, Heading, Lettering, MUTED, dashed, mark, px, svg, write};
use super::legend::{Legend, Sample};
use super::palette::{DOTTED, Look};
use crate::report::units;

/// Pixels of the picture.
const WIDTH: i32 = 960;

/// Pixels from the top of the data to the bottom of the picture.
const BODY: i32 = 380;

/// Pixels right of the data.
const RIGHT: i32 = 130;

/// Pixels left of the data.
const LEFT: i32 = 106;

/// The trials of one datapath.
pub(super) struct Series<'a> {
    /// Its name.
    pub name: String,
    /// Its look.
    pub look: Look,
    /// Its figures cannot be trusted.
    pub hollow: bool,
    /// Load in frames per second and loss ratio of each trial, by load.
    pub points: &'a [(f64, f64)],
}

/// Draws `series`, with lines at the loss ratios `goals` allow.
pub(super) fn draw(
    series: &[Series<'_>],
    goals: &[(String, f64)],
    heading: &Heading<'_>,
) -> Result<String, DrawError> {
    let items = series
        .iter()
        .map(|series| {
            (
                Sample::Line(series.look, series.hollow),
                series.name.clone(),
            )
        })
        .collect();
    let legend = Legend::new(items, LEFT, WIDTH - LEFT - 8);
    let points = || series.iter().flat_map(|series| series.points);
    let loads = || {
        points()
            .map(|(load, _)| *load / 1e6)
            .filter(|load| *load > 0.0)
    };
    let highest = loads().fold(1e-6, f64::max);
    let lowest = loads().fold(highest, f64::min);
    let least = points()
        .map(|(_, loss)| *loss)
        .chain(goals.iter().map(|(_, loss)| *loss))
        .filter(|loss| *loss > 0.0)
        .fold(1e-4, f64::min);
    // Zero has no logarithm: it gets the line a decade below the least loss there is.
    let zero = least.log10().floor() - 1.0;
    let place = |loss: f64| if loss > 0.0 { loss.log10() } else { zero };
    let decades = (zero as i32 + 1)..=0;
    let mut ticks = vec![(zero, "none".to_owned())];
    ticks.extend(decades.map(|decade| {
        let value = units::allowance(10_f64.powi(decade));
        (f64::from(decade), value)
    }));
    let y = Axis {
        range: zero..0.15,
        ticks,
        title: "frames lost (log scale above none)".to_owned(),
    };
    // Datapaths of one scenario are a hundredfold apart.
    let title = "offered load, Mpps (log scale)";
    let x = Axis::logarithmic(lowest, highest, title, |value| {
        axes::bare(&units::significant(value, 6)).to_owned()
    });
    svg((WIDTH, legend.height + BODY), heading, |area, body| {
        legend.draw(body)?;
        let (_, below) = body.split_vertically(px(legend.height));
        let margins = Margins {
            top: 6,
            right: RIGHT,
            bottom: 46,
            left: LEFT,
        };
        let chart = axes::draw(&below, &x, &y, margins)?;
        let at = |load: f64, loss: f64| {
            let load = (load / 1e6).max(lowest).log10();
            chart.backend_coord(&(load, place(loss)))
        };
        for (name, loss) in goals.iter().filter(|(_, loss)| *loss > 0.0) {
            let [from, to] =
                [x.range.start, x.range.end].map(|end| chart.backend_coord(&(end, place(*loss))));
            dashed(area, &[from, to], MUTED, 3, DOTTED)?;
            let words = format!("{name} allows {}", units::allowance(*loss));
            let place = (to.0 + px(6), to.1);
            write(area, place, Lettering::LEFT.color(MUTED).size(12), &words)?;
        }
        for series in series {
            let means: Vec<_> = means(series.points)
                .into_iter()
                .map(|(load, loss)| at(load, loss))
                .collect();
            dashed(area, &means, series.look.color, 3, series.look.dash)?;
        }
        for series in series {
            for (load, loss) in series.points {
                let place = at(*load, *loss);
                mark(
                    area,
                    place,
                    series.look.marker,
                    series.look.color,
                    series.hollow,
                )?;
            }
        }
        Ok(())
    })
}

/// The mean loss at each load of `points`, which are sorted by load.
fn means(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points
        .chunk_by(|a, b| a.0 == b.0)
        .map(|same| {
            let sum: f64 = same.iter().map(|(_, loss)| loss).sum();
            (same[0].0, sum / same.len() as f64)
        })
        .collect()
}
