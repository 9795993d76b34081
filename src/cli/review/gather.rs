//! What a review is made from: the history and the improvement plan, debriefs and game days beside the runs, the register of starts, and whether
//! scenarios lie under version control.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::actions::standing;
use super::super::exit::Exit;
use super::super::gameday::store as days;
use super::super::out::Voice;
use super::super::{debrief, store};
use crate::actions::Action;
use crate::base::Span;
use crate::gameday::{Happened, Log};
use crate::history::Row;
use crate::journal;
use crate::response::debrief::Item;
use crate::review::{Day, Debriefed, Gone, Input};
use crate::sys::clock;

/// Directories that a version control keeps at the top of what it keeps.
const KEPT: [&str; 4] = [".git", ".hg", ".jj", ".svn"];

/// Everything that was found.
pub struct Gathered {
    /// Runs in order of time.
    pub rows: Vec<Row>,
    actions: Vec<Action>,
    debriefs: Vec<Debriefed>,
    days: Vec<Day>,
    gone: Vec<Gone>,
    register: Option<String>,
    versioned: Vec<(String, bool)>,
    now: Timestamp,
}

impl Gathered {
    /// As a review takes it.
    pub fn input(&self, since: Span) -> Input<'_> {
        Input {
            rows: &self.rows,
            actions: &self.actions,
            debriefs: &self.debriefs,
            days: &self.days,
            gone: &self.gone,
            register: self.register.as_deref(),
            versioned: &self.versioned,
            now: self.now,
            window_days: since.0.div_ceil(86_400_000_000_000),
        }
    }
}

/// Gathers it.
///
/// # Errors
/// The history or the improvement plan cannot be read; that was said.
pub fn gather(runs: &Path, voice: Voice) -> Result<Gathered, Exit> {
    let (rows, actions) = standing(runs, voice)?;
    let debriefs = rows.iter().filter_map(|row| debriefed(&runs.join(&row.run), &row.run)).collect();
    let versioned = versioned(&rows);
    let (gone, register) = register(runs);
    Ok(Gathered { actions, debriefs, days: held(runs, voice), gone, register, versioned, now: clock::now(), rows })
}

fn debriefed(dir: &Path, run: &str) -> Option<Debriefed> {
    let entries = debrief::of(dir).entries;
    let at = entries.iter().find_map(|written| written.wall.parse().ok())?;
    let factors = entries.iter().filter(|written| matches!(written.item, Item::Factor(_))).count();
    let lessons = entries.iter().filter(|written| !matches!(written.item, Item::Action(_))).count();
    Some(Debriefed { run: run.to_owned(), at, lessons, factors })
}

/// Game days beside the runs, in order of time. One that cannot be read is warned of.
fn held(runs: &Path, voice: Voice) -> Vec<Day> {
    let mut found: Vec<Day> = Vec::new();
    for dir in days::all(runs) {
        let id = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match days::log(&dir) {
            Ok(log) => found.extend(day(id, &log)),
            Err(error) => voice.warn(&format!("left out: {error}")),
        }
    }
    found.sort_by_key(|day| day.at);
    found
}

fn day(id: String, log: &Log) -> Option<Day> {
    let at = log.lines.first()?.wall.parse().ok()?;
    let decided = log.lines.iter().filter(|line| matches!(line.what, Happened::Go { .. } | Happened::NoGo { .. })).count();
    let runs = log.lines.iter().filter_map(|line| if let Happened::Ended { run, .. } = &line.what { run.clone() } else { None }).collect();
    Some(Day { id, at, decisions: decided, runs })
}

/// What was started and is not there any more; why the register says nothing of that.
fn register(runs: &Path) -> (Vec<Gone>, Option<String>) {
    let read = match journal::register(&std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned())) {
        Ok(read) => read,
        Err(error) => return (Vec::new(), Some(format!("failed to {error}"))),
    };
    let there: std::collections::BTreeSet<PathBuf> = store::all(runs).into_iter().collect();
    let is_there = |run: &str| there.iter().any(|dir| dir.file_name().is_some_and(|name| name == run));
    let gone = read.starts.iter().filter(|start| !is_there(&start.run));
    let gone = gone.filter_map(|start| Some(Gone { run: start.run.clone(), at: start.wall.parse().ok()? })).collect();
    (gone, read.broken.map(|line| format!("line {line} does not continue the one before it")))
}

/// Whether each scenario lies where a version control keeps it; where its directory is gone nobody knows.
fn versioned(rows: &[Row]) -> Vec<(String, bool)> {
    let mut known: Vec<(String, bool)> = Vec::new();
    for row in rows.iter().rev() {
        let base = Path::new(&row.account.base_dir);
        if known.iter().all(|(name, _)| *name != row.scenario) && base.is_absolute() && base.is_dir() {
            let kept = base.ancestors().any(|dir| KEPT.iter().any(|name| dir.join(name).exists()));
            known.push((row.scenario.clone(), kept));
        }
    }
    known
}
