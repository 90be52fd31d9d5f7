//! Network policy with connection tracking.
//!
//! A packet of a connection's other direction is a reply and shares the judgement on its first one, which is the
//! connection's mark: [`DENIED`] if it was denied. Denied connections are committed as well, since Mizar remembers
//! them too. Any other packet is judged: a policy allows it if it names the packet's port and, beside that, the
//! sender's labels or a prefix that the other end lies in. Policies are bits of a register; [`table::ALLOWED`] has a
//! rule for each that asks whether its bit is in both.
//!
//! Only endpoints to which policy applies in any direction are tracked: of others no packet is denied.

use super::{
    Action, Builder, Field, Match, NAMESPACE, POD, Table, Value, cookie, in_vpc, label,
    look_at_options, priority, register, resubmit, table,
};
use crate::flow::{Ct, Priority, Slice, Source, ct_state};
use mizar_wire::{Ipv4, Vni};
use std::collections::{BTreeMap, BTreeSet};
use topologies::provision::{CidrRule, PolicySet, PortRule, Rules};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Mark of a connection whose first packet was denied.
const DENIED: u32 = 1;

/// The judgement on a packet, in [`register::ALLOWED`].
mod judgement {
    /// Denied.
    pub const NO: u8 = 0;
    /// Allowed, but not its replies: Mizar judges those of UDP anew, and a reply has no labels.
    pub const THIS_ONLY: u8 = 1;
    /// Allowed with its replies.
    pub const YES: u8 = 3;
}

/// Which way policy looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    /// In the packet's metadata.
    const AT: Slice = Field::Register(0).slice(16, 1);

    /// The registers with the addresses of the endpoint here and of the other end.
    const fn ends(self) -> (Field, Field) {
        match self {
            Self::Ingress => (register::DST, register::SRC),
            Self::Egress => (register::SRC, register::DST),
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Ingress => 0,
            Self::Egress => 1,
        }
    }

    /// Where packets come from, go behind tracking, are sentenced, and go on if they are allowed.
    const fn tables(self) -> [Table; 4] {
        match self {
            Self::Ingress => [
                table::INGRESS,
                table::INGRESS_TRACKED,
                table::INGRESS_JUDGED,
                table::ACL,
            ],
            Self::Egress => [
                table::EGRESS,
                table::EGRESS_TRACKED,
                table::EGRESS_JUDGED,
                table::AGENT,
            ],
        }
    }

    /// An endpoint here.
    fn local(self, vni: Vni, ip: Ipv4) -> Match {
        in_vpc(vni, self.ends().0, ip).with_slice(Self::AT, self.bit())
    }
}

pub(super) fn add(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    let (ingress, egress) = (&provision.ingress, &provision.egress);
    let policed: BTreeSet<(u32, u32)> = ingress
        .enforced
        .iter()
        .chain(&egress.enforced)
        .map(|(vni, ip)| (vni.get(), ip.to_bits()))
        .collect();
    let zones: BTreeMap<u32, u16> = policed
        .iter()
        .map(|(vni, _)| *vni)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .zip(1..)
        .collect();
    for direction in [Direction::Egress, Direction::Ingress] {
        let [from, _, _, next] = direction.tables();
        builder.add(from, priority::MISS, Match::all(), vec![resubmit(next)]);
        if policed.is_empty() {
            continue;
        }
        for (vni, ip) in &policed {
            track(builder, direction, *vni, *ip, zones[vni]);
        }
        sentence(builder, direction);
    }
    judge(builder, Direction::Ingress, ingress);
    judge(builder, Direction::Egress, egress);
    if !policed.is_empty() {
        labelled(builder);
        compare(builder);
    }
}

/// Packets from and to an endpoint that policy applies to go through connection tracking.
fn track(builder: &mut Builder<'_>, direction: Direction, vni: u32, ip: u32, zone: u16) {
    let [from, tracked, ..] = direction.tables();
    // A reply may come from where policy applies, or go there.
    let ends = [register::SRC, register::DST];
    let cases = ends.into_iter().flat_map(|end| [(end, TCP), (end, UDP)]);
    for (end, protocol) in cases {
        let matches = Match::all()
            .with(Field::TunnelId, vni)
            .with(end, ip)
            .with(Field::EthType, super::IPV4)
            .with(Field::IpProto, protocol);
        let actions = look_at_options().into_iter().chain([
            Action::Set {
                to: Direction::AT,
                value: direction.bit().into(),
            },
            Action::Set {
                to: register::ZONE,
                value: zone.into(),
            },
            Action::Ct(Ct {
                commit: false,
                zone: Source::Field(register::ZONE),
                table: Some(tracked),
                mark: None,
            }),
        ]);
        // With either end policed both rules match, and do the same.
        let priority = if end == register::SRC {
            priority::SPECIAL
        } else {
            priority::GENERAL
        };
        builder.add(from, priority, matches, actions.collect());
    }
}

/// Replies, and what becomes of judged packets.
fn sentence(builder: &mut Builder<'_>, direction: Direction) {
    let [_, tracked, judged, next] = direction.tables();
    let state =
        |value: u32, mask: u32| Match::all().with_masked(Field::CtState, value.into(), mask.into());
    let reply = || state(ct_state::REPLY, ct_state::REPLY);
    builder.add_counted(
        tracked,
        priority::FIRST,
        cookie::DENIED,
        reply().with(Field::CtMark, DENIED),
        Vec::new(),
    );
    builder.add(tracked, priority::SPECIAL, reply(), vec![resubmit(next)]);
    // No policy of this direction: allowed.
    let allowed = vec![
        Action::set(register::ALLOWED, judgement::YES),
        resubmit(judged),
    ];
    builder.add(tracked, priority::MISS, Match::all(), allowed);

    for (judgement, mark, passes) in [
        (judgement::NO, DENIED, false),
        (judgement::THIS_ONLY, DENIED, true),
        (judgement::YES, 0, true),
    ] {
        let on = if passes {
            vec![resubmit(next)]
        } else {
            Vec::new()
        };
        let counted = if passes {
            super::Cookie::default()
        } else {
            cookie::DENIED
        };
        let so = |matches: Match| matches.with(register::ALLOWED, judgement);
        let known = state(
            ct_state::ESTABLISHED,
            ct_state::ESTABLISHED | ct_state::INVALID,
        );
        builder.add_counted(
            judged,
            priority::SPECIAL,
            counted,
            so(known).with(Field::CtMark, mark),
            on.clone(),
        );
        let remember = Action::Ct(Ct {
            commit: true,
            zone: Source::Field(register::ZONE),
            table: None,
            mark: Some(mark),
        });
        // `ct()` wants to know what it gets.
        let valid = state(0, ct_state::INVALID).with(Field::EthType, super::IPV4);
        let actions = std::iter::once(remember).chain(on.clone()).collect();
        builder.add_counted(judged, priority::GENERAL, counted, so(valid), actions);
        // What cannot be tracked is judged and not remembered.
        builder.add_counted(
            judged,
            priority::MISS_OF_STATE,
            counted,
            so(Match::all()),
            on,
        );
    }
}

/// Judges packets of endpoints to which policy of this direction applies.
fn judge(builder: &mut Builder<'_>, direction: Direction, rules: &Rules) {
    let [_, tracked, judged, _] = direction.tables();
    for (vni, ip) in &rules.enforced {
        let none = |field: Field| Action::set(field, 0u8);
        let test = |table: Table| {
            [
                none(register::POLICIES),
                resubmit(table),
                resubmit(table::ALLOWED),
            ]
        };
        let mut actions = vec![
            none(register::ALLOWED),
            none(register::PORT_POLICIES),
            none(register::EXCEPTIONS),
            resubmit(table::BY_PORT),
        ];
        if direction == Direction::Ingress {
            for table in [table::BY_POD, table::BY_NAMESPACE, table::BY_BOTH] {
                actions.extend(test(table));
            }
            actions.push(resubmit(table::LABELLED));
        }
        actions.extend(test(table::BY_PREFIX));
        actions.push(resubmit(table::EXCEPT));
        actions.extend(test(table::BY_PREFIX_UNLESS));
        actions.push(resubmit(judged));
        let here = direction.local(*vni, *ip);
        builder.add(tracked, priority::GENERAL, here, actions);
    }
    for rule in &rules.ports {
        by_port(builder, direction, rules, rule);
    }
    for (table, to, rules) in [
        (table::BY_PREFIX, register::POLICIES, &rules.cidr_primary),
        (
            table::BY_PREFIX_UNLESS,
            register::POLICIES,
            &rules.cidr_supplementary,
        ),
        (table::EXCEPT, register::EXCEPTIONS, &rules.cidr_except),
    ] {
        for rule in rules {
            by_prefix(builder, direction, table, to, rule);
        }
    }
    if direction == Direction::Ingress {
        by_labels(builder, rules);
    }
}

fn set(field: Field, policies: PolicySet) -> Vec<Action> {
    vec![Action::set(field, policies.0)]
}

fn by_port(builder: &mut Builder<'_>, direction: Direction, rules: &Rules, rule: &PortRule) {
    let here = direction.local(rule.vni, rule.local);
    let port = match rule.protocol {
        TCP => Field::TcpDst,
        UDP => Field::UdpDst,
        // Rules that name every protocol and port.
        0 if rule.port == 0 => {
            let actions = set(register::PORT_POLICIES, rule.policies);
            return builder.add(table::BY_PORT, priority::GENERAL, here, actions);
        }
        // No packet of another protocol is judged.
        _ => return,
    };
    let every = rules.ports.iter().find(|other| {
        (other.vni, other.local) == (rule.vni, rule.local) && (other.protocol, other.port) == (0, 0)
    });
    let policies = PolicySet(rule.policies.0 | every.map_or(0, |every| every.policies.0));
    let matches = here
        .with(Field::EthType, super::IPV4)
        .with(Field::IpProto, rule.protocol)
        .with(port, rule.port);
    let actions = set(register::PORT_POLICIES, policies);
    builder.add(table::BY_PORT, priority::SPECIAL, matches, actions);
}

/// The longest prefix that holds the other end decides alone.
fn by_prefix(
    builder: &mut Builder<'_>,
    direction: Direction,
    table: Table,
    to: Field,
    rule: &CidrRule,
) {
    let (address, length) = (rule.remote.address(), rule.remote.length());
    let mask = super::prefix_mask(length);
    let matches = direction.local(rule.vni, rule.local).with_masked(
        direction.ends().1,
        address.to_bits().into(),
        mask,
    );
    builder.add(
        table,
        priority::prefix(length),
        matches,
        set(to, rule.policies),
    );
}

fn by_labels(builder: &mut Builder<'_>, rules: &Rules) {
    for rule in &rules.labels {
        let vpc = Match::all().with(Field::TunnelId, rule.vni.get());
        let (table, matches) = match (rule.pod, rule.namespace) {
            (0, 0) => continue,
            (pod, 0) => (table::BY_POD, vpc.with(POD, label(pod))),
            (0, namespace) => (table::BY_NAMESPACE, vpc.with(NAMESPACE, label(namespace))),
            (pod, namespace) => (
                table::BY_BOTH,
                vpc.with(POD, label(pod)).with(NAMESPACE, label(namespace)),
            ),
        };
        let actions = set(register::POLICIES, rule.policies);
        builder.add(table, priority::GENERAL, matches, actions);
    }
}

/// Who is allowed by labels over UDP is so alone.
fn labelled(builder: &mut Builder<'_>) {
    let matches = Match::all()
        .with(register::ALLOWED, judgement::YES)
        .with(Field::EthType, super::IPV4)
        .with(Field::IpProto, UDP);
    let actions = vec![Action::set(register::ALLOWED, judgement::THIS_ONLY)];
    builder.add(table::LABELLED, priority::GENERAL, matches, actions);
}

/// A rule for each policy that there is.
fn compare(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    let every = provision
        .ingress
        .ports
        .iter()
        .chain(&provision.egress.ports)
        .fold(0, |every, rule| every | rule.policies.0);
    for number in (0..64).filter(|number| every & 1 << number != 0) {
        let bit = |field: Field, value: u8| (field.slice(number, 1), value);
        let matches = [
            bit(register::PORT_POLICIES, 1),
            bit(register::POLICIES, 1),
            bit(register::EXCEPTIONS, 0),
        ]
        .into_iter()
        .fold(Match::all(), |matches, (slice, value)| {
            matches.with_slice(slice, Value::from(value))
        });
        let actions = vec![Action::set(register::ALLOWED, judgement::YES)];
        builder.add(table::ALLOWED, Priority(100 + number), matches, actions);
    }
}
