//! What many runs together say of how a team practises: the programme practices of the framework, which no single run can show, how regularly each
//! scenario is run, and how long answers took, by role and quarter. A pure function of the history, of what was written down after runs, and of
//! today. It must never know where any of that lies.
//!
//! Missing data never improves a verdict: what nobody wrote down is not instrumented, and where runs that were started are gone, nothing is supported.

mod export;
mod response;
mod signals;
pub mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use export::{json, markdown, page, schema, text};
pub use response::{Answers, Quarter};
pub use signals::PRODUCED;

use crate::actions::Action;
use crate::history::Row;
use crate::score::catalogue::{Layer, Practice, catalogue};
use crate::score::explain;
use crate::score::rule::Outcome;
use crate::score::signal::Readings;
use crate::score::{Risk, Verdict};
use signals::Gathered;

/// What was written down after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debriefed {
    /// The run.
    pub run: String,
    /// When the first line was written.
    pub at: Timestamp,
    /// How many of its lines say what went well, surprised, or should change.
    pub lessons: usize,
    /// How many say what contributed to what happened.
    pub factors: usize,
}

/// A game day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at: Timestamp,
    /// How often somebody said go or no-go.
    pub decisions: usize,
    /// The runs of its drills.
    pub runs: Vec<String>,
}

/// A run that the register says was started, and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The run.
    pub run: String,
    /// When it was started.
    pub at: Timestamp,
}

/// Everything that a review is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Every run, in order of time.
    pub rows: &'a [Row],
    /// What is to be mended, as it stands.
    pub actions: &'a [Action],
    /// What was written down after runs.
    pub debriefs: &'a [Debriefed],
    /// Game days.
    pub days: &'a [Day],
    /// Runs that were started and are gone.
    pub gone: &'a [Gone],
    /// Why the register cannot be relied on: then nobody knows whether runs are missing.
    pub register: Option<&'a str>,
    /// Scenarios whose files lie under version control, and those that do not; the others are not known.
    pub versioned: &'a [(String, bool)],
    /// Now.
    pub now: Timestamp,
    /// How far back it looks, in days.
    pub window_days: u64,
}

/// A programme practice, judged over runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The practice.
    pub practice: &'static Practice,
    /// What is said.
    pub verdict: Verdict,
    /// Why, with the values that decide.
    pub why: String,
    /// What would have made it better.
    pub better: Vec<String>,
    /// Runs that show it.
    pub runs: Vec<String>,
}

/// How regularly a scenario is run.
#[derive(Debug, Clone, PartialEq)]
pub struct Cadence {
    /// The scenario.
    pub scenario: String,
    /// Runs in the window that count as evidence.
    pub runs: usize,
    /// Runs in the window that do not: demonstrations, and what did not come to its end.
    pub others: usize,
    /// The last one that counts.
    pub last: Option<String>,
    /// How many days ago that began.
    pub days_ago: Option<f64>,
    /// How often it should be run, in days.
    pub every_days: f64,
    /// The scenario says so itself; else it is the catalogue's default.
    pub declared: bool,
}

impl Cadence {
    /// It is time to run it again. `None` where no run of it is evidence.
    pub fn overdue(&self) -> Option<bool> {
        self.days_ago.map(|days| days > self.every_days)
    }
}

/// A review.
#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// When it was made.
    pub now: Timestamp,
    /// How far back it looks, in days.
    pub window_days: u64,
    /// Runs in the window that count as evidence …
    pub evidence: usize,
    /// … of so many.
    pub of: usize,
    /// What keeps it from supporting anything.
    pub caveats: Vec<String>,
    /// Programme practices, in the framework's order.
    pub practices: Vec<Judged>,
    /// Everything that rules asked, with what is known of it.
    pub readings: Readings,
    /// Runs behind each signal.
    cites: Vec<(&'static str, Vec<String>)>,
    /// By scenario.
    pub cadences: Vec<Cadence>,
    /// How long answers took, by role and kind.
    pub answers: Vec<Answers>,
    /// Roles that were declared in the window, and whether they did anything.
    pub roles: Vec<(String, bool)>,
}

impl Review {
    /// The verdict on a practice.
    pub fn find(&self, practice: &Practice) -> Option<&Judged> {
        self.practices.iter().find(|judged| judged.practice.choice == practice.choice)
    }

    /// The runs behind a signal.
    pub fn runs_behind(&self, signal: &str) -> &[String] {
        self.cites.iter().find(|(name, _)| *name == signal).map_or(&[], |(_, runs)| runs)
    }
}

/// A run that went to its end with the real thing: no demonstration, no tabletop, nothing whose numbers may not be trusted.
pub(crate) fn is_evidence(row: &Row) -> bool {
    row.account.counts && !row.account.demonstration && row.account.mode == "normal"
}

/// How many days lie between two instants; below zero where the second is earlier.
fn days_between(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_second() - from.as_second()) as f64 / 86_400.0
}

/// When a run began; absent where its journal says nothing that can be read.
fn began(row: &Row) -> Option<Timestamp> {
    row.started_at.parse().ok()
}

/// Reviews.
pub fn review(input: &Input<'_>) -> Review {
    let gathered = Gathered::new(input);
    let caveats = caveats(input);
    let all = catalogue();
    let programme = all.practices.iter().filter(|practice| practice.layer == Layer::Programme && practice.rule.is_some());
    let practices = programme.map(|practice| judge(practice, &gathered, &caveats)).collect();
    let window: Vec<&Row> = input.rows.iter().filter(|row| input.is_within(row)).collect();
    let mut roles: Vec<(String, bool)> = Vec::new();
    for row in &window {
        for role in &row.account.roles {
            let acted = row.account.acted.contains(role);
            match roles.iter_mut().find(|(name, _)| name == role) {
                Some((_, did)) => *did |= acted,
                None => roles.push((role.clone(), acted)),
            }
        }
    }
    roles.sort();
    Review {
        now: input.now,
        window_days: input.window_days,
        evidence: window.iter().filter(|row| is_evidence(row)).count(),
        of: window.len(),
        caveats,
        practices,
        cadences: cadences(input),
        answers: response::answers(input.rows),
        roles,
        readings: gathered.readings,
        cites: gathered.cites,
    }
}

impl Input<'_> {
    fn is_recent(&self, at: Timestamp) -> bool {
        let days = days_between(at, self.now);
        days <= self.window_days as f64
    }

    fn is_within(&self, row: &Row) -> bool {
        began(row).is_some_and(|at| self.is_recent(at))
    }
}

/// What nobody can look past: then nothing is supported.
fn caveats(input: &Input<'_>) -> Vec<String> {
    let mut caveats: Vec<String> = input.register.iter().map(|why| format!("the register of starts cannot be relied on: {why}")).collect();
    let gone: BTreeSet<&str> = input.gone.iter().filter(|gone| input.is_recent(gone.at)).map(|gone| gone.run.as_str()).collect();
    let first: Vec<&str> = gone.iter().copied().take(3).collect();
    match gone.len() {
        0 => {}
        1 => caveats.push(format!("a run was started in this time and is gone: {}", first.join(", "))),
        n => {
            caveats.push(format!("{n} runs were started in this time and are gone: {}{}", first.join(", "), if n > 3 { " …" } else { "" }))
        }
    }
    let undated = input.rows.iter().filter(|row| began(row).is_none()).count();
    if undated > 0 {
        caveats.push(format!("{undated} of the runs do not say when they began"));
    }
    // A clock was stepped, then or since: how long ago anything was is not known.
    let ahead = input.rows.iter().filter(|row| began(row).is_some_and(|at| at > input.now)).count();
    if ahead > 0 {
        caveats.push(format!("{ahead} of the runs began after now, by the clock"));
    }
    caveats
}

fn judge(practice: &'static Practice, gathered: &Gathered, caveats: &[String]) -> Judged {
    let all = catalogue();
    let readings = &gathered.readings;
    let outcome = practice.rule.as_ref().map_or(Outcome::Open, |rule| rule.outcome(readings));
    let names = practice.rule.as_ref().map(|rule| rule.names().0).unwrap_or_default();
    let (verdict, why) = match outcome {
        Outcome::Met if !caveats.is_empty() => (Verdict::NotDrilled, format!("what is there would support it, but {}", caveats.join("; "))),
        Outcome::Met => (Verdict::Supported, explain::shown(all, practice, readings)),
        Outcome::Medium => (Verdict::Contradicted(practice.capped(Risk::Mri)), explain::missed(all, practice, readings)),
        Outcome::High => (Verdict::Contradicted(practice.capped(Risk::Hri)), explain::missed(all, practice, readings)),
        Outcome::Nothing => (Verdict::NotDrilled, "what its rule speaks of did not happen".to_owned()),
        Outcome::Open => (Verdict::NotDrilled, explain::open(all, practice, readings)),
    };
    let runs: BTreeSet<&String> = names.iter().flat_map(|name| gathered.runs(name)).collect();
    Judged {
        practice,
        verdict,
        why,
        better: if verdict == Verdict::Supported { Vec::new() } else { explain::better(all, practice, readings) },
        runs: if verdict.drilled() { runs.into_iter().cloned().collect() } else { Vec::new() },
    }
}

fn cadences(input: &Input<'_>) -> Vec<Cadence> {
    let default = catalogue().targets.get("cadence_days").copied().flatten().unwrap_or(90.0);
    let scenarios: BTreeSet<&str> = input.rows.iter().map(|row| row.scenario.as_str()).collect();
    let one = |scenario: &str| {
        let mine: Vec<&Row> = input.rows.iter().filter(|row| row.scenario == scenario).collect();
        let counts = |row: &&&Row| is_evidence(row);
        let last = mine.iter().rev().find(counts);
        let declared = mine.iter().rev().find_map(|row| row.account.cadence_days);
        let recent = mine.iter().filter(|row| input.is_within(row));
        Cadence {
            scenario: scenario.to_owned(),
            runs: recent.clone().filter(counts).count(),
            others: recent.filter(|row| !is_evidence(row)).count(),
            last: last.map(|row| row.run.clone()),
            days_ago: last.and_then(|row| began(row)).map(|at| days_between(at, input.now)),
            every_days: declared.unwrap_or(default),
            declared: declared.is_some(),
        }
    };
    scenarios.into_iter().map(one).collect()
}
