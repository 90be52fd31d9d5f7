//! Reading a run's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::lines::{self, Damage};
use crate::record::{Record, Run, SCHEMA};

/// Name of the file that describes the run.
pub const RUN: &str = "run.json";

/// Name of the file that grows with the run.
pub(super) const TRIALS: &str = "trials.jsonl";

/// A run's folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The description of the run is absent or cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was recorded is there and cannot be read.
    #[error(transparent)]
    Lines(#[from] lines::ReadError),
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
    /// The description of the run is cut off.
    #[error(
        "{} is cut off: the run ended, or the disk was full, before anything was measured; make it anew",
        .0.display()
    )]
    CutOff(PathBuf),
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

impl RunFolder {
    /// Reads `run.json` and `trials.jsonl` in `dir`. Unreadable lines of the latter are skipped and noted.
    pub fn read(dir: &Path) -> Result<Self, ReadError> {
        let run = read_run(&dir.join(RUN))?;
        let (records, damage) = lines::read(&dir.join(TRIALS))?;
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
    let format = |source: serde_json::Error| match source.is_eof() {
        true => ReadError::CutOff(path.to_owned()),
        false => ReadError::Format {
            path: path.to_owned(),
            line: source.line(),
            source,
        },
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
