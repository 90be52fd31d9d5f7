//! How datapaths are told apart: by colour, mark and dash, so that colour is never needed.

use plotters::style::RGBColor;

/// The first seven are those of Okabe and Ito, which colour-blind readers can tell apart, without the yellow that vanishes
/// on white; no eight more are as far apart, and marks and dashes tell those. All have a contrast of 3 to 1 on white or more
/// (WCAG 2.1, 1.4.11).
const COLORS: [RGBColor; 15] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 134, 98),
    RGBColor(170, 60, 130),
    RGBColor(40, 40, 40),
    RGBColor(170, 110, 0),
    RGBColor(50, 140, 200),
    RGBColor(120, 80, 190),
    RGBColor(150, 20, 40),
    RGBColor(100, 120, 0),
    RGBColor(0, 130, 150),
    RGBColor(130, 85, 55),
    RGBColor(120, 120, 130),
    RGBColor(220, 50, 110),
    RGBColor(20, 50, 120),
];

/// The shape of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// ●
    Circle,
    /// ■
    Square,
    /// ▲
    Triangle,
    /// ◆
    Diamond,
    /// ×
    Cross,
    /// +
    Plus,
    /// ▼
    Pointer,
    /// ✳
    Star,
}

/// Lengths of strokes and gaps in turn, in coordinates; empty for a solid line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dash(&'static [i32]);

/// Fine dots, for reference lines.
pub(super) const DOTTED: Dash = Dash(&[4, 6]);

/// Marks and dashes, both in the order of datapaths.
const SHAPES: [(Marker, Dash); 8] = [
    (Marker::Circle, Dash(&[])),
    (Marker::Square, Dash(&[18, 8])),
    (Marker::Triangle, Dash(&[5, 6])),
    (Marker::Diamond, Dash(&[20, 6, 5, 6])),
    (Marker::Cross, Dash(&[32, 10])),
    (Marker::Plus, Dash(&[10, 10])),
    (Marker::Pointer, Dash(&[24, 5, 4, 5, 4, 5])),
    (Marker::Star, Dash(&[3, 10])),
];

/// How a datapath is drawn everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Colour.
    pub color: RGBColor,
    /// Mark.
    pub marker: Marker,
    /// Dash.
    pub dash: Dash,
}

/// The look of the datapath at place `index` of the run. The numbers of colours and shapes share no factor, so no look
/// comes twice among 120.
pub(super) fn look(index: usize) -> Look {
    let (marker, dash) = SHAPES[index % SHAPES.len()];
    Look {
        color: COLORS[index % COLORS.len()],
        marker,
        dash,
    }
}

impl Dash {
    /// Cuts the line through `points` into its strokes.
    pub(super) fn pieces(self, points: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
        let Some(&first) = points.first() else {
            return Vec::new();
        };
        let Some(&length) = self.0.first() else {
            return vec![points.to_vec()];
        };
        let mut pieces = Vec::new();
        let mut piece = vec![first];
        let (mut turn, mut left) = (0, f64::from(length));
        for pair in points.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
            let whole = (to.0 - from.0).hypot(to.1 - from.1);
            let mut gone = 0.0;
            while whole - gone > left {
                gone += left;
                let share = gone / whole;
                let at = (
                    (from.0 + (to.0 - from.0) * share).round() as i32,
                    (from.1 + (to.1 - from.1) * share).round() as i32,
                );
                if turn % 2 == 0 {
                    piece.push(at);
                    pieces.push(std::mem::take(&mut piece));
                } else {
                    piece = vec![at];
                }
                turn += 1;
                left = f64::from(self.0[turn % self.0.len()]);
            }
            left -= whole - gone;
            if turn % 2 == 0 {
                piece.push(pair[1]);
            }
        }
        if piece.len() > 1 {
            pieces.push(piece);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.1, "relative luminance").
    fn luminance(color: RGBColor) -> f64 {
        let linear = |part: u8| {
            let share = f64::from(part) / 255.0;
            if share <= 0.04045 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(color.0) + 0.7152 * linear(color.1) + 0.0722 * linear(color.2)
    }

    #[test]
    fn colours_stand_out_from_white() {
        for color in COLORS {
            let contrast = 1.05 / (luminance(color) + 0.05);
            assert!(contrast >= 3.0, "{color:?}: {contrast}");
        }
    }

    #[test]
    fn all_datapaths_look_different() {
        let count = crate::registry::all().len();
        for one in 0..count {
            for other in one + 1..count {
                assert_ne!(look(one), look(other));
            }
            let same = (0..one).filter(|it| look(*it).color == look(one).color);
            assert!(same.count() <= count / COLORS.len(), "{one}");
        }
    }
}
