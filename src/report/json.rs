//! The report for programs: `firedrill.report/1`, a public contract. A field that is absent was not measured; nothing is ever `null`.
//! Durations are whole numbers with the unit in the name, lower bounds rounded down and upper ones up; instants are raw CLOCK_MONOTONIC.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::base::{At, Interval, Span};
use crate::event::{Calibrated, Leg};
use crate::measure::facts::{
    ClaimFacts, Counts, Episode, LedgerFacts, LegFacts, Outage, PartVerdict, PhaseFacts, ProbeFacts, Shift, SteadyAfter,
};
use crate::score::Finding;

use super::Report;

use super::view::Status;

pub use super::schema::schema;

/// The report as JSON text, ending in a line feed.
pub fn render(report: &Report<'_>) -> String {
    format!("{:#}\n", value(report))
}

/// The report as a value.
pub fn value(report: &Report<'_>) -> Value {
    let facts = report.facts;
    let clock = Clock(facts.run.start_mono_ns);
    let each = |v: Map<String, Value>| Value::Object(v);
    let value = json!({
        "schema": "firedrill.report/1",
        "firedrill": facts.run.firedrill,
        "run": run(report),
        "validity": { "valid": facts.validity.valid, "reasons": facts.validity.reasons, "tainted_seconds": facts.validity.tainted_seconds },
        "prober": {
            "lag_p99_us": facts.prober.lag_p99.map(up),
            "stalls": facts.prober.stalls,
            "longest_stall_us": up(facts.prober.longest_stall),
            "waits": facts.prober.waits,
            "longest_wait_us": up(facts.prober.longest_wait), "pressed_us": facts.prober.pressed.map(up),
            "clock_steps": facts.prober.clock_steps,
            "suspends": facts.prober.suspends,
        },
        "calibration": facts.run.calibration.as_ref().map(calibration),
        "subject": subject(report),
        "steady_before": facts.steady_before.as_ref().map(|(at, summary)| json!({ "since_mono_ns": clock.at(*at), "summary": summary })),
        "steady_after": match &facts.steady_after {
            SteadyAfter::Held(at) => json!({ "verdict": "passed", "since_mono_ns": clock.at(*at) }),
            SteadyAfter::Missed(why) => json!({ "verdict": "failed", "why": why }),
            SteadyAfter::NotReached => json!({ "verdict": "inconclusive", "why": "not reached" }),
        },
        "faults": each(facts.episodes.iter().map(|(id, e)| (id.clone(), fault(e, clock))).collect()),
        "guards": each(facts.guards.iter().map(|(id, why)| (id.clone(), json!({ "breached": why.is_some(), "why": why }))).collect()),
        "probes": each(facts.probes.iter().map(|(id, p)| (id.clone(), probe(p, clock))).collect()),
        "ledgers": each(facts.ledgers.iter().map(|(id, l)| (id.clone(), ledger(l))).collect()),
        "claims": each(facts.claims.iter().map(|(id, c)| (id.clone(), claim(report, c))).collect()),
        "restore": each(facts.restore.iter().map(|(id, (result, detail))| (id.clone(), json!({ "result": result, "detail": detail }))).collect()),
        "team": super::team::value(report),
        "score": score(report),
        "owed": facts.owed.iter().map(|o| json!({
            "id": o.id, "kind": o.undo.kind, "targets": o.targets, "since_mono_ns": clock.at(o.since), "by_hand": o.undo.by_hand, "tried": o.tried,
        })).collect::<Vec<_>>(),
        "left_to": facts.left_to.iter().map(|(id, who)| json!({ "id": id, "who": who })).collect::<Vec<_>>(),
    });
    without_nulls(value)
}

/// Turns instants of the run into raw CLOCK_MONOTONIC.
#[derive(Clone, Copy)]
struct Clock(u64);

impl Clock {
    fn at(self, at: At) -> u64 {
        self.0.saturating_add(at.0)
    }

    fn interval(self, interval: Interval) -> Value {
        json!({ "lo_mono_ns": self.at(interval.lo), "hi_mono_ns": interval.hi.map(|hi| self.at(hi)) })
    }
}

fn up(span: Span) -> u64 {
    span.0.div_ceil(1_000)
}

/// What is not known is not there.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()),
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn run(report: &Report<'_>) -> Value {
    let (plan, run, score) = (report.plan, &report.facts.run, report.score);
    json!({
        "id": run.id, "scenario": plan.name, "title": plan.title, "plan_digest": run.plan_digest,
        "environment": plan.environment, "demonstration": plan.is_demonstration(), "mode": plan.mode, "test": plan.test,
        "boot_id": run.boot_id, "outcome": run.outcome, "team": super::team::verdict(report).map(Status::word), "system": score.judged.then_some(score.system), "system_why": score.system_why,
        "exit_code": score.exit_code, "started_at": run.started_at, "start_mono_ns": run.start_mono_ns,
        "end_mono_ns": Clock(run.start_mono_ns).at(run.end), "aborted": run.aborted,
        "could_not_start": run.could_not_start, "taken_over": run.taken_over,
    })
}

fn calibration(c: &Calibrated) -> Value {
    json!({
        "wall": c.wall, "age_s": c.age.0 / 1_000_000_000, "trials": c.trials, "covered": c.covered, "good": c.is_good(),
        "median_width_fast_us": c.median_width_fast.map(up), "median_width_slow_us": c.median_width_slow.map(up),
    })
}

/// `changed` is said only where both sides were seen, or a difference was.
fn subject(report: &Report<'_>) -> Value {
    let subject = &report.facts.subject;
    let side = |values: Vec<(&String, &Option<String>)>| -> Map<String, Value> {
        values.into_iter().filter_map(|(id, value)| value.as_ref().map(|v| (id.clone(), json!(v)))).collect()
    };
    let before = side(subject.iter().map(|(id, (before, _))| (id, before)).collect());
    let after = side(subject.iter().map(|(id, (_, after))| (id, after)).collect());
    let differs = subject.values().any(|(before, after)| before.is_some() && after.is_some() && before != after);
    let unseen = subject.values().any(|(before, after)| before.is_none() || after.is_none());
    let changed = if differs { Some(true) } else { (!unseen && !subject.is_empty()).then_some(false) };
    json!({ "before": before, "after": after, "changed": changed })
}

fn fault(e: &Episode, clock: Clock) -> Value {
    let times: Map<String, Value> = e
        .times
        .iter()
        .map(|(name, r)| {
            let value = json!({ "lo_us": r.lo.as_micros(), "hi_us": r.hi.map(up), "point_us": r.point.map(Span::as_micros) });
            (name.clone(), value)
        })
        .collect();
    json!({
        "kind": e.kind, "phase": e.phase, "targets": e.targets.len(), "summary": e.summary,
        "command_mono_ns": e.command.map(|at| clock.at(at)), "acknowledged_mono_ns": e.acknowledged.map(|at| clock.at(at)),
        "effective": e.effective.map(|i| clock.interval(i)), "effect_seen": e.effect_seen,
        "undo_started_mono_ns": e.undo_started.map(|at| clock.at(at)), "undone": e.undone.map(|i| clock.interval(i)),
        "first_up_mono_ns": e.first_up.map(|at| clock.at(at)), "stable_up": e.stable_up.map(|i| clock.interval(i)),
        "flaps": e.flaps, "self_recovered": e.self_recovered, "why_not": e.why_not, "by_hand": e.by_hand,
        "min_detectable_us": up(e.min_detectable), "times": times,
    })
}

fn counts(c: &Counts) -> Value {
    json!({ "planned": c.planned, "ok": c.ok, "bad": c.bad, "local": c.local, "capped": c.capped, "by_class": c.by_class })
}

fn probe(p: &ProbeFacts, clock: Clock) -> Value {
    let served: Vec<Value> =
        p.served_by.iter().map(|(who, until)| json!({ "who": who, "until_mono_ns": until.map(|at| clock.at(at)) })).collect();
    let phases: Map<String, Value> = p.phases.iter().map(|(name, phase)| (name.clone(), phase_value(phase))).collect();
    json!({
        "kind": p.kind, "control": p.control, "interval_us": p.interval.as_micros(), "timeout_ms": p.timeout.as_millis(),
        "min_detectable_us": up(p.min_detectable), "valid": p.valid, "samples": counts(&p.samples), "served_by": served,
        "outages": p.outages.iter().map(|o| outage(o, clock)).collect::<Vec<_>>(), "phases": phases,
    })
}

fn outage(o: &Outage, clock: Clock) -> Value {
    json!({
        "onset": clock.interval(o.onset), "recovery": clock.interval(o.recovery), "point_us": o.point.map(Span::as_micros),
        "lo_us": o.lo.as_micros(), "hi_us": o.hi.map(up), "censored": o.censored, "samples": o.samples, "reason": o.reason, "widened": o.widened,
        "arrival": o.arrival.map(|a| json!({
            "way_us": up(a.way), "onset": clock.interval(a.onset), "recovery": clock.interval(a.recovery),
            "lo_us": a.lo.as_micros(), "hi_us": a.hi.map(up),
        })),
    })
}

fn shift(s: &Shift) -> Value {
    // Bounds outwards; nanoseconds below zero divide towards minus infinity.
    let up = |ns: i64| -((-ns).div_euclid(1_000));
    json!({
        "seconds_before": s.seconds.0, "seconds": s.seconds.1, "verdict": s.verdict,
        "before_us": s.before.map(Span::as_micros), "now_us": s.now.map(Span::as_micros),
        "by_us": s.by_ns.map(|ns| ns.div_euclid(1_000)), "lo_us": s.lo_ns.map(|ns| ns.div_euclid(1_000)), "hi_us": s.hi_ns.map(up),
    })
}

fn phase_value(phase: &PhaseFacts) -> Value {
    let c = &phase.counts;
    let mut value = json!({
        "planned": c.planned, "ok": c.ok, "bad": c.bad, "local": c.local, "capped": c.capped,
        "length_us": phase.length.as_micros(), "tainted": phase.tainted, "in_doubt": phase.in_doubt, "degraded_us": phase.degraded.map(up),
        "against_before": phase.shifts.map(|s| json!({ "p50": shift(&s.p50), "p99": shift(&s.p99) })),
    });
    if let (Some(p), Some(map)) = (phase.response, value.as_object_mut()) {
        let quantiles = super::view::quantiles(&p);
        for (name, _, value) in quantiles {
            map.insert(format!("{name}_us"), json!(value.as_micros()));
        }
        // Quantiles among the time-outs are only lower bounds; they lie at the time-out.
        let among = quantiles.iter().filter(|(_, thousandths, _)| super::view::is_censored(&p, *thousandths));
        let censored: Vec<&str> = among.map(|(name, _, _)| *name).collect();
        if !censored.is_empty() {
            map.insert("at_least".into(), json!(censored));
        }
    }
    if let (false, Some(map)) = (phase.legs.is_empty(), value.as_object_mut()) {
        let leg = |(leg, facts): (&Leg, &LegFacts)| (leg.word().to_owned(), leg_value(facts));
        map.insert("legs".into(), Value::Object(phase.legs.iter().map(leg).collect()));
    }
    value
}

fn leg_value(leg: &LegFacts) -> Value {
    let (p, count) = (&leg.took, leg.count);
    json!({ "ended": count, "p50_us": p.p50.as_micros(), "p99_us": p.p99.as_micros(), "max_us": p.max.as_micros() })
}

fn ledger(l: &LedgerFacts) -> Value {
    if let Some(why) = &l.not_read {
        return json!({ "attempted": l.attempted, "acknowledged": l.acknowledged, "failed": l.failed, "unknown": l.unknown, "not_read": why });
    }
    json!({
        "attempted": l.attempted, "acknowledged": l.acknowledged, "failed": l.failed, "unknown": l.unknown,
        "lost": l.lost.len(), "duplicated": l.duplicated, "unexpected": l.unexpected, "resurrected": l.resurrected, "recovered": l.recovered, "stale": l.stale,
        "divergent": l.divergent.iter().map(|(reader, how)| json!({ "reader": reader, "how": how })).collect::<Vec<_>>(),
    })
}

fn part(part: &PartVerdict, rest: Value) -> Value {
    let mut out = Map::from_iter([("verdict".to_owned(), json!(part.verdict)), ("why".to_owned(), json!(part.why))]);
    if let Value::Object(rest) = rest {
        out.extend(rest);
    }
    Value::Object(out)
}

fn claim(report: &Report<'_>, c: &ClaimFacts) -> Value {
    let rpo = c.rpo.as_ref().map(|r| {
        let ledger = report.facts.ledgers.get(&r.ledger);
        let read = ledger.filter(|l| l.not_read.is_none());
        let rest = json!({
            "ledger": r.ledger, "claimed_us": r.claimed.as_micros(), "acknowledged": ledger.map(|l| l.acknowledged),
            "unknown": ledger.map(|l| l.unknown), "duplicated": read.map(|l| l.duplicated), "lost": r.window.map(|w| w.lost),
            "loss_window_us": r.window.map(|w| up(w.window)), "resolution_us": r.window.and_then(|w| w.resolution).map(up),
            "point_us": r.window.and_then(|w| w.point).map(up),
        });
        part(&r.part, rest)
    });
    let rto = c.rto.as_ref().map(|r| {
        let m = r.measured;
        let rest = json!({
            "from": r.from, "claimed_us": r.claimed.as_micros(), "lo_us": m.map(|m| m.lo.as_micros()), "hi_us": m.and_then(|m| m.hi).map(up),
            "point_us": m.and_then(|m| m.point).map(Span::as_micros), "self_recovered": r.self_recovered,
        });
        part(&r.part, rest)
    });
    let availability = c.availability.as_ref().map(|a| {
        let rest = json!({
            "claimed": a.claimed, "over_us": a.over.as_micros(), "by_time_lo": a.by_time_lo, "by_time_hi": a.by_time_hi, "by_requests": a.by_requests,
            "budget": a.budget.map(|b| json!({
                "slo": b.slo, "period_us": b.over.as_micros(), "allowed_us": b.allowed.as_micros(),
                "spent_lo": b.spent_lo, "spent_hi": b.spent_hi, "burn_rate": b.burn_rate,
            })),
        });
        part(&a.part, rest)
    });
    let latency = c.latency.as_ref().map(|l| {
        let mut rest = Map::from_iter([("phase".to_owned(), json!(super::view::phase_word(l.phase)))]);
        for (name, (claimed, measured)) in &l.quantiles {
            rest.insert(format!("{name}_claimed_us"), json!(claimed.as_micros()));
            rest.insert(format!("{name}_us"), json!(measured.map(Span::as_micros)));
        }
        part(&l.part, Value::Object(rest))
    });
    let by = c.by.as_ref().map(|b| {
        let claimed = match b.claimed {
            crate::plan::By::AnotherInstance => "another_instance",
            crate::plan::By::SameInstance => "same_instance",
        };
        part(&b.part, json!({ "claimed": claimed, "before": b.before, "after": b.after }))
    });
    let holds: IndexMap<&String, Value> =
        c.holds.iter().map(|(name, h)| (name, part(&h.part, json!({ "share": h.share, "samples": h.samples })))).collect();
    json!({
        "fault": c.fault, "verdict": c.verdict, "rto": rto, "rpo": rpo, "availability": availability, "latency": latency, "by": by, "holds": holds,
    })
}

/// The score: practices, questions, findings.
fn score(report: &Report<'_>) -> Value {
    let mut value = super::practices::value(report, false);
    if let Value::Object(map) = &mut value {
        map.insert("findings".into(), report.score.findings.iter().map(finding).collect());
    }
    value
}

pub(super) fn finding(f: &Finding) -> Value {
    json!({
        "id": f.id, "risk": f.risk, "title": f.title, "observed": f.observed, "expected": f.expected, "impact": f.impact,
        "remediation": f.remediation, "owner": f.owner, "due": f.due, "retest": f.retest, "entries": f.entries,
        "practice": { "choice": f.practice.choice, "label": f.practice.label, "title": f.practice.title },
        "question": { "id": f.practice.question, "label": f.practice.question_label, "title": f.practice.question_title },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::samples::{Sample, all};
    use crate::score::score;

    fn of(sample: &Sample) -> Value {
        let score = score(&sample.plan, &sample.facts);
        serde_json::from_str(&render(&Report::new(&sample.plan, &sample.facts, &score))).unwrap()
    }

    #[test]
    fn what_a_program_reads() {
        for sample in all().iter().filter(|s| ["passed", "failed", "censored", "stuck"].contains(&s.name)) {
            insta::assert_json_snapshot!(format!("json-{}", sample.name), of(sample));
        }
    }

    #[test]
    fn every_report_is_as_the_schema_says() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for sample in all() {
            let value = of(&sample);
            let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", sample.name);
        }
    }

    #[test]
    fn nothing_is_null_and_words_are_snake_case() {
        fn walk(path: &str, value: &Value) {
            match value {
                Value::Null => panic!("{path} is null"),
                Value::Object(map) => map.iter().for_each(|(k, v)| walk(&format!("{path}/{k}"), v)),
                Value::Array(list) => list.iter().for_each(|v| walk(path, v)),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        for sample in all() {
            walk(sample.name, &of(&sample));
        }
    }

    #[test]
    fn instants_are_raw_monotonic_and_open_intervals_have_no_end() {
        let sample = all().into_iter().find(|s| s.name == "censored").unwrap();
        let value = of(&sample);
        assert_eq!(value.pointer("/faults/lose-primary/command_mono_ns"), Some(&json!(5_030_000_000_000_u64)));
        assert_eq!(value.pointer("/claims/checkout-node-loss/rto/lo_us"), Some(&json!(89_944_000)));
        for absent in
            ["/claims/checkout-node-loss/rto/hi_us", "/faults/lose-primary/stable_up/hi_mono_ns", "/faults/lose-primary/first_up_mono_ns"]
        {
            assert_eq!(value.pointer(absent), None, "{absent}");
        }
        assert_eq!(value.pointer("/probes/checkout/outages/0/censored"), Some(&json!(true)));
    }

    #[test]
    fn quantiles_among_time_outs_are_named() {
        let value = of(&all().into_iter().next().unwrap());
        assert_eq!(value.pointer("/probes/checkout/phases/lose-primary.during/at_least"), Some(&json!(["p99", "p999", "max"])));
        assert_eq!(value.pointer("/probes/checkout/phases/before/at_least"), None);
    }

    #[test]
    fn what_was_not_judged_is_absent() {
        let value = of(&all().into_iter().find(|s| s.name == "tabletop").unwrap());
        assert_eq!(value.pointer("/run/system"), None);
        assert_eq!(value.pointer("/run/team"), None);
        assert_eq!(value.pointer("/run/mode"), Some(&json!("tabletop")));
        assert_eq!(value.pointer("/run/demonstration"), Some(&json!(true)));
    }
}
