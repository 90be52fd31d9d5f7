//! Access lists of networks.

use super::inner::Tuple;
use super::{Oracle, Step, abort};
use crate::provision::{Access, Acl};
use mizar_wire::Vni;

impl Oracle {
    /// Judges a packet by the list of the network that it goes to, if that has one.
    pub(super) fn may_enter(&self, vni: Vni, tuple: Tuple) -> Step<()> {
        let holds = |acl: &&Acl| acl.vni == vni && acl.network.contains(tuple.dst);
        let lists = self.tables.acls.iter().filter(holds);
        let Some(acl) = lists.max_by_key(|acl| acl.network.length()) else {
            return Ok(());
        };
        match acl.access(tuple.src, tuple.dst, tuple.protocol, tuple.dst_port) {
            Access::Allow => Ok(()),
            Access::Deny => Err(abort("denied by the network's access list")),
        }
    }
}
