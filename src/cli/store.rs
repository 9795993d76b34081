//! Run directories: finding them, making one, and what dead ones still owe.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::Span;
use crate::engine::finish::{self, FinishError};
use crate::event::{Event, Outcome};
use crate::journal::{self, JournalError, PLAN, Registry, RunLock, SCENARIO, WORKLOAD};
use crate::plan::Plan;
use crate::state::RunState;
use crate::sys::clock;

/// A dead run that still owes an undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// Its directory.
    pub dir: PathBuf,
    /// What it owes.
    pub items: Vec<String>,
}

/// A new run id: sorts by time.
pub fn new_id() -> String {
    let mut bytes = [0u8; 10];
    // Without randomness the process id keeps two runs of one millisecond apart.
    if rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::NONBLOCK).is_err() {
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    }
    let random = bytes.iter().fold(0u128, |sum, byte| (sum << 8) | u128::from(*byte));
    ulid::Ulid::from_parts(clock::wall_ms(), random).to_string()
}

/// Makes the directory of a new run, with plan, scenario and workload in it.
///
/// # Errors
/// The disk or the permissions refuse.
pub fn create(runs: &Path, id: &str, plan_text: &str, scenario: &[u8], workload: Option<&str>) -> Result<PathBuf, JournalError> {
    let os = |doing: &'static str, path: &Path, source: std::io::Error| JournalError::Os { doing, path: path.to_owned(), source };
    let runs = std::path::absolute(runs).map_err(|source| os("find", runs, source))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&runs).map_err(|source| os("create", &runs, source))?;
    let dir = runs.join(id);
    fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|source| os("create", &dir, source))?;
    let workload = workload.map(|text| (WORKLOAD, text.as_bytes()));
    for (name, bytes) in [(SCENARIO, scenario), (PLAN, plan_text.as_bytes())].into_iter().chain(workload) {
        let path = dir.join(name);
        let result = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).and_then(|mut file| {
            std::io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        });
        result.map_err(|source| os("write", &path, source))?;
    }
    Ok(dir)
}

/// The directories of all runs, oldest first.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(runs) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.join(PLAN).is_file()).collect();
    found.sort();
    found
}

/// The run that somebody means: an id, the beginning of one, `last`, or a directory.
///
/// # Errors
/// A sentence when nothing or more than one run is meant.
pub fn find(runs: &Path, name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    if path.join(PLAN).is_file() {
        return std::path::absolute(path).map_err(|error| error.to_string());
    }
    let all = all(runs);
    let id = |path: &PathBuf| path.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
    let mut found: Vec<&PathBuf> = match name {
        "last" | "latest" => all.last().into_iter().collect(),
        _ => all.iter().filter(|path| id(path).to_lowercase().starts_with(&name.to_lowercase())).collect(),
    };
    match found.len() {
        1 => std::path::absolute(found.remove(0)).map_err(|error| error.to_string()),
        0 if all.is_empty() => Err(format!("no run `{name}`: there are no runs under {}", runs.display())),
        0 => Err(format!("no run `{name}` under {}", runs.display())),
        n => Err(format!("`{name}` is the beginning of {n} runs: {}", found.iter().map(|path| id(path)).collect::<Vec<_>>().join(", "))),
    }
}

/// The run that somebody means, under `runs` or wherever on this machine it is.
///
/// # Errors
/// A sentence when nothing or more than one run is meant.
pub fn find_anywhere(runs: &Path, name: &str) -> Result<PathBuf, String> {
    let not_here = match find(runs, name) {
        Ok(dir) => return Ok(dir),
        Err(why) => why,
    };
    let registered = Registry::here().runs();
    let mut found: Vec<&(String, PathBuf)> =
        registered.iter().filter(|(id, _)| id.to_lowercase().starts_with(&name.to_lowercase())).collect();
    match found.len() {
        1 => Ok(found.remove(0).1.clone()),
        0 => Err(not_here),
        n => Err(format!(
            "`{name}` is the beginning of {n} runs: {}",
            found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// Every run directory of this machine that is registered or under `runs`.
fn everywhere(runs: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Registry::here().runs().into_iter().map(|(_, dir)| dir).collect();
    dirs.extend(all(runs).into_iter().filter_map(|dir| std::path::absolute(dir).ok()));
    dirs.sort();
    dirs.dedup();
    dirs
}

/// The drills that are running.
pub fn running(runs: &Path) -> Vec<PathBuf> {
    everywhere(runs).into_iter().filter(|dir| RunLock::is_held(dir) && !given_up(dir)).collect()
}

/// The runs that nobody has brought to an end: those that owe something, and those that died before.
pub fn dead(runs: &Path) -> Vec<PathBuf> {
    let unfinished = |dir: &PathBuf| debt(dir).is_some() || (!RunLock::is_held(dir) && !ended(dir));
    everywhere(runs).into_iter().filter(|dir| !journal::ended_well(dir) && unfinished(dir)).collect()
}

/// Whether there is nothing to bring to an end: the journal has one, or was never begun.
fn ended(dir: &Path) -> bool {
    !dir.join(journal::FILE).exists() || outcome(dir).is_some()
}

/// How a run ended; `None` where its journal does not say so, or cannot be read.
pub fn outcome(dir: &Path) -> Option<Outcome> {
    let entries = journal::read(dir).ok()?.entries;
    entries.iter().rev().find_map(|entry| match entry.event {
        Event::RunFinished { outcome } => Some(outcome),
        _ => None,
    })
}

/// Whether its runner has ended without having undone everything: whoever holds the lock now tries once more.
pub fn given_up(dir: &Path) -> bool {
    outcome(dir) == Some(Outcome::Stuck)
}

/// What a run directory owes; nothing while its runner, or somebody who undoes for a dead one, is at work on it.
pub fn debt(dir: &Path) -> Option<Debt> {
    // Every start asks this of every run there is: most are over, and that is seen at the end of their journals.
    if journal::ended_well(dir) || (RunLock::is_held(dir) && !given_up(dir)) {
        return None;
    }
    let items: Vec<String> = owed(dir).into_iter().map(|(id, _)| id).collect();
    (!items.is_empty()).then(|| Debt { dir: dir.to_owned(), items })
}

/// What the journal of a run says is still owed: item and the line to paste. A damaged journal is read as far as it goes: a doubtful undo is
/// better than none.
pub fn owed(dir: &Path) -> Vec<(String, String)> {
    let entries = match journal::read(dir) {
        Ok(read) => read.entries,
        Err(JournalError::Damaged { .. }) => journal::salvage(dir).unwrap_or_default(),
        Err(_) => return Vec::new(),
    };
    let (state, _, lost) = RunState::of_what_is_left(entries);
    let known = state.owed().map(|(id, item)| (id.clone(), item.undo.by_hand.clone()));
    known.chain(lost.into_iter().map(|id| (id.clone(), format!("echo 'look what {id} did, and undo it'")))).collect()
}

/// What dead runs owe, on this machine and under `runs`.
pub fn debts(runs: &Path) -> Vec<Debt> {
    everywhere(runs).iter().filter_map(|dir| debt(dir)).collect()
}

/// How long the disk may take for the files of a report.
const WRITE_WITHIN: Span = Span::secs(10);

/// Writes report files; they may be read by their owner only, as everything of a run. Done by a thread of its own: a disk that hangs keeps nobody from
/// hearing how the drill ended.
///
/// # Errors
/// The disk refuses, or does not answer.
pub fn write_reports(dir: &Path, files: Vec<(&'static str, String)>) -> std::io::Result<()> {
    let (done, answer) = std::sync::mpsc::channel();
    let dir = dir.to_owned();
    let write = move || {
        let written = files.iter().try_for_each(|(name, text)| write_report(&dir, name, text));
        // Whoever asked may have gone on.
        let _ = done.send(written);
    };
    std::thread::Builder::new().name("report".into()).spawn(write)?;
    let late = || std::io::Error::other(format!("the disk did not answer within {}; this process ends when it does", WRITE_WITHIN.human()));
    answer.recv_timeout(WRITE_WITHIN.std()).unwrap_or_else(|_| Err(late()))
}

fn write_report(dir: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = dir.join(name);
    let partial = dir.join(format!(".{name}.partial"));
    let written = fs::write(&partial, text)
        .and_then(|()| fs::set_permissions(&partial, fs::Permissions::from_mode(0o600)))
        .and_then(|()| fs::rename(&partial, &path));
    if written.is_err() {
        // Half a report on a full disk helps nobody.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// A run directory read for a report.
///
/// # Errors
/// Plan or journal cannot be read.
pub fn read(dir: &Path) -> Result<(Plan, Vec<crate::event::Entry>), FinishError> {
    let dead = finish::load(dir)?;
    let plan = std::sync::Arc::unwrap_or_clone(dead.plan);
    Ok((plan, dead.read.entries))
}

/// The run's id, from its first entry.
pub fn id_of(entries: &[crate::event::Entry]) -> Option<&str> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::RunStarted { run, .. } => Some(run.as_str()),
        _ => None,
    })
}
