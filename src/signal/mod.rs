//! What sources of alerts answer, read: one file a sender, pure. It must never know how they were asked.

mod alertmanager;
mod prometheus;
mod watch;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::one_line;

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

/// Labels as one text: the same labels, the same text.
fn key_of(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(",")
}
