//! Invalidation of direct paths: what Mizar designed, and has not built, for endpoints that moved or are gone.
//!
//! A direct path is learned, and nobody tells who learned it that the endpoint moved. Mizar's packets go on to the old
//! host, which sends them to a divider, whose own direct path may lead to the old host: they go in circles until their
//! time to live ends. With this extension
//!
//! 1. who sends a packet by a direct path (agent or divider) says so by a flag in return-to-sender, which names it;
//!    who sends one in another way clears the flag;
//! 2. a droplet that gets a packet with the flag for an endpoint and a network that it does not know sends it back to
//!    the host that return-to-sender names: the option then has the critical type, and names this droplet;
//! 3. who gets a packet back forgets its direct path, if that leads to the droplet that is named, and sends the packet
//!    on by a bouncer, so that none is lost.
//!
//! A bouncer is told of its own networks, and drops what is for an endpoint there that it does not know.
//!
//! A host that is dead gives nothing back. So a droplet may be told which hosts a health check found dead: it passes over
//! direct paths that lead there, forgets them, and learns none.
//!
//! `INVALIDATION.md` at the top of the repository has the bytes and the states. Mizar's own droplets write zero for the
//! flags and look at none of them, so they never get a packet back; they deliver packets with the flag as before.

use crate::reason::Reason;
use crate::tables::{EndpointKey, Group, Host, Tables};
use crate::transit::Outer;
use crate::verdict::{
    Changes, DirectPathFlag, Inner, Invalidation, ReturnToSender, ScaledEndpoint, Transit, Via,
};
use mizar_wire::Ipv4;
use mizar_wire::geneve::Layout;

/// Whether a health check found this host dead.
#[inline(always)]
pub(crate) fn is_dead<T: Tables>(tables: &T, host: &Host) -> bool {
    tables.extensions().has_unhealthy() && tables.is_unhealthy(host.ip())
}

/// The direct path to an endpoint; one to a host that is dead is forgotten.
#[inline(always)]
pub(crate) fn direct_path<T: Tables>(tables: &mut T, key: &EndpointKey) -> Option<Host> {
    let host = tables.direct_path(key)?;
    if is_dead(tables, &host) {
        tables.forget_direct_path(key);
        return None;
    }
    Some(host)
}

/// Refuses what is for an endpoint that is not known here, and of a network that this droplet bounces for: it is nowhere.
/// Such a network is told without bouncers. Without this a divider would send the packet back here, and so on.
#[inline(always)]
pub(crate) fn refuse_nowhere<T: Tables>(tables: &T, network: Option<Group>) -> Result<(), Reason> {
    let bounces_here = network.is_some_and(|bouncers| bouncers.count == 0);
    if bounces_here && tables.extensions().has_invalidation() {
        Err(Reason::Nowhere)
    } else {
        Ok(())
    }
}

/// Whether a packet that is sent on goes by a direct path: what its flag will say.
#[inline(always)]
pub(crate) fn note<T: Tables>(tables: &T, changes: &mut Changes, is_direct: bool) {
    if tables.extensions().has_invalidation() {
        changes.return_to_sender.direct_path = if is_direct {
            DirectPathFlag::Set
        } else {
            DirectPathFlag::Clear
        };
    }
}

/// A packet to `dst` came back from `stale`: forgets the direct path there. Where the packet goes on, it is one without
/// return-to-sender, unless it begins again.
#[inline(always)]
pub(crate) fn came_back<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    dst: Ipv4,
    stale: &Host,
    changes: &mut Changes,
) {
    forget(tables, outer, dst, stale);
    changes.return_to_sender = ReturnToSender {
        clear: true,
        invalidation: Invalidation::Resume,
        ..ReturnToSender::default()
    };
}

/// Whether a droplet that return-to-sender does not name may send by a direct path of its own: not where droplets say by whose
/// path a packet goes.
#[inline(always)]
pub(crate) fn may_go_unnamed<T: Tables>(tables: &T) -> bool {
    !tables.extensions().has_invalidation()
}

/// Forgets the direct path to `dst` if it leads to `stale`.
#[inline(always)]
pub(crate) fn forget<T: Tables>(tables: &mut T, outer: &Outer, dst: Ipv4, stale: &Host) {
    let key = EndpointKey::new(outer.vni, dst);
    // A path to another host was learned since the packet was sent.
    if tables
        .direct_path(&key)
        .is_some_and(|host| host.ip() == stale.ip())
    {
        tables.forget_direct_path(&key);
        tables.begin_epoch();
    }
}

/// Sends a packet back to `sender`, by whose direct path it came, as it came, but with all options.
#[inline(always)]
pub(crate) fn give_back(
    outer: &Outer,
    sender: &Host,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    outer.check_ttl()?;
    changes.inner = Inner::default();
    changes.scaled_endpoint = match outer.layout {
        Layout::Full => ScaledEndpoint::Keep,
        // What said that the header is short.
        Layout::Short => ScaledEndpoint::Clear,
    };
    changes.return_to_sender = ReturnToSender {
        host: Some(outer.here()),
        invalidation: Invalidation::Return,
        ..ReturnToSender::default()
    };
    Ok(Transit::Forward {
        next: *sender,
        via: Via::Uplink,
    })
}

/// Lets a packet from `src` that came back begin again. Returns the bouncers by which it goes: those of the source's network,
/// which its agent would have taken, or of the destination's, as a divider would.
#[inline(always)]
pub(crate) fn begin_again<T: Tables>(
    tables: &T,
    outer: &Outer,
    src: Ipv4,
    network: Option<Group>,
    changes: &mut Changes,
) -> Result<Group, Reason> {
    let source = tables.endpoint(&EndpointKey::new(outer.vni, src));
    let bouncers = match source {
        Some(source) if source.port().is_some() => source.group(),
        _ => network.ok_or(Reason::NotSentHere)?,
    };
    changes.return_to_sender = ReturnToSender {
        host: Some(outer.here()),
        invalidation: Invalidation::Resume,
        ..ReturnToSender::default()
    };
    Ok(bouncers)
}
