//! Getting firedrill onto another machine, and asking it there. The copy is this very binary, named by its digest and verified there before it is used, in a
//! directory that only the remote account may enter.

use std::path::Path;
use std::sync::OnceLock;

use super::super::{FaultError, shell};
use super::words::{self, Answer, Ask};
use crate::base::{Span, digest_of};
use crate::sys::ssh::{self, Ended, Login, Session, SshError};

/// How long a look at the machine may take, and a copy to it.
const LOOK_WITHIN: Span = Span::secs(15);
const COPY_WITHIN: Span = Span::secs(240);
/// How long an answer may take.
const ANSWER_WITHIN: Span = Span::secs(25);

impl From<SshError> for FaultError {
    /// Its texts read after "failed to" as well.
    fn from(error: SshError) -> FaultError {
        FaultError::Other(error.to_string())
    }
}

/// What a machine says of itself before anything is copied to it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Looked {
    system: String,
    dir: Option<String>,
    no_dir: Option<String>,
    have: Option<String>,
    free_kib: Option<u64>,
}

fn looked(output: &str) -> Looked {
    let said = |word: &str| output.lines().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned());
    Looked {
        system: said("system ").unwrap_or_default(),
        dir: said("dir "),
        no_dir: said("no-dir "),
        have: said("have "),
        free_kib: said("free ").and_then(|text| text.parse().ok()),
    }
}

/// For `sh` there: its system, and the place of the copy. One that is there is touched: its age is the time since its last use.
fn look_script(name: &str) -> String {
    format!(
        "umask 077; echo \"system $(uname -sm)\"; d=\"${{HOME:-/nonexistent}}/.cache/firedrill\"; f=\"$d/{name}\"; \
         if mkdir -p \"$d\" 2>/dev/null && chmod 700 \"$d\" && [ -w \"$d\" ]; then echo \"dir $d\"; else echo \"no-dir $d\"; fi; \
         if [ -x \"$f\" ]; then touch -c \"$f\" 2>/dev/null; echo \"have $f\"; else df -Pk \"$d\" 2>/dev/null | awk 'NR == 2 {{ print \"free \" $4 }}'; fi"
    )
}

/// For `sh` there: what comes on its input becomes the copy, once it is whole and what it was to be. It then removes those that nobody uses any more.
fn copy_script(file: &str, hex: &str) -> String {
    let file = shell::quote(file);
    format!(
        "umask 077; t={file}.$$; cat > \"$t\" && [ \"$(sha256sum < \"$t\" | cut -d' ' -f1)\" = {hex} ] && chmod 700 \"$t\" && mv -f \"$t\" {file} \
         || {{ rm -f \"$t\"; exit 73; }}; {file} __host tidy >/dev/null 2>&1 || :"
    )
}

/// For `sh` there: starts the firedrill. Kinds refuse to cut off the session that runs a drill; this one may be, since the other side undoes without it, and
/// is only named to whoever has to know.
fn serve_script(exe: &str) -> String {
    format!("c=$SSH_CONNECTION; unset SSH_CONNECTION SSH_CLIENT; exec {} __host called-from \"$c\"", shell::quote(exe))
}

/// A script as one word for whichever login shell there is.
fn in_sh(script: &str) -> String {
    // Not `shell::quote`, which reads the escapes of scenarios.
    format!("exec sh -c '{}'", script.replace('\'', r"'\''"))
}

/// This system, as `uname -sm` says it.
fn system_here() -> String {
    format!("Linux {}", std::env::consts::ARCH)
}

/// The digest of this binary, read once.
fn digest(exe: &Path) -> Result<(&'static str, usize), FaultError> {
    static DIGEST: OnceLock<(String, usize)> = OnceLock::new();
    if DIGEST.get().is_none() {
        let bytes = read(exe)?;
        let hex = digest_of(&bytes).to_string().trim_start_matches("sha256:").to_owned();
        let _ = DIGEST.set((hex, bytes.len()));
    }
    DIGEST.get().map(|(hex, size)| (hex.as_str(), *size)).ok_or_else(|| FaultError::Other("read this binary".to_owned()))
}

fn read(exe: &Path) -> Result<Vec<u8>, FaultError> {
    std::fs::read(exe).map_err(|source| FaultError::Os { doing: format!("read {}", exe.display()), source })
}

fn missing(what: String, help: &str) -> FaultError {
    FaultError::Missing { what, help: help.to_owned() }
}

/// The path of a firedrill on that machine: this binary, copied there where it is not yet.
///
/// # Errors
/// The machine cannot be reached, is of another sort, or has no room; then nothing was touched.
pub(super) async fn copy(login: &Login, exe: &Path) -> Result<String, FaultError> {
    let (hex, size) = digest(exe)?;
    let name = format!("firedrill-{hex}");
    let (output, ended) = ssh::run(login, &in_sh(&look_script(&name)), b"", LOOK_WITHIN).await?;
    let seen = looked(&output);
    if seen.system.is_empty() {
        return Err(FaultError::Other(format!("look at {login}: {}", last(&ended))));
    }
    if seen.system != system_here() {
        let what = format!("use this firedrill on {login}: it is for {}, and that machine is {}", system_here(), seen.system);
        return Err(missing(what, "install firedrill there, and name it in the scenario: `firedrill: /usr/local/bin/firedrill`"));
    }
    let Some(dir) = seen.dir else {
        let what = format!("keep a firedrill on {login}: {} cannot be written", seen.no_dir.unwrap_or_default());
        return Err(missing(what, "give the account a home of its own, or install firedrill there and name it: `firedrill: PATH`"));
    };
    if let Some(file) = seen.have {
        return Ok(file);
    }
    let room = format!("{} MiB in {dir}", size / (1024 * 1024) + 1);
    if seen.free_kib.is_some_and(|free| free.saturating_mul(1024) < size as u64) {
        return Err(missing(format!("copy firedrill to {login}: it needs {room}, and there is less"), "make room there"));
    }
    let file = format!("{dir}/{name}");
    let (_, ended) = ssh::run(login, &in_sh(&copy_script(&file, hex)), &read(exe)?, COPY_WITHIN).await?;
    match ended.code {
        0 => Ok(file),
        _ => Err(missing(format!("copy firedrill to {login}: {}", last(&ended)), &format!("it needs {room}, and `sha256sum`"))),
    }
}

fn last(ended: &Ended) -> String {
    let line = ended.said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| format!("it ended with exit {}", ended.code), str::to_owned)
}

/// Somebody to talk to on that machine.
#[derive(Debug)]
pub(super) struct Talk {
    login: Login,
    session: Session,
}

impl Talk {
    /// Starts the firedrill there, and waits until it listens.
    pub(super) async fn open(login: &Login, exe: &str) -> Result<Talk, Trouble> {
        let line = in_sh(&serve_script(exe));
        let session = Session::open(login, &line).map_err(Trouble::Ssh)?;
        let mut talk = Talk { login: login.clone(), session };
        match talk.hear(LOOK_WITHIN).await {
            Some(Ok(Answer::Ready { version })) if version == env!("CARGO_PKG_VERSION") => Ok(talk),
            Some(Ok(Answer::Ready { version })) => {
                let what = format!("talk to firedrill {version} on {login}: this is {}", env!("CARGO_PKG_VERSION"));
                Err(Trouble::Fault(missing(what, "install the same version there, or leave `firedrill:` out: this one is copied then")))
            }
            Some(_) => Err(Trouble::Fault(FaultError::Other(format!("talk to {exe} on {login}: it says something else")))),
            None => Err(talk.trouble(&format!("start {exe}")).await),
        }
    }

    /// Asks.
    pub(super) async fn ask(&mut self, ask: &Ask) -> bool {
        self.session.send(words::line(ask).as_bytes()).await.is_ok()
    }

    /// Says that the runner lives.
    pub(super) async fn renew(&mut self) -> bool {
        self.session.send(format!("{}\n", words::RENEW).as_bytes()).await.is_ok()
    }

    /// The next answer; nothing where the connection is over or silent for that long.
    pub(super) async fn hear(&mut self, limit: Span) -> Option<Result<Answer, serde_json::Error>> {
        let heard = async {
            loop {
                if let Some(answer) = words::read(&self.session.line().await?) {
                    return Some(answer);
                }
            }
        };
        tokio::time::timeout(limit.std(), heard).await.ok().flatten()
    }

    /// Why there was no answer.
    pub(super) async fn trouble(self, doing: &str) -> Trouble {
        let login = self.login;
        match self.session.end().await {
            Err(error) => Trouble::Ssh(error),
            Ok(ended) => Trouble::Fault(FaultError::Other(format!("{doing} on {login}: {}", last(&ended)))),
        }
    }
}

/// Why an answer is missing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The machine was not reached: it may be in a while.
    Ssh(SshError),
    /// It was.
    Fault(FaultError),
}

impl From<Trouble> for FaultError {
    fn from(trouble: Trouble) -> FaultError {
        match trouble {
            Trouble::Ssh(error) => error.into(),
            Trouble::Fault(error) => error,
        }
    }
}

/// One question, one answer, one connection.
pub(super) async fn call(login: &Login, exe: &str, ask: &Ask) -> Result<Answer, Trouble> {
    let mut talk = Talk::open(login, exe).await?;
    talk.ask(ask).await;
    match talk.hear(ANSWER_WITHIN).await {
        Some(Ok(Answer::Failed { why })) => Err(Trouble::Fault(FaultError::Other(why))),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => Err(Trouble::Fault(FaultError::Other(format!("understand {login}: {error}")))),
        None => Err(talk.trouble("ask firedrill").await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_of_itself_is_read() {
        let seen = looked("Welcome!\nsystem Linux x86_64\ndir /home/ops/.cache/firedrill\nfree 1024\n");
        assert_eq!((seen.system.as_str(), seen.free_kib, seen.have), ("Linux x86_64", Some(1024), None));
        assert_eq!(looked("no-dir /nonexistent/.cache/firedrill\n").no_dir.as_deref(), Some("/nonexistent/.cache/firedrill"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "asks the real shell")]
    fn a_copy_is_whole_or_not_there() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it's here").display().to_string();
        let hex = digest_of(b"whole").to_string().trim_start_matches("sha256:").to_owned();
        let put = |bytes: &[u8]| {
            let mut child = std::process::Command::new("sh")
                .args(["-c", &in_sh(&copy_script(&file, &hex))])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(bytes).unwrap();
            child.wait().unwrap().success()
        };
        assert!(!put(b"half"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(put(b"whole"));
        assert_eq!(std::fs::read(&file).unwrap(), b"whole");
    }
}
