//! Flows as Open vSwitch's `dpctl` commands write them: ovs-dpctl(8), and `format_odp_key_attr` and `format_odp_actions` of
//! its lib/odp-util.c.
//!
//! What is not understood is refused with its text, never guessed: packets of such a flow stay with the switch.

mod action;
mod matches;
mod number;
mod print;
mod tree;

pub use action::{Action, Set, actions};
pub use matches::{Match, matches};
pub use print::{print_actions, print_match};

/// Something that this datapath does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not understood: {0}")]
pub struct Refusal(String);

impl Refusal {
    fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A flow of the switch's own datapath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dumped<'a> {
    /// By which the switch knows it.
    pub ufid: &'a str,
    /// What it asks for.
    pub asks: &'a str,
    /// What it does.
    pub does: &'a str,
}

/// A line that `dpctl/dump-flows -m` prints; `None` for one that is no flow.
pub fn dumped(line: &str) -> Option<Dumped<'_>> {
    let (ufid, rest) = line.trim().strip_prefix("ufid:")?.split_once(", ")?;
    // The counters begin behind the last field.
    let (asks, rest) = rest.split_once(", packets:")?;
    let (_, does) = rest.split_once(", actions:")?;
    let does = does
        .split_once(", dp-extra-info:")
        .map_or(does, |(does, _)| does);
    Some(Dumped { ufid, asks, does })
}

#[cfg(test)]
mod tests;
