//! What people and their machines told, a line each, and what is still expected of them, counting down.

use anstyle::{AnsiColor, Style as Paint};

use super::line::{Line, Look, Mood, span_clock};
use super::story::Story;
use crate::base::At;
use crate::engine::look::of_people;
use crate::engine::moments::so_far;
use crate::event::{Entry, Event, TeamEvent};
use crate::response::Verdict;

/// Expectations shown at most.
const MOST: usize = 4;

/// A line for what was told.
pub(super) fn told(entry: &Entry) -> Option<Line> {
    let Event::Team(event) = &entry.event else { return None };
    let (word, mood, text) = match event {
        TeamEvent::Said(said) => {
            let (word, text) = of_people(said);
            (word, Mood::Plain, text)
        }
        TeamEvent::Alert(alert) if alert.firing => ("alert", Mood::Act, format!("{} fires ({} {})", alert.name, alert.kind, alert.source)),
        TeamEvent::Alert(alert) => ("alert", Mood::Plain, format!("{} has ended ({} {})", alert.name, alert.kind, alert.source)),
        TeamEvent::SourceReached { source, .. } => ("signals", Mood::Plain, format!("{source} is heard")),
        TeamEvent::SourceLost { source, why, .. } => ("signals", Mood::Bad, format!("{source} cannot be heard: {why}")),
        TeamEvent::Acked(ack) => ("page", Mood::Act, format!("{} took {} ({} {})", ack.who, ack.of, ack.kind, ack.source)),
        TeamEvent::Refused { source, peer, why, times } => {
            ("refused", Mood::Plain, format!("{source}: a call from {peer}: {why} ({times} so far)"))
        }
        TeamEvent::Deaf { why } => ("people", Mood::Bad, format!("cannot be heard: {why}")),
        TeamEvent::Hint { say, by, .. } => ("hint", Mood::Act, format!("{say}{}", released(by.as_ref()))),
        TeamEvent::Prompt { to, say, unavailable, by, .. } => {
            let gone = unavailable.as_ref().map_or_else(String::new, |role| format!("; {role} is unavailable from now on"));
            ("prompt", Mood::Act, format!("to {to}: {say}{gone}{}", released(by.as_ref())))
        }
        TeamEvent::Paused { by } => ("pause", Mood::Act, format!("the clock of people stands still ({by})")),
        TeamEvent::Resumed { by } => ("resume", Mood::Act, format!("the clock of people goes on ({by})")),
        TeamEvent::Blind { shown_as, apart, doubts } => ("blind", Mood::Plain, blind(shown_as, *apart, doubts)),
        TeamEvent::Revealed { by } => ("revealed", Mood::Act, format!("by {by}: those who respond may know what it is")),
        TeamEvent::Real { by, reason } => ("real", Mood::Bad, format!("{by}: {reason}")),
        TeamEvent::Met { id, seen, .. } => ("met", Mood::Good, format!("{id}: {seen}")),
        TeamEvent::Listening { .. } => return None,
    };
    Some(Line { at: entry.at, word: word.into(), text, bounds: String::new(), mood })
}

fn released(by: Option<&String>) -> String {
    by.map_or_else(String::new, |by| format!(" (released by {by})"))
}

fn blind(shown_as: &str, apart: bool, doubts: &[String]) -> String {
    let how = if apart {
        "hidden from the accounts of those who respond"
    } else {
        "by convention: they share the account of the drill, or have none"
    };
    let doubts: String = doubts.iter().map(|doubt| format!("; {doubt}")).collect();
    format!("shown as “{shown_as}”, {how}{doubts}")
}

/// What is still expected, the soonest first.
pub(super) fn expected(story: &Story, label: usize, now: At, look: &Look) -> Vec<String> {
    if story.plan.team.is_none() || story.state.steady_at.is_none() || story.state.outcome.is_some() {
        return Vec::new();
    }
    let response = so_far(&story.plan, &story.state, now);
    let stands = if response.cues.clock.paused().is_some() { ", the clock stands still" } else { "" };
    let open = response.expectations.iter().filter(|(_, e)| e.verdict == Verdict::NotObserved && e.why.is_empty());
    let mut open: Vec<(At, String)> = open
        .filter_map(|(id, e)| {
            Some((e.due?, format!("{id}: {}{}", e.what, e.by.as_ref().map_or_else(String::new, |by| format!(" by {by}")))))
        })
        .collect();
    open.sort();
    let yellow = Paint::new().fg_color(Some(AnsiColor::Yellow.into()));
    open.iter()
        .take(MOST)
        .map(|(due, text)| look.row("expected", label, yellow, &format!("{} left{stands}  {text}", span_clock(due.since(now)))))
        .collect()
}
