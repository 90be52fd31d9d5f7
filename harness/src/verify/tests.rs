//! The verification itself: it passes what is right and finds what is not.

use super::{Mismatch, Report, oracle, vectors};
use datapath_api::{Counters, Datapath, DropletPorts, Error, Missing, Outcome, PortType, Running};
use datapath_reference::Reference;
use netdev::{Cpu, Tid};
use topologies::catalogue;
use topologies::provision::{DirectPath, EndpointPort, Port, Provision};
use topologies::topology::{Parameters, Topology};
use topologies::vectors::{BUILT_IN, Vector, parse};

/// What is wrong with a datapath.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A bit of what leaves by the uplink is flipped, at this byte.
    Flip(usize),
    /// What leaves by the uplink is said to leave by an endpoint.
    SwapPort,
    /// A byte is lost at the end.
    Shorten,
    /// What should be aborted is dropped.
    DropForAbort,
    /// What a frame taught is forgotten before the next.
    Forget,
    /// What new access lists deny is passed on by the tables before.
    KeepAllowing,
    /// Nothing can be passed in.
    Dead,
    /// It holds no tables of that size.
    Small,
}

/// The reference datapath with a fault.
struct Broken(Fault);

impl Datapath for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn summary(&self) -> &'static str {
        "the reference datapath with a fault"
    }

    fn ports(&self) -> PortType {
        PortType::Detached
    }

    fn version(&self) -> String {
        String::new()
    }

    fn probe(&self) -> Vec<Missing> {
        Vec::new()
    }

    fn install(
        &self,
        ports: DropletPorts,
        provision: &Provision,
        cpu: Cpu,
    ) -> Result<Box<dyn Running>, Error> {
        if self.0 == Fault::Small {
            return Err(Error::Capacity("room for nothing".to_owned()));
        }
        Ok(Box::new(BrokenDroplet {
            fault: self.0,
            provision: provision.clone(),
            droplet: Reference::default().install(ports, provision, cpu)?,
        }))
    }
}

struct BrokenDroplet {
    fault: Fault,
    provision: Provision,
    droplet: Box<dyn Running>,
}

impl Running for BrokenDroplet {
    fn counters(&mut self) -> Result<Counters, Error> {
        self.droplet.counters()
    }

    fn direct_paths(&mut self) -> Result<Vec<DirectPath>, Error> {
        self.droplet.direct_paths()
    }

    fn inject(&mut self, port: Port, frame: &[u8]) -> Result<Outcome, Error> {
        if self.fault == Fault::Dead {
            return Err(Error::failed("passing a frame in", "it has died"));
        }
        let mut outcome = self.droplet.inject(port, frame)?;
        if self.fault == Fault::Forget {
            self.droplet =
                Reference::default().install(DropletPorts::Detached, &self.provision, Cpu(0))?;
        }
        match (&mut outcome, self.fault) {
            (
                Outcome::Forward {
                    port: Port::Uplink,
                    frame,
                },
                Fault::Flip(at),
            ) => frame[at] ^= 1,
            (Outcome::Forward { port, .. }, Fault::SwapPort) => {
                *port = match port {
                    Port::Uplink => Port::Endpoint(EndpointPort(0)),
                    Port::Endpoint(_) => Port::Uplink,
                };
            }
            (Outcome::Forward { frame, .. }, Fault::Shorten) => {
                frame.pop();
            }
            (Outcome::Dropped { why, .. }, Fault::DropForAbort) => *why = datapath_api::Why::Drop,
            _ => {}
        }
        Ok(outcome)
    }

    fn update(&mut self, provision: &Provision) -> Result<(), Error> {
        if self.fault == Fault::KeepAllowing {
            return Ok(());
        }
        self.droplet.update(provision)
    }

    fn threads(&self) -> Vec<Tid> {
        self.droplet.threads()
    }

    fn stop(self: Box<Self>) -> Result<(), Error> {
        self.droplet.stop()
    }
}

fn golden() -> Vec<Vector> {
    parse(BUILT_IN).unwrap()
}

fn topology(name: &str) -> Topology {
    catalogue::find(name, Parameters::new(5, 20).unwrap()).unwrap()
}

fn failed_lines(report: &Report) -> Vec<&str> {
    report
        .failures
        .iter()
        .flat_map(|failure| failure.lines.iter().map(String::as_str))
        .collect()
}

#[test]
fn the_reference_passes_every_golden_vector() {
    let report = vectors::replay(&Reference::default(), &golden());
    assert_eq!(report.to_string(), "84 passed, 0 failed, 0 skipped");
    assert!(report.is_clean());
}

#[test]
fn the_reference_agrees_with_the_oracle_on_every_topology() {
    for entry in catalogue::ENTRIES {
        for (endpoints, flows) in [(1, 1), (5, 20), (300, 300)] {
            let parameters = Parameters::new(endpoints, flows).unwrap();
            let report = oracle::check(&Reference::default(), &entry.load(parameters).unwrap(), 40);
            for failure in report.failures.iter().take(5) {
                eprintln!("{failure}");
            }
            assert!(report.is_clean(), "{}: {report}", entry.name);
            assert!(report.skipped.is_empty());
            assert!(report.passed > 900, "{}: {report}", entry.name);
        }
    }
}

#[test]
fn a_flipped_bit_is_named() {
    let report = vectors::replay(&Broken(Fault::Flip(22)), &golden());
    assert!(!report.is_clean());
    for line in failed_lines(&report) {
        assert!(line.starts_with("outer ipv4 ttl: expected "), "{line}");
    }
    assert!(report.failures.iter().all(|failure| failure.step.is_some()));
    let report = oracle::check(&Broken(Fault::Flip(60)), &topology("hop"), 5);
    assert!(report.failures.len() > 30);
    assert_eq!(
        report.failures[0].to_string(),
        "hop: client to servers, flow 0 of 60 bytes, step 0\n    \
         rts mac: expected 02:00:ac:10:00:01, got 02:01:ac:10:00:01"
    );
}

#[test]
fn a_swapped_port_is_named() {
    for report in [
        vectors::replay(&Broken(Fault::SwapPort), &golden()),
        oracle::check(&Broken(Fault::SwapPort), &topology("vtep"), 5),
    ] {
        let lines = failed_lines(&report);
        assert!(lines.contains(&"port: expected uplink, got endpoint 0"));
        assert!(lines.contains(&"port: expected endpoint 0, got uplink"));
    }
}

#[test]
fn a_lost_byte_is_named() {
    let report = oracle::check(&Broken(Fault::Shorten), &topology("encap"), 1);
    assert_eq!(
        failed_lines(&report)[0],
        "length: expected 174 bytes, got 173"
    );
}

#[test]
fn drop_and_abort_are_told_apart() {
    let report = oracle::check(&Broken(Fault::DropForAbort), &topology("decap"), 1);
    let lines = failed_lines(&report);
    let expected = "verdict: expected abort (Geneve header truncated), \
                    got drop (Geneve header cut off)";
    assert!(lines.contains(&expected), "{lines:#?}");
}

#[test]
fn what_was_forgotten_is_missed() {
    let report = vectors::replay(&Broken(Fault::Forget), &golden());
    let at_the_end = |failure: &&Mismatch| failure.step.is_none();
    assert!(report.failures.iter().any(|failure| at_the_end(&failure)));
    assert!(report.failures.iter().any(|failure| !at_the_end(&failure)));

    let report = oracle::check(&Broken(Fault::Forget), &topology("divide"), 1);
    let at_the_end: Vec<&Mismatch> = report.failures.iter().filter(at_the_end).collect();
    let [failure] = at_the_end[..] else {
        panic!("{report}");
    };
    assert_eq!(failure.name, "divide: direct paths at the end");
    let line = "direct path of vni 4096 10.0.0.2: expected 172.16.0.1 02:00:ac:10:00:01, got none";
    assert!(failure.lines.iter().any(|found| found == line), "{failure}");
}

#[test]
fn access_lists_that_are_not_taken_are_noticed() {
    let guarded = topology("guarded");
    let report = oracle::check_access_changes(&Reference::default(), &guarded);
    assert!(report.is_clean() && report.passed > 100, "{report}");
    let report = oracle::check_access_changes(&Broken(Fault::KeepAllowing), &guarded);
    let lines = failed_lines(&report);
    let is_let_in = |line: &&str| line.contains("denied by the network's access list");
    assert!(lines.iter().any(is_let_in), "{report}");
}

#[test]
fn a_dead_datapath_fails_and_ends_the_check() {
    let report = vectors::replay(&Broken(Fault::Dead), &golden());
    assert_eq!(report.to_string(), "0 passed, 84 failed, 0 skipped");
    let report = oracle::check(&Broken(Fault::Dead), &topology("hop"), 5);
    assert_eq!(report.to_string(), "0 passed, 1 failed, 0 skipped");
}

#[test]
fn what_a_datapath_cannot_hold_is_skipped_aloud() {
    let mut report = vectors::replay(&Broken(Fault::Small), &golden()[..2]);
    report.merge(oracle::check(&Broken(Fault::Small), &topology("hop"), 5));
    assert_eq!(report.to_string(), "0 passed, 0 failed, 3 skipped");
    assert_eq!(report.skipped[2].1, "room for nothing");
}
