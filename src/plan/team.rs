//! What is expected of people, with every default filled in: when counting begins, how long it may take, and where alerts are asked for.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::build::point;
use super::cues;
use super::{HintPlan, ListenPlan, Map, Moment, Point, PromptPlan, ReceiverPlan, listen};
use crate::base::{Id, Span};
use crate::scenario::model::{AfterMoment, Scenario};

/// How often a source of alerts is asked unless told otherwise.
const ASK_EVERY: Span = Span::secs(1);
/// The same of PagerDuty, whose API allows 960 calls a minute to everybody together who has the same key.
const ASK_PAGERDUTY_EVERY: Span = Span::secs(5);
/// Where PagerDuty's API is, unless told otherwise.
const PAGERDUTY: &str = "https://api.pagerduty.com";
/// How long one look at a source may take at most.
const LOOK: Span = Span::secs(5);

/// The people who respond, and what is expected of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TeamPlan {
    /// They are not told what will happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blind: bool,
    /// What stands in the place of title and file name wherever they look, in a blind drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<String>,
    /// Who fills which role, by account names. Empty: everybody may say that they have any role.
    pub roles: Map<Vec<String>>,
    /// The directory of runbooks, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbooks: Option<String>,
    /// Their steps as `RUNBOOK#STEP`, each runbook's in the order in which they are written, where they could be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Where alerts are asked for.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub signals: Map<SignalPlan>,
    /// Where calls of senders of alerts, and marks, are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<ListenPlan>,
    /// Who may tell of alerts of their own accord.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub receive: Map<ReceiverPlan>,
    /// What should be observed.
    pub expect: Map<ExpectationPlan>,
    /// What would lead astray.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub wrong_turns: Map<WrongTurnPlan>,
    /// What a facilitator says.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub prompts: Map<PromptPlan>,
    /// Help for those who are stuck.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub hints: Map<HintPlan>,
    /// Nobody takes part: what only people can show is not observed, and the verdict is no part of the exit code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unattended: bool,
}

/// A source of alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalPlan {
    /// `alertmanager`, `prometheus`, `cloudwatch` or `pagerduty`.
    pub kind: String,
    /// Where it is; secrets stand in it as references. Of CloudWatch, the account and region in words.
    pub url: String,
    /// Request headers; secrets stand in them as references.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Only of these services; all where none is named. PagerDuty only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Of CloudWatch, which alarms: names, or beginnings of names with a `*`; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// How often it is asked.
    pub every: Span,
    /// How long one look may take.
    pub timeout: Span,
}

/// What is to be observed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// An alert with these labels fires.
    Alert {
        /// Every label must be there with this value.
        labels: IndexMap<String, String>,
        /// Only of this source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<Id>,
    },
    /// Somebody takes the page.
    Ack {
        /// With words that match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// This mark.
    Mark(String),
    /// An answer.
    Answer {
        /// The question.
        ask: String,
        /// What a right answer matches.
        matches: String,
    },
    /// A runbook step, `RUNBOOK#STEP`.
    Step(String),
    /// A message to this audience.
    Message(String),
    /// The lead goes to this role: asked and accepted.
    Handoff {
        /// The role.
        to: String,
    },
    /// A command.
    Command {
        /// What its line matches.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
    /// A reply to a prompt.
    Reply {
        /// The prompt.
        to: Id,
        /// With words that match.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        matches: Option<String>,
    },
}

/// An expectation with every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectationPlan {
    /// What.
    pub what: Expected,
    /// Only by this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How long it may take.
    pub within: Span,
    /// Counted from.
    pub from: Moment,
    /// Not expected once this was met by the time that counting begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<Id>,
    /// Expected again and again after the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then_every: Option<Span>,
    /// It must not happen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never: bool,
    /// It is no part of any verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub training: bool,
}

/// A wrong turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrongTurnPlan {
    /// What.
    pub what: Expected,
    /// From when on it is one.
    pub from: Moment,
    /// Until this is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Id>,
    /// What one learns from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teaches: Option<String>,
}

impl TeamPlan {
    /// Everybody who may tell of alerts, asked or of their own accord, with the time between two looks.
    pub fn sources(&self) -> impl Iterator<Item = (&Id, Span)> {
        self.signals.iter().map(|(id, plan)| (id, plan.every)).chain(self.receive.keys().map(|id| (id, ASK_EVERY)))
    }

    /// Whether that source also tells that somebody took a page.
    pub fn tells_of_acks(&self, id: &Id) -> bool {
        self.signals.get(id).is_some_and(|plan| plan.kind == "pagerduty")
            || self.receive.get(id).is_some_and(|plan| matches!(plan.kind.as_str(), "pagerduty" | "json"))
    }
}

impl Expected {
    /// The word of the language.
    pub fn word(&self) -> &'static str {
        match self {
            Expected::Alert { .. } => "alert",
            Expected::Ack { .. } => "ack",
            Expected::Mark(_) => "mark",
            Expected::Answer { .. } => "answer",
            Expected::Step(_) => "step",
            Expected::Message(_) => "message",
            Expected::Handoff { .. } => "handoff",
            Expected::Command { .. } => "command",
            Expected::Reply { .. } => "reply",
        }
    }

    /// Whether a machine observes it.
    pub fn by_machine(&self) -> bool {
        matches!(self, Expected::Alert { .. })
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        match self {
            Expected::Alert { labels, .. } => match labels.get("alertname") {
                Some(name) if labels.len() == 1 => format!("alert {name}"),
                _ => format!("alert {}", labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(", ")),
            },
            Expected::Ack { .. } => "page acknowledged".to_owned(),
            Expected::Mark(mark) => format!("mark {mark}"),
            Expected::Answer { ask, .. } => format!("answer to “{ask}”"),
            Expected::Step(step) => format!("step {step}"),
            Expected::Message(to) => format!("message to {to}"),
            Expected::Handoff { to } => format!("hand-off to {to}"),
            Expected::Command { matches } => matches.as_ref().map_or_else(|| "a command".to_owned(), |m| format!("command like {m}")),
            Expected::Reply { to, .. } => format!("reply to the prompt {to}"),
        }
    }
}

/// What is expected of people, for the preview.
pub(super) fn preview(team: Option<&TeamPlan>) -> Vec<String> {
    let Some(team) = team else { return Vec::new() };
    let width = team.expect.keys().chain(team.signals.keys()).chain(team.receive.keys()).map(|id| id.as_str().len()).max().unwrap_or(0);
    let asked = team
        .signals
        .iter()
        .map(|(id, s)| format!("  {:width$}  alerts of {} {}, asked every {}", id.as_str(), s.kind, s.url, s.every.human()));
    let expected = team.expect.iter().map(|(id, e)| {
        let by = e.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
        let plus = if e.from.plus == Span::ZERO { String::new() } else { format!("{} after ", e.from.plus.human()) };
        let never = if e.never { "never " } else { "" };
        let training = if e.training { "; training" } else { "" };
        format!(
            "  {:width$}  {never}{}{by} within {} of {plus}{}{training}",
            id.as_str(),
            e.what.describe(),
            e.within.human(),
            from(&e.from)
        )
    });
    asked.chain(listen::preview(team, width)).chain(expected).chain(cues::preview(team)).collect()
}

/// What a moment counts from, in words.
pub(super) fn from(moment: &Moment) -> String {
    match &moment.after {
        Point::Steady => "steady state".to_owned(),
        Point::Effective(id) => format!("the effect of {id}"),
        Point::Recovered(id) => format!("the recovery of {id}"),
        Point::Undone(id) => format!("the undo of {id}"),
        Point::Expectation(id) => id.to_string(),
        Point::Prompt(id) => format!("the prompt {id}"),
    }
}

/// The team of a scenario, where it has one. The block was checked against its schema: what does not fit it is not here, and is named as not judged.
pub(super) fn of(scenario: &Scenario) -> Option<TeamPlan> {
    let team = scenario.team.as_ref()?;
    let by_default = || Moment { after: counted_from(scenario, "effective"), plus: Span::ZERO };
    let mut expect = each(team, "expect", |value| expectation(scenario, value, None, by_default()));
    // Of two of one name the one that was written as an expectation stays; `check` refuses them.
    for (id, asked) in cues::asked(scenario, team) {
        expect.entry(id).or_insert(asked);
    }
    Some(TeamPlan {
        blind: read::<String>(team, "mode").is_some_and(|mode| mode == "blind"),
        shown_as: read::<String>(team, "shown_as").map(|text| crate::base::one_line(&text, 200)),
        roles: read(team, "roles").unwrap_or_default(),
        runbooks: read(team, "runbooks"),
        steps: Vec::new(),
        signals: each(team, "signals", |value| signal(scenario, value)),
        listen: team.get("listen").and_then(listen::listener),
        receive: each(team, "signals", listen::receiver),
        expect,
        wrong_turns: each(team, "wrong_turns", |value| wrong_turn(scenario, value)),
        prompts: each(team, "prompts", |value| cues::prompt(scenario, value)),
        hints: each(team, "hints", |value| cues::hint(scenario, value)),
        unattended: false,
    })
}

pub(super) fn read<T: DeserializeOwned>(value: &Value, key: &str) -> Option<T> {
    T::deserialize(value.get(key)?).ok()
}

fn each<T>(team: &Value, section: &str, one: impl Fn(&Value) -> Option<T>) -> Map<T> {
    let items = team.get(section).and_then(Value::as_object).into_iter().flatten();
    items.filter_map(|(id, value)| Some((id.parse().ok()?, one(value)?))).collect()
}

pub(super) fn moment(scenario: &Scenario, given: &AfterMoment) -> Moment {
    Moment { after: counted_from(scenario, &given.after), plus: given.plus }
}

/// The point that a word names; the effect of the first fault, where nothing is said of which.
fn counted_from(scenario: &Scenario, word: &str) -> Point {
    let first = scenario.faults.keys().next();
    match (word, first) {
        ("effect" | "effective", Some(id)) => Point::Effective(id.clone()),
        (_, first) => point(scenario, word, first),
    }
}

fn expected(value: &Value) -> Option<Expected> {
    let text = |key: &str| read::<String>(value, key);
    let of = |kind: &str, key: &str| value.get(kind).and_then(|spec| read::<String>(spec, key));
    let has = |kind: &str| value.get(kind).is_some();
    if let Some(alert) = value.get("alert") {
        return Some(Expected::Alert { labels: read(alert, "labels")?, source: read(alert, "source") });
    }
    if let Some(answer) = value.get("answer") {
        return Some(Expected::Answer { ask: read(answer, "ask")?, matches: read(answer, "matches")? });
    }
    let named =
        text("mark").map(Expected::Mark).or_else(|| text("step").map(Expected::Step)).or_else(|| text("message").map(Expected::Message));
    named
        .or_else(|| of("handoff", "to").map(|to| Expected::Handoff { to }))
        .or_else(|| has("ack").then(|| Expected::Ack { matches: of("ack", "matches") }))
        .or_else(|| has("command").then(|| Expected::Command { matches: of("command", "matches") }))
}

/// An expectation as it is written. `what` where its own key does not say it all, `otherwise` where it does not say from when on it counts.
pub(super) fn expectation(scenario: &Scenario, value: &Value, what: Option<Expected>, otherwise: Moment) -> Option<ExpectationPlan> {
    let when = value.get("when");
    let after: Option<AfterMoment> = when.filter(|when| when.get("after").is_some()).and_then(|when| {
        let plus = read(when, "plus").unwrap_or_default();
        Some(AfterMoment { after: read(when, "after")?, plus })
    });
    let from = match (read::<String>(value, "from"), after) {
        (Some(word), _) => Moment { after: counted_from(scenario, &word), plus: Span::ZERO },
        (None, Some(after)) => moment(scenario, &after),
        (None, None) => otherwise,
    };
    Some(ExpectationPlan {
        what: what.or_else(|| expected(value))?,
        by: read(value, "by"),
        within: read(value, "within")?,
        from,
        unless: when.and_then(|when| read(when, "unless").or_else(|| read(when, "before"))),
        then_every: read(value, "then_every"),
        never: read(value, "never").unwrap_or_default(),
        training: read::<String>(value, "weight").is_some_and(|weight| weight == "training"),
    })
}

fn wrong_turn(scenario: &Scenario, value: &Value) -> Option<WrongTurnPlan> {
    let when = value.get("when");
    let after = when.and_then(|when| read::<String>(when, "after")).unwrap_or_else(|| "effective".into());
    let plus = when.and_then(|when| read(when, "plus")).unwrap_or_default();
    Some(WrongTurnPlan {
        what: expected(value)?,
        from: Moment { after: counted_from(scenario, &after), plus },
        before: when.and_then(|when| read(when, "before")),
        teaches: read(value, "teaches"),
    })
}

fn signal(scenario: &Scenario, value: &Value) -> Option<SignalPlan> {
    let (kind, spec) =
        ["alertmanager", "prometheus", "cloudwatch", "pagerduty"].into_iter().find_map(|kind| Some((kind, value.get(kind)?)))?;
    let mut headers: IndexMap<String, String> = read(spec, "headers").unwrap_or_default();
    let (mut url, mut every): (Option<String>, _) = (read(spec, "url"), ASK_EVERY);
    if kind == "pagerduty" {
        headers.insert("authorization".into(), format!("Token token={}", read::<String>(spec, "token")?));
        headers.insert("accept".into(), "application/vnd.pagerduty+json;version=2".into());
        (url, every) = (url.or_else(|| Some(PAGERDUTY.to_owned())), ASK_PAGERDUTY_EVERY);
    }
    if kind == "cloudwatch" {
        url = scenario.aws.as_ref().map(|aws| format!("{} in {}", aws.account, aws.region));
    }
    let every = read(value, "every").unwrap_or(every);
    Some(SignalPlan {
        kind: kind.to_owned(),
        url: url?,
        headers,
        services: read(spec, "services").unwrap_or_default(),
        alarms: read(spec, "alarms").unwrap_or_default(),
        every,
        timeout: LOOK.min(every.times(5)).max(Span::millis(200)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::build::tests::of;
    use crate::scenario::check::sample::{self, id};
    use serde_json::json;

    #[test]
    fn a_team_is_planned_with_every_default() {
        let mut s = sample::scenario();
        s.team = Some(json!({
            "roles": { "ops": ["dan"] },
            "signals": { "paging": { "alertmanager": { "url": "http://127.0.0.1:9093" } } },
            "expect": {
                "detected": { "alert": { "labels": { "alertname": "Down" } }, "within": "30s" },
                "acked": { "ack": {}, "by": "ops", "within": "5m", "from": "detected" },
                "escalated": { "handoff": { "to": "dba" }, "within": "5m", "when": { "after": "acked", "plus": "10m", "unless": "detected" } },
                "told": { "message": "all", "within": "15m", "then_every": "30m", "weight": "training" },
                "quiet": { "alert": { "labels": { "alertname": "Other" } }, "within": "1m", "never": true },
            },
            "wrong_turns": { "restarted": { "step": "api#restart", "when": { "before": "acked" }, "teaches": "no" } },
            "hints": { "look": { "at": { "after": "effective", "plus": "5m" }, "unless": "acked", "say": "look" } },
        }));
        let plan = of(&s);
        let team = plan.team.as_ref().unwrap();
        let effective = || Point::Effective(id("lose-primary"));
        assert_eq!(team.expect["detected"].from, Moment { after: effective(), plus: Span::ZERO });
        assert_eq!(team.expect["acked"].from.after, Point::Expectation(id("detected")));
        assert_eq!(team.expect["escalated"].from, Moment { after: Point::Expectation(id("acked")), plus: Span::secs(600) });
        assert_eq!((team.expect["escalated"].unless.as_ref(), team.expect["told"].training), (Some(&id("detected")), true));
        assert!(team.expect["quiet"].never && !team.expect["detected"].never);
        assert_eq!(team.signals["paging"].every, Span::secs(1));
        assert_eq!(team.wrong_turns["restarted"].before, Some(id("acked")));
        assert_eq!(team.hints["look"].at, Some(Moment { after: effective(), plus: Span::secs(300) }));
        assert_eq!(plan.not_judged, Vec::<String>::new());
        let (text, _) = plan.to_text().unwrap();
        assert_eq!(serde_json::from_str::<crate::plan::Plan>(&text).unwrap(), plan);
    }
}
