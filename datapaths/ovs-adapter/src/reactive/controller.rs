//! The adapter's side: packet-ins, the core, rules.

use super::rules::{self, Became};
use super::tables::Watched;
use super::{CONTROLLER, Kind, SENT, frame, reason};
use crate::Error;
use crate::flow::packet::Packet;
use crate::flow::{Action, Cookie, Field, PortNumber, Table};
use crate::openflow::{Change, Connection, Filter, PacketIn};
use crate::program::{RETURN, SCALED, Tunnel, endpoint_at, endpoint_port};
use mizar_core::frame::Slice;
use mizar_core::reason::{Reason, Refusal};
use mizar_core::verdict::{Agent, Changes, Transit, Via};
use mizar_core::{Tables, agent, apply, transit};
use mizar_tables::Native;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use mizar_wire::{Ipv4, Vni, ethernet, ipv4};
use netdev::Tid;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use topologies::provision::{DirectPath, EndpointPort, Host, Provision};
use zerocopy::FromBytes;

/// How long the thread waits for a packet before it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);
/// A flow's rule is not sent again within this time: its first packets come here one after another before the
/// switch has it.
const AGAIN: Duration = Duration::from_millis(200);
/// Flows that are remembered for that, at the most.
const REMEMBERED: usize = 65_536;

/// What the core knows, and what it did.
#[derive(Debug)]
pub struct State {
    tables: Native,
    host: Host,
    /// Packets that went through here, by [`Kind`].
    handled: [u64; Kind::ALL.len() + 1],
    /// Refused packets by reason.
    refused: [u64; Reason::COUNT],
    /// Cookies of rules that were sent.
    installed: HashSet<u64>,
    sent: HashMap<Vec<u8>, Instant>,
}

/// A thread that answers packet-ins. Dropping it ends the thread.
#[derive(Debug)]
pub struct Controller {
    state: Arc<Mutex<State>>,
    ending: Arc<AtomicBool>,
    failure: Arc<Mutex<Option<String>>>,
    thread: Option<JoinHandle<()>>,
    tid: Option<Tid>,
}

impl Controller {
    /// Answers packet-ins of the bridge whose management socket is at `socket`, by these tables.
    ///
    /// # Errors
    /// Where the switch cannot be reached.
    pub fn start(socket: &Path, provision: &Provision, tables: Native) -> Result<Self, Error> {
        let mut connection = Connection::open(socket)?;
        connection.want_packet_ins()?;
        let state = Arc::new(Mutex::new(State {
            tables,
            host: provision.host,
            handled: [0; Kind::ALL.len() + 1],
            refused: [0; Reason::COUNT],
            installed: HashSet::new(),
            sent: HashMap::new(),
        }));
        let (ending, failure) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (shared, end, failed) = (
            Arc::clone(&state),
            Arc::clone(&ending),
            Arc::clone(&failure),
        );
        let (started, ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("controller".to_owned())
            .spawn(move || {
                let _ = started.send(Tid::current());
                while !end.load(Ordering::Relaxed) {
                    if let Err(error) = answer(&mut connection, &shared) {
                        let failed: &Mutex<Option<String>> = &failed;
                        *lock(failed) = Some(error.to_string());
                        return;
                    }
                }
            })
            .map_err(Error::io("starting the controller"))?;
        Ok(Self {
            state,
            ending,
            failure,
            thread: Some(thread),
            tid: ready.recv().ok(),
        })
    }

    /// The thread.
    pub fn tid(&self) -> Option<Tid> {
        self.tid
    }

    /// The core's direct paths, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        let state = lock(&self.state);
        let paths = state.tables.direct_paths();
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

    /// Packets that went through here and became this.
    pub fn handled(&self, kind: Kind) -> u64 {
        lock(&self.state)
            .handled
            .get(kind as usize)
            .copied()
            .unwrap_or_default()
    }

    /// Packets that the core refused, by reason; only reasons that occurred.
    pub fn refused(&self) -> Vec<(String, u64)> {
        let state = lock(&self.state);
        Reason::ALL
            .iter()
            .zip(state.refused)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.text().to_owned(), count))
            .collect()
    }

    /// An error if the thread ended by itself.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        match lock(&self.failure).as_ref() {
            None => Ok(()),
            Some(reason) => Err(Error::OpenFlow {
                doing: "answering packet-ins".to_owned(),
                reason: reason.clone(),
            }),
        }
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was its own; there is nothing to clean up after it.
            let _ = thread.join();
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(connection: &mut Connection, state: &Mutex<State>) -> Result<(), Error> {
    let Some(packet) = connection.packet_in(LOOK)? else {
        return Ok(());
    };
    let port = PortNumber(frame::metadata(&packet, Field::InPort).low_u64() as u32);
    match packet.userdata.first() {
        Some(&reason::MARKER) => {
            connection.packet_out(CONTROLLER, &packet.frame, &[Action::Output(port)])
        }
        Some(&reason::SENT) => lock(state).sent(connection, &packet, port),
        Some(&reason::ARRIVED) => lock(state).arrived(connection, &packet),
        _ => Ok(()),
    }
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
        let bytes = zerocopy::IntoBytes::as_mut_bytes(words.as_mut_slice());
        if let Some(place) = bytes.get_mut(Self::ROOM..Self::ROOM + frame.len()) {
            place.copy_from_slice(frame);
        }
        Self {
            words,
            from: Self::ROOM,
            len: frame.len(),
        }
    }

    /// Makes room for outer headers part of the frame.
    fn grow(&mut self) {
        self.from -= ENCAPSULATION_LEN;
        self.len += ENCAPSULATION_LEN;
    }

    fn bytes(&mut self) -> &mut [u8] {
        let bytes = zerocopy::IntoBytes::as_mut_bytes(self.words.as_mut_slice());
        bytes
            .get_mut(self.from..self.from + self.len)
            .unwrap_or_default()
    }
}

impl State {
    /// A frame left the endpoint at `port`.
    fn sent(
        &mut self,
        connection: &mut Connection,
        packet: &PacketIn,
        port: PortNumber,
    ) -> Result<(), Error> {
        let mut changed = Vec::new();
        let attachment = endpoint_at(port).map_or_else(Default::default, |EndpointPort(number)| {
            self.tables.attachment(number.into())
        });
        let mut memory = Memory::new(&packet.frame);
        let droplet = self.tables.droplet();
        let verdict = match Slice::new(memory.bytes()) {
            Ok(slice) => {
                let mut tables = Watched {
                    tables: &mut self.tables,
                    changed: &mut changed,
                };
                agent::decide(&slice, &attachment, &mut tables)
            }
            Err(_) => Agent::Refuse(Reason::NoRoom),
        };
        let became = match verdict {
            Agent::Refuse(reason) => Err(reason),
            Agent::Encapsulate(plan) => {
                memory.grow();
                let applied = Slice::new(memory.bytes())
                    .ok()
                    .and_then(|mut slice| apply::encapsulate(&mut slice, &droplet, &plan));
                let class = Tunnel::of_class(plan.tos).number;
                match (applied, plan.via) {
                    (None, _) => Err(Reason::NoRoom),
                    (Some(()), Via::Transit) => self.transit(&mut memory, &mut changed),
                    (Some(()), _) => leaves(&mut memory, Kind::Encapsulated, class),
                }
            }
        };
        let vni = Vni::new(attachment.vni).unwrap_or_default();
        self.carry_out(connection, packet, SENT, vni, became, changed)
    }

    /// A packet arrived by the tunnel.
    fn arrived(&mut self, connection: &mut Connection, packet: &PacketIn) -> Result<(), Error> {
        let mut changed = Vec::new();
        let mut memory = Memory::new(&frame::with_outer_headers(packet, self.host));
        let became = self.transit(&mut memory, &mut changed);
        let vni = frame::metadata(packet, Field::TunnelId).low_u64() as u32;
        let has = |option: Field| packet.metadata.get(option).is_some();
        let table = super::arrived(has(RETURN), has(SCALED));
        let vni = Vni::new(vni).unwrap_or_default();
        self.carry_out(connection, packet, table, vni, became, changed)
    }

    fn transit(
        &mut self,
        memory: &mut Memory,
        changed: &mut Vec<(Vni, Ipv4)>,
    ) -> Result<Became, Reason> {
        let mut changes = Changes::default();
        let mut slice = Slice::new(memory.bytes()).map_err(|_| Reason::NoRoom)?;
        let mut tables = Watched {
            tables: &mut self.tables,
            changed,
        };
        match transit::decide(&slice, &mut tables, &mut changes) {
            Transit::Refuse(reason) => Err(reason),
            // Outer headers are made here, so they are the overlay's.
            Transit::Pass => Err(Reason::UnsupportedProtocol),
            Transit::Forward { next, .. } => {
                apply::forward(&mut slice, &next, &changes).ok_or(Reason::NoRoom)?;
                leaves(memory, Kind::Forwarded, Tunnel::TRANSIT.number)
            }
            Transit::Deliver { port } => {
                apply::deliver(&mut slice, &changes).ok_or(Reason::NoRoom)?;
                let inner = memory.bytes().get(changes.inner_at..).unwrap_or_default();
                let port = u16::try_from(port).map_err(|_| Reason::NotAttached)?;
                Ok(Became {
                    kind: Kind::Delivered,
                    packet: Packet::new(inner),
                    port: Some(endpoint_port(EndpointPort(port))),
                })
            }
        }
    }

    /// Deletes rules that no longer hold, adds one for the packet's flow, and sends the packet on.
    fn carry_out(
        &mut self,
        connection: &mut Connection,
        input: &PacketIn,
        table: Table,
        vni: Vni,
        became: Result<Became, Reason>,
        changed: Vec<(Vni, Ipv4)>,
    ) -> Result<(), Error> {
        for (vni, ip) in changed {
            self.delete_rules(connection, vni, ip)?;
        }
        let became = match became {
            Ok(became) => became,
            Err(reason) => {
                if let Some(count) = self.refused.get_mut(reason as usize) {
                    *count += 1;
                }
                if reason.refusal() == Refusal::Drop || !is_denial(reason) {
                    return Ok(());
                }
                Became {
                    kind: Kind::Denied,
                    packet: Packet::new(&input.frame),
                    port: None,
                }
            }
        };
        if let Some(count) = self.handled.get_mut(became.kind as usize) {
            *count += 1;
        }
        let came = rules::came(input);
        let is_modified = is_modify_message(input) || carries_modify_message(&became);
        if !is_modified && !self.was_sent(table, input) {
            let cookie = destination(&became.packet)
                .map(|ip| key(became.kind, vni, ip))
                .unwrap_or_default();
            if let Some(rule) = rules::rule(table, &came, &became, Cookie(cookie)) {
                self.installed.insert(cookie);
                connection.change(&Change::Add(rule))?;
            }
        }
        let actions = rules::packet_out(&became);
        if actions.is_empty() {
            return Ok(());
        }
        connection.packet_out(CONTROLLER, &became.packet.frame, &actions)
    }

    /// Whether a rule for the packet's flow was sent a moment ago.
    fn was_sent(&mut self, table: Table, input: &PacketIn) -> bool {
        let mut key = vec![table.0];
        for field in [Field::InPort, Field::TunnelId, RETURN] {
            key.extend(frame::metadata(input, field).to_vec(usize::from(field.bits() / 8)));
        }
        key.extend_from_slice(input.frame.get(..TRANSPORT_PORTS).unwrap_or(&input.frame));
        let now = Instant::now();
        if self.sent.len() >= REMEMBERED {
            self.sent.retain(|_, sent| sent.elapsed() < AGAIN);
        }
        let before = self.sent.insert(key, now);
        before.is_some_and(|sent| now.duration_since(sent) < AGAIN)
    }

    fn delete_rules(
        &mut self,
        connection: &mut Connection,
        vni: Vni,
        ip: Ipv4,
    ) -> Result<(), Error> {
        for kind in Kind::ALL {
            let cookie = key(kind, vni, ip);
            if self.installed.remove(&cookie) {
                let filter = Filter::all().with_cookie(Cookie(cookie));
                connection.change(&Change::Delete(filter))?;
                self.sent.clear();
            }
        }
        Ok(())
    }
}

/// Bytes of a frame up to where ports end, if its IPv4 header has no options.
const TRANSPORT_PORTS: usize = ethernet::LEN + ipv4::LEN + 4;

fn key(kind: Kind, vni: Vni, ip: Ipv4) -> u64 {
    kind.cookie().0 | u64::from(vni.get()) << 32 | u64::from(ip.to_bits())
}

/// The address that a packet is forwarded by.
fn destination(packet: &Packet) -> Option<Ipv4> {
    let ip: ipv4::Header = ipv4::Header::read_from_prefix(packet.frame.get(ethernet::LEN..)?)
        .ok()?
        .0;
    Some(ip.dst)
}

fn leaves(memory: &mut Memory, kind: Kind, port: PortNumber) -> Result<Became, Reason> {
    Ok(Became {
        kind,
        packet: frame::leaving(memory.bytes()).ok_or(Reason::NoRoom)?,
        port: Some(port),
    })
}

fn is_denial(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::IngressDenied
            | Reason::EgressDenied
            | Reason::IngressReplyDenied
            | Reason::EgressReplyDenied
    )
}

/// Whether the packet tells this droplet to rewrite its flow: the next such packet may say something else.
fn is_modify_message(input: &PacketIn) -> bool {
    is_modify(frame::metadata(input, SCALED))
}

/// Whether it leaves as such a message: the source's host will not send another of this flow.
fn carries_modify_message(became: &Became) -> bool {
    is_modify(became.packet.read(SCALED.whole()))
}

fn is_modify(option: crate::flow::Value) -> bool {
    (option >> 216).low_u64() == u64::from(mizar_wire::geneve::MODIFY)
}
