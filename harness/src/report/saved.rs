//! Writing a report's files.

use super::PLOTS;
use super::plots::{Picture, PlotError};
use crate::lines::headed;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A report on a run whose file has a header cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was recorded cannot be read.
    #[error(transparent)]
    Read(#[from] headed::ReadError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The document cannot be put together.
    #[error("cannot put the report together")]
    Format(#[from] std::fmt::Error),
    /// A file cannot be written.
    #[error("cannot write {}: {source}; free some space, or make the folder writable", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<Unsaved> for Error {
    fn from(Unsaved { path, source }: Unsaved) -> Self {
        Self::Write { path, source }
    }
}

/// A file or folder that cannot be written.
pub(super) struct Unsaved {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Writes a file in place of an earlier one; where it is.
pub(super) fn save(path: PathBuf, content: &str) -> Result<PathBuf, Unsaved> {
    match fs::write(&path, content) {
        Ok(()) => Ok(path),
        Err(source) => Err(Unsaved { path, source }),
    }
}

/// Writes pictures into their folder in the folder of a run.
pub(super) fn save_plots<'a>(
    folder: &Path,
    pictures: impl Iterator<Item = &'a Picture>,
) -> Result<Vec<PathBuf>, Unsaved> {
    let plots = folder.join(PLOTS);
    if let Err(source) = fs::create_dir_all(&plots) {
        let path = plots;
        return Err(Unsaved { path, source });
    }
    pictures
        .map(|picture| save(plots.join(format!("{}.svg", picture.file)), &picture.svg))
        .collect()
}
