//! One probe's samples as observations in order, and the search for the moment from which several probes stayed up.
//!
//! A sample that says nothing of the target (our own failure, not sent, lost with the process) is *unknown*. Every question about
//! recovery is asked twice: once as if the unknown had been good, which gives the lower bound, and once as if they had been bad,
//! which gives the upper one. So losing samples can only widen an answer.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{At, Interval, Span};
use crate::event::{Class, Quiet, Sample, Verdict};

/// Longest that a request without an answer is taken to have been held up on its way, rather than lost.
pub const HELD_UP: Span = Span::millis(50);

/// What an observation says of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Up at some moment between sent and done.
    Ok,
    /// Down at some moment between sent and done.
    Bad,
    /// Nothing.
    Unknown,
}

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Number within the probe.
    pub n: u64,
    /// When it was due.
    pub planned: At,
    /// Not before this.
    pub sent: At,
    /// Not after this.
    pub done: At,
    /// The latest moment that it tells of: its end; for a time-out, which says how long somebody waited, no later than [`HELD_UP`] after its sending.
    pub told: At,
    /// What it says.
    pub state: State,
    /// How many observations it stands for, by consecutive numbers: one, but for the inner ones of a [`Quiet`] run.
    pub stands_for: u32,
}

impl Point {
    /// The observation that a sample is.
    pub fn of(sample: &Sample) -> Point {
        let state = match sample.verdict {
            Verdict::Ok => State::Ok,
            Verdict::Bad => State::Bad,
            Verdict::Local | Verdict::Capped => State::Unknown,
        };
        let told = if sample.class == Class::Timeout { sample.done.min(sample.sent + HELD_UP) } else { sample.done };
        Point { n: sample.n, planned: sample.planned, sent: sample.sent, done: sample.done, told, state, stands_for: 1 }
    }

    /// The observations that a run of good samples is: the first and the last as they were, and those between as one.
    pub fn of_run(run: &Quiet, interval: Span) -> Vec<Point> {
        let first = Point::of(&run.first);
        let inner = u32::try_from(run.count.saturating_sub(2)).unwrap_or(u32::MAX);
        let between = Point {
            n: first.n + 1,
            planned: first.planned + interval,
            done: run.last.done,
            told: run.last.done,
            stands_for: inner,
            ..first
        };
        let all = [Some(first), (inner > 0).then_some(between), (run.count > 1).then(|| Point::of(&run.last))];
        all.into_iter().flatten().collect()
    }

    /// Done − planned.
    pub fn response(&self) -> Span {
        self.done.since(self.planned)
    }
}

/// A probe's observations in order of sending, with what questions need summed up beforehand.
#[derive(Debug, Clone)]
pub struct Series {
    interval: Span,
    quantiles: Vec<(f64, Span)>,
    /// These are shared, so that the same series cut nowhere costs nothing.
    points: Arc<Vec<Point>>,
    ok: Arc<Vec<u32>>,
    over: Arc<Vec<Vec<u32>>>,
    slow: Arc<HashMap<u64, Vec<u32>>>,
    /// Per position: one more than the index of the last bad one before it, and of the last one that is not good.
    last_bad: Arc<Vec<(u32, u32)>>,
    /// Per position: the latest moment that a bad one before it tells of.
    told: Arc<Vec<At>>,
    upto: At,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    IsGood,
    IsBad,
}

enum Objection {
    /// This observation speaks against it.
    Point(usize),
    /// Not enough has been seen yet.
    Early,
}

/// From when on everything stayed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stable {
    /// With bounds; `hi` is absent while it is not shown.
    pub when: Interval,
    /// When the first good observation of the stable time was sent; the best single estimate.
    pub point: Option<At>,
}

/// What stands for the time before the first, with room for so many more and no other: there may be hundreds of thousands.
fn begun<T>(first: T, more: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(more + 1);
    all.push(first);
    all
}

impl Series {
    /// From observations in any order. Numbers that are missing between the first and the last become unknown observations.
    /// `quantiles` are the latency bounds that must be met to be recovered.
    pub fn new(interval: Span, timeout: Span, quantiles: &[(f64, Span)], points: Vec<Point>) -> Series {
        Series::with_slow(interval, timeout, quantiles, points, &HashMap::new())
    }

    /// The same, where some points stand for several: how many of them were slower than each bound, by the point's number. A point counts whole
    /// where a window ends within it; windows that decide anything begin and end near edges, where each sample is a point of its own.
    pub fn with_slow(
        interval: Span,
        timeout: Span,
        quantiles: &[(f64, Span)],
        mut points: Vec<Point>,
        slow: &HashMap<u64, Vec<u32>>,
    ) -> Series {
        let interval = Span(interval.0.max(1));
        points.sort_by_key(|p| p.n);
        points.dedup_by_key(|p| p.n);
        let mut holes = Vec::new();
        for pair in points.windows(2) {
            let end = pair[0].n.saturating_add(u64::from(pair[0].stands_for));
            let missing = pair[1].n.saturating_sub(end);
            // Two ends stand for a hole of any length: between them there is nothing good to be found.
            let ends: &[u64] = if missing > 1 { &[1, missing] } else { &[1] };
            for &k in ends.iter().filter(|_| missing > 0) {
                let n = end + k - 1;
                let planned = pair[0].planned + interval.times(n - pair[0].n);
                let planned = planned.min(pair[1].planned);
                let done = planned + timeout;
                holes.push(Point { n, planned, sent: planned, done, told: done, state: State::Unknown, stands_for: 1 });
            }
        }
        let upto = points.last().map_or(At(0), |last| last.planned + interval.times(u64::from(last.stands_for)));
        points.append(&mut holes);
        // No two have the same number; a stable sort would take half as much memory again.
        points.sort_unstable_by_key(|p| (p.sent, p.n));
        let (mut ok, mut told) = (begun(0u32, points.len()), begun(At(0), points.len()));
        let mut over: Vec<Vec<u32>> = quantiles.iter().map(|_| begun(0u32, points.len())).collect();
        let mut last_bad = begun((0u32, 0u32), points.len());
        for (index, point) in points.iter().enumerate() {
            let (bad, not_ok) = last_bad.last().copied().unwrap_or_default();
            let latest = told.last().copied().unwrap_or_default();
            told.push(if point.state == State::Bad { latest.max(point.told) } else { latest });
            let here = index as u32 + 1;
            last_bad.push(match point.state {
                State::Ok => (bad, not_ok),
                State::Unknown => (bad, here),
                State::Bad => (here, here),
            });
            let add = |sums: &mut Vec<u32>, more: u32| sums.push(sums.last().copied().unwrap_or(0).saturating_add(more));
            let good = if point.state == State::Ok { point.stands_for } else { 0 };
            add(&mut ok, good);
            for (index, ((_, most), sums)) in quantiles.iter().zip(&mut over).enumerate() {
                let known = slow.get(&point.n).and_then(|slow| slow.get(index).copied());
                add(sums, known.unwrap_or(if point.response() > *most { good } else { 0 }).min(good));
            }
        }
        points.shrink_to_fit();
        let (points, ok, over, last_bad) = (Arc::new(points), Arc::new(ok), Arc::new(over), Arc::new(last_bad));
        let told = Arc::new(told);
        Series { interval, quantiles: quantiles.to_vec(), points, ok, over, slow: Arc::new(slow.clone()), last_bad, told, upto }
    }

    /// The observations in order of sending.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The last good observation before this position that ended no later than `told`, the latest moment that a bad one tells of: one that ended later
    /// was overtaken, and may tell of a moment after it.
    pub fn up_before(&self, position: usize, told: At) -> Option<&Point> {
        self.points[..position].iter().rev().find(|p| p.state == State::Ok && p.done <= told)
    }

    /// The first good observation from this position on that ended no earlier than `told`, the latest moment that a bad one before it tells of: one that
    /// ended earlier overtook it, and may tell of a moment before it.
    pub fn up_after(&self, position: usize, told: At) -> Option<&Point> {
        self.points[position.min(self.points.len())..].iter().find(|p| p.state == State::Ok && p.done >= told)
    }

    /// The same, but nothing planned at or after `end` is known: the clock was stopped there.
    #[must_use]
    pub fn until(&self, end: At) -> Series {
        if self.upto <= end {
            return self.clone();
        }
        let points = self.points.iter().filter(|p| p.planned < end).copied().collect();
        let mut cut = Series::with_slow(self.interval, Span::ZERO, &self.quantiles, points, &self.slow);
        cut.upto = cut.upto.min(end);
        cut
    }

    fn first_at(&self, t: At) -> usize {
        self.points.partition_point(|p| p.sent < t)
    }

    /// What speaks against being up from `t` for `span`; the latest such observation.
    fn objection(&self, t: At, span: Span, unknown: Unknown) -> Option<Objection> {
        let (from, to) = (self.first_at(t), self.first_at(t + span));
        let last = match unknown {
            Unknown::IsGood => self.last_bad[to].0,
            Unknown::IsBad => self.last_bad[to].1,
        } as usize;
        // The last one of the window: the whole stretch before it is left behind for good.
        if last > from {
            return Some(Objection::Point(last - 1));
        }
        let expected = (span.0 / self.interval.0) as usize;
        let good = (self.ok[to] - self.ok[from]) as usize;
        let count = match unknown {
            Unknown::IsBad if self.upto < t + span => return Some(Objection::Early),
            Unknown::IsBad if good < 5.max(expected * 9 / 10) => {
                return Some(if from < self.points.len() { Objection::Point(from) } else { Objection::Early });
            }
            Unknown::IsBad => good,
            Unknown::IsGood => expected.max(to - from),
        };
        let slow = self.quantiles.iter().zip(self.over.iter()).any(|((q, _), sums)| {
            let allowed = count - rank(*q, count);
            (sums[to] - sums[from]) as usize > allowed
        });
        (slow && from < to).then_some(Objection::Point(from))
    }

    /// The first observation after `index` that may begin a stable time.
    fn next_start(&self, index: usize, unknown: Unknown) -> Option<usize> {
        let may = |p: &Point| p.state == State::Ok || (p.state == State::Unknown && unknown == Unknown::IsGood);
        self.points[index + 1..].iter().position(may).map(|offset| index + 1 + offset)
    }

    /// The window that shows stability: `stable_for`, or longer where that would hold too few samples to say anything.
    fn span(&self, stable_for: Span) -> Span {
        stable_for.max(self.interval.times(6))
    }
}

/// The rank (from 1) of a quantile among `n` values, by the nearest-rank method.
pub fn rank(q: f64, n: usize) -> usize {
    // The small term keeps 0.99 × 100 from becoming 100 by rounding.
    ((q * n as f64 - 1e-9).ceil().max(1.0) as usize).min(n)
}

/// Last evidence against, per probe; and whether the search came to an end.
fn search(series: &[&Series], from: At, stable_for: Span, unknown: Unknown) -> (Vec<Option<At>>, bool) {
    let mut against: Vec<Option<At>> = vec![None; series.len()];
    let mut t = from;
    loop {
        let mut moved = false;
        for (one, last) in series.iter().zip(&mut against) {
            match one.objection(t, one.span(stable_for), unknown) {
                None => {}
                Some(Objection::Early) => return (against, false),
                Some(Objection::Point(index)) => {
                    // All that lies between it and the next possible start speaks against it as well.
                    let next = one.next_start(index, unknown);
                    *last = one.points.get(next.unwrap_or(one.points.len()) - 1).map(|p| p.sent);
                    let Some(next) = next else { return (against, false) };
                    // Several observations may share an instant; a search must move on all the same.
                    t = t.max(one.points[next].sent).max(At(one.points[index].sent.0 + 1));
                    moved = true;
                }
            }
        }
        if !moved {
            return (against, true);
        }
    }
}

/// From when on, not before `from`, all series stayed up for `stable_for` (design 1.5): no bad sample, enough samples, latency bounds
/// met. The lower bound is the sending of the last observation against it (or `from`), the upper one the completion of the first good
/// observation after it that did not overtake a bad one. Without any upper bound it has not been shown.
pub fn stable_up(series: &[&Series], from: At, stable_for: Span) -> Stable {
    let (doubts, _) = search(series, from, stable_for, Unknown::IsGood);
    let lo = doubts.iter().flatten().copied().max().unwrap_or(from).max(from);
    let (against, shown) = search(series, from, stable_for, Unknown::IsBad);
    let mut stable = Stable { when: Interval { lo, hi: None }, point: None };
    if !shown || series.is_empty() {
        return stable;
    }
    for (one, last) in series.iter().zip(&against) {
        let begin = last.map_or_else(|| one.first_at(from), |at| one.points.partition_point(|p| p.sent <= at));
        if let Some(first) = one.points[begin..].iter().find(|p| p.state == State::Ok) {
            let sure = one.up_after(begin, one.told[begin]).unwrap_or(first);
            stable.when.hi = stable.when.hi.max(Some(sure.done));
            stable.point = stable.point.max(Some(first.sent));
        }
    }
    stable
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(states: &[State]) -> Series {
        let points = states.iter().enumerate().map(|(i, state)| {
            let sent = At(i as u64 * 100_000_000);
            let done = sent + Span::millis(10);
            Point { n: i as u64, planned: sent, sent, done, told: done, state: *state, stands_for: 1 }
        });
        Series::new(Span::millis(100), Span::secs(1), &[], points.collect())
    }

    fn of(text: &str) -> Vec<State> {
        let one = |c| match c {
            '.' => State::Ok,
            'x' => State::Bad,
            _ => State::Unknown,
        };
        text.chars().map(one).collect()
    }

    fn ms(n: u64) -> At {
        At(n * 1_000_000)
    }

    #[test]
    fn a_flap_is_not_recovery_and_the_time_is_backdated() {
        let s = series(&of("..xxx.x.............."));
        let up = stable_up(&[&s], ms(200), Span::secs(1));
        assert_eq!(up, Stable { when: Interval::new(ms(600), ms(710)), point: Some(ms(700)) });
    }

    #[test]
    fn it_is_not_shown_before_the_hold_window_is_full() {
        assert_eq!(stable_up(&[&series(&of("xx........"))], ms(0), Span::secs(1)).when, Interval { lo: ms(100), hi: None });
        assert!(stable_up(&[&series(&of("xx.........."))], ms(0), Span::secs(1)).when.hi.is_some());
        assert_eq!(stable_up(&[&series(&of("xxxx"))], ms(0), Span::secs(1)).when, Interval { lo: ms(300), hi: None });
        assert_eq!(stable_up(&[&series(&[])], ms(7), Span::secs(1)).when, Interval { lo: ms(7), hi: None });
    }

    #[test]
    fn unknown_samples_widen_both_ways() {
        let up = stable_up(&[&series(&of("xx..?............"))], ms(0), Span::secs(1));
        assert_eq!(up.when, Interval::new(ms(100), ms(510)));
        let up = stable_up(&[&series(&of("xx..?..?..?..?..?"))], ms(0), Span::secs(1));
        assert_eq!(up.when, Interval { lo: ms(100), hi: None });
    }

    #[test]
    fn missing_numbers_are_unknown() {
        let all = series(&of("xx..x............"));
        let points = all.points().iter().filter(|p| p.n != 4).copied().collect();
        let dropped = Series::new(Span::millis(100), Span::secs(1), &[], points);
        assert_eq!(stable_up(&[&dropped], ms(0), Span::secs(1)).when, Interval::new(ms(100), ms(510)));
    }

    #[test]
    fn all_probes_must_be_up_at_once() {
        let a = series(&of("xx......x................."));
        let b = series(&of("xxxxxxxxxx................"));
        assert_eq!(stable_up(&[&a, &b], ms(0), Span::secs(1)).when, Interval::new(ms(900), ms(1010)));
        let c = series(&of("xx...........xx..........."));
        assert_eq!(stable_up(&[&b, &c], ms(0), Span::secs(1)).when, Interval::new(ms(1400), ms(1510)));
    }

    #[test]
    fn latency_bounds_are_part_of_recovery() {
        let points = (0..40u64).map(|i| {
            let sent = ms(i * 100);
            let took = if (5..15).contains(&i) { 90 } else { 10 };
            Point {
                n: i,
                planned: sent,
                sent,
                done: sent + Span::millis(took),
                told: sent + Span::millis(took),
                state: if i < 5 { State::Bad } else { State::Ok },
                stands_for: 1,
            }
        });
        let s = Series::new(Span::millis(100), Span::secs(1), &[(0.99, Span::millis(50))], points.collect());
        assert_eq!(stable_up(&[&s], ms(0), Span::secs(1)).when, Interval::new(ms(1400), ms(1510)));
    }

    #[test]
    fn ranks_are_nearest_ranks() {
        for (q, n, want) in [(0.99, 100, 99), (0.99, 101, 100), (0.5, 1, 1), (0.5, 4, 2), (1.0, 7, 7), (0.99, 0, 0)] {
            assert_eq!(rank(q, n), want, "{q} of {n}");
        }
    }

    proptest! {
        #[test]
        fn losing_samples_only_widens(text in "[.x?]{0,80}", lost in prop::collection::vec(any::<bool>(), 80)) {
            let states = of(&text);
            let fewer: Vec<State> = states.iter().zip(&lost).map(|(s, l)| if *l { State::Unknown } else { *s }).collect();
            let a = stable_up(&[&series(&states)], ms(0), Span::millis(800)).when;
            let b = stable_up(&[&series(&fewer)], ms(0), Span::millis(800)).when;
            prop_assert!(b.lo <= a.lo, "{a:?} {b:?}");
            prop_assert!(b.hi.is_none() || a.hi.is_some_and(|hi| hi <= b.hi.unwrap()), "{a:?} {b:?}");
            prop_assert!(a.hi.is_none_or(|hi| hi > a.lo));
        }
    }
}
