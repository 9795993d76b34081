//! How the truth server is told what to do: one line over a socket in its directory, one line back, `ok …` or `no …`.

use std::io;
use std::path::Path;
use std::rc::Rc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::serve::Server;
use super::{State, TruthError};
use crate::base::Span;
use crate::sys::socket;

const NAME: &str = "control";
const LINE: u64 = 1024;

/// Obeys whoever may open the socket.
pub(super) async fn listen(server: &Rc<Server>, dir: &Path) -> io::Error {
    let bound = || -> io::Result<UnixListener> {
        let (_handle, path) = socket::address(dir, NAME)?;
        // What an earlier server left; this one has the port.
        let _ = std::fs::remove_file(&path);
        UnixListener::bind(path)
    };
    let listener = match bound() {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = Rc::clone(server);
                tokio::task::spawn_local(async move {
                    // Whoever asked and went away needs no answer.
                    let _ = obey(&server, stream).await;
                });
            }
            Err(error) => return error,
        }
    }
}

async fn obey(server: &Rc<Server>, mut stream: UnixStream) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new((&mut stream).take(LINE)).read_line(&mut line).await?;
    let answer = match order(server, line.trim()) {
        Ok(text) => text,
        Err(why) => format!("no {why}"),
    };
    stream.write_all(format!("{answer}\n").as_bytes()).await
}

fn order(server: &Rc<Server>, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let micros = |word: &str| word.parse::<u64>().map(Span::micros).map_err(|_| format!("`{word}` is no number of microseconds"));
    let yes = |yes: bool| if yes { Ok("ok".to_owned()) } else { Err("it is not so".to_owned()) };
    match words.as_slice() {
        ["is-up"] => yes(server.is_up()),
        ["was-down"] => yes(server.was_down()),
        ["up"] if server.is_up() => Ok("ok already".into()),
        ["up"] => server.go(State::Up).map(|_| "ok".to_owned()).map_err(|error| error.to_string()),
        ["down", state, rest @ ..] => {
            let state: State = state.parse().map_err(|bad: super::BadState| bad.to_string())?;
            let plan = match rest {
                [] => None,
                [down] => Some((micros(down)?, 1, Span(0))),
                [down, times, up] => Some((micros(down)?, times.parse().map_err(|_| format!("`{times}` is no number"))?, micros(up)?)),
                _ => return Err(format!("too many words: {line}")),
            };
            if !server.is_up() {
                return Err("it is down already".into());
            }
            let since = server.go(state).map_err(|error| error.to_string())?;
            if let Some((down, times, up)) = plan {
                let server = Rc::clone(server);
                tokio::task::spawn_local(async move { server.flap(since, state, down, times, up).await });
            }
            Ok("ok".into())
        }
        _ => Err(format!("`{line}` is no order")),
    }
}

/// Whether nobody serves there: a server that is gone holds nothing down any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Tells the server of this directory something; `Err` when it says no. One that is gone need not be told to come up.
pub(super) async fn tell(dir: &Path, line: &str) -> Result<(), TruthError> {
    let ask = async {
        let (_handle, path) = socket::address(dir, NAME)?;
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(stream.take(LINE)).read_line(&mut answer).await?;
        Ok::<String, io::Error>(answer)
    };
    let asked = ask.await;
    if matches!(line, "up" | "is-up") && asked.as_ref().is_err_and(is_gone) {
        return Ok(());
    }
    let answer = asked.map_err(TruthError::os(format!("tell the truth server in {}", dir.display())))?;
    if answer.starts_with("ok") { Ok(()) } else { Err(TruthError::Refused(answer.trim().to_owned())) }
}
