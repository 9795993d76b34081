//! How a run ended.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// To the end of settle.
    Completed,
    /// Not steady beforehand: nothing was injected.
    NotSteady,
    /// Aborted, everything undone.
    Aborted,
    /// An undo failed: a fault may still be there.
    Stuck,
}
