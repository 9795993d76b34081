//! When samples are due: by arithmetic alone, never counted from when the last one came back. Pure.

use std::ops::Range;

use crate::base::{At, Span};
use crate::event::{Class, Legs, Sample, Verdict};

/// The due times of one probe: sample `n` is due at `first + n × every`, whatever happens meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    first: At,
    every: Span,
    /// Those that are due within so much time leave together, at its end; zero: each when it is due.
    together: Span,
    next: u64,
}

impl Pace {
    /// Due times from `first` on. A pace of nothing at all is taken as one nanosecond.
    pub fn new(first: At, every: Span) -> Pace {
        Pace { first, every: Span(every.0.max(1)), together: Span::ZERO, next: 0 }
    }

    /// The same, with samples that leave together.
    pub fn together(self, together: Span) -> Pace {
        Pace { together, ..self }
    }

    /// The time between two.
    pub fn every(&self) -> Span {
        self.every
    }

    /// When sample `n` is due.
    pub fn due(&self, n: u64) -> At {
        self.first + self.every.times(n)
    }

    /// When the next sample that was not taken yet is due.
    pub fn next_due(&self) -> At {
        self.due(self.next)
    }

    /// When the next sample that was not taken yet leaves: when it is due, or with those that are due soon after it.
    pub fn leaves(&self) -> At {
        let due = self.next_due();
        match self.together.0 {
            0 => due,
            together => self.first + Span(due.since(self.first).0.div_ceil(together).saturating_mul(together)),
        }
    }

    /// Takes every sample that is due by now: one on a good day, many after a late wake-up, each with its own due time.
    pub fn take(&mut self, now: At) -> Range<u64> {
        let from = self.next;
        if now >= self.next_due() {
            self.next = now.since(self.first).0 / self.every.0 + 1;
        }
        from..self.next
    }
}

/// A question whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Its number within the probe.
    pub(super) n: u64,
    /// When it was due.
    pub(super) planned: At,
    /// When the prober woke for it.
    pub(super) woken: At,
}

impl Due {
    /// Its sample, where it was never sent or nobody saw what became of it: nobody's verdict, or ours.
    pub(super) fn ended(self, done: At, verdict: Verdict, class: Class, why: &str) -> Sample {
        let Due { n, planned, woken } = self;
        Sample { n, planned, woken, sent: woken, done, verdict, class, by: None, note: Some(why.into()), legs: Legs::default() }
    }
}

/// How far the start of the `index`-th probe is shifted, so that probes of one rate do not fire in lockstep: steps of the golden ratio
/// spread any number of probes evenly over an interval, of which at most a second is used.
pub fn offset(index: usize, every: Span) -> Span {
    const GOLDEN: u128 = 0x9E37_79B9_7F4A_7C15;
    let turn = (index as u128).wrapping_mul(GOLDEN) & u128::from(u64::MAX);
    let room = u128::from(every.0.min(Span::secs(1).0));
    Span(((turn * room) >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_late_wake_up_takes_all_that_were_due() {
        let mut pace = Pace::new(At(1_000), Span(100));
        assert_eq!(pace.take(At(999)), 0..0);
        assert_eq!(pace.take(At(1_000)), 0..1);
        assert_eq!(pace.take(At(1_050)), 1..1);
        assert_eq!(pace.take(At(1_555)), 1..6);
        assert_eq!(pace.next_due(), At(1_600));
        assert_eq!(pace.due(5), At(1_500));
    }

    #[test]
    fn what_leaves_together_leaves_at_the_end_of_its_time_and_keeps_its_own_due_time() {
        let mut pace = Pace::new(At(1_000), Span(100)).together(Span(1_000));
        // The first is due when the time begins.
        assert_eq!((pace.leaves(), pace.take(At(1_000))), (At(1_000), 0..1));
        assert_eq!((pace.next_due(), pace.leaves()), (At(1_100), At(2_000)));
        assert_eq!(pace.take(At(2_003)), 1..11);
        assert_eq!((pace.due(10), pace.leaves()), (At(2_000), At(3_000)));
        assert_eq!(Pace::new(At(1_000), Span(100)).leaves(), At(1_000));
    }

    #[test]
    fn probes_of_one_rate_start_apart() {
        let every = Span::millis(50);
        let mut offsets: Vec<u64> = (0..8).map(|index| offset(index, every).0).collect();
        offsets.sort_unstable();
        assert_eq!(offsets[0], 0);
        assert!(offsets.windows(2).all(|pair| pair[1] - pair[0] > Span::millis(2).0), "{offsets:?}");
        assert!(offset(3, Span::secs(3600)) < Span::secs(1));
    }

    proptest! {
        #[test]
        fn every_number_is_taken_once_and_never_early(
            first in 0_u64..1_000_000,
            every in 1_u64..10_000,
            steps in proptest::collection::vec(0_u64..50_000, 1..60),
        ) {
            let mut pace = Pace::new(At(first), Span(every));
            let (mut now, mut expected) = (0, 0);
            for step in steps {
                now += step;
                for n in pace.take(At(now)) {
                    prop_assert_eq!(n, expected);
                    prop_assert_eq!(pace.due(n), At(first + n * every));
                    prop_assert!(pace.due(n) <= At(now));
                    expected += 1;
                }
                // Nothing that was due is left behind.
                prop_assert!(pace.next_due() > At(now));
            }
        }

        #[test]
        fn offsets_stay_within_an_interval(index in 0_usize..10_000, every in 1_u64..10_000_000_000) {
            prop_assert!(offset(index, Span(every)).0 < every);
        }
    }
}
