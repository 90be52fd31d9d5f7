//! One droplet: tables, counters, and a frame's way through the core.

use datapath_api::ring::Buffer;
use datapath_api::{Counters, Error, Outcome, Why};
use mizar_core::frame::Slice;
use mizar_core::reason::{Reason, Refusal};
use mizar_core::verdict::{Agent, Changes, Transit, Via};
use mizar_core::{Tables, agent, apply, transit};
use mizar_tables::Native;
use mizar_wire::Vni;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use topologies::provision::{DirectPath, EndpointPort, Host, Port};

/// What becomes of a frame.
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

    /// A frame leaves the endpoint at `port`.
    #[inline(always)]
    pub fn agent(&mut self, port: usize, buffer: &mut Buffer) -> Action {
        let attachment = self.tables.attachment(port);
        let verdict = match Slice::new(buffer.frame_mut()) {
            Ok(frame) => agent::agent(&frame, &attachment, &mut self.tables),
            Err(_) => Agent::Refuse(Reason::NoRoom),
        };
        let plan = match verdict {
            Agent::Refuse(reason) => return self.refuse(reason),
            Agent::Encapsulate(plan) => plan,
        };
        if !buffer.grow(ENCAPSULATION_LEN) {
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
    pub fn transit(&mut self, buffer: &mut Buffer) -> Action {
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
                if apply::forward(&mut frame, &next, &changes).is_none() {
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

    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        let mut buffer = Buffer::new();
        let doing = || "passing a frame in";
        let capacity = Buffer::capacity();
        buffer
            .reset(frame.len())
            .ok_or_else(|| {
                Error::failed(doing(), format!("{} bytes exceed {capacity}", frame.len()))
            })?
            .copy_from_slice(frame);
        let action = match port {
            Port::Uplink => self.transit(&mut buffer),
            Port::Endpoint(EndpointPort(port)) => self.agent(usize::from(port), &mut buffer),
        };
        let frame = buffer.frame().to_vec();
        Ok(match action {
            Action::Uplink => Outcome::Forward {
                port: Port::Uplink,
                frame,
            },
            Action::Endpoint(port) => {
                let port = u16::try_from(port)
                    .map_err(|_| Error::failed(doing(), format!("no endpoint port {port}")))?;
                Outcome::Forward {
                    port: Port::Endpoint(EndpointPort(port)),
                    frame,
                }
            }
            Action::Stack => Outcome::ToStack { frame },
            Action::Refused(reason) => Outcome::Dropped {
                why: match reason.refusal() {
                    Refusal::Drop => Why::Drop,
                    Refusal::Abort => Why::Abort,
                },
                reason: reason.text(),
            },
        })
    }

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
            switch: None,
        }
    }

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
