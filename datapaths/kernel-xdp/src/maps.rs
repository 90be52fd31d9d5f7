//! Filling the maps, and reading them back.

use crate::object::from_load;
use aya::Ebpf;
use aya::maps::{HashMap, Map, PerCpuArray};
use bpf_load::chain;
use datapath_api::{Counters, Error};
use mizar_core::acl::AclKey;
use mizar_core::reason::Reason;
use mizar_core::tables::{Attachment, CidrKey, EndpointKey, Host};
use mizar_tables::Entries;
use mizar_wire::Vni;
use topologies::provision::{self, DirectPath};
use zerocopy::{Immutable, IntoBytes};

/// `struct Config` of the BPF programs.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct Config {
    droplet: Host,
    policies: u32,
    flows_modified: u64,
    epoch: u64,
    acls: u64,
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
    let config = Config {
        droplet: entries.droplet,
        policies: u32::from(!entries.enforced.is_empty()),
        flows_modified: 0,
        epoch: 0,
        acls: u64::from(!entries.acls.is_empty()),
    };
    fill(ebpf, "CONFIG", [(0u32, config)].into_iter())?;
    fill(ebpf, "ENDPOINTS", entries.endpoints.iter().copied())?;
    // An array of indices needs its numbers written out.
    let members: Vec<(u32, Host)> = (0u32..).zip(entries.members.iter().copied()).collect();
    fill(ebpf, "MEMBERS", members.into_iter())?;
    fill(
        ebpf,
        "NETWORKS",
        entries.networks.iter().map(|(vni, cidr, group)| {
            let key = EndpointKey::new(*vni, cidr.address());
            (
                NetworkPrefix {
                    bits: 32 + u32::from(cidr.length()),
                    key,
                },
                *group,
            )
        }),
    )?;
    fill(
        ebpf,
        "VPCS",
        entries.vpcs.iter().map(|(vni, group)| (vni.get(), *group)),
    )?;
    fill(ebpf, "DIRECT_PATHS", entries.direct_paths.iter().copied())?;
    fill(ebpf, "ENFORCED", entries.enforced.iter().copied())?;
    fill(ebpf, "PORT_POLICIES", entries.ports.iter().copied())?;
    fill(
        ebpf,
        "CIDR_POLICIES",
        entries.cidrs.iter().map(|(key, length, policies)| {
            (
                CidrPrefix {
                    bits: CidrKey::EXACT_BITS + u32::from(*length),
                    key: *key,
                },
                *policies,
            )
        }),
    )?;
    fill(ebpf, "LABEL_POLICIES", entries.labels.iter().copied())?;
    fill(
        ebpf,
        "ACLS",
        entries.acls.iter().map(|(vni, cidr, acl)| {
            let key = EndpointKey::new(*vni, cidr.address());
            let bits = 32 + u32::from(cidr.length());
            (NetworkPrefix { bits, key }, *acl)
        }),
    )?;
    fill(
        ebpf,
        "ACL_RULES",
        entries.acl_rules.iter().map(|(key, length, rules)| {
            let bits = AclKey::EXACT_BITS + u32::from(*length);
            (AclPrefix { bits, key: *key }, *rules)
        }),
    )
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
