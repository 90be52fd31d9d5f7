//! `bench per-datapath`.

use super::Outcome;
use super::arguments::{DirectPathName, Format, Measure};
use super::bar::Bar;
use crate::environment::container;
use crate::overlay::Overlay;
use crate::profile::Mix;
use crate::remote::{Meeting, PATIENCE};
use crate::report::RUN;
use crate::run::{self, Plan, Progress, Silent, Task, rfc3339};
use crate::tester::FrameSize;
use crate::{lines, registry, report};
use anyhow::{Context, bail};
use datapath_api::Datapath;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use topologies::catalogue;
use topologies::topology::{DirectPathState, Parameters, Topology, Usual, capacity};
use workload::underlay::DROPLETS;

pub fn run(arguments: &Measure, format: Format) -> anyhow::Result<Outcome> {
    let datapaths = registry::select(&arguments.datapaths)?;
    let scenarios = scenarios(arguments)?;
    if let Some(outcome) = check_required(&arguments.require)? {
        return Ok(outcome);
    }
    let folder = arguments.out.clone().unwrap_or_else(default_folder);
    // Before anything is announced, or measured for nothing.
    lines::refuse_run(&folder.join(RUN))?;
    if format == Format::Text {
        announce(&datapaths);
    }
    if datapaths
        .iter()
        .all(|datapath| !datapath.probe().is_empty())
    {
        bail!("none of the datapaths asked for can run here; `bench doctor` says what is missing");
    }
    leave_out(&datapaths, &scenarios, format)?;
    let interrupted = interrupted()?;
    let meeting = arguments.droplets.as_deref();
    let meeting = meeting.map(|folder| meet(folder, &scenarios, &interrupted));
    let plan = Plan {
        meeting: meeting.transpose()?,
        profile: arguments.profile,
        datapaths,
        scenarios,
        seed: arguments.seed.unwrap_or_else(rand::random),
        measure_anyway: arguments.measure_anyway,
        command: command(),
    };
    let bar = progress(format);
    let summary = run::run(&plan, &folder, bar.as_ref(), &interrupted)
        .with_context(|| format!("measuring into {}", folder.display()))?;
    let written = report::write(&folder).context("writing the report")?;
    super::report::print(&folder, &written, format)?;
    Ok(summary.into())
}

/// Waits for the droplets of these overlays.
fn meet(folder: &Path, tasks: &[Task], interrupted: &AtomicBool) -> anyhow::Result<Meeting> {
    let mut names = Vec::new();
    for Task { topology, .. } in tasks {
        if topology.under_test().is_some() {
            let why = "one droplet is under test there, and runs here";
            let remedy = "name an overlay, such as --topology bounce";
            bail!(
                "{}: not with --droplets, since {why}; {remedy}",
                topology.name()
            );
        }
        let droplets = topology.droplets().iter().map(|droplet| &droplet.name);
        names.extend(
            droplets
                .filter(|name| !names.contains(*name))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    let is_interrupted = || interrupted.load(Ordering::Relaxed);
    Ok(Meeting::open(folder, &names, PATIENCE, &is_interrupted)?)
}

/// Says which datapaths have no part in overlays; an error if nothing can be measured for that.
fn leave_out(
    datapaths: &[Box<dyn Datapath>],
    tasks: &[Task],
    format: Format,
) -> anyhow::Result<()> {
    let Some(overlay) = tasks.iter().find(|task| task.is_overlay()) else {
        return Ok(());
    };
    let others = datapaths.iter().filter(|it| !Overlay::takes(it.as_ref()));
    let names: Vec<_> = others.map(|datapath| datapath.name()).collect();
    let why = "droplets are joined by veth pairs there";
    if names.len() == datapaths.len() && tasks.iter().all(Task::is_overlay) {
        let topology = &overlay.scenario.topology;
        bail!(
            "{}: not from endpoint to endpoint ({topology}), since {why}; `bench list` tells ports",
            names.join(", ")
        );
    }
    if format == Format::Text && !names.is_empty() {
        println!(
            "Not from endpoint to endpoint, since {why}: {}\n",
            names.join(", ")
        );
    }
    Ok(())
}

/// Set by the first signal that asks to end. A second one ends the program at once: nothing of the lab outlives it.
pub fn interrupted() -> anyhow::Result<Arc<AtomicBool>> {
    const ENDS: &str = "\nbench: ends when what is being done is done; once more ends it at once\n";
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let flag = Arc::clone(&interrupted);
        let say = || {
            // SAFETY: the words are there for as long as the program is.
            unsafe { libc::write(libc::STDERR_FILENO, ENDS.as_ptr().cast(), ENDS.len()) };
        };
        // SAFETY: write(2) may be called from a signal handler (signal-safety(7)).
        unsafe { signal_hook::low_level::register(signal, say) }
            .context("installing a signal handler")?;
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, flag))
            .context("installing a signal handler")?;
    }
    Ok(interrupted)
}

/// A bar where people read, nothing where programs do.
pub fn progress(format: Format) -> Box<dyn Progress> {
    if format == Format::Text {
        Box::new(Bar::new())
    } else {
        Box::new(Silent)
    }
}

/// Where runs are, unless another folder is asked for.
pub const RESULTS: &str = "results";

/// A folder named after the time.
pub fn default_folder() -> PathBuf {
    let time = rfc3339(SystemTime::now()).replace(':', "");
    Path::new(RESULTS).join(time)
}

/// Nothing, if every required datapath can run here.
pub fn check_required(names: &[String]) -> anyhow::Result<Option<Outcome>> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut outcome = None;
    for datapath in registry::select(names)? {
        for missing in datapath.probe() {
            eprintln!(
                "bench: {} is required and cannot run here: {missing}",
                datapath.name()
            );
            outcome = Some(Outcome::RequiredMissing);
        }
    }
    Ok(outcome)
}

/// Says which datapaths can run here, and what the others lack.
pub fn announce(datapaths: &[Box<dyn Datapath>]) {
    for datapath in datapaths {
        let missing = datapath.probe();
        if missing.is_empty() {
            println!("{:<20} {}", datapath.name(), datapath.summary());
        } else {
            println!("{:<20} cannot run here:", datapath.name());
            for missing in missing {
                println!("{:<20}   {missing}", "");
            }
        }
    }
    println!();
}

fn scenarios(arguments: &Measure) -> anyhow::Result<Vec<Task>> {
    let effort = arguments.profile.effort()?;
    let (names, sizes, flows) = (
        arguments.topologies.named(),
        &arguments.frame_sizes,
        &arguments.flows,
    );
    let mut tasks: Vec<Task> = Vec::new();
    for (name, mixes) in effort.scenarios(&names, sizes, flows) {
        let usual = catalogue::find(name, Parameters::default())?.usual();
        let usual_endpoints = [usual.endpoints.get()];
        let endpoints = match arguments.endpoints.as_slice() {
            [] => &usual_endpoints[..],
            asked => asked,
        };
        for (number, Mix { size, flows }) in at_least(usual, mixes, flows).iter().enumerate() {
            for (endpoints, rules) in product(endpoints, &arguments.rules) {
                let groups = arguments.groups;
                let parameters = Parameters::new(endpoints, *flows)?.with_droplets(
                    groups.hosts,
                    groups.bouncers,
                    groups.dividers,
                )?;
                let topology = catalogue::find(name, parameters.with_rules(rules)?)?;
                for task in in_all_states(topology, *size, arguments, number == 0)? {
                    // Where there are no lists, their lengths make no difference.
                    if tasks.iter().all(|it| it.scenario.id != task.scenario.id) {
                        tasks.push(task);
                    }
                }
            }
        }
    }
    Ok(tasks)
}

/// Each of the one with each of the other.
fn product<'a>(one: &'a [u32], other: &'a [u32]) -> impl Iterator<Item = (u32, u32)> {
    one.iter()
        .flat_map(|one| other.iter().map(|other| (*one, *other)))
}

/// A topology in the states of the direct path that it is measured in.
fn in_all_states(
    topology: Topology,
    size: FrameSize,
    arguments: &Measure,
    is_first: bool,
) -> anyhow::Result<Vec<Task>> {
    let both = topology.direct_path_states().len() > 1;
    let mut tasks = Vec::new();
    for topology in in_states(topology, arguments.direct_path)? {
        let topology = match arguments.transport {
            Some(transport) => topology.with_transport(transport.into()),
            None => topology,
        };
        tasks.push(Task {
            // What they do to packets depends on neither size nor number of flows.
            events: is_first && !arguments.no_events,
            ..Task::new(topology, size, both)
        });
    }
    Ok(tasks)
}

/// Mixes with as many flows as the topology usually has, where nobody asked for numbers of them.
fn at_least(usual: Usual, mixes: Vec<Mix>, asked: &[u32]) -> Vec<Mix> {
    if !asked.is_empty() {
        return mixes;
    }
    let mut enough = Vec::new();
    for mix in mixes {
        let flows = mix.flows.max(usual.flows.get());
        let mix = Mix { flows, ..mix };
        if !enough.contains(&mix) {
            enough.push(mix);
        }
    }
    enough
}

/// The topology in each state of the direct path that it is measured in.
pub fn in_states(
    topology: Topology,
    only: Option<DirectPathName>,
) -> anyhow::Result<Vec<Topology>> {
    let Some(only) = only.map(DirectPathState::from) else {
        let states = topology.direct_path_states().iter();
        return states
            .map(|state| fits(topology.clone().in_state(*state)))
            .collect();
    };
    if !topology.direct_path_states().contains(&only) {
        bail!(
            "topology {} is measured with direct_path = \"{}\" alone; expected one with direct_path = \"both\"",
            topology.name(),
            match only {
                DirectPathState::Warm => "cold",
                DirectPathState::Cold => "warm",
            }
        );
    }
    Ok(vec![fits(topology.in_state(only))?])
}

/// The topology, if an underlay can join its droplets and each can keep its direct paths: else it would be refused only once it
/// has been made.
fn fits(topology: Topology) -> anyhow::Result<Topology> {
    let (name, droplets) = (topology.name(), topology.droplets());
    if droplets.len() > DROPLETS as usize {
        bail!(
            "topology {name} has {} droplets, and an underlay joins {DROPLETS} at most; give less for --hosts, --bouncers or --dividers",
            droplets.len()
        );
    }
    let provisions = droplets.iter().map(|droplet| topology.provision(droplet));
    let paths = provisions.map(|it| it.direct_paths.len()).max();
    let paths = paths.unwrap_or_default();
    if paths > capacity::CACHE {
        bail!(
            "topology {name} has {paths} direct paths from one droplet, which keeps {} at most; give less for --endpoints, or --direct-path off",
            capacity::CACHE
        );
    }
    Ok(topology)
}

/// The command as a user repeats it: by cargo, since a path may lead to another build, as root by what sets everything up first,
/// and by compose if this is a container.
pub fn command() -> Vec<String> {
    let start = match container() {
        Some(_) => "docker compose -f docker/compose.yaml run --rm tester",
        None if is_root() => "cargo xtask bench",
        None => "cargo run --bin bench --",
    };
    let start = start.split(' ').map(str::to_owned);
    start.chain(std::env::args().skip(1)).collect()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{Arguments, Command};
    use super::*;
    use clap::Parser;

    fn ids(words: &[&str]) -> Vec<String> {
        let words = ["bench", "per-datapath"].iter().chain(words);
        let Command::PerDatapath(measure) = Arguments::parse_from(words).command else {
            unreachable!("the command is given");
        };
        let tasks = scenarios(&measure).unwrap();
        tasks.into_iter().map(|task| task.scenario.id).collect()
    }

    /// One flow from one endpoint to one would cross one bouncer, and not be spread over several.
    #[test]
    fn a_topology_has_its_usual_sizes_where_none_are_asked_for() {
        let fan = ["--topology", "fan", "--direct-path", "off"];
        assert_eq!(
            ids(&fan),
            ["fan/64B/256-flows/64-endpoints/direct-path-off"]
        );
        let asked = [&fan[..], &["--endpoints", "1", "--flows", "1,300"]].concat();
        assert_eq!(
            ids(&asked),
            [
                "fan/64B/1-flow/direct-path-off",
                "fan/64B/300-flows/direct-path-off"
            ]
        );
        assert_eq!(ids(&["--topology", "hop"]), ["hop/64B/1-flow"]);
    }

    #[test]
    fn endpoints_and_rules_are_varied_where_a_topology_has_them() {
        let guarded = [
            "--topology",
            "guarded",
            "--rules",
            "10,100",
            "--direct-path",
            "on",
        ];
        assert_eq!(
            ids(&guarded),
            [
                "guarded/64B/1-flow/10-vain-rules/direct-path-on",
                "guarded/64B/1-flow/direct-path-on"
            ]
        );
        let hop = [
            "--topology",
            "hop",
            "--rules",
            "10,100",
            "--endpoints",
            "1,8",
        ];
        assert_eq!(ids(&hop), ["hop/64B/1-flow", "hop/64B/1-flow/8-endpoints"]);
    }

    #[test]
    fn mixes_that_become_the_same_are_measured_once() {
        let usual = Usual {
            endpoints: 1.try_into().unwrap(),
            flows: 1_000.try_into().unwrap(),
        };
        let mix = |flows| Mix {
            size: FrameSize::Imix,
            flows,
        };
        let mixes = vec![mix(1), mix(1_000), mix(10_000)];
        assert_eq!(
            at_least(usual, mixes.clone(), &[]),
            [mix(1_000), mix(10_000)]
        );
        assert_eq!(at_least(usual, mixes.clone(), &[1]), mixes);
    }
}
