//! When a direct path was learned.
//!
//! In an episode, peers are written to. When that is over, each answers once, with the return-to-sender option, and is
//! then written to again and again, a frame for each peer a round. The sink counts, round by round, how many of these
//! frames went straight to the peers' host. A path that is learned stays learned, so the k-th path was known from the
//! first round on in which k frames went straight; lost frames only make it look later. A path is learned between two
//! frames, so a time is right to the time of one round, as long as the datapath keeps up: answers and other frames
//! come by different ports, and one that is behind may take a later frame of one port before an earlier one of the
//! other.
//!
//! What is timed is from when one frame is due to when the other is, and not the way of either.

use super::flows::LEARNED_TOGETHER;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Time of a round where paths are learned at once.
pub const FINE: Duration = Duration::from_micros(200);
/// Time of a round where they are not.
pub const COARSE: Duration = Duration::from_millis(2);

/// What episodes with rounds of one length came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learning {
    /// Time of a round: how exactly times are known, in nanoseconds.
    pub round_ns: u64,
    /// From the frame with the option to the last frame of an episode, in nanoseconds.
    pub watched_ns: u64,
    /// Peers.
    pub peers: u32,
    /// Frames that went straight before the answer was sent: there must be none.
    pub early: u64,
    /// For each path that was learned, ascending: which frame to the peer, counted from one behind the frame with
    /// the option, was the first that went straight.
    pub first_straight: Vec<u32>,
}

impl Learning {
    /// Nothing watched yet, in episodes of `rounds` behind the answer.
    pub fn new(round: Duration, rounds: u32) -> Self {
        let round_ns = round.as_nanos() as u64;
        Self {
            round_ns,
            watched_ns: round_ns * u64::from(rounds),
            peers: 0,
            early: 0,
            first_straight: Vec::new(),
        }
    }

    /// Adds an episode: frames that went straight before the answers, and behind them, by round; the first round is
    /// that of the answers.
    pub fn add(&mut self, early: u64, straight: &[u64]) {
        self.peers += LEARNED_TOGETHER;
        self.early += early;
        let mut known = 0;
        for (number, count) in (0..).zip(straight).skip(1) {
            while known < *count && known < u64::from(LEARNED_TOGETHER) {
                self.first_straight.push(number);
                known += 1;
            }
        }
        self.first_straight.sort_unstable();
    }

    /// Whether all paths were learned.
    pub fn is_complete(&self) -> bool {
        self.first_straight.len() == self.peers as usize
    }

    /// Frame number and nanoseconds by which this share of all paths was learned; `None` if fewer were.
    pub fn by(&self, share: f64) -> Option<(u32, u64)> {
        let rank = (f64::from(self.peers) * share).ceil() as usize;
        let frame = *self.first_straight.get(rank.checked_sub(1)?)?;
        Some((frame, u64::from(frame) * self.round_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PEERS: usize = LEARNED_TOGETHER as usize;

    #[test]
    fn the_order_of_rounds_gives_a_time_for_each_path() {
        let mut learning = Learning::new(FINE, 6);
        // The answers, one path at once, the other one with the third frame, and one of its frames lost later.
        learning.add(0, &[0, 1, 1, 2, 2, 1, 2]);
        assert_eq!(learning.first_straight, [1, 3]);
        assert!(learning.is_complete());
        assert_eq!(learning.by(0.5), Some((1, 200_000)));
        assert_eq!(learning.by(1.0), Some((3, 600_000)));
        assert_eq!((learning.early, learning.watched_ns), (0, 1_200_000));
        learning.add(2, &[0, 0, 0, 0]);
        assert_eq!((learning.early, learning.peers), (2, 4));
        assert!(!learning.is_complete());
        assert_eq!(learning.by(0.5), Some((3, 600_000)));
        assert_eq!(learning.by(0.6), None, "the others were never learned");
    }

    proptest! {
        #[test]
        fn lost_frames_never_make_a_path_look_earlier(
            learned in proptest::collection::vec(1usize..40, PEERS),
            lost in proptest::collection::vec(any::<bool>(), 50 * PEERS),
        ) {
            let (mut straight, mut exact) = (vec![0u64; 50], vec![0u64; 50]);
            for round in 1..50 {
                for (peer, from) in learned.iter().enumerate() {
                    if round >= *from {
                        exact[round] += 1;
                        straight[round] += u64::from(!lost[round * PEERS + peer]);
                    }
                }
            }
            let (mut seen, mut truth) = (Learning::new(FINE, 49), Learning::new(FINE, 49));
            seen.add(0, &straight);
            truth.add(0, &exact);
            let mut expected: Vec<u32> = learned.iter().map(|from| *from as u32).collect();
            expected.sort_unstable();
            prop_assert_eq!(&truth.first_straight, &expected);
            prop_assert!(seen.first_straight.len() <= truth.first_straight.len());
            for (late, right) in seen.first_straight.iter().zip(&truth.first_straight) {
                prop_assert!(late >= right);
            }
        }
    }
}
