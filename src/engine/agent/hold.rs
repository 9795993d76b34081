//! Breaking something on this machine for a runner elsewhere, and holding it for as long as the runner says that it lives. Whatever ends that – the runner's
//! word, its silence, a cut connection, a signal – leads to the take-over by which every dead run is undone.

use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::super::drive::Setup;
use super::super::finish::{Finished, cx_for, finish_in};
use super::super::health::stamp;
use super::super::watchdog::Guardian;
use super::{Here, Line, forbidden, here, place, refused, stand};
use crate::base::Span;
use crate::event::{Event, Role, SCHEMA, UndoRecord};
use crate::fault::host::words::{Answer, Order, Told};
use crate::fault::{self, Claims, STEP_LIMIT};
use crate::journal::{Armed, Journal, PLAN, Registry, RunLock};
use crate::sys::process;
use crate::sys::{Clock, clock};

/// How long the runner may take to say that it knows what comes.
const GO_WITHIN: Span = Span::secs(10);
/// How often the watchdog hears that this process lives.
const BEAT: Span = Span::millis(500);

/// A fault that is about to be broken here.
struct Held {
    here: Here,
    run: String,
    exe: PathBuf,
    journal: Journal,
    guardian: Guardian,
    clock: Clock,
}

/// Breaks it, holds it and undoes it.
pub(super) async fn inject(order: Order, told: Told, lease: Span, exe: PathBuf, mut line: Line) {
    let mut held = match begin(&order, &told, &exe).await {
        Ok(held) => held,
        Err(why) => return line.say(&Answer::Failed { why }),
    };
    let why = match held.break_it(&order, &told, &mut line).await {
        Ok(()) => {
            line.say(&Answer::Injected);
            held.hold(lease, told.cuts, &mut line).await
        }
        Err(why) => {
            line.say(&Answer::Failed { why: why.clone() });
            format!("it failed to {why}")
        }
    };
    held.let_go(&why).await;
}

/// Makes the directory, journal, name and watchdog.
async fn begin(order: &Order, told: &Told, exe: &Path) -> Result<Held, String> {
    let here = here(order, exe)?;
    if here.dir != Path::new(&told.dir) {
        return Err(format!("find {}: this account keeps it at {}", told.dir, here.dir.display()));
    }
    if let Some(why) = forbidden(Some(&here.dir)).await {
        return Err(why);
    }
    let me = process::find(std::process::id()).ok_or("find this process in /proc")?;
    if !place::make(&here.dir, Some(&me))? {
        return Err("begin: it was undone already, or has begun before".to_owned());
    }
    let run = here.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (text, digest) = here.act.plan.to_text().map_err(|error| format!("write the plan: {error}"))?;
    let path = here.dir.join(PLAN);
    std::fs::write(&path, text).map_err(|error| format!("write {}: {error}", path.display()))?;
    let lock = RunLock::take(&here.dir).map_err(|error| refused(&error))?;
    let mut journal = Journal::create(&here.dir, lock).map_err(|error| refused(&error))?;
    let clock = Clock::start();
    let cx = cx_for(&here.act.plan, &run, &here.dir, exe.to_owned(), clock);
    let guardian = match Guardian::start(&cx) {
        Ok(started) => started.answer().await.map_err(|error| error.to_string())?,
        Err(error) => return Err(error.to_string()),
    };
    let version = env!("CARGO_PKG_VERSION").into();
    let started = Event::RunStarted { schema: SCHEMA, firedrill: version, run: run.clone(), plan_digest: digest, pid: std::process::id() };
    for event in [started, Event::Anchor(clock.anchor()), Event::WatchdogStarted { pid: guardian.pid() }] {
        journal.append(stamp(clock, &event), event);
    }
    // The watchdog is there before the name is.
    let named = Registry::here().add(&run, &here.dir);
    let held = Held { here, run, exe: exe.to_owned(), journal, guardian, clock };
    match named {
        Ok(()) => Ok(held),
        Err(error) => {
            held.let_go("it could not be named in the registry").await;
            Err(refused(&error))
        }
    }
}

impl Held {
    fn happened(&mut self, event: Event) {
        self.journal.append(self.clock.now(), event);
    }

    /// Claims, makes the undo durable, and breaks it.
    async fn break_it(&mut self, order: &Order, told: &Told, line: &mut Line) -> Result<(), String> {
        let id = order.item.to_string();
        let claims = Claims::of(Registry::here(), &self.run, &self.here.dir).private(self.here.act.plan.is_blind());
        claims.take(&id, &told.claims).map_err(|error| error.to_string())?;
        let kind = fault::by_kind(&self.here.fault.kind).ok_or_else(|| format!("find the fault kind {}", self.here.fault.kind))?;
        let declared = self.here.fault.undo.as_ref().map(|undo| self.here.act.record(undo));
        let undo = UndoRecord { kind: kind.kind().into(), detail: told.undo.clone(), by_hand: told.by_hand.clone(), declared };
        let (targets, summary) = (told.targets.clone(), told.summary.clone());
        let event = Event::Armed { id: id.clone(), role: Role::Fault, undo: Box::new(undo), targets, summary };
        let (_, ack) = self.journal.append_durable(self.clock.now(), event);
        let armed: Armed = ack.durable().await.map_err(|error| refused(&error))?;
        line.say(&Answer::Injecting);
        if told.cuts && !line.hears_within(GO_WITHIN).await {
            return Err("hear that the runner knows what is going to cut it off: nothing was touched".to_owned());
        }
        self.happened(Event::Injecting { id: id.clone() });
        let cx = self.here.act.cx.clone();
        let spec = cx.fill_value(&self.here.fault.spec);
        let mut step = std::pin::pin!(kind.inject(&spec, &armed, &cx));
        let done = match tokio::time::timeout(STEP_LIMIT.std(), &mut step).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => {
                // What is late must have ended before an undo may begin.
                cx.cancel.cancel();
                let _ = tokio::time::timeout(STEP_LIMIT.std(), step).await;
                Err(format!("finish within {}", STEP_LIMIT.human()))
            }
        };
        match &done {
            Ok(()) => self.happened(Event::Injected { id }),
            Err(error) => self.happened(Event::InjectFailed { id, error: error.clone() }),
        }
        done
    }

    /// Waits for whatever ends it; says what. A fault that cuts the connection itself is not over when that ends: then the lease is what it lasts.
    async fn hold(&mut self, lease: Span, cuts: bool, line: &mut Line) -> String {
        let signals = || Some((signal(SignalKind::terminate()).ok()?, signal(SignalKind::hangup()).ok()?));
        let Some((mut told, mut hung_up)) = signals() else { return "signals cannot be heard".to_owned() };
        let mut heard = clock::mono_ns();
        let mut cut_off = false;
        loop {
            // Of a runner without a connection one only reads.
            heard = heard.max(place::renewed(&self.here.dir).unwrap_or(0).min(clock::mono_ns()));
            let until = heard + lease.0;
            self.guardian.beat(Some(until));
            if clock::mono_ns() > until {
                return format!("nothing was heard of the runner for {}", lease.human());
            }
            tokio::select! {
                text = line.hear(), if !cut_off => match text {
                    Some(_) => heard = clock::mono_ns(),
                    None if cuts => cut_off = true,
                    None => return "the connection to the runner ended".to_owned(),
                },
                _ = told.recv() => return stand::ASKED.to_owned(),
                _ = hung_up.recv() => return "the connection to the runner hung up".to_owned(),
                how = self.guardian.lost() => return format!("the watchdog was lost: {how}"),
                () = clock::sleep(BEAT) => {}
            }
        }
    }

    /// Lets go of journal and lock, and undoes as for any dead run. What is still owed then is the watchdog's to try on.
    async fn let_go(self, why: &str) {
        let Held { here, run, exe, journal, mut guardian, .. } = self;
        drop(journal);
        let (watch, _) = mpsc::unbounded_channel();
        let mut finishing = std::pin::pin!(finish_in(&here.dir, exe, stand::BY, why, Setup::ATTEMPTS, watch));
        let finished = loop {
            tokio::select! {
                finished = &mut finishing => break finished,
                () = clock::sleep(BEAT) => guardian.beat(None),
            }
        };
        if matches!(finished, Ok(Finished { owed_after, .. }) if owed_after.is_empty()) {
            Registry::here().remove(&run);
            guardian.dismiss().await;
        } else {
            guardian.hand_over().await;
        }
    }
}
