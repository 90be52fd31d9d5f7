//! What a software switch counts inside.

use crate::{Cycles, Polling};
use serde::{Deserialize, Serialize};

/// What a switch with a flow cache counted, over all threads that forward. The words are those of Open vSwitch,
/// ovs-vswitchd(8), "DPIF-NETDEV COMMANDS".
///
/// A packet is looked up once, and once more each time that it is recirculated, as when a tunnel header was taken off.
/// Each lookup is answered by one cache or is a miss, which is an *upcall* to the slow path.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SwitchCounters {
    /// Packets received.
    pub received: u64,
    /// Packets looked up once more.
    pub recirculated: u64,
    /// Lookups answered by the exact match cache (EMC).
    pub emc_hits: u64,
    /// Lookups answered by the signature match cache (SMC).
    pub smc_hits: u64,
    /// Lookups answered before any cache: by the hardware, or for rules that ask for no more than the port.
    pub early_hits: u64,
    /// Lookups answered by the megaflow classifier.
    pub megaflow_hits: u64,
    /// Misses that the slow path answered.
    pub upcalls: u64,
    /// Misses that the slow path did not answer, or for which it could install no flow: the packet was lost, or its
    /// successors miss again.
    pub upcalls_failed: u64,
    /// Packets lost on their way to a controller, for which the switch's queues were full; none where the switch does
    /// not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet_ins_lost: Option<u64>,
    /// What threads that poll did with their time; none where no thread polls.
    pub cycles: Option<Cycles>,
    /// Tables of the megaflow classifier that a hit looked into on average since the last reading, in the thread that
    /// received most.
    pub lookups_per_megaflow_hit: Option<f64>,
    /// Packets sent together on average since the last reading, in the thread that received most.
    pub packets_per_batch: Option<f64>,
    /// Datapath flows installed now, over all threads.
    pub flows: Option<u64>,
    /// Masks that these flows have now: tables of the megaflow classifier, counted for each port and thread.
    pub masks: Option<u64>,
}

impl SwitchCounters {
    /// All lookups.
    pub fn lookups(&self) -> u64 {
        [
            self.emc_hits,
            self.smc_hits,
            self.early_hits,
            self.megaflow_hits,
            self.misses(),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Lookups that no cache answered.
    pub fn misses(&self) -> u64 {
        self.upcalls.saturating_add(self.upcalls_failed)
    }

    /// What the threads that poll did; `None` where no thread polls.
    pub fn polling(&self) -> Option<Polling> {
        Some(Polling {
            received: self.received,
            cycles: self.cycles?,
        })
    }

    /// Cycles of rounds that found packets, for each packet received.
    pub fn cycles_per_packet(&self) -> Option<f64> {
        self.polling()?.cycles_per_frame()
    }

    /// The sum of two, with what is now so from the later one.
    pub fn and(&self, later: &Self) -> Self {
        // It takes centuries to fill a counter.
        let sum = |of: fn(&Self) -> u64| of(self).saturating_add(of(later));
        Self {
            received: sum(|it| it.received),
            recirculated: sum(|it| it.recirculated),
            emc_hits: sum(|it| it.emc_hits),
            smc_hits: sum(|it| it.smc_hits),
            early_hits: sum(|it| it.early_hits),
            megaflow_hits: sum(|it| it.megaflow_hits),
            upcalls: sum(|it| it.upcalls),
            upcalls_failed: sum(|it| it.upcalls_failed),
            packet_ins_lost: match (self.packet_ins_lost, later.packet_ins_lost) {
                (Some(one), Some(two)) => Some(one.saturating_add(two)),
                (one, two) => one.or(two),
            },
            cycles: match (self.cycles, later.cycles) {
                (Some(one), Some(two)) => Some(one.and(two)),
                (one, two) => one.or(two),
            },
            ..later.clone()
        }
    }

    /// What was counted since `before`, with what is now so from `self`; `None` where a counter went back, so that the
    /// two are not of one switch.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let grown = |of: fn(&Self) -> u64| of(self).checked_sub(of(before));
        let cycles = match (self.cycles, before.cycles) {
            (Some(now), Some(before)) => Some(now.since(before)?),
            // The thread began to poll in between.
            (now, None) => now,
            (None, Some(_)) => return None,
        };
        Some(Self {
            received: grown(|it| it.received)?,
            recirculated: grown(|it| it.recirculated)?,
            emc_hits: grown(|it| it.emc_hits)?,
            smc_hits: grown(|it| it.smc_hits)?,
            early_hits: grown(|it| it.early_hits)?,
            megaflow_hits: grown(|it| it.megaflow_hits)?,
            upcalls: grown(|it| it.upcalls)?,
            upcalls_failed: grown(|it| it.upcalls_failed)?,
            packet_ins_lost: match (self.packet_ins_lost, before.packet_ins_lost) {
                (Some(now), Some(before)) => Some(now.checked_sub(before)?),
                _ => None,
            },
            cycles,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(number: u64) -> SwitchCounters {
        SwitchCounters {
            received: 10 * number,
            recirculated: number,
            emc_hits: 2 * number,
            smc_hits: number,
            early_hits: number,
            megaflow_hits: 4 * number,
            upcalls: 2 * number,
            upcalls_failed: number,
            packet_ins_lost: Some(3 * number),
            cycles: Some(Cycles {
                busy: 1000 * number,
                idle: 7 * number,
            }),
            lookups_per_megaflow_hit: Some(number as f64),
            packets_per_batch: None,
            flows: Some(number),
            masks: None,
        }
    }

    #[test]
    fn counters_are_summed_and_subtracted_and_gauges_are_the_last() {
        let (early, late) = (counted(1), counted(2));
        assert_eq!(late.since(&early).unwrap().received, 10);
        assert_eq!(late.since(&early).unwrap().flows, Some(2));
        let sum = early.and(&late);
        assert_eq!(sum.since(&early), Some(late.clone()));
        assert_eq!(sum.lookups(), 33);
        assert_eq!(sum.misses(), 9);
        assert_eq!(sum.cycles_per_packet(), Some(100.0));
        assert_eq!(SwitchCounters::default().cycles_per_packet(), None);
        assert_eq!(sum.packet_ins_lost, Some(9));
        let untold = SwitchCounters {
            packet_ins_lost: None,
            ..counted(3)
        };
        for (now, before) in [(&untold, &late), (&counted(4), &untold)] {
            assert_eq!(now.since(before).unwrap().packet_ins_lost, None);
        }
    }

    #[test]
    fn counters_of_another_switch_give_no_difference() {
        assert_eq!(counted(1).since(&counted(2)), None);
        let lost_fewer = SwitchCounters {
            packet_ins_lost: Some(2),
            ..counted(2)
        };
        assert_eq!(lost_fewer.since(&counted(1)), None);
        let stopped = SwitchCounters {
            cycles: None,
            ..counted(2)
        };
        assert_eq!(stopped.since(&counted(1)), None);
        let began = counted(2).since(&SwitchCounters {
            cycles: None,
            ..counted(1)
        });
        assert_eq!(began.unwrap().cycles, counted(2).cycles);
    }
}
