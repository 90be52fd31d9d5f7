//! The cache of established flows: what was decided about a flow, so that its next packets need no other
//! lookup.
//!
//! A full decision about a packet looks into three tables or more, and in a BPF program each look costs a
//! call. A packet whose flow is in here, and which says the same about its sender, is decided by one
//! entry of 64 bytes. Only decisions that follow from endpoints and direct paths are kept, and none
//! while policy is enforced or where a flow is rewritten. What may change such a decision (an endpoint that moved, a
//! rewrite for a scaled endpoint, new tables) starts a new epoch, which empties the cache at once. An
//! entry serves [`RENEWAL`] packets; then a full decision is made, so that tables which evict what is
//! not used see that the flow is alive.

use crate::flow::FlowKey;
use crate::frame::Frame;
use crate::inner::{self, Packet};
use crate::reason::Reason;
use crate::tables::{Attachment, Host, Tables};
use crate::transit::{Outer, RETURN_TO_SENDER_AT, read_labels, read_outer};
use crate::verdict::{Changes, Encapsulate, Header, Inner, Transit, Via};
use crate::{agent, invalidation};
use mizar_wire::geneve::Layout;
use mizar_wire::{Mac, Vni, mix};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of an index.
const INDEX_BITS: u32 = 14;
/// Entries of a cache.
pub const ENTRIES: u32 = 1 << INDEX_BITS;
/// Packets that an entry serves before the next full decision.
pub const RENEWAL: u16 = 256;
/// By how many packets the entry of one flow ages when a packet of another wants its place: with more flows
/// than entries, writing one for each packet would cost more than it saves.
const YIELD: u16 = 32;

/// An established flow, and what becomes of its packets. Empty by default.
///
/// As large as a cache line, and not aligned to one, since an array per processor in the kernel aligns its
/// entries to 8 bytes (`array_map_alloc` of kernel/bpf/arraymap.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Established {
    flow: FlowKey,
    /// What return-to-sender names; the default if it is absent.
    sender: Host,
    /// Where packets go that are not delivered here.
    next: Host,
    /// So wide that it never comes round: with tables that change, it goes far ahead each time.
    epoch: u64,
    /// The endpoint port, plus one, where they are; of what leaves an endpoint, the one by which it comes.
    port: u32,
    /// The endpoint's Ethernet address.
    mac: Mac,
    left: u16,
    /// 1 of a flow that leaves an endpoint, 0 of one that arrives at the uplink.
    egress: u8,
    /// What its outer headers say about the way, if it leaves an endpoint: [`Header`] by number.
    header: u8,
    /// Their source port: its hash is a hundred instructions in a program of the kernel, which has no rotations.
    source_port: u16,
}

impl Established {
    /// No flow.
    pub const EMPTY: Self = Self {
        flow: FlowKey::ZERO,
        sender: Host::NONE,
        next: Host::NONE,
        epoch: 0,
        port: 0,
        mac: Mac::new([0; 6]),
        left: 0,
        egress: 0,
        header: Header::Plain as u8,
        source_port: 0,
    };

    /// What the outer headers say about the way.
    #[inline(always)]
    const fn header(&self) -> Header {
        const DIRECT: u8 = Header::Direct as u8;
        const SHORT: u8 = Header::Short as u8;
        match self.header {
            DIRECT => Header::Direct,
            SHORT => Header::Short,
            _ => Header::Plain,
        }
    }

    /// Whether it holds for another packet of `flow`.
    #[inline(always)]
    fn holds(&self, flow: &FlowKey, egress: bool, epoch: u64) -> bool {
        self.left != 0
            && self.epoch == epoch
            && self.flow == *flow
            && self.egress == u8::from(egress)
    }
}

/// Where in a cache `flow` has its place. Flows share places; what leaves an endpoint and what arrives have each
/// their own, so that a flow which does both on one droplet has two.
#[inline(always)]
fn index(flow: &FlowKey, egress: bool) -> u32 {
    let addresses = u64::from(flow.src().raw()) << 32 | u64::from(flow.dst().raw());
    let ports = u64::from(flow.src_port().raw()) << 16 | u64::from(flow.dst_port().raw());
    let ports = ports << 1 | u64::from(egress);
    let sum = addresses.wrapping_add(ports.wrapping_mul(mix::FACTORS[0]));
    (mix::upper(sum, mix::FACTORS[1]) >> (64 - INDEX_BITS)) as u32
}

/// The verdict on `frame`, which arrived at the uplink, if it belongs to an established flow; what changes in
/// it goes into `changes`, which are the default.
#[inline(always)]
pub fn transit<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    changes: &mut Changes,
) -> Option<Transit> {
    let epoch = tables.epoch()?;
    let outer = read_outer(frame, tables).ok()??;
    if outer.modify || outer.stale.is_some() {
        return None;
    }
    let inner_at = RETURN_TO_SENDER_AT + outer.options_len;
    let no_matter = Reason::TruncatedInnerEthernet;
    let Packet::Ip(ip) = inner::read(frame, inner_at, outer.vni, no_matter).ok()? else {
        return None;
    };
    // Policy refuses a packet without labels even where it is not enforced.
    if ip.flow.is_tracked() && read_labels(frame, &outer).is_err() {
        return None;
    }
    let entry = tables.established(index(&ip.flow, false))?;
    if !entry.holds(&ip.flow, false, epoch) || entry.sender != outer.sender.unwrap_or(Host::NONE) {
        tables.looked_for_established(false);
        return None;
    }
    if outer.layout == Layout::Short && entry.port == 0 {
        // It is given back, which needs no entry.
        return None;
    }
    entry.left -= 1;
    let (port, next, mac) = (entry.port, entry.next, entry.mac);
    tables.looked_for_established(true);
    let verdict = if port != 0 {
        Transit::Deliver { port: port - 1 }
    } else {
        outer.check_ttl().ok()?;
        Transit::Forward {
            next,
            via: outer.via(),
        }
    };
    changes.inner_at = inner_at;
    changes.layout = outer.layout;
    changes.inner.dst_mac = Some(mac);
    invalidation::note(tables, changes, false);
    Some(verdict)
}

/// The place of `flow`, if no other flow's entry is still young there.
#[inline(always)]
fn place<'a, T: Tables>(
    tables: &'a mut T,
    flow: &FlowKey,
    egress: bool,
    epoch: u64,
) -> Option<&'a mut Established> {
    let entry = tables.established(index(flow, egress))?;
    if entry.epoch == epoch && entry.left > YIELD && entry.flow != *flow {
        entry.left -= YIELD;
        return None;
    }
    Some(entry)
}

/// Remembers what was decided, on the strength of tables as they were in `epoch`, about `flow`, which goes to the endpoint with this Ethernet address.
#[inline(always)]
pub(crate) fn remember<T: Tables>(
    tables: &mut T,
    flow: &FlowKey,
    outer: &Outer,
    mac: Mac,
    verdict: &Transit,
    epoch: Option<u64>,
) {
    let (next, port) = match *verdict {
        Transit::Deliver { port } => (Host::NONE, port + 1),
        Transit::Forward { next, via } if via != Via::Transit => (next, 0),
        _ => return,
    };
    let Some(epoch) = epoch else { return };
    if let Some(entry) = place(tables, flow, false, epoch) {
        *entry = Established {
            flow: *flow,
            sender: outer.sender.unwrap_or(Host::NONE),
            next,
            port,
            epoch,
            left: RENEWAL,
            mac,
            ..Established::EMPTY
        };
    }
}

/// Outer headers for `frame`, sent by the endpoint of `attachment`, if it belongs to an established flow.
#[inline(always)]
pub fn agent<F: Frame, T: Tables>(
    frame: &F,
    attachment: &Attachment,
    tables: &mut T,
) -> Option<Encapsulate> {
    let epoch = tables.epoch()?;
    if attachment.attached == 0 {
        return None;
    }
    let vni = Vni::new(attachment.vni)?;
    let Packet::Ip(ip) = inner::read(frame, 0, vni, Reason::TruncatedEthernet).ok()? else {
        return None;
    };
    let entry = tables.established(index(&ip.flow, true))?;
    // By another port somebody may send what only looks the same.
    if !entry.holds(&ip.flow, true, epoch) || entry.port != attachment.port {
        tables.looked_for_established(false);
        return None;
    }
    entry.left -= 1;
    let (next, header, port) = (entry.next, entry.header(), entry.source_port);
    tables.looked_for_established(true);
    let changes = Inner::default();
    let mut encapsulate =
        agent::encapsulate(frame, attachment, tables, &next, port, ip.ttl, changes).ok()?;
    encapsulate.header = header;
    Some(encapsulate)
}

/// Remembers that, by the tables as they were in `epoch`, `flow`, which leaves an endpoint, goes straight to another host: by
/// these outer headers.
#[inline(always)]
pub(crate) fn remember_egress<T: Tables>(
    tables: &mut T,
    attachment: &Attachment,
    flow: &FlowKey,
    plan: &Encapsulate,
    epoch: Option<u64>,
) {
    let Some(epoch) = epoch else { return };
    if let Some(entry) = place(tables, flow, true, epoch) {
        *entry = Established {
            flow: *flow,
            next: plan.next,
            epoch,
            port: attachment.port,
            left: RENEWAL,
            egress: 1,
            header: plan.header as u8,
            source_port: plan.source_port,
            ..Established::EMPTY
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mizar_wire::{Be16, Ipv4};

    #[test]
    fn an_entry_fills_a_cache_line() {
        assert_eq!(size_of::<Established>(), 64);
    }

    #[test]
    fn epochs_do_not_come_round() {
        let entry = Established {
            left: 1,
            epoch: 7,
            ..Established::EMPTY
        };
        assert!(entry.holds(&FlowKey::ZERO, false, 7));
        // As far as tables that change go in 4,096 times.
        assert!(!entry.holds(&FlowKey::ZERO, false, 7 + (1 << 32)));
    }

    #[test]
    fn flows_that_differ_in_one_thing_spread_as_if_thrown() {
        const FLOWS: u16 = 4096;
        // Of as many things thrown into n places, n (1 - e^(-flows / n)) have one.
        const EXPECTED: usize = 3624;
        let address = |last: u16| Ipv4::from_raw((0x0a00_0002 + u32::from(last)).to_be());
        let flow = |src, dst, src_port: u16, dst_port: u16| {
            let vni = Vni::new(7).unwrap();
            FlowKey::new(vni, 17, src, dst, Be16::new(src_port), Be16::new(dst_port))
        };
        let (here, there) = (address(0), Ipv4::from_raw(0x0a01_0002_u32.to_be()));
        let ways: [&dyn Fn(u16) -> FlowKey; 6] = [
            &|flow_number| flow(address(flow_number), there, 5001, 5001),
            &|flow_number| flow(here, address(flow_number), 5001, 5001),
            &|flow_number| flow(here, there, 1024 + flow_number, 80),
            &|flow_number| flow(here, there, 80, 1024 + flow_number),
            &|flow_number| flow(here, address(flow_number), 1024 + flow_number, 80),
            &|flow_number| flow(address(flow_number), there, 1024 + flow_number, 80),
        ];
        for (number, way) in ways.into_iter().enumerate() {
            let mut is_taken = [false; ENTRIES as usize];
            (0..FLOWS).for_each(|flow| is_taken[index(&way(flow), true) as usize] = true);
            let taken = is_taken.iter().filter(|taken| **taken).count();
            assert!(taken * 100 >= EXPECTED * 97, "way {number}: {taken} places");
        }
    }
}
