//! Finishing a dead run from its directory alone: the watchdog's work, and `firedrill undo`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::drive::{self, Setup};
use crate::base::{At, Id, Span};
use crate::event::{Entry, Event, Outcome};
use crate::fault;
use crate::journal::{self, Journal, JournalError, PLAN, Read, RunLock};
use crate::plan::{Plan, SecretRef};
use crate::state::{Illegal, RunState};
use crate::sys::{Clock, Cx, Secret, clock};

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

/// What became of a dead run.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Items that owed an undo before.
    pub owed_before: Vec<String>,
    /// Items that still do: id and the line to paste.
    pub owed_after: Vec<(String, String)>,
    /// How the run ended.
    pub outcome: Outcome,
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
    let plan = load_plan(run_dir)?;
    let read = journal::read(run_dir)?;
    let state = RunState::of(&read.entries)?;
    Ok(Dead { plan: Arc::new(plan), read, state })
}

fn load_plan(run_dir: &Path) -> Result<Plan, FinishError> {
    let path = run_dir.join(PLAN);
    let bad = |why: String| FinishError::Plan { path: path.clone(), why };
    let text = std::fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| bad(error.to_string()))
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

/// What of a damaged journal can be followed, and the items that were injected though nobody can read any more how to undo them.
pub fn follow(salvaged: Vec<Entry>) -> (Vec<Entry>, RunState, Vec<String>) {
    let (state, kept, lost) = RunState::of_what_is_left(salvaged);
    (kept, state, lost.into_iter().collect())
}

/// Makes a damaged journal one that can be gone on with: the damaged file is set aside, what could be salvaged begins a new one. The new one
/// has no end, so that doubtful data never pass. Items whose undo was lost come with what a person can do.
fn mend(run_dir: &Path, line: usize) -> Result<(Dead, Vec<(String, String)>), FinishError> {
    let (mut kept, state, lost) = follow(journal::salvage(run_dir)?);
    let plan = load_plan(run_dir)?;
    if state.outcome.is_some() && state.owed().next().is_none() && lost.is_empty() {
        let read = Read { entries: kept, ..Read::default() };
        return Ok((Dead { plan: Arc::new(plan), read, state }, Vec::new()));
    }
    kept.retain(|entry| !matches!(entry.event, Event::RunFinished { .. }));
    let at = kept.iter().map(|entry| entry.at).max().unwrap_or_default();
    let text = format!("the journal was damaged from line {line} on; what could be read is here, the damaged file was set aside");
    kept.push(Entry { seq: 0, at, event: Event::Note { text } });
    let aside = journal::set_aside(run_dir, &kept)?;
    let by_hand = |id: String| {
        let kind =
            id.parse().ok().and_then(|id: Id| plan.faults.get(&id)).map_or_else(|| "its kind".to_owned(), |fault| fault.kind.clone());
        let text = format!("the undo of {id} cannot be read any more: look for it in {aside}; `firedrill kinds` says how {kind} is undone");
        (id, format!("echo {}", fault::shell::quote(&text)))
    };
    let lost = lost.into_iter().map(by_hand).collect();
    Ok((load(run_dir)?, lost))
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
    let lock = RunLock::take(run_dir)?;
    if !run_dir.join(journal::FILE).exists() {
        // It died before its journal was there, so before anything could be armed.
        return Ok(Finished { owed_before: Vec::new(), owed_after: Vec::new(), outcome: Outcome::Aborted });
    }
    let (dead, lost) = match load(run_dir) {
        Err(FinishError::Journal(JournalError::Damaged { line, .. })) => mend(run_dir, line)?,
        Err(FinishError::Illegal(illegal)) => mend(run_dir, usize::try_from(illegal.seq).unwrap_or(0) + 1)?,
        other => (other?, Vec::new()),
    };
    let owed_before: Vec<String> = dead.state.owed().map(|(id, _)| id.clone()).collect();
    if let (Some(outcome), true, true) = (dead.state.outcome, owed_before.is_empty(), lost.is_empty()) {
        return Ok(Finished { owed_before, owed_after: Vec::new(), outcome });
    }
    let clock = clock_after(&dead.read.entries);
    let run = dead.read.entries.iter().find_map(|entry| match &entry.event {
        Event::RunStarted { run, .. } => Some(run.clone()),
        _ => None,
    });
    let fallback = || run_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let cx = cx_for(&dead.plan, &run.unwrap_or_else(fallback), run_dir, exe, clock);
    let mut journal = Journal::resume(run_dir, &dead.read, lock)?;
    let mut state = dead.state;
    let taken = Event::TakenOver { by: by.into(), dropped: dead.read.torn, why: why.into() };
    for event in [Event::Anchor(clock.anchor()), taken] {
        let entry = journal.append(clock.now(), event);
        state.apply(&entry)?;
        // Nobody may be looking on.
        let _ = watch.send(entry);
    }
    let (_keep, commands) = mpsc::channel(1);
    let setup = Setup { plan: dead.plan, cx, journal, state, commands, watch, guardian: None, attempts: Setup::ATTEMPTS };
    let outcome = drive::run(setup).await;
    let after = RunState::of(&journal::read(run_dir)?.entries)?;
    let mut owed_after: Vec<(String, String)> = after.owed().map(|(id, item)| (id.clone(), item.undo.by_hand.clone())).collect();
    owed_after.extend(lost);
    Ok(Finished { owed_before, owed_after, outcome })
}
