//! What is said of a claim: each part with its measure, its objective and its verdict.

use indexmap::IndexMap;
use serde::Serialize;

use super::{LossWindow, Range};
use crate::base::Span;
use crate::plan::{By, PhaseName, RtoFrom};

/// What is said of a claim or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// Shown.
    Passed,
    /// Refuted.
    Failed,
    /// Neither.
    Inconclusive,
    /// No evidence at all.
    Invalid,
}

/// A part of a claim, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartVerdict {
    /// What is said.
    pub verdict: Judged,
    /// Why, in a sentence for people; says what would decide it when it is inconclusive.
    pub why: String,
}

/// One claim, measured and judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClaimFacts {
    /// Its episode.
    pub fault: String,
    /// All parts together: failed over invalid over inconclusive over passed.
    pub verdict: Judged,
    /// Recovery time.
    pub rto: Option<RtoFacts>,
    /// Recovery point.
    pub rpo: Option<RpoFacts>,
    /// Availability.
    pub availability: Option<AvailabilityFacts>,
    /// Latency: each quantile that was claimed.
    pub latency: Option<LatencyFacts>,
    /// Who answered.
    pub by: Option<ByFacts>,
    /// What must hold beside.
    pub holds: IndexMap<String, HoldsFacts>,
}

/// Recovery time against its objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RtoFacts {
    /// Judged.
    pub part: PartVerdict,
    /// Counted from.
    pub from: RtoFrom,
    /// The objective.
    pub claimed: Span,
    /// Measured, when it could be.
    pub measured: Option<Range>,
    /// It came back before the undo.
    pub self_recovered: Option<bool>,
}

/// Loss against its objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RpoFacts {
    /// Judged.
    pub part: PartVerdict,
    /// The ledger.
    pub ledger: String,
    /// The objective.
    pub claimed: Span,
    /// The loss window, when it could be measured.
    pub window: Option<LossWindow>,
}

/// Availability against its objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AvailabilityFacts {
    /// Judged by time.
    pub part: PartVerdict,
    /// The objective, a fraction.
    pub claimed: f64,
    /// The window.
    pub over: Span,
    /// By time, at least; a fraction.
    pub by_time_lo: Option<f64>,
    /// By time, at most; a fraction.
    pub by_time_hi: Option<f64>,
    /// By requests; a fraction.
    pub by_requests: Option<f64>,
    /// What it would have spent of an error budget.
    pub budget: Option<BudgetFacts>,
}

/// What a window would have spent of an error budget, were it the service itself and not its probes (design 1.7).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BudgetFacts {
    /// The objective, a fraction.
    pub slo: f64,
    /// Its period.
    pub over: Span,
    /// What it allows to be down in its period.
    pub allowed: Span,
    /// Share of it, by time, at least: `time down / ((1 − slo) · period)`.
    pub spent_lo: Option<f64>,
    /// At most.
    pub spent_hi: Option<f64>,
    /// How many times faster than the objective allows requests failed: `share of failed ones / (1 − slo)`.
    pub burn_rate: Option<f64>,
}

/// Latency against its objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyFacts {
    /// Judged.
    pub part: PartVerdict,
    /// In which phase.
    pub phase: PhaseName,
    /// Quantile name (`p99`) → (claimed, measured).
    pub quantiles: IndexMap<String, (Span, Option<Span>)>,
}

/// Who answered, against who should.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByFacts {
    /// Judged.
    pub part: PartVerdict,
    /// What was claimed.
    pub claimed: By,
    /// Who answered last before the fault.
    pub before: Option<String>,
    /// Who answered first after recovery.
    pub after: Option<String>,
}

/// What must hold beside recovery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HoldsFacts {
    /// Judged.
    pub part: PartVerdict,
    /// Share of good samples in the window, a fraction.
    pub share: Option<f64>,
    /// Samples in the window.
    pub samples: u64,
}
