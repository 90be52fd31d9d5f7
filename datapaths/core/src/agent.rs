//! The transit agent: what happens to a frame that leaves an endpoint.

use crate::acl;
use crate::established;
use crate::frame::Frame;
use crate::hash;
use crate::inner::{self, Packet};
use crate::invalidation;
use crate::policy::{self, Labels};
use crate::reason::Reason;
use crate::short_header;
use crate::tables::{Attachment, Direction, EndpointKey, Host, Tables};
use crate::verdict::{Agent, Encapsulate, FlowRewrite, Header, Inner, Via};
use mizar_wire::{Ipv4, Vni, geneve};

/// Outer time to live of packets whose inner frame has none.
const DEFAULT_TTL: u8 = 64;

/// The longest inner frame that an outer IPv4 packet holds: its total length is 16 bits.
const MAX_INNER_LEN: usize = u16::MAX as usize - (geneve::ENCAPSULATION_LEN - 14);

/// Decides about `frame`, sent by the endpoint of `attachment`.
#[inline(always)]
pub fn agent<F: Frame, T: Tables>(frame: &F, attachment: &Attachment, tables: &mut T) -> Agent {
    match established::agent(frame, attachment, tables) {
        Some(plan) => Agent::Encapsulate(plan),
        None => decide(frame, attachment, tables),
    }
}

/// The same without a look at the cache of established flows. A datapath calls it where [`agent`] is too
/// large for one program, after [`established::agent`].
#[inline(always)]
pub fn decide<F: Frame, T: Tables>(frame: &F, attachment: &Attachment, tables: &mut T) -> Agent {
    match try_decide(frame, attachment, tables) {
        Ok(plan) => Agent::Encapsulate(plan),
        Err(reason) => Agent::Refuse(reason),
    }
}

#[inline(always)]
fn try_decide<F: Frame, T: Tables>(
    frame: &F,
    attachment: &Attachment,
    tables: &mut T,
) -> Result<Encapsulate, Reason> {
    if attachment.attached == 0 {
        return Err(Reason::NotAttached);
    }
    let vni = Vni::new(attachment.vni).ok_or(Reason::NotAttached)?;
    // Before any table is read: another processor may change them meanwhile.
    let epoch = tables.epoch();
    let mut changes = Inner::default();
    let (src, dst, ttl, flow) = match inner::read(frame, 0, vni, Reason::TruncatedEthernet)? {
        Packet::Arp(arp) => {
            check_source(attachment, tables, vni, arp.sender)?;
            (arp.sender, arp.target, DEFAULT_TTL, None)
        }
        Packet::Ip(ip) => {
            check_source(attachment, tables, vni, ip.flow.src())?;
            let (mut src, mut dst) = (ip.flow.src(), ip.flow.dst());
            if ip.flow.is_tracked() {
                policy::judge(
                    tables,
                    Direction::Egress,
                    &ip.flow,
                    || Ok(Labels::default()),
                )?;
                if let Some(target) = tables.forward_flow(&ip.flow) {
                    // Nobody behind this sees where the packet was to go.
                    acl::judge(tables, &ip.flow)?;
                    changes.flow = Some(FlowRewrite::to(&target, ip.transport));
                    changes.dst_mac = Some(target.dst_mac);
                    (src, dst) = (target.src, target.dst);
                }
            }
            (src, dst, ip.ttl, Some(ip.flow))
        }
    };

    let hash = hash::pair(src.raw(), dst.raw());
    let direct = invalidation::direct_path(tables, &EndpointKey::new(vni, dst));
    let next = match direct {
        Some(host) => host,
        None => bouncer(attachment, tables, hash)?,
    };
    let source_port = hash::source_port(hash);
    let mut encapsulate = encapsulate(frame, attachment, tables, &next, source_port, ttl, changes)?;
    if direct.is_some() {
        encapsulate.header = short_header::of_direct_path(tables, &next);
        if let (Some(flow), None) = (flow, changes.flow) {
            established::remember_egress(tables, attachment, &flow, &encapsulate, epoch);
        }
    }
    Ok(encapsulate)
}

/// Refuses what claims to come from somewhere else, where it must not: access lists take who sends by the source address.
#[inline(always)]
fn check_source<T: Tables>(
    attachment: &Attachment,
    tables: &T,
    vni: Vni,
    source: Ipv4,
) -> Result<(), Reason> {
    if attachment.guarded == 0 {
        return Ok(());
    }
    match tables.endpoint(&EndpointKey::new(vni, source)) {
        Some(endpoint) if endpoint.port() == Some(attachment.port) => Ok(()),
        _ => Err(Reason::ForeignSource),
    }
}

/// Outer headers towards `next`.
#[inline(always)]
pub(crate) fn encapsulate<F: Frame, T: Tables>(
    frame: &F,
    attachment: &Attachment,
    tables: &T,
    next: &Host,
    source_port: u16,
    ttl: u8,
    changes: Inner,
) -> Result<Encapsulate, Reason> {
    let inner_len = frame.len();
    if inner_len > MAX_INNER_LEN {
        return Err(Reason::TooLong);
    }
    let via = if next.ip() == tables.droplet().ip() {
        Via::Transit
    } else if attachment.shaped != 0 {
        Via::Stack
    } else {
        Via::Uplink
    };
    Ok(Encapsulate {
        next: *next,
        source_port,
        ttl,
        tos: attachment.tos,
        vni: Vni::new(attachment.vni).ok_or(Reason::NotAttached)?,
        pod_label: attachment.pod_label,
        namespace_label: attachment.namespace_label,
        inner_len: inner_len as u16,
        header: Header::Plain,
        inner: changes,
        via,
    })
}

/// A bouncer of the sender's network.
#[inline(always)]
fn bouncer<T: Tables>(attachment: &Attachment, tables: &T, hash: u32) -> Result<Host, Reason> {
    let index = attachment.bouncers.pick(hash).ok_or(Reason::NoBouncer)?;
    let bouncer = tables.member(index).ok_or(Reason::NoBouncer)?;
    if bouncer.is_resolved() {
        Ok(bouncer)
    } else {
        Err(Reason::UnknownDroplet)
    }
}
