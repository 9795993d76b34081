//! What is sent to hosts, made from a scenario's words: the command that breaks, with the timer before it, and the one that undoes.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::preset::Preset;
use super::spec::{Given, Spec, lines};
use crate::base::Span;
use crate::fault::dead_man::DeadMan;
use crate::plan::{Hold, Plan};

/// The document that takes lines for the shell.
pub(super) const SHELL: &str = "AWS-RunShellScript";
/// What the timer on a host waits beyond the time that a fault may last: an undo that is tried, and clocks that differ.
const MARGIN: Span = Span::secs(120);

/// A document with its parameters, as Systems Manager takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// The document.
    pub document: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Vec<String>>,
}

fn texts(given: &IndexMap<String, Given>) -> BTreeMap<String, Vec<String>> {
    given.iter().map(|(name, given)| (name.clone(), given.texts())).collect()
}

impl Order {
    /// Lines for the shell, in the document that a scenario names or in the usual one.
    fn shell(document: Option<&String>, version: Option<&String>, given: &IndexMap<String, Given>, lines: Vec<String>) -> Order {
        let mut parameters = texts(given);
        parameters.insert("commands".into(), lines);
        Order { document: document.cloned().unwrap_or_else(|| SHELL.into()), version: version.cloned(), parameters }
    }
}

/// How long a fault of this spec is held in this plan, and how long it may last from its injection until its undo is late.
pub(super) fn lasts(plan: &Plan, kind: &str, same: impl Fn(&serde_json::Value) -> bool) -> (Span, Span) {
    let ours: Vec<_> = plan.faults.values().filter(|fault| fault.kind == kind).collect();
    let hold = |hold: &Hold, recovery: Span| match hold {
        Hold::Once => recovery,
        Hold::Time(span) | Hold::UntilRecovered(span) | Hold::UntilReleased(span) | Hold::UntilExpectation(_, span) => *span,
    };
    // Of several with the same spec the longest; where none is found again, the longest of the kind.
    let exact = ours.iter().any(|fault| same(&fault.spec));
    let of = ours.iter().filter(|fault| !exact || same(&fault.spec));
    let all = of.map(|fault| (hold(&fault.hold, fault.recovery_within), fault.confirm_within));
    let (held, confirm) = all.max_by_key(|(held, confirm)| *held + *confirm).unwrap_or((Span::ZERO, Span::secs(600)));
    (held, held + confirm + MARGIN)
}

/// What breaks. `after` is when the timer acts, and how long a preset lasts.
pub(super) fn breaks(spec: &Spec, mark: &str, after: Span) -> Order {
    if let Some(preset) = spec.preset {
        let parameters = preset.parameters(&spec.parameters, after);
        return Order { document: preset.document().into(), version: None, parameters };
    }
    let mut order = match lines(spec.document.as_deref(), &spec.parameters, &spec.commands) {
        Some(mut lines) => {
            if let Some(undo) = undo_lines(spec) {
                let timer = DeadMan { mark, undo: &undo, after };
                // The interpreter is named on the first line, or nowhere.
                let at = usize::from(lines.first().is_some_and(|line| line.starts_with("#!")));
                lines.insert(at, timer.arm());
            }
            Order::shell(spec.document.as_ref(), spec.version.as_ref(), &spec.parameters, lines)
        }
        None => Order {
            document: spec.document.clone().unwrap_or_default(),
            version: spec.version.clone(),
            parameters: texts(&spec.parameters),
        },
    };
    if let Some(limit) = spec.execution_timeout {
        order.parameters.insert("executionTimeout".into(), vec![limit.0.div_ceil(1_000_000_000).to_string()]);
    }
    order
}

fn undo_lines(spec: &Spec) -> Option<Vec<String>> {
    let undo = spec.undo.as_ref()?;
    lines(undo.document.as_deref(), &undo.parameters, &undo.commands)
}

/// What undoes; none where the document does it by itself, or somebody else.
pub(super) fn undoes(spec: &Spec, mark: &str) -> Option<Order> {
    let undo = spec.undo.as_ref().filter(|undo| undo.left_to.is_none())?;
    Some(match undo_lines(spec) {
        Some(mut lines) => {
            if spec.has_timer() {
                let timer = DeadMan { mark, undo: &lines, after: Span::ZERO };
                lines = vec![timer.undo_now()];
            }
            Order::shell(undo.document.as_ref(), undo.version.as_ref(), &undo.parameters, lines)
        }
        None => Order {
            document: undo.document.clone().unwrap_or_default(),
            version: undo.version.clone(),
            parameters: texts(&undo.parameters),
        },
    })
}

/// What nobody stops or undoes from here, in words.
pub(super) fn left(spec: &Spec) -> Option<String> {
    let to = spec.undo.as_ref().and_then(|undo| undo.left_to.as_ref()).map(|who| format!("left to {who}"));
    let told = spec.preset.map(|preset: Preset| preset.after_cancel().to_owned());
    match (told, to) {
        (Some(told), Some(to)) => Some(format!("{told}; {to}")),
        (told, to) => told.or(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(value: serde_json::Value) -> Spec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn lines_that_break_come_after_the_timer_and_after_the_interpreter() {
        let both = spec(
            json!({ "commands": ["#!/bin/bash", "systemctl stop shop"], "execution_timeout": "90s", "undo": { "commands": ["systemctl start shop"] } }),
        );
        let order = breaks(&both, "01RUN-7", Span::secs(300));
        let lines = &order.parameters["commands"];
        assert_eq!((lines[0].as_str(), lines[2].as_str(), lines.len()), ("#!/bin/bash", "systemctl stop shop", 3));
        assert!(
            lines[1].contains("firedrill-01RUN-7") && lines[1].contains("--on-active=300s") && lines[1].contains("systemctl start shop")
        );
        assert_eq!(order.parameters["executionTimeout"], ["90"]);
        let undo = undoes(&both, "01RUN-7").unwrap();
        assert_eq!(undo.document, SHELL);
        assert!(undo.parameters["commands"][0].contains("/fire\" now") && undo.parameters["commands"].len() == 1);
    }

    #[test]
    fn a_document_is_sent_as_it_is_and_its_undo_without_a_timer() {
        let own = spec(
            json!({ "document": "Own", "version": "3", "parameters": { "Level": 7, "Names": ["a", "b"] }, "undo": { "commands": ["x"] } }),
        );
        let order = breaks(&own, "m", Span::secs(1));
        assert_eq!((order.document.as_str(), order.version.as_deref()), ("Own", Some("3")));
        assert_eq!(order.parameters["Level"], ["7"]);
        assert_eq!(order.parameters["Names"], ["a", "b"]);
        assert_eq!(undoes(&own, "m").unwrap().parameters["commands"], ["x"]);
        let kill = spec(json!({ "preset": "kill-process", "parameters": { "process": "java" }, "undo": { "left_to": "systemd" } }));
        assert!(undoes(&kill, "m").is_none());
        assert_eq!(left(&kill).unwrap(), "a process that was killed stays so until somebody starts it; left to systemd");
    }
}
