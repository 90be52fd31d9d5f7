//! The BPF object and its loading.

use aya::maps::{MapData, ProgramArray};
use aya::{Ebpf, EbpfLoader};
use bpf_load::{chain, load_program, program};
use datapath_api::Error;
use mizar_core::tables::Extensions;
use mizar_tables::Entries;
use zerocopy::IntoBytes;

/// The object, if it could be built.
pub fn bytes() -> Option<&'static [u8]> {
    #[cfg(bpf)]
    {
        Some(aya::include_bytes_aligned!(env!("BPF_OBJECT")))
    }
    #[cfg(not(bpf))]
    {
        None
    }
}

/// The object of stages.
pub fn stages() -> Option<&'static [u8]> {
    #[cfg(bpf)]
    {
        Some(aya::include_bytes_aligned!(env!("BPF_STAGES")))
    }
    #[cfg(not(bpf))]
    {
        None
    }
}

/// More entries than there are at first for which there is room: tables may change.
const MORE: usize = 1_024;

/// Members for which there is room twice: for those of tables, and of those that take their place.
pub fn half_of_members(entries: &Entries) -> u32 {
    u32::try_from(entries.members.len() + MORE).unwrap_or(u32::MAX / 2)
}

/// What a droplet with these tables may ever do beyond what Mizar does: the kernel leaves the rest out of its programs. That a
/// host is dead may turn out at any time.
pub fn possible(entries: &Entries) -> Extensions {
    entries.extensions.with_unhealthy()
}

/// Loads the programs of a droplet, with room for these tables.
pub fn load(entries: &Entries) -> Result<Loaded, Error> {
    let programs = [
        "mizar_agent",
        "mizar_agent_decide",
        "mizar_transit",
        "mizar_transit_decide",
    ];
    // In the order of the constants beside PROGRAMS in bpf/mizar-xdp/src/tables.rs.
    let next = [
        (0, "mizar_transit"),
        (1, "mizar_transit_decide"),
        (2, "mizar_agent_decide"),
    ];
    load_object(bytes(), &programs, &next, entries)
}

/// Loads programs of an object, and has some of them go on with these. Maps that only the loader fills have no more room than
/// these tables need: an empty hash table for a million policies takes 16 MiB to set up.
pub fn load_object(
    object: Option<&[u8]>,
    programs: &[&str],
    next: &[(u32, &str)],
    entries: &Entries,
) -> Result<Loaded, Error> {
    let doing = "loading the BPF programs";
    let object = object.ok_or_else(|| {
        Error::failed(
            doing,
            "this program was built without a BPF toolchain; cargo xtask bench",
        )
    })?;
    let room =
        |entries: usize| u32::try_from(entries + MORE).map_err(|error| Error::failed(doing, error));
    let members = 2 * half_of_members(entries);
    let possible = possible(entries);
    let mut ebpf = EbpfLoader::new()
        .override_global("EXTENSIONS", possible.as_bytes(), true)
        .map_max_entries("MEMBERS", members)
        .map_max_entries("ENFORCED", room(entries.enforced.len())?)
        .map_max_entries("PORT_POLICIES", room(entries.ports.len())?)
        .map_max_entries("LABEL_POLICIES", room(entries.labels.len())?)
        .load(object)
        .map_err(|e| Error::failed(doing, chain(&e)))?;
    for name in programs {
        load_program(&mut ebpf, name).map_err(from_load)?;
    }
    let doing = || "linking the programs";
    let map = ebpf
        .take_map("PROGRAMS")
        .ok_or_else(|| Error::failed(doing(), "there is no map"))?;
    let mut programs = ProgramArray::try_from(map).map_err(|e| Error::failed(doing(), e))?;
    for (index, name) in next {
        let next = program(&mut ebpf, name).map_err(from_load)?;
        let next = next.fd().map_err(|e| Error::failed(doing(), e))?;
        programs
            .set(*index, next, 0)
            .map_err(|e| Error::failed(doing(), chain(&e)))?;
    }
    Ok(Loaded {
        ebpf,
        _programs: programs,
    })
}

/// Programs and maps in the kernel.
pub struct Loaded {
    pub ebpf: Ebpf,
    /// The kernel empties a program array when its last descriptor is closed.
    _programs: ProgramArray<MapData>,
}

/// The error as the harness knows it.
pub fn from_load(error: bpf_load::Error) -> Error {
    match error {
        bpf_load::Error::Verifier {
            program,
            reason,
            log,
        } => Error::Verifier {
            program,
            reason,
            log,
        },
        other => Error::failed("loading the BPF programs", other),
    }
}

#[cfg(all(test, bpf))]
mod tests {
    use super::*;
    use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget};

    /// Functions that LLVM calls for large or odd values, which go byte by byte.
    const LOOPS: [&str; 3] = ["memcpy", "memmove", "memset"];

    /// The loops that a program of the object calls; none if there is no such program.
    fn loops(program: &str) -> Option<Vec<String>> {
        let file = object::File::parse(bytes()?).ok()?;
        let symbol = file
            .symbols()
            .find(|symbol| symbol.name() == Ok(program) && symbol.size() > 0)?;
        let section = file.section_by_index(symbol.section_index()?).ok()?;
        let code = symbol.address()..symbol.address() + symbol.size();
        let calls = section.relocations().filter(|(at, _)| code.contains(at));
        let names = calls.filter_map(|(_, relocation)| match relocation.target() {
            RelocationTarget::Symbol(index) => file.symbol_by_index(index).ok()?.name().ok(),
            _ => None,
        });
        let loops = names.filter(|name| LOOPS.contains(name));
        Some(loops.map(str::to_owned).collect())
    }

    /// They were most of what it took to write them.
    #[test]
    fn outer_headers_are_written_without_loops() {
        assert_eq!(loops("mizar_agent"), Some(Vec::new()));
        assert_eq!(loops("mizar_agent_decide"), Some(Vec::new()));
        // Else it would say so of any program.
        let short_header = loops("mizar_transit").unwrap();
        assert!(short_header.contains(&"memmove".to_owned()));
    }
}
