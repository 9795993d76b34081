//! Sockets in a directory, over which processes of this binary talk: one line of JSON there, one back, each of a bounded length.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// Longest line.
const LINE: u64 = 64 * 1024;

/// The address of a socket in a directory. A socket's path may hold only 107 bytes and the directory may be deeper, so it is reached through an
/// open handle of its directory, which must live as long as the path is used.
///
/// # Errors
/// The directory cannot be opened.
pub fn address(dir: &Path, name: &str) -> io::Result<(OwnedFd, PathBuf)> {
    let handle = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", handle.as_raw_fd()));
    Ok((handle, path))
}

/// Writes one line.
///
/// # Errors
/// The other side is gone.
pub async fn write<T: Serialize>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Reads one line; `None` at the end.
///
/// # Errors
/// The line is too long or not what is expected, or the other side is gone.
pub async fn read<T: for<'de> Deserialize<'de>>(stream: &mut BufReader<UnixStream>) -> io::Result<Option<T>> {
    let mut line = String::new();
    if stream.take(LINE).read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
