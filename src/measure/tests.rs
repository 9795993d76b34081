//! What whole runs come to, but for their recovery.

use super::facts::*;
use super::sample_journal::*;
use super::*;
use crate::base::{At, Interval, Percent};
use crate::event::{Class, Leg, Sample, Verdict};
use crate::plan::{AvailabilityPlan, HoldsPlan, LatencyDecl, MaxSpan, Moment, PhaseName, Point, ShareBounds};

#[test]
fn availability_is_judged_by_time_with_bounds() {
    let judge = |min: f64, over: u64, taint: bool| {
        let mut plan = plan();
        plan.claims[0].availability =
            Some(AvailabilityPlan { min: Percent::of_fraction(min).unwrap(), over: Span::secs(over), budget: None });
        let mut rows = Sim::ms(&[(10_001, 11_000)], 120_000).samples();
        if taint {
            for row in rows.iter_mut().filter(|r| (1_000..1_040).contains(&r.n)) {
                (row.verdict, row.class) = (Verdict::Local, Class::Local);
            }
        }
        let journal = Journal::new().samples("checkout", &rows).fault("lose-primary", 10_000, (10_001, 10_002));
        journal.undo("lose-primary", 25_000).finish(121_000).facts(&plan).claims["back-soon"].availability.clone().unwrap()
    };
    let good = judge(0.98, 100, false);
    assert_eq!(good.part.verdict, Judged::Passed, "{}", good.part.why);
    let (lo, hi) = (good.by_time_lo.unwrap(), good.by_time_hi.unwrap());
    assert!(lo <= 0.99001 && 0.99001 <= hi && hi - lo < 0.002, "{lo} {hi}");
    assert_eq!(good.by_requests, Some(1980.0 / 2000.0));
    assert_eq!(judge(0.995, 100, false).part.verdict, Judged::Failed);
    assert_eq!(judge(0.99, 100, false).part.verdict, Judged::Inconclusive);
    assert_eq!(judge(0.95, 100, true).part.verdict, Judged::Inconclusive);
    let cut = judge(0.9, 300, false);
    assert!(cut.part.verdict == Judged::Inconclusive && cut.part.why == "watched for 110 s of 5 min: the drill ended", "{}", cut.part.why);
}

#[test]
fn latency_is_of_all_responses_and_time_outs_are_at_least() {
    let mut plan = plan();
    let judge = |plan: &Plan, sim: &Sim| drill(sim, 25_000).facts(plan).claims["back-soon"].latency.clone().unwrap();
    let claimed = |max: u64| LatencyDecl {
        p50: None,
        p90: None,
        p95: None,
        p99: Some(MaxSpan { max: span(max) }),
        p999: None,
        phase: PhaseName::During,
    };
    let quick = Sim::ms(&[(10_001, 11_000)], 40_000);
    plan.claims[0].latency = Some(claimed(20));
    assert_eq!(judge(&plan, &quick).part.verdict, Judged::Passed);
    plan.claims[0].latency = Some(claimed(9));
    assert_eq!(judge(&plan, &quick).part.verdict, Judged::Failed);
    let hang = Sim { how: How::Hang, ..quick };
    plan.claims[0].latency = Some(claimed(700));
    let found = judge(&plan, &hang);
    assert!(found.part.verdict == Judged::Failed && found.part.why.contains("≥ 800 ms"), "{}", found.part.why);
    plan.claims[0].latency = Some(claimed(900));
    assert_eq!(judge(&plan, &hang).part.verdict, Judged::Inconclusive);
}

#[test]
fn a_time_out_may_have_taken_longer_than_any_answer() {
    let mut plan = plan();
    let latency =
        |max| LatencyDecl { p50: None, p90: Some(MaxSpan { max: span(max) }), p95: None, p99: None, p999: None, phase: PhaseName::During };
    let mut rows = Sim::ms(&[], 40_000).samples();
    let held: Vec<usize> = (0..rows.len()).filter(|i| (ms(10_002)..ms(25_000)).contains(&rows[*i].planned)).collect();
    // One in ten gets no answer within 800 ms; one in twenty leaves 1.2 s late, without a stall that anybody saw, and is answered at once.
    for (nth, index) in held.iter().enumerate() {
        let row = &mut rows[*index];
        if nth % 10 == 0 {
            (row.verdict, row.class, row.done) = (Verdict::Bad, Class::Timeout, row.sent + span(800));
        } else if nth % 20 == 1 {
            (row.woken, row.sent, row.done) = (row.woken + span(1_200), row.sent + span(1_200), row.done + span(1_200));
        }
    }
    let judge = |plan: &Plan| {
        let journal = Journal::new().samples("checkout", &rows).fault("lose-primary", 10_000, (10_001, 10_002));
        journal.undo("lose-primary", 25_000).finish(41_000).facts(plan).claims["back-soon"].latency.clone().unwrap()
    };
    // Sorted by what was seen, the 90th of a hundred is a time-out at 800 ms; that one may as well have been the slowest of all.
    plan.claims[0].latency = Some(latency(1_000));
    let found = judge(&plan);
    assert_eq!(found.part.verdict, Judged::Inconclusive, "{}", found.part.why);
}

#[test]
fn holds_beside_recovery() {
    let mut plan = plan();
    plan.probes.insert(id("write-old"), probe_plan("http", 100.0, span(800)));
    let from = Moment { after: Point::Effective(id("lose-primary")), plus: Span::secs(5) };
    let success = ShareBounds { min: None, max: Percent::of_fraction(0.0) };
    let holds = HoldsPlan { probe: id("write-old"), success, from, until: None };
    plan.claims[0].holds.insert(id("no-writes"), holds);
    let old = |back: u64| Sim { interval: 100_000_000, ..Sim::ms(&[(10_001, back)], 40_000) }.samples();
    let judge = |back| {
        let journal = drill(&Sim::ms(&[(10_001, 12_000)], 40_000), 25_000).samples("write-old", &old(back));
        journal.facts(&plan).claims["back-soon"].holds["no-writes"].clone()
    };
    let kept = judge(30_000);
    assert_eq!((kept.part.verdict, kept.samples, kept.share), (Judged::Passed, 100, Some(0.0)));
    assert_eq!(judge(24_000).part.verdict, Judged::Failed);
}

#[test]
fn phases_go_by_planned_time_and_counts_add_up() {
    let mut rows = Sim { how: How::Hang, ..Sim::ms(&[(10_001, 11_000)], 40_000) }.samples();
    rows.retain(|r| r.n != 700);
    for (n, verdict) in [(701, Verdict::Local), (702, Verdict::Capped)] {
        rows.iter_mut().find(|r| r.n == n).unwrap().verdict = verdict;
    }
    let journal = Journal::new().samples("checkout", &rows).fault("lose-primary", 10_000, (10_001, 10_002));
    let facts = journal.undo("lose-primary", 25_000).finish(41_000).facts(&plan());
    let probe = &facts.probes["checkout"];
    let names: Vec<&str> = probe.phases.keys().map(String::as_str).collect();
    let fault = ["inject", "during", "undo", "after", "recovering"].map(|p| format!("lose-primary.{p}"));
    assert_eq!(names, std::iter::once("before").chain(fault.iter().map(String::as_str)).collect::<Vec<_>>());
    for phase in probe.phases.values().chain([&PhaseFacts { counts: probe.samples.clone(), ..probe.phases["before"].clone() }]) {
        let c = &phase.counts;
        assert_eq!(c.planned, c.ok + c.bad + c.local + c.capped);
        assert_eq!(c.bad, c.by_class.values().sum::<u64>());
    }
    let whole: u64 = ["before", "lose-primary.inject", "lose-primary.during", "lose-primary.undo", "lose-primary.after"]
        .iter()
        .map(|p| probe.phases[*p].counts.planned)
        .sum();
    assert_eq!((whole, probe.samples.planned, probe.samples.local, probe.samples.capped), (800, 800, 2, 1));
    // The hanging ones were planned during the fault and end in it as time-outs at their limit.
    let during = &probe.phases["lose-primary.during"];
    assert_eq!((during.counts.bad, during.response.unwrap().max >= span(800)), (20, true));
    assert_eq!(during.response.unwrap().censored_from, Some((280 * 1000 / 300) + 1));
    assert!(during.service_ok.unwrap().max < span(11));
    // The hanging ones were connected, and had no first byte.
    let ended = |leg: Leg| during.legs[&leg].count;
    let answered = during.counts.ok;
    assert_eq!((ended(Leg::Connect), ended(Leg::FirstByte), during.legs.len()), (answered + 20, answered, 2));
    assert_eq!(facts.probes["checkout"].seconds.len(), 40);
}

#[test]
fn fast_errors_never_improve_service() {
    let sim = Sim { took: |n| if n > 200 { 40_000 } else { 10_000_000 }, ..Sim::ms(&[(10_001, 20_000)], 20_000) };
    let facts = drill(&sim, 19_999).facts(&plan());
    let during = &facts.probes["checkout"].phases["lose-primary.during"];
    assert!(during.response.unwrap().p50 < span(1));
    assert_eq!(during.service_ok, None);
}

#[test]
fn a_changed_subject_and_a_starved_prober_are_no_evidence() {
    let sim = Sim::ms(&[(10_001, 12_000)], 40_000);
    let seen = |when: &str, value: &str| Event::Subject { when: when.into(), id: "build".into(), value: Some(value.into()) };
    let changed = drill(&sim, 25_000).at(1, seen("before", "1")).at(40_000, seen("after", "2")).facts(&plan());
    assert_eq!(claim_of(&changed).verdict, Judged::Invalid);
    assert_eq!(changed.validity.reasons, vec!["what was tested changed: build was 1 before and 2 after"]);
    let same = drill(&sim, 25_000).at(1, seen("before", "1")).at(40_000, seen("after", "1")).facts(&plan());
    assert!(same.validity.valid);
    let frozen = Event::Stall { from: At(10_600_000_000), to: At(11_100_000_000) };
    let starved = drill(&sim, 25_000).at(11_100, frozen).facts(&plan());
    assert_eq!(claim_of(&starved).verdict, Judged::Invalid);
    assert!(starved.validity.reasons[0].starts_with("the prober was starved: it stood still for 500 ms"), "{:?}", starved.validity);
    // Lateness is in the bounds already: it may cost a pass, but it is no blindness.
    let late = drill(&Sim { lag: |n| if n > 300 { 40_000_000 } else { 0 }, ..sim }, 25_000).facts(&plan());
    assert!(late.validity.valid, "{:?}", late.validity);
    assert!(late.validity.tainted_seconds >= 24, "{:?}", late.validity);
}

#[test]
fn a_dead_run_tells_what_is_owed() {
    let sim = Sim::ms(&[(10_001, 99_000)], 12_000);
    let failed = |attempt| Event::UndoFailed { id: "lose-primary".into(), attempt, error: "no answer".into(), last: attempt == 2 };
    let trying = |attempt| Event::Undoing { id: "lose-primary".into(), attempt, why: "abort".into() };
    let journal = Journal::new().samples("checkout", &sim.samples()).fault("lose-primary", 10_000, (10_001, 10_002));
    let journal = journal.at(11_000, trying(1)).at(11_100, failed(1)).at(11_200, trying(2)).at(11_300, failed(2));
    let facts = journal.facts(&plan());
    assert_eq!((facts.run.outcome, facts.owed.len(), facts.owed[0].undo.by_hand.as_str()), (None, 1, "start a"));
    assert_eq!(facts.owed[0].tried, vec!["attempt 1: no answer", "attempt 2: no answer"]);
    assert_eq!(facts.episodes["lose-primary"].undo_started, Some(ms(11_000)));
    assert!(matches!(facts.steady_after, SteadyAfter::NotReached));
}

#[test]
fn two_episodes_do_not_share_an_outage() {
    let mut plan = plan();
    plan.faults.insert(id("second"), fault_plan("process.kill"));
    plan.claims.insert(id("second-claim"), claim("second"));
    let sim = Sim::ms(&[(10_001, 12_000), (30_001, 45_000)], 60_000);
    let journal = Journal::new().samples("checkout", &sim.samples());
    let journal = journal.fault("lose-primary", 10_000, (10_001, 10_002)).undo("lose-primary", 20_000);
    let facts = journal.fault("second", 30_000, (30_001, 30_002)).undo("second", 50_000).finish(61_000).facts(&plan);
    assert_eq!((facts.claims["back-soon"].verdict, facts.claims["second-claim"].verdict), (Judged::Passed, Judged::Failed));
    assert_eq!(facts.episodes["second"].times["time_to_impact"].point, Some(span(1)));
}

#[test]
fn probes_may_disagree() {
    let mut plan = plan();
    plan.probes.insert(id("search"), probe_plan("http", 50.0, span(800)));
    plan.faults[0].recovered_by.push(id("search"));
    plan.claims[0].measured_by.push(id("search"));
    let journal = drill(&Sim::ms(&[(10_001, 12_000)], 40_000), 25_000).samples("search", &Sim::ms(&[(11_001, 14_000)], 40_000).samples());
    let times = journal.facts(&plan).episodes["lose-primary"].times.clone();
    let holds = |name: &str, truth: u64| times[name].lo <= span(truth) && times[name].hi.unwrap() >= span(truth);
    assert!(holds("total_down", 3_999) && holds("total_down_all", 999) && holds("recovery_time", 3_998), "{times:?}");
    assert!(times["total_down_all"].hi.unwrap() < span(1_200));
}

#[test]
fn the_timeline_is_in_order_and_cites_entries() {
    let turned = Event::Turned { probe: "checkout".into(), up: false, when: Interval::new(ms(9_953), ms(10_013)), seen: "reset".into() };
    let facts = drill(&Sim::ms(&[(10_001, 12_000)], 40_000), 25_000).at(10_900, turned).facts(&plan());
    assert!(facts.timeline.windows(2).all(|w| (w[0].at, w[0].seq) <= (w[1].at, w[1].seq)));
    let words: Vec<&str> = facts.timeline.iter().map(|m| m.what.as_str()).collect();
    let wanted = ["baseline", "baseline", "inject", "effective", "checkout", "undo", "undone", "settle", "settle", "finished"];
    assert_eq!(words, wanted);
    let line = facts.timeline.iter().find(|m| m.what == "checkout").unwrap();
    assert_eq!((line.text.as_str(), line.source.as_str(), line.at), ("failing: reset", "probe checkout", ms(10_013)));
}

#[test]
fn nothing_at_all_is_measured_without_a_crash() {
    let facts = facts(&plan(), &[]);
    assert_eq!((facts.run.end, claim_of(&facts).verdict), (At(0), Judged::Inconclusive));
    let mut rows: Vec<Sample> = Sim::ms(&[(0, 99_000)], 20_000).samples();
    rows.push(Sample { n: u64::MAX - 1, ..rows[0].clone() });
    let all_bad = drill(&Sim::ms(&[(0, 99_000)], 20_000), 15_000).samples("checkout", &rows).facts(&plan());
    assert_eq!(all_bad.probes["checkout"].outages[0].onset.lo, At(0));
}

#[test]
fn a_million_samples_take_seconds() {
    let sim = Sim { interval: 1_000_000, down: vec![(500_000_000_000, 510_000_000_000)], ..Sim::ms(&[], 1_000_000) };
    let mut plan = plan();
    plan.probes[0] = probe_plan("http", 1.0, span(800));
    let journal = Journal::new().samples("checkout", &sim.samples()).fault("lose-primary", 499_999, (500_000, 500_001));
    let entries = journal.undo("lose-primary", 600_000).finish(1_001_000).entries();
    #[expect(clippy::disallowed_methods, reason = "a test of our own speed")]
    let begun = std::time::Instant::now();
    let facts = facts(&plan, &entries);
    assert_eq!(facts.probes["checkout"].samples.planned, 999_997);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

/// The same journal as the engine writes it for a fast probe.
fn thinned(entries: &[Entry], interval: Span, timeout: Span) -> (Vec<Entry>, usize) {
    use crate::fold::thin::{Kept, Thinner};
    let mut thinner = Thinner::new(interval, timeout).unwrap();
    let mut out: Vec<Entry> = Vec::new();
    let mut put = |at: At, event: Event| out.push(Entry { seq: out.len() as u64, at, event });
    let mut runs = 0;
    let mut write = |at: At, kept: Vec<Kept>, put: &mut dyn FnMut(At, Event)| {
        for one in kept {
            match one {
                Kept::Each(rows) => put(at, Event::Samples { probe: "checkout".into(), rows }),
                Kept::Run(run) => {
                    runs += 1;
                    put(at, Event::Quiet { probe: "checkout".into(), run });
                }
            }
        }
    };
    for entry in entries {
        match &entry.event {
            Event::Samples { rows, .. } => write(entry.at, thinner.push(rows.clone()), &mut put),
            Event::ProbesStopped {} => {
                write(entry.at, thinner.end(), &mut put);
                put(entry.at, entry.event.clone());
            }
            event => {
                put(entry.at, event.clone());
                write(entry.at, thinner.edge(entry.at, crate::fold::edges::Near::Wide), &mut put);
            }
        }
    }
    (out, runs)
}

#[test]
fn a_thinned_journal_is_judged_like_the_whole_one() {
    let jitter = |n: u64| 300_000 + (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44);
    for (down, until, undo) in [
        (vec![(60_001, 67_350)], 250_000, 80_000),
        (vec![], 250_000, 120_000),
        (vec![(60_001, 61_000), (61_400, 62_777), (200_003, 200_050)], 280_000, 200_000),
        (vec![(60_001, 400_000)], 200_000, 150_000),
        (vec![(20_000, 20_100), (60_001, 60_500)], 250_000, 190_000),
    ] {
        let sim = Sim { interval: 2_000_000, timeout: 800_000_000, took: jitter, lag: |n| 40_000 + n % 7_000, ..Sim::ms(&down, until) };
        let mut plan = plan();
        plan.probes[0] = crate::plan::ProbePlan { in_flight: 2_000, ..probe_plan("http", 2.0, span(800)) };
        let claim = &mut plan.claims[0];
        claim.availability = Some(AvailabilityPlan { min: Percent::of_fraction(0.9).unwrap(), over: Span::secs(123), budget: None });
        let p99 = Some(MaxSpan { max: span(5) });
        claim.latency = Some(LatencyDecl { p50: None, p90: None, p95: None, p99, p999: None, phase: PhaseName::After });
        let holds = HoldsPlan {
            probe: id("checkout"),
            success: ShareBounds { min: Percent::of_fraction(0.5), max: None },
            from: Moment { after: Point::Effective(id("lose-primary")), plus: Span(77_777_777_777) },
            until: None,
        };
        claim.holds.insert(id("mostly"), holds);
        let journal = Journal::new()
            .samples("checkout", &sim.samples())
            .fault("lose-primary", 60_000, (60_000, 60_001))
            .undo("lose-primary", undo)
            .at(until - 5_000, Event::SettleStarted {})
            .finish(until + 1_000);
        let entries = journal.entries();
        let (fewer, runs) = thinned(&entries, Span::millis(2), span(800));
        assert!(runs >= 2 || down == [(60_001, 400_000)], "{runs} {down:?}");
        let (whole, thin) = (super::facts(&plan, &entries), super::facts(&plan, &fewer));
        assert_eq!((&whole.episodes, &whole.claims, &whole.validity), (&thin.episodes, &thin.claims, &thin.validity), "{down:?}");
        let (a, b) = (&whole.probes["checkout"], &thin.probes["checkout"]);
        assert_eq!((&a.outages, &a.samples, &a.served_by, a.valid), (&b.outages, &b.samples, &b.served_by, b.valid), "{down:?}");
        assert_eq!(a.seconds.len(), b.seconds.len());
        for (one, other) in a.seconds.iter().zip(&b.seconds) {
            assert_eq!((one.at, one.ok, one.bad, one.other, one.tainted), (other.at, other.ok, other.bad, other.other, other.tainted));
        }
        for (name, phase) in &a.phases {
            let other = &b.phases[name];
            assert_eq!(
                (&phase.counts, phase.response, phase.service_ok, &phase.legs),
                (&other.counts, other.response, other.service_ok, &other.legs),
                "{down:?} {name}"
            );
        }
    }
}

#[test]
fn a_run_that_cannot_be_one_is_missing_and_takes_no_time() {
    use crate::event::{Packed, Quiet};
    let rows = Sim::ms(&[], 10_000).samples();
    let none = || Packed(b"x"[..].into());
    let whole = Quiet {
        first: rows[100].clone(),
        last: rows[109].clone(),
        count: 10,
        by: vec![],
        response: none(),
        service: none(),
        lag: none(),
        wait: none(),
        legs: vec![],
    };
    let far = |n: u64, at: u64| Sample { n, planned: At(at), woken: At(at), sent: At(at), done: At(at), ..rows[109].clone() };
    let (most, last) = (u64::MAX, rows[109].planned.0);
    for (run, missing) in [
        (whole.clone(), 0),
        (Quiet { count: 11, ..whole.clone() }, 10),
        (Quiet { last: far(109, most), ..whole.clone() }, 10),
        (Quiet { last: far(109, 0), ..whole.clone() }, 10),
        (Quiet { last: far(most, last), count: most - 99, ..whole.clone() }, 10),
        (Quiet { last: rows[0].clone(), ..whole.clone() }, 10),
    ] {
        let others: Vec<Sample> = rows.iter().filter(|row| !(100..110).contains(&row.n)).cloned().collect();
        let journal = Journal::new().samples("checkout", &others).at(9_000, Event::Quiet { probe: "checkout".into(), run: Box::new(run) });
        let samples = journal.finish(11_000).facts(&plan()).probes["checkout"].samples.clone();
        assert_eq!((samples.planned, samples.local), (rows.len() as u64, missing), "{samples:?}");
    }
}
