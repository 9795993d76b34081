//! Claims: are they about something that is there, and is there anything to judge?

use super::super::defaults::{claim_fault, measured_by};
use super::super::finding::{Finding, did_you_mean};
use super::super::known::Known;
use super::super::model::{ClaimDecl, HoldsDecl, LatencyDecl, MaxSpan, RtoFrom, Scenario, TestKind};
use super::super::moment::{Anchor, resolve};
use super::probes::is_ledger;
use super::{FAULT, LEDGER, PROBE, at, choice, list, names, unknown};
use crate::base::{Id, Span};

pub(super) fn check(s: &Scenario, known: &Known) -> Vec<Finding> {
    let mut out = Vec::new();
    for (id, claim) in &s.claims {
        let place = at(&["claims", id.as_str()]);
        out.extend(episode(s, &place, id, claim));
        out.extend(something(&place, claim));
        out.extend(measured(s, known, &place, claim));
        out.extend(by(s, &place, claim));
        out.extend(rpo(s, known, &place, claim));
        out.extend(kind_of_test(s, &place, claim));
        for (name, holds) in &claim.holds {
            out.extend(beside(s, &format!("{place}/holds/{name}"), holds));
        }
    }
    out
}

fn episode(s: &Scenario, place: &str, id: &Id, claim: &ClaimDecl) -> Option<Finding> {
    match &claim.how.fault {
        Some(fault) if !s.faults.contains_key(fault) => Some(unknown(format!("{place}/fault"), &FAULT, fault.as_str(), &names(&s.faults))),
        Some(_) => None,
        None if claim_fault(s, claim).is_some() => None,
        None if s.faults.is_empty() => {
            Some(Finding::error(place, format!("the claim `{id}` is about no fault"), "there is no fault to survive").on_key())
        }
        None => Some(
            Finding::error(place, format!("which fault is the claim `{id}` about?"), "has no `fault:`")
                .on_key()
                .help(format!("with several faults, name one: {}", choice(&names(&s.faults)))),
        ),
    }
}

fn something(place: &str, claim: &ClaimDecl) -> Vec<Finding> {
    let how = &claim.how;
    let mut out = Vec::new();
    let nothing = how.rto.is_none()
        && how.rpo.is_none()
        && how.availability.is_none()
        && how.latency.is_none()
        && how.by.is_none()
        && claim.holds.is_empty();
    if nothing {
        out.push(
            Finding::error(place, "a claim without anything to judge", "claims nothing")
                .on_key()
                .help("add for example `rto: { max: 30s }`"),
        );
    }
    if let Some(latency) = &how.latency
        && bounds(latency).iter().all(|(_, bound)| bound.is_none())
    {
        out.push(
            Finding::error(format!("{place}/latency"), "a latency claim needs a percentile", "claims nothing")
                .on_key()
                .help("add for example `p99: { max: 800ms }`"),
        );
    }
    if let Some(availability) = &how.availability
        && availability.over == Span::ZERO
    {
        out.push(Finding::error(format!("{place}/availability/over"), "availability is counted over some time", "no time at all"));
    }
    if let Some(rto) = &how.rto
        && rto.from == RtoFrom::Declared
    {
        out.push(
            Finding::warning(format!("{place}/rto/from"), "this version does not see when an incident is declared", "stays inconclusive")
                .help("count from `effect`: people's time is then part of it, as it is for users"),
        );
    }
    out
}

/// Every percentile of a latency claim by name.
pub(super) fn bounds(latency: &LatencyDecl) -> [(&'static str, Option<MaxSpan>); 5] {
    [("p50", latency.p50), ("p90", latency.p90), ("p95", latency.p95), ("p99", latency.p99), ("p999", latency.p999)]
}

fn measured(s: &Scenario, known: &Known, place: &str, claim: &ClaimDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    for (n, id) in claim.how.measured_by.iter().enumerate() {
        let place = format!("{place}/measured_by/{n}");
        let declared = at(&["probes", id.as_str()]);
        let Some(probe) = s.probes.get(id) else {
            out.push(unknown(place, &PROBE, id.as_str(), &names(&s.probes)));
            continue;
        };
        if probe.how.control {
            out.push(
                Finding::error(place, format!("the control probe `{id}` cannot measure a claim"), "the fault cannot touch it")
                    .also(format!("{declared}/control"), "is a control")
                    .help("measure with a probe on the path that users take"),
            );
        } else if is_ledger(probe, known) {
            out.push(
                Finding::error(place, format!("the ledger `{id}` cannot measure recovery"), "a ledger")
                    .also(declared, "is declared here")
                    .help(format!("it measures loss: write `rpo: {{ max: 0s, ledger: {id} }}`")),
            );
        } else if claim.how.measured_by[..n].contains(id) {
            out.push(Finding::warning(place, format!("`{id}` is listed twice"), "already measures it"));
        } else if !s.steady_state.probes.contains_key(id) && !misspelt(s, id) {
            out.push(
                Finding::error(
                    place,
                    format!("`{id}` measures a claim, but nothing says what is normal for it"),
                    "has no bounds in `steady_state`",
                )
                .also("/steady_state/probes", "what is normal")
                .help(format!("add for example `{id}: {{ success: {{ min: 99% }} }}` to `steady_state`: it is also what recovered means")),
            );
        }
    }
    out
}

/// Whether `steady_state` means this probe by a slip of the pen, which is reported there.
fn misspelt(s: &Scenario, id: &Id) -> bool {
    let undeclared = names(&s.steady_state.probes).into_iter().filter(|name| !s.probes.contains_key(*name));
    did_you_mean(id.as_str(), undeclared).is_some()
}

fn by(s: &Scenario, place: &str, claim: &ClaimDecl) -> Option<Finding> {
    claim.how.by?;
    let probes = measured_by(s, claim);
    let says = probes.iter().filter_map(|id| s.probes.get(id)).any(|probe| probe.how.served_by.is_some());
    let there: Vec<&str> = probes.iter().filter(|id| s.probes.contains_key(*id)).map(Id::as_str).collect();
    let first = *there.first()?;
    (!says).then(|| {
        Finding::error(format!("{place}/by"), format!("nobody says who answers {}", list(&there)), "cannot be told")
            .also(at(&["probes", first]), "has no `served_by:`")
            .help(format!("add for example `served_by: {{ header: x-node }}` to the probe `{first}`"))
    })
}

fn rpo(s: &Scenario, known: &Known, place: &str, claim: &ClaimDecl) -> Option<Finding> {
    let ledger = &claim.how.rpo.as_ref()?.ledger;
    let place = format!("{place}/rpo/ledger");
    let ledgers: Vec<&str> = s.probes.iter().filter(|(_, probe)| is_ledger(probe, known)).map(|(id, _)| id.as_str()).collect();
    match s.probes.get(ledger) {
        Some(probe) if is_ledger(probe, known) => None,
        Some(_) => {
            let finding = Finding::error(place, format!("the probe `{ledger}` is not a ledger"), "cannot count lost writes")
                .also(at(&["probes", ledger.as_str()]), "is declared here");
            Some(match ledgers.first() {
                Some(first) => finding.help(format!("did you mean `{first}`?")),
                None => finding.help("add a ledger probe: numbered, acknowledged writes that are read back after recovery"),
            })
        }
        None => Some(match did_you_mean(ledger.as_str(), ledgers.iter().copied()) {
            None if ledgers.is_empty() => unknown(place, &LEDGER, ledger.as_str(), &[]),
            _ => unknown(place, &LEDGER, ledger.as_str(), &ledgers),
        }),
    }
}

fn kind_of_test(s: &Scenario, place: &str, claim: &ClaimDecl) -> Option<Finding> {
    let rto = claim.how.rto?;
    (s.test == TestKind::Sustained && rto.max > Span::ZERO).then(|| {
        Finding::warning(
            format!("{place}/rto"),
            "a sustained test may never leave steady state, so there is nothing to recover from",
            "allows an outage",
        )
        .also("/test", "must never leave steady state")
        .help("claim availability or latency instead, or write `test: recovery`")
    })
}

fn beside(s: &Scenario, place: &str, holds: &HoldsDecl) -> Vec<Finding> {
    let mut out = Vec::new();
    if !s.probes.contains_key(&holds.probe) {
        out.push(unknown(format!("{place}/probe"), &PROBE, holds.probe.as_str(), &names(&s.probes)));
    }
    match (holds.success.min, holds.success.max) {
        (None, None) => out.push(
            Finding::error(format!("{place}/success"), "a share needs a bound", "has neither `min` nor `max`")
                .on_key()
                .help("write for example `success: { max: 0% }`"),
        ),
        (Some(min), Some(max)) if min.fraction() > max.fraction() => {
            out.push(Finding::error(
                format!("{place}/success/min"),
                "no share is at once at least `min` and at most `max`",
                "more than `max`",
            ));
        }
        _ => {}
    }
    if let (Some(from), Some(until)) = (&holds.from, &holds.until)
        && let (Ok(a), Ok(b)) = (resolve(&from.after, s), resolve(&until.after, s))
        && never_after(&b, &a)
        && until.plus <= from.plus
    {
        out.push(
            Finding::error(format!("{place}/until"), "the time in which it must hold is empty", "not after `from`")
                .also(format!("{place}/from"), "starts here"),
        );
    }
    out
}

/// Whether a moment can never come after another one: it is the same, or earlier in the same episode.
fn never_after(this: &Anchor, other: &Anchor) -> bool {
    match (this, other) {
        (Anchor::Effective(a), Anchor::Recovered(b) | Anchor::Undone(b)) => a == b,
        (Anchor::Steady, _) => true,
        _ => this == other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{claim, found, id, refuses, scenario, second_fault, warns};
    use super::*;
    use serde_json::json;

    fn with(how: serde_json::Value) -> Scenario {
        let mut s = scenario();
        s.claims[0] = claim(how);
        s
    }

    #[test]
    fn a_claim_is_about_a_fault() {
        let s = with(json!({ "fault": "lose-primry", "rto": { "max": "10s" } }));
        assert_eq!(refuses(&s, "/claims/node-loss/fault", "no fault").help.as_deref(), Some("did you mean `lose-primary`?"));
        let mut s = scenario();
        second_fault(&mut s);
        s.claims[0].how.fault = None;
        assert_eq!(refuses(&s, "/claims/node-loss", "which fault").label, "has no `fault:`");
        let mut s = scenario();
        s.faults.clear();
        s.tabletop = true;
        refuses(&s, "/claims/node-loss", "about no fault");
    }

    #[test]
    fn a_claim_claims_something() {
        refuses(&with(json!({ "service": "checkout" })), "/claims/node-loss", "anything to judge");
        refuses(&with(json!({ "latency": {} })), "/claims/node-loss/latency", "needs a percentile");
        refuses(&with(json!({ "availability": { "min": "99%", "over": "0s" } })), "/claims/node-loss/availability/over", "some time");
        warns(&with(json!({ "rto": { "max": "10s", "from": "declared" } })), "/claims/node-loss/rto/from", "declared");
    }

    #[test]
    fn a_claim_is_measured_by_what_the_fault_can_touch() {
        let on = |probe: &str| with(json!({ "measured_by": ["checkout", probe], "rto": { "max": "10s" } }));
        assert_eq!(
            refuses(&on("chekout"), "/claims/node-loss/measured_by/1", "no probe").help.as_deref(),
            Some("did you mean `checkout`?")
        );
        refuses(&on("internet"), "/claims/node-loss/measured_by/1", "control probe");
        assert!(
            refuses(&on("orders"), "/claims/node-loss/measured_by/1", "cannot measure recovery").help.unwrap().contains("ledger: orders")
        );
        refuses(&on("write-old"), "/claims/node-loss/measured_by/1", "what is normal for it");
        warns(&on("checkout"), "/claims/node-loss/measured_by/1", "listed twice");
    }

    #[test]
    fn who_answered_must_be_told() {
        let mut s = scenario();
        s.probes[0].how.served_by = None;
        let finding = refuses(&s, "/claims/node-loss/by", "nobody says who answers `checkout`");
        assert_eq!(finding.also[0].0, "/probes/checkout");
    }

    #[test]
    fn loss_is_counted_by_a_ledger() {
        let on = |ledger: &str| with(json!({ "rpo": { "max": "0s", "ledger": ledger } }));
        assert_eq!(refuses(&on("order"), "/claims/node-loss/rpo/ledger", "no ledger").help.as_deref(), Some("did you mean `orders`?"));
        assert_eq!(
            refuses(&on("checkout"), "/claims/node-loss/rpo/ledger", "not a ledger").help.as_deref(),
            Some("did you mean `orders`?")
        );
        assert_eq!(found(&on("orders")), vec![]);
    }

    #[test]
    fn a_sustained_test_has_no_recovery() {
        let mut s = scenario();
        s.test = TestKind::Sustained;
        warns(&s, "/claims/node-loss/rto", "sustained");
    }

    #[test]
    fn what_holds_beside_is_bounded_in_share_and_time() {
        let mut s = scenario();
        let holds = |value| serde_json::from_value::<HoldsDecl>(value).unwrap();
        let place = "/claims/node-loss/holds/no-writes";
        s.claims[0].holds.insert(id("no-writes"), holds(json!({ "probe": "write-olt", "success": { "max": "0%" } })));
        refuses(&s, &format!("{place}/probe"), "no probe");
        s.claims[0].holds[0] = holds(json!({ "probe": "write-old", "success": {} }));
        refuses(&s, &format!("{place}/success"), "needs a bound");
        s.claims[0].holds[0] = holds(json!({ "probe": "write-old", "success": { "min": "50%", "max": "1%" } }));
        refuses(&s, &format!("{place}/success/min"), "at once");
        s.claims[0].holds[0] = holds(json!({ "probe": "write-old", "success": { "max": "0%" },
            "from": { "after": "effective", "plus": "5s" }, "until": { "after": "lose-primary.effective", "plus": "5s" } }));
        refuses(&s, &format!("{place}/until"), "empty");
        s.claims[0].holds[0] =
            holds(json!({ "probe": "write-old", "success": { "max": "0%" }, "from": { "after": "effective", "plus": "5s" } }));
        assert_eq!(found(&s), vec![]);
    }
}
