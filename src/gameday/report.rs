//! What a report on a game day holds.

use jiff::Timestamp;

use super::when::Appointment;

/// A game day, told.
#[derive(Debug, Clone, PartialEq)]
pub struct DayReport {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// What it is held for.
    pub why: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it was to begin, and whose clock it goes by.
    pub when: Appointment,
    /// When it began.
    pub began: Option<Timestamp>,
    /// When it ended, or what is the last that is known of it.
    pub ended: Option<Timestamp>,
    /// Why it ended before its agenda.
    pub stopped: Option<String>,
    /// Its agenda is done, or it was stopped.
    pub over: bool,
    /// Roles, and how many filled each.
    pub roster: Vec<(String, usize)>,
    /// The agenda, and what became of it.
    pub agenda: Vec<Entry>,
    /// What should be mended, worst first, each once.
    pub findings: Vec<Finding>,
    /// What was said afterwards.
    pub debrief: Vec<Said>,
    /// Everything in one line, in order of time.
    pub timeline: Vec<Row>,
    /// As the day ends.
    pub exit_code: u8,
}

/// An item of the agenda.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Entry {
    /// From 1.
    pub number: usize,
    /// What it is called.
    pub title: String,
    /// It is a drill.
    pub drill: bool,
    /// What became of it, in a word: `held`, `no_go`, `skipped`, `not_yet`, `under_way`, `done`.
    pub stands: &'static str,
    /// The same in a sentence for people.
    pub told: String,
    /// The verdict on the system.
    pub system: Option<String>,
    /// The verdict on the team.
    pub team: Option<String>,
    /// Why, the deciding ones first.
    pub why: Vec<String>,
    /// Its run.
    pub run: Option<String>,
    /// Its exit code.
    pub exit_code: Option<u8>,
}

/// What should be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `HRI` or `MRI`.
    pub risk: String,
    /// What was observed.
    pub text: String,
    /// In which items.
    pub items: Vec<usize>,
}

/// What was said at a debrief.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Of which item.
    pub item: usize,
    /// `went well`, `surprised us`, `to change`.
    pub sort: String,
    /// What.
    pub text: String,
}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When.
    pub at: Timestamp,
    /// Of which item; nothing where it is the day's own.
    pub item: Option<usize>,
    /// In a word.
    pub what: String,
    /// In a sentence.
    pub text: String,
    /// Who says so.
    pub source: String,
}
