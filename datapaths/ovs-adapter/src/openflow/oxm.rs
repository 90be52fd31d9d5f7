//! Fields on the wire: OpenFlow 1.4 section 7.2.2 (OXM), and Open vSwitch's own fields in the same form (NXM,
//! `lib/meta-flow.h` and ovs-fields(7)).

use super::wire::{Put, Reader};
use crate::flow::{Field, Match, Slice, Value};

const NXM_OF: u16 = 0x0000;
const NXM_NX: u16 = 0x0001;
const OPENFLOW_BASIC: u16 = 0x8000;
const PACKET_REGISTERS: u16 = 0x8001;
/// `NXM_OF_IN_PORT`, the field in 16 bits, which is the form in which actions can name it.
const NXM_OF_IN_PORT: u32 = 0x0000_0002;
/// `NXM_NX_TUN_METADATA0`.
const FIRST_OPTION: u8 = 40;
/// What ovs-ofctl gives as an option's length where no value follows.
const OPTION_LENGTH: u8 = 124;
/// Bits of [`Field::InPort`] in actions.
pub const IN_PORT_BITS: u16 = 16;
/// `OFPMT_OXM`.
const MATCH_OXM: u16 = 1;

/// Class and number of a field.
fn number(field: Field) -> (u16, u8) {
    match field {
        Field::InPort => (OPENFLOW_BASIC, 0),
        Field::Register(number) => (NXM_NX, number),
        Field::Wide(number) => (PACKET_REGISTERS, number),
        Field::PacketMark => (NXM_NX, 33),
        Field::CtState => (NXM_NX, 105),
        Field::CtMark => (NXM_NX, 107),
        Field::TunnelId => (OPENFLOW_BASIC, 38),
        Field::TunnelSrc => (NXM_NX, 31),
        Field::TunnelDst => (NXM_NX, 32),
        Field::Option(index) => (NXM_NX, FIRST_OPTION.saturating_add(index)),
        Field::EthDst => (OPENFLOW_BASIC, 3),
        Field::EthSrc => (OPENFLOW_BASIC, 4),
        Field::EthType => (OPENFLOW_BASIC, 5),
        Field::IpProto => (OPENFLOW_BASIC, 10),
        Field::IpDscp => (OPENFLOW_BASIC, 8),
        Field::IpTtl => (NXM_NX, 29),
        Field::IpFragment => (NXM_NX, 26),
        Field::IpSrc => (OPENFLOW_BASIC, 11),
        Field::IpDst => (OPENFLOW_BASIC, 12),
        Field::TcpSrc => (OPENFLOW_BASIC, 13),
        Field::TcpDst => (OPENFLOW_BASIC, 14),
        Field::UdpSrc => (OPENFLOW_BASIC, 15),
        Field::UdpDst => (OPENFLOW_BASIC, 16),
        Field::ArpOperation => (OPENFLOW_BASIC, 21),
        Field::ArpSenderIp => (OPENFLOW_BASIC, 22),
        Field::ArpTargetIp => (OPENFLOW_BASIC, 23),
        Field::ArpSenderMac => (OPENFLOW_BASIC, 24),
        Field::ArpTargetMac => (OPENFLOW_BASIC, 25),
    }
}

/// The field of this class and number. Many have two: a switch answers with the one of Open vSwitch even to who
/// used the one of OpenFlow.
fn field(class: u16, number: u8) -> Option<Field> {
    Some(match (class, number) {
        (NXM_NX, 0..16) => Field::Register(number),
        (NXM_NX, 26) => Field::IpFragment,
        (NXM_NX, 29) => Field::IpTtl,
        (NXM_NX, 31) => Field::TunnelSrc,
        (NXM_NX, 32) => Field::TunnelDst,
        (NXM_NX, 33) => Field::PacketMark,
        (NXM_NX, FIRST_OPTION..48) => Field::Option(number - FIRST_OPTION),
        (NXM_NX, 105) => Field::CtState,
        (NXM_NX, 107) => Field::CtMark,
        (PACKET_REGISTERS, 0..8) => Field::Wide(number),
        (NXM_OF | OPENFLOW_BASIC, 0) => Field::InPort,
        (NXM_OF, 1) | (OPENFLOW_BASIC, 3) => Field::EthDst,
        (NXM_OF, 2) | (OPENFLOW_BASIC, 4) => Field::EthSrc,
        (NXM_OF, 3) | (OPENFLOW_BASIC, 5) => Field::EthType,
        (OPENFLOW_BASIC, 8) => Field::IpDscp,
        (NXM_OF, 6) | (OPENFLOW_BASIC, 10) => Field::IpProto,
        (NXM_OF, 7) | (OPENFLOW_BASIC, 11) => Field::IpSrc,
        (NXM_OF, 8) | (OPENFLOW_BASIC, 12) => Field::IpDst,
        (NXM_OF, 9) | (OPENFLOW_BASIC, 13) => Field::TcpSrc,
        (NXM_OF, 10) | (OPENFLOW_BASIC, 14) => Field::TcpDst,
        (NXM_OF, 11) | (OPENFLOW_BASIC, 15) => Field::UdpSrc,
        (NXM_OF, 12) | (OPENFLOW_BASIC, 16) => Field::UdpDst,
        (NXM_OF, 15) | (OPENFLOW_BASIC, 21) => Field::ArpOperation,
        (NXM_OF, 16) | (OPENFLOW_BASIC, 22) => Field::ArpSenderIp,
        (NXM_OF, 17) | (OPENFLOW_BASIC, 23) => Field::ArpTargetIp,
        (NXM_NX, 17) | (OPENFLOW_BASIC, 24) => Field::ArpSenderMac,
        (NXM_NX, 18) | (OPENFLOW_BASIC, 25) => Field::ArpTargetMac,
        (NXM_NX, 16) | (OPENFLOW_BASIC, 38) => Field::TunnelId,
        _ => return None,
    })
}

/// Bytes of a field's value.
fn length(field: Field) -> u8 {
    field.bits().div_ceil(8) as u8
}

fn header(field: Field, has_mask: bool, length: u8) -> [u8; 4] {
    let (class, number) = number(field);
    let [high, low] = class.to_be_bytes();
    [high, low, number << 1 | u8::from(has_mask), length]
}

/// Appends a field with a value and, where not all bits count, a mask.
pub fn put_masked(out: &mut Vec<u8>, field: Field, value: Value, mask: Value) {
    let len = length(field);
    if mask == Value::ones(field.bits()) {
        out.put(header(field, false, len));
        out.extend(value.to_vec(len.into()));
    } else if mask.is_zero() && matches!(field, Field::Option(_)) {
        // Presence: without value and mask, or Open vSwitch would want zeros that it calls superfluous.
        out.put(header(field, true, 0));
    } else {
        out.put(header(field, true, len * 2));
        out.extend(value.to_vec(len.into()));
        out.extend(mask.to_vec(len.into()));
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub field: Field,
    pub value: Value,
    pub mask: Value,
}

/// Reads a field with value and mask: `Some(None)` if it is one that [`Field`] does not have.
pub fn read_entry(reader: &mut Reader<'_>) -> Option<Option<Entry>> {
    let class = reader.u16()?;
    let [number, length] = [reader.u8()?, reader.u8()?];
    let content = reader.take(length.into())?;
    let Some(field) = field(class, number >> 1) else {
        return Some(None);
    };
    let (value, mask) = if number & 1 == 0 {
        (content, Value::ones(field.bits()))
    } else {
        let (value, mask) = content.split_at(content.len() / 2);
        (value, Value::from_bytes(mask))
    };
    if value.len() > 32 {
        return Some(None);
    }
    let value = Value::from_bytes(value);
    Some(Some(Entry { field, value, mask }))
}

/// Reads fields to the end. Returns what they ask, and how many are unknown.
pub fn read_fields(mut reader: Reader<'_>) -> Option<(Match, usize)> {
    let (mut matches, mut unknown) = (Match::all(), 0);
    while !reader.0.is_empty() {
        match read_entry(&mut reader)? {
            Some(Entry { field, value, mask }) => {
                matches = matches.with_masked(field, value, mask);
            }
            None => unknown += 1,
        }
    }
    Some((matches, unknown))
}

/// Appends `struct ofp11_match_header` with the fields, padded.
pub fn put_match(out: &mut Vec<u8>, matches: &Match) {
    let start = out.len();
    out.put(MATCH_OXM.to_be_bytes());
    out.put([0; 2]);
    for (field, masked) in matches.fields() {
        put_masked(out, field, masked.value, masked.mask);
    }
    out.put_length(start, start + 2);
    out.align(start);
}

/// Reads what [`put_match`] appends.
pub fn read_match(reader: &mut Reader<'_>) -> Option<(Match, usize)> {
    match reader.part(8)? {
        (MATCH_OXM, fields) => read_fields(fields),
        _ => None,
    }
}

/// A part of a field as actions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireSlice {
    pub header: u32,
    pub from: u16,
    pub bits: u16,
}

impl WireSlice {
    /// First bit and number of bits in one (`ofs_nbits` of `include/openflow/nicira-ext.h`).
    pub fn packed(self) -> u16 {
        self.from << 6 | self.bits.saturating_sub(1) & 0x3f
    }
}

impl From<Slice> for WireSlice {
    fn from(slice: Slice) -> Self {
        let Slice { field, from, bits } = slice;
        let header = match field {
            Field::InPort => NXM_OF_IN_PORT,
            Field::Option(_) => u32::from_be_bytes(header(field, false, OPTION_LENGTH)),
            _ => u32::from_be_bytes(header(field, false, length(field))),
        };
        let bits = match field {
            Field::InPort => bits.min(IN_PORT_BITS),
            _ => bits,
        };
        Self { header, from, bits }
    }
}

/// The reverse of the conversion to [`WireSlice`]; the length in the header does not count.
pub fn slice(header: u32, from: u16, bits: u16) -> Option<Slice> {
    let [high, low, number, _] = header.to_be_bytes();
    let field = field(u16::from_be_bytes([high, low]), number >> 1)?;
    Some(field.slice(from, bits))
}

/// [`slice()`] of what [`WireSlice::packed`] returns.
pub fn packed_slice(header: u32, packed: u16) -> Option<Slice> {
    slice(header, packed >> 6, (packed & 0x3f) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openflow::recorded::all_fields;

    #[test]
    fn headers_are_read_as_they_are_written() {
        for field in all_fields() {
            let slice_of_it = field.slice(1, 3);
            let WireSlice { header, from, bits } = slice_of_it.into();
            assert_eq!(slice(header, from, bits), Some(slice_of_it));
            for mask in [Value::ones(field.bits()), Value::ones(field.bits() - 1)] {
                let entry = Entry {
                    field,
                    value: Value::from(1u8),
                    mask,
                };
                let mut bytes = Vec::new();
                put_masked(&mut bytes, field, entry.value, entry.mask);
                let mut reader = Reader(&bytes);
                assert_eq!(read_entry(&mut reader), Some(Some(entry)));
                assert!(reader.0.is_empty());
            }
        }
    }
}
