//! What the engines cost where ports cost nothing: frames from one null device to another, against `testpmd` doing the
//! same. Asked of `burst`: 0.98 of its rate.
//!
//! Needs root, the DPDK process and `dpdk-testpmd` (apt-get install dpdk-dev):
//! `cargo xtask build && sudo cargo bench --package datapath-mizar-dpdk --bench forward`.

mod common;

use common::{Result, median};
use dpdk_client::{Client, MEBIBYTES};
use dpdk_protocol::{Device, Engine, Memory, Role, Start, Work};
use netdev::allowed_cpus;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use topologies::provision::{EndpointPort, Port};

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 5;
const TRIAL: Duration = Duration::from_secs(2);
const ASKED: f64 = 0.98;

/// Frames per second that an engine forwards.
fn engine(engine: Engine, cpu: usize) -> Result<f64> {
    let endpoint = Port::Endpoint(EndpointPort(0));
    let device = |role, number| Device {
        role: Role::Droplet(role),
        name: format!("net_null{number}"),
        arguments: "size=64,copy=0".to_owned(),
    };
    let start = Start {
        engine,
        cpu,
        memory: Memory::Huge,
        mebibytes: MEBIBYTES,
        devices: vec![device(Port::Uplink, 0), device(endpoint, 1)],
        work: Work::Forward(vec![(Port::Uplink, endpoint), (endpoint, Port::Uplink)]),
    };
    let mut client = Client::start(start, None)?;
    let before = client.count()?.handled;
    let began = Instant::now();
    std::thread::sleep(TRIAL);
    let handled = client.count()?.handled - before;
    Ok(handled as f64 / began.elapsed().as_secs_f64())
}

/// The same by `testpmd`: both of its ports' received frames, as it prints them at its end.
fn testpmd(cpu: usize, other: usize) -> Result<f64> {
    let memory = netdev::Hugepages::reserve(MEBIBYTES)?;
    let cores = format!("{other},{cpu}");
    let mut child = Command::new("dpdk-testpmd")
        .args(["-l", &cores, "--in-memory", "--no-pci", "-m"])
        .arg(MEBIBYTES.to_string())
        .args(["--vdev=net_null0,size=64", "--vdev=net_null1,size=64", "--"])
        .args([
            "--forward-mode=io",
            "--auto-start",
            "--stats-period=1",
            "--total-num-mbufs=16383",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(TRIAL + Duration::from_secs(2));
    // It prints what it has and ends.
    // SAFETY: a child of this process that has not been waited for.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    let output = {
        use std::io::Read;
        let mut text = String::new();
        child
            .stdout
            .take()
            .ok_or("testpmd has no output")?
            .read_to_string(&mut text)?;
        child.wait()?;
        text
    };
    drop(memory);
    // The last reading of each port: "Rx-pps: 52000000 Rx-bps: ...".
    let rates: Vec<f64> = output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Rx-pps:"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect();
    let [.., one, two] = rates.as_slice() else {
        return Err(format!("testpmd prints no rate:\n{output}").into());
    };
    Ok(one + two)
}

fn main() -> Result<()> {
    let cpus = allowed_cpus()?;
    let [.., other, cpu] = cpus.as_slice() else {
        println!("skipped: needs two processors");
        return Ok(());
    };
    let (mut burst, mut capsule) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let testpmd = testpmd(cpu.0, other.0)?;
        let (by_burst, by_capsule) = (
            engine(Engine::Burst, cpu.0)?,
            engine(Engine::Capsule, cpu.0)?,
        );
        println!(
            "testpmd {:.1} Mpps, burst {:.1}, capsule {:.1}; ratios {:.2} and {:.2}",
            testpmd / 1e6,
            by_burst / 1e6,
            by_capsule / 1e6,
            by_burst / testpmd,
            by_capsule / testpmd,
        );
        burst.push(by_burst / testpmd);
        capsule.push(by_capsule / testpmd);
    }
    println!(
        "medians of {ROUNDS}: burst {:.2}, asked {ASKED:.2}; capsule {:.2}",
        median(burst),
        median(capsule)
    );
    Ok(())
}
