//! What the programs cost, by test runs of the kernel that repeat one frame: nanoseconds a packet, without a device's part.
//!
//! All are packets whose key the processor's cache has. What puts headers in front or takes them off is not among them: a
//! test run repeats with the frame as the run before left it.
//!
//! Needs root: `cargo xtask build && sudo cargo bench --package datapath-ovs-ebpf --bench programs`.

use aya::programs::{TestRun, TestRunOptions};
use datapath_ovs_ebpf::notation::{actions, matches};
use datapath_ovs_ebpf::object::{self, Hook};
use datapath_ovs_ebpf::table::FlowTable;
use megaflow::map::Port;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rounds; odd, so that there is a median.
const ROUNDS: usize = 9;
const REPEATED: u32 = 200_000;
const LOOPBACK: u32 = 1;

/// A UDP packet, as short as there are.
fn frame() -> Vec<u8> {
    let mut frame = [
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0][..],
        &[
            0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ],
        &[0x13, 0x89, 0x13, 0x89, 0, 26, 0, 0],
    ]
    .concat();
    frame.resize(60, 0);
    frame
}

const PLAIN: &str = "in_port(7),eth_type(0x0800),ipv4(frag=no)";

/// Nanoseconds a packet: the median.
fn cost(hook: Hook, flows: &[(&str, &str)], frame: &[u8]) -> Result<f64> {
    let (mut table, mut ebpf, mut ports) = FlowTable::new(object::load(hook)?);
    bpf_load::fill(&ebpf, "PORT_OF", [(LOOPBACK, 8u32)].into_iter())?;
    bpf_load::fill(&ebpf, "DEVICE", [(9u32, [LOOPBACK, 0])].into_iter())?;
    let out = Port {
        device: LOOPBACK,
        reserved: 0,
        upcalls: 0,
        answered: 0,
        lost: 0,
    };
    ports.write(9, out);
    for (asks, does) in flows {
        table.enter(&matches(asks)?, &actions(does)?, None)?;
    }
    let mut nanoseconds = Vec::new();
    for _ in 0..ROUNDS {
        let options = TestRunOptions {
            data_in: Some(frame),
            repeat: REPEATED,
            ..TestRunOptions::default()
        };
        let result = match hook {
            Hook::Tc => bpf_load::classifier(&mut ebpf, "ovs_tc")?.test_run(options)?,
            Hook::Xdp => bpf_load::program(&mut ebpf, "ovs_xdp")?.test_run(options)?,
        };
        nanoseconds.push(result.duration.as_nanos() as f64);
    }
    nanoseconds.sort_by(f64::total_cmp);
    Ok(nanoseconds[ROUNDS / 2])
}

fn main() -> Result<()> {
    if object::bytes().is_none() {
        println!("skipped: built without a BPF toolchain");
        return Ok(());
    }
    let frame = frame();
    println!("nanoseconds a packet, medians of {ROUNDS} runs of {REPEATED}: tc, XDP");
    for (what, does) in [
        ("output", "9"),
        ("drop", "drop"),
        (
            "change of three headers, output",
            "set(eth(dst=02:00:00:00:00:77)),set(ipv4(dst=10.0.0.9,ttl=63)),set(udp(src=80)),9",
        ),
    ] {
        let flows = [(PLAIN, does)];
        let (tc, xdp) = (
            cost(Hook::Tc, &flows, &frame)?,
            cost(Hook::Xdp, &flows, &frame)?,
        );
        println!("{what}: {tc:.0}, {xdp:.0}");
    }
    Ok(())
}
