//! Where in a scenario something is observed, and where text stands that is filled at the moment of use.

use serde_json::Value;

use super::super::model::{ConditionDecl, Expect, Kinded, Observed, Scenario};
use super::at;
use crate::base::{Id, Span};

/// What is looked at.
pub(super) enum Seen<'a> {
    Kind(&'a Kinded),
    Probe(&'a Id),
}

/// One observation beside the probes themselves.
pub(super) struct Look<'a> {
    pub at: String,
    pub seen: Seen<'a>,
    pub expect: Option<&'a Expect>,
    pub every: Option<Span>,
    pub within: Option<Span>,
    /// Needed to undo, perhaps by a fresh process.
    pub undoes: bool,
}

fn seen(what: &Observed) -> Seen<'_> {
    match what {
        Observed::Kind(kinded) => Seen::Kind(kinded),
        Observed::Probe(id) => Seen::Probe(id),
    }
}

fn condition(place: String, decl: &ConditionDecl) -> Look<'_> {
    Look {
        at: place,
        seen: seen(&decl.what),
        expect: Some(&decl.how.expect),
        every: decl.how.every,
        within: decl.how.within,
        undoes: false,
    }
}

fn plain(place: String, what: &Kinded) -> Look<'_> {
    Look { at: place, seen: Seen::Kind(what), expect: None, every: None, within: None, undoes: false }
}

/// Every observation beside the probes, in file order of the sections.
pub(super) fn looks(s: &Scenario) -> Vec<Look<'_>> {
    let mut out = Vec::new();
    for (id, system) in &s.system {
        out.extend(system.ready.iter().map(|ready| condition(at(&["system", id.as_str(), "ready"]), ready)));
    }
    for (id, target) in &s.targets {
        out.push(plain(at(&["targets", id.as_str()]), &target.what));
    }
    for (id, guard) in &s.guards {
        let look = Look {
            at: at(&["guards", id.as_str()]),
            seen: seen(&guard.what),
            expect: Some(&guard.how.expect),
            every: guard.how.every,
            within: None,
            undoes: false,
        };
        out.push(look);
    }
    for (id, fault) in &s.faults {
        out.extend(fault.confirm.iter().map(|confirm| condition(at(&["faults", id.as_str(), "confirm"]), confirm)));
        let done = fault.undo.iter().flat_map(|undo| &undo.done_when);
        let done = done.map(|done| condition(at(&["faults", id.as_str(), "undo", "done_when"]), done));
        out.extend(done.map(|look| Look { undoes: true, ..look }));
    }
    for (id, restore) in &s.restore {
        out.extend(restore.only_if.iter().map(|only| condition(at(&["restore", id.as_str(), "only_if"]), only)));
    }
    for (id, subject) in &s.subject {
        out.push(plain(at(&["subject", id.as_str()]), &subject.what));
    }
    let reset = s.reset.iter().flat_map(|reset| &reset.done_when);
    out.extend(reset.map(|done| condition(at(&["reset", "done_when"]), done)));
    out
}

/// Who needs a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Use {
    /// An undo that the scenario declares.
    Undo,
    /// A `system:` process, by id.
    System(Id),
    /// People and other programs: carried, not used by this version.
    Told,
    /// Anything else.
    Other,
}

/// One string in the scenario that may hold `${…}`.
pub(super) struct Text {
    pub at: String,
    pub text: String,
    pub used: Use,
}

fn strings(place: &str, value: &Value, used: &Use, out: &mut Vec<Text>) {
    match value {
        Value::String(text) => out.push(Text { at: place.to_owned(), text: text.clone(), used: used.clone() }),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                strings(&format!("{place}/{n}"), item, used, out);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                strings(&format!("{place}{}", at(&[key])), item, used, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn argv(place: &str, run: &[String], used: &Use, out: &mut Vec<Text>) {
    for (n, text) in run.iter().enumerate() {
        out.push(Text { at: format!("{place}/{n}"), text: text.clone(), used: used.clone() });
    }
}

/// Every string that may hold `${…}`.
pub(super) fn texts(s: &Scenario) -> Vec<Text> {
    let mut out = Vec::new();
    for (id, system) in &s.system {
        let used = Use::System(id.clone());
        let id = id.as_str();
        argv(&at(&["system", id, "run"]), &system.how.run, &used, &mut out);
        for (n, step) in system.how.setup.iter().enumerate() {
            argv(&at(&["system", id, "setup", &n.to_string()]), step, &used, &mut out);
        }
        for (key, text) in &system.how.env {
            out.push(Text { at: at(&["system", id, "env", key]), text: text.clone(), used: used.clone() });
        }
    }
    for (id, probe) in &s.probes {
        strings(&at(&["probes", id.as_str(), &probe.what.kind]), &probe.what.spec, &Use::Other, &mut out);
    }
    for look in looks(s) {
        if let Seen::Kind(kinded) = look.seen {
            let used = if look.undoes { Use::Undo } else { Use::Other };
            strings(&format!("{}{}", look.at, at(&[&kinded.kind])), &kinded.spec, &used, &mut out);
        }
    }
    for (id, fault) in &s.faults {
        strings(&at(&["faults", id.as_str(), &fault.what.kind]), &fault.what.spec, &Use::Other, &mut out);
        if let Some(run) = fault.undo.as_ref().and_then(|undo| undo.run.as_ref()) {
            argv(&at(&["faults", id.as_str(), "undo", "run"]), run, &Use::Undo, &mut out);
        }
    }
    for (id, restore) in &s.restore {
        argv(&at(&["restore", id.as_str(), "run"]), &restore.how.run, &Use::Other, &mut out);
    }
    if let Some(reset) = &s.reset {
        argv("/reset/run", &reset.run, &Use::Other, &mut out);
    }
    for (section, value) in [("/team", &s.team), ("/score", &s.score), ("/notify", &s.notify)] {
        if let Some(value) = value {
            strings(section, value, &Use::Told, &mut out);
        }
    }
    out
}

/// The ids of secrets that a text asks for.
pub(super) fn secrets_in(text: &str) -> Vec<&str> {
    text.split("${secret:").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn texts_are_found_where_they_stand() {
        let mut s = sample::scenario();
        s.notify = Some(serde_json::json!({ "room": { "webhook": { "url": "${secret:hook}" } } }));
        let all = texts(&s);
        let has = |place: &str| all.iter().any(|text| text.at == place);
        assert!(has("/probes/orders/ledger.http/readers/0/ids"));
        assert!(has("/system/primary/ready/tcp/address"));
        assert!(has("/notify/room/webhook/url"));
        assert!(has("/faults/lose-primary/process.kill/system"));
    }

    #[test]
    fn several_secrets_may_stand_in_one_text() {
        assert_eq!(secrets_in("a ${secret:x}:${secret:y-z} ${key} ${secret:open"), vec!["x", "y-z"]);
    }
}
