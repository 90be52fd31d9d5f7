//! The underlay bridge: what arrives at the uplink is taken apart, left to the stack, or ends here.

use super::{Action, Match, cookie, mac, priority};
use crate::flow::{Cookie, Field, PortNumber, Priority, Rule, Table, Value, fragment};
use mizar_wire::geneve;
use topologies::provision::Host;

/// The number of the uplink.
pub const UPLINK: PortNumber = PortNumber(1);

const UDP: u8 = 17;

/// The rules of the droplet `host`. Output to the bridge's own interface is where the switch takes a Geneve packet
/// apart, if it is addressed to that interface, and else where the stack gets it.
pub fn rules(host: Host) -> Vec<Rule> {
    let uplink = || Match::all().with(Field::InPort, UPLINK.0);
    // Fragments are left to the stack, which may have use for them.
    let udp = || {
        uplink()
            .with(Field::EthType, super::IPV4)
            .with(Field::IpProto, UDP)
            .with_masked(
                Field::IpFragment,
                Value::ZERO,
                Value::from(fragment::ANY | fragment::LATER),
            )
    };
    let local = vec![Action::Output(PortNumber::LOCAL)];
    // Mizar does not look at the Ethernet destination; the switch wants its own.
    let take_apart = vec![
        Action::set(Field::EthDst, mac(host.mac)),
        Action::Output(PortNumber::LOCAL),
    ];
    let out = vec![Action::Output(UPLINK)];
    let own = || udp().with(Field::IpDst, host.ip.to_bits());
    let tunnelled = own().with(Field::UdpDst, geneve::PORT.get());
    let from_stack = Match::all().with(Field::InPort, PortNumber::LOCAL.0);
    let spent = udp().with(Field::IpTtl, 0u8);
    let passed = cookie::PASSED;
    let uncounted = Cookie::default();
    vec![
        rule(priority::prefix(1), uncounted, spent, Vec::new()),
        rule(priority::FIRST, uncounted, tunnelled, take_apart),
        rule(priority::SPECIAL, passed, own(), local.clone()),
        rule(priority::GENERAL, uncounted, udp(), Vec::new()),
        rule(Priority(1), passed, uplink(), local),
        rule(Priority(1), uncounted, from_stack, out),
    ]
}

fn rule(priority: Priority, cookie: Cookie, matches: Match, actions: Vec<Action>) -> Rule {
    Rule {
        table: Table(0),
        priority,
        cookie,
        idle_timeout: 0,
        hard_timeout: 0,
        matches,
        actions,
    }
}
