//! Machines over `ssh`. Where no firedrill is there, this very binary is copied: named by its digest and verified there before it is used, in a directory
//! that only the remote account may enter. Each ask is a connection; that of a fault stays, and its end is the end of the fault.

use std::path::Path;
use std::sync::OnceLock;

use super::super::{FaultError, Scene, shell};
use super::There;
use super::reach::{Executor, Trouble, missing, other_version};
use super::words::{self, Answer, Ask, Order};
use crate::base::{Span, digest_of};
use crate::sys::ssh::{self, Ended, Login, Session, SshError};
use crate::sys::{Cx, clock};

/// How long a look at the machine may take, and a copy to it.
const LOOK_WITHIN: Span = Span::secs(15);
const COPY_WITHIN: Span = Span::secs(240);
/// How long an answer may take.
const ANSWER_WITHIN: Span = Span::secs(25);
/// How long breaking it may take there, and how long an answer to that may be under way.
const INJECT_WITHIN: Span = Span::secs(20);
/// The same where the fault cuts the connection that would bring the answer, so that it still holds when one looks; where something else may show that it
/// bites, that long or a third of the lease.
const CUT_WITHIN: Span = Span::secs(2);

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

/// The path of a firedrill on that machine: this binary, copied there where it is not yet.
///
/// # Errors
/// The machine cannot be reached, is of another sort, or has no room; then nothing was touched.
async fn copy(login: &Login, exe: &Path) -> Result<String, FaultError> {
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
struct Talk {
    login: Login,
    session: Session,
}

impl Talk {
    /// Starts the firedrill there, and waits until it listens.
    async fn open(login: &Login, exe: &str) -> Result<Talk, Trouble> {
        let line = in_sh(&serve_script(exe));
        let session = Session::open(login, &line)?;
        let mut talk = Talk { login: login.clone(), session };
        match talk.hear(LOOK_WITHIN).await {
            Some(Ok(Answer::Ready { version })) if version == env!("CARGO_PKG_VERSION") => Ok(talk),
            Some(Ok(Answer::Ready { version })) => Err(other_version(&version, &login.to_string())),
            Some(_) => Err(Trouble::Fault(FaultError::Other(format!("talk to {exe} on {login}: it says something else")))),
            None => Err(talk.trouble(&format!("start {exe}")).await),
        }
    }

    /// Asks.
    async fn ask(&mut self, ask: &Ask) -> bool {
        self.session.send(words::line(ask).as_bytes()).await.is_ok()
    }

    /// Says that the runner lives.
    async fn renew(&mut self) -> bool {
        self.session.send(format!("{}\n", words::RENEW).as_bytes()).await.is_ok()
    }

    /// The next answer; nothing where the connection is over or silent for that long.
    async fn hear(&mut self, limit: Span) -> Option<Result<Answer, serde_json::Error>> {
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
    async fn trouble(self, doing: &str) -> Trouble {
        let login = self.login;
        match self.session.end().await {
            Err(error) => error.into(),
            Ok(ended) => Trouble::Fault(FaultError::Other(format!("{doing} on {login}: {}", last(&ended)))),
        }
    }
}

impl From<SshError> for Trouble {
    fn from(error: SshError) -> Trouble {
        Trouble::Away(error.to_string())
    }
}

impl Executor for Login {
    async fn settle(&self, named: Option<&str>, scene: &Scene<'_>) -> Result<String, FaultError> {
        match named {
            Some(path) => Ok(path.to_owned()),
            None => copy(self, &scene.cx.exe).await,
        }
    }

    async fn ask(&self, exe: &str, ask: &Ask) -> Result<Answer, Trouble> {
        let mut talk = Talk::open(self, exe).await?;
        talk.ask(ask).await;
        match talk.hear(ANSWER_WITHIN).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(Trouble::Fault(FaultError::Other(format!("understand {self}: {error}")))),
            None => Err(talk.trouble("ask firedrill").await),
        }
    }

    async fn inject(&self, there: &There, order: Box<Order>, confirmed: bool, cx: &Cx) -> Result<(), FaultError> {
        let mut talk = Talk::open(self, &there.exe).await?;
        talk.ask(&Ask::Inject { order, told: Box::new(there.told.clone()), lease: there.lease }).await;
        let mut begun = false;
        loop {
            let heard = tokio::select! {
                heard = talk.hear(within(there, begun, confirmed)) => heard,
                // The other side sees the end of its input, and undoes.
                () = cx.cancel.cancelled() => return Err(there.called_off()),
            };
            match heard {
                Some(Ok(Answer::Injecting)) => {
                    begun = true;
                    // Where it is going to be cut off, the other side waits for this.
                    talk.renew().await;
                }
                Some(Ok(answer)) => {
                    there.broken(answer)?;
                    break;
                }
                Some(Err(error)) => return Err(FaultError::Other(format!("understand {}: {error}", there.host))),
                // The fault may have cut the connection that was to say so: whether it bites, `confirm` shows from outside.
                None if begun && confirmed => break,
                None => return Err(there.unheard(talk.trouble("break it").await)),
            }
        }
        tokio::spawn(keep(talk, there.lease));
        Ok(())
    }

    fn by_hand(&self, exe: &str, dir: &str) -> String {
        let words = self.arguments();
        // Twice through a shell: the one here and the one there.
        let there = format!("{} __host undo {}", shell::quote(exe), shell::quote(dir));
        format!("ssh {} {}", shell::words(words.iter().map(String::as_str)), shell::quote(&there))
    }
}

/// How long an answer to the order may be under way.
fn within(there: &There, begun: bool, confirmed: bool) -> Span {
    match (begun, confirmed, there.told.cuts) {
        (true, true, true) => CUT_WITHIN,
        (true, true, false) => Span(there.lease.0 / 3).max(CUT_WITHIN),
        _ => INJECT_WITHIN,
    }
}

/// Says again and again that the runner lives, until the other side has ended.
async fn keep(mut talk: Talk, lease: Span) {
    let every = Span(lease.0 / 10).max(Span::millis(500));
    while talk.renew().await {
        // Silence is what is expected; an answer that comes late is of no use any more.
        let began = clock::mono_ns();
        let heard = talk.hear(every).await;
        let waited = Span(clock::mono_ns().saturating_sub(began));
        if heard.is_none() && waited < every {
            return;
        }
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
