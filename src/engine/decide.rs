//! What to do next: a pure, level-triggered function of where things are. It never looks at what just happened, so a crash, a late timer and an
//! operator's abort lead through the same few lines.

use std::collections::BTreeSet;

use super::moments::{Reach, reach, waiting_for};
use crate::base::{At, Id, Span};
use crate::event::{Outcome, Role};
use crate::plan::{Hold, Mode, Moment, Plan};
use crate::state::{Item, ItemPhase, RunState};

/// Undo attempts of one process before it gives up on an item.
pub const UNDO_ATTEMPTS: u32 = 5;

/// Something to be done. Each has a key; a key that is busy is not asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Prepare, arm and start a `system:` process or a proxy, and wait until it is ready; or arm the removal of what a ledger is about to write.
    Start(String),
    /// Look for a fault's targets without touching anything.
    Preview(Id),
    /// Capture what is tested, `before` or `after`; before, look as well whether the ledgers can be read and are empty.
    Subjects(&'static str),
    /// Start the probes and guards: baseline begins.
    StartProbes,
    /// Baseline ran out of time.
    MissSteady,
    /// Prepare, arm and inject a fault.
    Inject(Id),
    /// Wait until a fault is seen to bite.
    Confirm(Id),
    /// A fault is not run, and why.
    Skip(Id, String),
    /// The recovery limit has passed.
    MissRecovery(Id),
    /// Undo an item, attempt number, and why now.
    Undo(String, u32, String),
    /// Run a restore step.
    Restore(Id),
    /// Everything is undone: settle begins.
    StartSettle,
    /// Steady state did not come back in time.
    MissSettle,
    /// Stop and drain the probes.
    StopProbes,
    /// Read the ledgers back.
    ReadLedgers,
    /// Write the last line.
    Finish(Outcome),
}

impl Effect {
    /// The key under which the effect is busy.
    pub fn key(&self) -> String {
        match self {
            Effect::Start(id) | Effect::Undo(id, ..) => id.clone(),
            Effect::Preview(id) | Effect::Inject(id) | Effect::Confirm(id) | Effect::Skip(id, _) | Effect::MissRecovery(id) => {
                id.to_string()
            }
            Effect::Restore(id) => format!("restore/{id}"),
            Effect::Subjects(_) => "subjects".into(),
            Effect::StartProbes | Effect::MissSteady | Effect::StopProbes | Effect::MissSettle => "probes".into(),
            Effect::ReadLedgers => "ledgers".into(),
            Effect::StartSettle | Effect::Finish(_) => "run".into(),
        }
    }
}

/// What to do now, and when to ask again if nothing happens before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// To be started now, side by side.
    pub effects: Vec<Effect>,
    /// Ask again at this time.
    pub wake: Option<At>,
}

impl Decision {
    fn act(&mut self, busy: &BTreeSet<String>, effect: Effect) {
        if !busy.contains(&effect.key()) && !self.effects.iter().any(|other| other.key() == effect.key()) {
            self.effects.push(effect);
        }
    }

    fn wake_at(&mut self, at: At) {
        self.wake = Some(self.wake.map_or(at, |other| other.min(at)));
    }

    /// Whether so long has passed since then, the time that the machine has slept included; if not, asks to be woken then.
    fn passed(&mut self, state: &RunState, since: At, limit: Span, now: At) -> bool {
        self.due(since + (limit - state.slept_since(since)), now)
    }

    /// Whether the time has come; if not, asks to be woken then.
    fn due(&mut self, at: At, now: At) -> bool {
        if now >= at {
            return true;
        }
        self.wake_at(at);
        false
    }
}

/// The item of a `system:` process.
pub fn system_item(id: &Id) -> String {
    format!("system/{id}")
}

/// The item of a proxy.
pub fn proxy_item(id: &Id) -> String {
    format!("proxy/{id}")
}

/// The item of what a ledger writes.
pub fn ledger_item(id: &Id) -> String {
    format!("ledger/{id}")
}

/// What to do next. `busy` holds the keys of effects under way.
pub fn decide(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At) -> Decision {
    let mut decision = Decision::default();
    if state.outcome.is_some() && !state.taken_over {
        return decision;
    }
    let stuck = state.items.values().any(|item| item.gave_up && item.phase.owes());
    if state.abort.is_some() || stuck {
        wind_down(plan, state, busy, now, &mut decision);
    } else if state.steady_at.is_none() {
        begin(plan, state, busy, now, &mut decision);
    } else if plan.mode == Mode::Baseline {
        close(plan, state, busy, now, Outcome::Completed, &mut decision);
    } else {
        episodes(plan, state, busy, now, &mut decision);
    }
    decision
}

/// From nothing to steady state shown.
fn begin(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At, decision: &mut Decision) {
    if state.steady_missed {
        return close(plan, state, busy, now, Outcome::NotSteady, decision);
    }
    let ready = |id: &String| state.items.get(id).is_some_and(|item| item.phase == ItemPhase::Active && item.effective.is_some());
    let mut supports = plan.proxies.keys().map(proxy_item).chain(plan.system.keys().map(system_item));
    if let Some(id) = supports.find(|id| !ready(id)) {
        return decision.act(busy, Effect::Start(id));
    }
    if plan.mode == Mode::Normal {
        let unseen = plan.faults.keys().find(|id| !state.previews.contains_key(id.as_str()));
        if let Some(id) = unseen {
            return decision.act(busy, Effect::Preview(id.clone()));
        }
    }
    let unchecked = !state.ledgers_checked && plan.probes.values().any(|probe| probe.ledger);
    if state.subjects_before < plan.subject.len() || unchecked {
        return decision.act(busy, Effect::Subjects("before"));
    }
    // Seen to be empty, and owed before the first write.
    let mut ledgers = plan.probes.iter().filter(|(_, probe)| probe.clean_up).map(|(id, _)| ledger_item(id));
    if let Some(id) = ledgers.find(|id| !ready(id)) {
        return decision.act(busy, Effect::Start(id));
    }
    match state.baseline_at {
        None => decision.act(busy, Effect::StartProbes),
        Some(began) => {
            if decision.passed(state, began, plan.baseline_within, now) {
                decision.act(busy, Effect::MissSteady);
            }
        }
    }
}

/// From steady state to the end of settle.
fn episodes(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At, decision: &mut Decision) {
    let unconfirmed = state.items.iter().find(|(_, item)| item.not_confirmed).map(|(id, _)| id.clone());
    let mut open = false;
    for (id, fault) in &plan.faults {
        if plan.mode == Mode::Tabletop {
            if !state.not_run.contains_key(id.as_str()) {
                decision.act(busy, Effect::Skip(id.clone(), "tabletop: no fault is touched".into()));
                open = true;
            }
            continue;
        }
        match state.items.get(id.as_str()) {
            Some(item) => open |= live_fault(plan, state, id, item, busy, now, decision),
            None if state.not_run.contains_key(id.as_str()) => {}
            None => {
                open = true;
                match (&unconfirmed, reach(plan, state, &fault.at, now)) {
                    (Some(other), _) => {
                        decision.act(busy, Effect::Skip(id.clone(), format!("not run: {other} was not confirmed")));
                    }
                    (None, Reach::At(at)) if decision.due(at, now) => decision.act(busy, Effect::Inject(id.clone())),
                    (None, Reach::Never(why)) => decision.act(busy, Effect::Skip(id.clone(), format!("not run: {why}"))),
                    (None, Reach::At(_) | Reach::NotYet) => {}
                }
            }
        }
    }
    for (id, step) in &plan.restore {
        if state.restored.contains_key(id.as_str()) {
            continue;
        }
        match reach(plan, state, &Moment { after: step.after.clone(), plus: Span::ZERO }, now) {
            Reach::At(at) if decision.due(at, now) => {
                open = true;
                decision.act(busy, Effect::Restore(id.clone()));
            }
            Reach::At(_) | Reach::NotYet => open = true,
            Reach::Never(_) => {}
        }
    }
    if !open {
        settle(plan, state, busy, now, decision);
    }
}

/// One fault that was armed; says whether its episode is still open.
fn live_fault(plan: &Plan, state: &RunState, id: &Id, item: &Item, busy: &BTreeSet<String>, now: At, decision: &mut Decision) -> bool {
    let Some(fault) = plan.faults.get(id) else { return false };
    let undo = |decision: &mut Decision, why: String| undo_now(id.as_str(), item, busy, now, why, decision);
    match item.phase {
        ItemPhase::Undone | ItemPhase::LeftTo => {
            let judged = item.recovered_at.is_some() || item.not_recovered_at.is_some();
            let Some(effect) = item.effective.and_then(|when| when.hi) else { return false };
            if judged {
                return false;
            }
            if decision.passed(state, effect, fault.recovery_within, now) {
                decision.act(busy, Effect::MissRecovery(id.clone()));
            }
            true
        }
        ItemPhase::Armed | ItemPhase::Injecting => true,
        ItemPhase::Suspect => {
            undo(decision, "it may bite only in part".into());
            true
        }
        ItemPhase::Undoing => true,
        ItemPhase::UndoFailed => {
            undo(decision, "the last attempt failed".into());
            !item.gave_up
        }
        ItemPhase::Active => {
            let Some(effect) = item.effective.and_then(|when| when.hi) else {
                if item.not_confirmed {
                    undo(decision, "no effect was seen".into());
                } else {
                    decision.act(busy, Effect::Confirm(id.clone()));
                }
                return true;
            };
            let open = item.recovered_at.is_none() && item.not_recovered_at.is_none();
            if open && decision.passed(state, effect, fault.recovery_within, now) {
                decision.act(busy, Effect::MissRecovery(id.clone()));
            }
            let recovered = item.recovered_at.is_some();
            let over = match &fault.hold {
                Hold::Once if recovered => Some("recovered".to_owned()),
                Hold::Once => item.not_recovered_at.map(|_| "not recovered within its limit".to_owned()),
                Hold::UntilRecovered(_) if recovered => Some("recovered".to_owned()),
                Hold::UntilReleased(_) if item.released_at.is_some() => Some("released".to_owned()),
                Hold::UntilExpectation(of, _) if state.met.contains_key(of.as_str()) => Some(format!("{of} was met")),
                Hold::Time(most) | Hold::UntilRecovered(most) | Hold::UntilReleased(most) | Hold::UntilExpectation(_, most) => {
                    decision.passed(state, effect, *most, now).then(|| format!("held {}", most.human()))
                }
            };
            if let Some(why) = over {
                undo(decision, why);
            }
            true
        }
    }
}

/// Undoes an item unless an attempt is under way, it must wait, or everything was tried.
fn undo_now(id: &str, item: &Item, busy: &BTreeSet<String>, now: At, why: String, decision: &mut Decision) {
    if item.gave_up || busy.contains(id) {
        return;
    }
    let attempt = item.failed_undos + 1;
    if let Some(failed) = item.undo_failed_at {
        let wait = Span::millis(200u64 << item.failed_undos.min(5).saturating_sub(1));
        if !decision.due(failed + wait, now) {
            return;
        }
    }
    decision.act(busy, Effect::Undo(id.to_owned(), attempt, why));
}

/// Steady state once more, and until every claim's window has passed.
fn settle(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At, decision: &mut Decision) {
    let Some(began) = state.settle_at else { return decision.act(busy, Effect::StartSettle) };
    let mut waiting = false;
    if state.steady_after.is_none() {
        waiting = true;
        if decision.passed(state, began, plan.settle_within, now) {
            decision.act(busy, Effect::MissSettle);
        }
    }
    for claim in plan.claims.values() {
        let effect = state.items.get(claim.fault.as_str()).and_then(|item| item.effective).and_then(|when| when.hi);
        if let (Some(effect), Some(availability)) = (effect, &claim.availability)
            && !decision.due(effect + availability.over, now)
        {
            waiting = true;
        }
    }
    // People have the time that they were given, also when the system has long healed.
    if let Some(until) = waiting_for(plan, state, now) {
        waiting = !decision.due(until, now);
    }
    if !waiting {
        close(plan, state, busy, now, Outcome::Completed, decision);
    }
}

/// The drill is to end now.
fn wind_down(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At, decision: &mut Decision) {
    close(plan, state, busy, now, Outcome::Aborted, decision);
}

/// Undoes what is owed, faults first and side by side, then stops watching, then stops what was started, last first; then writes the last line.
fn close(plan: &Plan, state: &RunState, busy: &BTreeSet<String>, now: At, outcome: Outcome, decision: &mut Decision) {
    let why = state.abort.as_ref().map_or_else(|| "the drill ends".to_owned(), |(by, _)| format!("abort by {by}"));
    let mut pending = false;
    for (id, item) in state.owed().filter(|(_, item)| item.role == Role::Fault) {
        pending |= !item.gave_up;
        undo_now(id, item, busy, now, why.clone(), decision);
    }
    if pending || plan.faults.keys().any(|id| busy.contains(id.as_str())) || busy.iter().any(|key| key.starts_with("restore/")) {
        return;
    }
    if state.baseline_at.is_some() && !state.probes_stopped {
        return decision.act(busy, Effect::StopProbes);
    }
    if outcome == Outcome::Completed && state.settle_at.is_some() {
        if !state.ledgers_read && plan.probes.values().any(|probe| probe.ledger) {
            return decision.act(busy, Effect::ReadLedgers);
        }
        if state.subjects_after < plan.subject.len() {
            return decision.act(busy, Effect::Subjects("after"));
        }
    }
    if ["ledgers", "subjects", "probes"].iter().any(|key| busy.contains(*key)) {
        return;
    }
    let mut owed = state.owed().filter(|(_, item)| item.role == Role::Support).rev().peekable();
    let starting = busy.iter().any(|key| ["system/", "proxy/", "ledger/"].iter().any(|family| key.starts_with(family)));
    if owed.peek().is_none() && starting {
        return;
    }
    for (id, item) in owed {
        undo_now(id, item, busy, now, why.clone(), decision);
        if !item.gave_up {
            return;
        }
    }
    if state.outcome.is_none() {
        let stuck = state.owed().next().is_some();
        decision.act(busy, Effect::Finish(if stuck { Outcome::Stuck } else { outcome }));
    }
}
