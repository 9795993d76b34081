//! Finishing a dead run from its directory alone: the watchdog's work, and `firedrill undo`'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::drive::{self, Setup};
use super::health::stamp;
use super::lost;
use crate::base::{At, Span};
use crate::event::{Entry, Event, Outcome, Role};
use crate::journal::{self, Journal, JournalError, PLAN, Read, RunLock};
use crate::plan::{AwsPlan, Plan, SecretRef};
use crate::state::{Illegal, Item, ItemPhase, RunState};
use crate::sys::{Clock, Cx, Place, Secret, clock, process};

/// What can go wrong before anything is undone: reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The plan.
    #[error("read {path}: {why}", path = path.display())]
    Plan {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The journal holds what cannot be.
    #[error("follow the journal: {0}")]
    Illegal(#[from] Illegal),
}

/// How long the shim of a dead runner may take to end what it runs, before that is killed.
const LEFT_BEHIND: Span = Span::secs(3);

/// What became of a dead run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Items that owed an undo before.
    pub owed_before: Vec<String>,
    /// Items that still do: id and the line to paste.
    pub owed_after: Vec<(String, String)>,
    /// How the run ended.
    pub outcome: Outcome,
    /// Why the disk does not know it: everything is undone, and the journal still says that it is owed.
    pub unwritten: Option<String>,
}

impl Finished {
    fn nothing_done(owed_before: Vec<String>, outcome: Outcome) -> Finished {
        Finished { owed_before, owed_after: Vec::new(), outcome, unwritten: None }
    }
}

/// A run directory as it stands.
#[derive(Debug, Clone)]
pub struct Dead {
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its journal.
    pub read: Read,
    /// Where it stands.
    pub state: RunState,
}

/// Reads plan and journal of a run directory.
///
/// # Errors
/// Either cannot be read.
pub fn load(run_dir: &Path) -> Result<Dead, FinishError> {
    let plan = plan_of(run_dir)?;
    let read = journal::read(run_dir)?;
    let state = RunState::of(&read.entries)?;
    Ok(Dead { plan: Arc::new(plan), read, state })
}

/// Reads the plan of a run directory.
///
/// # Errors
/// It cannot be read.
pub fn plan_of(run_dir: &Path) -> Result<Plan, FinishError> {
    let path = run_dir.join(PLAN);
    let bad = |why: String| FinishError::Plan { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
}

/// What a fresh process has to work with.
struct Found {
    plan: Plan,
    read: Read,
    state: RunState,
    /// In what way the journal is damaged.
    damage: Option<String>,
    /// Items that were touched, while the line that says how to undo them cannot be read.
    lost: BTreeSet<String>,
}

/// Reads plan and journal, whatever is left of it: a damaged journal is no reason to leave a fault where it is.
fn look(run_dir: &Path) -> Result<Found, FinishError> {
    let plan = plan_of(run_dir)?;
    match journal::read(run_dir) {
        Ok(read) => {
            let (state, _, lost) = RunState::of_what_is_left(read.entries.clone());
            Ok(Found { plan, read, state, damage: None, lost })
        }
        Err(damaged @ JournalError::Damaged { .. }) => {
            let (state, entries, lost) = RunState::of_what_is_left(journal::salvage(run_dir)?);
            Ok(Found { plan, read: Read { entries, ..Read::default() }, state, damage: Some(damaged.to_string()), lost })
        }
        Err(error) => Err(error.into()),
    }
}

/// The undo of a fault may start again what the drill had started and stopped already: that is owed once more, and stopped last again.
fn stopped_too_soon(state: &RunState, unknown: &BTreeSet<String>) -> Vec<Event> {
    let fault_owed = state.owed().any(|(_, item)| item.role == Role::Fault) || !unknown.is_empty();
    let started = |(id, item): &(&String, &Item)| item.role == Role::Support && !id.starts_with("ledger/");
    let stopped = state.items.iter().filter(|both| fault_owed && started(both) && !both.1.phase.owes());
    stopped
        .map(|(id, item)| Event::Armed {
            id: id.clone(),
            role: item.role,
            undo: item.undo.clone(),
            targets: item.targets.clone(),
            summary: "an undo that is owed may start it again".into(),
        })
        .collect()
}

/// What the dead runner was injecting may act for another moment: its shim ends it when it sees that the runner is gone. Whoever looked before that
/// whether the fault is undone might agree, and be wrong a moment later.
async fn let_injections_end(cx: &Cx, state: &RunState) {
    let under_way = state.items.iter().filter(|(_, item)| item.phase == ItemPhase::Injecting && item.role == Role::Fault);
    let owners: Vec<String> = under_way.map(|(id, _)| format!("{}/fault/{id}", cx.run)).collect();
    let began = clock::mono_ns();
    for owner in owners {
        loop {
            let left = process::marked(&owner);
            let waited = clock::mono_ns().saturating_sub(began);
            if left.is_empty() || waited > LEFT_BEHIND.times(2).0 {
                break;
            }
            if waited > LEFT_BEHIND.0 {
                for id in &left {
                    let _ = process::signal(id, process::Signal::KILL);
                }
            }
            clock::sleep(Span::millis(10)).await;
        }
    }
}

/// Where a plan acts.
pub fn place_of(plan: &AwsPlan) -> Place {
    let at = plan.place.clone();
    Place {
        account: at.account,
        region: at.region,
        profile: at.profile,
        role: at.role,
        external_id: at.external_id,
        mfa: at.mfa,
        session: at.session,
    }
}

/// The door to the world for a run of this plan.
pub fn cx_for(plan: &Plan, run: &str, run_dir: &Path, exe: PathBuf, clock: Clock) -> Cx {
    let base = PathBuf::from(&plan.base_dir);
    let secrets: IndexMap<String, Secret> = plan
        .secrets
        .iter()
        .map(|(id, secret)| {
            let secret = match secret {
                SecretRef::Env(name) => Secret::Env(name.clone()),
                SecretRef::File(path) => Secret::File(base.join(path)),
                SecretRef::SsmParameter(name) => Secret::Other(format!("the SSM parameter {name}")),
            };
            (id.to_string(), secret)
        })
        .collect();
    Cx {
        clock,
        run: run.into(),
        run_dir: Arc::new(run_dir.to_owned()),
        base_dir: Arc::new(base),
        exe: Arc::new(exe),
        secrets: Arc::new(secrets),
        account: plan.aws.as_ref().map(|aws| Arc::new(place_of(aws))),
        cancel: CancellationToken::new(),
    }
}

/// The clock that continues a journal: the same boot goes on counting, a new boot begins just after the last entry.
pub fn clock_after(entries: &[Entry]) -> Clock {
    let last = entries.iter().map(|entry| entry.at).max().unwrap_or(At(0));
    let anchor = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Anchor(anchor) => Some((entry.at, anchor)),
        _ => None,
    });
    match anchor {
        Some((at, anchor)) if anchor.boot_id == clock::boot_id() => Clock::continuing(at, anchor.mono_ns),
        _ => Clock::continuing(last + Span::millis(1), clock::mono_ns()),
    }
}

/// Takes a dead run over and undoes what it owes. A run that owes nothing and has ended is left as it is.
///
/// # Errors
/// The run is still alive, or its directory cannot be read.
pub async fn finish(
    run_dir: &Path,
    exe: PathBuf,
    by: &str,
    why: &str,
    watch: mpsc::UnboundedSender<Entry>,
) -> Result<Finished, FinishError> {
    finish_in(run_dir, exe, by, why, Setup::ATTEMPTS, watch).await
}

/// The same, giving up on an item after so many attempts: whoever comes back later needs not hold the run for all of them.
///
/// # Errors
/// The run is still alive, or its directory cannot be read.
pub async fn finish_in(
    run_dir: &Path,
    exe: PathBuf,
    by: &str,
    why: &str,
    attempts: u32,
    watch: mpsc::UnboundedSender<Entry>,
) -> Result<Finished, FinishError> {
    let lock = RunLock::take(run_dir)?;
    if !run_dir.join(journal::FILE).exists() {
        // It died before its journal was there, so before anything could be armed.
        return Ok(Finished::nothing_done(Vec::new(), Outcome::Aborted));
    }
    let Found { plan, mut read, mut state, damage, lost: unknown } = look(run_dir)?;
    let owed_before: Vec<String> = state.owed().map(|(id, _)| id.clone()).chain(unknown.iter().cloned()).collect();
    if let (Some(outcome), true) = (state.outcome, owed_before.is_empty()) {
        return Ok(Finished::nothing_done(owed_before, outcome));
    }
    let clock = clock_after(&read.entries);
    let run = read.entries.iter().find_map(|entry| match &entry.event {
        Event::RunStarted { run, .. } => Some(run.clone()),
        _ => None,
    });
    let fallback = || run_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let cx = cx_for(&plan, &run.unwrap_or_else(fallback), run_dir, exe, clock);
    let plan = Arc::new(plan);
    let_injections_end(&cx, &state).await;
    let mut events = vec![Event::Anchor(clock.anchor())];
    events.extend(stopped_too_soon(&state, &unknown));
    for id in &unknown {
        events.push(lost::armed(id, &read.entries, &plan, &cx).await);
    }
    events.push(Event::TakenOver { by: by.into(), dropped: read.torn, why: why.into() });
    if let Some(why) = damage {
        // An end that stood in doubtful data is none: the run is judged as one that was cut off.
        read.entries.retain(|entry| !matches!(entry.event, Event::RunFinished { .. }));
        state.outcome = None;
        let entries = std::mem::take(&mut read.entries);
        read = match journal::rewrite(run_dir, entries.clone(), &lock) {
            // What is there stays as it is, damaged and whole.
            Err(error) if error.is_refusal() => Read { entries, good: journal::length(run_dir)?, ..Read::default() },
            rewritten => rewritten?,
        };
        events.push(Event::JournalPoisoned { why });
    }
    let mut journal = Journal::resume(run_dir, &read, lock)?;
    for event in events {
        let entry = journal.append(stamp(clock, &event), event);
        state.apply(&entry)?;
        // Nobody may be looking on.
        let _ = watch.send(entry);
    }
    let trouble = journal.trouble();
    let (_keep, commands) = mpsc::channel(1);
    let setup = Setup { watch, attempts, ..Setup::unattended(plan, cx, journal, state, commands) };
    let outcome = drive::run(setup).await;
    let (after, ..) = RunState::of_what_is_left(journal::read(run_dir)?.entries);
    let owed_after: Vec<(String, String)> = after.owed().map(|(id, item)| (id.clone(), item.undo.by_hand.clone())).collect();
    if outcome != Outcome::Stuck && (after.outcome.is_none() || !owed_after.is_empty()) {
        let why = trouble.unwrap_or_else(|| format!("{} does not end as it was written", run_dir.join(journal::FILE).display()));
        return Ok(Finished { owed_before, owed_after: Vec::new(), outcome, unwritten: Some(why) });
    }
    Ok(Finished { owed_before, owed_after, outcome, unwritten: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::UndoRecord;

    #[test]
    fn a_late_undo_starts_processes_again_and_writes_nothing() {
        let mut state = RunState::default();
        let mut seq = 0;
        let mut tell = |event| {
            state.apply(&Entry { seq, at: At(seq), event }).unwrap();
            seq += 1;
        };
        for (id, role) in [("system/a", Role::Support), ("ledger/orders", Role::Support), ("broken", Role::Fault)] {
            let undo = Box::new(UndoRecord { kind: "x".into(), detail: serde_json::Value::Null, by_hand: "true".into(), declared: None });
            tell(Event::Armed { id: id.into(), role, undo, targets: Vec::new(), summary: String::new() });
            tell(Event::Undoing { id: id.into(), attempt: 1, why: String::new() });
            if role == Role::Support {
                tell(Event::Undone { id: id.into(), when: crate::base::Interval::exact(At(0)), seen: String::new() });
            }
        }
        let again = stopped_too_soon(&state, &BTreeSet::new());
        let ids: Vec<_> = again.iter().map(|event| if let Event::Armed { id, .. } = event { id.as_str() } else { "" }).collect();
        assert_eq!(ids, ["system/a"]);
    }
}
