//! Which hosts a droplet takes for dead, and when it asks.

use mizar_wire::Ipv4;
use std::collections::{HashMap, HashSet};
use topologies::topology::HealthTiming;

/// What is known of a host, in time that its checker was awake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    heard: u64,
    /// When it was last asked, if nothing was heard since.
    asked: Option<u64>,
    missed: u32,
}

impl Known {
    /// Something was heard of it just now.
    const fn heard(time: u64) -> Self {
        Self {
            heard: time,
            asked: None,
            missed: 0,
        }
    }
}

/// The hosts that one droplet checks.
///
/// Between two looks at the clock, which should be often, at most half of an interval passes here: who sleeps longer gives those
/// that it asked the time to answer once it is awake, and still finds the dead if it sleeps again and again.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    timing: HealthTiming,
    known: HashMap<Ipv4, Known>,
    dead: HashSet<Ipv4>,
    /// By the clock.
    looked: u64,
    /// Awake.
    time: u64,
}

/// What comes of a look at the clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Hosts to be asked now, the dead ones among them.
    pub ask: Vec<Ipv4>,
    /// Hosts that were found dead just now.
    pub found_dead: Vec<Ipv4>,
}

impl HealthCheck {
    /// Checks nobody yet. `now` is in nanoseconds of a clock that does not go back, here and everywhere.
    pub fn new(timing: HealthTiming, now: u64) -> Self {
        Self {
            timing,
            known: HashMap::new(),
            dead: HashSet::new(),
            looked: now,
            time: 0,
        }
    }

    /// Direct paths lead to these hosts now. Others are checked no longer, unless they are dead.
    pub fn watch(&mut self, hosts: &HashSet<Ipv4>) {
        let dead = &self.dead;
        self.known
            .retain(|host, _| hosts.contains(host) || dead.contains(host));
        for host in hosts {
            self.known.entry(*host).or_insert(Known::heard(self.time));
        }
    }

    /// A host was heard of; whether it had been dead.
    pub fn heard(&mut self, host: Ipv4) -> bool {
        if let Some(known) = self.known.get_mut(&host) {
            *known = Known::heard(self.time);
        }
        self.dead.remove(&host)
    }

    /// What is due.
    pub fn look(&mut self, now: u64) -> Look {
        let passed = now.saturating_sub(self.looked);
        self.looked = now;
        self.time += passed.min(self.timing.interval_ns() / 2);
        let mut look = Look::default();
        for (host, known) in &mut self.known {
            match known.asked {
                None if self.time - known.heard < self.timing.timeout_ns() => continue,
                Some(asked) if self.time - asked < self.timing.interval_ns() => continue,
                None => {}
                Some(_) => known.missed = known.missed.saturating_add(1),
            }
            known.asked = Some(self.time);
            look.ask.push(*host);
            if known.missed >= self.timing.misses.get().into() && self.dead.insert(*host) {
                look.found_dead.push(*host);
            }
        }
        look
    }

    /// Hosts that are dead.
    pub fn dead(&self) -> Vec<Ipv4> {
        let mut dead: Vec<_> = self.dead.iter().copied().collect();
        dead.sort_by_key(|host| host.to_bits());
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::{NonZeroU8, NonZeroU16};

    const MS: u64 = 1_000_000;
    const HOST: Ipv4 = Ipv4::from_octets([172, 16, 0, 1]);

    /// A check that watches one host from the time zero on.
    fn check() -> HealthCheck {
        let mut check = HealthCheck::new(HealthTiming::default(), 0);
        check.watch(&HashSet::from([HOST]));
        check
    }

    /// Looks at the clock every millisecond from zero on: in which ones the host was asked, and found dead.
    fn until_dead(check: &mut HealthCheck) -> (Vec<u64>, Option<u64>) {
        let mut asked = Vec::new();
        let dead_at = (1..).find(|ms| {
            let look = check.look(ms * MS);
            asked.extend(look.ask.iter().map(|_| *ms));
            look.found_dead == [HOST]
        });
        (asked, dead_at)
    }

    #[test]
    fn who_is_silent_is_asked_after_the_timeout_and_dead_after_three_misses() {
        let mut check = check();
        let (asked, dead_at) = until_dead(&mut check);
        assert_eq!(dead_at, Some(200));
        assert_eq!(asked, [50, 100, 150, 200]);
        assert_eq!(check.dead(), [HOST]);
        // It is asked on, and found dead once.
        assert_eq!(check.look(220 * MS), Look::default());
        assert_eq!(check.look(240 * MS), Look::default());
        let look = check.look(250 * MS);
        assert_eq!((look.ask.len(), look.found_dead.len()), (1, 0));
        assert!(check.heard(HOST));
        assert!(check.dead().is_empty());
        assert!(!check.heard(HOST));
    }

    #[test]
    fn other_times_are_kept_to() {
        let number = |ms| NonZeroU16::new(ms).unwrap();
        let timing = HealthTiming {
            timeout_ms: number(1_000),
            interval_ms: number(100),
            misses: NonZeroU8::new(2).unwrap(),
        };
        let mut check = HealthCheck::new(timing, 0);
        check.watch(&HashSet::from([HOST]));
        let (asked, dead_at) = until_dead(&mut check);
        assert_eq!(dead_at, Some(1_200));
        assert_eq!(asked, [1_000, 1_100, 1_200]);
    }

    #[test]
    fn hosts_to_which_no_path_leads_are_forgotten_unless_they_are_dead() {
        let mut check = check();
        check.watch(&HashSet::new());
        let mut now = 0;
        let mut wait = |check: &mut HealthCheck, ms: u64| {
            let looks = (0..ms).map(|_| {
                now += MS;
                check.look(now)
            });
            let looks: Vec<_> = looks.collect();
            looks.iter().flat_map(|look| look.ask.clone()).count()
        };
        assert_eq!(wait(&mut check, 400), 0);
        check.watch(&HashSet::from([HOST]));
        assert_eq!(wait(&mut check, 200), 4);
        assert_eq!(check.dead(), [HOST]);
        check.watch(&HashSet::new());
        assert_eq!(wait(&mut check, 100), 2);
        // Once it is alive, and nothing leads there, nobody asks.
        assert!(check.heard(HOST));
        check.watch(&HashSet::new());
        assert_eq!(wait(&mut check, 400), 0);
    }

    /// After a sleep who was asked has time to answer, whether its answer lies in the socket already or is yet to come.
    #[test]
    fn a_sleep_of_who_checks_makes_nobody_dead() {
        let mut check = check();
        let mut now = 0;
        let mut look = |check: &mut HealthCheck, ms: u64| {
            now += ms * MS;
            check.look(now)
        };
        for _ in 0..100 {
            // It sleeps through everything that is due,
            let asked = look(&mut check, 10_000).ask.len();
            // looks once more before an answer is there, and then has it.
            let asked = asked + look(&mut check, 2).ask.len();
            if asked > 0 {
                assert!(!check.heard(HOST));
            }
            assert!(check.dead().is_empty());
        }
        // But who never answers is found, also by who sleeps all the time.
        let looks = (0..20).find(|_| look(&mut check, 10_000).found_dead == [HOST]);
        assert!(looks.is_some(), "{check:?}");
    }

    proptest! {
        /// Whoever answers each question before the next look is never dead, however irregular the looks; who never answers is,
        /// within so many of them.
        #[test]
        fn the_living_live_and_the_silent_die(
            steps in prop::collection::vec(prop_oneof![1_u64..=49, 50_u64..5_000], 50..200),
        ) {
            let silent = Ipv4::from_octets([172, 16, 0, 2]);
            let mut check = HealthCheck::new(HealthTiming::default(), 0);
            check.watch(&HashSet::from([HOST, silent]));
            let (mut now, mut awake) = (0, 0);
            for step in &steps {
                now += step * MS;
                awake += (*step).min(25);
                if check.look(now).ask.contains(&HOST) {
                    prop_assert!(!check.heard(HOST));
                }
            }
            prop_assert!(!check.dead().contains(&HOST));
            // Each of four questions waits for the next look, so for less than half an interval more.
            let is_dead = check.dead().contains(&silent);
            prop_assert!(is_dead || awake < 300);
            prop_assert!(!is_dead || awake >= 200);
        }
    }
}
