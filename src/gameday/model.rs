//! What a game day file says, in types.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::Span;
use crate::scenario::model::Map;

/// A whole game day file (`gameday: 1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GameDay {
    /// The version of the language.
    pub gameday: u32,
    /// What it is called, in one line.
    pub title: String,
    /// What it is held for.
    #[serde(default)]
    pub why: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// When it begins, on the clock of a time zone: `2026-12-03 10:00 Europe/Berlin`.
    pub when: String,
    /// How long it may take; as long as its agenda when left out. After that no further drill begins.
    #[serde(default)]
    pub lasts: Option<Span>,
    /// How much earlier it may begin; 15 minutes when left out.
    #[serde(default)]
    pub early: Option<Span>,
    /// Who fills which role, by account names. It stands in for `team.roles` of every drill.
    #[serde(default)]
    pub participants: Map<Vec<String>>,
    /// What is done, in order.
    pub agenda: Vec<Item>,
}

/// One item of the agenda: a drill, a break or the debrief.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// A scenario file, relative to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// A break of this length; anybody who may say go ends it early.
    #[serde(default, rename = "break", skip_serializing_if = "Option::is_none")]
    pub pause: Option<Span>,
    /// Time to talk about what was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debrief: Option<Span>,
    /// Which role says go, or no-go, before this drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go: Option<String>,
    /// When this drill is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_if: Option<SkipIf>,
    /// Vars of the scenario.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub vars: IndexMap<String, String>,
    /// No fault is touched in this drill; clocks, prompts and marks are real.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tabletop: bool,
    /// Nobody takes part in this drill: what only people can show is not observed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unattended: bool,
}

/// When a drill is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipIf {
    /// What became of the drill before it.
    pub previous: Previous,
}

/// What may have become of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Previous {
    /// A claim of the system failed.
    Failed,
    /// The system passed.
    Passed,
    /// The system's verdict was neither.
    Inconclusive,
    /// It was no evidence.
    Invalid,
    /// It was not steady beforehand.
    NotSteady,
    /// It was aborted.
    Aborted,
    /// It was not held: no-go, skipped, or it could not start.
    NotHeld,
}
