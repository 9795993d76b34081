//! A review for people and programs: text, Markdown, one practice in full, and JSON with its schema. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::words::{cited, grounds, ordered, quarter, regular, roles, span, whose, word};
use super::{Answers, Cadence, Judged, Quarter, Review};
use crate::base::one_line;
use crate::score::catalogue::{Practice, catalogue};
use crate::score::signal::{State, Value as Measured};
use crate::score::words::many;
use crate::score::{Risk, Verdict, explain};

/// Name of the JSON format.
const SCHEMA: &str = "firedrill.review/1";
/// For a terminal. What is not known is counted, unless `all` is asked for.
pub fn text(review: &Review, all: bool) -> String {
    let mut lines = grounds(review);
    lines.push(String::new());
    lines.push("Programme practices of the Well-Architected Framework".to_owned());
    let mut unknown = 0;
    for judged in ordered(review) {
        if judged.verdict == Verdict::NotDrilled && !all {
            unknown += 1;
            continue;
        }
        lines.push(format!("  {:11}  {:11} {}", word(judged.verdict), judged.practice.label, judged.practice.title));
        lines.push(format!("               {}{}", one_line(&judged.why, 400), cited(&judged.runs)));
    }
    if unknown > 0 {
        lines.push(format!(
            "  not known    {}: `--all` lists them with what is missing, `--explain LABEL` tells one",
            many(unknown, "more practice")
        ));
    }
    if !review.cadences.is_empty() {
        lines.push(String::new());
        lines.push("How regularly".to_owned());
        let width = review.cadences.iter().map(|cadence| one_line(&cadence.scenario, 40).chars().count()).max().unwrap_or(0);
        lines.extend(review.cadences.iter().map(|one| format!("  {:width$}  {}", one_line(&one.scenario, 40), regular(one))));
    }
    if !review.answers.is_empty() {
        lines.push(String::new());
        lines.push("How long answers took, by quarter".to_owned());
        for answers in &review.answers {
            lines.push(format!("  {}", whose(answers)));
            lines.extend(answers.quarters.iter().map(|one| format!("    {}  {}{}", one.name, quarter(one), cited(&one.runs))));
        }
    }
    if !review.roles.is_empty() {
        lines.push(String::new());
        lines.push(format!("Roles in this time: {}", roles(review)));
    }
    lines.join("\n")
}

fn cell(text: &str) -> String {
    one_line(text, 1_000).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "'")
}

/// For a wiki or a pull request.
pub fn markdown(review: &Review) -> String {
    let mut out = format!("# Review of {}\n\n", review.now.strftime("%Y-%m-%d"));
    grounds(review).iter().for_each(|said| out.push_str(&format!("{}\n\n", cell(said))));
    out.push_str("| Verdict | Practice | Why | Runs |\n|---|---|---|---|\n");
    for judged in ordered(review) {
        let practice = judged.practice;
        let runs = judged.runs.iter().map(|run| cell(run)).collect::<Vec<_>>().join(", ");
        let _ =
            writeln!(out, "| {} | {} {} | {} | {runs} |", word(judged.verdict), practice.label, cell(&practice.title), cell(&judged.why));
    }
    if !review.cadences.is_empty() {
        out.push_str("\n| Scenario | How regularly |\n|---|---|\n");
        review.cadences.iter().for_each(|one| out.push_str(&format!("| {} | {} |\n", cell(&one.scenario), cell(&regular(one)))));
    }
    if !review.answers.is_empty() {
        out.push_str("\n| Answer | Quarter | How long |\n|---|---|---|\n");
        for answers in &review.answers {
            answers
                .quarters
                .iter()
                .for_each(|one| out.push_str(&format!("| {} | {} | {} |\n", cell(&whose(answers)), one.name, cell(&quarter(one)))));
        }
    }
    out
}

/// One practice in full: verdict, rule, values with the runs behind them, and what would have made it better. Lines for a terminal.
pub fn page(review: &Review, judged: &Judged) -> Vec<String> {
    let (all, practice) = (catalogue(), judged.practice);
    let mut lines = vec![
        format!("{}  {}", practice.label, practice.title),
        format!("{} · {} {}", practice.choice, practice.question_label, practice.question_title),
        String::new(),
        format!("{}: {}", word(judged.verdict), judged.why),
    ];
    lines.extend((!judged.runs.is_empty()).then(|| format!("runs: {}", judged.runs.join(", "))));
    lines.extend(practice.note.iter().map(|note| format!("note: {note}")));
    lines.extend(practice.remedy.iter().filter(|_| judged.verdict != Verdict::Supported).map(|remedy| format!("what helps: {remedy}")));
    lines.push(String::new());
    lines.push("rule, the first that holds".to_owned());
    for (name, text) in ["supported", "medium risk", "high risk"].iter().zip(&practice.texts) {
        lines.push(format!("  {name:<12} {}", text.as_deref().unwrap_or("cannot be reached")));
    }
    let (signals, targets) = practice.rule.as_ref().map(crate::score::rule::Rule::names).unwrap_or_default();
    lines.push(String::new());
    for signal in signals {
        let runs = review.runs_behind(signal);
        lines.push(format!("  {signal:<32} {}{}", explain::state(all, signal, review.readings.state(signal)), cited(runs)));
    }
    for target in targets {
        let told = review.readings.targets.get(target).map_or_else(|| "not declared".to_owned(), |t| format!("{}  [{}]", t.value, t.from));
        lines.push(format!("  {:<32} {told}", format!("target.{target}")));
    }
    if !judged.better.is_empty() {
        lines.push(String::new());
        lines.push("better with".to_owned());
        lines.extend(judged.better.iter().map(|line| format!("  {line}")));
    }
    lines
}

/// For programs, as [`schema`] says. What is not known is left out.
pub fn json(review: &Review) -> Value {
    let signal = |(name, signal): (&String, &crate::score::signal::Signal)| {
        let mut value = json!({ "runs": review.runs_behind(name), "text": explain::state(catalogue(), name, &signal.state) });
        let (state, more) = match &signal.state {
            State::Value(Measured::Bool(yes)) => ("measured", json!({ "is": yes })),
            State::Value(Measured::Number { lo, hi: Some(hi) }) => ("measured", json!({ "lo": lo, "hi": hi })),
            State::Value(Measured::Number { lo, hi: None }) => ("measured", json!({ "lo": lo })),
            State::Absent => ("measured_absent", json!({})),
            State::Undecided(_) => ("undecided", json!({})),
            State::NotInstrumented(_) => ("not_instrumented", json!({})),
        };
        value["state"] = state.into();
        more.as_object().into_iter().flatten().for_each(|(key, more)| value[key] = more.clone());
        (name.clone(), value)
    };
    let mut value = json!({
        "schema": SCHEMA, "framework_publication": catalogue().publication, "at": review.now.to_string(), "window_days": review.window_days,
        "runs": review.of, "evidence": review.evidence, "caveats": review.caveats,
        "practices": review.practices.iter().map(practice).collect::<Vec<_>>(),
        "signals": review.readings.signals.iter().map(signal).collect::<serde_json::Map<_, _>>(),
        "scenarios": review.cadences.iter().map(cadence).collect::<Vec<_>>(),
        "answers": review.answers.iter().map(answers).collect::<Vec<_>>(),
        "roles": review.roles.iter().map(|(role, acted)| json!({ "role": role, "acted": acted })).collect::<Vec<_>>(),
    });
    without_nulls(&mut value);
    value
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(all) => all.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn practice(judged: &Judged) -> Value {
    let risk = match judged.verdict {
        Verdict::Contradicted(Risk::Hri) => Some("high"),
        Verdict::Contradicted(Risk::Mri) => Some("medium"),
        _ => None,
    };
    let Practice { choice, label, title, question, .. } = judged.practice;
    json!({
        "choice": choice, "label": label, "title": title, "question": question, "verdict": judged.verdict.word(), "risk": risk, "why": judged.why,
        "better_with": judged.better, "runs": judged.runs,
    })
}

fn cadence(one: &Cadence) -> Value {
    json!({
        "scenario": one.scenario, "runs": one.runs, "others": one.others, "last": one.last, "days_ago": one.days_ago, "every_days": one.every_days,
        "declared": one.declared, "overdue": one.overdue(),
    })
}

fn answers(one: &Answers) -> Value {
    let quarter = |quarter: &Quarter| {
        json!({
            "quarter": quarter.name, "seen": quarter.seen, "on_time": quarter.on_time, "missed": quarter.missed, "not_observed": quarter.not_observed,
            "median_lo_us": quarter.median.map(|(lo, _)| span(lo).0 / 1_000), "median_hi_us": quarter.median.and_then(|(_, hi)| hi).map(|hi| span(hi).0.div_ceil(1_000)),
            "runs": quarter.runs,
        })
    };
    json!({ "role": one.role, "kind": one.kind, "quarters": one.quarters.iter().map(quarter).collect::<Vec<_>>() })
}

/// The JSON Schema of the review.
pub fn schema() -> Value {
    let list = |required: &[&str], properties: Value| json!({ "type": "array", "items": { "type": "object", "additionalProperties": false, "required": required, "properties": properties } });
    let (text, count, number, yes) = (
        json!({ "type": "string" }),
        json!({ "type": "integer", "minimum": 0 }),
        json!({ "type": "number" }),
        json!({ "type": "boolean" }),
    );
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let practice = json!({
        "choice": text, "label": text, "title": text, "question": text, "verdict": { "enum": ["supported", "contradicted", "not_drilled"] },
        "risk": { "enum": ["high", "medium"], "description": "Only where it is contradicted" }, "why": text, "better_with": texts, "runs": texts,
    });
    let signal = json!({
        "type": "object", "additionalProperties": false, "required": ["state", "text", "runs"], "properties": {
            "state": { "enum": ["measured", "measured_absent", "undecided", "not_instrumented"] }, "text": text, "runs": texts, "is": yes, "lo": number,
            "hi": { "type": "number", "description": "Absent where it has no end" },
        },
    });
    let scenario = json!({
        "scenario": text, "runs": count, "others": count, "last": text, "days_ago": number, "every_days": number, "declared": yes,
        "overdue": { "type": "boolean", "description": "Absent where no run of it is evidence" },
    });
    let quarter = json!({
        "quarter": { "type": "string", "pattern": "^[0-9]{4} Q[1-4]$" }, "seen": count, "on_time": count, "missed": count, "not_observed": count,
        "median_lo_us": count, "median_hi_us": { "type": "integer", "description": "Absent where the median itself was missed" }, "runs": texts,
    });
    let quarters = list(&["quarter", "seen", "on_time", "missed", "not_observed", "runs"], quarter);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA, "type": "object", "additionalProperties": false,
        "required": ["schema", "framework_publication", "at", "window_days", "runs", "evidence", "caveats", "practices", "signals", "scenarios", "answers", "roles"],
        "properties": {
            "schema": { "const": SCHEMA }, "framework_publication": text, "at": text, "window_days": count, "runs": count, "evidence": count, "caveats": texts,
            "practices": list(&["choice", "label", "title", "question", "verdict", "why", "better_with", "runs"], practice),
            "signals": { "type": "object", "additionalProperties": signal },
            "scenarios": list(&["scenario", "runs", "others", "every_days", "declared"], scenario),
            "answers": list(&["kind", "quarters"], json!({ "role": text, "kind": text, "quarters": quarters })),
            "roles": list(&["role", "acted"], json!({ "role": text, "acted": yes })),
        },
    })
}
