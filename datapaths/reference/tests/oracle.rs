//! The core against the oracle, in random worlds: they share no code, so what one misreads the other may
//! read right.

use datapath_api::{Datapath, DropletPorts, Outcome};
use datapath_reference::Reference;
use netdev::Cpu;
use proptest::prelude::*;
use topologies::oracle::Oracle;
use topologies::provision::{DirectPath, Port, Provision};
use topologies::strategy::{Injection, arbitrary_run};
use topologies::vectors::Expected;

/// Worlds for each test; they take some seconds together.
const WORLDS: u32 = 20_000;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: WORLDS,
        // What is found becomes a described regression test instead.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn sorted(mut paths: Vec<DirectPath>) -> Vec<DirectPath> {
    paths.sort_by_key(|path| (path.vni, path.ip.to_bits()));
    paths
}

/// Feeds both the same frames; reports the first one after which they differ.
fn run(provision: &Provision, injections: &[Injection]) -> Result<(), TestCaseError> {
    let mut oracle = Oracle::new(provision);
    let mut droplet = Reference
        .install(DropletPorts::Detached, provision, Cpu(0))
        .unwrap();
    for (number, (port, frame)) in injections.iter().enumerate() {
        let expected = oracle.inject(*port, frame);
        let outcome = droplet.inject(*port, frame).unwrap();
        prop_assert!(
            Expected::from(expected.clone()).matches(&outcome),
            "frame {number} at {port}:\n{}\noracle: {}\n  core: {}",
            hex(frame),
            describe(&expected),
            describe(&outcome),
        );
    }
    prop_assert_eq!(
        sorted(droplet.direct_paths().unwrap()),
        oracle.direct_paths()
    );
    Ok(())
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Forward { port, frame } => format!("forward to {port}: {}", hex(frame)),
        Outcome::ToStack { frame } => format!("to the stack: {}", hex(frame)),
        Outcome::Dropped { why, reason } => format!("{why:?}: {reason}"),
    }
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn core_and_oracle_agree_on_every_run_of_frames((provision, injections) in arbitrary_run(1..24)) {
        run(&provision, &injections)?;
    }

    /// What leaves by the uplink comes back from there: to the droplet itself, or as a reply would.
    #[test]
    fn they_agree_on_what_comes_back((provision, injections) in arbitrary_run(1..8)) {
        let mut oracle = Oracle::new(&provision);
        let mut run_of_frames = injections.clone();
        for (port, frame) in &injections {
            if let Outcome::Forward { port: Port::Uplink, mut frame } = oracle.inject(*port, frame) {
                // Outer destination and its Ethernet address become the droplet's again.
                frame[30..34].copy_from_slice(&provision.host.ip.octets());
                frame[..6].copy_from_slice(&provision.host.mac.octets());
                run_of_frames.push((Port::Uplink, frame));
            }
        }
        run(&provision, &run_of_frames)?;
    }
}
