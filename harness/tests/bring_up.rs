//! Fifty droplets whose bring-up is interrupted: nothing of them may be left, whether who brings them up looks for signals, as
//! `bench` does, or not, for which this program starts itself again. What is looked for is of that run alone, so that others
//! of the machine do not matter: see [`Bringing::left`].

#[path = "common/missing.rs"]
mod missing;

use harness::environment::Placement;
use harness::lab::OverlayLab;
use harness::overlay::Overlay;
use harness::registry;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use topologies::catalogue;
use topologies::topology::Parameters;

/// Which datapath to bring up droplets of, and to do nothing else.
const BRING_UP: &str = "BENCH_TEST_BRING_UP";
/// Whom a process comes from: all that a run starts inherit it.
const RUN: &str = "BENCH_TEST_RUN";
/// The datapath whose droplets are processes, and which.
const OF_PROCESSES: &str = "openflow";
const SWITCH: &str = "ovs-vswitchd";
/// 2 x 23 hosts, a bouncer for each network, two dividers.
const FIFTY: (u32, u32, u32) = (23, 1, 2);
const DROPLETS: usize = 50;
/// Their uplinks, and an endpoint port of each host.
const PORTS: usize = DROPLETS + 46;
/// When to interrupt: how many droplets came up.
const MOMENTS: [(&str, usize); 3] = [
    ("the_first_droplet", 1),
    ("half_of_them", DROPLETS / 2),
    ("the_last", DROPLETS),
];
/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the kernel may take to take down what is nobody's any more.
const TAKE_DOWN: Duration = Duration::from_secs(60);
/// Where hugepages are noted that a process took.
const HUGEPAGES: &str = "/run/bench-hugepages";

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
        let is_ignored = missing::lacks_something(name);
        for (moment, droplets) in MOMENTS {
            let title = format!("{name}::a_bring_up_interrupted_after_{moment}_leaves_nothing");
            let trial = Trial::test(title, move || ended(name, droplets));
            trials.push(trial.with_ignored_flag(is_ignored));
            if name == OF_PROCESSES {
                let title = format!("{name}::bench_interrupted_after_{moment}_leaves_nothing");
                let trial = Trial::test(title, move || bench_ended(name, droplets));
                trials.push(trial.with_ignored_flag(is_ignored));
            }
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

/// A signal that nobody handles ends the process at once. Folders of its switches are for the next run to remove.
fn ended(datapath: &str, droplets: usize) -> Result<(), Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut bringing = Bringing::start(command.env(BRING_UP, datapath))?;
    bringing.interrupt(datapath, droplets)?;
    if datapath == OF_PROCESSES {
        let mut next = Command::new(env!("CARGO_BIN_EXE_bench"));
        next.args(["dump-flows", datapath, "decap"]);
        let status = bringing.set_up(&mut next).status()?;
        if !status.success() {
            return Err(format!("the next run ended with {status}").into());
        }
    }
    bringing.leaves_nothing()
}

/// `bench` ends in its own time, and says what it did.
fn bench_ended(datapath: &str, droplets: usize) -> Result<(), Failed> {
    let results = tempfile::tempdir()?;
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
    let run = results.path().join("run");
    let mut bringing = Bringing::start(command.arg("--out").arg(&run))?;
    let status = bringing.interrupt(datapath, droplets)?;
    bringing.leaves_nothing()?;
    if status.code() != Some(130) {
        return Err(format!("it ended with {status}, not with 130").into());
    }
    let page = std::fs::read_to_string(run.join("report.md"))?;
    match page.contains("interrupted") {
        true => Ok(()),
        false => Err("the report does not say that the run was interrupted".into()),
    }
}

/// A program that brings up droplets. Dropping it ends it, and what it left.
struct Bringing {
    process: Child,
    /// Its entry of the environment.
    run: String,
    /// Its folder for temporary files.
    folder: TempDir,
    /// Network namespaces that it had when it was interrupted.
    namespaces: BTreeSet<String>,
}

impl Bringing {
    fn start(command: &mut Command) -> Result<Self, Failed> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let run = format!("{}-{count}", std::process::id());
        let folder = tempfile::tempdir()?;
        set_up(command, &run, folder.path());
        Ok(Self {
            process: command.spawn()?,
            run,
            folder,
            namespaces: BTreeSet::new(),
        })
    }

    /// Another program that is looked for as well.
    fn set_up<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        set_up(command, &self.run, self.folder.path())
    }

    /// Interrupts it once so many droplets came up. How it ended.
    fn interrupt(&mut self, datapath: &str, droplets: usize) -> Result<ExitStatus, Failed> {
        let began = Instant::now();
        loop {
            let count = self.came_up(datapath);
            if count >= droplets {
                break;
            }
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("it ended by itself with {count} droplets: {status}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("only {count} droplets came up").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.namespaces = self.open_namespaces();
        if self.namespaces.is_empty() {
            return Err("it has no network namespaces of its own".into());
        }
        // SAFETY: a child of this process that was not waited for, so that the number is its own.
        if unsafe { libc::kill(self.process.id() as libc::pid_t, libc::SIGINT) } != 0 {
            return Err("could not send the signal".into());
        }
        let interrupted = Instant::now();
        let status = self.process.wait()?;
        let took = interrupted.elapsed().as_secs_f64();
        println!(
            "{datapath}: interrupted with {droplets} droplets, ended after {took:.1} s: {status}"
        );
        Ok(status)
    }

    /// How many droplets there are.
    fn came_up(&self, datapath: &str) -> usize {
        if datapath == OF_PROCESSES {
            let own = namespace_of("self");
            // One that only says its version is where this process is.
            let is_there = |id: u32| !["", &own].contains(&&*namespace_of(&id.to_string()));
            let switches = self.processes().filter(|(_, name)| name == SWITCH);
            return switches.filter(|(id, _)| is_there(*id)).count();
        }
        self.devices("d") * DROPLETS / PORTS
    }

    fn leaves_nothing(&self) -> Result<(), Failed> {
        let ended = Instant::now();
        loop {
            let left = self.left();
            if left.is_empty() {
                return Ok(());
            }
            if ended.elapsed() > TAKE_DOWN {
                return Err(format!("left behind: {}", left.join(", ")).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What is left of it: processes, whoever started them; devices; network namespaces, which live on in processes or
    /// where they are mounted; files, hugepages.
    fn left(&self) -> Vec<String> {
        let processes = self
            .processes()
            .map(|(id, name)| format!("process {id}, {name}"));
        let mut left: Vec<String> = processes.collect();
        let devices = self.devices("d") + self.devices("t");
        if devices > 0 {
            left.push(format!("{devices} devices"));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // The fourth field is what is mounted of a file system: proc_pid_mountinfo(5).
        let is_its = |mount: &&str| {
            let root = mount.split(' ').nth(3).unwrap_or_default();
            self.namespaces.contains(root) || mount.contains(&*self.folder.path().to_string_lossy())
        };
        left.extend(
            mounts
                .lines()
                .filter(is_its)
                .map(|it| format!("mount {it}")),
        );
        left.extend(names(self.folder.path()).map(|it| format!("file {it}")));
        let own = format!("{}-", self.process.id());
        let notes = names(Path::new(HUGEPAGES)).filter(|name| name.starts_with(&own));
        left.extend(notes.map(|it| format!("hugepages {it}")));
        left
    }

    /// Its processes and their names. Those that ended, and were not waited for, have no environment.
    fn processes(&self) -> impl Iterator<Item = (u32, String)> {
        let entry = format!("{RUN}={}", self.run);
        let is_its = move |id: &u32| {
            let environment = std::fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
            let mut entries = environment.split(|byte| *byte == 0);
            entries.any(|it| it == entry.as_bytes())
        };
        let processes = names(Path::new("/proc")).filter_map(|name| name.parse().ok());
        processes.filter(is_its).map(|id| (id, comm(id)))
    }

    /// Devices of its droplets ("d") or of its tester ("t") that receive: they are named after the process, and so are the
    /// kernel's threads that do it.
    fn devices(&self, kind: &str) -> usize {
        let prefix = format!("napi/{kind}{:x}x", self.process.id());
        let processes = names(Path::new("/proc")).filter_map(|name| name.parse().ok());
        processes
            .filter(|id| comm(*id).starts_with(&prefix))
            .count()
    }

    /// Network namespaces that its processes have open and this one is not in.
    fn open_namespaces(&self) -> BTreeSet<String> {
        let own = namespace_of("self");
        let descriptors = self.processes().flat_map(|(id, _)| {
            let folder = format!("/proc/{id}/fd");
            names(Path::new(&folder))
                .map(move |name| Path::new(&folder).join(name))
                .collect::<Vec<_>>()
        });
        let targets = descriptors.map(|it| target(&it));
        targets
            .filter(|it| it.starts_with("net:[") && *it != own)
            .collect()
    }
}

impl Drop for Bringing {
    fn drop(&mut self) {
        for (id, _) in self.processes() {
            // SAFETY: has no preconditions; it was a process of this run a moment ago.
            unsafe { libc::kill(id as libc::pid_t, libc::SIGKILL) };
        }
        // If it ended already there is nothing to do.
        let _ = self.process.wait();
    }
}

fn set_up<'a>(command: &'a mut Command, run: &str, folder: &Path) -> &'a mut Command {
    command
        .env(RUN, run)
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
}

/// Names in a folder; none if there is no such folder.
fn names(folder: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// What a symbolic link names.
fn target(link: &Path) -> String {
    let target = std::fs::read_link(link).unwrap_or_default();
    target.to_string_lossy().into_owned()
}

/// The network namespace of a process; nothing if it is gone.
fn namespace_of(process: &str) -> String {
    target(&Path::new("/proc").join(process).join("ns/net"))
}

/// The name of the thread that leads a process, or of the kernel's.
fn comm(process: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}
