//! Commands: bounded in time and output, alone in their process group, ended and reaped when they must not act any longer; and
//! processes that outlive the runner and are found again by their mark.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

pub use super::detached::{Detached, exit_of, members, recorded, spawn_system, stop_marked};
use super::process::{self, OWNER, ProcessId, Signal};
pub use super::shim::shim;
use super::{Cx, FillError, account, clock, env, title};
use crate::base::Span;

/// How much of each output stream is kept: its end.
pub const KEPT: usize = 64 * 1024;
/// How long output may stay open after a command has ended, for example because it left something behind that holds it.
const OUTPUT_GRACE: Span = Span::millis(200);
/// How long the shim may take to end everything: its own patience, then SIGKILL until nothing is left.
const SHIM_GRACE: Span = Span::secs(8);

/// A command.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// Program and arguments; `${…}`, secrets as well, is filled at the moment of starting.
    pub argv: Vec<String>,
    /// Added to firedrill's own environment; filled likewise.
    pub env: IndexMap<String, String>,
    /// Working directory; relative to [`Cx::base_dir`], which is also the default.
    pub cwd: Option<PathBuf>,
    /// The account it runs as.
    pub user: Option<String>,
    /// How long it may take.
    pub limit: Span,
    /// The mark it and its children carry.
    pub owner: Option<String>,
    /// How much of its standard output is kept, where it is more than [`KEPT`] bytes.
    pub most: usize,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// The end of its standard output.
    pub stdout: String,
    /// The end of its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Span,
    /// Whether its standard output is all there: it was closed, and not longer than what is kept.
    pub whole: bool,
}

impl Output {
    /// Whether it ended with code 0.
    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// How it ended and the last line it wrote, for people: `exit 1: no such database`.
    pub fn summary(&self) -> String {
        let last = |text: &str| text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
        match last(&self.stderr).or_else(|| last(&self.stdout)) {
            Some(line) => format!("{}: {line}", self.exit),
            None => self.exit.to_string(),
        }
    }
}

/// Why a command could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// No such program.
    #[error("find the program `{program}`: looked in {looked}")]
    NotFound {
        /// As it was written.
        program: String,
        /// Where it was looked for.
        looked: String,
    },
    /// A `${…}` could not be filled.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// No such account.
    #[error("run `{program}` as {user}: {why}")]
    User {
        /// The program.
        program: String,
        /// The account.
        user: String,
        /// What is missing.
        why: String,
    },
    /// The working directory is not there.
    #[error("enter the working directory {0}")]
    Directory(PathBuf),
    /// The machine refused.
    #[error("start `{program}`: {why}")]
    Start {
        /// The program.
        program: String,
        /// What the machine said.
        why: String,
    },
    /// It took too long; it and everything it started were ended.
    #[error("finish `{program}` within {limit}{}", tail(.output))]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Span,
        /// The last thing it wrote.
        output: String,
    },
    /// The action was called off; the command and everything it started were ended.
    #[error("finish `{program}`: it was called off")]
    Cancelled {
        /// The program.
        program: String,
    },
    /// The helper between firedrill and the command was killed; the command was ended.
    #[error("watch `{program}`: its helper process died")]
    ShimLost {
        /// The program.
        program: String,
    },
    /// It does not die.
    #[error("end {0}: still there after SIGKILL")]
    Undying(String),
    /// The kernel refuses a signal.
    #[error("signal {what}: {source}")]
    Signal {
        /// The process.
        what: String,
        /// What the kernel said.
        source: std::io::Error,
    },
}

fn tail(output: &str) -> String {
    output.lines().rev().find(|line| !line.trim().is_empty()).map_or_else(String::new, |line| format!("; it last wrote: {}", line.trim()))
}

/// A command with everything found and filled.
pub(super) struct Ready {
    program: PathBuf,
    pub(super) name: String,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    cwd: PathBuf,
}

pub(super) fn ready(exec: &Exec, cx: &Cx) -> Result<Ready, ExecError> {
    let argv = exec.argv.iter().map(|word| cx.reveal(word, None)).collect::<Result<Vec<_>, _>>()?;
    let mut env = exec.env.iter().map(|(key, value)| Ok((key.clone(), cx.reveal(value, None)?))).collect::<Result<Vec<_>, FillError>>()?;
    env.extend(exec.owner.as_ref().map(|owner| (OWNER.to_owned(), owner.clone())));
    let cwd = cx.base_dir.join(exec.cwd.as_deref().unwrap_or(Path::new("")).to_str().map(|text| cx.fill(text)).unwrap_or_default());
    if !cwd.is_dir() {
        return Err(ExecError::Directory(cwd));
    }
    let name = argv.first().cloned().unwrap_or_default();
    let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.clone()).or_else(|| env::var("PATH"));
    let program = locate(&name, &cwd, path.as_deref().unwrap_or("/usr/local/bin:/usr/bin:/bin"))?;
    if let Some(user) = &exec.user {
        let refuse = |why: &str| ExecError::User { program: name.clone(), user: user.clone(), why: why.to_owned() };
        let account = account::find(user).ok_or_else(|| refuse("no such account in /etc/passwd"))?;
        if !account::is_us(&account) && !rustix::process::geteuid().is_root() {
            return Err(refuse("only root may change user"));
        }
    }
    Ok(Ready { program, name, argv, env, cwd })
}

/// Finds a program as a shell would: by its path, or in the directories of `PATH`.
///
/// # Errors
/// There is none, or it may not be executed.
pub fn locate(name: &str, cwd: &Path, path: &str) -> Result<PathBuf, ExecError> {
    let runs = |file: &Path| std::fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    let missing = |looked: String| ExecError::NotFound { program: name.to_owned(), looked };
    if name.contains('/') {
        let file = cwd.join(name);
        return if runs(&file) { Ok(file) } else { Err(missing(file.display().to_string())) };
    }
    let found = path.split(':').filter(|dir| !dir.is_empty()).map(|dir| cwd.join(dir).join(name)).find(|file| runs(file));
    found.filter(|_| !name.is_empty()).ok_or_else(|| missing(path.to_owned()))
}

pub(super) fn shim_command(ready: &Ready, exec: &Exec, detach: Option<&Path>, runner: std::os::unix::net::UnixStream, cx: &Cx) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a process")]
    let mut command = Command::new(cx.exe.as_path());
    command.arg("__exec").envs(ready.env.iter().cloned()).current_dir(&ready.cwd);
    match title::exec(&ready.program, exec.user.as_deref(), detach, &ready.argv) {
        // Everybody may read arguments, and nobody else an environment.
        Some(packed) => command.env(title::EXEC, packed),
        None => {
            command.arg("--program").arg(&ready.program);
            command.args(exec.user.iter().flat_map(|user| ["--user", user]));
            command.args(detach.iter().flat_map(|record| [OsStr::new("--detach"), record.as_os_str()]));
            command.arg("--").args(&ready.argv)
        }
    };
    command.stdin(Stdio::from(OwnedFd::from(runner)));
    command
}

pub(super) fn socket(name: &str) -> Result<(UnixStream, std::os::unix::net::UnixStream), ExecError> {
    let pair = || {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok::<_, std::io::Error>((UnixStream::from_std(ours)?, theirs))
    };
    pair().map_err(|error| ExecError::Start { program: name.to_owned(), why: error.to_string() })
}

/// Runs a command to its end. When it takes too long, or [`Cx::cancel`] fires, it and everything it started are ended and reaped before
/// this returns: what comes next cannot meet it.
///
/// # Errors
/// It could not be started, took too long or was called off; a bad exit is no error but an [`Output`].
pub async fn run(exec: Exec, cx: &Cx) -> Result<Output, ExecError> {
    let ready = ready(&exec, cx)?;
    let program = ready.name.clone();
    let (ours, theirs) = socket(&program)?;
    let (listen, mut life) = ours.into_split();
    let started = clock::mono_ns();
    let mut command = shim_command(&ready, &exec, None, theirs, cx);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| ExecError::Start { program: program.clone(), why: error.to_string() })?;
    // The command holds the other end of the socket, which must close when the shim dies.
    drop(command);
    let mut report = Kept::of(Some(listen), KEPT);
    let stdout = Kept::of(child.stdout.take(), KEPT.max(exec.most));
    let stderr = Kept::of(child.stderr.take(), KEPT);
    let why = tokio::select! {
        () = report.ended() => Why::Ended,
        () = clock::sleep(exec.limit) => Why::Late,
        () = cx.cancel.cancelled() => Why::Cancelled,
    };
    if why != Why::Ended {
        let _ = life.shutdown().await;
    }
    let took = Span(clock::mono_ns().saturating_sub(started));
    reap(&mut child, &program).await?;
    let (report, _) = report.text().await;
    let (stdout, whole) = stdout.text().await;
    let (stderr, _) = stderr.text().await;
    let said = |word: &str| report.lines().find_map(|line| line.strip_prefix(word).map(str::trim));
    let (exit, signal, failed) = (said("exit "), said("signal "), said("failed "));
    if exit.or(signal).or(failed).is_none() {
        end_orphans(said("started "), &exec).await?;
    }
    match why {
        Why::Cancelled => return Err(ExecError::Cancelled { program }),
        Why::Late => {
            return Err(ExecError::TimedOut { program, limit: exec.limit, output: if stderr.is_empty() { stdout } else { stderr } });
        }
        Why::Ended => {}
    }
    let exit = match (exit, signal, failed) {
        (Some(code), ..) => Exit::Code(code.parse().unwrap_or(-1)),
        (_, Some(signal), _) => Exit::Signal(signal.parse().unwrap_or(0)),
        (.., Some(why)) => return Err(ExecError::Start { program, why: why.to_owned() }),
        (None, None, None) => return Err(ExecError::ShimLost { program }),
    };
    Ok(Output { exit, stdout, stderr, took, whole })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Ended,
    Late,
    Cancelled,
}

/// Waits for the shim, which has ended everything when it goes; when it does not go it is killed, and what it watched as well.
async fn reap(child: &mut Child, program: &str) -> Result<(), ExecError> {
    if tokio::time::timeout(SHIM_GRACE.std(), child.wait()).await.is_ok() {
        return Ok(());
    }
    let Some(shim) = child.id().and_then(process::find) else { return Ok(()) };
    // The shim last: what it watched is found through it.
    kill_until_none(program, || process::tree(std::slice::from_ref(&shim)).into_iter().skip(1).collect()).await?;
    kill_until_none(program, || vec![shim.clone()]).await?;
    let _ = child.wait().await;
    Ok(())
}

/// The shim died by another hand: ends the group that it started, what carries the mark, and everything below.
async fn end_orphans(leader: Option<&str>, exec: &Exec) -> Result<(), ExecError> {
    let group: Option<u32> = leader.and_then(|pid| pid.parse().ok());
    kill_until_none(exec.argv.first().map_or("", String::as_str), || {
        let of_group = process::all().into_iter().filter(|(_, stat)| Some(stat.group) == group);
        let mut left: Vec<ProcessId> = of_group.filter_map(|(pid, _)| process::find(pid)).collect();
        left.extend(exec.owner.as_deref().map(process::marked).unwrap_or_default());
        process::tree(&left)
    })
    .await
}

/// Kills and looks again until a look finds nothing: what is dying may still be starting others.
async fn kill_until_none(program: &str, look: impl Fn() -> Vec<ProcessId>) -> Result<(), ExecError> {
    for _ in 0..400 {
        let left: Vec<ProcessId> = look().into_iter().filter(process::alive).collect();
        if left.is_empty() {
            return Ok(());
        }
        for id in &left {
            let _ = process::signal(id, Signal::KILL);
        }
        clock::sleep(Span::millis(5)).await;
    }
    Err(ExecError::Undying(program.to_owned()))
}

/// The end of a stream, read in the background so that its writer never blocks.
struct Kept {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    /// Whether the stream ended and nothing of it was let go.
    whole: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Kept {
    fn of(stream: Option<impl AsyncRead + Unpin + Send + 'static>, most: usize) -> Kept {
        let (bytes, whole) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (Arc::clone(&bytes), Arc::clone(&whole));
        let task = tokio::spawn(async move {
            let Some(mut stream) = stream else { return };
            let mut buffer = vec![0_u8; 8192];
            let mut let_go = false;
            loop {
                let Ok(n) = stream.read(&mut buffer).await else { return };
                if n == 0 {
                    ended.store(!let_go, Ordering::Relaxed);
                    return;
                }
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(buffer.get(..n).unwrap_or_default());
                let over = kept.len().saturating_sub(most);
                kept.drain(..over);
                let_go |= over > 0;
            }
        });
        Kept { bytes, whole, task }
    }

    async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }

    async fn text(mut self) -> (String, bool) {
        if !self.task.is_finished() {
            let _ = tokio::time::timeout(OUTPUT_GRACE.std(), &mut self.task).await;
        }
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        (String::from_utf8_lossy(kept.make_contiguous()).into_owned(), self.whole.load(Ordering::Relaxed))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_where_it_was_looked_for() {
        let error = locate("no-such-program-here", Path::new("/"), "/usr/bin:/bin").unwrap_err().to_string();
        assert_eq!(error, "find the program `no-such-program-here`: looked in /usr/bin:/bin");
        let error = locate("./gone.sh", Path::new("/tmp"), "/bin").unwrap_err().to_string();
        assert!(error.ends_with("looked in /tmp/./gone.sh"), "{error}");
        assert_eq!(locate("sh", Path::new("/"), "/nowhere:/bin").unwrap(), PathBuf::from("/bin/sh"));
        // A directory and a file that may not be executed are no programs.
        assert!(locate("/etc", Path::new("/"), "").is_err());
        assert!(locate("/etc/passwd", Path::new("/"), "").is_err());
    }

    #[test]
    fn the_summary_is_the_last_line_that_was_written() {
        let output = Output { exit: Exit::Code(1), stdout: "a\n".into(), stderr: "b\nc \n\n".into(), took: Span::ZERO, whole: true };
        assert_eq!(output.summary(), "exit 1: c");
        assert_eq!(
            Output { exit: Exit::Signal(9), stdout: String::new(), stderr: String::new(), took: Span::ZERO, whole: true }.summary(),
            "signal 9"
        );
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_output_is_kept() {
        let long = [vec![b'a'; KEPT], b"end".to_vec()].concat();
        let mut kept = Kept::of(Some(std::io::Cursor::new(long.clone())), KEPT);
        kept.ended().await;
        let (text, whole) = kept.text().await;
        assert_eq!((text.len(), whole), (KEPT, false));
        assert!(text.ends_with("aend"));
        let kept = Kept::of(Some(std::io::Cursor::new(long)), KEPT + 3);
        assert!(kept.text().await.1, "as much as may be kept is whole");
        let (open, _writer) = tokio::io::duplex(8);
        assert!(!Kept::of(Some(open), KEPT).text().await.1, "what is still open is not");
    }
}
