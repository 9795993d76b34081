//! What the recovery of whole runs comes to.

use super::facts::*;
use super::sample_journal::*;
use super::*;
use crate::base::{Interval, Percent};
use crate::event::{Class, Outcome, Sample, Verdict};
use crate::plan::{AvailabilityPlan, By, LatencyDecl, MaxSpan, PhaseName, RtoFrom, RtoPlan};

#[test]
fn a_clean_failover_passes_with_bounds_and_names() {
    let sim = Sim::ms(&[(10_001, 17_350)], 40_000);
    let mut plan = plan();
    plan.claims[0].by = Some(By::AnotherInstance);
    let facts = drill(&sim, 25_000).facts(&plan);
    assert_eq!(rto(&facts), (Judged::Passed, "checkout was stably up 7.3 – 7.37 s after effect, within 10 s"));
    let episode = &facts.episodes["lose-primary"];
    // Samples are sent 3 ms past each 50: the last bad one at 17,303, the first good one at 17,353.
    assert_eq!(episode.stable_up, Some(Interval::new(ms(17_303), ms(17_363))));
    assert_eq!(episode.self_recovered, Some(true));
    assert_eq!(episode.times["recovery_time"], Range { lo: span(7_301), hi: Some(span(7_362)), point: Some(span(7_351)) });
    assert_eq!(episode.times["time_to_effect"], Range { lo: span(1), hi: Some(span(2)), point: None });
    assert_eq!(episode.times["time_to_impact"], Range { lo: Span::ZERO, hi: Some(span(12)), point: Some(span(1)) });
    assert_eq!(episode.times["failover_time"].point, Some(span(7_350)));
    assert_eq!(episode.times["total_down"].point, Some(span(7_350)));
    assert_eq!(episode.first_up, Some(ms(17_353)));
    assert_eq!((episode.flaps, episode.min_detectable), (0, span(50)));
    let by = claim_of(&facts).by.as_ref().unwrap();
    assert_eq!((by.part.verdict, by.before.as_deref(), by.after.as_deref()), (Judged::Passed, Some("a"), Some("b")));
    assert_eq!(facts.probes["checkout"].served_by, vec![("a".into(), Some(ms(9_963))), ("b".into(), None)]);
    assert!(facts.validity.valid && facts.owed.is_empty());
    assert_eq!((facts.run.id.as_str(), facts.run.start_mono_ns, facts.run.outcome), ("01X", 77_000, Some(Outcome::Completed)));
}

#[test]
fn too_slow_fails_and_too_close_names_what_would_decide_it() {
    let late = drill(&Sim::ms(&[(10_001, 21_000)], 40_000), 30_000).facts(&plan());
    assert_eq!(rto(&late).0, Judged::Failed);
    assert!(rto(&late).1.ends_with("; the objective is 10 s"), "{}", rto(&late).1);
    let mut plan = plan();
    plan.claims[0].rto = Some(RtoPlan { max: span(9_980), from: RtoFrom::Effect });
    let close = drill(&Sim::ms(&[(10_001, 19_980)], 40_000), 30_000).facts(&plan);
    assert_eq!(rto(&close).0, Judged::Inconclusive);
    assert!(rto(&close).1.ends_with("an interval of 10.5 ms or less would decide it (resolution; it is 50 ms)"), "{}", rto(&close).1);
}

#[test]
fn never_failed_passes_only_with_a_confirmed_effect() {
    let sim = Sim::ms(&[], 40_000);
    let facts = drill(&sim, 25_000).facts(&plan());
    assert_eq!(rto(&facts), (Judged::Passed, "checkout did not fail: no outage of 50 ms or longer was seen"));
    assert_eq!(facts.episodes["lose-primary"].times.get("outage"), None);
    let why = || "still answers".to_owned();
    let unconfirmed = Journal::new()
        .samples("checkout", &sim.samples())
        .armed("lose-primary", 10_000)
        .at(15_000, Event::NotConfirmed { id: "lose-primary".into(), why: why() })
        .undo("lose-primary", 15_001)
        .finish(41_000)
        .facts(&plan());
    assert_eq!(rto(&unconfirmed).0, Judged::Invalid);
    assert!(!unconfirmed.validity.valid);
    assert_eq!(unconfirmed.validity.reasons, vec!["fault lose-primary was not confirmed: still answers"]);
    assert_eq!(unconfirmed.episodes["lose-primary"].why_not.as_deref(), Some("still answers"));
}

#[test]
fn never_recovered_is_censored() {
    let end = |at: u64| Sim::ms(&[(10_001, 99_000)], at);
    let failed = drill(&end(30_000), 29_900).facts(&plan());
    assert_eq!(rto(&failed).0, Judged::Failed, "{}", rto(&failed).1);
    let outage = &failed.probes["checkout"].outages[0];
    assert!(outage.censored && outage.hi.is_none() && outage.recovery.hi.is_none());
    assert_eq!(failed.episodes["lose-primary"].times["recovery_time"], Range { lo: span(19_951), hi: None, point: None });
    let short = drill(&end(15_000), 14_900).facts(&plan());
    assert_eq!(rto(&short).0, Judged::Inconclusive);
    assert!(rto(&short).1.contains("observation too short"), "{}", rto(&short).1);
}

#[test]
fn up_but_not_for_long_enough_is_not_recovered() {
    let sim = Sim::ms(&[(10_001, 14_000)], 16_000);
    let facts = drill(&sim, 15_900).facts(&plan());
    assert_eq!(rto(&facts).0, Judged::Inconclusive, "{}", rto(&facts).1);
    assert_eq!(facts.episodes["lose-primary"].stable_up.unwrap().hi, None);
}

#[test]
fn back_only_after_the_undo_fails_even_in_time() {
    let sim = Sim::ms(&[(10_001, 15_100)], 40_000);
    let facts = drill(&sim, 15_000).facts(&plan());
    assert_eq!(facts.episodes["lose-primary"].self_recovered, Some(false));
    assert_eq!(rto(&facts).0, Judged::Failed);
    assert!(rto(&facts).1.contains("only after the fault was undone"), "{}", rto(&facts).1);
    assert_eq!(facts.episodes["lose-primary"].times["restore_time"], Range { lo: span(53), hi: Some(span(113)), point: Some(span(103)) });
}

#[test]
fn a_flap_is_not_recovery() {
    let sim = Sim::ms(&[(10_001, 12_000), (13_000, 14_000)], 40_000);
    let episode = drill(&sim, 25_000).facts(&plan()).episodes["lose-primary"].clone();
    assert_eq!((episode.flaps, episode.first_up, episode.stable_up.unwrap().lo), (1, Some(ms(12_003)), ms(13_953)));
    assert_eq!(episode.times["total_down"].point, Some(span(3_000)));
    let (lo, hi) = (episode.times["total_down"].lo, episode.times["total_down"].hi.unwrap());
    assert!(lo <= span(2_999) && hi >= span(2_999), "{lo:?} {hi:?}");
    // One good sample inside a long outage is a flap as well.
    let one = Sim::ms(&[(10_001, 12_000), (12_040, 14_000)], 40_000);
    assert_eq!(drill(&one, 25_000).facts(&plan()).episodes["lose-primary"].stable_up.unwrap().lo, ms(13_953));
}

#[test]
fn onset_before_the_effect_is_told() {
    let sim = Sim::ms(&[(8_000, 14_000)], 40_000);
    let sooner = Journal::new().samples("checkout", &sim.samples()).fault("lose-primary", 7_999, (9_000, 9_500));
    let facts = sooner.undo("lose-primary", 25_000).finish(41_000).facts(&plan());
    let note = facts.timeline.iter().find(|m| m.what == "note").unwrap();
    assert!(note.text.starts_with("onset precedes effect by"), "{}", note.text);
    assert_eq!(facts.episodes["lose-primary"].times["time_to_impact"].lo, Span::ZERO);
    assert_eq!(rto(&facts).0, Judged::Passed);
}

#[test]
fn what_was_over_before_the_effect_is_no_recovery_from_it() {
    // It failed for a moment after the call, and again, for 13 s, once the effect was there.
    let sim = Sim::ms(&[(15_000, 15_200), (42_000, 55_000)], 80_000);
    let drill = |sim: &Sim| {
        let journal = Journal::new().samples("checkout", &sim.samples()).fault("lose-primary", 10_000, (40_000, 40_002));
        journal.undo("lose-primary", 60_000).finish(81_000).facts(&plan())
    };
    let (both, later) = (drill(&sim), drill(&Sim::ms(&[(42_000, 55_000)], 80_000)));
    let time = |facts: &Facts| facts.episodes["lose-primary"].times["recovery_time"];
    assert!(time(&both).lo >= span(14_900) && time(&both).hi.unwrap() <= span(15_100), "{:?}", time(&both));
    assert_eq!(time(&both), time(&later));
    assert_eq!(rto(&both).0, Judged::Failed);
    // What was under way at the call, and was cut off by it, is the fault's, although a later question had been answered by then.
    let mut rows = Sim::ms(&[], 40_000).samples();
    let row = rows.iter_mut().find(|row| row.planned >= ms(9_900)).unwrap();
    (row.verdict, row.class, row.done) = (Verdict::Bad, Class::Reset, ms(10_002));
    let journal = Journal::new().samples("checkout", &rows).fault("lose-primary", 10_000, (10_001, 10_003));
    let facts = journal.undo("lose-primary", 25_000).finish(41_000).facts(&plan());
    assert!(facts.episodes["lose-primary"].times.contains_key("time_to_impact"), "{}", rto(&facts).1);
}

#[test]
fn a_hang_shorter_than_its_time_out_says_so() {
    let mut plan = plan();
    plan.claims[0].rto = Some(RtoPlan { max: span(300), from: RtoFrom::Impact });
    let sim = Sim { how: How::Hang, ..Sim::ms(&[(10_001, 10_350)], 40_000) };
    let facts = drill(&sim, 25_000).facts(&plan);
    let outage = &facts.probes["checkout"].outages[0];
    assert_eq!(outage.lo, Span::ZERO);
    assert!(outage.hi.unwrap() >= span(349));
    assert_eq!(rto(&facts).0, Judged::Inconclusive);
    assert!(rto(&facts).1.contains("a time-out below"), "{}", rto(&facts).1);
}

#[test]
fn an_aborted_run_stops_the_clock() {
    let sim = Sim::ms(&[(10_001, 14_000)], 40_000);
    let abort = Event::AbortRequested { by: "signal INT".into(), reason: "asked".into() };
    let base = || Journal::new().samples("checkout", &sim.samples()).fault("lose-primary", 10_000, (10_001, 10_002));
    let early = base().at(12_000, abort.clone()).undo("lose-primary", 12_010).finish(41_000).facts(&plan());
    assert_eq!(rto(&early).0, Judged::Inconclusive);
    assert!(rto(&early).1.contains("aborted 2 s after effect (signal INT: asked)"), "{}", rto(&early).1);
    assert_eq!(early.episodes["lose-primary"].times["recovery_time"].hi, None);
    let restore = early.episodes["lose-primary"].times["restore_time"];
    assert!(restore.lo <= span(1_990) && restore.hi.unwrap() >= span(1_990), "{restore:?}");
    // A phase that was over before the abort is not cut short by it; one that the abort ended is.
    let latency = |phase| LatencyDecl { p50: Some(MaxSpan { max: span(1) }), p90: None, p95: None, p99: None, p999: None, phase };
    let over = base().undo("lose-primary", 25_000).at(30_000, abort.clone()).finish(41_000);
    for (journal, phase, verdict) in [
        (over.clone(), PhaseName::During, Judged::Failed),
        (over, PhaseName::After, Judged::Inconclusive),
        (base().at(24_000, abort.clone()).undo("lose-primary", 24_010).finish(41_000), PhaseName::During, Judged::Inconclusive),
    ] {
        let mut plan = plan();
        plan.claims[0].latency = Some(latency(phase));
        let found = journal.facts(&plan).claims["back-soon"].latency.clone().unwrap();
        assert_eq!(found.part.verdict, verdict, "{phase:?}: {}", found.part.why);
    }
    // What had been shown before the abort stays shown.
    let late = base().at(30_000, abort).undo("lose-primary", 30_010).finish(41_000).facts(&plan());
    assert_eq!(rto(&late).0, Judged::Passed);
}

#[test]
fn what_never_came_is_not_run_and_a_rehearsal_is_no_evidence() {
    let sim = Sim::ms(&[], 40_000);
    let not_run = Event::NotRun { id: "lose-primary".into(), why: "an earlier episode did not recover".into() };
    let facts = Journal::new().samples("checkout", &sim.samples()).at(9_000, not_run).finish(41_000).facts(&plan());
    assert_eq!(rto(&facts), (Judged::Inconclusive, "not run: an earlier episode did not recover"));
    assert_eq!(facts.episodes["lose-primary"].phase, "not_run");
    let never = Journal::new().samples("checkout", &sim.samples()).facts(&plan());
    assert_eq!(never.episodes["lose-primary"].phase, "planned");
    assert!(rto(&never).1.starts_with("not run"));
    let mut rehearsal = plan();
    rehearsal.faults[0].kind = "rehearse.nothing".into();
    assert_eq!(rto(&drill(&sim, 25_000).facts(&rehearsal)).0, Judged::Inconclusive);
}

#[test]
fn an_outage_that_hides_among_lost_samples_is_not_called_none() {
    let mut plan = plan();
    plan.claims[0].rto = Some(RtoPlan { max: Span::secs(3), from: RtoFrom::Effect });
    let mut rows = Sim::ms(&[(15_001, 16_900)], 40_000).samples();
    let judge = |rows: &[Sample]| {
        let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 10_000, (10_001, 10_002));
        let facts = journal.undo("lose-primary", 25_000).finish(41_000).facts(&plan);
        (rto(&facts).0, rto(&facts).1.to_owned())
    };
    assert_eq!(judge(&rows).0, Judged::Failed);
    for row in rows.iter_mut().filter(|r| r.verdict == Verdict::Bad) {
        row.verdict = Verdict::Local;
    }
    let (verdict, why) = judge(&rows);
    assert!(verdict == Judged::Inconclusive && why.ends_with("where an outage could hide (prober)"), "{why}");
}

#[test]
fn a_lost_sample_may_have_been_down_time() {
    let mut plan = plan();
    plan.claims[0].availability =
        Some(AvailabilityPlan { min: Percent::of_fraction(0.9893).unwrap(), over: Span::secs(100), budget: None });
    let mut rows = Sim::ms(&[(10_001, 11_000)], 120_000).samples();
    let judge = |rows: &[Sample]| {
        let journal = Journal::new().samples("checkout", rows).fault("lose-primary", 10_000, (10_001, 10_002));
        let facts = journal.undo("lose-primary", 25_000).finish(121_000).facts(&plan);
        facts.claims["back-soon"].availability.as_ref().unwrap().part.verdict
    };
    assert_eq!(judge(&rows), Judged::Passed);
    rows[1_005].verdict = Verdict::Local;
    assert_eq!(judge(&rows), Judged::Inconclusive);
}

#[test]
fn rto_counts_from_where_it_is_claimed() {
    let sim = Sim::ms(&[(12_001, 21_900)], 40_000);
    let judge = |from| {
        let mut plan = plan();
        plan.claims[0].rto = Some(RtoPlan { max: Span::secs(10), from });
        let facts = drill(&sim, 35_000).facts(&plan);
        rto(&facts).0
    };
    assert_eq!(judge(RtoFrom::Impact), Judged::Passed);
    assert_eq!(judge(RtoFrom::Effect), Judged::Failed);
    assert_eq!(judge(RtoFrom::Command), Judged::Failed);
    assert_eq!(judge(RtoFrom::Declared), Judged::Inconclusive);
}

#[test]
fn a_restart_is_not_a_failover() {
    let mut plan = plan();
    plan.claims[0].by = Some(By::AnotherInstance);
    let sim = Sim { takes_over: None, ..Sim::ms(&[(10_001, 14_000)], 40_000) };
    let facts = drill(&sim, 25_000).facts(&plan);
    let by = claim_of(&facts).by.as_ref().unwrap();
    assert_eq!((by.part.verdict, by.part.why.as_str()), (Judged::Failed, "a answered before and after: a restart, not a failover"));
    assert_eq!(claim_of(&facts).verdict, Judged::Failed);
    plan.claims[0].by = Some(By::SameInstance);
    assert_eq!(drill(&sim, 25_000).facts(&plan).claims["back-soon"].verdict, Judged::Passed);
}
