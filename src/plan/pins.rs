//! Targets that were agreed on: pinned by `plan --lock`, held by the engine when it previews and again when it arms.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::FaultPlan;
use crate::base::{Digest, Id};

/// What a run may hit, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Digest of the file that pins.
    pub digest: Digest,
    /// When it was made, RFC 3339.
    pub at: String,
    /// Of each fault what it hits, by name.
    pub targets: IndexMap<Id, Vec<String>>,
}

/// The name of a target as [`crate::plan::Pins`] and previews compare it: without the process id, which no two starts have in common.
pub fn name_of(target: &str) -> &str {
    target.split(", pid ").next().unwrap_or(target)
}

/// Targets by name, in a steady order. A `system:` process is one thing however many processes it consists of just now.
pub fn names(fault: &FaultPlan, targets: &[String]) -> Vec<String> {
    let mut names: Vec<String> = targets.iter().map(|target| name_of(target).to_owned()).collect();
    names.sort();
    if fault.spec.get("system").is_some() {
        names.dedup();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::build::tests::of;
    use super::*;
    use crate::scenario::check::sample;

    #[test]
    fn workers_that_come_and_go_are_one_process_and_strangers_are_counted() {
        let mut fault = of(&sample::scenario()).faults[0].clone();
        let targets = ["db, pid 7".to_owned(), "db, pid 9".to_owned()];
        fault.spec = serde_json::json!({ "system": "db" });
        assert_eq!(names(&fault, &targets), ["db"]);
        fault.spec = serde_json::json!({ "name": "db" });
        assert_eq!(names(&fault, &targets), ["db", "db"]);
    }
}
