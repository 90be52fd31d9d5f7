//! Which goal comes first decides what a short budget is spent on.

use std::time::Duration;

use super::super::*;
use super::device::{Behaviour, Device, pps, run};
use crate::profile::Profile;

const CAPACITY: f64 = 2.5e6;
const SEARCHES: u64 = 200;

/// In how many of all searches of profile standard PDR is regular and near what is carried, on a machine that stalls in nine of ten
/// trials, mostly for some microseconds: so it was found on a virtual machine with two processors.
fn found(precedence: Precedence) -> usize {
    let effort = Profile::Standard.effort().unwrap();
    let is_found = |seed: &u64| {
        let config = SearchConfig {
            precedence,
            ..effort.search(pps(1_000.0), pps(7e6))
        };
        let stalling = Behaviour::Stalling {
            capacity: CAPACITY,
            share: 0.9,
            stall: Duration::from_micros(10),
        };
        let (search, _) = run(config, &mut Device::new(stalling, *seed), |_, _, _| {});
        let result = search.result();
        let pdr = result.goals.last().unwrap();
        let rate = pdr.conditional_throughput.map_or(0.0, Pps::get);
        pdr.status == Status::Regular && (rate / CAPACITY - 1.0).abs() < 0.03
    };
    (0..SEARCHES).filter(is_found).count()
}

#[test]
fn on_a_machine_that_stalls_pdr_comes_before_ndr() {
    let (before, after) = (
        found(Precedence::LowestLoad),
        found(Precedence::LargestLoss),
    );
    assert!(after > 190, "{before} and {after} of {SEARCHES}");
    assert!(before < after * 3 / 4, "{before} and {after} of {SEARCHES}");
}
