//! The improvement plan: what runs found and what people resolved, with owner, date and state, from the first time it was seen until a later run shows
//! that it is mended. A pure fold over runs and over what people said; their words lie in a file of their own. It must never know how a run is judged.

mod export;
mod file;
mod fold;
mod verify;

use serde::{Deserialize, Serialize};

pub use export::{csv, json, markdown, schema, text};
pub use file::{ActionsError, FILE, Log, append, read};
pub use fold::{Resolved, fold};
pub use verify::shows_at;

use crate::base::digest_of;

/// Where an action comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A finding of runs.
    Finding,
    /// A debrief.
    Debrief,
}

/// What an action is about. Written down with every change, so that it is still known when its runs are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its name: the same over all runs that find the same thing.
    pub id: String,
    /// Where it comes from.
    pub source: Source,
    /// The scenario, which is also what shows whether it is mended.
    pub scenario: String,
    /// The practice's label; absent for what a debrief resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<String>,
    /// What it is about within the scenario.
    pub subject: String,
    /// In one line.
    pub title: String,
}

/// The name of an action: a digest of what makes it the same.
pub fn name(source: Source, parts: &[&str]) -> String {
    let letter = if source == Source::Finding { 'F' } else { 'D' };
    let digest = digest_of(parts.join("\n").as_bytes()).to_string();
    let hex = digest.rsplit(':').next().unwrap_or(&digest);
    format!("{letter}-{}", hex.get(..8).unwrap_or(hex))
}

/// What somebody did about an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    /// Somebody owns it now.
    Assigned {
        /// A team or a role.
        owner: String,
        /// By when, a day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<String>,
    },
    /// A remark.
    Noted {
        /// What.
        text: String,
    },
    /// Its owner says that it is mended.
    Done {
        /// How.
        text: String,
    },
    /// The risk is accepted for a time.
    Accepted {
        /// Who, by role.
        by: String,
        /// The last day of it.
        until: String,
        /// Why.
        text: String,
    },
    /// A run showed it.
    Closed {
        /// Which.
        run: String,
    },
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the format.
    pub v: u32,
    /// Dense, from 0.
    pub seq: u64,
    /// Wall time.
    pub wall: String,
    /// What about.
    pub about: About,
    /// What was done.
    pub change: Change,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody took it yet.
    Open,
    /// Somebody owns it.
    Assigned,
    /// Its owner says that it is mended; no run has shown it yet.
    DoneClaimed,
    /// Somebody takes the risk for a time.
    Accepted,
    /// A later run showed that it is mended.
    Closed,
}

impl Status {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Assigned => "assigned",
            Status::DoneClaimed => "waiting for retest",
            Status::Accepted => "risk accepted",
            Status::Closed => "closed",
        }
    }
}

/// Something to be mended, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Action {
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// `high`, `medium`; absent for what a debrief resolved.
    pub risk: Option<&'static str>,
    /// Where it stands.
    pub status: Status,
    /// It had been closed, accepted or claimed done, and something spoke against it since; what.
    pub reopened: Option<String>,
    /// The day passed by which it should be mended.
    pub overdue: bool,
    /// Who owns it.
    pub owner: Option<String>,
    /// By when.
    pub due: Option<String>,
    /// The last day for which its risk is accepted, and by which role.
    pub accepted: Option<(String, String)>,
    /// The first run that found it.
    pub first_seen: Option<String>,
    /// The last one.
    pub last_seen: Option<String>,
    /// In how many runs it was found.
    pub seen: usize,
    /// The run that showed it mended.
    pub closed_by: Option<String>,
    /// It was found in demonstrations only.
    pub demonstration: bool,
    /// What was observed last.
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// What it means for the business.
    pub impact: String,
    /// What to do.
    pub remediation: String,
    /// Entries of the last run that show it.
    pub entries: Vec<u64>,
    /// What was said and done about it, with when.
    pub told: Vec<(String, Change)>,
}
