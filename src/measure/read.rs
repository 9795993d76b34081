//! One pass over the journal: what happened to each armed item, and each probe's samples in order.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::{Entry, Event, Quiet, Role, Sample, UndoRecord};
use crate::fold::steady::Bounds;
use crate::plan::{Plan, SteadyBounds};

use super::outage::union;
use super::watch::{Watch, failed, watch};

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

    /// When the first fault was called.
    pub fn first_call(&self) -> Option<At> {
        self.items.values().filter(|i| !i.support).filter_map(|i| i.command).min()
    }

    /// When watching for the sake of a fault ended: the next fault's injection, or the abort.
    pub fn watched_until(&self, command: At) -> At {
        let others = self.items.values().filter(|i| !i.support).filter_map(|i| i.command).filter(|c| *c > command);
        let next = others.min().unwrap_or(At(u64::MAX));
        self.abort.as_ref().map_or(next, |(at, _)| next.min((*at).max(command)))
    }
}
