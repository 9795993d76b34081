//! Drills that came out in every way, from journals made by hand: one fault, at 10.000 – 10.002 s.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::base::{Id, digest_of};
use crate::event::{AckSeen, AlertSeen, Deed, Entry, Event, Outcome, Said, TeamEvent};
use crate::plan::{Mode, Origin, build};
use crate::scenario::check::sample;

fn s(seconds: f64) -> At {
    At((seconds * 1e9) as u64)
}

fn plan_of(team: Value, mode: Mode) -> Plan {
    let mut scenario = sample::scenario();
    scenario.team = Some(team);
    let digest = digest_of(b"x");
    let origin = Origin { name: "x".into(), base_dir: "/".into(), scenario_digest: digest, workload_digest: None, mode };
    build(&scenario, &sample::known(), origin)
}

fn team() -> Value {
    json!({
        "roles": { "ops": ["dan"], "comms": ["erin"], "dba": ["gina"] },
        "signals": { "paging": { "alertmanager": { "url": "http://127.0.0.1:9093" } } },
        "expect": {
            "detected": { "alert": { "labels": { "alertname": "DatabaseDown" } }, "within": "30s" },
            "acknowledged": { "ack": {}, "by": "ops", "within": "60s", "from": "detected" },
            "diagnosed": { "answer": { "ask": "What is broken?", "matches": "(?i)primary|database" }, "by": "ops", "within": "2m" },
            "mitigated": { "step": "db#promote", "by": "ops", "within": "2m", "from": "acknowledged" },
        },
        "wrong_turns": { "restarted-api": { "step": "api#restart", "when": { "before": "diagnosed" }, "teaches": "It drops connections." } },
        "hints": { "destination": { "at": { "after": "effective", "plus": "30s" }, "unless": "diagnosed", "say": "Look at errors." } },
    })
}

/// A journal in the order of its times.
#[derive(Clone)]
struct Drill(Vec<(At, Event)>);

impl Drill {
    /// Steady at 5 s, the fault bites at 10 s; people and the source are heard from 1 s on.
    fn new() -> Drill {
        Drill(Vec::new())
            .team(0.5, TeamEvent::Listening { place: "here".into() })
            .team(1.0, TeamEvent::SourceReached { source: "paging".into(), looked: s(0.9) })
            .at(5.0, Event::SteadyShown { since: s(0.0), summary: String::new() })
            .at(10.1, Event::Effective { id: "lose-primary".into(), when: Interval::new(s(10.0), s(10.002)), seen: String::new() })
    }

    fn without(mut self, unwanted: impl Fn(&Event) -> bool) -> Drill {
        self.0.retain(|(_, event)| !unwanted(event));
        self
    }

    fn at(mut self, seconds: f64, event: Event) -> Drill {
        self.0.push((s(seconds), event));
        self
    }

    fn team(self, seconds: f64, event: TeamEvent) -> Drill {
        self.at(seconds, Event::Team(event))
    }

    fn says(self, seconds: f64, role: &str, deed: Deed) -> Drill {
        let by = format!("{role}'s person");
        self.team(seconds, TeamEvent::Said(Said { role: role.into(), by, claimed: None, deed }))
    }

    fn marks(self, seconds: f64, role: &str, mark: &str) -> Drill {
        self.says(seconds, role, Deed::Mark { mark: mark.into(), text: String::new() })
    }

    fn step(self, seconds: f64, step: &str) -> Drill {
        self.says(seconds, "ops", Deed::Step { step: step.into(), back_out: false })
    }

    fn answers(self, seconds: f64, text: &str) -> Drill {
        self.says(seconds, "ops", Deed::Answer { of: None, text: text.into() })
    }

    /// Not there at the look a second before, firing at this one.
    fn alert(self, seconds: f64, name: &str) -> Drill {
        let alert = AlertSeen {
            source: "paging".into(),
            kind: "alertmanager".into(),
            name: name.into(),
            labels: BTreeMap::from([("alertname".into(), name.into()), ("severity".into(), "page".into())]),
            key: name.into(),
            firing: true,
            when: Interval::new(s((seconds - 1.0).max(0.0)), s(seconds)),
            starts_at: None,
            starts: Some(s(seconds - 0.5).0 as i64),
            pushed: false,
        };
        self.team(seconds, TeamEvent::Alert(alert))
    }

    fn undone(self, seconds: f64) -> Drill {
        self.at(seconds, Event::Undone { id: "lose-primary".into(), when: Interval::exact(s(seconds)), seen: String::new() })
    }

    fn end(self, seconds: f64) -> Drill {
        self.at(seconds, Event::ProbesStopped {}).at(seconds + 0.1, Event::RunFinished { outcome: Outcome::Completed })
    }

    fn entries(mut self) -> Vec<Entry> {
        self.0.sort_by_key(|(at, _)| *at);
        self.0.into_iter().enumerate().map(|(seq, (at, event))| Entry { seq: seq as u64, at, event }).collect()
    }

    fn judged_by(self, team: Value) -> Response {
        let (plan, entries) = (plan_of(team, Mode::Normal), self.entries());
        let stamps = Seen::stamps_of(&entries);
        response(&plan, &Seen::of(&entries, &stamps))
    }

    fn judged(self) -> Response {
        self.judged_by(team())
    }
}

/// Everything as it should be.
fn good() -> Drill {
    Drill::new()
        .alert(12.0, "DatabaseDown")
        .marks(30.0, "ops", "ack")
        .answers(50.0, "the primary")
        .step(70.0, "db#promote")
        .undone(80.0)
        .end(200.0)
}

fn said(response: &Response) -> Vec<(&str, Verdict, &str)> {
    response.expectations.iter().map(|(id, e)| (id.as_str(), e.verdict, e.why.as_str())).collect()
}

fn of<'a>(response: &'a Response, id: &str) -> &'a ExpectationFacts {
    &response.expectations[id]
}

#[test]
fn on_time_with_bounds_sources_and_entries() {
    let r = good().judged();
    assert_eq!(
        said(&r),
        [
            ("detected", Verdict::OnTime, "998 ms – 2 s after lose-primary took effect, within 30 s"),
            ("acknowledged", Verdict::OnTime, "18 – 19 s after detected, within 60 s"),
            ("diagnosed", Verdict::OnTime, "39.9 – 40 s after lose-primary took effect, within 2 min"),
            ("mitigated", Verdict::OnTime, "40 s after acknowledged, within 2 min"),
        ]
    );
    assert_eq!(r.stamps, Stamps { all: 4, machine: 1 });
    let detected = of(&r, "detected");
    assert_eq!((detected.source.as_deref(), detected.who.as_deref(), detected.machine), (Some("alertmanager"), Some("paging"), true));
    assert_eq!((of(&r, "acknowledged").source.as_deref(), of(&r, "acknowledged").machine), (Some("ops"), false));
    assert_eq!((r.wrong_turns["restarted-api"].turn, r.unrelated.len()), (Turn::Avoided, 0));
    assert_eq!(detected.entries, [4]);
}

#[test]
fn late_is_late_and_by_how_much() {
    let r = Drill::new().alert(45.0, "DatabaseDown").marks(120.0, "ops", "ack").end(300.0).judged();
    assert_eq!(
        (of(&r, "detected").verdict, of(&r, "detected").why.as_str()),
        (Verdict::Late, "33.9 – 35 s after lose-primary took effect; expected within 30 s")
    );
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::Late);
}

#[test]
fn too_close_to_call_is_neither() {
    let r = Drill::new().alert(40.5, "DatabaseDown").end(300.0).judged();
    assert_eq!(of(&r, "detected").verdict, Verdict::NotObserved);
    assert!(of(&r, "detected").why.contains("may be under or over 30 s"), "{}", of(&r, "detected").why);
}

#[test]
fn missed_needs_somebody_who_listened() {
    let nothing = Drill::new().end(300.0);
    let r = nothing.clone().judged();
    assert!(r.expectations.values().all(|e| e.verdict == Verdict::Missed), "{:?}", said(&r));
    assert_eq!(of(&r, "detected").why, "not within 30 s, nor later");
    // Counted from when `detected` was due, and `mitigated` from when that was.
    assert_eq!(of(&r, "mitigated").due, Some(s(10.002 + 30.0 + 60.0 + 120.0)));
    let r = nothing.clone().without(|e| matches!(e, Event::Team(TeamEvent::SourceReached { .. }))).judged();
    assert_eq!(of(&r, "detected").verdict, Verdict::NotObserved);
    assert_eq!(of(&r, "detected").why, "paging could not be asked all the time: it was never asked");
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::NotObserved, "nobody knows when it should have begun");
    assert_eq!(of(&r, "diagnosed").verdict, Verdict::Missed);
    let r = nothing.without(|e| matches!(e, Event::Team(TeamEvent::Listening { .. }))).judged();
    assert_eq!((of(&r, "detected").verdict, of(&r, "diagnosed").verdict), (Verdict::Missed, Verdict::NotObserved));
    assert_eq!(r.wrong_turns["restarted-api"].turn, Turn::NotObserved);
}

#[test]
fn a_source_that_was_away_shows_nothing_of_what_was_not_seen() {
    let lost = |at: f64| TeamEvent::SourceLost { source: "paging".into(), since: s(at), why: "refused".into() };
    let back = |at: f64| TeamEvent::SourceReached { source: "paging".into(), looked: s(at) };
    let away = |from: f64, to: f64| Drill::new().team(from + 1.0, lost(from)).team(to + 0.1, back(to)).end(300.0);
    assert_eq!(of(&away(20.0, 22.0).judged(), "detected").verdict, Verdict::Missed, "two looks are no gap");
    assert_eq!(of(&away(20.0, 30.0).judged(), "detected").verdict, Verdict::NotObserved);
    assert_eq!(of(&away(2.0, 9.0).judged(), "detected").verdict, Verdict::Missed, "before the fault");
    assert_eq!(of(&away(60.0, 90.0).judged(), "detected").verdict, Verdict::Missed, "after it was due");
    assert_eq!(of(&away(20.0, 30.0).alert(35.0, "DatabaseDown").judged(), "detected").verdict, Verdict::OnTime, "it was seen after all");
}

#[test]
fn a_wrong_order_is_shown() {
    let r = Drill::new()
        .alert(12.0, "DatabaseDown")
        .step(20.0, "db#promote")
        .marks(30.0, "ops", "ack")
        .answers(50.0, "database")
        .end(300.0)
        .judged();
    let mitigated = of(&r, "mitigated");
    assert!(mitigated.out_of_order);
    assert_eq!((mitigated.verdict, mitigated.why.as_str()), (Verdict::OnTime, "out of order: it came before acknowledged"));
    assert!(!of(&r, "acknowledged").out_of_order);
}

#[test]
fn whoever_needed_a_hint_is_late() {
    let hint = || TeamEvent::Hint { id: "destination".into(), say: "Look at errors.".into(), by: None };
    let r = good().team(40.0, hint()).judged();
    let diagnosed = of(&r, "diagnosed");
    assert!(diagnosed.hinted && diagnosed.verdict == Verdict::Late && diagnosed.why.ends_with("but only after a hint"), "{diagnosed:?}");
    assert_eq!(of(&r, "mitigated").verdict, Verdict::OnTime, "the hint was for another");
    assert_eq!(of(&good().team(60.0, hint()).judged(), "diagnosed").verdict, Verdict::OnTime, "it came too late to help");
}

#[test]
fn a_wrong_turn_costs_until_it_is_taken_back_or_something_is_met() {
    let taken = good().step(40.0, "api#restart");
    let r = taken.clone().judged();
    let turn = &r.wrong_turns["restarted-api"];
    assert_eq!((turn.turn, turn.lost, turn.by.as_deref()), (Turn::Taken, Some(Span::secs(10)), Some("ops")));
    assert_eq!(turn.why, "taken at 00:40; 10 s passed until diagnosed");
    let r = taken.says(44.0, "ops", Deed::Step { step: "api#restart".into(), back_out: true }).judged();
    let turn = &r.wrong_turns["restarted-api"];
    assert_eq!((turn.turn, turn.lost, turn.entries.len()), (Turn::BackedOut, Some(Span::secs(4)), 2));
    let r = good().step(60.0, "api#restart").judged();
    assert_eq!(r.wrong_turns["restarted-api"].turn, Turn::Avoided, "after the diagnosis it is none");
}

#[test]
fn a_hand_off_must_be_accepted() {
    let mut expected = team();
    expected["expect"]["escalated"] = json!({ "handoff": { "to": "dba" }, "by": "ops", "within": "60s" });
    let asked = good().says(20.0, "ops", Deed::Handoff { to: "dba".into() });
    let r = asked.clone().judged_by(expected.clone());
    assert_eq!(
        (of(&r, "escalated").verdict, of(&r, "escalated").why.as_str()),
        (Verdict::Missed, "asked at 00:20, and dba never accepted")
    );
    let r = asked.clone().says(30.0, "comms", Deed::Accept {}).judged_by(expected.clone());
    assert_eq!(of(&r, "escalated").verdict, Verdict::Missed, "accepted by another role");
    let r = asked.says(30.0, "dba", Deed::Accept {}).judged_by(expected);
    assert_eq!((of(&r, "escalated").verdict, of(&r, "escalated").entries.len()), (Verdict::OnTime, 2));
}

#[test]
fn two_who_mark_at_once_are_both_named() {
    let mut expected = team();
    expected["expect"]["acknowledged"].as_object_mut().unwrap().remove("by");
    let r = good().marks(30.0, "comms", "ack").judged_by(expected);
    let acked = of(&r, "acknowledged");
    assert_eq!((acked.source.as_deref(), acked.also.as_slice()), (Some("ops"), ["comms's person".to_owned()].as_slice()));
    assert_eq!(acked.entries.len(), 1);
    let r = good().without(|e| matches!(e, Event::Team(TeamEvent::Said(said)) if said.role == "ops")).marks(30.0, "comms", "ack").judged();
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::Missed, "it was expected of ops");
}

#[test]
fn what_comes_before_the_onset_is_no_response() {
    let early = Drill::new().alert(12.0, "DatabaseDown").marks(8.0, "ops", "ack").end(300.0);
    let r = early.clone().judged();
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::Missed);
    assert_eq!(of(&r, "acknowledged").why, "only at 00:08, before the fault took effect: that is no response to it");
    assert_eq!(of(&early.marks(30.0, "ops", "ack").judged(), "acknowledged").verdict, Verdict::OnTime);
}

#[test]
fn an_alert_that_fires_already_shows_nothing() {
    let r = Drill::new().alert(4.0, "DatabaseDown").end(300.0).judged();
    assert_eq!(of(&r, "detected").verdict, Verdict::NotObserved);
    assert_eq!(of(&r, "detected").why, "it was firing before lose-primary took effect: nothing is shown of how the fault is detected");
    // It ended and fired again: that is another one.
    let r = Drill::new().alert(4.0, "DatabaseDown").alert(14.0, "DatabaseDown").end(300.0).judged();
    assert_eq!(of(&r, "detected").verdict, Verdict::OnTime);
}

#[test]
fn repeated_updates_missed_once() {
    let mut expected = team();
    expected["expect"]["informed"] = json!({ "message": "stakeholders", "by": "comms", "within": "20s", "then_every": "10s" });
    let tell = |drill: Drill, at: f64| drill.says(at, "comms", Deed::Message { to: "stakeholders".into(), text: "x".into() });
    let told = [20.0, 29.0, 48.0, 57.0, 66.0].into_iter().fold(Drill::new(), tell).undone(70.0).end(200.0);
    let r = told.judged_by(expected.clone());
    let informed = of(&r, "informed");
    assert_eq!(informed.repeats, Some(Repeats { due: 5, kept: 4, missed: vec![s(39.0)] }));
    assert_eq!(informed.verdict, Verdict::Missed);
    assert!(informed.why.ends_with("then 1 of 5 repeats missed, the first due at 00:39"), "{}", informed.why);
    let told = [20.0, 29.0, 38.0, 47.0].into_iter().fold(Drill::new(), tell).undone(50.0).end(200.0);
    assert_eq!(of(&told.judged_by(expected), "informed").verdict, Verdict::OnTime);
}

#[test]
fn an_abort_in_the_middle_leaves_open_what_was_not_due() {
    let r = Drill::new()
        .alert(12.0, "DatabaseDown")
        .at(50.0, Event::AbortRequested { by: "dan".into(), reason: "real".into() })
        .marks(51.0, "ops", "note")
        .end(55.0)
        .judged();
    assert_eq!(of(&r, "detected").verdict, Verdict::OnTime);
    assert_eq!(
        (of(&r, "acknowledged").verdict, of(&r, "acknowledged").why.as_str()),
        (Verdict::NotObserved, "aborted by dan at 00:50, before it was due")
    );
    let aborted_late = Drill::new().at(150.0, Event::AbortRequested { by: "dan".into(), reason: "x".into() }).end(151.0).judged();
    assert_eq!(of(&aborted_late, "diagnosed").verdict, Verdict::Missed, "it was due before");
}

#[test]
fn what_is_due_after_the_system_has_healed_is_judged_all_the_same() {
    let healed =
        Drill::new().alert(12.0, "DatabaseDown").at(18.0, Event::Recovered { id: "lose-primary".into(), when: Interval::exact(s(15.0)) });
    let r = healed.clone().undone(20.0).marks(60.0, "ops", "ack").end(300.0).judged();
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::OnTime);
    assert_eq!(of(&healed.undone(20.0).end(300.0).judged(), "acknowledged").verdict, Verdict::Missed);
}

#[test]
fn a_condition_that_did_not_come_true_expects_nothing() {
    let mut expected = team();
    expected["expect"]["escalated"] =
        json!({ "handoff": { "to": "dba" }, "within": "30s", "when": { "after": "acknowledged", "plus": "60s", "unless": "mitigated" } });
    let r = good().judged_by(expected.clone());
    assert_eq!((of(&r, "escalated").verdict, of(&r, "escalated").why.as_str()), (Verdict::NotDue, "mitigated was met by then"));
    let slow = Drill::new().alert(12.0, "DatabaseDown").marks(30.0, "ops", "ack").end(400.0).judged_by(expected);
    assert_eq!(of(&slow, "escalated").verdict, Verdict::Missed);
    assert_eq!(of(&slow, "escalated").due, Some(s(120.0)));
}

#[test]
fn what_must_never_happen_and_what_nobody_expected() {
    let mut expected = team();
    expected["expect"]["no-noise"] = json!({ "alert": { "labels": { "alertname": "DiskFull" } }, "within": "60s", "never": true });
    let r = good().judged_by(expected.clone());
    assert_eq!((of(&r, "no-noise").verdict, of(&r, "no-noise").why.as_str()), (Verdict::OnTime, "it did not happen within 60 s"));
    let r = good().alert(20.0, "DiskFull").alert(25.0, "CacheCold").alert(26.0, "CacheCold").alert(3.0, "Old").judged_by(expected.clone());
    assert_eq!((of(&r, "no-noise").verdict, of(&r, "no-noise").why.as_str()), (Verdict::Missed, "it happened at 00:20, and must not"));
    assert_eq!(r.unrelated.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["CacheCold"]);
    let blind = good().without(|e| matches!(e, Event::Team(TeamEvent::SourceReached { .. }))).judged_by(expected);
    assert_eq!(of(&blind, "no-noise").verdict, Verdict::NotObserved, "nobody looked");
}

#[test]
fn a_tabletop_counts_from_calm_and_expects_no_alert() {
    let (plan, entries) = (plan_of(team(), Mode::Tabletop), {
        let drill = Drill::new().without(|e| matches!(e, Event::Effective { .. }));
        drill.marks(30.0, "ops", "ack").answers(50.0, "the primary").end(400.0).entries()
    });
    let stamps = Seen::stamps_of(&entries);
    let r = response(&plan, &Seen::of(&entries, &stamps));
    let verdicts: Vec<Verdict> = r.expectations.values().map(|e| e.verdict).collect();
    assert_eq!(verdicts, [Verdict::NotDue, Verdict::OnTime, Verdict::OnTime, Verdict::Missed]);
    assert_eq!(of(&r, "acknowledged").took, Some((Span::secs(25), Span::secs(25))));
}

#[test]
fn nobody_takes_part_and_nothing_took_effect() {
    let mut plan = plan_of(team(), Mode::Normal);
    plan.team.as_mut().unwrap().unattended = true;
    let entries = Drill::new().alert(12.0, "DatabaseDown").end(300.0).entries();
    let stamps = Seen::stamps_of(&entries);
    let r = response(&plan, &Seen::of(&entries, &stamps));
    assert_eq!(of(&r, "detected").verdict, Verdict::OnTime);
    assert_eq!((of(&r, "diagnosed").verdict, of(&r, "diagnosed").why.as_str()), (Verdict::NotObserved, "nobody took part"));
    let r = good().without(|e| matches!(e, Event::Effective { .. })).judged();
    assert!(r.expectations.values().all(|e| e.verdict == Verdict::NotObserved), "{:?}", said(&r));
    assert_eq!(of(&r, "detected").why, "lose-primary did not take effect");
}

#[test]
fn who_claims_another_time_is_judged_by_it_and_both_are_kept() {
    let late =
        Said { role: "ops".into(), by: "dan".into(), claimed: Some(s(40.0)), deed: Deed::Mark { mark: "ack".into(), text: String::new() } };
    let r = Drill::new().alert(12.0, "DatabaseDown").team(150.0, TeamEvent::Said(late)).end(300.0).judged();
    let acked = of(&r, "acknowledged");
    assert_eq!((acked.verdict, acked.at, acked.received), (Verdict::OnTime, Some(Interval::exact(s(40.0))), Some(s(150.0))));
}

#[test]
fn while_a_run_goes_on_what_is_not_there_is_open() {
    let plan = plan_of(team(), Mode::Normal);
    let entries = Drill::new().alert(12.0, "DatabaseDown").entries();
    let stamps = Seen::stamps_of(&entries);
    let seen = Seen { open: true, until: s(20.0), ..Seen::of(&entries, &stamps) };
    let r = response(&plan, &seen);
    assert_eq!(of(&r, "detected").verdict, Verdict::OnTime);
    assert_eq!((of(&r, "acknowledged").why.as_str(), of(&r, "acknowledged").due), ("", Some(s(72.0))));
    assert_eq!(of(&r, "mitigated").due, None);
    let later = response(&plan, &Seen { until: s(100.0), ..seen });
    assert_eq!(of(&later, "acknowledged").verdict, Verdict::Missed);
    assert_eq!(plan.team.unwrap().expect.keys().map(Id::as_str).count(), 4);
}

/// With a receiver beside the source that is asked, and PagerDuty.
fn called() -> Value {
    let mut team = team();
    team["roles"] = json!({ "ops": ["Dana Ops"], "comms": ["erin"], "dba": ["gina"] });
    team["listen"] = json!({ "address": "127.0.0.1:8123" });
    team["signals"] = json!({
        "hook": { "receive.alertmanager": { "token": "${secret:t}" } },
        "pager": { "receive.pagerduty": { "secret": "${secret:t}" } },
    });
    team
}

fn told(name: &str, arrived: f64, starts: f64) -> TeamEvent {
    TeamEvent::Alert(AlertSeen {
        source: "hook".into(),
        kind: "alertmanager".into(),
        name: name.into(),
        labels: BTreeMap::from([("alertname".into(), name.into()), ("severity".into(), "page".into())]),
        key: "another key".into(),
        firing: true,
        when: Interval::exact(s(arrived)),
        starts_at: None,
        starts: Some((starts * 1e9) as i64),
        pushed: true,
    })
}

fn took(role: Option<&[&str]>, at: f64) -> TeamEvent {
    TeamEvent::Acked(AckSeen {
        source: "pager".into(),
        kind: "pagerduty".into(),
        who: "Dana Ops".into(),
        roles: role.map(|roles| roles.iter().map(|role| (*role).to_owned()).collect()),
        of: "A bump".into(),
        key: "P1".into(),
        when: Interval::exact(s(at)),
        acked_at: None,
        acked: Some((at * 1e9) as i64),
        pushed: true,
    })
}

fn listening() -> Drill {
    let reached = |source: &str| TeamEvent::SourceReached { source: source.into(), looked: s(0.1) };
    Drill::new()
        .without(|event| matches!(event, Event::Team(TeamEvent::SourceReached { .. })))
        .team(0.1, reached("hook"))
        .team(0.1, reached("pager"))
}

#[test]
fn what_is_told_has_the_time_of_its_arrival() {
    let r = listening().team(14.0, told("DatabaseDown", 14.0, 11.5)).team(20.0, took(Some(&["ops"]), 20.0)).end(200.0).judged_by(called());
    assert_eq!(
        (of(&r, "detected").verdict, of(&r, "detected").why.as_str()),
        (Verdict::OnTime, "4 s after lose-primary took effect, within 30 s")
    );
    let acked = of(&r, "acknowledged");
    assert_eq!(
        (acked.verdict, acked.source.as_deref(), acked.who.as_deref(), acked.machine),
        (Verdict::OnTime, Some("pagerduty"), Some("Dana Ops"), true)
    );
    let r = listening().team(45.0, told("DatabaseDown", 45.0, 11.5)).end(200.0).judged_by(called());
    assert_eq!(of(&r, "detected").verdict, Verdict::Late, "who hears of it late detects it late");
}

#[test]
fn what_its_sender_says_began_before_the_fault_shows_nothing() {
    let r = listening().team(14.0, told("DatabaseDown", 14.0, 9.0)).end(200.0).judged_by(called());
    assert_eq!(of(&r, "detected").verdict, Verdict::NotObserved, "{}", of(&r, "detected").why);
    let r = listening().end(200.0).judged_by(called());
    assert_eq!(of(&r, "detected").verdict, Verdict::Missed, "it listened, and nobody told it");
    let r = Drill::new().end(200.0).judged_by(called());
    assert_eq!(of(&r, "detected").verdict, Verdict::NotObserved, "it never listened");
}

#[test]
fn a_page_is_taken_by_whoever_has_the_role_there() {
    let acked = |role: Option<&[&str]>| {
        of(
            &listening().team(14.0, told("DatabaseDown", 14.0, 11.0)).team(20.0, took(role, 20.0)).end(200.0).judged_by(called()),
            "acknowledged",
        )
        .verdict
    };
    assert_eq!((acked(Some(&["dba"])), acked(Some(&["dba", "ops"])), acked(None)), (Verdict::Missed, Verdict::OnTime, Verdict::OnTime));
    let dark = listening().without(|event| matches!(event, Event::Team(TeamEvent::SourceReached { source, .. }) if source == "pager"));
    let r = dark.team(14.0, told("DatabaseDown", 14.0, 11.0)).end(200.0).judged_by(called());
    assert_eq!(of(&r, "acknowledged").verdict, Verdict::NotObserved, "it may have been taken where nobody looked");
}

#[test]
fn asked_for_and_told_of_it_is_one_alert() {
    let mut team = called();
    team["signals"]["paging"] = json!({ "alertmanager": { "url": "http://127.0.0.1:9093" } });
    let both = listening().team(1.0, TeamEvent::SourceReached { source: "paging".into(), looked: s(0.9) });
    let r = both.alert(12.0, "Unheard").team(12.5, told("Unheard", 12.5, 11.5)).end(200.0).judged_by(team);
    assert_eq!(r.unrelated.len(), 1, "{:?}", r.unrelated);
}
