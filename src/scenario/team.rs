//! The shape of what people are expected to do, of the score's targets and of notices: checked as strictly as everything else, carried as
//! plain values. These types exist for their schemas.

use indexmap::IndexMap;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::{Id, Span};
use crate::scenario::model::{AfterMoment, Map};
use crate::scenario::sources::{Listen, Source};

/// What is expected of the people who respond.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Whether people know what will happen. Default `announced`.
    #[serde(default)]
    pub mode: Option<TeamMode>,
    /// What stands in place of title and file name wherever participants look.
    pub shown_as: Option<String>,
    /// Who fills which role.
    pub roles: Option<Map<Vec<String>>>,
    /// The directory of runbooks.
    pub runbooks: Option<String>,
    /// Where alerts are asked for, and who tells of them of their own accord, while the drill runs.
    pub signals: Option<Map<Source>>,
    /// Where those who tell of their own accord are heard, and people by token.
    pub listen: Option<Listen>,
    /// What should be observed of them.
    pub expect: Option<Map<Expectation>>,
    /// What would lead them astray.
    pub wrong_turns: Option<Map<WrongTurn>>,
    /// What a facilitator says.
    pub prompts: Option<Map<Prompt>>,
    /// Help for those who are stuck.
    pub hints: Option<Map<Hint>>,
}

/// Whether people know what will happen.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum TeamMode {
    /// They know the scenario.
    Announced,
    /// They do not, until the reveal.
    Blind,
}

/// The plain keys of an expectation.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// How long it may take.
    pub within: Span,
    /// Which role.
    pub by: Option<String>,
    /// Counted from `effective` or from another expectation. Default: the fault's effect.
    pub from: Option<String>,
    /// Only expected under this condition.
    pub when: Option<Due>,
    /// Expected again and again after the first time.
    pub then_every: Option<Span>,
    /// It must not be observed within that time.
    pub never: Option<bool>,
    /// `training` never changes the exit code.
    pub weight: Option<Weight>,
}

/// Whether an expectation counts.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Weight {
    /// It counts. The default.
    Counts,
    /// It is shown, and never changes the exit code.
    Training,
}

/// From when on, and unless what.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// After this moment.
    pub after: Option<String>,
    /// And this much later.
    pub plus: Option<Span>,
    /// Unless this was observed by then.
    pub unless: Option<String>,
    /// Before this moment.
    pub before: Option<String>,
}

/// The plain keys of a wrong turn.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WrongTurn {
    /// When it is one.
    pub when: Option<Due>,
    /// What one learns from it.
    pub teaches: Option<String>,
}

/// What a facilitator says, and when.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// When it is said. Without it: when somebody who leads releases it (`firedrill prompt`).
    pub at: Option<AfterMoment>,
    /// To which role.
    pub to: String,
    /// What is said.
    pub say: String,
    /// What should come of it: counted from the prompt, by the role that is asked.
    pub expect: Option<Expectation>,
    /// Which role is out from then on: it can say nothing more, and what is expected of it anybody may do.
    pub unavailable: Option<String>,
}

/// Help for those who are stuck.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    /// When it is said. Without it: when somebody who leads releases it (`firedrill hint`).
    pub at: Option<AfterMoment>,
    /// Unless this was observed by then.
    pub unless: Option<String>,
    /// What is said.
    pub say: String,
}

/// Targets for the score, and what an outage means to the business.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// Target times by name: `detect`, `ack` and so on.
    pub targets: Option<Map<Span>>,
    /// What an outage means, in one sentence.
    pub impact: Option<String>,
}

/// The plain keys of a notice.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Of what. Default: everything.
    pub on: Option<Vec<NoticeOf>>,
    /// Who may see it. Default `facilitator`.
    pub audience: Option<Audience>,
}

/// What a notice can be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum NoticeOf {
    Started,
    Injected,
    Recovered,
    Undone,
    Aborted,
    Finished,
    Stuck,
}

impl NoticeOf {
    /// All of them.
    pub const ALL: [NoticeOf; 7] = [
        NoticeOf::Started,
        NoticeOf::Injected,
        NoticeOf::Recovered,
        NoticeOf::Undone,
        NoticeOf::Aborted,
        NoticeOf::Finished,
        NoticeOf::Stuck,
    ];

    /// The word of the language.
    pub fn word(self) -> &'static str {
        match self {
            NoticeOf::Started => "started",
            NoticeOf::Injected => "injected",
            NoticeOf::Recovered => "recovered",
            NoticeOf::Undone => "undone",
            NoticeOf::Aborted => "aborted",
            NoticeOf::Finished => "finished",
            NoticeOf::Stuck => "stuck",
        }
    }
}

/// Who may see a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Audience {
    /// Those who run the drill.
    #[default]
    Facilitator,
    /// Everybody; withheld until the reveal in a blind drill.
    All,
}

/// A component that a workload speaks of.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The service that it is part of.
    pub service: String,
    /// Who owns it.
    pub owner: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Alert {
    labels: IndexMap<String, String>,
    source: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Answer {
    ask: String,
    matches: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Handoff {
    to: Id,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Words {
    matches: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: String,
    headers: Option<IndexMap<String, String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Grafana {
    /// Where Grafana is: `https://HOST`.
    url: String,
    /// A service account's token: `${secret:ID}`.
    token: Option<String>,
    /// Only on the dashboard with this uid; everywhere where annotations are asked for by their tags, otherwise.
    dashboard: Option<String>,
    /// Only on this panel of it.
    panel: Option<u64>,
    /// Tags beside `firedrill`.
    tags: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Slack {
    /// The address of an incoming webhook, which is a secret: `${secret:ID}`.
    url: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct PagerDutyChange {
    /// The integration key of a service: `${secret:ID}`.
    routing_key: String,
    /// Where events are sent to. Default `https://events.pagerduty.com/v2/change/enqueue`.
    url: Option<String>,
}

/// Kinds of expectations: name, what is observed, schema of the spec.
pub fn expectations(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("alert", "an alert fires", generator.subschema_for::<Alert>().to_value()),
        ("ack", "somebody acknowledges the page", generator.subschema_for::<Words>().to_value()),
        ("mark", "somebody sets this mark", generator.subschema_for::<String>().to_value()),
        ("answer", "somebody answers a question", generator.subschema_for::<Answer>().to_value()),
        ("step", "somebody does this runbook step: `RUNBOOK#STEP`", generator.subschema_for::<String>().to_value()),
        ("message", "a message is sent to this audience", generator.subschema_for::<String>().to_value()),
        ("handoff", "the lead is handed to this role", generator.subschema_for::<Handoff>().to_value()),
        ("command", "somebody runs a command that matches", generator.subschema_for::<Words>().to_value()),
        ("reply", "somebody replies to the prompt", generator.subschema_for::<Words>().to_value()),
    ]
}

/// Kinds of notices: name, what is told, schema of the spec.
pub fn notices(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("webhook", "an HTTP request", generator.subschema_for::<Webhook>().to_value()),
        ("slack", "a message in a channel of Slack", generator.subschema_for::<Slack>().to_value()),
        ("pagerduty.change", "a change event of PagerDuty", generator.subschema_for::<PagerDutyChange>().to_value()),
        ("grafana", "annotations on dashboards", generator.subschema_for::<Grafana>().to_value()),
    ]
}
