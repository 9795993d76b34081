//! What sources of alerts answer, and what senders of alerts tell, read: one file a sender, pure. It must never know how they were asked, nor how what
//! they tell came in.

mod alertmanager;
mod cloudwatch;
mod grafana;
mod inbox;
mod json;
pub mod pagerduty;
mod prometheus;
mod receive;
pub mod signature;
pub mod sns;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{At, one_line};

pub use inbox::{Inbox, acked};
pub use json::{NONCE, SIGNATURE, TIMESTAMP};
pub use receive::{Acked, Heard, Memory, Post, Refusal, Sender, Told};
pub use watch::Watch;

/// Most alerts of one answer that are looked at.
const MOST: usize = 1_000;
/// Most labels of one alert, and characters of each.
const LABELS: usize = 64;
const CHARS: usize = 200;

/// An alert that fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What tells it from all others of the source.
    pub key: String,
    /// When it began by the source's own clock: RFC 3339.
    pub starts_at: Option<String>,
}

/// The path, with its query, that is asked of a kind of source.
pub fn path(kind: &str) -> &'static str {
    match kind {
        "prometheus" => "/api/v1/query?query=ALERTS%7Balertstate%3D%22firing%22%7D",
        _ => "/api/v2/alerts?active=true&silenced=false&inhibited=false&unprocessed=true",
    }
}

/// Reads an answer.
///
/// # Errors
/// It is not what such a source answers; for people.
pub fn read(kind: &str, answer: &Value) -> Result<Vec<Firing>, String> {
    match kind {
        "alertmanager" => alertmanager::read(answer),
        "prometheus" => prometheus::read(answer),
        "cloudwatch" => cloudwatch::read(answer),
        other => Err(format!("`{other}` is no kind of source")),
    }
}

/// Labels as text that is fit for a journal.
fn labels(value: &Value) -> Option<BTreeMap<String, String>> {
    let label = |(name, value): (&String, &Value)| Some((one_line(name, CHARS), one_line(value.as_str()?, CHARS)));
    value.as_object()?.iter().take(LABELS).map(label).collect()
}

/// The name among the labels.
fn name_of(labels: &BTreeMap<String, String>) -> String {
    labels.get("alertname").cloned().unwrap_or_else(|| "an alert without a name".to_owned())
}

/// A time of somebody else's clock on the run's: `at` is when it was `wall_ns` here, in nanoseconds since 1970.
fn on_clock(time: Option<&str>, at: At, wall_ns: i128) -> Option<i64> {
    let time: jiff::Timestamp = time?.parse().ok()?;
    i64::try_from(time.as_nanosecond() - wall_ns + i128::from(at.0)).ok()
}

/// The roles that a plan gives to somebody, by any of their names; nothing where it declares none.
pub fn roles_of<'a>(roles: impl Iterator<Item = (&'a str, &'a [String])>, names: &[String]) -> Option<Vec<String>> {
    let mut declared = false;
    let mut out = Vec::new();
    for (role, people) in roles {
        declared = true;
        if people.iter().any(|person| names.contains(person)) {
            out.push(role.to_owned());
        }
    }
    declared.then_some(out)
}

/// Labels as one text: the same labels, the same text.
fn key_of(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(",")
}
