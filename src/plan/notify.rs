//! Who is told what happens, by webhooks.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Map, NoticeOf};
use crate::scenario::model::Scenario;

/// Somebody who is told what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticePlan {
    /// Where they are told.
    pub webhook: WebhookPlan,
    /// Of what.
    pub on: Vec<NoticeOf>,
    /// Those who respond hear it as well: of a blind drill they are told nothing that is hidden.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub to_all: bool,
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

/// Who is told by webhooks. The blocks were checked against their schema: what does not fit it is not here.
pub(super) fn of(scenario: &Scenario) -> Map<NoticePlan> {
    let one = |(id, notice): (&String, &Value)| {
        let webhook = serde_json::from_value::<WebhookPlan>(notice.get("webhook")?.clone()).ok()?;
        let on = notice.get("on").and_then(|on| serde_json::from_value::<Vec<NoticeOf>>(on.clone()).ok());
        let to_all = notice.get("audience").and_then(Value::as_str) == Some("all");
        Some((id.parse().ok()?, NoticePlan { webhook, on: on.unwrap_or_else(|| NoticeOf::ALL.to_vec()), to_all }))
    };
    scenario.notify.as_ref().and_then(Value::as_object).into_iter().flatten().filter_map(one).collect()
}
