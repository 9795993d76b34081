//! The improvement plan for people and programs: text, Markdown, CSV that no spreadsheet takes for formulas, and JSON with its schema. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Action, Change, Status};
use crate::base::one_line;

fn risk(action: &Action) -> &'static str {
    match action.risk {
        Some("high") => "HRI",
        Some(_) => "MRI",
        None => "debrief",
    }
}

fn state(action: &Action) -> String {
    let mut said = action.status.words().to_owned();
    if let Some((until, by)) = &action.accepted {
        let _ = write!(said, " until {until} by {by}");
    }
    if let Some(run) = &action.closed_by {
        let _ = write!(said, " by {run}");
    }
    if action.overdue {
        said.push_str(", OVERDUE");
    }
    if action.reopened.is_some() {
        said.push_str(", reopened");
    }
    said
}

fn line(text: &str) -> String {
    one_line(text, 300)
}

/// For a terminal: one action in two lines.
pub fn text(actions: &[Action]) -> String {
    let open = actions.iter().filter(|action| action.status != Status::Closed).count();
    let overdue = actions.iter().filter(|action| action.overdue).count();
    let mut lines = vec![format!("{open} to be mended, {} closed, {overdue} overdue", actions.len() - open)];
    for action in actions {
        let practice = action.about.practice.as_deref().unwrap_or("-");
        lines.push(String::new());
        lines.push(format!("{}  {:7} {practice:11} {}", action.about.id, risk(action), line(&action.about.title)));
        let owner = action.owner.as_deref().map_or_else(|| "nobody owns it".to_owned(), |owner| format!("owner {}", line(owner)));
        let due = action.due.as_deref().map_or_else(String::new, |due| format!(", due {}", line(due)));
        let seen = if action.seen > 1 { format!(", found in {} runs", action.seen) } else { String::new() };
        let demonstration = if action.demonstration { ", demonstration" } else { "" };
        lines.push(format!(
            "            {}: {owner}{due}; {} · {}{seen}{demonstration}",
            state(action),
            line(&action.about.scenario),
            line(&action.about.subject)
        ));
    }
    lines.join("\n")
}

fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '!' | '#' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// A table for a wiki or an issue.
pub fn markdown(actions: &[Action]) -> String {
    let mut out = String::from(
        "# Improvement plan\n\n| | Risk | Practice | What | Owner | Due | State | Retest | Seen |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for action in actions {
        let or = |text: &Option<String>| text.as_deref().map_or_else(|| "–".to_owned(), cell);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {}: {} | {} | {} | {} | {} | {} |",
            action.about.id,
            risk(action),
            or(&action.about.practice),
            cell(&action.about.title),
            cell(&action.about.subject),
            or(&action.owner),
            or(&action.due),
            cell(&state(action)),
            cell(&action.about.scenario),
            action.seen
        );
    }
    for action in actions.iter().filter(|action| !action.remediation.is_empty() && action.status != Status::Closed) {
        let _ = writeln!(
            out,
            "\n**{}** {}. Observed: {}. Expected: {}. {} {}",
            action.about.id,
            cell(&action.about.title),
            cell(&action.observed),
            cell(&action.expected),
            cell(&action.impact),
            cell(&one_line(&action.remediation, 2_000))
        );
    }
    out
}

/// One field: quoted, and never the beginning of a formula (OWASP, CSV injection).
fn field(text: &str) -> String {
    let plain = one_line(text, 2_000);
    let formula = plain.starts_with(['=', '+', '-', '@', '\t', '\r', '|', '%']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, plain.replace('"', "\"\""))
}

/// Comma-separated values (RFC 4180) with a head.
pub fn csv(actions: &[Action]) -> String {
    let mut out = String::from(
        "id,risk,practice,scenario,subject,title,status,overdue,owner,due,first_seen,last_seen,seen,closed_by,observed,expected,remediation\r\n",
    );
    for action in actions {
        let or = |text: &Option<String>| text.clone().unwrap_or_default();
        let status = serde_json::to_value(action.status).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        let fields = [
            action.about.id.clone(),
            risk(action).to_owned(),
            or(&action.about.practice),
            action.about.scenario.clone(),
            action.about.subject.clone(),
            action.about.title.clone(),
            status,
            action.overdue.to_string(),
            or(&action.owner),
            or(&action.due),
            or(&action.first_seen),
            or(&action.last_seen),
            action.seen.to_string(),
            or(&action.closed_by),
            action.observed.clone(),
            action.expected.clone(),
            action.remediation.clone(),
        ];
        let fields: Vec<String> = fields.iter().map(|text| field(text)).collect();
        let _ = write!(out, "{}\r\n", fields.join(","));
    }
    out
}

/// For programs, as [`schema`] says. What is not known is left out.
pub fn json(actions: &[Action]) -> Value {
    json!({ "schema": "firedrill.actions/1", "actions": actions.iter().map(one).collect::<Vec<_>>() })
}

fn one(action: &Action) -> Value {
    let told = |(wall, change): &(String, Change)| {
        let mut value = serde_json::to_value(change).unwrap_or_default();
        if let Value::Object(map) = &mut value {
            map.insert("at".into(), json!(wall));
        }
        value
    };
    let mut value = serde_json::to_value(action).unwrap_or_default();
    if let Value::Object(map) = &mut value {
        map.insert("told".into(), action.told.iter().map(told).collect());
        map.insert("accepted".into(), action.accepted.as_ref().map_or(Value::Null, |(until, by)| json!({ "until": until, "by": by })));
        map.retain(|_, value| !value.is_null());
    }
    value
}

/// The JSON Schema of [`json()`].
pub fn schema() -> Value {
    let required = [
        "id",
        "source",
        "scenario",
        "subject",
        "title",
        "status",
        "overdue",
        "seen",
        "demonstration",
        "observed",
        "expected",
        "impact",
        "remediation",
        "entries",
        "told",
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "firedrill.actions/1", "type": "object",
        "required": ["schema", "actions"], "additionalProperties": false,
        "properties": {
            "schema": { "const": "firedrill.actions/1" },
            "actions": { "type": "array", "items": {
                "type": "object", "additionalProperties": false, "required": required, "properties": properties(),
            } }
        }
    })
}

fn properties() -> Value {
    let mut all = json!({
        "id": { "type": "string", "pattern": "^[FD]-[0-9a-f]{8}$", "description": "The same over all runs that find the same thing" },
        "source": { "enum": ["finding", "debrief"] },
        "scenario": { "type": "string", "description": "Also the retest" },
        "risk": { "enum": ["high", "medium"] },
        "status": { "enum": ["open", "assigned", "done_claimed", "accepted", "closed"] },
        "reopened": { "type": "string", "description": "What spoke against it since it was closed, accepted or said to be done" },
        "overdue": { "type": "boolean" },
        "due": { "type": "string", "description": "A day, 2026-12-24" },
        "accepted": {
            "type": "object", "required": ["until", "by"], "properties": { "until": { "type": "string" }, "by": { "type": "string" } }
        },
        "seen": { "type": "integer", "minimum": 0, "description": "In so many runs" },
        "demonstration": { "type": "boolean" },
        "entries": { "type": "array", "items": { "type": "integer" }, "description": "Of the last run that found it" },
        "told": { "type": "array", "items": { "type": "object", "required": ["type", "at"] } },
    });
    let texts =
        ["practice", "subject", "title", "owner", "first_seen", "last_seen", "closed_by", "observed", "expected", "impact", "remediation"];
    for name in texts {
        all[name] = json!({ "type": "string" });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_and_every_field_is_one() {
        for (text, expected) in [
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("a,b", "\"a,b\""),
        ] {
            assert_eq!(field(text), expected);
        }
        assert!(!field("a\r\n=1").contains('\n'));
        assert!(!cell("a|b<script>").contains('<'));
    }
}
