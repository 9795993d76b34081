//! `firedrill history`, `show`, `compare` and `trend`: what runs came to, from the history beside them. The run directories are the truth: what the
//! history does not know yet is judged and added on the way.

mod account;
mod compare;
pub mod rows;
mod trend;

pub use rows::word;

use std::path::Path;

use super::args::{Compare, HistoryAction, Show, Trend};
use super::exit::Exit;
use super::out::{Voice, print, say};
use super::store;
use crate::base::{Span, one_line};
use crate::history::{History, HistoryError, Quantity, Reading, Row};
use crate::score::words;

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No such run or scenario.
    #[error("{0}")]
    Unknown(String),
    /// The history.
    #[error("failed to read the history: {0}")]
    History(#[from] HistoryError),
    /// A run that cannot be read.
    #[error("{0}")]
    Run(String),
}

impl Failed {
    /// Says it, with what helps.
    pub fn say(&self, voice: Voice) -> Exit {
        let (help, exit) = match self {
            Failed::Unknown(_) => ("`firedrill runs` lists them", Exit::Usage),
            Failed::History(error) if error.is_mended_by_rebuild() => {
                ("`firedrill history rebuild` makes it anew from the run directories, which are the truth", Exit::CouldNotStart)
            }
            Failed::History(HistoryError::Busy(_)) => ("try again when it has ended; nothing is lost", Exit::CouldNotStart),
            Failed::History(_) => (
                "make room on that disk, move that file away, or let this account write beside the runs; the runs themselves are untouched",
                Exit::CouldNotStart,
            ),
            Failed::Run(_) => ("`firedrill undo` undoes what the run owes, also when its journal is damaged", Exit::CouldNotStart),
        };
        voice.error(&self.to_string(), Some(help));
        exit
    }
}

/// `firedrill history rebuild`.
pub fn history(asked: &HistoryAction, voice: Voice) -> Exit {
    let HistoryAction::Rebuild(runs) = asked;
    let home = super::calibrate::home_of(&runs.dir);
    let dirs = store::all(&runs.dir);
    if dirs.is_empty() {
        say(&format!("no runs under {}", runs.dir.display()));
        return Exit::Ok;
    }
    let judged = rows::judge(&dirs);
    judged.unread.iter().for_each(|why| voice.warn(why));
    match History::rebuild(&home, &judged.rows) {
        Ok(aside) => {
            print(&format!("{} in {}", words::many(judged.rows.len() as u64, "run"), home.join(crate::history::FILE).display()));
            if let Some(aside) = aside {
                say(&format!("what was damaged is kept as {}", aside.display()));
            }
            Exit::Ok
        }
        Err(error) => Failed::History(error).say(voice),
    }
}

/// `firedrill show RUN`.
pub fn show(args: &Show, voice: Voice) -> Exit {
    let told = store::find(&args.runs.dir, &args.run).map_err(Failed::Unknown).and_then(|dir| {
        let mut judged = rows::judge(std::slice::from_ref(&dir));
        judged.rows.pop().ok_or_else(|| Failed::Run(judged.unread.join("; "))).map(|row| (dir, row))
    });
    match told {
        Ok((dir, row)) => {
            print(&shown(&row, &dir));
            Exit::Ok
        }
        Err(failed) => failed.say(voice),
    }
}

fn shown(row: &Row, dir: &Path) -> String {
    let mut lines = vec![
        format!("{}  {}", row.run, one_line(&row.title, 200)),
        format!("  scenario   {}", one_line(&row.scenario, 100)),
        format!("  started    {}", one_line(&row.started_at, 40)),
        format!("  ended      exit {}, {}", row.exit_code, Exit::Run(row.exit_code).meaning()),
        format!("  system     {}", row.system.as_deref().unwrap_or("not put to the test")),
    ];
    for reading in &row.readings {
        let claimed = reading.objective.map_or_else(String::new, |objective| format!("; claimed {}", number(reading.quantity, objective)));
        // A claim as a whole has a verdict and no number.
        let measured = reading.objective.map_or_else(String::new, |_| format!("  {}{claimed}", interval(reading)));
        lines.push(format!("  {}  {}{measured}", one_line(&reading.name, 80), reading.verdict));
    }
    lines.push(format!("  directory  {}", dir.display()));
    lines.push(format!("  report     firedrill report {}", row.run));
    lines.join("\n")
}

/// `firedrill compare A B`.
pub fn compare(args: &Compare, voice: Voice) -> Exit {
    compare::compare(args).unwrap_or_else(|failed| failed.say(voice))
}

/// `firedrill trend SCENARIO`.
pub fn trend(args: &Trend, voice: Voice) -> Exit {
    trend::trend(args, voice).unwrap_or_else(|failed| failed.say(voice))
}

/// Nanoseconds as a span, rounded to whole ones.
fn span(ns: f64) -> Span {
    Span(if ns.is_finite() && ns > 0.0 { ns.round() as u64 } else { 0 })
}

fn number(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::Time => span(value).human(),
        Quantity::Share => words::percent(value),
    }
}

fn interval(reading: &Reading) -> String {
    match (reading.quantity, reading.lo, reading.hi) {
        (_, None, None) => "not measured".into(),
        (Quantity::Time, lo, hi) => words::bounds(span(lo.unwrap_or(0.0)), hi.map(span)),
        (Quantity::Share, lo, hi) => words::percent_bounds(lo.unwrap_or(0.0), hi.unwrap_or(1.0)),
    }
}
