//! What a run says beside the numbers of its claims: what is to be mended, what it showed, who took part, and what it tells of practices. Kept as one
//! JSON text a run, since it is only ever read whole.

use serde::{Deserialize, Serialize};

/// Everything that improvement and review read of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Where it ran: `production`, `test` …
    pub environment: String,
    /// It is a demonstration, not evidence.
    pub demonstration: bool,
    /// `normal`, `tabletop` or `baseline`.
    pub mode: String,
    /// Its numbers may be trusted, and it went to its end.
    pub counts: bool,
    /// How long it lasted, in nanoseconds.
    pub lasted_ns: u64,
    /// The declared cadence, in days.
    pub cadence_days: Option<f64>,
    /// For so many days it may count as evidence.
    pub expires_days: u64,
    /// It claims something that can be refuted.
    pub hypothesis: bool,
    /// Where its scenario lay.
    pub base_dir: String,
    /// People took part: a team is declared, somebody answered, and it was not unattended.
    pub people: bool,
    /// The roles that were declared.
    pub roles: Vec<String>,
    /// Those of them that did something.
    pub acted: Vec<String>,
    /// What was expected of people and alerts, and how long it took.
    pub response: Vec<Responded>,
    /// Sorts of drill that it was: keys of the catalogue's `drills`.
    pub drills: Vec<String>,
    /// Practices that it speaks to.
    pub practices: Vec<Said>,
    /// What is to be mended.
    pub findings: Vec<Found>,
    /// The opposite of findings: what was asked for and was there.
    pub shown: Vec<Shown>,
    /// The entry that says how it ended.
    pub last_seq: u64,
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Responded {
    /// Its id.
    pub id: String,
    /// `alert`, `ack`, `step` …
    pub kind: String,
    /// Which role; absent for machines.
    pub role: Option<String>,
    /// `on_time`, `late`, `missed`, `not_observed` or `not_due`.
    pub verdict: String,
    /// How long it took, in nanoseconds: at least.
    pub lo: Option<f64>,
    /// At most.
    pub hi: Option<f64>,
    /// It is part of the team's verdict.
    pub counted: bool,
    /// The entries that show it.
    pub entries: Vec<u64>,
}

/// What a run says of a practice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Choice id.
    pub choice: String,
    /// It was shown; else it was refuted.
    pub supported: bool,
    /// Refuted, and of high risk.
    pub high: bool,
    /// Why.
    pub why: String,
    /// The entries that show it.
    pub entries: Vec<u64>,
}

/// Something to be mended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// The finding's id within its scenario.
    pub id: String,
    /// Choice id of the practice.
    pub choice: String,
    /// Its label.
    pub label: String,
    /// What it is about: a service, a ledger, an expectation.
    pub subject: String,
    /// Of high risk; else of medium.
    pub high: bool,
    /// In one line.
    pub title: String,
    /// What was observed.
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// What it means for the business.
    pub impact: String,
    /// What to do.
    pub remediation: String,
    /// Who owns the drill.
    pub owner: Option<String>,
    /// By when, as it was proposed.
    pub due: Option<String>,
    /// What was asked, where it is a number.
    pub limit: Option<Limit>,
    /// The entries that show it.
    pub entries: Vec<u64>,
}

/// Something that was asked for and was there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// The id that its finding would have.
    pub id: String,
    /// What was asked, where it is a number.
    pub limit: Option<Limit>,
    /// What was asked in words, where those can be told from one run to the next.
    pub asked: Option<String>,
}

/// A number that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// In nanoseconds, or a fraction.
    pub value: f64,
    /// More of it is harder to reach.
    pub more_is_harder: bool,
}

impl Limit {
    /// Whether this asks for less than another one did.
    pub fn is_softer_than(self, other: Limit) -> bool {
        if self.more_is_harder { self.value < other.value } else { self.value > other.value }
    }
}
