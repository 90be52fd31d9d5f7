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
pub struct Distances {
    classes: Vec<Class>,
    /// That of the last distance that could be measured.
    last: Option<Distance>,
}

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
    /// The class of the distance that `measure` tells. What seems to be a new one is measured again: the processor may have done
    /// something else meanwhile.
    pub fn now(&mut self, measure: impl Fn() -> Option<Duration>) -> Distance {
        let distance = measure();
        let is_known = |it: Duration| self.place(in_nanoseconds(Some(it))).is_some();
        if self.classes.is_empty() || distance.is_none_or(is_known) {
            self.class(distance)
        } else {
            self.class(measure())
        }
    }

    /// Whether a distance is of this class, as far as one can tell: it is of no other.
    pub fn is_of(&self, distance: Duration, class: Distance) -> bool {
        let place = self.place(in_nanoseconds(Some(distance)));
        place.is_none_or(|place| place == class.0 as usize)
    }

    fn place(&self, distance: f64) -> Option<usize> {
        let mut known = self.classes.iter();
        known.position(|class| alike(distance, class.typical()))
    }

    /// The class of a distance, which may be a new one. One that cannot be measured is taken for the last one that could; where
    /// none can be, all are of one class.
    pub fn class(&mut self, distance: Option<Duration>) -> Distance {
        if let (None, Some(last)) = (distance, self.last) {
            return last;
        }
        let is_measured = distance.is_some();
        let distance = in_nanoseconds(distance);
        let place = self.place(distance).unwrap_or_else(|| {
            self.classes.push(Class {
                sum: 0.0,
                count: 0.0,
            });
            self.classes.len() - 1
        });
        self.classes[place].sum += distance.ln();
        self.classes[place].count += 1.0;
        let class = Distance(place as u32);
        if is_measured {
            self.last = Some(class);
        }
        class
    }
}

/// One for all where none can be measured.
fn in_nanoseconds(distance: Option<Duration>) -> f64 {
    distance.map_or(1.0, |it| it.as_nanos().max(1) as f64)
}

/// Those before and after something, as they are recorded.
pub fn in_whole_nanoseconds(distances: [Duration; 2]) -> [u32; 2] {
    distances.map(|it| u32::try_from(it.as_nanos()).unwrap_or(u32::MAX))
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
    fn what_seems_new_is_measured_again() {
        let mut distances = Distances::default();
        let told = |values: &'static [u64]| {
            let values = std::cell::RefCell::new(values.iter());
            move || nanoseconds(*values.borrow_mut().next().unwrap())
        };
        assert_eq!(distances.now(told(&[95])), Distance(0));
        assert_eq!(distances.now(told(&[700, 99])), Distance(0));
        assert_eq!(distances.now(told(&[391, 387])), Distance(1));
        let is_of = |distance, class| distances.is_of(Duration::from_nanos(distance), class);
        assert!(is_of(95, Distance(0)) && !is_of(95, Distance(1)));
        // Of none that is known: it may be a single slow one.
        assert!(is_of(5_000, Distance(0)) && is_of(5_000, Distance(1)));
    }

    #[test]
    fn without_a_second_processor_all_are_alike() {
        let mut distances = Distances::default();
        assert_eq!(distances.class(None), distances.class(None));
    }

    /// Somebody else had the processor while it was measured.
    #[test]
    fn what_cannot_be_measured_is_taken_for_the_last() {
        let mut distances = Distances::default();
        for known in [95, 370] {
            let class = distances.class(nanoseconds(known));
            assert_eq!(distances.class(None), class);
            assert_eq!(distances.now(|| None), class);
        }
    }

    #[test]
    fn a_move_is_a_change_of_class() {
        let of = |before, after| [before, after].map(Duration::from_nanos);
        assert!(moved(of(100, 380)) && moved(of(380, 100)));
        assert!(!moved(of(100, 136)) && !moved(of(441, 350)));
    }
}
