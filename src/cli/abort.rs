//! `firedrill abort`: asks running drills to end, and waits until they have.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::args::Abort;
use super::exit::Exit;
use super::out::{Voice, say};
use super::{runtime, store};
use crate::base::Span;
use crate::engine::control::{self, Request};
use crate::event::{Event, Outcome};
use crate::journal::{self, RunLock};
use crate::sys::clock;

/// How long a run that lives may take to answer: it may have only just begun.
const ANSWER: Span = Span::secs(10);
/// How long a run may be in nobody's hands before it counts as dead: its watchdog takes it over.
const NOBODY: Span = Span::secs(10);
const LOOK: Span = Span::millis(50);
const MACHINE: &str = "`firedrill lever engage` stops every drill of this machine, also those of other users";

/// Why a run cannot be asked, and what to do instead.
struct Refusal {
    why: String,
    help: String,
}

/// Asks, and waits.
pub fn abort(args: &Abort, voice: Voice) -> Exit {
    let refuse = |refusal: Refusal| {
        voice.error(&refusal.why, Some(&refusal.help));
        Exit::CouldNotStart
    };
    let dirs = match choose(args) {
        Ok(dirs) => dirs,
        Err(refusal) => return refuse(refusal),
    };
    let Ok(runtime) = runtime() else { return Exit::Bug };
    runtime.block_on(async {
        let mut worst = Exit::Ok;
        let mut asked = Vec::new();
        // All are asked before one is waited for.
        for dir in dirs {
            match ask(&dir, &args.reason).await {
                Ok(()) => asked.push(dir),
                Err(refusal) => worst = refuse(refusal),
            }
        }
        let until = clock::mono_ns().saturating_add(args.wait.0);
        for dir in asked {
            let exit = see_it_end(&dir, until, args.wait, voice).await;
            if exit != Exit::Ok && worst != Exit::Stuck {
                worst = exit;
            }
        }
        worst
    })
}

fn id(dir: &Path) -> String {
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Which runs are meant: the named one, or those that are running.
fn choose(args: &Abort) -> Result<Vec<PathBuf>, Refusal> {
    let runs = &args.runs.dir;
    if let Some(run) = &args.run {
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
        _ if args.all => Ok(running),
        several => {
            let names: Vec<String> = several.iter().map(|dir| id(dir)).collect();
            let why = format!("{} drills are running: {}", names.len(), names.join(", "));
            Err(Refusal { why, help: "name one of them, or abort --all".to_owned() })
        }
    }
}

/// Asks one run; `Ok` when it has heard, or when somebody undoes it already.
async fn ask(dir: &Path, reason: &str) -> Result<(), Refusal> {
    let until = clock::mono_ns() + ANSWER.0;
    loop {
        if !RunLock::is_held(dir) {
            return Err(not_running(dir));
        }
        let error = match control::ask(dir, &Request::Abort { reason: reason.to_owned() }, ANSWER).await {
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
fn not_running(dir: &Path) -> Refusal {
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

fn ending(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "it came to its end; nothing is owed",
        Outcome::NotSteady => "it was not steady beforehand; nothing was injected",
        Outcome::Aborted => "aborted; everything is undone",
        Outcome::Stuck => "an undo failed at first; nothing is owed any more",
    }
}

/// Waits until a run has ended, in whosever hands it is, and says how.
async fn see_it_end(dir: &Path, until: u64, wait: Span, voice: Voice) -> Exit {
    let run = id(dir);
    let mut alone: Option<u64> = None;
    loop {
        let now = clock::mono_ns();
        if RunLock::is_held(dir) {
            alone = None;
        } else if let Some(outcome) = store::outcome(dir) {
            let owed = store::owed(dir);
            for (item, by_hand) in &owed {
                voice.error(&format!("{run}: {item} could not be undone"), Some(&format!("by hand: {by_hand}")));
            }
            if owed.is_empty() {
                say(&format!("{run}: {}", ending(outcome)));
            }
            return if owed.is_empty() { Exit::Ok } else { Exit::Stuck };
        } else if now.saturating_sub(*alone.get_or_insert(now)) > NOBODY.0 {
            let Refusal { why, help } = not_running(dir);
            voice.error(&why, Some(&help));
            return Exit::Stuck;
        }
        if now > until {
            voice.error(
                &format!("{run} is still undoing after {}", wait.human()),
                Some("`firedrill runs` shows how it ends; nothing skips the undo"),
            );
            return Exit::Stuck;
        }
        clock::sleep(LOOK).await;
    }
}
