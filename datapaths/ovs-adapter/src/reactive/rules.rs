//! From what the core did with one packet to a rule for its flow.

use super::Kind;
use crate::flow::packet::Packet;
use crate::flow::{Action, Cookie, Field, Match, PortNumber, Rule, Table, Value, fragment};
use crate::openflow::PacketIn;
use crate::program::{BLANK, IPV4, NAMESPACE, POD, RETURN, RETURNED, SCALED, SHORT, priority};

const TCP: u64 = 6;
const UDP: u64 = 17;

/// Fields of a packet that the core may change.
const CHANGEABLE: [Field; 14] = [
    Field::EthDst,
    Field::EthSrc,
    Field::IpSrc,
    Field::IpDst,
    Field::TcpSrc,
    Field::TcpDst,
    Field::UdpSrc,
    Field::UdpDst,
    Field::ArpOperation,
    Field::ArpSenderIp,
    Field::ArpTargetIp,
    Field::ArpSenderMac,
    Field::ArpTargetMac,
    Field::TunnelId,
];

const OPTIONS: [Field; 7] = [BLANK, RETURN, RETURNED, SHORT, SCALED, POD, NAMESPACE];

/// What a packet became.
pub struct Became {
    pub kind: Kind,
    /// As it leaves: with metadata where it leaves by a tunnel.
    pub packet: Packet,
    /// Where it leaves; nowhere if it is denied.
    pub port: Option<PortNumber>,
}

/// The packet as it came, with its metadata.
pub fn came(packet: &PacketIn) -> Packet {
    let mut came = Packet::new(&packet.frame);
    for (field, masked) in packet.metadata.fields() {
        came.write(field.whole(), masked.value);
    }
    came
}

/// A rule for packets like this one: everything that the core may have looked at must be the same. `None` for
/// packets that are no IPv4, which come seldom.
pub fn rule(table: Table, came: &Packet, became: &Became, cookie: Cookie) -> Option<Rule> {
    let read = |field: Field| came.read(field.whole());
    if read(Field::EthType) != Value::from(IPV4) {
        return None;
    }
    let mut matches = Match::all();
    let mut exact = vec![
        Field::InPort,
        Field::TunnelId,
        Field::EthDst,
        Field::EthSrc,
        Field::EthType,
        Field::IpProto,
        Field::IpFragment,
        Field::IpSrc,
        Field::IpDst,
    ];
    let is_later = read(Field::IpFragment).low_u64() & u64::from(fragment::LATER) != 0;
    match read(Field::IpProto).low_u64() {
        TCP if !is_later => exact.extend([Field::TcpSrc, Field::TcpDst]),
        UDP if !is_later => exact.extend([Field::UdpSrc, Field::UdpDst]),
        _ => {}
    }
    // With the short header it says who sent the packet.
    if came.has(SHORT) {
        exact.push(Field::TunnelSrc);
    }
    // What leaves an endpoint has no options yet.
    exact.extend(
        [RETURN, SHORT, SCALED, POD, NAMESPACE]
            .into_iter()
            .filter(|option| came.has(*option)),
    );
    for field in exact {
        matches = matches.with(field, read(field));
    }
    Some(Rule {
        table,
        priority: priority::GENERAL,
        cookie,
        idle_timeout: super::IDLE_TIMEOUT,
        hard_timeout: super::HARD_TIMEOUT,
        matches,
        actions: actions(came, became),
    })
}

/// What makes `came` into what it became.
fn actions(came: &Packet, became: &Became) -> Vec<Action> {
    let Some(port) = became.port else {
        return Vec::new();
    };
    let is_tunnelled = became.kind != Kind::Delivered;
    let after = |field: Field| became.packet.read(field.whole());
    let mut actions: Vec<Action> = CHANGEABLE
        .into_iter()
        .filter(|field| is_tunnelled || *field != Field::TunnelId)
        .filter(|field| after(*field) != came.read(field.whole()))
        .map(|field| Action::set(field, after(field)))
        .collect();
    if is_tunnelled {
        for option in OPTIONS {
            // Written even where it stays as it was: the switch gives what a rule does not look at or write to
            // packets that had something else there.
            match (came.has(option), became.packet.has(option)) {
                (true, false) => actions.push(Action::Delete(option)),
                (_, true) => actions.push(Action::set(option, after(option))),
                (false, false) => {}
            }
        }
        actions.push(Action::set(Field::TunnelDst, after(Field::TunnelDst)));
    }
    // A switch sends a packet back where it came from only if it is told in these words.
    let back = came.read(Field::InPort.whole()) == Value::from(port.0);
    actions.push(Action::Output(if back {
        PortNumber::IN_PORT
    } else {
        port
    }));
    actions
}

/// What sends the packet itself, as it became, from nowhere.
pub fn packet_out(became: &Became) -> Vec<Action> {
    let Some(port) = became.port else {
        return Vec::new();
    };
    let mut actions = Vec::new();
    if became.kind != Kind::Delivered {
        let metadata = [Field::TunnelId, Field::TunnelDst]
            .into_iter()
            .chain(OPTIONS);
        for field in metadata.filter(|field| became.packet.has(*field)) {
            actions.push(Action::set(field, became.packet.read(field.whole())));
        }
    }
    actions.push(Action::Output(port));
    actions
}
