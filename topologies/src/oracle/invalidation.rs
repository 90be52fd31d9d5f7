//! Direct paths that have become stale, where droplets have the extension: see `INVALIDATION.md`.

use super::outer::Outer;
use super::transit::Journey;
use super::{Oracle, Outcome, Step, drop_frame};
use crate::provision::{Host, Network, Port};
use mizar_wire::{Ipv4, Vni};

impl Oracle {
    /// What came by a direct path, for an endpoint and a network that are not known here, does not go on.
    pub(super) fn ends_here(&self, outer: &Outer) -> bool {
        self.tables.extensions.invalidation && !outer.came_back && outer.direct_from.is_some()
    }

    /// Back to who sent it; if that is this very droplet, it begins again.
    pub(super) fn give_back(
        &mut self,
        mut outer: Outer,
        dst: Ipv4,
        journey: Journey,
    ) -> Step<Outcome> {
        let here = outer.here();
        let Some(sender) = outer.direct_from else {
            return self.route(outer, journey);
        };
        if sender.ip == here.ip {
            self.came_back(&mut outer, dst, here);
            return self.route(outer, journey);
        }
        outer.mark_returned(here);
        outer.send_to(here.ip, sender.ip, here.mac, sender.mac)?;
        Ok(Outcome::Forward {
            port: Port::Uplink,
            frame: outer.frame,
        })
    }

    /// Forgets the direct path to `dst` if it leads to where a packet came back from.
    pub(super) fn came_back(&mut self, outer: &mut Outer, dst: Ipv4, from: Host) {
        let path = (outer.vni, dst);
        if self
            .direct_paths
            .get(&path)
            .is_some_and(|host| host.ip == from.ip)
        {
            self.direct_paths.remove(&path);
        }
        outer.came_back = true;
    }

    /// The direct path to an endpoint. One to a host that a health check found dead is forgotten.
    pub(super) fn direct_path(&mut self, vni: Vni, ip: Ipv4) -> Option<Host> {
        let host = *self.direct_paths.get(&(vni, ip))?;
        if self.is_dead(host) {
            self.direct_paths.remove(&(vni, ip));
            return None;
        }
        Some(host)
    }

    pub(super) fn is_dead(&self, host: Host) -> bool {
        self.tables.unhealthy.contains(&host.ip)
    }

    /// The host from which a packet came back, where that means something.
    pub(super) fn stale_end(&self, outer: &Outer) -> Option<Host> {
        outer
            .back_from
            .filter(|_| self.tables.extensions.invalidation)
    }

    /// Whether a packet goes by a direct path is said where droplets have the extension.
    pub(super) fn say_direct(&self, outer: &mut Outer, is_direct: bool) {
        if self.tables.extensions.invalidation {
            outer.set_direct(is_direct);
        }
    }

    /// The bouncers by which a packet from `src` that came back goes on: those that the agent of its endpoint has, or those
    /// of the network that it goes to.
    pub(super) fn bouncers_again(
        &self,
        vni: Vni,
        src: Ipv4,
        network: Option<&Network>,
    ) -> Step<Vec<Ipv4>> {
        let port = self.endpoint(vni, src).and_then(|source| source.port);
        if let Some(port) = port {
            let attached = self.tables.attachments.iter();
            let mut attached = attached.filter(|attached| attached.port == port);
            return Ok(attached
                .next()
                .map(|attached| attached.bouncers.clone())
                .unwrap_or_default());
        }
        match network {
            Some(network) => Ok(network.bouncers.clone()),
            None => Err(drop_frame("it came back to who did not send it")),
        }
    }
}
