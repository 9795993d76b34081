//! What is missing, or says nothing of the target, never makes a verdict better: samples lost at the ends of phases, across an undo, at the end of a run;
//! failures while the prober itself was cut off; time that no clock saw.

use super::facts::*;
use super::sample_journal::*;
use super::*;
use crate::base::Percent;
use crate::event::{Class, Sample, Verdict};
use crate::plan::{BudgetDecl, HoldsPlan, LatencyDecl, MaxSpan, Moment, PhaseName, Point, RtoFrom, RtoPlan, ShareBounds};

/// A fault at 10 s that is undone at 20 s.
fn judged(plan: &Plan, rows: &[Sample]) -> Facts {
    let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 10_000, (10_001, 10_002));
    journal.undo("lose-primary", 20_000).finish(41_000).facts(plan)
}

#[test]
fn samples_lost_at_the_end_of_a_phase_are_missing_there() {
    let mut plan = plan();
    let p99 = Some(MaxSpan { max: span(50) });
    plan.claims[0].latency = Some(LatencyDecl { p50: None, p90: None, p95: None, p99, p999: None, phase: PhaseName::During });
    // The last five samples before the undo, at 20 s, take 700 ms: more than one in a hundred of the phase.
    let slow = |n: u64| if (395..400).contains(&n) { 700_000_000 } else { 10_000_000 };
    let mut rows = Sim { took: slow, ..Sim::ms(&[], 40_000) }.samples();
    let latency = |facts: &Facts| facts.claims["back-soon"].latency.as_ref().unwrap().part.verdict;
    assert_eq!(latency(&judged(&plan, &rows)), Judged::Failed);
    rows.retain(|row| !(395..402).contains(&row.n));
    let facts = judged(&plan, &rows);
    assert_eq!(latency(&facts), Judged::Inconclusive);
    let counts = &facts.probes["checkout"].phases["lose-primary.during"].counts;
    assert_eq!((counts.planned, counts.ok, counts.local), (200, 195, 5));
    assert_eq!(facts.probes["checkout"].phases["lose-primary.after"].counts.local, 1);
    assert_eq!(facts.probes["checkout"].phases["lose-primary.undo"].counts.local, 1);
}

#[test]
fn a_probe_that_ended_early_is_missing_until_probes_were_to_stop() {
    let mut plan = plan();
    let success = ShareBounds { min: Percent::of_fraction(0.9), max: None };
    let from = Moment { after: Point::Effective(id("lose-primary")), plus: Span::ZERO };
    plan.claims[0].holds.insert(id("goes-on"), HoldsPlan { probe: id("checkout"), success, from, until: None });
    let mut rows = Sim::ms(&[], 40_000).samples();
    let held = |facts: &Facts| facts.claims["back-soon"].holds["goes-on"].part.clone();
    assert_eq!(held(&judged(&plan, &rows)).verdict, Judged::Passed);
    rows.retain(|row| row.n < 300);
    let facts = judged(&plan, &rows);
    assert_eq!(held(&facts).verdict, Judged::Inconclusive, "{}", held(&facts).why);
    let counts = &facts.probes["checkout"].phases["lose-primary.during"].counts;
    assert_eq!((counts.ok, counts.local), (100, 100));
    // And that it did not fail was not watched to the end.
    let rto = facts.claims["back-soon"].rto.as_ref().unwrap();
    assert_eq!(rto.part.verdict, Judged::Inconclusive);
    assert!(rto.part.why.contains("before the fault was undone (prober)"), "{}", rto.part.why);
}

#[test]
fn an_outage_that_only_the_undo_healed_does_not_hide_among_lost_samples() {
    let mut plan = plan();
    plan.claims[0].rto = Some(RtoPlan { max: Span::secs(15), from: RtoFrom::Effect });
    let mut rows = Sim::ms(&[(18_600, 20_300)], 40_000).samples();
    let rto = |facts: &Facts| facts.claims["back-soon"].rto.clone().unwrap().part;
    let seen = rto(&judged(&plan, &rows));
    assert_eq!(seen.verdict, Judged::Failed, "{}", seen.why);
    for row in rows.iter_mut().filter(|row| (ms(18_500)..ms(20_500)).contains(&row.planned)) {
        (row.verdict, row.class) = (Verdict::Local, Class::Local);
    }
    let lost = rto(&judged(&plan, &rows));
    assert_eq!(lost.verdict, Judged::Inconclusive, "{}", lost.why);
    assert!(lost.why.contains("whether it came back by itself cannot be told"), "{}", lost.why);
}

#[test]
fn what_must_not_work_is_not_shown_by_a_prober_that_was_cut_off() {
    let mut plan = plan();
    plan.probes.insert(id("write-old"), probe_plan("http", 100.0, span(800)));
    plan.probes.insert(id("uplink"), crate::plan::ProbePlan { control: true, ..probe_plan("tcp", 100.0, span(800)) });
    let success = ShareBounds { min: None, max: Percent::of_fraction(0.0) };
    let from = Moment { after: Point::Effective(id("lose-primary")), plus: Span::secs(5) };
    plan.claims[0].holds.insert(id("no-writes"), HoldsPlan { probe: id("write-old"), success, from, until: None });
    let old = Sim { interval: 100_000_000, how: How::Hang, ..Sim::ms(&[(10_001, 30_000)], 40_000) }.samples();
    let judge = |old: &[Sample], control: &[Sample]| {
        let journal = drill(&Sim::ms(&[], 40_000), 17_000).samples("write-old", old).samples("uplink", control);
        journal.facts(&plan).claims["back-soon"].holds["no-writes"].part.verdict
    };
    let well = Sim { interval: 100_000_000, ..Sim::ms(&[], 40_000) }.samples();
    assert_eq!(judge(&old, &well), Judged::Passed);
    let cut = Sim { interval: 100_000_000, ..Sim::ms(&[(15_000, 17_500)], 40_000) }.samples();
    assert_eq!(judge(&old, &cut), Judged::Inconclusive, "it is our own path that was cut");
    let mut none = old.clone();
    none.iter_mut().filter(|row| row.verdict == Verdict::Bad).for_each(|row| row.class = Class::NoData);
    assert_eq!(judge(&none, &well), Judged::Inconclusive, "no data shows nothing");
}

#[test]
fn a_machine_that_slept_measured_nothing() {
    let rows = Sim::ms(&[(10_001, 12_000)], 40_000).samples();
    let with = |at: Option<u64>| {
        let journal =
            Journal::new().samples("checkout", &rows).fault("lose-primary", 10_000, (10_001, 10_002)).undo("lose-primary", 20_000);
        let anchor =
            |at_ms: u64| ClockAnchor { boot_id: "boot".into(), mono_ns: at_ms, boottime_ns: at_ms, wall: "2026-01-01T00:00:00Z".into() };
        let journal = (1..40).fold(journal, |j, second| j.at(second * 1_000, Event::Anchor(anchor(second * 1_000))));
        let journal = at.into_iter().fold(journal, |j, at| j.at(at, Event::Suspended { slept: Span::secs(50) }));
        journal.finish(41_000).facts(&plan()).claims["back-soon"].rto.clone().unwrap().part
    };
    assert_eq!(with(None).verdict, Judged::Passed);
    assert_eq!(with(Some(6_000)).verdict, Judged::Passed, "before there was a fault");
    let slept = with(Some(11_000));
    assert_eq!(slept.verdict, Judged::Invalid);
    assert!(slept.why.contains("slept for 50 s while the fault was in play"), "{}", slept.why);
}

#[test]
fn time_before_the_first_sample_may_have_been_down() {
    let mut plan = plan();
    let min = Percent::of_fraction(0.99).unwrap();
    plan.claims[0].availability = Some(crate::plan::AvailabilityPlan { min, over: Span::secs(20), budget: None });
    let mut rows = Sim::ms(&[], 40_000).samples();
    rows.retain(|row| row.planned > ms(15_000));
    let up = judged(&plan, &rows).claims["back-soon"].availability.clone().unwrap();
    assert_eq!(up.part.verdict, Judged::Inconclusive, "{}", up.part.why);
    assert!(up.by_time_lo.unwrap() < 0.76, "{up:?}");
}

#[test]
fn an_error_budget_is_spent_by_what_was_down() {
    let mut plan = plan();
    let percent = |share: f64| Percent::of_fraction(share).unwrap();
    let budget = Some(BudgetDecl { slo: percent(0.999), over: Span::secs(30 * 86_400) });
    plan.claims[0].availability = Some(crate::plan::AvailabilityPlan { min: percent(0.9), over: Span::secs(20), budget });
    let facts = judged(&plan, &Sim::ms(&[(10_050, 10_750)], 40_000).samples());
    let spent = facts.claims["back-soon"].availability.as_ref().unwrap().budget.unwrap();
    assert_eq!(spent.allowed, Span::secs(2_592));
    // Design 1.7: 700 ms of 2592 s are 0.027 %.
    let (lo, hi) = (spent.spent_lo.unwrap(), spent.spent_hi.unwrap());
    assert!(lo <= 0.7 / 2_592.0 && 0.7 / 2_592.0 <= hi && hi - lo < 0.000_06, "{spent:?}");
    // 14 of 400 failed, where one in a thousand may.
    assert!((spent.burn_rate.unwrap() - 35.0).abs() < 0.01, "{spent:?}");
}
