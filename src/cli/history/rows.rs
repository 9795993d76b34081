//! From run directories to rows: what is judged, and what the history knows already.

use std::path::{Path, PathBuf};

use super::super::calibrate::home_of;
use super::super::many::sameness;
use super::super::out::Voice;
use super::super::store;
use super::Failed;
use super::account::account;
use crate::history::{History, HistoryError, Quantity, Reading, Row};
use crate::journal::{self, RunLock};
use crate::measure::{self, facts::ClaimFacts, facts::Judged, facts::PartVerdict};
use crate::score::score;

/// Runs, judged.
#[derive(Debug, Default)]
pub struct Runs {
    /// One for each run that could be read, in the order of the directories.
    pub rows: Vec<Row>,
    /// Why others could not.
    pub unread: Vec<String>,
}

/// Judges these runs, on every processor there is.
pub fn judge(dirs: &[PathBuf]) -> Runs {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = dirs.len().div_ceil(threads).max(1);
    let told: Vec<Result<Row, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = dirs.chunks(each).map(|part| scope.spawn(|| part.iter().map(|dir| row(dir)).collect::<Vec<_>>())).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
    });
    let mut runs = Runs::default();
    for told in told {
        match told {
            Ok(row) => runs.rows.push(row),
            Err(why) => runs.unread.push(why),
        }
    }
    runs
}

fn row(dir: &Path) -> Result<Row, String> {
    let run = id(dir);
    // Before it is read: what grows meanwhile is judged again.
    let bytes = journal::length(dir).map_err(|error| format!("failed to {error}"))?;
    let (plan, entries) = store::read(dir).map_err(|error| format!("failed to {error}"))?;
    let facts = measure::facts(&plan, &entries);
    let score = score(&plan, &facts);
    let same = sameness(&plan, &facts).to_string();
    let account = account(&plan, &facts, &score);
    Ok(Row {
        run,
        bytes,
        firedrill: env!("CARGO_PKG_VERSION").into(),
        scenario: plan.name,
        title: plan.title,
        started_at: facts.run.started_at.clone(),
        same,
        system: score.judged.then(|| word(score.system).to_owned()),
        exit_code: score.exit_code,
        readings: facts.claims.iter().flat_map(|(id, claim)| readings(id, claim, facts.validity.valid)).collect(),
        account,
    })
}

fn id(dir: &Path) -> String {
    dir.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A verdict's word.
pub fn word(judged: Judged) -> &'static str {
    match judged {
        Judged::Passed => "passed",
        Judged::Failed => "failed",
        Judged::Inconclusive => "inconclusive",
        Judged::Invalid => "invalid",
    }
}

/// What a claim came to: itself, then each part that has a number. What is no evidence has no numbers.
pub fn readings(id: &str, claim: &ClaimFacts, valid: bool) -> Vec<Reading> {
    let mut all = vec![Reading {
        name: id.to_owned(),
        verdict: word(if valid { claim.verdict } else { Judged::Invalid }).to_owned(),
        quantity: Quantity::Share,
        lo: None,
        hi: None,
        objective: None,
    }];
    let mut say = |name: &str, part: &PartVerdict, quantity: Quantity, lo: Option<f64>, hi: Option<f64>, objective: Option<f64>| {
        let verdict = word(if valid { part.verdict } else { Judged::Invalid }).to_owned();
        let (lo, hi) = if valid { (lo, hi) } else { (None, None) };
        all.push(Reading { name: format!("{id}.{name}"), verdict, quantity, lo, hi, objective });
    };
    let ns = |span: crate::base::Span| span.0 as f64;
    if let Some(rto) = &claim.rto {
        let (lo, hi) = (rto.measured.map(|range| ns(range.lo)), rto.measured.and_then(|range| range.hi).map(ns));
        say("rto", &rto.part, Quantity::Time, lo, hi, Some(ns(rto.claimed)));
    }
    if let Some(rpo) = &claim.rpo {
        let window = rpo.window.map(|window| ns(window.window));
        say("rpo", &rpo.part, Quantity::Time, window, window, Some(ns(rpo.claimed)));
    }
    if let Some(availability) = &claim.availability {
        say(
            "availability",
            &availability.part,
            Quantity::Share,
            availability.by_time_lo,
            availability.by_time_hi,
            Some(availability.claimed),
        );
    }
    for (name, (claimed, measured)) in claim.latency.iter().flat_map(|latency| &latency.quantiles) {
        let part = claim.latency.as_ref().map(|latency| &latency.part);
        let measured = measured.map(ns);
        part.into_iter().for_each(|part| say(name, part, Quantity::Time, measured, measured, Some(ns(*claimed))));
    }
    all
}

/// Every run of a scenario, or of all: what the history knows, and what it does not know yet, which is judged and added.
///
/// # Errors
/// A history that cannot be used; one that cannot be written is only warned of.
pub fn known(runs: &Path, scenario: Option<&str>, voice: Voice) -> Result<Vec<Row>, Failed> {
    // A run that somebody is at work on has not come to anything yet.
    let dirs: Vec<PathBuf> = store::all(runs).into_iter().filter(|dir| dir.join(journal::FILE).is_file()).collect();
    let home = home_of(runs);
    let (mut history, mut rows) = match History::open(&home) {
        Ok(history) => {
            let rows = history.rows(None)?;
            (Some(history), rows)
        }
        Err(HistoryError::ReadOnly(_)) => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let current = |dir: &PathBuf| {
        let bytes = journal::length(dir).ok();
        let here = id(dir);
        let place = rows.binary_search_by(|row| row.run.as_str().cmp(&here)).ok();
        place.map(|place| &rows[place]).is_some_and(|row| Some(row.bytes) == bytes && row.firedrill == env!("CARGO_PKG_VERSION"))
    };
    let new: Vec<PathBuf> = dirs.iter().filter(|dir| !current(dir) && !RunLock::is_held(dir)).cloned().collect();
    let there: std::collections::BTreeSet<String> = dirs.iter().map(|dir| id(dir)).collect();
    let gone: Vec<String> = rows.iter().map(|row| row.run.clone()).filter(|run| !there.contains(run)).collect();
    let judged = judge(&new);
    judged.unread.iter().for_each(|why| voice.warn(&format!("left out: {why}")));
    if !judged.rows.is_empty() || !gone.is_empty() {
        let written = match &mut history {
            Some(history) => history.put(&judged.rows, &gone),
            None => Err(HistoryError::ReadOnly(home.join(crate::history::FILE))),
        };
        match written {
            Ok(()) => {}
            Err(error @ (HistoryError::ReadOnly(_) | HistoryError::Busy(_))) => {
                voice.warn(&format!("{error}: {} judged for now only", crate::score::words::many(judged.rows.len() as u64, "run")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    rows.retain(|row| there.contains(&row.run) && !judged.rows.iter().any(|new| new.run == row.run));
    rows.extend(judged.rows);
    rows.sort_by(|a, b| a.run.cmp(&b.run));
    rows.retain(|row| scenario.is_none_or(|scenario| row.scenario == scenario));
    Ok(rows)
}
