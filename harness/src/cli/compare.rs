//! `bench compare` and `bench trend`.

use super::arguments::{Compare, Format};
use super::{Outcome, print_json};
use crate::compare::{compare, find, trend, trend_words, words};
use anyhow::{Context, bail};
use ranking::Tolerance;
use std::path::Path;

pub fn run(arguments: &Compare, format: Format) -> anyhow::Result<Outcome> {
    let tolerance = Tolerance::new(arguments.tolerance).context("--tolerance")?;
    let (base, run) = (find(&arguments.base)?, find(&arguments.run)?);
    let comparison = compare(&base, &run, tolerance);
    match format {
        Format::Json => print_json(&comparison)?,
        Format::Text => print!("{}", words(&comparison)),
    }
    Ok(outcome(comparison.has_regressions()))
}

/// A series of runs in a folder, of those that began at a time or later.
pub fn series(folder: &Path, since: Option<&str>, format: Format) -> anyhow::Result<Outcome> {
    let mut runs = find(folder)?;
    if let Some(since) = since {
        // RFC 3339 in UTC sorts as time does, and a day before all times of it.
        runs.retain(|run| run.folder.run.started.as_str() >= since);
        if runs.is_empty() {
            bail!("no run in {} began at {since} or later", folder.display());
        }
    }
    let found = trend(&runs);
    match format {
        Format::Json => print_json(&found)?,
        Format::Text => print!("{}", trend_words(&found)),
    }
    Ok(outcome(found.has_regressions()))
}

fn outcome(has_regressions: bool) -> Outcome {
    if has_regressions {
        Outcome::Failed
    } else {
        Outcome::Good
    }
}
