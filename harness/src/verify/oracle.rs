//! A corpus for a topology, through a datapath and through the oracle.

use super::Report;
use super::attached::{Attached, NOTHING};
use super::compare::{self, Installed};
use super::corpus::{Case, corpus, judged, sound};
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
    let ways = Way::of(datapath);
    if let Some(droplet) = topology.under_test() {
        let through = || Through {
            name: topology.name().to_owned(),
            phases: vec![phase(topology, droplet, flows)],
        };
        return check_each(datapath, ways, &[()], |()| Some(through()));
    }
    let states = topology.direct_path_states().iter();
    let states: Vec<_> = states
        .map(|state| topology.clone().in_state(*state))
        .collect();
    let droplets: Vec<_> = states
        .iter()
        .flat_map(|topology| topology.droplets().iter().map(move |it| (topology, it)))
        .collect();
    check_each(datapath, ways, &droplets, |(topology, droplet)| {
        let seen = topology.seen_from(droplet);
        (!seen.traffic().is_empty()).then(|| Through {
            name: format!("{}, {}", topology.name(), droplet.name),
            phases: vec![phase(&seen, droplet, flows)],
        })
    })
}

/// Feeds each droplet of `topology` whose tables change by an event frames before and after that, and compares as
/// [`check`] does.
pub fn check_changes(datapath: &dyn Datapath, topology: &Topology) -> Report {
    let events = topology.events().iter();
    let events: Vec<_> = events
        .map(|event| (topology.after(event), topology.describe(event)))
        .collect();
    let droplets: Vec<_> = events
        .iter()
        .flat_map(|event| topology.droplets().iter().map(move |it| (event, it)))
        .collect();
    check_each(datapath, &[Way::Detached], &droplets, |(event, droplet)| {
        let (after, what) = event;
        Some(Through {
            name: format!("{}, {}, {what}", topology.name(), droplet.name),
            phases: change([topology, after], droplet)?,
        })
    })
}

/// Feeds each droplet of `topology` whose tables change with its access lists frames without them, with them, while they say
/// the opposite, while they say what they did, and without them, and compares as [`check`] does.
pub fn check_access_changes(datapath: &dyn Datapath, topology: &Topology) -> Report {
    let without = topology.clone().without_access_lists();
    let turned = topology.clone().with_access_turned();
    let (droplets, ways) = (topology.droplets(), Way::of(datapath));
    check_each(datapath, ways, droplets, |droplet| {
        let phases = [&without, topology, &turned, topology, &without].map(|topology| {
            let seen = topology.seen_from(droplet);
            let cases = judged(&seen, &turned, FLOWS_OF_A_CHANGE);
            (seen.provision(droplet), cases)
        });
        let is_judged = phases[0].0 != phases[1].0 && !phases[0].1.is_empty();
        is_judged.then(|| Through {
            name: format!("{}, {}, access lists", topology.name(), droplet.name),
            phases: phases.into(),
        })
    })
}

/// Frames while a droplet has certain tables.
type Phase = (Provision, Vec<Case>);

/// What goes through a droplet.
struct Through {
    name: String,
    phases: Vec<Phase>,
}

/// Checks a droplet of its own for each of `items`, if there is something to go through it: a few at once, or one after the
/// other where both sides of its ports poll.
fn check_each<I: Sync>(
    datapath: &dyn Datapath,
    ways: &[Way],
    items: &[I],
    through: impl Fn(&I) -> Option<Through> + Sync,
) -> Report {
    let mut report = Report::default();
    for way in ways {
        if report.broken.is_some() {
            break;
        }
        let several = match way {
            Way::Detached => super::several(datapath),
            Way::VhostUser => 1,
        };
        report.merge(super::each(several, items, |item| match through(item) {
            Some(Through { name, phases }) => check_through(*way, datapath, &name, &phases),
            None => Report::default(),
        }));
    }
    report
}

/// All of a corpus.
fn phase(topology: &Topology, droplet: &Droplet, flows: u32) -> Phase {
    let cases = corpus(topology, droplet.host, flows);
    (topology.provision(droplet), cases)
}

/// Frames before and after the tables of a droplet change, if they do.
fn change(topologies: [&Topology; 2], droplet: &Droplet) -> Option<Vec<Phase>> {
    let [before, after] = topologies.map(|topology| topology.seen_from(droplet));
    let (old, new) = (before.provision(droplet), after.provision(droplet));
    if old == new {
        return None;
    }
    let frames = |topology: &Topology| sound(topology, droplet.host, FLOWS_OF_A_CHANGE);
    // What was for endpoints that are no more here, and what is for those that are now.
    let changed = [frames(&before), frames(&after)].concat();
    Some(vec![(old, frames(&before)), (new, changed)])
}

/// Flows of each direction that are tried before and after tables change.
const FLOWS_OF_A_CHANGE: u32 = 4;

/// How frames get in and out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Detached,
    VhostUser,
}

impl Way {
    /// All ways into droplets of a datapath.
    fn of(datapath: &dyn Datapath) -> &'static [Self] {
        match datapath.ports() {
            PortType::VhostUser => &[Self::Detached, Self::VhostUser],
            _ => &[Self::Detached],
        }
    }

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

/// Frames through a droplet with one tables after the other, each with frames of its own.
fn check_through(way: Way, datapath: &dyn Datapath, topology: &str, phases: &[Phase]) -> Report {
    let mut report = Report::default();
    let Some((first, _)) = phases.first() else {
        return report;
    };
    let name = |what: &str| match way {
        Way::Detached => format!("{topology}: {what}"),
        Way::VhostUser => format!("{topology} by vhost-user: {what}"),
    };
    let mut droplet = match way.install(datapath, first) {
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
    let mut oracle = Oracle::new(first);
    let differences = datapath.declared_differences();
    for (phase, (provision, cases)) in phases.iter().enumerate() {
        if phase > 0 {
            oracle.update(provision);
            if let Err(error) = droplet.update(provision) {
                report.fail(name("changing tables"), None, vec![error.to_string()]);
                return report;
            }
        }
        let before: usize = phases[..phase].iter().map(|(_, cases)| cases.len()).sum();
        let compared = Compared {
            way,
            provision,
            differences,
        };
        if !compared.all(
            &mut report,
            &mut *droplet,
            &mut oracle,
            (before, cases),
            &name,
        ) {
            return report;
        }
    }
    compare_caches(&mut report, &mut *droplet, &oracle, name(DIRECT_PATHS));
    if let Err(error) = droplet.stop() {
        report.fail(name("stopping"), None, vec![error.to_string()]);
    }
    report
}

const DIRECT_PATHS: &str = "direct paths at the end";

/// How frames are compared while a droplet has certain tables.
struct Compared<'a> {
    way: Way,
    provision: &'a Provision,
    differences: &'a [Difference],
}

impl Compared<'_> {
    /// Feeds frames, of which the first has this number; false if the droplet took one no more.
    fn all(
        &self,
        report: &mut Report,
        droplet: &mut dyn Running,
        oracle: &mut Oracle,
        (first, cases): (usize, &[Case]),
        name: &dyn Fn(&str) -> String,
    ) -> bool {
        for (number, case) in (first..).zip(cases) {
            let excuse =
                difference::excuse(self.differences, self.provision, case.port, &case.frame);
            if let Some(difference) = excuse {
                report.excuse(difference);
                continue;
            }
            match self.one(droplet, oracle, case) {
                Ok(lines) if lines.is_empty() => report.passed += 1,
                Ok(lines) => report.fail(name(&case.name), Some(number), lines),
                Err(why) => {
                    let lines = vec![why, "frames after this one were not tried".to_owned()];
                    report.fail(name(&case.name), Some(number), lines);
                    return false;
                }
            }
        }
        true
    }

    fn one(
        &self,
        droplet: &mut dyn Running,
        oracle: &mut Oracle,
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
        let expected = expected.into();
        let expected =
            difference::allow(self.differences, self.provision, case.port, expected, &got);
        Ok(compare::outcomes(
            &self.way.visible(expected),
            because,
            &got,
        ))
    }
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
