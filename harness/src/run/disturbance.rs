//! Whether something else than what is measured took part in a measurement.

use std::time::Duration;

/// More than this share of its time was taken away.
const DISTURBED: f64 = 0.02;
/// Less than this is never a disturbance: the scheduler takes as much.
const LEAST: Duration = Duration::from_millis(1);

/// Time that was taken from a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// By the hypervisor, of all processors. It is counted in ticks of 10 ms, of which one may have begun to add up before. But it
    /// may as well be a stall of nearly 20 ms, and 1 ms is as much as PDR may lose in a trial of 0.2 s.
    pub stolen: Duration,
    /// While the tester was ready to run, if it has a thread that always runs.
    pub from_tester: Option<Duration>,
    /// While the datapath was, if it has but one thread: several wait for each other.
    pub from_datapath: Option<Duration>,
}

impl Taken {
    /// What disturbed a measurement of this length, if anything did.
    pub fn disturbance(self, length: Duration) -> Option<String> {
        let limit = length.mul_f64(DISTURBED).max(LEAST);
        let over =
            |it: Duration| (it > limit).then(|| 100.0 * it.as_secs_f64() / length.as_secs_f64());
        if let Some(percent) = over(self.stolen) {
            return Some(format!("the hypervisor took {percent:.0} % of its time"));
        }
        if let Some(percent) = self.from_tester.and_then(over) {
            return Some(format!("the tester waited {percent:.0} % of its time"));
        }
        let percent = self.from_datapath.and_then(over)?;
        Some(format!("the datapath waited {percent:.0} % of its time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(length_ms: u64, taken: Taken) -> String {
        let said = taken.disturbance(Duration::from_millis(length_ms));
        said.unwrap_or_default()
    }

    #[test]
    fn one_tick_of_steal_disturbs_a_short_trial() {
        let tick = Taken {
            stolen: Duration::from_millis(10),
            ..Taken::default()
        };
        assert_eq!(said(200, tick), "the hypervisor took 5 % of its time");
        assert_eq!(said(1_000, tick), "");
    }

    #[test]
    fn who_waits_disturbs() {
        let waits = Some(Duration::from_millis(6));
        let tester = Taken {
            from_tester: waits,
            ..Taken::default()
        };
        assert_eq!(said(200, tester), "the tester waited 3 % of its time");
        let datapath = Taken {
            from_datapath: waits,
            ..Taken::default()
        };
        assert_eq!(said(200, datapath), "the datapath waited 3 % of its time");
        assert_eq!(said(500, datapath), "");
        let little = Taken {
            from_datapath: Some(Duration::from_micros(900)),
            ..Taken::default()
        };
        assert_eq!(said(10, little), "");
    }
}
