//! Access lists of networks: what arrives goes through the list of the network that it goes to, if it comes from outside.
//!
//! A switch searches its rules by priority, so a list's rules have falling ones. A range of ports is as many rules as it has
//! prefixes, 30 at the most.

use super::{
    Action, Builder, Field, IPV4, Match, Value, cookie, priority, register, resubmit, table, within,
};
use crate::flow::{Cookie, Priority};
use mizar_wire::ipv4;
use topologies::provision::{Access, Acl, AclRule, PortRange, Service};

/// Priority of a list's first rule; the last of a thousand is well above its default.
const FIRST: u16 = 2_000;

pub(super) fn add(builder: &mut Builder<'_>) {
    let on = vec![resubmit(builder.judged())];
    builder.add(table::ACL, priority::MISS, Match::all(), on);
    for (number, acl) in (1u32..).zip(&builder.provision.acls) {
        choose(builder, number, acl);
        for (index, rule) in (0..).zip(&acl.rules) {
            for matches in asks(number, rule) {
                sentence(builder, Priority(FIRST - index), matches, rule.access);
            }
        }
        let any = Match::all().with(register::ACL, number);
        sentence(builder, priority::MISS_OF_STATE, any, acl.default);
    }
}

/// The list of the longest prefix that holds the destination decides alone, and not about packets from within.
fn choose(builder: &mut Builder<'_>, number: u32, acl: &Acl) {
    let length = u16::from(acl.network.length());
    let entering = Match::all()
        .with(Field::TunnelId, acl.vni.get())
        .with(Field::EthType, IPV4);
    let entering = within(entering, register::DST, acl.network);
    let inside = within(entering.clone(), register::SRC, acl.network);
    let before = |more: u16| Priority(priority::prefix(0).0 + 2 * length + more);
    let on = vec![resubmit(builder.judged())];
    builder.add(table::ACL, before(1), inside, on);
    let judge = vec![
        Action::set(register::ACL, number),
        resubmit(table::ACL_RULES),
    ];
    builder.add(table::ACL, before(0), entering, judge);
}

/// What a rule asks: one of these.
fn asks(number: u32, rule: &AclRule) -> Vec<Match> {
    let matches = Match::all().with(register::ACL, number);
    let matches = within(matches, register::SRC, rule.from);
    let matches = within(matches, register::DST, rule.to).with(Field::EthType, IPV4);
    let ports = |protocol: u8, field: Field, ports: PortRange| {
        let matches = matches.clone().with(Field::IpProto, protocol);
        let asked = |(port, length): (u16, u8)| {
            let mask = u16::MAX.checked_shl(16 - u32::from(length)).unwrap_or(0);
            let (port, mask) = (Value::from(port), Value::from(mask));
            matches.clone().with_masked(field, port, mask)
        };
        ports.prefixes().into_iter().map(asked).collect()
    };
    match rule.service {
        Service::Any => vec![matches],
        Service::Protocol(protocol) => vec![matches.with(Field::IpProto, protocol)],
        Service::Tcp(range) => ports(ipv4::TCP, Field::TcpDst, range),
        Service::Udp(range) => ports(ipv4::UDP, Field::UdpDst, range),
    }
}

fn sentence(builder: &mut Builder<'_>, priority: Priority, matches: Match, access: Access) {
    let (cookie, actions) = match access {
        Access::Allow => (Cookie::default(), vec![resubmit(builder.judged())]),
        Access::Deny => (cookie::DENIED, Vec::new()),
    };
    builder.add_counted(table::ACL_RULES, priority, cookie, matches, actions);
}
