//! What is wrong with a policy that has the right shape: rules that could never mean what was meant.

use std::collections::BTreeSet;

use super::glob::fits;
use super::model::{Approvals, AwsRule, Globs, MaxTargets, Policy, Rule};
use crate::scenario::finding::did_you_mean;
use crate::scenario::model::Environment;
use crate::scenario::{Finding, Known};

/// More of one sort than a policy may have, so that deciding ends soon.
const MOST: usize = 64;
/// The longest name that is compared.
const LONGEST: usize = 256;

/// Every problem of a policy.
pub(super) fn check(policy: &Policy, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut most = |section: &str, count: usize| {
        if count > MOST {
            let title = format!("a policy has at most {MOST} {section}");
            findings.push(Finding::error(format!("/{section}"), title, format!("has {count}")).on_key());
        }
    };
    most("windows", policy.windows.len());
    most("freezes", policy.freezes.len());
    most("rules", policy.rules.len());
    if policy.environments.is_none() && policy.freezes.is_empty() && policy.rules.is_empty() {
        let finding = Finding::error("", "the policy says nothing", "has no `rules:`, `freezes:` or `environments:`").on_key();
        findings.push(finding.help("add for example `rules: { bounded: { max_hold: 15m } }`"));
    }
    environments("/environments", policy.environments.as_deref(), &mut findings);
    for (id, window) in &policy.windows {
        empty_list(&format!("/windows/{id}/days"), window.days.as_deref(), "it would never open", &mut findings);
    }
    for (id, freeze) in &policy.freezes {
        environments(&format!("/freezes/{id}/environments"), freeze.environments.as_deref(), &mut findings);
    }
    for (id, rule) in &policy.rules {
        let at = format!("/rules/{id}");
        one(policy, rule, &at, known, &mut findings);
    }
    let used: BTreeSet<&str> = policy.rules.values().flat_map(|rule| rule.windows.iter().flatten()).map(String::as_str).collect();
    for id in policy.windows.keys().filter(|id| !used.contains(id.as_str())) {
        let title = format!("no rule asks for the window `{id}`");
        let help = format!("a rule names it: `rules: {{ ID: {{ windows: [{id}] }} }}`");
        findings.push(Finding::error(format!("/windows/{id}"), title, "closes nothing").on_key().help(help));
    }
    findings
}

fn one(policy: &Policy, rule: &Rule, at: &str, known: &Known, findings: &mut Vec<Finding>) {
    if *rule == (Rule { environments: rule.environments.clone(), why: rule.why.clone(), ..Rule::default() }) {
        let finding = Finding::error(at, "the rule asks for nothing", "says only where and why").on_key();
        findings.push(finding.help("add for example `max_hold: 15m` or `require: [owner]`"));
    }
    environments(&format!("{at}/environments"), rule.environments.as_deref(), findings);
    empty_list(&format!("{at}/require"), rule.require.as_deref(), "it asks for nothing", findings);
    if let Some(kinds) = &rule.kinds {
        globs(kinds, &format!("{at}/kinds"), findings);
        unknown_kinds(kinds, &format!("{at}/kinds"), known, findings);
    }
    if let Some(targets) = &rule.targets {
        globs(targets, &format!("{at}/targets"), findings);
        keyless(targets, &format!("{at}/targets"), findings);
    }
    if let Some(hosts) = &rule.hosts {
        globs(hosts, &format!("{at}/hosts"), findings);
    }
    if matches!(rule.max_targets, Some(MaxTargets { count: None, percent: None })) {
        let finding = Finding::error(format!("{at}/max_targets"), "`max_targets` limits nothing", "is empty").on_key();
        findings.push(finding.help("write `max_targets: { count: 1 }` or `{ percent: 34% }`"));
    }
    if let Some(windows) = &rule.windows {
        let at = format!("{at}/windows");
        empty_list(&at, Some(windows), "it could never run", findings);
        for (n, name) in windows.iter().enumerate().filter(|(_, name)| !policy.windows.contains_key(name.as_str())) {
            let finding = Finding::error(format!("{at}/{n}"), format!("no window is called `{name}`"), "unknown window");
            findings.push(match did_you_mean(name, policy.windows.keys().map(|id| id.as_str())) {
                Some(near) => finding.help(format!("did you mean `{near}`?")),
                None => {
                    finding.help(format!("declare it: `windows: {{ {name}: {{ from: \"09:00\", to: \"16:00\", zone: Europe/Berlin }} }}`"))
                }
            });
        }
    }
    if let Some(aws) = &rule.aws {
        accounts(aws, &format!("{at}/aws"), findings);
    }
    if let Some(approvals) = &rule.approvals {
        approvers(approvals, &format!("{at}/approvals"), findings);
    }
}

fn accounts(aws: &AwsRule, at: &str, findings: &mut Vec<Finding>) {
    if *aws == AwsRule::default() {
        let finding = Finding::error(at, "`aws` limits nothing", "is empty").on_key();
        findings.push(finding.help("write `aws: { accounts: [\"111122223333\"] }`, `regions:` or `opt_in_tag:`"));
    }
    empty_list(&format!("{at}/accounts"), aws.accounts.as_deref(), "no account could be acted in", findings);
    empty_list(&format!("{at}/regions"), aws.regions.as_deref(), "no region could be acted in", findings);
    if aws.opt_in_tag.as_ref().is_some_and(|tag| tag.split('=').next().is_none_or(|key| key.trim().is_empty())) {
        let finding = Finding::error(format!("{at}/opt_in_tag"), "the tag has no key", "not a tag");
        findings.push(finding.help("write `opt_in_tag: firedrill=allowed`"));
    }
}

fn approvers(approvals: &Approvals, at: &str, findings: &mut Vec<Finding>) {
    let Some(by) = &approvals.by else { return };
    let people: BTreeSet<String> = by.iter().map(|name| name.trim().to_lowercase()).collect();
    if people.len() < approvals.people as usize {
        let title = format!("{} people must approve, and only {} may", approvals.people, people.len());
        findings.push(Finding::error(format!("{at}/by"), title, "too few").on_key().help("name more people, or ask for fewer"));
    }
    for (n, name) in by.iter().enumerate().filter(|(_, name)| !super::approval::is_name(name)) {
        let finding = Finding::error(format!("{at}/by/{n}"), format!("`{name}` cannot be the name of a person"), "not a name");
        findings.push(finding.help("names are letters, digits and `. _ @ + -`, at most 64 of them"));
    }
}

fn environments(at: &str, given: Option<&[Environment]>, findings: &mut Vec<Finding>) {
    empty_list(at, given, "it would apply nowhere", findings);
}

fn empty_list<T>(at: &str, given: Option<&[T]>, why: &str, findings: &mut Vec<Finding>) {
    if given.is_some_and(<[T]>::is_empty) {
        findings
            .push(Finding::error(at, format!("the list is empty: {why}"), "has 0").on_key().help("leave the key out, or name something"));
    }
}

/// Both lists with their pointers.
fn each<'a>(globs: &'a Globs, at: &str) -> Vec<(String, &'a String)> {
    let lists = [("allow", &globs.allow), ("forbid", &globs.forbid)];
    lists
        .into_iter()
        .flat_map(|(key, list)| list.iter().flatten().enumerate().map(move |(n, glob)| (format!("{at}/{key}/{n}"), glob)))
        .collect()
}

fn globs(given: &Globs, at: &str, findings: &mut Vec<Finding>) {
    if given.allow.is_none() && given.forbid.is_none() {
        findings.push(Finding::error(at, "neither `allow` nor `forbid`", "says nothing").on_key().help("write `forbid: [\"process.*\"]`"));
    }
    // An empty `allow` forbids everything, and is said better.
    empty_list(&format!("{at}/allow"), given.allow.as_deref(), "it would forbid everything", findings);
    empty_list(&format!("{at}/forbid"), given.forbid.as_deref(), "it forbids nothing", findings);
    for (at, glob) in each(given, at).into_iter().filter(|(_, glob)| glob.is_empty() || glob.chars().count() > LONGEST) {
        let title = if glob.is_empty() { "the name is empty".to_owned() } else { format!("the name is longer than {LONGEST} characters") };
        findings.push(Finding::error(at, title, "fits nothing"));
    }
}

/// A list that names no kind there is would silently allow nothing or forbid nothing.
fn unknown_kinds(given: &Globs, at: &str, known: &Known, findings: &mut Vec<Finding>) {
    let names: Vec<&str> = known.faults.iter().map(|kind| kind.name.as_str()).collect();
    for (at, glob) in each(given, at).into_iter().filter(|(_, glob)| !glob.is_empty() && !names.iter().any(|name| fits(glob, name))) {
        let finding = Finding::error(at, format!("no fault kind is called `{glob}`"), "fits no kind");
        findings.push(match did_you_mean(glob, names.iter().copied()) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("`firedrill kinds` lists them; `*` stands for any text: `process.*`"),
        });
    }
}

fn keyless(given: &Globs, at: &str, findings: &mut Vec<Finding>) {
    for (at, glob) in each(given, at).into_iter().filter(|(_, glob)| !glob.is_empty() && !glob.contains([':', '*'])) {
        let finding = Finding::error(at, format!("`{glob}` names no target"), "has no key");
        findings.push(finding.help(format!("write the key of the spec before it: `system:{glob}`, or `*:{glob}` for any")));
    }
}
