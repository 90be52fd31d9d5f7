//! MLRsearch: the search for the highest rate a device carries at a given loss.
//!
//! This is the Controller of `draft-ietf-bmwg-mlrsearch-15` (RFC 9971), written as a pure state machine. It sends
//! nothing and reads no clock: [`Search::next`] says which trial to measure, the caller measures it, and
//! [`Search::record`] takes the outcome. [`Search::result`] answers at any time, also in the middle of a search.
//!
//! ```text
//! let mut search = Search::new(SearchConfig::csit(min, max))?;
//! while let Step::Measure { load, duration } = search.next() {
//!     search.record(measure(load, duration)?)?;
//! }
//! let result = search.result();
//! ```
//!
//! What is fixed by the draft and what is this module's choice:
//!
//! * [`classify`], [`relevant_bounds`] and [`conditional_throughput`] follow the draft's appendices A and B. They work
//!   on plain lists of trials too, so figures can be derived again from stored raw trials.
//! * Which trial comes next is free (section 4.9.2). The choice here follows the controller of FD.io CSIT: a first
//!   trial at the maximum load, then loads near the forwarding rate seen, then for each goal a chain of ever finer
//!   targets, all loads on one integer grid with logarithmic spacing.

mod classify;
mod config;
mod controller;
mod goal;
mod grid;
mod ledger;
mod limits;
mod rate;
mod result;
mod selector;
mod strategy;
mod target;
mod trial;

#[cfg(test)]
mod tests;

pub use classify::{
    Classification, RelevantBounds, classify, conditional_throughput, relevant_bounds,
};
pub use config::{ConfigError, Precedence, SearchConfig};
pub use controller::{RecordError, Search, Step};
pub use goal::{Goal, GoalBuilder, GoalError};
pub use rate::{LossRatio, Pps, RateError};
pub use result::{Estimate, GoalResult, Irregular, SearchResult, Status};
pub use trial::{Counters, Trial, TrialError};
