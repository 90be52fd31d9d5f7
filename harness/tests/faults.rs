//! What goes wrong with a datapath on the way: the run says why, and goes on with the next. Needs root, the BPF programs
//! and Open vSwitch; a test that cannot run here is reported as ignored.

use datapath_api::{
    Counters, Datapath, Difference, DropletPorts, Error, Missing, Outcome, PortType, Running,
};
use datapath_kernel_xdp::KernelXdp;
use datapath_openflow::{KERNEL, PROACTIVE};
use datapath_ovs_xdp::OVS_XDP;
use harness::flow_setup;
use harness::profile::Profile;
use harness::record::{Record, Scenario};
use harness::run::{Plan, Silent, Task, run};
use harness::tester::FrameSize;
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::{Cpu, Tid};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use topologies::catalogue;
use topologies::provision::{DirectPath, Port, Provision};
use topologies::topology::Parameters;

fn main() {
    let missing: Vec<Missing> = [&PROACTIVE as &dyn Datapath, &OVS_XDP, &KernelXdp::default()]
        .into_iter()
        .flat_map(Datapath::probe)
        .collect();
    for missing in &missing {
        eprintln!("ignored: needs {missing}");
    }
    let ignored = |trial: Trial| trial.with_ignored_flag(!missing.is_empty());
    let killed = |inner: fn() -> Box<dyn Datapath>, at| move || killed_mid_trial(inner(), at);
    let trials = vec![
        ignored(Trial::test(
            "a_switch_killed_in_a_later_trial_fails_and_the_run_goes_on",
            killed(|| Box::new(PROACTIVE), 5),
        )),
        ignored(Trial::test(
            "a_polling_switch_killed_mid_trial_fails_and_the_run_goes_on",
            killed(|| Box::new(OVS_XDP), 1),
        )),
        ignored(Trial::test(
            "a_switch_killed_while_flows_are_set_up_fails_and_the_run_goes_on",
            killed_in_flow_setup,
        )),
        Trial::test("a_kernel_without_the_datapath_is_told", || {
            let asked = netdev::has_generic_netlink_family("ovs_datapath")?;
            let told = KERNEL
                .probe()
                .iter()
                .any(|missing| missing.what.contains("openvswitch datapath"));
            check(
                asked != told,
                "what is missing is not what the kernel lacks",
            )
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn check(holds: bool, what: &str) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// A datapath whose `ovs-vswitchd` is killed shortly after its counters were read, or it was checked, for the time `at`.
struct Doomed {
    inner: Box<dyn Datapath>,
    at: u32,
    readings: Arc<AtomicU32>,
}

impl Datapath for Doomed {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn summary(&self) -> &'static str {
        self.inner.summary()
    }

    fn ports(&self) -> PortType {
        self.inner.ports()
    }

    fn version(&self) -> String {
        self.inner.version()
    }

    fn probe(&self) -> Vec<Missing> {
        self.inner.probe()
    }

    fn declared_differences(&self) -> &'static [Difference] {
        self.inner.declared_differences()
    }

    fn polls_busily(&self) -> bool {
        self.inner.polls_busily()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        let detached = matches!(ports, DropletPorts::Detached);
        let inner = self.inner.install(ports, provision, cpu)?;
        if detached {
            return Ok(inner);
        }
        Ok(Box::new(DoomedDroplet {
            inner,
            at: self.at,
            readings: Arc::clone(&self.readings),
        }))
    }
}

struct DoomedDroplet {
    inner: Box<dyn Running>,
    at: u32,
    readings: Arc<AtomicU32>,
}

impl DoomedDroplet {
    fn count(&self) {
        if self.readings.fetch_add(1, Ordering::Relaxed) + 1 == self.at {
            std::thread::spawn(|| {
                // A trial of this profile takes longer, with all that belongs to it.
                std::thread::sleep(Duration::from_millis(20));
                kill_own_switches();
            });
        }
    }
}

impl Running for DoomedDroplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        let counters = self.inner.counters();
        self.count();
        counters
    }

    fn check(&self) -> Result<(), Error> {
        let alive = self.inner.check();
        self.count();
        alive
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.inner.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        self.inner.inject(port, frame)
    }

    fn threads(&self) -> Vec<Tid> {
        self.inner.threads()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.inner.stop()
    }
}

/// Kills each `ovs-vswitchd` that is a child of this process, and no other.
fn kill_own_switches() {
    let own = format!("PPid:\t{}", std::process::id());
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        let is_own = status.lines().any(|line| line == own);
        let is_switch = status.starts_with("Name:\tovs-vswitchd\n");
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && is_own
            && is_switch
        {
            // SAFETY: a child of this process; its keeper has not waited for it, or it would not be there.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

fn killed_mid_trial(inner: Box<dyn Datapath>, at: u32) -> Result<(), Failed> {
    let doomed = inner.name();
    let topology = catalogue::find("encap", Parameters::default())?;
    let scenario = Scenario {
        id: "encap/64B/1-flow".to_owned(),
        topology: topology.name().to_owned(),
        summary: topology.description().to_owned(),
        endpoints: 1,
        flows: 1,
        frame: "64".to_owned(),
        transport: "UDP".to_owned(),
    };
    let readings = Arc::new(AtomicU32::new(0));
    let plan = Plan {
        profile: Profile::Smoke,
        datapaths: vec![
            Box::new(Doomed {
                inner,
                at,
                readings,
            }),
            Box::new(KernelXdp::default()),
        ],
        scenarios: vec![Task {
            scenario,
            topology,
            size: FrameSize::Bytes(64),
        }],
        seed: 1,
        measure_anyway: false,
        command: Vec::new(),
    };
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    let summary = run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let told = format!("{summary:?}");
    check(
        summary.failures == 1 && summary.results == 1 && !summary.interrupted,
        &told,
    )?;
    let records = records(&out)?;
    let mut failures = records.iter().filter_map(|record| match record {
        Record::Failure(failure) => Some(failure),
        _ => None,
    });
    let failure = failures.next().ok_or("no failure is recorded")?;
    check(failures.next().is_none(), "more than one failure")?;
    check(failure.datapath == doomed, &failure.datapath)?;
    check(
        failure.reason.contains("ovs-vswitchd ended") && failure.reason.contains("signal: 9"),
        &failure.reason,
    )?;
    let result = records.iter().find_map(|record| match record {
        Record::Result(result) => Some(result.datapath.as_str()),
        _ => None,
    });
    check(result == Some("kernel-xdp"), "not the result of the other")?;
    // The report says it as well.
    let written = harness::report::write(&out)?;
    let page = std::fs::read_to_string(written.markdown)?;
    check(
        page.contains("ovs-vswitchd ended"),
        "the report does not say it",
    )
}

fn killed_in_flow_setup() -> Result<(), Failed> {
    let plan = flow_setup::Plan {
        profile: Profile::Smoke,
        datapaths: vec![
            Box::new(Doomed {
                inner: Box::new(PROACTIVE),
                at: 2,
                readings: Arc::new(AtomicU32::new(0)),
            }),
            Box::new(KernelXdp::default()),
        ],
        installed: vec![0],
        seed: 1,
        command: Vec::new(),
    };
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("run");
    flow_setup::run(&plan, &out, &Silent, &AtomicBool::new(false))?;
    let records = flow_setup::record::Recorded::read(&out)?.records;
    let failure = records.iter().find_map(|record| match record {
        flow_setup::record::Record::Failure(failure) => Some(failure),
        _ => None,
    });
    let failure = failure.ok_or("no failure is recorded")?;
    check(failure.datapath == "openflow", &failure.datapath)?;
    check(
        failure.reason.contains("ovs-vswitchd ended"),
        &failure.reason,
    )?;
    let measured = records.iter().any(|record| match record {
        flow_setup::record::Record::Cell(cell) => cell.datapath == "kernel-xdp",
        _ => false,
    });
    check(measured, "the other datapath is not measured")
}

fn records(run: &Path) -> Result<Vec<Record>, Failed> {
    let lines = std::fs::read_to_string(run.join("trials.jsonl"))?;
    let read = |line: &str| serde_json::from_str(line).map_err(Failed::from);
    lines.lines().map(read).collect()
}
