//! What the core makes of a whole frame, with its own tables.

use super::Kind;
use super::tables::Watched;
use mizar_core::Tables;
use mizar_core::frame::Slice;
use mizar_core::reason::Reason;
use mizar_core::verdict::{Agent, Changes, Transit, Via};
use mizar_core::{agent, apply, transit};
use mizar_tables::{Entries, Native};
use mizar_wire::geneve::ENCAPSULATION_LEN;
use mizar_wire::{Ipv4, Vni, ethernet, ipv4};
use topologies::provision::{DirectPath, Host};
use zerocopy::{FromBytes, IntoBytes};

/// What one packet taught.
#[derive(Debug, Default)]
pub struct News {
    /// Overlay addresses that have a direct path, or another one, from now on.
    pub changed: Vec<(Vni, Ipv4)>,
    /// Of these, sources whose host is another than before.
    pub moved: Vec<(Vni, Ipv4)>,
    /// Source and destination of flows that are rewritten from now on.
    pub rewritten: Vec<(Ipv4, Ipv4)>,
}

impl News {
    /// Whether it taught nothing.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.rewritten.is_empty()
    }
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// Out of the uplink.
    Uplink {
        /// Type of service that its endpoint has; none of one that is sent on.
        class: Option<u8>,
    },
    /// Out of an endpoint port, of this number.
    Endpoint(u32),
    /// To the network stack, as it came.
    Stack,
}

/// What a frame became.
#[derive(Debug)]
pub struct Judged {
    /// What was done; a frame for the stack is forwarded.
    pub kind: Kind,
    /// As it leaves.
    pub frame: Vec<u8>,
    /// Where.
    pub leaves: Leaves,
}

/// The core with its tables.
#[derive(Debug, Clone)]
pub struct Judge {
    tables: Native,
}

/// A frame in memory that the core accepts, with room in front for outer headers.
struct Memory {
    // Twice as aligned as the core asks for.
    words: Vec<u32>,
    from: usize,
    len: usize,
}

impl Memory {
    /// Room in front: outer headers, and two bytes so that what is inside is aligned as well.
    const ROOM: usize = ENCAPSULATION_LEN + 2;

    fn new(frame: &[u8]) -> Self {
        let mut words = vec![0; (Self::ROOM + frame.len()).div_ceil(4)];
        let bytes = words.as_mut_slice().as_mut_bytes();
        if let Some(place) = bytes.get_mut(Self::ROOM..Self::ROOM + frame.len()) {
            place.copy_from_slice(frame);
        }
        Self {
            words,
            from: Self::ROOM,
            len: frame.len(),
        }
    }

    /// Makes so much of the room part of the frame.
    fn grow(&mut self, len: usize) -> Result<(), Reason> {
        self.from = self.from.checked_sub(len).ok_or(Reason::NoRoom)?;
        self.len += len;
        Ok(())
    }

    fn bytes(&mut self) -> &mut [u8] {
        let bytes = self.words.as_mut_slice().as_mut_bytes();
        bytes
            .get_mut(self.from..self.from + self.len)
            .unwrap_or_default()
    }

    fn slice(&mut self) -> Result<Slice<'_>, Reason> {
        Slice::new(self.bytes()).map_err(|_| Reason::NoRoom)
    }
}

impl Judge {
    /// The core with these tables.
    pub fn new(tables: Native) -> Self {
        Self { tables }
    }

    /// Takes these tables; what was learned stays.
    pub fn update(&mut self, entries: &Entries) {
        self.tables.update(entries);
    }

    /// The network that the endpoint at a port belongs to; 0 if there is none.
    pub fn network_of(&self, port: usize) -> Vni {
        Vni::new(self.tables.attachment(port).vni).unwrap_or_default()
    }

    /// The direct paths, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        let paths = self.tables.direct_paths();
        paths
            .filter_map(|(key, host)| {
                Some(DirectPath {
                    vni: Vni::new(key.vni())?,
                    ip: key.ip(),
                    host: Host {
                        ip: host.ip(),
                        mac: host.mac(),
                    },
                })
            })
            .collect()
    }

    /// A frame left the endpoint at `port`.
    ///
    /// # Errors
    /// Why the core refuses it.
    pub fn sent(&mut self, port: usize, frame: &[u8], news: &mut News) -> Result<Judged, Reason> {
        let attachment = self.tables.attachment(port);
        let droplet = self.tables.droplet();
        let mut memory = Memory::new(frame);
        let plan = match agent::decide(&memory.slice()?, &attachment, &mut self.watched(news)) {
            Agent::Refuse(reason) => return Err(reason),
            Agent::Encapsulate(plan) => plan,
        };
        memory.grow(plan.outer_len())?;
        apply::encapsulate(&mut memory.slice()?, &droplet, &plan).ok_or(Reason::NoRoom)?;
        match plan.via {
            Via::Transit => self.transit(&mut memory, news),
            Via::Uplink | Via::Stack => Ok(Judged {
                kind: Kind::Encapsulated,
                frame: memory.bytes().to_vec(),
                leaves: Leaves::Uplink {
                    class: Some(plan.tos),
                },
            }),
        }
    }

    /// A frame arrived at the uplink.
    ///
    /// # Errors
    /// Why the core refuses it.
    pub fn arrived(&mut self, frame: &[u8], news: &mut News) -> Result<Judged, Reason> {
        self.transit(&mut Memory::new(frame), news)
    }

    fn transit(&mut self, memory: &mut Memory, news: &mut News) -> Result<Judged, Reason> {
        let mut changes = Changes::default();
        let verdict = transit::decide(&memory.slice()?, &mut self.watched(news), &mut changes);
        let (kind, inner_at, leaves) = match verdict {
            Transit::Refuse(reason) => return Err(reason),
            Transit::Pass => (Kind::Forwarded, 0, Leaves::Stack),
            Transit::Forward { next, .. } => {
                memory.grow(changes.growth())?;
                apply::forward(&mut memory.slice()?, &next, &changes).ok_or(Reason::NoRoom)?;
                (Kind::Forwarded, 0, Leaves::Uplink { class: None })
            }
            Transit::Deliver { port } => {
                apply::deliver(&mut memory.slice()?, &changes).ok_or(Reason::NoRoom)?;
                (Kind::Delivered, changes.inner_at, Leaves::Endpoint(port))
            }
        };
        Ok(Judged {
            kind,
            frame: memory.bytes().get(inner_at..).unwrap_or_default().to_vec(),
            leaves,
        })
    }

    fn watched<'a>(&'a mut self, news: &'a mut News) -> Watched<'a> {
        Watched {
            tables: &mut self.tables,
            news,
        }
    }
}

/// Source and destination of an inner frame of IPv4.
pub fn addresses(frame: &[u8]) -> Option<(Ipv4, Ipv4)> {
    let (ip, _) = ipv4::Header::read_from_prefix(frame.get(ethernet::LEN..)?).ok()?;
    Some((ip.src, ip.dst))
}
