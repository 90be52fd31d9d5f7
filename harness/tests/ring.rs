//! The ring tester against a device that gives frames back too late.

use datapath_api::ring::{self, Buffer};
use harness::search::Pps;
use harness::tester::{FrameSize, RingTester, Tester, Workload};
use netdev::{Cpu, allowed_cpus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use topologies::catalogue;
use topologies::topology::Parameters;

/// What a stalled datapath hands out after the end of a trial was lost in that trial; in the next one it must be
/// neither received, nor a duplicate, nor foreign.
#[test]
fn frames_of_the_trial_before_do_not_count() {
    let topology = catalogue::find("hop", Parameters::default()).unwrap();
    let workload = Workload::new(&topology.traffic(), FrameSize::Bytes(64), 1).unwrap();
    let (mut uplink, tester_uplink) = ring::port(512);
    let (stop, release) = (AtomicBool::new(false), AtomicBool::new(false));
    let cpu: Cpu = allowed_cpus().unwrap()[0];
    let mut tester = RingTester::new(vec![tester_uplink], &workload, true, cpu);
    std::thread::scope(|scope| {
        let (stop, release) = (&stop, &release);
        scope.spawn(move || {
            // Keeps everything until it is released, then forwards.
            let mut held: Vec<Buffer> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                while let Ok(buffer) = uplink.rx.pop() {
                    held.push(buffer);
                }
                if release.load(Ordering::Relaxed) {
                    for buffer in held.drain(..) {
                        if let Err(rtrb::PushError::Full(buffer)) = uplink.tx.push(buffer) {
                            let _ = uplink.free.push(buffer);
                        }
                    }
                }
                std::thread::yield_now();
            }
        });
        let load = Pps::new(10_000.0).unwrap();
        let time = Duration::from_millis(30);
        let first = tester.trial(load, time, false).unwrap();
        assert_eq!(first.arrived.received, 0);
        assert!(first.offered > 0);
        release.store(true, Ordering::Relaxed);
        let second = tester.trial(load, time, false).unwrap();
        stop.store(true, Ordering::Relaxed);
        let arrived = second.arrived;
        assert!(arrived.received <= second.offered, "{arrived:?}");
        assert_eq!(
            (arrived.duplicates, arrived.foreign, arrived.corrupted),
            (0, 0, 0)
        );
    });
}
