//! Loading BPF programs and filling maps: what aya leaves to do.

mod batch;

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use std::os::fd::AsFd;
use zerocopy::{Immutable, IntoBytes};

/// What the kernel did not take.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object has no such map or program, or one of another type.
    #[error("the BPF object has no {0} of the expected type")]
    Absent(String),
    /// The verifier refused a program.
    #[error("the kernel's verifier refused {program}: {reason}\n{log}")]
    Verifier {
        /// Which program.
        program: String,
        /// The kernel's error.
        reason: String,
        /// What the verifier said.
        log: String,
    },
    /// A map could not be filled.
    #[error("entering {count} entries into the map {map}: {source}")]
    Fill {
        /// Which map.
        map: String,
        /// How many entries.
        count: usize,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// Anything else.
    #[error("{doing}: {reason}")]
    Failed {
        /// What was tried.
        doing: String,
        /// What was answered.
        reason: String,
    },
}

impl Error {
    /// `doing` failed with `error`, whose causes are written out.
    pub fn failed(doing: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self::Failed {
            doing: doing.into(),
            reason: chain(error),
        }
    }
}

/// An error with everything that caused it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The XDP program of this name.
///
/// # Errors
/// [`Error::Absent`].
pub fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, Error> {
    ebpf.program_mut(name)
        .and_then(|program| <&mut Xdp>::try_from(program).ok())
        .ok_or_else(|| Error::Absent(format!("program {name}")))
}

/// The program for the queueing layer of this name.
///
/// # Errors
/// [`Error::Absent`].
pub fn classifier<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, Error> {
    ebpf.program_mut(name)
        .and_then(|program| <&mut SchedClassifier>::try_from(program).ok())
        .ok_or_else(|| Error::Absent(format!("program {name}")))
}

/// Loads the XDP program of this name.
///
/// # Errors
/// [`Error::Verifier`] with the verifier's log, or another.
pub fn load_program(ebpf: &mut Ebpf, name: &str) -> Result<(), Error> {
    let result = program(ebpf, name)?.load();
    result.map_err(|error| refused(name, error))
}

/// Loads the program for the queueing layer of this name.
///
/// # Errors
/// [`Error::Verifier`] with the verifier's log, or another.
pub fn load_classifier(ebpf: &mut Ebpf, name: &str) -> Result<(), Error> {
    let result = classifier(ebpf, name)?.load();
    result.map_err(|error| refused(name, error))
}

fn refused(name: &str, error: ProgramError) -> Error {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => Error::Verifier {
            program: name.to_owned(),
            reason: io_error.to_string(),
            log: verifier_log.to_string(),
        },
        other => Error::failed(format!("loading {name}"), &other),
    }
}

/// The map of this name.
///
/// # Errors
/// [`Error::Absent`].
pub fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a Map, Error> {
    ebpf.map(name)
        .ok_or_else(|| Error::Absent(format!("map {name}")))
}

/// Enters `entries` into the map of this name, with one system call where the kernel can. Keys and values
/// must have the map's sizes.
///
/// # Errors
/// [`Error::Fill`], such as for a full map.
pub fn fill<K, V>(
    ebpf: &Ebpf,
    name: &str,
    entries: impl ExactSizeIterator<Item = (K, V)>,
) -> Result<(), Error>
where
    K: IntoBytes + Immutable,
    V: IntoBytes + Immutable,
{
    let count = entries.len();
    let (keys, values): (Vec<K>, Vec<V>) = entries.unzip();
    let (keys, values) = (keys.as_slice().as_bytes(), values.as_slice().as_bytes());
    enter(ebpf, name, count, keys, values)
}

/// Enters `count` entries into the map of this name: keys and values one behind the other, as large as those of the map.
///
/// # Errors
/// As [`fill`].
pub fn enter(
    ebpf: &Ebpf,
    name: &str,
    count: usize,
    keys: &[u8],
    values: &[u8],
) -> Result<(), Error> {
    let fd = data(ebpf, name)?.fd().as_fd();
    batch::update(fd, count, keys, values).map_err(|source| Error::Fill {
        map: name.to_owned(),
        count,
        source,
    })
}

/// Removes the entry of `key` from the map of this name; that there is none is no error.
///
/// # Errors
/// The kernel's refusal.
pub fn remove(ebpf: &Ebpf, name: &str, key: &[u8]) -> Result<(), Error> {
    let fd = data(ebpf, name)?.fd().as_fd();
    batch::delete(fd, key)
        .map_err(|error| Error::failed(format!("removing an entry from the map {name}"), &error))
}

/// How many entries the map of this name has room for.
///
/// # Errors
/// [`Error::Absent`], or the kernel does not tell.
pub fn room(ebpf: &Ebpf, name: &str) -> Result<u32, Error> {
    let info = data(ebpf, name)?.info();
    let info = info.map_err(|error| Error::failed(format!("asking for the map {name}"), &error))?;
    Ok(info.max_entries())
}

/// Returns once every program has ended that had begun before: it may have read maps as they were. Where the kernel does not
/// offer that (`nohz_full`), it returns at once.
pub fn wait_for_programs() {
    /// `MEMBARRIER_CMD_GLOBAL` of include/uapi/linux/membarrier.h, which is `synchronize_rcu`.
    const GLOBAL: libc::c_long = 1;
    // SAFETY: takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
}

fn data<'a>(ebpf: &'a Ebpf, name: &str) -> Result<&'a MapData, Error> {
    match map(ebpf, name)? {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::DevMap(data) => Ok(data),
        _ => Err(Error::Absent(format!("map {name}"))),
    }
}
