//! Tests of the judge: what it says of whole runs, that every verdict of every practice is reached, and that knowing less is never better.

use proptest::prelude::*;

use super::catalogue::{Layer, Practice, catalogue};
use super::extract::{PRODUCED, Scope, scopes};
use super::judge::{Verdict, for_tests};
use super::rule::Outcome;
use super::rule_tests::every;
use super::samples::{Sample, all};
use super::signal::{Attested, Observed, Signal, State, Value};
use super::*;
use crate::measure::facts::{Range, SteadyAfter};
use crate::plan::Environment;

fn named(name: &str) -> Sample {
    all().into_iter().find(|s| s.name == name).unwrap()
}

fn of(sample: &Sample, label: &str) -> PracticeVerdict {
    seen(sample, label, &Observed::default())
}

fn seen(sample: &Sample, label: &str, observed: &Observed) -> PracticeVerdict {
    let judgement = score_with(&sample.plan, &sample.facts, observed).practices;
    judgement.find(catalogue().find(label).unwrap()).unwrap().clone()
}

fn spoken(sample: &Sample) -> Vec<(String, Verdict)> {
    let judged = score(&sample.plan, &sample.facts).practices.practices;
    judged.into_iter().filter(|p| p.verdict.drilled()).map(|p| (p.practice.label.clone(), p.verdict)).collect()
}

/// What receivers and people would have seen, in seconds after t0.
fn observed(ttd: f64, ttn: f64) -> Observed {
    let mut observed = Observed::default();
    let signals = observed.signals.entry("lose-primary".into()).or_default();
    for (name, value) in [
        ("ttd_s", Value::exactly(ttd)),
        ("ttn_s", Value::exactly(ttn)),
        ("detected_by_monitoring", Value::Bool(true)),
        ("expected_alerts_fired_ratio", Value::exactly(1.0)),
        ("alert_names_action_ratio", Value::exactly(1.0)),
        ("unrelated_alerts", Value::exactly(0.0)),
        ("notified_targets_ratio", Value::exactly(1.0)),
        ("recovered_without_human", Value::Bool(true)),
    ] {
        signals.insert(name.into(), Signal::of(value, vec![70]));
    }
    observed
}

#[test]
fn what_each_run_says() {
    let hri = Verdict::Contradicted(Risk::Hri);
    let mri = Verdict::Contradicted(Risk::Mri);
    let expect = |name: &str, expected: &[(&str, Verdict)]| {
        let expected: Vec<(String, Verdict)> = expected.iter().map(|(label, verdict)| ((*label).to_owned(), *verdict)).collect();
        assert_eq!(spoken(&named(name)), expected, "{name}");
    };
    let supported = Verdict::Supported;
    expect("passed", &[("REL11-BP01", supported), ("REL11-BP02", supported), ("REL11-BP07", supported)]);
    expect("failed", &[("REL11-BP01", supported), ("REL11-BP02", hri), ("REL11-BP07", mri), ("REL13-BP02", hri)]);
    for name in ["not-confirmed", "not-steady", "aborted", "unfinished", "baseline", "tabletop", "stuck"] {
        expect(name, &[]);
    }
}

#[test]
fn a_verdict_says_why_and_cites_its_entries() {
    let told = of(&named("passed"), "REL11-BP02");
    assert_eq!(told.why, "failover 7.26 – 7.42 s (asked: at most 10 s); availability during fault 91.7 – 92.0 % (asked: at least 90 %)");
    assert_eq!((told.entries.as_slice(), told.shown, told.of), ([62, 64, 65, 88, 101, 103].as_slice(), 1, 1));
    let told = of(&named("passed"), "REL11-BP01");
    assert_eq!(told.why, "not instrumented: detected by monitoring, time to detect, expected alerts fired");
    assert_eq!(told.would.as_deref(), Some("a fault hurts what is claimed"));
    let told = of(&named("passed"), "REL13-BP02");
    assert_eq!(
        told.why,
        "needs a drill in which a whole location is lost, or the workload moves to another Region, or data is restored from a backup"
    );
}

#[test]
fn what_others_saw_completes_the_picture() {
    let sample = named("passed");
    for (ttd, ttn, rel11, rel06) in [
        (20.0, 5.0, Verdict::Contradicted(Risk::Hri), Verdict::Supported),
        (8.0, 5.0, Verdict::Supported, Verdict::Supported),
        (8.0, 100.0, Verdict::Supported, Verdict::Contradicted(Risk::Mri)),
        (700.0, 5.0, Verdict::Contradicted(Risk::Hri), Verdict::Contradicted(Risk::Hri)),
    ] {
        let observed = observed(ttd, ttn);
        // The recovery objective of ten seconds is stricter than the default of 300 s.
        assert_eq!(seen(&sample, "REL11-BP01", &observed).verdict, rel11, "{ttd}");
        assert_eq!(seen(&sample, "REL06-BP03", &observed).verdict, rel06, "{ttd} {ttn}");
    }
    assert_eq!(seen(&sample, "REL11-BP03", &observed(8.0, 5.0)).verdict, Verdict::Supported);
    let mut silent = observed(8.0, 5.0);
    silent.signals["lose-primary"].insert("ttd_s".into(), Signal::absent(vec![71]));
    let told = seen(&sample, "REL06-BP03", &silent);
    assert_eq!((told.verdict, told.why.as_str()), (Verdict::Contradicted(Risk::Hri), "time to detect did not come (asked: at most 5 min)"));
    assert!(told.entries.contains(&71), "{:?}", told.entries);
}

#[test]
fn what_was_measured_is_not_replaced_by_what_was_seen() {
    let mut observed = Observed::default();
    let own = observed.signals.entry("lose-primary".into()).or_default();
    own.insert("failover_s".into(), Signal::of(Value::exactly(0.1), vec![]));
    own.insert("no_such_signal".into(), Signal::of(Value::exactly(0.1), vec![]));
    let sample = named("failed");
    assert_eq!(seen(&sample, "REL11-BP02", &observed), of(&sample, "REL11-BP02"));
    let scopes = scopes(catalogue(), &sample.plan, &sample.facts, &observed);
    assert!(!scopes[0].readings.signals.contains_key("no_such_signal"));
}

#[test]
fn a_word_counts_only_where_no_drill_spoke() {
    let mut observed = Observed::default();
    for label in ["REL11-BP02", "REL12-BP05", "OPS01-BP01"] {
        let word = Attested { by: "sre lead".into(), text: "held quarterly".into(), entry: 9 };
        observed.attested.insert(catalogue().find(label).unwrap().choice.clone(), word);
    }
    let sample = named("failed");
    assert_eq!(seen(&sample, "REL11-BP02", &observed).verdict, Verdict::Contradicted(Risk::Hri));
    let told = seen(&sample, "REL12-BP05", &observed);
    assert_eq!(
        (told.verdict, told.why.as_str(), told.entries.as_slice()),
        (Verdict::Attested, "sre lead says: held quarterly", [9].as_slice())
    );
    assert_eq!(seen(&sample, "OPS01-BP01", &observed).verdict, Verdict::Attested);
}

#[test]
fn the_programme_is_not_judged_by_one_run() {
    for sample in all() {
        for told in score(&sample.plan, &sample.facts).practices.practices {
            if told.practice.layer == Layer::Programme {
                assert_eq!(told.verdict, Verdict::NotDrilled, "{}", told.practice.label);
            }
        }
    }
}

#[test]
fn a_demonstration_is_called_one() {
    assert!(!score(&named("passed").plan, &named("passed").facts).practices.demonstration);
    let laptop = named("laptop");
    assert_eq!(laptop.plan.environment, Environment::Laptop);
    assert!(score(&laptop.plan, &laptop.facts).practices.demonstration);
}

#[test]
fn coverage_counts_what_was_drilled_of_all() {
    let sample = named("failed");
    let questions = score(&sample.plan, &sample.facts).practices.questions();
    assert_eq!((questions.len(), questions.iter().map(|q| q.total).sum::<usize>()), (24, 133));
    let rel11 = questions.iter().find(|q| q.label == "REL 11").unwrap();
    assert_eq!((rel11.id, rel11.contradicted, rel11.drilled, rel11.total), ("withstand-component-failures", 2, 3, 7));
    let judgement = score(&sample.plan, &sample.facts).practices;
    let order: Vec<&str> = judgement.of_question(rel11.id).iter().take(3).map(|p| p.practice.label.as_str()).collect();
    assert_eq!(order, ["REL11-BP02", "REL11-BP07", "REL11-BP01"]);
}

#[test]
fn targets_come_from_the_claim_then_from_the_scenario() {
    let mut sample = named("passed");
    sample.plan.carried.insert("score".into(), serde_json::json!({ "targets": { "failover": "5s", "detekt": "1m", "cadence": "30d" } }));
    let told = of(&sample, "REL11-BP02");
    assert_eq!(told.verdict, Verdict::Contradicted(Risk::Mri), "later than the scenario's own target, within the objective");
    let judgement = score(&sample.plan, &sample.facts).practices;
    assert_eq!(judgement.unknown_targets, ["detekt"]);
    let targets = &judgement.scopes[0].readings.targets;
    assert_eq!((targets["failover_s"].value, targets["failover_s"].from.as_str()), (5.0, "score.targets.failover"));
    assert_eq!((targets["rto_s"].value, targets["rto_s"].from.as_str()), (10.0, "claims.checkout-node-loss.rto"));
    assert_eq!(targets["cadence_days"].value, 30.0);
}

#[test]
fn what_a_run_contradicts_becomes_a_finding_that_can_be_acted_on() {
    let mut sample = named("passed");
    sample.plan.carried.insert("score".into(), serde_json::json!({ "targets": { "failover": "5s" } }));
    let scored = score(&sample.plan, &sample.facts);
    let finding = scored.findings.iter().find(|f| f.id == "practice.rel_withstand_component_failures_failover2good").unwrap();
    assert_eq!(finding.risk, Risk::Mri);
    assert_eq!(finding.observed, "failover 7.26 – 7.42 s (asked: at most 5 s)");
    assert_eq!(finding.expected, "failover at most 5 s; availability during fault at least 90 %");
    assert_eq!((finding.owner.as_deref(), finding.due.as_deref()), (Some("payments-sre"), Some("2027-02-17")));
    assert!(finding.remediation.contains("Three waits") && finding.impact.contains("Users are without") && !finding.entries.is_empty());
    assert_eq!(scored.exit_code, 0, "a practice is no claim");
    for sample in all() {
        let scored = score(&sample.plan, &sample.facts);
        for told in scored.practices.practices.iter().filter(|p| matches!(p.verdict, Verdict::Contradicted(_))) {
            assert!(scored.findings.iter().any(|f| f.practice == told.practice), "{}: {}", sample.name, told.practice.label);
        }
        // What the response leaves stands beside the practices: their rules read nothing of it yet.
        for finding in scored.findings.iter().filter(|f| !f.id.starts_with("team.")) {
            let told = scored.practices.find(finding.practice).unwrap();
            assert!(matches!(told.verdict, Verdict::Contradicted(risk) if risk <= finding.risk), "{}: {}", sample.name, finding.id);
        }
    }
}

#[test]
fn every_verdict_of_every_judged_practice_is_reached() {
    let mut reached = 0;
    for practice in catalogue().practices.iter().filter(|p| p.layer == Layer::Outcome) {
        let rule = practice.rule.as_ref().unwrap();
        let mut ends = Vec::new();
        every(catalogue(), rule, |readings| {
            let end = rule.outcome(readings);
            if ends.contains(&end) {
                return;
            }
            ends.push(end);
            let scope = Scope { name: "c".into(), fault: "f".into(), drills: practice.drills.clone(), readings: readings.clone() };
            let told = for_tests(catalogue(), practice, &[scope]);
            let expected = match end {
                Outcome::Met => Verdict::Supported,
                Outcome::Medium => Verdict::Contradicted(Risk::Mri),
                Outcome::High => Verdict::Contradicted(Risk::Hri),
                Outcome::Nothing | Outcome::Open => Verdict::NotDrilled,
            };
            assert_eq!(told.verdict, expected, "{}", practice.label);
            assert!(!told.why.is_empty(), "{} {end:?}", practice.label);
            reached += 1;
        });
    }
    assert!(reached > 180, "{reached}");
}

#[test]
fn a_drill_of_another_sort_says_nothing() {
    for practice in catalogue().practices.iter().filter(|p| p.layer == Layer::Outcome && !p.drills.iter().any(|d| d.starts_with("any"))) {
        let rule = practice.rule.as_ref().unwrap();
        every(catalogue(), rule, |readings| {
            let scope = Scope { name: "c".into(), fault: "f".into(), drills: vec!["any".into()], readings: readings.clone() };
            assert_eq!(for_tests(catalogue(), practice, &[scope]).verdict, Verdict::NotDrilled, "{}", practice.label);
        });
    }
}

#[test]
fn one_claim_that_is_open_withholds_support() {
    let practice: &'static Practice = catalogue().find("REL11-BP07").unwrap();
    let of = |name: &str, state: State| {
        let sample = named("passed");
        let mut scope = scopes(catalogue(), &sample.plan, &sample.facts, &Observed::default()).remove(0);
        scope.name = name.into();
        scope.readings.signals.insert("availability_during_fault".into(), Signal { state, entries: vec![1] });
        scope
    };
    let good = of("good", State::Value(Value::exactly(0.99)));
    let bad = of("bad", State::Value(Value::exactly(0.5)));
    let open = of("open", State::NotInstrumented("gone".into()));
    let verdict = |scopes: &[Scope]| for_tests(catalogue(), practice, scopes).verdict;
    assert_eq!(verdict(&[good.clone(), good.clone()]), Verdict::Supported);
    assert_eq!(verdict(&[good.clone(), open.clone()]), Verdict::NotDrilled);
    assert_eq!(verdict(&[open, bad.clone()]), Verdict::Contradicted(Risk::Mri));
    let told = for_tests(catalogue(), practice, &[good, bad]);
    assert_eq!((told.verdict, told.shown, told.of), (Verdict::Contradicted(Risk::Mri), 1, 2));
    assert!(told.why.starts_with("bad: availability during fault 50 %"), "{}", told.why);
}

#[test]
fn the_list_of_produced_signals_is_what_is_extracted() {
    let sample = named("passed");
    let found = scopes(catalogue(), &sample.plan, &sample.facts, &Observed::default()).remove(0);
    let names: Vec<&str> = found.readings.signals.keys().map(String::as_str).collect();
    assert_eq!(names, PRODUCED);
    for name in PRODUCED {
        assert!(catalogue().signals.contains_key(name), "{name}");
    }
}

#[test]
fn a_proxy_before_the_service_is_no_dependency() {
    let mut sample = named("passed");
    let proxy = serde_json::json!({ "listen": "127.0.0.1:8080", "upstream": "127.0.0.1:9090" });
    sample.plan.proxies.insert("front".parse().unwrap(), serde_json::from_value(proxy).unwrap());
    let fault = sample.plan.faults.values_mut().next().unwrap();
    fault.kind = "proxy.blackhole".into();
    fault.spec = serde_json::json!({ "proxy": "front" });
    let drills = |sample: &Sample| scopes(catalogue(), &sample.plan, &sample.facts, &Observed::default()).remove(0).drills;
    assert!(!drills(&sample).contains(&"blackhole".to_owned()), "probes go through it");
    sample.plan.proxies.values_mut().next().unwrap().listen = "127.0.0.1:6432".into();
    assert!(drills(&sample).contains(&"blackhole".to_owned()));
}

type Removal = (&'static str, fn(&mut Facts));

/// What can go missing from a run's facts.
fn removals() -> Vec<Removal> {
    vec![
        ("rpo", |f| f.claims.values_mut().for_each(|c| c.rpo = None)),
        ("availability", |f| f.claims.values_mut().for_each(|c| c.availability = None)),
        ("latency", |f| f.claims.values_mut().for_each(|c| c.latency = None)),
        ("who answers", |f| {
            f.claims.values_mut().for_each(|c| c.by = None);
            f.probes.values_mut().for_each(|p| p.served_by.clear());
        }),
        ("holds", |f| f.claims.values_mut().for_each(|c| c.holds.clear())),
        ("times", |f| f.episodes.values_mut().for_each(|e| e.times.clear())),
        ("failover", |f| f.episodes.values_mut().for_each(|e| e.times.retain(|name, _| name != "failover_time"))),
        ("effect", |f| f.episodes.values_mut().for_each(|e| e.effective = None)),
        ("recovery", |f| f.episodes.values_mut().for_each(|e| (e.self_recovered, e.stable_up) = (None, None))),
        ("phases", |f| f.probes.values_mut().for_each(|p| p.phases.clear())),
        ("seconds", |f| f.probes.values_mut().for_each(|p| p.seconds.clear())),
        ("ledgers", |f| f.ledgers.values_mut().for_each(|l| l.not_read = Some("nobody read".into()))),
        ("settle", |f| f.steady_after = SteadyAfter::NotReached),
        ("end", |f| f.run.outcome = None),
        ("validity", |f| f.validity.valid = false),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever goes missing, nothing is shown that was not shown before.
    #[test]
    fn less_evidence_never_improves_a_verdict(which in 0usize..13, missing in prop::collection::vec(0usize..15, 1..5)) {
        let mut sample = all().remove(which);
        let before = score(&sample.plan, &sample.facts).practices;
        for n in &missing {
            removals()[*n].1(&mut sample.facts);
        }
        let after = score(&sample.plan, &sample.facts).practices;
        for (was, is) in before.practices.iter().zip(&after.practices) {
            let names: Vec<&str> = missing.iter().map(|n| removals()[*n].0).collect();
            prop_assert!(
                is.verdict == was.verdict || is.verdict == Verdict::NotDrilled
                    || matches!((was.verdict, is.verdict), (Verdict::NotDrilled | Verdict::Supported, Verdict::Contradicted(_))),
                "{} {}: {:?} became {:?} without {names:?}", sample.name, was.practice.label, was.verdict, is.verdict
            );
        }
    }

    /// An alert that comes later never improves anything.
    #[test]
    fn a_later_detection_never_improves_a_verdict(ttd in 0u32..1500, later in 0u32..1500, ttn in 0u32..200) {
        let sample = named("passed");
        let rank = |v: Verdict| match v {
            Verdict::Supported | Verdict::Attested => 0,
            Verdict::NotDrilled => 1,
            Verdict::Contradicted(Risk::Mri) => 2,
            Verdict::Contradicted(Risk::Hri) => 3,
        };
        let soon = score_with(&sample.plan, &sample.facts, &observed(f64::from(ttd), f64::from(ttn))).practices;
        let late = score_with(&sample.plan, &sample.facts, &observed(f64::from(ttd + later), f64::from(ttn))).practices;
        for (soon, late) in soon.practices.iter().zip(&late.practices) {
            prop_assert!(rank(late.verdict) >= rank(soon.verdict), "{}", soon.practice.label);
        }
    }

    /// A longer recovery never improves anything either.
    #[test]
    fn a_longer_recovery_never_improves_a_verdict(by_ms in 0u64..30_000) {
        let sample = named("passed");
        let mut slower = named("passed");
        for name in ["recovery_time", "failover_time"] {
            let range: &mut Range = &mut slower.facts.episodes["lose-primary"].times[name];
            let more = crate::base::Span::millis(by_ms);
            (range.lo, range.hi) = (range.lo + more, range.hi.map(|hi| hi + more));
        }
        let (fast, slow) = (spoken(&sample), spoken(&slower));
        for (label, verdict) in slow {
            let was = fast.iter().find(|(of, _)| *of == label).map(|(_, verdict)| *verdict);
            prop_assert!(verdict != Verdict::Supported || was == Some(verdict), "{label}: {was:?} became {verdict:?}");
        }
    }

    /// A probe that nobody asked about, and that saw nothing, changes nothing.
    #[test]
    fn an_unrelated_passing_probe_changes_nothing(which in 0usize..13, rate in 1u64..500) {
        let mut sample = all().remove(which);
        let before = score(&sample.plan, &sample.facts);
        let (plan, mut probe) = (sample.plan.probes["checkout"].clone(), sample.facts.probes["checkout"].clone());
        probe.outages.clear();
        probe.interval = crate::base::Span::micros(1_000_000 / rate);
        probe.seconds.iter_mut().for_each(|s| (s.ok, s.bad) = (s.ok + s.bad, 0));
        sample.plan.probes.insert("unrelated".parse().unwrap(), plan);
        sample.facts.probes.insert("unrelated".into(), probe);
        let after = score(&sample.plan, &sample.facts);
        prop_assert_eq!(before.practices, after.practices);
        prop_assert_eq!(before.findings, after.findings);
    }
}
