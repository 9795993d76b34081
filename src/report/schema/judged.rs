//! The schema of what is judged: practices, questions and findings.

use serde_json::Value;

use super::{boolean, list, map_of, number, object, text, word};

fn entries() -> Value {
    list(number())
}

/// The score of a run.
pub(super) fn score() -> Value {
    object(
        vec![
            ("framework_publication", text(), "publication of the framework that labels are taken from"),
            ("demonstration", boolean(), "what is said is a demonstration, not evidence"),
            ("announced", boolean(), "people knew of the drill beforehand"),
            ("expires_days", number(), "how long from the run on it may count as evidence"),
            ("unknown_targets", list(text()), "names under score.targets that no rule knows"),
            ("practices", map_of(practice()), "by choice id: what was drilled, attested, or exercised without an answer"),
            ("questions", map_of(question()), "by question id: every question"),
            ("findings", list(finding()), "worst first"),
        ],
        vec![("no_evidence", text(), "when practices are judged: why none is")],
    )
}

fn practice() -> Value {
    object(
        vec![
            ("label", text(), "its number in the publication"),
            ("question", text(), "its question"),
            ("title", text(), "paraphrased"),
            ("verdict", word(&["supported", "contradicted", "attested", "not_drilled"]), "what is said"),
            ("why", text(), "with the values that decide"),
            ("entries", entries(), "journal entries (seq) that show it"),
        ],
        vec![
            ("risk", word(&["hri", "mri"]), "unless it is contradicted; capped by the framework's own risk level"),
            ("shown", number(), "when it was not drilled: in so many claims of the run"),
            ("of", number(), "when it was not drilled: of so many whose drill exercises it"),
            ("refuted_by", list(text()), "when no part of a claim refutes it: finding ids"),
            ("would", text(), "when it was drilled: what would exercise it"),
        ],
    )
}

fn question() -> Value {
    object(
        vec![
            ("label", text(), "its number"),
            ("title", text(), "paraphrased"),
            ("contradicted", number(), "practices that were refuted"),
            ("evidenced", number(), "practices that a drill gave evidence on; zero for a demonstration"),
            ("demonstrated", number(), "practices that a demonstration spoke to"),
            ("total", number(), "all of its practices"),
        ],
        vec![],
    )
}

fn finding() -> Value {
    object(
        vec![
            ("id", text(), "stable within the scenario"),
            ("risk", word(&["hri", "mri"]), "high-risk or medium-risk issue"),
            ("title", text(), "in one line"),
            ("observed", text(), "with its bounds"),
            ("expected", text(), "what was expected"),
            ("impact", text(), "what it means for the business"),
            ("remediation", text(), "what to do"),
            ("retest", text(), "the scenario that shows whether it is mended"),
            ("entries", entries(), "that show it"),
            (
                "practice",
                object(vec![("choice", text(), "stable key"), ("label", text(), "number"), ("title", text(), "paraphrased")], vec![]),
                "it speaks to",
            ),
            (
                "question",
                object(vec![("id", text(), "stable key"), ("label", text(), "number"), ("title", text(), "paraphrased")], vec![]),
                "of the review",
            ),
        ],
        vec![("owner", text(), "when the scenario has none"), ("due", text(), "when the run has no wall time: a date, as proposed")],
    )
}
