//! Can the probes decide what is claimed? A claim that no sample can decide is refused before anything is broken.

use super::super::defaults::{claim_fault, longest_hold, measured_by, probe_gap, probe_rate, probe_timeout, recovery, steady_over};
use super::super::finding::Finding;
use super::super::known::Known;
use super::super::model::{ClaimDecl, PhaseName, ProbeDecl, Scenario};
use super::super::moment::start;
use super::at;
use super::claims::bounds;
use super::probes::FEW;
use crate::base::{Id, Span};

pub(super) fn check(s: &Scenario, _: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, claim) in &s.claims {
        let place = at(&["claims", id.as_str()]);
        let probes: Vec<(Id, &ProbeDecl)> =
            measured_by(s, claim).into_iter().filter_map(|id| s.probes.get(&id).map(|probe| (id, probe))).collect();
        out.extend(rto(&place, claim, &probes));
        out.extend(availability(&place, claim, &probes));
        out.extend(latency(s, &place, claim, &probes));
        out.extend(rpo(s, &place, claim));
    }
    out
}

/// Samples a second, as a scenario would write it, so that two are at most this far apart.
fn rate_for(interval_ns: f64) -> String {
    let hz = 1e9 / interval_ns.max(1.0);
    if hz >= 1.0 { format!("{}/s", hz.ceil()) } else { format!("{}/m", (hz * 60.0).ceil()) }
}

/// An objective X is decided only by samples at most X/4 apart, and a sample that hangs longer than X/2 widens its bounds too far.
fn rto(place: &str, claim: &ClaimDecl, probes: &[(Id, &ProbeDecl)]) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(rto) = claim.how.rto else { return out };
    let place = format!("{place}/rto/max");
    if rto.max == Span::ZERO {
        out.push(
            Finding::error(place, "no measurement can show a recovery in no time", "no time at all")
                .help("claim `availability: { min: 100%, over: … }`, or how long it may take"),
        );
        return out;
    }
    for (id, probe) in probes {
        let interval = probe_gap(probe);
        let declared = at(&["probes", id.as_str()]);
        if interval.times(4) > rto.max {
            out.push(
                Finding::error(
                    &place,
                    format!("`{id}` is asked too seldom to decide this objective"),
                    format!("needs a sample at least every {}", Span(rto.max.0 / 4).human()),
                )
                .also(declared, format!("asked every {}", interval.human()))
                .help(format!("write `rate: {}` in the probe, or more", rate_for(rto.max.0 as f64 / 4.0))),
            );
        } else if probe_timeout(probe).times(2) > rto.max {
            out.push(
                Finding::warning(
                    &place,
                    format!("a hanging sample of `{id}` may leave this objective undecided"),
                    format!("the probe waits up to {}", probe_timeout(probe).human()),
                )
                .also(declared, "its time-out is more than half of the objective")
                .help(format!("write `timeout: {}` or less", Span(rto.max.0 / 2))),
            );
        }
    }
    out
}

/// Each edge of an outage is known to one interval: the time that may be lost must be longer than two.
fn availability(place: &str, claim: &ClaimDecl, probes: &[(Id, &ProbeDecl)]) -> Vec<Finding> {
    let Some(given) = claim.how.availability else { return Vec::new() };
    if let Some(budget) = given.budget.filter(|budget| budget.slo.fraction() >= 1.0 || budget.over == Span::ZERO) {
        let what = format!("{} over {} allows nothing to fail", budget.slo, budget.over.human());
        let help = "a budget is what an objective below 100% leaves, for example `budget: { slo: 99.9%, over: 30d }`";
        return vec![Finding::error(format!("{place}/availability/budget"), "this is no error budget", what).help(help)];
    }
    let budget = Span(((1.0 - given.min.fraction()) * given.over.0 as f64).round() as u64);
    if budget == Span::ZERO {
        return Vec::new();
    }
    probes
        .iter()
        .filter(|(_, probe)| probe_gap(probe).times(2) > budget)
        .map(|(id, probe)| {
            Finding::error(
                format!("{place}/availability/min"),
                format!("`{id}` is asked too seldom to decide this availability"),
                format!("allows {} in {}", budget.human(), given.over.human()),
            )
            .also(at(&["probes", id.as_str()]), format!("asked every {}", probe_gap(probe).human()))
            .help(format!("write `rate: {}` in the probe, or count over a longer time", rate_for(budget.0 as f64 / 2.0)))
        })
        .collect()
}

/// The longest that a phase can last; `None` for the transitions, which nobody plans.
fn phase_length(s: &Scenario, claim: &ClaimDecl, phase: PhaseName) -> Option<Span> {
    let id = claim_fault(s, claim)?;
    let fault = s.faults.get(id)?;
    let rule = recovery(s, id);
    let settle = steady_over(s).times(2).max(Span::secs(60));
    let after = claim.how.availability.map_or(settle, |availability| availability.over.max(settle));
    match phase {
        PhaseName::Before => Some(steady_over(s) + start(fault.how.at.as_ref()).1),
        PhaseName::During => Some(longest_hold(fault, rule)),
        PhaseName::Recovering => Some(rule.within),
        PhaseName::After => Some(after),
        PhaseName::Inject | PhaseName::Undo => None,
    }
}

fn latency(s: &Scenario, place: &str, claim: &ClaimDecl, probes: &[(Id, &ProbeDecl)]) -> Vec<Finding> {
    let mut out = Vec::new();
    let Some(given) = &claim.how.latency else { return out };
    let length = phase_length(s, claim, given.phase);
    for ((key, bound), needed) in bounds(given).into_iter().zip([FEW, 10.0, 20.0, 100.0, 1000.0]) {
        let Some(bound) = bound else { continue };
        let place = format!("{place}/latency/{key}");
        if length.is_none() {
            out.push(
                Finding::warning(
                    &place,
                    "a transition is over in no time that anybody plans: there may be too few samples",
                    "may stay inconclusive",
                )
                .help("claim the latency `during` or `recovering`"),
            );
        }
        for (id, probe) in probes {
            let rate = probe_rate(probe).hz();
            if let Some(length) = length
                && rate * length.as_secs_f64() < needed
            {
                out.push(
                    Finding::warning(
                        &place,
                        format!("{key} needs at least {needed:.0} samples of `{id}`"),
                        format!("at most {:.0} in {}", rate * length.as_secs_f64(), length.human()),
                    )
                    .also(at(&["probes", id.as_str()]), format!("asked {}", probe_rate(probe)))
                    .help("raise the rate or hold the fault longer: until then the claim stays inconclusive"),
                );
            }
            if bound.max >= probe_timeout(probe) {
                out.push(
                    Finding::warning(
                        format!("{place}/max"),
                        format!("a sample of `{id}` never takes longer than {}", probe_timeout(probe).human()),
                        "not below the probe's time-out",
                    )
                    .also(at(&["probes", id.as_str()]), "its time-out")
                    .help("set the time-out above the bound: a sample that timed out is only known to have taken longer"),
                );
            }
        }
    }
    out
}

/// Loss is known to the gap between two acknowledged writes.
fn rpo(s: &Scenario, place: &str, claim: &ClaimDecl) -> Option<Finding> {
    let given = claim.how.rpo.as_ref()?;
    let probe = s.probes.get(&given.ledger)?;
    let gap = probe_gap(probe);
    (given.max > Span::ZERO && gap.times(2) > given.max).then(|| {
        Finding::error(
            format!("{place}/rpo/max"),
            format!("`{}` writes too seldom to decide this objective", given.ledger),
            format!("needs a write at least every {}", Span(given.max.0 / 2).human()),
        )
        .also(at(&["probes", given.ledger.as_str()]), format!("writes every {}", gap.human()))
        .help(format!("write `rate: {}` in the probe, or more", rate_for(given.max.0 as f64 / 2.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{claim, found, refuses, scenario, warns};
    use super::*;
    use serde_json::json;

    fn with(how: serde_json::Value) -> Scenario {
        let mut s = scenario();
        s.claims[0] = claim(how);
        s
    }

    #[test]
    fn an_objective_needs_samples_a_quarter_apart() {
        let mut s = with(json!({ "measured_by": ["checkout"], "rto": { "max": "199ms" } }));
        let finding = refuses(&s, "/claims/node-loss/rto/max", "too seldom");
        assert_eq!(finding.label, "needs a sample at least every 49.8 ms");
        assert_eq!(finding.help.as_deref(), Some("write `rate: 21/s` in the probe, or more"));
        assert_eq!(finding.also[0], ("/probes/checkout".into(), "asked every 50 ms".into()));
        s = with(json!({ "rto": { "max": "200ms" } }));
        warns(&s, "/claims/node-loss/rto/max", "hanging sample");
        s = with(json!({ "rto": { "max": "2s" } }));
        assert_eq!(found(&s), vec![]);
        s = with(json!({ "rto": { "max": "0s" } }));
        refuses(&s, "/claims/node-loss/rto/max", "no time");
    }

    #[test]
    fn lost_time_is_longer_than_two_intervals() {
        let s = with(json!({ "availability": { "min": "99.9%", "over": "1m" } }));
        let finding = refuses(&s, "/claims/node-loss/availability/min", "too seldom");
        assert_eq!(finding.label, "allows 60 ms in 1 min".replace("1 min", &Span::secs(60).human()));
        assert_eq!(finding.help.as_deref(), Some("write `rate: 34/s` in the probe, or count over a longer time"));
        assert_eq!(found(&with(json!({ "availability": { "min": "99.9%", "over": "100s" } }))), vec![]);
        assert_eq!(found(&with(json!({ "availability": { "min": "100%", "over": "1m" } }))), vec![]);
    }

    #[test]
    fn a_percentile_needs_samples() {
        let s = with(json!({ "latency": { "p999": { "max": "800ms" } } }));
        assert_eq!(found(&s), vec![]);
        let mut s = with(json!({ "latency": { "p999": { "max": "800ms" } } }));
        s.probes[0].how.rate = Some("10/s".parse().unwrap());
        let finding = warns(&s, "/claims/node-loss/latency/p999", "at least 1000 samples");
        assert_eq!(finding.label, "at most 600 in 60 s");
        let s = with(json!({ "latency": { "p50": { "max": "1s" } } }));
        warns(&s, "/claims/node-loss/latency/p50/max", "never takes longer");
        let s = with(json!({ "latency": { "p50": { "max": "100ms" }, "phase": "undo" } }));
        warns(&s, "/claims/node-loss/latency/p50", "transition");
    }

    #[test]
    fn loss_is_known_to_the_gap_between_writes() {
        let mut s = with(json!({ "rpo": { "max": "5s", "ledger": "orders" } }));
        assert_eq!(found(&s), vec![]);
        s.probes[1].how.rate = Some("10/m".parse().unwrap());
        let finding = refuses(&s, "/claims/node-loss/rpo/max", "too seldom");
        assert_eq!(finding.help.as_deref(), Some("write `rate: 24/m` in the probe, or more"));
    }
}
