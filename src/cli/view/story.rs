//! From the journal to sentences: at most a line or two for each event that people should see. It folds a state of its own, so that it can be
//! shown any journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::head::{Seen, undo_words};
use super::line::{Line, Mood, bounds, plain};
use crate::base::{At, Interval, Span};
use crate::event::{Entry, Event, Outcome, Role, Verdict};
use crate::plan::Plan;
use crate::state::RunState;

/// Standing still for less than this is told in the report only.
const NOTABLE: Span = Span::millis(250);

/// What was told so far.
#[derive(Debug)]
pub(super) struct Story {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// Where the run is.
    pub(super) state: RunState,
    /// When the abort was asked for.
    pub(super) abort_at: Option<At>,
    /// When probes stopped.
    pub(super) stopped_at: Option<At>,
    /// A watchdog is there.
    pub(super) watchdog: bool,
    /// What looks for targets found.
    pub(super) seen: Vec<Seen>,
    summaries: BTreeMap<String, String>,
    guards: BTreeMap<String, String>,
    subjects: BTreeMap<String, Option<String>>,
    acknowledged: BTreeMap<String, Vec<u64>>,
    stopped: Vec<String>,
}

fn line(at: At, word: &str, mood: Mood, text: impl Into<String>) -> Line {
    Line { at, word: word.to_owned(), text: text.into(), bounds: String::new(), mood }
}

/// The name of an item, for people.
pub(super) fn name(id: &str) -> String {
    match id.split_once('/') {
        Some(("system", id)) => id.to_owned(),
        Some((sort, id)) => format!("{sort} {id}"),
        None => id.to_owned(),
    }
}

/// Names joined for people.
pub(super) fn names(names: &[String]) -> String {
    match names {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => names.concat(),
    }
}

impl Story {
    /// Nothing told yet.
    pub(super) fn new(plan: Arc<Plan>) -> Story {
        Story {
            plan,
            state: RunState::default(),
            abort_at: None,
            stopped_at: None,
            watchdog: false,
            seen: Vec::new(),
            summaries: BTreeMap::new(),
            guards: BTreeMap::new(),
            subjects: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            stopped: Vec::new(),
        }
    }

    /// Whether every fault was looked at, where that is to be.
    pub(super) fn previewed(&self) -> bool {
        self.plan.faults.keys().all(|id| self.state.previews.contains_key(id.as_str()))
    }

    /// Takes an entry in and tells it.
    pub(super) fn tell(&mut self, entry: &Entry) -> Vec<Line> {
        let aborting = self.state.abort.is_some();
        // A journal that does not fit together is for others to complain about; people still see every line.
        let _ = self.state.apply(entry);
        if self.state.abort.is_some() && !aborting {
            self.abort_at = Some(entry.at);
        }
        self.note_down(entry);
        let told = self
            .drill(entry)
            .or_else(|| self.fault(entry))
            .or_else(|| self.support(entry))
            .or_else(|| self.watched(entry))
            .or_else(|| self.end(entry, aborting))
            .or_else(|| self.ledger(entry))
            .or_else(|| trouble(entry))
            .or_else(|| super::people::told(entry));
        told.into_iter().collect()
    }

    /// What later sentences need.
    fn note_down(&mut self, entry: &Entry) {
        match &entry.event {
            Event::WatchdogStarted { .. } => self.watchdog = true,
            Event::WatchdogLost {} => self.watchdog = false,
            Event::Previewed { id, targets, population, by_hand, .. } => {
                self.seen.push(Seen { id: id.clone(), targets: targets.clone(), population: *population, by_hand: by_hand.clone() })
            }
            Event::Armed { id, summary, .. } => drop(self.summaries.insert(id.clone(), summary.clone())),
            Event::Samples { probe, rows } if self.plan.probes.get(probe.as_str()).is_some_and(|probe| probe.ledger) => {
                let acknowledged = rows.iter().filter(|row| row.verdict == Verdict::Ok).map(|row| row.n);
                self.acknowledged.entry(probe.clone()).or_default().extend(acknowledged);
            }
            Event::ProbesStopped {} => self.stopped_at = Some(entry.at),
            _ => {}
        }
    }

    /// A sentence about a fault, with its name where there are several.
    fn named(&self, id: &str, text: impl Into<String>) -> String {
        let text = text.into();
        if self.plan.faults.len() > 1 || id.contains('/') { format!("{}: {text}", name(id)) } else { text }
    }

    /// The time of something, counted from the latest injection.
    fn since_injection(&self, when: Interval) -> String {
        let latest = self.state.items.values().filter(|item| item.role == Role::Fault).filter_map(|item| item.command_at).max();
        latest.map(|origin| bounds(when, origin)).unwrap_or_default()
    }

    fn since_injection_of(&self, id: &str, when: Interval) -> String {
        let origin = self.state.items.get(id).and_then(|item| item.command_at);
        origin.map(|origin| bounds(when, origin)).unwrap_or_default()
    }

    /// As the report counts recovery: at least from the latest that it bit, at most from the earliest.
    fn since_effect_of(&self, id: &str, when: Interval) -> String {
        let Some(effect) = self.state.items.get(id).and_then(|item| item.effective) else { return self.since_injection_of(id, when) };
        let width = effect.hi.map_or(Span::ZERO, |hi| hi.since(effect.lo));
        bounds(Interval { lo: At(when.lo.0.saturating_sub(width.0)), hi: when.hi }, effect.lo)
    }

    /// The drill as a whole.
    fn drill(&mut self, entry: &Entry) -> Option<Line> {
        let (at, over) = (entry.at, self.plan.steady.over.human());
        let told = match &entry.event {
            Event::BaselineStarted {} => {
                let within = self.plan.baseline_within.human();
                line(at, "baseline", Mood::Plain, format!("probes are running; it must be steady for {over}, within {within}"))
            }
            Event::SteadyShown { summary, .. } => line(at, "baseline", Mood::Good, format!("steady for {over}: {summary}")),
            Event::SteadyMissed { why } => line(at, "baseline", Mood::Bad, format!("not steady: {why}; nothing is injected")),
            Event::SettleStarted {} => line(at, "settle", Mood::Plain, format!("all undone; it must be steady for {over} once more")),
            Event::SteadyAfter { .. } => line(at, "settle", Mood::Good, format!("steady for {over} after the last undo")),
            Event::NotSteadyAfter { why } => line(at, "settle", Mood::Bad, format!("not steady after the undo: {why}")),
            Event::TargetResolved { id, is } => line(at, "target", Mood::Plain, format!("{id} is {}", names(is))),
            Event::Restored { id, result, detail, .. } => {
                let mood = if result == "failed" { Mood::Bad } else { Mood::Plain };
                let text = if detail.is_empty() { format!("{id}: {result}") } else { format!("{id}: {result}, {detail}") };
                line(at, "restore", mood, text)
            }
            Event::Subject { when, id, value } if when == "before" => {
                self.subjects.insert(id.clone(), value.clone());
                return None;
            }
            Event::Subject { id, value: Some(now), .. } => match self.subjects.get(id) {
                Some(Some(before)) if before != now => {
                    line(at, "tested", Mood::Bad, format!("{id} was {before} before the drill and is {now} now: the run is invalid"))
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(told)
    }

    /// Faults and their undos, and the undo of anything that goes wrong.
    fn fault(&self, entry: &Entry) -> Option<Line> {
        let at = entry.at;
        let is_fault = |id: &str| !id.contains('/');
        let stable = |id: &str| self.plan.faults.get(id).map(|fault| fault.stable_for.human()).unwrap_or_default();
        let told = match &entry.event {
            Event::Injecting { id } if is_fault(id) => {
                let summary = self.summaries.get(id).filter(|text| !text.is_empty()).cloned();
                line(at, "inject", Mood::Act, self.named(id, summary.unwrap_or_else(|| "the fault".into())))
            }
            Event::InjectFailed { id, error } => {
                line(at, "inject", Mood::Bad, self.named(id, format!("failed: {error}; undone at once, for it may bite in part")))
            }
            Event::Effective { id, when, seen } if is_fault(id) => {
                let since = self.since_injection_of(id, *when);
                let since = if since.is_empty() { since } else { format!("{since} after inject") };
                Line { bounds: since, ..line(at, "effective", Mood::Act, self.named(id, seen)) }
            }
            Event::NotConfirmed { id, why } => {
                line(at, "effective", Mood::Bad, self.named(id, format!("not confirmed: {why}; undone, and the run is invalid")))
            }
            Event::Undoing { id, attempt, why } if is_fault(id) => {
                let how = self.plan.faults.get(id.as_str()).map(undo_words).unwrap_or_default();
                let text = if *attempt > 1 { format!("attempt {attempt}: {how}") } else { format!("{why}: {how}") };
                line(at, "undo", Mood::Act, self.named(id, text))
            }
            Event::UndoFailed { id, attempt, error, last } => {
                let end = if *last { "no more attempts: it may still be broken" } else { "trying again" };
                line(at, "undo", Mood::Bad, self.named(id, format!("attempt {attempt} failed: {error}; {end}")))
            }
            Event::Undone { id, when, seen } if is_fault(id) => {
                let took = when.hi.map(|hi| format!("within {}", hi.since(when.lo).human())).unwrap_or_default();
                let seen = if seen == "verified" { "verified: it is as it was before" } else { seen };
                Line { bounds: took, ..line(at, "undone", Mood::Good, self.named(id, seen)) }
            }
            Event::CutShort(cut) => {
                line(at, "cut short", Mood::Bad, self.named(&cut.id, format!("over before it was undone: {}", cut.why)))
            }
            Event::LeftTo { id, who } => line(at, "left to", Mood::Bad, self.named(id, format!("{who}; it was not seen to be undone"))),
            Event::Recovered { id, when } => {
                let since = self.since_effect_of(id, *when);
                Line { bounds: since, ..line(at, "recovered", Mood::Good, self.named(id, format!("up for {}", stable(id)))) }
            }
            Event::NotRecovered { why, .. } => line(at, "recovered", Mood::Bad, format!("not: {why}")),
            Event::NotRun { id, why } => {
                let why = why.strip_prefix("not run: ").unwrap_or(why);
                line(at, "not run", Mood::Bad, format!("{id}: {why}"))
            }
            Event::Released { id, by } => line(at, "released", Mood::Act, self.named(id, format!("by {by}"))),
            _ => return None,
        };
        Some(told)
    }

    /// What the drill itself started.
    fn support(&mut self, entry: &Entry) -> Option<Line> {
        let at = entry.at;
        let told = match &entry.event {
            Event::Effective { id, .. } if id.starts_with("ledger/") => return None,
            Event::Effective { id, .. } => line(at, "system", Mood::Plain, format!("{} is ready", name(id))),
            Event::Undone { id, .. } if id.starts_with("ledger/") => {
                line(at, "ledger", Mood::Plain, format!("nothing is left of what {} wrote, verified", id.trim_start_matches("ledger/")))
            }
            Event::Undone { id, .. } => {
                self.stopped.push(name(id));
                return None;
            }
            Event::SystemExited { id, how } => {
                let name = name(id);
                let text = if how.starts_with(&name) { how.clone() } else { format!("{name} ended: {how}") };
                line(at, "system", Mood::Act, text)
            }
            Event::SystemRestarted { id, pid } => {
                let pid = if *pid == 0 { String::new() } else { format!(", pid {pid}") };
                line(at, "system", Mood::Plain, format!("{} was started again by its own rule{pid}", name(id)))
            }
            _ => return None,
        };
        Some(told)
    }

    /// What probes and guards saw.
    fn watched(&mut self, entry: &Entry) -> Option<Line> {
        let at = entry.at;
        match &entry.event {
            Event::Turned { probe, up, when, seen } => {
                let (mood, text) = if *up { (Mood::Good, seen.clone()) } else { (Mood::Bad, format!("failing: {seen}")) };
                Some(Line { bounds: self.since_injection(*when), ..line(at, probe, mood, text) })
            }
            Event::Guard { id, state, seen, .. } => {
                let before = self.guards.insert(id.clone(), state.clone());
                match (before.as_deref(), state.as_str()) {
                    (before, now) if before == Some(now) => None,
                    (None, "ok") => None,
                    (_, "ok") => Some(line(at, "guard", Mood::Good, format!("{id} holds again: {seen}"))),
                    (_, "no_data") => Some(line(at, "guard", Mood::Bad, format!("{id} cannot be seen: {seen}"))),
                    _ => Some(line(at, "guard", Mood::Bad, format!("{id} is breached: {seen}"))),
                }
            }
            Event::GuardBreached { id, why } => Some(line(at, "abort", Mood::Bad, format!("guard {id}: {why}; {}", self.what_now()))),
            _ => None,
        }
    }

    /// What an abort leads to.
    fn what_now(&self) -> String {
        let owed: Vec<String> = self.state.owed().filter(|(_, item)| item.role == Role::Fault).map(|(id, _)| id.clone()).collect();
        if owed.is_empty() { "no fault is in the system; stopping".to_owned() } else { format!("undoing {}", names(&owed)) }
    }

    /// How it comes to its end. `aborting`: the abort had been asked for before.
    fn end(&mut self, entry: &Entry, aborting: bool) -> Option<Line> {
        let at = entry.at;
        match &entry.event {
            Event::AbortRequested { by, .. } if aborting => {
                Some(line(at, "abort", Mood::Bad, format!("{by}, again: the undo is under way and is never skipped")))
            }
            Event::AbortRequested { by, reason } => Some(line(at, "abort", Mood::Bad, format!("{by}: {reason}; {}", self.what_now()))),
            Event::TakenOver { by, why, .. } => Some(line(at, "taken over", Mood::Bad, format!("by {by}: {why}"))),
            Event::JournalPoisoned { why } => {
                Some(line(at, "journal", Mood::Bad, format!("cannot be relied on: {why}; nothing more is injected; {}", self.what_now())))
            }
            Event::RunFinished { outcome } => {
                let stopped = std::mem::take(&mut self.stopped);
                let stopped = match stopped.as_slice() {
                    [] => String::new(),
                    [one] => format!("{one} is stopped, verified"),
                    several => format!("{} are stopped, verified", names(several)),
                };
                let (word, mood, text) = match outcome {
                    Outcome::Completed if stopped.is_empty() => return None,
                    Outcome::Completed => return Some(line(at, "system", Mood::Plain, stopped)),
                    Outcome::NotSteady => ("ended", Mood::Bad, "not steady beforehand: nothing was injected"),
                    Outcome::Aborted => ("ended", Mood::Bad, "aborted; nothing is owed"),
                    Outcome::Stuck => ("ended", Mood::Bad, "an undo failed: a fault may still be there"),
                };
                let gap = if stopped.is_empty() { "" } else { "; " };
                Some(line(at, word, mood, format!("{text}{gap}{stopped}")))
            }
            _ => None,
        }
    }

    /// What a reader of a ledger found of what was acknowledged.
    fn ledger(&self, entry: &Entry) -> Option<Line> {
        let Event::LedgerRead { ledger, reader, authority, settled, found, duplicated, unexpected, error, .. } = &entry.event else {
            return None;
        };
        let at = entry.at;
        let who = if *authority { ledger.clone() } else { format!("{ledger} at {reader}") };
        if let Some(error) = error {
            return Some(line(at, "ledger", Mood::Bad, format!("{who}: could not be read back: {error}")));
        }
        let none = Vec::new();
        let acknowledged = self.acknowledged.get(ledger).unwrap_or(&none);
        let there = |n: &u64| found.iter().any(|(from, to)| (from..=to).contains(&n));
        let missing = acknowledged.iter().filter(|n| !there(n)).count();
        let all = grouped(acknowledged.len());
        let mut text = match (missing, authority) {
            (0, true) => format!("{who}: {all} writes acknowledged, every one of them found"),
            (0, false) => format!("{who}: has all {all}"),
            (n, true) => format!("{who}: {} of {all} acknowledged writes are not there", grouped(n)),
            (n, false) => format!("{who}: lacks {} of {all}", grouped(n)),
        };
        for (count, what) in [(duplicated.len(), "found twice"), (*unexpected as usize, "that this run never wrote")] {
            if count > 0 {
                text.push_str(&format!("; {} {what}", grouped(count)));
            }
        }
        if !settled {
            text.push_str("; two reads in a row did not agree");
        }
        Some(line(at, "ledger", if missing == 0 && *settled { Mood::Good } else { Mood::Bad }, text))
    }
}

/// Trouble of our own.
fn trouble(entry: &Entry) -> Option<Line> {
    let at = entry.at;
    match &entry.event {
        Event::Stall { from, to } if to.since(*from) >= NOTABLE => {
            let text = format!("stood still for {}: no outage can be read from that time", to.since(*from).human());
            Some(line(at, "prober", Mood::Bad, text))
        }
        Event::ClockStep { by_ns } => Some(line(
            at,
            "clock",
            Mood::Bad,
            format!("wall time jumped by {}; nothing here is measured by it", Span(by_ns.unsigned_abs()).human()),
        )),
        Event::Suspended { slept } => Some(line(at, "clock", Mood::Bad, format!("the machine slept for {}", slept.human()))),
        Event::WatchdogLost {} => Some(line(at, "watchdog", Mood::Bad, "went away: nobody undoes if this process dies now")),
        Event::Note { text } => Some(line(at, "note", Mood::Plain, plain(text))),
        _ => None,
    }
}

/// A whole number with its thousands apart.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let mut out = digits[..first].to_owned();
    for chunk in digits.as_bytes()[first..].chunks(3) {
        if !out.is_empty() {
            out.push(',');
        }
        out.extend(chunk.iter().map(|digit| char::from(*digit)));
    }
    out
}
