//! Rules onto the wire and back: flow mods, what they change, and flow statistics (OpenFlow 1.4 sections 7.3.4.1
//! and 7.3.5.2).

use super::wire::{Put, Reader};
use super::{action, decode, oxm};
use crate::flow::{Action, Cookie, Match, Priority, Rule, Table};
use std::fmt;
use std::time::Duration;

/// `OFPT_FLOW_MOD`.
pub const FLOW_MOD: u8 = 14;
/// `OFPFC_ADD`.
const ADD: u8 = 0;
/// `OFPFC_DELETE`.
const DELETE: u8 = 3;
/// `OFPFC_DELETE_STRICT`.
const DELETE_STRICT: u8 = 4;
/// `OFPIT_APPLY_ACTIONS`.
const APPLY_ACTIONS: u16 = 4;
/// `OFPTT_ALL`.
const ALL_TABLES: u8 = 0xff;
/// `OFP_NO_BUFFER`, `OFPP_ANY` and `OFPG_ANY`.
const NONE: [u8; 4] = [0xff; 4];

/// Which rules are meant: those that ask for everything that the filter asks for, and maybe more.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those of this table; of all tables if there is none.
    pub table: Option<Table>,
    /// Those that have this cookie,
    pub cookie: Cookie,
    /// where this has ones.
    pub cookie_mask: u64,
    /// Those whose packets all match this (OpenFlow 1.4 section 6.4, "non-strict").
    pub matches: Match,
}

impl Filter {
    /// All rules.
    pub fn all() -> Self {
        Self::default()
    }

    /// Those of one table.
    pub fn table(table: Table) -> Self {
        Self {
            table: Some(table),
            ..Self::default()
        }
    }

    /// Of these rules those that have exactly this cookie.
    #[must_use]
    pub fn with_cookie(self, cookie: Cookie) -> Self {
        Self {
            cookie,
            cookie_mask: u64::MAX,
            ..self
        }
    }
}

/// Something to be done to the rules of a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds a rule. One of the same table, priority and match gives way to it, with its counters.
    Add(Rule),
    /// Removes rules.
    Delete(Filter),
    /// Removes the rule that has exactly this table, priority and match, if there is one.
    DeleteStrict {
        /// Its table.
        table: Table,
        /// Its priority.
        priority: Priority,
        /// What it matches.
        matches: Match,
    },
}

impl fmt::Display for Filter {
    /// Much as `ovs-ofctl del-flows` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.table {
            Some(Table(table)) => write!(f, "table={table}")?,
            None => f.write_str("all tables")?,
        }
        if self.cookie_mask != 0 {
            write!(f, ",cookie={:#x}/{:#x}", self.cookie.0, self.cookie_mask)?;
        }
        if self.matches != Match::all() {
            write!(f, ",{}", self.matches)?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add(rule) => write!(f, "{rule}"),
            Self::Delete(filter) => write!(f, "deletion of {filter}"),
            Self::DeleteStrict {
                table: Table(table),
                priority: Priority(priority),
                matches,
            } => write!(f, "deletion of table={table},priority={priority},{matches}"),
        }
    }
}

/// What all flow mods have (`struct ofp11_flow_mod`).
struct FlowMod<'a> {
    command: u8,
    cookie: Cookie,
    cookie_mask: u64,
    table: u8,
    idle_timeout: u16,
    hard_timeout: u16,
    priority: Priority,
    matches: &'a Match,
}

/// Appends the body of a flow mod.
pub fn put_change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Add(rule) => put_addition(out, rule),
        Change::Delete(filter) => put_flow_mod(
            out,
            &FlowMod {
                command: DELETE,
                cookie: filter.cookie,
                cookie_mask: filter.cookie_mask,
                table: filter.table.map_or(ALL_TABLES, |Table(table)| table),
                idle_timeout: 0,
                hard_timeout: 0,
                priority: Priority(0),
                matches: &filter.matches,
            },
        ),
        Change::DeleteStrict {
            table,
            priority,
            matches,
        } => put_flow_mod(
            out,
            &FlowMod {
                command: DELETE_STRICT,
                cookie: Cookie(0),
                cookie_mask: 0,
                table: table.0,
                idle_timeout: 0,
                hard_timeout: 0,
                priority: *priority,
                matches,
            },
        ),
    }
}

fn put_addition(out: &mut Vec<u8>, rule: &Rule) {
    put_flow_mod(
        out,
        &FlowMod {
            command: ADD,
            cookie: rule.cookie,
            cookie_mask: 0,
            table: rule.table.0,
            idle_timeout: rule.idle_timeout,
            hard_timeout: rule.hard_timeout,
            priority: rule.priority,
            matches: &rule.matches,
        },
    );
    if rule.actions.is_empty() {
        return;
    }
    let start = out.len();
    out.put(APPLY_ACTIONS.to_be_bytes());
    out.put([0; 6]);
    action::put_actions(out, &rule.actions);
    out.put_length(start, start + 2);
}

fn put_flow_mod(out: &mut Vec<u8>, flow_mod: &FlowMod<'_>) {
    out.put(flow_mod.cookie.0.to_be_bytes());
    out.put(flow_mod.cookie_mask.to_be_bytes());
    out.put([flow_mod.table, flow_mod.command]);
    out.put(flow_mod.idle_timeout.to_be_bytes());
    out.put(flow_mod.hard_timeout.to_be_bytes());
    out.put(flow_mod.priority.0.to_be_bytes());
    // No buffered packet; any port and any group.
    for _ in 0..3 {
        out.put(NONE);
    }
    // No flags, no importance.
    out.put([0; 4]);
    oxm::put_match(out, flow_mod.matches);
}

/// Reads the body of a flow mod as far as can be read, to tell which one it is.
pub fn read_change(mut reader: Reader<'_>) -> Option<Change> {
    let (cookie, cookie_mask) = (Cookie(reader.u64()?), reader.u64()?);
    let (table, command) = (Table(reader.u8()?), reader.u8()?);
    let (idle_timeout, hard_timeout) = (reader.u16()?, reader.u16()?);
    let priority = Priority(reader.u16()?);
    reader.skip(16)?;
    let (matches, _) = oxm::read_match(&mut reader)?;
    Some(match command {
        DELETE => Change::Delete(Filter {
            table: (table.0 != ALL_TABLES).then_some(table),
            cookie,
            cookie_mask,
            matches,
        }),
        DELETE_STRICT => Change::DeleteStrict {
            table,
            priority,
            matches,
        },
        _ => Change::Add(Rule {
            table,
            priority,
            cookie,
            idle_timeout,
            hard_timeout,
            matches,
            // The switch may have cut them off.
            actions: read_instructions(reader).map_or_else(Vec::new, |(actions, _)| actions),
        }),
    })
}

/// Reads instructions to the end: the actions to apply, and how many actions or instructions are others.
fn read_instructions(mut reader: Reader<'_>) -> Option<(Vec<Action>, usize)> {
    let (mut actions, mut others) = (Vec::new(), 0);
    while !reader.0.is_empty() {
        let (kind, mut content) = reader.part(8)?;
        if kind == APPLY_ACTIONS {
            content.skip(4)?;
            let (read, unknown) = decode::read_actions(content)?;
            actions.extend(read);
            others += unknown;
        } else {
            others += 1;
        }
    }
    Some((actions, others))
}

/// A rule that a switch has, and what it counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStats {
    /// The rule.
    pub rule: Rule,
    /// How many fields, actions and instructions the rule has that [`Self::rule`] cannot say. None of those that
    /// a [`Change`] put there is among them.
    pub undecoded: usize,
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long ago it was added.
    pub age: Duration,
}

/// Appends the body of `struct ofp11_flow_stats_request`, which is that of `OFPMP_AGGREGATE` as well.
pub fn put_filter(out: &mut Vec<u8>, filter: &Filter) {
    out.put([
        filter.table.map_or(ALL_TABLES, |Table(table)| table),
        0,
        0,
        0,
    ]);
    out.put(NONE);
    out.put(NONE);
    out.put([0; 4]);
    out.put(filter.cookie.0.to_be_bytes());
    out.put(filter.cookie_mask.to_be_bytes());
    oxm::put_match(out, &filter.matches);
}

/// Reads rules to the end (`struct ofp11_flow_stats`, OpenFlow 1.4 section 7.3.5.2).
pub fn read_rules(mut reader: Reader<'_>, rules: &mut Vec<RuleStats>) -> Option<()> {
    while !reader.0.is_empty() {
        let len = usize::from(reader.u16()?);
        let rule = reader.take(len.checked_sub(2)?)?;
        rules.push(read_rule(Reader(rule))?);
    }
    Some(())
}

fn read_rule(mut reader: Reader<'_>) -> Option<RuleStats> {
    let table = Table(reader.u8()?);
    reader.skip(1)?;
    let age = read_duration(&mut reader)?;
    let priority = Priority(reader.u16()?);
    let (idle_timeout, hard_timeout) = (reader.u16()?, reader.u16()?);
    // Flags, importance, padding.
    reader.skip(6)?;
    let cookie = Cookie(reader.u64()?);
    let (packets, bytes) = (reader.u64()?, reader.u64()?);
    let (matches, unknown) = oxm::read_match(&mut reader)?;
    let (actions, others) = read_instructions(reader)?;
    Some(RuleStats {
        rule: Rule {
            table,
            priority,
            cookie,
            idle_timeout,
            hard_timeout,
            matches,
            actions,
        },
        undecoded: unknown + others,
        packets,
        bytes,
        age,
    })
}

/// Seconds and nanoseconds.
pub fn read_duration(reader: &mut Reader<'_>) -> Option<Duration> {
    let (seconds, nanoseconds) = (reader.u32()?, reader.u32()?);
    Some(Duration::from_secs(seconds.into()) + Duration::from_nanos(nanoseconds.into()))
}

/// What several rules counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Aggregate {
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many rules.
    pub rules: u32,
}

/// `struct ofp_aggregate_stats_reply`.
pub fn read_aggregate(mut reader: Reader<'_>) -> Option<Aggregate> {
    Some(Aggregate {
        packets: reader.u64()?,
        bytes: reader.u64()?,
        rules: reader.u32()?,
    })
}
