//! How a run reads: HTML, Markdown, JSON, JUnit XML and plain text, each a pure function that returns a `String`.
//! It must never know the engine or files.

mod chart;
mod cues;
pub mod gameday;
mod histogram;
pub mod html;
pub mod intervals;
pub mod json;
pub mod junit;
pub mod markdown;
mod picture;
pub mod practices;
mod rows;
mod schema;
mod signoff;
mod team;
pub mod text;
mod view;

use crate::measure::facts::Facts;
use crate::plan::Plan;
use crate::score::Score;

/// Everything a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was to happen.
    pub plan: &'a Plan,
    /// What was measured.
    pub facts: &'a Facts,
    /// How it measures up.
    pub score: &'a Score,
}

impl<'a> Report<'a> {
    /// A report on a run.
    pub fn new(plan: &'a Plan, facts: &'a Facts, score: &'a Score) -> Report<'a> {
        Report { plan, facts, score }
    }
}
