//! When the prober itself was in doubt (design 1.9): a second is tainted by our own failures, by samples that were not sent or are
//! missing, by lateness, by a stall longer than the interval, by a step of the clock or a sleep of the machine, and, for all probes, by a
//! bad sample of a control probe.
//!
//! Lateness is measured with a timer of 1 ms resolution, and the runtime rounds up: p99 of lag counts as late above max(5 ms, d/4).
//! A tighter bound would taint seconds in which nothing was wrong but the timer's own grain.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::base::{At, Span};
use crate::event::{Event, Sample, Verdict};
use crate::fold::steady::rank;

use super::facts::ProberFacts;
use super::read::{Read, Watch};
use super::words::{count, grouped};

const SECOND: u64 = 1_000_000_000;

/// Tainted seconds, by number.
pub(super) struct Taint {
    /// Per probe, with what all probes share.
    per_probe: IndexMap<String, BTreeSet<u64>>,
    /// Why, over all probes.
    reasons: BTreeMap<u64, String>,
}

impl Taint {
    /// Whether a second of a probe is tainted.
    pub fn second(&self, probe: &str, second: u64) -> bool {
        self.per_probe.get(probe).is_some_and(|set| set.contains(&second))
    }

    /// The share of a time in which a probe was in doubt.
    pub fn share(&self, probe: &str, from: At, to: At) -> f64 {
        let length = to.since(from).0;
        let Some(set) = self.per_probe.get(probe).filter(|_| length > 0) else { return 0.0 };
        let (first, last) = (from.0 / SECOND, to.0.div_ceil(SECOND));
        set.range(first..last).count() as f64 / length.div_ceil(SECOND).max(1) as f64
    }

    /// How many seconds were tainted for any probe.
    pub fn seconds(&self) -> u64 {
        self.reasons.len() as u64
    }

    fn add(&mut self, probe: Option<&str>, second: u64, why: &str) {
        let ids = self.per_probe.iter_mut().filter(|(id, _)| probe.is_none_or(|p| p == id.as_str()));
        for (_, set) in ids {
            set.insert(second);
        }
        let reasons = self.reasons.entry(second).or_default();
        if reasons.is_empty() {
            why.clone_into(reasons);
        } else if !reasons.split("; ").any(|known| known == why) {
            reasons.push_str("; ");
            reasons.push_str(why);
        }
    }
}

/// What tainted which second.
pub(super) fn taint(read: &Read<'_>) -> Taint {
    let per_probe = read.plan.probes.keys().map(|id| (id.to_string(), BTreeSet::new())).collect();
    let mut taint = Taint { per_probe, reasons: BTreeMap::new() };
    for entry in read.entries {
        match &entry.event {
            Event::ClockStep { by_ns } => {
                let by = Span(by_ns.unsigned_abs()).human();
                taint.add(None, entry.at.0 / SECOND, &format!("wall time jumped by {by}"));
            }
            Event::Suspended { slept } => taint.add(None, entry.at.0 / SECOND, &format!("the machine slept for {}", slept.human())),
            _ => {}
        }
    }
    for (from, to) in &read.stalls {
        let long = to.since(*from);
        for (id, watch) in read.probes.iter().filter(|(_, w)| long > w.interval && !w.rows.is_empty()) {
            // A sample that was under way is tainted as well, even where it was sent on time.
            let reach = from.minus(watch.plan.timeout);
            let first = watch.planned(reach, *from).iter().find(|row| row.done > *from).map_or(*from, |row| row.planned.min(*from));
            for second in first.0 / SECOND..=to.0 / SECOND {
                taint.add(Some(id), second, &format!("the prober stood still for {}", long.human()));
            }
        }
    }
    for (id, watch) in &read.probes {
        samples(&mut taint, id, watch);
    }
    taint
}

fn samples(taint: &mut Taint, id: &str, watch: &Watch<'_>) {
    let late = Span::millis(5).max(Span(watch.interval.0 / 4));
    let mut lags: Vec<Span> = Vec::new();
    let mut previous: Option<&Sample> = None;
    for (index, row) in watch.rows.iter().enumerate() {
        let second = row.planned.0 / SECOND;
        match row.verdict {
            Verdict::Local => taint.add(Some(id), second, &format!("{id}: a sample failed on our side")),
            Verdict::Capped => taint.add(Some(id), second, &format!("{id}: too many samples in flight")),
            Verdict::Bad if watch.plan.control => taint.add(None, second, &format!("control probe {id} failed")),
            Verdict::Bad | Verdict::Ok => {}
        }
        if let Some(before) = previous.filter(|p| p.n + 1 < row.n) {
            let last = second.min(before.planned.0 / SECOND + 3600);
            for second in before.planned.0 / SECOND..=last {
                taint.add(Some(id), second, &format!("{id}: samples are missing"));
            }
        }
        previous = Some(row);
        lags.push(row.lag());
        if watch.rows.get(index + 1).is_none_or(|next| next.planned.0 / SECOND != second) {
            lags.sort_unstable();
            let p99 = lags[rank(0.99, lags.len()) - 1];
            if p99 > late {
                taint.add(Some(id), second, &format!("{id}: sent {} late", p99.human()));
            }
            lags.clear();
        }
    }
}

/// Prober health over the run.
pub(super) fn health(read: &Read<'_>, taint: &Taint) -> ProberFacts {
    let mut lags: Vec<Span> = read.probes.values().flat_map(|w| w.rows.iter().map(|row| row.lag())).collect();
    let lag_p99 = (!lags.is_empty()).then(|| {
        let at = rank(0.99, lags.len()) - 1;
        *lags.select_nth_unstable(at).1
    });
    let of = |wanted: fn(&Event) -> bool| read.entries.iter().filter(|e| wanted(&e.event)).count() as u64;
    ProberFacts {
        lag_p99,
        stalls: read.stalls.len() as u64,
        longest_stall: read.stalls.iter().map(|(from, to)| to.since(*from)).max().unwrap_or_default(),
        clock_steps: of(|e| matches!(e, Event::ClockStep { .. })),
        suspends: of(|e| matches!(e, Event::Suspended { .. })),
        tainted: taint.reasons.iter().map(|(second, why)| (At(second * SECOND), why.clone())).collect(),
    }
}

/// Why the prober was starved, when it was: more than a tenth of the watched seconds, and at least three, are tainted.
pub(super) fn starved(read: &Read<'_>, taint: &Taint) -> Option<String> {
    let starts = read.probes.values().filter_map(|w| w.rows.first()).map(|row| row.planned).min()?;
    let ends = read.probes.values().filter_map(|w| w.rows.last()).map(|row| row.planned).max()?;
    let watched = ends.since(starts).0.div_ceil(SECOND).max(1);
    let tainted = taint.seconds();
    (tainted >= 3 && tainted * 10 > watched)
        .then(|| format!("the prober was starved: {} of {} are in doubt", count(tainted, "second"), grouped(watched)))
}
