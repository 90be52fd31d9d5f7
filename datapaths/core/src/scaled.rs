//! Scaled endpoints: a service address whose flows are rewritten, at the source host, to a backend.

use crate::flow::FlowKey;
use crate::hash;
use crate::inner::Ip;
use crate::reason::Reason;
use crate::tables::{Endpoint, EndpointKey, EndpointKind, Tables};
use crate::transit::{self, Outer};
use crate::verdict::{Changes, FlowRewrite, ScaledEndpoint, Transit, Via};
use mizar_wire::geneve::FlowTarget;
use mizar_wire::{Ipv4, Mac, ipv4};

/// The bouncer's side: picks a backend by hash and tells the source host to rewrite the flow.
///
/// `dst` is the scaled endpoint's address, after any rewrite of the packet that `changes` asks for.
#[inline(always)]
pub(crate) fn bounce<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    ip: &Ip,
    dst: Ipv4,
    endpoint: &Endpoint,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    let ip = &rewritten(ip, dst, changes);
    if !matches!(ip.flow.protocol(), ipv4::TCP | ipv4::UDP | ipv4::ICMP) {
        return Err(Reason::ScaledUnsupported);
    }
    changes.inner.dst_mac = Some(endpoint.mac());
    // Mizar hashes the source address and port; the destination is the same for every packet here.
    let hash = hash::pair(ip.flow.src().raw(), u32::from(ip.flow.src_port().raw()));
    let index = endpoint.group().pick(hash).ok_or(Reason::NoBackend)?;
    let backend = tables.member(index).ok_or(Reason::NoBackend)?.ip();
    if outer.src.ip() == outer.ip {
        let target = FlowTarget {
            src: ip.flow.src(),
            dst: backend,
            src_port: ip.flow.src_port(),
            dst_port: ip.flow.dst_port(),
            src_mac: ip.src_mac,
            dst_mac: endpoint.mac(),
        };
        return rewrite_here(tables, outer, ip, endpoint.mac(), &target, changes);
    }
    outer.check_ttl()?;
    changes.return_to_sender.clear();
    changes.scaled_endpoint = ScaledEndpoint::Modify(backend);
    Ok(Transit::Forward {
        next: outer.src,
        via: Via::Uplink,
    })
}

/// The packet as it is after a reverse rewrite.
#[inline(always)]
fn rewritten(ip: &Ip, dst: Ipv4, changes: &Changes) -> Ip {
    let mut ip = *ip;
    if let Some(flow) = changes.inner.flow {
        let (vni, protocol) = (ip.flow.vni(), ip.flow.protocol());
        ip.flow = FlowKey::new(vni, protocol, flow.src, dst, flow.src_port, flow.dst_port);
    }
    if let Some(mac) = changes.inner.src_mac {
        ip.src_mac = mac;
    }
    ip
}

/// The bouncer hosts the source as well: it rewrites the flow itself and sends the packet to the backend.
#[inline(always)]
fn rewrite_here<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    ip: &Ip,
    dst_mac: Mac,
    target: &FlowTarget,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    remember(tables, ip, dst_mac, target);
    changes.return_to_sender.clear();
    changes.scaled_endpoint = ScaledEndpoint::Clear;
    changes.inner.flow = Some(FlowRewrite::to(target, ip.transport));
    let key = EndpointKey::new(outer.vni, target.dst);
    let Some(backend) = tables.endpoint(&key) else {
        return transit::route(tables, outer, target.src, target.dst, changes);
    };
    if backend.port().is_none() && backend.kind() == EndpointKind::Scaled {
        return Err(Reason::ScaledUnsupported);
    }
    transit::switch(tables, outer, target.src, &backend, changes)
}

/// Enters the rewrite of a flow to `target`, and of the replies back to what the flow was. What is known
/// already is not written again: every packet of ICMP to a service comes this way.
#[inline(always)]
pub(crate) fn remember<T: Tables>(tables: &mut T, ip: &Ip, dst_mac: Mac, target: &FlowTarget) {
    let flow = &ip.flow;
    let replies = FlowKey::new(
        flow.vni(),
        flow.protocol(),
        target.dst,
        target.src,
        target.dst_port,
        target.src_port,
    );
    let back = FlowTarget {
        src: flow.dst(),
        dst: flow.src(),
        src_port: flow.dst_port(),
        dst_port: flow.src_port(),
        src_mac: dst_mac,
        dst_mac: ip.src_mac,
    };
    if tables.forward_flow(flow) != Some(*target) || tables.reverse_flow(&replies) != Some(back) {
        tables.set_forward_flow(flow, target);
        tables.set_reverse_flow(&replies, &back);
        tables.begin_epoch();
    }
}
