//! Topologies in containers, `bounce` by docker/compose.yaml and another by a file that `bench compose` prints, and the same
//! runs in namespaces. Needs Docker with compose, and what the datapaths need; a test that cannot run here is reported as
//! ignored, unless `BENCH_DOCKER` says that it is required. `BENCH_DOCKER_DATAPATHS` says which datapaths, with commas in
//! between, and `BENCH_DOCKER_PROFILE` how thoroughly. The runs are kept, see [`kept`].

mod daemon;
mod image;
mod orphans;
mod recorded;
mod runs;

use anyhow::{Context, ensure};
use daemon::{Daemon, finished};
use harness::registry;
use libtest_mimic::{Arguments, Failed, Trial};
use runs::Case;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What it is set to where nothing may be missing.
const REQUIRED: (&str, &str) = ("BENCH_DOCKER", "required");
/// The datapaths, unless others are named.
const DATAPATHS: &str = "kernel-xdp,openflow";
/// The profile, unless another is named.
const PROFILE: &str = "smoke";
/// What is asked for where the image shall be compiled, which takes long.
const FROM_SOURCE: &str = "BENCH_DOCKER_FROM_SOURCE";

fn main() {
    if orphans::is_to_be_one() {
        orphans::be_one(&scratch());
        return;
    }
    let names = std::env::var("BENCH_DOCKER_DATAPATHS");
    let names = names.unwrap_or_else(|_| DATAPATHS.to_owned());
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    let missing: Vec<String> = daemon::missing().into_iter().collect();
    let mut all_missing = missing.clone();
    match registry::select(&names) {
        Ok(datapaths) => {
            let lacks = datapaths.iter().flat_map(|it| it.probe());
            all_missing.extend(lacks.map(|missing| missing.to_string()));
        }
        Err(error) => all_missing.push(error.to_string()),
    }
    for missing in &all_missing {
        eprintln!("containers are IGNORED: needs {missing}");
    }
    let mut to_compile = missing.clone();
    if std::env::var_os(FROM_SOURCE).is_none() {
        let why =
            "to be asked for, since it compiles for long: cargo xtask docker-test --from-source";
        eprintln!("from_source_without_a_registry is IGNORED: it has {why}");
        to_compile.push(why.to_owned());
    }
    let is_required = std::env::var(REQUIRED.0).is_ok_and(|value| value == REQUIRED.1);
    let lacks = all_missing.join("; ");
    let trials = vec![
        Trial::test("nothing_is_missing", move || match lacks.is_empty() {
            true => Ok(()),
            false => Err(format!("what these tests need is missing: {lacks}").into()),
        })
        .with_ignored_flag(!is_required),
        trial(
            "in_containers_it_is_as_in_namespaces",
            all_missing,
            move || in_containers(&names),
        ),
        trial("from_source_without_a_registry", to_compile, || {
            from_source(&scratch())
        }),
        trial("what_a_killed_test_leaves_is_removed", missing, || {
            orphans::are_removed(&scratch())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Ignored where something is missing; a failure if it is asked for all the same.
fn trial(
    name: &str,
    missing: Vec<String>,
    test: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> Trial {
    let is_ignored = !missing.is_empty();
    let test = move || {
        if is_ignored {
            return Err(format!("it was asked for, and needs {}", missing.join("; ")).into());
        }
        test().map_err(|error| Failed::from(format!("{error:#}")))
    };
    Trial::test(name, test).with_ignored_flag(is_ignored)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// The folder of all runs, until there are newer ones.
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

fn in_containers(names: &[String]) -> anyhow::Result<()> {
    let scratch = scratch();
    let results = kept(&scratch)?;
    let profile = std::env::var("BENCH_DOCKER_PROFILE");
    let profile = profile.unwrap_or_else(|_| PROFILE.to_owned());
    let bounce = Case {
        topology: "bounce",
        file: workspace().join("docker/compose.yaml"),
        droplets: 3,
        events: 6,
        datapaths: names,
        profile: &profile,
        extra: &[],
    };
    let direct = Case {
        topology: "direct",
        file: printed("direct", &results)?,
        droplets: 2,
        events: 0,
        // Of one that has no processes; what differs between datapaths is in the other.
        datapaths: &names[..1],
        profile: PROFILE,
        extra: &[],
    };
    let daemon = Daemon::find_or_start(&scratch)?;
    let ran = image::of_this_program(&daemon, &scratch)
        .and_then(|()| bounce.is_as_in_namespaces(&daemon, &results))
        .and_then(|()| direct.is_as_in_namespaces(&daemon, &results))
        .and_then(|()| direct.reports_when_stopped(&daemon, &results));
    // Whatever became of it.
    image::remove(&daemon);
    ran
}

/// The compose file of another topology.
fn printed(topology: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut compose = Command::new(env!("CARGO_BIN_EXE_bench"));
    let text = finished(compose.args(["compose", topology]).output()?)?;
    let file = folder.join(format!("{topology}.yaml"));
    std::fs::write(&file, text)?;
    Ok(file)
}

fn from_source(scratch: &Path) -> anyhow::Result<()> {
    let daemon = Daemon::find_or_start(scratch)?;
    let listed = image::from_source(&daemon, scratch)
        .and_then(|()| daemon.docker(&["run", "--rm", "--network", "none", image::IMAGE]));
    image::remove(&daemon);
    let listed = listed?;
    ensure!(listed.contains("kernel-xdp"), "it lists:\n{listed}");
    Ok(())
}
