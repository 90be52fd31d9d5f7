//! The core over native tables, one frame at a time.

use mizar_core::frame::Slice;
use mizar_core::reason::{Reason, Refusal};
use mizar_core::verdict::{Agent, Changes, Transit, Via};
use mizar_core::{Tables, agent, apply, transit};
use mizar_tables::{Entries, Native};
use mizar_wire::Vni;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use topologies::oracle::{Outcome, Why};
use topologies::provision::{DirectPath, EndpointPort, Host, Port};

#[derive(Clone)]
pub struct Droplet {
    tables: Native,
}

/// The bytes of a frame at an even address, with room in front for outer headers.
struct Buffer {
    /// Two bytes each, which is what makes the address even.
    words: Vec<u16>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(frame: &[u8]) -> Self {
        let end = ENCAPSULATION_LEN + frame.len();
        let mut buffer = Self {
            words: vec![0; end.div_ceil(2)],
            start: ENCAPSULATION_LEN,
            end,
        };
        buffer.bytes().copy_from_slice(frame);
        buffer
    }

    fn bytes(&mut self) -> &mut [u8] {
        let (start, end) = (self.start, self.end);
        &mut zerocopy::IntoBytes::as_mut_bytes(&mut self.words[..])[start..end]
    }

    /// The frame, which is refused where it does not start at an even address.
    fn frame(&mut self) -> Result<Slice<'_>, Reason> {
        Slice::new(self.bytes()).map_err(|_| Reason::NoRoom)
    }
}

impl Droplet {
    pub fn new(entries: &Entries) -> Self {
        // Flows are cached where there is no policy; elsewhere the cache would only take time to copy.
        let tables = Native::new(entries);
        let tables = if entries.enforced.is_empty() {
            tables.with_established()
        } else {
            tables
        };
        Self { tables }
    }

    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Outcome {
        let mut buffer = Buffer::new(frame);
        let ended = match port {
            Port::Uplink => self.transit(&mut buffer),
            Port::Endpoint(EndpointPort(port)) => self.agent(usize::from(port), &mut buffer),
        };
        ended.unwrap_or_else(|reason| Outcome::Dropped {
            why: match reason.refusal() {
                Refusal::Drop => Why::Drop,
                Refusal::Abort => Why::Abort,
            },
            reason: reason.text(),
        })
    }

    fn agent(&mut self, port: usize, buffer: &mut Buffer) -> Result<Outcome, Reason> {
        let attachment = self.tables.attachment(port);
        let plan = match agent::agent(&buffer.frame()?, &attachment, &mut self.tables) {
            Agent::Refuse(reason) => return Err(reason),
            Agent::Encapsulate(plan) => plan,
        };
        buffer.start -= plan.outer_len();
        let droplet = self.tables.droplet();
        apply::encapsulate(&mut buffer.frame()?, &droplet, &plan).ok_or(Reason::NoRoom)?;
        match plan.via {
            Via::Uplink => Ok(forward(Port::Uplink, buffer)),
            Via::Stack => Ok(to_stack(buffer)),
            Via::Transit => self.transit(buffer),
        }
    }

    fn transit(&mut self, buffer: &mut Buffer) -> Result<Outcome, Reason> {
        let mut changes = Changes::default();
        match transit::transit(&buffer.frame()?, &mut self.tables, &mut changes) {
            Transit::Refuse(reason) => Err(reason),
            Transit::Pass => Ok(to_stack(buffer)),
            Transit::Forward { next, via } => {
                buffer.start = buffer
                    .start
                    .checked_sub(changes.growth())
                    .ok_or(Reason::NoRoom)?;
                apply::forward(&mut buffer.frame()?, &next, &changes).ok_or(Reason::NoRoom)?;
                Ok(match via {
                    Via::Stack => to_stack(buffer),
                    _ => forward(Port::Uplink, buffer),
                })
            }
            Transit::Deliver { port } => {
                apply::deliver(&mut buffer.frame()?, &changes).ok_or(Reason::NoRoom)?;
                buffer.start += changes.inner_at;
                let port = u16::try_from(port).map_err(|_| Reason::NotAttached)?;
                Ok(forward(Port::Endpoint(EndpointPort(port)), buffer))
            }
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
                let vni = Vni::new(key.vni())?;
                Some(DirectPath {
                    vni,
                    ip: key.ip(),
                    host,
                })
            })
            .collect()
    }
}

fn forward(port: Port, buffer: &mut Buffer) -> Outcome {
    let frame = buffer.bytes().to_vec();
    Outcome::Forward { port, frame }
}

fn to_stack(buffer: &mut Buffer) -> Outcome {
    let frame = buffer.bytes().to_vec();
    Outcome::ToStack { frame }
}
