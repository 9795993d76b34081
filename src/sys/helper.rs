//! Helper processes of this binary that are not actions: the watchdog. They get a socket as standard input and nothing else of ours.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use super::{Cx, session, title};
use crate::base::Span;

/// Runs this binary with these arguments as a process that nothing holds on to: should we die, it goes on and comes to its own end. That is what a drill
/// needs, whose watchdog must outlive everything. Returns how it ended and what it wrote on standard error.
///
/// # Errors
/// It cannot be started, or has not ended within `limit`; then it goes on.
#[expect(clippy::disallowed_methods, reason = "a drill of its own, not an action: a shim would end its watchdog with it")]
pub async fn run(cx: &Cx, arguments: &[String], limit: Span) -> std::io::Result<(ExitStatus, String)> {
    let mut command = Command::new(cx.exe.as_os_str());
    command.args(arguments).current_dir(cx.base_dir.as_path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn()?;
    let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, format!("it has not ended within {}", limit.human()));
    let output = tokio::time::timeout(limit.std(), child.wait_with_output()).await.map_err(late)??;
    Ok((output.status, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Starts a hidden verb of this binary with the far end of a socket as its standard input, on which `line` is there before the process is, so that it reads
/// it whatever becomes of us; returns it with the near end.
///
/// # Errors
/// The machine refuses a socket or a process, or the line is too long for a socket.
#[expect(clippy::disallowed_methods, reason = "a helper of this binary, not an action: it must outlive us, so no shim and no limit")]
pub fn start(cx: &Cx, verb: &str, arguments: &[&OsStr], line: &str) -> std::io::Result<(Child, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    (&near).write_all(format!("{line}\n").as_bytes())?;
    let mut command = Command::new(cx.exe.as_os_str());
    command.arg(verb).env_remove(session::CODE);
    let words: Option<Vec<String>> = arguments.iter().map(|word| word.to_str().map(str::to_owned)).collect();
    match words.and_then(|words| title::packed(&words)) {
        // Everybody may read arguments, and nobody else an environment.
        Some(packed) => command.env(title::HELPER, packed),
        None => command.args(arguments),
    };
    command.stdin(Stdio::from(OwnedFd::from(far))).stdout(Stdio::null()).stderr(Stdio::null());
    // The command holds the far end; when it is dropped here only the helper has it, so that its death shows.
    let child = command.spawn()?;
    Ok((child, near))
}
