//! What everybody may know of a drill that runs: how it is called meanwhile, its clock, what was said to those who respond, and what they said. Pure. Of
//! a blind drill nothing that is hidden, until it is revealed.

use serde::{Deserialize, Serialize};

use crate::base::{At, one_line};
use crate::event::{Deed, Said, Stamp, TeamEvent};
use crate::plan::{LEADING, Plan};
use crate::response::Cues;
use crate::state::RunState;

/// Lines that are told at most, the last ones.
const MOST: usize = 60;
/// Characters of a line.
const LONGEST: usize = 500;

/// What everybody may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// What the drill is called: its title, unless that is hidden.
    pub shown_as: String,
    /// More of it is hidden.
    pub hidden: bool,
    /// The clock of people stands still.
    pub paused: bool,
    /// It is coming to its end.
    pub ending: bool,
    /// What was said, the last of it.
    pub lines: Vec<Told>,
}

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The entry.
    pub seq: u64,
    /// When, on the run's clock.
    pub at: At,
    /// One word.
    pub what: String,
    /// In a sentence.
    pub text: String,
}

/// What may be known now; by those who lead, everything that was said.
pub fn look(plan: &Plan, state: &RunState, leads: bool) -> Look {
    let cues = Cues::of(&state.team);
    // A plan says whether it is blind before the first entry does.
    let hidden = plan.is_blind() && cues.revealed.is_none();
    let mut lines: Vec<Told> = state.team.iter().filter_map(|stamp| told(plan, stamp, leads)).collect();
    lines.drain(..lines.len().saturating_sub(MOST));
    let shown_as = if hidden && !leads { plan.shown() } else { &plan.title };
    let ending = state.abort.is_some() || state.probes_stopped || state.outcome.is_some();
    Look { shown_as: one_line(shown_as, 200), hidden, paused: cues.clock.paused().is_some(), ending, lines }
}

/// A line for everybody; nothing for what only those who lead may see.
pub fn told(plan: &Plan, stamp: &Stamp, leads: bool) -> Option<Told> {
    let (what, text) = match &stamp.event {
        TeamEvent::Said(said) => of_people(said),
        TeamEvent::Prompt { to, say, unavailable, .. } if leads || !LEADING.contains(&to.as_str()) => {
            let gone = unavailable.as_ref().map_or_else(String::new, |role| format!("; {role} is unavailable from now on"));
            ("prompt", format!("to {to}: {say}{gone}"))
        }
        // That it is said to somebody who leads is nobody's business; that a role is out is everybody's.
        TeamEvent::Prompt { unavailable: Some(role), .. } => ("people", format!("{role} is unavailable from now on")),
        TeamEvent::Hint { say, .. } => ("hint", say.clone()),
        TeamEvent::Paused { by } => ("pause", format!("the clock of people stands still ({by})")),
        TeamEvent::Resumed { by } => ("resume", format!("the clock of people goes on ({by})")),
        TeamEvent::Revealed { by } => ("revealed", format!("by {by}: {}", plan.title)),
        TeamEvent::Real { by, reason } => ("real", format!("{by}: {reason}; the drill ends and everything is undone")),
        TeamEvent::Prompt { .. }
        | TeamEvent::Listening { .. }
        | TeamEvent::Deaf { .. }
        | TeamEvent::Alert(_)
        | TeamEvent::Acked(_)
        | TeamEvent::Refused { .. }
        | TeamEvent::SourceReached { .. }
        | TeamEvent::SourceLost { .. }
        | TeamEvent::Blind { .. }
        | TeamEvent::Met { .. } => return None,
    };
    Some(Told { seq: stamp.seq, at: stamp.at, what: what.to_owned(), text: one_line(&text, LONGEST) })
}

/// What somebody said, in a word and a sentence.
pub fn of_people(said: &Said) -> (&'static str, String) {
    let role = &said.role;
    match &said.deed {
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
        Deed::Reply { of: Some(of), text } => ("reply", format!("{role} to {of}: {text}")),
        Deed::Reply { of: None, text } => ("reply", format!("{role}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest_of;
    use crate::event::{Entry, Event};
    use crate::plan::{Mode, Origin, build};
    use crate::scenario::check::sample;
    use serde_json::json;

    #[test]
    fn nothing_that_is_hidden_is_told_before_the_reveal() {
        let mut scenario = sample::scenario();
        scenario.team = Some(json!({
            "mode": "blind", "shown_as": "Exercise", "roles": { "facilitator": ["a"], "ops": ["d"] }, "expect": {},
            "prompts": { "plane": { "to": "facilitator", "say": "SECRET", "unavailable": "ops" }, "ask": { "to": "ops", "say": "Well?" } },
        }));
        let origin =
            Origin { name: "x".into(), base_dir: "/".into(), scenario_digest: digest_of(b"x"), workload_digest: None, mode: Mode::Normal };
        let plan = build(&scenario, &sample::known(), origin);
        let mut state = RunState::default();
        assert_eq!(look(&plan, &state, false).shown_as, "Exercise", "before the first entry");
        let prompt = |id: &str, to: &str, say: &str, unavailable: Option<&str>| TeamEvent::Prompt {
            id: id.into(),
            to: to.into(),
            say: say.into(),
            unavailable: unavailable.map(str::to_owned),
            by: None,
        };
        let events = [
            TeamEvent::Blind { shown_as: "Exercise".into(), apart: true, doubts: vec!["SECRET".into()] },
            TeamEvent::Met { id: "found".into(), at: At(1), seen: "SECRET".into() },
            prompt("plane", "facilitator", "SECRET", Some("ops")),
            prompt("ask", "ops", "Well?", None),
            TeamEvent::Hint { id: "look".into(), say: "Look\u{1b}[2J".into(), by: None },
        ];
        let mut seq = 0;
        let mut write = |state: &mut RunState, event: TeamEvent| {
            seq += 1;
            state.apply(&Entry { seq, at: At(seq), event: Event::Team(event) }).unwrap();
        };
        events.into_iter().for_each(|event| write(&mut state, event));
        let seen = look(&plan, &state, false);
        let text = serde_json::to_string(&seen).unwrap();
        assert!(!text.contains("SECRET") && !text.contains(&plan.title), "{text}");
        let lines: Vec<&str> = seen.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(lines, ["ops is unavailable from now on", "to ops: Well?", "Look [2J"]);
        assert!(serde_json::to_string(&look(&plan, &state, true)).unwrap().contains("SECRET"), "those who lead see it");
        write(&mut state, TeamEvent::Revealed { by: "alice".into() });
        let seen = look(&plan, &state, false);
        assert_eq!((seen.shown_as.as_str(), seen.hidden), (plan.title.as_str(), false));
    }
}
