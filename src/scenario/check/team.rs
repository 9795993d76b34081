//! References inside the `team` block: people's expectations, prompts and hints name moments, each other and roles.

use serde_json::Value;

use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::Scenario;
use super::super::moment::expectations;
use super::moments::named;
use super::{Sort, at, unknown};

const EXPECTATION: Sort = Sort { one: "expectation", many: "expectations", section: "team" };

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let Some(team) = &s.team else { return Vec::new() };
    let mut out = meaning(s, team);
    out.extend(super::cues::check(team));
    let room = Room { scenario: s, expected: expectations(s), roles: roles(team) };
    for (section, item) in [("expect", "from"), ("wrong_turns", ""), ("prompts", ""), ("hints", "")] {
        for (id, value) in team.get(section).and_then(Value::as_object).into_iter().flatten() {
            let place = at(&["team", section, id]);
            if !item.is_empty() {
                out.extend(room.from(&place, id, value));
            }
            for key in ["by", "to", "unavailable"] {
                out.extend(room.role(&place, key, value));
            }
            if let Some(asked) = value.get("expect").filter(|_| section == "prompts") {
                let place = format!("{place}/expect");
                out.extend(room.from(&place, id, asked));
                out.extend(room.role(&place, "by", asked));
            }
            for key in ["unless", "before"] {
                out.extend(room.expectation(&place, key, value));
            }
            for key in ["when", "at"] {
                let Some(moment) = value.get(key) else { continue };
                let place = format!("{place}/{key}");
                if let Some(after) = moment.get("after").and_then(Value::as_str) {
                    out.extend(named(s, &format!("{place}/after"), after).err().map(|finding| *finding));
                }
                for key in ["unless", "before"] {
                    out.extend(room.expectation(&place, key, moment));
                }
            }
        }
    }
    out
}

/// Patterns that are none, sources that are not there, times that are no time, and alerts that nobody asks for.
fn meaning(s: &Scenario, team: &Value) -> Vec<Finding> {
    let mut out = Vec::new();
    let section = |name: &str| team.get(name).and_then(Value::as_object).into_iter().flatten();
    let sources: Vec<&str> = section("signals").map(|(id, _)| id.as_str()).collect();
    for part in ["expect", "wrong_turns"] {
        for (id, value) in section(part) {
            let place = |rest: &str| format!("{}{rest}", at(&["team", part, id]));
            for kind in ["answer", "ack", "command"] {
                let Some(pattern) = value.get(kind).and_then(|spec| spec.get("matches")).and_then(Value::as_str) else { continue };
                if let Err(error) = regex::Regex::new(pattern) {
                    let why = error.to_string();
                    let last = why.lines().last().unwrap_or_default().to_owned();
                    out.push(Finding::error(place(&format!("/{kind}/matches")), "this is not a regular expression", last));
                }
            }
            let Some(alert) = value.get("alert") else { continue };
            if let Some(source) = alert.get("source").and_then(Value::as_str).filter(|source| !sources.contains(source)) {
                let finding = Finding::error(place("/alert/source"), format!("no source of alerts is called `{source}`"), "unknown source");
                out.push(match did_you_mean(source, sources.iter().copied()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help("declare it under `team.signals:`"),
                });
            } else if sources.is_empty() && part == "expect" && !s.tabletop {
                let finding = Finding::warning(
                    place("/alert"),
                    format!("nobody is asked whether `{id}` fires: it will not be observed"),
                    "no source",
                );
                out.push(
                    finding.help("add for example `signals: { paging: { alertmanager: { url: \"http://127.0.0.1:9093\" } } }` to `team`"),
                );
            }
        }
    }
    for (id, value) in section("signals") {
        let every = value.get("every").and_then(Value::as_str).and_then(|every| every.parse::<crate::base::Span>().ok());
        if every.is_some_and(|every| every < crate::base::Span::millis(100)) {
            let place = at(&["team", "signals", id, "every"]);
            out.push(
                Finding::error(place, "a source of alerts is asked ten times a second at most", "too often").help("write for example `1s`"),
            );
        }
    }
    out
}

fn roles(team: &Value) -> Vec<&str> {
    let declared = team.get("roles").and_then(Value::as_object);
    declared.map(|roles| roles.keys().map(String::as_str).collect()).unwrap_or_default()
}

struct Room<'a> {
    scenario: &'a Scenario,
    expected: Vec<&'a str>,
    roles: Vec<&'a str>,
}

impl Room<'_> {
    fn from(&self, place: &str, id: &str, value: &Value) -> Option<Finding> {
        let from = value.get("from")?.as_str()?;
        let place = format!("{place}/from");
        if from == id {
            return Some(Finding::error(place, format!("the expectation `{id}` counts from itself"), "itself"));
        }
        if from == "effect" || from == "steady" {
            return None;
        }
        named(self.scenario, &place, from).err().map(|finding| *finding)
    }

    fn expectation(&self, place: &str, key: &str, value: &Value) -> Option<Finding> {
        let text = value.get(key)?.as_str()?;
        if self.expected.contains(&text) {
            return None;
        }
        let mut finding = unknown(format!("{place}/{key}"), &EXPECTATION, text, &[]);
        finding.help = did_you_mean(text, self.expected.iter().copied())
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| Some("declare it under `team.expect:`".into()));
        Some(finding)
    }

    /// A role is checked only where roles are declared: a small team has none.
    fn role(&self, place: &str, key: &str, value: &Value) -> Option<Finding> {
        let text = value.get(key)?.as_str()?;
        if self.roles.is_empty() || self.roles.contains(&text) {
            return None;
        }
        let finding = Finding::error(format!("{place}/{key}"), format!("nobody has the role `{text}`"), "unknown role")
            .also("/team/roles", "roles are declared here");
        Some(match did_you_mean(text, self.roles.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("add `{text}: [NAME]` to `team.roles`")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario};
    use super::*;
    use serde_json::json;

    fn with(team: Value) -> Scenario {
        let mut s = scenario();
        s.team = Some(team);
        s
    }

    #[test]
    fn people_wait_for_things_that_are_there() {
        let good = json!({
            "roles": { "ops": ["dan"], "comms": ["erin"], "facilitator": ["alice"] },
            "signals": { "paging": { "alertmanager": { "url": "http://h:9093" } } },
            "expect": {
                "detected": { "alert": { "labels": {}, "source": "paging" }, "within": "30s" },
                "diagnosed": { "answer": { "ask": "?", "matches": "x" }, "within": "30s" },
                "acknowledged": { "ack": {}, "by": "ops", "within": "5m", "from": "detected" },
                "escalated": { "handoff": {}, "when": { "after": "acknowledged", "plus": "10m", "unless": "detected" } },
            },
            "wrong_turns": { "restarted": { "step": "x", "when": { "before": "detected" } } },
            "prompts": { "ask": { "at": { "after": "effective", "plus": "2m" }, "to": "comms", "say": "?", "expect": { "reply": {}, "within": "1m", "by": "comms" } } },
            "hints": { "look": { "at": { "after": "effective" }, "unless": "detected", "say": "!" } },
        });
        assert_eq!(found(&with(good.clone())), vec![]);
        for (pointer, slip, title) in [
            ("/expect/acknowledged/from", "detectd", "not a moment"),
            ("/expect/acknowledged/from", "acknowledged", "counts from itself"),
            ("/expect/acknowledged/by", "opps", "nobody has the role `opps`"),
            ("/expect/escalated/when/unless", "detekted", "no expectation is called"),
            ("/wrong_turns/restarted/when/before", "x", "no expectation"),
            ("/prompts/ask/at/after", "efective", "not a moment"),
            ("/prompts/ask/to", "coms", "nobody has the role `coms`"),
            ("/prompts/ask/expect/by", "coms", "nobody has the role `coms`"),
            ("/hints/look/unless", "detect", "no expectation"),
            ("/expect/detected/alert/source", "pagin", "no source of alerts is called `pagin`"),
            ("/expect/diagnosed/answer/matches", "(", "not a regular expression"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = json!(slip);
            refuses(&with(bad), &format!("/team{pointer}"), title);
        }
    }
}
