//! Which failures say nothing: those of time alone that were decided while the prober stood still, or just after, since the answer may have been there.

use crate::base::{At, Span};
use crate::event::Sample;

/// How long after a stall what was put off by it is still being done.
const SLACK: Span = Span::millis(5);
/// A prober that wakes so late for its own sample stood still until then, also where its watchdog, which is another thread, did not.
const LATE: Span = Span::millis(5);

/// When the prober of one probe stood still: as its watchdog saw it, and as the lateness of its own samples shows. Sorted and apart.
pub(super) fn still(stalls: &[(At, At)], rows: &[&Sample]) -> Vec<(At, At)> {
    let own = rows.iter().filter(|row| row.lag() > LATE).map(|row| (row.planned, row.woken));
    let mut all: Vec<(At, At)> = stalls.iter().copied().chain(own).collect();
    all.sort_unstable();
    let mut apart: Vec<(At, At)> = Vec::new();
    for (from, to) in all {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    apart
}

/// Whether a sample is such a failure; `still` as above.
pub(super) fn doubtful(sample: &Sample, still: &[(At, At)]) -> bool {
    let next = still.partition_point(|(_, to)| *to + SLACK < sample.done);
    sample.failed_by_time() && still.get(next).is_some_and(|(from, _)| *from < sample.done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Class, Legs, Verdict};

    fn sample(planned_ms: u64, lag_ms: u64, took_ms: u64, class: Class) -> Sample {
        let at = |ms: u64| At(ms * 1_000_000);
        Sample {
            n: planned_ms,
            planned: at(planned_ms),
            woken: at(planned_ms + lag_ms),
            sent: at(planned_ms + lag_ms),
            done: at(planned_ms + lag_ms + took_ms),
            verdict: Verdict::Bad,
            class,
            by: None,
            note: None,
            legs: Legs::default(),
        }
    }

    #[test]
    fn its_own_lateness_shows_that_a_prober_stood_still_where_its_watchdog_did_not() {
        // A time-out of 50 ms ends at 150, when the samples due from 110 on leave 40 ms late.
        let given_up = sample(100, 0, 50, Class::Timeout);
        let late: Vec<Sample> = (110..150).map(|due| sample(due, 150 - due, 1, Class::Ok)).collect();
        let all = |rows: &[Sample]| still(&[], &rows.iter().collect::<Vec<_>>());
        assert_eq!(all(&late), [(At(110_000_000), At(150_000_000))]);
        assert!(doubtful(&given_up, &all(&late)));
        assert!(!doubtful(&sample(100, 0, 50, Class::Refused), &all(&late)), "an answer is an answer");
        // An answer that only came later than was expected of it may have been there sooner; one that said something else had come.
        let slow = |note: &str| Sample { note: Some(note.into()), ..sample(100, 0, 50, Class::Assertion) };
        assert!(doubtful(&slow("duration: 0.05 is above 0.02"), &all(&late)));
        assert!(!doubtful(&slow("body: nothing"), &all(&late)));
        // Samples that leave on time say that somebody was there to take the answer.
        let well: Vec<Sample> = (110..150).map(|due| sample(due, 1, 1, Class::Ok)).collect();
        assert!(!doubtful(&given_up, &all(&well)));
        // Long before it was decided, it was not put off by that.
        assert!(!doubtful(&sample(200, 0, 50, Class::Timeout), &all(&late)));
    }

    #[test]
    fn what_overlaps_is_one() {
        let at = |ms: u64| At(ms * 1_000_000);
        let rows = [sample(12, 20, 1, Class::Ok), sample(90, 6, 1, Class::Ok)];
        let found = still(&[(at(10), at(15)), (at(30), at(40))], &rows.iter().collect::<Vec<_>>());
        assert_eq!(found, [(at(10), at(40)), (at(90), at(96))]);
    }
}
