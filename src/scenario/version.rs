//! What kind of file a document is, told by its first word.

use super::finding::Finding;
use super::node::{Node, Raw};
use super::schema::FileKind;

/// The version of the language that is read.
const VERSION: u64 = 1;

/// Why this is not the file that was asked for, and whether it is worth looking at all the same.
pub fn wrong_file(root: &Node, wanted: FileKind) -> (Option<Finding>, bool) {
    let is_number = |key: &str| root.get(key).is_some_and(|node| matches!(node.raw, Raw::Number(_)));
    match wanted {
        FileKind::Scenario => {
            if let Some(node) = root.get("firedrill") {
                return version(node, "firedrill", "scenarios");
            }
            if is_number("gameday") {
                let finding = Finding::error("/gameday", "this is a game day file, not a scenario", "a game day");
                return (
                    Some(finding.on_key().help("`firedrill gameday plan FILE` checks it, and `firedrill gameday run FILE` holds it")),
                    false,
                );
            }
            if is_number("workload") {
                let finding = Finding::error("/workload", "this is a workload file, not a scenario", "a workload");
                return (Some(finding.on_key().help("name it in a scenario: `workload: PATH`")), false);
            }
            if root.get("policy").is_some() {
                let finding = Finding::error("/policy", "this is a policy file, not a scenario", "a policy");
                return (
                    Some(finding.on_key().help("it applies by itself to the scenarios beside and below it; `--policy FILE` adds one")),
                    false,
                );
            }
            let finding = Finding::error("", "this file does not say that it is a scenario", "has no `firedrill:`");
            let looks_like_one = ["title", "probes", "faults", "steady_state"].iter().any(|key| root.get(key).is_some());
            (Some(finding.on_key().help("begin the file with `firedrill: 1`")), looks_like_one)
        }
        FileKind::Workload => {
            if let Some(node) = root.get("workload").filter(|_| root.get("firedrill").is_none()) {
                return version(node, "workload", "workloads");
            }
            let what = if root.get("firedrill").is_some() {
                "this is a scenario, not a workload"
            } else {
                "this file does not say that it is a workload"
            };
            let finding = Finding::error("", what, "has no `workload:`").on_key();
            (Some(finding.help("a workload begins with `workload: 1`")), false)
        }
    }
}

/// What is wrong with the version that a file names under `key`; `what` are files of that sort.
pub fn version(node: &Node, key: &str, what: &str) -> (Option<Finding>, bool) {
    let at = format!("/{key}");
    match &node.raw {
        Raw::Number(number) if number.as_u64() == Some(VERSION) => (None, true),
        Raw::Number(number) => {
            let finding = Finding::error(at, format!("this version of firedrill reads {what} of version {VERSION}, not {number}"), "");
            (Some(finding), false)
        }
        _ => (
            Some(
                Finding::error(at, format!("`{key}` must be the number {VERSION}"), "is no number")
                    .help(format!("write `{key}: {VERSION}`")),
            ),
            false,
        ),
    }
}
