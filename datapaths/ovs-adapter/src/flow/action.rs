//! What rules do with a packet.

use super::{Cookie, Field, Priority, Slice, Table, Value};
use std::fmt;

/// The OpenFlow number of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortNumber(pub u32);

impl PortNumber {
    /// The highest number that a port may have (`OFPP_MAX` of OpenFlow 1.0, which Open vSwitch keeps to).
    pub const LAST: Self = Self(0xfeff);
    /// The port by which the packet arrived (`OFPP_IN_PORT`).
    pub const IN_PORT: Self = Self(0xffff_fff8);
    /// The bridge's own interface (`OFPP_LOCAL`).
    pub const LOCAL: Self = Self(0xffff_fffe);
}

/// One action. Actions of a rule are carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sends the packet, as it is now, out of a port.
    Output(PortNumber),
    /// Sends it to the controller as a packet-in that carries this.
    Controller {
        /// Says why, to whom reads it.
        userdata: Vec<u8>,
    },
    /// Writes a constant into bits of a field.
    Set {
        /// Where to.
        to: Slice,
        /// What, right-aligned.
        value: Value,
    },
    /// Copies bits; source and destination have as many.
    Move {
        /// Where from.
        from: Slice,
        /// Where to.
        to: Slice,
    },
    /// Removes a Geneve option (`delete_field`).
    Delete(Field),
    /// Looks the packet up in a table, carries out what is found, and goes on with the next action.
    Resubmit(Table),
    /// Adds a rule.
    Learn(Learn),
    /// Sends the packet through connection tracking.
    Ct(Ct),
    /// Picks a number by a hash of the packet.
    Multipath(Multipath),
    /// Puts the packet into a queue of the port that it leaves by.
    Queue(u32),
}

impl Action {
    /// Writes `value` into the whole of `field`.
    pub fn set(field: Field, value: impl Into<Value>) -> Self {
        Self::Set {
            to: field.whole(),
            value: value.into(),
        }
    }

    /// Writes `value` into these bits.
    pub fn set_slice(to: Slice, value: impl Into<Value>) -> Self {
        Self::Set {
            to,
            value: value.into(),
        }
    }

    /// Copies one whole field to another.
    pub fn copy(from: Field, to: Field) -> Self {
        Self::Move {
            from: from.whole(),
            to: to.whole(),
        }
    }
}

/// Adds a rule that is made from the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learn {
    /// The table it goes into.
    pub table: Table,
    /// Its priority.
    pub priority: Priority,
    /// Its cookie.
    pub cookie: Cookie,
    /// Seconds without a packet after which it goes; zero for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; zero for never.
    pub hard_timeout: u16,
    /// What it matches and does.
    pub specs: Vec<LearnSpec>,
}

/// One part of a learned rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnSpec {
    /// Packets must have these bits.
    Match {
        /// Where.
        at: Slice,
        /// What.
        value: LearnSource,
    },
    /// Writes these bits.
    Load {
        /// Where to.
        to: Slice,
        /// What.
        value: LearnSource,
    },
}

/// Bits of a learned rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnSource {
    /// As the packet has them.
    Packet(Slice),
    /// These.
    Constant(Value),
}

/// Connection tracking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ct {
    /// Whether a new connection is remembered.
    pub commit: bool,
    /// The zone: connections of different zones have nothing to do with each other.
    pub zone: Source,
    /// Where a copy of the packet goes on when it is tracked. The rest of the actions goes on untracked.
    pub table: Option<Table>,
    /// Mark given to a connection that is committed.
    pub mark: Option<u32>,
}

/// A number of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the packet.
    Field(Slice),
    /// This.
    Constant(u16),
}

/// Picks one of several by a hash of IPv4 addresses, the same in both directions
/// (`NX_HASH_FIELDS_SYMMETRIC_L3`, `NX_MP_ALG_MODULO_N`), or of addresses and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multipath {
    /// Whether ports are hashed as well (`NX_HASH_FIELDS_SYMMETRIC_L3L4_UDP`).
    pub ports: bool,
    /// How many there are, at least one.
    pub links: u16,
    /// Where the number goes, counted from zero.
    pub to: Slice,
}

impl fmt::Display for PortNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IN_PORT => f.write_str("IN_PORT"),
            Self::LOCAL => f.write_str("LOCAL"),
            Self(number) => write!(f, "{number}"),
        }
    }
}

impl fmt::Display for LearnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(slice) => write!(f, "{slice}"),
            Self::Constant(value) => write!(f, "{value:#x}"),
        }
    }
}

impl fmt::Display for Action {
    /// Much as `ovs-actions(7)` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(port) => write!(f, "output:{port}"),
            Self::Controller { .. } => f.write_str("controller"),
            Self::Set { to, value } => write!(f, "load:{value:#x}->{to}"),
            Self::Move { from, to } => write!(f, "move:{from}->{to}"),
            Self::Delete(field) => write!(f, "delete_field:{field}"),
            Self::Resubmit(Table(table)) => write!(f, "resubmit(,{table})"),
            Self::Learn(learn) => {
                write!(
                    f,
                    "learn(table={},priority={}",
                    learn.table.0, learn.priority.0
                )?;
                for spec in &learn.specs {
                    match spec {
                        LearnSpec::Match { at, value } => write!(f, ",{at}={value}")?,
                        LearnSpec::Load { to, value } => write!(f, ",load:{value}->{to}")?,
                    }
                }
                f.write_str(")")
            }
            Self::Ct(ct) => {
                f.write_str(if ct.commit { "ct(commit" } else { "ct(track" })?;
                match ct.zone {
                    Source::Field(slice) => write!(f, ",zone={slice}")?,
                    Source::Constant(zone) => write!(f, ",zone={zone}")?,
                }
                if let Some(Table(table)) = ct.table {
                    write!(f, ",table={table}")?;
                }
                if let Some(mark) = ct.mark {
                    write!(f, ",exec(load:{mark:#x}->ct_mark[])")?;
                }
                f.write_str(")")
            }
            Self::Multipath(pick) => write!(
                f,
                "multipath({},0,modulo_n,{},0,{})",
                if pick.ports {
                    "symmetric_l3l4+udp"
                } else {
                    "symmetric_l3"
                },
                pick.links,
                pick.to
            ),
            Self::Queue(number) => write!(f, "set_queue:{number}"),
        }
    }
}
