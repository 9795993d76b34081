//! Who may be told already. In a blind drill what is for everybody waits for the reveal: a chat or a dashboard that participants see would tell them what
//! is broken. Pure.

use crate::event::{Entry, Event};
use crate::plan::Plan;

/// Whether what is for everybody is withheld at first.
pub(super) fn withholds(plan: &Plan) -> bool {
    plan.carried.get("team").and_then(|team| team.get("mode")).and_then(serde_json::Value::as_str) == Some("blind")
}

/// Whether everybody may know from here on. The end of a drill reveals it.
pub(super) fn reveals(entry: &Entry) -> bool {
    matches!(entry.event, Event::RunFinished { .. })
}
