//! Throughput and loss through an event, millisecond by millisecond: a panel for each datapath.

use super::canvas::{
    Area, DrawError, Heading, INK, Lettering, MUTED, dashed, filled, line, px, svg, text_width,
    write,
};
use super::palette::DOTTED;
use crate::record::EventRecord;
use crate::report::{text, units};
use plotters::style::RGBColor;

/// Pixels of the picture.
const WIDTH: i32 = 960;
/// Pixels for names and rates, to the left of the panels, and how far rates are from them.
const NAMES: i32 = 290;
const RATES: i32 = 8;
/// Pixels to the right of them.
const SIDE: i32 = 24;
/// Pixels of a panel, and from one to the next.
const PANEL: (i32, i32) = (36, 54);
/// Pixels above the panels, for the key, and below for the axis.
const TOP: i32 = 44;
const BOTTOM: i32 = 52;

/// What arrived.
const DELIVERED: RGBColor = RGBColor(188, 212, 230);
/// What did not.
const LOST: RGBColor = RGBColor(176, 32, 32);

/// A datapath's throughput.
pub(super) struct Panel<'a> {
    /// The datapath.
    pub name: String,
    /// What it shows.
    pub record: &'a EventRecord,
}

/// Draws one panel below the other. All begin with their trial.
pub(super) fn draw(panels: &[Panel<'_>], heading: &Heading<'_>) -> Result<String, DrawError> {
    let height = TOP + panels.len() as i32 * PANEL.1 + BOTTOM;
    svg((WIDTH, height), heading, |_, body| {
        let longest =
            |panel: &Panel<'_>| panel.record.watched().len() as f64 * panel.record.round_ms;
        let all = panels.iter().map(longest).fold(1.0, f64::max);
        let (left, right) = (px(NAMES), px(WIDTH - SIDE));
        let x = |ms: f64| left + ((right - left) as f64 * (ms / all).clamp(0.0, 1.0)) as i32;
        key(body)?;
        for (number, panel) in (0i32..).zip(panels) {
            let top = px(TOP + number * PANEL.1);
            draw_panel(body, panel, (top, top + px(PANEL.0)), &x)?;
        }
        axis(body, px(height - BOTTOM + 6), all, &x)
    })
}

/// What the colours and lines are.
fn key(area: &Area<'_>) -> Result<(), DrawError> {
    let (middle, half) = (px(14), px(6));
    let mut left = px(NAMES);
    let words = |left: &mut i32, said: &str| {
        write(area, (*left + px(20), middle), Lettering::LEFT, said)?;
        *left += px(20 + text_width(said, 13) + 16);
        Ok(())
    };
    for (color, said) in [(DELIVERED, "delivered"), (LOST, "lost")] {
        let corners = ((left, middle - half), (left + px(14), middle + half));
        filled(area, corners.0, corners.1, color)?;
        words(&mut left, said)?;
    }
    let ends = |left: i32| {
        [
            (left + px(7), middle - px(8)),
            (left + px(7), middle + px(8)),
        ]
    };
    line(area, &ends(left), INK, 3)?;
    words(&mut left, "the event")?;
    dashed(area, &ends(left), INK, 3, DOTTED)?;
    words(&mut left, "the control plane is done")
}

fn draw_panel(
    area: &Area<'_>,
    panel: &Panel<'_>,
    (top, bottom): (i32, i32),
    x: &dyn Fn(f64) -> i32,
) -> Result<(), DrawError> {
    let record = panel.record;
    let middle = (top + bottom) / 2;
    let name = text::shorten(&panel.name, 26);
    write(area, (px(NAMES - 74), middle), Lettering::RIGHT, &name)?;
    let load = format!("{} kpps", units::significant(record.load / 1e3, 3));
    for (y, rate) in [(top, load.as_str()), (bottom, "0")] {
        let small = Lettering::RIGHT.color(MUTED).size(11);
        write(area, (px(NAMES - RATES), y), small, rate)?;
        line(area, &[(px(NAMES - 5), y), (px(NAMES), y)], MUTED, 2)?;
    }
    // Rounds that look alike are one rectangle, and so are those of one pixel.
    let watched = record.watched();
    let mut from = 0;
    while from < watched.len() {
        let border = |rounds: &[u32]| top + lost_height(record, rounds, bottom - top);
        let at = |round: usize| x(round as f64 * record.round_ms);
        let mut to = from + 1;
        while to < watched.len() && at(to) <= at(from) + 1 {
            to += 1;
        }
        let own = border(&watched[from..to]);
        while to < watched.len() && border(&watched[to..=to]) == own {
            to += 1;
        }
        if own < bottom {
            filled(area, (at(from), own), (at(to), bottom), DELIVERED)?;
        }
        if own > top {
            filled(area, (at(from), top), (at(to), own), LOST)?;
        }
        from = to;
    }
    line(area, &[(x(0.0), bottom), (x(f64::MAX), bottom)], MUTED, 2)?;
    for (at, dash) in [(record.at_ms, false), (record.done_ms, true)] {
        let ends = [(x(at), top - px(4)), (x(at), bottom + px(4))];
        if dash {
            dashed(area, &ends, INK, 3, DOTTED)?;
        } else {
            line(area, &ends, INK, 3)?;
        }
    }
    Ok(())
}

/// How much of a panel's height is lost in these rounds together: any loss at all is seen.
fn lost_height(record: &EventRecord, rounds: &[u32], height: i32) -> i32 {
    let lost: u64 = rounds
        .iter()
        .map(|received| record.lost_in(*received))
        .sum();
    let due = u64::from(record.frames_a_round) * rounds.len() as u64;
    let share = lost as f64 / due.max(1) as f64;
    match lost {
        0 => 0,
        _ => ((share * f64::from(height)).round() as i32).clamp(px(2), height),
    }
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
