//! One probe's samples as they stand in a journal: by number, by when they were due, and as observations.

use std::collections::{BTreeSet, HashMap};

use crate::base::{At, Span};
use crate::event::{Quiet, Sample, Verdict};
use crate::fold::packed::unpack;
use crate::fold::steady::{Point, Series, State};
use crate::plan::{ProbePlan, SteadyBounds};

use super::doubt::{doubtful, still};
use super::gaps::{Gap, gaps, widest};
use super::outage::Times;
use super::read::bounds_of;

/// Longer than any run of good samples that is written.
const LONGEST_RUN: Span = Span::secs(60);

/// One probe's samples.
pub(super) struct Watch<'a> {
    pub plan: &'a ProbePlan,
    pub interval: Span,
    /// By number, each once.
    pub rows: Vec<&'a Sample>,
    /// Runs of good ones, by number, none of which holds a number that is among `rows`.
    pub quiet: Vec<&'a Quiet>,
    /// As observations, with lost and doubtful ones unknown.
    pub series: Series,
    /// Where samples were further apart than they were due.
    pub gaps: Vec<Gap>,
    /// Bad samples that say nothing of the target, by number.
    pub unsure: BTreeSet<u64>,
    /// Until when it was to go on, for sure.
    pub alive: At,
}

impl<'a> Watch<'a> {
    /// The smallest outage that was sure to be seen in a time.
    pub fn detectable(&self, from: At, to: At) -> Span {
        widest(&self.gaps, from, to).map_or(self.plan.gap(), |wide| wide.max(self.plan.gap()))
    }

    /// The sample with this number.
    pub fn row(&self, n: u64) -> Option<&Sample> {
        self.rows.binary_search_by_key(&n, |row| row.n).ok().map(|i| self.rows[i])
    }

    /// What a sample says of the target.
    pub fn state(&self, row: &Sample) -> State {
        match row.verdict {
            Verdict::Ok => State::Ok,
            Verdict::Bad if !self.unsure.contains(&row.n) => State::Bad,
            Verdict::Bad | Verdict::Local | Verdict::Capped => State::Unknown,
        }
    }

    /// The samples planned in a time.
    pub fn planned(&self, from: At, to: At) -> &[&Sample] {
        let start = self.rows.partition_point(|row| row.planned < from);
        let end = self.rows.partition_point(|row| row.planned < to).max(start);
        &self.rows[start..end]
    }

    /// The runs that begin in a time. Phases begin and end where each sample stands for itself, and cut none in two.
    pub fn quiet(&self, from: At, to: At) -> &[&Quiet] {
        let start = self.quiet.partition_point(|run| run.first.planned < from);
        let end = self.quiet.partition_point(|run| run.first.planned < to).max(start);
        &self.quiet[start..end]
    }

    /// How many samples of runs were planned in a time, also where it begins or ends within one.
    pub fn quietly(&self, from: At, to: At) -> u64 {
        let start = self.quiet.partition_point(|run| run.last.planned < from);
        let overlapping = self.quiet[start..].iter().take_while(|run| run.first.planned < to);
        overlapping.map(|run| self.planned_before(run, to) - self.planned_before(run, from)).sum()
    }

    /// How many samples of a run were planned before a moment.
    fn planned_before(&self, run: &Quiet, at: At) -> u64 {
        at.since(run.first.planned).0.div_ceil(self.interval.0.max(1)).min(run.count)
    }

    /// How many numbers due in a time nobody has. They are told by when they were due, which their neighbours show.
    pub fn missing(&self, from: At, to: At) -> u64 {
        if self.ends().is_none() || from >= to {
            return 0;
        }
        let here = self.planned(from, to).len() as u64 + self.quietly(from, to);
        self.number_at(to).saturating_sub(self.number_at(from)).saturating_sub(here)
    }

    /// The number of the first sample that was due at a moment or after it, also where it is not there.
    fn number_at(&self, at: At) -> u64 {
        let interval = self.interval.0.max(1);
        let row = self.rows.partition_point(|row| row.planned < at);
        let run = self.quiet.partition_point(|run| run.last.planned < at);
        let before = [
            row.checked_sub(1).map(|i| (self.rows[i].n, self.rows[i].planned)),
            run.checked_sub(1).map(|i| (self.quiet[i].last.n, self.quiet[i].last.planned)),
        ];
        let last = before.into_iter().flatten().max();
        let least = last.map_or(0, |(n, _)| n.saturating_add(1));
        if let Some(run) = self.quiet.get(run).filter(|run| run.first.planned < at) {
            return run.first.n + self.planned_before(run, at);
        }
        let after = [self.rows.get(row).map(|row| (row.n, row.planned)), self.quiet.get(run).map(|run| (run.first.n, run.first.planned))];
        match (after.into_iter().flatten().min(), last) {
            (Some((n, planned)), _) => n.saturating_sub(planned.since(at).0 / interval).max(least),
            // As long as probes were not to stop, there was one for each interval.
            (None, Some((_, planned))) => {
                let due = at.min(self.alive).since(planned).0.div_ceil(interval).saturating_sub(1);
                least.saturating_add(due)
            }
            (None, None) => 0,
        }
    }

    /// Everything, by number.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> {
        let (mut rows, mut runs) = (self.rows.iter().copied().peekable(), self.quiet.iter().copied().peekable());
        std::iter::from_fn(move || match (rows.peek(), runs.peek()) {
            (Some(row), Some(run)) if row.n > run.first.n => runs.next().map(Piece::Run),
            (None, _) => runs.next().map(Piece::Run),
            (Some(_), _) => rows.next().map(Piece::Each),
        })
    }

    /// When the first sample was due, and the last.
    pub fn ends(&self) -> Option<(At, At)> {
        let rows = self.rows.first().zip(self.rows.last()).map(|(a, b)| (a.planned, b.planned));
        let runs = self.quiet.first().zip(self.quiet.last()).map(|(a, b)| (a.first.planned, b.last.planned));
        match (rows, runs) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        }
    }

    /// One more than the highest number there is.
    pub fn numbers(&self) -> u64 {
        let row = self.rows.last().map_or(0, |row| row.n.saturating_add(1));
        row.max(self.quiet.last().map_or(0, |run| run.last.n.saturating_add(1)))
    }
}

/// A part of what a probe saw.
#[derive(Clone, Copy)]
pub(super) enum Piece<'a> {
    /// One sample.
    Each(&'a Sample),
    /// A run of good ones.
    Run(&'a Quiet),
}

/// Whether a run can be one: numbers without a gap, and no longer than any that is written, so that nobody counts its seconds for ever.
fn fits(run: &Quiet) -> bool {
    let length = run.last.planned.0.checked_sub(run.first.planned.0);
    run.last.n < u64::MAX
        && run.last.n.checked_sub(run.first.n).map(|more| more + 1) == Some(run.count)
        && length.is_some_and(|length| Span(length) <= LONGEST_RUN)
}

/// When a control probe, whose path no fault touches, says that our own path was cut: around each of its bad samples.
pub(super) fn failed(probe: &ProbePlan, rows: &[&Sample]) -> Vec<(At, At)> {
    let near = probe.rate.interval();
    rows.iter().filter(|row| row.verdict == Verdict::Bad).map(|row| (row.planned.minus(near), row.done + near)).collect()
}

pub(super) fn watch<'a>(
    plan: &'a ProbePlan,
    steady: Option<&SteadyBounds>,
    (mut rows, mut quiet): (Vec<&'a Sample>, Vec<&'a Quiet>),
    (stalls, cut_off): (&[(At, At)], &Times),
) -> Watch<'a> {
    rows.sort_by_key(|row| row.n);
    rows.dedup_by_key(|row| row.n);
    // A damaged journal may hold runs that do not fit: those count as missing.
    quiet.retain(|run| fits(run));
    quiet.sort_by_key(|run| run.first.n);
    quiet.dedup_by(|later, earlier| later.first.n <= earlier.last.n);
    quiet.retain(|run| {
        let from = rows.partition_point(|row| row.n < run.first.n);
        rows.get(from).is_none_or(|row| row.n > run.last.n)
    });
    let interval = plan.rate.interval();
    let still = still(stalls, &rows);
    // What failed while nothing could be reached says nothing of the target.
    let ours = |row: &Sample| {
        let next = cut_off.partition_point(|(_, to)| *to < row.sent);
        !plan.control && cut_off.get(next).is_some_and(|(from, _)| *from <= row.done)
    };
    let point = |row: &&Sample| {
        let point = Point::of(row);
        if point.state == State::Bad && (doubtful(row, &still) || ours(row)) { Point { state: State::Unknown, ..point } } else { point }
    };
    // A run is up to three of them.
    let mut points: Vec<Point> = Vec::with_capacity(rows.len() + 3 * quiet.len());
    points.extend(rows.iter().map(point));
    let quantiles = bounds_of(steady).quantiles;
    let mut slow = HashMap::new();
    for run in &quiet {
        points.extend(Point::of_run(run, interval));
        if !quantiles.is_empty() && run.count > 2 {
            let ends = [&run.first, &run.last];
            let response = unpack(&run.response);
            let over = |most: Span| {
                let all = response.count_between(most.0.saturating_add(1), u64::MAX);
                all.saturating_sub(ends.iter().filter(|row| row.response() > most).count() as u64)
            };
            slow.insert(run.first.n + 1, quantiles.iter().map(|(_, most)| u32::try_from(over(*most)).unwrap_or(u32::MAX)).collect());
        }
    }
    let series = Series::with_slow(interval, plan.timeout, &quantiles, points, &slow);
    let gaps = gaps(plan, series.points(), &quiet);
    let unsure = rows.iter().filter(|row| row.verdict == Verdict::Bad && point(row).state == State::Unknown).map(|row| row.n).collect();
    Watch { plan, interval, rows, quiet, series, gaps, unsure, alive: At(0) }
}
