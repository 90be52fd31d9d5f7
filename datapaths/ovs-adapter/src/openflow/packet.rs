//! Packets to and from the controller: `NXT_PACKET_IN2` (`enum nx_packet_in2_prop_type` of
//! `include/openflow/nicira-ext.h`) and `OFPT_PACKET_OUT` (OpenFlow 1.4 section 7.3.7).

use super::wire::{Put, Reader};
use super::{action, oxm};
use crate::flow::{Action, Cookie, Match, PortNumber, Table};

/// `OFPT_PACKET_OUT`.
pub const PACKET_OUT: u8 = 13;
/// `NXT_PACKET_IN2`.
pub const PACKET_IN2: u32 = 30;
/// `NXT_SET_PACKET_IN_FORMAT`.
pub const SET_PACKET_IN_FORMAT: u32 = 16;
/// `NXPIF_NXT_PACKET_IN2`.
pub const FORMAT: u32 = 2;

/// `NXPINT_PACKET`.
const PACKET: u16 = 0;
/// `NXPINT_TABLE_ID`.
const TABLE: u16 = 3;
/// `NXPINT_COOKIE`.
const COOKIE: u16 = 4;
/// `NXPINT_METADATA`.
const METADATA: u16 = 6;
/// `NXPINT_USERDATA`.
const USERDATA: u16 = 7;

/// A packet that a rule sent to the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketIn {
    /// The packet, from its Ethernet header on.
    pub frame: Vec<u8>,
    /// What is known about it besides: port, tunnel, options, registers, marks, connection. Fields that are zero
    /// are not there, and neither are those of the packet.
    pub metadata: Match,
    /// What the action says.
    pub userdata: Vec<u8>,
    /// The table of the rule.
    pub table: Table,
    /// The cookie of the rule.
    pub cookie: Cookie,
}

/// Reads what follows the header of `NXT_PACKET_IN2`.
pub fn read(mut reader: Reader<'_>) -> Option<PacketIn> {
    let mut packet = PacketIn {
        frame: Vec::new(),
        metadata: Match::all(),
        userdata: Vec::new(),
        table: Table(0),
        cookie: Cookie(0),
    };
    while !reader.0.is_empty() {
        let (kind, mut content) = reader.part(8)?;
        match kind {
            PACKET => packet.frame = content.0.to_vec(),
            TABLE => packet.table = Table(content.u8()?),
            COOKIE => {
                content.skip(4)?;
                packet.cookie = Cookie(content.u64()?);
            }
            METADATA => packet.metadata = oxm::read_fields(content)?.0,
            USERDATA => packet.userdata = content.0.to_vec(),
            _ => {}
        }
    }
    Some(packet)
}

/// Appends the body of `OFPT_PACKET_OUT`.
pub fn put(out: &mut Vec<u8>, in_port: PortNumber, frame: &[u8], actions: &[Action]) {
    // No buffered packet.
    out.put([0xff; 4]);
    out.put(in_port.0.to_be_bytes());
    let at = out.len();
    out.put([0; 8]);
    let start = out.len();
    action::put_actions(out, actions);
    out.put_length(start, at);
    out.extend_from_slice(frame);
}
