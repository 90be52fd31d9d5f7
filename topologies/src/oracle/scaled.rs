//! Scaled endpoints: a bouncer picks a backend and tells the source's host, which from then on rewrites
//! the flow itself.

use super::bytes::mac_at;
use super::inner::{ICMP, Inner, Ip, TCP, Target, Tuple, UDP};
use super::outer::Outer;
use super::transit::Journey;
use super::{Oracle, Outcome, Step, drop_frame, jhash};
use crate::provision::{Endpoint, EndpointKind, Port};

impl Oracle {
    /// A modify message reached the droplet that hosts the source: remember it, and send the packet
    /// back the way it came, now to the backend.
    pub(super) fn modify_at_source(
        &mut self,
        mut outer: Outer,
        ip: Ip,
        target: Target,
    ) -> Step<Outcome> {
        self.apply_modify(&mut outer, ip, target);
        reply(&mut outer)?;
        Ok(Outcome::Forward {
            port: Port::Uplink,
            frame: outer.frame,
        })
    }

    /// A packet to a scaled endpoint reached a bouncer.
    pub(super) fn pick_backend(
        &mut self,
        mut outer: Outer,
        ip: Ip,
        endpoint: &Endpoint,
    ) -> Step<Outcome> {
        if !matches!(ip.tuple.protocol, TCP | UDP | ICMP) {
            return Err(drop_frame("no backend takes this protocol"));
        }
        let hash = jhash::address_and_port(ip.tuple.src, ip.tuple.src_port);
        let backend =
            jhash::index(hash, endpoint.hosts.len()).and_then(|index| endpoint.hosts.get(index));
        let Some(&backend) = backend else {
            return Err(drop_frame("the scaled endpoint has no backend"));
        };
        let target = Target {
            src: ip.tuple.src,
            dst: backend,
            src_port: ip.tuple.src_port,
            dst_port: ip.tuple.dst_port,
            src_mac: mac_at(&outer.frame, ip.ethernet + 6),
            dst_mac: mac_at(&outer.frame, ip.ethernet),
        };
        outer.set_modify_message(&target);
        // The source is on this very droplet: there is nobody to tell.
        if outer.src() == outer.dst() {
            let ip = self.apply_modify(&mut outer, ip, target);
            let (src, dst) = (ip.tuple.src, ip.tuple.dst);
            let is_scaled_again = self.endpoint(outer.vni, dst).is_some_and(|backend| {
                backend.kind == EndpointKind::Scaled && backend.port.is_none()
            });
            if is_scaled_again {
                return Err(drop_frame("a scaled endpoint behind a scaled endpoint"));
            }
            let journey = Journey {
                src,
                dst,
                origin: src,
                inner: Inner::Ipv4(ip),
            };
            return self.towards(outer, journey);
        }
        outer.clear_return_to_sender();
        reply(&mut outer)?;
        Ok(Outcome::Forward {
            port: Port::Uplink,
            frame: outer.frame,
        })
    }

    /// Remembers both directions of the flow, rewrites this packet of it and clears the options.
    fn apply_modify(&mut self, outer: &mut Outer, mut ip: Ip, target: Target) -> Ip {
        let flow = ip.tuple;
        self.forward_flows.insert((outer.vni, flow), target);
        let reply = Tuple {
            protocol: flow.protocol,
            src: target.dst,
            dst: target.src,
            src_port: target.dst_port,
            dst_port: target.src_port,
        };
        let back = Target {
            src: flow.dst,
            dst: flow.src,
            src_port: flow.dst_port,
            dst_port: flow.src_port,
            src_mac: mac_at(&outer.frame, ip.ethernet),
            dst_mac: mac_at(&outer.frame, ip.ethernet + 6),
        };
        self.reverse_flows.insert((outer.vni, reply), back);
        ip.rewrite(&mut outer.frame, &target);
        outer.clear_return_to_sender();
        outer.clear_scaled_endpoint();
        ip
    }
}

/// Sends the frame back to the droplet it came from.
fn reply(outer: &mut Outer) -> Step<()> {
    let (here, back) = (outer.dst(), outer.src());
    let (here_mac, back_mac) = (outer.dst_mac(), mac_at(&outer.frame, 6));
    outer.send_to(here, back, here_mac, back_mac)
}
