//! A Docker daemon: one that answers, or one of our own for as long as the test lasts, which leaves nothing.

use super::orphans::{self, DATA, GROUPS, PREFIX, hierarchies, remove_group};
use netdev::process::{Place, Process, Program};
use netdev::scratch_folder;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What provides Docker.
pub const REMEDY: &str = "apt-get install --yes --no-install-recommends docker.io docker-compose iptables debootstrap \
                          (cargo xtask docker-test does it)";
/// How long a daemon may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whether a program runs and is content.
fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.output().is_ok_and(|output| output.status.success())
}

/// What is missing here, if something is.
pub fn missing() -> Option<String> {
    if !works("docker", &["--version"]) || compose().is_none() {
        return Some(format!("Docker and its compose: {REMEDY}"));
    }
    // SAFETY: has no preconditions.
    let is_root = unsafe { libc::geteuid() } == 0;
    let own = is_root && works("dockerd", &["--version"]);
    let nobody = || format!("a Docker daemon, or root and dockerd: {REMEDY}");
    (!works("docker", &["info"]) && !own).then(nobody)
}

/// The beginning of a command line of compose.
fn compose() -> Option<&'static [&'static str]> {
    if works("docker", &["compose", "version"]) {
        return Some(&["docker", "compose"]);
    }
    works("docker-compose", &["--version"]).then_some(&["docker-compose"])
}

/// See the module's documentation.
pub struct Daemon {
    own: Option<Own>,
}

/// A daemon without bridges and rules of its own: the bench needs none, and so none are left behind.
struct Own {
    process: Process,
    /// Control groups of its containers.
    group: String,
    run: TempDir,
    _data: TempDir,
}

impl Daemon {
    /// The daemon that answers, or a new one with its data in a folder below `scratch`.
    pub fn find_or_start(scratch: &Path) -> anyhow::Result<Self> {
        if works("docker", &["info"]) {
            return Ok(Self { own: None });
        }
        Self::start(scratch)
    }

    /// A new one; what those left that were killed is removed before.
    pub fn start(scratch: &Path) -> anyhow::Result<Self> {
        orphans::remove(scratch);
        let of_this = std::process::id();
        let data = TempDir::with_prefix_in(format!("{DATA}{of_this}-"), scratch)?;
        let run = scratch_folder(PREFIX)?;
        let group = format!("{PREFIX}{of_this}");
        let (at, log) = (|name: &str| run.path().join(name), run.path().join("log"));
        let output = std::fs::File::create(&log)?;
        // With mounts of its own, which end with it, however it ends.
        let mut program = Program::new("unshare");
        program
            .args(["--mount", "dockerd"])
            .arg("--data-root")
            .arg(data.path())
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .args(["--host", &socket(run.path())])
            .args(["--cgroup-parent", &format!("/{group}")])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            .args(["--bridge", "none", "--iptables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"])
            .stdout(output.try_clone()?)
            .stderr(output);
        favour(&group);
        let process = Process::start("dockerd", program, Place::default(), &log)?;
        let daemon = Self {
            own: Some(Own {
                process,
                group,
                run,
                _data: data,
            }),
        };
        if let Some(own) = &daemon.own {
            own.process
                .until(PATIENCE, || daemon.docker(&["info"]).is_ok())?;
        }
        Ok(daemon)
    }

    /// A command of ours that talks to this daemon.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        if let Some(own) = &self.own {
            command.env("DOCKER_HOST", socket(own.run.path()));
        }
        command
    }

    /// Runs `docker` with these arguments.
    pub fn docker(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("docker");
        finished(command.args(arguments).output()?)
    }

    /// Compose, to be told what to do with this file.
    pub fn compose(&self, file: &Path) -> anyhow::Result<Command> {
        let (program, rest) = compose()
            .and_then(<[_]>::split_first)
            .ok_or_else(|| anyhow::anyhow!("compose is gone"))?;
        let mut command = self.command(program);
        command.args(rest).arg("--file").arg(file);
        Ok(command)
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}

/// What a program printed, or an error with the end of it.
pub fn finished(output: Output) -> anyhow::Result<String> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{}\n{said}\n{complained}",
        output.status
    );
    Ok(said)
}

impl Drop for Own {
    fn drop(&mut self) {
        // Asked, it ends its children and unmounts what it mounted.
        works("kill", &["-TERM", &self.process.pid.to_string()]);
        if !self.process.wait(PATIENCE) {
            eprintln!("dockerd does not end, and is killed");
        }
        // Empty by now.
        for hierarchy in hierarchies() {
            remove_group(&hierarchy.join(&self.group));
        }
        orphans::remove_empty();
    }
}

/// Makes the control group of all containers go before the machine's other work, as niceness does it in namespaces: within
/// a group it counts among its members alone. Where the kernel does not let us, other work shows more.
fn favour(group: &str) {
    let groups = Path::new(GROUPS);
    let (group, file, most) = if groups.join("cpu/cpu.shares").is_file() {
        (groups.join("cpu").join(group), "cpu.shares", "262144")
    } else {
        (groups.join(group), "cpu.weight", "10000")
    };
    let _ = std::fs::create_dir(&group);
    let _ = std::fs::write(group.join(file), most);
}
