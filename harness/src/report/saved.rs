//! Writing a report's files.

use super::PLOTS;
use super::folder::ReadError;
use super::plots::{Picture, PlotError};
use crate::lines::{LogError, headed, make_folder};
use std::fs;
use std::path::{Path, PathBuf};

/// A report cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A run whose file has a header cannot be read.
    #[error(transparent)]
    Headed(#[from] headed::ReadError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A document cannot be put together.
    #[error("cannot put the report together")]
    Format(#[from] std::fmt::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] LogError),
}

/// Writes a file in place of an earlier one; where it is.
pub(super) fn save(path: PathBuf, content: &str) -> Result<PathBuf, Error> {
    match fs::write(&path, content) {
        Ok(()) => Ok(path),
        Err(error) => Err(LogError::new("writing", &path, error).into()),
    }
}

/// Writes pictures into their folder in the folder of a run.
pub(super) fn save_plots<'a>(
    folder: &Path,
    pictures: impl Iterator<Item = &'a Picture>,
) -> Result<Vec<PathBuf>, Error> {
    let plots = folder.join(PLOTS);
    make_folder(&plots)?;
    pictures
        .map(|picture| save(plots.join(format!("{}.svg", picture.file)), &picture.svg))
        .collect()
}
