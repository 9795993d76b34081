//! Single demands of a rule against a plan, and how they are called.

use serde::Serialize;

use super::glob::fits as matches;
use super::judge::{Stage, Verdict};
use super::model::{Approvals, Globs, MaxTargets, Need};
use super::reach::Reach;
use crate::plan::Plan;
use crate::scenario::model::Environment;

pub(super) fn asked_of(asked: &Approvals) -> String {
    let by = asked.by.as_ref().map(|by| format!(" of {}", by.join(", "))).unwrap_or_default();
    let own = if asked.own_accounts { ", each under an account of their own" } else { "" };
    let (people, s) = (asked.people, if asked.people == 1 { "" } else { "s" });
    format!("{people} different approval{s}{by}{own}, not older than {}", asked.valid_for)
}

pub(super) fn applies(environments: Option<&[Environment]>, here: Environment) -> bool {
    environments.is_none_or(|list| list.contains(&here))
}

pub(super) fn refuse_unless(holds: bool, why: impl FnOnce() -> String) -> Verdict {
    if holds { Verdict::Passed } else { Verdict::Refused(why()) }
}

pub(super) fn first_refusal(mut each: impl Iterator<Item = Option<String>>) -> Verdict {
    each.find_map(|why| why).map_or(Verdict::Passed, Verdict::Refused)
}

/// A word as the language writes it.
pub(super) fn text_of(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(super) fn words(list: &[impl Serialize]) -> String {
    list.iter().map(text_of).collect::<Vec<_>>().join(", ")
}

pub(super) fn has(plan: &Plan, need: Need) -> bool {
    let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    match need {
        Need::Owner => says(&plan.owner),
        Need::Why => says(&plan.why),
        Need::Guard => !plan.guards.is_empty(),
        Need::Claim => !plan.claims.is_empty(),
        Need::Subject => !plan.subject.is_empty(),
        Need::Control => plan.probes.values().any(|probe| probe.control),
    }
}

pub(super) fn shown(globs: &Globs, what: &str) -> String {
    let list = |word: &str, list: &Option<Vec<String>>| list.as_ref().map(|list| format!("{word} {what} {}", list.join(", ")));
    [list("only", &globs.allow), list("no", &globs.forbid)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Why a name is not allowed.
pub(super) fn named(globs: &Globs, name: &str) -> Option<String> {
    if let Some(glob) = globs.forbid.iter().flatten().find(|glob| matches(glob, name)) {
        return Some(format!("{name}, and `{glob}` is forbidden"));
    }
    let allowed = globs.allow.as_ref().is_none_or(|list| list.iter().any(|glob| matches(glob, name)));
    (!allowed).then(|| format!("{name}, which is not allowed"))
}

/// Why a fault may not hit what it would hit. It is allowed when one key of its spec is, with all of its values; one that hits nothing is.
pub(super) fn hits(globs: &Globs, reach: &Reach) -> Option<String> {
    let fault = &reach.fault;
    let all = || reach.names.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("{key}:{value}")));
    for name in all() {
        if let Some(glob) = globs.forbid.iter().flatten().find(|glob| matches(glob, &name)) {
            return Some(format!("`{fault}` hits {name}, and `{glob}` is forbidden"));
        }
    }
    let list = globs.allow.as_ref()?;
    if reach.count == Some(0) {
        return None;
    }
    let good =
        |(key, values): &(String, Vec<String>)| values.iter().all(|value| list.iter().any(|glob| matches(glob, &format!("{key}:{value}"))));
    let said = || all().take(8).collect::<Vec<_>>().join(", ");
    (!reach.names.iter().any(good)).then(|| format!("`{fault}` hits {}, which is not allowed", said()))
}

pub(super) fn radius(most: &MaxTargets, reach: &[Reach], stage: Stage) -> Verdict {
    let unknown = |reach: &&Reach| reach.count.is_none();
    if reach.iter().any(|reach| unknown(&reach)) && stage == Stage::Check {
        return Verdict::Later;
    }
    if let Some(reach) = reach.iter().find(unknown) {
        return Verdict::Refused(format!("how many targets `{}` has is not known", reach.fault));
    }
    let total: usize = reach.iter().filter_map(|reach| reach.count).sum();
    if let Some(count) = most.count.filter(|count| total > *count as usize) {
        return Verdict::Refused(format!("it hits {total} targets, more than {count}"));
    }
    let Some(share) = most.percent else { return Verdict::Passed };
    first_refusal(reach.iter().map(|reach| {
        let hit = reach.count.unwrap_or_default();
        match reach.population {
            _ if hit == 0 => None,
            None | Some(0) => Some(format!("of how many the targets of `{}` are a part is not known", reach.fault)),
            Some(all) => {
                let part = hit as f64 / all as f64;
                (part > share.fraction() + 1e-9).then(|| format!("`{}` hits {hit} of {all}, {:.0} %", reach.fault, part * 100.0))
            }
        }
    }))
}
