//! An eBPF datapath behind stock Open vSwitch: BPF programs at tc or XDP forward what they have a flow for; flows are those
//! that the switch's own datapath would have.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`notation`] | flows as the switch writes them |
//! | [`object`] | the BPF object and its loading |
//! | [`table`] | flows in the maps: entering, deleting, reading |

pub mod mapped;
pub mod notation;
pub mod object;
pub mod table;
