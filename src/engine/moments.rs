//! Moments: when what is waited for comes, and what of the team is news. Pure; people's part is judged by `response`, live as at the end.

use std::collections::BTreeMap;

use crate::base::{At, Id};
use crate::event::TeamEvent;
use crate::plan::{Moment, Plan, Point};
use crate::response::{FaultSeen, Response, Seen, Verdict, response};
use crate::state::{ItemPhase, RunState};

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

/// Until when somebody may still do what is expected of them.
pub(super) fn waiting_for(plan: &Plan, state: &RunState, now: At) -> Option<At> {
    plan.team.as_ref()?;
    let response = so_far(plan, state, now);
    // What nothing can be said of has a reason already.
    let open = response.expectations.values().filter(|e| e.verdict == Verdict::NotObserved && e.why.is_empty());
    open.filter_map(|e| e.due).filter(|due| *due > now).max()
}

/// Whether an expectation cannot be met in time any more.
fn over(plan: &Plan, state: &RunState, id: &Id, now: At) -> bool {
    let response = so_far(plan, state, now);
    response.expectations.get(id.as_str()).is_none_or(|e| e.at.is_none() && !e.why.is_empty())
}

/// What is news about the team: expectations that were met, and hints that are due.
pub(super) fn news(plan: &Plan, state: &RunState, now: At) -> Vec<TeamEvent> {
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
    for (id, hint) in &team.hints {
        let known = hint.unless.as_ref().is_some_and(|unless| state.met.contains_key(unless.as_str()));
        if known || state.hinted.contains(id.as_str()) || state.settle_at.is_some() && hint.unless.is_none() {
            continue;
        }
        if let Reach::At(at) = reach(plan, state, &hint.at, now)
            && at <= now
        {
            out.push(TeamEvent::Hint { id: id.to_string(), say: crate::base::one_line(&hint.say, 500) });
        }
    }
    out
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
