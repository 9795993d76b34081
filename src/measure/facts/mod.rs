//! What a run means: every measured quantity with its bounds, in types. Filled by `measure`, read by `score` and `report`.
//! Instants are `At` on the run's clock; `RunFacts::start_mono_ns` turns them into raw CLOCK_MONOTONIC.

mod claim;
mod probe;

use indexmap::IndexMap;
use serde::Serialize;

use crate::base::{At, Interval, Span};
use crate::event::{Calibrated, Outcome, UndoRecord};
use crate::response::Response;

pub use claim::{AvailabilityFacts, BudgetFacts, ByFacts, ClaimFacts, HoldsFacts, Judged, LatencyFacts, PartVerdict, RpoFacts, RtoFacts};
pub use probe::{Arrival, Counts, LegFacts, Outage, Percentiles, PhaseFacts, ProbeFacts, Second, Shift, Shifted, Shifts};

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
    /// The longest within such a second for which somebody on the machine waited (`some` of `/proc/pressure/cpu`); none where the kernel does not tell.
    pub pressed: Option<Span>,
    /// Wall-clock steps.
    pub clock_steps: u64,
    /// Sleeps of the machine.
    pub suspends: u64,
    /// Seconds tainted, as (start, reason).
    pub tainted: Vec<(At, String)>,
}
