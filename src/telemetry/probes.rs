//! What the probes show: counts by outcome and class, durations in classic buckets, whether targets are up, and the last outage with its bounds.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::labels::{Labels, Sort};
use super::names::{
    PROBE_INTERVAL, PROBE_LAG, PROBE_LAST_OUTAGE, PROBE_OUTAGES, PROBE_RESPONSE, PROBE_SAMPLES, PROBE_SERVICE, PROBE_UP, PROBE_WAIT,
};
use super::write::Page;
use crate::base::{Interval, Span};
use crate::event::{Class, Quiet, Sample, Verdict};
use crate::fold::packed::{coarse, histogram, record, unpack};
use crate::measure::facts::Facts;
use crate::plan::Plan;

/// Upper bounds of the buckets for answers, in nanoseconds: 250 µs to a minute, so that a loopback service and a slow fail-over both show.
pub const ANSWER_BOUNDS: &[u64] = &[
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];
/// Upper bounds of the buckets for the prober's own delays, in nanoseconds: 50 µs to a second.
pub const OWN_BOUNDS: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// Durations with their exact sum: a histogram knows its values to three digits only, and a sum must never fall.
#[derive(Debug, Clone)]
struct Durations {
    counts: Histogram<u64>,
    sum_ns: u128,
    bounds: &'static [u64],
}

impl Durations {
    fn answers() -> Durations {
        Durations { counts: histogram(), sum_ns: 0, bounds: ANSWER_BOUNDS }
    }

    fn own() -> Durations {
        Durations { counts: coarse(), sum_ns: 0, bounds: OWN_BOUNDS }
    }

    fn add(&mut self, took: Span) {
        record(&mut self.counts, took);
        self.sum_ns += u128::from(took.0);
    }

    fn add_all(&mut self, many: &Histogram<u64>) {
        // One that grows takes whatever another holds.
        let _ = self.counts.add(many);
        self.sum_ns += (many.mean() * many.len() as f64) as u128;
    }

    /// Counts of values up to each bound. A value is known to a thousandth (the prober's own to a hundredth), so one that lies as near below a bound
    /// may count above it: a bucket never holds more than it should.
    fn cumulative(&self) -> Vec<(f64, u64)> {
        let mut out = Vec::with_capacity(self.bounds.len());
        let mut cells = self.counts.iter_recorded().map(|cell| (cell.value_iterated_to(), cell.count_at_value())).peekable();
        let mut sum = 0;
        for bound in self.bounds {
            while let Some((_, count)) = cells.next_if(|(value, _)| value <= bound) {
                sum += count;
            }
            out.push((*bound as f64 / 1e9, sum));
        }
        out
    }
}

/// One probe.
#[derive(Debug, Clone)]
struct Probe {
    interval: Span,
    timeout: Span,
    counts: BTreeMap<(Verdict, Class), u64>,
    response: Durations,
    service: Durations,
    wait: Durations,
    lag: Durations,
    up: Option<bool>,
    outages: u64,
    /// When the outage began that is not over.
    down: Option<Interval>,
    last: Option<(Span, Option<Span>)>,
}

impl Probe {
    fn sample(&mut self, row: &Sample) {
        *self.counts.entry((row.verdict, row.class)).or_default() += 1;
        // Until it turns, the target is what its first sample said; a first bad one is a turn of its own.
        if self.up.is_none() && row.verdict == Verdict::Ok {
            self.up = Some(true);
        }
        if row.verdict == Verdict::Capped {
            return;
        }
        self.lag.add(row.lag());
        if matches!(row.verdict, Verdict::Ok | Verdict::Bad) {
            self.wait.add(row.sent.since(row.woken));
            self.response.add(if row.class == Class::Timeout { row.response().max(self.timeout) } else { row.response() });
        }
        if row.verdict == Verdict::Ok {
            self.service.add(row.service());
        }
    }

    fn quiet(&mut self, run: &Quiet) {
        *self.counts.entry((Verdict::Ok, Class::Ok)).or_default() += run.count;
        self.up = self.up.or(Some(true));
        let all = [&mut self.response, &mut self.service, &mut self.lag, &mut self.wait];
        for (into, packed) in all.into_iter().zip([&run.response, &run.service, &run.lag, &run.wait]) {
            into.add_all(&unpack(packed));
        }
    }

    fn turned(&mut self, up: bool, when: Interval) {
        self.up = Some(up);
        if up {
            if let Some(down) = self.down.take() {
                let at_most = when.hi.map(|hi| hi.since(down.lo));
                self.last = Some((when.lo.since(down.hi.unwrap_or(down.lo)), at_most));
            }
        } else if self.down.is_none() {
            self.outages += 1;
            self.down = Some(when);
        }
    }
}

/// All probes of a run.
#[derive(Debug, Clone)]
pub(super) struct Probes {
    all: BTreeMap<String, Probe>,
}

impl Probes {
    /// Those of a plan, with nothing seen yet.
    pub fn new(plan: &Plan) -> Probes {
        let probe = |interval: Span, timeout: Span| Probe {
            interval,
            timeout,
            // What cannot be seen to be zero cannot be alerted on.
            counts: BTreeMap::from([((Verdict::Ok, Class::Ok), 0)]),
            response: Durations::answers(),
            service: Durations::answers(),
            wait: Durations::own(),
            lag: Durations::own(),
            up: None,
            outages: 0,
            down: None,
            last: None,
        };
        Probes { all: plan.probes.iter().map(|(id, plan)| (id.to_string(), probe(plan.rate.interval(), plan.timeout))).collect() }
    }

    /// Samples of one probe.
    pub fn samples(&mut self, probe: &str, rows: &[Sample]) {
        if let Some(probe) = self.all.get_mut(probe) {
            rows.iter().for_each(|row| probe.sample(row));
        }
    }

    /// A run of good samples of one probe.
    pub fn quiet(&mut self, probe: &str, run: &Quiet) {
        if let Some(probe) = self.all.get_mut(probe) {
            probe.quiet(run);
        }
    }

    /// A target turned from up to down or back.
    pub fn turned(&mut self, probe: &str, up: bool, when: Interval) {
        if let Some(probe) = self.all.get_mut(probe) {
            probe.turned(up, when);
        }
    }

    /// Everything there is to tell; where the run was judged, outages are those of the judgement.
    pub fn tell(&self, page: &mut Page, labels: &Labels, judged: Option<&Facts>) {
        for (id, probe) in &self.all {
            let name = labels.of(Sort::Probe, id);
            let of = [("probe", name)];
            for ((verdict, class), count) in &probe.counts {
                page.one(PROBE_SAMPLES, &[("probe", name), ("outcome", outcome(*verdict)), ("class", class.word())], *count as f64);
            }
            if let Some(up) = probe.up {
                page.flag(PROBE_UP, &of, up);
            }
            page.one(PROBE_INTERVAL, &of, probe.interval.as_secs_f64());
            let found = judged.and_then(|facts| facts.probes.get(id)).map(|facts| &facts.outages);
            // A judgement may join two turns into one outage: what was counted once stays counted.
            page.one(PROBE_OUTAGES, &of, probe.outages.max(found.map_or(0, |all| all.len() as u64)) as f64);
            let last = match found {
                Some(all) => all.iter().rev().find(|outage| !outage.censored).map(|outage| (outage.lo, outage.hi)),
                None => probe.last,
            };
            if let Some((lo, hi)) = last {
                page.one(PROBE_LAST_OUTAGE, &[("probe", name), ("bound", "lower")], lo.as_secs_f64());
                if let Some(hi) = hi {
                    page.one(PROBE_LAST_OUTAGE, &[("probe", name), ("bound", "upper")], hi.as_secs_f64());
                }
            }
            let histograms =
                [(PROBE_RESPONSE, &probe.response), (PROBE_SERVICE, &probe.service), (PROBE_WAIT, &probe.wait), (PROBE_LAG, &probe.lag)];
            for (metric, durations) in histograms {
                page.buckets(metric, &of, durations.cumulative(), durations.sum_ns as f64 / 1e9, durations.counts.len());
            }
        }
    }
}

fn outcome(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Bad => "bad",
        Verdict::Local => "local",
        Verdict::Capped => "capped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buckets_are_cumulative_and_never_hold_too_much(values in prop::collection::vec(0u64..90_000_000_000, 0..200)) {
            let mut durations = Durations::answers();
            values.iter().for_each(|value| durations.add(Span(*value)));
            let told = durations.cumulative();
            prop_assert_eq!(told.len(), ANSWER_BOUNDS.len());
            prop_assert!(told.is_sorted_by(|a, b| a.1 <= b.1));
            for ((_, count), bound) in told.iter().zip(ANSWER_BOUNDS) {
                let within = |most: u64| values.iter().filter(|value| (**value).max(1) <= most).count() as u64;
                prop_assert!(*count <= within(*bound), "{} of at most {} up to {bound}", count, within(*bound));
                // Three digits: whatever lies a thousandth below the bound is surely counted, and half a microsecond at the fine end.
                prop_assert!(*count >= within(bound - bound / 500 - 1_000));
            }
        }
    }

    #[test]
    fn bounds_rise_and_end_at_what_people_wait_for() {
        for bounds in [ANSWER_BOUNDS, OWN_BOUNDS] {
            assert!(bounds.is_sorted_by(|a, b| a < b));
        }
        assert_eq!(ANSWER_BOUNDS.last(), Some(&60_000_000_000));
    }
}
