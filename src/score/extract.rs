//! From plan and facts to signals: what firedrill itself produces, each with the entries that prove it. One scope for each claim, since each has
//! objectives of its own, and one for each fault that nobody claims anything of. What is not here is not instrumented. It must never
//! guess: what a probe did not see has no value.

use indexmap::IndexMap;

use crate::base::{At, Id, Span};
use crate::measure::facts::{ClaimFacts, Episode, Facts, HoldsFacts, Judged, Percentiles, PhaseFacts, ProbeFacts, Range, SteadyAfter};
use crate::plan::{By, ClaimPlan, FaultPlan, Plan};

use super::catalogue::Catalogue;
use super::proof::Proof;
use super::signal::{Observed, Readings, Signal, State, Value};
use super::targets::targets;
use super::verdict;

/// One part of a run that is judged by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// The claim, else the fault.
    pub name: String,
    /// The fault.
    pub fault: String,
    /// Sorts of drill that it is: keys of the catalogue's `drills`.
    pub drills: Vec<String>,
    /// Everything that rules may ask.
    pub readings: Readings,
}

/// The signals that come from plan and facts alone; every other one needs somebody who observes it.
pub const PRODUCED: [&str; 21] = [
    "rto_declared",
    "rpo_declared",
    "objectives_business_owned",
    "hypothesis_declared",
    "rto_measured_s",
    "rto_margin_ratio",
    "ttr_s",
    "failover_s",
    "recovered",
    "recovered_without_human",
    "rpo_measured_s",
    "duplicate_effects",
    "data_integrity_violations",
    "availability_during_fault",
    "error_rate_peak",
    "latency_p99_ms",
    "latency_shift_p99",
    "client_wait_max_s",
    "degraded_mode_ok",
    "steady_state_during",
    "steady_state_after",
];

/// Every scope of a run, in the plan's order.
pub fn scopes(catalogue: &Catalogue, plan: &Plan, facts: &Facts, observed: &Observed) -> Vec<Scope> {
    let claimed = plan
        .claims
        .iter()
        .filter_map(|(id, claim)| Some((id.as_str(), claim.fault.as_str(), Some((claim, facts.claims.get(id.as_str())?)))));
    let bare =
        plan.faults.keys().filter(|id| !plan.claims.values().any(|claim| claim.fault == **id)).map(|id| (id.as_str(), id.as_str(), None));
    let each = claimed.chain(bare).filter_map(|(name, fault, claim)| {
        let (planned, episode) = (plan.faults.get(fault)?, facts.episodes.get(fault)?);
        let proof = Proof::new(plan, facts, fault);
        let source = Source { plan, facts, fault, planned, episode, claim, proof };
        let mut readings = Readings { signals: IndexMap::new(), targets: targets(catalogue, plan, name, claim.map(|c| c.0)) };
        source.all(&mut readings);
        for (signal, seen) in observed.signals.get(fault).into_iter().flatten() {
            let unmeasured = readings.signals.get(signal).is_none_or(|s| matches!(s.state, State::NotInstrumented(_)));
            if unmeasured && catalogue.signals.contains_key(signal) {
                readings.signals.insert(signal.clone(), seen.clone());
            }
        }
        Some(Scope { name: name.to_owned(), fault: fault.to_owned(), drills: source.drills(catalogue), readings })
    });
    each.collect()
}

/// What signals of one scope are made from.
struct Source<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    fault: &'a str,
    planned: &'a FaultPlan,
    episode: &'a Episode,
    claim: Option<(&'a ClaimPlan, &'a ClaimFacts)>,
    proof: Proof,
}

fn seconds(range: &Range) -> Value {
    Value::Number { lo: range.lo.as_secs_f64(), hi: range.hi.map(Span::as_secs_f64) }
}

fn approved(claim: &ClaimPlan) -> bool {
    claim.source.as_ref().is_some_and(|source| source.approved_by.is_some())
}

fn yes(yes: bool) -> Value {
    Value::Bool(yes)
}

impl Source<'_> {
    /// The probes that the scope is about.
    fn probes(&self) -> &[Id] {
        self.claim.map_or(&self.planned.recovered_by, |(plan, _)| {
            if plan.measured_by.is_empty() { &self.planned.recovered_by } else { &plan.measured_by }
        })
    }

    fn drills(&self, catalogue: &Catalogue) -> Vec<String> {
        let disruption = self.claim.and_then(|(plan, _)| plan.disruption.as_deref());
        let in_front = self.before_the_service();
        let is = |name: &str, faults: &[String], disruptions: &[String]| match name {
            "any" => true,
            "plan" => self.claim.is_some(),
            _ => (!in_front && faults.contains(&self.planned.kind)) || disruption.is_some_and(|word| disruptions.iter().any(|d| d == word)),
        };
        catalogue.drills.iter().filter(|(name, drill)| is(name, &drill.faults, &drill.disruptions)).map(|(name, _)| name.clone()).collect()
    }

    /// A proxy that the probes themselves go through stands before the service, not before its dependency.
    fn before_the_service(&self) -> bool {
        let proxy = self.planned.spec.get("proxy").and_then(serde_json::Value::as_str);
        let Some(declared) = proxy.and_then(|id| self.plan.proxies.get(id)) else { return false };
        let listen = declared.listen.to_string();
        let probes = self.probes().iter().filter_map(|id| self.plan.probes.get(id));
        probes.into_iter().any(|probe| probe.spec.to_string().contains(&listen))
    }

    fn all(&self, readings: &mut Readings) {
        let found = [
            ("rto_declared", self.declared("has a recovery objective (rto)", |claim| claim.rto.is_some())),
            ("rpo_declared", self.declared("has a loss objective (rpo)", |claim| claim.rpo.is_some())),
            ("objectives_business_owned", self.declared("names who approved it (source.approved_by)", approved)),
            ("hypothesis_declared", self.declared("is made", |_| true)),
            ("rto_measured_s", self.time("recovery_time")),
            ("rto_margin_ratio", self.margin()),
            ("ttr_s", self.time("recovery_time")),
            ("failover_s", self.failover()),
            ("recovered", self.recovered()),
            ("recovered_without_human", self.without_human()),
            ("rpo_measured_s", self.loss()),
            ("duplicate_effects", self.ledger(|l| l.duplicated + l.resurrected)),
            (
                "data_integrity_violations",
                self.ledger(|l| l.lost.len() as u64 + l.duplicated + l.resurrected + l.unexpected + l.divergent.len() as u64),
            ),
            ("availability_during_fault", self.availability()),
            ("error_rate_peak", self.error_rate()),
            ("latency_p99_ms", self.latency()),
            ("latency_shift_p99", self.shift()),
            ("client_wait_max_s", self.client_wait(readings)),
            ("degraded_mode_ok", self.degraded()),
            ("steady_state_during", self.steady_during()),
            ("steady_state_after", self.steady_after()),
        ];
        readings.signals.extend(found.into_iter().map(|(name, signal)| (name.to_owned(), signal)));
    }

    /// What any claim of the plan says. That a scenario does not say it is no proof that nobody does.
    fn declared(&self, what: &str, is: impl Fn(&ClaimPlan) -> bool) -> Signal {
        if self.plan.claims.values().any(is) {
            Signal::of(yes(true), vec![0])
        } else {
            Signal::not_instrumented(format!("no claim {what}"))
        }
    }

    fn time(&self, name: &str) -> Signal {
        match self.episode.times.get(name) {
            Some(range) => Signal::of(seconds(range), self.proof.recovery()),
            None => Signal::not_instrumented(format!("no {name} was measured")),
        }
    }

    fn margin(&self) -> Signal {
        let Some(rto) = self.claim.and_then(|(plan, _)| plan.rto) else {
            return Signal::not_instrumented("no recovery objective is claimed");
        };
        let Some(range) = self.episode.times.get("recovery_time") else { return Signal::not_instrumented("no recovery_time was measured") };
        let claimed = rto.max.as_secs_f64();
        let lo = range.hi.map_or(0.0, |hi| claimed / hi.as_secs_f64().max(1e-9));
        let hi = (range.lo > Span::ZERO).then(|| claimed / range.lo.as_secs_f64());
        Signal::of(Value::Number { lo, hi }, self.proof.recovery())
    }

    fn recovered(&self) -> Signal {
        let proof = self.proof.recovery();
        match (self.episode.effective, self.episode.self_recovered, self.episode.stable_up) {
            (None, _, _) => Signal::not_instrumented("the fault was not seen to take effect"),
            (_, Some(itself), _) => Signal::of(yes(itself), proof),
            (_, None, Some(up)) if up.hi.is_none() && self.episode.undo_started.is_some() => Signal::of(yes(false), proof),
            (_, None, _) => Signal::undecided("whether it came back before the undo cannot be told", proof),
        }
    }

    /// Without somebody who logs what people do, only one answer can be given.
    fn without_human(&self) -> Signal {
        match self.recovered().state {
            State::Value(Value::Bool(false)) => Signal::of(yes(false), self.proof.recovery()),
            _ => Signal::not_instrumented("whether people acted is not observed"),
        }
    }

    /// Only who claims that another instance takes over is refuted by a restart; without a claim, a move that was seen is shown.
    fn failover(&self) -> Signal {
        let by = self.claim.and_then(|(_, facts)| facts.by.as_ref());
        let proof = self.proof.recovery();
        let claimed = by.is_some_and(|by| by.claimed == By::AnotherInstance);
        let moved = match by.map(|by| by.part.verdict) {
            Some(Judged::Passed) => Some(claimed),
            Some(Judged::Failed) => Some(!claimed),
            Some(Judged::Inconclusive | Judged::Invalid) => None,
            None => self.moved(),
        };
        let Some(range) = self.episode.times.get("failover_time") else {
            return Signal::not_instrumented("nothing failed, so nothing had to fail over");
        };
        match (moved, self.episode.self_recovered) {
            (Some(false), _) | (_, Some(false)) if claimed => Signal::absent(proof),
            (Some(true), Some(true)) => Signal::of(seconds(range), proof),
            (None, _) if claimed && range.hi.is_none() => Signal::of(seconds(range), proof),
            (None, _) if claimed => Signal::undecided("who answered before and after cannot be told", proof),
            _ => Signal::not_instrumented("no claim says that another instance takes over (by), and none was seen to"),
        }
    }

    /// Whether another instance answered after recovery than before the fault, by every probe that can tell.
    fn moved(&self) -> Option<bool> {
        let (command, up) = (self.episode.command?, self.episode.stable_up?.hi?);
        let who = |probe: &ProbeFacts, at: At| {
            let found = probe.served_by.iter().find(|(_, until)| until.is_none_or(|until| at < until));
            found.map(|(who, _)| who.clone())
        };
        let pairs = self.probes().iter().filter_map(|id| self.facts.probes.get(id.as_str()));
        let moved: Vec<bool> = pairs.filter_map(|p| Some(who(p, command)? != who(p, up)?)).collect();
        match (moved.is_empty(), moved.iter().all(|m| *m), moved.iter().any(|m| *m)) {
            (false, true, _) => Some(true),
            (false, _, false) => Some(false),
            _ => None,
        }
    }

    fn loss(&self) -> Signal {
        let Some((_, claim)) = self.claim else { return Signal::not_instrumented("nothing is claimed about loss") };
        let Some(rpo) = &claim.rpo else { return Signal::not_instrumented("no ledger is claimed (rpo)") };
        match rpo.window {
            Some(window) => Signal::of(Value::exactly(window.window.as_secs_f64()), self.proof.ledger(&rpo.ledger)),
            None => Signal::not_instrumented(rpo.part.why.clone()),
        }
    }

    /// A count over every ledger that was read back.
    fn ledger(&self, count: impl Fn(&crate::measure::facts::LedgerFacts) -> u64) -> Signal {
        let claimed = self.claim.and_then(|(plan, _)| plan.rpo.as_ref()).map(|rpo| rpo.ledger.as_str());
        let ledgers = self.facts.ledgers.iter().filter(|(id, _)| claimed.is_none_or(|claimed| claimed == id.as_str()));
        let read: Vec<_> = ledgers.filter(|(_, l)| l.not_read.is_none()).collect();
        if read.is_empty() || (claimed.is_none() && self.plan.faults.len() > 1) {
            return Signal::not_instrumented("no ledger of this claim was read back");
        }
        let entries = read.iter().flat_map(|(id, _)| self.proof.ledger(id)).collect();
        Signal::of(Value::exactly(read.iter().map(|(_, l)| count(l)).sum::<u64>() as f64), entries)
    }

    fn availability(&self) -> Signal {
        let Some(a) = self.claim.and_then(|(_, c)| c.availability.as_ref()) else {
            return Signal::not_instrumented("no availability is claimed");
        };
        match (a.part.verdict, a.by_time_lo, a.by_time_hi) {
            (Judged::Invalid, ..) => Signal::undecided(a.part.why.clone(), self.proof.recovery()),
            (_, Some(lo), Some(hi)) => Signal::of(Value::Number { lo, hi: Some(hi) }, self.proof.recovery()),
            _ => Signal::undecided(a.part.why.clone(), self.proof.recovery()),
        }
    }

    fn error_rate(&self) -> Signal {
        let Some(command) = self.episode.command else { return Signal::not_instrumented("the fault was not injected") };
        let until = self.episode.stable_up.and_then(|up| up.hi).unwrap_or(self.facts.run.end);
        let window = (self.plan.steady.over.0 / 1_000_000_000).max(1) as usize;
        let mut worst: Option<f64> = None;
        for probe in self.probes().iter().filter_map(|id| self.facts.probes.get(id.as_str())) {
            let during: Vec<(u64, u64)> = probe
                .seconds
                .iter()
                .filter(|s| s.at + Span::secs(1) > command && s.at < until)
                .map(|s| (u64::from(s.bad), u64::from(s.ok) + u64::from(s.bad)))
                .collect();
            for part in during.windows(window.min(during.len()).max(1)) {
                let (bad, all) = part.iter().fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
                if all > 0 {
                    worst = Some(worst.unwrap_or(0.0).max(bad as f64 / all as f64));
                }
            }
        }
        match worst {
            Some(share) => Signal::of(Value::exactly(share), self.proof.recovery()),
            None => Signal::not_instrumented("no probe of the claim was sampled while the fault lasted"),
        }
    }

    /// The worst phase of that name over the claim's probes; absent when one of them was in doubt or not sampled.
    fn worst<'b>(&'b self, phase: &str, of: impl Fn(&Percentiles) -> Span) -> Option<(&'b PhaseFacts, Percentiles)> {
        let mut worst: Option<(&PhaseFacts, Percentiles)> = None;
        for id in self.probes() {
            let facts = self.facts.probes.get(id.as_str())?.phases.get(phase).filter(|p| !p.tainted)?;
            let response = facts.response?;
            if worst.as_ref().is_none_or(|(_, w)| of(&response) > of(w)) {
                worst = Some((facts, response));
            }
        }
        worst
    }

    fn p99(&self, phase: &str) -> Option<(f64, Option<f64>)> {
        let (_, response) = self.worst(phase, |p| p.p99)?;
        let ms = response.p99.0 as f64 / 1e6;
        Some((ms, response.censored_from.is_none_or(|from| from > 990).then_some(ms)))
    }

    fn latency(&self) -> Signal {
        match self.p99(&format!("{}.during", self.fault)) {
            Some((lo, hi)) => Signal::of(Value::Number { lo, hi }, self.proof.phase()),
            None => Signal::not_instrumented("no percentile of the during phase may be trusted"),
        }
    }

    fn shift(&self) -> Signal {
        let during = self.p99(&format!("{}.during", self.fault));
        match (during, self.p99("before")) {
            (Some((lo, hi)), Some((before, Some(_)))) if before > 0.0 => {
                Signal::of(Value::Number { lo: lo / before, hi: hi.map(|hi| hi / before) }, self.proof.phase())
            }
            _ => Signal::not_instrumented("no percentiles of before and during may be trusted"),
        }
    }

    /// Only a dependency that never answers, for longer than the target, shows whether its callers stop waiting.
    fn client_wait(&self, readings: &Readings) -> Signal {
        let limit = readings.targets.get("client_timeout_s").map_or(f64::INFINITY, |target| target.value);
        let lasted = self.episode.effective.zip(self.episode.undo_started).map(|(effect, undo)| undo.since(effect.hi.unwrap_or(effect.lo)));
        let hangs = self.planned.kind == "proxy.blackhole" && !self.before_the_service();
        if !hangs || lasted.is_none_or(|lasted| lasted.as_secs_f64() <= limit) {
            return Signal::not_instrumented(
                "needs a dependency behind a proxy that is a black hole for longer than target.client_timeout_s",
            );
        }
        match self.worst(&format!("{}.during", self.fault), |p| p.max) {
            Some((_, response)) => {
                let lo = response.max.as_secs_f64();
                Signal::of(Value::Number { lo, hi: response.censored_from.is_none().then_some(lo) }, self.proof.phase())
            }
            None => Signal::not_instrumented("no answer time of the during phase may be trusted"),
        }
    }

    fn degraded(&self) -> Signal {
        let Some((plan, facts)) = self.claim else { return Signal::not_instrumented("nothing is claimed to keep working") };
        let must_work = |name: &str| plan.holds.get(name).is_some_and(|holds| holds.success.min.is_some());
        let kept: Vec<&HoldsFacts> = facts.holds.iter().filter(|(name, _)| must_work(name)).map(|(_, h)| h).collect();
        let any = |verdict: Judged| kept.iter().any(|h| h.part.verdict == verdict);
        if kept.is_empty() {
            Signal::not_instrumented("no claim says what must keep working (holds, success.min)")
        } else if any(Judged::Failed) {
            Signal::of(yes(false), self.proof.phase())
        } else if any(Judged::Inconclusive) || any(Judged::Invalid) {
            Signal::undecided("whether what must keep working did cannot be told", self.proof.phase())
        } else {
            Signal::of(yes(true), self.proof.phase())
        }
    }

    fn steady_during(&self) -> Signal {
        let Some(effective) = self.episode.effective else { return Signal::not_instrumented("the fault was not seen to take effect") };
        if self.plan.steady.probes.is_empty() {
            return Signal::not_instrumented("no steady state is declared");
        }
        let mut parts = Vec::new();
        verdict::sustained_through(self.plan, self.facts, self.fault, self.episode, effective, &mut parts);
        let any = |verdict: Judged| parts.iter().find(|(v, _)| *v == verdict).map(|(_, why)| why.clone());
        match (any(Judged::Failed), any(Judged::Inconclusive)) {
            (Some(_), _) => Signal::of(yes(false), self.proof.phase()),
            (_, Some(why)) => Signal::undecided(why, self.proof.phase()),
            _ => Signal::of(yes(true), self.proof.phase()),
        }
    }

    fn steady_after(&self) -> Signal {
        match &self.facts.steady_after {
            SteadyAfter::Held(_) => Signal::of(yes(true), self.proof.settle()),
            SteadyAfter::Missed(_) => Signal::of(yes(false), self.proof.settle()),
            SteadyAfter::NotReached => Signal::not_instrumented("the run did not get so far"),
        }
    }
}
