//! What a test leaves that was killed with its daemon: containers and what supervises them, their control groups, folders.
//! The daemon's mounts are in a namespace of its own, and end with the last of its processes.

use super::daemon::Daemon;
use anyhow::{Context, ensure};
use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where control groups are.
pub const GROUPS: &str = "/sys/fs/cgroup";
/// How folders of daemons begin, and their control groups; their tests' process ids follow.
pub const PREFIX: &str = "bench-docker-";
/// How folders of their data begin, likewise.
pub const DATA: &str = "docker-data-";
/// Where those who supervise containers listen.
const SOCKETS: &str = "/run/containerd/s";
/// What a daemon makes outside of its folders, and leaves empty.
const EMPTY: [&str; 4] = [
    "/run/docker/plugins",
    "/run/docker",
    SOCKETS,
    "/run/containerd",
];
/// How long processes may take to end that were killed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Has this program start a daemon, and wait to be killed.
const ORPHAN: &str = "BENCH_TEST_ORPHAN";

/// Ends and removes what is left of tests that are gone, with their data in `scratch`.
pub fn remove(scratch: &Path) {
    let began = Instant::now();
    loop {
        let (groups, processes) = (groups(), processes());
        groups.iter().for_each(|group| remove_group(group));
        if (groups.is_empty() && processes.is_empty()) || began.elapsed() > PATIENCE {
            break;
        }
        let members = groups.iter().flat_map(|group| members(group));
        for process in members.chain(processes) {
            // SAFETY: has no preconditions; it was a process of such a test a moment ago.
            unsafe { libc::kill(process, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    for folder in folders(scratch) {
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            eprintln!("{} stays: {error}", folder.display());
        }
    }
    remove_empty();
}

/// Removes what a daemon leaves empty, and sockets of those who supervised containers and were killed.
pub fn remove_empty() {
    let sockets = std::fs::read_dir(SOCKETS).into_iter().flatten().flatten();
    for socket in sockets.map(|entry| entry.path()) {
        let asked = UnixStream::connect(&socket);
        // Nobody listens there any more.
        if asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            let _ = std::fs::remove_file(socket);
        }
    }
    for folder in EMPTY {
        // Unless somebody has something in it.
        let _ = std::fs::remove_dir(folder);
    }
}

/// Removes a control group and those in it; their files go with them.
pub fn remove_group(group: &Path) {
    for inner in inner(group) {
        remove_group(&inner);
    }
    let _ = std::fs::remove_dir(group);
}

/// All hierarchies: the unified one, and each of the older ones.
pub fn hierarchies() -> impl Iterator<Item = PathBuf> {
    let root = PathBuf::from(GROUPS);
    inner(&root).into_iter().chain([root])
}

/// Whether a name has the process id of a test that is gone.
fn is_orphan(name: &str, prefix: &str) -> bool {
    let id = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.split('-').next());
    let id: Option<u32> = id.and_then(|id| id.parse().ok());
    id.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists())
}

fn orphans_in(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = inner(folder).into_iter();
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        is_orphan(&name.to_string_lossy(), prefix)
    };
    entries.filter(is_one).collect()
}

fn groups() -> Vec<PathBuf> {
    hierarchies()
        .flat_map(|it| orphans_in(&it, PREFIX))
        .collect()
}

fn folders(scratch: &Path) -> Vec<PathBuf> {
    let mut folders = orphans_in(&std::env::temp_dir(), PREFIX);
    folders.extend(orphans_in(scratch, DATA));
    folders
}

/// Those who supervise containers are told the daemon's folder.
fn processes() -> Vec<libc::pid_t> {
    let of_daemons = orphans_in(&std::env::temp_dir(), PREFIX);
    let is_one = |id: &libc::pid_t| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let mut folders = of_daemons.iter().map(|folder| folder.to_string_lossy());
        folders.any(|folder| line.contains(&*folder))
    };
    let entries = inner(Path::new("/proc")).into_iter();
    let ids = entries.filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    ids.filter(is_one).collect()
}

fn members(group: &Path) -> Vec<libc::pid_t> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let own = text.lines().filter_map(|line| line.parse().ok());
    let inner = inner(group).into_iter().flat_map(|it| members(&it));
    own.chain(inner).collect()
}

fn inner(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|it| it.path()).collect()
}

/// Whether this program was started to leave something behind.
pub fn is_to_be_one() -> bool {
    std::env::var_os(ORPHAN).is_some()
}

/// Starts a daemon, says so, and waits to be killed.
pub fn be_one(scratch: &Path) {
    match Daemon::start(scratch) {
        Ok(_daemon) => {
            println!("started");
            std::thread::sleep(PATIENCE);
        }
        Err(error) => println!("{error:#}"),
    }
}

/// The next test removes what a killed one left.
pub fn are_removed(scratch: &Path) -> anyhow::Result<()> {
    let mut doomed = Command::new(std::env::current_exe()?)
        .env(ORPHAN, "yes")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let output = doomed.stdout.take().context("it has no output")?;
    BufReader::new(output).read_line(&mut said)?;
    doomed.kill()?;
    doomed.wait()?;
    ensure!(said == "started\n", "it said: {said}");
    let folder = std::env::temp_dir().join(format!("{PREFIX}{}-", doomed.id()));
    let folder = folder.to_string_lossy().into_owned();
    let left = || folders(scratch).len() + groups().len() + processes().len();
    ensure!(left() > 0, "it left nothing, and so this tests nothing");
    remove(scratch);
    ensure!(left() == 0, "still there: {:?}", folders(scratch));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains(&folder), "mounted still:\n{mounts}");
    Ok(())
}
