//! Transit: what arrives at the droplet.

use super::bytes::{mac_at, put_ip, put_mac, put_u16};
use super::inner::{self, Arp, Inner, Ip};
use super::outer::Outer;
use super::{Oracle, Outcome, Step, drop_frame};
use crate::provision::{EndpointKind, Host, Port};
use mizar_wire::Ipv4;

/// A packet on its way to an inner destination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Journey {
    pub src: Ipv4,
    pub dst: Ipv4,
    /// The inner source as it arrived, before a reverse entry rewrote it: whose host is learned on
    /// delivery.
    pub origin: Ipv4,
    pub inner: Inner,
}

impl Oracle {
    pub(super) fn transit(&mut self, frame: Vec<u8>) -> Step<Outcome> {
        let reads_short = self.tables.extensions.has_short_header();
        let outer = Outer::parse(frame, self.host().ip, reads_short)?;
        match inner::parse(&outer.frame, outer.inner)? {
            Inner::Ipv4(ip) => self.transit_ip(outer, ip),
            Inner::Arp(arp) => self.transit_arp(outer, arp),
        }
    }

    fn transit_ip(&mut self, mut outer: Outer, mut ip: Ip) -> Step<Outcome> {
        let origin = ip.tuple.src;
        self.ingress(outer.vni, ip.tuple, || outer.labels())?;
        self.may_enter(outer.vni, ip.tuple)?;
        let source_is_here = self
            .endpoint(outer.vni, origin)
            .is_some_and(|endpoint| endpoint.port.is_some());
        if source_is_here && let Some(target) = outer.modify_message() {
            return self.modify_at_source(outer, ip, target);
        }
        if let Some(from) = self.stale_end(&outer) {
            self.came_back(&mut outer, ip.tuple.dst, from);
        }
        if let Some(target) = self.reverse_flows.get(&(outer.vni, ip.tuple)) {
            ip.rewrite(&mut outer.frame, target);
            ip.set_src_mac(&mut outer.frame, target.src_mac);
        }
        let (src, dst) = (ip.tuple.src, ip.tuple.dst);
        self.towards(
            outer,
            Journey {
                src,
                dst,
                origin,
                inner: Inner::Ipv4(ip),
            },
        )
    }

    fn transit_arp(&mut self, mut outer: Outer, arp: Arp) -> Step<Outcome> {
        if let Some(from) = self.stale_end(&outer) {
            let (_, target) = arp.addresses(&outer.frame);
            self.came_back(&mut outer, target, from);
        }
        if arp.is_request && !outer.came_back && !outer.came_short {
            self.answer_arp(&mut outer, arp)?;
        }
        let (src, dst) = arp.addresses(&outer.frame);
        self.towards(
            outer,
            Journey {
                src,
                dst,
                origin: src,
                inner: Inner::Arp(arp),
            },
        )
    }

    /// Turns a request for an endpoint that is hosted elsewhere into the endpoint's reply.
    fn answer_arp(&self, outer: &mut Outer, arp: Arp) -> Step<()> {
        let (sender, target) = arp.addresses(&outer.frame);
        let Some(endpoint) = self.endpoint(outer.vni, target) else {
            return Ok(());
        };
        if endpoint.port.is_some() {
            return Ok(());
        }
        if endpoint.kind == EndpointKind::Simple {
            let host = endpoint.hosts.first().and_then(|&ip| {
                let mac = self.tables.mac_of(ip)?;
                Some(Host { ip, mac })
            });
            let Some(host) = host else {
                return Err(drop_frame("the host of the ARP target is not known"));
            };
            outer.set_return_host(host);
        } else {
            outer.clear_return_to_sender();
        }
        // The answer is this droplet's own.
        outer.direct_from = None;
        let frame = &mut outer.frame;
        let sender_mac = mac_at(frame, arp.sender_mac);
        put_u16(frame, arp.operation, 2);
        put_mac(frame, arp.target_mac, sender_mac);
        put_ip(frame, arp.target_ip, sender);
        put_mac(frame, arp.sender_mac, endpoint.mac);
        put_ip(frame, arp.sender_ip, target);
        put_mac(frame, arp.ethernet + 6, endpoint.mac);
        Ok(())
    }

    /// Forwards by the inner destination.
    pub(super) fn towards(&mut self, mut outer: Outer, journey: Journey) -> Step<Outcome> {
        let endpoint = self.endpoint(outer.vni, journey.dst).cloned();
        if let Some(sender) = outer.direct_from
            && outer.came_short
            && endpoint.as_ref().is_none_or(|it| it.port.is_none())
        {
            // Nobody sends on what came with the short header.
            return self.give_back(outer, sender);
        }
        let Some(endpoint) = endpoint else {
            return self.route(outer, journey);
        };
        let ethernet = match journey.inner {
            Inner::Ipv4(ip) => ip.ethernet,
            Inner::Arp(arp) => arp.ethernet,
        };
        // The packet may have been sent to a gateway's address.
        put_mac(&mut outer.frame, ethernet, endpoint.mac);

        if let Some(port) = endpoint.port {
            self.learn(&outer, journey.origin);
            let frame = outer.strip();
            return Ok(Outcome::Forward {
                port: Port::Endpoint(port),
                frame,
            });
        }
        if endpoint.kind == EndpointKind::Scaled {
            return match journey.inner {
                Inner::Ipv4(ip) => self.pick_backend(outer, ip, &endpoint),
                Inner::Arp(_) => Err(drop_frame("ARP to a scaled endpoint")),
            };
        }
        match endpoint.hosts.first() {
            Some(&host) => self.send_on(outer, host),
            None => Err(drop_frame("the endpoint has no host")),
        }
    }

    /// Learns where the source endpoint is hosted, if the packet says so and no table does.
    pub(super) fn learn(&mut self, outer: &Outer, source: Ipv4) {
        if !outer.came_back
            && let Some(host) = outer.return_to_sender()
            && !self.is_dead(host)
            && self.endpoint(outer.vni, source).is_none()
        {
            self.direct_paths.insert((outer.vni, source), host);
        }
    }
}
