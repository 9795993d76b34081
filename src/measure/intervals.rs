//! The samples as one histogram a second, probe, phase and kind: what an `.hlog` file holds.

use hdrhistogram::Histogram;

use super::latency::{self, Phase, response_of};
use super::outage;
use super::read::Read;
use super::recoveries;
use super::watch::Watch;
use crate::base::{At, Span};
use crate::event::{Entry, Packed, Quiet, Sample, Verdict};
use crate::fold::packed::{histogram, record, unpack};
use crate::plan::Plan;

const SECOND: u64 = 1_000_000_000;

/// What a sample's time is counted as (design 1.1, 1.7).
const KINDS: [&str; 4] = ["response_all", "service_ok", "lag", "wait"];

/// One second of one probe in one phase; of a fast probe that was far from any edge, up to a minute.
#[derive(Debug)]
pub struct Second<'a> {
    /// `probe.episode.phase.kind`; the episode of `before` is `run`.
    pub tag: String,
    /// Since the start of the run: where it begins within that second.
    pub start: Span,
    /// Its length: shorter where a phase begins or ends in it.
    pub length: Span,
    /// Durations in nanoseconds.
    pub histogram: &'a Histogram<u64>,
}

/// Tells every second in which a probe was asked, in order of time. Nothing is held but one second.
pub fn seconds(plan: &Plan, entries: &[Entry], tell: &mut dyn FnMut(&Second<'_>)) {
    let read = Read::new(plan, entries);
    let outages = read.probes.iter().map(|(id, watch)| (*id, outage::outages(watch, &read.stalls))).collect();
    let phases = latency::phases(&read, &recoveries(&read, &outages));
    for second in 0..=read.end.0 / SECOND {
        let (from, to) = (At(second * SECOND), At((second + 1) * SECOND));
        for (id, watch) in &read.probes {
            for phase in &phases {
                for (from, to) in phase.times.iter().map(|(a, b)| ((*a).max(from), (*b).min(to))).filter(|(a, b)| a < b) {
                    one(id, watch, phase, (from, to), tell);
                }
            }
        }
    }
}

fn one(id: &str, watch: &Watch<'_>, phase: &Phase, (from, to): (At, At), tell: &mut dyn FnMut(&Second<'_>)) {
    let rows = watch.planned(from, to);
    let runs = watch.quiet(from, to);
    let episode = if phase.name.contains('.') { phase.name.clone() } else { format!("run.{}", phase.name) };
    for kind in KINDS {
        let mut histogram = histogram();
        rows.iter().filter_map(|row| of(kind, row, watch)).for_each(|took| record(&mut histogram, took));
        if !histogram.is_empty() {
            tell(&Second { tag: format!("{id}.{episode}.{kind}"), start: Span(from.0), length: to.since(from), histogram: &histogram });
        }
        // A run keeps its own length: what was when within it is not known any more.
        for run in runs {
            let histogram = unpack(of_run(kind, run));
            let (start, length) = (Span(run.first.planned.0), run.last.planned.since(run.first.planned) + watch.interval);
            tell(&Second { tag: format!("{id}.{episode}.{kind}"), start, length, histogram: &histogram });
        }
    }
}

fn of_run<'a>(kind: &str, run: &'a Quiet) -> &'a Packed {
    match kind {
        "response_all" => &run.response,
        "service_ok" => &run.service,
        "wait" => &run.wait,
        _ => &run.lag,
    }
}

fn of(kind: &str, row: &Sample, watch: &Watch<'_>) -> Option<Span> {
    let answered = matches!(row.verdict, Verdict::Ok | Verdict::Bad);
    match kind {
        "response_all" => answered.then(|| response_of(row, watch)),
        "service_ok" => (row.verdict == Verdict::Ok).then(|| row.service()),
        "wait" => answered.then(|| row.sent.since(row.woken)),
        _ => Some(row.lag()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn golden(name: &str) -> (Plan, Vec<Entry>) {
        let text = |file: &str| std::fs::read_to_string(format!("{}/tests/journals/{name}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let entries = text("events.jsonl").lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (serde_json::from_str(&text("plan.json")).unwrap(), entries)
    }

    /// What the seconds of a tag hold together is what the report tells of the phase.
    #[test]
    fn seconds_add_up_to_the_phases_of_the_report() {
        let (plan, entries) = golden("passed");
        let facts = super::super::facts(&plan, &entries);
        let mut all: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        let mut last = Span(0);
        seconds(&plan, &entries, &mut |second| {
            assert!(second.start.0 / SECOND >= last.0 / SECOND && second.length.0 <= SECOND && second.length.0 > 0);
            last = second.start;
            all.entry(second.tag.clone()).or_insert_with(histogram).add(second.histogram).unwrap();
        });
        let mut compared = 0;
        for (id, probe) in &facts.probes {
            for (name, phase) in probe.phases.iter().filter(|(name, _)| !name.ends_with("recovering")) {
                let episode = if name.contains('.') { name.clone() } else { format!("run.{name}") };
                for (kind, percentiles) in [("response_all", phase.response), ("service_ok", phase.service_ok)] {
                    let found = all.get(&format!("{id}.{episode}.{kind}"));
                    assert_eq!(found.is_some(), percentiles.is_some(), "{id} {name} {kind}");
                    if let (Some(found), Some(percentiles)) = (found, percentiles) {
                        assert_eq!((found.max(), found.value_at_quantile(0.5)), (percentiles.max.0, percentiles.p50.0), "{id} {name}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 8, "{compared}");
    }
}
