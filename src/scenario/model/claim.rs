//! What a reviewer wants shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Map;
use super::fault::AfterMoment;
use super::probe::MaxSpan;
use crate::base::{Id, Percent, Span};

/// What a reviewer wants shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimDecl {
    /// The language's own keys.
    pub how: ClaimHow,
    /// What must hold beside: share bounds of a probe from a moment on.
    pub holds: Map<HoldsDecl>,
}

/// The plain keys of a claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimHow {
    /// Which episode; may be left out with a single fault.
    #[serde(default)]
    pub fault: Option<Id>,
    /// What the users call it.
    #[serde(default)]
    pub service: Option<String>,
    /// What kind of loss is claimed to be survived.
    #[serde(default)]
    pub disruption: Option<String>,
    /// The probes that must all be up; default: every probe of `steady_state`.
    #[serde(default)]
    pub measured_by: Vec<Id>,
    /// Recovery time objective.
    #[serde(default)]
    pub rto: Option<RtoDecl>,
    /// Recovery point objective.
    #[serde(default)]
    pub rpo: Option<RpoDecl>,
    /// Availability over a window.
    #[serde(default)]
    pub availability: Option<AvailabilityDecl>,
    /// Latency in a phase.
    #[serde(default)]
    pub latency: Option<LatencyDecl>,
    /// Who must have answered after recovery.
    #[serde(default)]
    pub by: Option<By>,
    /// Which document the claim comes from.
    #[serde(default)]
    pub source: Option<SourceDecl>,
}

/// A recovery time objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RtoDecl {
    /// The objective.
    pub max: Span,
    /// Counted from; all are reported, this one is judged.
    #[serde(default)]
    pub from: RtoFrom,
}

/// Where a recovery time is counted from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RtoFrom {
    /// When the fault was seen to bite: `recovery_time`.
    #[default]
    Effect,
    /// When users first failed: `failover_time`.
    Impact,
    /// When the injector was called.
    Command,
    /// When the team declared an incident.
    Declared,
}

/// A recovery point objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RpoDecl {
    /// The longest loss window.
    pub max: Span,
    /// The ledger probe that measures it.
    pub ledger: Id,
}

/// An availability objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AvailabilityDecl {
    /// The least share of time.
    pub min: Percent,
    /// From effect on.
    pub over: Span,
    /// The error budget of which the report says how much this fault would have spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetDecl>,
}

/// An error budget: what a service level objective allows to be down, or to fail, in its period.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetDecl {
    /// The service level objective; below 100%.
    pub slo: Percent,
    /// Its period.
    pub over: Span,
}

/// A latency objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyDecl {
    /// The median.
    #[serde(default)]
    pub p50: Option<MaxSpan>,
    /// The 90th percentile.
    #[serde(default)]
    pub p90: Option<MaxSpan>,
    /// The 95th percentile.
    #[serde(default)]
    pub p95: Option<MaxSpan>,
    /// The 99th percentile.
    #[serde(default)]
    pub p99: Option<MaxSpan>,
    /// The 99.9th percentile.
    #[serde(default)]
    pub p999: Option<MaxSpan>,
    /// In which phase. Default `during`.
    #[serde(default)]
    pub phase: PhaseName,
}

/// A phase of an episode, by planned time of the samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseName {
    /// Start to the injector's call.
    Before,
    /// The injector's call to effect.
    Inject,
    /// Effect to the undo's start.
    #[default]
    During,
    /// The undo's start to undone.
    Undo,
    /// Undone to the end.
    After,
    /// The part of during and after before it was stably up.
    Recovering,
}

/// Who must have answered after recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Another instance than before: a failover, not a restart.
    AnotherInstance,
    /// The same instance as before.
    SameInstance,
}

/// Where a claim comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDecl {
    /// The document.
    pub document: String,
    /// Who approved it.
    #[serde(default)]
    pub approved_by: Option<String>,
}

/// What must hold beside recovery, from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldsDecl {
    /// Which probe.
    pub probe: Id,
    /// Its share of good samples.
    pub success: ShareBounds,
    /// From when; default the fault's effect.
    #[serde(default)]
    pub from: Option<AfterMoment>,
    /// Until when; default the start of the fault's undo.
    #[serde(default)]
    pub until: Option<AfterMoment>,
}

/// Bounds on a share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareBounds {
    /// At least.
    #[serde(default)]
    pub min: Option<Percent>,
    /// At most.
    #[serde(default)]
    pub max: Option<Percent>,
}
