//! The system's verdict and the exit code. Worst first, and what is missing never helps.

use crate::base::{Interval, Span};
use crate::measure::facts::{Ended, Episode, Facts, Judged, Outage, Percentiles, SteadyAfter};
use crate::plan::{Mode, Plan, SteadyBounds, TestKind};

use super::words::{bounds, many};

/// Whether the system was put to the test, what is said of it, and why.
pub(super) fn system(plan: &Plan, facts: &Facts) -> (bool, Judged, Vec<String>) {
    match plan.mode {
        Mode::Tabletop => {
            return (false, Judged::Inconclusive, vec!["tabletop: no fault was touched, so nothing is said of the system".into()]);
        }
        Mode::Baseline => {
            let why = match &facts.steady_before {
                Some((_, summary)) => format!("steady state was shown: {summary}; the run ended there, so nothing is said of recovery"),
                None => "steady state was not shown".into(),
            };
            return (false, Judged::Inconclusive, vec![why]);
        }
        Mode::Normal => {}
    }
    let mut parts = Vec::new();
    validity(facts, &mut parts);
    for (id, claim) in &facts.claims {
        parts.push((claim.verdict, format!("claim {id} {}", word(claim.verdict))));
    }
    for id in plan.claims.keys().filter(|id| !facts.claims.contains_key(id.as_str())) {
        parts.push((Judged::Inconclusive, format!("claim {id} was not measured")));
    }
    if plan.test == TestKind::Sustained {
        parts.extend(sustained(plan, facts));
    }
    match &facts.steady_after {
        SteadyAfter::Held(_) => parts.push((Judged::Passed, "steady state held after the last undo".into())),
        SteadyAfter::Missed(why) => parts.push((Judged::Failed, format!("not steady after undo: {why}"))),
        SteadyAfter::NotReached => parts.push((Judged::Inconclusive, "steady state after undo was not reached".into())),
    }
    if plan.claims.is_empty() {
        parts.push((Judged::Passed, "no claims were made; only steady state after undo is judged".into()));
    }
    let worst = parts.iter().map(|(verdict, _)| *verdict).max_by_key(|v| rank(*v)).unwrap_or(Judged::Inconclusive);
    // Stable: within one rank the order above remains.
    parts.sort_by_key(|(verdict, _)| std::cmp::Reverse(rank(*verdict)));
    (true, worst, parts.into_iter().map(|(_, why)| why).collect())
}

fn rank(verdict: Judged) -> u8 {
    match verdict {
        Judged::Passed => 0,
        Judged::Inconclusive => 1,
        Judged::Failed => 2,
        Judged::Invalid => 3,
    }
}

/// A verdict as people say it.
pub(super) fn word(verdict: Judged) -> &'static str {
    match verdict {
        Judged::Passed => "passed",
        Judged::Failed => "failed",
        Judged::Inconclusive => "is inconclusive",
        Judged::Invalid => "has no valid evidence",
    }
}

fn validity(facts: &Facts, parts: &mut Vec<(Judged, String)>) {
    if !facts.validity.valid {
        if facts.validity.reasons.is_empty() {
            parts.push((Judged::Invalid, "the run is not valid".into()));
        }
        parts.extend(facts.validity.reasons.iter().map(|why| (Judged::Invalid, why.clone())));
    }
    for (id, episode) in &facts.episodes {
        if episode.effective.is_some() {
            continue;
        }
        let why = episode.why_not.as_deref().unwrap_or("no reason was recorded");
        if matches!(episode.phase.as_str(), "not_run" | "planned") || facts.run.outcome != Some(Ended::Completed) {
            parts.push((Judged::Inconclusive, format!("fault {id} did not take effect: {why}")));
        } else if facts.validity.valid {
            parts.push((Judged::Invalid, format!("fault {id} was not confirmed: {why}")));
        }
    }
}

/// A sustained test must not leave steady state while its fault lasts.
pub(super) fn sustained(plan: &Plan, facts: &Facts) -> Vec<(Judged, String)> {
    let mut parts = Vec::new();
    for (fault, episode) in &facts.episodes {
        if let Some(effective) = episode.effective {
            sustained_through(plan, facts, fault, episode, effective, &mut parts);
        }
    }
    parts
}

/// Whether steady state was left while one fault lasted: what refutes it and what leaves it open.
pub(super) fn sustained_through(
    plan: &Plan,
    facts: &Facts,
    fault: &str,
    episode: &Episode,
    effective: Interval,
    parts: &mut Vec<(Judged, String)>,
) {
    let from = episode.command.unwrap_or(effective.lo);
    let to = episode.undone.and_then(|u| u.hi).unwrap_or(facts.run.end);
    for (probe, limits) in &plan.steady.probes {
        let watched = facts.probes.get(probe.as_str());
        let during = watched.and_then(|p| p.phases.get(&format!("{fault}.during")));
        let (Some(watched), Some(during)) = (watched, during.filter(|d| d.counts.ok + d.counts.bad > 0)) else {
            parts.push((Judged::Inconclusive, format!("{probe} was not watched while {fault} lasted")));
            continue;
        };
        let within = Interval::new(from, to);
        if let Some(outage) = watched.outages.iter().find(|o| certainly(o, within)) {
            parts.push((
                Judged::Failed,
                format!("{probe} left steady state while {fault} lasted: {} for {}", outage.reason, bounds(outage.lo, outage.hi)),
            ));
        } else if watched.outages.iter().any(|o| possibly(o, within)) {
            parts.push((Judged::Inconclusive, format!("{probe} failed at the edge of {fault}; whether within it cannot be told")));
        }
        for (name, limit, measured) in too_slow(limits, during.response.as_ref()) {
            parts.push((
                Judged::Failed,
                format!("{probe} {name} was {} while {fault} lasted; steady state allows {}", measured.human(), limit.human()),
            ));
        }
        // Steady state allows no failure while the fault lasts: any of these may have been one.
        let unknown = during.counts.local + during.counts.capped + during.in_doubt;
        if unknown > 0 {
            let what = format!(
                "{} of {probe} say nothing of the time in which {fault} lasted: lost or failed on our side",
                many(unknown, "sample")
            );
            parts.push((Judged::Inconclusive, what));
        }
        if during.tainted {
            parts.push((Judged::Inconclusive, format!("{probe} cannot be judged while {fault} lasted: the prober itself was in doubt")));
        }
    }
}

type Slow = (&'static str, Span, Span);

fn too_slow(limits: &SteadyBounds, response: Option<&Percentiles>) -> Vec<Slow> {
    let Some(r) = response else { return Vec::new() };
    [("p50", limits.p50, r.p50), ("p90", limits.p90, r.p90), ("p95", limits.p95, r.p95), ("p99", limits.p99, r.p99)]
        .into_iter()
        .filter_map(|(name, limit, measured)| limit.filter(|l| measured > l.max).map(|l| (name, l.max, measured)))
        .collect()
}

/// A bad sample lay within for sure: wholly inside by its outer bounds, or bad at an instant inside by its inner ones.
fn certainly(outage: &Outage, within: Interval) -> bool {
    let end = within.hi.unwrap_or(within.lo);
    let outer = outage.onset.lo >= within.lo && outage.recovery.hi.is_some_and(|hi| hi <= end);
    let from = outage.onset.hi.unwrap_or(outage.onset.lo);
    let inner = from <= outage.recovery.lo && from <= end && outage.recovery.lo >= within.lo;
    outer || inner
}

fn possibly(outage: &Outage, within: Interval) -> bool {
    outage.onset.lo <= within.hi.unwrap_or(within.lo) && outage.recovery.hi.is_none_or(|hi| hi >= within.lo)
}

/// The exit code, worst first.
pub(super) fn exit_code(facts: &Facts, judged: bool, system: Judged) -> u8 {
    let unfinished = |e: &Episode| matches!(e.phase.as_str(), "armed" | "injecting" | "active" | "suspect" | "undoing" | "undo_failed");
    // Stuck is over when somebody came later and undid the rest.
    let stuck = facts.run.outcome == Some(Ended::Stuck) && facts.run.taken_over.is_none();
    if !facts.owed.is_empty() || stuck || facts.episodes.values().any(unfinished) {
        return 50;
    }
    match facts.run.outcome {
        None | Some(Ended::Aborted | Ended::Stuck) if facts.run.could_not_start.is_some() => 11,
        None | Some(Ended::Aborted | Ended::Stuck) => 40,
        Some(Ended::NotSteady) => 20,
        Some(Ended::Completed) if !judged => {
            if facts.steady_before.is_some() {
                0
            } else {
                20
            }
        }
        Some(Ended::Completed) => match system {
            Judged::Invalid => 33,
            Judged::Failed => 30,
            Judged::Inconclusive => 31,
            Judged::Passed => 0,
        },
    }
}
