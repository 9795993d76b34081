//! Histories made up for tests, and what must hold of every one of them.

use proptest::prelude::*;

use super::*;
use crate::actions::{About, Change, Source, Status};
use crate::history::{Account, Found, Quantity, Reading, Responded};
use crate::score::signal::State;

const NOW: &str = "2026-11-27T12:00:00Z";

fn days_ago(days: f64) -> Timestamp {
    let now: Timestamp = NOW.parse().unwrap();
    now.checked_sub(jiff::SignedDuration::from_secs_f64(days * 86_400.0)).unwrap()
}

fn row(n: usize, days: f64) -> Row {
    Row {
        run: format!("R{n:03}"),
        bytes: 1,
        firedrill: "0".into(),
        scenario: "failover".into(),
        title: "Failover".into(),
        started_at: days_ago(days).to_string(),
        same: "x".into(),
        system: Some("passed".into()),
        exit_code: 0,
        readings: Vec::new(),
        account: Account {
            environment: "test".into(),
            mode: "normal".into(),
            counts: true,
            lasted_ns: 60_000_000_000,
            hypothesis: true,
            base_dir: "/srv".into(),
            ..Account::default()
        },
    }
}

fn answered(verdict: &str, seconds: f64) -> Responded {
    let seen = matches!(verdict, "on_time" | "late");
    Responded {
        id: "page".into(),
        kind: "ack".into(),
        role: Some("on-call".into()),
        verdict: verdict.into(),
        lo: seen.then_some(seconds * 1e9),
        hi: seen.then_some((seconds + 0.5) * 1e9),
        counted: true,
        entries: vec![7],
    }
}

fn action(n: usize) -> Action {
    Action {
        about: About {
            id: format!("F-{n:08x}"),
            source: Source::Finding,
            scenario: "failover".into(),
            practice: Some("REL11-BP02".into()),
            subject: "web".into(),
            title: "Too slow".into(),
        },
        risk: Some("high"),
        status: Status::Closed,
        reopened: None,
        overdue: false,
        owner: Some("team".into()),
        due: Some("2026-12-01".into()),
        accepted: None,
        first_seen: Some("R000".into()),
        last_seen: Some("R000".into()),
        seen: 1,
        closed_by: Some("R001".into()),
        demonstration: false,
        observed: String::new(),
        expected: String::new(),
        impact: String::new(),
        remediation: String::new(),
        entries: Vec::new(),
        told: vec![(days_ago(20.0).to_string(), Change::Closed { run: "R001".into() })],
    }
}

/// A made-up past, owned.
#[derive(Debug, Clone, Default)]
struct Past {
    rows: Vec<Row>,
    actions: Vec<Action>,
    debriefs: Vec<Debriefed>,
    days: Vec<Day>,
    gone: Vec<Gone>,
    register: Option<String>,
    versioned: Vec<(String, bool)>,
}

impl Past {
    fn review(&self) -> Review {
        review(&Input {
            rows: &self.rows,
            actions: &self.actions,
            debriefs: &self.debriefs,
            days: &self.days,
            gone: &self.gone,
            register: self.register.as_deref(),
            versioned: &self.versioned,
            now: NOW.parse().unwrap(),
            window_days: 90,
        })
    }

    /// A team that practises well.
    fn good() -> Past {
        let mut rows = vec![row(0, 40.0), row(1, 10.0)];
        rows[1].account.environment = "production".into();
        rows[1].account.drills = vec!["region_failover".into()];
        rows[1].readings = vec![reading("web.rto", Some(7e9), Some(8e9), 10e9), reading("orders.rpo", Some(0.0), Some(0.0), 1e9)];
        for row in &mut rows {
            row.account.people = true;
            row.account.roles = vec!["lead".into(), "on-call".into()];
            row.account.acted = vec!["on-call".into()];
            row.account.response = vec![answered("on_time", 30.0), Responded { kind: "step".into(), ..answered("on_time", 90.0) }];
        }
        let debrief = |run: &str, days: f64| Debriefed { run: run.into(), at: days_ago(days), lessons: 3, factors: 2 };
        Past {
            rows,
            actions: vec![action(0), action(1)],
            debriefs: vec![debrief("R000", 39.0), debrief("R001", 9.0)],
            days: vec![Day { id: "D".into(), at: days_ago(10.0), decisions: 1, runs: vec!["R001".into()] }],
            versioned: vec![("failover".into(), true)],
            ..Past::default()
        }
    }
}

fn reading(name: &str, lo: Option<f64>, hi: Option<f64>, objective: f64) -> Reading {
    Reading { name: name.into(), verdict: "passed".into(), quantity: Quantity::Time, lo, hi, objective: Some(objective) }
}

fn verdict(past: &Past, label: &str) -> Verdict {
    past.review().find(catalogue().find(label).unwrap()).unwrap_or_else(|| panic!("{label}")).verdict
}

const HIGH: Verdict = Verdict::Contradicted(Risk::Hri);
const MEDIUM: Verdict = Verdict::Contradicted(Risk::Mri);

#[test]
fn a_team_that_practises_well_is_told_so_with_the_runs_that_show_it() {
    let past = Past::good();
    let review = past.review();
    let supported: Vec<&str> =
        review.practices.iter().filter(|one| one.verdict == Verdict::Supported).map(|one| one.practice.label.as_str()).collect();
    let expected = [
        "REL06-BP06",
        "REL12-BP02",
        "REL12-BP04",
        "REL13-BP03",
        "OPS05-BP08",
        "OPS07-BP05",
        "OPS09-BP01",
        "OPS11-BP01",
        "OPS11-BP02",
        "OPS11-BP03",
        "OPS11-BP04",
    ];
    assert_eq!(supported, expected, "{}", text(&review, true));
    let tested = review.find(catalogue().find("REL13-BP03").unwrap()).unwrap();
    assert_eq!(tested.runs, ["R001"]);
    assert!(tested.why.contains("recovery time 7 – 8 s (asked: at most 10 s)"), "{}", tested.why);
}

#[test]
fn every_verdict_that_a_programme_practice_can_reach_is_reached() {
    let good = Past::good();
    let with = |change: &dyn Fn(&mut Past)| {
        let mut past = good.clone();
        change(&mut past);
        past
    };
    let old = |past: &mut Past| past.rows.iter_mut().for_each(|row| row.started_at = days_ago(200.0).to_string());
    let unreviewed = |past: &mut Past| past.debriefs.clear();
    let late = |past: &mut Past| past.debriefs.iter_mut().for_each(|one| one.at = days_ago(2.0));
    let overdue = |past: &mut Past| {
        for action in &mut past.actions {
            (action.status, action.overdue, action.closed_by) = (Status::Assigned, true, None);
        }
    };
    let done = |past: &mut Past| {
        overdue(past);
        for action in &mut past.actions {
            action.told = vec![(days_ago(20.0).to_string(), Change::Done { text: "mended".into() })];
        }
    };
    let untried = |past: &mut Past| {
        done(past);
        past.actions.iter_mut().for_each(|one| one.told[0].0 = days_ago(1.0).to_string());
    };
    let again = |past: &mut Past| {
        untried(past);
        past.actions[0].seen = 2;
    };
    let misled = |past: &mut Past| {
        past.rows[1].account.findings = vec![Found { id: "team.wrong-turn.restart".into(), ..Found::default() }];
    };
    let cases: [(&str, Past, Verdict); 22] = [
        ("REL12-BP04", with(&old), MEDIUM),
        ("REL12-BP04", with(&|p| p.rows.iter_mut().for_each(|r| r.account.hypothesis = false)), MEDIUM),
        ("REL12-BP04", with(&|p| p.versioned = vec![("failover".into(), false)]), MEDIUM),
        ("REL12-BP04", with(&|p| p.versioned.clear()), Verdict::NotDrilled),
        ("REL12-BP02", with(&unreviewed), HIGH),
        ("REL12-BP02", with(&|p| p.debriefs[1].factors = 0), MEDIUM),
        ("OPS11-BP02", with(&late), HIGH),
        ("REL13-BP03", with(&|p| p.rows[1].account.drills.clear()), HIGH),
        ("REL13-BP03", with(&old), HIGH),
        ("REL13-BP03", with(&|p| p.rows[1].readings[0].hi = None), Verdict::NotDrilled),
        ("REL13-BP03", with(&|p| p.rows[1].readings[0] = reading("web.rto", Some(12e9), Some(13e9), 10e9)), MEDIUM),
        ("OPS11-BP01", with(&overdue), HIGH),
        (
            "OPS11-BP01",
            with(&|p| {
                overdue(p);
                p.actions[0] = action(0);
            }),
            MEDIUM,
        ),
        ("OPS11-BP03", with(&done), MEDIUM),
        ("OPS11-BP03", with(&again), HIGH),
        (
            "OPS11-BP04",
            with(&|p| {
                misled(p);
                again(p);
            }),
            Verdict::NotDrilled,
        ),
        ("OPS09-BP01", with(&|p| p.rows[1].account.response[0] = answered("not_observed", 0.0)), MEDIUM),
        ("OPS09-BP01", with(&|p| p.rows[0].same = "y".into()), MEDIUM),
        ("OPS11-BP09", with(&overdue), MEDIUM),
        ("OPS07-BP05", with(&|p| p.days.clear()), Verdict::NotDrilled),
        (
            "REL06-BP06",
            with(&|p| {
                p.actions[0].about.practice = Some("OPS08-BP04".into());
                p.actions[0].status = Status::Open;
            }),
            MEDIUM,
        ),
        // Who took part is not compared with a rota, and nobody writes down who was told: game days are never said to be held.
        ("REL12-BP05", good.clone(), Verdict::NotDrilled),
    ];
    for (n, (label, past, expected)) in cases.iter().enumerate() {
        assert_eq!(verdict(past, label), *expected, "{n}: {label}\n{}", text(&past.review(), true));
    }
}

#[test]
fn without_evidence_nothing_is_known() {
    let mut demonstrated = Past::good();
    demonstrated.rows.iter_mut().for_each(|row| row.account.demonstration = true);
    for (past, why) in [(Past::default(), "no run is there"), (demonstrated, "they are demonstrations")] {
        let review = past.review();
        assert!(review.practices.iter().all(|one| one.verdict == Verdict::NotDrilled), "{}", text(&review, true));
        assert!(PRODUCED.iter().all(|name| matches!(review.readings.state(name), State::NotInstrumented(said) if said.contains(why))));
        assert_eq!(review.evidence, 0);
    }
}

#[test]
fn the_list_of_produced_signals_is_what_is_gathered() {
    for past in [Past::default(), Past::good()] {
        let review = past.review();
        let mut names: Vec<&str> = review.readings.signals.keys().map(String::as_str).collect();
        names.sort_unstable();
        let mut produced = PRODUCED.to_vec();
        produced.sort_unstable();
        assert_eq!(names, produced);
    }
    for name in PRODUCED {
        assert!(catalogue().signals.contains_key(name), "{name}");
    }
}

#[test]
fn a_review_that_is_still_to_come_is_no_review_that_was_missed() {
    let mut past = Past::good();
    past.rows.truncate(1);
    past.rows[0].started_at = days_ago(2.0).to_string();
    past.debriefs.clear();
    assert_eq!(verdict(&past, "OPS11-BP02"), Verdict::NotDrilled, "{}", text(&past.review(), true));
    past.rows[0].started_at = days_ago(30.0).to_string();
    assert_eq!(verdict(&past, "OPS11-BP02"), HIGH);
}

#[test]
fn one_debrief_speaks_for_every_drill_of_its_game_day() {
    let mut past = Past::good();
    past.debriefs.remove(0);
    assert_eq!(verdict(&past, "OPS11-BP02"), HIGH);
    past.rows[0].started_at = days_ago(10.1).to_string();
    past.days[0].runs = vec!["R000".into(), "R001".into()];
    assert_eq!(verdict(&past, "OPS11-BP02"), Verdict::Supported);
}

#[test]
fn where_a_run_is_gone_or_the_register_was_changed_nothing_is_supported() {
    let mut gone = Past::good();
    gone.gone = vec![Gone { run: "R999".into(), at: days_ago(5.0) }];
    let mut old = Past::good();
    old.gone = vec![Gone { run: "R999".into(), at: days_ago(100.0) }];
    let mut changed = Past::good();
    changed.register = Some("line 3 does not continue the one before it".into());
    let mut stepped = Past::good();
    stepped.rows[1].started_at = days_ago(-2.0).to_string();
    let supports = |past: &Past| past.review().practices.iter().filter(|one| one.verdict == Verdict::Supported).count();
    assert_eq!((supports(&gone), supports(&changed), supports(&stepped)), (0, 0, 0));
    assert_eq!(supports(&old), supports(&Past::good()), "what lies before the time that is looked at was let go of");
    let said = text(&gone.review(), true);
    assert!(said.contains("Nothing is supported: a run was started in this time and is gone: R999."), "{said}");
}

#[test]
fn a_missed_answer_is_longer_than_any_and_an_unseen_one_is_none() {
    let mut past = Past::default();
    for (n, (verdict, seconds)) in
        [("on_time", 10.0), ("late", 400.0), ("missed", 0.0), ("missed", 0.0), ("not_observed", 0.0)].into_iter().enumerate()
    {
        let mut one = row(n, 20.0 - n as f64);
        one.account.response = vec![answered(verdict, seconds)];
        past.rows.push(one);
    }
    let review = past.review();
    let quarter = &review.answers[0].quarters[0];
    assert_eq!((quarter.name.as_str(), quarter.seen, quarter.on_time, quarter.missed, quarter.not_observed), ("2026 Q4", 2, 1, 2, 1));
    assert_eq!(quarter.median, Some((400.5e9, None)), "of 10 s, 400 s and two that never came the upper middle never came");
    let said = text(&review, false);
    assert!(
        said.contains("on-call: time to acknowledge")
            && said.contains("median more than 6 min 40 s; 1 of 4 in time, 2 missed, 1 not observed"),
        "{said}"
    );
}

#[test]
fn every_form_says_it_and_hostile_words_are_only_words() {
    let mut past = Past::good();
    past.rows[1].scenario = "a|b<script>\u{1b}[2J".into();
    past.versioned.push(("a|b<script>\u{1b}[2J".into(), true));
    let review = past.review();
    let (text, markdown, value) = (text(&review, false), markdown(&review), json(&review));
    assert!(!text.contains('\u{1b}') && !markdown.contains("<script>") && markdown.contains("a\\|b&lt;script>"), "{markdown}");
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let explained = page(&review, review.find(catalogue().find("OPS11-BP01").unwrap()).unwrap()).join("\n");
    assert!(
        explained.contains("rule, the first that holds")
            && explained.contains("actions_total")
            && explained.contains("target.actions_closed_ratio"),
        "{explained}"
    );
}

/// Higher is better; what is not known is neither.
fn is_better(now: Verdict, before: Verdict) -> bool {
    now == Verdict::Supported && before != Verdict::Supported || before == HIGH && now == MEDIUM
}

fn any_row() -> impl Strategy<Value = (f64, bool, bool, usize, f64)> {
    (0.0..300.0_f64, any::<bool>(), any::<bool>(), 0..4_usize, 0.0..600.0_f64)
}

proptest! {
    /// Whatever the past: a run that goes missing, a debrief that was not written, an answer that came later or was not seen never improve a verdict.
    #[test]
    fn less_data_never_improves(rows in proptest::collection::vec(any_row(), 1..6), missing in 0..6_usize, which in 0..5_u8) {
        let mut past = Past::good();
        let mut rows = rows;
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        past.rows = rows.iter().enumerate().map(|(n, (days, people, recovery, answer, seconds))| {
            let mut one = row(n, *days);
            one.account.people = *people;
            if *recovery {
                one.account.drills = vec!["restore_drill".into()];
                one.readings = vec![reading("web.rto", Some(*seconds * 1e9), Some((*seconds + 1.0) * 1e9), 300e9), reading("web.rpo", Some(0.0), Some(0.0), 1e9)];
            }
            one.account.response = vec![answered(["on_time", "late", "missed", "not_observed"][*answer], *seconds)];
            one
        }).collect();
        past.debriefs = past.rows.iter().step_by(2).map(|row| Debriefed { run: row.run.clone(), at: days_ago(1.0), lessons: 1, factors: 1 }).collect();
        past.days.clear();
        let before = past.review();
        let n = missing % past.rows.len();
        let mut less = past.clone();
        match which {
            0 => {
                let row = less.rows.remove(n);
                less.gone.push(Gone { at: row.started_at.parse().unwrap(), run: row.run });
            }
            1 => { less.debriefs.pop(); }
            2 => less.versioned.clear(),
            3 => less.rows[n].account.response[0] = answered("not_observed", 0.0),
            _ => {
                // Later, and so perhaps late.
                let one = &mut less.rows[n].account.response[0];
                if one.verdict == "on_time" {
                    *one = answered("late", 700.0);
                }
            }
        }
        let after = less.review();
        for (now, before) in after.practices.iter().zip(&before.practices) {
            let out_of_sight = which == 0 && days_between(past.rows[n].started_at.parse().unwrap(), NOW.parse().unwrap()) > 90.0;
            prop_assert!(out_of_sight || !is_better(now.verdict, before.verdict), "{}: {:?} became {:?}\n{}", now.practice.label, before.verdict, now.verdict, now.why);
        }
    }
}
