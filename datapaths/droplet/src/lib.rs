//! A droplet in user space: tables, counters, and a frame's way through the core, for every datapath that carries the
//! core natively.

mod stages;

use datapath_api::ring;
use datapath_api::{Counters, Outcome, Why};
use mizar_core::frame::Slice;
use mizar_core::reason::Refusal;
use mizar_core::tables::Host as NextHop;
use mizar_core::verdict::{Agent, Changes, Transit, Via};
use mizar_core::{Tables, agent, apply, transit};
use mizar_tables::{Entries, Native};
use mizar_wire::Vni;
use topologies::provision::{DirectPath, Host};

pub use mizar_core::reason::Reason;
pub use stages::NativeStages;

/// A frame in memory, with room in front.
pub trait Buffer {
    /// The frame, at an even address.
    fn frame_mut(&mut self) -> &mut [u8];

    /// Adds `len` bytes in front, an even number; false if there is no room.
    fn grow(&mut self, len: usize) -> bool;

    /// Takes `len` bytes off the front, an even number; false if there are not as many.
    fn strip(&mut self, len: usize) -> bool;
}

impl Buffer for ring::Buffer {
    #[inline(always)]
    fn frame_mut(&mut self) -> &mut [u8] {
        Self::frame_mut(self)
    }

    #[inline(always)]
    fn grow(&mut self, len: usize) -> bool {
        Self::grow(self, len)
    }

    #[inline(always)]
    fn strip(&mut self, len: usize) -> bool {
        Self::strip(self, len)
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It leaves by the uplink.
    Uplink,
    /// It leaves by the endpoint port with this number.
    Endpoint(u32),
    /// It goes to the network stack.
    Stack,
    /// It ends here.
    Refused(Reason),
}

/// A frame that was refused for `reason`, as verification sees it.
pub fn dropped(reason: Reason) -> Outcome {
    Outcome::Dropped {
        why: match reason.refusal() {
            Refusal::Drop => Why::Drop,
            Refusal::Abort => Why::Abort,
        },
        reason: reason.text(),
    }
}

/// Makes a frame with the short header longer by `growth`, and sends it back. It is seldom that a path is stale.
#[cold]
fn give_back(
    buffer: &mut impl Buffer,
    growth: usize,
    next: &NextHop,
    changes: &Changes,
) -> Option<()> {
    if !buffer.grow(growth) {
        return None;
    }
    let mut frame = Slice::new(buffer.frame_mut()).ok()?;
    apply::forward(&mut frame, next, changes)
}

/// One droplet, for one thread.
#[derive(Debug, Clone)]
pub struct Droplet {
    tables: Native,
    encapsulated: u64,
    forwarded: u64,
    delivered: u64,
    passed: u64,
    shaped: u64,
    refused: [u64; Reason::COUNT],
}

impl Droplet {
    /// A droplet with these tables.
    pub fn new(tables: Native) -> Self {
        Self {
            tables,
            encapsulated: 0,
            forwarded: 0,
            delivered: 0,
            passed: 0,
            shaped: 0,
            refused: [0; Reason::COUNT],
        }
    }

    /// Takes these tables in place of those that it has. What was learned stays.
    pub fn update(&mut self, entries: &Entries) {
        self.tables.update(entries);
    }

    /// A frame leaves the endpoint at `port`.
    #[inline(always)]
    pub fn agent(&mut self, port: usize, buffer: &mut impl Buffer) -> Action {
        let attachment = self.tables.attachment(port);
        let verdict = match Slice::new(buffer.frame_mut()) {
            Ok(frame) => agent::agent(&frame, &attachment, &mut self.tables),
            Err(_) => Agent::Refuse(Reason::NoRoom),
        };
        let plan = match verdict {
            Agent::Refuse(reason) => return self.refuse(reason),
            Agent::Encapsulate(plan) => plan,
        };
        if !buffer.grow(plan.outer_len()) {
            return self.refuse(Reason::NoRoom);
        }
        let droplet = self.tables.droplet();
        let written = Slice::new(buffer.frame_mut())
            .ok()
            .and_then(|mut frame| apply::encapsulate(&mut frame, &droplet, &plan));
        if written.is_none() {
            return self.refuse(Reason::NoRoom);
        }
        self.encapsulated += 1;
        match plan.via {
            Via::Uplink => Action::Uplink,
            Via::Stack => {
                self.shaped += 1;
                Action::Stack
            }
            Via::Transit => self.transit(buffer),
        }
    }

    /// A frame arrives at the uplink.
    #[inline(always)]
    pub fn transit(&mut self, buffer: &mut impl Buffer) -> Action {
        let mut changes = Changes::default();
        let Ok(mut frame) = Slice::new(buffer.frame_mut()) else {
            return self.refuse(Reason::NoRoom);
        };
        match transit::transit(&frame, &mut self.tables, &mut changes) {
            Transit::Refuse(reason) => self.refuse(reason),
            Transit::Pass => {
                self.passed += 1;
                Action::Stack
            }
            Transit::Forward { next, via } => {
                let growth = changes.growth();
                let written = if growth == 0 {
                    apply::forward(&mut frame, &next, &changes)
                } else {
                    give_back(buffer, growth, &next, &changes)
                };
                if written.is_none() {
                    return self.refuse(Reason::NoRoom);
                }
                self.forwarded += 1;
                if via == Via::Stack {
                    self.shaped += 1;
                    Action::Stack
                } else {
                    Action::Uplink
                }
            }
            Transit::Deliver { port } => {
                if apply::deliver(&mut frame, &changes).is_none() || !buffer.strip(changes.inner_at)
                {
                    return self.refuse(Reason::NoRoom);
                }
                self.delivered += 1;
                Action::Endpoint(port)
            }
        }
    }

    fn refuse(&mut self, reason: Reason) -> Action {
        self.refused[reason as usize] += 1;
        Action::Refused(reason)
    }

    /// What was counted since it was made.
    pub fn counters(&self) -> Counters {
        let refused = Reason::ALL
            .iter()
            .zip(self.refused)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.text().to_owned(), count))
            .collect();
        Counters {
            encapsulated: self.encapsulated,
            forwarded: self.forwarded,
            delivered: self.delivered,
            passed: self.passed,
            shaped: self.shaped,
            refused,
            polling: None,
            switch: None,
        }
    }

    /// The direct-path cache, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        self.tables
            .direct_paths()
            .filter_map(|(key, host)| {
                let host = Host {
                    ip: host.ip(),
                    mac: host.mac(),
                };
                Some(DirectPath {
                    vni: Vni::new(key.vni())?,
                    ip: key.ip(),
                    host,
                })
            })
            .collect()
    }
}
