//! One pass over the journal: what happened to each armed item, and each probe's samples in order.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::{Class, Entry, Event, Role, Sample, UndoRecord};
use crate::fold::steady::{Bounds, Point, Series, State};
use crate::plan::{Plan, ProbePlan, SteadyBounds};

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
    /// As observations, with lost and doubtful ones unknown.
    pub series: Series,
}

impl Watch<'_> {
    /// The sample with this number.
    pub fn row(&self, n: u64) -> Option<&Sample> {
        self.rows.binary_search_by_key(&n, |row| row.n).ok().map(|i| self.rows[i])
    }

    /// The samples planned in a time.
    pub fn planned(&self, from: At, to: At) -> &[&Sample] {
        let start = self.rows.partition_point(|row| row.planned < from);
        let end = self.rows.partition_point(|row| row.planned < to).max(start);
        &self.rows[start..end]
    }

    /// How many numbers are missing before and within these samples, which must be a part of `rows`.
    pub fn missing(&self, from: At, to: At) -> u64 {
        let start = self.rows.partition_point(|row| row.planned < from);
        let end = self.rows.partition_point(|row| row.planned < to);
        if start >= end {
            return 0;
        }
        let before = if start == 0 { 0 } else { self.rows[start - 1].n + 1 };
        (self.rows[end - 1].n + 1).saturating_sub(before).saturating_sub((end - start) as u64)
    }
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

/// A time-out that was decided while the prober stood still, or just after, says nothing: the answer may have been there.
fn doubtful(sample: &Sample, stalls: &[(At, At)]) -> bool {
    let slack = Span::millis(5);
    let next = stalls.partition_point(|(_, to)| *to + slack < sample.done);
    sample.class == Class::Timeout && stalls.get(next).is_some_and(|(from, _)| *from < sample.done)
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
        let mut rows: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
        for entry in entries {
            if let Event::Samples { probe, rows: more } = &entry.event {
                rows.entry(probe.as_str()).or_default().extend(more);
            } else {
                read.item_event(entry);
                read.run_event(entry);
            }
        }
        read.stalls.sort_unstable();
        for (id, probe) in &plan.probes {
            let rows = rows.remove(id.as_str()).unwrap_or_default();
            let watch = watch(probe, plan.steady.probes.get(id), rows, &read.stalls);
            read.probes.insert(id.as_str(), watch);
        }
        read
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

    /// When watching for the sake of a fault ended: the next fault's injection, or the abort.
    pub fn watched_until(&self, command: At) -> At {
        let others = self.items.values().filter(|i| !i.support).filter_map(|i| i.command).filter(|c| *c > command);
        let next = others.min().unwrap_or(At(u64::MAX));
        self.abort.as_ref().map_or(next, |(at, _)| next.min((*at).max(command)))
    }
}

fn watch<'a>(plan: &'a ProbePlan, steady: Option<&SteadyBounds>, mut rows: Vec<&'a Sample>, stalls: &[(At, At)]) -> Watch<'a> {
    rows.sort_by_key(|row| row.n);
    rows.dedup_by_key(|row| row.n);
    let interval = plan.rate.interval();
    let point = |row: &&Sample| {
        let point = Point::of(row);
        if point.state == State::Bad && doubtful(row, stalls) { Point { state: State::Unknown, ..point } } else { point }
    };
    let points = rows.iter().map(point).collect();
    let series = Series::new(interval, plan.timeout, &bounds_of(steady).quantiles, points);
    Watch { plan, interval, rows, series }
}
