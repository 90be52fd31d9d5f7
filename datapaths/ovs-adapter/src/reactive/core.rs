//! The core as a controller: what becomes of a packet-in.

use super::judge::{Judge, Judged, Leaves, News, addresses};
use super::rules::{self, Became};
use super::{Kind, SENT, frame, is_denial, reason};
use crate::flow::packet::Packet;
use crate::flow::{Action, Cookie, Field, Match, PortNumber, Table};
use crate::openflow::{Change, Filter, PacketIn};
use crate::program::{IPV4, RETURN, RETURNED, SCALED, SHORT, Tunnel, endpoint_at, endpoint_port};
use mizar_core::reason::{Reason, Refusal};
use mizar_tables::{Entries, Native};
use mizar_wire::{Ipv4, Mac, Vni, ethernet, ipv4};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use topologies::provision::{DirectPath, EndpointPort, Host, Provision};

/// A flow's rule is not sent again within this time: its first packets come here one after another before the
/// switch has it.
const AGAIN: Duration = Duration::from_millis(200);
/// Flows that are remembered for that, at the most.
const REMEMBERED: usize = 65_536;

/// What the core knows, and what it did.
#[derive(Debug, Clone)]
pub struct Core {
    judge: Judge,
    host: Host,
    /// Ethernet addresses of droplets: a packet-in says of who sent a packet no more than the underlay address.
    neighbours: HashMap<Ipv4, Mac>,
    /// Packets that went through here, by [`Kind`].
    handled: [u64; Kind::ALL.len() + 1],
    /// Refused packets by reason.
    refused: [u64; Reason::COUNT],
    /// Cookies of rules that were sent.
    installed: HashSet<u64>,
    sent: HashMap<Vec<u8>, Instant>,
    /// Whether any flow was ever rewritten.
    rewrites: bool,
}

/// What the switch shall do about a packet-in, in this order.
#[derive(Debug, Default)]
pub struct Answer {
    /// Changes of its rules.
    pub changes: Vec<Change>,
    /// A packet to be sent, and how.
    pub packet_out: Option<(Vec<u8>, Vec<Action>)>,
}

impl Core {
    /// The core of a droplet with these tables.
    pub fn new(tables: Native, provision: &Provision) -> Self {
        let known = provision.substrate.iter();
        Self {
            judge: Judge::new(tables),
            host: provision.host,
            neighbours: known.map(|host| (host.ip, host.mac)).collect(),
            handled: [0; Kind::ALL.len() + 1],
            refused: [0; Reason::COUNT],
            installed: HashSet::new(),
            sent: HashMap::new(),
            rewrites: false,
        }
    }

    /// Takes these tables. What was learned stays, and rules that follow from the old ones shall go: all of them.
    pub fn update(&mut self, entries: &Entries) -> Vec<Change> {
        self.judge.update(entries);
        let known = entries.substrate.iter();
        self.neighbours = known.map(|host| (host.ip(), host.mac())).collect();
        self.installed.clear();
        self.sent.clear();
        let of_kind = |kind: Kind| {
            Change::Delete(Filter {
                cookie: kind.cookie(),
                cookie_mask: Kind::MASK,
                ..Filter::all()
            })
        };
        Kind::ALL.into_iter().map(of_kind).collect()
    }

    /// The direct paths, in no order.
    pub fn direct_paths(&self) -> Vec<DirectPath> {
        self.judge.direct_paths()
    }

    /// Packets that went through here and became this.
    pub fn handled(&self, kind: Kind) -> u64 {
        self.handled.get(kind as usize).copied().unwrap_or_default()
    }

    /// Packets that were refused, by reason; only reasons that occurred.
    pub fn refused(&self) -> Vec<(String, u64)> {
        Reason::ALL
            .iter()
            .zip(self.refused)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.text().to_owned(), count))
            .collect()
    }

    /// Answers a packet-in.
    pub fn answer(&mut self, packet: &PacketIn) -> Answer {
        let port = PortNumber(frame::metadata(packet, Field::InPort).low_u64() as u32);
        match packet.userdata.first() {
            Some(&reason::MARKER) => Answer {
                packet_out: Some((packet.frame.clone(), vec![Action::Output(port)])),
                ..Answer::default()
            },
            Some(&reason::SENT) => self.sent(packet, port),
            Some(&reason::ARRIVED) => self.arrived(packet),
            _ => Answer::default(),
        }
    }

    /// A frame left the endpoint at `port`.
    fn sent(&mut self, packet: &PacketIn, port: PortNumber) -> Answer {
        let mut news = News::default();
        // No endpoint is at a port beyond those that endpoints can be at.
        let port = endpoint_at(port).map_or(usize::MAX, |EndpointPort(number)| number.into());
        let judged = self.judge.sent(port, &packet.frame, &mut news);
        let vni = self.judge.network_of(port);
        self.carry_out(packet, SENT, vni, judged.and_then(became), news)
    }

    /// A packet arrived by the tunnel.
    fn arrived(&mut self, packet: &PacketIn) -> Answer {
        let mut news = News::default();
        let from = frame::sender(packet);
        let from = Host {
            ip: from,
            mac: self.neighbours.get(&from).copied().unwrap_or_default(),
        };
        let frame = frame::with_outer_headers(packet, from, self.host);
        let judged = self.judge.arrived(&frame, &mut news);
        let vni = frame::metadata(packet, Field::TunnelId).low_u64() as u32;
        let has = |option: Field| packet.metadata.get(option).is_some();
        let table = if has(SHORT) {
            super::ARRIVED_SHORT
        } else {
            super::arrived(has(RETURN), has(SCALED))
        };
        let vni = Vni::new(vni).unwrap_or_default();
        self.carry_out(packet, table, vni, judged.and_then(became), news)
    }

    /// Deletes rules that no longer hold, adds one for the packet's flow, and sends the packet on.
    fn carry_out(
        &mut self,
        input: &PacketIn,
        table: Table,
        vni: Vni,
        became: Result<Became, Reason>,
        news: News,
    ) -> Answer {
        let mut answer = Answer::default();
        for (vni, ip) in &news.changed {
            self.delete_rules(&mut answer.changes, *vni, *ip);
        }
        let ip = || Match::all().with(Field::EthType, IPV4);
        self.rewrites |= !news.rewritten.is_empty();
        let rewrites = self.rewrites;
        // Rules that take packets with the old host for nothing new. A rewritten packet may come from an address that
        // is not its own, so with such all of the VPC go. What an endpoint here sends may teach as well, if this droplet is
        // its own next hop; it has no VPC in its metadata yet.
        let moved = news.moved.iter().flat_map(|(vni, src)| {
            [vni.get(), 0].map(|vni| {
                let of_vpc = ip().with(Field::TunnelId, vni);
                if rewrites {
                    of_vpc
                } else {
                    of_vpc.with(Field::IpSrc, src.to_bits())
                }
            })
        });
        // Rules from before the flow was rewritten, or for another rewrite.
        let rewritten = news.rewritten.iter().map(|(src, dst)| {
            ip().with(Field::IpSrc, src.to_bits())
                .with(Field::IpDst, dst.to_bits())
        });
        for matches in moved.chain(rewritten) {
            let filter = Filter {
                matches,
                ..Filter::all()
            };
            answer.changes.push(Change::Delete(filter));
            self.sent.clear();
        }
        let became = match became {
            Ok(became) => became,
            Err(reason) => {
                if let Some(count) = self.refused.get_mut(reason as usize) {
                    *count += 1;
                }
                if reason.refusal() == Refusal::Drop || !is_denial(reason) {
                    return answer;
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
        let is_modified = is_modify_message(input) || carries_modify_message(&became);
        // The next one may come back from elsewhere, or its path may be forgotten by then.
        let came_back = input.metadata.get(RETURNED).is_some();
        let destination = destination(&became.packet);
        // What this very packet taught: the next one of its flow is decided about in another way.
        let flow = addresses(&input.frame);
        let is_old = destination.is_some_and(|ip| news.changed.contains(&(vni, ip)))
            || flow.is_some_and(|flow| news.rewritten.contains(&flow));
        if !is_modified && !came_back && !is_old && !self.was_sent(table, input) {
            let cookie = destination
                .map(|ip| key(became.kind, vni, ip))
                .unwrap_or_default();
            let came = rules::came(input);
            if let Some(rule) = rules::rule(table, &came, &became, Cookie(cookie)) {
                self.installed.insert(cookie);
                answer.changes.push(Change::Add(rule));
            }
        }
        let actions = rules::packet_out(&became);
        answer.packet_out = (!actions.is_empty()).then_some((became.packet.frame, actions));
        answer
    }

    /// Whether a rule for the packet's flow was sent a moment ago.
    fn was_sent(&mut self, table: Table, input: &PacketIn) -> bool {
        let mut key = vec![table.0];
        for field in [Field::InPort, Field::TunnelId, Field::TunnelSrc, RETURN] {
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

    fn delete_rules(&mut self, changes: &mut Vec<Change>, vni: Vni, ip: Ipv4) {
        for kind in Kind::ALL {
            let cookie = key(kind, vni, ip);
            if self.installed.remove(&cookie) {
                let filter = Filter::all().with_cookie(Cookie(cookie));
                changes.push(Change::Delete(filter));
                self.sent.clear();
            }
        }
    }
}

/// Bytes of a frame up to where ports end, if its IPv4 header has no options.
const TRANSPORT_PORTS: usize = ethernet::LEN + ipv4::LEN + 4;

fn key(kind: Kind, vni: Vni, ip: Ipv4) -> u64 {
    kind.cookie().0 | u64::from(vni.get()) << 32 | u64::from(ip.to_bits())
}

/// The address that a packet is forwarded by.
fn destination(packet: &Packet) -> Option<Ipv4> {
    addresses(&packet.frame).map(|(_, dst)| dst)
}

/// A frame as the switch sends it.
fn became(judged: Judged) -> Result<Became, Reason> {
    let Judged {
        kind,
        frame,
        leaves,
    } = judged;
    let (packet, port) = match leaves {
        Leaves::Uplink { class } => (
            frame::leaving(&frame).ok_or(Reason::NoRoom)?,
            class.map_or(Tunnel::TRANSIT, Tunnel::of_class).number,
        ),
        Leaves::Endpoint(port) => {
            let port = u16::try_from(port).map_err(|_| Reason::NotAttached)?;
            (Packet::new(&frame), endpoint_port(EndpointPort(port)))
        }
        // Outer headers are made here, so they are the overlay's.
        Leaves::Stack => return Err(Reason::UnsupportedProtocol),
    };
    Ok(Became {
        kind,
        packet,
        port: Some(port),
    })
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
