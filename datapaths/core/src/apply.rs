//! Writing what a verdict says into a frame.
//!
//! The datapath makes room in front of a frame, or strips; everything else is written here, so that every
//! datapath writes the same bytes. `None` means that the frame is shorter than the verdict's own
//! reading of it, which happens only if the datapath applies a verdict to another frame.

use crate::frame::Frame;
use crate::short_header;
use crate::tables::Host;
use crate::transit::{GENEVE_AT, IP_AT, RETURN_TO_SENDER_AT, SCALED_ENDPOINT_AT};
use crate::verdict::{
    Changes, DirectPathFlag, Encapsulate, FlowRewrite, Header, Inner, Invalidation, ReturnToSender,
    ScaledEndpoint, Transport,
};
use mizar_wire::checksum::Change;
use mizar_wire::geneve::{self, Envelope, FlowTarget, Layout, Options, ShortOptions};
use mizar_wire::{Be16, Be32, Ipv4, arp, ethernet, ipv4, tcp, udp};

/// Writes the outer headers into `frame`, which has [`Encapsulate::outer_len`] bytes of room in front, and
/// changes the inner frame behind them.
#[inline(always)]
pub fn encapsulate<F: Frame>(frame: &mut F, droplet: &Host, plan: &Encapsulate) -> Option<()> {
    let layout = plan.header.layout();
    let udp_length = (plan.outer_len() - ethernet::LEN - ipv4::LEN) as u16 + plan.inner_len;
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        tos: plan.tos,
        total_length: Be16::new(udp_length + ipv4::LEN as u16),
        id: Be16::new(0),
        flags_fragment: Be16::new(0),
        ttl: plan.ttl,
        protocol: ipv4::UDP,
        checksum: Be16::new(0),
        src: droplet.ip(),
        dst: plan.next.ip(),
    };
    ip.checksum = ip.expected_checksum();
    let envelope = Envelope {
        ethernet: ethernet::Header {
            dst: plan.next.mac(),
            src: droplet.mac(),
            ethertype: ethernet::IPV4,
        },
        ipv4: ip,
        udp: udp::Header {
            src: Be16::new(plan.source_port),
            dst: geneve::PORT,
            length: Be16::new(udp_length),
            // RFC 8926 section 3.3: a checksum of zero is allowed over IPv4.
            checksum: Be16::new(0),
        },
        geneve: geneve::Header {
            version_options: (layout.options_len() / 4) as u8,
            flags: 0,
            protocol: geneve::ETHERNET,
            vni_reserved: Be32::new(plan.vni.get() << 8),
        },
    };
    let (words, half) = envelope.words();
    frame.set_words(0, words)?;
    *frame.get_mut(size_of_val(&words))? = half;
    match layout {
        Layout::Full => {
            let mut host = geneve::ReturnToSender::new(droplet.ip(), droplet.mac());
            if plan.header == Header::Direct {
                host.flags = geneve::DIRECT_PATH;
            }
            let words = Options::words(&host, plan.pod_label, plan.namespace_label);
            frame.set_words(RETURN_TO_SENDER_AT, words)?;
        }
        Layout::Short => {
            let words = ShortOptions::words(plan.pod_label, plan.namespace_label);
            frame.set_words(RETURN_TO_SENDER_AT, words)?;
        }
    }
    change_inner(frame, plan.outer_len(), &plan.inner)
}

/// Rewrites an encapsulated frame, which has [`Changes::growth`] bytes of room in front, for its next droplet.
#[inline(always)]
pub fn forward<F: Frame>(frame: &mut F, next: &Host, changes: &Changes) -> Option<()> {
    match changes.layout {
        Layout::Full => change_inner(frame, changes.inner_start(), &changes.inner)?,
        // It is given back, and nothing inside is changed then.
        Layout::Short => short_header::put_back(frame)?,
    }

    change_return_to_sender(frame, &changes.return_to_sender)?;

    match changes.scaled_endpoint {
        ScaledEndpoint::Keep => {}
        ScaledEndpoint::Clear => {
            let option: &mut geneve::ScaledEndpoint = frame.get_mut(SCALED_ENDPOINT_AT)?;
            *option = geneve::ScaledEndpoint::absent();
        }
        ScaledEndpoint::Modify(backend) => {
            let target = modify_target(frame, changes, backend)?;
            let option: &mut geneve::ScaledEndpoint = frame.get_mut(SCALED_ENDPOINT_AT)?;
            *option = geneve::ScaledEndpoint::modify(&target);
        }
    }

    let ethernet: &mut ethernet::Header = frame.get_mut(0)?;
    ethernet.src = ethernet.dst;
    ethernet.dst = next.mac();
    let ip: &mut ipv4::Header = frame.get_mut(IP_AT)?;
    ip.ttl = ip.ttl.wrapping_sub(1);
    ip.src = ip.dst;
    ip.dst = next.ip();
    ip.checksum = ip.expected_checksum();
    Some(())
}

#[inline(always)]
fn change_return_to_sender<F: Frame>(frame: &mut F, changes: &ReturnToSender) -> Option<()> {
    let option: &mut geneve::ReturnToSender = frame.get_mut(RETURN_TO_SENDER_AT)?;
    if changes.clear {
        // The class stays as it came.
        let class = option.header.class;
        *option = geneve::ReturnToSender::absent();
        option.header.class = class;
    }
    if let Some(host) = changes.host {
        let is_whole = changes.invalidation != Invalidation::None && !changes.clear
            || changes.direct_path == DirectPathFlag::Set;
        if is_whole {
            *option = geneve::ReturnToSender::new(host.ip(), host.mac());
        } else {
            option.set_host(host.ip(), host.mac());
        }
    }
    match changes.direct_path {
        DirectPathFlag::Keep => {}
        DirectPathFlag::Clear => option.flags &= !geneve::DIRECT_PATH,
        DirectPathFlag::Set => option.flags |= geneve::DIRECT_PATH,
    }
    if changes.invalidation == Invalidation::Return {
        option.header.kind = geneve::RETURNED;
        let header: &mut geneve::Header = frame.get_mut(GENEVE_AT)?;
        header.flags |= geneve::CRITICAL;
    } else if changes.invalidation == Invalidation::Resume {
        let header: &mut geneve::Header = frame.get_mut(GENEVE_AT)?;
        header.flags &= !geneve::CRITICAL;
    }
    Some(())
}

/// Changes the inner frame of an encapsulated one that is about to be stripped.
#[inline(always)]
pub fn deliver<F: Frame>(frame: &mut F, changes: &Changes) -> Option<()> {
    change_inner(frame, changes.inner_start(), &changes.inner)
}

/// What the flow of the packet, as it is now, shall be rewritten to so that it reaches `backend`.
#[inline(always)]
fn modify_target<F: Frame>(frame: &F, changes: &Changes, backend: Ipv4) -> Option<FlowTarget> {
    let at = changes.inner_start();
    let ip: &ipv4::Header = frame.get(at + ethernet::LEN)?;
    let (src, protocol) = (ip.src, ip.protocol);
    let transport_at = at + ethernet::LEN + ip.header_len();
    let (mut src_port, mut dst_port) = (Be16::default(), Be16::default());
    if matches!(protocol, ipv4::TCP | ipv4::UDP) && !ip.is_later_fragment() {
        // TCP and UDP begin alike: with the two ports.
        let ports: &[Be16; 2] = frame.get(transport_at)?;
        [src_port, dst_port] = *ports;
    }
    let ethernet: &ethernet::Header = frame.get(at)?;
    let (src_mac, dst_mac) = (ethernet.src, ethernet.dst);
    Some(FlowTarget {
        src,
        dst: backend,
        src_port,
        dst_port,
        src_mac,
        dst_mac,
    })
}

#[inline(always)]
fn change_inner<F: Frame>(frame: &mut F, at: usize, inner: &Inner) -> Option<()> {
    if inner.dst_mac.is_some() || inner.src_mac.is_some() {
        let ethernet: &mut ethernet::Header = frame.get_mut(at)?;
        if let Some(mac) = inner.dst_mac {
            ethernet.dst = mac;
        }
        if let Some(mac) = inner.src_mac {
            ethernet.src = mac;
        }
    }
    if let Some(flow) = &inner.flow {
        rewrite_flow(frame, at, flow)?;
    }
    if inner.arp_reply {
        let header: &mut arp::Header = frame.get_mut(at + ethernet::LEN)?;
        header.operation = arp::REPLY;
        let addresses: &mut arp::Addresses = frame.get_mut(at + ethernet::LEN + arp::HEADER_LEN)?;
        *addresses = arp::Addresses {
            sender_mac: inner.src_mac?,
            sender_ip: addresses.target_ip,
            target_mac: addresses.sender_mac,
            target_ip: addresses.sender_ip,
        };
    }
    Some(())
}

#[inline(always)]
fn rewrite_flow<F: Frame>(frame: &mut F, at: usize, flow: &FlowRewrite) -> Option<()> {
    let ip: &mut ipv4::Header = frame.get_mut(at + ethernet::LEN)?;
    let addresses = Change::new()
        .word(ip.src.raw(), flow.src.raw())
        .word(ip.dst.raw(), flow.dst.raw());
    let transport_at = at + ethernet::LEN + ip.header_len();
    ip.src = flow.src;
    ip.dst = flow.dst;
    if ip.version_ihl == ipv4::VERSION_IHL {
        // As Mizar: recomputed, which also mends a checksum that came in wrong.
        ip.checksum = ip.expected_checksum();
    } else {
        ip.checksum = Be16::from_raw(addresses.apply(ip.checksum.raw()));
    }
    match flow.transport {
        Transport::None => Some(()),
        Transport::Tcp => {
            let tcp: &mut tcp::Header = frame.get_mut(transport_at)?;
            let change = addresses
                .half(tcp.src.raw(), flow.src_port.raw())
                .half(tcp.dst.raw(), flow.dst_port.raw());
            tcp.src = flow.src_port;
            tcp.dst = flow.dst_port;
            tcp.checksum = Be16::from_raw(change.apply(tcp.checksum.raw()));
            Some(())
        }
        Transport::Udp => {
            let udp: &mut udp::Header = frame.get_mut(transport_at)?;
            let change = addresses
                .half(udp.src.raw(), flow.src_port.raw())
                .half(udp.dst.raw(), flow.dst_port.raw());
            udp.src = flow.src_port;
            udp.dst = flow.dst_port;
            // RFC 768: zero means no checksum; a computed zero is sent as all ones.
            if udp.checksum.raw() != 0 {
                let checksum = change.apply(udp.checksum.raw());
                udp.checksum = Be16::from_raw(if checksum == 0 { 0xffff } else { checksum });
            }
            Some(())
        }
    }
}
