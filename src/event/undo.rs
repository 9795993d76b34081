//! How to undo something, as data: enough for a fresh process or for a person.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Enough for a fresh process, or a person, to undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoRecord {
    /// The fault kind that knows how.
    pub kind: String,
    /// The kind's own undo data.
    pub detail: Value,
    /// What a person types if firedrill is dead: one line for `sh`.
    pub by_hand: String,
    /// The scenario's own undo, where it declares one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredUndo>,
}

/// An undo that the scenario declares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct DeclaredUndo {
    /// A command that undoes, ready to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Vec<String>>,
    /// Who else undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_to: Option<String>,
    /// A condition (`plan::Condition` as a value) that shows it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_when: Option<Value>,
    /// Working directory of the command: relative paths in the scenario resolve against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}
