//! The proactive program against the oracle, evaluated without a switch: in random worlds and on golden vectors.
//! What differs must be declared.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a failure is one of the test"
)]

use datapath_api::Difference;
use datapath_api::difference::{allow, excuse};
use mizar_tables::{Entries, Native};
use mizar_wire::Ipv4;
use mizar_wire::geneve::{ENCAPSULATION_LEN, RETURNED, SHORT_ENCAPSULATION_LEN, SHORT_HEADER};
use ovs_adapter::interpreter::Interpreter;
use ovs_adapter::program::Program;
use ovs_adapter::reactive::core::Core;
use ovs_adapter::{DIFFERENCES, REACTIVE_DIFFERENCES};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::{HashMap, HashSet};
use topologies::oracle::{Oracle, Outcome};
use topologies::provision::{DirectPath, Port, Provision};
use topologies::strategy::{Injection, arbitrary_run, run_of_flows};
use topologies::vectors::{self, Expected};

/// Where Geneve's header starts.
const GENEVE: usize = 42;
/// Where the type of the first option is: return-to-sender, or what says that the header is short.
const OPTION_TYPE: usize = 52;
/// Worlds for each test.
const WORLDS: u32 = 4_000;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: WORLDS,
        // What is found becomes a described regression test instead.
        failure_persistence: None,
        // The same worlds in every run. For others change this, and for more WORLDS.
        rng_seed: RngSeed::Fixed(20_261_124),
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

/// A switch with the proactive program.
fn proactive(provision: &Provision) -> Interpreter {
    let program = Program::proactive(provision).unwrap();
    Interpreter::new(&program, provision.host)
}

/// A switch with the core as its controller.
fn reactive(provision: &Provision) -> Interpreter {
    let program = ovs_adapter::reactive::program(provision).unwrap();
    let tables = Native::new(&Entries::encode(provision).unwrap());
    let core = Core::new(tables, provision);
    Interpreter::new(&program, provision.host).with_controller(core)
}

/// Feeds oracle and program the same frames; returns how many were compared.
fn run(provision: &Provision, injections: &[Injection]) -> Result<usize, TestCaseError> {
    run_on(proactive(provision), DIFFERENCES, provision, injections)
}

fn run_on(
    mut switch: Interpreter,
    differences: &[Difference],
    provision: &Provision,
    injections: &[Injection],
) -> Result<usize, TestCaseError> {
    let judges_by_marks = differences.contains(&Difference::Tracking);
    let mut oracle = Oracle::new(provision);
    let mut compared = 0;
    let mut conversations = Conversations {
        turns_back: turns_back(provision),
        ..Conversations::default()
    };
    for (number, (port, frame)) in injections.iter().enumerate() {
        let excused = excuse(differences, provision, *port, frame).is_some();
        if excused || judges_by_marks && conversations.is_crossed(*port, frame) {
            continue;
        }
        let expected: Expected = oracle.inject(*port, frame).into();
        let got = switch
            .inject(*port, frame)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let wanted = allow(differences, provision, *port, expected.clone(), &got);
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
struct Conversations {
    seen: HashMap<Vec<u8>, HashSet<bool>>,
    /// Whether what is sent may arrive at once: then it travels in both directions.
    turns_back: bool,
}

/// Whether the droplet may be its own next hop.
fn turns_back(provision: &Provision) -> bool {
    let own = provision.host.ip;
    let mut bouncers = provision
        .attachments
        .iter()
        .flat_map(|attached| &attached.bouncers);
    bouncers.any(|ip| *ip == own)
        || provision
            .direct_paths
            .iter()
            .any(|path| path.host.ip == own)
}

/// Where the inner frame starts behind outer headers with all options, or with the short header.
fn inner_at(frame: &[u8]) -> usize {
    if frame.get(GENEVE) == Some(&12) {
        SHORT_ENCAPSULATION_LEN
    } else {
        ENCAPSULATION_LEN
    }
}

impl Conversations {
    /// Whether a packet the other way was seen in the same direction.
    fn is_crossed(&mut self, port: Port, frame: &[u8]) -> bool {
        let is_sent = port != Port::Uplink;
        let inner = if is_sent { 0 } else { inner_at(frame) };
        let Some(addresses) = frame.get(inner + 26..inner + 34) else {
            return false;
        };
        let reversed = [&addresses[4..], &addresses[..4]].concat();
        let directions = if self.turns_back {
            vec![false, true]
        } else {
            vec![is_sent]
        };
        let before = self.seen.get(&reversed);
        let seen = before.is_some_and(|seen| directions.iter().any(|way| seen.contains(way)));
        self.seen
            .entry(addresses.to_vec())
            .or_default()
            .extend(directions);
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

/// The same world with groups in which every choice is as good as another, so that more frames are compared: those
/// for which a switch picks one of unequal ones are excused, and most random worlds have some.
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
        run(&provision, &injections)?;
        run(&equal_choices(provision), &injections)?;
    }

    #[test]
    fn they_agree_on_flows_that_go_on((provision, injections) in run_of_flows()) {
        run(&provision, &injections)?;
        run(&equal_choices(provision), &injections)?;
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_reactive_one_agrees_on_every_run_of_frames((provision, injections) in arbitrary_run(1..24)) {
        run_on(reactive(&provision), REACTIVE_DIFFERENCES, &provision, &injections)?;
    }

    #[test]
    fn the_reactive_one_agrees_on_flows_that_go_on((provision, injections) in run_of_flows()) {
        run_on(reactive(&provision), REACTIVE_DIFFERENCES, &provision, &injections)?;
    }
}

#[test]
fn golden_vectors_pass() {
    let proactive = golden_vectors(proactive, DIFFERENCES);
    let reactive = golden_vectors(reactive, REACTIVE_DIFFERENCES);
    // Most are within the contract.
    assert!(proactive >= 60, "only {proactive} vectors were compared");
    assert!(reactive >= 65, "only {reactive} vectors were compared");
}

/// Replays the vectors; returns how many were compared.
fn golden_vectors(switch: fn(&Provision) -> Interpreter, differences: &[Difference]) -> usize {
    let mut compared = 0;
    for vector in vectors::parse(vectors::BUILT_IN).unwrap() {
        let provision = &vector.provision;
        let steps = || vector.steps.iter();
        if steps().any(|step| excuse(differences, provision, step.ingress, &step.input).is_some()) {
            continue;
        }
        let mut switch = switch(provision);
        for (number, step) in steps().enumerate() {
            let got = switch.inject(step.ingress, &step.input).unwrap();
            let wanted = allow(
                differences,
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
    compared
}

/// A comparison that excuses everything would find nothing.
#[test]
fn most_frames_of_random_worlds_are_compared() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut compared, mut all) = (0, 0);
    let (mut forwarded, mut came_back) = (0, 0);
    // With the short header: delivered, given back, and sent.
    let mut short = [0; 3];
    for _ in 0..500 {
        let (provision, injections) = run_of_flows().new_tree(&mut runner).unwrap().current();
        // Most of what is sent in a guarded VPC is refused at once, and shows nothing of the rest.
        let provision = Provision {
            guarded: Vec::new(),
            ..equal_choices(provision)
        };
        compared += run(&provision, &injections).unwrap();
        all += injections.len();
        let mut oracle = Oracle::new(&provision);
        for (port, frame) in &injections {
            let excused = excuse(DIFFERENCES, &provision, *port, frame).is_some();
            let is_returned = frame.get(OPTION_TYPE) == Some(&RETURNED) && *port == Port::Uplink;
            let outcome = oracle.inject(*port, frame);
            let goes_on = matches!(outcome, Outcome::Forward { .. });
            came_back += usize::from(is_returned && goes_on && !excused);
            forwarded += usize::from(goes_on);
            if let Outcome::Forward {
                port: to,
                frame: leaves,
            } = &outcome
                && !excused
            {
                let has_short = |port: Port, frame: &[u8]| {
                    port == Port::Uplink && frame.get(OPTION_TYPE) == Some(&SHORT_HEADER)
                };
                let ways = [
                    has_short(*port, frame) && *to != Port::Uplink,
                    has_short(*port, frame) && *to == Port::Uplink,
                    has_short(*to, leaves),
                ];
                for (count, is_it) in short.iter_mut().zip(ways) {
                    *count += usize::from(is_it);
                }
            }
        }
    }
    assert!(5 * compared > 2 * all, "{compared} of {all} are compared");
    assert!(5 * forwarded > all, "{forwarded} of {all} are forwarded");
    assert!(
        came_back > 20,
        "{came_back} that came back and go on are compared"
    );
    assert!(
        short.iter().all(|count| *count > 10),
        "{short:?} with the short header are compared"
    );
}
