//! What was written: the scenario language in types, exactly as the file says it, before defaults and references are resolved.
//!
//! A thing that names a *kind* (fault, probe, condition …) is split in two: [`Kinded`] holds the one key that is a registered kind and
//! its spec as a plain value; the struct beside it holds the language's own keys, the same for all kinds.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::matcher::Matcher;
use crate::base::{Id, Percent, Rate, Span};

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

/// Where a secret comes from; the value itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; trailing line ends are removed.
    File(String),
    /// An AWS Systems Manager parameter.
    SsmParameter(String),
}

/// A process that firedrill starts, watches and stops.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemDecl {
    /// The language's own keys.
    pub how: SystemHow,
    /// Asked until it holds, before the next process starts.
    pub ready: Option<ConditionDecl>,
}

/// The plain keys of a `system:` process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemHow {
    /// Commands run to completion before the process starts, each at most a minute.
    #[serde(default)]
    pub setup: Vec<Argv>,
    /// The process itself.
    pub run: Argv,
    /// The account it runs as; needs the right to change user.
    #[serde(default)]
    pub user: Option<String>,
    /// Environment variables added to firedrill's own.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// Working directory.
    #[serde(default)]
    pub cwd: Option<String>,
    /// How it is asked to stop before it is killed.
    #[serde(default)]
    pub stop: StopHow,
    /// Whether firedrill starts it again when it ends by itself.
    #[serde(default)]
    pub restart: Restart,
    /// The process may be restarted while a fault owns it.
    #[serde(default)]
    pub supervised: bool,
}

/// How a process is asked to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopHow {
    /// The signal that asks.
    #[serde(default = "Signal::term")]
    pub signal: Signal,
    /// How long it may take before SIGKILL.
    #[serde(default = "five_seconds")]
    pub within: Span,
}

impl Default for StopHow {
    fn default() -> StopHow {
        StopHow { signal: Signal::Term, within: five_seconds() }
    }
}

fn five_seconds() -> Span {
    Span::secs(5)
}

/// A signal by its short name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "POSIX names")]
pub enum Signal {
    Hup,
    Int,
    Quit,
    Kill,
    Term,
    Usr1,
    Usr2,
    Stop,
    Abrt,
}

impl Signal {
    fn term() -> Signal {
        Signal::Term
    }

    /// The name as `kill -s` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Hup => "HUP",
            Signal::Int => "INT",
            Signal::Quit => "QUIT",
            Signal::Kill => "KILL",
            Signal::Term => "TERM",
            Signal::Usr1 => "USR1",
            Signal::Usr2 => "USR2",
            Signal::Stop => "STOP",
            Signal::Abrt => "ABRT",
        }
    }
}

/// Whether an ended process is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// It stays ended.
    #[default]
    Never,
    /// When it ended with an error or by a signal.
    OnFailure,
    /// Whenever it ended.
    Always,
}

/// A TCP proxy in the path from baseline on; `proxy.*` faults name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyDecl {
    /// Where clients connect: `HOST:PORT`.
    pub listen: String,
    /// Where the proxy connects to: `HOST:PORT`.
    pub upstream: String,
}

/// Something that is only known when the fault is armed.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetDecl {
    /// The observation that names it.
    pub what: Kinded,
    /// The language's own keys.
    pub how: TargetHow,
}

/// The plain keys of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetHow {
    /// An RFC 9535 path into what was observed (JSON), or absent for the trimmed text.
    #[serde(default)]
    pub pick: Option<String>,
    /// Every candidate: the blast radius covers all of them.
    pub among: Vec<Id>,
    /// How many must be found; anything else refuses.
    #[serde(default = "one")]
    pub exactly: usize,
    /// How long the observation may take.
    #[serde(default = "five_seconds")]
    pub within: Span,
}

fn one() -> usize {
    1
}

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
    /// How often, open loop: due times by arithmetic. Default `20/s`, for `command` `1/s`.
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
    /// Bounds per probe.
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
    /// Consecutive breaches that abort. Default 2.
    #[serde(default)]
    pub breaches: Option<u32>,
    /// How long it may be without data; default 3 × `every`.
    #[serde(default)]
    pub grace: Option<Span>,
}

/// What is broken: an episode with its own onset, recovery and claims.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultDecl {
    /// The fault kind and its spec.
    pub what: Kinded,
    /// The language's own keys.
    pub how: FaultHow,
    /// How one sees that it bites; default: the kind's own read-back.
    pub confirm: Option<ConditionDecl>,
    /// How it is undone, for kinds without an undo of their own.
    pub undo: Option<UndoDecl>,
}

/// The plain keys of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultHow {
    /// When: after steady state was shown, or after another moment. Default `0s` after steady.
    #[serde(default)]
    pub at: Option<When>,
    /// How long.
    #[serde(rename = "for")]
    pub hold: HoldDecl,
    /// Overrides the scenario's `recovery`.
    #[serde(default)]
    pub recovery: Option<RecoveryDecl>,
    /// Where it runs; parsed and checked, for a later version.
    #[serde(default)]
    pub on: Option<Value>,
}

/// A moment in the drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// After steady state was shown.
    AfterSteady(Span),
    /// After another moment.
    After(AfterMoment),
}

/// `{ after: other-fault.recovered, plus: 30s }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterMoment {
    /// `steady`, `FAULT.effective`, `FAULT.recovered`, `FAULT.undone` (`FAULT.` may be left out with a single fault), or an expectation's id.
    pub after: String,
    /// How long after it.
    #[serde(default)]
    pub plus: Span,
}

/// How long a fault lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HoldDecl {
    /// `once`: one shot, undone once recovered, at the latest after `recovery.within`.
    Once(OnceWord),
    /// A time.
    Time(Span),
    /// Until something happens, but not longer than `at_most`.
    Until(HoldUntil),
}

/// The word `once`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnceWord {
    /// One shot.
    Once,
}

/// `{ until: recovered, at_most: 30m }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldUntil {
    /// `recovered`, `released`, or an expectation's id.
    pub until: String,
    /// The longest.
    pub at_most: Span,
}

/// How a fault is undone when its kind has no undo of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoDecl {
    /// A command that undoes.
    pub run: Option<Argv>,
    /// Who else undoes it.
    pub left_to: Option<String>,
    /// How one sees that it is undone; asked before each attempt, too.
    pub done_when: Option<ConditionDecl>,
}

/// After-care that is not undoing: rejoin, fail back.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreDecl {
    /// The language's own keys.
    pub how: RestoreHow,
    /// The precondition.
    pub only_if: Option<ConditionDecl>,
}

/// The plain keys of a restore step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreHow {
    /// The command.
    pub run: Argv,
    /// After which moment.
    pub after: String,
    /// How long the command may take. Default `60s`.
    #[serde(default)]
    pub within: Option<Span>,
}

/// When an episode counts as recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryDecl {
    /// Counted from effect.
    pub within: Span,
    /// How long it must stay up to count.
    #[serde(default = "ten_seconds")]
    pub stable_for: Span,
}

fn ten_seconds() -> Span {
    Span::secs(10)
}

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

/// What exactly was tested; captured before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct SubjectDecl {
    /// The observation.
    pub what: Kinded,
    /// An RFC 9535 path into it; absent for the trimmed text.
    pub pick: Option<String>,
}

/// How the system is brought back between repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct ResetDecl {
    /// The command.
    pub run: Argv,
    /// How one sees that it worked.
    pub done_when: Option<ConditionDecl>,
}
