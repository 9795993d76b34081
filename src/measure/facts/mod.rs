//! What a run means: every measured quantity with its bounds, in types. Filled by `measure`, read by `score` and `report`.
//! Instants are `At` on the run's clock; `RunFacts::start_mono_ns` turns them into raw CLOCK_MONOTONIC.

mod claim;

use indexmap::IndexMap;
use serde::Serialize;

use crate::base::{At, Interval, Span};
use crate::event::{Calibrated, Class, Leg, Outcome, UndoRecord};
use crate::response::Response;

pub use claim::{AvailabilityFacts, BudgetFacts, ByFacts, ClaimFacts, HoldsFacts, Judged, LatencyFacts, PartVerdict, RpoFacts, RtoFacts};

/// Everything measured in one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// The run itself.
    pub run: RunFacts,
    /// Whether its numbers may be trusted at all.
    pub validity: Validity,
    /// Subject values before and after: id → (before, after).
    pub subject: IndexMap<String, (Option<String>, Option<String>)>,
    /// Per fault.
    pub episodes: IndexMap<String, Episode>,
    /// Per guard: why it was breached, or `None`.
    pub guards: IndexMap<String, Option<String>>,
    /// Per probe.
    pub probes: IndexMap<String, ProbeFacts>,
    /// Per ledger probe.
    pub ledgers: IndexMap<String, LedgerFacts>,
    /// Per claim.
    pub claims: IndexMap<String, ClaimFacts>,
    /// After-care steps as they went: id → (result, detail).
    pub restore: IndexMap<String, (String, String)>,
    /// Steady state before: since when and its summary; `None` when it was not shown.
    pub steady_before: Option<(At, String)>,
    /// Steady state after the last undo.
    pub steady_after: SteadyAfter,
    /// What is still owed: item → how to undo by hand, when it was armed, and what was tried.
    pub owed: Vec<Owed>,
    /// Undos left to somebody else: item → who.
    pub left_to: Vec<(String, String)>,
    /// The timeline for people, in order.
    pub timeline: Vec<Moment>,
    /// What was expected of people, and what became of it.
    pub team: Response,
    /// Prober health.
    pub prober: ProberFacts,
}

/// How a run ended, under the name by which those know it who may not know events.
pub type Ended = Outcome;

/// The run itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunFacts {
    /// Its id.
    pub id: String,
    /// Version of firedrill that wrote the journal.
    pub firedrill: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// The boot it ran in.
    pub boot_id: String,
    /// Raw CLOCK_MONOTONIC of `At(0)`.
    pub start_mono_ns: u64,
    /// Wall time of the start, RFC 3339: a label.
    pub started_at: String,
    /// How it ended; `None` when the journal has no end yet.
    pub outcome: Option<Outcome>,
    /// The last instant of the journal.
    pub end: At,
    /// Why it was aborted.
    pub aborted: Option<String>,
    /// Why it could not start: what ended it stood in its way before any fault was armed.
    pub could_not_start: Option<String>,
    /// Who finished it when the runner died.
    pub taken_over: Option<String>,
    /// What true outages had shown about the machine before.
    pub calibration: Option<Calibrated>,
}

/// Whether the numbers may be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validity {
    /// They may.
    pub valid: bool,
    /// Why not; each a sentence for people.
    pub reasons: Vec<String>,
    /// Those of them that make every claim invalid; the others concern one fault.
    #[serde(skip)]
    pub of_run: Vec<String>,
    /// Seconds in which the prober itself was in doubt.
    pub tainted_seconds: u64,
}

/// One fault's episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// The fault kind.
    pub kind: String,
    /// Its phase at the end: `planned armed injecting active suspect undoing undo_failed undone left_to not_run`.
    pub phase: String,
    /// What was hit, for people.
    pub targets: Vec<String>,
    /// What was done, for people.
    pub summary: String,
    /// `t_cmd`.
    pub command: Option<At>,
    /// `t_ack`.
    pub acknowledged: Option<At>,
    /// `t_eff`.
    pub effective: Option<Interval>,
    /// What showed the effect.
    pub effect_seen: Option<String>,
    /// `t_undo`.
    pub undo_started: Option<At>,
    /// `t_undone`.
    pub undone: Option<Interval>,
    /// Over the episode's probes: first good sample after the onset.
    pub first_up: Option<At>,
    /// Over the episode's probes: `stable_up`. `hi` absent when it never came.
    pub stable_up: Option<Interval>,
    /// Bad runs after `first_up` and before `stable_up`.
    pub flaps: u32,
    /// It was stably up before its undo began.
    pub self_recovered: Option<bool>,
    /// Why it was not run or not confirmed.
    pub why_not: Option<String>,
    /// How to undo it by hand.
    pub by_hand: Option<String>,
    /// Smallest outage that the episode's probes would have seen.
    pub min_detectable: Span,
    /// Time quantities by the names of design section 1.6; each with bounds, `hi` absent when censored.
    pub times: IndexMap<String, Range>,
}

/// A duration known to lie within bounds; `hi` absent when open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// At least.
    pub lo: Span,
    /// At most; absent when it had not ended.
    pub hi: Option<Span>,
    /// Best estimate, when there is one.
    pub point: Option<Span>,
}

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

/// What became of numbered writes (design 1.10).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerFacts {
    /// Writes attempted.
    pub attempted: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Definitely not applied.
    pub failed: u64,
    /// Outcome unknown (time-out or reset after send).
    pub unknown: u64,
    /// Acknowledged and not found at the authority, by write number.
    pub lost: Vec<u64>,
    /// Found more than once.
    pub duplicated: u64,
    /// Found and never written.
    pub unexpected: u64,
    /// Failed and yet found.
    pub resurrected: u64,
    /// Unknown and found.
    pub recovered: u64,
    /// Acknowledged, and found at the authority only by a later read than the first: it was not lost, and a reader could have missed it.
    pub stale: u64,
    /// Lost per episode fault with its loss window.
    pub windows: IndexMap<String, LossWindow>,
    /// Readers that disagree with the authority: reader → how.
    pub divergent: Vec<(String, String)>,
    /// Why nothing can be said, when nothing can.
    pub not_read: Option<String>,
}

/// Loss around one episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LossWindow {
    /// max(t_eff.hi, last lost ack) − first lost ack; zero when none was lost.
    pub window: Span,
    /// From the first lost ack to the last: the window cannot be shorter, wherever between its bounds the effect was.
    #[serde(skip)]
    pub between_lost: Span,
    /// Number lost.
    pub lost: u64,
    /// Gap between acks around the effect: "RPO 0" means "less than this".
    pub resolution: Option<Span>,
    /// From the last acknowledgement before the effect until it, or until a write was not acknowledged: what was lost then would not show.
    #[serde(skip)]
    pub blind: Span,
    /// Acknowledged before the effect.
    pub acknowledged_before: u64,
    /// From the newest acknowledged write that was found, as all before it were, to the effect: how old the state is that survived.
    pub point: Option<Span>,
}

/// Steady state after the last undo.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SteadyAfter {
    /// Held since then.
    Held(At),
    /// Did not come back, and why.
    Missed(String),
    /// The run did not get so far.
    NotReached,
}

/// Something that is still owed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Owed {
    /// The item.
    pub id: String,
    /// What was hit.
    pub targets: Vec<String>,
    /// Since when.
    pub since: At,
    /// How to undo.
    pub undo: UndoRecord,
    /// What was tried and what it answered.
    pub tried: Vec<String>,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moment {
    /// When.
    pub at: At,
    /// Bounds, where it has any.
    pub bounds: Option<Interval>,
    /// A word: `baseline`, `inject`, `effective`, a probe's id, `recovered`, `undo`, `settle` …
    pub what: String,
    /// A sentence.
    pub text: String,
    /// Where the stamp comes from: `firedrill`, `probe checkout`, `guard x`.
    pub source: String,
    /// The journal entry.
    pub seq: u64,
}

/// Prober health over the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProberFacts {
    /// p99 of lag over all probes.
    pub lag_p99: Option<Span>,
    /// Times the prober stood still, and for how long in all.
    pub stalls: u64,
    /// Longest one.
    pub longest_stall: Span,
    /// Seconds in which its threads notably waited for a processor.
    pub waits: u64,
    /// The longest such wait within a second.
    pub longest_wait: Span,
    /// Wall-clock steps.
    pub clock_steps: u64,
    /// Sleeps of the machine.
    pub suspends: u64,
    /// Seconds tainted, as (start, reason).
    pub tainted: Vec<(At, String)>,
}
