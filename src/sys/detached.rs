//! Processes that outlive the runner: started in a session of their own, marked, written down, found again and stopped by anybody.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::io::AsyncReadExt;

use super::exec::{Exec, ExecError, Exit, ready, shim_command, socket};
use super::process::{self, ProcessId, Signal};
use super::{Cx, clock};
use crate::base::Span;

/// A process that is to outlive the runner.
#[derive(Debug, Clone, Default)]
pub struct Detached {
    /// The command; its `limit` is how long starting may take (not how long it may live), its `owner` the mark it is found by.
    pub exec: Exec,
    /// Where its output is appended to.
    pub log: PathBuf,
    /// Where its [`ProcessId`] is written, by itself, before it becomes the program.
    pub record: PathBuf,
}

/// How the processes ended that this runner started and has reaped.
static ENDED: LazyLock<Mutex<HashMap<ProcessId, Exit>>> = LazyLock::new(Mutex::default);

/// How a process ended that this very process started; `None` while it lives, and for one that somebody else started.
pub fn exit_of(id: &ProcessId) -> Option<Exit> {
    ENDED.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
}

/// Starts a process that survives the runner, in its own session, with its output in a file. Returns when it has become the program.
///
/// # Errors
/// It could not be started.
pub async fn spawn_system(what: Detached, cx: &Cx) -> Result<ProcessId, ExecError> {
    let ready = ready(&what.exec, cx)?;
    let program = ready.name.clone();
    let refuse = |why: String| ExecError::Start { program: program.clone(), why };
    let (mut ours, theirs) = socket(&program)?;
    let log = open_log(&what).map_err(|error| refuse(format!("{}: {error}", what.log.display())))?;
    let mut command = shim_command(&ready, &what.exec, Some(&what.record), theirs, cx);
    command.stdout(Stdio::from(log.try_clone().map_err(|error| refuse(error.to_string()))?)).stderr(Stdio::from(log));
    let mut child = command.spawn().map_err(|error| refuse(error.to_string()))?;
    drop(command);
    let id = child.id().and_then(|pid| Some((pid, process::stat(pid)?)));
    let id = id.map(|(pid, stat)| ProcessId { pid, start_time: stat.start_time, boot_id: clock::boot_id().to_owned() });
    let id = id.ok_or_else(|| refuse("it ended at once".to_owned()))?;
    let reaped = id.clone();
    tokio::spawn(async move {
        use std::os::unix::process::ExitStatusExt;
        if let Ok(status) = child.wait().await {
            let exit = status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code);
            ENDED.lock().unwrap_or_else(PoisonError::into_inner).insert(reaped, exit);
        }
    });
    let mut report = String::new();
    let heard = tokio::select! {
        heard = tokio::time::timeout(what.exec.limit.std(), ours.read_to_string(&mut report)) => heard.is_ok(),
        () = cx.cancel.cancelled() => false,
    };
    if !heard {
        let _ = process::signal(&id, Signal::KILL);
        gone(std::slice::from_ref(&id), Span::secs(2)).await;
        return Err(ExecError::Cancelled { program });
    }
    match report.lines().find_map(|line| line.strip_prefix("failed ")) {
        Some(why) => Err(refuse(why.to_owned())),
        None => Ok(id),
    }
}

fn open_log(what: &Detached) -> io::Result<std::fs::File> {
    for dir in [what.log.parent(), what.record.parent()].into_iter().flatten() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(&what.log)
}

/// The process that a record names, whether it still lives or not.
pub fn recorded(record: &Path) -> Option<ProcessId> {
    serde_json::from_slice(&std::fs::read(record).ok()?).ok()
}

/// Everything that lives of what was started under a mark and a record, leader first.
pub fn members(owner: &str, record: &Path) -> Vec<ProcessId> {
    process::members(owner, recorded(record).as_ref())
}

/// Stops everything that was started under a mark and a record: asks the leader with `signal` (what is left when it is gone is asked, too),
/// gives it `within`, kills the rest, and waits until nothing is left. Safe to repeat.
///
/// # Errors
/// The kernel refuses, or something survives SIGKILL.
pub async fn stop_marked(owner: &str, record: &Path, signal: Signal, within: Span) -> Result<(), ExecError> {
    let send = |id: &ProcessId, signal: Signal| {
        process::signal(id, signal).map_err(|source| ExecError::Signal { what: process::describe(id), source })
    };
    let leader = recorded(record);
    let mut asked: Vec<ProcessId> = Vec::new();
    let start = clock::mono_ns();
    while clock::mono_ns().saturating_sub(start) < within.0 && signal != Signal::KILL {
        let left = process::members(owner, leader.as_ref());
        if left.is_empty() {
            return Ok(());
        }
        let led = leader.as_ref().is_some_and(|leader| left.contains(leader));
        for id in left.iter().filter(|id| !led || leader.as_ref() == Some(id)) {
            if !asked.contains(id) {
                send(id, signal)?;
                // A stopped process hears it only when it goes on.
                send(id, Signal::CONT)?;
                asked.push(id.clone());
            }
        }
        clock::sleep(Span::millis(20)).await;
    }
    // Again and again, as what is dying may still be starting others.
    let mut left = Vec::new();
    for _ in 0..100 {
        left = process::members(owner, leader.as_ref());
        if left.is_empty() {
            return Ok(());
        }
        for id in &left {
            send(id, Signal::KILL)?;
        }
        gone(&left, Span::millis(50)).await;
    }
    Err(ExecError::Undying(left.iter().map(process::describe).collect::<Vec<_>>().join(", ")))
}

/// Waits until none of these lives; false when some still do.
async fn gone(processes: &[ProcessId], within: Span) -> bool {
    let start = clock::mono_ns();
    while processes.iter().any(process::alive) {
        if clock::mono_ns().saturating_sub(start) > within.0 {
            return false;
        }
        clock::sleep(Span::millis(2)).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_record_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let record = dir.path().join("a.json");
        assert_eq!(recorded(&record), None);
        std::fs::write(&record, "{\"pid\":").unwrap();
        assert_eq!(recorded(&record), None);
        let us = process::find(std::process::id()).unwrap();
        std::fs::write(&record, serde_json::to_string(&us).unwrap()).unwrap();
        assert_eq!(recorded(&record), Some(us));
    }

    #[tokio::test]
    async fn stopping_nothing_is_done_at_once() {
        let dir = tempfile::tempdir().unwrap();
        stop_marked("nobody/system/nothing", &dir.path().join("x.json"), Signal::TERM, Span::secs(60)).await.unwrap();
    }
}
