//! The proactive program against the oracle, evaluated without a switch: in random worlds and on golden vectors.
//! What differs must be declared.

use datapath_api::difference::{allow, excuse};
use mizar_wire::Ipv4;
use mizar_wire::geneve::ENCAPSULATION_LEN;
use ovs_adapter::DIFFERENCES;
use ovs_adapter::interpreter::Interpreter;
use ovs_adapter::program::Program;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::{DirectPath, Port, Provision};
use topologies::strategy::{Injection, arbitrary_run, run_of_flows};
use topologies::vectors::{self, Expected};

/// Worlds for each test.
const WORLDS: u32 = 4_000;

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

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Feeds oracle and program the same frames; returns how many were compared.
fn run(provision: &Provision, injections: &[Injection]) -> Result<usize, TestCaseError> {
    let program =
        Program::proactive(provision).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let mut switch = Interpreter::new(&program, provision.host);
    let mut oracle = Oracle::new(provision);
    let mut compared = 0;
    let mut conversations = Conversations::default();
    for (number, (port, frame)) in injections.iter().enumerate() {
        let excused = excuse(DIFFERENCES, provision, *port, frame).is_some();
        if excused || conversations.is_crossed(*port, frame) {
            continue;
        }
        let expected: Expected = oracle.inject(*port, frame).into();
        let got = switch.inject(*port, frame);
        let wanted = allow(DIFFERENCES, provision, *port, expected.clone(), &got);
        prop_assert!(
            wanted.matches(&got),
            "frame {number} at {port}:\n{}\noracle: {}\nswitch: {}",
            hex(frame),
            describe(&wanted),
            describe(&got.into()),
        );
        compared += 1;
    }
    prop_assert_eq!(sorted(switch.direct_paths()), oracle.direct_paths());
    Ok(compared)
}

/// UDP conversations by addresses, each with whether its first packet came from an endpoint.
///
/// Mizar judges a reply over UDP by the policy of the *other* direction than the one it travels in; the switch by
/// what it knows of the first packet. The two are the same unless both packets travel in one direction, as when both
/// ends are on one droplet. That is declared (connection tracking), and needs memory to be told.
#[derive(Default)]
struct Conversations(HashMap<Vec<u8>, HashSet<bool>>);

impl Conversations {
    /// Whether a packet the other way was seen in the same direction.
    fn is_crossed(&mut self, port: Port, frame: &[u8]) -> bool {
        let is_sent = port != Port::Uplink;
        let inner = if is_sent { 0 } else { ENCAPSULATION_LEN };
        let Some(addresses) = frame.get(inner + 26..inner + 34) else {
            return false;
        };
        let reversed = [&addresses[4..], &addresses[..4]].concat();
        let seen = self
            .0
            .get(&reversed)
            .is_some_and(|seen| seen.contains(&is_sent));
        self.0
            .entry(addresses.to_vec())
            .or_default()
            .insert(is_sent);
        let is_udp = frame.get(inner + 23) == Some(&17);
        is_udp && (seen || reversed == addresses)
    }
}

fn describe(outcome: &Expected) -> String {
    match outcome {
        Expected::Forward { port, frame } => format!("forward to {port}: {}", hex(frame)),
        Expected::ToStack { frame } => format!("to the stack: {}", hex(frame)),
        Expected::Dropped(why) => format!("{why:?}"),
    }
}

/// The same world with groups in which every choice is as good as another: what a switch picks of unequal ones is
/// excused, and most random worlds have some.
fn equal_choices(mut provision: Provision) -> Provision {
    let (own, substrate) = (provision.host.ip, provision.substrate.clone());
    let narrow = |group: &mut Vec<Ipv4>| {
        if group.len() > 1 {
            group.retain(|ip| *ip != own && substrate.iter().any(|host| host.ip == *ip));
        }
    };
    for attachment in &mut provision.attachments {
        narrow(&mut attachment.bouncers);
    }
    for network in &mut provision.networks {
        narrow(&mut network.bouncers);
    }
    for vpc in &mut provision.vpcs {
        narrow(&mut vpc.dividers);
    }
    provision
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn they_agree_on_every_run_of_frames((provision, injections) in arbitrary_run(1..24)) {
        run(&equal_choices(provision), &injections)?;
    }

    #[test]
    fn they_agree_on_flows_that_go_on((provision, injections) in run_of_flows()) {
        run(&equal_choices(provision), &injections)?;
    }
}

#[test]
fn golden_vectors_pass() {
    let mut compared = 0;
    for vector in vectors::parse(vectors::BUILT_IN).unwrap() {
        let provision = &vector.provision;
        let steps = || vector.steps.iter();
        if steps().any(|step| excuse(DIFFERENCES, provision, step.ingress, &step.input).is_some()) {
            continue;
        }
        let program = Program::proactive(provision).unwrap();
        let mut switch = Interpreter::new(&program, provision.host);
        for (number, step) in steps().enumerate() {
            let got = switch.inject(step.ingress, &step.input);
            let wanted = allow(
                DIFFERENCES,
                provision,
                step.ingress,
                step.expected.clone(),
                &got,
            );
            assert!(
                wanted.matches(&got),
                "{}, step {number}:\nMizar:  {}\nswitch: {}",
                vector.name,
                describe(&wanted),
                describe(&got.into()),
            );
        }
        assert_eq!(
            sorted(switch.direct_paths()),
            vector.direct_paths_after,
            "{}",
            vector.name
        );
        compared += 1;
    }
    // Most are within the contract.
    assert!(compared >= 60, "only {compared} vectors were compared");
}

/// A comparison that excuses everything would find nothing.
#[test]
fn most_frames_of_random_worlds_are_compared() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compared, mut all) = (0, 0);
    let mut forwarded = 0;
    for _ in 0..500 {
        let (provision, injections) = run_of_flows().new_tree(&mut runner).unwrap().current();
        let provision = equal_choices(provision);
        compared += run(&provision, &injections).unwrap();
        all += injections.len();
        let mut oracle = Oracle::new(&provision);
        for (port, frame) in &injections {
            let outcome = oracle.inject(*port, frame);
            forwarded += usize::from(matches!(outcome, Outcome::Forward { .. }));
        }
    }
    assert!(5 * compared > 2 * all, "{compared} of {all} are compared");
    assert!(5 * forwarded > all, "{forwarded} of {all} are forwarded");
}
