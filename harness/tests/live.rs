//! The lab, the tester and the datapaths on real devices. Needs root and the BPF programs; without, every
//! test here is reported as ignored.
//!
//! No verdict depends on speed: the machine may stall, and frames be lost for it. What arrives must be
//! intact, and what was made must be gone.

use datapath_api::Datapath;
use datapath_kernel_xdp::{KernelXdp, Mode};
use harness::lab::VethLab;
use harness::search::Pps;
use harness::tester::{FrameSize, NullForward, Report, Tester, TesterCpus, VethTester, Workload};
use libtest_mimic::{Arguments, Failed, Trial};
use netdev::Cpu;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::topology::{Parameters, Transport};

const CPUS: TesterCpus = TesterCpus {
    generator: Cpu(0),
    sinks: Cpu(0),
};

fn main() {
    let missing = KernelXdp::default().probe();
    for missing in &missing {
        eprintln!("ignored: needs {missing}");
    }
    let mut trials = Vec::new();
    for topology in catalogue::ENTRIES.map(|entry| entry.name) {
        for (mode, size) in [
            (Mode::Native, FrameSize::Bytes(64)),
            (Mode::Native, FrameSize::Bytes(1518)),
            (Mode::Native, FrameSize::Imix),
            (Mode::Generic, FrameSize::Bytes(64)),
        ] {
            let name = format!("{topology}_{mode:?}_{size}").to_lowercase();
            trials.push(Trial::test(name, move || {
                forwards(topology, mode, size, Transport::Udp)
            }));
        }
        trials.push(Trial::test(format!("{topology}_tcp"), move || {
            forwards(topology, Mode::Native, FrameSize::Bytes(64), Transport::Tcp)
        }));
    }
    trials.push(Trial::test("latency_is_taken_and_adds_up", latency));
    trials.push(Trial::test(
        "a_wrong_path_is_not_counted_as_received",
        wrong_path,
    ));
    trials.push(Trial::test("interrupt_ends_with_a_report", || {
        ends_by(libc::SIGINT)
    }));
    trials.push(Trial::test("terminate_ends_with_a_report", || {
        ends_by(libc::SIGTERM)
    }));
    trials.push(Trial::test("kill_leaves_nothing_behind", || {
        ends_by(libc::SIGKILL)
    }));
    let trials = trials
        .into_iter()
        .map(|trial| trial.with_ignored_flag(!missing.is_empty()))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

const LOAD: f64 = 20_000.0;
const DURATION: Duration = Duration::from_millis(200);

fn deploy(
    topology: &str,
    datapath: Option<&dyn Datapath>,
    size: FrameSize,
    transport: Transport,
    latency: bool,
) -> Result<Report, Failed> {
    let parameters = Parameters::new(50, 200)?;
    let topology = catalogue::find(topology, parameters)?.with_transport(transport);
    let workload = Workload::new(&topology.traffic(), size, 1)?;
    let provision = topology.provision(topology.under_test().ok_or("no droplet under test")?);
    let lab = VethLab::new(1)?;
    let null = NullForward {
        paths: workload.paths.clone(),
    };
    let mut tester = VethTester::new(lab.tester(), &workload, datapath.is_none(), CPUS)?;
    let running = datapath
        .unwrap_or(&null)
        .install(lab.ports(), &provision, Cpu(0))?;
    let report = tester.trial(Pps::new(LOAD)?, DURATION, latency)?;
    running.stop()?;
    Ok(report)
}

fn assert(holds: bool, what: &str, report: &Report) -> Result<(), Failed> {
    if holds {
        Ok(())
    } else {
        Err(format!("{what}: {report:?}").into())
    }
}

fn forwards(
    topology: &str,
    mode: Mode,
    size: FrameSize,
    transport: Transport,
) -> Result<(), Failed> {
    let datapath = KernelXdp { mode };
    let report = deploy(topology, Some(&datapath), size, transport, false)?;
    let arrived = &report.arrived;
    assert(
        arrived.received > report.intended / 10,
        "hardly anything came back",
        &report,
    )?;
    assert(
        arrived.received <= report.offered,
        "more came back than was sent",
        &report,
    )?;
    assert(arrived.corrupted == 0, "frames came back changed", &report)?;
    assert(arrived.foreign == 0, "foreign frames", &report)?;
    assert(arrived.duplicates == 0, "duplicates", &report)
}

fn latency() -> Result<(), Failed> {
    let report = deploy("encap", None, FrameSize::Bytes(64), Transport::Udp, true)?;
    let Some(latency) = &report.latency else {
        return Err("no latency".into());
    };
    assert(
        latency.count == report.arrived.received,
        "a frame without latency",
        &report,
    )?;
    assert(
        latency.p50_ns <= latency.p99_ns && latency.p99_ns <= latency.max_ns,
        "order",
        &report,
    )?;
    assert(
        latency.p50_ns > 0,
        "a frame cannot arrive before it is due",
        &report,
    )
}

/// Frames that a null forward leaves as they are must not pass for encapsulated ones.
fn wrong_path() -> Result<(), Failed> {
    let parameters = Parameters::default();
    let topology = catalogue::find("encap", parameters)?;
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(512), 1)?;
    let provision = topology.provision(topology.under_test().ok_or("no droplet under test")?);
    let lab = VethLab::new(1)?;
    // The tester is told that a datapath stands there, which encapsulates.
    let mut tester = VethTester::new(lab.tester(), &workload, false, CPUS)?;
    let null = NullForward {
        paths: workload.paths.clone(),
    };
    let _running = null.install(lab.ports(), &provision, Cpu(0))?;
    let report = tester.trial(Pps::new(LOAD)?, DURATION, false)?;
    assert(
        report.arrived.received == 0,
        "counted what was not encapsulated",
        &report,
    )?;
    assert(
        report.arrived.foreign + report.arrived.corrupted > 0,
        "nothing arrived",
        &report,
    )
}

fn ends_by(signal: libc::c_int) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command
        .args(["per-datapath", "--profile", "full", "--topology", "encap"])
        .args(["--datapath", "kernel-xdp", "--out"])
        .arg(&run)
        .stdout(Stdio::null());
    let mut bench = Killed(command.spawn()?);
    // Devices of a lab are named after the process; see `lab::unique`.
    let threads = format!("napi/d{:x}x", bench.0.id());
    let began = Instant::now();
    while !has_threads(&threads) || !has_lines(&run) {
        if let Some(status) = bench.0.try_wait()? {
            return Err(format!("ended by itself: {status}").into());
        }
        if began.elapsed() > Duration::from_secs(300) {
            return Err("never began to measure".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // SAFETY: a child of this process that was not waited for, so that the number is its own.
    if unsafe { libc::kill(bench.0.id() as libc::pid_t, signal) } != 0 {
        return Err("could not send the signal".into());
    }
    let status = bench.0.wait()?;
    if signal == libc::SIGKILL {
        // What was recorded is there, line by line.
        if !has_lines(&run) {
            return Err("the trials before the end are lost".into());
        }
    } else {
        if status.code() != Some(130) {
            return Err(format!("ended with {status}, not with 130").into());
        }
        if !run.join("report.html").is_file() {
            return Err("there is no report".into());
        }
    }
    // Namespaces are taken down by the kernel, in its own time.
    let ended = Instant::now();
    while has_threads(&threads) {
        if ended.elapsed() > Duration::from_secs(120) {
            return Err("devices are left behind".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A child that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // If it ended already there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has_threads(prefix: &str) -> bool {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            std::fs::read_to_string(entry.path().join("comm"))
                .is_ok_and(|name| name.starts_with(prefix))
        })
}

fn has_lines(run: &Path) -> bool {
    std::fs::read_to_string(run.join("trials.jsonl")).is_ok_and(|lines| {
        lines
            .lines()
            .filter(|line| line.contains("\"trial\""))
            .count()
            > 2
    })
}
