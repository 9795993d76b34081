//! Random drills in a made-up world: effects run side by side in small steps, injections and undos fail half-way, operators abort and let go,
//! clocks jump, processes die at any step, and a power cut takes along every line that nobody waited for. After *every* step, whatever is broken
//! in the world must be owed by what a fresh process would read from the disk; at the end nothing is owed, or the run says that it is stuck.
//!
//! `cargo test --test interleavings` tries ten thousand; `FIREDRILL_INTERLEAVINGS=100000` as many as one likes. A failure names its seed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::collections::{BTreeSet, VecDeque};

use firedrill::base::{At, Interval, Span};
use firedrill::engine::decide::{Effect, UNDO_ATTEMPTS, decide};
use firedrill::event::{Entry, Event, Outcome, Role, UndoRecord};
use firedrill::plan::Plan;
use firedrill::state::RunState;
use serde_json::{Value, json};

/// Numbers that look like chance and come again with the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// True so many times of a thousand.
    fn permille(&mut self, n: usize) -> bool {
        self.below(1000) < n
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn plan(chance: &mut Chance) -> Plan {
    let ids = ["a", "b", "c", "d"];
    let mut faults = serde_json::Map::new();
    let count = 1 + chance.below(ids.len());
    for n in 0..count {
        let plus = chance.one(&["0s", "1s", "7s"]);
        let after = match (n, chance.below(4)) {
            (0, _) | (_, 0) => json!("steady"),
            (_, 1) => json!({ "effective": ids[chance.below(n)] }),
            (_, 2) => json!({ "recovered": ids[chance.below(n)] }),
            _ => json!({ "undone": ids[chance.below(n)] }),
        };
        let hold =
            chance.one(&[json!("once"), json!({ "time": "5s" }), json!({ "until_recovered": "9s" }), json!({ "until_released": "8s" })]);
        faults.insert(
            ids[n].into(),
            json!({
                "kind": "rehearse.nothing", "spec": {}, "at": { "after": after, "plus": plus }, "hold": hold, "confirm": null,
                "confirm_every": "50ms", "confirm_within": "5s", "recovery_within": "20s", "stable_for": "5s", "recovered_by": ["p"], "undo": null,
            }),
        );
    }
    let system: Value = if chance.permille(600) { json!({ "s": { "how": { "run": ["true"] }, "ready": null } }) } else { json!({}) };
    let proxies: Value = if chance.permille(600) { json!({ "q": { "listen": "a", "upstream": "b" } }) } else { json!({}) };
    let value = json!({
        "schema": 1, "name": "x", "base_dir": "/", "title": "x", "why": null, "owner": null, "environment": "laptop", "test": "recovery",
        "mode": "normal", "scenario_digest": "sha256:0", "workload_digest": null, "secrets": {}, "targets": {},
        "system": system, "proxies": proxies,
        "probes": { "p": { "kind": "http", "spec": {}, "rate": "20/s", "timeout": "1s", "expect": {}, "served_by": null, "control": false,
                           "in_flight": 24, "ledger": false } },
        "steady": { "over": "10s", "probes": {} }, "guards": {}, "faults": faults, "restore": {}, "claims": {}, "subject": {},
        "baseline_within": "60s", "settle_within": "60s", "reset": null, "not_judged": [], "carried": {},
    });
    serde_json::from_value(value).expect("a plan")
}

/// What a task does next.
#[derive(Debug, Clone)]
enum Step {
    /// Waits for the disk.
    Arm(String, Role),
    Tell(Box<Event>),
    /// The world is broken from here on.
    Break(String),
    /// And whole again.
    Mend(String),
}

fn tell(event: Event) -> Step {
    Step::Tell(Box::new(event))
}

/// An effect under way.
struct Task {
    key: String,
    steps: VecDeque<Step>,
}

struct World {
    plan: Plan,
    chance: Chance,
    state: RunState,
    log: Vec<Entry>,
    /// So many lines are on the disk for certain.
    durable: usize,
    now: At,
    tasks: Vec<Task>,
    broken: BTreeSet<String>,
    /// How much more may go wrong.
    troubles: usize,
    takeovers: u32,
    power_cuts: u32,
    /// Cannot be undone in this world.
    stubborn: Option<String>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let plan = plan(&mut chance);
        let troubles = chance.one(&[0, 0, 1, 2, 4, 8, 12]);
        let ids: Vec<String> = plan.faults.keys().map(ToString::to_string).collect();
        let stubborn = chance.permille(100).then(|| chance.one(&ids));
        World {
            plan,
            chance,
            state: RunState::default(),
            log: Vec::new(),
            durable: 0,
            now: At(0),
            tasks: Vec::new(),
            broken: BTreeSet::new(),
            troubles,
            takeovers: 0,
            power_cuts: 0,
            stubborn,
        }
    }

    fn trouble(&mut self, permille: usize) -> bool {
        let comes = self.troubles > 0 && self.chance.permille(permille);
        self.troubles -= usize::from(comes);
        comes
    }

    /// As the loop does it: what the table refuses is left out.
    fn record(&mut self, event: Event) {
        self.now = self.now + Span::micros(100);
        let entry = Entry { seq: self.log.len() as u64, at: self.now, event };
        if self.state.apply(&entry).is_ok() {
            self.log.push(entry);
        }
    }

    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Arm(id, role) => {
                if self.state.abort.is_some() || self.state.items.get(&id).is_some_and(|item| item.phase.owes()) {
                    return false;
                }
                let undo =
                    Box::new(UndoRecord { kind: "rehearse.nothing".into(), detail: json!({}), by_hand: "true".into(), declared: None });
                self.record(Event::Armed { id, role, undo, targets: vec!["t".into()], summary: String::new() });
                self.durable = self.log.len();
            }
            Step::Tell(event) => self.record(*event),
            Step::Break(id) => {
                self.broken.insert(id);
            }
            Step::Mend(id) => {
                self.broken.remove(&id);
            }
        }
        true
    }

    fn begin(&mut self, effect: Effect) {
        let key = effect.key();
        let when = Interval::exact(self.now);
        let steps = match effect {
            Effect::Start(id) => self.injection(id, Role::Support),
            Effect::Inject(id) => self.injection(id.to_string(), Role::Fault),
            Effect::Preview(id) => vec![tell(Event::Previewed {
                id: id.to_string(),
                targets: vec!["t".into()],
                population: None,
                summary: String::new(),
                by_hand: "true".into(),
            })],
            Effect::Confirm(id) if self.trouble(300) => vec![tell(Event::NotConfirmed { id: id.to_string(), why: "no".into() })],
            Effect::Confirm(id) => vec![tell(Event::Effective { id: id.to_string(), when, seen: String::new() })],
            Effect::Undo(id, attempt, why) => self.undo(id, attempt, why),
            Effect::StopProbes => vec![tell(Event::ProbesStopped {})],
            Effect::MissSteady => return self.record(Event::SteadyMissed { why: "no".into() }),
            Effect::MissRecovery(id) => return self.record(Event::NotRecovered { id: id.to_string(), why: "no".into() }),
            Effect::MissSettle => return self.record(Event::NotSteadyAfter { why: "no".into() }),
            Effect::Skip(id, why) => return self.record(Event::NotRun { id: id.to_string(), why }),
            Effect::StartProbes => return self.record(Event::BaselineStarted {}),
            Effect::StartSettle => return self.record(Event::SettleStarted {}),
            Effect::Finish(outcome) => return self.record(Event::RunFinished { outcome }),
            Effect::Restore(_) | Effect::Subjects(_) | Effect::ReadLedgers => unreachable!("not in these plans"),
        };
        self.tasks.push(Task { key, steps: steps.into() });
    }

    fn injection(&mut self, id: String, role: Role) -> Vec<Step> {
        let mut steps = vec![Step::Arm(id.clone(), role), tell(Event::Injecting { id: id.clone() })];
        let fails = self.trouble(200);
        if !fails || self.chance.permille(500) {
            steps.push(Step::Break(id.clone()));
        }
        if fails {
            steps.push(tell(Event::InjectFailed { id, error: "no".into() }));
            return steps;
        }
        steps.push(tell(Event::Injected { id: id.clone() }));
        if role == Role::Support {
            steps.push(tell(Event::Effective { id, when: Interval::exact(self.now), seen: String::new() }));
        }
        steps
    }

    fn undo(&mut self, id: String, attempt: u32, why: String) -> Vec<Step> {
        let mut steps = vec![tell(Event::Undoing { id: id.clone(), attempt, why })];
        let stubborn = self.stubborn.as_ref() == Some(&id);
        let fails = stubborn || self.trouble(300);
        // One that fails may have mended the world all the same.
        if !fails || (!stubborn && self.chance.permille(300)) {
            steps.push(Step::Mend(id.clone()));
        }
        steps.push(tell(if fails {
            Event::UndoFailed { id, attempt, error: "no".into(), last: attempt >= UNDO_ATTEMPTS }
        } else {
            Event::Undone { id, when: Interval::exact(self.now), seen: String::new() }
        }));
        steps
    }

    /// Something comes from outside.
    fn outside(&mut self) {
        let when = Interval::exact(self.now);
        let open = self.state.outcome.is_none();
        let ids: Vec<String> = self.plan.faults.keys().map(ToString::to_string).collect();
        let id = self.chance.one(&ids);
        match self.chance.below(6) {
            0 if open && self.state.baseline_at.is_some() && self.state.steady_at.is_none() && !self.state.steady_missed => {
                self.record(Event::SteadyShown { since: At(0), summary: String::new() });
            }
            1 if open && self.state.items.get(&id).is_some_and(|item| item.effective.is_some() && item.recovered_at.is_none()) => {
                self.record(Event::Recovered { id, when });
            }
            2 if open && self.state.settle_at.is_some() && self.state.steady_after.is_none() => {
                self.record(Event::SteadyAfter { since: At(0) });
            }
            3 if open && self.trouble(60) => self.record(Event::AbortRequested { by: "test".into(), reason: "test".into() }),
            4 if open && self.state.items.contains_key(&id) => self.record(Event::Released { id, by: "test".into() }),
            // A frozen process; a machine that slept, which the clock of the run does not count.
            5 if self.trouble(30) => match self.chance.below(2) {
                0 => self.now = self.now + Span::secs(3600),
                _ => self.record(Event::Suspended { slept: Span::secs(3600) }),
            },
            _ => {}
        }
    }

    /// A fresh process goes on with what is on the disk.
    fn die(&mut self, power_cut: bool) {
        self.tasks.clear();
        if power_cut {
            let kept = self.durable + self.chance.below(self.log.len() - self.durable + 1);
            self.log.truncate(kept);
            self.durable = self.log.len();
            self.power_cuts += 1;
        }
        self.state = RunState::of(&self.log).expect("what was written can be followed");
        if self.state.outcome.is_some() && self.state.owed().next().is_none() {
            return;
        }
        self.takeovers += 1;
        self.record(Event::TakenOver { by: "undo".into(), dropped: 0, why: "test".into() });
    }

    /// What is broken is owed by whoever reads what must be on the disk.
    fn judge_now(&self) {
        if self.broken.is_empty() {
            return;
        }
        let on_disk = RunState::of(&self.log[..self.durable]).expect("what was written can be followed");
        for id in &self.broken {
            let later_undone = self.log[self.durable..].iter().any(|e| matches!(&e.event, Event::Undone { id: other, .. } if other == id));
            let owes = on_disk.items.get(id).is_some_and(|item| item.phase.owes());
            assert!(owes && !later_undone, "{id} is broken, and the disk does not say so");
        }
    }

    fn run(&mut self) {
        for _ in 0..20_000 {
            if !self.log.is_empty() && self.trouble(8) {
                let power_cut = self.chance.permille(400);
                self.die(power_cut);
            }
            match self.chance.below(3) {
                0 if !self.tasks.is_empty() => {
                    let which = self.chance.below(self.tasks.len());
                    let goes_on = match self.tasks[which].steps.pop_front() {
                        Some(step) => self.step(step),
                        None => false,
                    };
                    if !goes_on || self.tasks[which].steps.is_empty() {
                        self.tasks.remove(which);
                    }
                }
                1 => self.outside(),
                _ => {
                    let busy: BTreeSet<String> = self.tasks.iter().map(|task| task.key.clone()).collect();
                    let decision = decide(&self.plan, &self.state, &busy, self.now);
                    let rests = decision.effects.is_empty();
                    for effect in decision.effects {
                        assert!(!busy.contains(&effect.key()), "{effect:?} while it is busy");
                        self.begin(effect);
                    }
                    if rests && self.tasks.is_empty() {
                        match decision.wake {
                            // Most of the time something comes before.
                            Some(wake) if self.chance.permille(80) => self.now = wake.max(self.now),
                            Some(_) => {}
                            None if self.state.outcome.is_some() => return,
                            None => {}
                        }
                    }
                }
            }
            self.judge_now();
        }
        panic!("no end");
    }

    fn judge(&self) -> Outcome {
        let outcome = self.state.outcome.expect("a last line");
        if outcome == Outcome::Stuck {
            for (id, item) in self.state.owed() {
                assert!(item.failed_undos >= UNDO_ATTEMPTS && !item.undo.by_hand.is_empty(), "{id} was given up too early");
            }
        } else {
            assert!(self.state.owed().next().is_none(), "{outcome:?} and yet owed");
            assert!(self.broken.is_empty(), "{outcome:?}, and still broken: {:?}", self.broken);
        }
        for (at, entry) in self.log.iter().enumerate() {
            if let Event::Injecting { id } = &entry.event {
                let armed = self.log[..at].iter().any(|before| matches!(&before.event, Event::Armed { id: other, .. } if other == id));
                assert!(armed, "{id} was injected without an undo");
            }
        }
        outcome
    }
}

#[test]
fn whatever_is_broken_is_owed_by_the_disk_at_every_step() {
    let cases: u64 = std::env::var("FIREDRILL_INTERLEAVINGS").ok().and_then(|wish| wish.parse().ok()).unwrap_or(10_000);
    let (mut stuck, mut completed, mut takeovers, mut cuts, mut injected) = (0, 0, 0, 0, 0);
    for seed in 1..=cases {
        let mut world = World::new(seed);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            world.run();
            world.judge()
        }));
        let Ok(outcome) = ended else {
            let tail: Vec<String> = world.log.iter().rev().take(40).rev().map(|entry| format!("{entry:?}")).collect();
            panic!("seed {seed}: broken {:?}, durable {}\n{}", world.broken, world.durable, tail.join("\n"));
        };
        stuck += u64::from(outcome == Outcome::Stuck);
        completed += u64::from(outcome == Outcome::Completed);
        takeovers += u64::from(world.takeovers);
        cuts += u64::from(world.power_cuts);
        injected += world.log.iter().filter(|entry| matches!(entry.event, Event::Injected { .. })).count() as u64;
    }
    println!("{cases} drills: {completed} completed, {stuck} stuck, {takeovers} taken over, {cuts} power cuts, {injected} injections");
    // A world in which nothing happens proves nothing.
    assert!(completed > cases / 10 && stuck > 0 && takeovers > cases / 10 && cuts > cases / 50 && injected > cases / 2);
}
