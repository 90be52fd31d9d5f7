//! Fifty droplets whose bring-up is interrupted: nothing of them may be left, whether who brings them up looks for signals, as
//! `bench` does, or not, for which this program starts itself again.

use harness::environment::Placement;
use harness::lab::OverlayLab;
use harness::overlay::Overlay;
use harness::registry;
use libtest_mimic::{Arguments, Failed, Trial};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::topology::Parameters;

/// Which datapath to bring up droplets of, and to do nothing else.
const BRING_UP: &str = "BENCH_TEST_BRING_UP";
/// The datapath whose droplets are processes.
const OF_PROCESSES: &str = "openflow";
/// 2 x 23 hosts, a bouncer for each network, two dividers.
const FIFTY: (u32, u32, u32) = (23, 1, 2);
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    if let Ok(datapath) = std::env::var(BRING_UP) {
        if let Err(failed) = bring_up(&datapath) {
            eprintln!("{failed:?}");
            std::process::exit(1);
        }
        return;
    }
    let mut trials = Vec::new();
    for name in ["kernel-xdp", OF_PROCESSES] {
        let missing = registry::select(&[name.to_owned()])
            .map_or(true, |found| found.iter().any(|it| !it.probe().is_empty()));
        let title = format!("{name}::an_interrupted_bring_up_leaves_nothing");
        let trial = Trial::test(title, move || ended(name));
        trials.push(trial.with_ignored_flag(missing));
        if name == OF_PROCESSES {
            let title = format!("{name}::bench_interrupted_in_a_bring_up_leaves_nothing");
            let trial = Trial::test(title, move || bench_ended(name));
            trials.push(trial.with_ignored_flag(missing));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn bring_up(datapath: &str) -> Result<(), Failed> {
    let (hosts, bouncers, dividers) = FIFTY;
    let parameters = Parameters::new(46, 46)?.with_droplets(hosts, bouncers, dividers)?;
    let topology = catalogue::find("fan", parameters)?;
    let datapath = registry::select(&[datapath.to_owned()])?;
    let datapath = datapath.first().ok_or("it is gone")?;
    let lab = OverlayLab::of(&topology)?;
    let _overlay = Overlay::install(datapath.as_ref(), &topology, &lab, Placement::choose()?)?;
    std::thread::sleep(PATIENCE);
    Ok(())
}

/// A signal that nobody handles ends the process at once.
fn ended(datapath: &'static str) -> Result<(), Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    interrupted(command.env(BRING_UP, datapath), datapath).map(|_| ())
}

/// `bench` ends in its own time, and says what it did.
fn bench_ended(datapath: &'static str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (hosts, bouncers, dividers) = FIFTY;
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(["per-datapath", "--profile", "smoke", "--topology", "fan"]);
    command.args(["--datapath", datapath, "--endpoints", "46"]);
    for (option, count) in [
        ("--hosts", hosts),
        ("--bouncers", bouncers),
        ("--dividers", dividers),
    ] {
        command.args([option, &count.to_string()]);
    }
    let run = folder.path().join("run");
    let status = interrupted(command.arg("--out").arg(&run), datapath)?;
    if status.code() != Some(130) {
        return Err(format!("it ended with {status}, not with 130").into());
    }
    let page = std::fs::read_to_string(run.join("report.md"))?;
    match page.contains("interrupted") {
        true => Ok(()),
        false => Err("the report does not say that the run was interrupted".into()),
    }
}

/// How a program that brings up droplets ended that was interrupted meanwhile, and left nothing.
fn interrupted(command: &mut Command, datapath: &str) -> Result<ExitStatus, Failed> {
    let mut process = Killed(command.stdout(Stdio::null()).spawn()?);
    let id = process.0.id();
    // Devices of a lab are named after the process, and so are the kernel's threads that receive for them.
    let threads = format!("napi/d{id:x}x");
    let came_up = || comms().filter(|name| name.starts_with(&threads)).count();
    let began = Instant::now();
    while came_up() < 3 {
        if let Some(status) = process.0.try_wait()? {
            return Err(format!("it ended by itself: {status}").into());
        }
        if began.elapsed() > PATIENCE {
            return Err("no droplet came up".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let children = children(id);
    if datapath == OF_PROCESSES && children.is_empty() {
        return Err("it has no processes of its own".into());
    }
    // SAFETY: a child of this process that was not waited for, so that the number is its own.
    if unsafe { libc::kill(id as libc::pid_t, libc::SIGINT) } != 0 {
        return Err("could not send the signal".into());
    }
    let status = process.0.wait()?;
    // The kernel takes namespaces down in its own time.
    let ended = Instant::now();
    while came_up() > 0 || children.iter().any(is_alive) {
        if ended.elapsed() > PATIENCE {
            return Err("devices or processes are left behind".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(status)
}

/// Names of all threads that lead a process, the kernel's among them.
fn comms() -> impl Iterator<Item = String> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
}

/// A process, and when it began: another may have its number later.
type Known = (u32, String);

/// What proc_pid_stat(5) has as fields 4 and 22, the parent and when the process began.
fn stat(process: u32) -> Option<(u32, String)> {
    let text = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    let text = text.ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((parent, fields.nth(17)?.to_owned()))
}

fn children(parent: u32) -> Vec<Known> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let child = |number: u32| {
        let (of, began) = stat(number)?;
        (of == parent).then_some((number, began))
    };
    numbers.filter_map(child).collect()
}

fn is_alive((process, began): &Known) -> bool {
    stat(*process).is_some_and(|(_, now)| now == *began)
}

/// A child that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // If it ended already there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
