//! Transit: what happens to a frame that arrives at a droplet's uplink.
//!
//! By what its tables hold, a droplet acts as the host of the destination endpoint, as a bouncer or as a
//! divider. Deliberate differences from Mizar's program, none of which a packet made by an agent shows:
//! an inner frame that is neither IPv4 nor ARP is refused (Mizar tests the outer type by mistake and reads
//! it as IPv4); outer IPv4 options and fragments are left to the stack (Mizar reads ports in their
//! place); a time to live that reaches zero is refused on every path, not only towards bouncers.

use crate::frame::Frame;
use crate::inner::{self, Arp, Ip, Packet};
use crate::policy::{self, Labels};
use crate::reason::Reason;
use crate::tables::{Direction, Endpoint, EndpointKey, EndpointKind, Host, Tables};
use crate::verdict::{Changes, FlowRewrite, ScaledEndpoint, Transit, Via};
use crate::{acl, established, hash, invalidation, scaled, short_header};
use mizar_wire::geneve::{self, FlowTarget, Layout};
use mizar_wire::{Ipv4, Mac, Vni, ethernet, ipv4, udp};

/// Where the outer IPv4 header starts.
pub(crate) const IP_AT: usize = ethernet::LEN;
/// Where the outer UDP header starts.
const UDP_AT: usize = IP_AT + ipv4::LEN;
/// Where the Geneve header starts.
pub(crate) const GENEVE_AT: usize = UDP_AT + udp::LEN;
/// Where the return-to-sender option starts.
pub(crate) const RETURN_TO_SENDER_AT: usize = GENEVE_AT + geneve::LEN;
/// Where the scaled-endpoint option starts.
pub(crate) const SCALED_ENDPOINT_AT: usize =
    RETURN_TO_SENDER_AT + size_of::<geneve::ReturnToSender>();
/// Where the label options start.
const LABELS_AT: usize = SCALED_ENDPOINT_AT + size_of::<geneve::ScaledEndpoint>();
/// Bytes of the two options that every packet carries.
const MIN_OPTIONS_LEN: usize = LABELS_AT - RETURN_TO_SENDER_AT;

/// Bit of the type of service by which Mizar marks traffic of low priority (`IPTOS_MINCOST`).
const LOW_PRIORITY: u8 = 0x02;

/// What transit needs of the outer headers.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    /// The frame's own Ethernet destination: this droplet's address on the wire it came by.
    pub mac: Mac,
    /// Who sent it.
    pub src: Host,
    /// This droplet's underlay address.
    pub ip: Ipv4,
    pub vni: Vni,
    ttl: u8,
    low_priority: bool,
    pub options_len: usize,
    /// Which options the packet carries.
    pub layout: Layout,
    /// The host that return-to-sender names.
    pub sender: Option<Host>,
    /// Whether the packet came by a direct path of that host.
    pub is_direct: bool,
    /// The host from which the packet came back.
    pub stale: Option<Host>,
    pub modify: bool,
}

impl Outer {
    /// This droplet, by the address on the wire that the packet came by.
    #[inline(always)]
    pub fn here(&self) -> Host {
        Host::new(self.ip, self.mac)
    }

    /// Refuses a packet whose time to live would reach zero.
    #[inline(always)]
    pub fn check_ttl(&self) -> Result<(), Reason> {
        if self.ttl > 1 {
            Ok(())
        } else {
            Err(Reason::TtlExpired)
        }
    }

    /// Where a packet goes that is sent on to a droplet of the substrate table.
    #[inline(always)]
    pub fn via(&self) -> Via {
        if self.low_priority {
            Via::Stack
        } else {
            Via::Uplink
        }
    }
}

/// Decides about `frame`, which arrived at the uplink; what changes in it is collected in `changes`.
#[inline(always)]
pub fn transit<F: Frame, T: Tables>(frame: &F, tables: &mut T, changes: &mut Changes) -> Transit {
    match established::transit(frame, tables, changes) {
        Some(verdict) => verdict,
        None => decide(frame, tables, changes),
    }
}

/// The same without a look at the cache of established flows. A datapath calls it where [`transit`] is too
/// large for one program, after [`established::transit`].
#[inline(always)]
pub fn decide<F: Frame, T: Tables>(frame: &F, tables: &mut T, changes: &mut Changes) -> Transit {
    *changes = Changes::default();
    match try_decide(frame, tables, changes) {
        Ok(verdict) => verdict,
        Err(reason) => Transit::Refuse(reason),
    }
}

#[inline(always)]
fn try_decide<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    let Some(outer) = read_outer(frame, tables)? else {
        return Ok(Transit::Pass);
    };
    changes.inner_at = RETURN_TO_SENDER_AT + outer.options_len;
    changes.layout = outer.layout;
    match inner::read(
        frame,
        changes.inner_at,
        outer.vni,
        Reason::TruncatedInnerEthernet,
    )? {
        Packet::Ip(ip) => decide_ip(frame, tables, &outer, &ip, changes),
        Packet::Arp(arp) => decide_arp(tables, &outer, &arp, changes),
    }
}

/// The outer headers, or nothing if this is not an overlay packet.
#[inline(always)]
pub(crate) fn read_outer<F: Frame, T: Tables>(
    frame: &F,
    tables: &T,
) -> Result<Option<Outer>, Reason> {
    let ethernet: &ethernet::Header = frame.get(0).ok_or(Reason::TruncatedEthernet)?;
    if ethernet.ethertype != ethernet::IPV4 {
        return Ok(None);
    }
    let (mac, src_mac) = (ethernet.dst, ethernet.src);
    let ip: &ipv4::Header = frame.get(IP_AT).ok_or(Reason::TruncatedOuterIp)?;
    if ip.protocol != ipv4::UDP || ip.version_ihl != ipv4::VERSION_IHL || ip.is_fragment() {
        return Ok(None);
    }
    let (ttl, tos, src, dst) = (ip.ttl, ip.tos, ip.src, ip.dst);
    if ttl == 0 {
        return Err(Reason::TtlZero);
    }
    if dst != tables.droplet().ip() {
        return Err(Reason::OtherDroplet);
    }
    let udp: &udp::Header = frame.get(UDP_AT).ok_or(Reason::TruncatedOuterUdp)?;
    if udp.dst != geneve::PORT {
        return Ok(None);
    }
    let header: &geneve::Header = frame.get(GENEVE_AT).ok_or(Reason::TruncatedGeneve)?;
    if header.protocol != geneve::ETHERNET {
        return Ok(None);
    }
    let (vni, options_len) = (header.vni(), header.options_len());
    if options_len < MIN_OPTIONS_LEN {
        return Err(Reason::TruncatedOptions);
    }
    let outer = Outer {
        mac,
        src: Host::new(src, src_mac),
        ip: dst,
        vni,
        ttl,
        low_priority: tos & LOW_PRIORITY != 0,
        options_len,
        layout: short_header::layout(frame, tables, options_len),
        sender: None,
        is_direct: false,
        stale: None,
        modify: false,
    };
    if outer.layout == Layout::Short {
        // It means what return-to-sender with the flag would, naming where it comes from.
        return if outer.src.ip() == outer.ip {
            Err(Reason::ShortHeader)
        } else {
            Ok(Some(Outer {
                sender: Some(outer.src),
                is_direct: true,
                ..outer
            }))
        };
    }
    let return_to_sender: &geneve::ReturnToSender = frame
        .get(RETURN_TO_SENDER_AT)
        .ok_or(Reason::TruncatedOptions)?;
    let scaled_endpoint: &geneve::ScaledEndpoint = frame
        .get(SCALED_ENDPOINT_AT)
        .ok_or(Reason::TruncatedOptions)?;
    if return_to_sender.header.class != geneve::CLASS
        || scaled_endpoint.header.class != geneve::CLASS
    {
        return Err(Reason::OptionClass);
    }
    let named = Host::new(return_to_sender.ip(), return_to_sender.mac());
    let sender = return_to_sender.is_present().then_some(named);
    let has_invalidation = tables.extensions().has_invalidation();
    let stale = (has_invalidation && return_to_sender.is_returned()).then_some(named);
    let is_direct = has_invalidation && return_to_sender.is_direct();
    Ok(Some(Outer {
        sender,
        is_direct,
        stale,
        modify: scaled_endpoint.is_modify(),
        ..outer
    }))
}

/// The labels of the sender, which a packet must carry where policy may look at them.
#[inline(always)]
pub(crate) fn read_labels<F: Frame>(frame: &F, outer: &Outer) -> Result<Labels, Reason> {
    if outer.options_len < outer.layout.options_len() {
        return Err(Reason::LabelOption);
    }
    let at = match outer.layout {
        Layout::Full => LABELS_AT,
        Layout::Short => LABELS_AT - size_of::<geneve::ReturnToSender>(),
    };
    let labels: &[geneve::Label; 2] = frame.get(at).ok_or(Reason::LabelOption)?;
    let [pod, namespace] = labels;
    if pod.header.class != geneve::CLASS
        || pod.header.kind != geneve::POD_LABEL
        || namespace.header.class != geneve::CLASS
        || namespace.header.kind != geneve::NAMESPACE_LABEL
    {
        return Err(Reason::LabelOption);
    }
    Ok(Labels {
        pod: pod.get(),
        namespace: namespace.get(),
    })
}

#[inline(always)]
fn decide_ip<F: Frame, T: Tables>(
    frame: &F,
    tables: &mut T,
    outer: &Outer,
    ip: &Ip,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    // Before any table is read, also those that judge: another processor may change them meanwhile.
    let epoch = tables.epoch();
    if ip.flow.is_tracked() {
        policy::judge(tables, Direction::Ingress, &ip.flow, || {
            read_labels(frame, outer)
        })?;
    }
    acl::judge(tables, &ip.flow)?;
    let original_src = ip.flow.src();
    if outer.modify {
        let source = tables.endpoint(&EndpointKey::new(outer.vni, original_src));
        if source.is_some_and(|source| source.port().is_some()) {
            let option: &geneve::ScaledEndpoint = frame
                .get(SCALED_ENDPOINT_AT)
                .ok_or(Reason::TruncatedOptions)?;
            let target = option.target();
            return modify_at_source(tables, outer, ip, &target, changes);
        }
    }

    let (mut src, mut dst) = (original_src, ip.flow.dst());
    if let Some(stale) = outer.stale {
        invalidation::came_back(tables, outer, dst, &stale, changes);
    }
    if let Some(target) = tables.reverse_flow(&ip.flow) {
        changes.inner.flow = Some(FlowRewrite::to(&target, ip.transport));
        changes.inner.src_mac = Some(target.src_mac);
        (src, dst) = (target.src, target.dst);
    }
    let endpoint = tables.endpoint(&EndpointKey::new(outer.vni, dst));
    if let Some(verdict) = short_header::refuse_to_send_on(outer, endpoint.as_ref(), changes) {
        return verdict;
    }
    let Some(endpoint) = endpoint else {
        return route(tables, outer, src, dst, changes);
    };
    if endpoint.port().is_none() && endpoint.kind() == EndpointKind::Scaled {
        return scaled::bounce(tables, outer, ip, dst, &endpoint, changes);
    }
    let verdict = switch(tables, outer, original_src, &endpoint, changes)?;
    if changes.inner.flow.is_none() {
        established::remember(tables, &ip.flow, outer, endpoint.mac(), &verdict, epoch);
    }
    Ok(verdict)
}

/// The source host's side of a scaled endpoint: remember the rewrite, and send the packet back so that
/// it goes by the new addresses.
#[inline(always)]
fn modify_at_source<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    ip: &Ip,
    target: &FlowTarget,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    // As Mizar: what the message says is remembered even if the packet itself ends here.
    scaled::remember(tables, ip, ip.dst_mac, target);
    outer.check_ttl()?;
    changes.return_to_sender.clear();
    changes.scaled_endpoint = ScaledEndpoint::Clear;
    changes.inner.flow = Some(FlowRewrite::to(target, ip.transport));
    Ok(Transit::Forward {
        next: outer.src,
        via: Via::Uplink,
    })
}

#[inline(always)]
fn decide_arp<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    arp: &Arp,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    let (mut src, mut dst) = (arp.sender, arp.target);
    if let Some(stale) = outer.stale {
        invalidation::came_back(tables, outer, dst, &stale, changes);
    }
    let mut endpoint = tables.endpoint(&EndpointKey::new(outer.vni, dst));
    if let Some(verdict) = short_header::refuse_to_send_on(outer, endpoint.as_ref(), changes) {
        return verdict;
    }
    if let Some(known) = endpoint
        && known.port().is_none()
        && arp.is_request
        && outer.stale.is_none()
    {
        // The bouncer answers for the endpoint, and tells where it is hosted.
        changes.inner.arp_reply = true;
        changes.inner.src_mac = Some(known.mac());
        if known.kind() == EndpointKind::Simple {
            let host = known.host().ok_or(Reason::EndpointWithoutHost)?;
            if !host.is_resolved() {
                return Err(Reason::UnknownDroplet);
            }
            changes.return_to_sender.host = Some(host);
        } else {
            changes.return_to_sender.clear();
        }
        (src, dst) = (arp.target, arp.sender);
        endpoint = tables.endpoint(&EndpointKey::new(outer.vni, dst));
    }
    let Some(endpoint) = endpoint else {
        return route(tables, outer, src, dst, changes);
    };
    if endpoint.port().is_none() && endpoint.kind() == EndpointKind::Scaled {
        return Err(Reason::ScaledUnsupported);
    }
    switch(tables, outer, src, &endpoint, changes)
}

/// Towards an endpoint that is known here: its host delivers, a bouncer sends on.
#[inline(always)]
pub(crate) fn switch<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    learn_from: Ipv4,
    endpoint: &Endpoint,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    // The packet may have been sent to a gateway's address.
    changes.inner.dst_mac = Some(endpoint.mac());
    if let Some(port) = endpoint.port() {
        learn(tables, outer, changes, learn_from);
        return Ok(Transit::Deliver { port });
    }
    let host = endpoint.host().ok_or(Reason::EndpointWithoutHost)?;
    invalidation::note(tables, changes, false);
    send(outer, &host)
}

/// Towards an endpoint that is not known here: by the direct path, a bouncer of its network, or a
/// divider of the VPC.
#[inline(always)]
pub(crate) fn route<T: Tables>(
    tables: &mut T,
    outer: &Outer,
    src: Ipv4,
    dst: Ipv4,
    changes: &mut Changes,
) -> Result<Transit, Reason> {
    // A modify message travels back to the inner source.
    let carries_modify = outer.modify && !matches!(changes.scaled_endpoint, ScaledEndpoint::Clear);
    let (src, dst) = if carries_modify {
        (dst, src)
    } else {
        (src, dst)
    };
    let key = EndpointKey::new(outer.vni, dst);
    let network = tables.network(&key);
    invalidation::refuse_nowhere(tables, network)?;
    let mut came_back = outer.stale.is_some();
    // By a direct path that is stale: it ends at a droplet that knows neither endpoint nor network.
    if let Some(sender) = outer.sender
        && outer.is_direct
        && network.is_none()
        && !changes.inner.arp_reply
    {
        if sender.ip() != outer.ip {
            return invalidation::give_back(outer, &sender, changes);
        }
        invalidation::forget(tables, outer, dst, &outer.here());
        came_back = true;
    }
    let bouncers = if came_back {
        Some(invalidation::begin_again(
            tables, outer, src, network, changes,
        )?)
    } else {
        network
    };
    let is_named = network.is_some() || came_back;
    let direct = if is_named || invalidation::may_go_unnamed(tables) {
        // For what came back, one that leads here leads nowhere.
        invalidation::direct_path(tables, &key).filter(|host| !came_back || host.ip() != outer.ip)
    } else {
        None
    };
    if network.is_some() {
        learn(tables, outer, changes, src);
        changes.return_to_sender.host = Some(outer.here());
    }
    invalidation::note(tables, changes, direct.is_some());
    if let Some(host) = direct {
        outer.check_ttl()?;
        return Ok(Transit::Forward {
            next: host,
            via: Via::Uplink,
        });
    }
    let hash = hash::pair(src.raw(), dst.raw());
    if let Some(bouncers) = bouncers {
        let index = bouncers.pick(hash).ok_or(Reason::NoBouncer)?;
        let next = tables.member(index).ok_or(Reason::UnknownDroplet)?;
        // An agent goes on as the bouncer that its own droplet is, which knows neither endpoint nor network.
        let is_own = next.ip() == outer.ip && next.is_resolved();
        if !came_back || !is_own {
            return send(outer, &next);
        }
    }
    let dividers = tables.vpc(outer.vni).ok_or(Reason::UnknownVpc)?;
    let index = dividers.pick(hash).ok_or(Reason::NoDivider)?;
    let next = tables.member(index).ok_or(Reason::UnknownDroplet)?;
    send(outer, &next)
}

/// Sends on to a droplet of the substrate table.
#[inline(always)]
fn send(outer: &Outer, next: &Host) -> Result<Transit, Reason> {
    outer.check_ttl()?;
    if !next.is_resolved() {
        return Err(Reason::UnknownDroplet);
    }
    Ok(Transit::Forward {
        next: *next,
        via: outer.via(),
    })
}

/// Learns the host of the source endpoint from return-to-sender, unless the endpoint is known here.
#[inline(always)]
fn learn<T: Tables>(tables: &mut T, outer: &Outer, changes: &Changes, src: Ipv4) {
    let Some(mut host) = outer.sender else { return };
    if changes.return_to_sender.clear {
        return;
    }
    if let Some(replaced) = changes.return_to_sender.host {
        host = replaced;
    }
    let key = EndpointKey::new(outer.vni, src);
    if invalidation::is_dead(tables, &host) {
        return;
    }
    // Looking first costs a lookup and saves a write for every packet after the first.
    if tables.direct_path(&key) != Some(host) && tables.endpoint(&key).is_none() {
        tables.set_direct_path(&key, &host);
        // The endpoint may have moved, even if nothing was known of it: what was known may have been evicted.
        tables.begin_epoch();
    }
}
