//! What differences read from frames.

use mizar_wire::geneve::Layout;
use mizar_wire::{Ipv4, Vni, ethernet, geneve, ipv4, udp};
use topologies::provision::{Attachment, Port, Provision};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Where Geneve options start.
pub const OPTIONS: usize = ethernet::LEN + ipv4::LEN + udp::LEN + geneve::LEN;

/// Which options a frame with outer headers carries: all, if it is none with the short header.
pub fn layout(frame: &[u8]) -> Layout {
    let geneve = header::<geneve::Header>(frame, OPTIONS - geneve::LEN);
    let has_length = geneve.is_some_and(|it| it.options_len() == geneve::SHORT_OPTIONS_LEN);
    let options = header::<geneve::ShortOptions>(frame, OPTIONS);
    if has_length && options.is_some_and(|options| options.are_meant()) {
        Layout::Short
    } else {
        Layout::Full
    }
}

/// Where the inner frame starts behind outer headers.
pub fn inner_behind(frame: &[u8]) -> usize {
    OPTIONS + layout(frame).options_len()
}

/// What lies at `at`, if the frame reaches so far.
pub fn header<T: FromBytes + KnownLayout + Immutable>(frame: &[u8], at: usize) -> Option<T> {
    T::read_from_prefix(frame.get(at..)?)
        .ok()
        .map(|(header, _)| header)
}

/// Where the inner frame starts in what arrives at `port`.
pub fn inner_at(port: Port, frame: &[u8]) -> usize {
    match port {
        Port::Uplink => inner_behind(frame),
        Port::Endpoint(_) => 0,
    }
}

/// The inner IPv4 header of what arrives at `port`.
pub fn inner_ip(frame: &[u8], port: Port) -> Option<ipv4::Header> {
    let at = inner_at(port, frame);
    let ethernet: ethernet::Header = header(frame, at)?;
    (ethernet.ethertype == ethernet::IPV4)
        .then(|| header(frame, at + ethernet::LEN))
        .flatten()
}

/// Whether these are outer headers that Mizar reads as its own.
pub fn is_overlay(provision: &Provision, frame: &[u8]) -> bool {
    let (Some(ethernet), Some(ip), Some(udp)) = (
        header::<ethernet::Header>(frame, 0),
        header::<ipv4::Header>(frame, ethernet::LEN),
        header::<udp::Header>(frame, ethernet::LEN + ipv4::LEN),
    ) else {
        return false;
    };
    ethernet.ethertype == ethernet::IPV4
        && ip.version_ihl == ipv4::VERSION_IHL
        && ip.protocol == ipv4::UDP
        && !ip.is_fragment()
        && ip.dst == provision.host.ip
        && udp.dst == geneve::PORT
}

/// Whether a frame with outer headers tells to rewrite a flow.
pub fn is_modify(frame: &[u8]) -> bool {
    layout(frame) == Layout::Full
        && header::<geneve::ScaledEndpoint>(frame, OPTIONS + 16)
            .is_some_and(|option| option.is_modify())
}

/// The VPC that outer headers name.
pub fn outer_vni(frame: &[u8]) -> Option<Vni> {
    header::<geneve::Header>(frame, OPTIONS - geneve::LEN).map(|geneve| geneve.vni())
}

/// The VPC of what arrives at `port`; nothing where no endpoint is attached.
pub fn vni(provision: &Provision, port: Port, frame: &[u8]) -> Option<Vni> {
    match port {
        Port::Uplink => outer_vni(frame),
        Port::Endpoint(_) => attachment(provision, port).map(|attachment| attachment.vni),
    }
}

/// The endpoint that is attached to `port`.
pub fn attachment(provision: &Provision, port: Port) -> Option<&Attachment> {
    match port {
        Port::Endpoint(port) => provision.attachment(port),
        Port::Uplink => None,
    }
}

/// Whether an address in a VPC is one of those.
pub fn is_among(known: &[(Vni, Ipv4)], vni: Vni, addresses: [Ipv4; 2]) -> bool {
    known
        .iter()
        .any(|(of, ip)| *of == vni && addresses.contains(ip))
}
