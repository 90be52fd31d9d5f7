//! What a switch has against a request: `OFPT_ERROR` (OpenFlow 1.4 section 7.5.4), in words.

use super::wire::Reader;
use std::fmt;

/// `OFPET_EXPERIMENTER`.
const EXPERIMENTER: u16 = 0xffff;
/// `OFPET_FLOW_MOD_FAILED`.
const FLOW_MOD_FAILED: u16 = 5;
/// `OFPFMFC_TABLE_FULL`.
const TABLE_FULL: u16 = 1;

/// `NXTTMFC_INVALID_TLV_DEL`.
const INVALID_TLV_DEL: u16 = 38;

/// What a switch has against a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of `OFPET_*`; 0xffff where it is an extension's.
    pub kind: u16,
    /// The number within the kind, or within the extension.
    pub code: u16,
}

/// Reads what follows the header of `OFPT_ERROR`, and returns what the request began with as well.
pub fn read(mut reader: Reader<'_>) -> Option<(Refusal, Reader<'_>)> {
    let (kind, code) = (reader.u16()?, reader.u16()?);
    if kind == EXPERIMENTER {
        reader.skip(4)?;
    }
    Some((Refusal { kind, code }, reader))
}

impl Refusal {
    /// Whether a table has as many rules as it may (`Flow_Table` in ovs-vswitchd.conf.db(5)).
    pub fn is_table_full(self) -> bool {
        (self.kind, self.code) == (FLOW_MOD_FAILED, TABLE_FULL)
    }

    /// Whether the TLV table cannot be changed since rules use what it maps.
    pub(super) fn is_option_in_use(self) -> bool {
        (self.kind, self.code) == (EXPERIMENTER, INVALID_TLV_DEL)
    }

    /// Its name in the standard or in Open vSwitch, and what that means.
    fn words(self) -> Option<(&'static str, &'static str)> {
        let known = match self.kind {
            0 => HELLO_FAILED,
            1 => BAD_REQUEST,
            2 => BAD_ACTION,
            3 => BAD_INSTRUCTION,
            4 => BAD_MATCH,
            FLOW_MOD_FAILED => FLOW_MODS,
            17 => BUNDLE_FAILED,
            EXPERIMENTER => OPEN_VSWITCH,
            _ => return None,
        };
        let found = known.iter().find(|(code, ..)| *code == self.code);
        found.map(|(_, name, meaning)| (*name, *meaning))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some((name, meaning)) => write!(f, "{meaning} ({name})"),
            None => write!(f, "error {} of type {:#x}", self.code, self.kind),
        }
    }
}

type Known = &'static [(u16, &'static str, &'static str)];

const HELLO_FAILED: Known = &[
    (
        0,
        "OFPHFC_INCOMPATIBLE",
        "it speaks no OpenFlow 1.4: allow it in the bridge's column `protocols`",
    ),
    (1, "OFPHFC_EPERM", "it does not permit the connection"),
];

const BAD_REQUEST: Known = &[
    (0, "OFPBRC_BAD_VERSION", "wrong version of OpenFlow"),
    (1, "OFPBRC_BAD_TYPE", "it does not know this message"),
    (
        2,
        "OFPBRC_BAD_MULTIPART",
        "it does not know these statistics",
    ),
    (
        3,
        "OFPBRC_BAD_EXPERIMENTER",
        "it does not know the extension: it is no Open vSwitch",
    ),
    (
        4,
        "OFPBRC_BAD_EXP_TYPE",
        "it does not know this message of the extension",
    ),
    (5, "OFPBRC_EPERM", "it does not permit it"),
    (6, "OFPBRC_BAD_LEN", "wrong length"),
    (8, "OFPBRC_BUFFER_UNKNOWN", "it has no such buffer"),
    (9, "OFPBRC_BAD_TABLE_ID", "there is no such table"),
    (10, "OFPBRC_IS_SECONDARY", "another controller is in charge"),
    (11, "OFPBRC_BAD_PORT", "there is no such port"),
    (12, "OFPBRC_BAD_PACKET", "the packet is malformed"),
];

const BAD_ACTION: Known = &[
    (0, "OFPBAC_BAD_TYPE", "it does not know an action"),
    (1, "OFPBAC_BAD_LEN", "an action has a wrong length"),
    (
        2,
        "OFPBAC_BAD_EXPERIMENTER",
        "it does not know the extension that an action is of",
    ),
    (
        3,
        "OFPBAC_BAD_EXP_TYPE",
        "it does not know an action of the extension",
    ),
    (
        4,
        "OFPBAC_BAD_OUT_PORT",
        "there is no port that an action sends to",
    ),
    (
        5,
        "OFPBAC_BAD_ARGUMENT",
        "an action's argument is out of range, or names bits that its field does not have",
    ),
    (6, "OFPBAC_EPERM", "it does not permit an action"),
    (7, "OFPBAC_TOO_MANY", "too many actions"),
    (
        8,
        "OFPBAC_BAD_QUEUE",
        "there is no queue that an action names",
    ),
    (
        10,
        "OFPBAC_MATCH_INCONSISTENT",
        "an action needs what the rule does not match: give it the EtherType or protocol",
    ),
    (
        11,
        "OFPBAC_UNSUPPORTED_ORDER",
        "it does not support this order of actions",
    ),
    (
        13,
        "OFPBAC_BAD_SET_TYPE",
        "an action names a field that there is not: of an option, map it in the TLV table first",
    ),
    (
        14,
        "OFPBAC_BAD_SET_LEN",
        "an action has more bits than its field",
    ),
    (
        15,
        "OFPBAC_BAD_SET_ARGUMENT",
        "an action writes a field that cannot be written, or a value that it cannot have",
    ),
];

const BAD_INSTRUCTION: Known = &[
    (0, "OFPBIC_UNKNOWN_INST", "it does not know an instruction"),
    (1, "OFPBIC_UNSUP_INST", "it does not support an instruction"),
    (
        2,
        "OFPBIC_BAD_TABLE_ID",
        "there is no table that an instruction names",
    ),
    (7, "OFPBIC_BAD_LEN", "an instruction has a wrong length"),
    (8, "OFPBIC_EPERM", "it does not permit an instruction"),
    (9, "OFPBIC_DUP_INST", "an instruction is there twice"),
];

const BAD_MATCH: Known = &[
    (0, "OFPBMC_BAD_TYPE", "it does not know this form of match"),
    (
        1,
        "OFPBMC_BAD_LEN",
        "a field of the match has a wrong length",
    ),
    (
        5,
        "OFPBMC_BAD_WILDCARDS",
        "a field of the match has to be matched wholly",
    ),
    (
        6,
        "OFPBMC_BAD_FIELD",
        "it does not know a field of the match: of an option, map it in the TLV table first",
    ),
    (
        7,
        "OFPBMC_BAD_VALUE",
        "a field of the match cannot have this value",
    ),
    (
        8,
        "OFPBMC_BAD_MASK",
        "a field of the match cannot be masked like this",
    ),
    (
        9,
        "OFPBMC_BAD_PREREQ",
        "a field of the match needs another: match the EtherType and the protocol as well",
    ),
    (
        10,
        "OFPBMC_DUP_FIELD",
        "a field of the match is there twice",
    ),
    (11, "OFPBMC_EPERM", "it does not permit the match"),
];

const FLOW_MODS: Known = &[
    (0, "OFPFMFC_UNKNOWN", "it does not say why"),
    (
        TABLE_FULL,
        "OFPFMFC_TABLE_FULL",
        "the table is full: raise `flow_limit` of its row in Flow_Table",
    ),
    (
        2,
        "OFPFMFC_BAD_TABLE_ID",
        "there is no such table, or it may not be changed",
    ),
    (3, "OFPFMFC_OVERLAP", "it overlaps with another rule"),
    (4, "OFPFMFC_EPERM", "it does not permit it"),
    (
        5,
        "OFPFMFC_BAD_TIMEOUT",
        "it does not support such a timeout",
    ),
    (6, "OFPFMFC_BAD_COMMAND", "it does not know the command"),
    (7, "OFPFMFC_BAD_FLAGS", "it does not support the flags"),
];

const BUNDLE_FAILED: Known = &[
    (0, "OFPBFC_UNKNOWN", "it does not say why"),
    (1, "OFPBFC_EPERM", "it does not permit bundles"),
    (2, "OFPBFC_BAD_ID", "there is no such bundle"),
    (3, "OFPBFC_BUNDLE_EXIST", "the bundle exists already"),
    (4, "OFPBFC_BUNDLE_CLOSED", "the bundle is closed"),
    (5, "OFPBFC_OUT_OF_BUNDLES", "too many bundles"),
    (
        6,
        "OFPBFC_BAD_TYPE",
        "it does not know what to do with the bundle",
    ),
    (
        7,
        "OFPBFC_BAD_FLAGS",
        "it supports no atomic, ordered bundles",
    ),
    (
        8,
        "OFPBFC_MSG_BAD_LEN",
        "a message of the bundle has a wrong length",
    ),
    (
        9,
        "OFPBFC_MSG_BAD_XID",
        "a message of the bundle has a wrong number",
    ),
    (10, "OFPBFC_MSG_UNSUP", "a message cannot be in a bundle"),
    (
        11,
        "OFPBFC_MSG_CONFLICT",
        "messages of the bundle contradict each other",
    ),
    (12, "OFPBFC_MSG_TOO_MANY", "too many messages in the bundle"),
    (13, "OFPBFC_MSG_FAILED", "a message of the bundle failed"),
    (14, "OFPBFC_TIMEOUT", "the bundle was open for too long"),
    (
        15,
        "OFPBFC_BUNDLE_IN_PROGRESS",
        "another bundle is being carried out",
    ),
];

/// The extension's own, as OpenFlow 1.2 and later carry them (`include/openvswitch/ofp-errors.h`).
const OPEN_VSWITCH: Known = &[
    (2, "NXBRC_NXM_INVALID", "a field is malformed"),
    (3, "NXBRC_NXM_BAD_TYPE", "it does not know a field"),
    (
        4,
        "NXBRC_MUST_BE_ZERO",
        "bytes that have to be zero are not",
    ),
    (
        11,
        "NXBAC_MUST_BE_ZERO",
        "bytes of an action that have to be zero are not",
    ),
    (12, "NXFMFC_HARDWARE", "the datapath failed"),
    (13, "NXFMFC_BAD_TABLE_ID", "there is no such table"),
    (
        16,
        "NXTTMFC_BAD_COMMAND",
        "it does not know this command for the TLV table",
    ),
    (
        17,
        "NXTTMFC_BAD_OPT_LEN",
        "an option's length is no multiple of four, or too large",
    ),
    (
        18,
        "NXTTMFC_BAD_FIELD_IDX",
        "there is no field with such an index",
    ),
    (
        19,
        "NXTTMFC_TABLE_FULL",
        "the options are too many or too long for the TLV table",
    ),
    (
        20,
        "NXTTMFC_ALREADY_MAPPED",
        "an option or its field is mapped already",
    ),
    (21, "NXTTMFC_DUP_ENTRY", "an option is there twice"),
    (
        37,
        "NXFMFC_INVALID_TLV_FIELD",
        "the TLV table does not map the option of a field: map it first",
    ),
    (
        INVALID_TLV_DEL,
        "NXTTMFC_INVALID_TLV_DEL",
        "rules use an option that is mapped: delete them first",
    ),
    (39, "NXBAC_BAD_HEADER_TYPE", "it does not know this header"),
    (
        42,
        "NXBAC_CT_DATAPATH_SUPPORT",
        "the datapath does not support this connection tracking",
    ),
    (
        43,
        "NXBMC_CT_DATAPATH_SUPPORT",
        "the datapath does not support this field of connection tracking",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_words() {
        // Printed by `ovs-ofctl ofp-print` as NXTTMFC_ALREADY_MAPPED and OFPFMFC_TABLE_FULL.
        let mapped = Reader(&[0xff, 0xff, 0, 20, 0, 0, 0x23, 0x20, 7]);
        let (refusal, rest) = read(mapped).unwrap();
        assert!(refusal.to_string().contains("NXTTMFC_ALREADY_MAPPED"));
        assert_eq!(rest.0, [7]);
        let (full, _) = read(Reader(&[0, 5, 0, 1])).unwrap();
        assert!(full.is_table_full() && !refusal.is_table_full());
        assert!(full.to_string().contains("table is full"));
        let unknown = Refusal { kind: 99, code: 7 };
        assert_eq!(unknown.to_string(), "error 7 of type 0x63");
        assert!(read(Reader(&[0, 5, 0])).is_none());
        assert!(read(Reader(&[0xff, 0xff, 0, 20, 0, 0])).is_none());
    }
}
