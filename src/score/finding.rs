//! Findings: each part that failed, in plain language, with what to do about it.

use serde_json::Value;

use crate::base::{Id, Span};
use crate::measure::facts::{ClaimFacts, Facts, Judged, LedgerFacts, Range, SteadyAfter};
use crate::plan::{By, ClaimPlan, Plan, TestKind};

use super::catalogue::catalogue;
use super::gap::due;
use super::proof;
use super::words::{at_least, capital, count, many, percent, percent_bounds, range};
use super::{Finding, Risk};

// The practices that parts of claims speak to, by choice id; a test finds each in the catalogue.
const IDEMPOTENT: &str = "rel_prevent_interaction_failure_idempotent";
const DEGRADATION: &str = "rel_mitigate_interaction_failure_graceful_degradation";
const FAIL_FAST: &str = "rel_mitigate_interaction_failure_fail_fast";
const BULKHEAD: &str = "rel_fault_isolation_use_bulkhead";
const FAIL_OVER: &str = "rel_withstand_component_failures_failover2good";
const AUTO_HEAL: &str = "rel_withstand_component_failures_auto_healing_system";
const STATIC_STABILITY: &str = "rel_withstand_component_failures_static_stability";
const AVAILABILITY: &str = "rel_withstand_component_failures_service_level_agreements";
const DISASTER_RECOVERY: &str = "rel_planning_for_recovery_disaster_recovery";

/// Every finding of the run, worst first.
pub(super) fn findings(plan: &Plan, facts: &Facts) -> Vec<Finding> {
    let maker = Maker { plan, facts, impact: impact(plan) };
    let mut found = Vec::new();
    for (id, claim) in &facts.claims {
        let declared = plan.claims.get(id.as_str());
        maker.rto(id, claim, declared, &mut found);
        maker.rpo(id, claim, &mut found);
        maker.availability(id, claim, &mut found);
        maker.latency(id, claim, &mut found);
        maker.by(id, claim, &mut found);
        maker.holds(id, claim, declared, &mut found);
    }
    maker.ledgers(&mut found);
    maker.settled(&mut found);
    if plan.test == TestKind::Sustained {
        maker.sustained(&mut found);
    }
    for finding in &mut found {
        finding.entries = proof::of_finding(plan, facts, &finding.id);
    }
    found.sort_by_key(|f| f.risk);
    found
}

/// What the scenario's owner says a failure costs.
pub(super) fn impact(plan: &Plan) -> Option<String> {
    plan.carried.get("score").and_then(|s| s.get("impact")).and_then(Value::as_str).map(str::to_owned)
}

/// What users call the thing that a claim is about: its service, else its probes.
pub(super) fn service(id: &str, claim: &ClaimPlan) -> String {
    let probes: Vec<&str> = claim.measured_by.iter().map(Id::as_str).collect();
    let named = claim.service.clone().or_else(|| (!probes.is_empty()).then(|| probes.join(", ")));
    named.unwrap_or_else(|| id.to_owned())
}

struct Maker<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    impact: Option<String>,
}

/// What varies between findings.
struct Draft<'a> {
    id: String,
    risk: Risk,
    title: String,
    observed: String,
    expected: String,
    impact: &'a str,
    remediation: String,
    /// A choice id.
    practice: &'static str,
}

impl Maker<'_> {
    fn finish(&self, draft: Draft<'_>) -> Option<Finding> {
        let practice = catalogue().find(draft.practice)?;
        let risk = practice.capped(draft.risk);
        Some(Finding {
            id: draft.id,
            risk,
            title: capital(&draft.title),
            observed: draft.observed,
            expected: draft.expected,
            impact: self.impact.clone().unwrap_or_else(|| draft.impact.to_owned()),
            remediation: draft.remediation,
            practice,
            owner: self.plan.owner.clone(),
            due: due(self.facts, risk),
            retest: self.plan.name.clone(),
            entries: Vec::new(),
        })
    }

    fn rto(&self, id: &str, claim: &ClaimFacts, declared: Option<&ClaimPlan>, found: &mut Vec<Finding>) {
        let Some(rto) = claim.rto.as_ref().filter(|r| r.part.verdict == Judged::Failed) else { return };
        let service = declared.map_or_else(|| id.to_owned(), |c| service(id, c));
        let never = rto.measured.is_some_and(|m| m.hi.is_none());
        let (title, remediation) = if never {
            (
                format!("{service} did not come back while it was watched"),
                "Give the component a recovery that needs no person: a supervisor that starts it again, or a replica that is promoted and that \
                 clients are sent to. Then check that clients let go of dead connections, because a pool that keeps them looks like a service that never recovers."
                    .to_owned(),
            )
        } else if rto.self_recovered == Some(false) {
            (
                format!("{service} came back only after the fault was undone"),
                "Nothing in the system replaced or restarted what was lost. Add automatic recovery (restart, replacement or promotion) that is driven by a \
                 health check, and make sure that it does not depend on what the fault takes away."
                    .to_owned(),
            )
        } else {
            (format!("{service} came back later than claimed"), self.slow_recovery(&claim.fault))
        };
        found.extend(self.finish(Draft {
            id: format!("{id}.rto"),
            risk: Risk::Hri,
            title,
            observed: match rto.measured.as_ref() {
                Some(m) if never => format!("not back {} after the fault", at_least(m.lo)),
                Some(m) => format!("recovery took {}", range(m)),
                None => rto.part.why.clone(),
            },
            expected: format!("back within {}", rto.claimed.human()),
            impact: "Users are without the service for longer than the business agreed to.",
            remediation,
            practice: if never || rto.self_recovered == Some(false) { AUTO_HEAL } else { FAIL_OVER },
        }));
    }

    /// What to shorten first, with the parts that this run measured.
    fn slow_recovery(&self, fault: &str) -> String {
        let times = self.facts.episodes.get(fault).map(|e| &e.times);
        let part = |name: &str, text: &str| times.and_then(|t| t.get(name)).map(|r: &Range| format!("{text} {}", range(r)));
        let parts: Vec<String> =
            [part("time_to_impact", "from effect to the first failed request"), part("failover_time", "from there to being stably up")]
                .into_iter()
                .flatten()
                .collect();
        let measured = if parts.is_empty() { String::new() } else { format!(" Measured here: {}.", parts.join("; ")) };
        format!(
            "Three waits add up: noticing the failure (health-check interval times failures needed), choosing and promoting a replacement, and clients \
             finding it (DNS lifetime, connection pools, retry back-off). Shorten the longest first; most often it is the noticing.{measured} \
             If the objective is tighter than the business needs, agree on another one."
        )
    }

    fn rpo(&self, id: &str, claim: &ClaimFacts, found: &mut Vec<Finding>) {
        let Some(rpo) = claim.rpo.as_ref().filter(|r| r.part.verdict == Judged::Failed) else { return };
        let acknowledged = self.facts.ledgers.get(&rpo.ledger).map(|l| l.acknowledged);
        let observed = rpo.window.as_ref().map_or_else(
            || rpo.part.why.clone(),
            |w| {
                let of = acknowledged.map(|a| format!(" of {}", count(a))).unwrap_or_default();
                format!("{}{of} acknowledged lost, over a loss window of {}", many(w.lost, "write"), w.window.human())
            },
        );
        let expected = if rpo.claimed == Span::ZERO {
            "no acknowledged write is lost".to_owned()
        } else {
            format!("a loss window of at most {}", rpo.claimed.human())
        };
        found.extend(self.lost(format!("{id}.rpo"), observed, expected));
    }

    fn lost(&self, id: String, observed: String, expected: String) -> Option<Finding> {
        self.finish(Draft {
            id,
            risk: Risk::Hri,
            title: "Writes that were acknowledged are gone".to_owned(),
            observed,
            expected,
            impact: "Customers were told that something was done which has since disappeared; it must be found and repaired by hand.",
            remediation: "Acknowledge a write only when it is durable where it will be needed after the failure: synchronous replication to at least one \
                 other failure domain (a quorum commit, synchronous_commit with a named standby, min.insync.replicas above one), and fsync before \
                 the acknowledgement. Promote only a replica that is known to be complete, and fence the old primary before it takes writes again. \
                 If that costs too much latency, agree on a loss objective above zero and reconcile from the clients' side."
                .to_owned(),
            practice: DISASTER_RECOVERY,
        })
    }

    fn availability(&self, id: &str, claim: &ClaimFacts, found: &mut Vec<Finding>) {
        let Some(a) = claim.availability.as_ref().filter(|a| a.part.verdict == Judged::Failed) else { return };
        let observed = match (a.by_time_lo, a.by_time_hi) {
            (Some(lo), Some(hi)) => format!("available {} of the time over {}", percent_bounds(lo, hi), a.over.human()),
            (Some(_) | None, _) => a.part.why.clone(),
        };
        found.extend(self.finish(Draft {
            id: format!("{id}.availability"),
            risk: Risk::Mri,
            title: "Availability around the failure is below what is promised".to_owned(),
            observed,
            expected: format!("at least {} over {}", percent(a.claimed), a.over.human()),
            impact: "A failure of this kind spends more of the error budget than was planned for it.",
            remediation: "Divide the yearly error budget by how often this failure is expected; that is what one event may cost. Then shorten the outage, or \
                 keep part of the traffic served while it lasts (reads from a replica, a cache, a queue for writes)."
                .to_owned(),
            practice: AVAILABILITY,
        }));
    }

    fn latency(&self, id: &str, claim: &ClaimFacts, found: &mut Vec<Finding>) {
        let Some(l) = claim.latency.as_ref().filter(|l| l.part.verdict == Judged::Failed) else { return };
        let phase = format!("{:?}", l.phase).to_lowercase();
        let over = |(claimed, measured): (&Span, &Option<Span>)| measured.filter(|m| m > claimed);
        let worst = l.quantiles.iter().filter(|(_, (c, m))| over((c, m)).is_some());
        let (observed, expected): (Vec<String>, Vec<String>) = worst
            .map(|(name, (c, m))| {
                (format!("{name} {}", m.map_or_else(String::new, |m| m.human())), format!("{name} at most {}", c.human()))
            })
            .unzip();
        let twice = l.quantiles.values().any(|(c, m)| m.is_some_and(|m| m > c.times(2)));
        found.extend(self.finish(Draft {
            id: format!("{id}.latency"),
            risk: if twice { Risk::Hri } else { Risk::Mri },
            title: format!("Answers are slower than claimed ({phase})"),
            observed: if observed.is_empty() { l.part.why.clone() } else { format!("{} ({phase})", observed.join(", ")) },
            expected: if expected.is_empty() { "the claimed quantiles".to_owned() } else { expected.join(", ") },
            impact: "Users wait, callers pile up behind them, and the slowness spreads to services that are healthy.",
            remediation: "Set time-outs on every call to what has failed, a little above its normal p99.9, and shorter than the caller's own. Bound the queue in \
                 front of it and refuse what will not be answered in time; a circuit breaker keeps the waiting from being paid again by every request."
                .to_owned(),
            practice: FAIL_FAST,
        }));
    }

    fn by(&self, id: &str, claim: &ClaimFacts, found: &mut Vec<Finding>) {
        let Some(by) = claim.by.as_ref().filter(|b| b.part.verdict == Judged::Failed) else { return };
        let name = |who: &Option<String>| who.clone().unwrap_or_else(|| "nobody".into());
        let (title, expected, remediation) = match by.claimed {
            By::AnotherInstance => (
                "The same instance answers as before: no failover was shown",
                "another instance answers after the failure",
                "No other instance took over, so nothing shows that the loss of this one's host would be survived. Run a second instance in \
                 another failure domain, send traffic to it when the first fails its health check, and check that it can take the whole load.",
            ),
            By::SameInstance => (
                "Another instance answers than claimed",
                "the same instance answers again",
                "Traffic moved although it was claimed to stay. Check what sent it there, and whether the instance that answers now has all data \
                 and capacity; if moving is right, claim by: another-instance.",
            ),
        };
        found.extend(self.finish(Draft {
            id: format!("{id}.by"),
            risk: Risk::Hri,
            title: title.to_owned(),
            observed: format!("{} answered before, {} after", name(&by.before), name(&by.after)),
            expected: expected.to_owned(),
            impact: "The recovery that was shown is not the one that the design relies on.",
            remediation: remediation.to_owned(),
            practice: FAIL_OVER,
        }));
    }

    fn holds(&self, id: &str, claim: &ClaimFacts, declared: Option<&ClaimPlan>, found: &mut Vec<Finding>) {
        for (name, holds) in claim.holds.iter().filter(|(_, h)| h.part.verdict == Judged::Failed) {
            let limits = declared.and_then(|c| c.holds.get(name.as_str()));
            let must_not = limits.is_some_and(|l| l.success.max.is_some());
            let probe = limits.map_or(name.as_str(), |l| l.probe.as_str());
            let expected = limits.map_or_else(
                || "what the claim asks for".to_owned(),
                |l| {
                    let least = l.success.min.map(|p| format!("at least {}", percent(p.fraction())));
                    let most = l.success.max.map(|p| format!("at most {}", percent(p.fraction())));
                    format!("{} of samples good", [least, most].into_iter().flatten().collect::<Vec<_>>().join(" and "))
                },
            );
            let share = holds.share.map(|s| format!("{} of {} good", percent(s), many(holds.samples, "sample")));
            let (practice, title, remediation) = if must_not {
                (
                    BULKHEAD,
                    format!("{probe} succeeded where it must not"),
                    "What should have been cut off still answered. Fence it before anything else takes over (a lease that it must renew, a quorum that it \
                     must reach, a network rule), so that two sides can never both accept work.",
                )
            } else {
                (
                    DEGRADATION,
                    format!("{probe} did not keep working beside the fault"),
                    "What does not need the failed part must go on without it. Find the shared resource (thread pool, connection pool, lock, start-up \
                     check), give it a limit of its own, and serve a reduced answer where the dependency is missing.",
                )
            };
            found.extend(self.finish(Draft {
                id: format!("{id}.holds.{name}"),
                risk: Risk::Hri,
                title,
                observed: share.unwrap_or_else(|| holds.part.why.clone()),
                expected,
                impact: "The failure reaches further than it was designed to.",
                remediation: remediation.to_owned(),
                practice,
            }));
        }
    }

    /// What ledgers show beside a claim on loss.
    fn ledgers(&self, found: &mut Vec<Finding>) {
        for (id, ledger) in &self.facts.ledgers {
            let claimed = self.facts.claims.values().any(|c| c.rpo.as_ref().is_some_and(|r| r.ledger == *id));
            if !claimed && !ledger.lost.is_empty() {
                let lost = format!("{} of {} acknowledged lost", many(ledger.lost.len() as u64, "write"), count(ledger.acknowledged));
                found.extend(self.lost(format!("{id}.lost"), lost, "every acknowledged write is found".to_owned()));
            }
            self.repeated(id, ledger, found);
            if !ledger.divergent.is_empty() {
                let observed: Vec<String> = ledger.divergent.iter().map(|(reader, how)| format!("{reader}: {how}")).collect();
                found.extend(self.finish(Draft {
                    id: format!("{id}.divergent"),
                    risk: Risk::Mri,
                    title: "Replicas disagree after recovery".to_owned(),
                    observed: observed.join("; "),
                    expected: "every reader finds the same writes".to_owned(),
                    impact: "What a user sees depends on which replica answers.",
                    remediation: "Rebuild the replicas that differ from the authority, and alarm on replication state rather than on the process being up. \
                         A replica that was promoted and taken back needs a rewind or a fresh copy, never a plain restart."
                        .to_owned(),
                    practice: DISASTER_RECOVERY,
                }));
            }
        }
    }

    fn repeated(&self, id: &str, ledger: &LedgerFacts, found: &mut Vec<Finding>) {
        if ledger.duplicated == 0 && ledger.resurrected == 0 {
            return;
        }
        let parts = [(ledger.duplicated, "found more than once"), (ledger.resurrected, "reported as failed and found")];
        let observed: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, text)| format!("{} {text}", many(*n, "write"))).collect();
        found.extend(self.finish(Draft {
            id: format!("{id}.repeated"),
            risk: Risk::Mri,
            title: "A write was applied twice, or after it was reported as failed".to_owned(),
            observed: observed.join("; "),
            expected: "each write is applied once, or not at all".to_owned(),
            impact: "A retry by a client charges, ships or books twice.",
            remediation: "Give each write a key that the client chooses, keep it in the same transaction as the effect, and answer a repeat with the first \
                 result. A unique constraint on the key is the smallest form of it."
                .to_owned(),
            practice: IDEMPOTENT,
        }));
    }

    fn settled(&self, found: &mut Vec<Finding>) {
        let SteadyAfter::Missed(why) = &self.facts.steady_after else { return };
        found.extend(self.finish(Draft {
            id: "steady-after".to_owned(),
            risk: Risk::Hri,
            title: "The system did not return to steady state after the fault was gone".to_owned(),
            observed: why.clone(),
            expected: format!("steady state within {} of the last undo", self.plan.settle_within.human()),
            impact: "The cause is gone and the damage stays: somebody has to step in before users are served as before.",
            remediation: "Something keeps the system in its bad state: retries that feed the overload, a pool full of dead connections, a queue that never \
                 drains, a replica that does not rejoin. Find which by looking at load and connections after the undo, then bound retries, validate \
                 connections, and shed load until the backlog is gone."
                .to_owned(),
            practice: AUTO_HEAL,
        }));
    }

    fn sustained(&self, found: &mut Vec<Finding>) {
        let left = super::verdict::sustained(self.plan, self.facts);
        let observed: Vec<String> = left.into_iter().filter(|(v, _)| *v == Judged::Failed).map(|(_, why)| why).collect();
        if observed.is_empty() {
            return;
        }
        found.extend(self.finish(Draft {
            id: "sustained".to_owned(),
            risk: Risk::Mri,
            title: "Steady state was left in a test that promises to keep it".to_owned(),
            observed: observed.join("; "),
            expected: "steady state holds throughout the fault".to_owned(),
            impact: "Users notice a failure that the design says they will not.",
            remediation: "Keep enough spare capacity running before the failure that nothing has to start, scale or be elected while it lasts, and let callers \
                 retry once at another instance within their own time-out."
                .to_owned(),
            practice: STATIC_STABILITY,
        }));
    }
}
