//! What a datapath that carries the core does to a frame, stage by stage.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use topologies::provision::Port;

/// How far a frame gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Into the program, which drops it at once.
    Hook,
    /// Its headers are read.
    Parse,
    /// It is judged by policy: connection tracking, rules, access lists.
    Policy,
    /// It is looked up where it goes.
    Lookup,
    /// Outer headers are written, or taken off.
    Headers,
    /// It is sent.
    Redirect,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Hook,
        Self::Parse,
        Self::Policy,
        Self::Lookup,
        Self::Headers,
        Self::Redirect,
    ];
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hook => "hook",
            Self::Parse => "parse",
            Self::Policy => "policy",
            Self::Lookup => "lookup",
            Self::Headers => "headers",
            Self::Redirect => "redirect",
        })
    }
}

/// How it is found out where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// By the cache of established flows; one of 256 frames by all tables, which renews the entry.
    Established,
    /// By all tables.
    Full,
}

impl Decision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Established, Self::Full];
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Established => "established flow",
            Self::Full => "full decision",
        })
    }
}

/// A droplet whose work on a frame can be cut short.
pub trait Stages {
    /// Whether there is such a stage: policy is no part of what is done for an established flow, and what has no ports sends
    /// nothing.
    fn has(&self, decision: Decision, stage: Stage) -> bool;

    /// Whether what is decided about `frame` at `port` is remembered, so that the next of its flow is one of an established flow.
    /// A divider remembers nothing, for one.
    ///
    /// # Errors
    /// Where the frame is refused.
    fn is_established(&mut self, port: Port, frame: &[u8]) -> Result<bool, Error>;

    /// Has `frame` arrive at `port` as often as `times` says, get as far as `stage` each time, and end there. Returns how long
    /// all that took.
    ///
    /// # Errors
    /// Where there is no such stage, or the frame does not get so far.
    fn run(
        &mut self,
        port: Port,
        decision: Decision,
        stage: Stage,
        frame: &[u8],
        times: u32,
    ) -> Result<Duration, Error>;

    /// What a frame is once its headers are written, from one that goes through alone.
    ///
    /// # Errors
    /// Where it does not get so far.
    fn written(&mut self, port: Port, decision: Decision, frame: &[u8]) -> Result<Vec<u8>, Error>;
}
