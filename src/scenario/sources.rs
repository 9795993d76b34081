//! The shape of where alerts come from: sources that are asked, senders that call, and where they are heard. These types exist for their schemas.

use indexmap::IndexMap;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::base::{Id, Span};

/// The plain keys of a source of alerts.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// How often it is asked. Default 1s.
    pub every: Option<Span>,
}

/// Where calls are taken while the drill runs.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// `IP:PORT`, for example `127.0.0.1:8123`, which only this machine reaches.
    pub address: String,
    /// The token of each role whose people may set marks over HTTP: `${secret:ID}`.
    pub tokens: Option<IndexMap<Id, String>>,
}

/// An address that can be listened at: an IP address and a port that senders know.
pub fn address(text: &str) -> Option<core::net::SocketAddr> {
    text.parse::<core::net::SocketAddr>().ok().filter(|address| address.port() != 0)
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Server {
    /// Where it is: `http://HOST:PORT`, with the path that stands before `/api`, if any.
    url: String,
    /// Request headers.
    headers: Option<IndexMap<String, String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct Alarms {
    /// Which: names, or what names begin with, followed by `*`. Default: all.
    alarms: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct PagerDuty {
    /// A key of its REST API that may read: `${secret:ID}`.
    token: String,
    /// Only of these services, by id.
    services: Option<Vec<String>>,
    /// Where its API is. Default `https://api.pagerduty.com`.
    url: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct ByToken {
    /// The bearer token that it must send: `${secret:ID}`.
    token: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct BySignature {
    /// The secret that it signs with: `${secret:ID}`.
    secret: String,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct ByEither {
    /// The bearer token that it must send: `${secret:ID}`.
    token: Option<String>,
    /// The secret that it signs with: `${secret:ID}`.
    secret: Option<String>,
    /// The header in which it says when it signed, as set up in Grafana.
    timestamp_header: Option<String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "gives its schema")]
#[serde(deny_unknown_fields)]
struct ByTopic {
    /// The only topic that is heard: `arn:aws:sns:REGION:ACCOUNT:NAME`.
    topic: String,
}

/// Kinds of sources of alerts: name, what is asked, schema of the spec.
pub fn sources(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("alertmanager", "Alertmanager's API v2: what it would tell somebody of", generator.subschema_for::<Server>().to_value()),
        ("prometheus", "the series `ALERTS` of Prometheus", generator.subschema_for::<Server>().to_value()),
        ("cloudwatch", "alarms of the scenario's AWS account that are in ALARM", generator.subschema_for::<Alarms>().to_value()),
        ("pagerduty", "PagerDuty's API v2: open incidents, and who acknowledged them", generator.subschema_for::<PagerDuty>().to_value()),
        ("receive.alertmanager", "Alertmanager's webhook, by token", generator.subschema_for::<ByToken>().to_value()),
        ("receive.pagerduty", "PagerDuty's webhooks of version 3, signed", generator.subschema_for::<BySignature>().to_value()),
        ("receive.grafana", "Grafana's alerting webhook, by token or signed", generator.subschema_for::<ByEither>().to_value()),
        ("receive.sns", "CloudWatch alarms through SNS, signed by AWS", generator.subschema_for::<ByTopic>().to_value()),
        ("receive.json", "a sender of your own, signed", generator.subschema_for::<BySignature>().to_value()),
    ]
}
