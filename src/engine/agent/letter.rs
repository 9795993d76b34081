//! Asks of a runner that has no connection: a command brings a letter, and takes back what is printed. What it breaks is held by a process that outlives the
//! command and whoever ran it.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::base::{Span, one_line};
use crate::fault::host::words::{self, Answer, Ask, Stands};
use crate::fault::shell;

/// How long it may take until the fault is broken: longer than a step of it.
const BROKEN_WITHIN: Span = Span::secs(60);
/// How long systemd may take to say whether it is there.
const SYSTEMD_WITHIN: Span = Span::secs(5);
/// The longest text of an answer, in characters: what carries it cuts what is long.
const LONGEST: usize = 4_000;

/// The answer to a letter. `text` is the letter itself.
pub(super) async fn answered(ask: Ask, text: &str, exe: &Path) -> Result<Answer, String> {
    let dir = match &ask {
        Ask::Inject { .. } => return leave(text, exe).await,
        Ask::Observe { dir } | Ask::Look { dir } | Ask::Undo { dir } | Ask::Renew { dir, .. } => dir.clone(),
        Ask::Prepare(_) => String::new(),
    };
    super::answered(ask, exe, "").await.map(|answer| short(answer, &dir, exe)).map_err(|why| one_line(&why, LONGEST))
}

/// What fits. What was prepared is needed whole: where it is too long, nothing is broken.
fn short(answer: Answer, dir: &str, exe: &Path) -> Answer {
    match answer {
        Answer::Seen { biting, seen } => Answer::Seen { biting, seen: one_line(&seen, LONGEST) },
        Answer::Stands(stands) => {
            let long = stands.owed.iter().map(|line| line.chars().count()).sum::<usize>() > LONGEST;
            // Half a line undoes nothing.
            let owed = if long { vec![format!("{} __host undo {}", shell::path(exe), shell::quote(dir))] } else { stands.owed };
            Answer::Stands(Stands { how: one_line(&stands.how, LONGEST), owed, ..stands })
        }
        answer => answer,
    }
}

/// Leaves the fault with a process that holds it; returns when it is broken, or why not.
async fn leave(letter: &str, exe: &Path) -> Result<Answer, String> {
    let fail = |error: std::io::Error| format!("start a process that holds it: {error}");
    let mut command = holder(exe).await;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(fail)?;
    if let Some(mut to) = child.stdin.take() {
        to.write_all(format!("{letter}\n").as_bytes()).await.map_err(fail)?;
    }
    let from = child.stdout.take().ok_or("start a process that holds it: it says nothing")?;
    let mut lines = BufReader::new(from).lines();
    let heard = async {
        while let Ok(Some(line)) = lines.next_line().await {
            match words::read::<Answer>(&line) {
                Some(Ok(answer @ (Answer::Injected | Answer::Failed { .. }))) => return Ok(answer),
                Some(Err(error)) => return Err(format!("understand the process that holds it: {error}")),
                _ => {}
            }
        }
        Err("break it: the process that was to hold it has ended".to_owned())
    };
    let late = |_| format!("break it within {}", BROKEN_WITHIN.human());
    tokio::time::timeout(BROKEN_WITHIN.std(), heard).await.unwrap_or_else(|error| Err(late(error)))
}

/// The process that holds it. It leaves the command's session by itself; where there is systemd, it is also put outside of what is ended together with the agent
/// that ran the command, in a scope of its own.
#[expect(clippy::disallowed_methods, reason = "it must outlive this process and its group, so no shim; what it starts has one")]
async fn holder(exe: &Path) -> Command {
    const SCOPE: [&str; 3] = ["--quiet", "--scope", "--description=firedrill holds a fault"];
    let mut asked = Command::new("systemd-run");
    asked.args(SCOPE).arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let there =
        tokio::time::timeout(SYSTEMD_WITHIN.std(), asked.status()).await.is_ok_and(|done| done.is_ok_and(|status| status.success()));
    let mut command = if there { Command::new("systemd-run") } else { Command::new(exe) };
    if there {
        command.args(SCOPE).arg(exe);
    }
    command.args(["__host", "hold"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_cut_is_said_in_fewer_words() {
        let long = Stands { how: "x".repeat(9_000), owed: vec!["y".repeat(9_000)], ..Stands::default() };
        let Answer::Stands(short) = short(Answer::Stands(long), "/a b", Path::new("/opt/firedrill")) else { panic!("another answer") };
        assert_eq!(short.owed, ["/opt/firedrill __host undo '/a b'"]);
        assert_eq!(short.how.chars().count(), LONGEST);
        let some = Stands { owed: vec!["rm x".into()], ..Stands::default() };
        assert!(matches!(super::short(Answer::Stands(some), "/a", Path::new("/x")), Answer::Stands(stands) if stands.owed == ["rm x"]));
    }
}
