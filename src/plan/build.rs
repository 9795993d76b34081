//! From what was written to what will happen: every default filled in, every moment named in full. Total: a scenario that `check` passes
//! without an error becomes a plan; of one with errors, what cannot be resolved is left out.

mod stops;

use super::carried;
use super::notify;
use super::team;
use super::{
    AvailabilityPlan, AwsPlan, ClaimPlan, Condition, FaultPlan, GuardPlan, Hold, HoldsPlan, HostPlan, Mode, Moment, Plan, Point, ProbePlan,
    ResetPlan, RestorePlan, RpoPlan, RtoPlan, SteadyPlan, SubjectPlan, SystemPlan, TargetPlan, UndoPlan,
};
use crate::base::{Digest, Id, Rate, Span};
use crate::scenario::defaults;
use crate::scenario::known::Known;
use crate::scenario::model::{
    AfterMoment, ClaimDecl, ConditionDecl, Expect, FaultDecl, GuardDecl, HoldDecl, HostDecl, Kinded, Map, Observed, ProbeDecl, Scenario,
};
use crate::scenario::moment::{self, Anchor};

/// The rate of a probe kind that is given none.
pub fn default_rate(kind: &str) -> Rate {
    defaults::rate_of_kind(kind)
}

/// Where a scenario comes from and how its run is meant: what its text does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The scenario's name: its file name without `.yaml`.
    pub name: String,
    /// Directory that relative paths in commands resolve against (absolute).
    pub base_dir: String,
    /// Digest of the scenario's text.
    pub scenario_digest: Digest,
    /// Digest of the workload's text, where there is one.
    pub workload_digest: Option<Digest>,
    /// How the run is meant; a scenario that is a tabletop makes a normal run one.
    pub mode: Mode,
}

/// The plan of a scenario that has no errors.
pub fn build(scenario: &Scenario, known: &Known, origin: Origin) -> Plan {
    let over = defaults::steady_over(scenario);
    let mode = if scenario.tabletop && origin.mode == Mode::Normal { Mode::Tabletop } else { origin.mode };
    Plan {
        schema: 1,
        name: origin.name,
        base_dir: origin.base_dir,
        title: scenario.title.clone(),
        why: scenario.why.clone(),
        owner: scenario.owner.clone(),
        environment: scenario.environment,
        test: scenario.test,
        aws: scenario.aws.as_ref().map(AwsPlan::of),
        mode,
        scenario_digest: origin.scenario_digest,
        workload_digest: origin.workload_digest,
        secrets: scenario.secrets.clone(),
        system: map(&scenario.system, |_, system| {
            let ready = system.ready.as_ref().and_then(|ready| condition(scenario, ready));
            Some(SystemPlan { how: system.how.clone(), ready })
        }),
        proxies: scenario.proxies.clone(),
        targets: map(&scenario.targets, |_, target| {
            let look = look(&target.what, &Expect::new(), defaults::CONDITION_EVERY, target.how.within);
            Some(TargetPlan { look, pick: target.how.pick.clone(), among: target.how.among.clone(), exactly: target.how.exactly })
        }),
        probes: map(&scenario.probes, |_, probe| Some(probe_plan(probe, known))),
        steady: SteadyPlan { over, probes: scenario.steady_state.probes.clone() },
        guards: map(&scenario.guards, |_, guard| guard_plan(scenario, guard)),
        faults: map(&scenario.faults, |id, fault| Some(fault_plan(scenario, id, fault, known))),
        restore: map(&scenario.restore, |_, restore| {
            Some(RestorePlan {
                run: restore.how.run.clone(),
                after: point(scenario, &restore.how.after, None),
                only_if: restore.only_if.as_ref().and_then(|only| condition(scenario, only)),
                within: restore.how.within.unwrap_or(defaults::RESTORE_WITHIN),
            })
        }),
        claims: map(&scenario.claims, |_, claim| claim_plan(scenario, claim)),
        subject: map(&scenario.subject, |_, subject| {
            let look = look(&subject.what, &Expect::new(), defaults::CONDITION_EVERY, defaults::CONDITION_WITHIN);
            Some(SubjectPlan { look, pick: subject.pick.clone() })
        }),
        baseline_within: Span::secs(60).max(over + Span::secs(30)),
        settle_within: Span::secs(60).max(over.times(2)),
        reset: scenario.reset.as_ref().map(|reset| ResetPlan {
            run: reset.run.clone(),
            done_when: reset.done_when.as_ref().and_then(|done| condition(scenario, done)),
        }),
        not_judged: carried::not_judged(scenario),
        notify: notify::of(scenario),
        team: team::of(scenario),
        carried: carried::blocks(scenario),
        policy: None,
        pins: None,
    }
}

fn map<A, B>(from: &Map<A>, mut of: impl FnMut(&Id, &A) -> Option<B>) -> Map<B> {
    from.iter().filter_map(|(id, value)| of(id, value).map(|made| (id.clone(), made))).collect()
}

/// One look at a kind: never longer than it may take in all.
fn look(what: &Kinded, expect: &Expect, every: Span, within: Span) -> Condition {
    let timeout = defaults::look_timeout(&what.kind).min(within);
    Condition { kind: what.kind.clone(), spec: what.spec.clone(), expect: expect.clone(), every, within, timeout }
}

/// A condition on a kind, or on a declared probe, asked once more with what the probe itself expects unless told otherwise.
fn observed(scenario: &Scenario, what: &Observed, expect: &Expect, every: Span, within: Span) -> Option<Condition> {
    match what {
        Observed::Kind(kinded) => Some(look(kinded, expect, every, within)),
        Observed::Probe(id) => {
            let probe = scenario.probes.get(id)?;
            let expect = if expect.is_empty() { &probe.how.expect } else { expect };
            let timeout = defaults::probe_timeout(probe).min(within);
            Some(Condition { timeout, ..look(&probe.what, expect, every, within) })
        }
    }
}

fn condition(scenario: &Scenario, decl: &ConditionDecl) -> Option<Condition> {
    paced(scenario, decl, defaults::CONDITION_EVERY, defaults::CONDITION_WITHIN)
}

fn paced(scenario: &Scenario, decl: &ConditionDecl, every: Span, within: Span) -> Option<Condition> {
    observed(scenario, &decl.what, &decl.how.expect, decl.how.every.unwrap_or(every), decl.how.within.unwrap_or(within))
}

fn probe_plan(probe: &ProbeDecl, known: &Known) -> ProbePlan {
    let rate = defaults::probe_rate(probe);
    let timeout = defaults::probe_timeout(probe);
    let in_flight = (rate.hz() * timeout.as_secs_f64() * 1.2).ceil() as usize;
    ProbePlan {
        kind: probe.what.kind.clone(),
        spec: probe.what.spec.clone(),
        rate,
        timeout,
        expect: probe.how.expect.clone(),
        served_by: probe.how.served_by.clone(),
        control: probe.how.control,
        together: probe.how.together,
        in_flight: in_flight.max(4),
        ledger: known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger),
        clean_up: known.probe(&probe.what.kind).is_some_and(|kind| kind.ledger && (kind.cleans_up)(&probe.what.spec)),
    }
}

fn guard_plan(scenario: &Scenario, guard: &GuardDecl) -> Option<GuardPlan> {
    let every = guard.how.every.unwrap_or(defaults::GUARD_EVERY);
    let mut look = observed(scenario, &guard.what, &guard.how.expect, every, every)?;
    // A look may take longer than the time between two: the next one is then late, which `grace` bounds.
    look.timeout = defaults::guard_timeout(scenario, guard);
    Some(GuardPlan {
        look,
        breaches: guard.how.breaches.unwrap_or(defaults::GUARD_BREACHES),
        grace: guard.how.grace.unwrap_or(every.times(3)),
    })
}

fn fault_plan(scenario: &Scenario, id: &Id, fault: &FaultDecl, known: &Known) -> FaultPlan {
    let rule = defaults::recovery(scenario, id);
    let (word, plus) = moment::start(fault.how.at.as_ref());
    let confirm = fault.confirm.as_ref().and_then(|confirm| paced(scenario, confirm, defaults::CONFIRM_EVERY, defaults::CONFIRM_WITHIN));
    let near = known.fault(&fault.what.kind).map_or((defaults::CONFIRM_EVERY, defaults::CONFIRM_WITHIN), |kind| kind.confirm);
    let on = fault.how.on.as_ref().and_then(|host| Some((host, scenario.hosts.get(host)?)));
    // Each look at another machine is a connection, or a command, of its own.
    let own = on.map_or(near, |(_, how)| {
        let far = if how.ssm.is_some() { defaults::LOOK_BY_COMMAND } else { defaults::LOOK_ELSEWHERE };
        (near.0.max(far.0), near.1.max(far.1))
    });
    let (confirm_every, confirm_within) = confirm.as_ref().map_or(own, |confirm| (confirm.every, confirm.within));
    FaultPlan {
        kind: fault.what.kind.clone(),
        spec: stops::resolved(scenario, &fault.what.spec),
        at: Moment { after: point(scenario, word, None), plus },
        hold: hold(&fault.how.hold),
        confirm,
        confirm_every,
        confirm_within,
        recovery_within: rule.within,
        stable_for: rule.stable_for,
        recovered_by: defaults::recovered_by(scenario, id),
        undo: fault.undo.as_ref().map(|undo| UndoPlan {
            run: undo.run.clone(),
            left_to: undo.left_to.clone(),
            done_when: undo.done_when.as_ref().and_then(|done| condition(scenario, done)),
        }),
        on: on.map(|(host, how)| HostPlan { host: host.clone(), how: HostDecl { lease: Some(how.lease()), ..how.clone() } }),
    }
}

fn hold(decl: &HoldDecl) -> Hold {
    match decl {
        HoldDecl::Once(_) => Hold::Once,
        HoldDecl::Time(span) => Hold::Time(*span),
        HoldDecl::Until(until) => match (until.until.as_str(), until.until.parse::<Id>()) {
            ("recovered", _) => Hold::UntilRecovered(until.at_most),
            ("released", _) => Hold::UntilReleased(until.at_most),
            (_, Ok(id)) => Hold::UntilExpectation(id, until.at_most),
            (_, Err(_)) => Hold::Time(until.at_most),
        },
    }
}

fn claim_plan(scenario: &Scenario, claim: &ClaimDecl) -> Option<ClaimPlan> {
    let fault = defaults::claim_fault(scenario, claim)?;
    let how = &claim.how;
    let moment = |given: &AfterMoment| Moment { after: point(scenario, &given.after, Some(fault)), plus: given.plus };
    Some(ClaimPlan {
        fault: fault.clone(),
        service: how.service.clone(),
        disruption: how.disruption.clone(),
        measured_by: defaults::measured_by(scenario, claim),
        rto: how.rto.map(|rto| RtoPlan { max: rto.max, from: rto.from }),
        rpo: how.rpo.as_ref().map(|rpo| RpoPlan { max: rpo.max, ledger: rpo.ledger.clone() }),
        availability: how.availability.map(|given| AvailabilityPlan { min: given.min, over: given.over, budget: given.budget }),
        latency: how.latency.clone(),
        by: how.by,
        holds: map(&claim.holds, |_, holds| {
            let from = holds.from.as_ref().map_or(Moment { after: Point::Effective(fault.clone()), plus: Span::ZERO }, moment);
            Some(HoldsPlan { probe: holds.probe.clone(), success: holds.success, from, until: holds.until.as_ref().map(moment) })
        }),
        source: how.source.clone(),
    })
}

/// The point that a word names. A word that names none was refused by `check`; here it counts from the fault it stands at, or from steady.
pub(super) fn point(scenario: &Scenario, word: &str, otherwise: Option<&Id>) -> Point {
    match moment::resolve(word, scenario) {
        Ok(Anchor::Steady) => Point::Steady,
        Ok(Anchor::Effective(id)) => Point::Effective(id),
        Ok(Anchor::Recovered(id)) => Point::Recovered(id),
        Ok(Anchor::Undone(id)) => Point::Undone(id),
        Ok(Anchor::Expectation(id)) => Point::Expectation(id),
        Err(_) => otherwise.map_or(Point::Steady, |id| Point::Effective(id.clone())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::digest_of;
    use crate::scenario::check::sample::{self, id};
    use crate::scenario::matcher::Matcher;
    use crate::scenario::model::{HoldUntil, HoldsDecl, RestoreDecl, RestoreHow, When};
    use serde_json::json;

    pub(in crate::plan) fn origin() -> Origin {
        Origin {
            name: "primary-loss".into(),
            base_dir: "/srv/drills".into(),
            scenario_digest: digest_of(b"x"),
            workload_digest: None,
            mode: Mode::Normal,
        }
    }

    pub(in crate::plan) fn of(scenario: &Scenario) -> Plan {
        build(scenario, &sample::known(), origin())
    }

    #[test]
    fn every_default_is_filled_in() {
        let plan = of(&sample::scenario());
        let checkout = &plan.probes["checkout"];
        assert_eq!((checkout.rate.hz(), checkout.timeout, checkout.in_flight, checkout.ledger), (20.0, Span::secs(1), 24, false));
        assert!(plan.probes["orders"].ledger);
        assert!(plan.probes["internet"].control);
        assert_eq!((plan.steady.over, plan.baseline_within, plan.settle_within), (Span::secs(10), Span::secs(60), Span::secs(60)));
        let guard = &plan.guards["neighbours"];
        assert_eq!((guard.look.every, guard.breaches, guard.grace, guard.look.timeout), (Span::secs(1), 2, Span::secs(3), Span::secs(1)));
        let fault = &plan.faults["lose-primary"];
        assert_eq!(fault.at, Moment { after: Point::Steady, plus: Span::secs(20) });
        assert_eq!((fault.confirm_every, fault.confirm_within), (Span::millis(50), Span::secs(5)));
        assert_eq!((fault.recovery_within, fault.stable_for), (Span::secs(60), Span::secs(10)));
        assert_eq!(fault.recovered_by, vec![id("checkout")]);
        let ready = plan.system["primary"].ready.as_ref().unwrap();
        assert_eq!((ready.every, ready.within, ready.timeout), (Span::millis(100), Span::secs(10), Span::secs(1)));
        assert_eq!(plan.claims["node-loss"].fault, id("lose-primary"));
        assert_eq!((plan.mode, plan.schema), (Mode::Normal, 1));
    }

    #[test]
    fn windows_grow_with_what_is_asked() {
        let mut s = sample::scenario();
        s.steady_state.over = Some(Span::secs(120));
        s.probes[0].what.kind = "command".into();
        s.probes[0].how.timeout = Some(Span::secs(10));
        s.probes[3].how.rate = Rate::per_second(100.0);
        s.recovery = None;
        s.claims[0].how.rto.as_mut().unwrap().max = Span::secs(90);
        let plan = of(&s);
        assert_eq!((plan.baseline_within, plan.settle_within), (Span::secs(150), Span::secs(240)));
        assert_eq!((plan.probes["checkout"].rate.hz(), plan.probes["checkout"].in_flight), (1.0, 12));
        assert_eq!(plan.probes["write-old"].in_flight, 120);
        assert_eq!(plan.faults["lose-primary"].recovery_within, Span::secs(110));
    }

    #[test]
    fn a_condition_on_a_probe_asks_what_the_probe_asks() {
        let mut s = sample::scenario();
        s.probes[0].how.expect.insert("status".into(), Matcher::equals(201));
        s.probes[0].how.timeout = Some(Span::millis(800));
        s.guards[0].what = Observed::Probe(id("checkout"));
        s.guards[0].how.expect.clear();
        let guard = of(&s).guards["neighbours"].clone();
        assert_eq!(guard.look.kind, "http");
        assert_eq!(guard.look.spec, s.probes[0].what.spec);
        assert_eq!(guard.look.expect["status"], Matcher::equals(201));
        assert_eq!(guard.look.timeout, Span::millis(800));
        s.guards[0].how.expect.insert("status".into(), Matcher::equals(503));
        assert_eq!(of(&s).guards["neighbours"].look.expect["status"], Matcher::equals(503));
    }

    #[test]
    fn moments_and_holds_are_named_in_full() {
        let mut s = sample::scenario();
        s.team = Some(json!({ "mode": "blind", "expect": { "detected": {} }, "prompts": { "ask": {} } }));
        let primary = id("lose-primary");
        for (decl, planned) in [
            (HoldDecl::Time(Span::secs(9)), Hold::Time(Span::secs(9))),
            (HoldDecl::Until(HoldUntil { until: "recovered".into(), at_most: Span::secs(9) }), Hold::UntilRecovered(Span::secs(9))),
            (HoldDecl::Until(HoldUntil { until: "released".into(), at_most: Span::secs(9) }), Hold::UntilReleased(Span::secs(9))),
            (
                HoldDecl::Until(HoldUntil { until: "detected".into(), at_most: Span::secs(9) }),
                Hold::UntilExpectation(id("detected"), Span::secs(9)),
            ),
        ] {
            s.faults[0].how.hold = decl;
            assert_eq!(of(&s).faults[0].hold, planned);
        }
        s.faults[0].how.at = Some(When::After(AfterMoment { after: "detected".into(), plus: Span::secs(1) }));
        assert_eq!(of(&s).faults[0].at, Moment { after: Point::Expectation(id("detected")), plus: Span::secs(1) });
        s.faults[0].how.at = None;
        assert_eq!(of(&s).faults[0].at, Moment { after: Point::Steady, plus: Span::ZERO });
        let how = RestoreHow { run: vec!["x".into()], after: "undone".into(), within: None };
        s.restore.insert(id("rejoin"), RestoreDecl { how, only_if: None });
        let holds = json!({ "probe": "write-old", "success": { "max": "0%" } });
        s.claims[0].holds.insert(id("quiet"), serde_json::from_value::<HoldsDecl>(holds).unwrap());
        let plan = of(&s);
        assert_eq!((&plan.restore["rejoin"].after, plan.restore["rejoin"].within), (&Point::Undone(primary.clone()), Span::secs(60)));
        assert_eq!(plan.claims[0].holds["quiet"].from, Moment { after: Point::Effective(primary), plus: Span::ZERO });
        assert_eq!(plan.not_judged, Vec::<String>::new());
        assert_eq!(plan.carried.keys().collect::<Vec<_>>(), vec!["team"]);
    }

    #[test]
    fn a_tabletop_scenario_makes_a_tabletop() {
        let mut s = sample::scenario();
        s.tabletop = true;
        assert_eq!(of(&s).mode, Mode::Tabletop);
        let baseline = build(&s, &sample::known(), Origin { mode: Mode::Baseline, ..origin() });
        assert_eq!(baseline.mode, Mode::Baseline);
    }

    #[test]
    fn a_plan_survives_its_file() {
        let mut s = sample::scenario();
        sample::second_fault(&mut s);
        let plan = of(&s);
        let (text, digest) = plan.to_text().unwrap();
        let back: Plan = serde_json::from_str(&text).unwrap();
        assert_eq!(back, plan);
        assert_eq!(back.to_text().unwrap().1, digest);
    }

    #[test]
    fn a_scenario_with_errors_makes_no_panic() {
        let mut s = sample::scenario();
        s.claims[0].how.fault = Some(id("gone"));
        s.guards[0].what = Observed::Probe(id("gone"));
        s.faults[0].how.at = Some(When::After(AfterMoment { after: "gone.undone".into(), plus: Span::ZERO }));
        let plan = of(&s);
        assert!(plan.guards.is_empty());
        assert_eq!(plan.faults[0].at.after, Point::Steady);
        s.probes.clear();
        s.faults.clear();
        assert!(of(&s).probes.is_empty());
    }
}
