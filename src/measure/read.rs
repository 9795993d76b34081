//! One pass over the journal: what happened to each armed item, and each probe's samples in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::{Entry, Event, Quiet, Role, Sample, UndoRecord, Verdict};
use crate::fold::packed::unpack;
use crate::fold::steady::{Bounds, Point, Series, State};
use crate::plan::{Plan, ProbePlan, SteadyBounds};

use super::doubt::{doubtful, still};
use super::gaps::{Gap, gaps, widest};
use super::outage::{Times, union};

/// Longer than any run of good samples that is written.
const LONGEST_RUN: Span = Span::secs(60);

/// How long it may take from the end of the last sample until it is written down that probes have stopped.
const STOPPING: Span = Span::secs(1);

/// A journal, read.
pub(super) struct Read<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The journal.
    pub entries: &'a [Entry],
    /// Its last instant.
    pub end: At,
    /// Everything that was armed, and faults that were not run.
    pub items: IndexMap<&'a str, Item<'a>>,
    /// Every probe of the plan.
    pub probes: IndexMap<&'a str, Watch<'a>>,
    /// When the prober itself stood still, in order.
    pub stalls: Vec<(At, At)>,
    /// When and why the drill was aborted: by whom, and why.
    pub abort: Option<(At, String)>,
    /// When probes began.
    pub begun: At,
    /// When steady state had been shown.
    pub steady_at: Option<At>,
    /// The run came to the point where probes were drained: no sample is missing by accident.
    pub drained: bool,
}

/// What happened to one item.
#[derive(Default)]
pub(super) struct Item<'a> {
    pub support: bool,
    pub phase: &'static str,
    pub targets: &'a [String],
    pub summary: &'a str,
    pub undo: Option<&'a UndoRecord>,
    pub armed: At,
    pub command: Option<At>,
    pub acknowledged: Option<At>,
    pub effective: Option<Interval>,
    pub seen: Option<&'a str>,
    pub not_confirmed: Option<&'a str>,
    pub failed: Option<&'a str>,
    pub not_run: Option<&'a str>,
    pub cut_short: Option<&'a str>,
    pub undo_started: Option<At>,
    pub undone: Option<Interval>,
    pub left_to: Option<&'a str>,
    pub tried: Vec<String>,
}

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

/// What a probe must keep to, as the live drill understands it.
pub(super) fn bounds_of(steady: Option<&SteadyBounds>) -> Bounds {
    let Some(steady) = steady else { return Bounds::default() };
    let quantiles = [(0.5, steady.p50), (0.9, steady.p90), (0.95, steady.p95), (0.99, steady.p99)];
    Bounds {
        success_min: steady.success.map(|s| s.min.fraction()),
        quantiles: quantiles.into_iter().filter_map(|(q, bound)| bound.map(|b| (q, b.max))).collect(),
    }
}

impl<'a> Read<'a> {
    /// Reads a journal.
    pub fn new(plan: &'a Plan, entries: &'a [Entry]) -> Read<'a> {
        let mut read = Read {
            plan,
            entries,
            end: entries.iter().map(|e| e.at).max().unwrap_or_default(),
            items: IndexMap::new(),
            probes: IndexMap::new(),
            stalls: Vec::new(),
            abort: None,
            begun: At(0),
            steady_at: None,
            drained: false,
        };
        let mut seen: BTreeMap<&str, (Vec<&Sample>, Vec<&Quiet>)> = BTreeMap::new();
        for entry in entries {
            match &entry.event {
                Event::Samples { probe, rows } => seen.entry(probe.as_str()).or_default().0.extend(rows),
                Event::Quiet { probe, run } => seen.entry(probe.as_str()).or_default().1.push(run),
                _ => {
                    read.item_event(entry);
                    read.run_event(entry);
                }
            }
        }
        read.stalls.sort_unstable();
        let controls = plan.probes.iter().filter(|(_, probe)| probe.control);
        let cut_off = union(controls.filter_map(|(id, probe)| Some(failed(probe, &seen.get(id.as_str())?.0))).flatten().collect());
        for (id, probe) in &plan.probes {
            let seen = seen.remove(id.as_str()).unwrap_or_default();
            let watch = watch(probe, plan.steady.probes.get(id), seen, (&read.stalls, &cut_off));
            read.probes.insert(id.as_str(), watch);
        }
        let alive = read.alive();
        read.probes.values_mut().for_each(|watch| watch.alive = alive);
        read
    }

    /// Until when probes were to go on, for sure: they had stopped and drained when that was written down, and drain for no longer than they wait. A
    /// journal that ends before that was written by a process that may have died earlier; then what they have is all that is known.
    fn alive(&self) -> At {
        let ends = self.entries.iter().find(|e| matches!(e.event, Event::ProbesStopped {} | Event::TakenOver { .. }));
        let stopped = ends.filter(|e| matches!(e.event, Event::ProbesStopped {})).map(|e| e.at);
        let longest = self.plan.probes.values().map(|probe| probe.timeout + probe.gap()).max().unwrap_or_default();
        let seen = || self.probes.values().filter_map(|watch| watch.ends()).map(|(_, last)| last).max().unwrap_or_default();
        stopped.map_or_else(seen, |at| at.minus(longest + STOPPING))
    }

    fn item_event(&mut self, entry: &'a Entry) {
        let at = entry.at;
        let mut abort = None;
        match &entry.event {
            Event::Armed { id, role, undo, targets, summary } => {
                let support = *role == Role::Support;
                let item = Item { support, phase: "armed", targets, summary, undo: Some(undo), armed: at, ..Item::default() };
                self.items.insert(id, item);
            }
            Event::Injecting { id } => self.with(id, |i| (i.phase, i.command) = ("injecting", Some(at))),
            Event::Injected { id } => self.with(id, |i| (i.phase, i.acknowledged) = ("active", Some(at))),
            Event::InjectFailed { id, error } => {
                self.with(id, |i| (i.phase, i.failed) = ("suspect", Some(error.as_str())));
                abort = Some(format!("{id} could not be injected: {error}"));
            }
            Event::Effective { id, when, seen } => self.with(id, |i| (i.effective, i.seen) = (Some(*when), Some(seen.as_str()))),
            Event::NotConfirmed { id, why } => self.with(id, |i| i.not_confirmed = Some(why)),
            Event::Undoing { id, .. } => self.with(id, |i| {
                i.phase = "undoing";
                i.undo_started = i.undo_started.or(Some(at));
            }),
            Event::UndoFailed { id, attempt, error, .. } => self.with(id, |i| {
                i.phase = "undo_failed";
                i.tried.push(format!("attempt {attempt}: {error}"));
            }),
            Event::Undone { id, when, .. } => self.with(id, |i| (i.phase, i.undone) = ("undone", Some(*when))),
            Event::CutShort(cut) => self.with(&cut.id, |i| i.cut_short = Some(cut.why.as_str())),
            Event::LeftTo { id, who } => self.with(id, |i| (i.phase, i.left_to) = ("left_to", Some(who.as_str()))),
            Event::NotRun { id, why } => {
                let item = self.items.entry(id).or_default();
                (item.phase, item.not_run) = ("not_run", Some(why.as_str()));
            }
            _ => {}
        }
        if let Some(why) = abort {
            self.abort.get_or_insert((at, why));
        }
    }

    fn run_event(&mut self, entry: &'a Entry) {
        let at = entry.at;
        match &entry.event {
            Event::AbortRequested { by, reason } => drop(self.abort.get_or_insert((at, format!("{by}: {reason}")))),
            Event::GuardBreached { id, why } => drop(self.abort.get_or_insert((at, format!("guard {id}: {why}")))),
            Event::JournalPoisoned { why } => drop(self.abort.get_or_insert((at, format!("the journal cannot be relied on: {why}")))),
            Event::TakenOver { by, why, .. } => {
                self.abort.get_or_insert((at, format!("{by} took over: {why}")));
                for item in self.items.values_mut().filter(|i| matches!(i.phase, "armed" | "injecting" | "undoing" | "undo_failed")) {
                    item.phase = "suspect";
                }
            }
            Event::Stall { from, to } => self.stalls.push((*from, *to)),
            Event::BaselineStarted {} => self.begun = at,
            Event::SteadyShown { .. } => self.steady_at = Some(at),
            Event::ProbesStopped {} => self.drained = true,
            _ => {}
        }
    }

    fn with(&mut self, id: &str, change: impl FnOnce(&mut Item<'a>)) {
        if let Some(item) = self.items.get_mut(id) {
            change(item);
        }
    }

    /// When the first fault was called; the start where none was.
    pub fn first_call(&self) -> At {
        self.items.values().filter(|i| !i.support).filter_map(|i| i.command).min().unwrap_or_default()
    }

    /// When watching for the sake of a fault ended: the next fault's injection, or the abort.
    pub fn watched_until(&self, command: At) -> At {
        let others = self.items.values().filter(|i| !i.support).filter_map(|i| i.command).filter(|c| *c > command);
        let next = others.min().unwrap_or(At(u64::MAX));
        self.abort.as_ref().map_or(next, |(at, _)| next.min((*at).max(command)))
    }
}

/// Whether a run can be one: numbers without a gap, and no longer than any that is written, so that nobody counts its seconds for ever.
fn fits(run: &Quiet) -> bool {
    let length = run.last.planned.0.checked_sub(run.first.planned.0);
    run.last.n < u64::MAX
        && run.last.n.checked_sub(run.first.n).map(|more| more + 1) == Some(run.count)
        && length.is_some_and(|length| Span(length) <= LONGEST_RUN)
}

/// When a control probe, whose path no fault touches, says that our own path was cut: around each of its bad samples.
fn failed(probe: &ProbePlan, rows: &[&Sample]) -> Vec<(At, At)> {
    let near = probe.rate.interval();
    rows.iter().filter(|row| row.verdict == Verdict::Bad).map(|row| (row.planned.minus(near), row.done + near)).collect()
}

fn watch<'a>(
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
