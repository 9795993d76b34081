//! Who is listened to while a drill runs: nobody who does not show who they are, and no secret that stands in the file.

use serde_json::Value;

use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::{Scenario, SecretRef};
use super::super::sources::address;
use super::at;
use super::places::secrets_in;

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let Some(team) = &s.team else { return Vec::new() };
    let mut out = Vec::new();
    let signals = team.get("signals").and_then(Value::as_object).into_iter().flatten();
    let receivers: Vec<(&String, &String, &Value)> = signals
        .clone()
        .filter_map(|(id, source)| Some((id, source.as_object()?.iter().find(|(key, _)| key.starts_with("receive."))?)))
        .map(|(id, (kind, spec))| (id, kind, spec))
        .collect();
    for (id, kind, spec) in &receivers {
        out.extend(receiver(s, id, kind, spec));
        if team["signals"][id.as_str()].get("every").is_some() {
            let finding = Finding::error(at(&["team", "signals", id, "every"]), format!("`{id}` is told, and never asked"), "not asked");
            out.push(finding.help("leave `every` out"));
        }
    }
    for (id, source) in signals {
        if let Some(token) = source.get("pagerduty").and_then(|spec| spec.get("token")).and_then(Value::as_str) {
            out.extend(secret(s, &at(&["team", "signals", id, "pagerduty", "token"]), token));
        }
    }
    match team.get("listen") {
        Some(listen) => out.extend(listener(s, team, listen, receivers.is_empty())),
        None => {
            if let Some((id, kind, _)) = receivers.first() {
                let place = at(&["team", "signals", id, kind]);
                let finding = Finding::error(place, format!("nobody listens to what `{id}` is told"), "no place to tell it");
                out.push(finding.help("add for example `listen: { address: \"127.0.0.1:8123\" }` to `team`"));
            }
        }
    }
    out
}

/// One who tells of their own accord.
fn receiver(s: &Scenario, id: &str, kind: &str, spec: &Value) -> Vec<Finding> {
    let place = |key: &str| at(&["team", "signals", id, kind, key]);
    let mut out = Vec::new();
    for key in ["token", "secret"] {
        if let Some(text) = spec.get(key).and_then(Value::as_str) {
            out.extend(secret(s, &place(key), text));
        }
    }
    if kind == "receive.grafana" && spec.get("token").is_none() && spec.get("secret").is_none() {
        let finding =
            Finding::error(at(&["team", "signals", id, kind]), format!("anybody could tell `{id}` anything"), "neither token nor secret");
        out.push(finding.help("add `token: \"${secret:ID}\"`, or `secret: \"${secret:ID}\"` with which Grafana signs"));
    }
    if kind == "receive.sns" {
        let topic = spec.get("topic").and_then(Value::as_str).unwrap_or_default();
        if !topic.starts_with("arn:aws:sns:") || topic.split(':').count() != 6 || topic.split(':').any(str::is_empty) {
            let finding = Finding::error(place("topic"), "this is not a topic of SNS", "no topic");
            out.push(finding.help("write it as `arn:aws:sns:REGION:ACCOUNT:NAME`"));
        }
        if !cfg!(feature = "sns") {
            let finding =
                Finding::error(at(&["team", "signals", id, kind]), "this build cannot check what SNS signs", "made without `sns`");
            out.push(finding.help("use a build with the feature `sns`, which the released one has"));
        }
    }
    out
}

/// What must be a reference to a secret that can be read.
fn secret(s: &Scenario, place: &str, text: &str) -> Option<Finding> {
    let names = secrets_in(text);
    let [name] = names.as_slice() else {
        let finding = Finding::error(place, "a secret does not stand in a scenario", "in plain text");
        return Some(finding.help("declare it under `secrets:` and write `${secret:ID}`"));
    };
    match s.secrets.get(*name) {
        Some(SecretRef::SsmParameter(_)) => {
            let finding = Finding::error(place, format!("this version cannot fetch the secret `{name}`"), "cannot be read");
            Some(finding.also(at(&["secrets", name]), "an AWS Systems Manager parameter").help("use `env:` or `file:`"))
        }
        // One that is not declared is told of elsewhere.
        _ if text == format!("${{secret:{name}}}") => None,
        _ => Some(
            Finding::error(place, "the whole of it must be the secret", "more than a reference")
                .help(format!("write `${{secret:{name}}}`")),
        ),
    }
}

/// Where calls are taken, and the tokens of people.
fn listener(s: &Scenario, team: &Value, listen: &Value, nobody_tells: bool) -> Vec<Finding> {
    let mut out = Vec::new();
    let place = at(&["team", "listen", "address"]);
    match listen.get("address").and_then(Value::as_str).map(address) {
        Some(Some(found)) if found.ip().is_loopback() => {}
        Some(Some(_)) => out.push(
            Finding::warning(place, "tokens travel in plain text to an address that others reach", "not loopback")
                .help("listen at 127.0.0.1, and let a proxy with TLS stand before it"),
        ),
        _ => out.push(
            Finding::error(place, "this is not an address to listen at", "no IP address with a port")
                .help("write for example `127.0.0.1:8123`"),
        ),
    }
    let roles = team.get("roles").and_then(Value::as_object);
    let roles: Vec<&str> = roles.into_iter().flatten().map(|(role, _)| role.as_str()).collect();
    let tokens: Vec<(&String, &str)> = listen
        .get("tokens")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(role, token)| Some((role, token.as_str()?)))
        .collect();
    for (n, (role, token)) in tokens.iter().enumerate() {
        let place = at(&["team", "listen", "tokens", role]);
        if !roles.is_empty() && !roles.contains(&role.as_str()) {
            let finding = Finding::error(&place, format!("nobody has the role `{role}`"), "unknown role").on_key();
            let finding = finding.also("/team/roles", "roles are declared here");
            out.push(match did_you_mean(role, roles.iter().copied()) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => finding.help(format!("add `{role}: [NAME]` to `team.roles`")),
            });
        }
        if let Some((other, _)) = tokens.iter().take(n).find(|(_, other)| other == token) {
            let finding = Finding::error(&place, format!("`{other}` and `{role}` have the same token"), "the same token");
            out.push(finding.help("a token says who somebody is: give each role its own"));
        }
        out.extend(secret(s, &place, token));
    }
    if nobody_tells && tokens.is_empty() {
        let finding = Finding::warning(at(&["team", "listen"]), "nobody would be heard there", "no receiver and no token");
        out.push(finding.help("add a source such as `receive.alertmanager` to `signals`, or `tokens`"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::{found, refuses, scenario};
    use super::*;
    use serde_json::json;

    fn with(team: Value) -> Scenario {
        let mut s = scenario();
        for name in ["hook", "ops", "dba"] {
            s.secrets.insert(name.parse().unwrap(), SecretRef::Env("X".into()));
        }
        s.secrets.insert("far".parse().unwrap(), SecretRef::SsmParameter("/x".into()));
        s.team = Some(team);
        s
    }

    #[test]
    fn nobody_is_believed_who_shows_nothing() {
        let good = json!({
            "roles": { "ops": ["dan"], "dba": ["gina"] },
            "listen": { "address": "127.0.0.1:8123", "tokens": { "ops": "${secret:ops}", "dba": "${secret:dba}" } },
            "signals": {
                "hook": { "receive.alertmanager": { "token": "${secret:hook}" } },
                "graphs": { "receive.grafana": { "secret": "${secret:hook}" } },
                "alarms": { "receive.sns": { "topic": "arn:aws:sns:eu-west-1:123456789012:alarms" } },
                "pager": { "pagerduty": { "token": "${secret:hook}" } },
            },
        });
        if cfg!(feature = "sns") {
            let unused = ("/secrets/far".to_owned(), "the secret `far` is never used".to_owned());
            assert_eq!(found(&with(good.clone())), vec![unused]);
        }
        for (pointer, slip, title) in [
            ("/listen/address", json!("8123"), "not an address"),
            ("/listen/address", json!("127.0.0.1:0"), "not an address"),
            ("/listen/address", json!("localhost:1"), "not an address"),
            ("/listen/tokens/ops", json!("sesame"), "does not stand in a scenario"),
            ("/listen/tokens/ops", json!("x${secret:ops}"), "the whole of it"),
            ("/listen/tokens/dba", json!("${secret:ops}"), "have the same token"),
            ("/signals/hook/receive.alertmanager/token", json!("sesame"), "does not stand in a scenario"),
            ("/signals/hook/receive.alertmanager/token", json!("${secret:far}"), "cannot fetch the secret"),
            ("/signals/pager/pagerduty/token", json!("sesame"), "does not stand in a scenario"),
            ("/signals/alarms/receive.sns/topic", json!("alarms"), "not a topic"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = slip;
            refuses(&with(bad), &format!("/team{pointer}"), title);
        }
        let mut bad = good.clone();
        bad["listen"]["tokens"] = json!({ "opps": "${secret:ops}" });
        refuses(&with(bad), "/team/listen/tokens/opps", "nobody has the role `opps`");
        let mut bad = good.clone();
        bad["signals"]["graphs"]["receive.grafana"] = json!({});
        refuses(&with(bad), "/team/signals/graphs/receive.grafana", "anybody could tell");
        let mut bad = good;
        bad.as_object_mut().unwrap().remove("listen");
        refuses(&with(bad), "/team/signals/hook/receive.alertmanager", "nobody listens");
    }
}
