//! Numbers and addresses, with masks.

use super::Refusal;
use mizar_wire::{Ipv4, Mac};
use std::net::Ipv4Addr;

/// What a text says, and which bits of it count.
pub type Masked<T> = (T, T);

/// A number, decimal or hexadecimal, with all of `bits` bits where no mask follows.
pub fn number(text: &str, bits: u32) -> Result<Masked<u64>, Refusal> {
    let all = u64::MAX >> (64 - bits);
    let one = |text: &str| {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        number
            .filter(|number| *number <= all)
            .ok_or_else(|| Refusal::of(text))
    };
    match text.split_once('/') {
        Some((value, mask)) => Ok((one(value)?, one(mask)?)),
        None => Ok((one(text)?, all)),
    }
}

/// An Ethernet address.
pub fn mac(text: &str) -> Result<Masked<Mac>, Refusal> {
    let one = |text: &str| text.parse::<Mac>().map_err(|_| Refusal::of(text));
    match text.split_once('/') {
        Some((value, mask)) => Ok((one(value)?, one(mask)?)),
        None => Ok((one(text)?, Mac::new([0xff; 6]))),
    }
}

/// An IPv4 address; a mask is one, too.
pub fn ip(text: &str) -> Result<Masked<Ipv4>, Refusal> {
    let one = |text: &str| {
        let address = text.parse::<Ipv4Addr>().map(Ipv4::from);
        address.map_err(|_| Refusal::of(text))
    };
    match text.split_once('/') {
        Some((value, mask)) => Ok((one(value)?, one(mask)?)),
        None => Ok((one(text)?, Ipv4::from_raw(u32::MAX))),
    }
}

/// Bytes as one hexadecimal number, of which leading zeros may be left out.
pub fn bytes(text: &str, len: usize) -> Result<Masked<Vec<u8>>, Refusal> {
    let one = |text: &str| {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !is_hexadecimal || digits.is_empty() || digits.len() > 2 * len {
            return Err(Refusal::of(text));
        }
        let padded = format!("{digits:0>width$}", width = 2 * len);
        let pairs = (0..len).map(|at| u8::from_str_radix(&padded[2 * at..2 * at + 2], 16));
        pairs
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Refusal::of(text))
    };
    match text.split_once('/') {
        Some((value, mask)) => Ok((one(value)?, one(mask)?)),
        None => Ok((one(text)?, vec![0xff; len])),
    }
}
