//! `bench report`, and what a run prints at its end.

use super::arguments::Format;
use super::{Outcome, print_json};
use crate::report::{self, RunFolder, Written};
use anyhow::Context;
use std::path::Path;

pub fn run(folder: &Path, format: Format) -> anyhow::Result<Outcome> {
    let written = report::write(folder).with_context(|| format!("reading {}", folder.display()))?;
    print(folder, &written, format)?;
    Ok(Outcome::Good)
}

/// Prints the figures of a run and where its report is.
pub fn print(folder: &Path, written: &Written, format: Format) -> anyhow::Result<()> {
    let run = RunFolder::read(folder).context("reading what was recorded")?;
    match format {
        Format::Json => print_json(&report::summary_json(&run))?,
        Format::Text => {
            println!("{}", report::terminal_table(&run));
            println!("Report: {}", written.html.display());
        }
    }
    Ok(())
}
