//! The part of the schema that speaks of people.

use serde_json::{Value, json};

use super::{Field, boolean, instant, interval, list, map_of, number, object, text, word};

pub(super) fn team() -> Value {
    let stamps = object(vec![("all", number(), "what met expectations"), ("machine_observed", number(), "of these, by machines")], vec![]);
    let unrelated = object(
        vec![
            ("name", text(), "its name"),
            ("source", text(), "kind of its source"),
            ("seen_mono_ns", instant(), "when it was first seen to fire"),
        ],
        vec![],
    );
    object(
        vec![
            ("expectations", map_of(expectation()), "by expectation; those that were not due are left out"),
            ("not_due", list(text()), "expectations whose condition did not come true"),
            ("wrong_turns", map_of(turn()), "by wrong turn"),
            ("unrelated_alerts", list(unrelated), "alerts after the fault that no expectation speaks of"),
            ("unattended", boolean(), "nobody took part: the team's verdict is no part of the exit code"),
            ("stamps", stamps, "who observed what met expectations"),
            ("why", list(text()), "why the team's verdict is what it is, the deciding reasons first"),
            ("not_judged", list(text()), "what the scenario declares and this version does not judge"),
        ],
        led(),
    )
}

fn walk() -> Value {
    let done = object(
        vec![("step", text(), "its id"), ("at_mono_ns", instant(), "when, the first time"), ("by", text(), "the role")],
        vec![
            ("took_us", number(), "for the first thing that was told"),
            ("after", text(), "when it was done in the order of the runbook; else a step that the runbook has later"),
            ("back_mono_ns", instant(), "when it was not taken back"),
        ],
    );
    object(
        vec![("runbook", text(), "its name"), ("done", list(done), "in the order in which they were done")],
        vec![
            ("steps", number(), "when it is not known how many it has"),
            ("left_out", list(text()), "when its steps are not known; else those before the last one done that nobody told of"),
        ],
    )
}

/// What those who led it did, and what was learnt.
fn led() -> Vec<Field> {
    let blind = object(
        vec![
            ("shown_as", text(), "what stood in the place of the title"),
            ("apart", boolean(), "everybody who responded has an account of their own; else blind by convention"),
            ("doubts", list(text()), "what may have told them more than it should"),
        ],
        vec![
            ("revealed_mono_ns", instant(), "when it was not revealed before its end"),
            ("revealed_by", text(), "when it was not revealed before its end"),
        ],
    );
    let real =
        object(vec![("at_mono_ns", instant(), "when"), ("by", text(), "who said so"), ("reason", text(), "what has happened")], vec![]);
    let prompt = object(
        vec![
            ("given_mono_ns", instant(), "when it was said"),
            ("to", text(), "to which role"),
            ("replied", boolean(), "somebody has replied"),
        ],
        vec![],
    );
    let remark = || object(vec![("text", text(), "what"), ("by", text(), "an account"), ("at", text(), "wall time, a label")], vec![]);
    let action = object(
        vec![
            ("id", text(), "its name within the run"),
            ("text", text(), "what"),
            ("owner", text(), "who"),
            ("due", text(), "until when, a day"),
        ],
        vec![],
    );
    let debrief = object(
        vec![
            ("well", list(remark()), "what went well"),
            ("surprises", list(remark()), "what surprised"),
            ("factors", list(remark()), "what contributed"),
            ("changes", list(remark()), "what to change"),
            ("actions", list(action), "action items"),
        ],
        vec![("damaged_line", number(), "when every line of it continues the one before it")],
    );
    vec![
        ("mode", word(&["announced", "blind"]), "when the scenario has no team"),
        ("blind", blind, "when it was announced"),
        ("real", real, "when it was not stopped for something real"),
        ("paused_us", number(), "when the clock of people never stood still"),
        ("prompts", map_of(prompt), "when none was given; by prompt"),
        ("hints_mono_ns", map_of(instant()), "when none was given; by hint, when"),
        ("unavailable_mono_ns", map_of(instant()), "when no role was taken out; by role, from when on"),
        ("runbooks", list(walk()), "when no step of a runbook was told of"),
        ("debrief", debrief, "when nothing was written down of the run"),
    ]
}

fn expectation() -> Value {
    let repeats = object(
        vec![
            ("due", number(), "how often after the first time"),
            ("kept", number(), "of these, in time"),
            ("missed_mono_ns", list(instant()), "when it was due and did not come"),
        ],
        vec![],
    );
    let kinds = word(&["alert", "ack", "mark", "answer", "step", "message", "handoff", "command", "reply"]);
    object(
        vec![
            ("verdict", word(&["on_time", "late", "missed", "not_observed"]), "what became of it"),
            ("why", text(), "for people"),
            ("kind", kinds, "what is observed"),
            ("what", text(), "for people"),
            ("within_us", number(), "how long it may take"),
            ("from", text(), "counted from, for people"),
            ("counts", boolean(), "part of the team's verdict; else training"),
            ("never", boolean(), "it must not happen"),
            ("machine", boolean(), "a machine observes it"),
            ("out_of_order", boolean(), "it came before what it is counted from"),
            ("hinted", boolean(), "a hint was given before"),
            ("also", list(text()), "others who said the same"),
            ("entries", list(number()), "journal entries that show it"),
        ],
        vec![
            ("by", text(), "when no role is named"),
            ("due_mono_ns", instant(), "when counting did not begin"),
            ("observed", interval(), "when it was not"),
            ("took_us", number(), "when it was not observed; at most, counted from"),
            ("took_lo_us", number(), "when it was not observed; at least"),
            ("source", text(), "when it was not observed; a kind of source, or a role"),
            ("who", text(), "when it was not observed; the source's id, or an account"),
            ("received_mono_ns", instant(), "when nobody claimed another time than when they were heard"),
            ("starts_mono_ns", json!({ "type": "integer" }), "when the source says no time of its own; by wall clocks"),
            ("paused_us", number(), "when the clock of people did not stand still before it was observed"),
            ("repeats", repeats, "when it is not expected again and again, or never came"),
        ],
    )
}

fn turn() -> Value {
    object(
        vec![
            ("verdict", word(&["avoided", "taken", "backed_out", "not_observed"]), "what became of it"),
            ("why", text(), "for people"),
            ("what", text(), "for people"),
            ("entries", list(number()), "journal entries that show it"),
        ],
        vec![
            ("taken_mono_ns", instant(), "when it was not taken"),
            ("lost_us", number(), "when it was not taken"),
            ("by", text(), "when it was not taken; a role"),
            ("teaches", text(), "when the scenario does not say"),
        ],
    )
}
