//! What one droplet must do with a frame: an evaluator written from the description of the wire, to
//! check datapaths against.
//!
//! It shares no code with any datapath. A datapath is fast, in place and made for a verifier; this is
//! plain: frames are byte vectors, tables are lists searched from front to back, and each rule stands
//! where a reader of the description looks for it.
//!
//! | file | subject |
//! | --- | --- |
//! | `agent` | frames that enter from an endpoint |
//! | `transit` | frames that enter from the uplink: parsing, delivery |
//! | `hop` | the way onwards: bouncers, dividers, direct paths |
//! | `invalidation` | direct paths that have become stale |
//! | `scaled` | scaled endpoints and their modify messages |
//! | `acl` | access lists of networks |
//! | `policy` | network policy and connection tracking |
//! | `inner` | the inner packet: parsing and rewriting |
//! | `outer` | the outer headers and Geneve options |
//! | `overlay` | all droplets of a topology, and frames carried from one to the next |
//! | `jhash`, `bytes` | the hash, byte access and checksums |
//!
//! The caches that Mizar bounds to 50,000 least recently used entries grow without bound here.

mod acl;
mod agent;
mod bytes;
mod hop;
mod inner;
mod invalidation;
mod jhash;
mod outer;
mod overlay;
mod policy;
mod scaled;
mod transit;

use crate::provision::{DirectPath, Endpoint, Host, Port, Provision};
use inner::{Target, Tuple};
use mizar_wire::{Ipv4, Vni};
use policy::Tracked;
use std::collections::HashMap;

pub use agent::source_port;
pub use jhash::{SEED, bouncer_index, jhash_2words};
pub use overlay::{End, Journey, OverlayOracle};

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It leaves by a port.
    Forward {
        /// Where it leaves.
        port: Port,
        /// How it leaves.
        frame: Vec<u8>,
    },
    /// It goes up to the host's own network stack.
    ToStack {
        /// How it goes up.
        frame: Vec<u8>,
    },
    /// It ends here.
    Dropped {
        /// In which of the two ways.
        why: Why,
        /// What was wrong, for people.
        reason: &'static str,
    },
}

/// The two ways in which a frame ends. Mizar tells them apart, so datapaths must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// Not to be forwarded.
    Drop,
    /// Malformed, or denied by policy.
    Abort,
}

/// `Err` ends the evaluation with an outcome.
type Step<T> = Result<T, Outcome>;

fn drop_frame(reason: &'static str) -> Outcome {
    Outcome::Dropped {
        why: Why::Drop,
        reason,
    }
}

fn abort(reason: &'static str) -> Outcome {
    Outcome::Dropped {
        why: Why::Abort,
        reason,
    }
}

/// One droplet: its tables, and what it has learned so far.
#[derive(Debug, Clone)]
pub struct Oracle {
    tables: Provision,
    direct_paths: HashMap<(Vni, Ipv4), Host>,
    tracked: HashMap<(Vni, Tuple), Tracked>,
    forward_flows: HashMap<(Vni, Tuple), Target>,
    reverse_flows: HashMap<(Vni, Tuple), Target>,
}

impl Oracle {
    /// A droplet with these tables. Keys in them are taken to be unique.
    pub fn new(provision: &Provision) -> Self {
        let direct_paths = provision
            .direct_paths
            .iter()
            .map(|path| ((path.vni, path.ip), path.host))
            .collect();
        Self {
            tables: provision.clone(),
            direct_paths,
            tracked: HashMap::new(),
            forward_flows: HashMap::new(),
            reverse_flows: HashMap::new(),
        }
    }

    /// Gives the droplet other tables. What it learned stays, and the direct paths of `provision` are no matter.
    pub fn update(&mut self, provision: &Provision) {
        self.tables = provision.clone();
    }

    /// Feeds the droplet one frame.
    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Outcome {
        let ended = match port {
            Port::Uplink => self.transit(frame.to_vec()),
            Port::Endpoint(port) => self.agent(port, frame.to_vec()),
        };
        match ended {
            Ok(outcome) | Err(outcome) => outcome,
        }
    }

    /// The direct-path cache, sorted by network identifier and address.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        let mut paths: Vec<DirectPath> = self
            .direct_paths
            .iter()
            .map(|(&(vni, ip), &host)| DirectPath { vni, ip, host })
            .collect();
        paths.sort_by_key(|path| (path.vni, path.ip.to_bits()));
        paths
    }

    fn host(&self) -> Host {
        self.tables.host
    }

    fn endpoint(&self, vni: Vni, ip: Ipv4) -> Option<&Endpoint> {
        self.tables
            .endpoints
            .iter()
            .find(|endpoint| endpoint.vni == vni && endpoint.ip == ip)
    }
}
