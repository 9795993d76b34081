//! What was expected of people and of what calls them, matched to what was observed: a pure function of plan and journal. The same judgement is
//! asked while a drill runs and when it is over. It must never know scoring, rendering or how a mark came in.

mod blank;
mod court;
pub mod cues;
pub mod debrief;
mod observe;
pub mod runbook;
mod seen;
mod steps;
#[cfg(test)]
mod tests;
mod turns;
mod words;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use crate::base::{At, Interval, Span};
use crate::plan::{Plan, TeamPlan};

pub use cues::Cues;
pub use debrief::Debrief;
pub use seen::{FaultSeen, Seen};
pub use steps::{Done, Walk};
pub use words::verdict_word;

/// What became of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Observed in time; of what must never happen: it did not.
    OnTime,
    /// Observed too late, or only after a hint.
    Late,
    /// Not observed, although it would have been; of what must never happen: it did.
    Missed,
    /// Nobody can say.
    NotObserved,
    /// Its condition did not come true: nothing was expected.
    NotDue,
}

/// What became of a wrong turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Nobody took it.
    Avoided,
    /// Somebody took it.
    Taken,
    /// Somebody took it, and took it back.
    BackedOut,
    /// Nobody can say.
    NotObserved,
}

/// Everything that is known of the response.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Response {
    /// By expectation, in file order.
    pub expectations: IndexMap<String, ExpectationFacts>,
    /// By wrong turn, in file order.
    pub wrong_turns: IndexMap<String, TurnFacts>,
    /// Alerts that fired after the fault and that nobody expected.
    pub unrelated: Vec<Unrelated>,
    /// What met expectations, repeats included, and how much of that machines observed.
    pub stamps: Stamps,
    /// Nobody took part.
    pub unattended: bool,
    /// What was done of runbooks.
    pub walks: Vec<Walk>,
    /// What those who lead the drill did.
    #[serde(skip)]
    pub cues: Cues,
    /// What was learnt of it, written down afterwards beside the journal.
    #[serde(skip)]
    pub debrief: Debrief,
}

/// How many stamps there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stamps {
    /// In all.
    pub all: u64,
    /// Of machines.
    pub machine: u64,
}

/// One expectation, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExpectationFacts {
    /// What became of it.
    pub verdict: Verdict,
    /// Why, as a fragment for people.
    pub why: String,
    /// Its kind.
    pub kind: &'static str,
    /// What was expected, in a few words.
    pub what: String,
    /// By which role.
    pub by: Option<String>,
    /// How long it may take.
    pub within: Span,
    /// Counted from, for people.
    pub from: String,
    /// It is part of the team's verdict.
    pub counts: bool,
    /// It must not happen.
    pub never: bool,
    /// When counting began.
    pub base: Option<Interval>,
    /// When it was due, at the latest.
    pub due: Option<At>,
    /// When it was observed.
    pub at: Option<Interval>,
    /// How long it took: at least, and at most.
    pub took: Option<(Span, Span)>,
    /// Who or what observed it: a kind of source, or a role.
    pub source: Option<String>,
    /// The source's own id, or the account.
    pub who: Option<String>,
    /// A machine observed it.
    pub machine: bool,
    /// When the entry was written, where a person claimed another time.
    pub received: Option<At>,
    /// When it began by the alert's own source, on the run's clock.
    pub starts: Option<i64>,
    /// It came before what it is counted from.
    pub out_of_order: bool,
    /// A hint was given before.
    pub hinted: bool,
    /// How long the clock of people stood still meanwhile.
    pub paused: Span,
    /// Others who said the same.
    pub also: Vec<String>,
    /// What was expected again and again.
    pub repeats: Option<Repeats>,
    /// The entries that show it.
    pub entries: Vec<u64>,
}

/// What was expected again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// How often after the first time.
    pub due: u64,
    /// In time.
    pub kept: u64,
    /// When it was due and did not come.
    pub missed: Vec<At>,
}

/// One wrong turn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnFacts {
    /// What became of it.
    pub turn: Turn,
    /// Why, for people.
    pub why: String,
    /// What it is.
    pub what: String,
    /// When it was taken.
    pub taken: Option<At>,
    /// The time that it cost: until it was taken back, or else until the next expectation was met.
    pub lost: Option<Span>,
    /// By which role.
    pub by: Option<String>,
    /// What one learns from it.
    pub teaches: Option<String>,
    /// The entries that show it.
    pub entries: Vec<u64>,
}

/// An alert that nobody expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrelated {
    /// Its name.
    pub name: String,
    /// The source's kind.
    pub source: String,
    /// When it was first seen to fire.
    pub at: Interval,
}

/// Judges the response of a run; nothing where the plan has no team.
pub fn response(plan: &Plan, seen: &Seen<'_>) -> Response {
    let Some(team) = &plan.team else { return Response::default() };
    let mut court = court::Court::new(plan, team, seen);
    let expectations: IndexMap<String, ExpectationFacts> = team.expect.keys().map(|id| (id.to_string(), court.judge(id))).collect();
    let wrong_turns = turns::turns(&mut court, &expectations);
    let cues = court.cues.clone();
    let stamps = expectations.values().fold(Stamps::default(), |sum, facts| {
        let n = facts.entries.len() as u64;
        Stamps { all: sum.all + n, machine: sum.machine + if facts.machine { n } else { 0 } }
    });
    Response {
        unrelated: unrelated(plan, team, seen),
        expectations,
        wrong_turns,
        stamps,
        unattended: team.unattended,
        walks: steps::walks(&team.steps, seen),
        cues,
        debrief: Debrief::default(),
    }
}

/// Alerts of the time after the first effect that no expectation speaks of, each once.
fn unrelated(plan: &Plan, team: &TeamPlan, seen: &Seen<'_>) -> Vec<Unrelated> {
    let Some(onset) = plan.faults.keys().filter_map(|id| seen.faults.get(id.as_str())?.effective).map(|when| when.lo).min() else {
        return Vec::new();
    };
    // By labels: what is asked for and what is told are one alert.
    let mut known_already: Vec<&BTreeMap<String, String>> = Vec::new();
    let mut out = Vec::new();
    for alert in seen.alerts().filter(|alert| alert.firing && alert.when.hi.is_none_or(|hi| hi >= onset)) {
        let known = team.expect.values().map(|e| &e.what).chain(team.wrong_turns.values().map(|t| &t.what));
        if observe::began_before(alert, onset)
            || known_already.contains(&&alert.labels)
            || known.into_iter().any(|what| observe::is_alert(what, alert))
        {
            continue;
        }
        known_already.push(&alert.labels);
        out.push(Unrelated { name: alert.name.clone(), source: alert.kind.clone(), at: alert.when });
    }
    out
}
