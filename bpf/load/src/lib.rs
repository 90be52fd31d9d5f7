//! Loading BPF programs and filling maps: what aya leaves to do.

mod batch;

use aya::Ebpf;
use aya::maps::{Map, MapData};
use aya::programs::{ProgramError, SchedClassifier, Xdp};
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
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
    batch::update(descriptor(ebpf, name)?, entries).map_err(|source| Error::Fill {
        map: name.to_owned(),
        count,
        source,
    })
}

/// Makes the map of this name, which holds `old`, hold `new`: what is other or more is entered, and then what is no more is
/// removed.
///
/// # Errors
/// As [`fill`].
pub fn refresh<K, V>(ebpf: &Ebpf, name: &str, old: &[(K, V)], new: &[(K, V)]) -> Result<(), Error>
where
    K: IntoBytes + Immutable + Copy,
    V: IntoBytes + Immutable + Copy,
{
    let known: HashMap<&[u8], &[u8]> = old
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
        .collect();
    let is_known = |(key, value): &&(K, V)| known.get(key.as_bytes()) == Some(&value.as_bytes());
    let others: Vec<_> = new
        .iter()
        .filter(|entry| !is_known(entry))
        .copied()
        .collect();
    fill(ebpf, name, others.into_iter())?;
    let stays: HashSet<&[u8]> = new.iter().map(|(key, _)| key.as_bytes()).collect();
    let fd = descriptor(ebpf, name)?;
    for (key, _) in old
        .iter()
        .filter(|(key, _)| !stays.contains(key.as_bytes()))
    {
        batch::delete(fd, key).map_err(|source| Error::Fill {
            map: name.to_owned(),
            count: 1,
            source,
        })?;
    }
    Ok(())
}

fn descriptor<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, Error> {
    let data: &MapData = match map(ebpf, name)? {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::DevMap(data) => data,
        _ => return Err(Error::Absent(format!("map {name}"))),
    };
    Ok(data.fd().as_fd())
}
