//! `bench verify`.

use super::arguments::{Format, Verify};
use super::measure::{check_required, interrupted};
use super::{Outcome, print_json};
use crate::registry;
use crate::verify::{self, Report};
use anyhow::Context;
use datapath_api::Datapath;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use topologies::catalogue;
use topologies::topology::{Parameters, Topology};
use topologies::vectors::{self, Vector};

/// Flows and endpoints of the oracle's corpus.
const FLOWS: u32 = 256;

#[derive(Serialize)]
struct Checked {
    datapath: &'static str,
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Not compared, by the declared difference.
    excused: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
    missing: Vec<String>,
}

pub fn run(arguments: &Verify, format: Format) -> anyhow::Result<Outcome> {
    let datapaths = registry::select(&arguments.datapaths)?;
    let vectors = match &arguments.vectors {
        Some(path) => vectors::load(path)?,
        None if arguments.topologies.are_named() => Vec::new(),
        None => vectors::parse(vectors::BUILT_IN).context("the built-in vectors")?,
    };
    let topologies = if arguments.vectors.is_some() && !arguments.topologies.are_named() {
        Vec::new()
    } else {
        let parameters = Parameters::new(FLOWS, FLOWS)?;
        let names = arguments.topologies.to_find().into_iter();
        names
            .map(|name| catalogue::find(name, parameters))
            .collect::<Result<Vec<_>, _>>()?
    };
    if let Some(outcome) = check_required(&arguments.require)? {
        return Ok(outcome);
    }
    let interrupted = interrupted()?;
    let mut all = Vec::new();
    for datapath in &datapaths {
        let checked = check(datapath.as_ref(), &vectors, &topologies, &interrupted);
        if format == Format::Text {
            print(&checked);
        }
        all.push(checked);
    }
    let sum = |count: fn(&Checked) -> u64| all.iter().map(count).sum::<u64>();
    let (passed, failed, skipped) = (sum(|c| c.passed), sum(|c| c.failed), sum(|c| c.skipped));
    if format == Format::Json {
        print_json(&all)?;
    } else {
        println!("{passed} passed, {failed} failed, {skipped} skipped");
    }
    // Nothing verified is not a success.
    Ok(if interrupted.load(Ordering::Relaxed) {
        Outcome::Interrupted
    } else if failed > 0 || passed == 0 {
        Outcome::Failed
    } else {
        Outcome::Good
    })
}

fn check(
    datapath: &dyn Datapath,
    vectors: &[Vector],
    topologies: &[Topology],
    interrupted: &AtomicBool,
) -> Checked {
    let missing: Vec<String> = datapath.probe().iter().map(ToString::to_string).collect();
    let mut checked = Checked {
        datapath: datapath.name(),
        passed: 0,
        failed: 0,
        skipped: 0,
        excused: BTreeMap::new(),
        failures: Vec::new(),
        missing,
    };
    if !checked.missing.is_empty() {
        checked.skipped = (vectors.len() + topologies.len()) as u64;
        return checked;
    }
    let mut add = |report: Report| {
        checked.passed += report.passed;
        checked.failed += report.failures.len() as u64;
        checked.skipped += report.skipped.len() as u64;
        checked
            .failures
            .extend(report.failures.iter().map(ToString::to_string));
        for (difference, count) in &report.excused {
            *checked.excused.entry(difference.name()).or_default() += count;
        }
        checked.missing.extend(
            report
                .skipped
                .iter()
                .map(|(name, why)| format!("{name}: {why}")),
        );
    };
    if !interrupted.load(Ordering::Relaxed) {
        add(verify::vectors::replay(datapath, vectors));
    }
    for topology in topologies {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        add(verify::oracle::check(datapath, topology, FLOWS));
        if topology.under_test().is_none() {
            add(verify::oracle::check_changes(datapath, topology));
            add(verify::overlay::check(datapath, topology, FLOWS, None));
        }
    }
    checked
}

fn print(checked: &Checked) {
    let Checked {
        datapath,
        passed,
        failed,
        skipped,
        ..
    } = checked;
    for failure in &checked.failures {
        println!("{datapath}: {failure}");
    }
    for missing in &checked.missing {
        println!("{datapath}: skipped: {missing}");
    }
    for (difference, count) in &checked.excused {
        println!("{datapath}: not compared: {count} of {difference}, see `bench list`");
    }
    println!("{datapath}: {passed} passed, {failed} failed, {skipped} skipped");
}
