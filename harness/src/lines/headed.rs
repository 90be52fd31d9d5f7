//! Files of records whose first line says what they are.

use super::{Damage, Lines, LogError, ReadError as LinesError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// A record, some of which begin a file.
pub trait Headed: Serialize + DeserializeOwned {
    /// What the first line says.
    type Header;
    /// Version of the file's schema.
    const SCHEMA: u32;
    /// Name of the file in a run's folder.
    const FILE: &'static str;
    /// The command whose runs have such a file.
    const COMMAND: &'static str;

    /// The header and its version, if this is one.
    fn into_header(self) -> Option<(u32, Self::Header)>;
}

/// Appends to such a file.
#[derive(Debug)]
pub struct Log<R> {
    lines: Lines,
    records: PhantomData<fn(&R)>,
}

impl<R: Headed> Log<R> {
    /// Makes the file in `folder`, which is made as well. A file that is there already is refused.
    ///
    /// # Errors
    /// Where either cannot be made.
    pub fn create(folder: &Path) -> Result<Self, LogError> {
        super::make_folder(folder)?;
        Ok(Self {
            lines: Lines::create(folder.join(R::FILE), true)?,
            records: PhantomData,
        })
    }

    /// Appends one line, in one write, so that a line is there as a whole or is the last one.
    ///
    /// # Errors
    /// Where it cannot be written, as on a full disk.
    pub fn append(&mut self, record: &R) -> Result<(), LogError> {
        self.lines.append(record)
    }
}

/// What was recorded cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{source}; give the folder of a run of `{command}`")]
    Lines {
        /// Why.
        source: LinesError,
        /// Whose runs can be read.
        command: &'static str,
    },
    /// There is no such file.
    #[error("{} is not there; give the folder of a run of `{command}`", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
        /// Whose runs can be read.
        command: &'static str,
    },
    /// It does not begin with a header of this version.
    #[error(
        "{} does not begin with a header of schema {schema}; read it with the version of bench that wrote it",
        path.display()
    )]
    Header {
        /// The file.
        path: PathBuf,
        /// The version that is read.
        schema: u32,
    },
}

/// What a run left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded<H, R> {
    /// The first line.
    pub header: H,
    /// The readable ones of the others, in their order.
    pub records: Vec<R>,
    /// What could not be read.
    pub damage: Damage,
}

impl<R: Headed> Recorded<R::Header, R> {
    /// Reads the file in a run's folder. Lines that cannot be read are skipped and noted.
    ///
    /// # Errors
    /// Where there is no such file, or its version is another.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let path = folder.join(R::FILE);
        let command = R::COMMAND;
        let (records, damage) =
            super::read::<R>(&path).map_err(|source| ReadError::Lines { source, command })?;
        if damage.absent {
            return Err(ReadError::Absent { path, command });
        }
        let mut records = records.into_iter();
        match records.next().and_then(R::into_header) {
            Some((schema, header)) if schema == R::SCHEMA => Ok(Self {
                header,
                records: records.collect(),
                damage,
            }),
            _ => Err(ReadError::Header {
                path,
                schema: R::SCHEMA,
            }),
        }
    }
}
