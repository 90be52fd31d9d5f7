//! The TLV table, which maps options of Geneve to fields (`NXT_TLV_TABLE_*` of `include/openflow/nicira-ext.h`).

use super::wire::{Put, Reader};

/// `NXT_TLV_TABLE_MOD`.
pub const MOD: u32 = 24;
/// `NXT_TLV_TABLE_REQUEST`.
pub const REQUEST: u32 = 25;
/// `NXT_TLV_TABLE_REPLY`.
pub const REPLY: u32 = 26;
/// `NXTTMC_ADD`.
pub const ADD: u16 = 0;
/// `NXTTMC_CLEAR`.
pub const CLEAR: u16 = 2;

/// An option of Geneve that is a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlvMapping {
    /// The option's class.
    pub class: u16,
    /// The option's type, with its bit for "critical".
    pub kind: u8,
    /// Bytes of the option's data, a multiple of four.
    pub length: u8,
    /// Which [`crate::flow::Field::Option`] it is.
    pub index: u8,
}

/// Appends the body of `NXT_TLV_TABLE_MOD`.
pub fn put(out: &mut Vec<u8>, command: u16, mappings: &[TlvMapping]) {
    out.put(command.to_be_bytes());
    out.put([0; 6]);
    for mapping in mappings {
        out.put(mapping.class.to_be_bytes());
        out.put([mapping.kind, mapping.length, 0, mapping.index, 0, 0]);
    }
}

/// Reads the body of `NXT_TLV_TABLE_REPLY`.
pub fn read(mut reader: Reader<'_>) -> Option<Vec<TlvMapping>> {
    // How much more could be mapped.
    reader.skip(16)?;
    let mut mappings = Vec::new();
    while !reader.0.is_empty() {
        mappings.push(TlvMapping {
            class: reader.u16()?,
            kind: reader.u8()?,
            length: reader.u8()?,
            index: u8::try_from(reader.u16()?).ok()?,
        });
        reader.skip(2)?;
    }
    Some(mappings)
}
