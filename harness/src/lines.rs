//! Files of records that grow with a run: JSON, one record a line.
//!
//! Each line is written in one write, with its line break, as soon as something is known. So a line is there as a whole
//! or is the last one, and a failure later loses nothing.

pub mod headed;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// Nothing can be recorded.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}; what was recorded before is kept{hint}", path.display())]
pub struct LogError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
    hint: &'static str,
}

impl LogError {
    /// Says what failed, and what to do about it.
    pub fn new(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ". Free some space, or choose another folder with --out"
            }
            // A folder of the kernel's says that nothing is there.
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::NotFound => ". Choose another folder with --out",
            io::ErrorKind::AlreadyExists => ". Choose a new folder with --out",
            _ => "",
        };
        Self {
            doing,
            path: path.to_owned(),
            source,
            hint,
        }
    }
}

/// Appends to a file of records.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    file: File,
}

impl Lines {
    /// Makes the file. One that is there already is refused if it `must_be_new`, and gone on with otherwise.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn create(path: PathBuf, must_be_new: bool) -> Result<Self, LogError> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).create_new(must_be_new);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(LogError::new("making", &path, error)),
        }
    }

    /// Appends a record as one line, in one write.
    ///
    /// # Errors
    /// Where it cannot be written, as on a full disk.
    pub fn append(&mut self, record: &impl Serialize) -> Result<(), LogError> {
        let failed = |error| LogError::new("writing", &self.path, error);
        let mut line = serde_json::to_vec(record).map_err(|e| failed(io::Error::other(e)))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}

/// Makes the folder of a run.
///
/// # Errors
/// Where it cannot be made.
pub fn make_folder(folder: &Path) -> Result<(), LogError> {
    create_dir_all(folder).map_err(|error| LogError::new("making", folder, error))
}

/// An error if a run's file is there already, as it would be when it is made.
///
/// # Errors
/// See above.
pub fn refuse_run(path: &Path) -> Result<(), LogError> {
    if path.exists() {
        let error = io::Error::from_raw_os_error(libc::EEXIST);
        return Err(LogError::new("making", path, error));
    }
    Ok(())
}

/// A file of records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be opened.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading stopped in the middle of it.
    #[error("cannot read {} at line {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: u64,
        /// Why.
        source: io::Error,
    },
}

/// What could not be read of a file of records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Damage {
    /// The file is absent.
    pub absent: bool,
    /// The last line was cut off: the run was interrupted while it was written.
    pub cut_off: bool,
    /// Lines that are no record, counted from one.
    pub unreadable: Vec<u64>,
}

/// Reads the records of a file in their order. Lines that cannot be read are skipped and noted. A run that ended before
/// its first line has no file, which is no error.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<(Vec<T>, Damage), ReadError> {
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
