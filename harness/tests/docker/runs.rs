//! Runs in containers, and the same in namespaces.

use super::daemon::{Daemon, finished};
use super::image::IMAGE;
use super::recorded::{Key, Recorded, Searched};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How many times as fast one may be as the other, by what arrives in a second at its most and by what a frame takes at its
/// least. The same program is twice as fast where the hypervisor has its processors near each other; what differs by more is
/// interpreted, generic, or somebody else's.
const APART: f64 = 2.5;
/// How often both are run until datapaths are no further apart, by the best of each: what disturbs a machine passes, what is
/// wrong does not.
const ROUNDS: u32 = 4;
/// How long a run may take until it measures.
const PATIENCE: Duration = Duration::from_secs(300);
/// How compose calls what belongs together.
const PROJECT: &str = "mizar-bench-test";
/// What bench ends with where it is interrupted.
const INTERRUPTED: &str = "130";

/// What is run in containers.
pub struct Case<'a> {
    pub topology: &'a str,
    /// Its compose file.
    pub file: PathBuf,
    /// How many droplets it has, and how many events for each verification, with and without extensions.
    pub droplets: usize,
    pub events: usize,
    pub datapaths: &'a [String],
    pub profile: &'a str,
    /// More arguments of `bench per-datapath`.
    pub extra: &'a [&'a str],
}

impl Case<'_> {
    /// Holds a run in containers against one in namespaces.
    pub fn is_as_in_namespaces(&self, daemon: &Daemon, results: &Path) -> anyhow::Result<()> {
        let began = Instant::now();
        let [there, here] = self.both(daemon, results, 1)?;
        self.is_the_same(&there, &here)?;
        let (mut there, mut here) = (there.searched, here.searched);
        for round in 2.. {
            let apart = apart(&here, &there)?;
            if apart.is_empty() {
                break;
            }
            let said: Vec<_> = apart.values().cloned().collect();
            ensure!(round <= ROUNDS, "{}", said.join("; "));
            println!("once more, since {}", said.join("; "));
            let datapaths: Vec<String> = apart.into_keys().collect();
            let again = Case {
                file: self.file.clone(),
                datapaths: &datapaths,
                extra: &["--no-events"],
                ..*self
            };
            let [of_containers, of_namespaces] = again.both(daemon, results, round)?;
            merge(&mut there, of_containers.searched);
            merge(&mut here, of_namespaces.searched);
        }
        let took = began.elapsed().as_secs();
        println!("{}: as in namespaces, after {took} s", self.topology);
        Ok(())
    }

    /// Runs in containers and in namespaces.
    fn both(&self, daemon: &Daemon, results: &Path, round: u32) -> anyhow::Result<[Recorded; 2]> {
        let [in_containers, in_namespaces] =
            ["containers", "namespaces"].map(|name| format!("{}-{name}-{round}", self.topology));
        self.up(daemon, results, &in_containers)?;
        let in_containers = results.join(in_containers);
        let of_containers = Recorded::read(&in_containers)?;
        self.says_where_it_was(&of_containers, &in_containers)?;
        let of_namespaces = self.in_namespaces(&results.join(in_namespaces))?;
        Ok([of_containers, of_namespaces])
    }

    /// A run that compose stops ends in its own time, and reports what it did until then.
    pub fn reports_when_stopped(&self, daemon: &Daemon, results: &Path) -> anyhow::Result<()> {
        let name = format!("{}-stopped", self.topology);
        let folder = results.join(&name);
        // So thoroughly that it is not over by then.
        let arguments = self.arguments("quick");
        let compose = |order: &[&str]| self.compose(daemon, results, &name, &arguments, order);
        let stopped = (|| {
            compose(&["up", "--no-build", "--detach"])?;
            let began = Instant::now();
            let measures = || std::fs::read_to_string(folder.join("trials.jsonl"));
            while !measures().is_ok_and(|text| text.contains("\"search\"")) {
                ensure!(began.elapsed() < PATIENCE, "it does not begin to measure");
                std::thread::sleep(Duration::from_millis(20));
            }
            let tester = compose(&["ps", "--quiet", "tester"])?;
            let began = Instant::now();
            compose(&["stop", "tester"])?;
            println!("stopped within {:.1} s", began.elapsed().as_secs_f64());
            let code = ["inspect", "--format", "{{.State.ExitCode}}", tester.trim()];
            daemon.docker(&code)
        })();
        let down = compose(&["down", "--volumes", "--timeout", "0"]);
        let code = stopped.context("stopping a run")?;
        down.context("taking the services down")?;
        ensure!(
            code.trim() == INTERRUPTED,
            "it ended with {code}, not with {INTERRUPTED}"
        );
        let page = std::fs::read_to_string(folder.join("report.md"))?;
        // Either there is a figure of it, or there is none yet.
        ensure!(
            page.contains("the search has not ended") || page.contains("was interrupted"),
            "the report does not say that the run was not over"
        );
        Ok(())
    }

    fn arguments(&self, profile: &str) -> Vec<String> {
        let mut arguments: Vec<String> = ["--profile", profile, "--seed", "1"]
            .map(str::to_owned)
            .to_vec();
        for name in self.datapaths {
            arguments.extend(["--datapath".to_owned(), name.clone()]);
        }
        arguments.extend(self.extra.iter().map(|it| (*it).to_owned()));
        arguments
    }

    /// Runs the services until the tester ends, and takes them down.
    fn up(&self, daemon: &Daemon, results: &Path, name: &str) -> anyhow::Result<()> {
        let arguments = self.arguments(self.profile);
        let compose = |order: &[&str]| self.compose(daemon, results, name, &arguments, order);
        let ran = compose(&["up", "--no-build", "--exit-code-from", "tester"]);
        let down = compose(&["down", "--volumes", "--timeout", "0"]);
        ran.context("running the services")?;
        down.context("taking the services down")?;
        Ok(())
    }

    /// Has compose do something with the services of a run.
    fn compose(
        &self,
        daemon: &Daemon,
        results: &Path,
        name: &str,
        arguments: &[String],
        order: &[&str],
    ) -> anyhow::Result<String> {
        let mut command = daemon.compose(&self.file)?;
        command
            .args(["--project-name", PROJECT])
            .args(order)
            .env("BENCH_IMAGE", IMAGE)
            .env("BENCH_RESULTS", results)
            .env(
                "BENCH_ARGUMENTS",
                format!("--out results/{name} {}", arguments.join(" ")),
            );
        finished(command.output()?)
    }

    fn in_namespaces(&self, out: &Path) -> anyhow::Result<Recorded> {
        let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
        bench
            .args(["per-datapath", "--topology", self.topology, "--out"])
            .arg(out)
            .args(self.arguments(self.profile));
        finished(bench.output()?).context("the same in namespaces")?;
        Recorded::read(out)
    }

    /// The run and its report know of the containers.
    fn says_where_it_was(&self, recorded: &Recorded, folder: &Path) -> anyhow::Result<()> {
        let environment = &recorded.run.environment;
        ensure!(
            environment.container.is_some(),
            "the tester does not know that it was in a container"
        );
        let homes = &environment.droplets;
        let contained = homes.iter().filter(|home| home.container.is_some());
        ensure!(
            contained.count() == self.droplets,
            "droplets were in {homes:?}"
        );
        let report = folder.join("report.md");
        println!("in containers: {}", report.display());
        let page = std::fs::read_to_string(report)?;
        for home in homes {
            ensure!(
                page.contains(&format!("| Droplet {} | in container ", home.droplet)),
                "the report does not say where {} was",
                home.droplet
            );
        }
        let again = format!("run --rm tester per-datapath --topology {}", self.topology);
        ensure!(
            page.contains(&again),
            "the report does not say how to repeat a run in containers"
        );
        Ok(())
    }

    /// What does not depend on the machine.
    fn is_the_same(&self, there: &Recorded, here: &Recorded) -> anyhow::Result<()> {
        ensure!(
            here.events == there.events && here.events.len() == self.events * here.verified.len(),
            "events in namespaces: {:?}, in containers: {:?}",
            here.events,
            there.events
        );
        ensure!(
            here.verified == there.verified,
            "verified in namespaces: {:?}, in containers: {:?}",
            here.verified,
            there.verified
        );
        for name in self.datapaths {
            for scenario in &here.run.scenarios {
                let key = (name.clone(), scenario.id.clone());
                ensure!(
                    here.results.contains(&key) && there.results.contains(&key),
                    "{key:?} has no result"
                );
                ensure!(
                    here.searched.contains_key(&key) && there.searched.contains_key(&key),
                    "{key:?}: nothing arrived"
                );
            }
        }
        Ok(())
    }
}

/// Adds what a run shows.
fn merge(all: &mut BTreeMap<Key, Searched>, run: BTreeMap<Key, Searched>) {
    for (key, searched) in run {
        let before = all.remove(&key).unwrap_or(Searched::NOTHING);
        all.insert(key, before.and(searched));
    }
}

/// Datapaths whose speed differs by more than it may, and how. Fails where frames go by other droplets.
fn apart(
    here: &BTreeMap<Key, Searched>,
    there: &BTreeMap<Key, Searched>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut apart = BTreeMap::new();
    for (key, here) in here {
        let there = there.get(key).context("nothing arrived in containers")?;
        println!("{key:?}: in namespaces {here:?}, in containers {there:?}");
        ensure!(
            here.crossed == there.crossed,
            "{key:?}: frames go by other droplets"
        );
        for (what, ratio) in [
            ("as many frames arrive", there.most / here.most),
            (
                "the processor time is taken",
                there.frame_ns / here.frame_ns,
            ),
        ] {
            if !(1.0 / APART..APART).contains(&ratio) {
                let said = format!("{key:?}: {ratio:.2} times {what} in containers");
                apart.insert(key.0.clone(), said);
            }
        }
    }
    Ok(apart)
}
