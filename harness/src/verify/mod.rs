//! Whether a datapath does what Mizar does: verified before it is measured.
//!
//! [`vectors`] replays golden vectors, recorded from Mizar's own programs. [`oracle`] feeds a corpus made
//! for a topology and compares with what [`topologies::oracle`] says, so that what is measured is verified
//! with the very tables and flows of the measurement; [`overlay`] does so with all droplets of one. Where they differ, [`dissect`] says in which field.

mod attached;
mod compare;
mod corpus;
pub mod dissect;
mod layout;
pub mod oracle;
pub mod overlay;
pub mod vectors;

#[cfg(test)]
mod tests;

use crate::at_once::{self, at_once};
use crate::record::Verification;
use datapath_api::{Datapath, Difference, Missing};
use std::collections::BTreeMap;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct Report {
    /// Checks that held.
    pub passed: u64,
    /// Checks that did not.
    pub failures: Vec<Mismatch>,
    /// Checks that could not be done here: which, and why.
    pub skipped: Vec<(String, String)>,
    /// Frames, and vectors with such frames, that a declared difference puts outside the contract: how many.
    pub excused: BTreeMap<Difference, u64>,
    /// Why the datapath could not be set up, if it could not: what it forwards is unknown then.
    pub broken: Option<String>,
}

/// How many droplets of a datapath are verified at once: each has memory of its own, of which there may be enough for one.
fn several(datapath: &dyn Datapath) -> usize {
    let several = at_once::several(datapath);
    let each = datapath.needs().hugepages_mib;
    let has_room = each == 0 || Missing::hugepages(each * several as u32).is_none();
    if has_room { several } else { 1 }
}

/// Checks with each of `items` a droplet of its own, so many at once; what all found, in the order of the items. Once one cannot
/// be set up none is begun: each would fail in its turn, perhaps after a long wait.
fn each<I: Sync>(several: usize, items: &[I], check: impl Fn(&I) -> Report + Sync) -> Report {
    let reports = at_once(several, items, |_, item| {
        let report = check(item);
        match report.broken {
            Some(_) => Err(report),
            None => Ok(report),
        }
    });
    let mut report = Report::default();
    for Ok(one) | Err(one) in reports {
        report.merge(one);
    }
    report
}

/// A check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What was checked.
    pub name: String,
    /// The frame at which it failed, counted from zero; none if it was no frame's fault.
    pub step: Option<usize>,
    /// What is different.
    pub lines: Vec<String>,
}

impl Report {
    /// Whether no check failed. That something was checked at all, `passed` tells.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Adds what another verification found.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.skipped.extend(other.skipped);
        self.broken = self.broken.take().or(other.broken);
        for (difference, count) in other.excused {
            *self.excused.entry(difference).or_default() += count;
        }
    }

    /// What is recorded of it for a scenario, with at most the first ten failures.
    pub fn recorded(&self, datapath: &str, scenario: &str) -> Verification {
        // Where it could not be set up, no frame is at fault for that.
        let is_of_a_frame = |it: &&Mismatch| self.broken.is_none() || it.step.is_some();
        let failures = self.failures.iter().filter(is_of_a_frame).take(10);
        let failures = failures.map(ToString::to_string);
        let excused = self.excused.iter();
        Verification {
            datapath: datapath.to_owned(),
            scenario: scenario.to_owned(),
            passed: self.passed,
            failures: failures.collect(),
            broken: self.broken.clone(),
            excused: excused
                .map(|(difference, count)| (difference.name().to_owned(), *count))
                .collect(),
        }
    }

    /// Why a datapath with this report is not measured; `None` if it may be. A check that could not be made is no
    /// proof, and neither is none.
    pub fn objection(&self) -> Option<String> {
        if self.broken.is_none() && self.is_clean() && self.skipped.is_empty() && self.passed > 0 {
            return None;
        }
        if let Some(why) = &self.broken {
            return Some(format!("it cannot be set up to be verified: {why}"));
        }
        let Some(first) = self.failures.first() else {
            let skipped = self.skipped.first();
            let skipped = skipped.map_or("nothing was checked".to_owned(), |(what, why)| {
                format!("{what}: {why}")
            });
            return Some(format!("not all of it could be verified here: {skipped}"));
        };
        Some(format!(
            "{} of {} frames differ from what the oracle says. First: {first}",
            self.failures.len(),
            self.passed + self.failures.len() as u64,
        ))
    }

    fn excuse(&mut self, difference: Difference) {
        *self.excused.entry(difference).or_default() += 1;
    }

    fn fail(&mut self, name: impl Into<String>, step: Option<usize>, lines: Vec<String>) {
        self.failures.push(Mismatch {
            name: name.into(),
            step,
            lines,
        });
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed,
            self.failures.len(),
            self.skipped.len()
        )?;
        if !self.excused.is_empty() {
            let count: u64 = self.excused.values().sum();
            write!(f, ", {count} not compared since declared to differ")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if let Some(step) = self.step {
            write!(f, ", step {step}")?;
        }
        for line in &self.lines {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
