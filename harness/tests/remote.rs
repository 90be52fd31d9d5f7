//! Droplets in processes of their own, as containers have them: asked over a socket, with all else as in one process.
//! Needs root and the BPF programs; a test that cannot run here is reported as ignored.

#[path = "common/missing.rs"]
mod missing;

use datapath_api::Datapath;
use harness::profile::Profile;
use harness::record::Record;
use harness::remote::{Meeting, PATIENCE};
use harness::run::{Plan, Progress, Summary, Task, run};
use harness::tester::FrameSize;
use harness::verify::{self, Report};
use harness::{registry, report};
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::process::{Place, Process, Program};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;
use topologies::catalogue;
use topologies::topology::{DirectPathState, Parameters, Topology};

/// Flows of each direction.
const FLOWS: u32 = 4;
/// Seconds of trials before a droplet is killed, and how long after it is.
const BEFORE: f64 = 0.1;
const DELAY: Duration = Duration::from_millis(30);
/// All that a container can have, as the image is: without DPDK.
const DATAPATHS: [&str; 7] = [
    "kernel-xdp",
    "openflow",
    "openflow-reactive",
    "ovs-xdp",
    "ovs-ebpf",
    "ovs-ebpf-core",
    "ovs-ebpf-xdp",
];

fn main() {
    let mut trials = Vec::new();
    for name in DATAPATHS {
        let is_ignored = missing::lacks_something(name);
        let carried = Trial::test(format!("{name}::as_in_one_process"), move || carried(name));
        trials.push(carried.with_ignored_flag(is_ignored));
        if name == "kernel-xdp" {
            let killed = Trial::test("a_killed_droplet_fails_with_its_name", killed);
            trials.push(killed.with_ignored_flag(is_ignored));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn datapath(name: &str) -> Result<Box<dyn Datapath>, Failed> {
    let mut found = registry::select(&[name.to_owned()])?;
    Ok(found.pop().ok_or("it is gone")?)
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// The droplets of a topology, each in a process.
struct Droplets {
    // In the order of being dropped.
    meeting: Meeting,
    processes: Vec<Process>,
    _folder: TempDir,
}

impl Droplets {
    fn of(topology: &Topology) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let droplets = topology.droplets().iter();
        let names: Vec<String> = droplets.map(|droplet| droplet.name.clone()).collect();
        let processes = names.iter().map(|name| {
            let mut program = Program::new(env!("CARGO_BIN_EXE_bench"));
            program.args(["droplet", "--name", name, "--meeting"]);
            program.arg(folder.path());
            program.stderr(std::io::stderr().as_fd().try_clone_to_owned()?.into());
            let nowhere = Path::new("/nonexistent");
            Process::start("bench droplet", program, Place::default(), nowhere)
                .map_err(Failed::from)
        });
        let processes = processes.collect::<Result<_, _>>()?;
        Ok(Self {
            meeting: Meeting::open(folder.path(), &names, PATIENCE, &|| false)?,
            processes,
            _folder: folder,
        })
    }
}

fn verified(
    datapath: &dyn Datapath,
    topology: &Topology,
    meeting: Option<&Meeting>,
) -> Result<u64, Failed> {
    let report = verify::overlay::check(datapath, topology, FLOWS, meeting);
    let Report { passed, .. } = report;
    if report.objection().is_some() {
        let failures: Vec<_> = report.failures.iter().map(ToString::to_string).collect();
        return Err(format!("{report}\n{}", failures.join("\n")).into());
    }
    Ok(passed)
}

/// The same frames pass by the same droplets, in one process and in three.
fn carried(name: &str) -> Result<(), Failed> {
    let topology = catalogue::find("bounce", Parameters::new(FLOWS, FLOWS)?)?;
    let datapath = datapath(name)?;
    let here = verified(datapath.as_ref(), &topology, None)?;
    let droplets = Droplets::of(&topology)?;
    let elsewhere = verified(datapath.as_ref(), &topology, Some(&droplets.meeting))?;
    check(
        here > 0 && here == elsewhere,
        &format!("{here} frames, and {elsewhere}"),
    )?;
    // All was taken down, so that the same may come again.
    let again = verified(datapath.as_ref(), &topology, Some(&droplets.meeting))?;
    check(again == elsewhere, "it is not as before")
}

/// Kills a droplet while a rate is searched for.
struct Killer {
    victim: Mutex<Option<Process>>,
    searched: Mutex<Option<f64>>,
}

impl Progress for Killer {
    fn begin(&self, _: f64) {}

    fn phase(&self, text: &str) {
        if text.ends_with("rate search")
            && let Ok(mut searched) = self.searched.lock()
        {
            searched.get_or_insert(0.0);
        }
    }

    fn advance(&self, seconds: f64) {
        let Ok(mut searched) = self.searched.lock() else {
            return;
        };
        let Some(searched) = searched.as_mut() else {
            return;
        };
        *searched += seconds;
        let victim = self.victim.lock().ok();
        if *searched > BEFORE
            && let Some(victim) = victim.and_then(|mut victim| victim.take())
        {
            std::thread::spawn(move || {
                std::thread::sleep(DELAY);
                drop(victim);
            });
        }
    }

    fn end(&self) {}
}

/// The run says who is gone, and ends.
fn killed() -> Result<(), Failed> {
    let topology = catalogue::find("bounce", Parameters::default())?;
    let topology = topology.in_state(DirectPathState::Cold);
    let mut droplets = Droplets::of(&topology)?;
    // In the topology's order.
    let victim = droplets.processes.pop().ok_or("there is no bouncer")?;
    let plan = Plan {
        profile: Profile::Smoke,
        datapaths: vec![datapath("kernel-xdp")?],
        scenarios: vec![Task::new(topology, FrameSize::Bytes(64), true)],
        seed: 1,
        measure_anyway: false,
        command: Vec::new(),
        meeting: Some(droplets.meeting),
    };
    let killer = Killer {
        victim: Mutex::new(Some(victim)),
        searched: Mutex::new(None),
    };
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let Summary {
        results, failures, ..
    } = run(&plan, &out, &killer, &AtomicBool::new(false))?;
    check(
        (results, failures) == (0, 1),
        &format!("{results} results, {failures} failures"),
    )?;
    let text = std::fs::read_to_string(out.join("trials.jsonl"))?;
    let failure = text
        .lines()
        .find_map(|line| match serde_json::from_str(line).ok()? {
            Record::Failure(failure) => Some(failure.reason),
            _ => None,
        });
    let reason = failure.ok_or("no failure is recorded")?;
    check(
        reason.contains("droplet \"bouncer\": it is gone"),
        &format!("it says: {reason}"),
    )?;
    // The report says where the droplets were, and who went.
    let written = report::write(&out)?;
    let page = std::fs::read_to_string(written.markdown)?;
    check(page.contains("it is gone"), "the report does not say it")?;
    let home = "| Droplet bouncer | in a process of its own |";
    check(page.contains(home), "the report does not say where it was")
}
