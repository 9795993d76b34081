//! What a scenario writes of a command, and what is wrong with it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::spec::Bucket;
use super::preset::Preset;
use crate::base::{Problem, Span};

/// The most instances of one command: AWS's own limit of ids.
pub(super) const MOST: usize = 50;
/// The least and the most that AWS waits for a host to take a command.
const DELIVERY: (Span, Span) = (Span::secs(30), Span::secs(2_592_000));
/// The most that AWS lets a command run.
const EXECUTION: Span = Span::secs(172_800);
/// The shells that understand what stands before the lines that break.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "ash", "ksh"];

/// A command on hosts, and what undoes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// A ready document of AWS's fault injection: `cpu`, `memory`, `io`, `disk-fill`, `latency`, `loss`, `blackhole` or `kill-process`.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Or any document of Systems Manager that is a command: its name or ARN.
    #[serde(default)]
    pub document: Option<String>,
    /// The document's version; without, its default one.
    #[serde(default)]
    pub version: Option<String>,
    /// Or lines for the shell, sent by `AWS-RunShellScript`.
    #[serde(default)]
    pub commands: Vec<String>,
    /// The document's parameters as it calls them, each one value or a list; those of a preset as the reference calls them.
    #[serde(default)]
    pub parameters: IndexMap<String, Given>,
    /// These managed instances, by id. Each must carry the opt-in tag.
    #[serde(default)]
    pub instances: Vec<String>,
    /// The managed instances that carry all of these tags. The opt-in tag must be among them.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// On how many of them at one time, as `2` or `25%`. Default: AWS's, 50.
    #[serde(default)]
    pub max_concurrency: Option<Scalar>,
    /// How many may fail before no more are begun, as `1` or `10%`. Default: AWS's, none.
    #[serde(default)]
    pub max_errors: Option<Scalar>,
    /// How long AWS waits for a host to take the command, at least `30s`. Default `60s`.
    #[serde(default = "a_minute")]
    pub delivery_timeout: Span,
    /// How long it may run on a host, where its document has the parameter `executionTimeout`.
    #[serde(default)]
    pub execution_timeout: Option<Span>,
    /// Where AWS writes what it prints, whole; without, at most 24,000 characters are kept.
    #[serde(default)]
    pub output: Option<Bucket>,
    /// When it bites: once it `runs`, or once it has `ended` well. Default: `ended`; of presets that last, `runs`.
    #[serde(default)]
    pub bites: Option<Bites>,
    /// What is sent to every host that was reached, when it is undone. A preset that ends by itself has none.
    #[serde(default)]
    pub undo: Option<UndoOrder>,
    /// When the timer on each host acts by itself, from the command on; longer than the fault is held. Default: what the fault may last, and 2 minutes.
    #[serde(default)]
    pub timer: Option<Span>,
    /// Why there may be no timer on the hosts that undoes it when nobody can any more; outside `laptop` and `test` there must be one of the two.
    #[serde(default)]
    pub without_timer: Option<String>,
}

/// When a command is seen to bite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bites {
    /// Once it runs.
    Runs,
    /// Once it has ended well.
    Ended,
}

/// What undoes a command: a document, lines for the shell, or somebody else.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoOrder {
    /// A document of Systems Manager that is a command.
    #[serde(default)]
    pub document: Option<String>,
    /// Its version; without, its default one.
    #[serde(default)]
    pub version: Option<String>,
    /// Its parameters.
    #[serde(default)]
    pub parameters: IndexMap<String, Given>,
    /// Or lines for the shell; safe to repeat, and they end with 0 when all is well.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Or who puts it right without being told, in words: `systemd, which starts it again`.
    #[serde(default)]
    pub left_to: Option<String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Given {
    /// One.
    One(Scalar),
    /// A list.
    Many(Vec<Scalar>),
}

/// A text, or what is written like one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Flag(flag) => write!(f, "{flag}"),
            Scalar::Whole(number) => write!(f, "{number}"),
            Scalar::Number(number) => write!(f, "{number}"),
            Scalar::Text(text) => write!(f, "{text}"),
        }
    }
}

impl Given {
    /// As Systems Manager takes it: always a list of texts.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Given::One(one) => vec![one.to_string()],
            Given::Many(many) => many.iter().map(Scalar::to_string).collect(),
        }
    }
}

fn a_minute() -> Span {
    Span::secs(60)
}

/// Whether a document is the one that takes lines for the shell.
pub(super) fn is_shell(document: &str) -> bool {
    document.rsplit('/').next() == Some("AWS-RunShellScript")
}

/// The lines for the shell, where that is what is sent.
pub(super) fn lines(document: Option<&str>, parameters: &IndexMap<String, Given>, commands: &[String]) -> Option<Vec<String>> {
    match document {
        None if !commands.is_empty() => Some(commands.to_vec()),
        Some(document) if is_shell(document) => parameters.get("commands").map(Given::texts),
        _ => None,
    }
}

fn is_document(text: &str) -> bool {
    (3..=2048).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(&b))
}

fn is_instance(text: &str) -> bool {
    let rest = text.strip_prefix("mi-").or_else(|| text.strip_prefix("i-"));
    rest.is_some_and(|rest| (1..=20).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// `7`, or `30%`.
fn is_share(text: &str, least: u32) -> bool {
    let (number, most) = text.strip_suffix('%').map_or((text, 9_999_999), |number| (number, 100));
    number.len() <= 7 && number.bytes().all(|b| b.is_ascii_digit()) && number.parse().is_ok_and(|n| (least..=most).contains(&n))
}

impl Spec {
    /// What is wrong with it.
    pub fn problems(&self) -> Vec<Problem> {
        let mut out = Vec::new();
        let ways = [self.preset.is_some(), self.document.is_some(), !self.commands.is_empty()];
        match ways.iter().filter(|way| **way).count() {
            1 => {}
            0 => out.push(Problem::new("", "nothing is sent").help("say what: `commands: […]`, `document: NAME` or `preset: cpu`")),
            _ => out.push(Problem::new("", "more than one thing is sent").help("keep one of `commands`, `document` and `preset`")),
        }
        order("", self.document.as_deref(), self.version.as_deref(), &self.parameters, &self.commands, &mut out);
        if let Some(preset) = self.preset {
            preset.problems(&self.parameters, &mut out);
            if self.execution_timeout.is_some() {
                out.push(Problem::new("/execution_timeout", "a preset lasts as long as its `duration` says"));
            }
        }
        self.whom(&mut out);
        self.how(&mut out);
        self.undone(&mut out);
        out
    }

    fn whom(&self, out: &mut Vec<Problem>) {
        match (self.instances.is_empty(), self.tags.is_empty()) {
            (true, true) => out.push(Problem::new("", "no host is named").help("say which: `instances: [i-…]` or `tags: { … }`")),
            (false, false) => out.push(Problem::new("/tags", "instances are named, too").help("keep `instances` or `tags`")),
            _ => {}
        }
        if self.instances.len() > MOST {
            out.push(Problem::new("/instances", format!("a command goes to at most {MOST} instances")));
        }
        for (n, id) in self.instances.iter().enumerate().filter(|(_, id)| !is_instance(id)) {
            out.push(
                Problem::new(format!("/instances/{n}"), format!("`{id}` is no managed instance"))
                    .help("an id begins with `i-` or `mi-`; `aws ssm describe-instance-information` shows those that there are"),
            );
        }
    }

    fn how(&self, out: &mut Vec<Problem>) {
        for (key, value, least) in [("max_concurrency", &self.max_concurrency, 1), ("max_errors", &self.max_errors, 0)] {
            if let Some(value) = value.as_ref().filter(|value| !is_share(&value.to_string(), least)) {
                out.push(Problem::new(format!("/{key}"), format!("`{value}` is no number of hosts")).help("write `2` or `25%`"));
            }
        }
        if self.delivery_timeout < DELIVERY.0 || self.delivery_timeout > DELIVERY.1 {
            let (least, most) = DELIVERY;
            out.push(Problem::new("/delivery_timeout", format!("AWS waits from {least} to {most}, not {}", self.delivery_timeout)));
        }
        if self.execution_timeout.is_some_and(|limit| limit < Span::secs(1) || limit > EXECUTION) {
            out.push(Problem::new("/execution_timeout", format!("a command may run from 1s to {EXECUTION}")));
        }
        let shell = lines(self.document.as_deref(), &self.parameters, &self.commands);
        let interpreter = shell.iter().flatten().next().and_then(|line| line.strip_prefix("#!"));
        if let Some(line) = interpreter
            && !line.split(['/', ' ']).any(|word| SHELLS.contains(&word))
        {
            out.push(
                Problem::new(if self.commands.is_empty() { "/parameters/commands" } else { "/commands" }, "this is no shell's script")
                    .help("the timer on the host is set by lines for `sh` before it: start the interpreter from a line of its own"),
            );
        }
    }

    fn undone(&self, out: &mut Vec<Problem>) {
        let ends = self.preset.is_some_and(Preset::ends_by_itself);
        match &self.undo {
            None if !ends => out.push(
                Problem::new("", "nothing says how it is undone")
                    .help("add `undo: { commands: […] }` or `undo: { document: NAME }`, which is sent to every host that was reached"),
            ),
            Some(_) if ends => out.push(Problem::new("/undo", "the document of this preset undoes itself").help("remove it")),
            Some(undo) => undo.problems(out),
            None => {}
        }
        if self.without_timer.as_ref().is_some_and(|why| why.trim().is_empty()) {
            out.push(Problem::new("/without_timer", "this says nothing").help("say in words why there may be none"));
        }
        if self.timer.is_some() && !self.has_timer() {
            out.push(
                Problem::new("/timer", "there is no timer on the hosts")
                    .help("only lines for the shell that lines for the shell undo have one: write both as `commands:`"),
            );
        }
        if self.without_timer.is_some() && (ends || self.has_timer()) {
            out.push(Problem::new("/without_timer", "there is a timer").help("remove it"));
        }
    }

    /// Whether a timer on each host undoes it when nobody else can.
    pub fn has_timer(&self) -> bool {
        let undo = self.undo.as_ref().and_then(|undo| lines(undo.document.as_deref(), &undo.parameters, &undo.commands));
        undo.is_some() && lines(self.document.as_deref(), &self.parameters, &self.commands).is_some()
    }
}

impl UndoOrder {
    fn problems(&self, out: &mut Vec<Problem>) {
        let ways = [self.document.is_some(), !self.commands.is_empty(), self.left_to.is_some()];
        if ways.iter().filter(|way| **way).count() != 1 {
            out.push(Problem::new("/undo", "this must say one thing").help("`commands: […]`, `document: NAME` or `left_to: \"who\"`"));
        }
        if self.left_to.as_ref().is_some_and(|who| who.trim().is_empty()) {
            out.push(Problem::new("/undo/left_to", "this says nothing").help("say in words who puts it right"));
        }
        order("/undo", self.document.as_deref(), self.version.as_deref(), &self.parameters, &self.commands, out);
    }
}

/// What is wrong with what is sent.
fn order(
    at: &str,
    document: Option<&str>,
    version: Option<&str>,
    parameters: &IndexMap<String, Given>,
    commands: &[String],
    out: &mut Vec<Problem>,
) {
    if let Some(document) = document.filter(|document| !is_document(document)) {
        out.push(
            Problem::new(format!("{at}/document"), format!("`{document}` is no document"))
                .help("`aws ssm list-documents` shows those that there are"),
        );
    }
    if document.is_none() && version.is_some() {
        out.push(Problem::new(format!("{at}/version"), "this is of no document").help("add `document:`, or remove it"));
    }
    if document.is_none() && !commands.is_empty() && !parameters.is_empty() {
        out.push(
            Problem::new(format!("{at}/parameters"), "lines for the shell have none").help("name `document: AWS-RunShellScript` instead"),
        );
    }
    let secret = |text: &String| text.contains("${secret:");
    let told = "Systems Manager keeps what it is sent for everybody to read: let the host fetch the secret itself";
    for (n, _) in commands.iter().enumerate().filter(|(_, line)| secret(line)) {
        out.push(Problem::new(format!("{at}/commands/{n}"), "a secret would be sent").help(told));
    }
    for (name, _) in parameters.iter().filter(|(_, given)| given.texts().iter().any(secret)) {
        out.push(Problem::new(format!("{at}/parameters/{name}"), "a secret would be sent").help(told));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn problems(spec: Value) -> Vec<String> {
        serde_json::from_value::<Spec>(spec).unwrap().problems().into_iter().map(|problem| problem.at + ": " + &problem.text).collect()
    }

    fn with(change: Value) -> Vec<String> {
        let mut spec =
            json!({ "commands": ["systemctl stop shop"], "instances": ["i-0abc1"], "undo": { "commands": ["systemctl start shop"] } });
        for (key, value) in change.as_object().unwrap() {
            spec[key] = value.clone();
        }
        problems(spec)
    }

    #[test]
    fn a_good_one_has_no_problem_and_each_fault_of_a_bad_one_is_named() {
        assert_eq!(with(json!({})), Vec::<String>::new());
        assert_eq!(with(json!({ "max_concurrency": "50%", "max_errors": 0, "delivery_timeout": "30s" })), Vec::<String>::new());
        let cases = [
            (json!({ "document": "AWS-RunShellScript" }), ": more than one thing is sent"),
            (json!({ "commands": [] }), ": nothing is sent"),
            (json!({ "version": "3" }), "/version: this is of no document"),
            (json!({ "parameters": { "a": 1 } }), "/parameters: lines for the shell have none"),
            (json!({ "instances": ["shop"] }), "/instances/0: `shop` is no managed instance"),
            (json!({ "instances": [] }), ": no host is named"),
            (json!({ "tags": { "a": "b" } }), "/tags: instances are named, too"),
            (json!({ "max_concurrency": 0 }), "/max_concurrency: `0` is no number of hosts"),
            (json!({ "max_errors": "101%" }), "/max_errors: `101%` is no number of hosts"),
            (json!({ "delivery_timeout": "5s" }), "/delivery_timeout: AWS waits from 30s to 30d, not 5s"),
            (json!({ "undo": {} }), "/undo: this must say one thing"),
            (json!({ "undo": null }), ": nothing says how it is undone"),
            (json!({ "without_timer": "x" }), "/without_timer: there is a timer"),
            (json!({ "commands": ["#!/usr/bin/python3"] }), "/commands: this is no shell's script"),
            (json!({ "commands": ["echo ${secret:key}"] }), "/commands/0: a secret would be sent"),
        ];
        for (change, problem) in cases {
            let found = with(change.clone());
            let same =
                |one: &String| one == problem || problem.starts_with("/delivery") && one.starts_with("/delivery_timeout: AWS waits from");
            assert!(found.iter().any(same), "{change}: {problem} in {found:?}");
        }
        assert!(with(json!({ "commands": ["#!/usr/bin/env bash", "x"] })).is_empty());
    }

    #[test]
    fn a_timer_needs_a_shell_on_both_sides() {
        let has = |spec: Value| serde_json::from_value::<Spec>(spec).unwrap().has_timer();
        let (lines, undo) = (json!({ "commands": ["x"] }), json!({ "commands": ["y"] }));
        assert!(has(json!({ "commands": ["x"], "undo": undo })));
        assert!(has(json!({ "document": "AWS-RunShellScript", "parameters": lines, "undo": undo })));
        assert!(!has(json!({ "document": "Own", "undo": undo })));
        assert!(!has(json!({ "commands": ["x"], "undo": { "left_to": "systemd" } })));
    }
}
