//! What brings things back: undoing, after-care, and the way to the next repeat.

use serde::{Deserialize, Serialize};

use super::{Argv, Condition, Point};
use crate::base::Span;

/// The scenario's own undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoPlan {
    /// A command.
    pub run: Option<Argv>,
    /// Who else.
    pub left_to: Option<String>,
    /// How one sees that it is done.
    pub done_when: Option<Condition>,
}

/// An after-care step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// The command.
    pub run: Argv,
    /// After which point.
    pub after: Point,
    /// Its precondition.
    pub only_if: Option<Condition>,
    /// How long the command may take.
    pub within: Span,
}

/// Bring-back between repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResetPlan {
    /// The command.
    pub run: Argv,
    /// How one sees that it worked.
    pub done_when: Option<Condition>,
}
