//! Frames that leave an endpoint.

use super::{
    Action, Builder, Field, Match, NAMESPACE, POD, RETURN, SCALED, Tunnel, Value, cookie,
    endpoint_port, in_vpc, label, priority, register, resubmit, return_to, table, type_of_service,
};
use std::collections::BTreeSet;
use topologies::provision::{Attachment, Endpoint};

pub(super) fn add(builder: &mut Builder<'_>) {
    for attachment in &builder.provision.attachments {
        classify(builder, attachment);
    }
    check_sources(builder);
    let found = |tos: u8| {
        Match::all()
            .with(register::FOUND, 1u8)
            .with(register::TOS, tos)
    };
    let mut actions = builder.direct();
    actions.extend(builder.say_direct());
    actions.extend(builder.shorten());
    actions.extend([resubmit(table::PICK), resubmit(table::AGENT_SEND)]);
    builder.add(table::AGENT, priority::GENERAL, Match::all(), actions);
    let classes: BTreeSet<u8> = builder
        .provision
        .attachments
        .iter()
        .map(|attachment| type_of_service(attachment.class))
        .collect();
    let own = builder.provision.host.ip.to_bits();
    for tos in classes {
        builder.add_counted(
            table::AGENT_SEND,
            priority::GENERAL,
            cookie::ENCAPSULATED,
            found(tos),
            vec![Action::Output(Tunnel::of_class(tos).number)],
        );
    }
    // The droplet itself is the next hop: the packet goes on as if it had come from there.
    builder.add_counted(
        table::AGENT_SEND,
        priority::SPECIAL,
        cookie::ENCAPSULATED,
        Match::all()
            .with(register::FOUND, 1u8)
            .with(Field::TunnelDst, own),
        [
            Action::set(Field::TunnelSrc, own),
            Action::set(Field::InPort, 0u8),
            Action::set(register::FOUND, 0u8),
        ]
        .into_iter()
        .chain(builder.note_direct())
        .chain([resubmit(table::ARP), resubmit(table::INGRESS)])
        .collect(),
    );
}

/// What the agent of an endpoint knows goes into the packet's metadata.
fn classify(builder: &mut Builder<'_>, attachment: &Attachment) {
    let group = builder.group(&attachment.bouncers);
    let host = builder.provision.host;
    let judge = if builder.provision.guarded.contains(&attachment.vni) {
        table::SOURCE
    } else {
        table::EGRESS
    };
    let metadata = |src: Field, dst: Field| {
        vec![
            Action::copy(src, register::SRC),
            Action::copy(dst, register::DST),
            Action::set(Field::TunnelId, attachment.vni.get()),
            Action::set(RETURN, return_to(host)),
            Action::set(SCALED, Value::ZERO),
            Action::set(POD, label(attachment.pod_label)),
            Action::set(NAMESPACE, label(attachment.namespace_label)),
            Action::set(register::TOS, type_of_service(attachment.class)),
            Action::set(register::GROUP, group),
            resubmit(judge),
        ]
    };
    let port = Match::all().with(Field::InPort, endpoint_port(attachment.port).0);
    builder.add(
        table::CLASSIFY,
        priority::GENERAL,
        port.clone().with(Field::EthType, super::IPV4),
        metadata(Field::IpSrc, Field::IpDst),
    );
    for operation in [1u16, 2] {
        builder.add(
            table::CLASSIFY,
            priority::GENERAL,
            port.clone()
                .with(Field::EthType, super::ARP)
                .with(Field::ArpOperation, operation),
            metadata(Field::ArpSenderIp, Field::ArpTargetIp),
        );
    }
}

/// Lets through what comes from an endpoint at its port, where others must not pass for it.
fn check_sources(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    if provision.guarded.is_empty() {
        return;
    }
    let is_guarded = |endpoint: &&Endpoint| provision.guarded.contains(&endpoint.vni);
    for endpoint in provision.endpoints.iter().filter(is_guarded) {
        let Some(port) = endpoint.port else { continue };
        let from = in_vpc(endpoint.vni, register::SRC, endpoint.ip)
            .with(Field::InPort, endpoint_port(port).0);
        let on = vec![resubmit(table::EGRESS)];
        builder.add(table::SOURCE, priority::GENERAL, from, on);
    }
    let others = Match::all();
    builder.add_counted(
        table::SOURCE,
        priority::MISS,
        cookie::DENIED,
        others,
        Vec::new(),
    );
}
