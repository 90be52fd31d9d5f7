//! Where the fields of each header lie, and how their values read.
//!
//! Every byte of a header belongs to exactly one field and no two values of a field read alike, so that
//! frames that differ always differ in a field.

use mizar_wire::{Ipv4, Mac};
use std::fmt::Write;

/// One field of a header: its name, how many bytes it has and how they read.
pub(super) struct Piece {
    pub name: &'static str,
    pub len: usize,
    pub show: fn(&[u8]) -> String,
}

const fn piece(name: &'static str, len: usize, show: fn(&[u8]) -> String) -> Piece {
    Piece { name, len, show }
}

/// Ethernet without a VLAN tag.
pub(super) const ETHERNET: &[Piece] = &[
    piece("dst", 6, mac),
    piece("src", 6, mac),
    piece("type", 2, ethertype),
];

/// IPv4 (RFC 791) without its options.
pub(super) const IPV4: &[Piece] = &[
    piece("version and length", 1, hexadecimal),
    piece("tos", 1, hexadecimal),
    piece("total length", 2, decimal),
    piece("id", 2, decimal),
    piece("flags and offset", 2, hexadecimal),
    piece("ttl", 1, decimal),
    piece("protocol", 1, protocol),
    piece("checksum", 2, hexadecimal),
    piece("src", 4, ip),
    piece("dst", 4, ip),
];

/// UDP (RFC 768).
pub(super) const UDP: &[Piece] = &[
    piece("src", 2, decimal),
    piece("dst", 2, decimal),
    piece("length", 2, decimal),
    piece("checksum", 2, hexadecimal),
];

/// TCP (RFC 9293) without its options.
pub(super) const TCP: &[Piece] = &[
    piece("src", 2, decimal),
    piece("dst", 2, decimal),
    piece("sequence", 4, decimal),
    piece("acknowledgement", 4, decimal),
    piece("offset and flags", 2, hexadecimal),
    piece("window", 2, decimal),
    piece("checksum", 2, hexadecimal),
    piece("urgent", 2, decimal),
];

/// ICMP (RFC 792), the part that all messages share.
pub(super) const ICMP: &[Piece] = &[
    piece("type", 1, decimal),
    piece("code", 1, decimal),
    piece("checksum", 2, hexadecimal),
];

/// ARP (RFC 826) for IPv4 over Ethernet.
pub(super) const ARP: &[Piece] = &[
    piece("hardware", 2, decimal),
    piece("protocol", 2, ethertype),
    piece("hardware length", 1, decimal),
    piece("protocol length", 1, decimal),
    piece("operation", 2, operation),
    piece("sender mac", 6, mac),
    piece("sender", 4, ip),
    piece("target mac", 6, mac),
    piece("target", 4, ip),
];

/// Geneve (RFC 8926) without its options.
pub(super) const GENEVE: &[Piece] = &[
    piece("version and length", 1, hexadecimal),
    piece("flags", 1, hexadecimal),
    piece("protocol", 2, hexadecimal),
    piece("vni", 3, decimal),
    piece("reserved", 1, hexadecimal),
];

/// Mizar's Geneve options in the order in which they lie.
pub(super) const OPTIONS: [(&str, &[Piece]); 4] = [
    ("rts", RETURN_TO_SENDER),
    ("scaled endpoint", SCALED_ENDPOINT),
    ("pod", LABEL),
    ("namespace", LABEL),
];

/// Those of the short header.
pub(super) const SHORT_OPTIONS: [(&str, &[Piece]); 3] = [
    ("short header", SCALED_ENDPOINT),
    ("pod", LABEL),
    ("namespace", LABEL),
];

const RETURN_TO_SENDER: &[Piece] = &[
    piece("class", 2, hexadecimal),
    piece("type", 1, hexadecimal),
    piece("length", 1, hexadecimal),
    piece("flags", 1, hexadecimal),
    piece("host", 4, ip),
    piece("mac", 6, mac),
    piece("pad", 1, hexadecimal),
];

const SCALED_ENDPOINT: &[Piece] = &[
    piece("class", 2, hexadecimal),
    piece("type", 1, hexadecimal),
    piece("length", 1, hexadecimal),
    piece("message", 1, message),
    piece("src", 4, ip),
    piece("dst", 4, ip),
    piece("sport", 2, decimal),
    piece("dport", 2, decimal),
    piece("src mac", 6, mac),
    piece("dst mac", 6, mac),
    piece("pad", 3, hexadecimal),
];

const LABEL: &[Piece] = &[
    piece("class", 2, hexadecimal),
    piece("type", 1, hexadecimal),
    piece("length", 1, hexadecimal),
    piece("label", 4, little_endian),
];

/// Bytes of all these fields together.
pub(super) fn len(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.len).sum()
}

/// A number in network byte order, of up to eight bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn decimal(bytes: &[u8]) -> String {
    number(bytes).to_string()
}

fn little_endian(bytes: &[u8]) -> String {
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    decimal(&reversed)
}

fn hexadecimal(bytes: &[u8]) -> String {
    format!("0x{}", digits(bytes))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn mac(bytes: &[u8]) -> String {
    <[u8; 6]>::try_from(bytes).map_or_else(
        |_| hexadecimal(bytes),
        |octets| Mac::new(octets).to_string(),
    )
}

fn ip(bytes: &[u8]) -> String {
    <[u8; 4]>::try_from(bytes).map_or_else(
        |_| hexadecimal(bytes),
        |octets| Ipv4::from_octets(octets).to_string(),
    )
}

fn ethertype(bytes: &[u8]) -> String {
    named(bytes, &[(0x0800, "ipv4"), (0x0806, "arp")])
}

fn protocol(bytes: &[u8]) -> String {
    named(bytes, &[(1, "icmp"), (6, "tcp"), (17, "udp")])
}

fn operation(bytes: &[u8]) -> String {
    named(bytes, &[(1, "request"), (2, "reply")])
}

fn message(bytes: &[u8]) -> String {
    named(bytes, &[(0x4d, "modify")])
}

fn named(bytes: &[u8], names: &[(u64, &str)]) -> String {
    let value = number(bytes);
    names
        .iter()
        .find(|(known, _)| *known == value)
        .map_or_else(|| hexadecimal(bytes), |(_, name)| (*name).to_owned())
}

/// Bytes without a layout: their number and, where they are many, a digest in place of them.
pub(super) fn blob(bytes: &[u8]) -> String {
    const SHOWN: usize = 16;
    let count = bytes.len();
    if count <= SHOWN {
        format!("{count} bytes, {}", hexadecimal(bytes))
    } else {
        format!("{count} bytes, digest {:08x}", digest(bytes))
    }
}

/// FNV-1a, which is enough to tell payloads apart for a reader; comparisons look at the bytes themselves.
fn digest(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}
