//! Shares of time and of samples: availability, and what must hold beside recovery (design 1.7).

use crate::base::{At, Span};
use crate::event::Class;
use crate::fold::steady::{State, percent};
use crate::plan::{AvailabilityPlan, BudgetDecl, HoldsPlan};

use super::super::facts::{AvailabilityFacts, BudgetFacts, HoldsFacts, Judged, PartVerdict};
use super::super::outage::{Times, down, union, within};
use super::super::words::count;
use super::{Case, part};

pub(super) fn unmeasured(plan: AvailabilityPlan, part: PartVerdict) -> AvailabilityFacts {
    let claimed = plan.min.fraction();
    AvailabilityFacts { part, claimed, over: plan.over, by_time_lo: None, by_time_hi: None, by_requests: None, budget: None }
}

pub(super) fn unheld(part: PartVerdict) -> HoldsFacts {
    HoldsFacts { part, share: None, samples: 0 }
}

pub(super) fn availability(case: &Case<'_>, plan: AvailabilityPlan) -> AvailabilityFacts {
    let read = case.court.read;
    let Some(from) = case.item.effective.and_then(|w| w.hi) else {
        return unmeasured(plan, part(Judged::Inconclusive, "the fault has no confirmed effect"));
    };
    let to = from + plan.over;
    let (mut sure, mut may) = (Times::new(), Times::new());
    let (mut ok, mut all) = (0u64, 0u64);
    let (mut seen, mut tainted) = (to, 0f64);
    for id in &case.claim.measured_by {
        let Some(watch) = read.probes.get(id.as_str()) else { continue };
        let (s, m) = down(watch, &case.court.outages[id.as_str()]);
        sure = union([sure, s].concat());
        may = union([may, m].concat());
        seen = seen.min(watch.ends().map_or(from, |(_, last)| last + watch.interval));
        tainted = tainted.max(case.court.taint.blind_share(id.as_str(), from, to));
        for state in watch.planned(from, to).iter().map(|row| watch.state(row)) {
            ok += u64::from(state == State::Ok);
            all += u64::from(state != State::Unknown);
        }
        let quietly = watch.quietly(from, to);
        (ok, all) = (ok + quietly, all + quietly);
    }
    if let Some((at, _)) = read.abort.as_ref() {
        seen = seen.min(*at);
    }
    let seen = seen.max(from);
    if seen < to {
        // What was not watched may have been down.
        may = union([may, vec![(seen, to)]].concat());
    }
    let share = |times: &Times| 1.0 - within(times, from, to).0 as f64 / plan.over.0.max(1) as f64;
    let (lo, hi, min) = (share(&may), share(&sure), plan.min.fraction());
    let said = if percent(lo) == percent(hi) { percent(lo) } else { format!("{} – {}", percent(lo).trim_end_matches(" %"), percent(hi)) };
    let said = format!("{} was up {said} of {} after effect", case.service(), plan.over.human());
    let part = if seen < to && hi >= min {
        let end = case.aborted().unwrap_or_else(|| "the drill ended".into());
        part(Judged::Inconclusive, format!("watched for {} of {}: {end}", seen.since(from).human(), plan.over.human()))
    } else if tainted > 0.01 {
        part(Judged::Inconclusive, format!("{said}, but the prober was in doubt for {} of that time (prober)", percent(tainted)))
    } else if hi < min {
        part(Judged::Failed, format!("{said}; the objective is {}", percent(min)))
    } else if lo >= min {
        part(Judged::Passed, format!("{said}, at least {}", percent(min)))
    } else {
        part(
            Judged::Inconclusive,
            format!("{said}, which may be under or over {}: a shorter interval would decide it (resolution)", percent(min)),
        )
    };
    let by_requests = (all > 0).then(|| ok as f64 / all as f64);
    AvailabilityFacts {
        part,
        claimed: min,
        over: plan.over,
        by_time_lo: Some(lo),
        by_time_hi: Some(hi),
        by_requests,
        budget: plan.budget.map(|budget| spent(budget, (within(&sure, from, to), within(&may, from, to)), by_requests)),
    }
}

/// What so much time down, at least and at most, and so many failures spend of an error budget.
fn spent(budget: BudgetDecl, (least, most): (Span, Span), by_requests: Option<f64>) -> BudgetFacts {
    // `check` refuses an objective that allows nothing; a plan that was written by hand may have one.
    let left: f64 = (1.0 - budget.slo.fraction()).max(f64::MIN_POSITIVE);
    let allowed = left * budget.over.0 as f64;
    let share = |down: Span| (allowed >= 1.0).then(|| down.0 as f64 / allowed);
    BudgetFacts {
        slo: budget.slo.fraction(),
        over: budget.over,
        allowed: Span(allowed.round() as u64),
        spent_lo: share(least),
        spent_hi: share(most),
        burn_rate: by_requests.filter(|_| allowed >= 1.0).map(|good| (1.0 - good) / left),
    }
}

pub(super) fn holds(case: &Case<'_>, plan: &HoldsPlan) -> HoldsFacts {
    let read = case.court.read;
    let Some(watch) = read.probes.get(plan.probe.as_str()) else {
        return unheld(part(Judged::Inconclusive, format!("{} is not watched", plan.probe)));
    };
    let Some(from) = case.moment(&plan.from) else {
        return unheld(part(Judged::Inconclusive, "the moment from which it must hold did not come"));
    };
    let planned_end = match &plan.until {
        Some(moment) => case.moment(moment),
        None => case.item.undo_started,
    };
    let stop = read.abort.as_ref().map_or(read.end, |(at, _)| *at);
    let seen = watch.ends().map_or(At(0), |(_, last)| last + watch.interval);
    let to = planned_end.unwrap_or(stop).min(stop);
    let cut = planned_end.is_none_or(|end| end > to) || seen + watch.interval < to;
    let (mut good, mut bad, mut unknown) = (watch.quietly(from, to), 0u64, watch.missing(from, to));
    for row in watch.planned(from, to) {
        match watch.state(row) {
            State::Ok => good += 1,
            // Nobody answered the question whether it works: that does not show that it does not.
            State::Bad if row.class == Class::NoData && plan.success.max.is_some() => unknown += 1,
            State::Bad => bad += 1,
            State::Unknown => unknown += 1,
        }
    }
    let part = share_verdict(case, plan, (good, bad, unknown), cut, to.since(from));
    let samples = good + bad;
    HoldsFacts { part, share: (samples > 0).then(|| good as f64 / samples as f64), samples }
}

fn share_verdict(case: &Case<'_>, plan: &HoldsPlan, (good, bad, unknown): (u64, u64, u64), cut: bool, length: Span) -> PartVerdict {
    let all = good + bad + unknown;
    if good + bad == 0 {
        return part(Judged::Inconclusive, format!("{} has no samples in this time ({})", plan.probe, length.human()));
    }
    let (lo, hi) = (good as f64 / all as f64, (good + unknown) as f64 / all as f64);
    let said = format!("{} of {} of {} were good", super::super::words::grouped(good), count(good + bad, "sample"), plan.probe);
    let bounds = [
        plan.success.min.map(|m| format!("at least {}", percent(m.fraction()))),
        plan.success.max.map(|m| format!("at most {}", percent(m.fraction()))),
    ];
    let asked = bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let below = plan.success.min.is_some_and(|min| hi < min.fraction());
    let above = plan.success.max.is_some_and(|max| lo > max.fraction());
    // With a bound of nothing, one good sample refutes it, however long the watching was.
    if (below || above) && (!cut || (above && plan.success.max.is_some_and(|m| m.fraction() == 0.0))) {
        return part(Judged::Failed, format!("{said}; the objective is {asked}"));
    }
    if cut {
        let end = case.aborted().unwrap_or_else(|| "the drill ended".into());
        return part(Judged::Inconclusive, format!("{said} in {}, but the time was cut short: {end}", length.human()));
    }
    let keeps = plan.success.min.is_none_or(|min| lo >= min.fraction()) && plan.success.max.is_none_or(|max| hi <= max.fraction());
    if keeps {
        return part(Judged::Passed, format!("{said}, {asked}"));
    }
    part(Judged::Inconclusive, format!("{said}, and {} on our side: {asked} cannot be told", count(unknown, "failure")))
}
