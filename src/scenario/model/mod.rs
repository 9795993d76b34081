//! What was written: the scenario language in types, exactly as the file says it, before defaults and references are resolved.
//!
//! A thing that names a *kind* (fault, probe, condition …) is split in two: [`Kinded`] holds the one key that is a registered kind and
//! its spec as a plain value; the struct beside it holds the language's own keys, the same for all kinds.

mod aws;
mod claim;
mod fault;
mod host;
mod probe;
mod system;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matcher::Matcher;
use crate::base::{Id, Span};

pub use aws::AwsDecl;
pub use claim::{
    AvailabilityDecl, BudgetDecl, By, ClaimDecl, ClaimHow, HoldsDecl, LatencyDecl, PhaseName, RpoDecl, RtoDecl, RtoFrom, ShareBounds,
    SourceDecl,
};
pub use fault::{AfterMoment, FaultDecl, FaultHow, HoldDecl, HoldUntil, OnceWord, RecoveryDecl, RestoreDecl, RestoreHow, UndoDecl, When};
pub use host::HostDecl;
pub use probe::{
    ConditionDecl, ConditionHow, GuardDecl, GuardHow, MaxSpan, MinShare, Observed, ProbeDecl, ProbeHow, ServedBy, SteadyBounds, SteadyDecl,
};
pub use system::{ProxyDecl, ResetDecl, Restart, SecretRef, Signal, StopHow, SubjectDecl, SystemDecl, SystemHow, TargetDecl, TargetHow};

/// Names in file order.
pub type Map<T> = IndexMap<Id, T>;
/// What an observation must look like: one matcher a field of the kind.
pub type Expect = IndexMap<String, Matcher>;
/// A command as an argument list, never a shell string.
pub type Argv = Vec<String>;

/// The one key that names a registered kind, with its spec undecoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kinded {
    /// The registered name, for example `process.kill`.
    pub kind: String,
    /// The kind's own spec.
    pub spec: Value,
}

/// A whole scenario file (`firedrill: 1`).
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// What is lost, in one line.
    pub title: String,
    /// Why this drill is run.
    pub why: Option<String>,
    /// Who owns the drill.
    pub owner: Option<String>,
    /// Where it runs; decides what its evidence is worth.
    pub environment: Environment,
    /// What is promised of the system while the fault lasts.
    pub test: TestKind,
    /// The AWS account that faults act in.
    pub aws: Option<AwsDecl>,
    /// Other machines that faults act on.
    pub hosts: Map<HostDecl>,
    /// A workload file that shares probes, steady state, guards and claims; already merged in.
    pub workload: Option<String>,
    /// Text substitutions, after `--var`.
    pub vars: IndexMap<String, String>,
    /// Secrets by reference.
    pub secrets: Map<SecretRef>,
    /// Processes that firedrill starts, watches and stops.
    pub system: Map<SystemDecl>,
    /// Proxies in the path from baseline on.
    pub proxies: Map<ProxyDecl>,
    /// Things only known late.
    pub targets: Map<TargetDecl>,
    /// What is watched from outside.
    pub probes: Map<ProbeDecl>,
    /// The one definition of normal.
    pub steady_state: SteadyDecl,
    /// What may never fail.
    pub guards: Map<GuardDecl>,
    /// What is broken.
    pub faults: Map<FaultDecl>,
    /// After-care that is not undoing.
    pub restore: Map<RestoreDecl>,
    /// When an episode counts as recovered.
    pub recovery: Option<RecoveryDecl>,
    /// What a reviewer wants shown.
    pub claims: Map<ClaimDecl>,
    /// What exactly was tested.
    pub subject: Map<SubjectDecl>,
    /// No fault is touched; clocks, prompts and marks are real.
    pub tabletop: bool,
    /// How the system is brought back between repeats.
    pub reset: Option<ResetDecl>,
    /// Expected responses of people: checked, carried, judged by a later version.
    pub team: Option<Value>,
    /// Targets for the score and impact wording.
    pub score: Option<Value>,
    /// Who is told.
    pub notify: Option<Value>,
    /// Components, cadence and other keys of a workload that are shown, not judged.
    pub components: Option<Value>,
    /// How often this drill should be run.
    pub cadence: Option<Span>,
}

/// Where a drill runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// One machine: a demonstration, not evidence.
    #[default]
    Laptop,
    /// A test environment.
    Test,
    /// A production-like environment.
    Staging,
    /// The real thing.
    Production,
}

/// What is promised of the system while the fault lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// May break, must come back.
    #[default]
    Recovery,
    /// Must never leave steady state.
    Sustained,
}
