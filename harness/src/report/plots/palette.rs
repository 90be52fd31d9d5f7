//! How datapaths are told apart: by colour, mark and dash, so that colour is never needed.

use plotters::style::RGBColor;

/// Colours of Okabe and Ito, which colour-blind readers can tell apart, without the yellow that vanishes on white.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 134, 98),
    RGBColor(170, 60, 130),
    RGBColor(40, 40, 40),
    RGBColor(190, 120, 0),
    RGBColor(50, 140, 200),
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
/// comes twice among 56.
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
