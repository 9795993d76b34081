//! Recovery time against its objective, and who answered.

use std::collections::BTreeSet;

use crate::base::{At, Span};
use crate::event::Verdict;
use crate::plan::{By, RtoFrom, RtoPlan};

use super::super::facts::{ByFacts, Judged, PartVerdict, Range, RtoFacts};
use super::super::watch::Watch;
use super::super::words::{bounds, list, range};
use super::{Case, part};

pub(super) fn unmeasured(rto: RtoPlan, part: PartVerdict) -> RtoFacts {
    RtoFacts { part, from: rto.from, claimed: rto.max, measured: None, self_recovered: None }
}

pub(super) fn nobody(by: By, part: PartVerdict) -> ByFacts {
    ByFacts { part, claimed: by, before: None, after: None }
}

pub(super) fn judge(case: &Case<'_>, rto: RtoPlan) -> RtoFacts {
    let name = match rto.from {
        RtoFrom::Effect => "recovery_time",
        RtoFrom::Impact if case.recovery.onset.is_none() => "recovery_time",
        RtoFrom::Impact => "failover_time",
        RtoFrom::Command => "command_to_recovery",
        RtoFrom::Declared => {
            return unmeasured(rto, part(Judged::Inconclusive, "counted from the declared incident, and none was declared"));
        }
    };
    let measured = case.recovery.times.get(name).copied().map(|m| at_least_resolution(case, m));
    let part = match measured {
        Some(measured) => verdict(case, rto, &measured),
        None => part(Judged::Inconclusive, "not measured: the fault has no confirmed effect"),
    };
    RtoFacts { part, from: rto.from, claimed: rto.max, measured, self_recovered: case.recovery.self_recovered }
}

/// Where no outage was seen, one shorter than the interval may have been.
fn at_least_resolution(case: &Case<'_>, measured: Range) -> Range {
    if case.recovery.onset_point.is_some() {
        return measured;
    }
    Range { lo: Span::ZERO, hi: measured.hi.map(|hi| hi.max(unseen(case))), point: None }
}

/// The smallest outage that was sure to be seen from the effect until the undo.
fn unseen(case: &Case<'_>) -> Span {
    let from = case.item.effective.map(|effect| effect.lo).or(case.item.command).unwrap_or_default();
    let to = case.item.undo_started.unwrap_or(case.recovery.until).min(case.recovery.until);
    let probes = case.claim.measured_by.iter().filter_map(|id| case.court.read.probes.get(id.as_str()));
    probes.map(|watch| watch.detectable(from, to)).max().unwrap_or_default()
}

/// How long before the undo the first of the probes had its last sample, where more than one in flight can be missing.
fn watched_short(case: &Case<'_>) -> Option<String> {
    let read = case.court.read;
    let to = case.item.undo_started.unwrap_or(read.end).min(case.recovery.until).min(read.end);
    let probes = case.claim.measured_by.iter().filter_map(|id| read.probes.get(id.as_str()));
    let left = |watch: &Watch<'_>| {
        let last = watch.ends().map_or(At(0), |(_, last)| last);
        to.since(last) - (watch.plan.gap().times(2) + watch.plan.timeout)
    };
    probes.map(left).max().filter(|left| *left > Span::ZERO).map(Span::human)
}

fn interval(case: &Case<'_>) -> Span {
    let probes = case.claim.measured_by.iter().filter_map(|id| case.court.read.probes.get(id.as_str()));
    probes.map(|w| w.interval).max().unwrap_or_default()
}

fn verdict(case: &Case<'_>, rto: RtoPlan, measured: &Range) -> PartVerdict {
    let (found, service, most) = (case.recovery, case.service(), rto.max.human());
    let from = match rto.from {
        RtoFrom::Effect => "effect",
        RtoFrom::Impact => "impact",
        RtoFrom::Command | RtoFrom::Declared => "the injector's call",
    };
    if !found.blind.is_empty() {
        return part(Judged::Inconclusive, format!("{} has no samples", list(&found.blind)));
    }
    if found.onset_point.is_none() && measured.hi.is_some() {
        return never_failed(case, rto, measured);
    }
    let said = format!("{service} was stably up {} after {from}", range(measured));
    if found.self_recovered == Some(false) && case.recovery.stable.when.hi.is_some() {
        let undo = found.times.get("restore_time").map_or_else(String::new, |r| format!(", {} after the undo began", range(r)));
        return part(
            Judged::Failed,
            format!("{service} came back only after the fault was undone: {} after {from}{undo}", range(measured)),
        );
    }
    let Some(hi) = measured.hi else { return censored(case, rto, measured, from) };
    if measured.lo > rto.max {
        return part(Judged::Failed, format!("{said}; the objective is {most}"));
    }
    if hi > rto.max {
        return part(Judged::Inconclusive, format!("{said}, which may be under or over {most}; {}", what_decides(case, rto, measured)));
    }
    if found.self_recovered.is_none() {
        return part(
            Judged::Inconclusive,
            format!("{said}, but the undo began within these bounds: whether it came back by itself cannot be told"),
        );
    }
    let mut why = format!("{said}, within {most}");
    if let Some(again) = found.again {
        let t0 = case.item.effective.and_then(|w| w.hi).unwrap_or_default();
        why.push_str(&format!("; it failed again {} after effect, before the undo", again.since(t0).human()));
    }
    part(Judged::Passed, why)
}

fn never_failed(case: &Case<'_>, rto: RtoPlan, measured: &Range) -> PartVerdict {
    let (service, smallest) = (case.service(), unseen(case));
    let none = format!("{service} did not fail: no outage of {} or longer was seen", smallest.human());
    if case.recovery.doubt {
        let why = "some of our own samples were lost where an outage could hide";
        if measured.hi.is_none_or(|hi| hi > rto.max) {
            return part(Judged::Inconclusive, format!("no failure of {service} was seen, but {why} (prober)"));
        }
    }
    if case.recovery.self_recovered.is_none() && case.recovery.doubt {
        let why = "samples were lost on our side until after the undo began: whether it came back by itself cannot be told (prober)";
        return part(Judged::Inconclusive, format!("no failure of {service} was seen, but {why}"));
    }
    if let Some(left) = watched_short(case) {
        return part(
            Judged::Inconclusive,
            format!("no failure of {service} was seen, but watching ended {left} before the fault was undone (prober)"),
        );
    }
    if measured.hi.is_none_or(|hi| hi > rto.max) {
        let wanted = if smallest > interval(case).max(rto.max) {
            "the prober was late for longer than that (prober): run it again on a quieter host".to_owned()
        } else {
            format!("an objective of {} needs a shorter interval", rto.max.human())
        };
        return part(Judged::Inconclusive, format!("{none}; {wanted}"));
    }
    part(Judged::Passed, none)
}

fn censored(case: &Case<'_>, rto: RtoPlan, measured: &Range, from: &str) -> PartVerdict {
    let service = case.service();
    let end = case.aborted().unwrap_or_else(|| "watching ended before it was shown".into());
    if measured.lo > rto.max {
        let down = bounds(measured.lo, None);
        return part(
            Judged::Failed,
            format!("{service} was not stably up {down} after {from}; the objective is {}; {end}", rto.max.human()),
        );
    }
    let seen = if measured.lo == Span::ZERO { "is not known".into() } else { format!("is {}", bounds(measured.lo, None)) };
    part(
        Judged::Inconclusive,
        format!("{service} was not shown to be stably up: the time from {from} {seen}; {end} (observation too short)"),
    )
}

/// What would have decided it.
fn what_decides(case: &Case<'_>, rto: RtoPlan, measured: &Range) -> String {
    if case.recovery.widened || case.recovery.doubt {
        return "the prober was in doubt at an edge (prober): run it again on a quieter host".into();
    }
    let d = interval(case);
    let width = measured.hi.unwrap_or(measured.lo) - measured.lo;
    // The distance to the nearer bound is what must remain; the width is about two intervals.
    let point = measured.point.unwrap_or(measured.lo + Span(width.0 / 2));
    let margin = if point > rto.max { point - rto.max } else { rto.max - point };
    let wanted = Span(margin.0 / 2);
    let timeout = case.claim.measured_by.iter().filter_map(|id| case.court.read.probes.get(id.as_str())).map(|w| w.plan.timeout).max();
    if let Some(timeout) = timeout.filter(|t| measured.lo == Span::ZERO || (width > d.times(4) && *t > wanted)) {
        return format!("a time-out below {} would decide it (resolution; it is {})", wanted.max(d).human(), timeout.human());
    }
    if wanted < Span::millis(1) {
        return "it is too close to the objective for any interval to decide (resolution)".into();
    }
    format!("an interval of {} or less would decide it (resolution; it is {})", Span(wanted.0.min(d.0 / 2)).human(), d.human())
}

pub(super) fn by(case: &Case<'_>, claimed: By) -> ByFacts {
    let read = case.court.read;
    let (mut before, mut after): (BTreeSet<&str>, BTreeSet<&str>) = Default::default();
    let (mut last, mut first) = (None, None);
    let command = case.item.command.unwrap_or_default();
    let since = command.minus(case.steady().over);
    let up = case.recovery.stable.when.hi.and(case.recovery.stable.point);
    for watch in case.claim.measured_by.iter().filter_map(|id| read.probes.get(id.as_str())) {
        for row in watch.planned(since.minus(watch.plan.timeout), command).iter().filter(|r| r.verdict == Verdict::Ok && r.done <= command)
        {
            before.extend(row.by.as_deref());
            last = row.by.as_deref().or(last);
        }
        let Some(up) = up else { continue };
        let rows = watch.planned(up.minus(watch.plan.timeout), up + case.fault.stable_for);
        for row in rows.iter().filter(|r| r.verdict == Verdict::Ok && r.sent >= up) {
            after.extend(row.by.as_deref());
            first = first.or(row.by.as_deref());
        }
    }
    let part = match (&before, &after) {
        _ if up.is_none() => part(Judged::Inconclusive, "it was not stably up again, so nobody can be named"),
        (b, a) if b.is_empty() || a.is_empty() => {
            let when = if b.is_empty() { "before the fault" } else { "after recovery" };
            part(Judged::Inconclusive, format!("no answer {when} said who gave it"))
        }
        _ => named(claimed, &before, &after),
    };
    ByFacts { part, claimed, before: last.map(str::to_owned), after: first.map(str::to_owned) }
}

fn named(claimed: By, before: &BTreeSet<&str>, after: &BTreeSet<&str>) -> PartVerdict {
    let names = |set: &BTreeSet<&str>| list(&set.iter().collect::<Vec<_>>());
    let said = format!("{} answered before and {} after", names(before), names(after));
    let another = before.is_disjoint(after);
    let same = before == after;
    match claimed {
        By::AnotherInstance if another => part(Judged::Passed, said),
        By::AnotherInstance if same && before.len() == 1 => {
            part(Judged::Failed, format!("{} answered before and after: a restart, not a failover", names(before)))
        }
        By::SameInstance if same => part(Judged::Passed, said),
        By::SameInstance if another => part(Judged::Failed, format!("{said}: not the same instance")),
        By::AnotherInstance | By::SameInstance => part(Judged::Inconclusive, format!("{said}: who took over from whom cannot be told")),
    }
}
