//! Actions from the wire: the reverse of [`super::action`].

use super::action::{
    COMMIT, CONTROLLER2, CT, DELETE_FIELD, EXPERIMENTER, HASH_ADDRESSES, HASH_PORTS, LEARN,
    MULTIPATH, NO_TABLE, OUTPUT, REG_LOAD, REG_LOAD2, REG_MOVE, RESUBMIT_TABLE, SET_FIELD,
    SET_QUEUE, USERDATA,
};
use super::learn;
use super::oxm::{self, Entry, IN_PORT_BITS};
use super::wire::{NICIRA, Reader};
use crate::flow::{Action, Ct, Field, Multipath, PortNumber, Source, Table, Value};

/// Reads actions to the end. Returns those that [`Action`] can say, and how many others there are.
///
/// `None` is for a list that is not well-formed.
pub fn read_actions(mut reader: Reader<'_>) -> Option<(Vec<Action>, usize)> {
    let (mut actions, mut others) = (Vec::new(), 0);
    while !reader.0.is_empty() {
        let (kind, content) = reader.part(8)?;
        match read_action(kind, content)? {
            Some(action) => actions.push(action),
            None => others += 1,
        }
    }
    Some((actions, others))
}

/// Reads an action: `Some(None)` if it is one that [`Action`] does not have.
fn read_action(kind: u16, mut reader: Reader<'_>) -> Option<Option<Action>> {
    match kind {
        OUTPUT => Some(Some(Action::Output(PortNumber(reader.u32()?)))),
        SET_QUEUE => Some(Some(Action::Queue(reader.u32()?))),
        SET_FIELD => read_set(&mut reader),
        EXPERIMENTER if reader.u32()? == NICIRA => {
            let subtype = reader.u16()?;
            read_extension(subtype, reader)
        }
        _ => Some(None),
    }
}

fn read_extension(subtype: u16, mut reader: Reader<'_>) -> Option<Option<Action>> {
    match subtype {
        REG_MOVE => read_move(reader),
        REG_LOAD => {
            let (packed, header, value) = (reader.u16()?, reader.u32()?, reader.u64()?);
            Some(oxm::packed_slice(header, packed).map(|to| {
                let value = value.into();
                // Of this field that is all that actions can name.
                if to == Field::InPort.slice(0, IN_PORT_BITS) {
                    return Action::set(Field::InPort, value);
                }
                Action::Set { to, value }
            }))
        }
        REG_LOAD2 => read_set(&mut reader),
        RESUBMIT_TABLE => {
            reader.skip(2)?;
            Some(Some(Action::Resubmit(Table(reader.u8()?))))
        }
        DELETE_FIELD => {
            let field = oxm::slice(reader.u32()?, 0, 1).map(|slice| slice.field);
            Some(field.map(Action::Delete))
        }
        LEARN => learn::read(reader).map(|learn| learn.map(Action::Learn)),
        CT => read_ct(reader),
        MULTIPATH => read_multipath(reader),
        CONTROLLER2 => read_controller(reader),
        _ => Some(None),
    }
}

fn read_set(reader: &mut Reader<'_>) -> Option<Option<Action>> {
    Some(oxm::read_entry(reader)?.and_then(set))
}

/// The action that writes what the mask says, which has to be of bits that follow one another.
fn set(entry: Entry) -> Option<Action> {
    let Entry { field, value, mask } = entry;
    let is_set = |bit: u16| !(mask >> bit & Value::from(1u8)).is_zero();
    let from = (0..field.bits()).find(|bit| is_set(*bit))?;
    let bits = (from..field.bits()).take_while(|bit| is_set(*bit)).count() as u16;
    (mask == Value::ones(bits) << from).then(|| Action::Set {
        to: field.slice(from, bits),
        value: value >> from,
    })
}

fn read_move(mut reader: Reader<'_>) -> Option<Option<Action>> {
    let [bits, from, to] = [reader.u16()?, reader.u16()?, reader.u16()?];
    let slices = oxm::slice(reader.u32()?, from, bits).zip(oxm::slice(reader.u32()?, to, bits));
    Some(slices.map(|(from, to)| Action::Move { from, to }))
}

fn read_ct(mut reader: Reader<'_>) -> Option<Option<Action>> {
    let flags = reader.u16()?;
    let (header, zone) = (reader.u32()?, reader.u16()?);
    let table = reader.u8()?;
    reader.skip(3)?;
    let helper = reader.u16()?;
    let zone = match header {
        0 => Some(Source::Constant(zone)),
        _ => oxm::packed_slice(header, zone).map(Source::Field),
    };
    let (actions, others) = read_actions(reader)?;
    let mark = match &*actions {
        [] => None,
        [Action::Set { to, value }] if *to == Field::CtMark.whole() => Some(value.low_u64() as u32),
        _ => return Some(None),
    };
    if flags & !COMMIT != 0 || helper != 0 || others != 0 {
        return Some(None);
    }
    Some(zone.map(|zone| {
        Action::Ct(Ct {
            commit: flags == COMMIT,
            zone,
            table: (table != NO_TABLE).then_some(Table(table)),
            mark,
        })
    }))
}

fn read_multipath(mut reader: Reader<'_>) -> Option<Option<Action>> {
    let (fields, basis) = (reader.u16()?, reader.u16()?);
    reader.skip(2)?;
    let (algorithm, highest) = (reader.u16()?, reader.u16()?);
    reader.skip(6)?;
    let packed = reader.u16()?;
    let to = oxm::packed_slice(reader.u32()?, packed);
    if basis != 0 || algorithm != 0 || ![HASH_PORTS, HASH_ADDRESSES].contains(&fields) {
        return Some(None);
    }
    Some(to.map(|to| {
        Action::Multipath(Multipath {
            ports: fields == HASH_PORTS,
            links: highest.saturating_add(1),
            to,
        })
    }))
}

fn read_controller(mut reader: Reader<'_>) -> Option<Option<Action>> {
    reader.skip(6)?;
    let (mut userdata, mut others) = (Vec::new(), false);
    // Less is padding of the action.
    while reader.0.len() >= 4 {
        match reader.part(8)? {
            (USERDATA, content) => userdata = content.0.to_vec(),
            _ => others = true,
        }
    }
    Some((!others).then_some(Action::Controller { userdata }))
}
