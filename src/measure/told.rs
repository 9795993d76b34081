//! The part of the timeline that people and their machines told.

use crate::base::Interval;
use crate::event::{AlertSeen, Deed, Entry, Event, Said, TeamEvent};

/// A line: what, in which words, when, and by whose word.
pub(super) fn told(entry: &Entry) -> Option<(&'static str, String, Option<Interval>, String)> {
    let Event::Team(event) = &entry.event else { return None };
    match event {
        TeamEvent::Said(said) => {
            let (what, text) = deed(said);
            Some((what, text, said.claimed.map(Interval::exact), format!("{}, {}", said.role, said.by)))
        }
        TeamEvent::Alert(alert) => Some(("alert", of_alert(alert), Some(alert.when), format!("{} {}", alert.kind, alert.source))),
        TeamEvent::SourceLost { source, why, .. } => {
            Some(("signals", format!("{source} cannot be heard: {why}"), None, "firedrill".into()))
        }
        TeamEvent::Acked(ack) => {
            let at = ack.acked_at.as_ref().map_or_else(String::new, |at| format!(", at {at} by its own clock"));
            Some(("page", format!("{} took {}{at}", ack.who, ack.of), Some(ack.when), format!("{} {}", ack.kind, ack.source)))
        }
        TeamEvent::Refused { source, peer, why, times } => {
            Some(("refused", format!("{source}: a call from {peer}: {why} ({times} so far)"), None, "firedrill".into()))
        }
        TeamEvent::Deaf { why } => Some(("people", format!("cannot be heard: {why}"), None, "firedrill".into())),
        TeamEvent::Hint { id, say, by } => Some(("hint", format!("{id}: {say}"), None, by_whom(by.as_ref()))),
        TeamEvent::Prompt { id, to, say, unavailable, by } => {
            let gone = unavailable.as_ref().map_or_else(String::new, |role| format!("; {role} is unavailable from here on"));
            Some(("prompt", format!("{id}, to {to}: {say}{gone}"), None, by_whom(by.as_ref())))
        }
        TeamEvent::Paused { by } => Some(("pause", "the clock of people stands still".into(), None, by.clone())),
        TeamEvent::Resumed { by } => Some(("resume", "the clock of people goes on".into(), None, by.clone())),
        TeamEvent::Blind { shown_as, .. } => Some(("blind", format!("shown as “{shown_as}”"), None, "firedrill".into())),
        TeamEvent::Revealed { by } => Some(("revealed", "those who respond may know what it is".into(), None, by.clone())),
        TeamEvent::Real { by, reason } => Some(("real", reason.clone(), None, by.clone())),
        // That something could be asked, or was met, says nothing that the rest does not.
        TeamEvent::Listening { .. } | TeamEvent::SourceReached { .. } | TeamEvent::Met { .. } => None,
    }
}

/// Who released what was said; the drill itself, where it was due.
fn by_whom(by: Option<&String>) -> String {
    by.cloned().unwrap_or_else(|| "firedrill".into())
}

fn of_alert(alert: &AlertSeen) -> String {
    let starts = alert.starts_at.as_ref().map_or_else(String::new, |at| format!(", since {at} by its own clock"));
    if alert.firing { format!("{} fires{starts}", alert.name) } else { format!("{} has ended", alert.name) }
}

fn deed(said: &Said) -> (&'static str, String) {
    match &said.deed {
        Deed::Mark { mark, text } if text.is_empty() => ("mark", mark.clone()),
        Deed::Mark { mark, text } => ("mark", format!("{mark}: {text}")),
        Deed::Answer { text, .. } => ("answer", text.clone()),
        Deed::Step { step, back_out: false } => ("step", step.clone()),
        Deed::Step { step, back_out: true } => ("step", format!("{step} is taken back")),
        Deed::Note { text } => ("note", text.clone()),
        Deed::Message { to, text } => ("message", format!("to {to}: {text}")),
        Deed::Command { line } => ("command", line.clone()),
        Deed::Handoff { to } => ("hand-off", format!("{to} is asked to take the lead")),
        Deed::Accept {} => ("hand-off", format!("{} takes the lead", said.role)),
        Deed::Reply { of: Some(of), text } => ("reply", format!("to {of}: {text}")),
        Deed::Reply { of: None, text } => ("reply", text.clone()),
    }
}
