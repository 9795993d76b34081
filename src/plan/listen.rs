//! Where a drill listens while it runs, and whom it believes: senders of alerts, and people by tokens.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TeamPlan;

/// Where calls are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenPlan {
    /// `IP:PORT`.
    pub address: String,
    /// By role, the token of those who have it; a secret, as a reference.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub tokens: IndexMap<String, String>,
}

/// A sender of alerts that is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverPlan {
    /// `alertmanager`, `pagerduty`, `grafana`, `sns` or `json`.
    pub kind: String,
    /// The bearer token; a secret, as a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What its calls are signed with; a secret, as a reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The header in which Grafana says when it signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// The topic of SNS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

impl ListenPlan {
    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.address.parse::<core::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
    }
}

/// The `listen` block, which was checked.
pub(super) fn listener(value: &Value) -> Option<ListenPlan> {
    let address = crate::scenario::sources::address(value.get("address")?.as_str()?)?.to_string();
    let tokens = value.get("tokens").and_then(|tokens| serde_json::from_value(tokens.clone()).ok()).unwrap_or_default();
    Some(ListenPlan { address, tokens })
}

/// A source that tells of its own accord: its kind begins with `receive.`.
pub(super) fn receiver(value: &Value) -> Option<ReceiverPlan> {
    let (kind, spec) = value.as_object()?.iter().find_map(|(key, spec)| Some((key.strip_prefix("receive.")?, spec)))?;
    let text = |key: &str| spec.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(ReceiverPlan {
        kind: kind.to_owned(),
        token: text("token"),
        secret: text("secret"),
        timestamp_header: text("timestamp_header"),
        topic: text("topic"),
    })
}

/// Who is listened to, for the preview.
pub(super) fn preview(team: &TeamPlan, width: usize) -> Vec<String> {
    let Some(listen) = &team.listen else { return Vec::new() };
    let reach = if listen.is_loopback() { "from this machine" } else { "from everywhere that reaches this machine" };
    let marks = (!listen.tokens.is_empty()).then(|| {
        let roles: Vec<&str> = listen.tokens.keys().map(String::as_str).collect();
        format!("  {:width$}  heard at http://{}/v1, {reach}, by token: {}", "marks", listen.address, roles.join(", "))
    });
    let receivers = team
        .receive
        .iter()
        .map(|(id, r)| format!("  {:width$}  told by {} at http://{}/v1/signals/{id}, {reach}", id.as_str(), r.kind, listen.address));
    receivers.chain(marks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_receiver_is_planned() {
        let plan = receiver(&json!({ "receive.pagerduty": { "secret": "${secret:s}" } })).unwrap();
        assert_eq!((plan.kind.as_str(), plan.secret.as_deref(), plan.token), ("pagerduty", Some("${secret:s}"), None));
        assert_eq!(receiver(&json!({ "alertmanager": { "url": "http://h" } })), None);
        let listen = listener(&json!({ "address": "127.0.0.1:8123", "tokens": { "ops": "${secret:o}" } })).unwrap();
        assert_eq!((listen.address.as_str(), listen.is_loopback(), listen.tokens.len()), ("127.0.0.1:8123", true, 1));
        assert!(!listener(&json!({ "address": "0.0.0.0:8123" })).unwrap().is_loopback());
        assert_eq!(listener(&json!({ "address": "8123" })), None);
    }
}
