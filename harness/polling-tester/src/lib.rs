//! Generator and sinks in one thread that polls: the tester for ports that a thread can reach without the kernel.
//!
//! What it runs over is [`Ports`]; the rings of the harness and DPDK's devices are such ports, so that both are offered
//! the same frames at the same times, and judged alike. Orders and outcomes can be sent to another process.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `order` | what to offer and watch, and what came of it |
//! | `trial` | the loop of a trial |
//! | `frame` | a frame written, and recognised again |

mod frame;
mod order;
mod trial;

pub use order::{Order, Outcome, Watch, occupied};

use std::time::Duration;
use workload::{Control, Entry};

/// From the end of a trial until what has not come back counts as lost; every tester waits as long.
pub const DRAIN: Duration = Duration::from_millis(10);

/// Ports of a tester, counted from zero.
pub trait Ports {
    /// Hands out a buffer of `len` bytes to be filled, and sends it by `port` now or when it is flushed. A port that is
    /// full loses the frame, as a full receive queue does. False if there was no buffer, so that nothing was sent.
    fn send(&mut self, port: usize, len: usize, write: impl FnOnce(&mut [u8])) -> bool;

    /// Sends what was held back.
    fn flush(&mut self);

    /// Hands over some of the frames that came by `port`.
    fn receive(&mut self, port: usize, take: impl FnMut(&[u8]));
}

/// A tester of one workload.
#[derive(Debug, Clone)]
pub struct PollingTester {
    entries: Vec<Entry>,
    /// Where inner frames start, by port; `None` for ports that nothing must arrive at.
    inner_at: Vec<Option<u32>>,
    /// Number of the next trial's first frame.
    first: u32,
}

impl PollingTester {
    /// A tester that offers `entries`. What arrives by a port has its inner frame at the place that `inner_at` says for
    /// it; ports without one are emptied and not counted.
    pub fn new(entries: Vec<Entry>, inner_at: Vec<Option<u32>>) -> Self {
        Self {
            entries,
            inner_at,
            first: 0,
        }
    }

    /// Carries out `order`, waits for what is still under way, and counts. Takes the calling thread for as long.
    ///
    /// # Errors
    /// Where the kernel does not say what processor time the thread had.
    pub fn run(&mut self, ports: &mut impl Ports, order: &Order) -> Result<Outcome, netdev::Error> {
        let entries = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let control = Control::new(
            order.nanoseconds,
            order.frames_per_second,
            entries,
            self.first,
        )
        .beginning_with(order.first_entry);
        self.first = control.next_first();
        trial::Trial::new(self, control, order.watch).run(ports)
    }
}

/// Nanoseconds of the monotonic clock, which the kernel's programs read, too.
#[inline(always)]
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a valid place for the result; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
