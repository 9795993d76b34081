//! Go or no-go: said at the terminal that holds the day, or from any account of the machine over a socket. Who says it is what the kernel says.

use std::io::BufRead;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};

use super::super::args::GamedaySay;
use super::super::exit::Exit;
use super::super::out::{Voice, can_ask, say};
use super::super::runtime;
use crate::base::{Span, one_line};
use crate::journal::Registry;
use crate::sys::{Clock, account, clock, socket};

/// How rooms of game days are called in the registry, so that nobody takes them for drills.
pub const MARK: &str = "GAMEDAY-";
const NAME: &str = "socket";
/// How long one who says something may take for it, and how long an answer may take.
const HEAR: Span = Span::secs(2);
const ANSWER: Span = Span::secs(10);
const LOOK: Span = Span::millis(100);
const LONGEST: usize = 500;

/// What somebody says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    go: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What is answered.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Heard {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Go, or the end of a break.
    Go {
        /// By whom.
        by: String,
    },
    /// No-go.
    NoGo {
        /// By whom.
        by: String,
        /// Why.
        why: Option<String>,
    },
    /// The time is over.
    Time,
    /// This process was told to end.
    Stop,
}

/// What is being waited for.
#[derive(Debug, Clone)]
struct Waiting {
    what: String,
    /// Who may speak; nothing: anybody.
    accounts: Option<Vec<String>>,
    role: Option<String>,
    /// A break cannot be refused.
    refusable: bool,
}

/// Hears people for as long as the day lasts.
pub struct Gate {
    waiting: Arc<Mutex<Option<Waiting>>>,
    words: Receiver<Word>,
    lines: Option<Receiver<String>>,
    stop: Arc<AtomicBool>,
    id: String,
}

impl Drop for Gate {
    fn drop(&mut self) {
        Registry::here().close_to_people(&self.id);
    }
}

impl Gate {
    /// Opens the socket; where there can be none, only the terminal is heard.
    pub fn open(day: &str, stop: Arc<AtomicBool>, voice: Voice) -> Gate {
        let id = format!("{MARK}{day}");
        let waiting = Arc::new(Mutex::new(None));
        let (tell, words) = channel();
        let opened = Registry::here().room_for_people(&id).map_err(|error| error.to_string());
        if let Err(why) = opened.and_then(|dir| listen(&dir, Arc::clone(&waiting), tell)) {
            voice.warn(&format!("nobody can say go but at this terminal: failed to {why}"));
        }
        Gate { waiting, words, lines: can_ask().then(lines), stop, id }
    }

    /// Waits until somebody who may says go or no-go.
    pub fn ask(&self, what: &str, role: Option<&str>, accounts: Option<Vec<String>>) -> Word {
        let waiting = Waiting { what: what.to_owned(), accounts, role: role.map(str::to_owned), refusable: true };
        self.wait(waiting, None)
    }

    /// Waits until a break is over, or somebody ends it.
    pub fn rest(&self, what: &str, accounts: Option<Vec<String>>, takes: Span) -> Word {
        let waiting = Waiting { what: what.to_owned(), accounts, role: None, refusable: false };
        self.wait(waiting, Some(takes))
    }

    fn wait(&self, waiting: Waiting, most: Option<Span>) -> Word {
        while self.words.try_recv().is_ok() {}
        while self.lines.as_ref().is_some_and(|lines| lines.try_recv().is_ok()) {}
        let refusable = waiting.refusable;
        let (_, uid) = account::ours();
        let here = admit(&waiting, uid);
        *held(&self.waiting) = Some(waiting);
        let timer = Clock::start();
        let until = most.map(|most| timer.now() + most);
        let word = loop {
            if self.stop.load(Ordering::SeqCst) {
                break Word::Stop;
            }
            if let Some(line) = self.lines.as_ref().and_then(|lines| lines.try_recv().ok())
                && let Some(word) = typed(&line, refusable, here.as_ref())
            {
                break word;
            }
            match self.words.recv_timeout(LOOK.std()) {
                Ok(word) => break word,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(LOOK.std()),
            }
            if until.is_some_and(|until| timer.now() >= until) {
                break Word::Time;
            }
        };
        *held(&self.waiting) = None;
        word
    }
}

fn held(waiting: &Mutex<Option<Waiting>>) -> MutexGuard<'_, Option<Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines that are typed at the terminal, from now on.
fn lines() -> Receiver<String> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// What a line means; nothing where it means nothing.
fn typed(line: &str, refusable: bool, here: Result<&String, &String>) -> Option<Word> {
    let by = match here {
        Ok(by) => format!("{by}, at the terminal"),
        Err(why) => {
            say(&format!("  {why}"));
            return None;
        }
    };
    let (word, why) = line.trim().split_once(' ').map_or((line.trim(), ""), |(word, why)| (word, why.trim()));
    let why = (!why.is_empty()).then(|| one_line(why, LONGEST));
    match word.to_ascii_lowercase().as_str() {
        "go" | "y" | "yes" => Some(Word::Go { by }),
        "" if !refusable => Some(Word::Go { by }),
        "no-go" | "nogo" | "no" | "n" if refusable => Some(Word::NoGo { by, why }),
        _ => {
            say(if refusable { "  type `go`, or `no-go` and why" } else { "  press Enter to end it now" });
            None
        }
    }
}

/// Who that is, where they may speak.
fn admit(waiting: &Waiting, uid: u32) -> Result<String, String> {
    let (name, who) = (account::name(uid), account::who(uid));
    match &waiting.accounts {
        Some(accounts) if !accounts.contains(&name) => {
            let role = waiting.role.as_deref().map_or_else(|| "somebody of the roster".to_owned(), |role| format!("the role `{role}`"));
            Err(format!("{}: that is for {role} to say ({}), and you are {who}", waiting.what, accounts.join(", ")))
        }
        _ => Ok(who),
    }
}

fn listen(dir: &Path, waiting: Arc<Mutex<Option<Waiting>>>, tell: Sender<Word>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| format!("start: {error}"))?;
    let (_handle, path) = socket::address(dir, NAME).map_err(|error| format!("open a socket: {error}"))?;
    let listener = {
        let _inside = runtime.enter();
        UnixListener::bind(&path).map_err(|error| format!("open a socket: {error}"))?
    };
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).map_err(|error| format!("open a socket: {error}"))?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                match listener.accept().await {
                    // One after another: whoever says nothing is hung up on.
                    Ok((stream, _)) => drop(tokio::time::timeout(HEAR.std(), hear(stream, &waiting, &tell)).await),
                    Err(_) => clock::sleep(Span::millis(10)).await,
                }
            }
        });
    });
    Ok(())
}

async fn hear(stream: UnixStream, waiting: &Mutex<Option<Waiting>>, tell: &Sender<Word>) -> std::io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let mut stream = BufReader::new(stream);
    let heard = match socket::read::<Saying>(&mut stream).await {
        Ok(None) => return Ok(()),
        Ok(Some(saying)) => match take(saying, uid, waiting, tell) {
            Ok(to) => Heard { to: Some(to), error: None },
            Err(why) => Heard { to: None, error: Some(why) },
        },
        Err(error) => Heard { to: None, error: Some(format!("what was said cannot be read: {}", one_line(&error.to_string(), 200))) },
    };
    socket::write(stream.get_mut(), &heard).await
}

fn take(saying: Saying, uid: u32, waiting: &Mutex<Option<Waiting>>, tell: &Sender<Word>) -> Result<String, String> {
    let mut waiting = held(waiting);
    let Some(now) = waiting.as_ref() else { return Err("nothing waits for a go just now".into()) };
    let by = admit(now, uid)?;
    if !saying.go && !now.refusable {
        return Err(format!("{} cannot be refused, only ended", now.what));
    }
    let why = saying.why.map(|why| one_line(&why, LONGEST));
    let word = if saying.go { Word::Go { by } } else { Word::NoGo { by, why } };
    let what = now.what.clone();
    tell.send(word).map_err(|_| "the day is over".to_owned())?;
    // The first word counts.
    *waiting = None;
    Ok(what)
}

/// `firedrill gameday go` and `no-go`.
pub fn say_it(args: &GamedaySay, go: bool, voice: Voice) -> Exit {
    let all: Vec<(String, std::path::PathBuf)> =
        Registry::here().listening().into_iter().filter_map(|(id, dir)| Some((id.strip_prefix(MARK)?.to_owned(), dir))).collect();
    let wanted = args.day.as_deref().map(str::to_ascii_uppercase);
    let found: Vec<_> = all.iter().filter(|(id, _)| wanted.as_ref().is_none_or(|wanted| id.starts_with(wanted))).collect();
    let (day, dir) = match found.as_slice() {
        [one] => *one,
        [] => {
            voice.error("no such game day is being held on this machine", Some("`firedrill gameday run FILE` holds one"));
            return Exit::CouldNotStart;
        }
        _ => {
            voice.error("several game days are being held", Some("name one of them by the beginning of its id"));
            return Exit::Usage;
        }
    };
    let Ok(runtime) = runtime() else { return Exit::Bug };
    let asked = runtime.block_on(async { tokio::time::timeout(ANSWER.std(), speak(dir, go, args.why.clone())).await });
    match asked.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(Heard { error: Some(why), .. }) => {
            voice.error(&one_line(&why, 500), Some("nothing was written down; the day goes on"));
            Exit::Refused
        }
        Ok(Heard { to, .. }) => {
            say(&format!("{day}: {} said to {}", if go { "go" } else { "no-go" }, one_line(&to.unwrap_or_default(), 200)));
            Exit::Ok
        }
        Err(error) => {
            voice.error(&format!("{day} does not listen: {error}"), Some("it may have ended: `firedrill gameday report last`"));
            Exit::CouldNotStart
        }
    }
}

async fn speak(dir: &Path, go: bool, why: Option<String>) -> std::io::Result<Heard> {
    let (_handle, path) = socket::address(dir, NAME)?;
    let mut stream = BufReader::new(UnixStream::connect(path).await?);
    let why = why.map(|why| one_line(&why, LONGEST));
    socket::write(stream.get_mut(), &Saying { go, why }).await?;
    Ok(socket::read(&mut stream).await?.unwrap_or_default())
}
