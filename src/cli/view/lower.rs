//! The lower lines, redrawn while a drill runs: where it is, how each probe does, what is armed and how to undo it by hand, how to stop.

use anstyle::{AnsiColor, Style as Paint};
use indexmap::IndexMap;

use super::head::undo_words;
use super::line::{Look, columns_of, cut, pad, plain, span_clock};
use super::pulse::{BUCKETS, Pulse};
use super::story::{Story, name};
use crate::base::{At, Id, Span};
use crate::event::Role;
use crate::plan::{FaultPlan, Hold, Mode, Plan, Point};
use crate::state::{Item, ItemPhase, RunState};

/// Probes shown at most; failing ones come first.
const PROBES: usize = 10;
/// Armed faults shown at most.
const ARMED: usize = 3;

/// Where the drill is: a word, since when, and what it waits for.
#[derive(Debug, PartialEq, Eq)]
struct Phase {
    word: &'static str,
    since: At,
    text: String,
}

fn phase(word: &'static str, since: At, text: impl Into<String>) -> Phase {
    Phase { word, since, text: text.into() }
}

/// All lower lines. `why_not` says what is missing to steady state.
pub(super) fn lines(story: &Story, pulses: &IndexMap<String, Pulse>, why_not: Option<&str>, now: At, look: &Look) -> Vec<String> {
    let state = &story.state;
    let mut lines = vec![String::new()];
    let label = labels(pulses);
    let phase = of(&story.plan, story, now);
    let mut text = format!("{}  {}", span_clock(now.since(phase.since)), phase.text);
    if let Some(why) = why_not {
        text.push_str(&format!("; not yet: {why}"));
    }
    lines.push(look.row(phase.word, label, Paint::new().bold(), &text));
    if state.baseline_at.is_some() && !state.probes_stopped {
        lines.extend(probes(pulses, label, now, look));
    }
    lines.extend(armed(story, label, look));
    lines.extend(super::people::expected(story, label, now, look));
    let stop = match (state.outcome, &state.abort) {
        (Some(_), _) => "",
        (None, None) => "Ctrl-C aborts and undoes",
        (None, Some(_)) => "another Ctrl-C changes nothing: the undo is never skipped",
    };
    if !stop.is_empty() {
        lines.push(look.paint(Paint::new().dimmed(), &format!("  {}", cut(stop, look.columns() - 2))));
    }
    lines
}

/// Columns of the labels.
fn labels(pulses: &IndexMap<String, Pulse>) -> usize {
    pulses.keys().map(|id| columns_of(id)).max().unwrap_or(0).clamp(8, 20) + 2
}

fn probes(pulses: &IndexMap<String, Pulse>, label: usize, now: At, look: &Look) -> Vec<String> {
    let mut shown: Vec<(&String, &Pulse)> = pulses.iter().collect();
    if shown.len() > PROBES {
        // A stable order within each sort: nothing jumps while nothing turns.
        shown.sort_by_key(|(_, pulse)| !pulse.failing());
    }
    let columns = look.columns().saturating_sub(2 + label + 34).clamp(8, BUCKETS as usize);
    let red = Paint::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let mut lines: Vec<String> = shown
        .iter()
        .take(PROBES)
        .map(|(id, pulse)| {
            let style = if pulse.failing() { red } else { Paint::new() };
            let id = pad(&plain(&cut(id, label - 2)), label);
            let words = plain(&pulse.words(now));
            let room = look.columns().saturating_sub(2 + label + columns + 2);
            let spark = sparks(&pulse.spark(now, columns as u64), look);
            format!("  {}{spark}  {}", look.paint(style, &id), look.paint(style, &cut(&words, room)))
        })
        .collect();
    if shown.len() > PROBES {
        lines.push(look.row("", label, Paint::new(), &format!("and {} more", shown.len() - PROBES)));
    }
    lines
}

/// Bars in one colour, failures in another.
fn sparks(spark: &str, look: &Look) -> String {
    let cyan = Paint::new().fg_color(Some(AnsiColor::Cyan.into()));
    let red = Paint::new().fg_color(Some(AnsiColor::Red.into()));
    let mut out = String::new();
    let mut rest = spark;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| (c == '×') != (first == '×')).unwrap_or(rest.len());
        out.push_str(&look.paint(if first == '×' { red } else { cyan }, &rest[..end]));
        rest = &rest[end..];
    }
    out
}

/// What is owed, and how it is undone.
fn armed(story: &Story, label: usize, look: &Look) -> Vec<String> {
    let owed: Vec<(&String, &Item)> = story.state.owed().filter(|(_, item)| item.role == Role::Fault).collect();
    let yellow = Paint::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
    let mut lines = Vec::new();
    for (id, item) in owed.iter().take(ARMED) {
        let how = story.plan.faults.get(id.as_str()).map(undo_words).unwrap_or_default();
        lines.push(look.row("armed", label, yellow, &format!("{id}: {}; undo: {how}", item.targets.join("; "))));
        lines.push(look.row("by hand", label, Paint::new().dimmed(), &item.undo.by_hand));
    }
    if owed.len() > ARMED {
        lines.push(look.row("", label, Paint::new(), &format!("and {} more faults are armed", owed.len() - ARMED)));
    }
    lines
}

/// Where the drill is now.
fn of(plan: &Plan, story: &Story, now: At) -> Phase {
    let state = &story.state;
    if state.outcome.is_some() {
        return phase("judge", now, "reading the journal");
    }
    if state.abort.is_some() {
        return phase("abort", story.abort_at.unwrap_or(now), owing(state));
    }
    let Some(baseline) = state.baseline_at else {
        return phase("prepare", At(0), preparing(plan, state));
    };
    if let Some(stopped) = story.stopped_at {
        let text = if plan.probes.values().any(|probe| probe.ledger) && !state.ledgers_read && state.settle_at.is_some() {
            "ledgers are read back".to_owned()
        } else {
            owing(state)
        };
        return phase("stop", stopped, text);
    }
    let Some(steady) = state.steady_at else {
        let (over, within) = (plan.steady.over.human(), plan.baseline_within.human());
        return phase("baseline", baseline, format!("it must be steady for {over}, within {within}"));
    };
    if plan.mode == Mode::Baseline {
        return phase("stop", steady, owing(state));
    }
    if let Some(settle) = state.settle_at {
        return phase("settle", settle, settling(plan, state, now));
    }
    for (id, fault) in &plan.faults {
        if let Some(item) = state.items.get(id.as_str())
            && let Some(found) = episode(id, fault, item, now)
        {
            let several = plan.faults.len() > 1 && !found.text.starts_with(id.as_str());
            return if several { Phase { text: format!("{id}: {}", found.text), ..found } } else { found };
        }
    }
    waiting(plan, state, steady, now)
}

fn preparing(plan: &Plan, state: &RunState) -> String {
    let supports = plan.proxies.keys().map(|id| format!("proxy/{id}")).chain(plan.system.keys().map(|id| format!("system/{id}")));
    let next = supports.into_iter().find(|id| state.items.get(id).is_none_or(|item| item.effective.is_none()));
    next.map_or_else(|| "looking, touching nothing".to_owned(), |id| format!("starting {}", name(&id)))
}

/// What still has to be undone or stopped.
fn owing(state: &RunState) -> String {
    let faults: Vec<_> = state.owed().filter(|(_, item)| item.role == Role::Fault).collect();
    if let Some((id, item)) = faults.first() {
        let again = if item.failed_undos > 0 { format!(", attempt {}", item.failed_undos + 1) } else { String::new() };
        return format!("undoing {id}{again}");
    }
    let Some((id, _)) = state.owed().next_back() else { return "nothing is owed any more".to_owned() };
    id.strip_prefix("ledger/").map_or_else(|| format!("stopping {}", name(id)), |ledger| format!("removing what {ledger} wrote"))
}

fn settling(plan: &Plan, state: &RunState, now: At) -> String {
    if state.steady_after.is_none() {
        return format!("it must be steady for {} once more", plan.steady.over.human());
    }
    let until = plan.claims.values().filter_map(|claim| {
        let effect = state.items.get(claim.fault.as_str())?.effective?.hi?;
        Some(effect + claim.availability?.over)
    });
    match until.max().filter(|until| *until > now) {
        Some(until) => format!("counting availability for another {}", span_clock(until.since(now))),
        None => "done".to_owned(),
    }
}

/// An episode that is open.
fn episode(id: &Id, fault: &FaultPlan, item: &Item, now: At) -> Option<Phase> {
    let since = item.command_at.unwrap_or(item.armed_at);
    let left = |until: At| span_clock(until.since(now));
    let told = match item.phase {
        ItemPhase::Armed | ItemPhase::Injecting => phase("inject", item.armed_at, format!("{id} goes in")),
        ItemPhase::Undoing => phase("undo", since, format!("{id} is being undone")),
        ItemPhase::UndoFailed => phase("undo", since, format!("{id}: {} attempts failed", item.failed_undos)),
        ItemPhase::Suspect => phase("undo", since, format!("{id} may bite in part; it is undone at once")),
        ItemPhase::Active => match item.effective.and_then(|when| when.hi) {
            None if item.not_confirmed => phase("undo", since, format!("{id}: no effect was seen")),
            None => phase("confirm", since, format!("{id}: looking for its effect, {} left", left(since + fault.confirm_within))),
            Some(effect) => phase("fault", since, held(fault, item, effect, now)),
        },
        ItemPhase::Undone | ItemPhase::LeftTo => {
            let effect = item.effective.and_then(|when| when.hi)?;
            if item.recovered_at.is_some() || item.not_recovered_at.is_some() {
                return None;
            }
            phase("recover", since, format!("{id} is undone; recovery has {} left", left(effect + fault.recovery_within)))
        }
    };
    Some(told)
}

/// What a fault that bites waits for.
fn held(fault: &FaultPlan, item: &Item, effect: At, now: At) -> String {
    let left = |span: Span| span_clock((effect + span).since(now));
    let recovery = if item.recovered_at.is_none() && item.not_recovered_at.is_none() {
        let by = fault.recovered_by.iter().map(Id::as_str).collect::<Vec<_>>().join(", ");
        format!("{by} must be back for {}; {} left", fault.stable_for.human(), left(fault.recovery_within))
    } else {
        "judged".to_owned()
    };
    match &fault.hold {
        Hold::Once => recovery,
        Hold::Time(most) => format!("held for another {}; {recovery}", left(*most)),
        Hold::UntilRecovered(most) => format!("held until recovered, at most {}; {recovery}", left(*most)),
        Hold::UntilReleased(most) => format!("held until released, at most {}; {recovery}", left(*most)),
        Hold::UntilExpectation(what, most) => format!("held until {what}, at most {}; {recovery}", left(*most)),
    }
}

/// Between episodes.
fn waiting(plan: &Plan, state: &RunState, steady: At, now: At) -> Phase {
    let next = plan.faults.iter().find(|(id, _)| !state.items.contains_key(id.as_str()) && !state.not_run.contains_key(id.as_str()));
    let Some((id, fault)) = next else {
        let step = plan.restore.keys().find(|id| !state.restored.contains_key(id.as_str()));
        return phase("restore", steady, step.map_or_else(|| "done".to_owned(), |id| format!("{id} runs")));
    };
    let item = |id: &Id| state.items.get(id.as_str());
    let at = match &fault.at.after {
        Point::Steady => Some(steady),
        Point::Effective(id) => item(id).and_then(|item| item.effective).and_then(|when| when.hi),
        Point::Recovered(id) => item(id).and_then(|item| item.recovered_at),
        Point::Undone(id) => item(id).and_then(|item| item.undone_at),
        Point::Expectation(_) | Point::Prompt(_) => None,
    };
    let text = match at {
        Some(at) => format!("{id} is injected in {}", span_clock((at + fault.at.plus).since(now))),
        None => format!("{id} waits for its moment"),
    };
    phase("steady", steady, text)
}
