//! The way onwards of a packet whose inner destination is not in the endpoint table.

use super::jhash::bouncer_index;
use super::outer::Outer;
use super::transit::Journey;
use super::{Oracle, Outcome, Step, drop_frame};
use crate::provision::{Network, Port};
use mizar_wire::{Ipv4, Vni};

impl Oracle {
    /// As a divider, towards the destination's network; else towards a divider.
    pub(super) fn route(&mut self, mut outer: Outer, journey: Journey) -> Step<Outcome> {
        // A modify message travels back to the source.
        let (src, dst) = if outer.modify_message().is_some() {
            (journey.dst, journey.src)
        } else {
            (journey.src, journey.dst)
        };
        let network = self.network(outer.vni, dst).cloned();
        let bounces_here = network.as_ref().is_some_and(|it| it.bouncers.is_empty());
        if bounces_here && self.tables.extensions.invalidation {
            return Err(drop_frame("the endpoint is nowhere"));
        }
        if network.is_none()
            && let Some(sender) = self.sent_in_vain_by(&outer)
        {
            let here = outer.here();
            if sender.ip != here.ip {
                return self.give_back(outer, sender);
            }
            // This very droplet: it begins again.
            self.forget(outer.vni, dst, here);
            outer.came_back = true;
        }
        // A packet that came back goes on as it would have without the direct path.
        let again = if outer.came_back {
            let bouncers = self.bouncers_again(outer.vni, src, network.as_ref())?;
            let here = outer.here();
            outer.resume(here);
            Some(bouncers)
        } else {
            None
        };
        // Looked up before this packet teaches anything: an endpoint may talk to itself.
        let is_named = network.is_some() || outer.came_back;
        let direct_path = if is_named || self.may_go_unnamed() {
            let here = outer.dst();
            self.direct_path(outer.vni, dst)
                .filter(|host| !outer.came_back || host.ip != here)
        } else {
            None
        };
        if network.is_some() {
            // A divider learns the source that it routes by, not the one before a rewrite.
            self.learn(&outer, src);
            // Replies between networks cross the divider, so it names itself as the way back.
            outer.set_return_host(outer.here());
        }
        if let Some(host) = direct_path {
            self.say_direct(&mut outer, true);
            let src_mac = outer.dst_mac();
            outer.send_to(self.host().ip, host.ip, src_mac, host.mac)?;
            return Ok(Outcome::Forward {
                port: Port::Uplink,
                frame: outer.frame,
            });
        }
        let pick = |group: &[Ipv4]| {
            let index = bouncer_index(src, dst, group.len())?;
            group.get(index).copied()
        };
        let is_again = again.is_some();
        if let Some(bouncers) = again.or(network.map(|network| network.bouncers)) {
            let Some(bouncer) = pick(&bouncers) else {
                return Err(drop_frame("the network has no bouncer"));
            };
            // An agent goes on as the bouncer that its own droplet is.
            let is_own = bouncer == outer.dst() && self.tables.mac_of(bouncer).is_some();
            if !is_again || !is_own {
                return self.send_on(outer, bouncer);
            }
        }
        match pick(&self.dividers(outer.vni)) {
            Some(divider) => self.send_on(outer, divider),
            None => Err(drop_frame("the VPC has no divider")),
        }
    }

    /// Out to another droplet by the substrate table, or to the stack where priority is low.
    pub(super) fn send_on(&self, mut outer: Outer, host: Ipv4) -> Step<Outcome> {
        let Some(mac) = self.tables.mac_of(host) else {
            return Err(drop_frame(
                "the next droplet's Ethernet address is not known",
            ));
        };
        self.say_direct(&mut outer, false);
        let src_mac = outer.dst_mac();
        outer.send_to(self.host().ip, host, src_mac, mac)?;
        Ok(if outer.is_low_priority() {
            Outcome::ToStack { frame: outer.frame }
        } else {
            Outcome::Forward {
                port: Port::Uplink,
                frame: outer.frame,
            }
        })
    }

    /// The network with the longest prefix that holds `ip`.
    fn network(&self, vni: Vni, ip: Ipv4) -> Option<&Network> {
        self.tables
            .networks
            .iter()
            .filter(|network| network.vni == vni && network.cidr.contains(ip))
            .max_by_key(|network| network.cidr.length())
    }

    fn dividers(&self, vni: Vni) -> Vec<Ipv4> {
        let vpc = self.tables.vpcs.iter().find(|vpc| vpc.vni == vni);
        vpc.map(|vpc| vpc.dividers.clone()).unwrap_or_default()
    }
}
