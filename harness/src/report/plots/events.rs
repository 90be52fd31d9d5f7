//! Delivery through an event, millisecond by millisecond: a strip for each datapath.

use super::canvas::{
    Area, DrawError, Heading, INK, Lettering, MUTED, dashed, filled, line, px, svg, text_width,
    write,
};
use super::palette::DOTTED;
use crate::record::EventRecord;
use crate::report::text;
use plotters::style::RGBColor;

/// Pixels of the picture.
const WIDTH: i32 = 960;
/// Pixels for names, to the left of the strips.
const NAMES: i32 = 250;
/// Pixels to the right of them.
const SIDE: i32 = 24;
/// Pixels of a strip, and from one to the next.
const STRIP: (i32, i32) = (16, 26);
/// Pixels above the strips, and below for the axis.
const TOP: i32 = 26;
const BOTTOM: i32 = 52;

/// Where everything arrived.
const WHOLE: RGBColor = RGBColor(188, 212, 230);
/// Where nothing did.
const LOST: RGBColor = RGBColor(176, 32, 32);

/// A strip.
pub(super) struct Strip<'a> {
    /// The datapath.
    pub name: String,
    /// What it shows.
    pub record: &'a EventRecord,
}

/// Draws one strip below the other. All begin with their trial.
pub(super) fn draw(strips: &[Strip<'_>], heading: &Heading<'_>) -> Result<String, DrawError> {
    let height = TOP + strips.len() as i32 * STRIP.1 + BOTTOM;
    svg((WIDTH, height), heading, |_, body| {
        let longest =
            |strip: &Strip<'_>| strip.record.watched().len() as f64 * strip.record.round_ms;
        let all = strips.iter().map(longest).fold(1.0, f64::max);
        let (left, right) = (px(NAMES), px(WIDTH - SIDE));
        let x = |ms: f64| left + ((right - left) as f64 * (ms / all).clamp(0.0, 1.0)) as i32;
        for (number, strip) in (0i32..).zip(strips) {
            let top = px(TOP + number * STRIP.1);
            draw_strip(body, strip, (top, top + px(STRIP.0)), &x)?;
        }
        axis(body, px(height - BOTTOM + 6), all, &x)
    })
}

fn draw_strip(
    area: &Area<'_>,
    strip: &Strip<'_>,
    (top, bottom): (i32, i32),
    x: &dyn Fn(f64) -> i32,
) -> Result<(), DrawError> {
    let record = strip.record;
    let middle = (top + bottom) / 2;
    write(
        area,
        (px(NAMES - 10), middle),
        Lettering::RIGHT,
        &text::shorten(&strip.name, 26),
    )?;
    // Rounds that look alike are one rectangle, and so are those of one pixel.
    let watched = record.watched();
    let mut from = 0;
    while from < watched.len() {
        let color = |rounds: &[u32]| {
            let lost: u64 = rounds
                .iter()
                .map(|received| record.lost_in(*received))
                .sum();
            let due = u64::from(record.frames_a_round) * rounds.len() as u64;
            mixed(lost as f64 / due.max(1) as f64)
        };
        let at = |round: usize| x(round as f64 * record.round_ms);
        let mut to = from + 1;
        while to < watched.len() && at(to) <= at(from) + 1 {
            to += 1;
        }
        let own = color(&watched[from..to]);
        while to < watched.len() && color(&watched[to..=to]) == own {
            to += 1;
        }
        filled(area, (at(from), top), (at(to), bottom), own)?;
        from = to;
    }
    for (at, dash) in [(record.at_ms, false), (record.done_ms, true)] {
        let ends = [(x(at), top - px(3)), (x(at), bottom + px(3))];
        if dash {
            dashed(area, &ends, INK, 3, DOTTED)?;
        } else {
            line(area, &ends, INK, 3)?;
        }
    }
    Ok(())
}

/// The colour of a share of lost frames: any loss at all stands out.
fn mixed(lost: f64) -> RGBColor {
    if lost <= 0.0 {
        return WHOLE;
    }
    let share = 0.35 + 0.65 * lost.min(1.0);
    let mix =
        |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * share) as u8;
    RGBColor(
        mix(WHOLE.0, LOST.0),
        mix(WHOLE.1, LOST.1),
        mix(WHOLE.2, LOST.2),
    )
}

fn axis(area: &Area<'_>, y: i32, all: f64, x: &dyn Fn(f64) -> i32) -> Result<(), DrawError> {
    line(area, &[(x(0.0), y), (x(all), y)], MUTED, 2)?;
    let step = [50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0]
        .into_iter()
        .find(|step| all / step <= 10.0)
        .unwrap_or(5_000.0);
    let mut at = 0.0;
    while at <= all {
        line(area, &[(x(at), y), (x(at), y + px(5))], MUTED, 2)?;
        let lettering = Lettering::CENTER.color(MUTED);
        write(area, (x(at), y + px(15)), lettering, &format!("{at:.0}"))?;
        at += step;
    }
    let title = "milliseconds since the first frame was due";
    let middle = (x(0.0) + x(all)) / 2 - text_width(title, 13) / 2;
    write(area, (middle, y + px(34)), Lettering::LEFT, title)
}
