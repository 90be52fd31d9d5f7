//! Packets that arrive by the tunnel, and the endpoints that are known here.

use super::{
    Action, Builder, Field, Match, Tunnel, cookie, endpoint_port, in_vpc, mac, priority, register,
    resubmit, table,
};
use topologies::provision::{Endpoint, EndpointKind};

pub(super) fn add(builder: &mut Builder<'_>) {
    let tunnel = Match::all().with(Field::InPort, Tunnel::TRANSIT.number.0);
    let note = builder.note_direct();
    let lengthen = builder.lengthen();
    let metadata = |src: Field, dst: Field, next| {
        let mut actions = vec![
            // A switch sends no packet out of the port by which it came; transit does.
            Action::set(Field::InPort, 0u8),
            Action::copy(src, register::SRC),
            Action::copy(dst, register::DST),
        ];
        actions.extend(note.clone());
        actions.extend(lengthen.clone());
        actions.push(resubmit(next));
        actions
    };
    builder.add(
        table::CLASSIFY,
        priority::GENERAL,
        tunnel.clone().with(Field::EthType, super::IPV4),
        metadata(Field::IpSrc, Field::IpDst, table::INGRESS),
    );
    for operation in [1u16, 2] {
        let mut actions = metadata(Field::ArpSenderIp, Field::ArpTargetIp, table::ARP);
        actions.push(resubmit(table::INGRESS));
        builder.add(
            table::CLASSIFY,
            priority::GENERAL,
            tunnel
                .clone()
                .with(Field::EthType, super::ARP)
                .with(Field::ArpOperation, operation),
            actions,
        );
    }
    for endpoint in &builder.provision.endpoints {
        known(builder, endpoint);
    }
    builder.add(
        table::ENDPOINT,
        priority::MISS,
        Match::all(),
        builder.unknown(),
    );
}

/// The rule of an endpoint: its host delivers, a bouncer sends on.
fn known(builder: &mut Builder<'_>, endpoint: &Endpoint) {
    let to_endpoint = in_vpc(endpoint.vni, register::DST, endpoint.ip);
    // The packet may have been sent to a gateway's address.
    let address = Action::set(Field::EthDst, mac(endpoint.mac));
    if let Some(port) = endpoint.port {
        let actions = vec![
            address,
            resubmit(table::LEARN),
            Action::Output(endpoint_port(port)),
        ];
        return builder.add_counted(
            table::ENDPOINT,
            priority::GENERAL,
            cookie::DELIVERED,
            to_endpoint,
            actions,
        );
    }
    // The members of a scaled endpoint are backends and not hosts: flows to it would have to be rewritten.
    let host = endpoint
        .hosts
        .first()
        .filter(|ip| endpoint.kind != EndpointKind::Scaled && builder.is_resolved(**ip));
    let actions = host.map_or_else(Vec::new, |host| {
        let mut actions = vec![address];
        actions.extend(builder.say_direct());
        actions.extend([
            Action::set(Field::TunnelDst, host.to_bits()),
            Action::set(register::FOUND, 1u8),
            resubmit(table::SEND),
        ]);
        actions
    });
    builder.add(table::ENDPOINT, priority::GENERAL, to_endpoint, actions);
}
