//! Packets with the short header, where droplets have the extension: see `mizar_core::short_header`.
//!
//! What arrives gets the options that it would have had otherwise, so that all other tables read it as any packet of a direct
//! path. Two of them look at [`register::CAME_SHORT`]: a request by ARP is not answered, and behind all judgement a packet goes on
//! only if its endpoint is hosted here.
//!
//! The Ethernet address of who sent it is not known to the overlay bridge, and is in a rule for each neighbour; who reads
//! the table of direct paths wants it.

use super::invalidation::{self, CAME_DIRECT, DIRECT_PATH};
use super::{
    Action, Builder, Field, Host, Match, RETURN, RETURN_IP, SCALED, SHORT, Tunnel, Value, in_vpc,
    neighbours, priority, register, resubmit, return_to, table,
};
use mizar_wire::Mac;

impl Builder<'_> {
    fn has_short_header(&self) -> bool {
        self.provision.extensions.has_short_header()
    }

    /// Gives what arrives with the short header all options.
    pub(super) fn lengthen(&self) -> Option<Action> {
        self.has_short_header().then_some(resubmit(table::LENGTHEN))
    }

    /// Gives what leaves an endpoint by a direct path the short header, where that is read.
    pub(super) fn shorten(&self) -> Option<Action> {
        self.has_short_header().then_some(resubmit(table::SHORTEN))
    }
}

pub(super) fn add(builder: &mut Builder<'_>) {
    if !builder.has_short_header() {
        return;
    }
    lengthen(builder);
    hosted(builder);
    shorten(builder);
}

fn lengthen(builder: &mut Builder<'_>) {
    let own = builder.provision.host.ip.to_bits();
    let is_short = || Match::all().with_present(SHORT);
    let from = |ip: u32| is_short().with(Field::TunnelSrc, ip);
    // Nobody sends it to itself.
    let tunnel = Tunnel::TRANSIT.number.0;
    let from_here = from(own).with(Field::InPort, tunnel);
    builder.add(table::CLASSIFY, priority::SPECIAL, from_here, Vec::new());
    for host in neighbours(builder.provision) {
        let actions = as_long(return_to(host));
        let from_it = from(host.ip.to_bits());
        builder.add(table::LENGTHEN, priority::SPECIAL, from_it, actions);
    }
    let nobody = Host {
        ip: Default::default(),
        mac: Mac::default(),
    };
    let mut actions = as_long(return_to(nobody));
    actions.push(Action::Move {
        from: Field::TunnelSrc.whole(),
        to: RETURN_IP,
    });
    builder.add(table::LENGTHEN, priority::GENERAL, is_short(), actions);
}

/// What makes a packet with the short header one with return-to-sender, which says this.
fn as_long(sender: Value) -> Vec<Action> {
    vec![
        Action::set(RETURN, sender | Value::from(1u8) << DIRECT_PATH),
        Action::Delete(SHORT),
        Action::set(SCALED, Value::ZERO),
        Action::set_slice(register::STATE, CAME_DIRECT),
        Action::set_slice(register::CAME_SHORT, 1u8),
    ]
}

/// Nobody sends on what came with the short header.
fn hosted(builder: &mut Builder<'_>) {
    let came_short = || Match::all().with_slice(register::CAME_SHORT, 1u8);
    builder.add(table::ARP, priority::SPECIAL, came_short(), Vec::new());
    let go_on = vec![resubmit(table::HOSTED)];
    builder.add(table::JUDGED, priority::GENERAL, came_short(), go_on);
    for endpoint in &builder.provision.endpoints {
        if endpoint.port.is_some() {
            let to_it = in_vpc(endpoint.vni, register::DST, endpoint.ip);
            let deliver = vec![resubmit(table::ENDPOINT)];
            builder.add(table::HOSTED, priority::GENERAL, to_it, deliver);
        }
    }
    let back = invalidation::back(builder.provision.host);
    builder.add(table::HOSTED, priority::MISS, Match::all(), back);
}

/// At this place the next host is known only if it is that of a direct path.
fn shorten(builder: &mut Builder<'_>) {
    let provision = builder.provision;
    let others = |ip: &&mizar_wire::Ipv4| **ip != provision.host.ip;
    for reader in provision.short_header_hosts.iter().filter(others) {
        let leads_there = Match::all()
            .with(register::FOUND, 1u8)
            .with(Field::TunnelDst, reader.to_bits());
        let actions = vec![
            Action::Delete(RETURN),
            Action::Delete(SCALED),
            Action::set(SHORT, Value::ZERO),
        ];
        builder.add(table::SHORTEN, priority::GENERAL, leads_there, actions);
    }
}
