//! What a policy file says, in types.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Percent, Span};
use crate::scenario::model::{Environment, Map};

/// A whole policy file (`policy: 1`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The version of the language.
    pub policy: u32,
    /// What it is for, in one line.
    #[serde(default)]
    pub title: Option<String>,
    /// Where drills may run at all; everywhere when left out.
    #[serde(default)]
    pub environments: Option<Vec<Environment>>,
    /// Hours in which faults may be injected; a rule names those that it asks for.
    #[serde(default)]
    pub windows: Map<Window>,
    /// Times in which no fault is injected.
    #[serde(default)]
    pub freezes: Map<Freeze>,
    /// What must hold; every rule that applies.
    #[serde(default)]
    pub rules: Map<Rule>,
}

/// Hours that recur.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days it opens; every day when left out.
    #[serde(default)]
    pub days: Option<Vec<Day>>,
    /// When it opens, local time: `09:00`.
    pub from: String,
    /// When it closes, local time: `16:30`, at most `24:00`. Not later than `from`: on the next day.
    pub to: String,
    /// Whose clock it goes by: an IANA name such as `Europe/Berlin`.
    pub zone: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time in which no fault is injected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// When it begins, local time: `2026-12-20` or `2026-12-20 18:00`.
    pub from: String,
    /// When it ends, local time; a bare date means the end of that day.
    pub to: String,
    /// Whose clock it goes by: an IANA name.
    pub zone: String,
    /// Where it holds; everywhere when left out.
    #[serde(default)]
    pub environments: Option<Vec<Environment>>,
    /// Why, for whoever is refused.
    #[serde(default)]
    pub why: Option<String>,
}

/// A rule: everything in it must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Where it applies; everywhere when left out.
    #[serde(default)]
    pub environments: Option<Vec<Environment>>,
    /// Why, for whoever is refused.
    #[serde(default)]
    pub why: Option<String>,
    /// What a scenario must say.
    #[serde(default)]
    pub require: Option<Vec<Need>>,
    /// Fault kinds that may or may not be used.
    #[serde(default)]
    pub kinds: Option<Globs>,
    /// What may or may not be hit: `KEY:VALUE` of a fault's spec, for example `system:primary` or `port:5432`.
    #[serde(default)]
    pub targets: Option<Globs>,
    /// How much may be hit.
    #[serde(default)]
    pub max_targets: Option<MaxTargets>,
    /// The most faults of one drill.
    #[serde(default)]
    pub max_faults: Option<u32>,
    /// The longest that each fault may last.
    #[serde(default)]
    pub max_hold: Option<Span>,
    /// The longest that the whole drill may take, when everything takes as long as it may.
    #[serde(default)]
    pub max_duration: Option<Span>,
    /// Windows, by name; the whole drill must fit into one of them.
    #[serde(default)]
    pub windows: Option<Vec<String>>,
    /// Who must have agreed.
    #[serde(default)]
    pub approvals: Option<Approvals>,
    /// Which AWS accounts may be acted in, and what may be hit there.
    #[serde(default)]
    pub aws: Option<AwsRule>,
    /// On which other machines faults may act, by what stands after `ssh` in the scenario, without the user, or after `ssm`: `db*.test.example.com`.
    #[serde(default)]
    pub hosts: Option<Globs>,
    /// Whether a drill may be called only from its own machine (`team.listen`).
    #[serde(default)]
    pub loopback_only: Option<bool>,
}

/// Which AWS accounts may be acted in, and what may be hit there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsRule {
    /// Only these accounts, by number, in quotes.
    #[serde(default)]
    pub accounts: Option<Vec<String>>,
    /// Only these regions: `eu-*`.
    #[serde(default)]
    pub regions: Option<Vec<String>>,
    /// What a resource must carry to be hit, as `KEY=VALUE`; `firedrill=allowed` where no rule says otherwise.
    #[serde(default)]
    pub opt_in_tag: Option<String>,
}

/// What a scenario must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// `owner`.
    Owner,
    /// `why`.
    Why,
    /// At least one guard.
    Guard,
    /// At least one claim.
    Claim,
    /// At least one subject.
    Subject,
    /// At least one control probe.
    Control,
}

/// Names that are allowed or forbidden: `*` stands for any text, `?` for one character.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Globs {
    /// Only these.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// None of these, also when they are allowed.
    #[serde(default)]
    pub forbid: Option<Vec<String>>,
}

/// A limit of the blast radius. What is not known is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxTargets {
    /// The most targets of the whole drill.
    #[serde(default)]
    pub count: Option<u32>,
    /// The largest share of its population that a fault may hit.
    #[serde(default)]
    pub percent: Option<Percent>,
}

/// Who must have agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// How many different people.
    #[serde(default = "two")]
    pub people: u32,
    /// Only these people; anybody when left out.
    #[serde(default)]
    pub by: Option<Vec<String>>,
    /// Whether each must have approved under an account of this machine of their own, which the file must belong to.
    #[serde(default = "yes")]
    pub own_accounts: bool,
    /// How long an approval is good for.
    #[serde(default = "a_week")]
    pub valid_for: Span,
}

fn two() -> u32 {
    2
}

fn yes() -> bool {
    true
}

fn a_week() -> Span {
    Span::secs(7 * 86_400)
}
