//! Effects on the world, one task each: the only caller of `inject` and `undo`. Thin: it never chooses; what it sees it reports as events.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::ledgers;
use crate::base::{At, Id, Interval, Span};
use crate::event::{DeclaredUndo, Event, Role, UndoRecord};
use crate::fault::system::Recipe;
use crate::fault::{self, Claims, ErasedFault, FaultError, Prepared, Resource, STEP_LIMIT, Scene, Seen};
use crate::journal::Armed;
use crate::plan::{Condition, FaultPlan, Plan, UndoPlan};
use crate::probe;
use crate::sys::{Cx, clock};

/// How long an undone item may take to be seen as undone, where the scenario does not say.
pub(super) const VERIFY_WITHIN: Span = Span::secs(10);
pub(super) const VERIFY_EVERY: Span = Span::millis(50);
/// How long each `setup` command of a `system:` process may take.
const SETUP_LIMIT: Span = Span::secs(60);

/// How long a process is watched whose port somebody else may have.
const VERIFY_IN_DOUBT: Span = Span::secs(2);

/// What a task tells the loop.
#[derive(Debug)]
pub enum Msg {
    /// Something happened.
    Happened(At, Event),
    /// An undo is to become durable; the answer is the proof. Refused when something else holds what it touches.
    Arm {
        /// When.
        at: At,
        /// The `Armed` event.
        event: Event,
        /// What it will touch.
        claims: Vec<Resource>,
        /// The proof, or why not.
        reply: oneshot::Sender<Result<Arc<Armed>, String>>,
    },
    /// A `system:` process that is to be looked after.
    Keep(Arc<Armed>),
    /// Whether a `system:` process is alive.
    SupportSeen {
        /// The item.
        id: String,
        /// It is.
        alive: bool,
        /// What was seen.
        how: String,
    },
    /// The drill cannot go on: before the first fault it could not start, afterwards it aborts.
    Refuse(String),
    /// The task of that key panicked.
    Broke(String, String),
    /// The effect of that key is over.
    Done(String),
}

/// What every task is given.
#[derive(Debug, Clone)]
pub struct Act {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The door to the world.
    pub cx: Cx,
    /// To the loop.
    pub tell: mpsc::UnboundedSender<Msg>,
    /// Give up undoing after this many attempts.
    pub attempts: u32,
    /// What this run holds on the machine; nobody's for what undoes a dead run, which holds what it held.
    pub claims: Option<Arc<Claims>>,
}

impl Act {
    pub(super) fn now(&self) -> At {
        self.cx.clock.now()
    }

    /// Reports an event, stamped now.
    pub fn happened(&self, event: Event) {
        self.happened_at(self.now(), event);
    }

    fn happened_at(&self, at: At, event: Event) {
        // A loop that is gone has nobody left to tell.
        let _ = self.tell.send(Msg::Happened(at, event));
    }

    fn refuse(&self, reason: String) {
        let _ = self.tell.send(Msg::Refuse(reason));
    }

    async fn arm(&self, event: Event, claims: Vec<Resource>) -> Result<Arc<Armed>, String> {
        let (reply, answer) = oneshot::channel();
        let _ = self.tell.send(Msg::Arm { at: self.now(), event, claims, reply });
        answer.await.unwrap_or_else(|_| Err("the engine is gone".into()))
    }

    /// Prepares, arms and starts a `system:` process or a proxy, and waits until it is ready.
    pub async fn start(&self, item: &str) {
        let (kind, id) = match item.split_once('/') {
            Some(("system", id)) => ("system.process", id),
            Some(("ledger", id)) => (ledgers::KIND, id),
            Some((_, id)) => ("system.proxy", id),
            None => return self.refuse(format!("start {item}: no such item")),
        };
        let spec = serde_json::json!({ "id": id });
        let Some((armed, fault)) = self.arm_item(item, kind, &spec, Role::Support, None).await else { return };
        if !self.inject_armed(item, fault, &spec, &armed).await {
            return;
        }
        let began = self.now();
        let ready = self.plan.system.get(id).and_then(|system| system.ready.clone());
        let seen = match ready {
            Some(ready) => self.see_ready(item, &ready, fault, armed.undo()).await,
            None => self.see_biting(fault, &armed.undo().detail, began, VERIFY_EVERY, VERIFY_WITHIN).await,
        };
        match seen {
            Ok((when, seen)) => self.happened(Event::Effective { id: item.into(), when, seen }),
            Err(why) => self.refuse(why),
        }
    }

    /// Waits until a support is ready, or has failed to get there.
    async fn see_ready(
        &self,
        item: &str,
        ready: &Condition,
        fault: &dyn ErasedFault,
        undo: &UndoRecord,
    ) -> Result<(Interval, String), String> {
        let recipe: Option<Recipe> = serde_json::from_value(undo.detail.clone()).ok();
        tokio::select! {
            held = probe::wait_for(ready, self.now(), &self.cx) => match held {
                Ok(when) => {
                    let doubtful = recipe.as_ref().is_some_and(|recipe| !recipe.taken().is_empty());
                    // Somebody else listens on a port that it names, and may be the one who answered: if so, it will end in a moment.
                    if !doubtful || tokio::time::timeout(VERIFY_IN_DOUBT.std(), failed(recipe.as_ref())).await.is_err() {
                        return Ok((when, "ready".to_owned()));
                    }
                }
                Err(missed) => {
                    let why = format!("{item} was not ready within {}: {}", ready.within.human(), missed.last.seen);
                    return Err(format!("{why}{}", recipe.map(|recipe| recipe.last_words() + &recipe.taken()).unwrap_or_default()));
                }
            },
            () = failed(recipe.as_ref()) => {}
        }
        // It has ended badly: nobody needs to wait for it any longer.
        let seen = match within(STEP_LIMIT, fault.observe(&undo.detail, &self.cx)).await {
            Ok(Seen::Biting(seen) | Seen::NotBiting(seen) | Seen::Failed(seen)) => seen,
            Ok(Seen::CannotTell) => "it cannot be seen".to_owned(),
            Err(error) => format!("failed to {error}"),
        };
        Err(format!("{item} ended before it was ready: {seen}{}", recipe.map(|recipe| recipe.taken()).unwrap_or_default()))
    }

    /// Looks for a fault's targets without touching anything.
    pub async fn preview(&self, id: &Id) {
        let Some(plan) = self.plan.faults.get(id) else { return };
        if let Some(target) = plan.spec.get("target").and_then(Value::as_str) {
            let among: Vec<String> = self.plan.targets.get(target).map(|t| t.among.iter().map(Id::to_string).collect()).unwrap_or_default();
            let summary = format!("{} on one of the candidates of `{target}`", plan.kind);
            let by_hand = "known once the target is resolved".to_owned();
            if let Some(why) = self.unpinned(id, &among) {
                return self.refuse(why);
            }
            return self.happened(Event::Previewed { id: id.to_string(), targets: among, population: None, summary, by_hand });
        }
        let (kind, spec) = self.there_or_here(id, plan, &plan.spec);
        let declared = plan.undo.as_ref().filter(|_| plan.on.is_none());
        match self.prepare(&kind, &spec).await {
            Ok((fault, found)) => {
                if let Some(holder) = self.claims.as_ref().and_then(|claims| claims.holder(&found.claims)) {
                    return self.refuse(format!("{id}: failed to claim its target: {holder}"));
                }
                if let Some(why) = self.unpinned(id, &found.targets) {
                    return self.refuse(why);
                }
                let by_hand = self.by_hand(fault, &found.undo, declared);
                self.happened(Event::Previewed {
                    id: id.to_string(),
                    targets: found.targets,
                    population: found.population.map(|n| n as u64),
                    summary: found.summary,
                    by_hand,
                });
            }
            Err(why) => self.refuse(format!("{id}: failed to {why}")),
        }
    }

    pub(super) async fn prepare(&self, kind: &str, spec: &Value) -> Result<(&'static dyn ErasedFault, Prepared<Value>), String> {
        let fault = ledgers::by_kind(kind).ok_or_else(|| format!("find the fault kind {kind}"))?;
        let scene = Scene { cx: &self.cx, plan: &self.plan };
        let found = within(fault.prepare_within(), fault.prepare(spec, scene)).await.map_err(|error| error.to_string())?;
        if found.targets.is_empty() {
            return Err("find the target: nothing matches".into());
        }
        Ok((fault, found))
    }

    pub(super) fn by_hand(&self, fault: &dyn ErasedFault, undo: &Value, declared: Option<&UndoPlan>) -> String {
        match declared {
            Some(UndoPlan { run: Some(argv), .. }) => {
                let words: Vec<String> = argv.iter().map(|word| fault::shell::quote(&self.cx.fill(word))).collect();
                format!("cd {} && {}", fault::shell::quote(&self.cx.base_dir.display().to_string()), words.join(" "))
            }
            Some(UndoPlan { left_to: Some(who), .. }) => format!("true  # left to {who}"),
            _ => fault.by_hand(undo).unwrap_or_else(|error| format!("true  # no line: {error}")),
        }
    }

    /// Resolves late targets, prepares, arms and injects a fault.
    pub async fn inject(&self, id: &Id) {
        let Some(plan) = self.plan.faults.get(id) else { return };
        let spec = match self.resolve(&plan.spec).await {
            Ok(spec) => spec,
            Err(why) => return self.refuse(format!("{id}: failed to resolve its target: {why}")),
        };
        let (kind, spec) = self.there_or_here(id, plan, &spec);
        let declared = plan.undo.as_ref().filter(|_| plan.on.is_none());
        let Some((armed, fault)) = self.arm_item(id.as_str(), &kind, &spec, Role::Fault, declared).await else { return };
        self.inject_armed(id.as_str(), fault, &spec, &armed).await;
    }

    /// The kind and spec of a fault for this machine: of its own kind, or of the one that has it done on another machine, where the spec is filled and a
    /// declared undo is run.
    fn there_or_here(&self, id: &Id, plan: &FaultPlan, spec: &Value) -> (String, Value) {
        match fault::host::spec_of(id, plan, &self.plan) {
            Some(spec) => (fault::host::KIND.to_owned(), spec),
            None => (plan.kind.clone(), self.cx.fill_value(spec)),
        }
    }

    async fn resolve(&self, spec: &Value) -> Result<Value, String> {
        let Some(name) = spec.get("target").and_then(Value::as_str) else { return Ok(spec.clone()) };
        let target = self.plan.targets.get(name).ok_or_else(|| format!("`{name}` is not declared"))?;
        let text = probe::read_text(&target.look, target.pick.as_deref(), &self.cx).await?;
        let found: Vec<String> = serde_json::from_str(&text).unwrap_or_else(|_| vec![text]);
        self.happened(Event::TargetResolved { id: name.into(), is: found.clone() });
        if found.len() != target.exactly {
            return Err(format!("`{name}` is {} things, not {}: {}", found.len(), target.exactly, found.join(", ")));
        }
        if let Some(stranger) = found.iter().find(|one| !target.among.iter().any(|id| id.as_str() == one.as_str())) {
            return Err(format!("`{name}` is {stranger}, which is not among its candidates"));
        }
        let mut spec = spec.clone();
        if let (Some(map), Some(one)) = (spec.as_object_mut(), found.first()) {
            map.shift_remove("target");
            map.insert("system".into(), Value::String(one.clone()));
        }
        Ok(spec)
    }

    async fn arm_item(
        &self,
        id: &str,
        kind: &str,
        spec: &Value,
        role: Role,
        declared: Option<&UndoPlan>,
    ) -> Option<(Arc<Armed>, &'static dyn ErasedFault)> {
        let (fault, found) = match self.prepare(kind, spec).await {
            Ok(found) => found,
            Err(why) => {
                self.refuse(format!("{id}: failed to {why}"));
                return None;
            }
        };
        let by_hand = self.by_hand(fault, &found.undo, declared);
        let undo =
            Box::new(UndoRecord { kind: kind.into(), detail: found.undo, by_hand, declared: declared.map(|undo| self.record(undo)) });
        let event = Event::Armed { id: id.into(), role, undo, targets: found.targets, summary: found.summary };
        let armed = match self.claim(id, &found.claims).await {
            Ok(()) => self.arm(event, found.claims).await,
            Err(why) => Err(why),
        };
        match armed {
            Ok(armed) => Some((armed, fault)),
            Err(why) => {
                self.let_go(id);
                self.refuse(format!("{id}: failed to {why}"));
                None
            }
        }
    }

    /// The scenario's own undo as a stranger can execute it: everything filled but secrets.
    pub(super) fn record(&self, undo: &UndoPlan) -> DeclaredUndo {
        DeclaredUndo {
            run: undo.run.as_ref().map(|argv| argv.iter().map(|word| self.cx.fill(word)).collect()),
            left_to: undo.left_to.clone(),
            done_when: undo.done_when.as_ref().and_then(|condition| serde_json::to_value(condition).ok()).map(|v| self.cx.fill_value(&v)),
            cwd: Some(self.cx.base_dir.display().to_string()),
        }
    }

    async fn inject_armed(&self, id: &str, fault: &dyn ErasedFault, spec: &Value, armed: &Armed) -> bool {
        if self.cx.cancel.is_cancelled() {
            self.happened(Event::InjectFailed { id: id.into(), error: "cancelled before anything was touched".into() });
            return false;
        }
        self.happened(Event::Injecting { id: id.into() });
        match self.inject_within(fault, spec, armed).await {
            Ok(()) => {
                self.happened(Event::Injected { id: id.into() });
                true
            }
            Err(error) => {
                self.happened(Event::InjectFailed { id: id.into(), error: error.to_string() });
                false
            }
        }
    }

    /// Injects with a limit. What is late is cancelled and waited for: it must have ended before an undo may begin.
    async fn inject_within(&self, fault: &dyn ErasedFault, spec: &Value, armed: &Armed) -> Result<(), FaultError> {
        let id = armed.id().trim_start_matches("system/");
        let setups = self.plan.system.get(id).map_or(0, |system| system.how.setup.len() as u64);
        let limit = STEP_LIMIT + SETUP_LIMIT.times(setups);
        let cx = Cx { cancel: self.cx.cancel.child_token(), ..self.cx.clone() };
        let mut step = std::pin::pin!(fault.inject(spec, armed, &cx));
        if let Ok(done) = tokio::time::timeout(limit.std(), &mut step).await {
            return done;
        }
        cx.cancel.cancel();
        let _ = tokio::time::timeout(STEP_LIMIT.std(), step).await;
        Err(FaultError::Late(limit))
    }

    /// Waits until a fault is seen to bite.
    pub async fn confirm(&self, id: &Id, undo: &UndoRecord, command: At) {
        let Some(plan) = self.plan.faults.get(id) else { return };
        let seen = match (&plan.confirm, fault::by_kind(&undo.kind)) {
            (Some(condition), _) => probe::wait_for(condition, command, &self.cx)
                .await
                .map(|when| (when, "the condition of `confirm` holds".to_owned()))
                .map_err(|missed| format!("`confirm` did not hold within {}: {}", condition.within.human(), missed.last.seen)),
            (None, Some(fault)) => self.see_biting(fault, &undo.detail, command, plan.confirm_every, plan.confirm_within).await,
            (None, None) => Err(format!("no fault kind is called {}", undo.kind)),
        };
        match seen {
            Ok((when, seen)) => {
                let when = Interval { lo: when.lo.max(command), hi: when.hi };
                self.happened(Event::Effective { id: id.to_string(), when, seen });
            }
            Err(_) if self.cx.cancel.is_cancelled() => {}
            Err(why) => self.happened(Event::NotConfirmed { id: id.to_string(), why }),
        }
    }

    /// Asks the kind's own read-back until it bites: from the last look without effect to the end of the first with it.
    async fn see_biting(
        &self,
        fault: &dyn ErasedFault,
        undo: &Value,
        since: At,
        every: Span,
        limit: Span,
    ) -> Result<(Interval, String), String> {
        let mut lo = since;
        let end = self.now() + limit;
        loop {
            let began = self.now();
            let last = match within(STEP_LIMIT, fault.observe(undo, &self.cx)).await {
                Ok(Seen::Biting(seen)) => return Ok((Interval::new(lo, self.now()), seen)),
                Ok(Seen::NotBiting(seen)) => {
                    lo = began;
                    seen
                }
                Ok(Seen::Failed(seen)) => return Err(seen),
                Ok(Seen::CannotTell) => return Err(format!("{} cannot be read back and no `confirm` is given", fault.kind())),
                Err(error) => format!("failed to {error}"),
            };
            if self.now() >= end || self.cx.cancel.is_cancelled() {
                return Err(format!("no effect within {}: {last}", limit.human()));
            }
            clock::sleep(every).await;
        }
    }
}

/// Ends when a process that this very process started has failed; one that ends well may have left a daemon behind.
async fn failed(recipe: Option<&Recipe>) {
    let Some(recipe) = recipe else { return std::future::pending().await };
    while !recipe.has_failed() {
        clock::sleep(VERIFY_EVERY).await;
    }
}

/// A step of a fault with its limit.
pub(super) async fn within<T>(limit: Span, step: impl Future<Output = Result<T, FaultError>>) -> Result<T, FaultError> {
    tokio::time::timeout(limit.std(), step).await.unwrap_or(Err(FaultError::Late(limit)))
}
