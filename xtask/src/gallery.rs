//! The gallery of results, and what is written from it: `cargo xtask gallery [--pages] [NAME]...`.

use crate::command::{Step, root};
use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// The runs: the name of each folder below `results/`, and the command of `bench` that makes it.
const RUNS: [(&str, &[&str]); 6] = [
    (
        "smoke",
        &["per-datapath", "--profile", "smoke", "--topology", "vtep"],
    ),
    ("quick", &["per-datapath", "--profile", "quick"]),
    ("standard", &["per-datapath", "--profile", "standard"]),
    (
        "overlays",
        &[
            "per-datapath",
            "--profile",
            "quick",
            "--topology",
            "bounce",
            "--topology",
            "inter-network",
        ],
    ),
    ("flow-setup", &["flow-setup", "--profile", "quick"]),
    ("stages", &["stages"]),
];
/// The page that answers questions by it.
const QUESTIONS: &str = "QUESTIONS.md";
/// Has pages written anew, and nothing measured.
const PAGES: &str = "--pages";

/// Makes the runs of these names anew, or all, or their reports alone, and the page of questions from all that are there.
pub fn refresh(arguments: &[String], bench: &Path) -> anyhow::Result<ExitCode> {
    let is_measured = arguments.iter().all(|it| it != PAGES);
    let names: Vec<&String> = arguments.iter().filter(|it| *it != PAGES).collect();
    let known = RUNS.map(|(name, _)| name).join(", ");
    if let Some(unknown) = names
        .iter()
        .find(|it| RUNS.iter().all(|(name, _)| name != *it))
    {
        bail!("there is no run `{unknown}` in the gallery; expected some of {known}");
    }
    let results = root().join("results");
    let wanted = |name: &str| names.is_empty() || names.iter().any(|it| *it == name);
    for (name, arguments) in RUNS.iter().filter(|(name, _)| wanted(name)) {
        let place = results.join(name);
        if !is_measured {
            // Those that are there, if none is named.
            if place.is_dir() || !names.is_empty() {
                write_report(&place, bench)?;
            }
            continue;
        }
        let new = results.join(format!("{name}.new"));
        remove(&new)?;
        eprintln!("xtask: making results/{name}");
        Step::as_root(bench)
            .args(*arguments)
            .args(["--out"])
            .args([&new])
            .expect("measuring")
            .with_context(|| {
                format!(
                    "results/{name} stays as it was; what was measured is in {}",
                    new.display()
                )
            })?;
        remove(&place)?;
        fs::rename(&new, &place).with_context(|| format!("renaming {}", new.display()))?;
    }
    let page = Step::new(bench)
        .args(["questions"])
        .args([&results])
        .output();
    let page = page
        .context("the page of questions could not be written; bench questions results says why")?;
    fs::write(root().join(QUESTIONS), page).context("writing the page of questions")?;
    Ok(ExitCode::SUCCESS)
}

fn write_report(run: &Path, bench: &Path) -> anyhow::Result<()> {
    let written = Step::as_root(bench).args(["report"]).args([run]).output();
    written.with_context(|| format!("writing the report of {}", run.display()))?;
    Ok(())
}

/// Runs are root's.
fn remove(folder: &Path) -> anyhow::Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    Step::as_root("rm")
        .args(["-rf"])
        .args([folder])
        .expect("removing an earlier run")
}
