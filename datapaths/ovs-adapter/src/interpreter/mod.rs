//! Evaluates a [`Program`] without a switch, so that it can be held against the oracle in any world, on any
//! machine. Plain and slow: tables are lists, searched from front to back.
//!
//! What it takes from Open vSwitch is what the program relies on: how a packet's fields are read, what actions do,
//! when `ct()` takes a packet for a reply, and what goes into an outer header. It has no cache, so it knows nothing
//! of what a switch remembers wrongly; tests on a real one are for that.

mod tracking;
mod tunnel;

use crate::flow::packet::Packet;
use crate::flow::{
    Action, Cookie, Field, LearnSource, LearnSpec, Masked, Match, PortNumber, Rule, Table, Value,
};
use crate::openflow::{Change, Filter, PacketIn};
use crate::program::{self, Program, Tunnel, endpoint_at, endpoint_port, underlay};
use crate::reactive::core::Core;
use datapath_api::only_outcome;
use std::collections::BTreeMap;
use topologies::oracle::{Outcome, Why};
use topologies::provision::{DirectPath, Host, Port};
use tracking::Connections;

/// How deep tables may call each other (`MAX_DEPTH` of OVS's `ofproto/ofproto-dpif-xlate.c`).
const MAX_DEPTH: u32 = 64;

/// A switch that forwards by a program.
#[derive(Debug, Clone)]
pub struct Interpreter {
    host: Host,
    neighbours: Vec<Host>,
    tunnels: Vec<Tunnel>,
    underlay: Tables,
    overlay: Tables,
    connections: Connections,
    controller: Option<Core>,
}

/// Rules by table, the highest priority first.
type Tables = BTreeMap<Table, Vec<Rule>>;

/// What came out for one frame.
type Outputs = Vec<Outcome>;

impl Interpreter {
    /// The switch of the droplet `host`.
    pub fn new(program: &Program, host: Host) -> Self {
        Self {
            host,
            neighbours: program.neighbours.clone(),
            tunnels: program.tunnels.clone(),
            underlay: sorted(&program.underlay),
            overlay: sorted(&program.overlay),
            connections: Connections::default(),
            controller: None,
        }
    }

    /// The same with a controller.
    #[must_use]
    pub fn with_controller(self, core: Core) -> Self {
        Self {
            controller: Some(core),
            ..self
        }
    }

    /// Feeds it one frame.
    ///
    /// # Errors
    /// Where more than one frame came out; see [`only_outcome`].
    ///
    /// # Panics
    /// Where it would have a rule learned in the place of one with other timeouts: a switch changes such a rule with each
    /// look at a flow, without end (see `program/learning.rs`), so the program is wrong.
    pub fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, datapath_api::Error> {
        let mut outputs = Outputs::new();
        match port {
            Port::Uplink => self.at_uplink(frame, &mut outputs),
            Port::Endpoint(port) => {
                let packet = Packet::new(frame).arrived_at(endpoint_port(port));
                self.overlay(packet, &mut outputs);
            }
        }
        let dropped = Outcome::Dropped {
            why: Why::Drop,
            reason: "no rule has an output",
        };
        only_outcome(outputs, dropped)
    }

    /// What the controller knows, or table DIRECT says, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        if let Some(core) = &self.controller {
            return core.direct_paths();
        }
        let rules = self.overlay.get(&program::table::DIRECT);
        program::direct_paths(rules.into_iter().flatten())
    }

    fn at_uplink(&mut self, frame: &[u8], outputs: &mut Outputs) {
        let packet = Packet::new(frame).arrived_at(underlay::UPLINK);
        let mut found = Found::default();
        let mut tables = self.underlay.clone();
        let mut run = Run {
            tables: &mut tables,
            connections: &mut self.connections,
            found: &mut found,
        };
        run.table(Table(0), packet, 0);
        for (port, packet) in found.outputs {
            if port != PortNumber::LOCAL {
                continue;
            }
            match tunnel::take_apart(&packet.frame, self.host, &self.tunnels) {
                Some(inner) => {
                    self.learn_neighbour(&packet.frame);
                    self.overlay(inner, outputs);
                }
                None => outputs.push(Outcome::ToStack {
                    frame: packet.frame,
                }),
            }
        }
    }

    /// A switch believes who a tunnel packet says it comes from (`terminate_native_tunnel` of OVS's
    /// ofproto/ofproto-dpif-xlate.c).
    fn learn_neighbour(&mut self, frame: &[u8]) {
        if let Some(sender) = tunnel::sender(frame) {
            self.neighbours.retain(|known| known.ip != sender.ip);
            self.neighbours.push(sender);
        }
    }

    fn overlay(&mut self, packet: Packet, outputs: &mut Outputs) {
        let mut found = Found::default();
        let mut run = Run {
            tables: &mut self.overlay,
            connections: &mut self.connections,
            found: &mut found,
        };
        run.table(Table(0), packet, 0);
        self.leave(found.outputs, outputs);
        for (packet, userdata) in found.packet_ins {
            self.ask_controller(&packet, userdata, outputs);
        }
    }

    /// Sends a packet to the controller, and does what it says.
    fn ask_controller(&mut self, packet: &Packet, userdata: Vec<u8>, outputs: &mut Outputs) {
        let packet_in = PacketIn {
            frame: packet.frame.clone(),
            metadata: packet.metadata(),
            userdata,
            table: Table(0),
            cookie: Cookie::default(),
        };
        let Some(core) = &mut self.controller else {
            return;
        };
        let answer = core.answer(&packet_in);
        for change in answer.changes {
            match change {
                Change::Add(rule) => add(&mut self.overlay, rule),
                Change::Delete(filter) => {
                    for rules in self.overlay.values_mut() {
                        rules.retain(|rule| !is_meant(&filter, rule));
                    }
                }
                Change::DeleteStrict { .. } => {}
            }
        }
        if let Some((frame, actions)) = answer.packet_out {
            let mut found = Found::default();
            let mut run = Run {
                tables: &mut self.overlay,
                connections: &mut self.connections,
                found: &mut found,
            };
            run.actions(&actions, Packet::new(&frame), 0);
            self.leave(found.outputs, outputs);
        }
    }

    fn leave(&mut self, found: Vec<(PortNumber, Packet)>, outputs: &mut Outputs) {
        for (port, packet) in found {
            if let Some(tunnel) = self.tunnels.iter().find(|tunnel| tunnel.number == port) {
                // A droplet that is not a neighbour is asked for, and the packet is lost.
                let frame = tunnel::put_together(&packet, tunnel, self.host, &self.neighbours);
                outputs.extend(frame.map(|frame| Outcome::Forward {
                    port: Port::Uplink,
                    frame,
                }));
            } else if let Some(port) = endpoint_at(port) {
                outputs.push(Outcome::Forward {
                    port: Port::Endpoint(port),
                    frame: packet.frame,
                });
            }
        }
    }
}

fn sorted(rules: &[Rule]) -> Tables {
    let mut tables = Tables::new();
    for rule in rules {
        tables.entry(rule.table).or_default().push(rule.clone());
    }
    for rules in tables.values_mut() {
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    }
    tables
}

#[derive(Default)]
struct Found {
    outputs: Vec<(PortNumber, Packet)>,
    /// With userdata.
    packet_ins: Vec<(Packet, Vec<u8>)>,
}

/// One packet's way through one bridge.
struct Run<'a> {
    tables: &'a mut Tables,
    connections: &'a mut Connections,
    found: &'a mut Found,
}

impl Run<'_> {
    /// Looks the packet up, and returns it as the rule's actions leave it.
    fn table(&mut self, table: Table, packet: Packet, depth: u32) -> Packet {
        let matching = |rule: &&Rule| matches(&rule.matches, &packet);
        let rule = self
            .tables
            .get(&table)
            .and_then(|rules| rules.iter().find(matching));
        match rule {
            Some(rule) if depth < MAX_DEPTH => {
                let actions = rule.actions.clone();
                self.actions(&actions, packet, depth)
            }
            _ => packet,
        }
    }

    fn actions(&mut self, actions: &[Action], mut packet: Packet, depth: u32) -> Packet {
        for action in actions {
            match action {
                Action::Output(port) => self.output(*port, &packet),
                Action::Set { to, value } => packet.write(*to, *value),
                Action::Move { from, to } => {
                    let value = packet.read(*from);
                    packet.write(*to, value);
                }
                Action::Delete(field) => packet.delete(*field),
                Action::Resubmit(table) => packet = self.table(*table, packet, depth + 1),
                Action::Learn(learn) => self.learn(learn, &packet),
                Action::Ct(ct) => {
                    let tracked = self.connections.process(ct, &packet);
                    if let Some(table) = ct.table {
                        // A copy goes on; this one goes on as it was.
                        self.table(table, tracked, 0);
                    }
                }
                // Which one a switch picks is its own business.
                Action::Multipath(pick) => packet.write(pick.to, Value::ZERO),
                Action::Controller { userdata } => {
                    self.found
                        .packet_ins
                        .push((packet.clone(), userdata.clone()));
                }
                Action::Queue(_) => {}
            }
        }
        packet
    }

    fn output(&mut self, port: PortNumber, packet: &Packet) {
        let came_by = packet.read(Field::InPort.whole()).low_u64();
        // A switch sends no packet back by itself, unless it is told to by IN_PORT.
        if port == PortNumber::IN_PORT {
            let port = PortNumber(came_by as u32);
            self.found.outputs.push((port, packet.clone()));
        } else if u64::from(port.0) != came_by {
            self.found.outputs.push((port, packet.clone()));
        }
    }

    fn learn(&mut self, learn: &crate::flow::Learn, packet: &Packet) {
        let value = |source: &LearnSource| match source {
            LearnSource::Packet(slice) => packet.read(*slice),
            LearnSource::Constant(value) => *value,
        };
        let mut rule = Rule {
            table: learn.table,
            priority: learn.priority,
            cookie: learn.cookie,
            idle_timeout: learn.idle_timeout,
            hard_timeout: learn.hard_timeout,
            matches: Match::all(),
            actions: Vec::new(),
        };
        for spec in &learn.specs {
            match spec {
                LearnSpec::Match { at, value: from } => {
                    rule.matches = rule.matches.with_slice(*at, value(from));
                }
                LearnSpec::Load { to, value: from } => rule.actions.push(Action::Set {
                    to: *to,
                    value: value(from),
                }),
            }
        }
        let known = self.tables.get(&rule.table).into_iter().flatten();
        let timeouts = |rule: &Rule| (rule.idle_timeout, rule.hard_timeout);
        for found in known.filter(|found| is_in_the_place_of(found, &rule)) {
            assert_eq!(
                timeouts(found),
                timeouts(&rule),
                "learn() would change a rule that was not learned"
            );
        }
        add(self.tables, rule);
    }
}

/// Whether a rule is one of those that a filter means: it asks for all that the filter asks for.
fn is_meant(filter: &Filter, rule: &Rule) -> bool {
    let asks = |(field, wanted): (Field, Masked)| {
        rule.matches.get(field).is_some_and(|asked| {
            asked.mask & wanted.mask == wanted.mask && asked.value & wanted.mask == wanted.value
        })
    };
    filter.table.is_none_or(|table| table == rule.table)
        && rule.cookie.0 & filter.cookie_mask == filter.cookie.0
        && filter.matches.fields().all(asks)
}

/// Whether adding one of these rules would replace the other.
fn is_in_the_place_of(rule: &Rule, other: &Rule) -> bool {
    (other.priority, &other.matches) == (rule.priority, &rule.matches)
}

/// Adds a rule, in the place of one that matches the same if there is one.
fn add(tables: &mut Tables, rule: Rule) {
    let rules = tables.entry(rule.table).or_default();
    rules.retain(|other| !is_in_the_place_of(other, &rule));
    let at = rules.partition_point(|other| other.priority >= rule.priority);
    rules.insert(at, rule);
}

fn matches(matches: &Match, packet: &Packet) -> bool {
    matches.fields().all(|(field, masked)| {
        let present = packet.has(field);
        let value = packet.read(field.whole());
        // Of an option that is not there no bit can be asked for, not even whether it is zero.
        (present || !matches!(field, Field::Option(_))) && value & masked.mask == masked.value
    })
}
