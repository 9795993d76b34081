//! Moments: when what is waited for comes, and what of the team is news. Pure; people's part is judged by `response`, live as at the end.

use std::collections::BTreeMap;

use crate::base::{At, Id, Span, one_line};
use crate::event::TeamEvent;
use crate::plan::{HintPlan, Mode, Moment, Plan, Point, PromptPlan, TeamPlan};
use crate::response::cues::LONGEST_PAUSE;
use crate::response::{Cues, FaultSeen, Response, Seen, Verdict, response};
use crate::state::{ItemPhase, RunState};

/// Longest text of a prompt or a hint, in characters.
const SAID: usize = 500;

/// What the run has shown so far, of what matters to people.
fn seen(state: &RunState, now: At) -> Seen<'_> {
    let fault = |item: &crate::state::Item| FaultSeen { effective: item.effective, recovered: item.recovered_at, undone: item.undone_at };
    let faults: BTreeMap<String, FaultSeen> = state.items.iter().map(|(id, item)| (id.clone(), fault(item))).collect();
    Seen { stamps: state.team.iter().collect(), steady: state.steady_at, faults, until: now, open: true, cut: None }
}

/// The response as it stands.
pub fn so_far(plan: &Plan, state: &RunState, now: At) -> Response {
    response(plan, &seen(state, now))
}

/// Until when somebody may still do what is expected of them, or is still to be told something.
pub(super) fn waiting_for(plan: &Plan, state: &RunState, now: At) -> Option<At> {
    let team = plan.team.as_ref()?;
    let response = so_far(plan, state, now);
    // What nothing can be said of has a reason already.
    let open = response.expectations.values().filter(|e| e.verdict == Verdict::NotObserved && e.why.is_empty());
    let due = open.filter_map(|e| e.due).filter(|due| *due > now).max();
    // Where nobody takes part, nobody is waited for.
    let prompts = team.prompts.iter().filter(|(id, _)| !team.unattended && !response.cues.prompts.contains_key(id.as_str()));
    let told = prompts.filter_map(|(_, prompt)| cue(plan, state, &response.cues, prompt.at.as_ref()?, now)).filter(|at| *at > now).max();
    due.max(told)
}

/// Whether an expectation cannot be met in time any more.
fn over(plan: &Plan, state: &RunState, id: &Id, now: At) -> bool {
    let response = so_far(plan, state, now);
    response.expectations.get(id.as_str()).is_none_or(|e| e.at.is_none() && !e.why.is_empty())
}

/// What is news about the team: expectations that were met, and hints that are due.
pub fn news(plan: &Plan, state: &RunState, now: At) -> Vec<TeamEvent> {
    let Some(team) = &plan.team else { return Vec::new() };
    let mut out = Vec::new();
    // Nothing can have been met since nothing was told.
    if !state.team.is_empty() {
        for (id, e) in so_far(plan, state, now).expectations {
            if let Some(at) = e.at.filter(|_| !state.met.contains_key(&id)) {
                let who = e.source.unwrap_or_default();
                out.push(TeamEvent::Met { id, at: at.hi.unwrap_or(at.lo), seen: format!("{}, {who}: {}", e.what, e.why) });
            }
        }
    }
    out.extend(said_on_time(plan, team, state, now));
    out
}

/// What is due to be said to those who respond; and a pause that nobody ended.
fn said_on_time(plan: &Plan, team: &TeamPlan, state: &RunState, now: At) -> Vec<TeamEvent> {
    let cues = Cues::of(&state.team);
    let mut out = Vec::new();
    if cues.clock.paused().is_some_and(|since| now >= since + LONGEST_PAUSE) {
        out.push(TeamEvent::Resumed { by: format!("firedrill: a pause lasts {} at most", LONGEST_PAUSE.human()) });
    }
    if cues.clock.paused().is_some() {
        // Nobody listens now.
        return out;
    }
    let due = |at: Option<&Moment>| at.and_then(|at| cue(plan, state, &cues, at, now)).is_some_and(|at| at <= now);
    for (id, prompt) in team.prompts.iter().filter(|(id, _)| !cues.prompts.contains_key(id.as_str())) {
        if due(prompt.at.as_ref()) {
            out.push(prompt_event(id, prompt, None));
        }
    }
    for (id, hint) in team.hints.iter().filter(|(id, _)| !cues.hints.contains_key(id.as_str())) {
        let known = hint.unless.as_ref().is_some_and(|unless| state.met.contains_key(unless.as_str()));
        // At a tabletop nothing heals before people are done.
        let over = state.settle_at.is_some() && hint.unless.is_none() && plan.mode != Mode::Tabletop;
        if !known && !over && due(hint.at.as_ref()) {
            out.push(hint_event(id, hint, None));
        }
    }
    out
}

/// A prompt as it is said.
pub(super) fn prompt_event(id: &Id, prompt: &PromptPlan, by: Option<String>) -> TeamEvent {
    let (to, unavailable) = (prompt.to.clone(), prompt.unavailable.clone());
    TeamEvent::Prompt { id: id.to_string(), to, say: one_line(&prompt.say, SAID), unavailable, by }
}

/// A hint as it is given.
pub(super) fn hint_event(id: &Id, hint: &HintPlan, by: Option<String>) -> TeamEvent {
    TeamEvent::Hint { id: id.to_string(), say: one_line(&hint.say, SAID), by }
}

/// When something is said, by the clock of people; nothing while it is not known, or where it never is.
fn cue(plan: &Plan, state: &RunState, cues: &Cues, at: &Moment, now: At) -> Option<At> {
    let base = Moment { after: at.after.clone(), plus: Span::ZERO };
    match reach(plan, state, &base, now) {
        Reach::At(from) => Some(cues.clock.after(from, at.plus, now)),
        Reach::NotYet | Reach::Never(_) => None,
    }
}

/// When a moment comes.
pub(super) enum Reach {
    At(At),
    NotYet,
    Never(String),
}

pub(super) fn reach(plan: &Plan, state: &RunState, moment: &Moment, now: At) -> Reach {
    let item = |id: &Id| state.items.get(id.as_str());
    let skipped = |id: &Id| state.not_run.contains_key(id.as_str()).then(|| format!("{id} was not run"));
    let at = match &moment.after {
        Point::Steady => state.steady_at,
        // Nothing bites at a tabletop: what waits for it waits for calm.
        Point::Effective(_) if plan.mode == Mode::Tabletop => state.steady_at,
        Point::Prompt(id) => Cues::of(&state.team).prompts.get(id.as_str()).map(|given| given.at),
        Point::Effective(id) => {
            if let Some(why) = skipped(id).or_else(|| item(id).filter(|i| i.not_confirmed).map(|_| format!("{id} was not confirmed"))) {
                return Reach::Never(why);
            }
            item(id).and_then(|item| item.effective).and_then(|when| when.hi)
        }
        Point::Recovered(id) => {
            let missed = item(id).filter(|i| i.not_recovered_at.is_some() || i.not_confirmed).map(|_| format!("{id} has not recovered"));
            if let Some(why) = skipped(id).or(missed) {
                return Reach::Never(why);
            }
            item(id).and_then(|item| item.recovered_at)
        }
        Point::Undone(id) => {
            let stuck = item(id).filter(|i| i.gave_up || i.phase == ItemPhase::LeftTo).map(|_| format!("{id} was not seen to be undone"));
            if let Some(why) = skipped(id).or(stuck) {
                return Reach::Never(why);
            }
            item(id).and_then(|item| item.undone_at)
        }
        Point::Expectation(id) => {
            let met = state.met.get(id.as_str()).copied();
            if met.is_none() && over(plan, state, id, now) {
                return Reach::Never(format!("{id} was not met in time"));
            }
            met
        }
    };
    at.map_or(Reach::NotYet, |at| Reach::At(at + moment.plus))
}
