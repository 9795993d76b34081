//! Latency against its objective: quantiles of `response_all` in one phase.

use indexmap::IndexMap;

use crate::base::Span;
use crate::fold::steady::quantile_name;
use crate::plan::{LatencyDecl, PhaseName};

use super::super::facts::{Judged, LatencyFacts, PartVerdict};
use super::super::latency::Measured;
use super::{Case, part};

fn asked(plan: &LatencyDecl) -> Vec<(f64, Span)> {
    let all = [(0.5, plan.p50), (0.9, plan.p90), (0.95, plan.p95), (0.99, plan.p99), (0.999, plan.p999)];
    all.into_iter().filter_map(|(q, bound)| bound.map(|b| (q, b.max))).collect()
}

pub(super) fn unmeasured(plan: &LatencyDecl, part: PartVerdict) -> LatencyFacts {
    let quantiles = asked(plan).into_iter().map(|(q, max)| (key(q), (max, None))).collect();
    LatencyFacts { part, phase: plan.phase, quantiles }
}

/// `p99`, `p999`.
fn key(q: f64) -> String {
    quantile_name(q).replace('.', "")
}

fn name(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Before => "before",
        PhaseName::Inject => "inject",
        PhaseName::During => "during",
        PhaseName::Undo => "undo",
        PhaseName::After => "after",
        PhaseName::Recovering => "recovering",
    }
}

pub(super) fn judge(case: &Case<'_>, plan: &LatencyDecl) -> LatencyFacts {
    let phase = match plan.phase {
        PhaseName::Before => "before".to_owned(),
        other => format!("{}.{}", case.claim.fault, name(other)),
    };
    let mut quantiles: IndexMap<String, (Span, Option<Span>)> = IndexMap::new();
    let mut parts: Vec<PartVerdict> = Vec::new();
    for id in &case.claim.measured_by {
        let measured = case.court.phases.get(&(id.to_string(), phase.clone()));
        for (q, max) in asked(plan) {
            let value = measured.and_then(|m| m.quantile(q)).map(|(value, _)| value);
            let entry = quantiles.entry(key(q)).or_insert((max, None));
            entry.1 = entry.1.max(value);
            parts.push(verdict(id.as_str(), &phase, measured, q, max));
        }
    }
    let cut = case.aborted().filter(|_| cut_short(case, plan.phase));
    let rank = |p: &PartVerdict| match p.verdict {
        Judged::Passed => 0,
        Judged::Inconclusive | Judged::Invalid => 1,
        Judged::Failed => 2,
    };
    let worst = parts.iter().map(rank).max().unwrap_or(1);
    let why: Vec<&str> = parts.iter().filter(|p| rank(p) == worst).map(|p| p.why.as_str()).collect();
    let mut found = match parts.iter().find(|p| rank(p) == worst) {
        Some(first) => part(first.verdict, why.join("; ")),
        None => part(Judged::Inconclusive, "no quantile was claimed"),
    };
    if let (Some(cut), Judged::Passed | Judged::Failed) = (cut, found.verdict) {
        found = part(Judged::Inconclusive, format!("{}, but the phase was cut short: {cut}", found.why));
    }
    LatencyFacts { part: found, phase: plan.phase, quantiles }
}

/// Whether the abort came before the phase had ended by itself: that of an earlier fault is over when the next one begins.
fn cut_short(case: &Case<'_>, phase: PhaseName) -> bool {
    let Some((abort, _)) = &case.court.read.abort else { return false };
    match phase {
        PhaseName::Before | PhaseName::Inject | PhaseName::Undo => false,
        PhaseName::During => case.item.undo_started.is_none_or(|undo| undo >= *abort),
        PhaseName::Recovering => case.recovery.stable.when.hi.is_none_or(|up| up > *abort) && case.recovery.until >= *abort,
        PhaseName::After => case.recovery.until >= *abort,
    }
}

fn verdict(id: &str, phase: &str, measured: Option<&Measured>, q: f64, max: Span) -> PartVerdict {
    let name = quantile_name(q);
    let Some((m, (value, censored))) = measured.and_then(|m| m.quantile(q).map(|v| (m, v))) else {
        return part(Judged::Inconclusive, format!("{id} has no samples in phase {phase}"));
    };
    let sign = if censored { "≥ " } else { "" };
    let said = format!("{id} {name} {sign}{} in phase {phase}", value.human());
    // A late prober only adds to a latency, and a lost sample counts as the slowest: what passes all the same has passed.
    if m.facts.tainted && m.worst(q).is_none_or(|worst| worst > max) {
        return part(Judged::Inconclusive, format!("{said}, but the prober was in doubt for more than 1 % of it (prober)"));
    }
    // The histogram keeps three significant digits and tells the upper end of a bucket.
    let least = Span(value.0 - value.0 / 1000);
    if least > max {
        return part(Judged::Failed, format!("{said}; the objective is {}", max.human()));
    }
    if censored {
        return part(Judged::Inconclusive, format!("{said}: it falls among time-outs, and a longer one would decide it"));
    }
    match m.worst(q) {
        Some(worst) if worst <= max => part(Judged::Passed, format!("{said}, within {}", max.human())),
        Some(worst) if worst == value => {
            part(Judged::Inconclusive, format!("{said}, too close to {} for three significant digits", max.human()))
        }
        _ => part(
            Judged::Inconclusive,
            format!("{said}, but samples that timed out, or were lost on our side, may have been slower than {}", max.human()),
        ),
    }
}
