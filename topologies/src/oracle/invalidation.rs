//! Direct paths that have become stale, where droplets have the extension: see `INVALIDATION.md`.

use super::outer::{Outer, Way};
use super::{Oracle, Outcome, Step, drop_frame};
use crate::provision::{Host, Network, Port};
use mizar_wire::{Ipv4, Vni};

impl Oracle {
    /// Who sent what came by a direct path, for an endpoint and a network that are not known here: it does not go on.
    pub(super) fn sent_in_vain_by(&self, outer: &Outer) -> Option<Host> {
        let is_asked = self.tables.extensions.invalidation && !outer.came_back;
        outer.direct_from.filter(|_| is_asked)
    }

    /// Back to `sender`, as it came.
    pub(super) fn give_back(&self, mut outer: Outer, sender: Host) -> Step<Outcome> {
        let here = outer.here();
        outer.mark_returned(here);
        outer.send_to(here.ip, sender.ip, here.mac, sender.mac)?;
        Ok(Outcome::Forward {
            port: Port::Uplink,
            frame: outer.frame,
        })
    }

    /// A packet to `dst` came back: it is one without return-to-sender now, and the path that it took is forgotten.
    pub(super) fn came_back(&mut self, outer: &mut Outer, dst: Ipv4, from: Host) {
        self.forget(outer.vni, dst, from);
        outer.came_back = true;
        outer.clear_returned();
    }

    /// Forgets the direct path to `dst` if it leads to `from`.
    pub(super) fn forget(&mut self, vni: Vni, dst: Ipv4, from: Host) {
        let path = (vni, dst);
        if self
            .direct_paths
            .get(&path)
            .is_some_and(|host| host.ip == from.ip)
        {
            self.direct_paths.remove(&path);
        }
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

    /// What an agent's outer headers say of a direct path to `host`.
    pub(super) fn way_of_direct_path(&self, host: Host) -> Way {
        let tables = &self.tables;
        let reads_short = tables.extensions.has_short_header()
            && tables.short_header_hosts.contains(&host.ip)
            && host.ip != self.host().ip;
        match tables.extensions.invalidation {
            false => Way::Untold,
            true if reads_short => Way::Short,
            true => Way::Flagged,
        }
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

    /// A droplet that return-to-sender does not name sends nothing by a direct path of its own, where droplets say by whose
    /// path a packet goes.
    pub(super) fn may_go_unnamed(&self) -> bool {
        !self.tables.extensions.invalidation
    }

    /// Says whose direct path a packet takes, or that it takes none, where droplets say so.
    pub(super) fn say_direct(&self, outer: &mut Outer, is_direct: bool) {
        let here = outer.here();
        match is_direct {
            _ if !self.tables.extensions.invalidation => {}
            true => outer.set_direct(here),
            false => outer.clear_direct(),
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
            let attached = self.tables.attachment(port);
            return Ok(attached.map_or_else(Vec::new, |attached| attached.bouncers.clone()));
        }
        match network {
            Some(network) => Ok(network.bouncers.clone()),
            None => Err(drop_frame("it came back to who did not send it")),
        }
    }
}
