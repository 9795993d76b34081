//! Made-up runs for the tests of `score` and `report`: one that passed, and what becomes of it when one thing goes wrong.
//! It must never be part of the program.

mod run;
mod team;

use indexmap::IndexMap;
use serde_json::json;

use crate::base::{Interval, Span};
use crate::measure::facts::*;
use crate::plan::{Mode, Plan};
use crate::response::Response;

pub(crate) use run::{facts, plan};
use run::{ms, part, seconds};

/// A plan, its facts and a name.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
}

fn make(name: &'static str, change: impl FnOnce(&mut Plan, &mut Facts)) -> Sample {
    let (mut plan, mut facts) = (plan(), facts());
    change(&mut plan, &mut facts);
    Sample { name, plan, facts }
}

fn checkout(facts: &mut Facts) -> &mut ClaimFacts {
    &mut facts.claims["checkout-node-loss"]
}

fn undecided(facts: &mut Facts, why: &str) {
    let claim = checkout(facts);
    let part = part(Judged::Inconclusive, why);
    claim.verdict = Judged::Inconclusive;
    if let Some(rto) = &mut claim.rto {
        (rto.part, rto.measured, rto.self_recovered) = (part.clone(), None, None);
    }
    claim.rpo = None;
    claim.availability = None;
    claim.latency = None;
    claim.by = None;
    claim.holds.clear();
    facts.steady_after = SteadyAfter::NotReached;
}

fn without_fault(facts: &mut Facts, phase: &str, why: &str) {
    let e = &mut facts.episodes["lose-primary"];
    *e = Episode { phase: phase.into(), why_not: Some(why.into()), times: IndexMap::new(), ..e.clone() };
    if phase != "undone" {
        (e.command, e.acknowledged, e.undo_started, e.undone, e.by_hand) = (None, None, None, None, None);
        facts.timeline.retain(|m| m.at < ms(29_000));
    }
    (e.effective, e.stable_up, e.first_up, e.self_recovered, e.effect_seen) = (None, None, None, None, None);
    let probe = &mut facts.probes["checkout"];
    probe.outages.clear();
    probe.served_by = vec![("a".into(), None)];
    probe.phases.retain(|name, _| name == "before");
    probe.seconds = seconds(0, 0, 40);
    facts.run.end = ms(40_000);
    facts.timeline.retain(|m| m.at < ms(30_001));
    facts.ledgers.clear();
    facts.team = team::told(&plan(), false, false);
    facts.prober.tainted.clear();
    facts.validity.tainted_seconds = 0;
}

fn failed(_: &mut Plan, facts: &mut Facts) {
    let claim = checkout(facts);
    claim.verdict = Judged::Failed;
    if let Some(rto) = &mut claim.rto {
        rto.part = part(Judged::Failed, "checkout was stably up 14.2 – 14.4 s after effect; the objective is 10 s");
        rto.measured = Some(Range { lo: Span::millis(14_212), hi: Some(Span::millis(14_318)), point: Some(Span::millis(14_250)) });
    }
    let window = LossWindow {
        window: Span::millis(3_700),
        between_lost: Span::millis(3_600),
        lost: 37,
        resolution: Some(Span::millis(104)),
        acknowledged_before: 301,
        blind: Span::millis(50),
        point: Some(Span::millis(3_720)),
    };
    if let Some(rpo) = &mut claim.rpo {
        rpo.part = part(Judged::Failed, "37 acknowledged writes are missing");
        rpo.window = Some(window);
    }
    if let Some(availability) = &mut claim.availability {
        availability.part = part(Judged::Failed, "checkout was up 84.1 – 84.3 % of 90 s after effect; the objective is 90 %");
        (availability.by_time_lo, availability.by_time_hi, availability.by_requests) = (Some(0.8411), Some(0.8427), Some(0.842));
    }
    facts.ledgers["orders"].lost = (264..301).collect();
    facts.episodes["lose-primary"].stable_up = Some(Interval::new(ms(44_218), ms(44_320)));
    let probe = &mut facts.probes["checkout"];
    probe.seconds = seconds(30_020, 44_250, 120);
    let outage = &mut probe.outages[0];
    (outage.recovery, outage.lo, outage.hi) = (Interval::new(ms(44_218), ms(44_320)), Span::millis(14_161), Some(Span::millis(14_314)));
}

fn censored(_: &mut Plan, facts: &mut Facts) {
    let claim = checkout(facts);
    claim.verdict = Judged::Failed;
    if let Some(rto) = &mut claim.rto {
        rto.part = part(
            Judged::Failed,
            "checkout was not stably up more than 89.9 s after effect; the objective is 10 s; watching ended before it was shown",
        );
        rto.measured = Some(Range { lo: Span::millis(89_944), hi: None, point: None });
        rto.self_recovered = Some(false);
    }
    let open = Interval { lo: ms(119_950), hi: None };
    facts.episodes["lose-primary"].stable_up = Some(open);
    facts.episodes["lose-primary"].first_up = None;
    let probe = &mut facts.probes["checkout"];
    probe.seconds = seconds(30_020, 120_000, 120);
    let outage = &mut probe.outages[0];
    (outage.recovery, outage.lo, outage.hi, outage.point, outage.censored) = (open, Span::millis(89_893), None, None, true);
    facts.steady_after = SteadyAfter::Missed("checkout success 0 % is below 99.5 %".into());
}

fn stuck(_: &mut Plan, facts: &mut Facts) {
    undecided(facts, "the run ended before recovery could be measured");
    facts.run.outcome = Some(Ended::Stuck);
    facts.run.aborted = Some("an undo failed".into());
    facts.episodes["lose-primary"].phase = "undo_failed".into();
    facts.episodes["lose-primary"].undone = None;
    facts.owed = vec![Owed {
        id: "lose-primary".into(),
        targets: vec!["primary, pid 4121 on db-1".into()],
        since: ms(29_900),
        undo: serde_json::from_value(json!({ "kind": "process.kill", "detail": {}, "by_hand": "pg_ctl -D /srv/pg/a start" })).unwrap(),
        tried: vec!["attempt 1: exit 1: could not start server".into(), "attempt 2: exit 1: lock file \"postmaster.pid\" exists".into()],
    }];
}

/// Every sample.
pub(crate) fn all() -> Vec<Sample> {
    vec![
        make("passed", |_, _| {}),
        make("failed", failed),
        make("aborted", |_, f| {
            undecided(f, "the run was aborted before recovery could be measured");
            f.run.outcome = Some(Ended::Aborted);
            f.run.aborted = Some("guard neighbours was breached: value 7 is above 5".into());
        }),
        make("not-steady", |_, f| {
            undecided(f, "not run: steady state was not shown");
            without_fault(f, "not_run", "steady state was not shown");
            f.run.outcome = Some(Ended::NotSteady);
            f.steady_before = None;
            f.timeline.truncate(1);
            f.timeline[0].text = "not steady: checkout success 97.2 % is below 99.5 %; nothing is injected".into();
        }),
        make("not-confirmed", |_, f| {
            undecided(f, "the fault was not confirmed");
            without_fault(f, "undone", "127.0.0.1:6001 still accepts connections after 5 s");
            checkout(f).verdict = Judged::Invalid;
            checkout(f).rto.as_mut().unwrap().part.verdict = Judged::Invalid;
            f.validity =
                Validity { valid: false, reasons: vec!["fault lose-primary was not confirmed".into()], of_run: vec![], tainted_seconds: 0 };
        }),
        make("stuck", stuck),
        make("inconclusive", |_, f| {
            let claim = checkout(f);
            claim.verdict = Judged::Inconclusive;
            let rto = claim.rto.as_mut().unwrap();
            rto.part = part(
                Judged::Inconclusive,
                "checkout was stably up 9.95 – 10.1 s after effect, which may be under or over 10 s; an interval of 10 ms or less would decide it (resolution; it is 50 ms)",
            );
            rto.measured = Some(Range { lo: Span::millis(9_951), hi: Some(Span::millis(10_049)), point: Some(Span::secs(10)) });
        }),
        make("censored", censored),
        make("no-claims", |p, f| {
            p.claims.clear();
            f.claims.clear();
        }),
        make("unfinished", |_, f| {
            undecided(f, "the journal has no end");
            f.run.outcome = None;
        }),
        make("team-failed", |p, f| f.team = team::told(p, true, true)),
        make("laptop", |p, _| p.environment = crate::plan::Environment::Laptop),
        make("baseline", |p, f| {
            undecided(f, "not run");
            without_fault(f, "planned", "baseline only");
            p.mode = Mode::Baseline;
        }),
        make("tabletop", |p, f| {
            undecided(f, "not run");
            without_fault(f, "not_run", "tabletop");
            f.team = Response::default();
            p.mode = Mode::Tabletop;
        }),
    ]
}
