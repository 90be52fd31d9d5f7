//! The runs of the gallery.

use crate::decide::FlowSetups;
use crate::flow_setup;
use crate::lines::headed;
use crate::record::SCHEMA;
use crate::report::{self, RunFolder};
use crate::stages;
use std::path::{Path, PathBuf};

/// The gallery cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A run.
    #[error("{}: {source}", folder.display())]
    Run {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: report::ReadError,
    },
    /// A run of another sort.
    #[error("{}: {source}", folder.display())]
    Lines {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: headed::ReadError,
    },
    /// A run that decides nothing.
    #[error("{}: {reason}", folder.display())]
    Unfit {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        reason: String,
    },
    /// There is nothing.
    #[error(
        "there is no gallery in {}: expected a folder with runs called standard or quick, overlays, flow-setup or stages, such as results", folder.display()
    )]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
    /// A run of another time.
    #[error(
        "{} has schema {found}, and this program writes {SCHEMA}: make the gallery anew (cargo xtask gallery)",
        folder.display()
    )]
    Schema {
        /// Its folder.
        folder: PathBuf,
        /// Its version.
        found: u32,
    },
}

/// Runs that were made on one machine, each with the name of its folder; those that are not there are left out.
#[derive(Default)]
pub struct Gallery {
    /// Datapaths on a host alone: that of profile standard, or else quick.
    pub alone: Option<RunFolder>,
    /// Whole overlays.
    pub overlays: Option<RunFolder>,
    /// New flows.
    pub flow_setup: Option<FlowSetups>,
    /// Stages of the core.
    pub stages: Option<stages::record::Recorded>,
}

impl Gallery {
    /// Reads the runs in `folder`.
    ///
    /// # Errors
    /// Where one of those that are there cannot be read, is of another schema, or decides nothing.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let alone = match run(&folder.join("standard"))? {
            Some(standard) => Some(standard),
            None => run(&folder.join("quick"))?,
        };
        let gallery = Self {
            alone,
            overlays: run(&folder.join("overlays"))?,
            flow_setup: flow_setup(&folder.join("flow-setup"))?,
            stages: stages(&folder.join("stages"))?,
        };
        let Self {
            alone: None,
            overlays: None,
            flow_setup: None,
            stages: None,
        } = gallery
        else {
            return Ok(gallery);
        };
        Err(Error::Nothing {
            folder: folder.to_owned(),
        })
    }
}

fn run(folder: &Path) -> Result<Option<RunFolder>, Error> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let run = RunFolder::read(folder).map_err(|source| Error::Run {
        folder: folder.to_owned(),
        source,
    })?;
    if run.run.schema != SCHEMA {
        return Err(Error::Schema {
            folder: folder.to_owned(),
            found: run.run.schema,
        });
    }
    Ok(Some(run))
}

fn flow_setup(folder: &Path) -> Result<Option<FlowSetups>, Error> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let recorded = flow_setup::record::Recorded::read(folder).map_err(|source| Error::Lines {
        folder: folder.to_owned(),
        source,
    })?;
    let setups = FlowSetups::new(recorded).map_err(|error| Error::Unfit {
        folder: folder.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Some(setups))
}

fn stages(folder: &Path) -> Result<Option<stages::record::Recorded>, Error> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let recorded = stages::record::Recorded::read(folder);
    let recorded = recorded.map_err(|source| Error::Lines {
        folder: folder.to_owned(),
        source,
    })?;
    if !recorded.header.environment.is_optimised() {
        return Err(Error::Unfit {
            folder: folder.to_owned(),
            reason: "the program was not optimised".to_owned(),
        });
    }
    Ok(Some(recorded))
}
