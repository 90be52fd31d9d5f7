//! How far apart two processors are.
//!
//! What one writes and another reads goes from cache to cache. Between cores that share one that takes some tens of
//! nanoseconds, and several hundred between others. A hypervisor moves virtual processors from one to the other and tells
//! nobody; frames that are handed from processor to processor then cost up to twice as much as before.

use crate::thread::Prompt;
use crate::{Cpu, Tid};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Round trips that are timed together,
const TRIPS: u32 = 100;
/// how often,
const BATCHES: usize = 7;
/// and how long they may take: who does not get its processor in that time tells nothing.
const PATIENCE: Duration = Duration::from_millis(20);

/// The round trip of a cache line between two processors: the median of some batches, half a millisecond in all. `None` where
/// both are one, or their threads did not get to run.
#[must_use]
pub fn round_trip(one: Cpu, other: Cpu) -> Option<Duration> {
    if one == other {
        return None;
    }
    // A thread that begins as an ordinary one may begin behind one that polls on its processor, and wait for a tenth of a second
    // before it can say that it is in a hurry.
    let _prompt = Prompt::now();
    let (ball, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let there = scope.spawn(|| {
            let is_there = settle(other);
            while is_there && !is_over.load(Ordering::Relaxed) {
                let value = ball.load(Ordering::Acquire);
                if !value.is_multiple_of(2) {
                    ball.store(value.wrapping_add(1), Ordering::Release);
                }
            }
        });
        let here = scope.spawn(|| {
            let times = if settle(one) { play(&ball) } else { None };
            is_over.store(true, Ordering::Relaxed);
            times
        });
        let times = here.join().ok().flatten();
        let _ = there.join();
        let mut times = times?;
        times.sort_unstable();
        Some(times[BATCHES / 2] / TRIPS)
    })
}

/// Moves the calling thread there. Without the privilege to go before others they may be in the way, which the patience ends.
fn settle(cpu: Cpu) -> bool {
    Tid::current().pin(cpu).is_ok()
}

/// How long each batch took; nothing if nobody plays along.
fn play(ball: &AtomicU32) -> Option<[Duration; BATCHES]> {
    let began = Instant::now();
    let mut times = [Duration::ZERO; BATCHES];
    let mut value = 0_u32;
    let trip = |value: &mut u32| {
        *value = value.wrapping_add(2);
        ball.store(value.wrapping_sub(1), Ordering::Release);
        let mut waited = 0_u32;
        while ball.load(Ordering::Acquire) != *value {
            waited += 1;
            if waited.is_multiple_of(1_024) && began.elapsed() > PATIENCE {
                return false;
            }
        }
        true
    };
    // The other may only just be on its way.
    if !trip(&mut value) {
        return None;
    }
    for time in &mut times {
        let began = Instant::now();
        for _ in 0..TRIPS {
            if !trip(&mut value) {
                return None;
            }
        }
        *time = began.elapsed();
    }
    Some(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_not_apart_from_itself() {
        assert_eq!(round_trip(Cpu(0), Cpu(0)), None);
    }

    #[test]
    fn a_processor_that_is_not_there_is_at_no_distance() {
        assert_eq!(round_trip(Cpu(0), Cpu(100_000)), None);
    }

    #[test]
    fn a_round_trip_takes_some_time_and_leaves_the_caller_where_it_was() {
        let cpus = crate::allowed_cpus().unwrap();
        let [one, other, ..] = cpus[..] else {
            eprintln!("there is one processor alone");
            return;
        };
        // The machine may not let both run at once; then there is no figure, and no wrong one.
        if let Some(time) = round_trip(one, other) {
            assert!(time > Duration::ZERO && time < PATIENCE, "{time:?}");
        }
        assert_eq!(crate::allowed_cpus().unwrap(), cpus);
        // SAFETY: has no preconditions; zero is the calling thread.
        let policy = unsafe { libc::sched_getscheduler(0) };
        assert_eq!(policy, libc::SCHED_OTHER);
    }
}
