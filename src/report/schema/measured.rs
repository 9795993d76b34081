//! What was measured, by fault, guard, probe and ledger.

use serde_json::Value;

use super::{Field, boolean, instant, interval, list, map_of, number, object, range_fields, signed, text, word};

pub(super) fn fault() -> Value {
    let (always, sometimes) = range_fields();
    object(
        vec![
            ("kind", text(), "the fault kind"),
            ("phase", text(), "planned, armed, injecting, active, suspect, undoing, undo_failed, undone, left_to, not_run"),
            ("targets", number(), "how many targets were hit"),
            ("summary", text(), "what was done, for people"),
            ("flaps", number(), "bad runs between the first good sample and stable recovery"),
            ("min_detectable_us", number(), "the shortest outage that was certain to be seen"),
            ("times", map_of(object(always, sometimes)), "durations by the names of their definitions"),
        ],
        vec![
            ("command_mono_ns", instant(), "when it was not injected"),
            ("acknowledged_mono_ns", instant(), "when the injector did not return well"),
            ("effective", interval(), "when no effect was seen"),
            ("effect_seen", text(), "when no effect was seen"),
            ("undo_started_mono_ns", instant(), "when no undo began"),
            ("undone", interval(), "when it was not seen to be undone"),
            ("first_up_mono_ns", instant(), "when no sample was good again, or none had failed"),
            ("stable_up", interval(), "when it was not measured"),
            ("self_recovered", boolean(), "when it was not measured"),
            ("why_not", text(), "when it was run and confirmed"),
            ("by_hand", text(), "when it was not armed"),
        ],
    )
}

pub(super) fn guard() -> Value {
    object(vec![("breached", boolean(), "it ended the drill")], vec![("why", text(), "when it was not breached")])
}

fn count_fields() -> Vec<Field> {
    vec![
        ("planned", number(), "ok + bad + local + capped"),
        ("ok", number(), "as asked, in time"),
        ("bad", number(), "failed by the target"),
        ("local", number(), "failed by the prober itself"),
        ("capped", number(), "not sent, too many in flight"),
    ]
}

pub(super) fn probe() -> Value {
    let mut samples = count_fields();
    samples.push(("by_class", map_of(number()), "failed samples by class"));
    object(
        vec![
            ("kind", text(), "the probe kind"),
            ("control", boolean(), "on a path that the fault cannot touch"),
            ("interval_us", number(), "time between two planned samples"),
            ("timeout_ms", number(), "longest wait for an answer"),
            ("min_detectable_us", number(), "the shortest outage that is certain to be seen"),
            ("valid", boolean(), "its percentiles may be trusted"),
            ("samples", object(samples, vec![]), "counts over the run"),
            (
                "served_by",
                list(object(vec![("who", text(), "the instance")], vec![("until_mono_ns", instant(), "when it answered to the end")])),
                "who answered, in order",
            ),
            ("outages", list(outage()), "in order"),
            ("phases", map_of(phase()), "by phase: before, FAULT.inject, FAULT.during, FAULT.undo, FAULT.after, FAULT.recovering"),
        ],
        vec![],
    )
}

fn outage() -> Value {
    let (mut always, mut sometimes) = range_fields();
    sometimes.push((
        "arrival",
        arrival(),
        "when answers were not decided at arrival, for all that their failures say, or none was good before the fault",
    ));
    always.extend([
        ("onset", interval(), "when it began"),
        ("recovery", interval(), "when it ended"),
        ("censored", boolean(), "it had not ended when watching stopped"),
        ("samples", number(), "failed samples in it"),
        ("reason", text(), "the commonest reason"),
        ("widened", boolean(), "an edge was widened because the prober itself was in doubt"),
    ]);
    object(always, sometimes)
}

fn shift() -> Value {
    let unsaid = "with fewer than five seconds on either side";
    object(
        vec![
            ("seconds_before", number(), "seconds before the fault in which the prober was not in doubt"),
            ("seconds", number(), "such seconds of the phase"),
            ("verdict", word(&["same", "higher", "lower", "no_data"]), "a difference that is sure at 98 %, and at least a tenth"),
        ],
        vec![
            ("before_us", number(), "without such seconds; the middle one before"),
            ("now_us", number(), "without such seconds; the middle one of the phase"),
            ("by_us", signed(), unsaid),
            ("lo_us", signed(), unsaid),
            ("hi_us", signed(), unsaid),
        ],
    )
}

fn arrival() -> Value {
    object(
        vec![
            ("way_us", number(), "the longest way there: p99.9 of good answers before the fault"),
            ("onset", interval(), "when it began, if answers are decided at arrival"),
            ("recovery", interval(), "when it ended, if answers are decided at arrival"),
            ("lo_us", number(), "at least"),
        ],
        vec![("hi_us", number(), "when it had not ended")],
    )
}

fn phase() -> Value {
    let mut always = count_fields();
    always.extend([
        ("length_us", number(), "length of the phase"),
        ("in_doubt", number(), "failed samples that say nothing of the target: the prober stood still, or its own path was cut"),
        ("tainted", boolean(), "more than 1 % of it is tainted: its percentiles are not to be scored"),
    ]);
    let mut sometimes: Vec<Field> = ["p50_us", "p90_us", "p95_us", "p99_us", "p999_us", "max_us"]
        .into_iter()
        .map(|name| (name, number(), "without samples; of response_all: planned send time to classified answer"))
        .collect();
    sometimes.push(("degraded_us", number(), "without a steady state; seconds with good answers that did not keep to it"));
    sometimes.push((
        "against_before",
        object(vec![("p50", shift(), "medians of seconds"), ("p99", shift(), "their 99th percentiles")], vec![]),
        "of the time before itself",
    ));
    sometimes.push(("at_least", list(text()), "when no quantile falls among time-outs; those named here are lower bounds"));
    let leg = object(
        vec![
            ("ended", number(), "how many had gone it to its end: who was refused or timed out in it is not among them"),
            ("p50_us", number(), "of those, rounded up to a microsecond"),
            ("p99_us", number(), "the same"),
            ("max_us", number(), "the same"),
        ],
        vec![],
    );
    sometimes.push(("legs", map_of(leg), "when the kind does not tell the parts of its way apart: dns, connect, tls, first_byte"));
    object(always, sometimes)
}

pub(super) fn ledger() -> Value {
    let unread = "when nothing could be read back";
    object(
        vec![
            ("attempted", number(), "writes attempted"),
            ("acknowledged", number(), "acknowledged"),
            ("failed", number(), "definitely not applied"),
            ("unknown", number(), "outcome unknown: never counted as loss"),
        ],
        vec![
            ("lost", number(), unread),
            ("duplicated", number(), unread),
            ("unexpected", number(), unread),
            ("resurrected", number(), unread),
            ("recovered", number(), unread),
            ("stale", number(), unread),
            ("divergent", list(object(vec![("reader", text(), "the reader"), ("how", text(), "how it differs")], vec![])), unread),
            ("not_read", text(), "when it was read back"),
        ],
    )
}
