//! Where a fault stands on this machine, and its undo on request: whoever holds it is told to let go, and ended if it does not; what is then still owed is
//! undone like that of any dead run.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::super::drive::Setup;
use super::super::finish::{FinishError, finish_in, load};
use super::place;
use crate::base::Span;
use crate::event::{Entry, Event};
use crate::fault::host::words::Stands;
use crate::journal::{FILE, JournalError, Registry};
use crate::sys::clock;
use crate::sys::process::{self, Signal};

/// How long a holder may take to let go before it is ended.
const LETS_GO: Span = Span::secs(8);
/// How long whoever has taken over (its watchdog) may take.
const TAKEN_OVER: Span = Span::secs(14);
const LOOK: Span = Span::millis(50);
/// Why a fault ends that is undone because the runner asked.
pub(super) const ASKED: &str = "the runner asked";
/// Who undoes for a holder, in the journal.
pub(super) const BY: &str = "host";

/// Where it stands. A fault that nobody here knows is not undone: an order may be under way.
pub(super) fn look(dir: &Path) -> Stands {
    if !dir.is_dir() {
        return Stands { how: "nothing has begun yet".to_owned(), ..Stands::default() };
    }
    if place::holder(dir).is_some() {
        return Stands { how: "it is held".to_owned(), ..Stands::default() };
    }
    let asked = place::was_asked(dir);
    if !dir.join(FILE).exists() {
        return Stands { undone: true, asked, how: "nothing had begun".to_owned(), ..Stands::default() };
    }
    match load(dir) {
        Ok(dead) => {
            let owed: Vec<String> = dead.state.owed().map(|(_, item)| item.undo.by_hand.clone()).collect();
            let asked = asked && !by_itself(&dead.read.entries);
            Stands { undone: owed.is_empty(), asked, how: how(&dead.read.entries), lasted: lasted(&dead.read.entries), owed }
        }
        Err(error) => Stands { asked, how: format!("failed to {error}"), ..Stands::default() },
    }
}

/// Whether whoever held it let go without being asked. The runner may ask while that goes on: it was cut short all the same.
fn by_itself(entries: &[Entry]) -> bool {
    let first = entries.iter().find_map(|entry| match &entry.event {
        Event::TakenOver { by, why, .. } => Some(by == BY && why != ASKED),
        _ => None,
    });
    first.unwrap_or(false)
}

/// Who undid it, why, and what was seen.
fn how(entries: &[Entry]) -> String {
    let why = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::TakenOver { by, why, .. } => Some(format!("{why} ({by})")),
        _ => None,
    });
    let seen = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Undone { seen, .. } => Some(seen.clone()),
        _ => None,
    });
    let began = entries.iter().find(|entry| matches!(entry.event, Event::Injecting { .. })).map(|entry| entry.at);
    let ended = entries.iter().rev().find(|entry| matches!(entry.event, Event::Undone { .. })).map(|entry| entry.at);
    let after = began.zip(ended).map(|(began, ended)| format!(", {} after it began", ended.since(began).human())).unwrap_or_default();
    [why, seen].into_iter().flatten().collect::<Vec<_>>().join("; ") + &after
}

/// The runner lives: whoever holds the fault is told. What was said long ago, by the clock here, renews less, so that a word that was under way for long does
/// not hold a fault for longer than its runner lived.
///
/// # Errors
/// The disk refuses.
pub(super) fn renew(dir: &Path, said_ns: i64) -> Result<Stands, String> {
    if place::holder(dir).is_some() {
        let wall = i64::try_from(clock::now().as_nanosecond()).unwrap_or(i64::MAX);
        let heard = clock::mono_ns().saturating_sub(u64::try_from(wall.saturating_sub(said_ns)).unwrap_or(0));
        // Words may overtake each other.
        if place::renewed(dir).is_none_or(|last| last < heard) {
            place::renew(dir, heard)?;
        }
    }
    Ok(look(dir))
}

/// From when it began to when it was last seen not to be undone.
fn lasted(entries: &[Entry]) -> Option<Span> {
    let began = entries.iter().find(|entry| matches!(entry.event, Event::Injecting { .. }))?.at;
    let ended = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Undone { when, .. } => Some(when.lo),
        _ => None,
    })?;
    Some(ended.since(began))
}

/// Undoes it.
///
/// # Errors
/// Its directory can neither be made nor read.
pub(super) async fn undo(dir: &Path, exe: PathBuf) -> Result<Stands, String> {
    if !dir.is_dir() && place::make(dir, None)? {
        return Ok(look(dir));
    }
    if !look(dir).undone {
        place::ask(dir);
    }
    end_holder(dir).await;
    let end = clock::mono_ns() + TAKEN_OVER.0;
    loop {
        // Nobody may be looking on.
        let (watch, _) = mpsc::unbounded_channel();
        match finish_in(dir, exe.clone(), BY, ASKED, Setup::ATTEMPTS, watch).await {
            Ok(_) => break,
            // Its watchdog is at work on it.
            Err(FinishError::Journal(JournalError::Locked { .. })) if clock::mono_ns() < end => clock::sleep(LOOK).await,
            Err(error) => return Err(error.to_string()),
        }
    }
    let stands = look(dir);
    if let (true, Some(run)) = (stands.undone, dir.file_name()) {
        Registry::here().remove(&run.to_string_lossy());
    }
    Ok(stands)
}

/// Tells whoever holds the fault to let go, and ends it where it does not: what it owes is then its watchdog's, or ours.
async fn end_holder(dir: &Path) {
    let Some(holder) = place::holder(dir) else { return };
    let _ = process::signal(&holder, Signal::TERM);
    let end = clock::mono_ns() + LETS_GO.0;
    while process::alive(&holder) {
        if clock::mono_ns() > end {
            let _ = process::signal(&holder, Signal::KILL);
        }
        clock::sleep(LOOK).await;
    }
}
