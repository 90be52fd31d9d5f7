//! Pages of runs, as the program writes them today.

use libtest_mimic::Failed;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pages that a run may have, by the file that it records.
const PAGES: [(&str, &str); 4] = [
    ("trials.jsonl", "report.html"),
    ("flow-setup.jsonl", "flow-setup.html"),
    ("sockets.jsonl", "sockets.html"),
    ("stages.jsonl", "stages.html"),
];

/// The name of a run's page.
pub fn page(run: &Path) -> Option<&'static str> {
    let mut pages = PAGES.into_iter();
    pages.find_map(|(records, page)| run.join(records).is_file().then_some(page))
}

/// The report of a run, written anew into `folder`; where it is.
pub fn report(run: &Path, folder: &Path) -> Result<PathBuf, Failed> {
    let files = PAGES.into_iter().map(|(records, _)| records);
    for file in files.chain(["run.json"]) {
        if run.join(file).is_file() {
            std::fs::copy(run.join(file), folder.join(file))?;
        }
    }
    let bench = env!("CARGO_BIN_EXE_bench");
    let output = Command::new(bench).arg("report").arg(folder).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let page = page(run).ok_or("it is no run")?;
    Ok(folder.join(page))
}
