//! What a flow does.

use super::Refusal;
use super::matches::one_option;
use super::number::{ip, mac, number};
use super::tree::{Item, braces, items};
use megaflow::flow::{OPERAND, operation};
use megaflow::set::{Arp, Ethernet, Ip, Operand, Ports};
use mizar_wire::{Be16, Be32, Ipv4, Mac, ethernet, geneve, ipv4, udp};
use zerocopy::IntoBytes;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends the packet out of a port.
    Output(u32),
    /// Takes outer headers off: what is inside came by this port.
    Pop(u32),
    /// Puts these outer headers in front; lengths and checksum are not filled in.
    Push(Vec<u8>),
    /// Changes headers.
    Set(Set),
}

/// Changes of one header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// One of [`operation`].
    pub operation: u16,
    /// What is written.
    pub value: [u8; OPERAND],
    /// Which bits.
    pub mask: [u8; OPERAND],
}

/// The actions; none drops the packet.
///
/// # Errors
/// Where one is not of those that this datapath has.
pub fn actions(text: &str) -> Result<Vec<Action>, Refusal> {
    let text = text.trim();
    if text == "drop" {
        return Ok(Vec::new());
    }
    let all = items(text)?;
    if all.is_empty() {
        return Err(Refusal::of(text));
    }
    let mut actions = Vec::new();
    for (at, item) in all.iter().enumerate() {
        match (item.name, item.inside) {
            // What is done to a copy and is the last is done to the packet.
            ("clone", Some(inside)) if at + 1 == all.len() => {
                actions.extend(self::actions(inside)?);
            }
            _ => actions.push(action(*item)?),
        }
    }
    Ok(actions)
}

fn action(item: Item<'_>) -> Result<Action, Refusal> {
    let refused = || Refusal::of(item.text);
    match (item.name, item.inside) {
        ("tnl_pop", Some(port)) => Ok(Action::Pop(port.parse().map_err(|_| refused())?)),
        ("tnl_push", Some(inside)) => push(inside).map(Action::Push),
        ("set", Some(inside)) => match items(inside)?.as_slice() {
            [header] => set(*header).map(Action::Set),
            _ => Err(refused()),
        },
        (port, None) if item.value.is_none() => {
            Ok(Action::Output(port.parse().map_err(|_| refused())?))
        }
        _ => Err(refused()),
    }
}

fn set(header: Item<'_>) -> Result<Set, Refusal> {
    let refused = || Refusal::of(header.text);
    let fields = items(header.inside.ok_or_else(refused)?)?;
    let fields = fields.iter().map(|field| {
        let value = field.value.ok_or_else(refused)?;
        Ok((field.name, value))
    });
    let fields = fields.collect::<Result<Vec<_>, Refusal>>()?;
    match header.name {
        "eth" => set_ethernet(&fields),
        "ipv4" => set_ip(&fields),
        "tcp" | "udp" => set_ports(&fields),
        "arp" => set_arp(&fields),
        _ => Err(refused()),
    }
}

fn written<T: Operand>(operation: u16, value: T, mask: T) -> Set {
    Set {
        operation,
        value: value.to_bytes(),
        mask: mask.to_bytes(),
    }
}

type Fields<'a> = [(&'a str, &'a str)];

fn set_ethernet(fields: &Fields<'_>) -> Result<Set, Refusal> {
    let (mut value, mut mask) = (Ethernet::NONE, Ethernet::NONE);
    for (name, text) in fields {
        match *name {
            "src" => (value.src, mask.src) = mac(text)?,
            "dst" => (value.dst, mask.dst) = mac(text)?,
            _ => return Err(Refusal::of(name)),
        }
    }
    Ok(written(operation::SET_ETHERNET, value, mask))
}

fn set_ip(fields: &Fields<'_>) -> Result<Set, Refusal> {
    let (mut value, mut mask) = (Ip::NONE, Ip::NONE);
    let byte = |text| number(text, 8).map(|(value, mask)| (value as u8, mask as u8));
    for (name, text) in fields {
        match *name {
            "src" => (value.src, mask.src) = ip(text)?,
            "dst" => (value.dst, mask.dst) = ip(text)?,
            "tos" => (value.tos, mask.tos) = byte(text)?,
            "ttl" => (value.ttl, mask.ttl) = byte(text)?,
            // The kind of packet stays what it is: the switch names it, and does not change it.
            "proto" | "frag" => {}
            _ => return Err(Refusal::of(name)),
        }
    }
    Ok(written(operation::SET_IP, value, mask))
}

fn set_ports(fields: &Fields<'_>) -> Result<Set, Refusal> {
    let (mut value, mut mask) = (Ports::NONE, Ports::NONE);
    for (name, text) in fields {
        match *name {
            "src" => (value.src, mask.src) = half(text)?,
            "dst" => (value.dst, mask.dst) = half(text)?,
            _ => return Err(Refusal::of(name)),
        }
    }
    Ok(written(operation::SET_PORTS, value, mask))
}

fn set_arp(fields: &Fields<'_>) -> Result<Set, Refusal> {
    let (mut value, mut mask) = (Arp::NONE, Arp::NONE);
    for (name, text) in fields {
        match *name {
            "sip" => (value.sender_ip, mask.sender_ip) = ip(text)?,
            "tip" => (value.target_ip, mask.target_ip) = ip(text)?,
            "sha" => (value.sender, mask.sender) = mac(text)?,
            "tha" => (value.target, mask.target) = mac(text)?,
            "op" => (value.operation, mask.operation) = half(text)?,
            _ => return Err(Refusal::of(name)),
        }
    }
    Ok(written(operation::SET_ARP, value, mask))
}

fn half(text: &str) -> Result<(Be16, Be16), Refusal> {
    let (value, mask) = number(text, 16)?;
    Ok((Be16::new(value as u16), Be16::new(mask as u16)))
}

/// The bytes of outer headers: `format_odp_tnl_push_header` of OVS's lib/odp-util.c.
fn push(text: &str) -> Result<Vec<u8>, Refusal> {
    let refused = || Refusal::of(text);
    let mut bytes = None;
    for item in items(text)? {
        match item.name {
            "header" => bytes = Some(header(item.inside.ok_or_else(refused)?)?),
            // The tunnel, and the port that the packet leaves by, which the next action names.
            "tnl_port" | "out_port" => {}
            _ => return Err(refused()),
        }
    }
    bytes.ok_or_else(refused)
}

fn header(text: &str) -> Result<Vec<u8>, Refusal> {
    let refused = || Refusal::of(text);
    let mut size = None;
    let mut ethernet = ethernet::Header::default();
    let mut ip = ipv4::Header {
        version_ihl: ipv4::VERSION_IHL,
        ..ipv4::Header::default()
    };
    let mut udp = udp::Header::default();
    let mut tail = Vec::new();
    for item in items(text)? {
        let fields = || items(item.inside.ok_or_else(refused)?);
        match item.name {
            "size" => size = item.value.and_then(|size| size.parse().ok()),
            // `OVS_VPORT_TYPE_GENEVE` of include/uapi/linux/openvswitch.h.
            "type" if item.value == Some("5") => {}
            "eth" => outer_ethernet(&fields()?, &mut ethernet)?,
            "ipv4" => outer_ip(&fields()?, &mut ip)?,
            "udp" => outer_udp(&fields()?, &mut udp)?,
            "geneve" => tail = outer_geneve(&fields()?)?,
            _ => return Err(refused()),
        }
    }
    let bytes = [ethernet.as_bytes(), ip.as_bytes(), udp.as_bytes(), &tail].concat();
    if tail.is_empty() || size != Some(bytes.len()) {
        return Err(refused());
    }
    Ok(bytes)
}

/// The value of a field without a mask.
fn exact<T>(item: &Item<'_>, read: impl Fn(&str) -> Result<T, Refusal>) -> Result<T, Refusal> {
    match item.value {
        Some(value) if !value.contains('/') => read(value),
        _ => Err(Refusal::of(item.text)),
    }
}

fn outer_ethernet(fields: &[Item<'_>], header: &mut ethernet::Header) -> Result<(), Refusal> {
    let address = |item| exact(item, |text| mac(text).map(|(mac, _): (Mac, _)| mac));
    for item in fields {
        match item.name {
            "dst" => header.dst = address(item)?,
            "src" => header.src = address(item)?,
            "dl_type" => header.ethertype = exact(item, |text| half(text).map(|(value, _)| value))?,
            _ => return Err(Refusal::of(item.text)),
        }
    }
    Ok(())
}

fn outer_ip(fields: &[Item<'_>], header: &mut ipv4::Header) -> Result<(), Refusal> {
    let address = |item| exact(item, |text| ip(text).map(|(ip, _): (Ipv4, _)| ip));
    let byte = |item| exact(item, |text| number(text, 8).map(|(value, _)| value as u8));
    for item in fields {
        match item.name {
            "src" => header.src = address(item)?,
            "dst" => header.dst = address(item)?,
            "proto" => header.protocol = byte(item)?,
            "tos" => header.tos = byte(item)?,
            "ttl" => header.ttl = byte(item)?,
            // The whole word: flags and offset.
            "frag" => header.flags_fragment = exact(item, |text| half(text).map(|(it, _)| it))?,
            _ => return Err(Refusal::of(item.text)),
        }
    }
    if header.protocol != ipv4::UDP {
        return Err(Refusal::of("a tunnel over something else than UDP"));
    }
    Ok(())
}

fn outer_udp(fields: &[Item<'_>], header: &mut udp::Header) -> Result<(), Refusal> {
    for item in fields {
        let value = exact(item, |text| half(text).map(|(value, _)| value))?;
        match item.name {
            // Chosen for each packet.
            "src" => {}
            "dst" => header.dst = value,
            // A checksum would have to cover the whole packet.
            "csum" if value.raw() == 0 => {}
            _ => return Err(Refusal::of(item.text)),
        }
    }
    Ok(())
}

fn outer_geneve(fields: &[Item<'_>]) -> Result<Vec<u8>, Refusal> {
    let mut header = geneve::Header {
        protocol: geneve::ETHERNET,
        ..geneve::Header::default()
    };
    let mut options = Vec::new();
    for item in fields {
        let refused = || Refusal::of(item.text);
        match item.name {
            "oam" => header.flags |= 0x80,
            "crit" => header.flags |= 0x40,
            "vni" => {
                let vni = exact(item, |text| number(text, 24))?.0;
                header.vni_reserved = Be32::new((vni as u32) << 8);
            }
            "options" => {
                for option in braces(item.inside.ok_or_else(refused)?)? {
                    options.extend(one_option(option)?.0);
                }
            }
            _ => return Err(refused()),
        }
    }
    // The length has six bits, in units of four bytes (RFC 8926 section 3.4).
    header.version_options = u8::try_from(options.len() / 4)
        .ok()
        .filter(|len| *len < 0x40)
        .ok_or_else(|| Refusal::of("more options than a header can have"))?;
    Ok([header.as_bytes(), options.as_slice()].concat())
}
