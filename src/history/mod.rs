//! What many runs came to, kept beside them so that it need not be worked out again: a small SQLite file. It is a copy and no more: the run directories
//! are the truth, and `rebuild` makes it from them. It must never know how a run is judged.

mod account;
mod drift;
mod effect;
mod store;

pub use account::{Account, Found, Limit, Responded, Said, Shown};
pub use drift::{Drift, drift};
pub use effect::{Difference, Told, difference, slower};
pub use store::{FILE, History, HistoryError, SCHEMA};

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Nanoseconds; less is better.
    Time,
    /// A fraction; more is better.
    Share,
}

/// One number of a run, or one verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// `CLAIM`, or `CLAIM.PART`.
    pub name: String,
    /// `passed`, `failed`, `inconclusive` or `invalid`.
    pub verdict: String,
    /// What it counts.
    pub quantity: Quantity,
    /// At least; absent where it was not measured.
    pub lo: Option<f64>,
    /// At most; absent where it was not measured, or had not ended.
    pub hi: Option<f64>,
    /// What is claimed.
    pub objective: Option<f64>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id.
    pub run: String,
    /// Length of its journal when it was judged, in bytes: a longer one is judged again.
    pub bytes: u64,
    /// Version of firedrill that judged it: another one judges again.
    pub firedrill: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's title.
    pub title: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// What was tested: runs of one sameness may be compared.
    pub same: String,
    /// The system's verdict; absent where it was not put to the test.
    pub system: Option<String>,
    /// How it ended.
    pub exit_code: u8,
    /// What it says, in the scenario's order.
    pub readings: Vec<Reading>,
    /// What improvement and review read of it.
    pub account: Account,
}
