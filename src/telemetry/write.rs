//! Families of metrics, put together sample by sample and written in Prometheus' text format. Samples with the same labels become one.

use std::collections::BTreeMap;

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Sample, MetricFamily, MetricType};

use super::names::{ALL, Kind, Metric};

/// Labels of a sample, sorted by name.
type Set = Vec<(&'static str, String)>;

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    One(f64),
    /// Cumulative counts by upper bound in seconds, the sum in seconds, and the count of all.
    Buckets(Vec<(f64, u64)>, f64, u64),
}

/// What is told at one moment.
#[derive(Debug, Default)]
pub(super) struct Page {
    scenario: String,
    samples: BTreeMap<&'static str, BTreeMap<Set, Value>>,
}

impl Page {
    /// An empty page of a scenario, which is a label of every sample but those of the tool itself.
    pub fn new(scenario: &str) -> Page {
        Page { scenario: scenario.to_owned(), samples: BTreeMap::new() }
    }

    fn put(&mut self, metric: Metric, labels: &[(&'static str, &str)], value: Value) {
        let mut set: Set = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if metric != super::names::BUILD_INFO {
            set.push(("scenario", self.scenario.clone()));
        }
        set.sort_unstable();
        let family = self.samples.entry(metric.name).or_default();
        match (family.get_mut(&set), value) {
            (None, value) => drop(family.insert(set, value)),
            (Some(Value::One(known)), Value::One(more)) => {
                // What shares a label is counted together; of lengths of time the longest is told.
                let is_length = metric.kind == Kind::Gauge && (metric.name.ends_with("_seconds") || metric.name.ends_with("_ratio"));
                *known = if is_length { known.max(more) } else { *known + more };
            }
            (Some(Value::Buckets(known, sum, count)), Value::Buckets(more, more_sum, more_count)) => {
                known.iter_mut().zip(more).for_each(|((_, known), (_, more))| *known += more);
                *sum += more_sum;
                *count += more_count;
            }
            _ => {}
        }
    }

    /// A number.
    pub fn one(&mut self, metric: Metric, labels: &[(&'static str, &str)], value: f64) {
        self.put(metric, labels, Value::One(value));
    }

    /// Yes or no.
    pub fn flag(&mut self, metric: Metric, labels: &[(&'static str, &str)], value: bool) {
        self.one(metric, labels, f64::from(u8::from(value)));
    }

    /// Every state of a fixed set; 1 for the one it is in.
    pub fn states(&mut self, metric: Metric, labels: &[(&'static str, &str)], name: &'static str, all: &[&str], now: &str) {
        for state in all {
            let mut labels = labels.to_vec();
            labels.push((name, state));
            self.flag(metric, &labels, *state == now);
        }
    }

    /// A histogram: cumulative counts by upper bound, the sum of all values and their number.
    pub fn buckets(&mut self, metric: Metric, labels: &[(&'static str, &str)], cumulative: Vec<(f64, u64)>, sum: f64, count: u64) {
        self.put(metric, labels, Value::Buckets(cumulative, sum, count));
    }

    /// The whole page in the text format. Empty for what has nothing to tell.
    pub fn text(self) -> String {
        let mut samples = self.samples;
        let family = |metric: &Metric| {
            let of = samples.remove(metric.name).filter(|of| !of.is_empty())?;
            let mut family = MetricFamily::default();
            family.set_name(metric.name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Kind::Counter => MetricType::COUNTER,
                Kind::Gauge | Kind::States => MetricType::GAUGE,
                Kind::Histogram => MetricType::HISTOGRAM,
            });
            family.set_metric(of.into_iter().map(|(labels, value)| sample(metric.kind, labels, value)).collect());
            Some(family)
        };
        let families: Vec<MetricFamily> = ALL.iter().filter_map(family).collect();
        // Families without a name or without samples are refused; there are none.
        TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

fn sample(kind: Kind, labels: Set, value: Value) -> Sample {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    let mut sample = Sample::from_label(pairs.collect());
    match value {
        Value::One(value) if kind == Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        Value::One(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        Value::Buckets(cumulative, sum, count) => {
            let mut histogram = Histogram::default();
            let bucket = |(bound, count): (f64, u64)| {
                let mut bucket = Bucket::default();
                bucket.set_upper_bound(bound);
                bucket.set_cumulative_count(count);
                bucket
            };
            histogram.set_bucket(cumulative.into_iter().map(bucket).collect());
            histogram.set_sample_sum(sum);
            histogram.set_sample_count(count);
            sample.set_histogram(histogram);
        }
    }
    sample
}
