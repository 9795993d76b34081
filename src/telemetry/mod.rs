//! A run as Prometheus metrics: a fold over journal entries, told as text at any moment. What a drill measures is measured elsewhere and only counted
//! here; what is judged is taken from the judgement. It must never know sockets, files or clocks.

mod items;
mod labels;
pub mod names;
mod probes;
mod team;
mod verdicts;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::items::Items;
use self::labels::{Labels, Sort};
use self::probes::Probes;
use self::team::Team;
use self::write::Page;
use crate::base::{At, Span};
use crate::event::{Entry, Event, Outcome};
use crate::measure::facts::Facts;
use crate::plan::{Environment, Mode, Plan, TestKind};
use crate::score::Score;
use crate::state::RunState;

pub use labels::{MOST, OTHER};
pub use probes::{ANSWER_BOUNDS, OWN_BOUNDS};

/// Media type of the text, as scrapers expect it.
pub const MEDIA_TYPE: &str = prometheus::TEXT_FORMAT;

/// How to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Nobody may learn from labels what is drilled: numbers stand in the place of ids, and no name of the scenario or kind of a fault is told.
    pub hide: bool,
}

/// One run, as far as its journal was told.
#[derive(Debug, Clone)]
pub struct Telemetry {
    plan: Arc<Plan>,
    labels: Labels,
    state: RunState,
    run: String,
    started_at: Option<f64>,
    now: At,
    entries: u64,
    items: Items,
    probes: Probes,
    team: Team,
    guards: BTreeMap<String, (String, u64)>,
    prober: Prober,
    watchdog: Option<bool>,
    judged: Option<Box<(Facts, Score)>>,
}

/// What is known of the prober's own health, and of the machine's clocks.
#[derive(Debug, Clone, Default)]
struct Prober {
    stalls: u64,
    stalled: Span,
    waited: Span,
    clock_steps: u64,
    suspended: Span,
}

impl Telemetry {
    /// A run of which nothing was told yet.
    pub fn new(plan: Arc<Plan>, options: Options) -> Telemetry {
        Telemetry {
            labels: Labels::new(&plan, options.hide),
            state: RunState::default(),
            run: String::new(),
            started_at: None,
            now: At(0),
            entries: 0,
            items: Items::default(),
            probes: Probes::new(&plan),
            team: Team::default(),
            guards: plan.guards.keys().map(|id| (id.to_string(), (String::new(), 0))).collect(),
            prober: Prober::default(),
            watchdog: None,
            judged: None,
            plan,
        }
    }

    /// A run that is over, from its journal and what it was judged to be.
    pub fn of(plan: Arc<Plan>, entries: &[Entry], facts: Facts, score: Score, options: Options) -> Telemetry {
        let mut telemetry = Telemetry::new(plan, options);
        entries.iter().for_each(|entry| telemetry.entry(entry));
        telemetry.judged(facts, score);
        telemetry
    }

    /// Takes one entry in.
    pub fn entry(&mut self, entry: &Entry) {
        self.now = self.now.max(entry.at);
        self.entries = self.entries.max(entry.seq + 1);
        // What may not follow what went before moves nothing.
        if self.state.apply(entry).is_err() {
            return;
        }
        match &entry.event {
            Event::RunStarted { run, .. } => self.run.clone_from(run),
            Event::Anchor(anchor) if self.started_at.is_none() => {
                let wall: Option<jiff::Timestamp> = anchor.wall.parse().ok();
                self.started_at = wall.map(|wall| wall.as_nanosecond() as f64 / 1e9 - Span(entry.at.0).as_secs_f64());
            }
            Event::Undoing { id, .. } => self.items.undoing(id),
            Event::UndoFailed { id, .. } => self.items.undo_failed(id),
            Event::Samples { probe, rows } => self.probes.samples(probe, rows),
            Event::Quiet { probe, run } => self.probes.quiet(probe, run),
            Event::Turned { probe, up, when, .. } => self.probes.turned(probe, *up, *when),
            Event::Guard { id, state, .. } => self.guard(id, |guard| guard.0.clone_from(state)),
            Event::GuardBreached { id, .. } => self.guard(id, |guard| guard.1 += 1),
            Event::Stall { from, to } => {
                self.prober.stalls += 1;
                self.prober.stalled = self.prober.stalled + to.since(*from);
            }
            Event::Contended(contended) => self.prober.waited = self.prober.waited + contended.waited,
            Event::ClockStep { .. } => self.prober.clock_steps += 1,
            Event::Suspended { slept } => self.prober.suspended = self.prober.suspended + *slept,
            Event::WatchdogStarted { .. } => self.watchdog = Some(true),
            Event::WatchdogLost {} => self.watchdog = Some(false),
            Event::Team(event) => self.team.event(event),
            _ => {}
        }
    }

    fn guard(&mut self, id: &str, change: impl FnOnce(&mut (String, u64))) {
        // A guard that the plan does not know is none.
        if let Some(guard) = self.guards.get_mut(id) {
            change(guard);
        }
    }

    /// The run was judged.
    pub fn judged(&mut self, facts: Facts, score: Score) {
        self.judged = Some(Box::new((facts, score)));
    }

    /// Whether it was.
    pub fn is_judged(&self) -> bool {
        self.judged.is_some()
    }

    /// The scenario, as labels call it.
    pub fn scenario(&self) -> &str {
        &self.labels.scenario
    }

    /// Everything there is to tell, in Prometheus' text format (version 0.0.4); `queue` are the entries that wait for the disk, while anybody knows.
    pub fn text(&self, queue: Option<u64>) -> String {
        let mut page = Page::new(&self.labels.scenario);
        let judged = self.judged.as_deref();
        self.tell_run(&mut page);
        self.tell_health(&mut page, queue);
        self.items.tell(&mut page, &self.labels, &self.plan, &self.state);
        self.probes.tell(&mut page, &self.labels, judged.map(|(facts, _)| facts));
        for (id, (state, breaches)) in &self.guards {
            let guard = self.labels.of(Sort::Guard, id);
            if !state.is_empty() {
                page.states(names::GUARD_STATE, &[("guard", guard)], "state", &["ok", "bad", "no_data"], state);
            }
            page.one(names::GUARD_BREACHES, &[("guard", guard)], *breaches as f64);
        }
        self.team.tell(&mut page, &self.labels, &self.plan, &self.state, self.now, judged.map(|(facts, _)| facts));
        verdicts::tell(&mut page, &self.labels, &self.plan, judged);
        page.text()
    }

    fn tell_run(&self, page: &mut Page) {
        use names::{BUILD_INFO, CADENCE, RUN_ABORTED, RUN_ELAPSED, RUN_INFO, RUN_OUTCOME, RUN_PHASE, RUN_START, STEADY};
        page.one(BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let environment = match self.plan.environment {
            Environment::Laptop => "laptop",
            Environment::Test => "test",
            Environment::Staging => "staging",
            Environment::Production => "production",
        };
        let test = match self.plan.test {
            TestKind::Recovery => "recovery",
            TestKind::Sustained => "sustained",
        };
        let mode = match self.plan.mode {
            Mode::Normal => "normal",
            Mode::Tabletop => "tabletop",
            Mode::Baseline => "baseline",
        };
        page.one(
            RUN_INFO,
            &[("run", &crate::base::one_line(&self.run, 40)), ("environment", environment), ("test", test), ("mode", mode)],
            1.0,
        );
        if let Some(at) = self.started_at {
            page.one(RUN_START, &[], at);
        }
        page.one(RUN_ELAPSED, &[], Span(self.now.0).as_secs_f64());
        page.states(RUN_PHASE, &[], "phase", PHASES, phase(&self.state));
        page.flag(RUN_ABORTED, &[], self.state.abort.is_some());
        if let Some(outcome) = self.state.outcome {
            page.states(RUN_OUTCOME, &[], "outcome", &["completed", "not_steady", "aborted", "stuck"], outcome_word(outcome));
        }
        if let Some(every) = self.plan.carried.get("cadence").and_then(|value| value.as_str()?.parse::<Span>().ok()) {
            page.one(CADENCE, &[], every.as_secs_f64());
        }
        let before = self.state.steady_at.map(|_| true).or(self.state.steady_missed.then_some(false));
        for (when, held) in [("before", before), ("after", self.state.steady_after)] {
            if let Some(held) = held {
                page.flag(STEADY, &[("when", when)], held);
            }
        }
    }

    fn tell_health(&self, page: &mut Page, queue: Option<u64>) {
        use names::{
            CLOCK_STEPS, CPU_WAIT_SECONDS, JOURNAL_ENTRIES, JOURNAL_POISONED, JOURNAL_QUEUE, STALL_SECONDS, STALLS, SUSPENDED_SECONDS,
            WATCHDOG_UP,
        };
        page.one(STALLS, &[], self.prober.stalls as f64);
        page.one(STALL_SECONDS, &[], self.prober.stalled.as_secs_f64());
        page.one(CPU_WAIT_SECONDS, &[], self.prober.waited.as_secs_f64());
        page.one(CLOCK_STEPS, &[], self.prober.clock_steps as f64);
        page.one(SUSPENDED_SECONDS, &[], self.prober.suspended.as_secs_f64());
        if let Some(there) = self.watchdog {
            page.flag(WATCHDOG_UP, &[], there);
        }
        page.one(JOURNAL_ENTRIES, &[], self.entries as f64);
        if let Some(queue) = queue {
            page.one(JOURNAL_QUEUE, &[], queue as f64);
        }
        page.flag(JOURNAL_POISONED, &[], self.state.poisoned);
    }
}

/// The phases of a run, in their order.
const PHASES: &[&str] = &["preparing", "baseline", "faults", "settling", "closing", "ended"];

fn phase(state: &RunState) -> &'static str {
    if state.outcome.is_some() {
        "ended"
    } else if state.probes_stopped {
        "closing"
    } else if state.settle_at.is_some() {
        "settling"
    } else if state.steady_at.is_some() {
        "faults"
    } else if state.baseline_at.is_some() {
        "baseline"
    } else {
        "preparing"
    }
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::NotSteady => "not_steady",
        Outcome::Aborted => "aborted",
        Outcome::Stuck => "stuck",
    }
}
