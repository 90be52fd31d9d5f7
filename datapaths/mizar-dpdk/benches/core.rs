//! What the core costs in a DPDK process where ports cost hardly anything: frames of a topology come from a capture that
//! the pcap driver repeats, and are dropped by the device that they leave by. Beside it bursts passed on whole between the
//! same devices: the difference is what the core costs, together with taking bursts apart and putting them together.
//!
//! Cycles a frame, medians. Needs root and the DPDK process:
//! `cargo xtask build && sudo cargo bench --package datapath-mizar-dpdk --bench core`.

mod common;

use common::{Result, median};
use dpdk_client::{Client, MEBIBYTES};
use dpdk_protocol::{Device, Engine, Memory, Role, Start, Work};
use netdev::allowed_cpus;
use std::path::Path;
use std::time::Duration;
use topologies::catalogue;
use topologies::frame::FrameLen;
use topologies::provision::{EndpointPort, Port};
use topologies::topology::Parameters;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 3;
const TRIAL: Duration = Duration::from_millis(500);
/// Flows, and as many endpoints. The driver keeps all frames in memory.
const FLOWS: [u32; 3] = [1, 256, 4_096];

/// A capture, as pcap-savefile(5) describes it: of the machine's byte order, Ethernet.
fn write_capture(path: &Path, frames: &[Vec<u8>]) -> Result<()> {
    let mut bytes = Vec::new();
    let mut words = |words: &[u32], then: &[u8]| {
        words
            .iter()
            .for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.extend(then);
    };
    words(&[0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, 1], &[]);
    for frame in frames {
        let len = u32::try_from(frame.len())?;
        words(&[0, 0, len, len], frame);
    }
    Ok(std::fs::write(path, bytes)?)
}

/// Cycles a frame of what comes by `from`, where none is refused.
fn cycles(work: Work, from: Port, capture: &Path, cpu: usize) -> Result<f64> {
    let other = match from {
        Port::Uplink => Port::Endpoint(EndpointPort(0)),
        Port::Endpoint(_) => Port::Uplink,
    };
    let device = |port, name: &str, arguments: String| Device {
        role: Role::Droplet(port),
        name: name.to_owned(),
        arguments,
    };
    let start = Start {
        engine: Engine::Burst,
        cpu,
        memory: Memory::Huge,
        mebibytes: MEBIBYTES,
        devices: vec![
            device(
                from,
                "net_pcap0",
                format!("rx_pcap={},infinite_rx=1", capture.display()),
            ),
            device(other, "net_null0", "no-rx=1".to_owned()),
        ],
        work,
    };
    let mut client = Client::start(start, None)?;
    let mut polled = || -> Result<_> {
        std::thread::sleep(TRIAL);
        let counters = client.count()?.counters;
        if counters.refused_total() > 0 {
            return Err(format!("frames were refused: {:?}", counters.refused).into());
        }
        Ok(counters.polling.ok_or("it does not say what it polled")?)
    };
    let before = polled()?;
    let polled = polled()?.since(*before).ok_or("another process")?;
    Ok(polled.cycles_per_frame().ok_or("no frame came")?)
}

fn main() -> Result<()> {
    let Some(cpu) = allowed_cpus()?.pop() else {
        return Err("there is no processor".into());
    };
    let folder = netdev::scratch_folder("bench-pcap-")?;
    let capture = folder.path().join("frames.pcap");
    for name in ["encap", "decap", "hop"] {
        for flows in FLOWS {
            let topology = catalogue::find(name, Parameters::new(flows, flows)?)?;
            let traffic = topology.traffic();
            let direction = traffic.first().ok_or("no flow crosses the droplet")?;
            let frames: Vec<_> = (0..flows)
                .map(|flow| direction.frame(flow, FrameLen::MIN))
                .collect();
            write_capture(&capture, &frames)?;
            let (endpoint, uplink) = (Port::Endpoint(EndpointPort(0)), Port::Uplink);
            let port = |is_uplink| if is_uplink { uplink } else { endpoint };
            let from = port(direction.encapsulated_in);
            let to = port(direction.encapsulated_out);
            let (mut without, mut with) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let forward = Work::Forward(vec![(from, to)]);
                without.push(cycles(forward, from, &capture, cpu.0)?);
                let provision =
                    topology.provision(topology.under_test().ok_or("no droplet is under test")?);
                let mizar = Work::Mizar(Box::new(provision));
                with.push(cycles(mizar, from, &capture, cpu.0)?);
            }
            let (without, with) = (median(without), median(with));
            println!(
                "{name}, {flows} flows: {without:.0} cycles passed on whole, {with:.0} by the core, {:.0} between",
                with - without
            );
        }
    }
    Ok(())
}
