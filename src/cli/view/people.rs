//! What people and their machines told, a line each, and what is still expected of them, counting down.

use anstyle::{AnsiColor, Style as Paint};

use super::line::{Line, Look, Mood, span_clock};
use super::story::Story;
use crate::base::At;
use crate::engine::moments::so_far;
use crate::event::{Deed, Entry, Event, Said, TeamEvent};
use crate::response::Verdict;

/// Expectations shown at most.
const MOST: usize = 4;

/// A line for what was told.
pub(super) fn told(entry: &Entry) -> Option<Line> {
    let Event::Team(event) = &entry.event else { return None };
    let (word, mood, text) = match event {
        TeamEvent::Said(said) => of_people(said),
        TeamEvent::Alert(alert) if alert.firing => ("alert", Mood::Act, format!("{} fires ({} {})", alert.name, alert.kind, alert.source)),
        TeamEvent::Alert(alert) => ("alert", Mood::Plain, format!("{} has ended ({} {})", alert.name, alert.kind, alert.source)),
        TeamEvent::SourceReached { source, .. } => ("signals", Mood::Plain, format!("{source} is heard")),
        TeamEvent::SourceLost { source, why, .. } => ("signals", Mood::Bad, format!("{source} cannot be heard: {why}")),
        TeamEvent::Acked(ack) => ("page", Mood::Act, format!("{} took {} ({} {})", ack.who, ack.of, ack.kind, ack.source)),
        TeamEvent::Refused { source, peer, why, times } => {
            ("refused", Mood::Plain, format!("{source}: a call from {peer}: {why} ({times} so far)"))
        }
        TeamEvent::Deaf { why } => ("people", Mood::Bad, format!("cannot be heard: {why}")),
        TeamEvent::Hint { say, .. } => ("hint", Mood::Act, say.clone()),
        TeamEvent::Met { id, seen, .. } => ("met", Mood::Good, format!("{id}: {seen}")),
        TeamEvent::Listening { .. } => return None,
    };
    Some(Line { at: entry.at, word: word.into(), text, bounds: String::new(), mood })
}

fn of_people(said: &Said) -> (&'static str, Mood, String) {
    let role = &said.role;
    let (word, text) = match &said.deed {
        Deed::Mark { mark, text } if text.is_empty() => ("mark", format!("{role}: {mark}")),
        Deed::Mark { mark, text } => ("mark", format!("{role}: {mark}, {text}")),
        Deed::Answer { text, .. } => ("answer", format!("{role}: {text}")),
        Deed::Step { step, back_out: false } => ("step", format!("{role}: {step}")),
        Deed::Step { step, back_out: true } => ("step", format!("{role}: {step} is taken back")),
        Deed::Note { text } => ("note", format!("{role}: {text}")),
        Deed::Message { to, text } => ("message", format!("{role} to {to}: {text}")),
        Deed::Command { line } => ("command", format!("{role}: {line}")),
        Deed::Handoff { to } => ("hand-off", format!("{role} asks {to} to take the lead")),
        Deed::Accept {} => ("hand-off", format!("{role} takes the lead")),
    };
    (word, Mood::Plain, text)
}

/// What is still expected, the soonest first.
pub(super) fn expected(story: &Story, label: usize, now: At, look: &Look) -> Vec<String> {
    if story.plan.team.is_none() || story.state.steady_at.is_none() || story.state.outcome.is_some() {
        return Vec::new();
    }
    let response = so_far(&story.plan, &story.state, now);
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
        .map(|(due, text)| look.row("expected", label, yellow, &format!("{} left  {text}", span_clock(due.since(now)))))
        .collect()
}
