//! The transit agent: what happens to a frame that leaves an endpoint.

use crate::frame::Frame;
use crate::hash;
use crate::inner::{self, Packet};
use crate::policy::{self, Labels};
use crate::reason::Reason;
use crate::tables::{Attachment, Direction, EndpointKey, Host, Tables};
use crate::verdict::{Agent, Encapsulate, FlowRewrite, Inner, Via};
use mizar_wire::{Ipv4, Vni, geneve};

/// Outer time to live of packets whose inner frame has none.
const DEFAULT_TTL: u8 = 64;

/// The longest inner frame that an outer IPv4 packet holds: its total length is 16 bits.
const MAX_INNER_LEN: usize = u16::MAX as usize - (geneve::ENCAPSULATION_LEN - 14);

/// Decides about `frame`, sent by the endpoint of `attachment`.
#[inline(always)]
pub fn agent<F: Frame, T: Tables>(frame: &F, attachment: &Attachment, tables: &mut T) -> Agent {
    match decide(frame, attachment, tables) {
        Ok(encapsulate) => Agent::Encapsulate(encapsulate),
        Err(reason) => Agent::Refuse(reason),
    }
}

#[inline(always)]
fn decide<F: Frame, T: Tables>(
    frame: &F,
    attachment: &Attachment,
    tables: &mut T,
) -> Result<Encapsulate, Reason> {
    if attachment.attached == 0 {
        return Err(Reason::NotAttached);
    }
    let vni = Vni::new(attachment.vni).ok_or(Reason::NotAttached)?;
    let mut changes = Inner::default();
    let (src, dst, ttl) = match inner::read(frame, 0, vni, Reason::TruncatedEthernet)? {
        Packet::Arp(arp) => (arp.sender, arp.target, DEFAULT_TTL),
        Packet::Ip(ip) => {
            let (mut src, mut dst) = (ip.flow.src(), ip.flow.dst());
            if ip.flow.is_tracked() {
                policy::judge(
                    tables,
                    Direction::Egress,
                    &ip.flow,
                    || Ok(Labels::default()),
                )?;
                if let Some(target) = tables.forward_flow(&ip.flow) {
                    changes.flow = Some(FlowRewrite::to(&target, ip.transport));
                    changes.dst_mac = Some(target.dst_mac);
                    (src, dst) = (target.src, target.dst);
                }
            }
            (src, dst, ip.ttl)
        }
    };

    let hash = hash::pair(src.raw(), dst.raw());
    let next = next_hop(attachment, tables, vni, dst, hash)?;
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
        next,
        source_port: hash::source_port(hash),
        ttl,
        tos: attachment.tos,
        vni,
        pod_label: attachment.pod_label,
        namespace_label: attachment.namespace_label,
        inner_len: inner_len as u16,
        inner: changes,
        via,
    })
}

/// The endpoint's own host where it is known, a bouncer of the sender's network otherwise.
#[inline(always)]
fn next_hop<T: Tables>(
    attachment: &Attachment,
    tables: &mut T,
    vni: Vni,
    dst: Ipv4,
    hash: u32,
) -> Result<Host, Reason> {
    if let Some(host) = tables.direct_path(&EndpointKey::new(vni, dst)) {
        return Ok(host);
    }
    let index = attachment.bouncers.pick(hash).ok_or(Reason::NoBouncer)?;
    let bouncer = tables.member(index).ok_or(Reason::NoBouncer)?;
    if bouncer.is_resolved() {
        Ok(bouncer)
    } else {
        Err(Reason::UnknownDroplet)
    }
}
