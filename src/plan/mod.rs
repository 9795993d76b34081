//! What will happen: a checked scenario with every default filled in, every reference known to exist and every moment named in full.
//! Pure data, written to `plan.json`; its digest stands in the first journal entry. It must never know how a kind checks its spec, a clock or a file.

mod account;
mod block;
mod build;
mod care;
mod carried;
mod cues;
mod host;
mod listen;
mod mode;
mod notify;
pub mod pins;
pub mod preview;
mod ruled;
mod team;
mod words;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use account::AwsPlan;
pub use build::{Origin, build, default_rate};
pub use care::{ResetPlan, RestorePlan, UndoPlan};
pub use cues::{HintPlan, LEADING, PromptPlan, UNNAMED};
pub use host::HostPlan;
pub use listen::{ListenPlan, ReceiverPlan};
pub use mode::Mode;
pub use notify::{ChangePlan, ChannelPlan, GrafanaPlan, NoticePlan, SlackPlan, WebhookPlan};
pub use pins::Pins;
pub use ruled::{ApprovalRecord, PolicyRecord, RuleRecord};
pub use team::{ExpectationPlan, Expected, SignalPlan, TeamPlan, WrongTurnPlan};

use crate::base::{Digest, Id, Percent, Rate, Span};
pub use crate::scenario::matcher::{Match, Matcher, number_of};
pub use crate::scenario::model::{
    Argv, BudgetDecl, By, Environment, Expect, HostDecl, LatencyDecl, Map, MaxSpan, PhaseName, ProxyDecl, Restart, RtoFrom, SecretRef,
    ServedBy, ShareBounds, Signal, SourceDecl, SteadyBounds, StopHow, SystemHow, TestKind,
};
pub use crate::scenario::team::{Audience, NoticeOf};

/// Everything a run needs to know. Strings may still hold `${run.dir}`, `${firedrill}`, `${key}` and `${secret:ID}`, which are filled
/// only at the moment of use; everything else is final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this file's format: 1.
    pub schema: u32,
    /// The scenario's name: its file name without `.yaml`.
    pub name: String,
    /// Directory that relative paths in commands resolve against (absolute).
    pub base_dir: String,
    /// Title for people.
    pub title: String,
    /// Why this drill is run.
    pub why: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// Where it runs.
    pub environment: Environment,
    /// What is promised of the system while the fault lasts.
    pub test: TestKind,
    /// The AWS account in which faults act, where there are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsPlan>,
    /// How the run is meant.
    pub mode: Mode,
    /// Digest of the scenario's text.
    pub scenario_digest: Digest,
    /// Digest of the workload's text, where there is one.
    pub workload_digest: Option<Digest>,
    /// Where secrets come from; never their values.
    pub secrets: Map<SecretRef>,
    /// Processes to start, in order.
    pub system: Map<SystemPlan>,
    /// Proxies to start, in order, after the processes.
    pub proxies: Map<ProxyDecl>,
    /// Targets to resolve when a fault is armed.
    pub targets: Map<TargetPlan>,
    /// What is watched from outside.
    pub probes: Map<ProbePlan>,
    /// The one definition of normal.
    pub steady: SteadyPlan,
    /// What may never fail.
    pub guards: Map<GuardPlan>,
    /// Episodes, in file order.
    pub faults: Map<FaultPlan>,
    /// After-care steps.
    pub restore: Map<RestorePlan>,
    /// What is to be shown.
    pub claims: Map<ClaimPlan>,
    /// What exactly is tested.
    pub subject: Map<SubjectPlan>,
    /// How long baseline may take to show steady state.
    pub baseline_within: Span,
    /// How long steady state may take to come back after the last undo.
    pub settle_within: Span,
    /// Bring-back command between repeats.
    pub reset: Option<ResetPlan>,
    /// What was parsed and checked but is not judged by this version, for people: `team.expect.detected`.
    pub not_judged: Vec<String>,
    /// Who is told what happens.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub notify: Map<NoticePlan>,
    /// What is expected of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamPlan>,
    /// The `team`, `score` and `notify` blocks as written.
    pub carried: IndexMap<String, Value>,
    /// What a policy said when the run was allowed; absent where none applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRecord>,
    /// What may be hit and nothing else, where somebody pinned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Pins>,
}

/// A process that firedrill starts, watches and stops.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemPlan {
    /// What to run and how.
    pub how: SystemHow,
    /// Asked until it holds before the next one starts.
    pub ready: Option<Condition>,
}

/// A condition with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The probe kind.
    pub kind: String,
    /// Its spec.
    pub spec: Value,
    /// What must be seen; empty means the kind's own idea of good.
    pub expect: Expect,
    /// Time between two looks.
    pub every: Span,
    /// How long it may take to come true.
    pub within: Span,
    /// How long one look may take.
    pub timeout: Span,
}

/// A target that is resolved when its fault is armed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// The observation that names it.
    pub look: Condition,
    /// RFC 9535 path into what was observed; absent for the trimmed text.
    pub pick: Option<String>,
    /// Every candidate, as `system:` ids.
    pub among: Vec<Id>,
    /// How many must be found.
    pub exactly: usize,
}

/// A probe with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbePlan {
    /// The probe kind.
    pub kind: String,
    /// Its spec.
    pub spec: Value,
    /// How often.
    pub rate: Rate,
    /// How long one sample may take.
    pub timeout: Span,
    /// What a good answer looks like; empty means the kind's own idea.
    pub expect: Expect,
    /// Where an answer says who gave it.
    pub served_by: Option<ServedBy>,
    /// A path that the fault cannot touch.
    pub control: bool,
    /// Samples that are due within so much time leave together, at its end. None: each when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub together: Option<Span>,
    /// Most samples in flight: rate × timeout × 1.2, at least 4.
    pub in_flight: usize,
    /// A ledger: its samples are numbered writes.
    pub ledger: bool,
    /// What it writes is removed at the end, and owed like a fault.
    #[serde(default)]
    pub clean_up: bool,
}

impl ProbePlan {
    /// The longest time between two samples that leave one after the other.
    pub fn gap(&self) -> Span {
        self.rate.interval().max(self.together.unwrap_or(Span::ZERO))
    }
}

/// The one definition of normal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SteadyPlan {
    /// Length of the sliding window.
    pub over: Span,
    /// Bounds per probe.
    pub probes: Map<SteadyBounds>,
}

/// A guard with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GuardPlan {
    /// What is asked (`within` and `every` of it: one look each `every`).
    pub look: Condition,
    /// Consecutive breaches that abort.
    pub breaches: u32,
    /// Longest time without data.
    pub grace: Span,
}

/// A fault with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The fault kind.
    pub kind: String,
    /// Its spec. A `target: ID` in it names an entry of [`Plan::targets`].
    pub spec: Value,
    /// When it is injected.
    pub at: Moment,
    /// How long it lasts.
    pub hold: Hold,
    /// How one sees that it bites; absent: the kind's own read-back.
    pub confirm: Option<Condition>,
    /// How often the kind's own read-back is asked, and how long it may take.
    pub confirm_every: Span,
    /// Limit of confirm.
    pub confirm_within: Span,
    /// Recovery: limit counted from effect.
    pub recovery_within: Span,
    /// Recovery: how long it must stay up.
    pub stable_for: Span,
    /// Probes whose steady bounds define recovery of this episode: those of the claims, else of `steady_state`.
    pub recovered_by: Vec<Id>,
    /// The scenario's own undo.
    pub undo: Option<UndoPlan>,
    /// The machine on which it acts, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<HostPlan>,
}

/// A moment in the drill, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// After what.
    pub after: Point,
    /// How long after it.
    pub plus: Span,
}

/// A point that a moment counts from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Steady state was shown.
    Steady,
    /// The fault was seen to bite.
    Effective(Id),
    /// The episode has recovered.
    Recovered(Id),
    /// The fault was undone.
    Undone(Id),
    /// An expectation was met.
    Expectation(Id),
    /// A prompt was given.
    Prompt(Id),
}

/// How long a fault lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// One shot: undone once recovered, at the latest after `recovery.within`.
    Once,
    /// A time.
    Time(Span),
    /// Until recovered, not longer than this.
    UntilRecovered(Span),
    /// Until a person lets go, not longer than this.
    UntilReleased(Span),
    /// Until an expectation is met, not longer than this.
    UntilExpectation(Id, Span),
}

/// A claim with every reference in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimPlan {
    /// Which episode.
    pub fault: Id,
    /// What the users call it.
    pub service: Option<String>,
    /// What kind of loss.
    pub disruption: Option<String>,
    /// The probes that must all be up.
    pub measured_by: Vec<Id>,
    /// Recovery time objective.
    pub rto: Option<RtoPlan>,
    /// Recovery point objective.
    pub rpo: Option<RpoPlan>,
    /// Availability objective.
    pub availability: Option<AvailabilityPlan>,
    /// Latency objective.
    pub latency: Option<LatencyDecl>,
    /// Who must have answered.
    pub by: Option<By>,
    /// What must hold beside.
    pub holds: Map<HoldsPlan>,
    /// Where it comes from.
    pub source: Option<SourceDecl>,
}

/// A recovery time objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtoPlan {
    /// The objective.
    pub max: Span,
    /// Counted from.
    pub from: RtoFrom,
}

/// A recovery point objective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpoPlan {
    /// The longest loss window.
    pub max: Span,
    /// The ledger probe.
    pub ledger: Id,
}

/// An availability objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AvailabilityPlan {
    /// The least share of time.
    pub min: Percent,
    /// Window from effect on.
    pub over: Span,
    /// The error budget that what was down is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetDecl>,
}

/// What must hold beside recovery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldsPlan {
    /// Which probe.
    pub probe: Id,
    /// Its share of good samples.
    pub success: ShareBounds,
    /// From when.
    pub from: Moment,
    /// Until when; absent: the start of the fault's undo.
    pub until: Option<Moment>,
}

/// What exactly is tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubjectPlan {
    /// The observation.
    pub look: Condition,
    /// RFC 9535 path; absent: the trimmed text.
    pub pick: Option<String>,
}

impl Plan {
    /// The plan's JSON text as written to `plan.json`, and its digest.
    ///
    /// # Errors
    /// Never for a plan that was built here; serialisation of a hostile value may fail.
    pub fn to_text(&self) -> Result<(String, Digest), serde_json::Error> {
        let text = serde_json::to_string_pretty(self)?;
        let digest = crate::base::digest_of(text.as_bytes());
        Ok((text, digest))
    }

    /// The shortest window that samples are looked at over: who reads or batches them must be well below it.
    pub fn shortest_window(&self) -> Span {
        self.faults.values().map(|fault| fault.stable_for).fold(self.steady.over, Span::min)
    }

    /// Whether what it shows is a demonstration rather than evidence.
    pub fn is_demonstration(&self) -> bool {
        self.environment == Environment::Laptop
            || self.mode != Mode::Normal
            || self.faults.values().any(|f| f.kind.starts_with("rehearse."))
    }
}
