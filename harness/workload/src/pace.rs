//! Open-loop pacing: when which frame is due, whatever happened to those before it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Fraction bits of [`Control::interval`].
const FRACTION: u32 = 16;

/// Nanoseconds from the first call of a generator until frame 0 is due.
const LEAD: u64 = 1_000_000;

/// How far back numbers are those of earlier trials: many more frames than can be under way.
const EARLIER: u32 = 1 << 26;

/// Where a stamp's number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It is that of this frame of the trial.
    Trial(u32),
    /// A trial that is over: a stalled datapath gave the frame back only now. It counted as lost there.
    EarlierTrial,
    /// Nobody of the tester wrote it.
    Unknown,
}

/// What a generator is told.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Control {
    /// Time between two frames, in 2^-16 nanoseconds.
    pub interval: u64,
    /// How many frames to send.
    pub frames: u64,
    /// From when frame 0 is due until no frame is sent any more, in nanoseconds.
    pub duration: u64,
    /// How many entries there are; never zero while a trial runs.
    pub entries: u32,
    /// What the number of frame 0 is in its stamp. Each trial goes on where the one before ended, so that a frame
    /// that a stalled datapath gives back only now is not taken for one of this trial.
    pub first: u32,
    /// Entry of frame 0.
    pub offset: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

impl Control {
    /// A trial of `nanoseconds` at `rate` frames per second, whose frames are numbered from `first` on. It begins with
    /// entry 0.
    pub fn new(nanoseconds: u64, rate: f64, entries: u32, first: u32) -> Self {
        let interval = 1e9 / rate * f64::from(1u32 << FRACTION);
        // `f64::round` needs the standard library.
        let frames = rate * nanoseconds as f64 / 1e9 + 0.5;
        Self {
            interval: ((interval + 0.5) as u64).max(1),
            frames: (frames as u64).max(1),
            duration: nanoseconds,
            entries,
            first,
            offset: 0,
            reserved: 0,
        }
    }

    /// The same trial, beginning with entry `offset`.
    #[must_use]
    pub const fn beginning_with(self, offset: u32) -> Self {
        Self { offset, ..self }
    }

    /// Which entry frame `number` is.
    #[inline(always)]
    pub const fn entry_of(&self, number: u32) -> u32 {
        if self.entries == 0 {
            return 0;
        }
        number.wrapping_add(self.offset) % self.entries
    }

    /// The same trial again, with frames of its own.
    pub const fn next_first(&self) -> u32 {
        self.first.wrapping_add(self.frames as u32)
    }

    /// The number in the stamp of frame `number`.
    #[inline(always)]
    pub const fn stamped(&self, number: u64) -> u32 {
        self.first.wrapping_add(number as u32)
    }

    /// Which frame has this number in its stamp.
    #[inline(always)]
    pub const fn frame_of(&self, stamped: u32) -> Origin {
        let number = stamped.wrapping_sub(self.first);
        if (number as u64) < self.frames {
            Origin::Trial(number)
        } else if self.first.wrapping_sub(stamped) <= EARLIER {
            Origin::EarlierTrial
        } else {
            Origin::Unknown
        }
    }

    /// Nanoseconds from the start until frame `number` is due.
    #[inline(always)]
    pub const fn due(&self, number: u64) -> u64 {
        number.wrapping_mul(self.interval) >> FRACTION
    }

    /// How many frames are due by `elapsed` nanoseconds after the start.
    #[inline(always)]
    pub const fn due_by(&self, elapsed: u64) -> u64 {
        if self.interval == 0 {
            return 0;
        }
        let due = (elapsed << FRACTION) / self.interval + 1;
        if due < self.frames { due } else { self.frames }
    }
}

/// Where a generator is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Pace {
    /// When frame 0 is due, in nanoseconds of the monotonic clock; zero until the generator is first called. It
    /// sets its own start: from asking for it until it runs may take tens of milliseconds, all of which
    /// would be sent at once.
    pub start: u64,
    /// Number of the next frame.
    pub next: u64,
    /// Frames known to be due; the clock is read only when all of them are sent.
    pub due: u64,
    /// Entry of the next frame.
    pub entry: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

impl Pace {
    /// Before the first frame of a trial.
    pub const fn new(control: &Control) -> Self {
        Self {
            start: 0,
            next: 0,
            due: 0,
            entry: control.entry_of(0),
            reserved: 0,
        }
    }

    /// Whether a frame is due. `clock` is asked only if that is not known yet.
    #[inline(always)]
    pub fn is_due(&mut self, control: &Control, clock: impl FnOnce() -> u64) -> bool {
        if self.next < self.due {
            return true;
        }
        if self.next >= control.frames {
            return false;
        }
        let now = clock();
        if self.start == 0 {
            self.start = now + LEAD;
        }
        if now < self.start || now - self.start >= control.duration {
            return false;
        }
        self.due = control.due_by(now - self.start);
        self.next < self.due
    }

    /// When frame `number` is due, in nanoseconds of the monotonic clock.
    #[inline(always)]
    pub const fn due_at(&self, control: &Control, number: u64) -> u64 {
        self.start + control.due(number)
    }

    /// Steps to the next frame and returns the number and entry of this one.
    #[inline(always)]
    pub fn advance(&mut self, control: &Control) -> (u64, u32) {
        let this = (self.next, self.entry);
        self.next += 1;
        self.entry = if self.entry + 1 < control.entries {
            self.entry + 1
        } else {
            0
        };
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_due_agrees_with_when_it_is_due(
            rate in 1.0f64..50e6, elapsed in 0u64..5_000_000_000,
        ) {
            let control = Control::new(10_000_000_000, rate, 7, 0);
            let due = control.due_by(elapsed);
            prop_assert!(due >= 1);
            if due < control.frames {
                prop_assert!(control.due(due - 1) <= elapsed);
                prop_assert!(control.due(due) + 1 > elapsed);
            }
        }
    }

    #[test]
    fn frames_of_another_trial_are_told_apart() {
        let first = Control::new(1_000, 1e8, 3, u32::MAX - 49);
        assert_eq!(first.frames, 100);
        let second = Control::new(1_000, 1e8, 3, first.next_first());
        for number in 0..100 {
            let stamped = first.stamped(number);
            assert_eq!(first.frame_of(stamped), Origin::Trial(number as u32));
            assert_eq!(second.frame_of(stamped), Origin::EarlierTrial);
            assert_eq!(first.frame_of(second.stamped(number)), Origin::Unknown);
        }
    }

    #[test]
    fn generator_and_sink_agree_on_the_entry_of_a_frame() {
        for offset in [0, 1, 6, 7, 12] {
            let control = Control::new(1_000, 1e8, 7, 99).beginning_with(offset);
            let mut pace = Pace::new(&control);
            for _ in 0..20 {
                let (number, entry) = pace.advance(&control);
                assert_eq!(entry, control.entry_of(number as u32), "offset {offset}");
            }
        }
    }

    #[test]
    fn a_late_generator_catches_up_and_stops_at_the_end() {
        let control = Control::new(1_000, 1e8, 3, 0);
        assert_eq!(control.frames, 100);
        let mut pace = Pace::default();
        assert!(
            !pace.is_due(&control, || 7),
            "the first call sets the start"
        );
        assert_eq!(pace.start, 7 + LEAD);
        let late = || 7 + LEAD + 995;
        assert!(pace.is_due(&control, late));
        let mut sent = 0;
        while pace.is_due(&control, late) {
            let (number, entry) = pace.advance(&control);
            assert_eq!((number, entry), (sent, (sent % 3) as u32));
            sent += 1;
        }
        assert_eq!(sent, 100);
        let mut later = Pace {
            start: 7 + LEAD,
            ..Pace::default()
        };
        assert!(
            !later.is_due(&control, || 7 + LEAD + 1_000),
            "the trial is over"
        );
    }
}
