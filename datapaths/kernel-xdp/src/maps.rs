//! Filling the maps, and reading them back.

use crate::change::{self, Maps, Rows};
use crate::object::from_load;
use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, PerCpuArray};
use bpf_load::chain;
use datapath_api::{Counters, Error};
use mizar_core::reason::Reason;
use mizar_core::tables::{Attachment, EndpointKey, Host};
use mizar_tables::Entries;
use mizar_wire::Vni;
use topologies::provision::{self, DirectPath};
use zerocopy::{Immutable, IntoBytes};

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
    fill(ebpf, "DIRECT_PATHS", entries.direct_paths.iter().copied())?;
    change::tables(&mut Kernel(ebpf), &nothing, entries)
}

/// Changes tables from `old` to `new`, but for attachments. Groups and changed access lists of the two must lie apart. The
/// droplet has either, or where the kernel refuses something what it had before.
pub fn update(ebpf: &Ebpf, old: &Entries, new: &Entries) -> Result<(), Error> {
    change::tables(&mut Kernel(ebpf), old, new)
}

/// Takes out what only tables before `new` had, once nothing refers to it any more.
pub fn clean_up(ebpf: &Ebpf, old: &Entries, new: &Entries) -> Result<(), Error> {
    change::clean_up(&mut Kernel(ebpf), old, new)
}

/// The maps of a droplet.
struct Kernel<'a>(&'a Ebpf);

impl Maps for Kernel<'_> {
    fn room(&self, map: &str) -> Result<usize, Error> {
        let room = bpf_load::room(self.0, map).map_err(from_load)?;
        Ok(room as usize)
    }

    fn enter(&mut self, map: &str, rows: &Rows) -> Result<(), Error> {
        let entered = bpf_load::enter(self.0, map, rows.count, &rows.keys, &rows.values);
        entered.map_err(from_load)
    }

    fn remove(&mut self, map: &str, key: &[u8]) -> Result<(), Error> {
        bpf_load::remove(self.0, map, key).map_err(from_load)
    }

    fn wait_for_programs(&mut self) {
        bpf_load::wait_for_programs();
    }
}

/// Begins an epoch that none of the programs has reached: they count by one. In 64 bits it never comes round.
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
