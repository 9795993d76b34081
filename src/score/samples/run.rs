//! The run that passed: its plan and its facts.

use indexmap::IndexMap;
use serde_json::json;

use crate::base::{At, Interval, Span};
use crate::event::Calibrated;
use crate::measure::facts::*;
use crate::plan::{By, PhaseName, Plan, RtoFrom};

pub(super) fn ms(n: u64) -> At {
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
        "not_judged": ["team.prompts.key-account"],
        "team": super::team::plan(),
        "carried": { "team": {}, "score": { "impact": "Orders stop; about 900 a minute at peak." } }
    });
    serde_json::from_value(value).unwrap()
}

fn percentiles(p50: u64, p99: u64, max: u64) -> Percentiles {
    let us = Span::micros;
    Percentiles { p50: us(p50), p90: us(p99 / 2), p95: us(p99 * 2 / 3), p99: us(p99), p999: us(max), max: us(max), censored_from: None }
}

fn phase(length: u64, bad: u64, p: Percentiles) -> PhaseFacts {
    let planned = length * 20;
    let by_class = if bad == 0 { IndexMap::new() } else { serde_json::from_value(json!({ "refused": bad })).unwrap() };
    // A log-spaced histogram with a hump at the median.
    let histogram =
        (0..24u64).map(|i| (Span((200_000.0 * 1.42_f64.powi(i as i32)) as u64), 400 / (1 + i.abs_diff(11) * i.abs_diff(11)))).collect();
    PhaseFacts {
        counts: Counts { planned, ok: planned - bad, bad, local: 0, capped: 0, by_class },
        length: Span::secs(length),
        response: Some(p),
        service_ok: Some(p),
        legs: IndexMap::new(),
        lag_p99: Some(Span::micros(310)),
        tainted: false,
        in_doubt: 0,
        degraded: Some(Span::secs(bad.min(2))),
        shifts: None,
        histogram,
    }
}

/// A wobble that is the same each time.
fn wobble(i: u64) -> u64 {
    (i.wrapping_mul(2_654_435_761) >> 7) % 1000
}

pub(super) fn seconds(from_ms: u64, until_ms: u64, end: u64) -> Vec<Second> {
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
        arrival: Some(Arrival {
            way: Span::millis(12),
            onset: Interval::new(ms(30_006), ms(30_057)),
            recovery: Interval::new(ms(37_318), ms(37_374)),
            lo: Span::millis(7_261),
            hi: Some(Span::millis(7_368)),
        }),
    };
    let counts = Counts {
        planned: end * 20,
        ok: end * 20 - 148,
        bad: 147,
        local: 1,
        capped: 0,
        by_class: serde_json::from_value(json!({ "refused": 140, "timeout": 7 })).unwrap(),
    };
    let slow = Percentiles { censored_from: Some(980), ..percentiles(4_000, 800_000, 800_000) };
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

pub(super) fn part(verdict: Judged, why: &str) -> PartVerdict {
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
            window: Some(LossWindow {
                window: Span::ZERO,
                between_lost: Span::ZERO,
                lost: 0,
                resolution: Some(Span::millis(104)),
                acknowledged_before: 301,
                blind: Span::millis(50),
                point: Some(Span::millis(50)),
            }),
        }),
        availability: Some(AvailabilityFacts {
            part: part(p, "at least 91.7 % of the time"),
            claimed: 0.9,
            over: Span::secs(90),
            by_time_lo: Some(0.9176),
            by_time_hi: Some(0.9193),
            by_requests: Some(0.9183),
            budget: Some(BudgetFacts {
                slo: 0.999,
                over: Span::secs(30 * 86_400),
                allowed: Span::secs(2_592),
                spent_lo: Some(0.0028),
                spent_hi: Some(0.002_861),
                burn_rate: Some(81.7),
            }),
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
        stale: 1,
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
            outcome: Some(Ended::Completed),
            end: ms(120_000),
            aborted: None,
            could_not_start: None,
            taken_over: None,
            calibration: Some(Calibrated {
                wall: "2026-11-19T07:00:00Z".into(),
                age: Span::secs(9_000),
                trials: 40,
                covered: 40,
                median_width_fast: Some(Span::micros(21_400)),
                median_width_slow: Some(Span::millis(271)),
            }),
        },
        validity: Validity { valid: true, reasons: vec![], of_run: vec![], tainted_seconds: 1 },
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
        team: super::team::told(&plan(), true, false),
        prober: ProberFacts {
            lag_p99: Some(Span::micros(310)),
            stalls: 1,
            longest_stall: Span::millis(61),
            waits: 2,
            longest_wait: Span::millis(57),
            pressed: Some(Span::millis(410)),
            clock_steps: 0,
            suspends: 0,
            tainted: vec![(ms(71_000), "the prober stood still for 61 ms".into())],
        },
    }
}
