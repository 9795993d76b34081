//! The other side of `fault/host`: a firedrill that a runner has started on this machine over ssh, or by a command that brings a letter. Each fault is a run of
//! its own here, with a directory, a journal, a name in the registry and a watchdog, so that whoever dies, the code undoes that undoes every dead run.

mod copies;
mod hold;
mod letter;
mod place;
mod stand;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::act::{Act, within};
use super::finish::{cx_for, load};
use crate::base::Span;
use crate::event::UndoRecord;
use crate::fault::host::words::{self, Answer, Ask, Bites, Order, Stands, Told};
use crate::fault::{self, Claims, STEP_LIMIT, Seen};
use crate::journal::{JournalError, Registry, RunLock};
use crate::plan::{FaultPlan, Plan};
use crate::sys::{Clock, Cx, account, clock, ssh};

/// How long a run that nobody holds may take to be held by whoever finishes it.
const TAKEN_OVER: Span = Span::secs(3);
const LOOK: Span = Span::millis(100);

/// Both ends of the connection to the runner; without a hearing end, where the runner has none and is heard of in another way.
#[derive(Debug)]
pub(super) struct Line {
    from: Option<mpsc::UnboundedReceiver<String>>,
}

impl Line {
    /// Listens in a thread of its own: what ssh gives us may be a pipe, a socket or a file.
    fn open() -> Line {
        let (tell, from) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Line { from: Some(from) }
    }

    /// What the runner says next; nothing where the connection is over. May be dropped and called again.
    async fn hear(&mut self) -> Option<String> {
        match &mut self.from {
            Some(from) => from.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Nothing more comes, and that is no end.
    fn left_alone(self) -> Line {
        Line { from: None }
    }

    /// Whether the runner says something within that time.
    async fn hears_within(&mut self, limit: Span) -> bool {
        matches!(tokio::time::timeout(limit.std(), self.hear()).await, Ok(Some(_)))
    }

    fn say(&mut self, answer: &Answer) {
        let mut out = std::io::stdout().lock();
        // A runner that is gone hears nothing: what is to be done then does not depend on it.
        let _ = out.write_all(words::line(answer).as_bytes()).and_then(|()| out.flush());
    }
}

/// Serves one question of a runner over standard input and output. `caller` is the session that it comes by, as sshd tells it in `SSH_CONNECTION`.
pub async fn serve(exe: PathBuf, caller: &str) {
    let mut line = Line::open();
    line.say(&Answer::Ready { version: env!("CARGO_PKG_VERSION").to_owned() });
    let Some(text) = line.hear().await else { return };
    let answer = match (words::opened(&text), words::read::<Ask>(&text)) {
        (Some(Ok(ask)), _) => letter::answered(ask, &text, &exe).await,
        (Some(Err(why)), _) => Err(why),
        (None, Some(Ok(Ask::Inject { order, told, lease }))) => return hold::inject(*order, *told, lease, exe, line).await,
        (None, Some(Ok(ask))) => answered(ask, &exe, caller).await,
        (None, Some(Err(error))) => Err(format!("understand the runner: {error}")),
        (None, None) => Err("understand the runner: it says something else".to_owned()),
    };
    line.say(&answer.unwrap_or_else(|why| Answer::Failed { why }));
}

/// Holds a fault for a runner that has no connection. The letter that ordered it comes on standard input; what is said is for whoever brought it, who does not
/// stay.
pub async fn hold(exe: PathBuf) {
    let mut line = Line::open();
    let Some(text) = line.hear().await else { return };
    let mut line = line.left_alone();
    match words::opened(&text) {
        Some(Ok(Ask::Inject { order, told, lease })) => hold::inject(*order, *told, lease, exe, line).await,
        Some(Err(why)) => line.say(&Answer::Failed { why }),
        _ => line.say(&Answer::Failed { why: "understand the runner: it says something else".to_owned() }),
    }
}

/// The answer to whatever breaks nothing.
async fn answered(ask: Ask, exe: &Path, caller: &str) -> Result<Answer, String> {
    match ask {
        Ask::Prepare(order) => prepare(*order, exe, caller).await.map(|told| Answer::Prepared(Box::new(told))),
        Ask::Observe { dir } => observe(Path::new(&dir), exe).await,
        Ask::Look { dir } => Ok(Answer::Stands(stand::look(Path::new(&dir)))),
        Ask::Undo { dir } => stand::undo(Path::new(&dir), exe.to_owned()).await.map(Answer::Stands),
        Ask::Renew { dir, said_ns } => stand::renew(Path::new(&dir), said_ns).map(Answer::Stands),
        Ask::Inject { .. } => Err("break it: nobody would hold it".to_owned()),
    }
}

/// Removes the copies of other firedrills that nobody has used for long, where this one is a copy.
pub fn tidy(exe: &Path) {
    copies::tidy(exe);
}

/// Undoes a fault for a person who asks on this machine.
///
/// # Errors
/// It cannot be undone: reads after "failed to".
pub async fn undo(dir: &Path, exe: PathBuf) -> Result<Stands, String> {
    stand::undo(dir, exe).await
}

/// A fault of a runner's plan, as one of this machine.
struct Here {
    act: Act,
    fault: FaultPlan,
    dir: PathBuf,
}

/// The order as it is meant here: relative paths are those of the account's home.
fn here(order: &Order, exe: &Path) -> Result<Here, String> {
    let home = place::home()?;
    let dir = place::of(&home, &order.run, order.item.as_str())?;
    let plan = Plan { base_dir: home.display().to_string(), ..order.plan.clone() };
    let fault = plan.faults.get(&order.item).cloned().ok_or_else(|| format!("find {} in the runner's plan", order.item))?;
    let run = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let cx = cx_for(&plan, &run, &dir, exe.to_owned(), Clock::start());
    // It only asks and acts: what happened is written down by whoever calls it.
    let (tell, _) = mpsc::unbounded_channel();
    Ok(Here { act: Act { plan: Arc::new(plan), cx, tell, attempts: 0, claims: None }, fault, dir })
}

impl Here {
    fn cx(&self) -> &Cx {
        &self.act.cx
    }
}

/// Why nothing may be broken on this machine now.
async fn forbidden(except: Option<&Path>) -> Option<String> {
    if let Some(engaged) = Registry::here().lever().look() {
        return Some(format!("inject anything: the safety lever of the machine is engaged: {}", engaged.reason));
    }
    let end = clock::mono_ns() + TAKEN_OVER.0;
    loop {
        match owing(except) {
            // Whoever lets go of a fault, or takes it over, holds its lock again in a moment.
            Some(_) if clock::mono_ns() < end => clock::sleep(LOOK).await,
            found => return found,
        }
    }
}

/// Which dead run still owes something on this machine.
fn owing(except: Option<&Path>) -> Option<String> {
    let registry = Registry::here();
    let dead = |dir: &PathBuf| Some(dir.as_path()) != except && dir.is_dir() && !RunLock::is_held(dir);
    registry.runs().into_iter().map(|(_, dir)| dir).filter(dead).find_map(|dir| {
        let state = load(&dir).ok()?.state;
        let items: Vec<&str> = state.owed().map(|(id, _)| id.as_str()).collect();
        let help = format!("clear it first, there: firedrill undo {}", dir.display());
        (!items.is_empty()).then(|| format!("inject anything: a dead run still owes an undo there: {} ({help})", items.join(", ")))
    })
}

async fn prepare(order: Order, exe: &Path, caller: &str) -> Result<Told, String> {
    if let Some(why) = forbidden(None).await {
        return Err(why);
    }
    let here = here(&order, exe)?;
    let cx = here.cx();
    let spec = cx.fill_value(&here.fault.spec);
    let needs = fault::by_kind(&here.fault.kind).map(|kind| kind.needs(&spec)).unwrap_or_default();
    if let Some(missing) = needs.iter().find(|need| !need.is_here()) {
        return Err(format!("find what it needs there: {missing}"));
    }
    let (kind, found) = here.act.prepare(&here.fault.kind, &spec).await?;
    let run = here.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(holder) = Claims::of(Registry::here(), &run, &here.dir).holder(&found.claims) {
        return Err(format!("claim its target: {holder}"));
    }
    Ok(Told {
        dir: here.dir.display().to_string(),
        by_hand: here.act.by_hand(kind, &found.undo, here.fault.undo.as_ref()),
        undo: found.undo,
        targets: found.targets,
        summary: found.summary,
        population: found.population,
        claims: found.claims,
        user: account::ours().0,
        wall_ns: i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX),
        boot_id: clock::boot_id().to_owned(),
        needs,
        cuts: ssh::session(caller).is_some_and(|(client, port)| kind.cuts(&spec, client, port)),
    })
}

/// What undoes it, as it stands in the journal here.
fn record_of(dir: &Path) -> Result<(Plan, UndoRecord), String> {
    let dead = load(dir).map_err(|error| error.to_string())?;
    let undo = dead.state.items.values().next().map(|item| item.undo.as_ref().clone());
    undo.map(|undo| ((*dead.plan).clone(), undo)).ok_or_else(|| format!("find what was broken in {}", dir.display()))
}

async fn observe(dir: &Path, exe: &Path) -> Result<Answer, String> {
    let (plan, undo) = record_of(dir)?;
    let kind = fault::by_kind(&undo.kind).ok_or_else(|| format!("find the fault kind {}", undo.kind))?;
    let run = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let cx = cx_for(&plan, &run, dir, exe.to_owned(), Clock::start());
    let seen = within(STEP_LIMIT, kind.observe(&undo.detail, &cx)).await.map_err(|error| error.to_string())?;
    let (biting, seen) = match seen {
        Seen::Biting(seen) => (Some(Bites::Yes), seen),
        Seen::NotBiting(seen) => (Some(Bites::No), seen),
        Seen::Failed(seen) => (Some(Bites::Never), seen),
        Seen::CannotTell => (None, String::new()),
    };
    Ok(Answer::Seen { biting, seen })
}

/// A journal's refusal in words.
fn refused(error: &JournalError) -> String {
    error.to_string()
}
