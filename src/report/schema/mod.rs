//! The JSON Schema of `firedrill.report/1`. It says of each field whether it is always there: `required`, and in words.
//! It must never know a run.

mod judged;
mod measured;
mod people;

use serde_json::{Map, Value, json};

use judged::score;
use measured::{fault, guard, ledger, probe};

/// The JSON Schema (draft 2020-12) of the JSON report.
pub fn schema() -> Value {
    let mut root = object(
        vec![
            ("schema", json!({ "const": "firedrill.report/1" }), "format and its version"),
            ("firedrill", text(), "version of firedrill that wrote the journal"),
            ("run", run(), "the run itself"),
            ("validity", validity(), "whether the numbers may be trusted"),
            ("prober", prober(), "how the prober itself fared"),
            ("subject", subject(), "what exactly was tested"),
            ("steady_after", steady_after(), "steady state after the last undo"),
            ("faults", map_of(fault()), "by fault"),
            ("guards", map_of(guard()), "by guard"),
            ("probes", map_of(probe()), "by probe"),
            ("ledgers", map_of(ledger()), "by ledger probe"),
            ("claims", map_of(claim()), "by claim"),
            (
                "restore",
                map_of(object(vec![("result", text(), "done, failed, skipped"), ("detail", text(), "for people")], vec![])),
                "by after-care step",
            ),
            ("team", people::team(), "expectations of people"),
            ("score", score(), "findings; practices and questions of the Well-Architected Framework"),
            ("owed", list(owed()), "what is not undone"),
            (
                "left_to",
                list(object(vec![("id", text(), "the item"), ("who", text(), "who undoes it")], vec![])),
                "undos that are somebody else's and were not seen",
            ),
        ],
        vec![
            (
                "steady_before",
                object(
                    vec![("since_mono_ns", instant(), "first instant of the window that held"), ("summary", text(), "for people")],
                    vec![],
                ),
                "when it was not shown",
            ),
            ("calibration", calibration(), "when no true outages were tried on this boot of the machine"),
        ],
    );
    if let Some(map) = root.as_object_mut() {
        map.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        map.insert("title".into(), json!("firedrill.report/1"));
        map.insert(
            "description".into(),
            json!(
                "Absent means not measured; null is never used. Instants (*_mono_ns) are raw CLOCK_MONOTONIC nanoseconds of run.boot_id."
            ),
        );
    }
    root
}

type Field = (&'static str, Value, &'static str);

/// An object: fields that are always there with what they are, and fields that may be absent with when they are.
fn object(always: Vec<Field>, sometimes: Vec<Field>) -> Value {
    let required: Vec<&str> = always.iter().map(|(name, _, _)| *name).collect();
    let describe = |(name, mut schema, text): Field, prefix: &str| {
        if let Value::Object(map) = &mut schema {
            map.insert("description".into(), json!(format!("{prefix}{text}")));
        }
        (name.to_owned(), schema)
    };
    let properties: Map<String, Value> =
        always.into_iter().map(|f| describe(f, "Always there: ")).chain(sometimes.into_iter().map(|f| describe(f, "Absent "))).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn instant() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn fraction() -> Value {
    json!({ "type": "number", "minimum": 0, "maximum": 1 })
}

/// A number that may be below zero.
fn signed() -> Value {
    json!({ "type": "integer" })
}

/// A share that may be above one.
fn multiple() -> Value {
    json!({ "type": "number", "minimum": 0 })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn word(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn verdict() -> Value {
    word(&["passed", "failed", "inconclusive", "invalid"])
}

fn list(of: Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn map_of(value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

fn interval() -> Value {
    object(vec![("lo_mono_ns", instant(), "not before this")], vec![("hi_mono_ns", instant(), "while it has not come: an open interval")])
}

fn run() -> Value {
    object(
        vec![
            ("id", text(), "the run's id"),
            ("scenario", text(), "the scenario's name"),
            ("title", text(), "for people"),
            ("plan_digest", text(), "SHA-256 of plan.json"),
            ("environment", word(&["laptop", "test", "staging", "production"]), "where it ran"),
            ("demonstration", boolean(), "a demonstration, not evidence"),
            ("mode", word(&["normal", "tabletop", "baseline"]), "how it was meant"),
            ("test", word(&["recovery", "sustained"]), "what is promised while the fault lasts"),
            ("boot_id", text(), "the boot whose CLOCK_MONOTONIC the instants are of"),
            ("system_why", list(text()), "why the system's verdict is what it is, the deciding reasons first"),
            ("exit_code", json!({ "enum": [0, 11, 20, 30, 31, 32, 33, 40, 50] }), "exit code of the run"),
            ("started_at", text(), "wall time, RFC 3339: a label"),
            ("start_mono_ns", instant(), "the run's start"),
            ("end_mono_ns", instant(), "the journal's last instant"),
        ],
        vec![
            ("outcome", word(&["completed", "not_steady", "aborted", "stuck"]), "when the journal has no end"),
            ("system", verdict(), "when the system was not put to the test: tabletop, baseline only"),
            (
                "team",
                verdict(),
                "when nothing is said of the team: it has no expectations, all of them are training, or the run ended after baseline",
            ),
            ("aborted", text(), "when it was not aborted"),
            ("could_not_start", text(), "when it could start"),
            ("taken_over", text(), "when the runner itself finished it"),
        ],
    )
}

fn validity() -> Value {
    object(
        vec![
            ("valid", boolean(), "the numbers may be trusted"),
            ("reasons", list(text()), "why not"),
            ("tainted_seconds", number(), "seconds in which the prober itself was in doubt"),
        ],
        vec![],
    )
}

fn prober() -> Value {
    object(
        vec![
            ("stalls", number(), "times it stood still"),
            ("longest_stall_us", number(), "the longest one"),
            ("waits", number(), "seconds in which its threads notably waited for a processor"),
            ("longest_wait_us", number(), "the longest such wait within a second"),
            ("clock_steps", number(), "steps of the wall clock; durations do not depend on it"),
            ("suspends", number(), "sleeps of the machine"),
        ],
        vec![
            ("lag_p99_us", number(), "when nothing was sent"),
            (
                "pressed_us",
                number(),
                "when its threads never notably waited, or the kernel does not tell; how long somebody on the machine waited in the worst such second",
            ),
        ],
    )
}

fn calibration() -> Value {
    object(
        vec![
            ("wall", text(), "when it was made, RFC 3339"),
            ("age_s", number(), "how long before the run, by wall time"),
            ("trials", number(), "true outages"),
            ("covered", number(), "of these, how many were held by every bound"),
            ("good", boolean(), "not older than a day, and every bound held"),
        ],
        vec![
            ("median_width_fast_us", number(), "when no trial failed fast"),
            ("median_width_slow_us", number(), "when in no trial clients had to wait"),
        ],
    )
}

fn subject() -> Value {
    object(
        vec![("before", map_of(text()), "as seen before the drill"), ("after", map_of(text()), "as seen after it")],
        vec![("changed", boolean(), "when a value was not seen on both sides, or none was declared")],
    )
}

fn steady_after() -> Value {
    object(
        vec![("verdict", verdict(), "inconclusive when the run did not get so far")],
        vec![("since_mono_ns", instant(), "unless it held"), ("why", text(), "when it held")],
    )
}

fn range_fields() -> (Vec<Field>, Vec<Field>) {
    (
        vec![("lo_us", number(), "at least")],
        vec![("hi_us", number(), "when it had not ended"), ("point_us", number(), "when there is no best estimate")],
    )
}

fn part(always: Vec<Field>, sometimes: Vec<Field>) -> Value {
    let mut fields = vec![("verdict", verdict(), "what is said of this part"), ("why", text(), "why, for people")];
    fields.extend(always);
    object(fields, sometimes)
}

fn claim() -> Value {
    let unclaimed = "when it is not claimed";
    object(
        vec![
            ("fault", text(), "its episode"),
            ("verdict", verdict(), "all parts together"),
            ("holds", map_of(holds()), "what must hold beside; empty when nothing is claimed"),
        ],
        vec![
            ("rto", rto(), unclaimed),
            ("rpo", rpo(), unclaimed),
            ("availability", availability(), unclaimed),
            ("latency", latency(), unclaimed),
            ("by", by(), unclaimed),
        ],
    )
}

fn rto() -> Value {
    let unmeasured = "when it was not measured";
    part(
        vec![("from", word(&["effect", "impact", "command", "declared"]), "counted from"), ("claimed_us", number(), "the objective")],
        vec![
            ("lo_us", number(), unmeasured),
            ("hi_us", number(), "when it was not measured, or had not ended"),
            ("point_us", number(), "when there is no best estimate"),
            ("self_recovered", boolean(), unmeasured),
        ],
    )
}

fn rpo() -> Value {
    let unmeasured = "when it was not measured";
    part(
        vec![("ledger", text(), "the ledger probe"), ("claimed_us", number(), "the objective: longest loss window")],
        vec![
            ("acknowledged", number(), unmeasured),
            ("lost", number(), unmeasured),
            ("duplicated", number(), unmeasured),
            ("unknown", number(), unmeasured),
            ("loss_window_us", number(), unmeasured),
            ("resolution_us", number(), "when it was not measured; a loss window shorter than this would not show"),
            (
                "point_us",
                number(),
                "when it was not measured, or not even the first write survived; how old the state is that survived, at the effect",
            ),
        ],
    )
}

fn availability() -> Value {
    let unmeasured = "when it was not measured";
    let budget = object(
        vec![
            ("slo", fraction(), "the service level objective"),
            ("period_us", number(), "its period"),
            ("allowed_us", number(), "what it allows to be down in its period"),
        ],
        vec![
            ("spent_lo", multiple(), "when it was not measured; share of the budget that the time down spends, at least"),
            ("spent_hi", multiple(), "when it was not measured; at most"),
            ("burn_rate", multiple(), "when nothing was asked; failed requests against what the objective allows"),
        ],
    );
    part(
        vec![("claimed", fraction(), "the objective"), ("over_us", number(), "the window from effect on")],
        vec![
            ("by_time_lo", fraction(), unmeasured),
            ("by_time_hi", fraction(), unmeasured),
            ("by_requests", fraction(), unmeasured),
            ("budget", budget, "when the scenario names none"),
        ],
    )
}

fn latency() -> Value {
    let names = [
        ("p50_claimed_us", "p50_us"),
        ("p90_claimed_us", "p90_us"),
        ("p95_claimed_us", "p95_us"),
        ("p99_claimed_us", "p99_us"),
        ("p999_claimed_us", "p999_us"),
    ];
    let fields = names.into_iter().flat_map(|(claimed, measured)| {
        [(claimed, number(), "when this quantile is not claimed"), (measured, number(), "when it is not claimed or was not measured")]
    });
    part(vec![("phase", word(&["before", "inject", "during", "undo", "after", "recovering"]), "in which phase")], fields.collect())
}

fn by() -> Value {
    part(
        vec![("claimed", word(&["another_instance", "same_instance"]), "what was claimed")],
        vec![("before", text(), "when nobody was seen before the fault"), ("after", text(), "when nobody was seen after recovery")],
    )
}

fn holds() -> Value {
    part(vec![("samples", number(), "samples in the window")], vec![("share", fraction(), "when there was no sample")])
}

fn owed() -> Value {
    object(
        vec![
            ("id", text(), "the item"),
            ("kind", text(), "the fault kind that knows how to undo it"),
            ("targets", list(text()), "what was hit"),
            ("since_mono_ns", instant(), "armed at"),
            ("by_hand", text(), "one line to paste into a shell"),
            ("tried", list(text()), "what was tried and what it answered"),
        ],
        vec![],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_says_whether_it_is_always_there() {
        fn walk(path: &str, schema: &Value) {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                for (name, field) in properties {
                    let about = field["description"].as_str().unwrap_or_default();
                    let prefix = if required.contains(&name.as_str()) { "Always there: " } else { "Absent " };
                    assert!(about.starts_with(prefix), "{path}/{name}: {about}");
                    walk(&format!("{path}/{name}"), field);
                }
            }
            for inner in ["items", "additionalProperties"] {
                if let Some(value) = schema.get(inner) {
                    walk(&format!("{path}/*"), value);
                }
            }
        }
        walk("", &schema());
    }

    #[test]
    fn a_field_nobody_knows_is_refused() {
        let validator = jsonschema::validator_for(&interval()).unwrap();
        assert!(validator.is_valid(&json!({ "lo_mono_ns": 1 })));
        assert!(!validator.is_valid(&json!({ "lo_mono_ns": 1, "hi_mono_ns": null })));
        assert!(!validator.is_valid(&json!({ "lo_mono_ns": 1, "mid": 2 })));
    }
}
