//! A blind drill on a screen that those who respond see: what it is called, its clock, what was said; until it is revealed, or over.

use anstyle::Style as Paint;

use super::line::{Line, Look, Mood, plain, span_clock};
use crate::base::At;
use crate::engine::look;
use crate::event::{Entry, Event, Stamp, TeamEvent};
use crate::plan::Plan;
use crate::response::Cues;
use crate::state::RunState;

/// The head.
pub(super) fn opening(plan: &Plan, run: &str, look: &Look) -> Vec<String> {
    let title = look.paint(Paint::new().bold(), &plain(plan.shown()));
    let dim = Paint::new().dimmed();
    vec![
        String::new(),
        format!("  {title}"),
        look.row("run", 9, dim, run),
        look.row("about", 9, dim, "told when it is over, or revealed"),
        look.row("real?", 9, dim, &format!("firedrill stop --real {run}")),
        String::new(),
    ]
}

/// Whether everybody may see everything from here on.
pub(super) fn is_lifted_by(entry: &Entry) -> bool {
    matches!(entry.event, Event::Team(TeamEvent::Revealed { .. }) | Event::RunFinished { .. })
}

/// What may be seen of an entry.
pub(super) fn line(plan: &Plan, entry: &Entry) -> Option<Line> {
    let (word, mood, text) = match &entry.event {
        Event::Team(event) => {
            let stamp = Stamp { seq: entry.seq, at: entry.at, event: event.clone() };
            let told = look::told(plan, &stamp, false)?;
            (told.what, Mood::Plain, told.text)
        }
        Event::AbortRequested { .. } | Event::GuardBreached { .. } | Event::TakenOver { .. } => {
            ("abort".to_owned(), Mood::Bad, "the drill ends, and everything is undone".to_owned())
        }
        _ => return None,
    };
    Some(Line { at: entry.at, word, text, bounds: String::new(), mood })
}

/// The lower lines: the clock, and how to stop.
pub(super) fn lower(state: &RunState, now: At, look: &Look) -> Vec<String> {
    let bold = Paint::new().bold();
    let what = match (&state.abort, state.probes_stopped) {
        (Some(_), _) | (None, true) => "it comes to its end",
        (None, false) => "it goes on",
    };
    let paused = if Cues::of(&state.team).clock.paused().is_some() { "; the clock of people stands still" } else { "" };
    vec![String::new(), look.row("drill", 10, bold, &format!("{}  {what}{paused}", span_clock(crate::base::Span(now.0))))]
}
