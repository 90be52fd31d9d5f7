//! What the userspace datapath counts inside, read from what appctl commands print: ovs-vswitchd(8), "DPIF-NETDEV
//! COMMANDS".
//!
//! The text is made for people and no version promises it to the next. So what is not exactly as expected is not
//! read, and the counters are absent.

use crate::{Error, Instance};
use datapath_api::{Cycles, SwitchCounters};
use std::time::{Duration, Instant};

/// How long threads may take to begin to count anew: one that polls does so between two rounds, once it gets its
/// processor.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often they are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(1);
/// Cycles that no thread has: some ten years.
const LIFETIME: u64 = 1 << 60;
/// Packets of a round at most; of the first, cycles are counted at its end.
const ROUND: u64 = 4096;
/// How long a round of a thread that polls may take.
const ROUNDS: Duration = Duration::from_secs(30);

/// Keeps the sum of all that the threads of one switch counted, which count anew after each reading: only so are
/// averages, of which the switch prints two decimals, those of the time since the last reading.
#[derive(Debug, Default)]
pub struct Tally {
    total: SwitchCounters,
    unreadable: bool,
}

impl Tally {
    /// Reads the counters and has threads count anew. Returns what was counted since the beginning; `None` once
    /// something could not be read.
    ///
    /// # Errors
    /// Where `ovs-vswitchd` is gone.
    pub fn read(&mut self, instance: &Instance) -> Result<Option<SwitchCounters>, Error> {
        if self.unreadable {
            return Ok(None);
        }
        match read_and_clear(instance) {
            Ok(Some(counted)) => {
                self.total = self.total.and(&counted);
                self.total.packet_ins_lost = packet_ins_lost(instance);
                return Ok(Some(self.total.clone()));
            }
            Ok(None) => {
                tracing::warn!("this Open vSwitch's statistics are in no known form, or cannot be")
            }
            // The command may not exist in another version.
            Err(Error::Control { command, reason }) => {
                instance.check()?;
                tracing::warn!(command, reason, "Open vSwitch refuses to show statistics");
            }
            Err(error) => return Err(error),
        }
        self.unreadable = true;
        Ok(None)
    }
}

fn read_and_clear(instance: &Instance) -> Result<Option<SwitchCounters>, Error> {
    let show = || instance.control("dpif-netdev/pmd-stats-show", &[]);
    let Some(before) = threads(&show()?).filter(|threads| threads.iter().all(may_be)) else {
        return Ok(None);
    };
    let counted = SwitchCounters {
        flows: flows(&instance.control("dpctl/show", &[])?),
        // A later version may have this command no more.
        masks: instance
            .control("dpif-netdev/subtable-lookup-info-get", &[])
            .ok()
            .and_then(|said| masks(&said)),
        ..sum(&before)
    };
    if counted.received == 0 {
        // Nothing to begin anew from; time that passed is part of the next reading.
        return Ok(Some(SwitchCounters {
            flows: counted.flows,
            masks: counted.masks,
            ..SwitchCounters::default()
        }));
    }
    let began = Instant::now();
    loop {
        // Again, if packets came in between.
        instance.control("dpif-netdev/pmd-stats-clear", &[])?;
        let Some(now) = threads(&show()?) else {
            return Ok(None);
        };
        if all_count_anew(&before, &now) {
            return Ok(Some(counted));
        }
        if began.elapsed() > PATIENCE {
            // What they count from now on cannot be told from what they counted before.
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Waits until each thread that polls has ended the round that it is in, and another.
///
/// # Errors
/// Where `ovs-vswitchd` is gone, no thread of it polls, or they stand still.
pub fn finish_rounds(instance: &Instance) -> Result<(), Error> {
    let rounds =
        || -> Result<_, Error> { Ok(rounds(&instance.control("dpif-netdev/pmd-perf-show", &[])?)) };
    let mut before = rounds()?;
    let began = Instant::now();
    loop {
        let now = rounds()?;
        let both = || before.iter().zip(&now);
        if !now.is_empty()
            && before.len() == now.len()
            && both().all(|(before, now)| *now >= before + 2)
        {
            return Ok(());
        }
        // They count anew when they get to it.
        if before.len() != now.len() || both().any(|(before, now)| now < before) {
            before = now;
        }
        if began.elapsed() > ROUNDS {
            return Err(Error::Control {
                command: "dpif-netdev/pmd-perf-show".to_owned(),
                reason: "no thread of it polls, or they stand still".to_owned(),
            });
        }
        std::thread::sleep(LOOK);
    }
}

/// Rounds of each thread, as `dpif-netdev/pmd-perf-show` prints them: `  Iterations:   230352  (0.40 us/it)`.
fn rounds(said: &str) -> Vec<u64> {
    said.lines()
        .filter_map(|line| line.trim().strip_prefix("Iterations:"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect()
}

/// Packet-ins that found a queue full: the one for each connection (`do_send_packet_ins` of `ofproto/connmgr.c`), and
/// the one before it (`ofproto_dpif_send_async_msg` of `ofproto/ofproto-dpif.c`). Counted since the switch began.
fn packet_ins_lost(instance: &Instance) -> Option<u64> {
    let read = |event: &str| -> Option<u64> {
        // A version that does not know the event refuses.
        let said = instance.control("coverage/read-counter", &[event]).ok()?;
        said.trim().parse().ok()
    };
    read("rconn_overflow")?.checked_add(read("packet_in_overflow")?)
}

/// Whether a thread may have counted so. A switch whose threads were stopped and went on once told of packets that took no
/// time, and then of more cycles than a processor has in a lifetime.
fn may_be(thread: &SwitchCounters) -> bool {
    thread.cycles.is_none_or(|Cycles { busy, idle }| {
        busy.max(idle) < LIFETIME && (thread.received < ROUND || busy > 0)
    })
}

/// Whether each thread that had received something has begun again. What it received and how long it took only ever
/// grow otherwise.
fn all_count_anew(before: &[SwitchCounters], now: &[SwitchCounters]) -> bool {
    let spent = |thread: &SwitchCounters| {
        let cycles = thread.cycles.unwrap_or_default();
        [thread.received, cycles.busy, cycles.idle]
    };
    before.len() == now.len()
        && before.iter().zip(now).all(|(before, now)| {
            let fell = |(before, now): (u64, u64)| now < before;
            before.received == 0 || spent(before).into_iter().zip(spent(now)).any(fell)
        })
}

/// All threads as one; averages are those of the thread that received most.
fn sum(threads: &[SwitchCounters]) -> SwitchCounters {
    let most = threads.iter().max_by_key(|thread| thread.received);
    let total = threads
        .iter()
        .fold(SwitchCounters::default(), |sum, thread| sum.and(thread));
    SwitchCounters {
        lookups_per_megaflow_hit: most.and_then(|thread| thread.lookups_per_megaflow_hit),
        packets_per_batch: most.and_then(|thread| thread.packets_per_batch),
        ..total
    }
}

/// What each thread counted, as `dpif-netdev/pmd-stats-show` prints it.
fn threads(said: &str) -> Option<Vec<SwitchCounters>> {
    let mut sections: Vec<Vec<(&str, &str)>> = Vec::new();
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with(' ') {
            let (key, value) = line.trim().split_once(": ")?;
            sections.last_mut()?.push((key, value.trim()));
        } else {
            let name = line.strip_suffix(':')?;
            if name != "main thread" && !name.starts_with("pmd thread ") {
                return None;
            }
            sections.push(Vec::new());
        }
    }
    let threads = sections
        .iter()
        .map(|lines| thread(lines))
        .collect::<Option<Vec<_>>>()?;
    (!threads.is_empty()).then_some(threads)
}

/// What one thread counted.
fn thread(lines: &[(&str, &str)]) -> Option<SwitchCounters> {
    // Once, or it would not be known which is meant.
    let find = |key: &str| -> Option<&str> {
        let mut found = lines.iter().filter(|(known, _)| *known == key);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(*value)
    };
    let count = |key: &str| find(key)?.parse::<u64>().ok();
    // Of nothing there is no average; it is printed as nought.
    let average = |key: &str, of: u64| {
        let value = find(key)?.parse::<f64>().ok();
        value.filter(|value| of > 0 && value.is_finite() && *value > 0.0)
    };
    // As in `idle cycles: 2935933832 (98.55%)`; there is none of a thread that does not poll.
    let cycles = |key: &str| find(key)?.split(' ').next()?.parse::<u64>().ok();
    let is_known = |key: &str| lines.iter().any(|(known, _)| *known == key);
    let (idle, busy) = ("idle cycles", "processing cycles");
    let cycles = if is_known(idle) || is_known(busy) {
        Some(Cycles {
            busy: cycles(busy)?,
            idle: cycles(idle)?,
        })
    } else {
        None
    };
    let received = count("packets received")?;
    let megaflow_hits = count("megaflow hits")?;
    Some(SwitchCounters {
        received,
        recirculated: count("packet recirculations")?,
        emc_hits: count("emc hits")?,
        smc_hits: count("smc hits")?,
        early_hits: count("phwol hits")?.checked_add(count("simple match hits")?)?,
        megaflow_hits,
        upcalls: count("miss with success upcall")?,
        upcalls_failed: count("miss with failed upcall")?,
        packet_ins_lost: None,
        cycles,
        lookups_per_megaflow_hit: average("avg. subtable lookups per megaflow hit", megaflow_hits),
        packets_per_batch: average("avg. packets per output batch", received),
        flows: None,
        masks: None,
    })
}

/// Installed datapath flows, as `dpctl/show` prints them: of one datapath, or it is not known whose they are.
fn flows(said: &str) -> Option<u64> {
    let mut found = said
        .lines()
        .filter_map(|line| line.strip_prefix("  flows: "));
    let flows = found.next()?.trim().parse().ok()?;
    found.next().is_none().then_some(flows)
}

/// Tables of the megaflow classifier, as `dpif-netdev/subtable-lookup-info-get` prints how many use which
/// implementation.
fn masks(said: &str) -> Option<u64> {
    let mut lines = said.lines();
    (lines.next()? == "Available dpcls implementations:").then_some(())?;
    lines
        .map(|line| {
            let (_, rest) = line.split_once("(Use count: ")?;
            rest.split(',').next()?.parse::<u64>().ok()
        })
        .try_fold(0u64, |sum, count| sum.checked_add(count?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAIN: &str = include_str!("../testdata/ovs-3.1.0/pmd-stats-show.main-thread.txt");
    const POLLING: &str = include_str!("../testdata/ovs-3.1.0/pmd-stats-show.polling-thread.txt");
    const SHOW: &str = include_str!("../testdata/ovs-3.1.0/dpctl-show.txt");
    const TABLES: &str = include_str!("../testdata/ovs-3.1.0/subtable-lookup-info-get.txt");

    #[test]
    fn rounds_of_threads_that_poll_are_read() {
        let said = "Time: 01:30:59.195\n\npmd thread numa_id 0 core_id 1:\n\n  \
                    Iterations:               230352  (0.40 us/it)\n  \
                    - idle iterations:        230352  (100.0 % of used cycles)\n";
        assert_eq!(rounds(said), [230_352]);
        assert!(rounds("").is_empty());
    }

    #[test]
    fn what_version_3_1_prints_is_read() {
        let main = sum(&threads(MAIN).unwrap());
        let expected = SwitchCounters {
            received: 349,
            emc_hits: 2,
            megaflow_hits: 303,
            upcalls: 44,
            lookups_per_megaflow_hit: Some(1.0),
            packets_per_batch: Some(1.02),
            ..SwitchCounters::default()
        };
        assert_eq!(main, expected);
        assert_eq!(main.lookups(), main.received);

        let both = threads(POLLING).unwrap();
        assert_eq!(both.len(), 2);
        let expected = SwitchCounters {
            received: 347,
            emc_hits: 4,
            megaflow_hits: 300,
            upcalls: 43,
            cycles: Some(Cycles {
                busy: 127_541_765,
                idle: 5_208_757_555,
            }),
            lookups_per_megaflow_hit: Some(1.0),
            packets_per_batch: Some(1.87),
            ..SwitchCounters::default()
        };
        assert_eq!(sum(&both), expected);
        assert_eq!(flows(SHOW), Some(41));
        assert_eq!(masks(TABLES), Some(2));
    }

    #[test]
    fn counters_that_cannot_be_are_not_taken() {
        let mut threads = threads(POLLING).unwrap();
        assert!(threads.iter().all(may_be));
        let polling = threads.iter_mut().find(|it| it.received > 0).unwrap();
        for cycles in [(0, 17), (u64::MAX - 5, 17), (17, u64::MAX)] {
            let (busy, idle) = cycles;
            polling.received = ROUND;
            polling.cycles = Some(Cycles { busy, idle });
            assert!(!may_be(polling), "{cycles:?}");
        }
    }

    #[test]
    fn each_thread_must_begin_anew() {
        let before = threads(POLLING).unwrap();
        let mut now = before.clone();
        assert!(!all_count_anew(&before, &now));
        now[0].cycles = Some(Cycles { busy: 0, idle: 17 });
        assert!(
            all_count_anew(&before, &now),
            "the other has received nothing"
        );
        let mut both = before.clone();
        both[1].received = 1;
        assert!(!all_count_anew(&both, &both));
        assert!(all_count_anew(&both, &now));
        assert!(!all_count_anew(&both, &now[..1]));
    }

    #[test]
    fn every_counter_has_its_own_line() {
        let numbered: String = MAIN
            .lines()
            .enumerate()
            .map(|(index, line)| match line.split_once(": ") {
                Some((key, value)) if !value.contains('.') => format!("{key}: {index}00\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let read = sum(&threads(&numbered).unwrap());
        assert_eq!((read.received, read.recirculated), (100, 200));
        assert_eq!(read.early_hits, 400 + 600);
        assert_eq!((read.emc_hits, read.smc_hits), (700, 800));
        assert_eq!(read.megaflow_hits, 900);
        assert_eq!((read.upcalls, read.upcalls_failed), (1100, 1200));
    }

    #[test]
    fn what_another_version_might_print_is_not_read() {
        let changes = [
            ("  emc hits", "  exact match hits"),
            ("packets received: 347", "packets received: 0x15b"),
            ("packets received: 347", "packets received: -347"),
            ("packets received: 347", "packets received: 347 kpps"),
            ("  megaflow hits: 300\n", ""),
            (
                "  megaflow hits: 300\n",
                "  megaflow hits: 300\n  megaflow hits: 301\n",
            ),
            ("main thread:", "main thread (numa 0):"),
            ("main thread:", "  main thread:"),
            ("pmd thread numa_id 0 core_id 1:\n", ""),
            ("  processing cycles: 127541765 (2.39%)\n", ""),
            (
                "  idle cycles: 5208757555 (97.61%)",
                "  idle cycles: 97.61%",
            ),
            ("smc hits: 0", "smc hits: 99999999999999999999"),
        ];
        for (from, to) in changes {
            let changed = POLLING.replacen(from, to, 1);
            assert_ne!(changed, POLLING, "{from}");
            assert_eq!(threads(&changed), None, "{from} -> {to}");
        }
        for nothing in ["", "\n", "please specify an existing datapath\n"] {
            assert_eq!(threads(nothing), None);
            assert_eq!(flows(nothing), None);
            assert_eq!(masks(nothing), None);
        }
        assert_eq!(flows(&format!("{SHOW}{SHOW}")), None);
        assert_eq!(flows("  flows: many\n"), None);
        assert_eq!(masks("Available dpcls implementations:\n  generic\n"), None);
        let added = POLLING.replace("  smc hits", "  new cache hits: 3\n  smc hits");
        assert!(threads(&added).is_some(), "a line more is no harm");
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(
            text in "\\PC{0,80}",
            (at, cut) in (0..POLLING.len(), 0..POLLING.len()),
        ) {
            prop_assert_eq!(threads(&text), None);
            flows(&text);
            masks(&text);
            let spliced = format!("{}{text}{}", &POLLING[..at], &POLLING[cut..]);
            threads(&spliced);
        }
    }
}
