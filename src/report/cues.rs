//! What those who led a drill did, and what was learnt of it: announced or blind, prompts, pauses, a stop for something real, the debrief. In the words and
//! values that every format uses.

use serde_json::{Map, Value, json};

use crate::base::{At, Span};
use crate::response::debrief::{Item, Written};
use crate::score::words::many;

use super::Report;
use super::view::clock;

/// What is said of it beside the table, a sentence each.
pub(super) fn remarks(report: &Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let cues = &report.facts.team.cues;
    if let Some((at, by, reason)) = &cues.real {
        out.push(format!("Stopped at {} by {by}, because of something real: {reason}.", clock(*at)));
    }
    if report.plan.team.is_some() {
        out.push(mode(report));
    }
    if let Some((_, _, doubts)) = &cues.blind {
        out.extend(doubts.iter().map(|doubt| format!("Blindness in doubt: {doubt}.")));
    }
    let stood = cues.clock.in_all(report.facts.run.end);
    if cues.clock.pauses() > 0 {
        let times = many(cues.clock.pauses() as u64, "pause");
        out.push(format!("The clock of people stood still for {} in {times}; what the system did is counted all the same.", stood.human()));
    }
    out.extend(
        cues.gone
            .iter()
            .map(|(role, at)| format!("{role} was unavailable from {} on: what was expected of it anybody might do.", clock(*at))),
    );
    out
}

fn mode(report: &Report<'_>) -> String {
    let cues = &report.facts.team.cues;
    let Some((shown_as, apart, _)) = &cues.blind else {
        let wished = if report.plan.is_blind() { "; it was to be blind, and ended before it began" } else { "" };
        return format!("Announced: those who responded could know what would happen{wished}.");
    };
    let how = match apart {
        true => "hidden from the accounts of those who responded",
        false => "blind by convention, because somebody who responded shares the account of the drill, is root, or has no account here",
    };
    let revealed = match &cues.revealed {
        Some((at, by)) => format!("revealed at {} by {by}", clock(*at)),
        None => "not revealed before its end".to_owned(),
    };
    format!("Blind: shown as “{shown_as}”, {how}; {revealed}.")
}

/// Its part of `team` of the JSON report.
pub(super) fn value(report: &Report<'_>, start: u64) -> Map<String, Value> {
    let cues = &report.facts.team.cues;
    let at = |at: At| start.saturating_add(at.0);
    let mut out = Map::new();
    let mut add = |name: &str, value: Option<Value>| drop(value.map(|value| out.insert(name.to_owned(), value)));
    add("mode", report.plan.team.as_ref().map(|_| json!(if cues.blind.is_some() { "blind" } else { "announced" })));
    add(
        "blind",
        cues.blind.as_ref().map(|(shown_as, apart, doubts)| {
            let (revealed, by) = cues.revealed.clone().unzip();
            json!({ "shown_as": shown_as, "apart": apart, "doubts": doubts, "revealed_mono_ns": revealed.map(at), "revealed_by": by })
        }),
    );
    add("real", cues.real.as_ref().map(|(when, by, reason)| json!({ "at_mono_ns": at(*when), "by": by, "reason": reason })));
    let stood = cues.clock.in_all(report.facts.run.end);
    add("paused_us", (stood > Span::ZERO).then(|| json!(stood.as_micros())));
    let prompts: Map<String, Value> = cues
        .prompts
        .iter()
        .map(|(id, given)| (id.clone(), json!({ "given_mono_ns": at(given.at), "to": given.to, "replied": given.replied })))
        .collect();
    add("prompts", (!prompts.is_empty()).then(|| json!(prompts)));
    let hints: Map<String, Value> = cues.hints.iter().map(|(id, when)| (id.clone(), json!(at(*when)))).collect();
    add("hints_mono_ns", (!hints.is_empty()).then(|| json!(hints)));
    let gone: Map<String, Value> = cues.gone.iter().map(|(role, when)| (role.clone(), json!(at(*when)))).collect();
    add("unavailable_mono_ns", (!gone.is_empty()).then(|| json!(gone)));
    let debrief = &report.facts.team.debrief;
    add("debrief", (!debrief.is_empty()).then(|| {
        let of = |pick: fn(&Item) -> Option<&String>| -> Vec<Value> {
            debrief.entries.iter().filter_map(|w| Some(json!({ "text": pick(&w.item)?, "by": w.by, "at": w.wall }))).collect()
        };
        json!({
            "well": of(|item| if let Item::Well(text) = item { Some(text) } else { None }),
            "surprises": of(|item| if let Item::Surprise(text) = item { Some(text) } else { None }),
            "factors": of(|item| if let Item::Factor(text) = item { Some(text) } else { None }),
            "changes": of(|item| if let Item::Change(text) = item { Some(text) } else { None }),
            "actions": debrief.actions().map(|a| json!({ "id": a.id, "text": a.text, "owner": a.owner, "due": a.due })).collect::<Vec<_>>(),
            "damaged_line": debrief.damaged,
        })
    }));
    out
}

/// What was learnt, by heading; nothing where nothing was written down.
pub(super) fn debrief(report: &Report<'_>) -> Vec<(&'static str, Vec<String>)> {
    let debrief = &report.facts.team.debrief;
    let of = |pick: &dyn Fn(&Written) -> Option<String>| debrief.entries.iter().filter_map(pick).collect::<Vec<_>>();
    let parts = [
        ("What went well", of(&|w| if let Item::Well(text) = &w.item { Some(text.clone()) } else { None })),
        ("What surprised us", of(&|w| if let Item::Surprise(text) = &w.item { Some(text.clone()) } else { None })),
        ("What contributed", of(&|w| if let Item::Factor(text) = &w.item { Some(text.clone()) } else { None })),
        ("What to change", of(&|w| if let Item::Change(text) = &w.item { Some(text.clone()) } else { None })),
        ("Action items", debrief.actions().map(|a| format!("{}: {} ({}, until {})", a.id, a.text, a.owner, a.due)).collect()),
        (
            "Left out",
            debrief.damaged.map(|line| format!("line {line} of the debrief and what follows it: it was changed")).into_iter().collect(),
        ),
    ];
    parts.into_iter().filter(|(_, texts)| !texts.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::Debrief;
    use crate::response::debrief::read;
    use crate::score::samples::all;
    use crate::score::score;

    #[test]
    fn every_form_tells_how_it_was_led_and_what_was_learnt() {
        let mut sample = all().into_iter().find(|sample| sample.name == "passed").unwrap();
        let text = "## What went well\n- The page came\n## What surprised us\n- No key\n## What to change\n- Keys\n## Action items\n- Cut <two>; owner: dan; due: 2026-12-24\n";
        let lines = Debrief::default().lines("01R", "alice", "now", read(text).unwrap()).unwrap();
        let team = &mut sample.facts.team;
        team.debrief = Debrief::parse("01R", &lines);
        team.cues.blind = Some(("Thursday".into(), false, vec!["argv can be read".into()]));
        team.cues.revealed = Some((At(61_000_000_000), "alice, as facilitator".into()));
        team.cues.real = Some((At(62_000_000_000), "dan, as ops".into(), "the shop burns".into()));
        team.cues.gone.insert("commander".into(), At(60_000_000_000));
        let score = score(&sample.plan, &sample.facts);
        let report = Report::new(&sample.plan, &sample.facts, &score);
        let forms =
            [crate::report::text::render(&report, false), crate::report::markdown::render(&report), crate::report::html::render(&report)];
        for form in forms {
            let form = form.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in [
                "Blind: shown as",
                "revealed at 01:01",
                "by convention",
                "something real: the shop burns",
                "argv can be read",
                "The page came",
                "No key",
                "commander was unavailable",
            ] {
                assert!(form.contains(part), "`{part}` is missing in\n{form}");
            }
            assert!(!form.contains("Cut <two>") || form.contains("a1: Cut <two> (dan, until 2026-12-24)"), "{form}");
        }
        let json = crate::report::json::value(&report);
        assert_eq!(json["team"]["debrief"]["actions"][0]["due"], "2026-12-24");
        assert_eq!((&json["team"]["mode"], &json["team"]["blind"]["apart"]), (&json!("blind"), &json!(false)));
        let validator = jsonschema::validator_for(&crate::report::json::schema()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}
