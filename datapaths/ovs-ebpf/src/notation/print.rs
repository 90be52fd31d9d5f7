//! Writing flows as `dpctl/dump-flows` does.

use super::action::{Action, Set};
use super::matches::{Match, TUNNEL_FLAGS};
use megaflow::Key;
use megaflow::flow::operation;
use megaflow::key::fragment;
use megaflow::set::{Arp, Ethernet, Ip, Ports};
use mizar_wire::geneve::OptionHeader;
use mizar_wire::{Be16, Ipv4, Mac, ethernet, geneve, ipv4, udp};
use std::fmt::Display;
use zerocopy::{FromBytes, IntoBytes};

/// Fields of one header that count, as they stand in its parentheses.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    /// A field, if any bit of it counts.
    fn add<T: Display + Copy + PartialEq>(
        &mut self,
        name: &str,
        value: T,
        mask: T,
        none: T,
        all: T,
    ) {
        if mask == all {
            self.0.push(format!("{name}={value}"));
        } else if mask != none {
            self.0.push(format!("{name}={value}/{mask}"));
        }
    }

    fn mac(&mut self, name: &str, value: Mac, mask: Mac) {
        let of = |octet| Mac::new([octet; 6]);
        self.add(name, value, mask, of(0), of(0xff));
    }

    fn ip(&mut self, name: &str, value: Ipv4, mask: Ipv4) {
        self.add(
            name,
            value,
            mask,
            Ipv4::from_raw(0),
            Ipv4::from_raw(u32::MAX),
        );
    }

    fn half(&mut self, name: &str, value: Be16, mask: Be16) {
        let (value, mask) = (value.get(), mask.get());
        match mask {
            u16::MAX => self.0.push(format!("{name}={value}")),
            0 => {}
            _ => self.0.push(format!("{name}={value:#x}/{mask:#x}")),
        }
    }

    fn byte(&mut self, name: &str, value: u8, mask: u8) {
        match mask {
            u8::MAX => self.0.push(format!("{name}={value}")),
            0 => {}
            _ => self.0.push(format!("{name}={value:#x}/{mask:#x}")),
        }
    }

    /// The header with its fields, if there are any.
    fn within(self, name: &str) -> Option<String> {
        (!self.0.is_empty()).then(|| format!("{name}({})", self.0.join(",")))
    }
}

/// What a flow asks for.
pub fn print_match(asked: &Match) -> String {
    let Match { key, mask } = asked;
    let mut parts = Vec::new();
    parts.extend(tunnel(key, mask));
    parts.push("recirc_id(0)".to_owned());
    parts.push(format!("in_port({})", key.in_port));
    parts.push("packet_type(ns=0,id=0)".to_owned());
    let mut ethernet = Fields::default();
    ethernet.mac("src", key.eth_src, mask.eth_src);
    ethernet.mac("dst", key.eth_dst, mask.eth_dst);
    parts.extend(ethernet.within("eth"));
    parts.push(match mask.eth_type.get() {
        u16::MAX => format!("eth_type({:#06x})", key.eth_type.get()),
        some => format!("eth_type({:#06x}/{some:#06x})", key.eth_type.get()),
    });
    match key.eth_type {
        ethernet::IPV4 => parts.extend(ip(key, mask)),
        ethernet::ARP => parts.extend(arp(key, mask)),
        _ => {}
    }
    parts.join(",")
}

fn ip(key: &Key, mask: &Key) -> Vec<String> {
    let mut ip = Fields::default();
    ip.ip("src", key.ip_src, mask.ip_src);
    ip.ip("dst", key.ip_dst, mask.ip_dst);
    ip.byte("proto", key.protocol, mask.protocol);
    ip.byte("tos", key.tos, mask.tos);
    ip.byte("ttl", key.ttl, mask.ttl);
    if mask.fragment != 0 {
        let name = match key.fragment {
            fragment::FIRST => "first",
            fragment::LATER => "later",
            _ => "no",
        };
        ip.0.push(format!("frag={name}"));
    }
    let mut transport = Fields::default();
    let (name, [first, second]) = match key.protocol {
        ipv4::TCP => ("tcp", ["src", "dst"]),
        ipv4::ICMP => ("icmp", ["type", "code"]),
        _ => ("udp", ["src", "dst"]),
    };
    // A type and a code have eight bits, of which a mask has no more.
    let width = |mask: Be16| {
        if name == "icmp" && mask.get() == 0xff {
            Be16::new(u16::MAX)
        } else {
            mask
        }
    };
    transport.half(first, key.src_port, width(mask.src_port));
    transport.half(second, key.dst_port, width(mask.dst_port));
    [ip.within("ipv4"), transport.within(name)]
        .into_iter()
        .flatten()
        .collect()
}

fn arp(key: &Key, mask: &Key) -> Option<String> {
    let mut arp = Fields::default();
    arp.ip("sip", key.ip_src, mask.ip_src);
    arp.ip("tip", key.ip_dst, mask.ip_dst);
    arp.byte("op", key.protocol, mask.protocol);
    arp.mac("sha", key.arp_sender, mask.arp_sender);
    arp.mac("tha", key.arp_target, mask.arp_target);
    arp.within("arp")
}

fn tunnel(key: &Key, mask: &Key) -> Option<String> {
    let mut fields = Fields::default();
    match mask.vni {
        0x00ff_ffff => fields.0.push(format!("tun_id={:#x}", key.vni)),
        0 => {}
        some => fields.0.push(format!("tun_id={:#x}/{some:#x}", key.vni)),
    }
    fields.ip("src", key.tunnel_src, mask.tunnel_src);
    fields.ip("dst", key.tunnel_dst, mask.tunnel_dst);
    fields.byte("tos", key.tunnel_tos, mask.tunnel_tos);
    fields.byte("ttl", key.tunnel_ttl, mask.tunnel_ttl);
    if mask.options_len != 0 {
        let len = usize::from(key.options_len);
        let (value, bits) = (key.options.as_bytes(), mask.options.as_bytes());
        let value = value.get(..len).unwrap_or_default();
        let bits = bits.get(..len).unwrap_or_default();
        fields.0.push(format!("geneve({})", options(value, bits)));
    }
    if mask.tunnel_flags != 0 {
        let flags = TUNNEL_FLAGS
            .iter()
            .filter(|(_, bit)| mask.tunnel_flags & bit != 0);
        let flags = flags.map(|(name, bit)| {
            let sign = if key.tunnel_flags & bit != 0 {
                '+'
            } else {
                '-'
            };
            format!("{sign}{name}")
        });
        fields
            .0
            .push(format!("flags({})", flags.collect::<String>()));
    }
    fields.within("tunnel")
}

/// Options with their headers, as on the wire.
fn options(mut value: &[u8], mut mask: &[u8]) -> String {
    let mut text = String::new();
    while let (Ok((header, rest)), Ok((bits, rest_of_mask))) = (
        OptionHeader::read_from_prefix(value),
        OptionHeader::read_from_prefix(mask),
    ) {
        let len = usize::from(header.length & 0x1f) * 4;
        let (Some((data, after)), Some((data_mask, after_of_mask))) = (
            rest.split_at_checked(len),
            rest_of_mask.split_at_checked(len),
        ) else {
            break;
        };
        let mut parts = Fields::default();
        match bits.class.get() {
            u16::MAX => parts.0.push(format!("class={:#x}", header.class.get())),
            some => parts
                .0
                .push(format!("class={:#x}/{some:#x}", header.class.get())),
        }
        match bits.kind {
            u8::MAX => parts.0.push(format!("type={:#x}", header.kind)),
            some => parts.0.push(format!("type={:#x}/{some:#x}", header.kind)),
        }
        parts.0.push(format!("len={len}"));
        let hexadecimal =
            |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        if data_mask.iter().all(|byte| *byte == 0xff) && len > 0 {
            parts.0.push(format!("0x{}", hexadecimal(data)));
        } else if data_mask.iter().any(|byte| *byte != 0) {
            parts.0.push(format!(
                "0x{}/0x{}",
                hexadecimal(data),
                hexadecimal(data_mask)
            ));
        }
        text.push_str(&format!("{{{}}}", parts.0.join(",")));
        (value, mask) = (after, after_of_mask);
    }
    text
}

/// What a flow does.
pub fn print_actions(actions: &[Action]) -> String {
    if actions.is_empty() {
        return "drop".to_owned();
    }
    let all = actions.iter().map(|action| match action {
        Action::Output(port) => port.to_string(),
        Action::Pop(port) => format!("tnl_pop({port})"),
        Action::Push(bytes) => push(bytes),
        Action::Set(set) => print_set(set),
    });
    all.collect::<Vec<_>>().join(",")
}

fn print_set(set: &Set) -> String {
    let mut fields = Fields::default();
    let name = match set.operation {
        operation::SET_ETHERNET => {
            let (value, mask) = (Ethernet::of(&set.value), Ethernet::of(&set.mask));
            fields.mac("src", value.src, mask.src);
            fields.mac("dst", value.dst, mask.dst);
            "eth"
        }
        operation::SET_IP => {
            let (value, mask) = (Ip::of(&set.value), Ip::of(&set.mask));
            fields.ip("src", value.src, mask.src);
            fields.ip("dst", value.dst, mask.dst);
            fields.byte("tos", value.tos, mask.tos);
            fields.byte("ttl", value.ttl, mask.ttl);
            "ipv4"
        }
        operation::SET_PORTS => {
            let (value, mask) = (Ports::of(&set.value), Ports::of(&set.mask));
            fields.half("src", value.src, mask.src);
            fields.half("dst", value.dst, mask.dst);
            // One operation for both; which of them is said by what the flow asks for.
            "udp"
        }
        _ => {
            let (value, mask) = (Arp::of(&set.value), Arp::of(&set.mask));
            fields.ip("sip", value.sender_ip, mask.sender_ip);
            fields.ip("tip", value.target_ip, mask.target_ip);
            fields.half("op", value.operation, mask.operation);
            fields.mac("sha", value.sender, mask.sender);
            fields.mac("tha", value.target, mask.target);
            "arp"
        }
    };
    format!("set({}({}))", name, fields.0.join(","))
}

fn push(bytes: &[u8]) -> String {
    let read = || {
        let (ethernet, rest) = ethernet::Header::read_from_prefix(bytes).ok()?;
        let (ip, rest) = ipv4::Header::read_from_prefix(rest).ok()?;
        let (udp, rest) = udp::Header::read_from_prefix(rest).ok()?;
        let (geneve, options) = geneve::Header::read_from_prefix(rest).ok()?;
        Some((ethernet, ip, udp, geneve, options))
    };
    let Some((ethernet, ip, udp, geneve, rest)) = read() else {
        return format!("tnl_push(header(size={}))", bytes.len());
    };
    let ethernet = format!(
        "eth(dst={},src={},dl_type={:#06x})",
        ethernet.dst,
        ethernet.src,
        ethernet.ethertype.get()
    );
    let ip = format!(
        "ipv4(src={},dst={},proto={},tos={:#x},ttl={},frag={:#06x})",
        ip.src,
        ip.dst,
        ip.protocol,
        ip.tos,
        ip.ttl,
        ip.flags_fragment.get()
    );
    let udp = format!("udp(src=0,dst={},csum=0x0)", udp.dst.get());
    let flags = [(0x80, "oam,"), (0x40, "crit,")]
        .into_iter()
        .filter(|(bit, _)| geneve.flags & bit != 0)
        .map(|(_, name)| name)
        .collect::<String>();
    let all = vec![0xff; rest.len()];
    let options = match rest {
        [] => String::new(),
        _ => format!(",options({})", options(rest, &all)),
    };
    let geneve = format!("geneve({flags}vni={:#x}{options})", geneve.vni().get());
    format!(
        "tnl_push(header(size={},type=5,{ethernet},{ip},{udp},{geneve}))",
        bytes.len()
    )
}
