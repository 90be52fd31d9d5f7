//! Every datapath that can run here against the golden vectors and the oracle, through the same seam as the program
//! uses. What is missing is reported, and its tests are ignored.

#[path = "common/missing.rs"]
mod missing;

use datapath_api::Difference;
use harness::registry;
use harness::verify::{self, Report};
use libtest_mimic::{Arguments, Failed, Trial};
use topologies::catalogue;
use topologies::provision::Extensions;
use topologies::topology::{DirectPathState, Parameters};
use topologies::vectors::{self, VectorsError};

/// Flows and endpoints of a topology's corpus.
const SIZE: u32 = 64;

fn main() -> Result<(), VectorsError> {
    let vectors = vectors::parse(vectors::BUILT_IN)?;
    let mut trials = Vec::new();
    for entry in registry::all() {
        let name = entry.datapath.name();
        let is_ignored = missing::lacks_something(name);
        let mut add = |what: String, check: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
            let trial = Trial::test(format!("{name}::{what}"), check);
            trials.push(trial.with_ignored_flag(is_ignored));
        };
        // A variant's droplets without ports are those of the other.
        if entry.datapath.variant_of().is_none() {
            let own = vectors.clone();
            add(
                "golden_vectors".to_owned(),
                Box::new(move || golden_vectors(name, &own)),
            );
        }
        if entry.datapath.variant_of().is_none() {
            add(
                "changing_tables".to_owned(),
                Box::new(move || changes(name)),
            );
            add(
                "changing_access_lists".to_owned(),
                Box::new(move || access_lists(name)),
            );
            add(
                "refused_frames_teach_nothing".to_owned(),
                Box::new(move || refused(name)),
            );
            add(
                "stale_direct_paths".to_owned(),
                Box::new(move || stale_direct_paths(name, "inter-network")),
            );
            add(
                "stale_short_header".to_owned(),
                Box::new(move || stale_direct_paths(name, "bounce")),
            );
        }
        for topology in catalogue::ENTRIES {
            add(
                topology.name.to_owned(),
                Box::new(move || corpus(name, &topology)),
            );
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn datapath(name: &str) -> Result<Box<dyn datapath_api::Datapath>, Failed> {
    let mut found = registry::select(&[name.to_owned()])?;
    Ok(found.pop().ok_or("it is gone")?)
}

fn golden_vectors(name: &str, vectors: &[vectors::Vector]) -> Result<(), Failed> {
    let datapath = datapath(name)?;
    let report = verify::vectors::replay(&*datapath, vectors);
    let all = vectors.len() as u64;
    // No vector is a runt. What others declare to differ takes some out, and must not take most.
    let differs = |it: &Difference| *it != Difference::Runts;
    let is_exact = !datapath.declared_differences().iter().any(differs);
    judge(report, if is_exact { all } else { all / 2 })
}

fn corpus(name: &str, topology: &catalogue::Entry) -> Result<(), Failed> {
    let topology = topology.load(Parameters::new(SIZE, SIZE)?)?;
    let report = verify::oracle::check(datapath(name)?.as_ref(), &topology, SIZE);
    judge(report, u64::from(SIZE))
}

/// Endpoints that move, are deleted, and lose their host.
fn changes(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("inter-network", Parameters::new(SIZE, SIZE)?)?;
    let report = verify::oracle::check_changes(datapath(name)?.as_ref(), &topology);
    judge(report, u64::from(SIZE))
}

/// Access lists that come, allow what they denied, deny what they allowed, and go.
fn access_lists(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("guarded", Parameters::new(SIZE, SIZE)?)?;
    let report = verify::oracle::check_access_changes(datapath(name)?.as_ref(), &topology);
    judge(report, u64::from(SIZE))
}

/// Frames that an access list refuses say the same of their sender as ARP messages that it does not judge, in both states of the
/// direct path.
fn refused(name: &str) -> Result<(), Failed> {
    for state in [DirectPathState::Cold, DirectPathState::Warm] {
        let topology = catalogue::find("guarded", Parameters::default())?.in_state(state);
        let report = verify::oracle::check(datapath(name)?.as_ref(), &topology, SIZE);
        judge(report, u64::from(SIZE))?;
    }
    Ok(())
}

/// The same where droplets do what Mizar designed and has not built: frames go back from where endpoints were, come back,
/// and go past a dead host. Where no divider is on the way, agents send with the short header; with it frames arrive anywhere.
fn stale_direct_paths(name: &str, topology: &str) -> Result<(), Failed> {
    let topology = catalogue::find(topology, Parameters::new(SIZE, SIZE)?)?;
    let topology = topology
        .in_state(DirectPathState::Warm)
        .with_extensions(Extensions::ALL);
    let datapath = datapath(name)?;
    let mut report = verify::oracle::check(&*datapath, &topology, SIZE);
    report.merge(verify::oracle::check_changes(&*datapath, &topology));
    judge(report, u64::from(SIZE))
}

fn judge(report: Report, at_least: u64) -> Result<(), Failed> {
    let text = |report: &Report| {
        let failures = report.failures.iter().take(5).map(ToString::to_string);
        failures.collect::<Vec<_>>().join("\n")
    };
    if !report.is_clean() || !report.skipped.is_empty() || report.passed < at_least {
        return Err(format!("{report}, at least {at_least} expected\n{}", text(&report)).into());
    }
    Ok(())
}
