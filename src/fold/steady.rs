//! The only definition of steady and recovered: the drill decides by it while it runs, the report judges by it afterwards.
//!
//! *Steady*: over a sliding window by planned time, every watched probe keeps its bounds. *Recovered*: from some sample on, every named
//! probe stayed up for the hold window ([`stable_up`]). What our own side failed to see never counts in the target's favour.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use super::series::{Point, Series, Stable, State, rank, stable_up};
pub use super::turns::{Turn, Turns, reason};
use crate::base::{At, Interval, Span};
use crate::event::Sample;

/// What a probe must keep to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// The least share of good samples, a fraction.
    pub success_min: Option<f64>,
    /// Quantile (a fraction, `0.99`) and the longest response it may have.
    pub quantiles: Vec<(f64, Span)>,
}

/// A probe that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// Time between two planned samples.
    pub interval: Span,
    /// How long one sample may take.
    pub timeout: Span,
    /// What it must keep to.
    pub bounds: Bounds,
}

/// Whether steady state has held over the latest complete window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It has.
    Yes {
        /// First instant of the window.
        since: At,
        /// For people: `checkout 100 %, p99 11 ms, served by a`.
        summary: String,
    },
    /// It has not, or it cannot be said.
    No {
        /// For people: `checkout success 97.2 % is below 99.5 %`.
        why: String,
    },
}

#[derive(Debug)]
struct Kept {
    point: Point,
    by: Option<Arc<str>>,
}

#[derive(Debug)]
struct Track {
    watched: Watched,
    kept: BTreeMap<u64, Kept>,
    first: Option<At>,
    next: u64,
    upto: At,
    newest: At,
}

/// The fold. Memory is bounded by the keep span: a question about earlier times cannot be asked.
#[derive(Debug)]
pub struct SteadyFold {
    over: Span,
    keep: Span,
    tracks: Vec<(String, Track)>,
}

/// How long after its time-out a sample that never came is given up.
const PATIENCE: Span = Span::secs(5);

impl SteadyFold {
    /// A fold with this window over these probes. `keep` is how far back `recovery` may be asked: limit of recovery plus `stable_for`.
    pub fn new(over: Span, keep: Span, probes: Vec<(String, Watched)>) -> SteadyFold {
        let track = |watched| Track { watched, kept: BTreeMap::new(), first: None, next: 0, upto: At(0), newest: At(0) };
        let tracks = probes.into_iter().map(|(id, watched)| (id, track(watched))).collect();
        SteadyFold { over, keep: keep.max(over) + over, tracks }
    }

    /// Takes samples of a probe, in any order; one that was seen before is ignored, as is a probe that is not watched.
    pub fn push(&mut self, probe: &str, rows: &[Sample]) {
        if let Some((_, track)) = self.tracks.iter_mut().find(|(id, _)| id == probe) {
            for row in rows {
                track.take(row);
            }
            track.advance();
        }
        let oldest = self.complete_upto().minus(self.keep);
        for (_, track) in &mut self.tracks {
            while let Some(entry) = track.kept.first_entry() {
                if entry.get().point.planned >= oldest {
                    break;
                }
                entry.remove();
            }
        }
    }

    /// Every sample planned before this has been classified, for all watched probes.
    pub fn complete_upto(&self) -> At {
        self.tracks.iter().map(|(_, track)| track.upto).min().unwrap_or_default()
    }

    /// Whether steady state has held over the window that ends at [`SteadyFold::complete_upto`].
    pub fn held(&self) -> Held {
        let end = self.complete_upto();
        if self.tracks.is_empty() {
            return Held::No { why: "no probe is watched".into() };
        }
        let mut parts = Vec::new();
        for (id, track) in &self.tracks {
            match track.held(id, end, self.over) {
                Ok(part) => parts.push(part),
                Err(why) => return Held::No { why },
            }
        }
        Held::Yes { since: end.minus(self.over), summary: parts.join("; ") }
    }

    /// When the named probes, all of them, came up for good: from a good sample sent at or after `from` on, for `stable_for` (design
    /// 1.5). `None` while it has not been shown, and for a probe that is not watched.
    pub fn recovery(&self, probes: &[String], from: At, stable_for: Span) -> Option<Interval> {
        let found: Option<Vec<Series>> =
            probes.iter().map(|probe| self.tracks.iter().find(|(id, _)| id == probe).map(|(_, track)| track.series(from))).collect();
        let found = found?;
        let stable = stable_up(&found.iter().collect::<Vec<_>>(), from, stable_for);
        stable.when.hi.map(|_| stable.when)
    }
}

impl Track {
    fn take(&mut self, row: &Sample) {
        self.newest = self.newest.max(row.done);
        if row.n >= self.next {
            self.first = Some(self.first.map_or(row.planned, |first| first.min(row.planned)));
            self.kept.entry(row.n).or_insert_with(|| Kept { point: Point::of(row), by: row.by.clone() });
        }
    }

    fn advance(&mut self) {
        for (&n, kept) in self.kept.range(self.next..) {
            let lost = self.newest > kept.point.planned + self.watched.timeout + PATIENCE;
            if n != self.next && !lost {
                break;
            }
            self.next = n + 1;
            self.upto = kept.point.planned + self.watched.interval;
        }
    }

    /// What was under way at `from`, and what came after.
    fn series(&self, from: At) -> Series {
        let reach = from.minus(self.watched.timeout + self.watched.interval);
        let points = self.kept.range(..self.next).map(|(_, kept)| kept.point).filter(|point| point.planned >= reach).collect();
        Series::new(self.watched.interval, self.watched.timeout, &self.watched.bounds.quantiles, points)
    }

    fn held(&self, id: &str, end: At, over: Span) -> Result<String, String> {
        let Some(first) = self.first else { return Err(format!("{id} has no samples yet")) };
        if end < first + over {
            return Err(format!("{id} has been watched for {} of {}", end.since(first).human(), over.human()));
        }
        let start = end.minus(over);
        let window = || self.kept.range(..self.next).map(|(_, k)| k).rev().skip_while(|k| k.point.planned >= end);
        let rows: Vec<&Kept> = window().take_while(|k| k.point.planned >= start).collect();
        let expected = (over.0 / self.watched.interval.0.max(1)).max(1) as usize;
        if rows.len() * 10 < expected * 9 {
            return Err(format!("{id} has {} of {expected} samples in the window", rows.len()));
        }
        let count = |state| rows.iter().filter(|k| k.point.state == state).count();
        let (ok, bad, unknown) = (count(State::Ok), count(State::Bad), count(State::Unknown));
        if ok + bad == 0 {
            return Err(format!("{id} has no samples that say anything: {unknown} failed on our side"));
        }
        let share = ok as f64 / (ok + bad) as f64;
        let doubt = |what: &str| format!("{id} {what} cannot be said: {unknown} of {} samples failed on our side", rows.len());
        if let Some(min) = self.watched.bounds.success_min {
            if share < min {
                return Err(format!("{id} success {} is below {}", percent(share), percent(min)));
            }
            if (ok as f64) < min * (ok + bad + unknown) as f64 {
                return Err(doubt("success"));
            }
        }
        let mut took: Vec<Span> = rows.iter().filter(|k| k.point.state != State::Unknown).map(|k| k.point.response()).collect();
        took.sort_unstable();
        for (q, most) in &self.watched.bounds.quantiles {
            let seen = took[rank(*q, took.len()) - 1];
            if seen > *most {
                return Err(format!("{id} {} {} is above {}", quantile_name(*q), seen.human(), most.human()));
            }
            // As if every sample that we lost had been slower than any.
            if took.get(rank(*q, took.len() + unknown) - 1).is_none_or(|worst| worst > most) {
                return Err(doubt(&quantile_name(*q)));
            }
        }
        let shown = self.watched.bounds.quantiles.iter().map(|(q, _)| *q).fold(None, |a: Option<f64>, q| Some(a.map_or(q, |a| a.max(q))));
        let q = shown.unwrap_or(0.99);
        let mut text = format!("{id} {}, {} {}", percent(share), quantile_name(q), took[rank(q, took.len()) - 1].human());
        if let Some(by) = rows.iter().find_map(|k| k.by.as_deref()) {
            text = format!("{text}, served by {by}");
        }
        Ok(text)
    }
}

/// A share for people: `99.5 %`. Rounded down, so that something that failed is never shown as 100 %.
pub fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0 + 1e-6).floor();
    let text = format!("{:.2}", hundredths / 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The name of a quantile: `p99`, `p99.9`.
pub fn quantile_name(q: f64) -> String {
    format!("p{}", ((q * 100.0) * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Class, Verdict};

    fn sample(n: u64, verdict: Verdict, took_ms: u64) -> Sample {
        let sent = At(0) + Span::millis(n * 100 + 7);
        let class = if verdict == Verdict::Ok { Class::Ok } else { Class::Reset };
        Sample {
            n,
            planned: sent,
            woken: sent,
            sent,
            done: sent + Span::millis(took_ms),
            verdict,
            class,
            by: Some("a".into()),
            note: None,
            legs: Default::default(),
        }
    }

    fn fold(success: f64) -> SteadyFold {
        let bounds = Bounds { success_min: Some(success), quantiles: vec![(0.99, Span::millis(300))] };
        let watched = Watched { interval: Span::millis(100), timeout: Span::secs(1), bounds };
        SteadyFold::new(Span::secs(2), Span::secs(10), vec![("checkout".into(), watched)])
    }

    fn why(held: Held) -> String {
        match held {
            Held::No { why } => why,
            Held::Yes { summary, .. } => panic!("held: {summary}"),
        }
    }

    #[test]
    fn steady_needs_a_full_window_and_every_bound() {
        let mut fold = fold(0.995);
        assert_eq!(why(fold.held()), "checkout has no samples yet");
        fold.push("checkout", &(0..19).map(|n| sample(n, Verdict::Ok, 11)).collect::<Vec<_>>());
        assert_eq!(why(fold.held()), "checkout has been watched for 1.9 s of 2 s");
        fold.push("checkout", &[sample(19, Verdict::Ok, 11), sample(19, Verdict::Bad, 11)]);
        assert_eq!(fold.held(), Held::Yes { since: At(7_000_000), summary: "checkout 100 %, p99 11 ms, served by a".into() });
        fold.push("checkout", &[sample(20, Verdict::Bad, 11)]);
        assert_eq!(why(fold.held()), "checkout success 95 % is below 99.5 %");
        fold.push("checkout", &(21..41).map(|n| sample(n, Verdict::Ok, 400)).collect::<Vec<_>>());
        assert_eq!(why(fold.held()), "checkout p99 400 ms is above 300 ms");
    }

    #[test]
    fn our_own_failures_never_help() {
        let mut a = fold(0.995);
        a.push("checkout", &(0..20).map(|n| sample(n, if n == 3 { Verdict::Local } else { Verdict::Ok }, 11)).collect::<Vec<_>>());
        assert_eq!(why(a.held()), "checkout success cannot be said: 1 of 20 samples failed on our side");
        let mut b = fold(0.9);
        b.push("checkout", &(0..20).map(|n| sample(n, if n == 3 { Verdict::Capped } else { Verdict::Ok }, 11)).collect::<Vec<_>>());
        assert_eq!(why(b.held()), "checkout p99 cannot be said: 1 of 20 samples failed on our side");
        let mut c = fold(0.9);
        c.push("checkout", &(0..20).map(|n| sample(n, Verdict::Local, 11)).collect::<Vec<_>>());
        assert_eq!(why(c.held()), "checkout has no samples that say anything: 20 failed on our side");
    }

    #[test]
    fn a_sample_in_flight_holds_the_window_back() {
        let mut fold = fold(0.995);
        let rows: Vec<Sample> = (0..40).filter(|n| *n != 5).map(|n| sample(n, Verdict::Ok, 11)).collect();
        fold.push("checkout", &rows);
        assert_eq!(fold.complete_upto(), At(0) + Span::millis(507));
        fold.push("checkout", &[sample(5, Verdict::Bad, 1000)]);
        assert_eq!(fold.complete_upto(), At(0) + Span::millis(4007));
        assert!(matches!(fold.held(), Held::Yes { .. }));
    }

    #[test]
    fn memory_is_bounded() {
        let mut fold = fold(0.995);
        for n in 0..5_000 {
            fold.push("checkout", &[sample(n, Verdict::Ok, 11)]);
        }
        assert!(fold.tracks[0].1.kept.len() <= 125, "{}", fold.tracks[0].1.kept.len());
    }

    #[test]
    fn recovery_is_the_series_own_and_only_when_shown() {
        let mut fold = fold(0.995);
        let name = ["checkout".to_owned()];
        let row = |n| sample(n, if (3..9).contains(&n) { Verdict::Bad } else { Verdict::Ok }, 11);
        fold.push("checkout", &(0..18).map(row).collect::<Vec<_>>());
        let from = At(0) + Span::millis(307);
        assert_eq!(fold.recovery(&name, from, Span::secs(1)), None);
        fold.push("checkout", &(18..30).map(row).collect::<Vec<_>>());
        let lo = At(0) + Span::millis(807);
        assert_eq!(fold.recovery(&name, from, Span::secs(1)), Some(Interval::new(lo, lo + Span::millis(111))));
        assert_eq!(fold.recovery(&["nobody".to_owned()], from, Span::secs(1)), None);
    }

    #[test]
    fn shares_are_never_rounded_up() {
        assert_eq!(percent(0.99999), "99.99 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.995), "99.5 %");
        assert_eq!(quantile_name(0.999), "p99.9");
    }
}
