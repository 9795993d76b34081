//! Another machine, through the system's own `ssh`: the user's configuration, agent, shared connections and known hosts are used as they are. Nothing is
//! ever asked: where a password or a yes would be needed, it ends with an error.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::base::Span;

/// Options that every connection has. A connection that is cut shows within ten seconds.
const OPTIONS: [&str; 5] = ["BatchMode=yes", "ConnectTimeout=5", "ServerAliveInterval=3", "ServerAliveCountMax=3", "ForwardAgent=no"];
/// How `ssh` ends when it is the connection that failed, and not what was run.
const OF_SSH: i32 = 255;
/// How much of what is said on standard error is read.
const MOST: u64 = 64 * 1024;
/// How long `ssh` may take to end once its output has.
const ENDS_WITHIN: Span = Span::secs(3);

/// How a machine is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// `USER@HOST`, or a name of the ssh configuration.
    pub destination: String,
    /// The port, where the configuration does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The configuration, where it is not the user's own: absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The private key: absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
}

impl Login {
    /// What stands between `ssh` and the command, without the options that only a program needs.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut option =
            |name: &str, value: Option<String>| words.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
        option("-F", self.config.as_ref().map(|path| path.display().to_string()));
        option("-i", self.identity.as_ref().map(|path| path.display().to_string()));
        option("-p", self.port.map(|port| port.to_string()));
        words.push("--".to_owned());
        words.push(self.destination.clone());
        words
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.destination)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The client and the server's port of a session, as sshd tells them in `SSH_CONNECTION`; nothing for what it does not say.
pub fn session(text: &str) -> Option<(IpAddr, u16)> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [client, _, _, port] = fields.as_slice() else { return None };
    Some((client.parse().ok()?, port.parse().ok()?))
}

/// Why a machine cannot be reached: reads after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// There is no `ssh` here.
    #[error("start `ssh`: {0} (help: install the OpenSSH client)")]
    Start(String),
    /// It has another key than it had.
    #[error(
        "trust {host}: its host key is not the one that was known (help: find out whether somebody stands between; when the machine was really made anew: ssh-keygen -R {host})"
    )]
    KeyChanged {
        /// Where it was to be.
        host: String,
    },
    /// Its key is not known.
    #[error("trust {host}: its host key is not known here (help: log in once by hand, compare the fingerprint and say yes)")]
    KeyUnknown {
        /// Where it was to be.
        host: String,
    },
    /// It lets nobody in without a password, or not this user.
    #[error(
        "log in at {host}: {why} (help: `ssh -o BatchMode=yes {host} true` must work without being asked anything: add a key, or start an agent)"
    )]
    Refused {
        /// Where.
        host: String,
        /// What ssh said.
        why: String,
    },
    /// No such name.
    #[error("find {host}: {why} (help: write it as one would after `ssh`, or name it in the ssh configuration)")]
    NoSuchHost {
        /// What was looked for.
        host: String,
        /// What ssh said.
        why: String,
    },
    /// It does not answer, or the connection was cut.
    #[error("reach {host}: {why}")]
    Unreachable {
        /// Where.
        host: String,
        /// What ssh said.
        why: String,
    },
}

/// What the last words of `ssh` mean.
fn meaning(host: &str, said: &str) -> SshError {
    let host = host.to_owned();
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("the connection was cut").to_owned();
    let has = |words: &str| said.contains(words);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        SshError::KeyChanged { host }
    } else if has("Host key verification failed") {
        SshError::KeyUnknown { host }
    } else if has("Permission denied") || has("Too many authentication failures") || has("no such identity") {
        SshError::Refused { host, why: last }
    } else if has("Could not resolve hostname") {
        SshError::NoSuchHost { host, why: last }
    } else {
        SshError::Unreachable { host, why: last }
    }
}

/// A command at work on another machine. Dropped, it is ended here, and sees the end of its input there.
#[derive(Debug)]
pub struct Session {
    host: String,
    child: Child,
    to: Option<ChildStdin>,
    from: Lines<BufReader<ChildStdout>>,
    said: JoinHandle<String>,
}

/// How a command on another machine ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// What it said on standard error.
    pub said: String,
}

impl Session {
    /// Starts a command line for the login shell of that machine.
    ///
    /// # Errors
    /// There is no `ssh` here. Whether the machine can be reached shows later.
    #[expect(
        clippy::disallowed_methods,
        reason = "a connection with input and output that outlives its step, no action: its other side undoes when it ends"
    )]
    pub fn open(login: &Login, line: &str) -> Result<Session, SshError> {
        let mut command = Command::new("ssh");
        command.args(OPTIONS.iter().flat_map(|option| ["-o", option])).arg("-T").args(login.arguments()).arg(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // In a group of its own: Ctrl-C is for the runner, which then undoes over this very connection.
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| SshError::Start(error.to_string()))?;
        let missing = || SshError::Start("its input and output are not there".to_owned());
        let (to, from, errors) = (child.stdin.take(), child.stdout.take().ok_or_else(missing)?, child.stderr.take().ok_or_else(missing)?);
        let said = tokio::spawn(async move {
            let mut bytes = Vec::new();
            // What cannot be read any more was not said.
            let _ = errors.take(MOST).read_to_end(&mut bytes).await;
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Session { host: login.to_string(), child, to, from: BufReader::new(from).lines(), said })
    }

    /// Sends bytes to the command's input.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(to) = &mut self.to else { return Err(std::io::ErrorKind::BrokenPipe.into()) };
        to.write_all(bytes).await?;
        to.flush().await
    }

    /// Closes the command's input.
    pub fn close(&mut self) {
        self.to = None;
    }

    /// The next line of its output; nothing once that is over. May be dropped and called again.
    pub async fn line(&mut self) -> Option<String> {
        self.from.next_line().await.ok().flatten()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It was the connection that ended.
    pub async fn end(mut self) -> Result<Ended, SshError> {
        self.to = None;
        let status = tokio::time::timeout(ENDS_WITHIN.std(), self.child.wait()).await;
        let _ = self.child.start_kill();
        let said = tokio::time::timeout(ENDS_WITHIN.std(), self.said).await.ok().and_then(Result::ok).unwrap_or_default();
        match status {
            Ok(Ok(status)) if status.code().is_some_and(|code| code != OF_SSH) => Ok(Ended { code: status.code().unwrap_or(OF_SSH), said }),
            _ => Err(meaning(&self.host, &said)),
        }
    }
}

/// Runs a command line to its end, with that input; its output and how it ended.
///
/// # Errors
/// The machine cannot be reached, or it took longer than `limit`; it is then ended here.
pub async fn run(login: &Login, line: &str, input: &[u8], limit: Span) -> Result<(String, Ended), SshError> {
    let mut session = Session::open(login, line)?;
    let whole = async {
        // Who does not read to the end says why on its own.
        let _ = session.send(input).await;
        session.close();
        let mut output = String::new();
        while let Some(line) = session.line().await {
            output.push_str(&line);
            output.push('\n');
        }
        (output, session.end().await)
    };
    match tokio::time::timeout(limit.std(), whole).await {
        Ok((output, ended)) => Ok((output, ended?)),
        Err(_) => Err(SshError::Unreachable { host: login.to_string(), why: format!("no end within {}", limit.human()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_has_a_meaning() {
        let of = |said: &str| meaning("db1", said).to_string();
        assert!(of("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.").contains("ssh-keygen -R db1"));
        assert!(of("No ED25519 host key is known for db1\r\nHost key verification failed.").contains("not known here"));
        assert!(of("root@db1: Permission denied (publickey,password).").starts_with("log in at db1: root@db1: Permission denied"));
        assert!(of("ssh: Could not resolve hostname db1: Name or service not known").starts_with("find db1"));
        assert_eq!(
            of("ssh: connect to host db1 port 22: Connection refused\r\n"),
            "reach db1: ssh: connect to host db1 port 22: Connection refused"
        );
        assert_eq!(of(""), "reach db1: the connection was cut");
    }

    #[test]
    fn the_ends_of_a_session_are_found() {
        assert_eq!(session("10.0.0.9 50000 10.0.0.1 22"), Some(("10.0.0.9".parse().unwrap(), 22)));
        assert_eq!(session("10.0.0.9"), None);
        assert_eq!(session(""), None);
    }

    #[test]
    fn nothing_that_is_written_becomes_an_option() {
        let login = Login { destination: "ops@db1".into(), port: Some(2222), config: Some("/etc/x".into()), identity: None };
        assert_eq!(login.arguments(), ["-F", "/etc/x", "-p", "2222", "--", "ops@db1"]);
        assert_eq!(login.to_string(), "ops@db1:2222");
    }
}
