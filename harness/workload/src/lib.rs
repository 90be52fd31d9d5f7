//! What the tester sends and how it recognises it again: shared by the tester in user space and its BPF
//! programs, so that every tester offers and checks the same.
//!
//! A workload is a list of [`Entry`]s, one a frame; frame number n is entry n modulo their count, with a
//! [`Stamp`] written into it: the number, and when it should have been sent.

#![cfg_attr(not(test), no_std)]

mod entry;
pub mod histogram;
mod pace;
mod sink;
pub mod underlay;

pub use entry::{Entry, LARGE_WORDS, SMALL_WORDS, Stamp};
pub use pace::{Control, Origin, Pace};
pub use sink::{
    ANYWHERE, Arrival, GENEVE_AT, ROUNDS, SinkConfig, SinkState, WINDOW, inner_behind, judge,
};
