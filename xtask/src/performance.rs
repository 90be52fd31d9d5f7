//! Whether a change makes a datapath slower: `cargo xtask perf-report BASE`.
//!
//! The base and the change are built, and measured in turns on this machine: first the one, then the other, in the next turn
//! the other way round, so that what drifts hits both alike. `bench compare` says what follows.

use crate::command::{Step, root, target_dir};
use crate::setup;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs of each side: some more than the eight that `bench compare` decides by, since one may be disturbed, or made while
/// processors were elsewhere.
const TURNS: usize = 10;

/// What is measured where the user says nothing: a datapath of each kind on the same ports, in both directions at once.
const BY_DEFAULT: [&str; 12] = [
    "--profile",
    "quick",
    "--topology",
    "vtep",
    "--datapath",
    "kernel-xdp",
    "--datapath",
    "openflow",
    "--datapath",
    "ovs-xdp",
    "--datapath",
    "ovs-ebpf",
];

/// Builds, measures, compares, and writes `target/perf/summary.md`; fails if something became slower.
pub fn report(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let [base, rest @ ..] = arguments else {
        bail!(
            "give the commit to compare with: cargo xtask perf-report BASE [ARGS of bench per-datapath]"
        );
    };
    Step::check_root()?;
    setup::for_bench()?;
    let folder = target_dir()?.join("perf");
    let runs = folder.join("runs");
    if runs.exists() {
        // They were made by root.
        Step::as_root("rm")
            .args(["-rf"])
            .args([&runs])
            .expect("removing the runs before")?;
    }
    let programs = [built_base(base, &folder)?, built_change()?];
    let asked = asked(rest);
    let mut failed = Vec::new();
    for turn in 0..TURNS {
        let mut sides = [("base", &programs[0]), ("change", &programs[1])];
        if turn % 2 == 1 {
            sides.reverse();
        }
        for (side, program) in sides {
            eprintln!("xtask: turn {} of {TURNS}: {side}", turn + 1);
            let run = runs.join(side).join((turn + 1).to_string());
            let measuring = Step::as_root(program)
                .args(["per-datapath"])
                .args(&asked)
                .args(["--out"])
                .args([&run])
                .expect("measuring");
            if let Err(error) = measuring {
                // What it measured counts all the same, and the others go on.
                eprintln!(
                    "xtask: {error:#}; what was measured is in {}",
                    run.display()
                );
                failed.push(format!("{side} in turn {}", turn + 1));
            }
        }
    }
    compared(base, &asked, &folder, &programs[1], &failed)
}

/// The user's arguments, and ours for what they leave open.
fn asked(rest: &[String]) -> Vec<String> {
    let mut asked = rest.to_vec();
    for pair in BY_DEFAULT.chunks(2) {
        // An option may be given as `--profile quick` or `--profile=quick`.
        let is_given = |given: &String| given.split('=').next() == Some(pair[0]);
        if !rest.iter().any(is_given) {
            asked.extend(pair.iter().map(|it| (*it).to_owned()));
        }
    }
    asked
}

/// `bench` of the base, built in a worktree beside.
fn built_base(base: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let tree = folder.join("base");
    let git = |arguments: &[&str]| Step::new("git").args(arguments);
    let remove = || {
        git(&["worktree", "remove", "--force"])
            .args([&tree])
            .expect("removing the worktree of the base")
    };
    if tree.exists() {
        remove()?;
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    git(&["worktree", "add", "--detach", "--force"])
        .args([&tree])
        .args([base])
        .expect("checking the base out")
        .with_context(|| format!("is `{base}` a commit, and was it fetched?"))?;
    let target = folder.join("target");
    Step::cargo(["build", "--package", "harness"])
        .within(&tree)
        .env("CARGO_TARGET_DIR", &target.to_string_lossy())
        .required_bpf()
        .of_commit(&tree)
        .expect("building the base")?;
    // The program is in the folder of its own.
    remove()?;
    Ok(target.join("debug/bench"))
}

/// `bench` as it is here.
fn built_change() -> anyhow::Result<PathBuf> {
    Step::cargo(["build", "--package", "harness"])
        .required_bpf()
        .of_commit(&root())
        .expect("building the change")?;
    Ok(target_dir()?.join("debug/bench"))
}

/// Says what `bench compare` says, here and in a file.
fn compared(
    base: &str,
    asked: &[String],
    folder: &Path,
    program: &Path,
    failed: &[String],
) -> anyhow::Result<ExitCode> {
    let runs = folder.join("runs");
    let output = std::process::Command::new(program)
        .current_dir(root())
        .args([
            "compare".as_ref(),
            runs.join("base").as_os_str(),
            runs.join("change").as_os_str(),
        ])
        .output()
        .context("running bench compare")?;
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let is_worse = match output.status.code() {
        Some(0) => false,
        Some(1) => true,
        _ => bail!("bench compare failed"),
    };
    let verdict = said.lines().next().unwrap_or_default();
    let failures = match failed {
        [] => String::new(),
        failed => format!("**Failed, in part or as a whole: {}.** ", failed.join(", ")),
    };
    let summary = format!(
        "## Performance against `{base}`\n\n**{verdict}** {failures}{TURNS} runs of each side in turns on one machine: `bench per-datapath {}`.\n\n```text\n{said}```\n",
        asked.join(" ")
    );
    let file = folder.join("summary.md");
    fs::write(&file, summary).with_context(|| format!("writing {}", file.display()))?;
    Ok(ExitCode::from(u8::from(is_worse || !failed.is_empty())))
}
