//! `NXAST_LEARN` (`struct nx_action_learn` and what its comment says, `lib/ofp-actions.c`).

use super::oxm::{self, WireSlice};
use super::wire::{Put, Reader};
use crate::flow::{Cookie, Learn, LearnSource, LearnSpec, Priority, Slice, Table, Value};

/// `NX_LEARN_N_BITS_MASK`.
const BITS: u16 = 0x3ff;
/// `NX_LEARN_SRC_IMMEDIATE`.
const CONSTANT: u16 = 1 << 13;
/// `NX_LEARN_DST_LOAD`; without it the specification is a match.
const LOAD: u16 = 1 << 11;

/// Appends what follows the action's subtype.
pub fn put(out: &mut Vec<u8>, learn: &Learn) {
    out.put(learn.idle_timeout.to_be_bytes());
    out.put(learn.hard_timeout.to_be_bytes());
    out.put(learn.priority.0.to_be_bytes());
    out.put(learn.cookie.0.to_be_bytes());
    // No flags, padding, nothing special about ends of connections.
    out.put([0, 0, learn.table.0, 0, 0, 0, 0, 0]);
    for spec in &learn.specs {
        match spec {
            LearnSpec::Match { at, value } => put_spec(out, 0, *at, value),
            LearnSpec::Load { to, value } => put_spec(out, LOAD, *to, value),
        }
    }
}

fn put_spec(out: &mut Vec<u8>, kind: u16, to: Slice, source: &LearnSource) {
    let to = WireSlice::from(to);
    match source {
        LearnSource::Constant(value) => {
            out.put((CONSTANT | kind | to.bits).to_be_bytes());
            out.extend(value.to_vec(constant_length(to.bits)));
        }
        LearnSource::Packet(slice) => {
            out.put((kind | to.bits).to_be_bytes());
            put_slice(out, (*slice).into());
        }
    }
    put_slice(out, to);
}

fn put_slice(out: &mut Vec<u8>, slice: WireSlice) {
    out.put(slice.header.to_be_bytes());
    out.put(slice.from.to_be_bytes());
}

/// A constant is in whole numbers of 16 bits.
fn constant_length(bits: u16) -> usize {
    usize::from(bits.div_ceil(16)) * 2
}

/// Reads what [`put`] appends: `Some(None)` if it is nothing that [`Learn`] can say.
pub fn read(mut reader: Reader<'_>) -> Option<Option<Learn>> {
    let (idle_timeout, hard_timeout) = (reader.u16()?, reader.u16()?);
    let priority = Priority(reader.u16()?);
    let cookie = Cookie(reader.u64()?);
    let flags = reader.u16()?;
    let table = Table(reader.u8()?);
    reader.skip(1)?;
    let ends = reader.u32()?;
    if flags != 0 || ends != 0 {
        return Some(None);
    }
    let mut specs = Vec::new();
    while reader.0.len() >= 2 {
        let header = reader.u16()?;
        if header == 0 {
            // Padding.
            break;
        }
        let Some(spec) = read_spec(&mut reader, header)? else {
            return Some(None);
        };
        specs.push(spec);
    }
    Some(Some(Learn {
        table,
        priority,
        cookie,
        idle_timeout,
        hard_timeout,
        specs,
    }))
}

fn read_spec(reader: &mut Reader<'_>, header: u16) -> Option<Option<LearnSpec>> {
    let bits = header & BITS;
    let value = if header & CONSTANT == 0 {
        read_slice(reader, bits)?.map(LearnSource::Packet)
    } else {
        let constant = reader.take(constant_length(bits))?;
        Some(LearnSource::Constant(Value::from_bytes(constant)))
    };
    let kind = header & !(BITS | CONSTANT);
    if kind != 0 && kind != LOAD {
        return Some(None);
    }
    let (Some(value), Some(to)) = (value, read_slice(reader, bits)?) else {
        return Some(None);
    };
    Some(Some(if kind == LOAD {
        LearnSpec::Load { to, value }
    } else {
        LearnSpec::Match { at: to, value }
    }))
}

fn read_slice(reader: &mut Reader<'_>, bits: u16) -> Option<Option<Slice>> {
    let (header, from) = (reader.u32()?, reader.u16()?);
    Some(oxm::slice(header, from, bits))
}
