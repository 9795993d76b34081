//! The control socket of a run: how other processes of its user ask it to end. One line of JSON there, one back. Both sides are here.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::orders::Command;
use crate::base::{Span, one_line};
use crate::journal::LONGEST_REASON;
use crate::sys::{account, clock, socket};

/// The socket's name in the run directory.
pub const NAME: &str = "control";
/// How long one who asks may take for it: they are heard one after another.
const HEAR: Span = Span::secs(2);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// End now and undo everything.
    Abort {
        /// Why.
        reason: String,
    },
    /// Let go of a fault that is held until released.
    Release {
        /// The fault.
        fault: String,
    },
}

/// What is answered, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The run that answers.
    pub run: String,
    /// Why it does not do what it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Opens the socket and hears whoever asks, until the task is aborted. Who asks is what the kernel says, not what they say.
///
/// # Errors
/// The file system has no sockets.
pub fn listen(run_dir: &Path, run: &str, ask: mpsc::Sender<Command>) -> io::Result<JoinHandle<()>> {
    let (_handle, path) = socket::address(run_dir, NAME)?;
    let listener = UnixListener::bind(&path)?;
    // The directory lets nobody else in; should somebody open it, the socket still does not.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    let run = run.to_owned();
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                // Who says nothing is hung up on, so that the next one is heard.
                Ok((stream, _)) => drop(tokio::time::timeout(HEAR.std(), hear(stream, &run, &ask)).await),
                // Out of files, most likely.
                Err(_) => clock::sleep(Span::millis(10)).await,
            }
        }
    }))
}

async fn hear(stream: UnixStream, run: &str, ask: &mpsc::Sender<Command>) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let mut stream = BufReader::new(stream);
    let error = match socket::read::<Request>(&mut stream).await {
        Ok(None) => return Ok(()),
        Ok(Some(request)) => obey(request, uid, ask).await.err(),
        Err(error) => Some(format!("the request cannot be read: {error}")),
    };
    socket::write(stream.get_mut(), &Reply { run: run.to_owned(), error }).await
}

async fn obey(request: Request, uid: u32, ask: &mpsc::Sender<Command>) -> Result<(), String> {
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        return Err(format!("the run is not {}'s", account::who(uid)));
    }
    let by = account::who(uid);
    let command = match request {
        Request::Abort { reason } => {
            let reason = one_line(&reason, LONGEST_REASON);
            if reason.is_empty() {
                return Err("there is no reason".to_owned());
            }
            Command::Abort { by, reason }
        }
        Request::Release { fault } => Command::Release { fault: one_line(&fault, LONGEST_REASON), by },
    };
    ask.send(command).await.map_err(|_| "the drill is over".to_owned())
}

/// Asks the run of a directory.
///
/// # Errors
/// Nobody listens there, or they do not answer in time.
pub async fn ask(run_dir: &Path, request: &Request, limit: Span) -> io::Result<Reply> {
    let talk = async {
        let (_handle, path) = socket::address(run_dir, NAME)?;
        let mut stream = UnixStream::connect(&path).await?;
        socket::write(&mut stream, request).await?;
        socket::read(&mut BufReader::new(stream)).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    tokio::time::timeout(limit.std(), talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    const LIMIT: Span = Span::secs(10);

    async fn raw(dir: &Path, bytes: &[u8]) -> Reply {
        let (_handle, path) = socket::address(dir, NAME).unwrap();
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        socket::read(&mut BufReader::new(stream)).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn who_asks_is_told_by_the_kernel_and_the_reason_is_one_harmless_line() {
        let dir = tempfile::tempdir().unwrap();
        let (ask_loop, mut commands) = mpsc::channel(8);
        let _listening = listen(dir.path(), "01RUN", ask_loop).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.path().join(NAME)).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let reply = ask(dir.path(), &Request::Abort { reason: "the shop\nis down".into() }, LIMIT).await.unwrap();
        assert_eq!(reply, Reply { run: "01RUN".into(), error: None });
        let by = account::who(rustix::process::geteuid().as_raw());
        assert_eq!(commands.recv().await, Some(Command::Abort { by, reason: "the shop is down".into() }));
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (ask_loop, mut commands) = mpsc::channel(8);
        let listening = listen(dir.path(), "01RUN", ask_loop).unwrap();
        let long = format!("{{\"do\":\"abort\",\"reason\":\"{}\n", "x".repeat(70_000));
        for nonsense in [&b"{}\n"[..], b"\xff\n", b"{\"do\":\"dance\"}\n", b"{\"do\":\"abort\",\"reason\":\" \\n\"}\n", long.as_bytes()] {
            assert!(raw(dir.path(), nonsense).await.error.is_some());
        }
        // Somebody who says nothing holds nobody up for long.
        let (_handle, path) = socket::address(dir.path(), NAME).unwrap();
        let _silent = UnixStream::connect(&path).await.unwrap();
        assert!(commands.try_recv().is_err());
        ask(dir.path(), &Request::Abort { reason: "now".into() }, LIMIT).await.unwrap();
        assert!(commands.try_recv().is_ok());
        drop(commands);
        let reply = ask(dir.path(), &Request::Abort { reason: "too late".into() }, LIMIT).await.unwrap();
        assert_eq!(reply.error.as_deref(), Some("the drill is over"));
        listening.abort();
        let _ = listening.await;
        assert!(ask(dir.path(), &Request::Abort { reason: "nobody hears".into() }, LIMIT).await.is_err());
    }
}
