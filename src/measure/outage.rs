//! Outages and their edges (design 1.4), by strict bounds: a good sample means *up at some moment* between its sending and its end, a
//! bad one *down at some moment* in between, and nothing else is assumed.
//!
//! ```text
//! onset    in [ s of the last good one before, the earliest end of the bad run ]
//! recovery in [ the latest sending of the bad run, e of the first good one after ]
//! ```
//! No sample exists while the prober stands still, so a stall widens an edge by itself; here it is only marked.

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::fold::steady::{Point, State, reason};

use super::facts::Outage;
use super::read::Watch;

/// A run of bad samples.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// What is told of it.
    pub outage: Outage,
    /// When its first bad sample was sent.
    pub first: At,
    /// When the first good sample after it was sent.
    pub next_up: Option<At>,
}

/// The outages of one probe, in order.
pub(super) fn outages(watch: &Watch<'_>, stalls: &[(At, At)]) -> Vec<Run> {
    let points = watch.series.points();
    let mut found = Vec::new();
    let mut last_ok: Option<At> = None;
    let mut index = 0;
    while index < points.len() {
        let point = &points[index];
        match point.state {
            State::Ok => last_ok = Some(point.sent),
            State::Unknown => {}
            State::Bad => {
                let end = points[index..].iter().position(|p| p.state == State::Ok).map_or(points.len(), |i| index + i);
                found.push(outage(watch, &points[index..end], last_ok, points.get(end), stalls));
                index = end;
                continue;
            }
        }
        index += 1;
    }
    found
}

fn outage(watch: &Watch<'_>, run: &[Point], before: Option<At>, after: Option<&Point>, stalls: &[(At, At)]) -> Run {
    let bad = || run.iter().filter(|p| p.state == State::Bad);
    let first = run[0].sent;
    let onset = Interval::new(before.unwrap_or_default(), bad().map(|p| p.done).min().unwrap_or(first));
    let recovery = Interval { lo: bad().map(|p| p.sent).max().unwrap_or(first), hi: after.map(|p| p.done) };
    // Unknown samples inside the run change nothing; those beyond its last bad one, and those before its first, widen an edge.
    let silent = |from: At, to: At| {
        let points = watch.series.points();
        let start = points.partition_point(|p| p.sent < from);
        points[start..].iter().take_while(|p| p.sent <= to).any(|p| p.state == State::Unknown)
    };
    let recovery_end = recovery.hi.unwrap_or(At(u64::MAX));
    let stalled = |from: At, to: At| {
        let next = stalls.partition_point(|(_, end)| *end < from);
        stalls.get(next).is_some_and(|(start, _)| *start <= to)
    };
    let widened = silent(onset.lo, first)
        || silent(recovery.lo, after.map_or(recovery.lo, |p| p.sent))
        || stalled(onset.lo, first)
        || (recovery.hi.is_some() && stalled(recovery.lo, recovery_end));
    let outage = Outage {
        onset,
        recovery,
        point: after.map(|b| b.sent.since(first)),
        lo: onset.hi.map_or(Span::ZERO, |hi| recovery.lo.since(hi)),
        hi: recovery.hi.map(|hi| hi.since(onset.lo)),
        censored: after.is_none(),
        samples: bad().count() as u64,
        reason: commonest(watch, run),
        widened,
    };
    Run { outage, first, next_up: after.map(|p| p.sent) }
}

/// The commonest reason of a bad run; of two equally common the earlier.
fn commonest(watch: &Watch<'_>, run: &[Point]) -> String {
    let mut counts: IndexMap<(crate::event::Class, Option<&str>), u64> = IndexMap::new();
    for row in run.iter().filter(|p| p.state == State::Bad).filter_map(|p| watch.row(p.n)) {
        *counts.entry((row.class, row.note.as_deref())).or_default() += 1;
    }
    let best = counts.iter().rev().max_by_key(|(_, n)| **n).map(|(key, _)| *key);
    best.map_or_else(String::new, |(class, note)| reason(class, note))
}

/// Times that do not overlap, in order.
pub(super) type Times = Vec<(At, At)>;

/// When a probe was down for sure, and when it may have been: also where no sample says that it was up.
pub(super) fn down(watch: &Watch<'_>, outages: &[Run]) -> (Times, Times) {
    let sure = outages.iter().map(|r| &r.outage).filter_map(|o| o.onset.hi.map(|hi| (hi, o.recovery.lo))).filter(|(a, b)| a < b).collect();
    let mut may: Times = Vec::new();
    let (mut last_ok, mut silent) = (At(0), false);
    for point in watch.series.points() {
        match point.state {
            State::Ok => {
                if std::mem::take(&mut silent) {
                    may.push((last_ok, point.done));
                }
                last_ok = point.sent;
            }
            State::Bad | State::Unknown => silent = true,
        }
    }
    if silent {
        may.push((last_ok, At(u64::MAX)));
    }
    (union(sure), union(may))
}

/// Overlapping times joined.
pub(super) fn union(mut times: Times) -> Times {
    times.sort_unstable();
    let mut out: Times = Vec::with_capacity(times.len());
    for (from, to) in times {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// Where two lists of times overlap.
pub(super) fn intersection(a: &Times, b: &Times) -> Times {
    let (mut i, mut j, mut out) = (0, 0, Times::new());
    while i < a.len() && j < b.len() {
        let (from, to) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
        if from < to {
            out.push((from, to));
        }
        if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
    }
    out
}

/// How much of a window they cover.
pub(super) fn within(times: &Times, from: At, to: At) -> Span {
    times.iter().fold(Span::ZERO, |sum, (a, b)| sum + (*b).min(to).since((*a).max(from)))
}
