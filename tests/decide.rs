//! The whole of a drill without a clock: `decide` is stepped by hand through a made-up world in which injections fail, undos fail, operators
//! abort and processes die at every point. Nothing may be owed at the end, unless the run says that it is stuck.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::collections::BTreeSet;

use firedrill::base::{At, Interval, Span};
use firedrill::engine::decide::{Effect, UNDO_ATTEMPTS, decide};
use firedrill::event::{Entry, Event, Outcome, Role, UndoRecord};
use firedrill::plan::Plan;
use firedrill::state::{ItemPhase, RunState};
use proptest::prelude::*;
use serde_json::json;

fn plan(faults: &[(&str, serde_json::Value, serde_json::Value)]) -> Plan {
    let faults: serde_json::Map<String, serde_json::Value> = faults
        .iter()
        .map(|(id, at, hold)| {
            let fault = json!({
                "kind": "rehearse.nothing", "spec": {}, "at": at, "hold": hold, "confirm": null, "confirm_every": "50ms",
                "confirm_within": "5s", "recovery_within": "20s", "stable_for": "5s", "recovered_by": ["p"], "undo": null,
            });
            ((*id).to_owned(), fault)
        })
        .collect();
    let value = json!({
        "schema": 1, "name": "x", "base_dir": "/", "title": "x", "why": null, "owner": null, "environment": "laptop", "test": "recovery",
        "mode": "normal", "scenario_digest": "sha256:0", "workload_digest": null, "secrets": {}, "targets": {},
        "system": { "s": { "how": { "run": ["true"] }, "ready": null } },
        "proxies": { "q": { "listen": "a", "upstream": "b" } },
        "probes": { "p": { "kind": "http", "spec": {}, "rate": "20/s", "timeout": "1s", "expect": {}, "served_by": null, "control": false,
                           "in_flight": 24, "ledger": false },
                    "l": { "kind": "ledger.http", "spec": {}, "rate": "20/s", "timeout": "1s", "expect": {}, "served_by": null, "control": false,
                           "in_flight": 24, "ledger": true, "clean_up": true } },
        "steady": { "over": "10s", "probes": {} }, "guards": {}, "faults": faults, "restore": {}, "claims": {}, "subject": {},
        "baseline_within": "60s", "settle_within": "60s", "reset": null, "not_judged": [], "carried": {},
    });
    serde_json::from_value(value).expect("a plan")
}

fn steady(plus: &str) -> serde_json::Value {
    json!({ "after": "steady", "plus": plus })
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Trouble {
    /// Steps after which the process dies; a fresh one takes over.
    crash_at: Option<usize>,
    /// Steps after which somebody aborts.
    abort_at: Option<usize>,
    /// Every injection fails.
    inject_fails: bool,
    /// The first so many undo attempts of each fault fail.
    undo_fails: u32,
    /// No effect is ever seen.
    never_effective: bool,
    /// It never recovers.
    never_recovers: bool,
    /// Steady state is never shown.
    never_steady: bool,
}

struct World {
    plan: Plan,
    state: RunState,
    log: Vec<Entry>,
    now: At,
    trouble: Trouble,
    injected: BTreeSet<String>,
    undo_failures: std::collections::BTreeMap<String, u32>,
}

impl World {
    fn record(&mut self, event: Event) {
        let entry = Entry { seq: self.log.len() as u64, at: self.now, event };
        self.state.apply(&entry).unwrap_or_else(|illegal| panic!("{illegal}\n{:#?}", self.log));
        self.log.push(entry);
        self.now = self.now + Span::millis(1);
    }

    fn arm(&mut self, id: &str, role: Role) {
        let undo = Box::new(UndoRecord { kind: "rehearse.nothing".into(), detail: json!({}), by_hand: "true".into(), declared: None });
        self.record(Event::Armed { id: id.into(), role, undo, targets: vec!["t".into()], summary: String::new() });
        self.record(Event::Injecting { id: id.into() });
    }

    fn effect(&mut self, effect: Effect) {
        let when = Interval::exact(self.now);
        match effect {
            Effect::Start(id) => {
                self.arm(&id, Role::Support);
                self.injected.insert(id.clone());
                self.record(Event::Injected { id: id.clone() });
                self.record(Event::Effective { id, when, seen: String::new() });
            }
            Effect::Preview(id) => self.record(Event::Previewed {
                id: id.to_string(),
                targets: vec!["t".into()],
                population: None,
                summary: String::new(),
                by_hand: "true".into(),
            }),
            Effect::Inject(id) => {
                assert!(self.state.abort.is_none(), "nothing is injected after an abort");
                self.arm(id.as_str(), Role::Fault);
                self.injected.insert(id.to_string());
                if self.trouble.inject_fails {
                    self.record(Event::InjectFailed { id: id.to_string(), error: "no".into() });
                } else {
                    self.record(Event::Injected { id: id.to_string() });
                }
            }
            Effect::Confirm(id) if self.trouble.never_effective => {
                self.record(Event::NotConfirmed { id: id.to_string(), why: "no".into() })
            }
            Effect::Confirm(id) => {
                self.record(Event::Effective { id: id.to_string(), when, seen: String::new() });
                if !self.trouble.never_recovers {
                    self.record(Event::Recovered { id: id.to_string(), when });
                }
            }
            Effect::Undo(id, attempt, why) => {
                self.record(Event::Undoing { id: id.clone(), attempt, why });
                let failed = self.undo_failures.entry(id.clone()).or_default();
                if *failed < self.trouble.undo_fails {
                    *failed += 1;
                    self.record(Event::UndoFailed { id, attempt, error: "no".into(), last: attempt >= UNDO_ATTEMPTS });
                } else {
                    self.injected.remove(&id);
                    self.record(Event::Undone { id, when, seen: String::new() });
                }
            }
            Effect::MissSteady => self.record(Event::SteadyMissed { why: "no".into() }),
            Effect::MissRecovery(id) => self.record(Event::NotRecovered { id: id.to_string(), why: "no".into() }),
            Effect::MissSettle => self.record(Event::NotSteadyAfter { why: "no".into() }),
            Effect::Skip(id, why) => self.record(Event::NotRun { id: id.to_string(), why }),
            Effect::StartProbes => {
                self.record(Event::BaselineStarted {});
                if !self.trouble.never_steady {
                    self.record(Event::SteadyShown { since: At(0), summary: String::new() });
                }
            }
            Effect::StartSettle => {
                self.record(Event::SettleStarted {});
                self.record(Event::SteadyAfter { since: At(0) });
            }
            Effect::StopProbes => self.record(Event::ProbesStopped {}),
            Effect::Finish(outcome) => self.record(Event::RunFinished { outcome }),
            Effect::Subjects(_) => self.record(Event::LedgersChecked {}),
            Effect::ReadLedgers => self.record(Event::LedgersRead {}),
            Effect::Restore(_) => unreachable!("not in these plans"),
        }
    }

    /// Steps until nothing is left to do; returns the number of steps.
    fn run(&mut self) -> usize {
        for step in 0..2_000 {
            if self.trouble.abort_at == Some(step) && self.state.outcome.is_none() {
                self.record(Event::AbortRequested { by: "test".into(), reason: "test".into() });
            }
            if self.trouble.crash_at == Some(step) {
                self.record(Event::TakenOver { by: "undo".into(), dropped: 0, why: "test".into() });
            }
            let decision = decide(&self.plan, &self.state, &BTreeSet::new(), self.now);
            match (decision.effects.into_iter().next(), decision.wake) {
                (Some(effect), _) => self.effect(effect),
                (None, Some(wake)) => self.now = wake.max(self.now),
                (None, None) => return step,
            }
        }
        panic!("no end: {:#?}", self.log.iter().rev().take(20).collect::<Vec<_>>());
    }
}

fn world(plan: &Plan, trouble: Trouble) -> World {
    World {
        plan: plan.clone(),
        state: RunState::default(),
        log: Vec::new(),
        now: At(0),
        trouble,
        injected: BTreeSet::new(),
        undo_failures: Default::default(),
    }
}

fn judge(world: &World) {
    let owed: Vec<_> = world.state.owed().map(|(id, _)| id.clone()).collect();
    let outcome = world.state.outcome.expect("a last line");
    if outcome == Outcome::Stuck {
        for (id, item) in world.state.owed() {
            assert!(item.failed_undos >= UNDO_ATTEMPTS, "{id} was given up too early");
            assert!(!item.undo.by_hand.is_empty());
        }
    } else {
        assert!(owed.is_empty(), "{outcome:?} and yet owed: {owed:?}");
        assert!(world.injected.is_empty(), "still in the world: {:?}", world.injected);
    }
    // An undo is never older than its injection, and nothing is injected without being armed.
    for (at, entry) in world.log.iter().enumerate() {
        if let Event::Injecting { id } = &entry.event {
            let armed = world.log[..at].iter().any(|before| matches!(&before.event, Event::Armed { id: other, .. } if other == id));
            assert!(armed, "{id} was injected without an undo");
        }
    }
    // What is written is owed before it is, and removed while what was started still runs.
    let first = |is: &dyn Fn(&Event) -> bool| world.log.iter().position(|entry| is(&entry.event));
    let undone = |of: &'static str| first(&move |event| matches!(event, Event::Undone { id, .. } if id == of));
    if let Some(began) = first(&|event| matches!(event, Event::BaselineStarted {})) {
        assert!(first(&|event| matches!(event, Event::Armed { id, .. } if id == "ledger/l")).is_some_and(|armed| armed < began));
    }
    if let (Some(stopped), true) = (undone("system/s"), world.log.iter().any(|entry| matches!(entry.event, Event::BaselineStarted {})))
        && world.trouble.undo_fails < UNDO_ATTEMPTS
    {
        assert!(undone("ledger/l").is_some_and(|removed| removed < stopped), "the system was stopped first");
    }
}

fn plans() -> Vec<Plan> {
    vec![
        plan(&[("a", steady("1s"), json!("once"))]),
        plan(&[("a", steady("0s"), json!({ "time": "5s" })), ("b", json!({ "after": { "undone": "a" }, "plus": "2s" }), json!("once"))]),
        plan(&[
            ("a", steady("1s"), json!({ "until_recovered": "9s" })),
            ("b", steady("2s"), json!({ "until_released": "3s" })),
            ("c", json!({ "after": { "recovered": "a" }, "plus": "0s" }), json!("once")),
        ]),
    ]
}

#[test]
fn whatever_dies_or_fails_nothing_is_owed_or_the_run_says_stuck() {
    let mut trials = 0;
    let mut stuck = 0;
    for plan in plans() {
        let steps = world(&plan, Trouble::default()).run() + 12;
        for crash in (0..steps).map(Some).chain([None]) {
            for abort in (0..steps).step_by(2).map(Some).chain([None]) {
                for undo_fails in [0, 1, 2, UNDO_ATTEMPTS] {
                    for flags in 0..16u8 {
                        let trouble = Trouble {
                            crash_at: crash,
                            abort_at: abort,
                            inject_fails: flags & 1 != 0,
                            never_effective: flags & 2 != 0,
                            never_recovers: flags & 4 != 0,
                            never_steady: flags & 8 != 0,
                            undo_fails,
                        };
                        let mut world = world(&plan, trouble);
                        world.run();
                        judge(&world);
                        trials += 1;
                        stuck += usize::from(world.state.outcome == Some(Outcome::Stuck));
                    }
                }
            }
        }
    }
    assert!(trials > 20_000, "only {trials} trials");
    assert!(stuck > 0 && stuck < trials / 2, "{stuck} of {trials} were stuck");
}

#[test]
fn an_untroubled_drill_completes_and_undoes_in_order() {
    let plan = &plans()[1];
    let mut world = world(plan, Trouble::default());
    world.run();
    assert_eq!(world.state.outcome, Some(Outcome::Completed));
    let undone: Vec<&str> = world
        .log
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Undone { id, .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        undone,
        ["a", "b", "ledger/l", "system/s", "proxy/q"],
        "faults first, then what was written, then what was started, last first"
    );
}

#[test]
fn not_steady_injects_nothing() {
    let mut world = world(&plans()[0], Trouble { never_steady: true, ..Trouble::default() });
    world.run();
    assert_eq!(world.state.outcome, Some(Outcome::NotSteady));
    assert!(world.state.items.values().all(|item| item.role == Role::Support));
}

#[test]
fn an_unconfirmed_fault_is_undone_and_later_ones_are_not_run() {
    let mut world = world(&plans()[1], Trouble { never_effective: true, ..Trouble::default() });
    world.run();
    assert_eq!(world.state.outcome, Some(Outcome::Completed));
    assert_eq!(world.state.items["a"].phase, ItemPhase::Undone);
    assert!(world.state.not_run.contains_key("b"));
}

#[test]
fn a_fault_waits_for_its_time() {
    let plan = &plans()[0];
    let mut world = world(plan, Trouble::default());
    while world.state.steady_at.is_none() {
        let decision = decide(plan, &world.state, &BTreeSet::new(), world.now);
        world.effect(decision.effects.into_iter().next().unwrap());
    }
    let due = world.state.steady_at.unwrap() + Span::secs(1);
    let early = decide(plan, &world.state, &BTreeSet::new(), At(due.0 - 1));
    assert!(early.effects.is_empty());
    assert_eq!(early.wake, Some(due));
    assert_eq!(decide(plan, &world.state, &BTreeSet::new(), due).effects, [Effect::Inject("a".parse().unwrap())]);
}

/// Holds are in real time: a fault that was to last seconds must not wait for a laptop to be awake for as long.
#[test]
fn a_machine_that_slept_through_the_end_of_a_fault_undoes_it_at_once() {
    let plan = &plans()[1];
    let mut world = world(plan, Trouble::default());
    let id = plan.faults.keys().next().unwrap();
    while world.state.items.get(id.as_str()).is_none_or(|item| item.effective.is_none()) {
        let decision = decide(plan, &world.state, &BTreeSet::new(), world.now);
        match decision.effects.into_iter().next() {
            Some(effect) => world.effect(effect),
            None => world.now = decision.wake.unwrap(),
        }
    }
    let bites = |world: &World| decide(plan, &world.state, &BTreeSet::new(), world.now);
    let before = bites(&world);
    assert!(before.effects.is_empty(), "{before:?}");
    world.record(Event::Suspended { slept: Span::secs(1) });
    let shorter = bites(&world);
    assert_eq!(before.wake.unwrap().since(shorter.wake.unwrap()), Span::secs(1), "one second less is left");
    world.record(Event::Suspended { slept: Span::secs(3600) });
    assert!(matches!(bites(&world).effects.as_slice(), [Effect::MissRecovery(_) | Effect::Undo(..), ..]), "{:?}", bites(&world));
    while world.state.items[id.as_str()].phase.owes() {
        let effect = bites(&world).effects.into_iter().next().expect("nothing has to be waited for");
        world.effect(effect);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_busy_item_is_never_asked_for_again(steps in 0usize..40, crash in proptest::option::of(0usize..40)) {
        let plan = &plans()[2];
        let mut world = world(plan, Trouble { crash_at: crash, ..Trouble::default() });
        for step in 0..steps {
            if world.trouble.crash_at == Some(step) {
                world.record(Event::TakenOver { by: "undo".into(), dropped: 0, why: "test".into() });
            }
            let decision = decide(plan, &world.state, &BTreeSet::new(), world.now);
            let keys: Vec<String> = decision.effects.iter().map(Effect::key).collect();
            let unique: BTreeSet<&String> = keys.iter().collect();
            prop_assert_eq!(unique.len(), keys.len());
            let busy: BTreeSet<String> = keys.iter().cloned().collect();
            let again = decide(plan, &world.state, &busy, world.now);
            prop_assert!(again.effects.iter().all(|effect| !busy.contains(&effect.key())));
            match (decision.effects.into_iter().next(), decision.wake) {
                (Some(effect), _) => world.effect(effect),
                (None, Some(wake)) => world.now = wake.max(world.now),
                (None, None) => break,
            }
        }
    }
}
