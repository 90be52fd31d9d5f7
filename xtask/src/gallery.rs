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
/// The exit code of `bench` when something of a run failed.
const FAILED: u8 = 1;
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
        // From the root, where steps run: it is in the record, and a path of this machine is nobody's business.
        let out = format!("results/{name}.new");
        let new = root().join(&out);
        remove(&new)?;
        eprintln!("xtask: making results/{name}");
        let measured = Step::as_root(bench)
            .args(*arguments)
            .args(["--out", &out])
            .run()?;
        // A datapath that failed is in the report, and the rest of the run is as good as without it. Whoever interrupted it
        // has one that ends where it was then.
        let is_whole = measured == ExitCode::SUCCESS || measured == ExitCode::from(FAILED);
        if !(is_whole && has_report(&new)?) {
            bail!("measuring ended early; results/{name} stays as it was");
        }
        if measured != ExitCode::SUCCESS {
            eprintln!("xtask: something failed in results/{name}, as its report says");
        }
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

/// Whether a run came to its end: its report is what it writes last.
fn has_report(run: &Path) -> anyhow::Result<bool> {
    let files = fs::read_dir(run).with_context(|| format!("reading {}", run.display()))?;
    let mut names = files.flatten().map(|file| file.path());
    Ok(names.any(|name| name.extension().is_some_and(|it| it == "md")))
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
