//! Helper processes of this binary that are not actions: the watchdog. They get a socket as standard input and nothing else of ours.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::Cx;

/// Starts a hidden verb of this binary with the far end of a socket as its standard input; returns it with the near end.
///
/// # Errors
/// The machine refuses a socket or a process.
#[expect(clippy::disallowed_methods, reason = "a helper of this binary, not an action: it must outlive us, so no shim and no limit")]
pub fn start(cx: &Cx, verb: &str, arguments: &[&OsStr]) -> std::io::Result<(Child, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    let mut command = Command::new(cx.exe.as_os_str());
    command.arg(verb).args(arguments).stdin(Stdio::from(OwnedFd::from(far))).stdout(Stdio::null()).stderr(Stdio::null());
    // The command holds the far end; when it is dropped here only the helper has it, so that its death shows.
    let child = command.spawn()?;
    Ok((child, near))
}
