//! The group of bouncers or dividers that one is picked from for a frame: no member of another group is lawful.
//!
//! What a droplet learned is not known here, and need not be: a direct path that was learned leads past every group,
//! and a datapath that has not learned it is found by its cache.

use super::packet::{self, header};
use mizar_wire::{Ipv4, Vni, arp, ethernet, ipv4};
use topologies::provision::{Port, Provision};

/// What a packet is routed by.
#[derive(Debug, Clone, Copy)]
struct Route {
    vni: Vni,
    src: Ipv4,
    dst: Ipv4,
    /// Whether it asks by ARP who has `dst`.
    asks: bool,
}

/// Groups from which one may be picked for a frame that arrives: those that the endpoint's agent picks from, and those
/// of the hop that the droplet is. For a frame of an endpoint it is both where the droplet is its own bouncer.
pub fn for_arrived<'a>(provision: &'a Provision, port: Port, frame: &[u8]) -> Vec<&'a [Ipv4]> {
    let own = provision.host.ip;
    let at_hop = |route| by_hop(provision, answered(provision, route));
    if port == Port::Uplink {
        let route = packet::is_overlay(provision, frame)
            .then(|| encapsulated(frame))
            .flatten();
        let again = route.map(|route| again(provision, route));
        let again = again.into_iter().flatten();
        return route.and_then(at_hop).into_iter().chain(again).collect();
    }
    let Some(attachment) = packet::attachment(provision, port) else {
        return Vec::new();
    };
    let Some(route) = Route::read(attachment.vni, frame) else {
        return Vec::new();
    };
    let (mut groups, turns_back) = match direct_path(provision, route) {
        Some(host) => (Vec::new(), host == own),
        None => {
            let bouncers = attachment.bouncers.as_slice();
            let mut paths = provision.direct_paths.iter();
            let turns_back = bouncers.contains(&own) || paths.any(|path| path.host.ip == own);
            (vec![bouncers], turns_back)
        }
    };
    if turns_back {
        groups.extend(at_hop(route));
        groups.extend(again(provision, route));
    }
    groups
}

/// The groups from which the next droplet may have been picked for `frame`, which arrived at `port` and leaves with outer headers;
/// by the droplet as a hop if `is_hop`.
pub fn for_sent<'a>(
    provision: &'a Provision,
    port: Port,
    is_hop: bool,
    frame: &[u8],
) -> Vec<&'a [Ipv4]> {
    let Some(route) = encapsulated(frame) else {
        return Vec::new();
    };
    if is_hop {
        let usual = by_hop(provision, route);
        return usual.into_iter().chain(again(provision, route)).collect();
    }
    let attachment = packet::attachment(provision, port);
    let attachment = attachment.filter(|_| direct_path(provision, route).is_none());
    attachment
        .map(|attachment| attachment.bouncers.as_slice())
        .into_iter()
        .collect()
}

/// The groups that a hop may pick from for a packet that came back: what the source's agent picks from, if the source is
/// hosted here, and the VPC's dividers, if the bouncer that was picked is this very droplet.
fn again(provision: &Provision, route: Route) -> Vec<&[Ipv4]> {
    if !provision.extensions.invalidation {
        return Vec::new();
    }
    let mut endpoints = provision.endpoints.iter();
    let source = endpoints
        .find(|endpoint| (endpoint.vni, endpoint.ip) == (route.vni, route.src))
        .and_then(|source| provision.attachment(source.port?));
    let mut vpcs = provision.vpcs.iter();
    let dividers = vpcs.find(|vpc| vpc.vni == route.vni);
    let bouncers = source.map(|source| source.bouncers.as_slice());
    bouncers
        .into_iter()
        .chain(dividers.map(|vpc| vpc.dividers.as_slice()))
        .collect()
}

impl Route {
    /// Of an inner frame.
    fn read(vni: Vni, frame: &[u8]) -> Option<Self> {
        let ethernet: ethernet::Header = header(frame, 0)?;
        match ethernet.ethertype {
            ethernet::IPV4 => header(frame, ethernet::LEN).map(|ip: ipv4::Header| Self {
                vni,
                src: ip.src,
                dst: ip.dst,
                asks: false,
            }),
            ethernet::ARP => {
                let message: arp::Header = header(frame, ethernet::LEN)?;
                let addresses: arp::Addresses = header(frame, ethernet::LEN + arp::HEADER_LEN)?;
                Some(Self {
                    vni,
                    src: addresses.sender_ip,
                    dst: addresses.target_ip,
                    asks: message.operation == arp::REQUEST,
                })
            }
            _ => None,
        }
    }

    /// The other way.
    fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            ..self
        }
    }
}

/// Of a frame with outer headers. A modify message travels back to the source.
fn encapsulated(frame: &[u8]) -> Option<Route> {
    let vni = packet::outer_vni(frame)?;
    let route = Route::read(vni, frame.get(packet::inner_behind(frame)..)?)?;
    Some(if packet::is_modify(frame) {
        route.reversed()
    } else {
        route
    })
}

/// A question that a hop answers itself goes back as the answer.
fn answered(provision: &Provision, route: Route) -> Route {
    let mut endpoints = provision.endpoints.iter();
    let is_answered = route.asks
        && endpoints.any(|endpoint| {
            (endpoint.vni, endpoint.ip) == (route.vni, route.dst) && endpoint.port.is_none()
        });
    if is_answered { route.reversed() } else { route }
}

/// The group that a hop picks from, unless it knows where the destination is: bouncers of the network with the longest
/// prefix, past which a direct path may lead, or else dividers of the VPC.
fn by_hop(provision: &Provision, route: Route) -> Option<&[Ipv4]> {
    let mut endpoints = provision.endpoints.iter();
    let is_known = endpoints.any(|endpoint| (endpoint.vni, endpoint.ip) == (route.vni, route.dst));
    if is_known {
        return None;
    }
    let networks = provision.networks.iter();
    let network = networks
        .filter(|network| network.vni == route.vni && network.cidr.contains(route.dst))
        .max_by_key(|network| network.cidr.length());
    let mut vpcs = provision.vpcs.iter();
    match network {
        Some(network) => direct_path(provision, route)
            .is_none()
            .then_some(network.bouncers.as_slice()),
        None => vpcs
            .find(|vpc| vpc.vni == route.vni)
            .map(|vpc| vpc.dividers.as_slice()),
    }
}

/// The droplet that the tables say hosts the destination, if that cannot have been forgotten.
fn direct_path(provision: &Provision, route: Route) -> Option<Ipv4> {
    if provision.extensions.invalidation {
        return None;
    }
    let mut paths = provision.direct_paths.iter();
    paths
        .find(|path| (path.vni, path.ip) == (route.vni, route.dst))
        .map(|path| path.host.ip)
        .filter(|host| !provision.unhealthy.contains(host))
}
