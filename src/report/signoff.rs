//! Who signs for a report: the same lines in every form that is printed. Left empty on purpose: a report follows from the journal, and names and
//! dates do not.

use super::Report;
use super::view::{headline, plain};

/// Who signs, and what for.
pub const LINES: [(&str, &str); 3] = [
    ("Drill lead", "it was run as planned; deviations are named above"),
    ("Service owner", "the findings are known, and each has an owner"),
    ("Reviewer", "the evidence bears the verdict"),
];

/// What is signed; nothing for a demonstration, which is no evidence.
pub fn subject(report: &Report<'_>) -> Option<String> {
    let run = &report.facts.run;
    (!report.plan.is_demonstration()).then(|| {
        let owner = report.plan.owner.as_ref().map_or_else(String::new, |owner| format!(" Owner by the scenario: {}.", plain(owner)));
        format!(
            "This report of run {} with plan {}; its verdict: {}.{owner}",
            run.id,
            plain(&run.plan_digest),
            headline(report).status.word()
        )
    })
}

/// What is said instead.
pub const NOT_SIGNED: &str = "A demonstration is not signed off: it is no evidence.";
