//! Reading a run's folder.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::record::{Record, Run, SCHEMA};

/// Name of the file that describes the run.
const RUN: &str = "run.json";

/// Name of the file that grows with the run.
const TRIALS: &str = "trials.jsonl";

/// A run's folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file is absent or cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading stopped in the middle of a file.
    #[error("cannot read {} at line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// The description of the run is not what this program writes.
    #[error("{} line {line}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A newer program wrote the run; its figures could be misread.
    #[error(
        "{} has schema {found}, but this program reads up to {SCHEMA}: use the version of bench that made the run, or a newer one",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: u64,
    },
}

/// What a run left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFolder {
    /// `run.json`.
    pub run: Run,
    /// The readable lines of `trials.jsonl`, in their order.
    pub records: Vec<Record>,
    /// What could not be read of `trials.jsonl`.
    pub damage: Damage,
}

/// What could not be read of `trials.jsonl`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The file is absent.
    pub absent: bool,
    /// The last line was cut off: the run was interrupted while it was written.
    pub cut_off: bool,
    /// Lines that are no record, counted from one.
    pub unreadable: Vec<u64>,
}

impl RunFolder {
    /// Reads `run.json` and `trials.jsonl` in `dir`. Unreadable lines of the latter are skipped and noted.
    pub fn read(dir: &Path) -> Result<Self, ReadError> {
        let run = read_run(&dir.join(RUN))?;
        let (records, damage) = read_records(&dir.join(TRIALS))?;
        Ok(Self {
            run,
            records,
            damage,
        })
    }
}

/// Reads `run.json`, its schema before anything else.
fn read_run(path: &Path) -> Result<Run, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let text = fs::read(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })?;
    let format = |source: serde_json::Error| ReadError::Format {
        path: path.to_owned(),
        line: source.line(),
        source,
    };
    let head: Head = serde_json::from_slice(&text).map_err(format)?;
    if head.schema > u64::from(SCHEMA) {
        return Err(ReadError::NewerSchema {
            path: path.to_owned(),
            found: head.schema,
        });
    }
    serde_json::from_slice(&text).map_err(format)
}

/// Reads `trials.jsonl` line by line. A run that ended before its first line has none, which is no error.
fn read_records(path: &Path) -> Result<(Vec<Record>, Damage), ReadError> {
    let mut records = Vec::new();
    let mut damage = Damage::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            damage.absent = true;
            return Ok((records, damage));
        }
        Err(source) => {
            return Err(ReadError::File {
                path: path.to_owned(),
                source,
            });
        }
    };
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| ReadError::Line {
            path: path.to_owned(),
            line,
            source,
        })?;
        if read == 0 {
            break;
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice(&bytes) {
            Ok(record) => records.push(record),
            // Each line is written with its line break, so one without is the last and incomplete.
            Err(_) if !bytes.ends_with(b"\n") => damage.cut_off = true,
            Err(_) => damage.unreadable.push(line),
        }
    }
    Ok((records, damage))
}
