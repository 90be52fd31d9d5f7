//! The topology `bounce` in containers, by docker/compose.yaml, and the same run in namespaces. Needs Docker with compose,
//! and what the datapaths need; a test that cannot run here is reported as ignored. `BENCH_DOCKER_DATAPATHS` says which
//! datapaths, with commas in between, and `BENCH_DOCKER_PROFILE` how thoroughly. Both runs are kept, see [`kept`].

mod daemon;

use anyhow::{Context, ensure};
use daemon::{Daemon, finished};
use harness::record::{Purpose, Record, Run, TrialRecord};
use harness::registry;
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The datapaths, unless others are named.
const DATAPATHS: &str = "kernel-xdp,openflow";
/// The profile, unless another is named.
const PROFILE: &str = "smoke";
/// The folder of the run in containers.
const CONTAINERS: &str = "containers";
/// The image that is tested, and the base where no registry can be reached.
const IMAGE: &str = "mizar-bench-test";
const BASE: &str = "mizar-bench-base";
/// How many times as much a frame may take in containers as in namespaces, or the other way round. Droplets are the same
/// programs on the same devices; what is wrong by more is interpreted, generic, or somebody else's.
const APART: f64 = 4.0;

fn main() {
    let names = std::env::var("BENCH_DOCKER_DATAPATHS");
    let names = names.unwrap_or_else(|_| DATAPATHS.to_owned());
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    let mut missing: Vec<String> = daemon::missing().into_iter().collect();
    match registry::select(&names) {
        Ok(datapaths) => {
            let lacks = datapaths.iter().flat_map(|it| it.probe());
            missing.extend(lacks.map(|missing| missing.to_string()));
        }
        Err(error) => missing.push(error.to_string()),
    }
    for missing in &missing {
        eprintln!("containers are IGNORED: needs {missing}");
    }
    let is_ignored = !missing.is_empty();
    let test = move || {
        if is_ignored {
            return Err(format!("it was asked for, and needs {}", missing.join("; ")).into());
        }
        bounce(&names).map_err(|error| Failed::from(format!("{error:#}")))
    };
    let trial = Trial::test("bounce_in_containers_is_as_in_namespaces", test);
    let trials = vec![trial.with_ignored_flag(is_ignored)];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of both runs, until there are newer ones.
fn kept(scratch: &Path) -> anyhow::Result<PathBuf> {
    let folder = scratch.join("docker-test");
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("removing the runs before");
        }
        _ => std::fs::create_dir_all(&folder)?,
    }
    Ok(folder)
}

fn bounce(names: &[String]) -> anyhow::Result<()> {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let results = kept(scratch)?;
    let profile = std::env::var("BENCH_DOCKER_PROFILE");
    let profile = profile.unwrap_or_else(|_| PROFILE.to_owned());
    let mut arguments: Vec<String> = ["--profile", &profile, "--seed", "1"]
        .map(str::to_owned)
        .to_vec();
    for name in names {
        arguments.extend(["--datapath".to_owned(), name.clone()]);
    }
    let in_containers = {
        let daemon = Daemon::find_or_start(scratch)?;
        let ran = image(&daemon, scratch).and_then(|()| up(&daemon, &results, &arguments));
        // Whatever became of it.
        let _ = daemon.docker(&["image", "rm", "--force", IMAGE, BASE]);
        ran?;
        Recorded::read(&results.join(CONTAINERS))?
    };
    ensure!(
        in_containers.run.environment.container.is_some(),
        "the tester does not know that it was in a container"
    );
    let homes = &in_containers.run.environment.droplets;
    let contained = homes.iter().filter(|home| home.container.is_some());
    ensure!(contained.count() == 3, "droplets were in {homes:?}");
    let report = results.join(CONTAINERS).join("report.md");
    println!("in containers: {}", report.display());
    let page = std::fs::read_to_string(report)?;
    ensure!(
        page.contains("| Droplet bouncer | in container "),
        "the report does not say where droplets were"
    );
    ensure!(
        page.contains("run --rm tester per-datapath --topology bounce"),
        "the report does not say how to repeat a run in containers"
    );

    let out = results.join("namespaces");
    let mut here = Command::new(env!("CARGO_BIN_EXE_bench"));
    here.args(["per-datapath", "--topology", "bounce", "--out"])
        .arg(&out)
        .args(&arguments);
    finished(here.output()?).context("the same in namespaces")?;
    let here = Recorded::read(&out)?;
    ensure!(
        here.events == in_containers.events && here.events.len() == 3 * here.verified.len(),
        "events in namespaces: {:?}, in containers: {:?}",
        here.events,
        in_containers.events
    );
    ensure!(
        here.verified == in_containers.verified,
        "verified in namespaces: {:?}, in containers: {:?}",
        here.verified,
        in_containers.verified
    );
    for name in names {
        for scenario in &here.run.scenarios {
            let key = (name.clone(), scenario.id.clone());
            ensure!(
                here.results.contains(&key) && in_containers.results.contains(&key),
                "{key:?} has no result"
            );
            let [here, there] = [&here, &in_containers].map(|run| run.searched.get(&key));
            let (Some(here), Some(there)) = (here, there) else {
                anyhow::bail!("{key:?}: nothing arrived");
            };
            println!("{key:?}: in namespaces {here:?}, in containers {there:?}");
            ensure!(
                here.crossed == there.crossed,
                "{key:?}: frames go by other droplets"
            );
            // Rates are the machine's stalls as much; the processor time of a frame is not, at its least.
            let ratio = there.frame_ns / here.frame_ns;
            ensure!(
                (1.0 / APART..APART).contains(&ratio),
                "{key:?}: a frame takes {ratio:.2} times the processor time in containers"
            );
        }
    }
    Ok(())
}

/// Builds the image with the program that this test was built with.
fn image(daemon: &Daemon, scratch: &Path) -> anyhow::Result<()> {
    let base = base(daemon, scratch)?;
    let context = TempDir::with_prefix("bench-image-")?;
    let program = context.path().join("bench");
    std::fs::copy(env!("CARGO_BIN_EXE_bench"), program)?;
    let mut build = daemon.command("docker");
    build
        // What is installed comes by the machine's own network.
        .args(["build", "--network", "host", "--tag", IMAGE])
        .args(["--build-arg", &format!("RUST={base}")])
        .args(["--build-arg", &format!("BASE={base}"), "--file"])
        .arg(workspace().join("docker/Dockerfile"))
        .arg(context.path());
    finished(build.output()?).context("building the image")?;
    Ok(())
}

/// A base of this machine's own release, whose libraries the program was linked with.
fn base(daemon: &Daemon, scratch: &Path) -> anyhow::Result<String> {
    let release = std::fs::read_to_string("/etc/os-release")?;
    let field = |name: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(name));
        value.map(|value| value.trim_matches('"').to_owned())
    };
    let known = "os-release does not say which Debian or Ubuntu this is";
    let (id, codename) = (
        field("ID=").context(known)?,
        field("VERSION_CODENAME=").context(known)?,
    );
    let public = match id.as_str() {
        "debian" => format!("debian:{codename}-slim"),
        _ => format!("{id}:{codename}"),
    };
    let tar = scratch.join(format!("docker-base-{codename}.tar"));
    // It was not to be had before.
    let is_offline = tar.is_file();
    if daemon.docker(&["image", "inspect", &public]).is_ok()
        || (!is_offline && daemon.docker(&["pull", &public]).is_ok())
    {
        return Ok(public);
    }
    if !is_offline {
        println!("no registry has {public}: debootstrap makes a base, once");
        let root = TempDir::with_prefix_in("docker-base-", scratch)?;
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.arg("--variant=minbase").arg(&codename);
        finished(debootstrap.arg(root.path()).output()?).context("debootstrap")?;
        // Complete or not there.
        let partial = tar.with_extension("partial");
        let mut pack = Command::new("tar");
        pack.arg("--create").arg("--file").arg(&partial);
        pack.arg("--directory").arg(root.path()).arg(".");
        finished(pack.output()?).context("packing the base")?;
        std::fs::rename(partial, &tar)?;
    }
    daemon.docker(&["import", &tar.to_string_lossy(), BASE])?;
    Ok(BASE.to_owned())
}

/// Runs the services until the tester ends, and takes them down.
fn up(daemon: &Daemon, results: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let file = workspace().join("docker/compose.yaml");
    let compose = |order: &[&str]| -> anyhow::Result<String> {
        let mut command = daemon.compose(&file)?;
        command
            .args(["--project-name", "mizar-bench-test"])
            .args(order)
            .env("BENCH_IMAGE", IMAGE)
            .env("BENCH_RESULTS", results)
            .env(
                "BENCH_ARGUMENTS",
                format!("--out results/{CONTAINERS} {}", arguments.join(" ")),
            );
        finished(command.output()?)
    };
    let ran = compose(&["up", "--no-build", "--exit-code-from", "tester"]);
    let down = compose(&["down", "--volumes", "--timeout", "0"]);
    ran.context("running the services")?;
    down.context("taking the services down")?;
    Ok(())
}

/// What the trials of a search tell of a datapath in a scenario.
#[derive(Debug)]
struct Searched {
    /// The most frames a second that arrived.
    most: f64,
    /// The least processor time of all droplets for a frame that arrived, in nanoseconds.
    frame_ns: f64,
    /// The droplets to which the underlay brought most frames.
    crossed: BTreeSet<String>,
}

impl Searched {
    /// Nothing yet.
    const NOTHING: Self = Self {
        most: 0.0,
        frame_ns: f64::INFINITY,
        crossed: BTreeSet::new(),
    };

    fn add(&mut self, trial: &TrialRecord) {
        let received = trial.received as f64;
        self.most = self.most.max(received / trial.effective_seconds);
        self.frame_ns = self.frame_ns.min(trial.datapath_cpu_ns as f64 / received);
        let crossed = trial
            .hops
            .iter()
            .filter(|hop| hop.arrived * 2 > trial.received);
        self.crossed.extend(crossed.map(|hop| hop.droplet.clone()));
    }
}

/// What is known of a run.
struct Recorded {
    run: Run,
    /// Frames that passed, by datapath and scenario.
    verified: BTreeMap<(String, String), u64>,
    /// What happened to it, by datapath and scenario.
    events: BTreeSet<(String, String, String)>,
    /// What has a result.
    results: Vec<(String, String)>,
    /// Searches in which something arrived. A rate within a bound of loss would be that of the machine's stalls, in so short
    /// a run.
    searched: BTreeMap<(String, String), Searched>,
}

impl Recorded {
    /// Fails if anything of it did.
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let run: Run = serde_json::from_str(&std::fs::read_to_string(folder.join("run.json"))?)?;
        let (mut verified, mut results) = (BTreeMap::new(), Vec::new());
        let mut searched = BTreeMap::new();
        let mut events = BTreeSet::new();
        for line in std::fs::read_to_string(folder.join("trials.jsonl"))?.lines() {
            match serde_json::from_str(line)? {
                Record::Verification(it) => {
                    ensure!(it.failures.is_empty(), "{:?}", it.failures);
                    verified.insert((it.datapath, it.scenario), it.passed);
                }
                Record::Result(result) => results.push((result.datapath, result.scenario)),
                Record::Learning(_) | Record::Round(_) => {}
                Record::Event(event) => {
                    events.insert((event.datapath, event.scenario, event.description));
                }
                Record::Failure(failure) => anyhow::bail!("{failure:?}"),
                Record::Trial(trial) => {
                    ensure!(
                        trial.corrupted == 0 && trial.foreign == 0,
                        "in a trial of {}: {} corrupted, {} foreign",
                        trial.datapath,
                        trial.corrupted,
                        trial.foreign
                    );
                    if trial.purpose == Purpose::Search && trial.received > 0 {
                        let key = (trial.datapath.clone(), trial.scenario.clone());
                        let of_it = searched.entry(key).or_insert(Searched::NOTHING);
                        of_it.add(&trial);
                    }
                }
            }
        }
        Ok(Self {
            run,
            verified,
            events,
            results,
            searched,
        })
    }
}
