//! From cycles of the time stamp counter to time.

use polling_tester::now;
use std::sync::OnceLock;
use std::time::Duration;

/// How long the counter is compared with the clock.
const CALIBRATION: Duration = Duration::from_millis(50);

/// How long as many cycles take, in nanoseconds; `None` on processors on which it is not known here what datapaths count.
pub fn nanoseconds(cycles: u64) -> Option<f64> {
    per_nanosecond().map(|rate| cycles as f64 / rate)
}

/// How many there are in a nanosecond.
pub fn per_nanosecond() -> Option<f64> {
    static CYCLES_PER_NANOSECOND: OnceLock<Option<f64>> = OnceLock::new();
    *CYCLES_PER_NANOSECOND.get_or_init(calibrate)
}

fn calibrate() -> Option<f64> {
    let (cycles, began) = (counter()?, now());
    std::thread::sleep(CALIBRATION);
    let (later, ended) = (counter()?, now());
    let rate = later.checked_sub(cycles)? as f64 / ended.checked_sub(began)? as f64;
    (rate > 0.0).then_some(rate)
}

/// The counter that DPDK (rte_rdtsc) and Open vSwitch (cycles_counter_update in lib/dpif-netdev-perf.h) read.
fn counter() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every such processor has it.
    return Some(unsafe { std::arch::x86_64::_rdtsc() });
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_take_as_long_as_the_clock_says() {
        let Some(cycles) = counter() else {
            return;
        };
        let began = now();
        std::thread::sleep(Duration::from_millis(200));
        let (later, ended) = (counter(), now());
        let counted = nanoseconds(later.unwrap() - cycles).unwrap();
        let ratio = counted / (ended - began) as f64;
        assert!((0.9..1.1).contains(&ratio), "{ratio}");
    }
}
