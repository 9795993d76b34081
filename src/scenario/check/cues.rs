//! Prompts, hints and blindness: what could never be said, asked or hidden as it is written.

use serde_json::Value;

use super::super::finding::Finding;
use super::at;

pub(super) fn check(team: &Value) -> Vec<Finding> {
    let mut out = blind(team);
    let section = |name: &str| team.get(name).and_then(Value::as_object).into_iter().flatten();
    for (id, prompt) in section("prompts") {
        let place = |rest: &str| format!("{}{rest}", at(&["team", "prompts", id]));
        let text = |key: &str| prompt.get(key).and_then(Value::as_str);
        if prompt.get("expect").is_some() && team.get("expect").and_then(|expect| expect.get(id)).is_some() {
            out.push(
                Finding::error(place("/expect"), format!("what the prompt `{id}` asks for has the name of an expectation"), "taken")
                    .also(at(&["team", "expect", id]), "the expectation is declared here")
                    .help("give the prompt another id: reports show what it asks for under it"),
            );
        }
        if prompt.pointer("/at/after").and_then(Value::as_str) == Some(id.as_str()) {
            let finding = Finding::error(place("/at/after"), format!("the prompt `{id}` waits for its own answer"), "never comes");
            out.push(finding.help("leave `at` out, and release it: firedrill prompt"));
        }
        if text("unavailable").is_some() && text("unavailable") == text("to") {
            let finding =
                Finding::error(place("/unavailable"), format!("the prompt `{id}` is said to whom it takes out"), "out of the drill");
            out.push(finding.help("say it to the facilitator"));
        }
        if text("say").is_some_and(|say| say.trim().is_empty()) {
            out.push(Finding::error(place("/say"), "a prompt needs words", "empty"));
        }
        let pattern = prompt.pointer("/expect/reply/matches").and_then(Value::as_str);
        if let Some(Err(error)) = pattern.map(regex::Regex::new) {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().to_owned();
            out.push(Finding::error(place("/expect/reply/matches"), "this is not a regular expression", last));
        }
    }
    out
}

/// A blind drill says what it is called meanwhile; who responds has a role, and none that leads.
fn blind(team: &Value) -> Vec<Finding> {
    let mut out = Vec::new();
    if team.get("mode").and_then(Value::as_str) != Some("blind") {
        return out;
    }
    if team.get("shown_as").is_none() {
        let finding = Finding::warning("/team/mode", "a blind drill has no name that participants may see", "shown as “An exercise”");
        out.push(finding.help("add `shown_as: Thursday on-call exercise` to `team`"));
    }
    let roles = || team.get("roles").and_then(Value::as_object).into_iter().flatten();
    let people = |role: &Value| role.as_array().into_iter().flatten().filter_map(|p| p.as_str().map(str::to_owned)).collect::<Vec<_>>();
    let leads = |role: &str| matches!(role, "facilitator" | "safety");
    let leading: Vec<String> = roles().filter(|(role, _)| leads(role)).flat_map(|(_, who)| people(who)).collect();
    for (role, who) in roles().filter(|(role, _)| !leads(role)) {
        if let Some(both) = people(who).into_iter().find(|person| leading.contains(person)) {
            let what = format!("{both} leads this blind drill, and responds to it as {role}");
            let finding = Finding::warning(at(&["team", "roles", role]), what, "knows everything");
            out.push(finding.help("let somebody else lead, or expect nothing of them"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario};
    use serde_json::{Value, json};

    fn with(team: Value) -> crate::scenario::model::Scenario {
        let mut s = scenario();
        s.team = Some(team);
        s
    }

    #[test]
    fn what_could_never_be_said_is_refused() {
        let good = json!({
            "expect": { "acked": { "ack": {}, "within": "1m" } },
            "prompts": { "ask": { "at": { "after": "acked" }, "to": "ops", "say": "?", "expect": { "reply": { "matches": "x" }, "within": "1m" } } },
        });
        assert_eq!(found(&with(good.clone())), vec![]);
        for (pointer, slip, title) in [
            ("/prompts/ask/at/after", json!("ask"), "waits for its own answer"),
            ("/prompts/ask/say", json!(" "), "needs words"),
            ("/prompts/ask/expect/reply/matches", json!("("), "not a regular expression"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = slip;
            refuses(&with(bad), &format!("/team{pointer}"), title);
        }
        let mut bad = good.clone();
        bad["prompts"]["ask"]["unavailable"] = json!("ops");
        refuses(&with(bad), "/team/prompts/ask/unavailable", "whom it takes out");
        let mut bad = good;
        bad["expect"]["ask"] = json!({ "ack": {}, "within": "1m" });
        refuses(&with(bad), "/team/prompts/ask/expect", "has the name of an expectation");
    }

    #[test]
    fn a_blind_drill_has_a_name_to_show_and_leaders_who_do_not_respond() {
        let team = json!({ "mode": "blind", "roles": { "facilitator": ["alice"], "ops": ["alice", "dan"] } });
        let titles: Vec<String> = found(&with(team)).into_iter().map(|(_, title)| title).collect();
        assert_eq!(
            titles,
            ["a blind drill has no name that participants may see", "alice leads this blind drill, and responds to it as ops"]
        );
        assert_eq!(
            found(&with(json!({ "mode": "blind", "shown_as": "x", "roles": { "facilitator": ["alice"], "ops": ["dan"] } }))),
            vec![]
        );
    }
}
