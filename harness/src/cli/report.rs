//! `bench report`, and what a run prints at its end.

use super::arguments::Format;
use super::{Outcome, print_json};
use crate::flow_setup;
use crate::report::{self, RunFolder, Written};
use anyhow::Context;
use std::path::Path;

pub fn run(folder: &Path, format: Format) -> anyhow::Result<Outcome> {
    if folder.join(flow_setup::record::FILE).is_file() {
        print_flow_setup(folder, format)?;
        return Ok(Outcome::Good);
    }
    let written = report::write(folder).with_context(|| format!("reading {}", folder.display()))?;
    print(folder, &written, format)?;
    Ok(Outcome::Good)
}

/// Writes the report of a run of flow setup and prints its figures.
pub fn print_flow_setup(folder: &Path, format: Format) -> anyhow::Result<()> {
    let written = report::flow_setup::write(folder).context("writing the report")?;
    match format {
        Format::Json => print_json(&report::flow_setup::summary_json(folder)?),
        Format::Text => {
            println!("{}", report::flow_setup::terminal_table(folder)?);
            println!("Report: {}", written.markdown.display());
            Ok(())
        }
    }
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
