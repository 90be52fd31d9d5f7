//! Access lists of networks: what may enter a network from others of its VPC.
//!
//! A list of a thousand rules is not searched. Each rule is a bit, and there is a table for each of the three things that
//! rules ask about: where a packet comes from, where it goes, and what it is. An entry of such a table says, for a prefix,
//! which rules say yes to it; for the prefix that holds everything there always is one. Three lookups of the longest prefix
//! give three sets; the lowest bit that is in all three is the first rule that matches. So a packet costs the same whether
//! there are ten rules or a thousand (T. V. Lakshman and D. Stiliadis, "High-Speed Policy-based Packet Forwarding Using
//! Efficient Multi-dimensional Range Matching", SIGCOMM 1998).

use crate::flow::FlowKey;
use crate::reason::Reason;
use crate::tables::{EndpointKey, Tables};
use mizar_wire::Ipv4;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Words of a set.
const WORDS: usize = 16;

/// A set of rules, of which the first is the lowest bit of the first word. Empty by default.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct RuleSet([u64; WORDS]);

impl RuleSet {
    /// Rules that a set has room for.
    pub const RULES: usize = WORDS * 64;

    /// Adds a rule, of which there are at most [`Self::RULES`]; one beyond is left out.
    pub fn insert(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule / 64) {
            *word |= 1 << (rule % 64);
        }
    }

    /// Adds all rules of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }
}

/// The access list of a network, but for what its rules match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Acl {
    number: u32,
    address: u32,
    mask: u32,
    allows: u32,
    allowing: RuleSet,
}

impl Acl {
    /// The list with this number, of the network with this address and mask, both as they lie in a packet. `allows` is its
    /// default, and `allowing` has the rules that allow.
    pub const fn new(
        number: u32,
        address: Ipv4,
        mask: Ipv4,
        allows: bool,
        allowing: RuleSet,
    ) -> Self {
        Self {
            number,
            address: address.raw(),
            mask: mask.raw(),
            allows: allows as u32,
            allowing,
        }
    }

    /// Its number.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The same list with this number.
    pub const fn with_number(self, number: u32) -> Self {
        Self { number, ..self }
    }

    /// Whether `address` lies in the network.
    #[inline(always)]
    const fn holds(&self, address: Ipv4) -> bool {
        address.raw() & self.mask == self.address
    }

    /// The first rule that is in all sets decides, or the default.
    #[inline(always)]
    fn sentence(&self, from: &RuleSet, to: &RuleSet, service: &RuleSet) -> bool {
        let mut at = 0;
        while at < WORDS {
            let matching = from.0[at] & to.0[at] & service.0[at];
            if matching != 0 {
                let first = matching & matching.wrapping_neg();
                return self.allowing.0[at] & first != 0;
            }
            at += 1;
        }
        self.allows != 0
    }
}

/// What a table of rules is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Dimension {
    /// The source address.
    From,
    /// The destination address.
    To,
    /// Protocol and destination port.
    Service,
}

/// Key of a table of rules: everything but the value must match exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct AclKey {
    /// Number of the list.
    pub acl: u32,
    /// A [`Dimension`].
    pub dimension: u32,
    /// An address as it lies in a packet; or protocol, port and a zero, as they lie in memory.
    pub value: u32,
}

impl AclKey {
    /// Bits of the key before the value.
    pub const EXACT_BITS: u32 = 64;

    /// An address, or its prefix.
    #[inline(always)]
    pub const fn address(acl: u32, dimension: Dimension, address: Ipv4) -> Self {
        Self {
            acl,
            dimension: dimension as u32,
            value: address.raw(),
        }
    }

    /// A protocol, 8 bits, and a destination port, the next 16.
    #[inline(always)]
    pub const fn service(acl: u32, protocol: u8, port: u16) -> Self {
        let [high, low] = port.to_be_bytes();
        Self {
            acl,
            dimension: Dimension::Service as u32,
            value: u32::from_ne_bytes([protocol, high, low, 0]),
        }
    }
}

/// Judges a packet of `flow` by the list of the network that it goes to, if that has one here and the packet comes from
/// outside.
///
/// # Errors
/// [`Reason::AclDenied`].
#[inline(always)]
pub fn judge<T: Tables>(tables: &T, flow: &FlowKey) -> Result<(), Reason> {
    let Some(acl) = tables.acl(&EndpointKey::new(flow.vni(), flow.dst())) else {
        return Ok(());
    };
    if acl.holds(flow.src()) {
        return Ok(());
    }
    let number = acl.number;
    let from = tables.acl_rules(&AclKey::address(number, Dimension::From, flow.src()));
    let to = tables.acl_rules(&AclKey::address(number, Dimension::To, flow.dst()));
    let service = AclKey::service(number, flow.protocol(), flow.dst_port().get());
    let allowed = match (from, to, tables.acl_rules(&service)) {
        (Some(from), Some(to), Some(service)) => acl.sentence(from, to, service),
        // A list has an entry for every value, so this one is just being taken away: who decides anew finds another.
        _ => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(Reason::AclDenied)
    }
}
