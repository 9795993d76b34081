//! Arrival bounds of an outage (design 1.4): narrower than the strict ones, for one more assumption, which is said wherever they are shown: that the
//! answer is decided when the request arrives, as it is where connections are refused, reset or answered with an error, and where nobody takes them. It
//! does not hold for work that fails late, so no verdict rests on it.
//!
//! ```text
//! onset    in [ s of the last good one before, s of the first bad one + r ]
//! recovery in [ the latest sending of the bad run, s of the first good one after + r ]
//! ```
//! r is the longest that the way there takes: p99.9 of the good answers before the fault, which took the way back as well.

use crate::base::{Interval, Span};
use crate::event::Class;

use super::facts::{Arrival, PhaseFacts};
use super::outage::Run;

/// Fewer good answers than this have no p99.9 of their own: the longest of them stands for it.
const ENOUGH: u64 = 1_000;

/// The longest way there, from the phase before the fault. None without good answers.
pub(super) fn way(before: Option<&PhaseFacts>) -> Option<Span> {
    let before = before?;
    before.service_ok.map(|took| if before.counts.ok < ENOUGH { took.max } else { took.p999 })
}

/// Arrival bounds of an outage; none where how it failed says that answers were not decided at arrival.
pub(super) fn bounds(run: &Run, way: Span) -> Option<Arrival> {
    let late = |class: &Class| !matches!(class, Class::Refused | Class::Reset | Class::Timeout | Class::Status | Class::Dns | Class::Tls);
    if run.classes.iter().any(late) {
        return None;
    }
    let strict = &run.outage;
    let (first, arrived) = (run.first + way, run.sure_up.map(|sent| sent + way));
    let onset = Interval { lo: strict.onset.lo, hi: Some(strict.onset.hi.map_or(first, |hi| hi.min(first))) };
    // One that left while a bad one was still on its way may have overtaken it; the strict bound waits for one that did not.
    let recovery =
        Interval { lo: strict.recovery.lo, hi: strict.recovery.hi.map(|hi| arrived.map_or(hi, |at| hi.min(at)).max(strict.recovery.lo)) };
    Some(Arrival {
        way,
        onset,
        recovery,
        lo: onset.hi.map_or(Span::ZERO, |hi| recovery.lo.since(hi)),
        hi: recovery.hi.map(|hi| hi.since(onset.lo)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample_journal::*;
    use super::*;
    use crate::event::{Sample, Verdict};
    use proptest::prelude::*;

    fn found(rows: &[Sample]) -> Vec<super::super::facts::Outage> {
        let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 9_000, (9_001, 9_002));
        journal.undo("lose-primary", 25_000).finish(30_000).facts(&plan()).probes["checkout"].outages.clone()
    }

    #[test]
    fn a_hang_at_the_door_is_bounded_by_when_it_was_sent() {
        let rows = Sim { how: How::Hang, ..Sim::ms(&[(10_001, 10_704)], 30_000) }.samples();
        let outage = &found(&rows)[0];
        assert_eq!((outage.lo, outage.hi), (Span::ZERO, Some(Span::millis(760))), "each waited for its time-out of 800 ms");
        let arrival = outage.arrival.unwrap();
        // Ten milliseconds, by the upper end of the histogram's bucket.
        assert!(arrival.way >= Span::millis(10) && arrival.way < Span::micros(10_010), "{arrival:?}");
        assert_eq!((arrival.lo, arrival.hi), (Span::millis(650) - arrival.way, Some(Span::millis(760))));
        assert_eq!(arrival.onset, Interval::new(ms(9_953), ms(10_003) + arrival.way));
        assert_eq!(arrival.recovery, Interval::new(ms(10_653), ms(10_713)));
    }

    #[test]
    fn what_is_not_decided_at_arrival_has_none() {
        let mut rows = Sim::ms(&[(10_001, 10_704)], 30_000).samples();
        assert!(found(&rows)[0].arrival.is_some());
        rows.iter_mut().filter(|row| row.verdict == Verdict::Bad).skip(3).take(1).for_each(|row| row.class = Class::Assertion);
        assert_eq!(found(&rows)[0].arrival, None);
        // Nothing was good before the fault.
        let rows = Sim::ms(&[(0, 10_704)], 30_000).samples();
        assert_eq!(found(&rows)[0].arrival, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// They lie within the strict ones, and the truth within them, where the service decides at arrival.
        #[test]
        fn they_are_within_the_strict_ones_and_hold_the_truth(
            first in 9_100u64..9_400, down in 60u64..3_000, hang in any::<bool>(), phase in 0u64..50, timeout in 100u64..1_200,
        ) {
            let how = if hang { How::Hang } else { How::Refuse };
            let sim = Sim { how, phase: phase * 1_000_000, timeout: timeout * 1_000_000, ..Sim::ms(&[(first, first + down)], 20_000) };
            let outages = found(&sim.samples());
            prop_assert_eq!(outages.len(), 1);
            let (strict, arrival) = (&outages[0], outages[0].arrival.unwrap());
            prop_assert!(strict.lo <= arrival.lo && arrival.hi <= strict.hi);
            prop_assert!(arrival.lo <= Span::millis(down) && Span::millis(down) <= arrival.hi.unwrap());
            prop_assert!(arrival.onset.lo <= ms(first) && ms(first) <= arrival.onset.hi.unwrap());
            prop_assert!(arrival.recovery.lo <= ms(first + down) && ms(first + down) <= arrival.recovery.hi.unwrap());
            // No wider than two intervals and the way there, however long somebody waited.
            prop_assert!(arrival.hi.unwrap() - arrival.lo <= arrival.way.times(2) + Span::millis(2 * 50));
        }
    }
}
