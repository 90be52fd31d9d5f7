//! `bench report`, and what a run prints at its end.

use super::arguments::Format;
use super::measure::RESULTS;
use super::{Outcome, print_json};
use crate::report::{self, RunFolder, Written};
use crate::{flow_setup, sockets, stages};
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;

pub fn run(folder: &Path, format: Format) -> anyhow::Result<Outcome> {
    if FILES.iter().all(|file| is_absent(&folder.join(file))) {
        bail!("there is no run in {}. {}", folder.display(), advice());
    }
    if folder.join(flow_setup::record::FILE).is_file() {
        print_flow_setup(folder, format)?;
        return Ok(Outcome::Good);
    }
    if folder.join(sockets::record::FILE).is_file() {
        print_sockets(folder, format)?;
        return Ok(Outcome::Good);
    }
    if folder.join(stages::record::FILE).is_file() {
        print_stages(folder, format)?;
        return Ok(Outcome::Good);
    }
    let written = report::write(folder).with_context(|| format!("reading {}", folder.display()))?;
    print(folder, &written, format)?;
    Ok(Outcome::Good)
}

/// Refuses what is no run of `bench per-datapath`, with those that there are.
pub fn check_is_run(folder: &Path) -> anyhow::Result<()> {
    if is_absent(&folder.join(report::RUN)) {
        bail!(
            "there is no run of `bench per-datapath` in {}. {}",
            folder.display(),
            advice()
        );
    }
    Ok(())
}

/// One of these is in the folder of a run.
const FILES: [&str; 4] = [
    report::RUN,
    flow_setup::record::FILE,
    sockets::record::FILE,
    stages::record::FILE,
];

/// Runs named in an advice at the most.
const NAMED: usize = 5;

fn is_absent(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    fs::metadata(path).is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

/// Which runs there are, or how to make one.
fn advice() -> String {
    let entries = fs::read_dir(RESULTS).into_iter().flatten().flatten();
    let mut runs: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| FILES.iter().any(|file| path.join(file).is_file()))
        .map(|path| path.display().to_string())
        .collect();
    // Names are times: the latest first.
    runs.sort_unstable_by(|one, other| other.cmp(one));
    let more = match runs.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    runs.truncate(NAMED);
    if runs.is_empty() {
        "`cargo run --bin bench per-datapath` makes one".to_owned()
    } else {
        format!("Give the folder of a run: {}{more}", runs.join(", "))
    }
}

/// Writes the report of a run of flow setup and prints its figures.
pub fn print_flow_setup(folder: &Path, format: Format) -> anyhow::Result<()> {
    let written = report::flow_setup::write(folder).context("writing the report")?;
    match format {
        Format::Json => print_json(&report::flow_setup::summary_json(folder)?),
        Format::Text => {
            println!("{}", report::flow_setup::terminal_table(folder)?);
            println!("Report: {}", written.html.display());
            Ok(())
        }
    }
}

/// Writes the report of a run of sockets and prints its figures.
pub fn print_sockets(folder: &Path, format: Format) -> anyhow::Result<()> {
    let written = report::sockets::write(folder).context("writing the report")?;
    match format {
        Format::Json => print_json(&report::sockets::summary_json(folder)?),
        Format::Text => {
            println!("{}", report::sockets::terminal_table(folder)?);
            println!("Report: {}", written.html.display());
            Ok(())
        }
    }
}

/// Writes the report of a run of stages and prints its figures.
pub fn print_stages(folder: &Path, format: Format) -> anyhow::Result<()> {
    let written = report::stages::write(folder).context("writing the report")?;
    match format {
        Format::Json => print_json(&report::stages::summary_json(folder)?),
        Format::Text => {
            println!("{}", report::stages::terminal_table(folder)?);
            println!("Report: {}", written.html.display());
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
