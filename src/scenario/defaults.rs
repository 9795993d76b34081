//! What is meant where a scenario says nothing. One place, so that what `check` refuses and what a plan fills in are the same numbers.

use super::model::{ClaimDecl, FaultDecl, GuardDecl, HoldDecl, Observed, ProbeDecl, RecoveryDecl, Scenario};
use crate::base::{Id, Rate, Span};

/// How long one sample may take.
pub const TIMEOUT: Span = Span::secs(1);
/// Length of the steady-state window.
pub const STEADY_OVER: Span = Span::secs(10);
/// How often a guard is asked.
pub const GUARD_EVERY: Span = Span::secs(1);
/// Consecutive breaches of a guard that abort.
pub const GUARD_BREACHES: u32 = 2;
/// How often a condition is asked.
pub const CONDITION_EVERY: Span = Span::millis(100);
/// How long a condition may take to come true.
pub const CONDITION_WITHIN: Span = Span::secs(10);
/// How often it is asked whether a fault bites.
pub const CONFIRM_EVERY: Span = Span::millis(50);
/// How long a fault may take to bite.
pub const CONFIRM_WITHIN: Span = Span::secs(5);
/// The same, at least, of a fault on another machine, where each look is a connection of its own.
pub const LOOK_ELSEWHERE: (Span, Span) = (Span::millis(500), Span::secs(20));
/// The same where each look is a command, which takes seconds to arrive.
pub const LOOK_BY_COMMAND: (Span, Span) = (Span::secs(2), Span::secs(60));
/// How long another machine waits for a word of the runner before it undoes by itself.
pub const LEASE: Span = Span::secs(15);
/// The same where each word is a command, which takes seconds to arrive.
pub const LEASE_BY_COMMAND: Span = Span::secs(60);
/// How long a restore step may take.
pub const RESTORE_WITHIN: Span = Span::secs(60);
/// Recovery limit, counted from effect, unless a claim needs more.
pub const RECOVERY_WITHIN: Span = Span::secs(60);
/// How long the system must stay up to count as recovered.
pub const STABLE_FOR: Span = Span::secs(10);
/// The highest rate that samples are planned at.
pub const MOST_PER_SECOND: f64 = 10_000.0;
/// The longest time by which samples that leave together may be late.
pub const MOST_TOGETHER: Span = Span::millis(2);
/// The highest rate of a ledger, each of whose writes is kept.
pub const MOST_WRITES_PER_SECOND: f64 = 2_000.0;

/// The rate of a probe kind that is given none.
pub fn rate_of_kind(kind: &str) -> Rate {
    let hz = if ["command", "ledger.command", "prometheus"].contains(&kind) || kind.starts_with("aws.") { 1.0 } else { 20.0 };
    Rate::per_second(hz).unwrap_or_else(|| unreachable!("a constant above zero"))
}

/// How long one look of a condition may take: a program needs longer to start than a connection, and AWS to say who is asking.
pub fn look_timeout(kind: &str) -> Span {
    if kind == "command" || kind.starts_with("aws.") { Span::secs(5) } else { TIMEOUT }
}

/// How long one look of a guard may take.
pub fn guard_timeout(scenario: &Scenario, guard: &GuardDecl) -> Span {
    guard.how.timeout.unwrap_or_else(|| match &guard.what {
        Observed::Kind(kinded) => look_timeout(&kinded.kind),
        Observed::Probe(id) => scenario.probes.get(id).map_or(TIMEOUT, probe_timeout),
    })
}

/// The longest from the moment at which a guard's look would be bad to the moment at which it ends the drill: `breaches × max(every, timeout) +
/// timeout`. A look that began just before may be good and take as long as it may; each of the bad ones begins `every` after the one before, or when
/// that one ended; the last one ends within its time-out.
pub fn guard_reacts_within(every: Span, timeout: Span, breaches: u32) -> Span {
    every.max(timeout).times(u64::from(breaches)) + timeout
}

/// From the first bad look of a guard to the one that ends the drill, where the looks themselves take no time: `(breaches − 1) × every`.
pub fn guard_usually_reacts_within(every: Span, breaches: u32) -> Span {
    every.times(u64::from(breaches.saturating_sub(1)))
}

/// The longest from the moment at which a guard gets no answer any more to the moment at which it ends the drill: `grace + max(every, timeout) +
/// timeout`. Silence is counted from the last answer, and seen when a look ends.
pub fn guard_misses_within(every: Span, timeout: Span, grace: Span) -> Span {
    grace + every.max(timeout) + timeout
}

/// How often a probe is asked.
pub fn probe_rate(probe: &ProbeDecl) -> Rate {
    probe.how.rate.unwrap_or_else(|| rate_of_kind(&probe.what.kind))
}

/// The longest time between two samples of a probe that leave one after the other.
pub fn probe_gap(probe: &ProbeDecl) -> Span {
    probe_rate(probe).interval().max(probe.how.together.unwrap_or(Span::ZERO))
}

/// How long one sample of a probe may take.
pub fn probe_timeout(probe: &ProbeDecl) -> Span {
    probe.how.timeout.unwrap_or(TIMEOUT)
}

/// Length of the steady-state window.
pub fn steady_over(scenario: &Scenario) -> Span {
    scenario.steady_state.over.unwrap_or(STEADY_OVER)
}

/// The episode that a claim is about: the named one, else the only one.
pub fn claim_fault<'a>(scenario: &'a Scenario, claim: &'a ClaimDecl) -> Option<&'a Id> {
    match &claim.how.fault {
        Some(named) => Some(named),
        None if scenario.faults.len() == 1 => scenario.faults.keys().next(),
        None => None,
    }
}

/// The claims about one episode.
pub fn claims_on<'a>(scenario: &'a Scenario, fault: &'a Id) -> impl Iterator<Item = (&'a Id, &'a ClaimDecl)> {
    scenario.claims.iter().filter(move |(_, claim)| claim_fault(scenario, claim) == Some(fault))
}

/// The probes that measure a claim: the named ones, else every probe of `steady_state` that the fault can touch.
pub fn measured_by(scenario: &Scenario, claim: &ClaimDecl) -> Vec<Id> {
    if !claim.how.measured_by.is_empty() {
        return claim.how.measured_by.clone();
    }
    let touchable = |id: &&Id| scenario.probes.get(*id).is_none_or(|probe| !probe.how.control);
    scenario.steady_state.probes.keys().filter(touchable).cloned().collect()
}

/// The probes whose steady bounds define recovery of an episode: those of its claims, else every probe of `steady_state`.
pub fn recovered_by(scenario: &Scenario, fault: &Id) -> Vec<Id> {
    let mut ids: Vec<Id> = Vec::new();
    for (_, claim) in claims_on(scenario, fault) {
        for id in measured_by(scenario, claim) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    if ids.is_empty() { scenario.steady_state.probes.keys().cloned().collect() } else { ids }
}

/// The largest recovery time objective of an episode, with the claim that sets it.
pub fn largest_rto<'a>(scenario: &'a Scenario, fault: &'a Id) -> Option<(&'a Id, Span)> {
    claims_on(scenario, fault).filter_map(|(id, claim)| claim.how.rto.map(|rto| (id, rto.max))).max_by_key(|(_, max)| *max)
}

/// When an episode counts as recovered: the fault's own rule, else the scenario's, else 60 s within and 10 s stable, or as much more as
/// its largest objective needs to be decided.
pub fn recovery(scenario: &Scenario, fault: &Id) -> RecoveryDecl {
    let own = scenario.faults.get(fault).and_then(|fault| fault.how.recovery);
    own.or(scenario.recovery).unwrap_or_else(|| {
        let needed = largest_rto(scenario, fault).map_or(Span::ZERO, |(_, max)| max + STABLE_FOR);
        let within = if needed > RECOVERY_WITHIN { needed + Span::secs(10) } else { RECOVERY_WITHIN };
        RecoveryDecl { within, stable_for: STABLE_FOR }
    })
}

/// The longest that a fault is held.
pub fn longest_hold(fault: &FaultDecl, recovery: RecoveryDecl) -> Span {
    match &fault.how.hold {
        HoldDecl::Once(_) => recovery.within,
        HoldDecl::Time(span) => *span,
        HoldDecl::Until(until) => until.at_most,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::sample;
    use super::*;

    #[test]
    fn recovery_waits_for_the_largest_objective() {
        let mut scenario = sample::scenario();
        scenario.recovery = None;
        let fault: Id = "lose-primary".parse().unwrap();
        assert_eq!(recovery(&scenario, &fault), RecoveryDecl { within: Span::secs(60), stable_for: Span::secs(10) });
        scenario.claims[0].how.rto.as_mut().unwrap().max = Span::secs(300);
        assert_eq!(recovery(&scenario, &fault).within, Span::secs(320));
        scenario.recovery = Some(RecoveryDecl { within: Span::secs(400), stable_for: Span::secs(5) });
        assert_eq!(recovery(&scenario, &fault).within, Span::secs(400));
        scenario.faults[0].how.recovery = Some(RecoveryDecl { within: Span::secs(500), stable_for: Span::secs(5) });
        assert_eq!(recovery(&scenario, &fault).within, Span::secs(500));
    }

    #[test]
    fn a_claim_without_probes_is_measured_by_what_the_fault_can_touch() {
        let mut scenario = sample::scenario();
        let bounds = scenario.steady_state.probes[0];
        scenario.steady_state.probes.insert("internet".parse().unwrap(), bounds);
        scenario.claims[0].how.measured_by.clear();
        let ids = measured_by(&scenario, &scenario.claims[0]);
        assert_eq!(ids, vec!["checkout".parse::<Id>().unwrap()]);
        scenario.claims.clear();
        assert_eq!(recovered_by(&scenario, &"lose-primary".parse().unwrap()).len(), 2);
    }
}
