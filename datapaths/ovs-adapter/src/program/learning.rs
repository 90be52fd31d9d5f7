//! Direct paths: those that are known from the start, and how others are learned.

use super::{
    Action, Builder, Field, IDLE_TIMEOUT, Match, RETURN, RETURN_IP, RETURN_MAC, cookie, in_vpc,
    mac, priority, register, table,
};
use crate::flow::{Learn, LearnSource, LearnSpec, Slice};

pub(super) fn add(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    for path in &provision.direct_paths {
        let actions = vec![
            Action::set(Field::TunnelDst, path.host.ip.to_bits()),
            Action::Set {
                to: register::HOST_MAC,
                value: mac(path.host.mac),
            },
            Action::set(register::FOUND, 1u8),
        ];
        builder.add_counted(
            table::DIRECT,
            priority::GENERAL,
            cookie::GIVEN_PATH,
            in_vpc(path.vni, register::DST, path.ip),
            actions,
        );
    }
    // What a table says of an endpoint goes before what packets say.
    for endpoint in &provision.endpoints {
        builder.add(
            table::LEARN,
            priority::SPECIAL,
            in_vpc(endpoint.vni, register::SRC, endpoint.ip),
            Vec::new(),
        );
    }
    // Without the option there is nothing to learn: a rule made from what is not there would lead nowhere.
    builder.add(
        table::LEARN,
        priority::GENERAL,
        Match::all().with_present(RETURN),
        vec![Action::Learn(learn())],
    );
}

/// The source is reached by the host that return-to-sender names.
fn learn() -> Learn {
    let loads = [
        (Field::TunnelDst.whole(), LearnSource::Packet(RETURN_IP)),
        (register::HOST_MAC, LearnSource::Packet(RETURN_MAC)),
        (register::FOUND.whole(), LearnSource::Constant(1u8.into())),
    ];
    path(register::SRC, &loads)
}

/// Of the way to the endpoint whose address is in this register, a rule that writes these, in the place of what was learned
/// about it before.
pub(super) fn path(endpoint: Field, loads: &[(Slice, LearnSource)]) -> Learn {
    let load = |(to, value): &(Slice, LearnSource)| LearnSpec::Load {
        to: *to,
        value: value.clone(),
    };
    Learn {
        table: table::DIRECT,
        // Before a path known from the start, and not in its place: a rule that learn() changes keeps its timeouts, so the
        // switch would find it to be another than it wants, and change it, with each look at the flow
        // (`ofproto_flow_mod_init_for_learn` of OVS's `ofproto/ofproto.c`); each time all flows are translated anew.
        priority: priority::SPECIAL,
        cookie: cookie::LEARNED_PATH,
        idle_timeout: IDLE_TIMEOUT,
        hard_timeout: 0,
        specs: [
            LearnSpec::Match {
                at: Field::TunnelId.whole(),
                value: LearnSource::Packet(Field::TunnelId.whole()),
            },
            LearnSpec::Match {
                at: register::DST.whole(),
                value: LearnSource::Packet(endpoint.whole()),
            },
        ]
        .into_iter()
        .chain(loads.iter().map(load))
        .collect(),
    }
}
