//! Claims, judged. Verdicts are three-valued, on bounds: *passed* when even the worst reading keeps the objective, *failed* when even the
//! best one misses it, else *inconclusive*, saying what would decide it. A fault that was not confirmed is no evidence: *invalid*.

mod latency;
mod rpo;
mod rto;
mod share;

use indexmap::IndexMap;

use crate::base::{At, Id};
use crate::plan::{ClaimPlan, FaultPlan, Moment, Point, SteadyPlan};

use super::episode::{Outages, Recovery, recovery};
use super::facts::{ClaimFacts, Judged, PartVerdict};
use super::latency::Measured;
use super::ledger::Ledger;
use super::prober::Taint;
use super::read::{Item, Read};

/// Everything that judging a claim needs.
pub(super) struct Court<'a> {
    pub read: &'a Read<'a>,
    pub outages: &'a Outages<'a>,
    /// Per fault, over its own probes.
    pub recoveries: &'a IndexMap<&'a str, Recovery>,
    /// Probe and phase.
    pub phases: &'a IndexMap<(String, String), Measured>,
    pub ledgers: &'a IndexMap<String, Ledger>,
    pub taint: &'a Taint,
}

/// One claim with its episode.
struct Case<'a> {
    court: &'a Court<'a>,
    claim: &'a ClaimPlan,
    fault: &'a FaultPlan,
    item: &'a Item<'a>,
    /// Of the claim's own probes.
    recovery: &'a Recovery,
}

pub(super) fn part(verdict: Judged, why: impl Into<String>) -> PartVerdict {
    PartVerdict { verdict, why: why.into() }
}

/// Failed over invalid over inconclusive over passed.
fn worst(parts: impl Iterator<Item = Judged>) -> Judged {
    let rank = |v: &Judged| match v {
        Judged::Passed => 0,
        Judged::Inconclusive => 1,
        Judged::Invalid => 2,
        Judged::Failed => 3,
    };
    parts.max_by_key(rank).unwrap_or(Judged::Inconclusive)
}

/// All claims.
pub(super) fn claims(court: &Court<'_>, invalid: Option<&str>) -> IndexMap<String, ClaimFacts> {
    let plan = court.read.plan;
    plan.claims.iter().map(|(id, claim)| (id.to_string(), judge(court, claim, invalid))).collect()
}

fn judge(court: &Court<'_>, claim: &ClaimPlan, invalid: Option<&str>) -> ClaimFacts {
    let fault = court.read.plan.faults.get(&claim.fault);
    let item = court.read.items.get(claim.fault.as_str());
    let (Some(fault), Some(item)) = (fault, item) else {
        return all(claim, part(Judged::Inconclusive, not_reached(court.read, "not run: the drill did not come to this fault")));
    };
    if let Some(refused) = barred(court.read, fault, item) {
        return all(claim, refused);
    }
    let found = recovery(court.read, court.outages, item, &claim.measured_by, fault.stable_for);
    let Some(found) = found else {
        return all(claim, part(Judged::Inconclusive, not_reached(court.read, "not run: the fault was never injected")));
    };
    let case = Case { court, claim, fault, item, recovery: &found };
    let mut facts = ClaimFacts {
        fault: claim.fault.to_string(),
        verdict: Judged::Inconclusive,
        rto: claim.rto.map(|rto| rto::judge(&case, rto)),
        rpo: claim.rpo.as_ref().map(|rpo| rpo::judge(&case, rpo)),
        availability: claim.availability.map(|a| share::availability(&case, a)),
        latency: claim.latency.as_ref().map(|l| latency::judge(&case, l)),
        by: claim.by.map(|by| rto::by(&case, by)),
        holds: claim.holds.iter().map(|(id, holds)| (id.to_string(), share::holds(&case, holds))).collect(),
    };
    if let Some(why) = item.cut_short {
        withhold(&mut facts, why);
    }
    if let Some(why) = invalid {
        overrule(&mut facts, &part(Judged::Invalid, why));
    }
    facts.verdict = worst(parts(&mut facts).into_iter().map(|p| p.verdict));
    facts
}

/// Why there is nothing to judge, as far as the fault itself is concerned.
fn barred(read: &Read<'_>, fault: &FaultPlan, item: &Item<'_>) -> Option<PartVerdict> {
    if let Some(why) = item.not_run {
        return Some(part(Judged::Inconclusive, format!("not run: {why}")));
    }
    if fault.kind.starts_with("rehearse.") {
        return Some(part(Judged::Inconclusive, "a rehearsal touches nothing and is never evidence"));
    }
    if let Some(why) = item.not_confirmed {
        return Some(part(Judged::Invalid, format!("the fault was not confirmed: {why}; a system that was never hurt proves nothing")));
    }
    if let Some(why) = item.failed {
        return Some(part(Judged::Inconclusive, format!("not run: the fault could not be injected: {why}")));
    }
    if item.effective.is_none() {
        return Some(part(Judged::Inconclusive, not_reached(read, "the fault was not seen to take effect before the drill ended")));
    }
    None
}

fn not_reached(read: &Read<'_>, text: &str) -> String {
    read.abort.as_ref().map_or_else(|| text.to_owned(), |(_, why)| format!("{text}; the drill was aborted ({why})"))
}

/// The same verdict on every part that was claimed.
fn all(claim: &ClaimPlan, verdict: PartVerdict) -> ClaimFacts {
    let case = || verdict.clone();
    ClaimFacts {
        fault: claim.fault.to_string(),
        verdict: verdict.verdict,
        rto: claim.rto.map(|r| rto::unmeasured(r, case())),
        rpo: claim.rpo.as_ref().map(|r| rpo::unmeasured(r, case())),
        availability: claim.availability.map(|a| share::unmeasured(a, case())),
        latency: claim.latency.as_ref().map(|l| latency::unmeasured(l, case())),
        by: claim.by.map(|by| rto::nobody(by, case())),
        holds: claim.holds.keys().map(|id| (id.to_string(), share::unheld(case()))).collect(),
    }
}

fn parts(facts: &mut ClaimFacts) -> Vec<&mut PartVerdict> {
    let fixed = [
        facts.rto.as_mut().map(|p| &mut p.part),
        facts.rpo.as_mut().map(|p| &mut p.part),
        facts.availability.as_mut().map(|p| &mut p.part),
        facts.latency.as_mut().map(|p| &mut p.part),
        facts.by.as_mut().map(|p| &mut p.part),
    ];
    fixed.into_iter().flatten().chain(facts.holds.values_mut().map(|h| &mut h.part)).collect()
}

fn overrule(facts: &mut ClaimFacts, verdict: &PartVerdict) {
    for one in parts(facts) {
        one.clone_from(verdict);
    }
}

/// A fault that was over before its time supports nothing; what it has refuted in that time stays refuted.
fn withhold(facts: &mut ClaimFacts, why: &str) {
    for one in parts(facts).into_iter().filter(|one| one.verdict == Judged::Passed) {
        *one = part(Judged::Inconclusive, format!("the fault did not last as planned: {why}; so far: {}", one.why));
    }
}

impl Case<'_> {
    /// The named probes, for sentences.
    fn service(&self) -> String {
        self.claim.service.clone().unwrap_or_else(|| super::words::list(&self.claim.measured_by.iter().map(Id::as_str).collect::<Vec<_>>()))
    }

    /// What is added where an abort stopped the clock before the end.
    fn aborted(&self) -> Option<String> {
        let (at, why) = self.court.read.abort.as_ref()?;
        let t0 = self.item.effective.map(|w| w.hi.unwrap_or(w.lo)).unwrap_or_default();
        Some(format!("the drill was aborted {} after effect ({why})", super::words::after(*at, t0)))
    }

    /// A moment on the run's clock, when it has come.
    fn moment(&self, moment: &Moment) -> Option<At> {
        let read = self.court.read;
        let item = |id: &Id| read.items.get(id.as_str());
        let at = match &moment.after {
            Point::Steady => read.steady_at,
            Point::Effective(id) => item(id).and_then(|i| i.effective).and_then(|w| w.hi),
            Point::Recovered(id) => self.court.recoveries.get(id.as_str()).and_then(|r| r.stable.when.hi),
            Point::Undone(id) => item(id).and_then(|i| i.undone).and_then(|w| w.hi),
            Point::Expectation(_) | Point::Prompt(_) => None,
        };
        at.map(|at| at + moment.plus)
    }

    /// Steady state's window.
    fn steady(&self) -> &SteadyPlan {
        &self.court.read.plan.steady
    }
}
