//! The timeline for people: each line with its bounds, where its stamp comes from and the entry that proves it.

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::{Entry, Event, Outcome};

use super::episode::Recovery;
use super::facts::{LedgerFacts, Moment};
use super::read::Read;
use super::told::told;
use super::words::{bounds, grouped};

/// Standing still for less than this is told in the numbers only.
const NOTABLE: Span = Span::millis(250);

/// All moments, in order of time.
pub(super) fn timeline(read: &Read<'_>, recoveries: &IndexMap<&str, Recovery>, ledgers: &IndexMap<String, LedgerFacts>) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for entry in read.entries {
        let found = drill(read, entry)
            .or_else(|| fault(read, entry))
            .or_else(|| watched(entry))
            .or_else(|| trouble(entry))
            .or_else(|| people(entry));
        if let Some(line) = found {
            moments.push(Moment {
                at: line.bounds.map_or(entry.at, |b| b.hi.unwrap_or(b.lo)),
                bounds: line.bounds,
                what: line.what,
                text: line.text,
                source: line.source.unwrap_or_else(|| "firedrill".into()),
                seq: entry.seq,
            });
        }
        if let Event::LedgersRead {} = entry.event {
            moments.extend(ledgers.iter().map(|(id, facts)| read_back(entry, id, facts)));
        }
        if let Event::Effective { id, when, .. } = &entry.event
            && let Some(onset) = recoveries.get(id.as_str()).and_then(|r| r.onset)
            && onset.hi.is_some_and(|hi| hi < when.lo)
        {
            let early = bounds(onset.hi.map_or(Span::ZERO, |hi| when.lo.since(hi)), when.hi.map(|hi| hi.since(onset.lo)));
            moments.push(Moment {
                at: entry.at,
                bounds: None,
                what: "note".into(),
                text: format!("onset precedes effect by {early}: the impact came from elsewhere, or the effect was looked for late"),
                source: "firedrill".into(),
                seq: entry.seq,
            });
        }
    }
    moments.sort_by_key(|m| (m.at, m.seq));
    moments
}

struct Line {
    what: String,
    text: String,
    bounds: Option<Interval>,
    source: Option<String>,
}

fn line(what: &str, text: impl Into<String>) -> Option<Line> {
    Some(Line { what: what.to_owned(), text: text.into(), bounds: None, source: None })
}

fn bounded(what: &str, text: impl Into<String>, bounds: Interval) -> Option<Line> {
    line(what, text).map(|l| Line { bounds: Some(bounds), ..l })
}

/// The drill as a whole.
fn drill(read: &Read<'_>, entry: &Entry) -> Option<Line> {
    let over = read.plan.steady.over.human();
    match &entry.event {
        Event::BaselineStarted {} => line("baseline", "probes are running"),
        Event::SteadyShown { summary, .. } => line("baseline", format!("steady for {over}: {summary}")),
        Event::SteadyMissed { why } => line("baseline", format!("not steady: {why}; nothing is injected")),
        Event::SettleStarted {} => line("settle", "the last fault is undone; steady state must hold once more"),
        Event::SteadyAfter { .. } => line("settle", format!("steady for {over} after the last undo")),
        Event::NotSteadyAfter { why } => line("settle", format!("not steady after undo: {why}")),
        Event::AbortRequested { by, reason } => line("abort", format!("{by}: {reason}")),
        Event::TakenOver { by, why, .. } => line("taken over", format!("by {by}: {why}")),
        Event::TargetResolved { id, is } => line("target", format!("{id} is {}", is.join(", "))),
        Event::Restored { id, result, detail, .. } => {
            line("restore", if detail.is_empty() { format!("{id}: {result}") } else { format!("{id}: {result}, {detail}") })
        }
        Event::Note { text } => line("note", text.clone()),
        Event::RunFinished { outcome } => line(
            "finished",
            match outcome {
                Outcome::Completed => "completed",
                Outcome::NotSteady => "not steady beforehand: nothing was injected",
                Outcome::Aborted => "aborted, everything undone",
                Outcome::Stuck => "an undo failed: a fault may still be there",
            },
        ),
        _ => None,
    }
}

/// Faults and their undos.
fn fault(read: &Read<'_>, entry: &Entry) -> Option<Line> {
    let several = read.plan.faults.len() > 1;
    let support = |id: &str| id.contains('/');
    let named = |id: &str, text: String| if several || support(id) { format!("{id}: {text}") } else { text };
    match &entry.event {
        Event::Injecting { id } if !support(id) => {
            let summary = read.items.get(id.as_str()).map_or("", |i| i.summary);
            line("inject", named(id, if summary.is_empty() { "the injector is called".into() } else { summary.to_owned() }))
        }
        Event::InjectFailed { id, error } => line("inject", named(id, format!("failed: {error}"))),
        Event::Effective { id, when, seen } if !support(id) => bounded("effective", named(id, seen.clone()), *when),
        Event::NotConfirmed { id, why } => line("not confirmed", named(id, why.clone())),
        Event::Recovered { id, when } => {
            let stable = read.plan.faults.get(id.as_str()).map_or_else(String::new, |f| format!("stably up for {}", f.stable_for.human()));
            bounded("recovered", named(id, stable), *when)
        }
        Event::NotRecovered { id, why } => line("not recovered", named(id, why.clone())),
        Event::NotRun { id, why } => line("not run", format!("{id}: {why}")),
        Event::Released { id, by } => line("released", named(id, format!("by {by}"))),
        Event::Undoing { id, attempt, why } if !support(id) => {
            line("undo", named(id, if *attempt > 1 { format!("attempt {attempt}: {why}") } else { format!("begins: {why}") }))
        }
        Event::UndoFailed { id, attempt, error, last } => {
            let end = if *last { "; no more attempts by this process" } else { "" };
            line("undo failed", named(id, format!("attempt {attempt}: {error}{end}")))
        }
        Event::Undone { id, when, seen } if !support(id) => bounded("undone", named(id, seen.clone()), *when),
        Event::CutShort(cut) => line("cut short", named(&cut.id, format!("over before it was undone: {}", cut.why))),
        Event::LeftTo { id, who } => line("left to", named(id, format!("undo is left to {who}, and was not seen to happen"))),
        _ => None,
    }
}

/// What probes and guards saw.
fn watched(entry: &Entry) -> Option<Line> {
    match &entry.event {
        Event::Turned { probe, up, when, seen } => {
            let text = if *up { seen.clone() } else { format!("failing: {seen}") };
            bounded(probe, text, *when).map(|l| Line { source: Some(format!("probe {probe}")), ..l })
        }
        Event::Guard { id, state, seen, .. } if state != "ok" => {
            let state = state.replace('_', " ");
            line("guard", format!("{id} {state}: {seen}")).map(|l| Line { source: Some(format!("guard {id}")), ..l })
        }
        Event::GuardBreached { id, why } => {
            line("guard", format!("{id} breached: {why}")).map(|l| Line { source: Some(format!("guard {id}")), ..l })
        }
        Event::SystemExited { id, how } => line("system", format!("{id} ended: {how}")),
        Event::SystemRestarted { id, pid } => line("system", format!("{id} was started again, pid {pid}")),
        _ => None,
    }
}

/// What people and their machines told.
fn people(entry: &Entry) -> Option<Line> {
    let (what, text, bounds, source) = told(entry)?;
    Some(Line { what: what.to_owned(), text, bounds, source: Some(source) })
}

/// Trouble of our own.
fn trouble(entry: &Entry) -> Option<Line> {
    match &entry.event {
        Event::Stall { from, to } if to.since(*from) >= NOTABLE => {
            bounded("prober", format!("stood still for {}", to.since(*from).human()), Interval::new(*from, *to))
        }
        Event::ClockStep { by_ns } => line("clock", format!("wall time jumped by {}", Span(by_ns.unsigned_abs()).human())),
        Event::Suspended { slept } => line("clock", format!("the machine slept for {}", slept.human())),
        Event::JournalPoisoned { why } => line("journal", format!("cannot be relied on: {why}; nothing more is injected")),
        Event::WatchdogLost {} => line("watchdog", "went away"),
        _ => None,
    }
}

fn read_back(entry: &Entry, id: &str, facts: &LedgerFacts) -> Moment {
    let text = match &facts.not_read {
        Some(why) => format!("{id}: {why}"),
        None => {
            let lost = if facts.lost.is_empty() { "none lost".into() } else { format!("{} lost", grouped(facts.lost.len() as u64)) };
            format!("{id}: {} writes acknowledged, {lost}, {} of unknown outcome", grouped(facts.acknowledged), grouped(facts.unknown))
        }
    };
    let at: At = entry.at;
    Moment { at, bounds: None, what: "ledger".into(), text, source: "firedrill".into(), seq: entry.seq }
}
