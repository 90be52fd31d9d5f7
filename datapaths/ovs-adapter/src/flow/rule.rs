//! Rules, and what they match.

use super::{Action, Field, Slice, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The number of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u8);

/// Priority of a rule: of those that match, the one with the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u16);

/// A number that a rule carries, so that it can be found and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Cookie(pub u64);

/// Bits of a field that a packet must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked {
    /// The bits; zero where the mask is.
    pub value: Value,
    /// Which bits count. Of a [`Field::Option`] none may: then it must be there.
    pub mask: Value,
}

/// What a rule matches: all packets, at first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Match {
    fields: BTreeMap<Field, Masked>,
}

impl Match {
    /// All packets.
    pub fn all() -> Self {
        Self::default()
    }

    /// The same with this value of a whole field.
    #[must_use]
    pub fn with(self, field: Field, value: impl Into<Value>) -> Self {
        self.with_masked(field, value.into(), Value::ones(field.bits()))
    }

    /// The same with these bits of a field, added to those asked for already.
    #[must_use]
    pub fn with_slice(self, slice: Slice, value: impl Into<Value>) -> Self {
        let mask = Value::ones(slice.bits) << slice.from;
        self.with_masked(slice.field, value.into() << slice.from, mask)
    }

    /// The same with these bits of a field, added to those asked for already.
    #[must_use]
    pub fn with_masked(mut self, field: Field, value: Value, mask: Value) -> Self {
        let nothing = Masked {
            value: Value::ZERO,
            mask: Value::ZERO,
        };
        let masked = self.fields.entry(field).or_insert(nothing);
        masked.value = masked.value & !mask | value & mask;
        masked.mask = masked.mask | mask;
        self
    }

    /// The same where a Geneve option must be there, whatever it says.
    #[must_use]
    pub fn with_present(self, option: Field) -> Self {
        self.with_masked(option, Value::ZERO, Value::ZERO)
    }

    /// Fields that are looked at, in the order that OpenFlow wants.
    pub fn fields(&self) -> impl Iterator<Item = (Field, Masked)> + '_ {
        self.fields.iter().map(|(field, masked)| (*field, *masked))
    }

    /// What is asked of a field.
    pub fn get(&self, field: Field) -> Option<Masked> {
        self.fields.get(&field).copied()
    }
}

impl fmt::Display for Match {
    /// Much as `ovs-fields(7)` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, masked)) in self.fields().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let Masked { value, mask } = masked;
            if mask.is_zero() {
                write!(f, "{field}")?;
            } else if mask == Value::ones(field.bits()) {
                write!(f, "{field}={value:#x}")?;
            } else {
                write!(f, "{field}={value:#x}/{mask:#x}")?;
            }
        }
        Ok(())
    }
}

/// A rule: what a switch does with the packets that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The table it is in.
    pub table: Table,
    /// Its priority there.
    pub priority: Priority,
    /// Its cookie.
    pub cookie: Cookie,
    /// Seconds without a packet after which it goes; zero for never.
    pub idle_timeout: u16,
    /// Seconds after which it goes; zero for never.
    pub hard_timeout: u16,
    /// The packets it is for.
    pub matches: Match,
    /// What it does with them; nothing drops them.
    pub actions: Vec<Action>,
}

impl fmt::Display for Rule {
    /// Much as `ovs-ofctl dump-flows` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table={}, priority={}", self.table.0, self.priority.0)?;
        if self.cookie.0 != 0 {
            write!(f, ", cookie={:#x}", self.cookie.0)?;
        }
        if self.matches.fields().next().is_some() {
            write!(f, ",{}", self.matches)?;
        }
        f.write_str(" actions=")?;
        if self.actions.is_empty() {
            return f.write_str("drop");
        }
        for (index, action) in self.actions.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{action}")?;
        }
        Ok(())
    }
}
