//! Megaflows, as the BPF programs of the eBPF datapath behind Open vSwitch and the program that fills their maps share
//! them.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`key`] | what of a packet a flow may ask for, and how it is read from a frame |
//! | [`tunnel`] | the part of a key that outer headers are |
//! | [`flow`] | a flow's actions and counters in a fixed layout |
//! | [`set`] | carrying actions out that change bytes of a frame |
//! | [`map`] | layout and sizes of the maps |
//!
//! Everything here compiles natively and to BPF: no allocation, no panics. What a packet means is what Open vSwitch's
//! userspace datapath takes it for, since its flows decide here: each place names the function that it follows.

#![no_std]

pub mod flow;
pub mod key;
pub mod map;
pub mod set;
pub mod tunnel;

#[cfg(test)]
mod tests;

pub use flow::{Flow, Step};
pub use key::Key;
