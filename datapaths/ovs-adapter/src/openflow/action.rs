//! Actions onto the wire: OpenFlow 1.4 section 7.2.5, and the `NXAST_*` of Open vSwitch
//! (`lib/ofp-actions.c`, `include/openflow/nicira-ext.h`).

use super::learn;
use super::oxm::{self, WireSlice};
use super::wire::{NICIRA, Put};
use crate::flow::{Action, Ct, Field, Multipath, Slice, Source, Table, Value};

/// `OFPAT_OUTPUT`.
pub const OUTPUT: u16 = 0;
/// `OFPAT_SET_QUEUE`.
pub const SET_QUEUE: u16 = 21;
/// `OFPAT_SET_FIELD`.
pub const SET_FIELD: u16 = 25;
/// `OFPAT_EXPERIMENTER`.
pub const EXPERIMENTER: u16 = 0xffff;
/// `NXAST_REG_MOVE`.
pub const REG_MOVE: u16 = 6;
/// `NXAST_REG_LOAD`.
pub const REG_LOAD: u16 = 7;
/// `NXAST_MULTIPATH`.
pub const MULTIPATH: u16 = 10;
/// `NXAST_RESUBMIT_TABLE`.
pub const RESUBMIT_TABLE: u16 = 14;
/// `NXAST_LEARN`.
pub const LEARN: u16 = 16;
/// `NXAST_REG_LOAD2`.
pub const REG_LOAD2: u16 = 33;
/// `NXAST_CT`.
pub const CT: u16 = 35;
/// `NXAST_CONTROLLER2`.
pub const CONTROLLER2: u16 = 37;
/// `NXAST_DELETE_FIELD`.
pub const DELETE_FIELD: u16 = 50;

/// `NXAC2PT_USERDATA`.
pub const USERDATA: u16 = 3;
/// `NX_CT_F_COMMIT`.
pub const COMMIT: u16 = 1;
/// `NX_CT_RECIRC_NONE`.
pub const NO_TABLE: u8 = 0xff;
/// `NX_HASH_FIELDS_SYMMETRIC_L3L4_UDP`.
pub const HASH_PORTS: u16 = 3;
/// `NX_HASH_FIELDS_SYMMETRIC_L3`.
pub const HASH_ADDRESSES: u16 = 6;
/// `OFPP_IN_PORT` in 16 bits: the lookup is to see the port by which the packet arrived.
const SAME_PORT: u16 = 0xfff8;
/// `OFPCML_MAX` or, which is the same here, all of the packet.
const WHOLE_PACKET: u16 = 0xffff;
/// Most bits that `NXAST_REG_LOAD` can write, and the widest field that it is used for.
const LOAD_BITS: u16 = 64;

/// Appends actions.
pub fn put_actions(out: &mut Vec<u8>, actions: &[Action]) {
    for action in actions {
        put_action(out, action);
    }
}

fn put_action(out: &mut Vec<u8>, action: &Action) {
    match action {
        Action::Output(port) => standard(out, OUTPUT, |out| {
            out.put(port.0.to_be_bytes());
            out.put(WHOLE_PACKET.to_be_bytes());
        }),
        Action::Controller { userdata } => extension(out, CONTROLLER2, |out| {
            out.put([0; 6]);
            let start = out.len();
            out.put(USERDATA.to_be_bytes());
            out.put([0; 2]);
            out.extend_from_slice(userdata);
            out.put_length(start, start + 2);
        }),
        Action::Set { to, value } => put_set(out, *to, *value),
        Action::Move { from, to } => extension(out, REG_MOVE, |out| {
            let (from, to) = (WireSlice::from(*from), WireSlice::from(*to));
            for number in [from.bits.min(to.bits), from.from, to.from] {
                out.put(number.to_be_bytes());
            }
            out.put(from.header.to_be_bytes());
            out.put(to.header.to_be_bytes());
        }),
        Action::Delete(field) => extension(out, DELETE_FIELD, |out| {
            out.put(WireSlice::from(field.whole()).header.to_be_bytes());
            out.put([0; 10]);
        }),
        Action::Resubmit(table) => extension(out, RESUBMIT_TABLE, |out| {
            out.put(SAME_PORT.to_be_bytes());
            out.put([table.0, 0, 0, 0]);
        }),
        Action::Learn(rule) => extension(out, LEARN, |out| learn::put(out, rule)),
        Action::Ct(ct) => extension(out, CT, |out| put_ct(out, ct)),
        Action::Multipath(pick) => extension(out, MULTIPATH, |out| put_multipath(out, pick)),
        Action::Queue(queue) => standard(out, SET_QUEUE, |out| out.put(queue.to_be_bytes())),
    }
}

/// Appends an action with type and length (`struct ofp_action_header`).
fn standard(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.put(kind.to_be_bytes());
    out.put([0; 2]);
    body(out);
    out.align(start);
    out.put_length(start, start + 2);
}

/// Appends an action of Open vSwitch (`struct nx_action_header`).
fn extension(out: &mut Vec<u8>, subtype: u16, body: impl FnOnce(&mut Vec<u8>)) {
    standard(out, EXPERIMENTER, |out| {
        out.put(NICIRA.to_be_bytes());
        out.put(subtype.to_be_bytes());
        body(out);
    });
}

fn put_set(out: &mut Vec<u8>, to: Slice, value: Value) {
    let Slice { field, from, bits } = to;
    let value = value & Value::ones(bits);
    // The port by which a packet arrived cannot be set in the form of 32 bits.
    if to.is_whole() && field != Field::InPort {
        standard(out, SET_FIELD, |out| {
            oxm::put_masked(out, field, value, Value::ones(bits));
        });
    } else if field.bits() <= LOAD_BITS {
        extension(out, REG_LOAD, |out| {
            let to = WireSlice::from(to);
            out.put(to.packed().to_be_bytes());
            out.put(to.header.to_be_bytes());
            out.put((value & Value::ones(to.bits)).low_u64().to_be_bytes());
        });
    } else {
        extension(out, REG_LOAD2, |out| {
            oxm::put_masked(out, field, value << from, Value::ones(bits) << from);
        });
    }
}

/// `struct nx_action_conntrack`.
fn put_ct(out: &mut Vec<u8>, ct: &Ct) {
    out.put(if ct.commit { COMMIT } else { 0 }.to_be_bytes());
    let (header, zone) = match ct.zone {
        Source::Field(slice) => {
            let slice = WireSlice::from(slice);
            (slice.header, slice.packed())
        }
        Source::Constant(zone) => (0, zone),
    };
    out.put(header.to_be_bytes());
    out.put(zone.to_be_bytes());
    // Padding, and no application-level gateway.
    out.put([ct.table.map_or(NO_TABLE, |Table(table)| table), 0, 0, 0]);
    out.put([0; 2]);
    if let Some(mark) = ct.mark {
        put_set(out, Field::CtMark.whole(), mark.into());
    }
}

/// `struct nx_action_multipath`.
fn put_multipath(out: &mut Vec<u8>, pick: &Multipath) {
    let fields = if pick.ports {
        HASH_PORTS
    } else {
        HASH_ADDRESSES
    };
    let to = WireSlice::from(pick.to);
    // Basis and padding, the algorithm NX_MP_ALG_MODULO_N, the highest number, no argument, padding.
    for number in [fields, 0, 0, 0, pick.links.saturating_sub(1), 0, 0, 0] {
        out.put(number.to_be_bytes());
    }
    out.put(to.packed().to_be_bytes());
    out.put(to.header.to_be_bytes());
}
