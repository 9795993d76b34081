//! Names that something else must have: secrets, and the `system`, `proxy` and `target` keys of a fault's spec.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::{Scenario, SecretRef};
use super::places::{Use, secrets_in, texts};
use super::{PROXY, SECRET, SYSTEM, Sort, TARGET, at, names, unknown};

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = secrets(s, known);
    for (id, fault) in &s.faults {
        let kind = fault.what.kind.as_str();
        let rules: [(&str, &Sort, Vec<&str>); 3] =
            [("system", &SYSTEM, names(&s.system)), ("proxy", &PROXY, names(&s.proxies)), ("target", &TARGET, names(&s.targets))];
        for (key, sort, known_names) in rules {
            for (place, name) in named(&fault.what.spec, key) {
                if !known_names.contains(&name) {
                    let place = format!("{}{place}", at(&["faults", id.as_str(), kind, key]));
                    out.push(unknown(place, sort, name, &known_names));
                }
            }
        }
    }
    out
}

/// The names under one key of a fault's spec: one, or a list.
pub(super) fn named<'a>(spec: &'a Value, key: &str) -> Vec<(String, &'a str)> {
    match spec.get(key) {
        Some(Value::String(name)) => vec![(String::new(), name)],
        Some(Value::Array(items)) => {
            items.iter().enumerate().filter_map(|(n, item)| item.as_str().map(|name| (format!("/{n}"), name))).collect()
        }
        _ => Vec::new(),
    }
}

/// What is needed to remove what ledgers wrote: the request and the readers, or, where the kind finds out by itself, all of its spec.
fn removals(s: &Scenario, known: &Known) -> Vec<String> {
    let cleans_up = |kind: &str, spec: &Value| known.probe(kind).is_some_and(|known| (known.cleans_up)(spec));
    let ledgers = s.probes.iter().filter(|(_, probe)| cleans_up(&probe.what.kind, &probe.what.spec));
    ledgers
        .flat_map(|(id, probe)| {
            let declared = probe.what.spec.get("clean_up").is_some();
            let parts: &[&str] = if declared { &["/clean_up", "/readers"] } else { &[""] };
            parts.iter().map(move |part| format!("{}{part}", at(&["probes", id.as_str(), &probe.what.kind])))
        })
        .collect()
}

fn secrets(s: &Scenario, known: &Known) -> Vec<Finding> {
    let removals = removals(s, known);
    let mut out = Vec::new();
    let hit: BTreeSet<&str> = s.faults.values().flat_map(|fault| named(&fault.what.spec, "system")).map(|(_, name)| name).collect();
    for text in texts(s) {
        for name in secrets_in(&text.text) {
            let Some(secret) = s.secrets.get(name) else {
                out.push(unknown(text.at.clone(), &SECRET, name, &names(&s.secrets)).part(format!("${{secret:{name}}}")));
                continue;
            };
            let undoes = match &text.used {
                Use::Undo => true,
                Use::System(id) => hit.contains(id.as_str()),
                Use::Told => false,
                Use::Other => removals.iter().any(|place| text.at.strip_prefix(place.as_str()).is_some_and(|rest| rest.starts_with('/'))),
            };
            match secret {
                SecretRef::SsmParameter(_) if text.used != Use::Told => out.push(
                    Finding::error(
                        &text.at,
                        format!("this version cannot fetch the secret `{name}`"),
                        "needs a secret that cannot be read",
                    )
                    .also(at(&["secrets", name]), "an AWS Systems Manager parameter")
                    .part(format!("${{secret:{name}}}"))
                    .help("use `env:` or `file:`"),
                ),
                SecretRef::Env(variable) if undoes => out.push(
                    Finding::warning(
                        &text.at,
                        format!("an undo needs the secret `{name}`, which a fresh process may not have"),
                        "needed to undo",
                    )
                    .part(format!("${{secret:{name}}}"))
                    .also(at(&["secrets", name]), format!("read from the environment variable {variable}"))
                    .help("put it into a file, `file: PATH`: `firedrill undo` after a crash has another environment"),
                ),
                SecretRef::SsmParameter(_) | SecretRef::Env(_) | SecretRef::File(_) => {}
            }
        }
    }
    out
}

/// What is declared and never used: often a slip of the pen at the place of use.
pub(super) fn unused(s: &Scenario, _: &Known) -> Vec<Finding> {
    let all = texts(s);
    let used: BTreeSet<&str> = all.iter().flat_map(|text| secrets_in(&text.text)).collect();
    let mut out: Vec<Finding> = s
        .secrets
        .keys()
        .filter(|id| !used.contains(id.as_str()))
        // A slip of the pen is reported where it stands, and only there.
        .filter(|id| did_you_mean(id.as_str(), used.iter().copied().filter(|name| !s.secrets.contains_key(*name))).is_none())
        .map(|id| {
            Finding::warning(at(&["secrets", id.as_str()]), format!("the secret `{id}` is never used"), "not used")
                .on_key()
                .help(format!("write `${{secret:{id}}}` where it is needed, or remove it"))
        })
        .collect();
    let hit: BTreeSet<&str> = s.faults.values().flat_map(|fault| named(&fault.what.spec, "target")).map(|(_, name)| name).collect();
    out.extend(s.targets.keys().filter(|id| !hit.contains(id.as_str())).map(|id| {
        Finding::warning(at(&["targets", id.as_str()]), format!("no fault hits the target `{id}`"), "not used")
            .on_key()
            .help(format!("write `target: {id}` in a fault, or remove it"))
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::model::{TargetDecl, TargetHow, UndoDecl};
    use super::super::sample::{condition, id, only, refuses, scenario, warns};
    use crate::base::Span;
    use crate::scenario::matcher::Matcher;
    use crate::scenario::model::{Kinded, SecretRef};
    use serde_json::json;

    #[test]
    fn the_fault_hits_something_that_is_there() {
        let mut s = scenario();
        s.faults[0].what.spec = json!({ "system": "primry" });
        let finding = refuses(&s, "/faults/lose-primary/process.kill/system", "no system process is called `primry`");
        assert_eq!(finding.help.as_deref(), Some("did you mean `primary`?"));
        assert_eq!(finding.also, vec![("/system/primary".into(), "system processes are declared here".into())]);
        s.faults[0].what.spec = json!({ "proxy": "x" });
        assert_eq!(refuses(&s, "/faults/lose-primary/process.kill/proxy", "no proxy").help.as_deref(), Some("there is `db`"));
        s.faults[0].what.spec = json!({ "target": "leader" });
        let finding = refuses(&s, "/faults/lose-primary/process.kill/target", "no target");
        assert_eq!(finding.help.as_deref(), Some("declare it under `targets:`"));
        s.faults[0].what.spec = json!({ "system": ["primary", "third"] });
        refuses(&s, "/faults/lose-primary/process.kill/system/1", "no system process is called `third`");
    }

    #[test]
    fn secrets_are_declared_used_and_readable() {
        let mut s = scenario();
        s.probes[0].what.spec = json!({ "url": "http://h/", "headers": { "authorization": "Bearer ${secret:tokn}" } });
        s.secrets.insert(id("token"), SecretRef::Env("TOKEN".into()));
        let finding = refuses(&s, "/probes/checkout/http/headers/authorization", "no secret is called `tokn`");
        assert_eq!(finding.help.as_deref(), Some("did you mean `token`?"));
        assert_eq!(super::super::sample::found(&s).len(), 1);
        s.probes[0].what.spec = json!({ "url": "http://h/${secret:token}" });
        assert!(super::super::sample::found(&s).is_empty());
        s.secrets[0] = SecretRef::SsmParameter("/p".into());
        refuses(&s, "/probes/checkout/http/url", "cannot fetch the secret");
        s.probes[0].what.spec = json!({ "url": "http://h/" });
        warns(&s, "/secrets/token", "never used");
    }

    #[test]
    fn an_undo_should_not_need_the_environment() {
        let mut s = scenario();
        s.secrets.insert(id("token"), SecretRef::Env("TOKEN".into()));
        let done = condition("http", json!({ "url": "http://h/" }), "status", Matcher::equals(200));
        s.faults[0].undo = Some(UndoDecl { run: Some(vec!["fix".into(), "${secret:token}".into()]), left_to: None, done_when: Some(done) });
        warns(&s, "/faults/lose-primary/undo/run/1", "a fresh process may not have");
        s.secrets[0] = SecretRef::File("t".into());
        assert!(super::super::sample::found(&s).is_empty());
        s.secrets[0] = SecretRef::Env("TOKEN".into());
        s.faults[0].undo = None;
        s.system[0].how.env.insert("PASSWORD".into(), "${secret:token}".into());
        assert_eq!(only(&s).at, "/system/primary/env/PASSWORD");
    }

    #[test]
    fn what_removes_keys_should_not_need_the_environment() {
        let mut s = scenario();
        s.secrets.insert(id("token"), SecretRef::Env("TOKEN".into()));
        s.probes[1].what.spec["write"]["headers"] = json!({ "x": "${secret:token}" });
        assert!(super::super::sample::found(&s).is_empty(), "to write takes no fresh process");
        s.probes[1].what.spec["clean_up"] =
            json!({ "method": "DELETE", "url": "http://h/${key.prefix}", "headers": { "x": "${secret:token}" } });
        assert_eq!(only(&s).at, "/probes/orders/ledger.http/clean_up/headers/x");
    }

    #[test]
    fn a_target_that_nothing_hits_is_pointed_out() {
        let mut s = scenario();
        let how = TargetHow { pick: None, among: vec![id("primary")], exactly: 1, within: Span::secs(1) };
        s.targets.insert(id("leader"), TargetDecl { what: Kinded { kind: "tcp".into(), spec: json!({}) }, how });
        warns(&s, "/targets/leader", "no fault hits");
    }
}
