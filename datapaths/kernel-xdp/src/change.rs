//! From tables to others, entry by entry, while programs run.
//!
//! What denies comes in before what it guards, and goes after it. Rules of access lists lie beside those that they replace and
//! are entered before a list refers to them, so a network is judged by one list or the other, and never by half of one. What
//! cannot be entered is known before anything is, where it is for want of room, and taken back where it is not.

use datapath_api::Error;
use mizar_core::acl::{AclKey, RuleSet};
use mizar_core::tables::{CidrKey, EndpointKey, Extensions, Group, Host};
use mizar_tables::Entries;
use mizar_wire::Vni;
use std::collections::{HashMap, HashSet};
use topologies::provision::Cidr;
use zerocopy::{Immutable, IntoBytes};

#[cfg(test)]
mod tests;

/// Where entries are: maps of the kernel, but for tests.
pub trait Maps {
    /// How many entries a map has room for.
    fn room(&self, map: &str) -> Result<usize, Error>;
    /// Enters all of `rows`.
    fn enter(&mut self, map: &str, rows: &Rows) -> Result<(), Error>;
    /// Removes an entry, if it is there.
    fn remove(&mut self, map: &str, key: &[u8]) -> Result<(), Error>;
    /// Returns when no program runs any more that may have read entries as they were.
    fn wait_for_programs(&mut self);
}

/// Entries as they lie in a map, one behind the other.
#[derive(Default)]
pub struct Rows {
    pub count: usize,
    pub keys: Vec<u8>,
    pub values: Vec<u8>,
}

/// `struct Config` of the BPF programs.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct Config {
    droplet: Host,
    policies: u16,
    acls: u16,
    extensions: Extensions,
}

/// A key of the trie of networks, or of that of access lists: `struct bpf_lpm_trie_key`.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct NetworkPrefix {
    bits: u32,
    key: EndpointKey,
}

/// A key of the trie of policies.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct CidrPrefix {
    bits: u32,
    key: CidrKey,
}

/// A key of the trie of rules of access lists.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct AclPrefix {
    bits: u32,
    key: AclKey,
}

/// How a map changes: what is other or more, and what is no more.
struct Change {
    map: &'static str,
    enters: Rows,
    leaves: Vec<Vec<u8>>,
    /// Entries while both are there.
    most: usize,
}

impl Change {
    fn new<K, V>(map: &'static str, old: &[(K, V)], new: &[(K, V)]) -> Self
    where
        K: IntoBytes + Immutable,
        V: IntoBytes + Immutable,
    {
        let mut known: HashMap<&[u8], &[u8]> = HashMap::with_capacity(old.len());
        known.extend(
            old.iter()
                .map(|(key, value)| (key.as_bytes(), value.as_bytes())),
        );
        let mut enters = Rows::default();
        let mut most = old.len();
        for (key, value) in new {
            let before = known.get(key.as_bytes());
            most += usize::from(before.is_none());
            if before != Some(&value.as_bytes()) {
                enters.count += 1;
                enters.keys.extend_from_slice(key.as_bytes());
                enters.values.extend_from_slice(value.as_bytes());
            }
        }
        let stays: HashSet<&[u8]> = new.iter().map(|(key, _)| key.as_bytes()).collect();
        let leaves = old.iter().map(|(key, _)| key.as_bytes());
        let leaves = leaves.filter(|key| !stays.contains(key));
        Self {
            map,
            enters,
            leaves: leaves.map(<[u8]>::to_vec).collect(),
            most,
        }
    }

    fn check_room(&self, maps: &impl Maps) -> Result<(), Error> {
        let (map, most, room) = (self.map, self.most, maps.room(self.map)?);
        if most <= room {
            return Ok(());
        }
        Err(Error::Capacity(format!(
            "{most} entries of {map}, old ones and new ones, with room for {room}; install the droplet anew"
        )))
    }

    fn enter(&self, maps: &mut impl Maps) -> Result<(), Error> {
        if self.enters.count == 0 {
            return Ok(());
        }
        maps.enter(self.map, &self.enters)
    }

    fn leave(&self, maps: &mut impl Maps) -> Result<(), Error> {
        self.leaves
            .iter()
            .try_for_each(|key| maps.remove(self.map, key))
    }

    fn refresh(&self, maps: &mut impl Maps) -> Result<(), Error> {
        self.enter(maps)?;
        self.leave(maps)
    }
}

/// Changes tables from `old` to `new`, or leaves them as they are where that fails. Rules of access lists stay until
/// [`clean_up`]: programs may hold on to a list that they found before.
///
/// # Errors
/// [`Error::Capacity`] for want of room; or the kernel's refusal.
pub fn tables(maps: &mut impl Maps, old: &Entries, new: &Entries) -> Result<(), Error> {
    let changed = try_tables(maps, old, new);
    if matches!(&changed, Err(error) if !matches!(error, Error::Capacity(_))) {
        // What was there has room, and is told the first error whatever becomes of this.
        let _ = try_tables(maps, new, old).and_then(|()| clean_up(maps, new, old));
    }
    changed
}

fn try_tables(maps: &mut impl Maps, old: &Entries, new: &Entries) -> Result<(), Error> {
    let policies = [
        Change::new("ENFORCED", &old.enforced, &new.enforced),
        Change::new("PORT_POLICIES", &old.ports, &new.ports),
        Change::new("CIDR_POLICIES", &cidrs(old), &cidrs(new)),
        Change::new("LABEL_POLICIES", &old.labels, &new.labels),
    ];
    let rules = Change::new("ACL_RULES", &acl_rules(old), &acl_rules(new));
    let acls = Change::new("ACLS", &acls(old), &acls(new));
    let ways = [
        Change::new("UNHEALTHY", &flags(&old.unhealthy), &flags(&new.unhealthy)),
        Change::new(
            "SHORT_HEADER_HOSTS",
            &flags(&old.short_header_hosts),
            &flags(&new.short_header_hosts),
        ),
        Change::new("NETWORKS", &networks(old), &networks(new)),
        Change::new("VPCS", &vpcs(old), &vpcs(new)),
        Change::new("ENDPOINTS", &old.endpoints, &new.endpoints),
    ];
    for change in policies.iter().chain([&rules, &acls]).chain(&ways) {
        change.check_room(maps)?;
    }

    // What nothing refers to yet. Members are an array, from which nothing is removed.
    let members = (new.first_member..).zip(new.members.iter().copied());
    Change::new("MEMBERS", &[], &members.collect::<Vec<_>>()).enter(maps)?;
    rules.enter(maps)?;
    // Programs look for policies and lists while old or new tables have some.
    let config = Config {
        policies: u16::from(has_policies(old) || has_policies(new)),
        acls: u16::from(has_acls(old) || has_acls(new)),
        ..config(old)
    };
    Change::new("CONFIG", &[], &[(0u32, config)]).enter(maps)?;
    for change in &policies {
        change.refresh(maps)?;
    }
    acls.enter(maps)?;
    if acls.enters.count > 0 {
        // One that found no list must not find the endpoint that it guards.
        maps.wait_for_programs();
    }
    for change in &ways {
        change.refresh(maps)?;
    }
    acls.leave(maps)?;
    Change::new("CONFIG", &[], &[(0u32, self::config(new))]).enter(maps)
}

/// Takes rules out that only lists of `old` refer to.
///
/// # Errors
/// The kernel's refusal.
pub fn clean_up(maps: &mut impl Maps, old: &Entries, new: &Entries) -> Result<(), Error> {
    let rules = Change::new("ACL_RULES", &acl_rules(old), &acl_rules(new));
    if rules.leaves.is_empty() {
        return Ok(());
    }
    maps.wait_for_programs();
    rules.leave(maps)
}

fn config(entries: &Entries) -> Config {
    Config {
        droplet: entries.droplet,
        policies: u16::from(has_policies(entries)),
        acls: u16::from(has_acls(entries)),
        extensions: entries.extensions,
    }
}

fn has_policies(entries: &Entries) -> bool {
    !entries.enforced.is_empty()
}

fn has_acls(entries: &Entries) -> bool {
    !entries.acls.is_empty()
}

fn cidrs(entries: &Entries) -> Vec<(CidrPrefix, u64)> {
    let prefix = |(key, length, policies): &(CidrKey, u8, u64)| {
        let bits = CidrKey::EXACT_BITS + u32::from(*length);
        (CidrPrefix { bits, key: *key }, *policies)
    };
    entries.cidrs.iter().map(prefix).collect()
}

fn acl_rules(entries: &Entries) -> Vec<(AclPrefix, RuleSet)> {
    let prefix = |(key, length, rules): &(AclKey, u8, RuleSet)| {
        let bits = AclKey::EXACT_BITS + u32::from(*length);
        (AclPrefix { bits, key: *key }, *rules)
    };
    entries.acl_rules.iter().map(prefix).collect()
}

fn acls(entries: &Entries) -> Vec<(NetworkPrefix, mizar_core::acl::Acl)> {
    let acls = entries.acls.iter();
    acls.map(|(vni, cidr, acl)| (network(*vni, *cidr), *acl))
        .collect()
}

fn networks(entries: &Entries) -> Vec<(NetworkPrefix, Group)> {
    let networks = entries.networks.iter();
    networks
        .map(|(vni, cidr, group)| (network(*vni, *cidr), *group))
        .collect()
}

fn network(vni: Vni, cidr: Cidr) -> NetworkPrefix {
    NetworkPrefix {
        bits: 32 + u32::from(cidr.length()),
        key: EndpointKey::new(vni, cidr.address()),
    }
}

fn vpcs(entries: &Entries) -> Vec<(u32, Group)> {
    let vpcs = entries.vpcs.iter();
    vpcs.map(|(vni, group)| (vni.get(), *group)).collect()
}

/// Addresses of which nothing but their presence counts.
fn flags(addresses: &[mizar_wire::Ipv4]) -> Vec<(mizar_wire::Ipv4, u32)> {
    addresses.iter().map(|ip| (*ip, 1)).collect()
}
