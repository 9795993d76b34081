//! The key that names the kind: exactly one, and of the right sort.

use serde_json::Value;

use super::keys::{ENOUGH, kind_names, own_names};
use super::scalar::listed;
use super::{Object, Walk, Where};
use crate::scenario::finding::{Finding, did_you_mean, pointer_part};
use crate::scenario::node::Node;

/// What a key beside the language's own could have been meant as.
enum Meant<'a> {
    /// A kind of this sort, misspelt.
    Near(&'a str),
    /// A kind of another sort.
    Other(&'static str),
    /// A probe kind that cannot be asked once.
    Ledger,
    /// A probe kind that this build was made without, by the feature that brings it.
    LeftOut(&'static str),
    /// Some kind that does not exist.
    Unknown,
}

fn sort_of(form: &Object) -> &str {
    form.get("x-firedrill").and_then(|mark| mark.get("sort")).and_then(Value::as_str).unwrap_or_default()
}

fn sort_name(sort: &str) -> &'static str {
    match sort {
        "fault" => "a fault kind",
        "probe" => "a probe kind",
        "condition" => "a condition",
        "notice" => "a kind of notice",
        "source" => "a kind of source",
        _ => "a kind of expectation",
    }
}

impl<'a> Walk<'a> {
    /// How many kinds a node names.
    pub(super) fn kinds(&mut self, node: &Node, form: &'a Object, mark: &Value, here: Where<'_>) {
        let kinds = kind_names(form);
        let there: Vec<&str> = node.entries().iter().map(|e| e.key.as_str()).filter(|key| kinds.contains(key)).collect();
        let is = mark.get("is").and_then(Value::as_str).unwrap_or("this");
        if let [first, more @ ..] = there.as_slice() {
            for second in more {
                let at = format!("{}/{}", here.at, pointer_part(second));
                let finding = Finding::error(at, format!("{is} has exactly one kind"), "a second kind");
                self.report(finding.on_key().also(format!("{}/{}", here.at, pointer_part(first)), "the first"));
            }
            return;
        }
        let tried =
            node.entries().iter().take(ENOUGH).any(|entry| !is_own_key(form, &entry.key) && self.meant(&entry.key, node, form).is_some());
        if !tried {
            let finding = Finding::error(here.at, format!("{is} needs a kind"), "names no kind").on_key();
            self.report(finding.help(format!("add one of {}", listed(&kinds))));
        }
    }

    /// Reports an unknown key that was meant as a kind.
    pub(super) fn is_kind_trouble(&mut self, node: &Node, key: &str, form: &'a Object, here: Where<'_>) -> bool {
        let sort = sort_of(form);
        if sort.is_empty() || self.findings.len() > ENOUGH {
            return false;
        }
        let Some(meant) = self.meant(key, node, form) else { return false };
        let at = format!("{}/{}", here.at, pointer_part(key));
        let what = sort_name(sort);
        let kinds = kind_names(form);
        let finding = match meant {
            Meant::Near(near) => {
                Finding::error(at, format!("`{key}` is not {what}"), "unknown kind").help(format!("did you mean `{near}`?"))
            }
            Meant::Other(other) => Finding::error(at, format!("`{key}` is {other}, not {what}"), format!("not {what}"))
                .help(format!("here stands one of {}", listed(&kinds))),
            Meant::Ledger => Finding::error(at, format!("`{key}` cannot be asked once"), "is read back at the end")
                .help(format!("declare it under `probes:`; here stands one of {}", listed(&kinds))),
            Meant::LeftOut(feature) => {
                let kind = if sort == "fault" { "fault" } else { "probe" };
                Finding::error(at, format!("this build has no {kind} kind `{key}`"), format!("needs the feature `{feature}`"))
                    .help(format!("build firedrill with `--features {feature}`; the default is everything"))
            }
            Meant::Unknown => {
                let more = if matches!(sort, "fault" | "probe") { "; `firedrill kinds` says more" } else { "" };
                Finding::error(at, format!("`{key}` is not {what}"), "unknown kind")
                    .help(format!("here stands one of {}{more}", listed(&kinds)))
            }
        };
        self.report(finding.on_key());
        true
    }

    /// What an unknown key of a node with a kind was meant as; nothing when it is rather a key of the language.
    fn meant(&self, key: &str, node: &Node, form: &'a Object) -> Option<Meant<'a>> {
        let kinds = kind_names(form);
        let has_kind = node.entries().iter().any(|entry| kinds.contains(&entry.key.as_str()));
        let sort = sort_of(form);
        if sort == "fault" && self.known.probe(key).is_some() {
            return Some(Meant::Other("a probe kind"));
        }
        if matches!(sort, "probe" | "condition") {
            match (self.known.probe(key), self.known.fault(key)) {
                (Some(_), _) => return Some(Meant::Ledger),
                (None, Some(_)) => return Some(Meant::Other("a fault kind")),
                (None, None) => {}
            }
        }
        if matches!(sort, "probe" | "condition" | "fault")
            && let Some((_, feature)) = self.known.left_out.iter().find(|(kind, _)| *kind == key)
        {
            return Some(Meant::LeftOut(feature));
        }
        if has_kind {
            return None;
        }
        let own = own_names(form);
        let tail = |name: &'a str| name.rsplit_once('.').is_some_and(|(_, last)| last == key);
        if let Some(near) = did_you_mean(key, kinds.iter().copied()).or_else(|| kinds.iter().copied().find(|name| tail(name))) {
            return Some(Meant::Near(near));
        }
        let strangers = node.entries().iter().filter(|entry| !is_own_key(form, &entry.key)).count();
        let is_own = did_you_mean(key, own).is_some();
        (key.contains('.') || (strangers == 1 && !is_own)).then_some(Meant::Unknown)
    }
}

fn is_own_key(form: &Object, key: &str) -> bool {
    form.get("properties").and_then(Value::as_object).is_some_and(|properties| properties.contains_key(key))
}
