//! The process that undoes when the runner dies: started and acknowledged before the first injection, in a session of its own, with a socket to the
//! runner as its standard input. The runner's side is [`Guardian`]; the watchdog's side is [`watch`].

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::base::Span;
use crate::sys::process::{self, ProcessId};
use crate::sys::{Cx, clock, helper, session};

/// Silence after which the watchdog acts while something is overdue.
const SILENT_OVERDUE: Span = Span::secs(3);
/// Silence after which the watchdog acts at all.
const SILENT: Span = Span::secs(15);
/// How long the watchdog listens before it looks at the clock again.
const LISTEN: Span = Span::millis(200);
/// How long a watchdog may take to answer.
const READY_WITHIN: Span = Span::secs(5);

/// Why there is no watchdog: reads after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("start the watchdog: {0}")]
pub struct NoWatchdog(String);

/// The runner's side.
#[derive(Debug)]
pub struct Guardian {
    pid: u32,
    child: tokio::process::Child,
    from: Lines<BufReader<OwnedReadHalf>>,
    to: OwnedWriteHalf,
}

/// A watchdog that was started and has not answered yet. It sees the death of this process already.
#[derive(Debug)]
pub struct Unanswered {
    exe: PathBuf,
    child: tokio::process::Child,
    ours: std::os::unix::net::UnixStream,
}

impl Guardian {
    /// Starts a watchdog over this process, as a child of the runtime that is entered.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(cx: &Cx) -> Result<Unanswered, NoWatchdog> {
        let no = |why: String| NoWatchdog(why);
        let me = process::find(std::process::id()).ok_or_else(|| no("this process is not in /proc".into()))?;
        let me = serde_json::to_string(&me).map_err(|e| no(e.to_string()))?;
        let arguments = [cx.run_dir.as_os_str(), OsStr::new(&me)];
        // Sessions go with it: it can ask nobody for a code.
        let started = helper::start(cx, "__watchdog", &arguments, &session::handed_on());
        let (child, ours) = started.map_err(|e| no(format!("{}: {e}", cx.exe.display())))?;
        Ok(Unanswered { exe: cx.exe.to_path_buf(), child, ours })
    }
}

impl Unanswered {
    /// Waits until it has answered.
    ///
    /// # Errors
    /// It ended, says something else, or does not answer in time.
    pub async fn answer(self) -> Result<Guardian, NoWatchdog> {
        let no = |why: String| NoWatchdog(why);
        let Unanswered { exe, child, ours } = self;
        let pid = child.id().ok_or_else(|| no("it ended at once".into()))?;
        let stream = UnixStream::from_std(ours).map_err(|e| no(e.to_string()))?;
        let (from, to) = stream.into_split();
        let mut from = BufReader::new(from).lines();
        match tokio::time::timeout(READY_WITHIN.std(), from.next_line()).await {
            Ok(Ok(Some(line))) if line == "ready" => Ok(Guardian { pid, child, from, to }),
            Ok(Ok(Some(line))) => Err(no(format!("{} answered {line:?}", exe.display()))),
            Ok(Ok(None)) => Err(no(format!("{} ended without an answer", exe.display()))),
            Ok(Err(error)) => Err(no(error.to_string())),
            Err(_) => Err(no(format!("no answer within {}", READY_WITHIN.human()))),
        }
    }
}

impl Guardian {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends when the watchdog is gone; says how.
    pub async fn lost(&mut self) -> String {
        loop {
            match self.from.next_line().await {
                Ok(Some(_)) => {}
                Ok(None) => return "it closed its socket".into(),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// We live; what is owed should be undone by `deadline` (raw CLOCK_MONOTONIC).
    pub fn beat(&mut self, deadline: Option<u64>) {
        // A full or broken socket shows as a lost watchdog; waiting here would stop the drill.
        let _ = self.to.try_write(format!("beat {}\n", deadline.unwrap_or(0)).as_bytes());
    }

    /// Something could not be undone: the watchdog goes on trying when we are gone. Our lock must be free by now.
    pub async fn hand_over(mut self) {
        let _ = self.to.write_all(b"stuck\n").await;
        let _ = self.to.shutdown().await;
    }

    /// Everything is undone: the watchdog may go.
    pub async fn dismiss(mut self) {
        let _ = self.to.write_all(b"bye\n").await;
        let _ = self.to.shutdown().await;
        let _ = tokio::time::timeout(Span::secs(2).std(), self.child.wait()).await;
    }
}

/// How long the watchdog waits for a runner that has handed its run over to end by itself: it still judges and reports.
const STAY_BACK: Span = Span::secs(30);

/// What the watchdog has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// The runner ended well.
    Rest,
    /// The runner is dead or must die: finish its run. Why.
    Finish(String),
    /// The runner has given up on an undo and has ended well otherwise: go on trying. Why.
    TryOn(String),
}

/// The watchdog's side: takes over what sessions the runner has, then watches it over standard input until it dies, falls silent or says goodbye; kills it if it must.
pub async fn watch(stream: UnixStream, runner: &ProcessId) -> Duty {
    let (from, mut to) = stream.into_split();
    let mut from = BufReader::new(from).lines();
    // Before anything else: it lies in the socket since before this process was, also where the runner is gone by now.
    if let Ok(Ok(Some(line))) = tokio::time::timeout(READY_WITHIN.std(), from.next_line()).await {
        session::take(&line);
    }
    if to.write_all(b"ready\n").await.is_err() {
        return Duty::Finish("the runner died before the watchdog was ready".into());
    }
    let mut deadline = 0u64;
    let mut heard = clock::mono_ns();
    loop {
        let began = clock::mono_ns();
        // Short waits, so that a deadline that passes during a silence is seen.
        let why = match tokio::time::timeout(LISTEN.std(), from.next_line()).await {
            Ok(Ok(Some(line))) if line == "bye" => return Duty::Rest,
            Ok(Ok(Some(line))) if line == "stuck" => {
                outlive(runner).await;
                return Duty::TryOn("the runner could not undo everything".to_owned());
            }
            Ok(Ok(Some(line))) => {
                heard = clock::mono_ns();
                deadline = line.strip_prefix("beat ").and_then(|text| text.parse().ok()).unwrap_or(deadline);
                continue;
            }
            Ok(Ok(None) | Err(_)) => "the runner died".to_owned(),
            Err(_) => {
                let now = clock::mono_ns();
                let stood = now.saturating_sub(began);
                if stood > LISTEN.0 * 5 {
                    // The machine, or we, stood still: that is no silence of the runner's.
                    heard += stood;
                }
                let limit = if deadline != 0 && now > deadline { SILENT_OVERDUE } else { SILENT };
                if now.saturating_sub(heard) < limit.0 {
                    continue;
                }
                format!("the runner was silent for {}", limit.human())
            }
        };
        end_runner(runner).await;
        return Duty::Finish(why);
    }
}

/// Waits until the runner has ended, but not for ever: one that hangs in its report no longer writes the journal.
async fn outlive(runner: &ProcessId) {
    let end = clock::mono_ns() + STAY_BACK.0;
    while process::alive(runner) && clock::mono_ns() < end {
        clock::sleep(Span::millis(100)).await;
    }
}

/// Kills the runner by what it is, not by a number that may be somebody else's by now, and waits for its death: no two writers.
async fn end_runner(runner: &ProcessId) {
    while process::alive(runner) {
        let _ = process::signal(runner, rustix::process::Signal::KILL);
        clock::sleep(Span::millis(10)).await;
    }
}

/// Where a run's directory is, for messages.
pub fn by_hand(run_dir: &Path) -> String {
    format!("firedrill undo {}", run_dir.display())
}
