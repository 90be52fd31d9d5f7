//! How many frames the DPDK tester sends over a virtio device, against `testpmd` in its mode `txonly` over such a device.
//! Asked: 0.95 of it.
//!
//! At the other side of each is a DPDK process that drops what it receives, and counts it.
//!
//! Needs root, DPDK's process and `dpdk-testpmd` (apt-get install dpdk-dev):
//! `cargo xtask build && sudo cargo bench --package harness --bench dpdk_tester`.

use anyhow::Context;
use dpdk_client::{Client, devices};
use dpdk_protocol::{Engine, Memory, Start, Work};
use harness::environment::Placement;
use harness::lab::VhostUserLab;
use harness::search::Pps;
use harness::tester::{DpdkTester, FrameSize, Tester, Workload};
use netdev::{Awake, Hugepages, Urgency};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use topologies::catalogue;
use topologies::topology::Parameters;

mod common;

use common::median;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 9;
const TRIAL: Duration = Duration::from_secs(2);
/// How long `testpmd` may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than either sends.
const OVERLOAD: f64 = 60e6;
const MEBIBYTES: u32 = 192;
const ASKED: f64 = 0.95;

/// What drops all that comes by the ports of `lab`, and counts.
fn sink(lab: &VhostUserLab, placement: &Placement) -> anyhow::Result<Client> {
    let start = Start {
        engine: Engine::Burst,
        cpu: placement.datapath.0,
        memory: Memory::Huge,
        mebibytes: MEBIBYTES,
        devices: devices::of_vhost_user(lab.ports()),
        work: Work::Forward(Vec::new()),
    };
    let client = Client::start(start, None)?;
    client.prioritised_threads()?;
    Ok(client)
}

fn by_tester(workload: &Workload, placement: &Placement) -> anyhow::Result<f64> {
    let lab = VhostUserLab::new(0)?;
    let waiting = DpdkTester::launch(&lab, workload, true, placement.tester)?;
    let mut sink = sink(&lab, placement)?;
    let mut tester = waiting.connected()?;
    let before = sink.count()?.handled;
    tester.trial(Pps::new(OVERLOAD)?, TRIAL, false)?;
    // It sends neither before nor after.
    let handled = sink.count()?.handled - before;
    Ok(handled as f64 / TRIAL.as_secs_f64())
}

/// Ends with who started it.
struct Testpmd(Child);

impl Drop for Testpmd {
    fn drop(&mut self) {
        // If it ended by itself there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn by_testpmd(placement: &Placement) -> anyhow::Result<f64> {
    let lab = VhostUserLab::new(0)?;
    let _memory = Hugepages::reserve(MEBIBYTES)?;
    // It insists on a processor for its command line; that one waits.
    let cores = format!("{},{}", placement.datapath.0, placement.tester.0);
    let main = placement.datapath.0.to_string();
    let device = format!(
        "--vdev=net_virtio_user0,path={},{}",
        lab.ports().uplink.display(),
        devices::VIRTIO
    );
    let testpmd = Command::new("dpdk-testpmd")
        .args(["-l", &cores, "--main-lcore", &main])
        .args(["--in-memory", "--single-file-segments", "--no-pci"])
        .args(["-m", &MEBIBYTES.to_string(), &device, "--"])
        .args(["--forward-mode=txonly", "--auto-start", "--txpkts=60"])
        .args(["--txd=512", "--rxd=512", "--total-num-mbufs=16383"])
        .args(["--stats-period=1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting dpdk-testpmd (apt-get install dpdk-dev)")?;
    let testpmd = Testpmd(testpmd);
    let mut sink = sink(&lab, placement)?;
    for thread in netdev::Tid::of_process(testpmd.0.id())? {
        thread.prioritise(Urgency::Busy)?;
    }
    // Its start takes some seconds on a processor that the sink polls on.
    let began = Instant::now();
    while sink.count()?.handled == 0 {
        anyhow::ensure!(began.elapsed() < PATIENCE, "testpmd does not send");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(TRIAL);
    let (before, began) = (sink.count()?.handled, Instant::now());
    std::thread::sleep(TRIAL);
    let handled = sink.count()?.handled - before;
    Ok(handled as f64 / began.elapsed().as_secs_f64())
}

fn main() -> anyhow::Result<()> {
    if let Some(missing) = dpdk_client::missing() {
        println!("skipped: needs {missing}");
        return Ok(());
    }
    let placement = Placement::choose()?;
    let _awake = Awake::hold()?;
    // One port, and frames as long as those of `testpmd`.
    let topology = catalogue::find("encap", Parameters::default())?;
    let mut workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1)?;
    for entry in &mut workload.entries {
        entry.port = 0;
    }
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let (testpmd, tester) = (by_testpmd(&placement)?, by_tester(&workload, &placement)?);
        println!(
            "testpmd {:.2} Mpps, tester {:.2}; ratio {:.2}",
            testpmd / 1e6,
            tester / 1e6,
            tester / testpmd
        );
        ratios.push(tester / testpmd);
    }
    println!("median {:.2}, asked {ASKED:.2}", median(ratios)?);
    Ok(())
}
