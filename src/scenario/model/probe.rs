//! What is watched: probes, steady state, conditions, guards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Expect, Kinded, Map};
use crate::base::{Id, Percent, Rate, Span};

/// What is watched from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeDecl {
    /// The probe kind and its spec.
    pub what: Kinded,
    /// The language's own keys.
    pub how: ProbeHow,
}

/// The plain keys of a probe.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeHow {
    /// How often, open loop: due times by arithmetic. Default `20/s`; `1/s` for `command`, `ledger.command` and `prometheus`.
    #[serde(default)]
    pub rate: Option<Rate>,
    /// How long one sample may take. Default `1s`.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// What a good answer looks like; default: the kind's own.
    #[serde(default)]
    pub expect: Expect,
    /// Who answered.
    #[serde(default)]
    pub served_by: Option<ServedBy>,
    /// A path that the fault cannot touch: bad here means "it was us".
    #[serde(default)]
    pub control: bool,
    /// Samples that are due within so much time leave together, at its end: fewer wake-ups at high rates, and each is late by up to as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Span>,
}

/// Where an answer says who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServedBy {
    /// A response header.
    Header(String),
    /// An RFC 9535 path into the JSON body.
    Json(String),
}

/// The one definition of normal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyDecl {
    /// Length of the sliding window. Default `10s`.
    #[serde(default)]
    pub over: Option<Span>,
    /// Bounds per probe. May be left out where a workload has them.
    #[serde(default)]
    pub probes: Map<SteadyBounds>,
}

/// Bounds of one probe over the steady-state window.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyBounds {
    /// The share of good samples.
    #[serde(default)]
    pub success: Option<MinShare>,
    /// The median response time.
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
}

/// A share that must at least be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MinShare {
    /// The least share.
    pub min: Percent,
}

/// A duration that must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxSpan {
    /// The longest duration.
    pub max: Span,
}

/// One form for every condition: `{ KIND: spec | probe: ID, expect: …, every: D, within: D }`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionDecl {
    /// What is observed.
    pub what: Observed,
    /// The language's own keys.
    pub how: ConditionHow,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// A probe kind with its own spec.
    Kind(Kinded),
    /// A declared probe, asked once more.
    Probe(Id),
}

/// The plain keys of a condition.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionHow {
    /// What must be seen; default: the kind's own idea of good.
    #[serde(default)]
    pub expect: Expect,
    /// How often it is asked.
    #[serde(default)]
    pub every: Option<Span>,
    /// How long it may take to come true.
    #[serde(default)]
    pub within: Option<Span>,
}

/// What may never fail: a breach aborts the drill and undoes every fault.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardDecl {
    /// What is observed.
    pub what: Observed,
    /// The language's own keys.
    pub how: GuardHow,
}

/// The plain keys of a guard.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardHow {
    /// What must be seen.
    #[serde(default)]
    pub expect: Expect,
    /// How often it is asked. Default `1s`.
    #[serde(default)]
    pub every: Option<Span>,
    /// How long one look may take; longer is no data. Default: the probe's, `5s` for a command, `1s` otherwise.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Consecutive breaches that abort. Default 2.
    #[serde(default)]
    pub breaches: Option<u32>,
    /// How long it may be without data; default 3 × `every`.
    #[serde(default)]
    pub grace: Option<Span>,
}
