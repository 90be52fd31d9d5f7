//! The runs that are compared.

use crate::environment::is_of_the_moment;
use crate::record::Environment;
use crate::report::{RUN, ReadError, RunFolder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Runs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of them.
    #[error(transparent)]
    Run(#[from] ReadError),
    /// The folder.
    #[error("cannot read {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none.
    #[error("{} is neither a run of `bench per-datapath` nor a folder with some", path.display())]
    NoRuns {
        /// The folder.
        path: PathBuf,
    },
}

/// A run and where it is.
pub struct Found {
    /// Its folder.
    pub path: PathBuf,
    /// What it recorded.
    pub folder: RunFolder,
}

/// The run in `path`, or the runs in its folders, the oldest first.
///
/// # Errors
/// Where there is none, or one cannot be read.
pub fn find(path: &Path) -> Result<Vec<Found>, Error> {
    let read = |path: PathBuf| {
        let folder = RunFolder::read(&path)?;
        Ok::<_, Error>(Found { path, folder })
    };
    if path.join(RUN).is_file() {
        return Ok(vec![read(path.to_owned())?]);
    }
    let unreadable = |source| Error::Folder {
        path: path.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.join(RUN).is_file() {
            found.push(read(path)?);
        }
    }
    if found.is_empty() {
        return Err(Error::NoRuns {
            path: path.to_owned(),
        });
    }
    // RFC 3339 in UTC sorts as time does.
    found.sort_by(|one, other| one.folder.run.started.cmp(&other.folder.run.started));
    Ok(found)
}

/// What is noted of the machine, but for what is never the same.
fn notes(environment: &Environment) -> String {
    let notes = environment.notes.iter();
    let lasting = notes.filter(|note| !is_of_the_moment(note));
    lasting.map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// Those that are not the same: what, and both in words.
fn different(pairs: impl IntoIterator<Item = (&'static str, String, String)>) -> Vec<String> {
    let pairs = pairs.into_iter().filter(|(_, one, other)| one != other);
    pairs
        .map(|(what, one, other)| format!("{what}: {one}, then {other}"))
        .collect()
}

/// What is not the same about two machines.
pub fn between_machines(one: &Environment, other: &Environment) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    different([
        ("processor", one.cpu_model.clone(), other.cpu_model.clone()),
        ("processors", one.cpus.to_string(), other.cpus.to_string()),
        ("kernel", one.kernel.clone(), other.kernel.clone()),
        ("system", one.system.clone(), other.system.clone()),
        ("hypervisor", text(&one.hypervisor), text(&other.hypervisor)),
        ("container", text(&one.container), text(&other.container)),
        (
            "clock source",
            one.clock_source.clone(),
            other.clock_source.clone(),
        ),
        ("build", one.build.clone(), other.build.clone()),
        (
            "memory",
            one.memory_mib.to_string(),
            other.memory_mib.to_string(),
        ),
        ("notes", notes(one), notes(other)),
    ])
}

/// What is not the same about two runs, so that a difference may not be the datapaths' doing.
pub fn differences(base: &RunFolder, run: &RunFolder) -> Vec<String> {
    let comparison = |run: &RunFolder| match run.run.comparison {
        Some(how) => format!("trials of {} s, width {}", how.trial_seconds, how.width),
        None => "none".to_owned(),
    };
    let mut differences = between_machines(&base.run.environment, &run.run.environment);
    differences.extend(different([
        ("profile", base.run.profile.clone(), run.run.profile.clone()),
        ("rounds", comparison(base), comparison(run)),
    ]));
    for info in &base.run.datapaths {
        let same = |it: &&crate::record::DatapathInfo| it.name == info.name;
        if let Some(then) = run.run.datapaths.iter().find(same)
            && then.version != info.version
        {
            differences.push(format!(
                "{}: {}, then {}",
                info.name, info.version, then.version
            ));
        }
    }
    differences
}
