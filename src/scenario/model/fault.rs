//! What is broken, when, for how long, how it is undone, and when it counts as recovered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::probe::ConditionDecl;
use super::{Argv, Kinded};
use crate::base::{Id, Span};

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
    /// The machine on which it acts: a name of `hosts:`. Default: this one.
    #[serde(default)]
    pub on: Option<Id>,
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
