//! How far apart the processors of datapath and tester are, as classes that figures can be compared within.

use std::time::Duration;

/// Two distances of one class differ by less than this factor. Caches of one complex are some 100 ns apart there and back, those of
/// two complexes some 400 ns.
const FACTOR: f64 = 1.8;

/// A class of distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance(pub u32);

/// The classes that a run has seen, in their order.
#[derive(Debug, Clone, Default)]
pub struct Distances(Vec<Class>);

#[derive(Debug, Clone, Copy)]
struct Class {
    /// Sum of logarithms, and how many.
    sum: f64,
    count: f64,
}

impl Class {
    /// The middle of those in it.
    fn typical(&self) -> f64 {
        (self.sum / self.count).exp()
    }
}

impl Distances {
    /// The class of a distance, which may be a new one. Where none can be measured, all are of one.
    pub fn class(&mut self, distance: Option<Duration>) -> Distance {
        let distance = distance.map_or(1.0, |it| it.as_nanos().max(1) as f64);
        let mut known = self.0.iter();
        let known = known.position(|class| alike(distance, class.typical()));
        let place = known.unwrap_or_else(|| {
            self.0.push(Class {
                sum: 0.0,
                count: 0.0,
            });
            self.0.len() - 1
        });
        self.0[place].sum += distance.ln();
        self.0[place].count += 1.0;
        Distance(place as u32)
    }
}

/// Whether two distances are of one class.
pub fn alike(one: f64, other: f64) -> bool {
    one.max(other) < FACTOR * one.min(other)
}

/// Whether processors were moved meanwhile.
pub fn moved(distances: [Duration; 2]) -> bool {
    let [before, after] = distances.map(|it| it.as_nanos().max(1) as f64);
    !alike(before, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanoseconds(distance: u64) -> Option<Duration> {
        Some(Duration::from_nanos(distance))
    }

    /// As measured on two virtual processors of an AMD EPYC, which a hypervisor moved.
    #[test]
    fn distances_are_told_apart_and_their_noise_is_not() {
        let mut distances = Distances::default();
        for near in [93, 69, 136, 84, 121] {
            assert_eq!(distances.class(nanoseconds(near)), Distance(0), "{near}");
        }
        for far in [368, 340, 441, 350] {
            assert_eq!(distances.class(nanoseconds(far)), Distance(1), "{far}");
        }
        assert_eq!(distances.class(nanoseconds(118)), Distance(0));
    }

    #[test]
    fn without_a_second_processor_all_are_alike() {
        let mut distances = Distances::default();
        assert_eq!(distances.class(None), distances.class(None));
    }

    #[test]
    fn a_move_is_a_change_of_class() {
        let of = |before, after| [before, after].map(Duration::from_nanos);
        assert!(moved(of(100, 380)) && moved(of(380, 100)));
        assert!(!moved(of(100, 136)) && !moved(of(441, 350)));
    }
}
