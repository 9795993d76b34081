//! The helper `__exec`, between firedrill and everything it runs. Its standard input is a socket whose other end the runner holds.
//!
//! Its arguments stand in its environment, where only its owner can read them (`sys/title`). For an action (`--program P -- ARGV…`) it starts the command in a process group of its own, tells the runner how it went
//! (`started PID`, `exit N`, `signal N`, `failed TEXT`, one line each) and, when the socket closes, ends the command and everything below it:
//! nothing that a dead or impatient runner began goes on acting. For a long-lived process (`--detach RECORD`) it opens a session, writes down
//! who it is and becomes the program, so that the process outlives the runner and is found again.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, setsid, wait};

use super::process::{self, ProcessId};
use super::{account, clock, session, title};
use crate::base::Span;

/// How long a command that must end may take after SIGTERM.
pub const PATIENCE: Span = Span::secs(1);

/// The exit code of a shim that could not do what it was asked.
const UNUSABLE: u8 = 125;

struct Arguments {
    program: PathBuf,
    user: Option<String>,
    record: Option<PathBuf>,
    argv: Vec<OsString>,
}

fn parse(arguments: Vec<OsString>) -> Result<Arguments, String> {
    let mut found = Arguments { program: PathBuf::new(), user: None, record: None, argv: Vec::new() };
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{} without its value", argument.to_string_lossy()));
        match argument.to_str() {
            Some("--program") => found.program = value()?.into(),
            Some("--user") => found.user = Some(value()?.to_string_lossy().into_owned()),
            Some("--detach") => found.record = Some(value()?.into()),
            Some("--") => {
                found.argv = rest.collect();
                break;
            }
            _ => return Err(format!("unknown argument {}", argument.to_string_lossy())),
        }
    }
    if found.argv.is_empty() || found.program.as_os_str().is_empty() {
        return Err("nothing to run".to_owned());
    }
    Ok(found)
}

/// Runs the helper; `arguments` are those after `__exec`.
pub fn shim(arguments: Vec<OsString>) -> ExitCode {
    // The duplicate closes on exec: the command never sees the socket.
    let Ok(runner) = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else { return ExitCode::from(UNUSABLE) };
    let done = parse(arguments).and_then(|arguments| {
        if is_gone(&runner).map_err(|error| error.to_string())? {
            // Whoever undoes for a dead runner waits for what carries its mark, and cannot see us before we are here.
            return Err("the runner is gone".to_owned());
        }
        // Fails only when we lead a session already, which is as good.
        let _ = setsid();
        match &arguments.record {
            Some(record) => Err(become_program(&arguments, record)),
            None => attend(&arguments, &runner),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tell(&runner, &format!("failed {}", why.replace('\n', " ")));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn tell(mut runner: &UnixStream, line: &str) {
    // A runner that is gone cannot be told; its absence is noticed where we listen.
    let _ = runner.write_all(format!("{line}\n").as_bytes());
}

fn command(arguments: &Arguments) -> Result<Command, String> {
    #[expect(clippy::disallowed_methods, reason = "the one place where a command of a scenario starts")]
    let mut command = Command::new(&arguments.program);
    let (zeroth, rest) = arguments.argv.split_first().ok_or("nothing to run")?;
    command.arg0(zeroth).args(rest).stdin(Stdio::null()).env_remove(title::EXEC).env_remove(session::CODE);
    if let Some(user) = &arguments.user {
        account::find(user).ok_or_else(|| format!("no account {user}"))?.apply(&mut command);
    }
    Ok(command)
}

/// Only returns when it failed.
fn become_program(arguments: &Arguments, record: &Path) -> String {
    let written = process::find(std::process::id()).ok_or_else(|| "no /proc".to_owned()).and_then(|us| write_record(record, &us));
    match written.and_then(|()| command(arguments)) {
        Ok(mut command) => command.exec().to_string(),
        Err(why) => why,
    }
}

/// Whole or not at all: a reader never sees half a record.
fn write_record(record: &Path, us: &ProcessId) -> Result<(), String> {
    let draft = record.with_extension(format!("{}.tmp", us.pid));
    let text = serde_json::to_string(us).map_err(|error| error.to_string())?;
    let write = || -> io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, record)
    };
    write().map_err(|error| format!("{}: {error}", record.display()))
}

fn attend(arguments: &Arguments, runner: &UnixStream) -> Result<(), String> {
    let listen = runner.try_clone().map_err(|error| error.to_string())?;
    // Orphans of the command come to us rather than to init, so that they can be found and ended.
    let us = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
    rustix::process::set_child_subreaper(us).map_err(|error| error.to_string())?;
    let child = command(arguments)?.process_group(0).spawn().map_err(|error| error.to_string())?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("no pid")?;
    tell(runner, &format!("started {}", child.id()));
    let ending = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ending);
    let ender = std::thread::spawn(move || {
        wait_for_end(listen);
        flag.store(true, Ordering::SeqCst);
        end_all(pid);
    });
    let line = loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((found, status))) if found == pid => {
                break match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("exit {code}"),
                    (None, Some(signal)) => format!("signal {signal}"),
                    (None, None) => continue,
                };
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                end_all(pid);
                return Err(error.to_string());
            }
        }
    };
    if ending.load(Ordering::SeqCst) {
        let _ = ender.join();
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
    }
    tell(runner, &line);
    Ok(())
}

/// Whether the runner has closed its end, or died, before anything was started. It never says anything, so that nothing is lost by reading.
fn is_gone(mut runner: &UnixStream) -> io::Result<bool> {
    runner.set_nonblocking(true)?;
    let heard = runner.read(&mut [0]);
    runner.set_nonblocking(false)?;
    match heard {
        Ok(read) => Ok(read == 0),
        Err(error) => Ok(!matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)),
    }
}

/// Returns when the runner has closed its end, or died.
fn wait_for_end(mut runner: UnixStream) {
    let mut byte = [0_u8; 64];
    loop {
        match runner.read(&mut byte) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
            Ok(_) | Err(_) => {}
        }
    }
}

/// Ends the command, its group, and whatever left the group but is still below us.
fn end_all(group: Pid) {
    let send = |signal: Signal| {
        let _ = kill_process_group(group, signal);
        for id in below_us() {
            let _ = process::signal(&id, signal);
        }
    };
    send(Signal::TERM);
    // A stopped process hears SIGTERM only when it goes on.
    send(Signal::CONT);
    let step = Span::millis(10);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if below_us().is_empty() {
            return;
        }
        clock::block(step);
    }
    for _ in 0..500 {
        if below_us().is_empty() {
            return;
        }
        send(Signal::KILL);
        clock::block(step);
    }
}

fn below_us() -> Vec<ProcessId> {
    process::find(std::process::id()).map(|us| process::tree(&[us]).into_iter().skip(1).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_after_the_dashes_belong_to_the_command() {
        let words = ["--program", "/bin/ls", "--user", "nobody", "--", "ls", "--program"].map(OsString::from);
        let found = parse(words.to_vec()).ok().unwrap();
        assert_eq!(found.program, PathBuf::from("/bin/ls"));
        assert_eq!(found.user.as_deref(), Some("nobody"));
        assert_eq!(found.argv, ["ls", "--program"].map(OsString::from));
        assert!(parse(vec!["--".into()]).is_err());
        assert!(parse(vec!["--program".into()]).is_err());
        assert!(parse(vec!["ls".into()]).is_err());
    }
}
