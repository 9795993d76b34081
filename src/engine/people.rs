//! The participant socket of a run: how people say what they do, from any account of the machine. It lies apart from the run's directory, which
//! lets nobody else in. One line of JSON there, one back; who says it is what the kernel says. Both sides are here, and what is admitted.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::lead::{self, AnswerTo, Asking, Line};
use super::look::Look;
use super::orders::{Command, Told};
use crate::base::{At, Id, Span, one_line};
use crate::event::{Deed, Said};
use crate::plan::{Expected, TeamPlan};
use crate::sys::{Clock, account, clock, socket};

/// The socket's name in its directory.
pub const NAME: &str = "socket";
/// How long one who says something may take for it.
const HEAR: Span = Span::secs(2);
/// How many are heard at the same time.
const AT_ONCE: usize = 16;
/// What is answered when nothing can be said any more.
pub const OVER: &str = "the drill is over";
/// Longest text, in characters.
pub const LONGEST: usize = 4_000;

/// Most that is taken of one account in one drill: whoever floods it fills no disk, and keeps nobody else from being heard.
const EACH: u32 = 1_000;

/// What somebody says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saying {
    /// As which role; absent: the only one they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How long ago it was, in nanoseconds; absent: just now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ago: Option<i64>,
    /// What.
    pub deed: Deed,
}

/// What is answered, always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// The run that answers.
    pub run: String,
    /// When it was heard, on the run's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// The role that it stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What there is to see, where somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// Why it was not taken, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Who says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// An account of this machine, as the kernel says.
    Account(u32),
    /// Somebody with the token of a role.
    Token(String),
}

/// Who hears, and by which rules: one for every way in.
#[derive(Debug)]
pub struct Room {
    run: String,
    team: TeamPlan,
    /// Steps of the runbooks, where there are any.
    steps: Vec<String>,
    clock: Clock,
    ask: mpsc::Sender<Command>,
    taken: Taken,
}

/// How much has been taken of each account.
#[derive(Debug, Default)]
struct Taken(Mutex<HashMap<String, u32>>);

impl Taken {
    fn one_more(&self, by: &str) -> Result<(), String> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(by.to_owned()).or_default();
        if *count >= EACH {
            return Err(format!("{by} has said {EACH} things in this drill, and no more are taken: write the rest down elsewhere"));
        }
        *count += 1;
        Ok(())
    }
}

/// Opens the socket in a directory that everybody may look into, and hears whoever speaks, until the task is aborted.
///
/// # Errors
/// The file system has no sockets.
pub fn listen(dir: &Path, room: Arc<Room>) -> io::Result<JoinHandle<()>> {
    let (_handle, path) = socket::address(dir, NAME)?;
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666))?;
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    Ok(tokio::spawn(async move {
        loop {
            let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let room = Arc::clone(&room);
                    tokio::spawn(async move {
                        let _seat = seat;
                        // Who says nothing is hung up on, so that somebody else is heard.
                        let _ = tokio::time::timeout(HEAR.std(), hear(stream, &room)).await;
                    });
                }
                // Out of files, most likely.
                Err(_) => clock::sleep(Span::millis(10)).await,
            }
        }
    }))
}

async fn hear(stream: UnixStream, room: &Room) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let mut stream = BufReader::new(stream);
    let mut heard = Heard { run: room.run.clone(), ..Heard::default() };
    match socket::read::<Line>(&mut stream).await {
        Ok(None) => return Ok(()),
        Ok(Some(Line::Saying(saying))) => match room.take(saying, &Who::Account(uid)).await {
            Ok((at, role)) => (heard.at, heard.role) = (Some(at), Some(role)),
            Err(why) => heard.error = Some(why),
        },
        Ok(Some(Line::Asking(asking))) => match obey(asking, uid, room).await {
            Ok(done) => (heard.at, heard.look) = (Some(done.at), done.look),
            Err(why) => heard.error = Some(why),
        },
        Err(error) => heard.error = Some(format!("what was said cannot be read: {}", one_line(&error.to_string(), 200))),
    }
    socket::write(stream.get_mut(), &heard).await
}

impl Room {
    /// For a run of this team; `steps` are those of its runbooks.
    pub fn new(run: &str, team: &TeamPlan, steps: Vec<String>, clock: Clock, ask: mpsc::Sender<Command>) -> Room {
        Room { run: run.to_owned(), team: team.clone(), steps, clock, ask, taken: Taken::default() }
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Takes what somebody says; says when it was heard, and as which role.
    ///
    /// # Errors
    /// It may not be said; what is wrong and what would be right, for people.
    pub async fn take(&self, saying: Saying, who: &Who) -> Result<(At, String), String> {
        let now = self.clock.now();
        let said = match who {
            Who::Account(uid) => admit(&self.team, &self.steps, (&account::name(*uid), &account::who(*uid)), saying, now)?,
            Who::Token(role) if saying.role.as_ref().is_some_and(|wanted| wanted != role) => {
                return Err(format!("this token is that of the role `{role}`"));
            }
            Who::Token(role) => admit_as(&self.team, &self.steps, (role, &format!("token of {role}")), saying, now)?,
        };
        self.taken.one_more(&said.by)?;
        let role = said.role.clone();
        let (told, mut answer) = mpsc::channel(1);
        let over = || OVER.to_owned();
        self.ask.send(Command::Said(Box::new(said), Told(told))).await.map_err(|_| over())?;
        let at = answer.recv().await.unwrap_or_else(|| Err(over()))?;
        Ok((at, role))
    }
}

async fn obey(asking: Asking, uid: u32, room: &Room) -> Result<lead::Done, String> {
    let own = uid == 0 || uid == account::ours().1;
    let asked = lead::admit(&room.team, (&account::name(uid), &account::who(uid)), own, asking)?;
    lead::pace(&asked.ask).await;
    let (told, mut answer) = mpsc::channel(1);
    let over = || "the drill is over".to_owned();
    room.ask.send(Command::Asked(Box::new(asked), AnswerTo(told))).await.map_err(|_| over())?;
    answer.recv().await.unwrap_or_else(|| Err(over()))
}

/// Whether something may be said: as which role, about what, and for when. `who` is the account's name and how it is shown.
///
/// # Errors
/// It may not; what is wrong and what would be right, for people.
pub fn admit(team: &TeamPlan, steps: &[String], who: (&str, &str), saying: Saying, now: At) -> Result<Said, String> {
    let role = role_of(team, who.0, saying.role.clone())?;
    admit_as(team, steps, (&role, who.1), saying, now)
}

/// The same for whoever is known to have a role: `who` is the role, and how they are shown.
fn admit_as(team: &TeamPlan, steps: &[String], who: (&str, &str), saying: Saying, now: At) -> Result<Said, String> {
    let (role, by) = (who.0.to_owned(), who.1.to_owned());
    let claimed = match saying.ago {
        None => None,
        Some(ago) if ago < 0 => return Err("that lies in the future: only what has happened can be said".to_owned()),
        Some(ago) => {
            let at = now.0.checked_sub(ago.unsigned_abs()).ok_or("that was before this drill began")?;
            Some(At(at))
        }
    };
    let deed = deed(team, steps, &role, saying.deed)?;
    Ok(Said { role, by, claimed, deed })
}

pub(super) fn role_of(team: &TeamPlan, name: &str, wanted: Option<String>) -> Result<String, String> {
    let has = |people: &Vec<String>| people.iter().any(|person| person == name);
    let theirs: Vec<&str> = team.roles.iter().filter(|(_, people)| has(people)).map(|(role, _)| role.as_str()).collect();
    let all = || team.roles.keys().map(Id::as_str).collect::<Vec<_>>().join(", ");
    match wanted {
        Some(role) if team.roles.is_empty() => role
            .parse::<Id>()
            .map(|id| id.to_string())
            .map_err(|_| format!("`{}` is not a role: lower-case letters, digits and `-`", one_line(&role, 64))),
        Some(role) => match team.roles.get(role.as_str()) {
            Some(people) if has(people) => Ok(role),
            Some(_) => Err(format!(
                "{name} has not the role `{role}`{}",
                if theirs.is_empty() { format!("; add `{name}` to `team.roles.{role}`") } else { format!(", but {}", theirs.join(", ")) }
            )),
            None => Err(format!("no role is called `{}`: there are {}", one_line(&role, 64), all())),
        },
        None => match theirs.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] if team.roles.is_empty() => Err("say as which role, for example --as ops".to_owned()),
            [] => Err(format!("{name} has no role in this drill: add it to one of {}", all())),
            several => Err(format!("{name} has several roles: say which, --as {}", several.join(" or --as "))),
        },
    }
}

fn text(what: &str, text: &str) -> Result<String, String> {
    let line = one_line(text, usize::MAX);
    match line.chars().count() {
        0 => Err(format!("{what} needs words")),
        n if n > LONGEST => Err(format!("{what} has at most {LONGEST} characters, not {n}")),
        _ => Ok(line),
    }
}

fn name(what: &str, name: &str) -> Result<String, String> {
    name.parse::<Id>().map(|id| id.to_string()).map_err(|_| {
        let near = Id::suggest(&one_line(name, 64)).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!("`{}` is no name of {what}{near}", one_line(name, 64))
    })
}

fn deed(team: &TeamPlan, steps: &[String], role: &str, said: Deed) -> Result<Deed, String> {
    Ok(match said {
        Deed::Mark { mark, text: words } => {
            let words = if words.is_empty() { words } else { text("a mark's note", &words)? };
            Deed::Mark { mark: name("a mark", &mark)?, text: words }
        }
        Deed::Answer { of, text: words } => {
            let asks: Vec<&str> =
                team.expect.iter().filter(|(_, e)| matches!(e.what, Expected::Answer { .. })).map(|(id, _)| id.as_str()).collect();
            if let Some(of) = of.as_deref().filter(|of| !asks.contains(of)) {
                let of = one_line(of, 64);
                return Err(match asks.as_slice() {
                    // What is asked would tell what is broken.
                    _ if team.blind => format!("no question is called `{of}` here: leave --of out"),
                    [] => format!("no question is called `{of}`: none is asked"),
                    asks => format!("no question is called `{of}`: there are {}", asks.join(", ")),
                });
            }
            Deed::Answer { of, text: text("an answer", &words)? }
        }
        Deed::Step { step, back_out } => Deed::Step { step: known_step(team, steps, &step)?, back_out },
        Deed::Note { text: words } => Deed::Note { text: text("a note", &words)? },
        Deed::Message { to, text: words } => Deed::Message { to: name("an audience", &to)?, text: text("a message", &words)? },
        Deed::Command { line } => Deed::Command { line: text("a command", &line)? },
        Deed::Handoff { to } if to == role => return Err(format!("{role} cannot hand over to itself")),
        Deed::Handoff { to } if team.roles.is_empty() => Deed::Handoff { to: name("a role", &to)? },
        Deed::Handoff { to } => match team.roles.contains_key(to.as_str()) {
            true => Deed::Handoff { to },
            false => {
                let all: Vec<&str> = team.roles.keys().map(Id::as_str).collect();
                return Err(format!("no role is called `{}`: there are {}", one_line(&to, 64), all.join(", ")));
            }
        },
        Deed::Accept {} => Deed::Accept {},
        // Which prompt it is, and whether it was given, is told by where the drill is.
        Deed::Reply { of, text: words } => {
            Deed::Reply { of: of.map(|of| name("a prompt", &of)).transpose()?, text: text("a reply", &words)? }
        }
    })
}

/// A step of a runbook, or one that the scenario speaks of.
fn known_step(team: &TeamPlan, steps: &[String], step: &str) -> Result<String, String> {
    let planned = team.expect.values().map(|e| &e.what).chain(team.wrong_turns.values().map(|turn| &turn.what));
    let planned = planned.filter_map(|what| match what {
        Expected::Step(step) => Some(step.as_str()),
        _ => None,
    });
    let mut known: Vec<&str> = steps.iter().map(String::as_str).collect();
    if known.is_empty() {
        // Without runbooks nobody knows which steps there are: what has the form of one is taken.
        let named = step.split_once('#').is_some_and(|(runbook, id)| runbook.parse::<Id>().is_ok() && id.parse::<Id>().is_ok());
        return if named { Ok(step.to_owned()) } else { Err(format!("`{}` is not RUNBOOK#STEP", one_line(step, 128))) };
    }
    // What only the scenario speaks of would be a hint in a blind drill: there, a step is one of the runbooks.
    if !team.blind {
        known.extend(planned);
    }
    if known.contains(&step) {
        return Ok(step.to_owned());
    }
    let near = known.iter().copied().max_by(|a, b| strsim::jaro_winkler(a, step).total_cmp(&strsim::jaro_winkler(b, step)));
    let near =
        near.filter(|near| strsim::jaro_winkler(near, step) > 0.8).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(format!("no runbook has a step `{}`{near}; what is in no runbook is written down by `firedrill note`", one_line(step, 128)))
}

/// Says something to the run that listens in a directory.
///
/// # Errors
/// Nobody listens there, or they do not answer in time.
pub async fn say(dir: &Path, saying: &Saying, limit: Span) -> io::Result<Heard> {
    talk(dir, saying, limit).await
}

pub(super) async fn talk<T: Serialize>(dir: &Path, line: &T, limit: Span) -> io::Result<Heard> {
    let talk = async {
        let (_handle, path) = socket::address(dir, NAME)?;
        let mut stream = UnixStream::connect(&path).await?;
        socket::write(&mut stream, line).await?;
        socket::read(&mut BufReader::new(stream)).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    };
    tokio::time::timeout(limit.std(), talk).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::AsyncWriteExt;

    fn team(roles: serde_json::Value) -> TeamPlan {
        let ask = json!({ "what": { "answer": { "ask": "What?", "matches": "x" } }, "within": "1m", "from": { "after": "steady", "plus": "0s" } });
        serde_json::from_value(json!({ "roles": roles, "expect": { "diagnosed": ask } })).unwrap()
    }

    fn try_it(role: Option<&str>, ago: Option<i64>, deed: Deed) -> Result<Said, String> {
        let team = team(json!({ "ops": ["dan"], "dba": ["gina", "dan"], "comms": ["erin"] }));
        let saying = Saying { role: role.map(str::to_owned), ago, deed };
        admit(&team, &["db#promote".into(), "db#fence".into()], ("dan", "dan (uid 1000)"), saying, At(60_000_000_000))
    }

    fn mark(mark: &str) -> Deed {
        Deed::Mark { mark: mark.into(), text: String::new() }
    }

    #[test]
    fn what_may_not_be_said_is_told_with_what_may() {
        let note = |words: String| Deed::Note { text: words };
        let step = |step: &str| Deed::Step { step: step.into(), back_out: false };
        let cases = [
            (try_it(Some("oops"), None, mark("x")), "no role is called `oops`: there are ops, dba, comms"),
            (try_it(Some("comms"), None, mark("x")), "dan has not the role `comms`, but ops, dba"),
            (try_it(None, None, mark("x")), "dan has several roles: say which, --as ops or --as dba"),
            (try_it(Some("ops"), Some(-1), mark("x")), "that lies in the future: only what has happened can be said"),
            (try_it(Some("ops"), Some(61_000_000_000), mark("x")), "that was before this drill began"),
            (
                try_it(Some("ops"), None, mark("Incident Declared")),
                "`Incident Declared` is no name of a mark; did you mean `incident-declared`?",
            ),
            (try_it(Some("ops"), None, note(" \n\u{1b} ".into())), "a note needs words"),
            (try_it(Some("ops"), None, note("x".repeat(1 << 20))), "a note has at most 4000 characters, not 1048576"),
            (try_it(Some("ops"), None, Deed::Handoff { to: "ops".into() }), "ops cannot hand over to itself"),
            (try_it(Some("ops"), None, Deed::Handoff { to: "boss".into() }), "no role is called `boss`: there are ops, dba, comms"),
            (
                try_it(Some("ops"), None, Deed::Answer { of: Some("why".into()), text: "x".into() }),
                "no question is called `why`: there are diagnosed",
            ),
        ];
        for (found, wanted) in cases {
            assert_eq!(found.unwrap_err(), wanted);
        }
        let near = try_it(Some("ops"), None, step("db#promot")).unwrap_err();
        assert!(near.contains("did you mean `db#promote`?"), "{near}");
    }

    #[test]
    fn whoever_floods_a_drill_is_stopped_and_nobody_else() {
        let taken = Taken::default();
        assert!((0..EACH).all(|_| taken.one_more("dan (uid 1000)").is_ok()));
        assert!(taken.one_more("dan (uid 1000)").unwrap_err().starts_with("dan (uid 1000) has said 1000 things"));
        assert_eq!(taken.one_more("erin (uid 1001)"), Ok(()));
    }

    #[test]
    fn what_is_admitted_is_harmless_and_keeps_both_times() {
        let said = try_it(Some("ops"), Some(20_000_000_000), Deed::Note { text: "a\u{1b}[2J\nb\u{202e}c".into() }).unwrap();
        assert_eq!((said.claimed, said.by.as_str()), (Some(At(40_000_000_000)), "dan (uid 1000)"));
        assert_eq!(said.deed, Deed::Note { text: "a [2J b c".into() });
        // Without roles everybody says which they have; without runbooks the form of a step is enough.
        let free = team(json!({}));
        let step = Deed::Step { step: "db#promote".into(), back_out: true };
        let saying = |role: Option<&str>| Saying { role: role.map(str::to_owned), ago: None, deed: step.clone() };
        assert_eq!(admit(&free, &[], ("x", "x"), saying(Some("ops")), At(1)).unwrap().role, "ops");
        assert!(admit(&free, &[], ("x", "x"), saying(None), At(1)).unwrap_err().contains("--as ops"));
        assert!(admit(&free, &[], ("x", "x"), saying(Some("O\u{1b}ps")), At(1)).unwrap_err().contains("is not a role"));
    }

    #[tokio::test]
    async fn people_are_heard_together_and_nonsense_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let (ask, mut commands) = mpsc::channel(8);
        let us = account::ours().0;
        let team = team(json!({ "ops": [us] }));
        let _listening = listen(dir.path(), Arc::new(Room::new("01RUN", &team, Vec::new(), Clock::start(), ask))).unwrap();
        let mode = std::fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o666);
        let engine = tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                let Command::Said(said, told) = command else { panic!("{command:?}") };
                let answer = if said.deed == mark("late") { Err("the drill is over".into()) } else { Ok(At(7)) };
                told.0.send(answer).await.unwrap();
            }
        });
        // Somebody who says nothing holds nobody up.
        let (_handle, path) = socket::address(dir.path(), NAME).unwrap();
        let _silent = UnixStream::connect(&path).await.unwrap();
        let saying = |name: &str| Saying { role: None, ago: None, deed: mark(name) };
        let heard = say(dir.path(), &saying("ack"), HEAR).await.unwrap();
        assert_eq!((heard.run.as_str(), heard.at, heard.role.as_deref(), heard.error), ("01RUN", Some(At(7)), Some("ops"), None));
        assert_eq!(say(dir.path(), &saying("late"), HEAR).await.unwrap().error.as_deref(), Some("the drill is over"));
        for nonsense in [&b"{}\n"[..], b"\xff\n", &[b'x'; 70_000]] {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            let _ = stream.write_all(nonsense).await;
            let heard: Heard = socket::read(&mut BufReader::new(stream)).await.unwrap().unwrap();
            assert!(heard.error.unwrap().starts_with("what was said cannot be read"));
        }
        engine.abort();
    }
}
