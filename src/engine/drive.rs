//! The loop: one place where everything becomes an event, in one order. It waits for the first of many things, appends, folds, and asks `decide`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::act::{Act, Msg};
use super::decide::{Decision, Effect, UNDO_ATTEMPTS, decide};
use super::folds::Folds;
use super::minder::{Minder, Unarmed};
pub use super::orders::Command;
use super::{guard, health, hearing, signals};
use crate::base::{At, Span};
use crate::event::{Entry, Event, Outcome, Role};
use crate::fault::{Claims, Resource};
use crate::fold::edges::near;
use crate::fold::thin::Thinner;
use crate::journal::{Armed, Journal, Lever};
use crate::plan::Plan;
use crate::probe::{self, News, Prober};
use crate::state::RunState;
use crate::sys::Cx;

/// What a drill is run with.
#[derive(Debug)]
pub struct Setup {
    /// What will happen.
    pub plan: Arc<Plan>,
    /// The door to the world.
    pub cx: Cx,
    /// The one writer.
    pub journal: Journal,
    /// Where it stands: default for a new run, folded for one that was taken over.
    pub state: RunState,
    /// What people ask.
    pub commands: mpsc::Receiver<Command>,
    /// Who looks on: every entry, as it is written.
    pub watch: mpsc::UnboundedSender<Entry>,
    /// The safety lever of the machine; nobody's for what undoes a dead run, which the lever must not stop.
    pub lever: Option<Lever>,
    /// The process that undoes when we die; nobody in that process itself.
    pub minder: Minder,
    /// Undo attempts before giving up.
    pub attempts: u32,
    /// What this run holds on the machine; nobody's for what undoes a dead run: that still holds what it held.
    pub claims: Option<Arc<Claims>>,
    /// Where everything but the loop itself runs: another runtime than the loop's own, so that a step that blocks its thread cannot stop the
    /// loop; or the same one, where somebody else has it in hand.
    pub work: Handle,
}

impl Setup {
    /// A run whose loop nobody watches over, stops from outside of `commands` or gives threads of its own: of a process that undoes for another.
    /// Needs a runtime.
    pub fn unattended(plan: Arc<Plan>, cx: Cx, journal: Journal, state: RunState, commands: mpsc::Receiver<Command>) -> Setup {
        let (watch, _) = mpsc::unbounded_channel();
        let work = Handle::current();
        Setup {
            plan,
            cx,
            journal,
            state,
            commands,
            watch,
            lever: None,
            minder: Minder::Nobody,
            attempts: Setup::ATTEMPTS,
            claims: None,
            work,
        }
    }

    /// The usual number of undo attempts.
    pub const ATTEMPTS: u32 = UNDO_ATTEMPTS;
}

/// The loop's own state.
pub(super) struct Engine {
    pub(super) plan: Arc<Plan>,
    pub(super) cx: Cx,
    pub(super) journal: Journal,
    pub(super) state: RunState,
    pub(super) busy: BTreeSet<String>,
    pub(super) tell: mpsc::UnboundedSender<Msg>,
    pub(super) watch: mpsc::UnboundedSender<Entry>,
    pub(super) folds: Folds,
    /// What is held back of the samples of fast probes.
    pub(super) thinners: BTreeMap<String, Thinner>,
    pub(super) prober: Option<Prober>,
    pub(super) guards: CancellationToken,
    /// Cancels whatever still injects or confirms.
    pub(super) pushing: CancellationToken,
    pub(super) claims: BTreeMap<String, Vec<Resource>>,
    pub(super) supports: BTreeMap<String, Support>,
    pub(super) supports_due: At,
    pub(super) reading: hearing::Reading,
    pub(super) lever: Option<Lever>,
    pub(super) minder: Minder,
    /// A watchdog was lost in this run.
    pub(super) replacing: bool,
    pub(super) unarmed: Vec<Unarmed>,
    pub(super) attempts: u32,
    pub(super) held: Option<Arc<Claims>>,
    pub(super) work: Handle,
}

/// A `system:` process as it was last seen.
pub(super) struct Support {
    pub(super) armed: Arc<Armed>,
    pub(super) alive: bool,
}

/// Runs a drill, or what is left of one, to its end.
pub async fn run(setup: Setup) -> Outcome {
    let (tell, mut inbox) = mpsc::unbounded_channel();
    let mut commands = setup.commands;
    let mut engine = Engine {
        folds: Folds::new(&setup.plan),
        thinners: hearing::thinners(&setup.plan),
        plan: setup.plan,
        cx: setup.cx,
        journal: setup.journal,
        state: setup.state,
        busy: BTreeSet::new(),
        tell,
        watch: setup.watch,
        prober: None,
        guards: CancellationToken::new(),
        pushing: CancellationToken::new(),
        claims: BTreeMap::new(),
        supports: BTreeMap::new(),
        supports_due: At(0),
        reading: hearing::Reading::default(),
        lever: setup.lever,
        minder: setup.minder,
        replacing: false,
        unarmed: Vec::new(),
        attempts: setup.attempts,
        held: setup.claims,
        work: setup.work,
    };
    let mut health = health::Health::start(engine.cx.clock);
    let mut tick = engine.cx.clock.now();
    loop {
        if engine.journal.is_poisoned() && !engine.state.poisoned {
            let why = engine.journal.trouble().unwrap_or_else(|| "it does not say why".to_owned());
            engine.record(Event::JournalPoisoned { why: format!("the disk refused a line of the journal: {why}") });
        }
        if engine.state.abort.is_some() {
            engine.pushing.cancel();
        }
        let now = engine.cx.clock.now();
        let decision = decide(&engine.plan, &engine.state, &engine.busy, now);
        if let Some(outcome) = engine.over(&decision) {
            engine.leave().await;
            return outcome;
        }
        let wake = decision.wake.unwrap_or(At(u64::MAX)).min(tick + TICK).min(engine.reading.due.unwrap_or(At(u64::MAX)));
        let had_ended = engine.state.outcome.is_some();
        engine.act_on(decision);
        if engine.state.outcome.is_some() && !had_ended {
            // Nothing else is coming that would wake us.
            continue;
        }
        let clock = engine.cx.clock;
        tokio::select! {
            Some(msg) = inbox.recv() => engine.take(msg),
            news = next_news(&mut engine.prober) => engine.news(news),
            Some(command) = commands.recv() => engine.obey(command),
            change = engine.minder.change() => engine.minded(change),
            () = clock.sleep_until(wake) => {}
        }
        if clock.now() >= tick + TICK {
            tick = clock.now();
            for event in health.tick(clock) {
                engine.record_at(health::stamp(clock, &event), event);
            }
            engine.on_tick();
        } else if engine.reading.due.is_some_and(|due| clock.now() >= due) {
            engine.read_folds();
        }
    }
}

pub(super) const TICK: Span = Span::millis(100);

async fn next_news(prober: &mut Option<Prober>) -> Option<News> {
    match prober {
        Some(prober) => prober.next().await,
        None => std::future::pending().await,
    }
}

/// After the last line only undo entries may follow: what else comes late is part of no drill.
fn may_follow_the_end(event: &Event) -> bool {
    matches!(
        event,
        Event::Undoing { .. }
            | Event::UndoFailed { .. }
            | Event::Undone { .. }
            | Event::CutShort(_)
            | Event::LeftTo { .. }
            | Event::JournalPoisoned { .. }
    )
}

impl Engine {
    pub(super) fn record(&mut self, event: Event) {
        self.record_at(self.cx.clock.now(), event);
    }

    fn record_at(&mut self, at: At, event: Event) {
        if self.state.outcome.is_some() && !may_follow_the_end(&event) {
            return;
        }
        let entry = Entry { seq: self.journal.next_seq(), at, event };
        let event = match self.state.apply(&entry) {
            Ok(()) => entry.event,
            Err(illegal) => {
                // Whoever reads the journal later follows the same table: what it refuses may not stand there as if it had happened.
                tracing::warn!("{illegal}");
                Event::Note { text: format!("left out what cannot be: {illegal}") }
            }
        };
        let near = near(&event);
        self.show(at, event);
        if let Some(near) = near {
            self.keep_around(at, near);
        }
    }

    /// Writes an entry that the state has taken in.
    pub(super) fn show(&mut self, at: At, event: Event) {
        let entry = self.journal.append(at, event);
        // Nobody may be looking on.
        let _ = self.watch.send(entry);
    }

    fn on_tick(&mut self) {
        self.read_folds_with_tick();
        self.heartbeat();
        self.look_at_lever();
        self.tell_of_the_team();
        self.look_after_supports();
    }

    /// Whether everything is said and done.
    fn over(&self, decision: &Decision) -> Option<Outcome> {
        let outcome = self.state.outcome?;
        (self.busy.is_empty() && decision.effects.is_empty() && decision.wake.is_none()).then_some(outcome)
    }

    pub(super) fn take(&mut self, msg: Msg) {
        match msg {
            Msg::Happened(at, event) => self.record_at(at, event),
            Msg::Done(key) => {
                self.busy.remove(&key);
            }
            Msg::Broke(key, why) => self.broke(key, why),
            Msg::Keep(armed) => {
                self.supports.insert(armed.id().to_owned(), Support { armed, alive: true });
            }
            Msg::SupportSeen { id, alive, how } => self.support_seen(&id, alive, how),
            // The drill is ending already; that a step was called off is no second reason.
            Msg::Refuse(reason) if self.state.abort.is_some() => self.record(Event::Note { text: reason }),
            Msg::Refuse(reason) => {
                let touched = self.state.items.values().any(|item| item.role == Role::Fault);
                let by = if touched { "engine" } else { "start" };
                self.record(Event::AbortRequested { by: by.into(), reason });
            }
            Msg::Arm { at, event, claims, reply } => self.arm(at, event, claims, reply),
        }
    }

    fn act_on(&mut self, decision: Decision) {
        for effect in decision.effects {
            match &effect {
                Effect::StartProbes => self.start_probes(),
                Effect::StopProbes => self.stop_probes(&effect),
                Effect::MissSteady => {
                    let why = self.folds.why_not_steady().unwrap_or_else(|| "it held, but too late".into());
                    self.record(Event::SteadyMissed { why });
                }
                Effect::MissSettle => {
                    let why = self.folds.why_not_steady().unwrap_or_else(|| "it held, but not since the last undo".into());
                    self.record(Event::NotSteadyAfter { why });
                }
                Effect::MissRecovery(id) => {
                    let limit = self.plan.faults.get(id).map(|fault| fault.recovery_within).unwrap_or_default();
                    let why = self.folds.why_not_recovered(id, limit, self.cx.clock.now());
                    self.record(Event::NotRecovered { id: id.to_string(), why });
                }
                Effect::Skip(id, why) => self.record(Event::NotRun { id: id.to_string(), why: why.clone() }),
                Effect::StartSettle => self.record(Event::SettleStarted {}),
                Effect::Finish(outcome) => self.record(Event::RunFinished { outcome: *outcome }),
                Effect::Start(_)
                | Effect::Preview(_)
                | Effect::Subjects(_)
                | Effect::Inject(_)
                | Effect::Confirm(_)
                | Effect::Undo(..)
                | Effect::Restore(_)
                | Effect::ReadLedgers => self.spawn(effect),
            }
        }
    }

    pub(super) fn act(&self, cancel: CancellationToken) -> Act {
        let cx = Cx { cancel, ..self.cx.clone() };
        Act { plan: Arc::clone(&self.plan), cx, tell: self.tell.clone(), attempts: self.attempts, claims: self.held.clone() }
    }

    /// Runs an effect beside the loop; its key is busy until it is over.
    fn spawn(&mut self, effect: Effect) {
        let key = effect.key();
        self.busy.insert(key.clone());
        let pushes = matches!(effect, Effect::Start(_) | Effect::Preview(_) | Effect::Inject(_) | Effect::Confirm(_) | Effect::Restore(_));
        let act = self.act(if pushes { self.pushing.clone() } else { CancellationToken::new() });
        let record = match &effect {
            Effect::Undo(id, ..) => self.state.items.get(id).map(|item| (item.undo.clone(), At(0))),
            Effect::Confirm(id) => {
                self.state.items.get(id.as_str()).map(|item| (item.undo.clone(), item.command_at.unwrap_or(item.armed_at)))
            }
            _ => None,
        };
        let written = self.folds.written();
        let tell = self.tell.clone();
        self.work.spawn(async move {
            // A task that panics must not leave its key busy for ever.
            let work = tokio::spawn(async move {
                match (effect, record) {
                    (Effect::Start(id), _) => act.start(&id).await,
                    (Effect::Preview(id), _) => act.preview(&id).await,
                    (Effect::Subjects(when), _) => act.subjects(when).await,
                    (Effect::Inject(id), _) => act.inject(&id).await,
                    (Effect::Confirm(id), Some((undo, command))) => act.confirm(&id, &undo, command).await,
                    (Effect::Undo(id, attempt, why), Some((undo, _))) => act.undo(&id, &undo, attempt, why).await,
                    (Effect::Restore(id), _) => act.restore(&id).await,
                    (Effect::ReadLedgers, _) => act.read_ledgers(written).await,
                    _ => {}
                }
            });
            if let Err(panic) = work.await {
                let _ = tell.send(Msg::Broke(key.clone(), format!("a step of the engine broke: {panic}")));
            }
            let _ = tell.send(Msg::Done(key));
        });
    }

    fn start_probes(&mut self) {
        match probe::start(&self.plan, &self.cx) {
            Ok(prober) => {
                self.prober = Some(prober);
                self.record(Event::BaselineStarted {});
                for (id, plan) in self.plan.team.iter().flat_map(|team| &team.signals) {
                    self.work.spawn(signals::watch(self.act(self.guards.clone()), id.to_string(), plan.clone()));
                }
                for (id, plan) in &self.plan.guards {
                    self.work.spawn(guard::watch(self.act(self.guards.clone()), id.to_string(), plan.clone()));
                }
            }
            Err(error) => self.record(Event::AbortRequested { by: "start".into(), reason: format!("failed to {error}") }),
        }
    }

    fn stop_probes(&mut self, effect: &Effect) {
        self.guards.cancel();
        match &self.prober {
            Some(prober) => {
                self.busy.insert(effect.key());
                prober.stop();
            }
            None => self.record(Event::ProbesStopped {}),
        }
    }
}
