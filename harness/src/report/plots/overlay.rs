//! The droplets of an overlay, and the way of the packets.

use super::canvas::{
    Area, DrawError, Heading, INK, Lettering, MUTED, arrow, dashed, outlined, px, svg, write,
};
use super::palette::{DOTTED, look};
use crate::record::{OverlayDroplet, OverlayInfo};
use crate::report::text;
use std::collections::BTreeSet;

/// Pixels of the picture.
const WIDTH: i32 = 960;
/// Pixels of a droplet.
const BOX: (i32, i32) = (132, 46);
/// Pixels from one droplet of a stage to the next.
const STEP: i32 = 64;
/// Pixels from bouncers down to dividers, and from these to hosts.
const LEVEL: i32 = 46;
/// Pixels at the sides, where endpoints stand.
const SIDE: i32 = 96;
/// As many droplets of a stage as are drawn; the last place stands for all that are left.
const MOST: usize = 6;
/// Stages.
const STAGES: i32 = 5;

/// Where a droplet is drawn: its stage, and its place there.
struct Places {
    of_droplet: Vec<(usize, usize)>,
    /// Droplets by stage.
    in_stage: Vec<usize>,
}

impl Places {
    fn of(overlay: &OverlayInfo) -> Self {
        let mut in_stage = vec![0; STAGES as usize];
        let place = |droplet: &OverlayDroplet| {
            let stage = usize::from(droplet.stage).min(in_stage.len() - 1);
            let place = in_stage[stage];
            in_stage[stage] += 1;
            (stage, place.min(MOST - 1))
        };
        Self {
            of_droplet: overlay.droplets.iter().map(place).collect(),
            in_stage,
        }
    }

    /// Droplets drawn of the fullest stage.
    fn rows(&self) -> i32 {
        let most = self.in_stage.iter().copied().max().unwrap_or(0);
        most.clamp(1, MOST) as i32
    }

    /// The middle of a droplet, in coordinates.
    fn middle(&self, droplet: usize) -> Option<(i32, i32)> {
        let (stage, place) = *self.of_droplet.get(droplet)?;
        let drawn = self.in_stage[stage].min(MOST) as i32;
        let column = (WIDTH - 2 * SIDE) / STAGES;
        let x = SIDE + column * stage as i32 + column / 2;
        // Bouncers stand high and hosts low, so that the way past bouncers goes below them.
        let top = match stage {
            0 | 4 => 2 * LEVEL,
            2 => LEVEL,
            _ => 0,
        };
        let y = top + 8 + (self.rows() - drawn) * STEP / 2 + place as i32 * STEP + BOX.1 / 2;
        Some((px(x), px(y)))
    }
}

/// Draws `overlay`.
pub(super) fn draw(overlay: &OverlayInfo, heading: &Heading<'_>) -> Result<String, DrawError> {
    let places = Places::of(overlay);
    let height = places.rows() * STEP + 2 * LEVEL + 8;
    svg((WIDTH, height), heading, |_, body| {
        let used: BTreeSet<usize> = overlay.ways.iter().flatten().copied().collect();
        ways(body, overlay, &places)?;
        let mut drawn = BTreeSet::new();
        for (number, droplet) in overlay.droplets.iter().enumerate() {
            // The last place of a stage stands for several.
            if let Some(middle) = places.middle(number).filter(|at| drawn.insert(*at)) {
                let (stage, place) = places.of_droplet[number];
                let left = places.in_stage[stage] - place;
                let name = if place == MOST - 1 && left > 1 {
                    format!("and {left} more")
                } else {
                    droplet.name.clone()
                };
                let datapath = droplet.datapath.as_deref().unwrap_or("measured datapath");
                let is_used = used.contains(&number);
                let idle = if is_used {
                    datapath
                } else {
                    "no packet comes by"
                };
                draw_box(body, middle, is_used, (&name, idle))?;
            }
        }
        Ok(())
    })
}

/// The ways, each step once, and endpoints at their ends.
fn ways(area: &Area<'_>, overlay: &OverlayInfo, places: &Places) -> Result<(), DrawError> {
    let color = look(0).color;
    let half = (px(BOX.0) / 2, px(BOX.1) / 2);
    let mut steps = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for way in &overlay.ways {
        for step in way.windows(2) {
            steps.extend(places.middle(step[0]).zip(places.middle(step[1])));
        }
        ends.extend(
            way.first()
                .and_then(|first| Some((0, places.middle(*first)?))),
        );
        ends.extend(way.last().and_then(|last| Some((1, places.middle(*last)?))));
    }
    for ((x0, y0), (x1, y1)) in steps {
        let (from, to) = if x0 < x1 {
            ((x0 + half.0, y0), (x1 - half.0, y1))
        } else if x0 > x1 {
            ((x0 - half.0, y0), (x1 + half.0, y1))
        } else {
            let down = if y0 < y1 { half.1 } else { -half.1 };
            ((x0, y0 + down), (x1, y1 - down))
        };
        arrow(area, from, to, color)?;
    }
    for (side, (x, y)) in ends {
        let edge = if side == 0 { px(8) } else { px(WIDTH - 8) };
        let (from, to) = if side == 0 {
            ((edge, y), (x - half.0, y))
        } else {
            ((x + half.0, y), (edge, y))
        };
        arrow(area, from, to, color)?;
        let lettering = if side == 0 {
            Lettering::LEFT
        } else {
            Lettering::RIGHT
        };
        write(
            area,
            (edge, y - px(12)),
            lettering.color(MUTED).size(12),
            "endpoints",
        )?;
    }
    Ok(())
}

fn draw_box(
    area: &Area<'_>,
    (x, y): (i32, i32),
    is_used: bool,
    (name, below): (&str, &str),
) -> Result<(), DrawError> {
    let half = (px(BOX.0) / 2, px(BOX.1) / 2);
    let (from, to) = ((x - half.0, y - half.1), (x + half.0, y + half.1));
    let color = if is_used { INK } else { MUTED };
    if is_used {
        outlined(area, from, to, color)?;
    } else {
        let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
        dashed(area, &corners, color, 3, DOTTED)?;
    }
    let lettering = Lettering::CENTER.color(color);
    write(
        area,
        (x, y - px(9)),
        lettering.bold(),
        &text::shorten(name, 17),
    )?;
    write(
        area,
        (x, y + px(10)),
        lettering.size(11),
        &text::shorten(below, 21),
    )
}

/// The ways in words.
pub(super) fn words(overlay: &OverlayInfo) -> String {
    /// As many ways as are told.
    const TOLD: usize = 4;
    let name = |droplet: &usize| {
        let droplet = overlay.droplets.get(*droplet);
        droplet.map_or("?", |droplet| droplet.name.as_str())
    };
    let way = |way: &Vec<usize>| way.iter().map(name).collect::<Vec<_>>().join(", ");
    let mut ways: Vec<String> = overlay.ways.iter().take(TOLD).map(way).collect();
    if overlay.ways.len() > TOLD {
        ways.push(format!("{} more", overlay.ways.len() - TOLD));
    }
    format!("packets go by {}", ways.join("; or by "))
}
