//! The steps of a cell against a simulated datapath.

use super::bench::Bench;
use super::cell::{self, Task};
use super::droplet::Context;
use super::effort::Effort;
use super::flows::{Layout, Traffic};
use super::record::{Cell, Purpose, Record};
use crate::profile::Profile;
use crate::run::deploy::Observation;
use crate::tester::{Offer, Report};
use datapath_api::PortType;
use mizar_wire::Ipv4;
use netdev::CpuTime;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use workload::{Control, SinkState};

/// Sets up so many flows a second and forwards known ones for nothing; it holds `capacity` direct paths.
struct Simulated {
    setups: f64,
    capacity: u64,
    flows: Vec<(Traffic, u32)>,
    known: HashSet<(Traffic, u32)>,
    /// Frames that were of new flows, by trial.
    new: Vec<u64>,
}

impl Bench for Simulated {
    fn deploy(&mut self, layout: &Layout) -> Result<(), String> {
        self.flows = layout.flows().collect();
        self.known.clear();
        Ok(())
    }

    fn offer(&mut self, offer: &Offer) -> Result<Observation, String> {
        let entries = self.flows.len() as u32;
        let nanoseconds = offer.duration.as_nanos() as u64;
        let control = Control::new(nanoseconds, offer.load.get(), entries, 0)
            .beginning_with(offer.first_entry);
        let most = (self.setups * offer.duration.as_secs_f64()) as u64;
        let (mut received, mut new, mut set_up) = (0, 0, 0);
        for number in 0..control.frames as u32 {
            let flow = self.flows[control.entry_of(number) as usize];
            if self.known.contains(&flow) {
                received += 1;
                continue;
            }
            new += 1;
            if set_up < most.max(1) {
                set_up += 1;
                received += 1;
                self.known.insert(flow);
            }
        }
        self.new.push(new);
        Ok(Observation {
            report: Report {
                intended: control.frames,
                offered: control.frames,
                arrived: SinkState {
                    received,
                    ..SinkState::default()
                },
                ..Report::default()
            },
            used: CpuTime::default(),
            stolen: Duration::ZERO,
            disturbed: None,
            switch: None,
            hops: Vec::new(),
            apart: None,
        })
    }

    fn direct_paths(&mut self) -> Result<u64, String> {
        Ok((self.known.len() as u64).min(self.capacity))
    }
}

fn measure(
    setups: f64,
    capacity: u64,
    traffic: Traffic,
    installed: u32,
) -> (Cell, Vec<Record>, Vec<u64>) {
    let mut bench = Simulated {
        setups,
        capacity,
        flows: Vec::new(),
        known: HashSet::new(),
        new: Vec::new(),
    };
    let mut records = Vec::new();
    let mut context = Context {
        record: &mut |record| {
            records.push(record.clone());
            Ok(())
        },
        interrupted: &|| false,
        began: Instant::now(),
        name: "simulated",
    };
    let mut effort = Effort::of(Profile::Smoke).unwrap();
    // Simulated time is not that of the clock.
    effort.patience = Duration::from_secs(600);
    let task = Task {
        traffic,
        installed,
        ports: PortType::Rings,
        host: Ipv4::from_octets([172, 16, 0, 2]),
        ceiling: Some(1e6),
        before: None,
    };
    let cell = cell::measure(&mut bench, &mut context, &effort, &task).unwrap();
    (cell, records, bench.new)
}

#[test]
fn the_rate_of_setups_is_found_and_every_frame_of_the_search_is_new() {
    for setups in [30_000.0, 90_000.0, 400_000.0] {
        for installed in [0, 300] {
            let (cell, records, new) =
                measure(setups, u64::MAX, Traffic::NewDestinations, installed);
            let rate = cell.rate.unwrap();
            let found = rate.throughput.unwrap();
            assert!(
                (setups * 0.85..=setups * 1.02).contains(&found),
                "{setups} setups/s, {installed} installed: {rate:?}"
            );
            let mut searched = 0;
            for (record, new) in records.iter().zip(new) {
                let Record::Trial(trial) = record else {
                    panic!("{record:?}");
                };
                match trial.purpose {
                    Purpose::Search => {
                        assert_eq!(new, trial.intended, "a flow came twice: {trial:?}");
                        searched += 1;
                    }
                    Purpose::Pairs => assert_eq!(new, trial.intended / 2),
                    _ => {}
                }
            }
            assert!(searched > 0);
        }
    }
}

#[test]
fn flows_are_installed_and_counted_before_anything_is_measured() {
    let (cell, records, _) = measure(50_000.0, u64::MAX, Traffic::NewSources, 5_000);
    let warm_up = cell.warm_up.unwrap();
    assert_eq!(warm_up.direct_paths, Some(5_000));
    assert!(warm_up.passes >= 2);
    let purposes: Vec<Purpose> = records
        .iter()
        .filter_map(|record| match record {
            Record::Trial(trial) => Some(trial.purpose),
            _ => None,
        })
        .collect();
    let pairs = purposes
        .iter()
        .position(|purpose| *purpose == Purpose::Pairs);
    let warm = |purpose: &Purpose| [Purpose::WarmUp, Purpose::Held].contains(purpose);
    assert!(purposes[..pairs.unwrap()].iter().all(warm));
}

#[test]
fn a_step_beyond_a_capacity_says_so() {
    let (cell, _, _) = measure(1e6, 2_000, Traffic::NewSources, 3_000);
    let why = cell.unavailable.unwrap();
    assert!(why.contains("2000") && why.contains("3000"), "{why}");
    assert!(cell.rate.is_none() && cell.first.is_none());
}
