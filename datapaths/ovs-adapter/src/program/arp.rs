//! Answers ARP requests for endpoints that are known here and hosted elsewhere.

use super::{Action, Builder, Field, Match, in_vpc, mac, name_host, priority, register, table};
use mizar_wire::Mac;
use topologies::provision::{Endpoint, EndpointKind, Host};

pub(super) fn add(builder: &mut Builder<'_>) {
    if builder.provision.extensions.invalidation {
        // What came back begins again instead.
        let came_back = Match::all().with_present(super::RETURNED);
        builder.add(table::ARP, priority::SPECIAL, came_back, Vec::new());
    }
    for endpoint in &builder.provision.endpoints {
        if endpoint.port.is_none() {
            answer(builder, endpoint);
        }
    }
}

/// Turns a request for `endpoint` into its reply, which says where the endpoint is hosted.
fn answer(builder: &mut Builder<'_>, endpoint: &Endpoint) {
    let request = in_vpc(endpoint.vni, register::DST, endpoint.ip)
        .with(Field::EthType, super::ARP)
        .with(Field::ArpOperation, 1u16);
    let host = endpoint.hosts.first().copied();
    let address = host.and_then(|ip| builder.substrate.get(&ip.to_bits()).copied());
    let mut actions = match (endpoint.kind, host, address) {
        (EndpointKind::Simple, Some(ip), Some(mac)) => name_host(Host { ip, mac }).to_vec(),
        // There is nobody to name: the request goes nowhere.
        (EndpointKind::Simple, ..) => {
            builder.add(table::ENDPOINT, priority::SPECIAL, request, Vec::new());
            return;
        }
        _ => vec![
            Action::Delete(super::RETURN),
            Action::Delete(super::RETURNED),
        ],
    };
    actions.extend(reply(endpoint.mac));
    // The answer is this droplet's own.
    actions.push(Action::set_slice(register::STATE, 0u8));
    builder.add(table::ARP, priority::GENERAL, request, actions);
}

/// Sender and target change places, and the sender's Ethernet address is `from`.
fn reply(from: Mac) -> Vec<Action> {
    vec![
        Action::set(Field::ArpOperation, 2u16),
        Action::copy(Field::ArpSenderMac, Field::ArpTargetMac),
        Action::set(Field::ArpSenderMac, mac(from)),
        Action::copy(register::SRC, Field::ArpTargetIp),
        Action::copy(register::DST, Field::ArpSenderIp),
        Action::set(Field::EthSrc, mac(from)),
        // What packets are forwarded by has changed places, too.
        Action::copy(Field::ArpSenderIp, register::SRC),
        Action::copy(Field::ArpTargetIp, register::DST),
    ]
}
