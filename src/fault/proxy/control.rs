//! Talking to the data plane: one line of JSON there, one back, over a socket in the proxy's directory.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::UnixStream;

use super::toxic::Toxic;
use crate::base::Span;
use crate::sys::socket;
pub use crate::sys::socket::{read, write};

/// What the runner says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Holds a fault until it is cleared, its file is removed or the lease ends.
    Set {
        /// Its name.
        token: String,
        /// What it does.
        toxic: Toxic,
    },
    /// Lets go of a fault.
    Clear {
        /// Its name.
        token: String,
    },
    /// Asks only.
    List {},
    /// Says that the runner lives.
    Renew {},
}

/// What the data plane answers, always.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The faults it holds now.
    pub faults: BTreeMap<String, Toxic>,
    /// Connections it carries now.
    pub connections: usize,
    /// Why it did not do what it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The control socket's address; the handle must live as long as the path is used.
pub fn address(dir: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    socket::address(dir, "control.sock")
}

/// Asks the data plane of a directory.
pub async fn ask(dir: &Path, request: &Request, limit: Span) -> io::Result<Reply> {
    let talk = async {
        let (_handle, path) = address(dir)?;
        let mut stream = UnixStream::connect(&path).await?;
        write(&mut stream, request).await?;
        let reply: Reply = read(&mut BufReader::new(stream)).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        match reply.error {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(reply),
        }
    };
    tokio::time::timeout(limit.std(), talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deep_directory_is_no_obstacle() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let (_handle, path) = address(&deep).unwrap();
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        assert!(deep.join("control.sock").exists());
        let answer = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            assert_eq!(read::<Request>(&mut stream).await.unwrap(), Some(Request::List {}));
            write(stream.get_mut(), &Reply { connections: 3, ..Reply::default() }).await.unwrap();
        };
        let (reply, ()) = tokio::join!(ask(&deep, &Request::List {}, Span::secs(5)), answer);
        assert_eq!(reply.unwrap().connections, 3);
    }

    #[tokio::test]
    async fn silence_is_an_error_in_time() {
        let root = tempfile::tempdir().unwrap();
        let _listener = tokio::net::UnixListener::bind(root.path().join("control.sock")).unwrap();
        let error = ask(root.path(), &Request::List {}, Span::millis(50)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
