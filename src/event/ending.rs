//! A fault that did not last as planned.

use serde::{Deserialize, Serialize};

/// A fault was over before anybody undid it: something else ended it, for example an alarm that is its stop condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutShort {
    /// The item.
    pub id: String,
    /// How it ended, and why.
    pub why: String,
}
