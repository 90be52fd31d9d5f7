//! Which hosts a droplet takes for dead, and when it asks.

use mizar_wire::Ipv4;
use std::collections::{HashMap, HashSet};

/// Times of a health check, in nanoseconds, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `HEALTH_TIMEOUT`: a host of which nothing was heard for so long is asked.
    pub timeout: u64,
    /// How long an answer may take, and so the time between two questions.
    pub interval: u64,
    /// Questions in a row without an answer after which a host is dead.
    pub misses: u32,
}

impl Timing {
    /// Dead 150 to 200 ms after its last word: as fast as the control plane of this bench notices.
    pub const FAST: Self = Self {
        timeout: 50_000_000,
        interval: 50_000_000,
        misses: 3,
    };
}

/// What is known of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    heard: u64,
    /// When it was last asked, if nothing was heard since.
    asked: Option<u64>,
    missed: u32,
}

/// The hosts that one droplet checks. All times are nanoseconds of one clock that does not go back.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    timing: Timing,
    known: HashMap<Ipv4, Known>,
    dead: HashSet<Ipv4>,
    looked: u64,
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
    /// Checks nobody yet.
    pub fn new(timing: Timing, now: u64) -> Self {
        Self {
            timing,
            known: HashMap::new(),
            dead: HashSet::new(),
            looked: now,
        }
    }

    /// Direct paths lead to these hosts now. Others are checked no longer, unless they are dead.
    pub fn watch(&mut self, now: u64, hosts: &HashSet<Ipv4>) {
        let dead = &self.dead;
        self.known
            .retain(|host, _| hosts.contains(host) || dead.contains(host));
        for host in hosts {
            self.known.entry(*host).or_insert(Known {
                heard: now,
                asked: None,
                missed: 0,
            });
        }
    }

    /// A host was heard of; whether it had been dead.
    pub fn heard(&mut self, now: u64, host: Ipv4) -> bool {
        if let Some(known) = self.known.get_mut(&host) {
            *known = Known {
                heard: now,
                asked: None,
                missed: 0,
            };
        }
        self.dead.remove(&host)
    }

    /// What is due. To be called often: the time that this end slept through is no silence of others.
    pub fn look(&mut self, now: u64) -> Look {
        let slept = now.saturating_sub(self.looked);
        self.looked = now;
        if slept > self.timing.interval {
            for known in self.known.values_mut() {
                known.heard += slept;
                known.asked = known.asked.map(|asked| asked + slept);
            }
        }
        let mut look = Look::default();
        for (host, known) in &mut self.known {
            match known.asked {
                None if now.saturating_sub(known.heard) < self.timing.timeout => continue,
                Some(asked) if now.saturating_sub(asked) < self.timing.interval => continue,
                None => {}
                Some(_) => known.missed = known.missed.saturating_add(1),
            }
            known.asked = Some(now);
            look.ask.push(*host);
            if known.missed >= self.timing.misses && self.dead.insert(*host) {
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

    const TIMING: Timing = Timing::FAST;
    const MS: u64 = 1_000_000;
    const HOST: Ipv4 = Ipv4::from_octets([172, 16, 0, 1]);

    /// A check that watches one host from the time zero on.
    fn check() -> HealthCheck {
        let mut check = HealthCheck::new(TIMING, 0);
        check.watch(0, &HashSet::from([HOST]));
        check
    }

    #[test]
    fn who_is_silent_is_asked_after_the_timeout_and_dead_after_three_misses() {
        let mut check = check();
        let mut asked = Vec::new();
        let dead_at = (1..).map(|ms| ms * MS).find(|now| {
            let look = check.look(*now);
            asked.extend(look.ask.iter().map(|_| now / MS));
            look.found_dead == [HOST]
        });
        assert_eq!(dead_at, Some(200 * MS));
        assert_eq!(asked, [50, 100, 150, 200]);
        assert_eq!(check.dead(), [HOST]);
        // It is asked on, and found dead once.
        assert_eq!(check.look(230 * MS), Look::default());
        let look = check.look(250 * MS);
        assert_eq!((look.ask.len(), look.found_dead.len()), (1, 0));
        assert!(check.heard(251 * MS, HOST));
        assert!(check.dead().is_empty());
        assert!(!check.heard(252 * MS, HOST));
    }

    #[test]
    fn hosts_to_which_no_path_leads_are_forgotten_unless_they_are_dead() {
        let mut check = check();
        check.watch(MS, &HashSet::new());
        assert_eq!(check.look(49 * MS), Look::default());
        assert_eq!(check.look(90 * MS), Look::default());
        check.watch(90 * MS, &HashSet::from([HOST]));
        let mut now = 90 * MS;
        while check.dead().is_empty() {
            now += MS;
            check.look(now);
        }
        check.watch(now, &HashSet::new());
        now += 40 * MS;
        check.look(now);
        assert_eq!(check.look(now + 10 * MS).ask, [HOST]);
    }

    #[test]
    fn a_stall_of_who_checks_makes_nobody_dead() {
        let mut check = check();
        check.look(50 * MS);
        // Whatever was to be answered in these ten seconds lies unread in the socket.
        for stalled in 1..=10_u64 {
            let look = check.look((50 + stalled * 10_000) * MS);
            assert_eq!(look, Look::default());
        }
        assert!(check.dead().is_empty());
    }

    proptest! {
        /// Whoever answers each question before the next is due is never dead, however irregular the looks; who never answers
        /// is, in time, unless who looks sleeps all the time.
        #[test]
        fn the_living_live_and_the_silent_die(steps in prop::collection::vec(1_u64..=49, 50..200)) {
            let silent = Ipv4::from_octets([172, 16, 0, 2]);
            let mut check = HealthCheck::new(TIMING, 0);
            check.watch(0, &HashSet::from([HOST, silent]));
            let mut now = 0;
            for step in &steps {
                now += step * MS;
                if check.look(now).ask.contains(&HOST) {
                    prop_assert!(!check.heard(now, HOST));
                }
            }
            prop_assert!(!check.dead().contains(&HOST));
            // Each of four questions waits for the next look, so for less than twice the interval.
            let is_dead = check.dead().contains(&silent);
            prop_assert!(is_dead || now < 400 * MS);
            prop_assert!(!is_dead || now >= 200 * MS);
        }
    }
}
