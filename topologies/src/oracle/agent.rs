//! The transit agent: what enters from an endpoint.

use super::inner::{self, Inner};
use super::outer::{Encapsulate, Way, encapsulate};
use super::{Oracle, Outcome, Step, abort, drop_frame, jhash};
use crate::provision::{Attachment, Class, Endpoint, EndpointPort, Host, Port, Priority};
use mizar_wire::Ipv4;

/// TTL of the outer header where the inner packet has none.
const ARP_TTL: u8 = 64;

/// Outer source ports: the first, and how many.
const FIRST_PORT: u16 = 1024;
const PORTS: u32 = 5529;

impl Oracle {
    pub(super) fn agent(&mut self, port: EndpointPort, mut frame: Vec<u8>) -> Step<Outcome> {
        let Some(from) = self.tables.attachment(port).cloned() else {
            return Err(drop_frame("no endpoint is attached to this port"));
        };
        let (src, dst, ttl) = match inner::parse(&frame, 0)? {
            Inner::Arp(arp) => {
                let (sender, target) = arp.addresses(&frame);
                self.may_come_from(&from, sender)?;
                (sender, target, ARP_TTL)
            }
            Inner::Ipv4(mut ip) => {
                self.may_come_from(&from, ip.tuple.src)?;
                self.egress(from.vni, ip.tuple)?;
                if ip.tuple.is_tracked()
                    && let Some(target) = self.forward_flows.get(&(from.vni, ip.tuple))
                {
                    let target = *target;
                    // Nobody behind this sees where the packet was to go.
                    self.may_enter(from.vni, ip.tuple)?;
                    ip.rewrite(&mut frame, &target);
                    ip.set_dst_mac(&mut frame, target.dst_mac);
                }
                (ip.tuple.src, ip.tuple.dst, ip.ttl)
            }
        };
        let direct_path = self.direct_path(from.vni, dst);
        let next = match direct_path {
            Some(host) => host,
            None => self.bouncer(&from, src, dst)?,
        };
        let (dscp, to_uplink) = traffic_class(from.class);
        let frame = encapsulate(
            &frame,
            &Encapsulate {
                src: self.host(),
                dst: next,
                vni: from.vni,
                src_port: source_port(src, dst),
                ttl,
                dscp,
                pod_label: from.pod_label,
                namespace_label: from.namespace_label,
                way: match direct_path {
                    Some(host) => self.way_of_direct_path(host),
                    None => Way::Untold,
                },
            },
        )?;
        if next.ip == self.host().ip {
            return self.transit(frame);
        }
        Ok(if to_uplink {
            Outcome::Forward {
                port: Port::Uplink,
                frame,
            }
        } else {
            Outcome::ToStack { frame }
        })
    }

    /// Where a VPC has access lists, endpoints send from where they are and from nowhere else.
    fn may_come_from(&self, from: &Attachment, source: Ipv4) -> Step<()> {
        let is_at_the_port = |endpoint: &Endpoint| endpoint.port == Some(from.port);
        if !self.tables.guarded.contains(&from.vni)
            || self.endpoint(from.vni, source).is_some_and(is_at_the_port)
        {
            return Ok(());
        }
        Err(abort("the source is not hosted at the port"))
    }

    /// A bouncer of the source network.
    fn bouncer(&self, from: &Attachment, src: Ipv4, dst: Ipv4) -> Step<Host> {
        let Some(index) = jhash::bouncer_index(src, dst, from.bouncers.len()) else {
            return Err(drop_frame("the network has no bouncer"));
        };
        let bouncer = from.bouncers.get(index).copied().unwrap_or_default();
        match self.tables.mac_of(bouncer) {
            Some(mac) => Ok(Host { ip: bouncer, mac }),
            None => Err(drop_frame("the bouncer's Ethernet address is not known")),
        }
    }
}

/// The outer UDP source port, so that the underlay can spread flows.
pub fn source_port(src: Ipv4, dst: Ipv4) -> u16 {
    let offset = jhash::pair(src, dst) % PORTS;
    FIRST_PORT + u16::try_from(offset).unwrap_or_default()
}

/// The outer DSCP of a class, and whether its frames go out at once rather than to the stack.
fn traffic_class(class: (Class, Priority)) -> (u8, bool) {
    match class {
        (Class::Premium, Priority::High) => (10, true),
        (Class::Premium, Priority::Medium) => (20, true),
        (Class::Premium, Priority::Low) => (30, true),
        (Class::Expedited, Priority::High) => (46, false),
        (Class::Expedited, Priority::Medium) => (32, false),
        (Class::Expedited, Priority::Low) => (24, false),
        (Class::BestEffort, Priority::High) => (16, false),
        // Mizar has no case for it and treats it as the first class.
        (Class::BestEffort, Priority::Medium) => (10, true),
        (Class::BestEffort, Priority::Low) => (8, false),
    }
}
