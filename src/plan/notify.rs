//! Who is told what happens, and how.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Audience, Map, NoticeOf};
use crate::scenario::model::Scenario;

/// Where change events are sent to, unless told otherwise.
const CHANGES: &str = "https://events.pagerduty.com/v2/change/enqueue";

/// Somebody who is told what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticePlan {
    /// How they are told.
    #[serde(flatten)]
    pub to: ChannelPlan,
    /// Of what.
    pub on: Vec<NoticeOf>,
    /// Who may see it.
    #[serde(default, skip_serializing_if = "is_facilitator")]
    pub audience: Audience,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelPlan {
    /// By a request with the message as JSON.
    Webhook(WebhookPlan),
    /// In a channel of Slack.
    Slack(SlackPlan),
    /// By a change event of PagerDuty.
    #[serde(rename = "pagerduty.change")]
    PagerDutyChange(ChangePlan),
    /// By annotations of Grafana.
    Grafana(GrafanaPlan),
}

/// A request that tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookPlan {
    /// Where to; secrets stand in it as references.
    pub url: String,
    /// Request headers; secrets stand in them as references.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
}

/// An incoming webhook of Slack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlackPlan {
    /// Its address; a secret, as a reference.
    pub url: String,
}

/// An integration of PagerDuty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangePlan {
    /// Its key; a secret, as a reference.
    pub routing_key: String,
    /// Where events are sent to.
    #[serde(default = "changes")]
    pub url: String,
}

/// A Grafana.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrafanaPlan {
    /// Where it is.
    pub url: String,
    /// A service account's token; a secret, as a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Only on the dashboard with this uid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<String>,
    /// Only on this panel of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<u64>,
    /// Tags beside `firedrill`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

fn changes() -> String {
    CHANGES.to_owned()
}

fn is_facilitator(audience: &Audience) -> bool {
    *audience == Audience::Facilitator
}

/// Who is told. The blocks were checked against their schema: what does not fit it is not here.
pub(super) fn of(scenario: &Scenario) -> Map<NoticePlan> {
    let one = |(id, notice): (&String, &Value)| {
        let kinds = ["webhook", "slack", "pagerduty.change", "grafana"];
        let (kind, spec) = kinds.into_iter().find_map(|kind| Some((kind, notice.get(kind)?)))?;
        let to = serde_json::from_value::<ChannelPlan>(serde_json::json!({ kind: spec })).ok()?;
        let on = notice.get("on").and_then(|on| serde_json::from_value::<Vec<NoticeOf>>(on.clone()).ok());
        let audience = notice.get("audience").and_then(|audience| serde_json::from_value(audience.clone()).ok()).unwrap_or_default();
        Some((id.parse().ok()?, NoticePlan { to, on: on.unwrap_or_else(|| NoticeOf::ALL.to_vec()), audience }))
    };
    scenario.notify.as_ref().and_then(Value::as_object).into_iter().flatten().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::check::sample;
    use serde_json::json;

    #[test]
    fn notices_are_planned_with_every_default() {
        let mut s = sample::scenario();
        s.notify = Some(json!({
            "room": { "webhook": { "url": "${secret:hook}" }, "on": ["stuck"] },
            "chat": { "slack": { "url": "${secret:hook}" }, "audience": "all" },
            "pager": { "pagerduty.change": { "routing_key": "${secret:key}" } },
            "graphs": { "grafana": { "url": "http://h:3000", "tags": ["shop"] } },
        }));
        let all = of(&s);
        assert_eq!(all.len(), 4);
        assert_eq!((&all["room"].on, all["room"].audience), (&vec![NoticeOf::Stuck], Audience::Facilitator));
        assert_eq!(all["chat"].audience, Audience::All);
        assert!(matches!(&all["pager"].to, ChannelPlan::PagerDutyChange(change) if change.url == CHANGES));
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.contains(r#""room":{"webhook":{"url":"${secret:hook}","headers":{}},"on":["stuck"]}"#), "{text}");
        assert_eq!(serde_json::from_str::<Map<NoticePlan>>(&text).unwrap(), all);
    }
}
