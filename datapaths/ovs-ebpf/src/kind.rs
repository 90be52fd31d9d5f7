//! What becomes of the packets of a flow.

use crate::notation::{Action, Match};

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They get outer headers: an endpoint sent them.
    Encapsulated,
    /// They get other outer headers.
    Forwarded,
    /// They go to an endpoint.
    Delivered,
    /// They are dropped.
    Dropped,
    /// They go to the network stack.
    Passed,
    /// They are counted elsewhere: those that are looked for again, as what is inside; or nowhere: those of the stack.
    Uncounted,
}

impl Kind {
    const COUNT: usize = Self::Uncounted as usize + 1;

    /// Of a flow.
    pub fn of(asks: &Match, does: &[Action]) -> Self {
        let pushes = |action: &Action| matches!(action, Action::Push(_));
        let is_tunnelled = asks.mask.tunnel_dst.raw() != 0;
        match does {
            [] => Self::Dropped,
            [Action::Pop(_)] => Self::Uncounted,
            _ if !does.iter().any(pushes) => Self::Delivered,
            _ if is_tunnelled => Self::Forwarded,
            _ => Self::Encapsulated,
        }
    }
}

/// Packets by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals([u64; Kind::COUNT]);

impl Totals {
    /// So many more.
    pub fn add(&mut self, kind: Kind, packets: u64) {
        self.0[kind as usize] += packets;
    }

    /// How many.
    pub fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }
}
