//! Bytes to a checked game day, or every problem of the file.

use std::sync::LazyLock;

use serde_json::Value;

use super::model::{GameDay, Item};
use super::when::{Appointment, Zones};
use crate::base::{Digest, Span, digest_of};
use crate::scenario::node::Node;
use crate::scenario::schema::FileSchema;
use crate::scenario::{Diagnostic, Documents, Finding, plain_schema, read_alone, version};

/// Most items of an agenda.
const MOST: usize = 100;

/// A game day that was read and checked.
#[derive(Debug, Clone)]
pub struct Read {
    /// What it says.
    pub day: GameDay,
    /// When it is.
    pub when: Appointment,
    /// Digest of its text.
    pub digest: Digest,
    /// Where it says what.
    pub documents: Documents,
}

/// The JSON Schema (draft 2020-12) of a game day.
pub fn json_schema() -> Value {
    plain_schema::<GameDay>(
        "Firedrill game day",
        "gameday",
        &[("GameDay", "a game day"), ("Item", "an item of the agenda"), ("SkipIf", "a condition")],
    )
}

/// Reads a game day.
///
/// # Errors
/// Every problem that can be found, sorted by place.
pub fn read(bytes: &[u8], label: &str, zones: &Zones<'_>) -> Result<Read, Vec<Diagnostic>> {
    static SCHEMA: LazyLock<FileSchema> = LazyLock::new(|| FileSchema::made(json_schema()));
    let (value, documents) = read_alone(bytes, label, "gameday: 1", &recognise, &SCHEMA)?;
    let day: GameDay = match serde_json::from_value(value) {
        Ok(day) => day,
        Err(error) => return Err(documents.diagnose(vec![Finding::error("", error.to_string(), "cannot be read")])),
    };
    let mut findings = Vec::new();
    let when = Appointment::of(&day.when, zones).map_err(|refused| {
        findings.push(Finding::error("/when", refused.what, refused.label).help(refused.help));
    });
    check(&day, &mut findings);
    match when {
        Ok(when) if findings.is_empty() => Ok(Read { day, when, digest: digest_of(bytes), documents }),
        _ => Err(documents.diagnose(findings)),
    }
}

fn recognise(root: &Node) -> (Option<Finding>, bool) {
    if let Some(node) = root.get("gameday").filter(|_| root.get("firedrill").is_none()) {
        return version(node, "gameday", "game days");
    }
    let other = ["firedrill", "workload", "policy"].iter().find(|key| root.get(key).is_some());
    let (title, go_on) = match other {
        Some(_) => ("this is another sort of file, not a game day", false),
        None => ("this file does not say that it is a game day", true),
    };
    (Some(Finding::error("", title, "has no `gameday:`").on_key().help("a game day begins with `gameday: 1`")), go_on)
}

fn check(day: &GameDay, findings: &mut Vec<Finding>) {
    if !day.agenda.iter().any(|item| item.run.is_some()) {
        findings.push(
            Finding::error("/agenda", "no drill stands on the agenda", "no `run:`").help("add for example `- { run: scenario.yaml }`"),
        );
    }
    if day.agenda.len() > MOST {
        findings.push(Finding::error("/agenda", format!("an agenda has at most {MOST} items"), "too many"));
    }
    for (role, accounts) in &day.participants {
        if accounts.is_empty() {
            let at = format!("/participants/{role}");
            findings
                .push(Finding::error(at, format!("nobody fills the role `{role}`"), "nobody").help("name accounts, or leave the role out"));
        }
    }
    let mut drilled = false;
    for (n, item) in day.agenda.iter().enumerate() {
        one(day, item, &format!("/agenda/{n}"), drilled, findings);
        drilled |= item.run.is_some();
    }
}

fn one(day: &GameDay, item: &Item, at: &str, drilled: bool, findings: &mut Vec<Finding>) {
    let sorts = [item.run.is_some(), item.pause.is_some(), item.debrief.is_some()];
    if sorts.iter().filter(|is| **is).count() != 1 {
        let help = "write for example `- { run: scenario.yaml, go: facilitator }`, `- { break: 15m }` or `- { debrief: 30m }`";
        findings.push(
            Finding::error(at, "an item is one of a drill, a break and a debrief", "needs exactly one of `run`, `break`, `debrief`")
                .help(help),
        );
        return;
    }
    if item.pause == Some(Span::ZERO) || item.debrief == Some(Span::ZERO) {
        findings.push(Finding::error(at, "it takes no time", "no time"));
    }
    let only_drills = [
        ("go", item.go.is_some()),
        ("skip_if", item.skip_if.is_some()),
        ("vars", !item.vars.is_empty()),
        ("tabletop", item.tabletop),
        ("unattended", item.unattended),
    ];
    for (key, there) in only_drills {
        if there && item.run.is_none() {
            findings.push(Finding::error(format!("{at}/{key}"), format!("only a drill can have `{key}`"), "of no use here").on_key());
        }
    }
    if item.skip_if.is_some() && !drilled {
        findings.push(Finding::error(format!("{at}/skip_if"), "no drill stands before this one", "nothing to go by").on_key());
    }
    if let Some(role) = &item.go
        && !day.participants.is_empty()
        && !day.participants.contains_key(role.as_str())
    {
        let finding = Finding::error(format!("{at}/go"), format!("nobody fills the role `{role}`"), "unknown role");
        findings.push(finding.also("/participants", "roles are filled here"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::render_all;

    fn zones(name: &str) -> Option<jiff::tz::TimeZone> {
        jiff::tz::TimeZone::get(name).ok()
    }

    fn problems(text: &str) -> String {
        match read(text.as_bytes(), "day.yaml", &zones) {
            Ok(_) => String::new(),
            Err(diagnostics) => render_all(&diagnostics, false),
        }
    }

    const WHOLE: &str = "gameday: 1\ntitle: Payments\nwhen: \"2026-12-03 10:00 Europe/Berlin\"\nparticipants: { facilitator: [alice], ops: [dan, gina] }\nagenda:\n  - { run: a.yaml, go: facilitator }\n  - { break: 15m }\n  - { run: b.yaml, skip_if: { previous: failed } }\n";

    #[test]
    fn a_game_day_reads() {
        let read = read(WHOLE.as_bytes(), "day.yaml", &zones).unwrap();
        assert_eq!(read.day.agenda.len(), 3);
        assert_eq!(read.day.agenda[1].pause, Some(Span::secs(900)));
        assert_eq!(read.when.begins.to_string(), "2026-12-03T09:00:00Z");
    }

    #[test]
    fn every_problem_is_told() {
        for (from, to, said) in [
            ("go: facilitator", "go: captain", "nobody fills the role `captain`"),
            ("{ break: 15m }", "{ break: 15m, go: ops }", "only a drill can have `go`"),
            ("{ break: 15m }", "{ brake: 15m }", "unknown key `brake`"),
            ("{ break: 15m }", "{ break: 15m, run: c.yaml }", "exactly one of"),
            ("run: a.yaml, go: facilitator", "run: a.yaml, skip_if: { previous: failed }", "no drill stands before this one"),
            ("10:00 Europe/Berlin", "10:00", "time zone"),
            ("2026-12-03 10:00", "2027-03-28 02:30", "does not exist"),
            ("previous: failed", "previous: fail", "failed"),
            ("gameday: 1", "gameday: 2", "version"),
        ] {
            let text = problems(&WHOLE.replace(from, to));
            assert!(text.contains(said), "{from} -> {to}: {text}");
        }
    }
}
