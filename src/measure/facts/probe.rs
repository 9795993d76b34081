//! What a probe saw: its counts, its outages, and its response times by phase.

use indexmap::IndexMap;
use serde::Serialize;

use crate::base::{At, Interval, Span};
use crate::event::{Class, Leg};

/// One probe over the whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeFacts {
    /// The probe kind.
    pub kind: String,
    /// A control probe.
    pub control: bool,
    /// Time between two planned samples.
    pub interval: Span,
    /// Longest wait for an answer.
    pub timeout: Span,
    /// Smallest outage that is sure to be seen.
    pub min_detectable: Span,
    /// Its percentiles may be trusted.
    pub valid: bool,
    /// Counts over the run.
    pub samples: Counts,
    /// Who answered, in order, each until when (`None`: to the end).
    pub served_by: Vec<(String, Option<At>)>,
    /// Outages in order.
    pub outages: Vec<Outage>,
    /// Per phase: `before`, `FAULT.inject`, `FAULT.during`, `FAULT.undo`, `FAULT.after`, `FAULT.recovering`.
    pub phases: IndexMap<String, PhaseFacts>,
    /// For the picture: one row per second.
    pub seconds: Vec<Second>,
}

/// Sample counts. planned = ok + bad + local + capped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Planned.
    pub planned: u64,
    /// As asked, in time.
    pub ok: u64,
    /// Failed by the target.
    pub bad: u64,
    /// Failed by us.
    pub local: u64,
    /// Not sent.
    pub capped: u64,
    /// Bad ones by class.
    pub by_class: IndexMap<Class, u64>,
}

/// One outage: a run of bad samples with bounds on its edges (strict, design 1.4).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outage {
    /// When it began.
    pub onset: Interval,
    /// When it ended; `hi` absent when it had not.
    pub recovery: Interval,
    /// Start to start: s_b − s_f. Absent when it had not ended.
    pub point: Option<Span>,
    /// At least.
    pub lo: Span,
    /// At most; absent when it had not ended.
    pub hi: Option<Span>,
    /// It had not ended when watching stopped.
    pub censored: bool,
    /// Bad samples in it.
    pub samples: u64,
    /// The commonest reason, for people.
    pub reason: String,
    /// An edge was widened because the prober itself was in doubt.
    pub widened: bool,
    /// Narrower bounds, for one more assumption; none where it does not hold for how it failed, or the way there is not known.
    pub arrival: Option<Arrival>,
}

/// Bounds of an outage where an answer is decided when the request arrives (design 1.4). No verdict rests on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// The longest way there: p99.9 of good answers before the fault, the longest of fewer than a thousand.
    pub way: Span,
    /// When it began.
    pub onset: Interval,
    /// When it ended; `hi` absent when it had not.
    pub recovery: Interval,
    /// At least.
    pub lo: Span,
    /// At most; absent when it had not ended.
    pub hi: Option<Span>,
}

/// One probe in one phase. Latencies are of `response_all` (done − planned; time-outs count at their limit).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseFacts {
    /// Counts.
    pub counts: Counts,
    /// Length of the phase.
    pub length: Span,
    /// Percentiles of `response_all`; absent without samples.
    pub response: Option<Percentiles>,
    /// Percentiles of `service_ok`.
    pub service_ok: Option<Percentiles>,
    /// Where the time went, by each part of the way that some had gone to its end.
    pub legs: IndexMap<Leg, LegFacts>,
    /// p99 of lag.
    pub lag_p99: Option<Span>,
    /// More than 1 % of the phase is tainted: not to be scored.
    pub tainted: bool,
    /// Failures that say nothing of the target, since the prober stood still or its own path was cut when they were decided.
    pub in_doubt: u64,
    /// Seconds with good answers that did not keep to the steady state; none without a steady state of this probe.
    pub degraded: Option<Span>,
    /// Its response times against those before the fault; none of the time before itself.
    pub shifts: Option<Shifts>,
    /// Histogram for the picture: (upper bound of the bucket, count), log-spaced.
    pub histogram: Vec<(Span, u64)>,
}

/// How response times of a phase lie against those before the fault: quantiles of its seconds against quantiles of theirs (design 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shifts {
    /// The medians of seconds.
    pub p50: Shift,
    /// Their 99th percentiles.
    pub p99: Shift,
}

/// How much one set of values lies above another. Bounds are of 98 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// How many seconds, before and now, in which the prober was not in doubt.
    pub seconds: (u64, u64),
    /// The middle one before.
    pub before: Option<Span>,
    /// The middle one now.
    pub now: Option<Span>,
    /// The Hodges–Lehmann estimate of the difference, in nanoseconds; none with too few seconds.
    pub by_ns: Option<i64>,
    /// At least.
    pub lo_ns: Option<i64>,
    /// At most.
    pub hi_ns: Option<i64>,
    /// What that comes to.
    pub verdict: Shifted,
}

/// What a difference comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shifted {
    /// None that is sure and as much as a tenth.
    Same,
    /// Slower for sure, by a tenth or more.
    Higher,
    /// Faster for sure, by a tenth or more.
    Lower,
    /// Too few seconds to say.
    NoData,
}

/// One part of the way of those that had gone it to its end: who was refused or timed out in it is not among them, so that the count belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LegFacts {
    /// How many had.
    pub count: u64,
    /// What it took them, to a microsecond, rounded up.
    pub took: Percentiles,
}

/// Percentiles of a set of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: Span,
    /// 90th.
    pub p90: Span,
    /// 95th.
    pub p95: Span,
    /// 99th.
    pub p99: Span,
    /// 99.9th.
    pub p999: Span,
    /// Largest.
    pub max: Span,
    /// Quantiles from this one on, in thousandths (`990` is p99), fall among time-outs: print `≥`. `None` when there are none.
    pub censored_from: Option<u32>,
}

/// One second of one probe, for the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Second {
    /// Its start.
    pub at: At,
    /// Good samples.
    pub ok: u32,
    /// Bad samples.
    pub bad: u32,
    /// Local and capped ones.
    pub other: u32,
    /// Median response.
    pub p50: Option<Span>,
    /// 99th percentile of the responses.
    pub p99: Option<Span>,
    /// Largest response.
    pub max: Option<Span>,
    /// The prober was in doubt.
    pub tainted: bool,
}
