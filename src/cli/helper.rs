//! The hidden verbs: helper processes of the same binary.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::args::Colour;
use super::exit::Exit;
use super::notices::Notices;
use super::out::{Voice, say};
use super::{run, runtime, store};
use crate::base::Span;
use crate::engine::agent;
use crate::engine::drive::Setup;
use crate::engine::finish::{self, Finished};
use crate::engine::watchdog::{Duty, watch};
use crate::journal::{self, Registry};
use crate::sys::process::ProcessId;
use crate::sys::{clock, title};

/// How long the watchdog goes on trying.
pub const TRYING: Span = Span::secs(600);
const BETWEEN: Span = Span::secs(5);
/// The same where everything is undone and only the disk does not take it: each time it is undone again.
const UNTIL_WRITABLE: Span = Span::secs(60);

/// Runs the hidden verb that these arguments name; `None` where they name none. They are parsed by hand: nobody types them, and the parser of
/// the command line costs each helper more time and memory than most of them use.
pub fn main(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.skip(1);
    let verb = args.next()?;
    let verb = verb.to_str().filter(|verb| verb.starts_with("__"))?;
    let rest = title::arguments(verb, args.collect());
    Some(match verb {
        "__exec" => crate::sys::shim::shim(rest),
        "__proxy" => crate::fault::proxy::proxy_main(rest),
        "__load" => crate::fault::load_main(rest),
        "__demo" => demo_service(rest),
        "__truth" => truth_server(rest),
        "__host" => host(&rest).into(),
        "__watchdog" => match rest.as_slice() {
            [run_dir, runner] => watchdog(Path::new(run_dir), &runner.to_string_lossy()).into(),
            _ => Exit::Usage.into(),
        },
        _ => return None,
    })
}

/// A process of the demo's order service.
fn demo_service(args: Vec<OsString>) -> ExitCode {
    match crate::demo::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: failed to {error}"));
            if let Some(help) = error.help() {
                say(&format!("  help: {help}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// A process of the truth server.
fn truth_server(args: Vec<OsString>) -> ExitCode {
    match crate::truth::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: failed to {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The firedrill that a runner elsewhere has started on this machine, `called-from` where; `tidy`, once it was copied there; with `hold`, the one that stays
/// there with a fault; with `undo DIR`, what a person types
/// there.
fn host(rest: &[OsString]) -> Exit {
    // The end of the connection is no end of what is owed.
    let Ok(runtime) = runtime() else { return Exit::Bug };
    let exit = match rest {
        [] => {
            runtime.block_on(agent::serve(run::own_exe(), ""));
            Exit::Ok
        }
        [verb, caller] if verb == "called-from" => {
            runtime.block_on(agent::serve(run::own_exe(), &caller.to_string_lossy()));
            Exit::Ok
        }
        [verb] if verb == "tidy" => {
            agent::tidy(&run::own_exe());
            Exit::Ok
        }
        [verb] if verb == "hold" => {
            // Away from the group that is ended together with the command which started it.
            let _ = rustix::process::setsid();
            runtime.block_on(agent::hold(run::own_exe()));
            Exit::Ok
        }
        [verb, dir] if verb == "undo" => match runtime.block_on(agent::undo(Path::new(dir), run::own_exe())) {
            Ok(stands) if stands.undone => {
                say(&format!("undone: {}", stands.how));
                Exit::Ok
            }
            Ok(stands) => {
                say(&format!("error: not undone: {}\n  help: by hand: {}", stands.how, stands.owed.join("; ")));
                Exit::Stuck
            }
            Err(why) => {
                say(&format!("error: failed to {why}"));
                Exit::Stuck
            }
        },
        _ => Exit::Usage,
    };
    // A thread may still wait for the runner's next word.
    runtime.shutdown_background();
    exit
}

/// The watchdog of a run: waits for the runner's death, then finishes the run.
fn watchdog(run_dir: &Path, runner: &str) -> Exit {
    // Terminal signals and the end of the session are for the runner; the watchdog outlives both.
    let _ = rustix::process::setsid();
    let Ok(runner) = serde_json::from_str::<ProcessId>(runner) else { return Exit::Usage };
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(waiting) = waiting else { return Exit::Bug };
    // Waiting is all it does in most runs: one thread is enough for that, and cheap to have beside every drill.
    let duty = waiting.block_on(async {
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()] {
            if let Ok(mut stream) = signal(kind) {
                // Having a listener is what keeps the signal from killing us; nobody acts on it.
                tokio::spawn(async move { while stream.recv().await.is_some() {} });
            }
        }
        match stdin_socket() {
            Some(stream) => Some(watch(stream, &runner).await),
            None => None,
        }
    });
    match duty {
        None => Exit::Usage,
        Some(Duty::Rest) => {
            // The runner does so too; but it may be killed just before.
            if journal::ended_well(run_dir) {
                forget(run_dir);
            }
            Exit::Ok
        }
        Some(Duty::Finish(why)) => {
            // The signal handlers stay installed for the whole process; what they hear is still heard by nobody.
            let Ok(runtime) = runtime() else { return Exit::Bug };
            runtime.block_on(finish_for(run_dir, &why, Setup::ATTEMPTS, runtime.handle()))
        }
        Some(Duty::TryOn(why)) => {
            let Ok(runtime) = runtime() else { return Exit::Bug };
            runtime.block_on(finish_for(run_dir, &why, 1, runtime.handle()))
        }
    }
}

fn stdin_socket() -> Option<UnixStream> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let stream = std::os::unix::net::UnixStream::from(fd);
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

/// Takes a run that owes nothing out of the machine's registry.
fn forget(run_dir: &Path) {
    if let Some(id) = run_dir.file_name() {
        Registry::here().remove(&id.to_string_lossy());
    }
}

/// Finishes the run, and comes back to it for a while where something cannot be undone: first with so many attempts, then with one each time, so
/// that a person who wants to undo it is not kept waiting.
async fn finish_for(run_dir: &Path, why: &str, mut attempts: u32, work: &Handle) -> Exit {
    let exe = run::own_exe();
    let end = clock::mono_ns() + TRYING.0;
    let mut notices = notices(run_dir, &exe, attempts == 1, work);
    let exit = loop {
        let (watch, mut seen) = mpsc::unbounded_channel();
        let mut finishing = std::pin::pin!(finish::finish_in(run_dir, exe.clone(), "watchdog", why, attempts, watch));
        let result = loop {
            tokio::select! {
                biased;
                Some(entry) = seen.recv() => notices.iter_mut().for_each(|notices| notices.entry(&entry)),
                result = &mut finishing => break result,
            }
        };
        attempts = 1;
        let done = matches!(&result, Ok(Finished { owed_after, .. }) if owed_after.is_empty());
        let unwritten = matches!(&result, Ok(Finished { unwritten: Some(_), .. }));
        if done && !unwritten {
            forget(run_dir);
            let judged = store::read(run_dir).ok().and_then(|(plan, entries)| run::judge_and_write(run_dir, &plan, &entries).ok());
            break judged.map_or(Exit::Ok, |(_, score)| Exit::Run(score.exit_code));
        }
        // Without its directory a run cannot be finished by anybody: waiting on would only keep a process.
        if clock::mono_ns() > end || !run_dir.is_dir() {
            break Exit::Stuck;
        }
        clock::sleep(if unwritten { UNTIL_WRITABLE } else { BETWEEN }).await;
    };
    if let Some(notices) = notices {
        notices.close(exit, Voice::new(Colour::Never)).await;
    }
    exit
}

/// Who is told while a dead run is undone. What its runner has told already is not told again.
fn notices(run_dir: &Path, exe: &Path, only_undone: bool, work: &Handle) -> Option<Notices> {
    let (plan, entries) = store::read(run_dir).ok()?;
    let run = run_dir.file_name()?.to_string_lossy().into_owned();
    let cx = finish::cx_for(&plan, &run, run_dir, exe.to_owned(), finish::clock_after(&entries));
    Some(Notices::start(&Arc::new(plan), &cx, work, None).after(&entries, only_undone))
}
