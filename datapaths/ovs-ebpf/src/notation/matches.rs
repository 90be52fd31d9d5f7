//! What a flow asks for.

use super::Refusal;
use super::number::{bytes, ip, mac, number};
use super::tree::{Item, braces, items};
use megaflow::Key;
use megaflow::key::{OPTIONS, fragment, holds};
use megaflow::tunnel::{CHECKSUM, CONTROL, KEY};
use mizar_wire::Be16;

/// Fields, and which bits of them count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Match {
    /// The fields.
    pub key: Key,
    /// The bits.
    pub mask: Key,
}

/// The outer header may not be fragmented: `FLOW_TNL_F_DONT_FRAGMENT` of OVS's lib/packets.h, which its own datapath never
/// sets in what arrives.
pub const DONT_FRAGMENT: u16 = 1 << 0;
/// Flags of a tunnel by their names.
pub const TUNNEL_FLAGS: [(&str, u16); 4] = [
    ("df", DONT_FRAGMENT),
    ("csum", CHECKSUM),
    ("key", KEY),
    ("oam", CONTROL),
];

/// What the text asks for.
///
/// # Errors
/// Where it asks for something that a key does not have.
pub fn matches(text: &str) -> Result<Match, Refusal> {
    let mut asked = Match {
        key: Key::ZERO,
        mask: Key::ZERO,
    };
    for item in items(text)? {
        asked.add(item)?;
    }
    // A packet's port and kind are part of every flow of the switch; what has none is no flow of it.
    if asked.mask.in_port != u32::MAX || asked.mask.eth_type.raw() == 0 {
        return Err(Refusal::of(text));
    }
    Ok(asked)
}

/// Sets a field and its mask, from a number.
macro_rules! field {
    ($asked:expr, $($field:ident).+, $value:expr, $make:expr) => {{
        let (value, mask) = $value;
        $asked.key.$($field).+ = $make(value & mask);
        $asked.mask.$($field).+ = $make(mask);
    }};
}

/// The same from an address.
macro_rules! address {
    ($asked:expr, $field:ident, $value:expr) => {{
        let (value, mask) = $value;
        $asked.key.$field = value;
        $asked.mask.$field = mask;
        // Bits that do not count are none.
        $asked.key = $asked.key.masked(&$asked.mask);
    }};
}

fn half(value: u64) -> Be16 {
    Be16::new(value as u16)
}

impl Match {
    fn add(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        let refused = || Refusal::of(item.text);
        let inside = item.inside.ok_or_else(refused)?;
        match item.name {
            "in_port" => field!(self, in_port, number(inside, 32)?, |port| port as u32),
            "eth_type" => field!(self, eth_type, number(inside, 16)?, half),
            "eth" => self.each(inside, Self::add_ethernet)?,
            "ipv4" => self.each(inside, Self::add_ip)?,
            "tcp" | "udp" => self.each(inside, Self::add_ports)?,
            "icmp" => self.each(inside, Self::add_icmp)?,
            "arp" => self.each(inside, Self::add_arp)?,
            "tunnel" => self.each(inside, Self::add_tunnel)?,
            "tcp_flags" => {
                if !number(inside, 16).is_ok_and(|(_, mask)| mask == 0) {
                    return Err(refused());
                }
            }
            "packet_type" if inside == "ns=0,id=0" => {}
            "recirc_id" if inside == "0" => {}
            // What no packet has when it comes: that nothing is asked for it is all that can be had.
            "skb_priority" | "skb_mark" | "dp_hash" | "ct_state" | "ct_zone" | "ct_mark"
            | "ct_label" => {
                if !inside.ends_with("/0") && !inside.ends_with("/0x0") {
                    return Err(refused());
                }
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    fn each(
        &mut self,
        text: &str,
        add: fn(&mut Self, Item<'_>) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        items(text)?
            .into_iter()
            .try_for_each(|item| add(self, item))
    }

    fn add_ethernet(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        match (item.name, item.value) {
            ("src", Some(value)) => address!(self, eth_src, mac(value)?),
            ("dst", Some(value)) => address!(self, eth_dst, mac(value)?),
            _ => return Err(Refusal::of(item.text)),
        }
        Ok(())
    }

    fn add_ip(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        let byte = |value: u64| value as u8;
        match (item.name, item.value) {
            ("src", Some(value)) => address!(self, ip_src, ip(value)?),
            ("dst", Some(value)) => address!(self, ip_dst, ip(value)?),
            ("proto", Some(value)) => field!(self, protocol, number(value, 8)?, byte),
            ("tos", Some(value)) => field!(self, tos, number(value, 8)?, byte),
            ("ttl", Some(value)) => field!(self, ttl, number(value, 8)?, byte),
            ("frag", Some(value)) => {
                self.key.fragment = match value {
                    "no" => fragment::NO,
                    "first" => fragment::FIRST,
                    "later" => fragment::LATER,
                    _ => return Err(Refusal::of(item.text)),
                };
                self.mask.fragment = u8::MAX;
            }
            _ => return Err(Refusal::of(item.text)),
        }
        Ok(())
    }

    fn add_ports(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        match (item.name, item.value) {
            ("src", Some(value)) => field!(self, src_port, number(value, 16)?, half),
            ("dst", Some(value)) => field!(self, dst_port, number(value, 16)?, half),
            _ => return Err(Refusal::of(item.text)),
        }
        Ok(())
    }

    fn add_icmp(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        match (item.name, item.value) {
            ("type", Some(value)) => field!(self, src_port, number(value, 8)?, half),
            ("code", Some(value)) => field!(self, dst_port, number(value, 8)?, half),
            _ => return Err(Refusal::of(item.text)),
        }
        Ok(())
    }

    fn add_arp(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        let refused = || Refusal::of(item.text);
        match (item.name, item.value) {
            ("sip", Some(value)) => address!(self, ip_src, ip(value)?),
            ("tip", Some(value)) => address!(self, ip_dst, ip(value)?),
            ("sha", Some(value)) => address!(self, arp_sender, mac(value)?),
            ("tha", Some(value)) => address!(self, arp_target, mac(value)?),
            ("op", Some(value)) => {
                // Of the operation a key has the lower eight bits, where the upper ones are zero.
                let (value, mask) = number(value, 16)?;
                if value > 0xff {
                    return Err(refused());
                }
                field!(self, protocol, (value, mask & 0xff), |value| value as u8);
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    fn add_tunnel(&mut self, item: Item<'_>) -> Result<(), Refusal> {
        let refused = || Refusal::of(item.text);
        let byte = |value: u64| value as u8;
        match (item.name, item.value, item.inside) {
            ("tun_id", Some(value), _) => {
                let (value, mask) = number(value, 64)?;
                let whole = |bits: u64| u32::try_from(bits).ok();
                self.key.vni = whole(value & mask).ok_or_else(refused)?;
                // A network identifier has 24 bits: the others are zero in any packet.
                self.mask.vni = mask as u32 & 0x00ff_ffff;
            }
            ("src", Some(value), _) => address!(self, tunnel_src, ip(value)?),
            ("dst", Some(value), _) => address!(self, tunnel_dst, ip(value)?),
            ("tos", Some(value), _) => field!(self, tunnel_tos, number(value, 8)?, byte),
            ("ttl", Some(value), _) => field!(self, tunnel_ttl, number(value, 8)?, byte),
            ("tp_src" | "tp_dst", Some(value), _) => {
                if number(value, 16)?.1 != 0 {
                    return Err(refused());
                }
            }
            ("flags", _, Some(flags)) => self.add_flags(flags)?,
            ("geneve", _, Some(options)) => self.add_options(options)?,
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// As `-df-csum+key`: what is named must be, or must not be.
    fn add_flags(&mut self, text: &str) -> Result<(), Refusal> {
        let refused = || Refusal::of(text);
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let is_set = match sign {
                '+' => true,
                '-' => false,
                _ => return Err(refused()),
            };
            let end = rest[1..].find(['+', '-']).map_or(rest.len(), |at| at + 1);
            let name = &rest[1..end];
            let known = TUNNEL_FLAGS.iter().find(|(known, _)| *known == name);
            let (_, bit) = known.ok_or_else(refused)?;
            self.mask.tunnel_flags |= bit;
            if is_set {
                self.key.tunnel_flags |= bit;
            }
            rest = &rest[end..];
        }
        Ok(())
    }

    /// Options as `{class=0x1101,type=0x50,len=4,0x7/0xff}{...}`.
    fn add_options(&mut self, text: &str) -> Result<(), Refusal> {
        let refused = || Refusal::of(text);
        let (mut value, mut mask) = (Vec::new(), Vec::new());
        let mut is_open = false;
        for option in braces(text)? {
            let (options, bits) = one_option(option)?;
            let counts = bits.iter().any(|bits| *bits != 0);
            // Behind one of any length nobody knows where another begins.
            if counts && is_open {
                return Err(refused());
            }
            is_open |= !counts;
            value.extend(options);
            mask.extend(bits);
        }
        if !(value.is_empty() || holds(value.len())) {
            return Err(refused());
        }
        self.key.options_len = value.len() as u16;
        self.mask.options_len = u16::MAX;
        let words = |bytes: &[u8]| {
            let mut words = [0; OPTIONS / 8];
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                let mut octets = [0; 8];
                octets.copy_from_slice(bytes);
                *word = u64::from_ne_bytes(octets);
            }
            words
        };
        self.key.options = words(&value);
        self.mask.options = words(&mask);
        self.key = self.key.masked(&self.mask);
        Ok(())
    }
}

/// An option with its header, as on the wire, and which bits of it count.
pub fn one_option(text: &str) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
    let refused = || Refusal::of(text);
    let (mut class, mut kind, mut len) = (None, None, None);
    let mut data = None;
    for item in items(text)? {
        match (item.name, item.value) {
            ("class", Some(value)) => class = Some(number(value, 16)?),
            ("type", Some(value)) => kind = Some(number(value, 8)?),
            ("len", Some(value)) => len = Some(number(value, 8)?),
            (_, None) => data = Some(item.text),
            _ => return Err(refused()),
        }
    }
    let (class, class_mask) = class.ok_or_else(refused)?;
    let (kind, kind_mask) = kind.ok_or_else(refused)?;
    let (len, len_mask) = len.ok_or_else(refused)?;
    if !len.is_multiple_of(4) || len > 0x1f * 4 {
        return Err(refused());
    }
    let (data, data_mask) = match data {
        Some(text) => bytes(text, len as usize)?,
        // Nothing is said of what does not count.
        None => (vec![0; len as usize], vec![0; len as usize]),
    };
    let nothing_else = class_mask == 0 && kind_mask == 0 && data_mask.iter().all(|bits| *bits == 0);
    // A length that does not count leaves open where the data ends.
    if !(len_mask == 0xff || len_mask == 0 && nothing_else) {
        return Err(refused());
    }
    let header = |class: u64, kind: u64, len: u8| {
        let [upper, lower] = (class as u16).to_be_bytes();
        vec![upper, lower, kind as u8, len]
    };
    let value = [header(class, kind, len as u8 / 4), data].concat();
    let mask = [header(class_mask, kind_mask, len_mask as u8), data_mask].concat();
    Ok((value, mask))
}
