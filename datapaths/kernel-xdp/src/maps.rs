//! Filling the maps, and reading them back.

use crate::object::from_load;
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, PerCpuArray};
use bpf_load::chain;
use datapath_api::{Counters, Error};
use mizar_core::acl::{AclKey, RuleSet};
use mizar_core::reason::Reason;
use mizar_core::tables::{Attachment, CidrKey, EndpointKey, Extensions, Group, Host};
use mizar_tables::Entries;
use mizar_wire::Vni;
use topologies::provision::{self, Cidr, DirectPath};
use zerocopy::{Immutable, IntoBytes};

/// `struct Config` of the BPF programs.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct Config {
    droplet: Host,
    policies: u16,
    acls: u16,
    extensions: Extensions,
}

/// A key of the trie of networks: `struct bpf_lpm_trie_key`.
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

/// What aya may copy in and out of maps: table entries are plain bytes.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

// SAFETY: used for EndpointKey and Host only, which are `repr(C)` without padding.
unsafe impl aya::Pod for Plain<EndpointKey> {}
// SAFETY: as above.
unsafe impl aya::Pod for Plain<Host> {}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a Map, Error> {
    bpf_load::map(ebpf, name).map_err(from_load)
}

fn fill<K, V>(
    ebpf: &Ebpf,
    name: &str,
    entries: impl ExactSizeIterator<Item = (K, V)>,
) -> Result<(), Error>
where
    K: IntoBytes + Immutable,
    V: IntoBytes + Immutable,
{
    bpf_load::fill(ebpf, name, entries).map_err(from_load)
}

/// Enters everything but ports and attachments.
pub fn load(ebpf: &Ebpf, entries: &Entries) -> Result<(), Error> {
    let nothing = Entries::empty(entries.droplet);
    fill(ebpf, "CONFIG", [(0u32, config(entries))].into_iter())?;
    fill(ebpf, "DIRECT_PATHS", entries.direct_paths.iter().copied())?;
    tables(ebpf, &nothing, entries)
}

/// Changes tables from `old` to `new`, but for attachments, and makes programs forget what they decided by the old ones.
/// Groups of the two must lie apart.
pub fn update(ebpf: &Ebpf, old: &Entries, new: &Entries) -> Result<(), Error> {
    tables(ebpf, old, new)?;
    fill(ebpf, "CONFIG", [(0u32, config(new))].into_iter())
}

/// Begins an epoch that none of the programs has reached: they count by one.
pub fn begin_epoch(ebpf: &Ebpf) -> Result<(), Error> {
    const AHEAD: u64 = 1 << 20;
    let doing = || "beginning an epoch";
    let table: Array<_, u64> =
        Array::try_from(map(ebpf, "EPOCH")?).map_err(|e| Error::failed(doing(), e))?;
    let epoch = table.get(&0, 0);
    let epoch = epoch.map_err(|e| Error::failed(doing(), chain(&e)))?;
    fill(
        ebpf,
        "EPOCH",
        [(0u32, epoch.wrapping_add(AHEAD))].into_iter(),
    )
}

fn config(entries: &Entries) -> Config {
    Config {
        droplet: entries.droplet,
        policies: u16::from(!entries.enforced.is_empty()),
        acls: u16::from(!entries.acls.is_empty()),
        extensions: entries.extensions,
    }
}

fn tables(ebpf: &Ebpf, old: &Entries, new: &Entries) -> Result<(), Error> {
    // What refers to members comes after them.
    // An array, from which nothing is removed, of indices, which need their numbers written out.
    let members: Vec<(u32, Host)> = (new.first_member..)
        .zip(new.members.iter().copied())
        .collect();
    fill(ebpf, "MEMBERS", members.into_iter())?;
    refresh(ebpf, "ENFORCED", old, new, |it| it.enforced.clone())?;
    refresh(ebpf, "PORT_POLICIES", old, new, |it| it.ports.clone())?;
    refresh(ebpf, "CIDR_POLICIES", old, new, |it| {
        let prefix = |(key, length, policies): &(CidrKey, u8, u64)| {
            let bits = CidrKey::EXACT_BITS + u32::from(*length);
            (CidrPrefix { bits, key: *key }, *policies)
        };
        it.cidrs.iter().map(prefix).collect()
    })?;
    refresh(ebpf, "LABEL_POLICIES", old, new, |it| it.labels.clone())?;
    refresh(ebpf, "ACL_RULES", old, new, |it| {
        let prefix = |(key, length, rules): &(AclKey, u8, RuleSet)| {
            let bits = AclKey::EXACT_BITS + u32::from(*length);
            (AclPrefix { bits, key: *key }, *rules)
        };
        it.acl_rules.iter().map(prefix).collect()
    })?;
    refresh(ebpf, "ACLS", old, new, |it| {
        let acls = it.acls.iter();
        acls.map(|(vni, cidr, acl)| (network(*vni, *cidr), *acl))
            .collect()
    })?;
    refresh(ebpf, "UNHEALTHY", old, new, |it| {
        it.unhealthy.iter().map(|ip| (*ip, 1u32)).collect()
    })?;
    refresh(ebpf, "SHORT_HEADER_HOSTS", old, new, |it| {
        let hosts = it.short_header_hosts.iter();
        hosts.map(|ip| (*ip, 1u32)).collect()
    })?;
    refresh(ebpf, "NETWORKS", old, new, |it| {
        let networks = it.networks.iter();
        let entry = |(vni, cidr, group): &(Vni, Cidr, Group)| (network(*vni, *cidr), *group);
        networks.map(entry).collect()
    })?;
    refresh(ebpf, "VPCS", old, new, |it| {
        it.vpcs
            .iter()
            .map(|(vni, group)| (vni.get(), *group))
            .collect()
    })?;
    refresh(ebpf, "ENDPOINTS", old, new, |it| it.endpoints.clone())
}

fn network(vni: Vni, cidr: Cidr) -> NetworkPrefix {
    NetworkPrefix {
        bits: 32 + u32::from(cidr.length()),
        key: EndpointKey::new(vni, cidr.address()),
    }
}

fn refresh<K, V>(
    ebpf: &Ebpf,
    name: &str,
    old: &Entries,
    new: &Entries,
    of: impl Fn(&Entries) -> Vec<(K, V)>,
) -> Result<(), Error>
where
    K: IntoBytes + Immutable + Copy,
    V: IntoBytes + Immutable + Copy,
{
    bpf_load::refresh(ebpf, name, &of(old), &of(new)).map_err(from_load)
}

/// Attaches an endpoint to the device with this index, or takes it off with the default.
pub fn set_attachment(ebpf: &Ebpf, index: u32, attachment: Attachment) -> Result<(), Error> {
    fill(ebpf, "ATTACHMENTS", [(index, attachment)].into_iter())
}

/// Lets redirects to `port` leave by the device with this index, of the caller's namespace.
pub fn set_port(ebpf: &Ebpf, port: u32, index: u32) -> Result<(), Error> {
    // `struct bpf_devmap_val` without a second program.
    fill(ebpf, "PORTS", [(port, [index, 0u32])].into_iter())
}

/// The direct-path cache.
pub fn direct_paths(ebpf: &Ebpf) -> Result<Vec<DirectPath>, Error> {
    let doing = || "reading the direct-path cache";
    let table: HashMap<_, Plain<EndpointKey>, Plain<Host>> =
        HashMap::try_from(map(ebpf, "DIRECT_PATHS")?).map_err(|e| Error::failed(doing(), e))?;
    let mut paths = Vec::new();
    for entry in table.iter() {
        let (Plain(key), Plain(host)) = entry.map_err(|e| Error::failed(doing(), chain(&e)))?;
        if let Some(vni) = Vni::new(key.vni()) {
            let host = provision::Host {
                ip: host.ip(),
                mac: host.mac(),
            };
            paths.push(DirectPath {
                vni,
                ip: key.ip(),
                host,
            });
        }
    }
    Ok(paths)
}

/// The counters, summed over processors.
pub fn counters(ebpf: &Ebpf) -> Result<Counters, Error> {
    let doing = || "reading the counters";
    let table: PerCpuArray<_, u64> =
        PerCpuArray::try_from(map(ebpf, "COUNTERS")?).map_err(|e| Error::failed(doing(), e))?;
    let count = |index: usize| -> Result<u64, Error> {
        let values = table
            .get(&(index as u32), 0)
            .map_err(|e| Error::failed(doing(), chain(&e)))?;
        Ok(values.iter().sum())
    };
    let mut refused = Vec::new();
    for reason in Reason::ALL {
        let frames = count(*reason as usize)?;
        if frames > 0 {
            refused.push((reason.text().to_owned(), frames));
        }
    }
    Ok(Counters {
        encapsulated: count(Reason::COUNT)?,
        forwarded: count(Reason::COUNT + 1)?,
        delivered: count(Reason::COUNT + 2)?,
        passed: count(Reason::COUNT + 3)?,
        shaped: count(Reason::COUNT + 4)?,
        refused,
        polling: None,
        switch: None,
    })
}
