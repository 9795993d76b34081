//! Keys: unknown ones, missing ones, and those that must be ids.

use serde_json::Value;

use super::scalar::{id_help, listed};
use super::{Object, Walk, Where, name_of};
use crate::base::Id;
use crate::scenario::finding::{Finding, did_you_mean, pointer_part};
use crate::scenario::node::{Node, Raw};

/// Words of the language that are not ids, because a moment could not be told from them.
const RESERVED: [&str; 7] = ["steady", "effective", "recovered", "undone", "released", "command", "impact"];

/// What people of other tools write, and what it is called here.
const SYNONYMS: [(&str, &str); 26] = [
    ("name", "title"),
    ("description", "why"),
    ("version", "firedrill"),
    ("method", "faults"),
    ("actions", "faults"),
    ("experiments", "faults"),
    ("hypothesis", "steady_state"),
    ("steady-state-hypothesis", "steady_state"),
    ("steadystate", "steady_state"),
    ("thresholds", "steady_state"),
    ("rollback", "undo"),
    ("rollbacks", "undo"),
    ("revert", "undo"),
    ("stop_conditions", "guards"),
    ("abort", "guards"),
    ("slo", "claims"),
    ("slos", "claims"),
    ("env", "vars"),
    ("variables", "vars"),
    ("duration", "for"),
    ("start", "at"),
    ("delay", "at"),
    ("interval", "every"),
    ("frequency", "rate"),
    ("assert", "expect"),
    ("tolerance", "expect"),
];

/// More problems than anybody reads.
pub(super) const ENOUGH: usize = 100;

impl<'a> Walk<'a> {
    /// The name of something that is declared.
    pub(super) fn id(&mut self, key: &str, at: &str) {
        if RESERVED.contains(&key) {
            let finding = Finding::error(at, format!("`{key}` is a word of the language and cannot be an id"), "reserved word");
            self.report(finding.on_key().help(format!("moments are written with it; write for example `{key}-1`")));
        } else if key.parse::<Id>().is_err() {
            self.report(Finding::error(at, format!("`{key}` is not an id"), "not an id").on_key().help(id_help(key)));
        }
    }

    /// A key that the form does not have.
    pub(super) fn unknown_key(&mut self, node: &Node, key: &str, form: &'a Object, here: Where<'_>) {
        if self.is_kind_trouble(node, key, form, here) {
            return;
        }
        let names = own_names(form);
        let at = format!("{}/{}", here.at, pointer_part(key));
        let owner = form.get("x-firedrill").and_then(|mark| mark.get("is")).and_then(Value::as_str);
        let owner = owner.map_or_else(|| name_of(here, "this"), str::to_owned);
        let finding = Finding::error(at, format!("unknown key `{key}`"), format!("not a key of {owner}")).on_key();
        // Guesses look at all other keys; a file with this many problems has another one.
        let guess = self.findings.len() < ENOUGH;
        self.report(if !guess {
            finding
        } else if let Some(help) = self.misplaced(node, key, form, here) {
            finding.help(help)
        } else if let Some(near) = meant(key, &free(node, &names), &names) {
            finding.help(format!("did you mean `{near}`?"))
        } else if names.is_empty() {
            finding.help(format!("{owner} takes no keys"))
        } else {
            finding.help(format!("{owner} takes {}", listed(&names)))
        });
    }

    /// Where a key belongs that stands one level too deep or too high.
    fn misplaced(&self, node: &Node, key: &str, form: &'a Object, here: Where<'_>) -> Option<String> {
        let has = |form: &Object, key: &str| form.get("properties").and_then(|properties| properties.get(key)).is_some();
        let above = self.above.iter().rev().nth(1);
        if above.is_some_and(|(_, above)| has(above, here.key) && own_names(above).contains(&key)) {
            return Some(format!("`{key}` stands beside `{}`, not in it", here.key));
        }
        let properties = form.get("properties").and_then(Value::as_object)?;
        let inside = node
            .entries()
            .iter()
            .find(|entry| properties.get(&entry.key).and_then(|schema| self.resolve(schema)).is_some_and(|inner| has(inner, key)));
        if let Some(inside) = inside {
            return Some(format!("it belongs into `{}: {{ {key}: … }}`", inside.key));
        }
        if !here.at.is_empty() {
            return None;
        }
        let ours = SYNONYMS.iter().find(|(other, _)| *other == key).map_or(key, |(_, ours)| *ours);
        properties.iter().find_map(|(section, schema)| {
            let one = self.resolve(schema)?.get("patternProperties")?.as_object()?.values().next()?;
            let one = self.resolve(one)?;
            let is = one.get("x-firedrill")?.get("is")?.as_str()?;
            has(one, ours).then(|| format!("{is} says it for itself: `{section}: {{ ID: {{ {ours}: … }} }}`"))
        })
    }

    /// A key where one of some names is needed.
    pub(super) fn unknown_among(&mut self, key: &str, names: &[&str], here: Where<'_>) {
        let at = format!("{}/{}", here.at, pointer_part(key));
        let owner = name_of(here, "this");
        let finding = Finding::error(at, format!("unknown key `{key}`"), format!("not a key of {owner}")).on_key();
        self.report(match did_you_mean(key, names.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help(format!("{owner} takes one of {}", listed(names))),
        });
    }

    /// Keys that the form needs and the node lacks.
    pub(super) fn missing(&mut self, node: &Node, form: &'a Object, here: Where<'_>) {
        let needed = form.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let sort = form.get("x-firedrill").and_then(|mark| mark.get("sort")).and_then(Value::as_str);
        let is = form.get("x-firedrill").and_then(|mark| mark.get("is")).and_then(Value::as_str);
        // The version is told apart elsewhere; a key that is there under another spelling is reported as such.
        let lacks = |key: &str| node.entry(key).is_none() && !(here.at.is_empty() && matches!(key, "firedrill" | "workload" | "policy"));
        // What stands one level too high is reported there.
        let above = self.above.iter().rev().nth(1);
        let too_high = |key: &str| above.is_some_and(|(above, form)| above.entry(key).is_some() && !own_names(form).contains(&key));
        let needed: Vec<&str> = needed.filter(|key| lacks(key) && !is_misspelt(key, node, form) && !too_high(key)).collect();
        for key in needed {
            let finding = if sort == Some("fault") && key == "for" {
                Finding::error(here.at, "a fault needs a bound", "has no `for:`").help("add for example `for: 60s`")
            } else {
                let owner = is.map_or_else(|| name_of(here, "this"), str::to_owned);
                let schema = form.get("properties").and_then(|properties| properties.get(key));
                let finding = Finding::error(here.at, format!("{owner} needs `{key}`"), format!("has no `{key}:`"));
                finding.help(self.example(key, schema))
            };
            self.report(finding.on_key());
        }
        if here.at.is_empty() && is == Some("a scenario") {
            self.missing_sections(node, form);
        }
    }

    fn missing_sections(&mut self, node: &Node, form: &Object) {
        let mut lack = |key: &str, title: &str, help: &str| match node.get(key).map(|node| &node.raw) {
            None if !is_misspelt(key, node, form) => {
                self.findings.push(Finding::error("", title, format!("has no `{key}:`")).on_key().help(help));
            }
            Some(Raw::Map(entries)) if entries.is_empty() => {
                self.findings.push(Finding::error(format!("/{key}"), title, "is empty").on_key().help(help));
            }
            _ => {}
        };
        if node.entry("workload").is_none() {
            lack("probes", "a scenario needs a probe", "add for example `probes: { web: { http: { url: … } } }`");
            lack(
                "steady_state",
                "a scenario needs a steady state",
                "add for example `steady_state: { probes: { web: { success: { min: 99% } } } }`",
            );
        }
        if node.entry("tabletop").is_none() {
            lack("faults", "a scenario needs a fault", "add `faults:`, or `tabletop: true` for a drill without one");
        }
        if node.entry("workload").is_none() {
            self.missing_bounds(node);
        }
    }

    fn missing_bounds(&mut self, node: &Node) {
        let Some(steady) = node.get("steady_state").filter(|steady| !steady.entries().is_empty()) else { return };
        // Another spelling is reported as such.
        let spelt = steady.entries().iter().all(|entry| matches!(entry.key.as_str(), "over" | "probes"));
        let empty = steady.get("probes").is_none_or(|probes| matches!(&probes.raw, Raw::Map(entries) if entries.is_empty()));
        if spelt && empty {
            let finding = Finding::error("/steady_state/probes", "nothing says what normal is", "names no probe").on_key();
            self.report(finding.help("add for example `probes: { web: { success: { min: 99% } } }`"));
        }
    }

    /// A line that could be added.
    fn example(&self, key: &str, schema: Option<&'a Value>) -> String {
        let mut forms = Vec::new();
        if let Some(schema) = schema {
            self.forms(schema, &mut forms, 0);
        }
        let form = forms.first();
        let word = |name: &str| form.and_then(|form| form.get(name)).and_then(Value::as_str);
        let value = match (word("format"), word("type")) {
            (Some("firedrill-duration"), _) => "30s".to_owned(),
            (Some("firedrill-rate"), _) => "20/s".to_owned(),
            (Some("firedrill-percent"), _) => "99.9%".to_owned(),
            (Some("firedrill-bytes"), _) => "10MiB".to_owned(),
            (_, Some("array")) => "[…]".to_owned(),
            (_, Some("object")) => "{ … }".to_owned(),
            (_, Some("integer" | "number")) => "1".to_owned(),
            (_, Some("boolean")) => "true".to_owned(),
            _ => form.and_then(|form| form.get("const")).and_then(Value::as_str).unwrap_or("…").to_owned(),
        };
        let about = schema.and_then(|schema| schema.get("description")).and_then(Value::as_str);
        let about = about.and_then(|about| about.lines().next()).map(|about| {
            let mut letters = about.trim_end_matches('.').chars();
            letters.next().map_or_else(String::new, |first| format!(" ({}{})", first.to_lowercase(), letters.as_str()))
        });
        format!("add `{key}: {value}`{}", about.unwrap_or_default())
    }
}

/// The keys of a form that name no kind.
pub(super) fn own_names(form: &Object) -> Vec<&str> {
    let kinds = kind_names(form);
    let properties = form.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|p| p.keys().map(String::as_str)).filter(|name| !kinds.contains(name)).collect()
}

/// The key that an unknown key was meant as; `free` are the names that are not there yet.
fn meant<'a>(key: &str, free: &[&'a str], names: &[&'a str]) -> Option<&'a str> {
    let lower = key.to_ascii_lowercase();
    let known = |(other, ours): &&(&str, &str)| *other == lower && names.contains(ours);
    let synonym = SYNONYMS.iter().find(known).and_then(|(_, ours)| names.iter().copied().find(|name| name == ours));
    synonym.or_else(|| did_you_mean(key, free.iter().copied()))
}

fn free<'a>(node: &Node, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| node.entry(name).is_none()).collect()
}

/// Whether a key that lacks is there under another spelling.
fn is_misspelt(key: &str, node: &Node, form: &Object) -> bool {
    let names = own_names(form);
    let free = free(node, &names);
    let properties = form.get("properties").and_then(Value::as_object);
    let mut strangers = node.entries().iter().filter(|entry| !properties.is_some_and(|p| p.contains_key(&entry.key))).take(ENOUGH);
    strangers.any(|entry| meant(&entry.key, &free, &names) == Some(key))
}

/// The kinds that a form names.
pub(super) fn kind_names(form: &Object) -> Vec<&str> {
    let kinds = form.get("x-firedrill").and_then(|mark| mark.get("kinds")).and_then(Value::as_array);
    kinds.into_iter().flatten().filter_map(Value::as_str).collect()
}
