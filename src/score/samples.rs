//! Made-up runs for the tests of `score` and `report`: one that passed, and what becomes of it when one thing goes wrong.

use indexmap::IndexMap;
use serde_json::json;

use crate::base::{At, Interval, Span};
use crate::event::{Class, Outcome, UndoRecord};
use crate::measure::facts::*;
use crate::plan::{By, Mode, PhaseName, Plan, RtoFrom};

/// A plan, its facts and a name.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) plan: Plan,
    pub(crate) facts: Facts,
}

fn ms(n: u64) -> At {
    At(Span::millis(n).0)
}

pub(crate) fn plan() -> Plan {
    let tcp = |every: &str| {
        json!({ "kind": "tcp", "spec": { "address": "127.0.0.1:6001" }, "expect": { "outcome": { "equals": "refused" } },
                "every": every, "within": "5s", "timeout": "1s" })
    };
    let value = json!({
        "schema": 1, "name": "postgres-primary-loss", "base_dir": "/srv/drills", "title": "The primary database is lost during checkout",
        "why": "Payments claims a ten-second failover with no lost orders. We have never shown it.", "owner": "payments-sre",
        "environment": "staging", "test": "recovery", "mode": "normal",
        "scenario_digest": "sha256:5b1f0c", "secrets": {}, "system": {}, "proxies": {}, "targets": {},
        "probes": {
            "checkout": { "kind": "http", "spec": { "url": "http://127.0.0.1:8080/orders", "method": "POST" }, "rate": "20/s", "timeout": "800ms",
                          "expect": {}, "served_by": { "header": "x-node" }, "control": false, "in_flight": 20, "ledger": false },
            "orders": { "kind": "ledger.http", "spec": {}, "rate": "10/s", "timeout": "1s", "expect": {}, "control": false, "in_flight": 12, "ledger": true } },
        "steady": { "over": "10s", "probes": { "checkout": { "success": { "min": "99.5%" }, "p99": { "max": "300ms" } } } },
        "guards": { "neighbours": { "look": tcp("1s"), "breaches": 2, "grace": "3s" } },
        "faults": { "lose-primary": { "kind": "process.kill", "spec": { "system": "primary", "signal": "KILL" },
            "at": { "after": "steady", "plus": "20s" }, "hold": "once", "confirm": tcp("50ms"), "confirm_every": "50ms", "confirm_within": "5s",
            "recovery_within": "60s", "stable_for": "10s", "recovered_by": ["checkout"] } },
        "restore": {},
        "claims": { "checkout-node-loss": { "fault": "lose-primary", "service": "checkout", "disruption": "node-loss", "measured_by": ["checkout"],
            "rto": { "max": "10s", "from": "effect" }, "rpo": { "max": "0s", "ledger": "orders" }, "availability": { "min": "90%", "over": "1m30s" },
            "latency": { "p99": { "max": "800ms" }, "phase": "after" }, "by": "another-instance", "holds": {
                "no-writes-on-minority": { "probe": "checkout", "success": { "max": "0%" }, "from": { "after": { "effective": "lose-primary" }, "plus": "5s" } } } } },
        "subject": {}, "baseline_within": "60s", "settle_within": "60s",
        "not_judged": ["team.expect.detected"],
        "carried": { "team": { "expect": { "detected": { "alert": {}, "within": "30s" } } }, "score": { "impact": "Orders stop; about 900 a minute at peak." } }
    });
    serde_json::from_value(value).unwrap()
}

fn percentiles(p50: u64, p99: u64, max: u64) -> Percentiles {
    let us = Span::micros;
    Percentiles { p50: us(p50), p90: us(p99 / 2), p95: us(p99 * 2 / 3), p99: us(p99), p999: us(max), max: us(max), censored_from: None }
}

fn phase(length: u64, bad: u64, p: Percentiles) -> PhaseFacts {
    let planned = length * 20;
    let by_class = if bad == 0 { IndexMap::new() } else { IndexMap::from([(Class::Refused, bad)]) };
    // A log-spaced histogram with a hump at the median.
    let histogram =
        (0..24u64).map(|i| (Span((200_000.0 * 1.42_f64.powi(i as i32)) as u64), 400 / (1 + i.abs_diff(11) * i.abs_diff(11)))).collect();
    PhaseFacts {
        counts: Counts { planned, ok: planned - bad, bad, local: 0, capped: 0, by_class },
        length: Span::secs(length),
        response: Some(p),
        service_ok: Some(p),
        lag_p99: Some(Span::micros(310)),
        tainted: false,
        histogram,
    }
}

/// A wobble that is the same each time.
fn wobble(i: u64) -> u64 {
    (i.wrapping_mul(2_654_435_761) >> 7) % 1000
}

fn seconds(from_ms: u64, until_ms: u64, end: u64) -> Vec<Second> {
    (0..end)
        .map(|s| {
            let (start, stop) = (s * 1000, s * 1000 + 1000);
            let down = until_ms.min(stop).saturating_sub(from_ms.max(start)).min(1000);
            let bad = (down / 50) as u32;
            let quick = Span::micros(4_000 + wobble(s) * 4);
            let slow = Span::micros(9_000 + wobble(s + 7) * 9 + if stop > until_ms && s * 1000 < until_ms + 4_000 { 60_000 } else { 0 });
            let all_bad = bad >= 20;
            Second {
                at: ms(start),
                ok: 20 - bad,
                bad,
                other: u32::from(s == 71),
                p50: Some(if all_bad { Span::micros(310) } else { quick }),
                p99: Some(if bad > 0 { Span::millis(800) } else { slow }),
                max: Some(if bad > 0 { Span::millis(801) } else { slow }),
                tainted: s == 71,
            }
        })
        .collect()
}

fn probe(end: u64) -> ProbeFacts {
    let outage = Outage {
        onset: Interval::new(ms(30_006), ms(30_057)),
        recovery: Interval::new(ms(37_318), ms(37_420)),
        point: Some(Span::millis(7_350)),
        lo: Span::millis(7_261),
        hi: Some(Span::millis(7_414)),
        censored: false,
        samples: 147,
        reason: "connection refused".into(),
        widened: false,
    };
    let counts = Counts {
        planned: end * 20,
        ok: end * 20 - 148,
        bad: 147,
        local: 1,
        capped: 0,
        by_class: IndexMap::from([(Class::Refused, 140), (Class::Timeout, 7)]),
    };
    let slow = Percentiles { censored_from: Some(99), ..percentiles(4_000, 800_000, 800_000) };
    ProbeFacts {
        kind: "http".into(),
        control: false,
        interval: Span::millis(50),
        timeout: Span::millis(800),
        min_detectable: Span::millis(50),
        valid: true,
        samples: counts,
        served_by: vec![("a".into(), Some(ms(30_020))), ("b".into(), None)],
        outages: vec![outage],
        phases: IndexMap::from([
            ("before".into(), phase(30, 0, percentiles(4_900, 11_000, 21_000))),
            ("lose-primary.during".into(), phase(18, 147, slow)),
            ("lose-primary.after".into(), phase(end - 48, 0, percentiles(5_100, 14_000, 33_000))),
        ]),
        seconds: seconds(30_020, 37_350, end),
    }
}

fn part(verdict: Judged, why: &str) -> PartVerdict {
    PartVerdict { verdict, why: why.into() }
}

fn claim() -> ClaimFacts {
    let p = Judged::Passed;
    let measured = Range { lo: Span::millis(7_312), hi: Some(Span::millis(7_418)), point: Some(Span::millis(7_350)) };
    ClaimFacts {
        fault: "lose-primary".into(),
        verdict: p,
        rto: Some(RtoFacts {
            part: part(p, "recovery took 7.31 – 7.42 s, within 10 s"),
            from: RtoFrom::Effect,
            claimed: Span::secs(10),
            measured: Some(measured),
            self_recovered: Some(true),
        }),
        rpo: Some(RpoFacts {
            part: part(p, "no acknowledged write is missing"),
            ledger: "orders".into(),
            claimed: Span::ZERO,
            window: Some(LossWindow { window: Span::ZERO, lost: 0, resolution: Some(Span::millis(104)), acknowledged_before: 301 }),
        }),
        availability: Some(AvailabilityFacts {
            part: part(p, "at least 91.7 % of the time"),
            claimed: 0.9,
            over: Span::secs(90),
            by_time_lo: Some(0.9176),
            by_time_hi: Some(0.9193),
            by_requests: Some(0.9183),
        }),
        latency: Some(LatencyFacts {
            part: part(p, "p99 14 ms is within 800 ms"),
            phase: PhaseName::After,
            quantiles: IndexMap::from([("p99".into(), (Span::millis(800), Some(Span::millis(14))))]),
        }),
        by: Some(ByFacts {
            part: part(p, "a answered before and b after"),
            claimed: By::AnotherInstance,
            before: Some("a".into()),
            after: Some("b".into()),
        }),
        holds: IndexMap::from([(
            "no-writes-on-minority".into(),
            HoldsFacts { part: part(p, "none of 240 samples was accepted"), share: Some(0.0), samples: 240 },
        )]),
    }
}

fn timeline() -> Vec<Moment> {
    let m = |at: u64, bounds: Option<(u64, u64)>, what: &str, text: &str, source: &str, seq: u64| Moment {
        at: ms(at),
        bounds: bounds.map(|(a, b)| Interval::new(ms(a), ms(b))),
        what: what.into(),
        text: text.into(),
        source: source.into(),
        seq,
    };
    vec![
        m(10_000, None, "baseline", "steady for 10 s: checkout 100 %, p99 11 ms, served by a", "firedrill", 40),
        m(30_000, None, "inject", "SIGKILL to primary, pid 4121", "firedrill", 62),
        m(30_006, Some((30_002, 30_006)), "effective", "127.0.0.1:6001 refuses connections", "firedrill", 64),
        m(30_057, Some((30_006, 30_057)), "checkout", "failing: connection refused", "probe checkout", 65),
        m(37_420, Some((37_318, 37_420)), "checkout", "answering again, served by b", "probe checkout", 88),
        m(47_420, None, "recovered", "steady for 10 s", "firedrill", 101),
        m(48_000, None, "undo", "primary's process started again, verified", "firedrill", 103),
        m(119_000, None, "settle", "steady for 10 s after undo; 1,043 writes acknowledged, 1,043 found", "firedrill", 160),
    ]
}

fn episode() -> Episode {
    let range = |lo, hi| Range { lo: Span::millis(lo), hi: Some(Span::millis(hi)), point: None };
    Episode {
        kind: "process.kill".into(),
        phase: "undone".into(),
        targets: vec!["primary, pid 4121".into()],
        summary: "SIGKILL to primary, pid 4121".into(),
        command: Some(ms(30_000)),
        acknowledged: Some(ms(30_001)),
        effective: Some(Interval::new(ms(30_002), ms(30_006))),
        effect_seen: Some("127.0.0.1:6001 refuses connections".into()),
        undo_started: Some(ms(47_500)),
        undone: Some(Interval::new(ms(47_900), ms(48_000))),
        first_up: Some(ms(37_370)),
        stable_up: Some(Interval::new(ms(37_318), ms(37_420))),
        flaps: 0,
        self_recovered: Some(true),
        why_not: None,
        by_hand: Some("pg_ctl -D /srv/pg/a start".into()),
        min_detectable: Span::millis(50),
        times: IndexMap::from([
            ("time_to_effect".into(), range(2, 6)),
            ("time_to_impact".into(), range(0, 55)),
            ("outage".into(), range(7_261, 7_414)),
            ("recovery_time".into(), range(7_312, 7_418)),
            ("failover_time".into(), range(7_261, 7_414)),
        ]),
    }
}

pub(crate) fn facts() -> Facts {
    let ledger = LedgerFacts {
        attempted: 1_200,
        acknowledged: 1_043,
        failed: 154,
        unknown: 3,
        lost: vec![],
        duplicated: 0,
        unexpected: 0,
        resurrected: 0,
        recovered: 2,
        windows: IndexMap::new(),
        divergent: vec![],
        not_read: None,
    };
    Facts {
        run: RunFacts {
            id: "01JD8Z4Q2V7W3N5T9X6M1K0RCE".into(),
            firedrill: "0.1.0".into(),
            plan_digest: "sha256:9d7f3a".into(),
            boot_id: "0b1c7c3e-6a0f-4a83-9c51-8f1f5b1a2d44".into(),
            start_mono_ns: 5_000_000_000_000,
            started_at: "2026-11-19T09:30:00.000000000Z".into(),
            outcome: Some(Outcome::Completed),
            end: ms(120_000),
            aborted: None,
            taken_over: None,
        },
        validity: Validity { valid: true, reasons: vec![], tainted_seconds: 1 },
        subject: IndexMap::from([("engine".into(), (Some("postgres 17.2".into()), Some("postgres 17.2".into())))]),
        episodes: IndexMap::from([("lose-primary".into(), episode())]),
        guards: IndexMap::from([("neighbours".into(), None)]),
        probes: IndexMap::from([("checkout".into(), probe(120))]),
        ledgers: IndexMap::from([("orders".into(), ledger)]),
        claims: IndexMap::from([("checkout-node-loss".into(), claim())]),
        restore: IndexMap::from([("rejoin".into(), ("done".into(), "rejoined as a replica".into()))]),
        steady_before: Some((ms(0), "checkout 100 %, p99 11 ms, served by a".into())),
        steady_after: SteadyAfter::Held(ms(109_000)),
        owed: vec![],
        left_to: vec![],
        timeline: timeline(),
        prober: ProberFacts {
            lag_p99: Some(Span::micros(310)),
            stalls: 1,
            longest_stall: Span::millis(61),
            clock_steps: 0,
            suspends: 0,
            tainted: vec![(ms(71_000), "the prober stood still for 61 ms".into())],
        },
    }
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
    (e.effective, e.stable_up, e.first_up, e.self_recovered, e.effect_seen) = (None, None, None, None, None);
    let probe = &mut facts.probes["checkout"];
    probe.outages.clear();
    probe.seconds = seconds(0, 0, 40);
    facts.run.end = ms(40_000);
    facts.timeline.retain(|m| m.at < ms(30_001));
}

fn failed(_: &mut Plan, facts: &mut Facts) {
    let claim = checkout(facts);
    claim.verdict = Judged::Failed;
    if let Some(rto) = &mut claim.rto {
        rto.part = part(Judged::Failed, "recovery took 14.21 – 14.32 s, longer than 10 s");
        rto.measured = Some(Range { lo: Span::millis(14_212), hi: Some(Span::millis(14_318)), point: Some(Span::millis(14_250)) });
    }
    let window = LossWindow { window: Span::millis(3_700), lost: 37, resolution: Some(Span::millis(104)), acknowledged_before: 301 };
    if let Some(rpo) = &mut claim.rpo {
        rpo.part = part(Judged::Failed, "37 acknowledged writes are missing");
        rpo.window = Some(window);
    }
    if let Some(availability) = &mut claim.availability {
        availability.part = part(Judged::Failed, "at most 84.3 % of the time");
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
        rto.part = part(Judged::Failed, "not back 89.9 s after the effect, when watching stopped");
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
    facts.run.outcome = Some(Outcome::Stuck);
    facts.run.aborted = Some("an undo failed".into());
    facts.episodes["lose-primary"].phase = "undo_failed".into();
    facts.episodes["lose-primary"].undone = None;
    facts.owed = vec![Owed {
        id: "lose-primary".into(),
        targets: vec!["primary, pid 4121 on db-1".into()],
        since: ms(29_900),
        undo: UndoRecord { kind: "process.kill".into(), detail: json!({}), by_hand: "pg_ctl -D /srv/pg/a start".into(), declared: None },
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
            f.run.outcome = Some(Outcome::Aborted);
            f.run.aborted = Some("guard neighbours was breached: value 7 is above 5".into());
        }),
        make("not-steady", |_, f| {
            undecided(f, "not run: steady state was not shown");
            without_fault(f, "not_run", "steady state was not shown");
            f.run.outcome = Some(Outcome::NotSteady);
            f.steady_before = None;
            f.timeline.truncate(1);
            f.timeline[0].text = "not steady within 60 s: checkout success 97.2 % is below 99.5 %".into();
        }),
        make("not-confirmed", |_, f| {
            undecided(f, "the fault was not confirmed");
            without_fault(f, "undone", "127.0.0.1:6001 still accepts connections after 5 s");
            checkout(f).verdict = Judged::Invalid;
            checkout(f).rto.as_mut().unwrap().part.verdict = Judged::Invalid;
            f.validity = Validity { valid: false, reasons: vec!["fault lose-primary was not confirmed".into()], tainted_seconds: 0 };
        }),
        make("stuck", stuck),
        make("inconclusive", |_, f| {
            let claim = checkout(f);
            claim.verdict = Judged::Inconclusive;
            let rto = claim.rto.as_mut().unwrap();
            rto.part = part(Judged::Inconclusive, "10 s lies within 9.95 – 10.05 s; a probe interval of 10 ms would decide it");
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
        make("laptop", |p, _| p.environment = crate::plan::Environment::Laptop),
        make("baseline", |p, f| {
            undecided(f, "not run");
            without_fault(f, "planned", "baseline only");
            p.mode = Mode::Baseline;
        }),
        make("tabletop", |p, f| {
            undecided(f, "not run");
            without_fault(f, "not_run", "tabletop");
            p.mode = Mode::Tabletop;
        }),
    ]
}
