//! The gallery in `results/` is what this program would write: runs of its schema, reports and answers in its words.

#[path = "common/pages.rs"]
mod pages;

use libtest_mimic::{Arguments, Failed, Trial};
use pages::report;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The runs of the gallery.
const RUNS: [&str; 6] = [
    "smoke",
    "quick",
    "standard",
    "overlays",
    "flow-setup",
    "stages",
];
/// What is to be done where one of these tests fails.
const REMEDY: &str = "`cargo xtask gallery --pages` writes all pages anew from the runs, and `cargo xtask gallery` makes the runs";

fn main() {
    let runs = RUNS.map(|name| Trial::test(name, move || run(name)));
    let mut trials = Vec::from(runs);
    trials.push(Trial::test("questions", questions));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../results")
}

fn questions_page() -> PathBuf {
    results().join("../QUESTIONS.md")
}

/// A run has the schema of this program, and its pages are those that this program writes.
fn run(name: &str) -> Result<(), Failed> {
    let kept = results().join(name);
    let header = kept.join("run.json");
    // The others have theirs in their records, and `bench report` takes no other.
    if header.is_file() {
        let run: serde_json::Value = serde_json::from_str(&read(&header)?)?;
        if run["schema"] != harness::record::SCHEMA {
            return Err(format!("results/{name} is of another schema: {REMEDY}").into());
        }
    }
    let folder = tempfile::tempdir()?;
    let page = report(&kept, folder.path())?;
    for page in [page.with_extension("md"), page] {
        let kept = kept.join(page.file_name().unwrap_or_default());
        is_the_same(&read(&page)?, &read(&kept)?, &kept.display().to_string())?;
    }
    Ok(())
}

/// The page of questions is the one that this program writes.
fn questions() -> Result<(), Failed> {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    let output = bench.arg("questions").arg(results()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let written = String::from_utf8_lossy(&output.stdout);
    is_the_same(&written, &read(&questions_page())?, "QUESTIONS.md")
}

fn read(path: &Path) -> Result<String, Failed> {
    let text = fs::read_to_string(path);
    text.map_err(|error| format!("{}: {error}; {REMEDY}", path.display()).into())
}

/// Names the first line that is not the same in both.
fn is_the_same(written: &str, kept: &str, page: &str) -> Result<(), Failed> {
    if written == kept {
        return Ok(());
    }
    let mut lines = written.lines().zip(kept.lines());
    let difference = match lines.find(|(written, kept)| written != kept) {
        Some((written, kept)) => format!("it would say `{written}` where it says `{kept}`"),
        None => "they end differently".to_owned(),
    };
    Err(format!("{page} is not what this program writes: {difference}; {REMEDY}").into())
}
