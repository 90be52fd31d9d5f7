//! A corpus for a topology, through a datapath and through the oracle.

use super::Report;
use super::attached::{Attached, NOTHING};
use super::compare::{self, Installed};
use super::corpus::{Case, corpus};
use datapath_api::difference::{self, Difference};
use datapath_api::{Datapath, Outcome, PortType, Running};
use topologies::oracle::Oracle;
use topologies::provision::Provision;
use topologies::topology::{Droplet, Topology, capacity};
use topologies::vectors::Expected;

/// Feeds the droplet under test a corpus made for `topology`, and compares verdict, port and every byte
/// with the oracle's after each frame, and the direct-path cache at the end.
///
/// Where the datapath is made for vhost-user ports, another droplet gets the same corpus through such ports, at which what
/// is refused and what goes to the host's stack look alike: nothing comes out.
///
/// The corpus holds frames of up to `flows` flows of every direction in several sizes, their replies, and
/// everything that may go wrong with them; it is always the same for the same arguments. Each frame is a
/// check, and so is the cache. State carries over, so that one mistake may fail later frames as well.
///
/// Where all droplets of a topology are there, each that flows cross is checked so by itself.
pub fn check(datapath: &dyn Datapath, topology: &Topology, flows: u32) -> Report {
    if let Some(droplet) = topology.under_test() {
        return check_droplet(datapath, topology, droplet, flows, topology.name());
    }
    let mut report = Report::default();
    for state in topology.direct_path_states() {
        let topology = topology.clone().in_state(*state);
        for droplet in topology.droplets() {
            let seen = topology.seen_from(droplet);
            if !seen.traffic().is_empty() {
                let name = format!("{}, {}", topology.name(), droplet.name);
                report.merge(check_droplet(datapath, &seen, droplet, flows, &name));
            }
        }
    }
    report
}

fn check_droplet(
    datapath: &dyn Datapath,
    topology: &Topology,
    droplet: &Droplet,
    flows: u32,
    name: &str,
) -> Report {
    let cases = corpus(topology, droplet.host, flows);
    let provision = topology.provision(droplet);
    let mut report = check_through(Way::Detached, datapath, name, &provision, &cases);
    if datapath.ports() == PortType::VhostUser && report.broken.is_none() {
        let by_ports = check_through(Way::VhostUser, datapath, name, &provision, &cases);
        report.merge(by_ports);
    }
    report
}

/// How frames get in and out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Detached,
    VhostUser,
}

impl Way {
    fn install(self, datapath: &dyn Datapath, provision: &Provision) -> Installed {
        match self {
            Self::Detached => compare::install(datapath, provision),
            Self::VhostUser => Attached::install(datapath, provision).into(),
        }
    }

    /// What can be seen of what is expected.
    fn visible(self, expected: Expected) -> Expected {
        match (self, &expected) {
            (Self::Detached, _) | (Self::VhostUser, Expected::Forward { .. }) => expected,
            (Self::VhostUser, _) => NOTHING.into(),
        }
    }
}

fn check_through(
    way: Way,
    datapath: &dyn Datapath,
    topology: &str,
    provision: &Provision,
    cases: &[Case],
) -> Report {
    let mut report = Report::default();
    let name = |what: &str| match way {
        Way::Detached => format!("{topology}: {what}"),
        Way::VhostUser => format!("{topology} by vhost-user: {what}"),
    };
    let mut droplet = match way.install(datapath, provision) {
        Installed::Droplet(droplet) => droplet,
        Installed::Skipped(why) => {
            report.skipped.push((topology.to_owned(), why));
            return report;
        }
        Installed::Failed(why) => {
            report.fail(name("installing"), None, vec![why.clone()]);
            report.broken = Some(why);
            return report;
        }
    };
    let mut oracle = Oracle::new(provision);
    let differences = datapath.declared_differences();
    for (number, case) in cases.iter().enumerate() {
        if let Some(difference) = difference::excuse(differences, provision, case.port, &case.frame)
        {
            report.excuse(difference);
            continue;
        }
        match compare_one(
            way,
            &mut *droplet,
            &mut oracle,
            differences,
            provision,
            case,
        ) {
            Ok(lines) if lines.is_empty() => report.passed += 1,
            Ok(lines) => report.fail(name(&case.name), Some(number), lines),
            Err(why) => {
                let lines = vec![why, "frames after this one were not tried".to_owned()];
                report.fail(name(&case.name), Some(number), lines);
                return report;
            }
        }
    }
    compare_caches(&mut report, &mut *droplet, &oracle, name(DIRECT_PATHS));
    if let Err(error) = droplet.stop() {
        report.fail(name("stopping"), None, vec![error.to_string()]);
    }
    report
}

const DIRECT_PATHS: &str = "direct paths at the end";

fn compare_one(
    way: Way,
    droplet: &mut dyn Running,
    oracle: &mut Oracle,
    differences: &[Difference],
    provision: &Provision,
    case: &Case,
) -> Result<Vec<String>, String> {
    let expected = oracle.inject(case.port, &case.frame);
    let because = match &expected {
        Outcome::Dropped { reason, .. } => Some(*reason),
        _ => None,
    };
    let got = droplet
        .inject(case.port, &case.frame)
        .map_err(|error| error.to_string())?;
    let expected = difference::allow(differences, provision, case.port, expected.into(), &got);
    Ok(compare::outcomes(&way.visible(expected), because, &got))
}

fn compare_caches(report: &mut Report, droplet: &mut dyn Running, oracle: &Oracle, name: String) {
    let expected = oracle.direct_paths();
    if expected.len() > capacity::CACHE {
        let why = format!(
            "{} entries exceed the cache, which evicts as it likes",
            expected.len()
        );
        report.skipped.push((name, why));
        return;
    }
    match droplet.direct_paths() {
        Err(error) => report.fail(name, None, vec![error.to_string()]),
        Ok(learned) => match compare::direct_paths(&expected, &learned) {
            lines if lines.is_empty() => report.passed += 1,
            lines => report.fail(name, None, lines),
        },
    }
}
