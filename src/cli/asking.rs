//! Finding a running drill and asking it for something.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::out::{Voice, say};
use super::store;
use crate::base::Span;
use crate::engine::control::{self, Request};
use crate::event::{Event, Outcome};
use crate::journal::{self, RunLock};
use crate::sys::clock;

/// How long a run that lives may take to answer: it may have only just begun.
const ANSWER: Span = Span::secs(10);
const LOOK: Span = Span::millis(50);
const MACHINE: &str = "`firedrill lever engage` stops every drill of this machine, also those of other users";

/// Why a run cannot be asked, and what to do instead.
pub struct Refusal {
    /// Why.
    pub why: String,
    /// What to do.
    pub help: String,
}

impl Refusal {
    /// Says it.
    pub fn say(&self, voice: &Voice) -> Exit {
        voice.error(&self.why, Some(&self.help));
        Exit::CouldNotStart
    }
}

/// The run of a directory.
pub fn id(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Which runs are meant: the named one, or those that are running.
///
/// # Errors
/// There is none, or there are several and not all are meant.
pub fn choose(runs: &Path, run: Option<&str>, all: bool) -> Result<Vec<PathBuf>, Refusal> {
    if let Some(run) = run {
        let found = store::find_anywhere(runs, run);
        return found.map(|dir| vec![dir]).map_err(|why| Refusal { why, help: "`firedrill runs` lists them".to_owned() });
    }
    let running = store::running(runs);
    match running.as_slice() {
        [] => {
            let owes = if store::debts(runs).is_empty() { "" } else { "dead runs owe something: `firedrill undo --all` settles it; " };
            Err(Refusal { why: "no drill of yours is running on this machine".to_owned(), help: format!("{owes}{MACHINE}") })
        }
        [_] => Ok(running),
        _ if all => Ok(running),
        several => {
            let names: Vec<String> = several.iter().map(|dir| id(dir)).collect();
            let why = format!("{} drills are running: {}", names.len(), names.join(", "));
            Err(Refusal { why, help: "name one of them; `firedrill abort --all` ends all".to_owned() })
        }
    }
}

/// Asks one run; `Ok` when it has heard, or when somebody undoes it already.
///
/// # Errors
/// It is not running, or does not answer.
pub async fn ask(dir: &Path, request: &Request) -> Result<(), Refusal> {
    let until = clock::mono_ns() + ANSWER.0;
    loop {
        if !RunLock::is_held(dir) {
            return Err(not_running(dir));
        }
        let error = match control::ask(dir, request, ANSWER).await {
            Ok(reply) => match reply.error {
                None => return Ok(()),
                Some(error) => error,
            },
            Err(error) => error.to_string(),
        };
        let begun = Begun::read(dir);
        if begun.in_other_hands {
            say(&format!("{}: it is being undone already", id(dir)));
            return Ok(());
        }
        if clock::mono_ns() > until {
            let help = begun.pid.map_or_else(|| MACHINE.to_owned(), |pid| format!("interrupt its process: kill -INT {pid}"));
            return Err(Refusal { why: format!("{} does not answer: {error}", id(dir)), help });
        }
        clock::sleep(LOOK).await;
    }
}

/// What the journal says of who runs it.
struct Begun {
    pid: Option<u32>,
    in_other_hands: bool,
}

impl Begun {
    fn read(dir: &Path) -> Begun {
        let entries = journal::read(dir).map(|read| read.entries).unwrap_or_default();
        let pid = entries.iter().find_map(|entry| match entry.event {
            Event::RunStarted { pid, .. } => Some(pid),
            _ => None,
        });
        Begun { pid, in_other_hands: entries.iter().any(|entry| matches!(entry.event, Event::TakenOver { .. })) }
    }
}

/// Why a run that nobody is at work on cannot be asked.
pub fn not_running(dir: &Path) -> Refusal {
    let run = id(dir);
    if std::fs::metadata(dir.join("lock")).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        return Refusal { why: format!("{run} is another user's: only they and root can abort it"), help: MACHINE.to_owned() };
    }
    match store::outcome(dir) {
        Some(outcome) if store::owed(dir).is_empty() => {
            Refusal { why: format!("{run} has ended already: {}", ending(outcome)), help: format!("`firedrill report {run}` tells how") }
        }
        _ => Refusal {
            why: format!("{run} is dead: the process that ran it is gone"),
            help: format!("undo what it owes: firedrill undo {}", dir.display()),
        },
    }
}

/// How a run ended, in words.
pub fn ending(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "it came to its end; nothing is owed",
        Outcome::NotSteady => "it was not steady beforehand; nothing was injected",
        Outcome::Aborted => "aborted; everything is undone",
        Outcome::Stuck => "an undo failed at first; nothing is owed any more",
    }
}
