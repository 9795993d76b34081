//! How much one set of values lies above another, without assuming anything of how they are distributed (design 1.7): the Hodges–Lehmann estimate, which is
//! the median of all differences between one of each, with the confidence interval that belongs to the Mann–Whitney test (Hollander and Wolfe,
//! Nonparametric Statistical Methods, section 4.3).
//!
//! The values are quantiles of seconds and not of requests: requests of one second are not independent of each other. A difference is told as one only
//! where it is sure and large enough to matter, by the two gates of Kayenta's judge; noise that is added to break ties is not taken from it, so that the
//! same journal gives the same answer. Nothing here says what caused a difference: nothing was watched that the fault did not touch.

use crate::base::Span;

use super::facts::{Shift, Shifted};

/// The normal quantile of a two-sided interval of 98 %.
const Z: f64 = 2.326_348;
/// Fewer values on a side say nothing at this confidence.
const LEAST: usize = 5;
/// Most values of a side that are compared, evenly chosen: all pairs are looked at.
const MOST: usize = 400;
/// A quarter of the estimate must be sure.
const SURE: f64 = 0.25;
/// A median that is not a tenth higher or lower is the same, however sure that is.
const MATTERS: f64 = 0.10;

/// From values of the time before, and of the time that is compared with it.
pub(super) fn shift(before: &[Span], now: &[Span]) -> Shift {
    let (a, b) = (thinned(before), thinned(now));
    let mut shift = Shift {
        seconds: (before.len() as u64, now.len() as u64),
        before: middle(&a),
        now: middle(&b),
        by_ns: None,
        lo_ns: None,
        hi_ns: None,
        verdict: Shifted::NoData,
    };
    if a.len() < LEAST || b.len() < LEAST {
        return shift;
    }
    let mut all: Vec<i64> = b.iter().flat_map(|y| a.iter().map(move |x| signed(*y) - signed(*x))).collect();
    all.sort_unstable();
    let (n, m, pairs) = (a.len() as f64, b.len() as f64, all.len());
    let outside = (n * m / 2.0 - Z * (n * m * (n + m + 1.0) / 12.0).sqrt()).floor().max(0.0) as usize;
    let (lo, hi) = (all[outside.min(pairs - 1)], all[pairs - 1 - outside.min(pairs - 1)]);
    let by = i64::midpoint(all[(pairs - 1) / 2], all[pairs / 2]);
    (shift.by_ns, shift.lo_ns, shift.hi_ns) = (Some(by), Some(lo), Some(hi));
    shift.verdict = verdict(by, (lo, hi), middle(&a).unwrap_or_default());
    shift
}

fn verdict(by: i64, (lo, hi): (i64, i64), before: Span) -> Shifted {
    let matters = by.unsigned_abs() as f64 >= before.0 as f64 * MATTERS;
    let sure = SURE * by.unsigned_abs() as f64;
    match matters {
        true if lo > 0 && lo as f64 > sure => Shifted::Higher,
        true if hi < 0 && hi.unsigned_abs() as f64 > sure => Shifted::Lower,
        _ => Shifted::Same,
    }
}

fn signed(span: Span) -> i64 {
    i64::try_from(span.0).unwrap_or(i64::MAX)
}

fn thinned(values: &[Span]) -> Vec<Span> {
    let kept = values.len().min(MOST);
    (0..kept).map(|i| values[i * values.len() / kept]).collect()
}

fn middle(values: &[Span]) -> Option<Span> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Vec<Span> {
        values.iter().map(|v| Span::millis(*v)).collect()
    }

    /// R: `wilcox.test(y, x, conf.int = TRUE, conf.level = 0.98, exact = FALSE, correct = FALSE)` on the same values, to its last digit but rounding.
    #[test]
    fn the_estimate_is_the_median_of_all_differences() {
        let x = of(&[80, 83, 189, 104, 145, 138, 191, 164, 73, 146]);
        let y = of(&[115, 88, 90, 74, 121]);
        let found = shift(&x, &y);
        let mut all: Vec<i64> = y.iter().flat_map(|y| x.iter().map(move |x| y.0 as i64 - x.0 as i64)).collect();
        all.sort_unstable();
        assert_eq!(found.by_ns, Some(i64::midpoint(all[24], all[25])));
        // n·m/2 − z·√(n·m·(n+m+1)/12) = 25 − 2.326·8.165 = 6.006: the seventh from either end.
        assert_eq!((found.lo_ns, found.hi_ns), (Some(all[6]), Some(all[43])));
        assert_eq!(found.verdict, Shifted::Same, "the interval holds zero");
    }

    #[test]
    fn a_difference_must_be_sure_and_matter() {
        let before = of(&[100, 101, 102, 103, 104, 105, 106, 107]);
        let of = |more: u64| shift(&before, &before.iter().map(|v| *v + Span::millis(more)).collect::<Vec<_>>());
        assert_eq!(of(0).verdict, Shifted::Same);
        assert_eq!(of(9).verdict, Shifted::Same, "sure, and less than a tenth");
        let higher = of(60);
        assert_eq!((higher.verdict, higher.by_ns), (Shifted::Higher, Some(60_000_000)));
        let lower = shift(&before.iter().map(|v| *v + Span::millis(60)).collect::<Vec<_>>(), &before);
        assert_eq!((lower.verdict, lower.by_ns), (Shifted::Lower, Some(-60_000_000)));
    }

    #[test]
    fn few_values_are_no_data() {
        let (few, enough) = (of(&[1, 2, 3, 4]), of(&[10, 20, 30, 40, 50]));
        for (a, b) in [(&few, &enough), (&enough, &few), (&few, &vec![])] {
            let found = shift(a, b);
            assert_eq!((found.verdict, found.by_ns), (Shifted::NoData, None));
        }
        assert_eq!(shift(&enough, &enough).verdict, Shifted::Same);
    }

    proptest! {
        /// The interval holds the estimate; changing sides changes the sign; a shift of all values by the same is found exactly.
        #[test]
        fn an_interval_around_an_estimate(
            a in prop::collection::vec(1u64..1_000_000, 5..60), b in prop::collection::vec(1u64..1_000_000, 5..60), more in 0u64..1_000_000,
        ) {
            let spans = |values: &[u64], more: u64| values.iter().map(|v| Span(v + more)).collect::<Vec<_>>();
            let (x, y) = (spans(&a, 0), spans(&b, 0));
            let (one, other) = (shift(&x, &y), shift(&y, &x));
            prop_assert!(one.lo_ns <= one.by_ns && one.by_ns <= one.hi_ns);
            prop_assert_eq!((one.lo_ns.map(|n| -n), one.hi_ns.map(|n| -n)), (other.hi_ns, other.lo_ns));
            prop_assert!((one.by_ns.unwrap() + other.by_ns.unwrap()).abs() <= 1);
            let moved = shift(&x, &spans(&b, more));
            prop_assert!((moved.by_ns.unwrap() - one.by_ns.unwrap() - more as i64).abs() <= 1);
        }

        /// Of values of the same kind, it says "the same" as often as it promises: 98 of 100, and more for those that do not matter.
        #[test]
        fn what_is_the_same_is_rarely_told_apart(seed in any::<u64>()) {
            let draw = |n: u64| Span(10_000_000 + (seed.wrapping_add(n).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44));
            let (a, b): (Vec<Span>, Vec<Span>) = ((0..40).map(draw).collect(), (40..80).map(draw).collect());
            prop_assert_eq!(shift(&a, &b).verdict, Shifted::Same);
        }
    }
}
