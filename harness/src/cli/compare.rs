//! `bench compare` and `bench trend`.

use super::arguments::{Compare, Format};
use super::{Outcome, print_json};
use crate::compare::{compare, find, trend, trend_words, words};
use anyhow::Context;
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

/// A series of runs in a folder.
pub fn series(folder: &Path, format: Format) -> anyhow::Result<Outcome> {
    let found = trend(&find(folder)?);
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
