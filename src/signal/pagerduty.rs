//! PagerDuty: its webhooks of version 3, and what its REST API of version 2 answers (`GET /incidents`, `GET /log_entries`). An open incident is an alert
//! that fires; that somebody acknowledged it is a page that was taken. Documented at <https://developer.pagerduty.com/docs/webhooks-overview>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::receive::{Acked, Heard, Memory, Post, Refusal, Told};
use super::signature::signed;
use super::{CHARS, Firing};
use crate::base::one_line;

/// Where its API is, unless told otherwise.
pub const API: &str = "https://api.pagerduty.com";
/// Entries of one page; the most that PagerDuty's classic pagination gives.
pub const PAGE: usize = 100;
/// Pages that are asked for at most in one look.
pub const PAGES: usize = 10;
/// How old an event may be that is told: PagerDuty tries for some minutes, a recording may be as old as it likes.
const AGE: i64 = 3_600;

/// Takes a webhook in.
pub(super) fn hear(post: Post<'_>, secret: &str, memory: &mut Memory) -> Result<Told, Refusal> {
    let header = post.header("x-pagerduty-signature").ok_or_else(|| Refusal::forged("it has no X-PagerDuty-Signature"))?;
    // While a secret is rotated there is one for each.
    let good = |part: &str| part.trim().strip_prefix("v1=").is_some_and(|tag| signed(secret, &[post.body], tag));
    if !header.split(',').take(8).any(good) {
        return Err(Refusal::forged("its signature is wrong"));
    }
    let payload = post.json()?;
    let event = &payload["event"];
    let text = |value: &Value| value.as_str().map(|text| one_line(text, CHARS));
    let id = text(&event["id"]).ok_or_else(|| Refusal::malformed("it is not what PagerDuty sends: its `event` has no `id`"))?;
    let kind = event["event_type"].as_str().unwrap_or_default();
    let at = text(&event["occurred_at"]);
    let occurred: Option<jiff::Timestamp> = at.as_deref().and_then(|at| at.parse().ok());
    let occurred = occurred.ok_or_else(|| Refusal::malformed("its event does not say when it occurred"))?;
    if post.now.as_second().saturating_sub(occurred.as_second()) > AGE {
        return Err(Refusal::replayed("its event occurred more than an hour ago"));
    }
    // PagerDuty sends again what it believes was lost: that is no news, and no offence.
    if !memory.first_time(&id, post.now, jiff::SignedDuration::from_secs(2 * AGE))? {
        return Ok(Told::default());
    }
    let mut told = Told::default();
    match kind {
        "incident.triggered" | "incident.reopened" | "incident.resolved" => {
            let alert = incident(&event["data"]).ok_or_else(|| Refusal::malformed("its incident has no `id`"))?;
            told.alerts.push(Heard { firing: kind != "incident.resolved", alert });
        }
        "incident.acknowledged" => {
            let data = incident(&event["data"]).ok_or_else(|| Refusal::malformed("its incident has no `id`"))?;
            told.acks.extend(person(&event["agent"]).map(|(who, names)| Acked { who, names, of: data.name, key: data.key, at }));
        }
        // A test (`pagey.ping`), or something that is no matter of ours.
        _ => {}
    }
    Ok(told)
}

/// An incident as an alert. Its labels are the same, however it came.
fn incident(data: &Value) -> Option<Firing> {
    let key = one_line(data["id"].as_str()?, 64);
    let text = |value: &Value| value.as_str().map(|text| one_line(text, CHARS));
    let name = text(&data["title"]).unwrap_or_else(|| "an incident without a title".into());
    let mut labels = BTreeMap::from([("alertname".to_owned(), name.clone()), ("incident".to_owned(), key.clone())]);
    for (label, value) in [("service", &data["service"]["summary"]), ("urgency", &data["urgency"])] {
        labels.extend(text(value).map(|value| (label.to_owned(), value)));
    }
    Some(Firing { name, labels, key, starts_at: text(&data["created_at"]) })
}

/// A person by what they are called, and by every name of theirs. Services and integrations are nobody.
fn person(agent: &Value) -> Option<(String, Vec<String>)> {
    if !agent["type"].as_str()?.starts_with("user") {
        return None;
    }
    let names: Vec<String> = ["summary", "name", "email", "id"].iter().filter_map(|key| agent[*key].as_str().map(str::to_owned)).collect();
    Some((one_line(names.first()?, CHARS), names))
}

/// The path, with its query, of a page of open incidents.
pub fn incidents_path(services: &[String], page: usize) -> String {
    let services: String = services.iter().map(|service| format!("&service_ids%5B%5D={}", escaped(service))).collect();
    let offset = page * PAGE;
    format!("/incidents?statuses%5B%5D=triggered&statuses%5B%5D=acknowledged&date_range=all&limit={PAGE}&offset={offset}{services}")
}

/// The path, with its query, of a page of what was logged since then (RFC 3339).
pub fn log_path(since: &str, page: usize) -> String {
    format!("/log_entries?since={}&is_overview=true&include%5B%5D=incidents&limit={PAGE}&offset={}", escaped(since), page * PAGE)
}

/// Only what is needed in a query: an id, or a time.
fn escaped(text: &str) -> String {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    text.chars().filter(|c| good(*c)).collect()
}

/// Open incidents of a page, and whether there are more.
///
/// # Errors
/// It is not what PagerDuty answers; for people.
pub fn incidents(answer: &Value) -> Result<(Vec<Firing>, bool), String> {
    let list = answer["incidents"].as_array().ok_or("the answer has no list of incidents, as PagerDuty's API v2 gives it")?;
    let found: Option<Vec<Firing>> = list.iter().take(PAGE).map(incident).collect();
    Ok((found.ok_or("an incident has no id")?, answer["more"].as_bool().unwrap_or(false)))
}

/// Pages that were taken, of a page of the log, each with the id of its entry; and whether there are more.
///
/// # Errors
/// It is not what PagerDuty answers; for people.
pub fn acks(answer: &Value, services: &[String]) -> Result<(Vec<(String, Acked)>, bool), String> {
    let list = answer["log_entries"].as_array().ok_or("the answer has no list of log entries, as PagerDuty's API v2 gives it")?;
    let mut out = Vec::new();
    for entry in list.iter().take(PAGE) {
        let service = entry["service"]["id"].as_str().unwrap_or_default();
        if entry["type"].as_str() != Some("acknowledge_log_entry")
            || !(services.is_empty() || services.iter().any(|wanted| wanted == service))
        {
            continue;
        }
        let id = entry["id"].as_str().ok_or("a log entry has no id")?;
        let incident = &entry["incident"];
        let of = incident["title"].as_str().or(incident["summary"].as_str()).unwrap_or("an incident without a title");
        let key = one_line(incident["id"].as_str().unwrap_or_default(), 64);
        let Some((who, names)) = person(&entry["agent"]) else { continue };
        let at = entry["created_at"].as_str().map(|at| one_line(at, 64));
        out.push((one_line(id, 64), Acked { who, names, of: one_line(of, CHARS), key, at }));
    }
    Ok((out, answer["more"].as_bool().unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::super::signature::sign;
    use super::*;
    use serde_json::json;

    /// The incident of PagerDuty's documentation of version 3, as it is acknowledged.
    fn event(kind: &str) -> Value {
        json!({ "event": { "id": "5ac64822-4adc-4fda-ade0-410becf0de4f", "event_type": kind, "resource_type": "incident",
            "occurred_at": "2020-10-02T18:45:22.169Z",
            "agent": { "html_url": "https://acme.pagerduty.com/users/PLH1HKV", "id": "PLH1HKV", "self": "https://api.pagerduty.com/users/PLH1HKV",
                "summary": "Tenex Engineer", "type": "user_reference" },
            "client": { "name": "PagerDuty" },
            "data": { "id": "PGR0VU2", "type": "incident", "self": "https://api.pagerduty.com/incidents/PGR0VU2", "number": 2, "status": "triggered",
                "incident_key": "d3640fbd41094207a1c11e58e46b1662", "created_at": "2020-04-09T15:16:27Z", "title": "A little bump in the road",
                "service": { "id": "PF9KMXH", "summary": "API Service", "type": "service_reference" }, "urgency": "high", "resolve_reason": null } } })
    }

    fn sent(event: &Value, secret: &str, now: &str, memory: &mut Memory) -> Result<Told, u16> {
        let body = event.to_string();
        let signature = format!("v1={},v1={}", sign("old", &[body.as_bytes()]), sign(secret, &[body.as_bytes()]));
        let headers = BTreeMap::from([("x-pagerduty-signature".to_owned(), signature)]);
        hear(Post { headers: &headers, body: body.as_bytes(), now: now.parse().unwrap() }, "s", memory).map_err(|refusal| refusal.status)
    }

    #[test]
    fn an_incident_is_an_alert_and_an_acknowledgement_is_one() {
        let now = "2020-10-02T18:45:25Z";
        let told = sent(&event("incident.triggered"), "s", now, &mut Memory::default()).unwrap();
        let alert = &told.alerts[0].alert;
        assert_eq!(
            (alert.name.as_str(), alert.key.as_str(), alert.labels["service"].as_str()),
            ("A little bump in the road", "PGR0VU2", "API Service")
        );
        let mut memory = Memory::default();
        let told = sent(&event("incident.acknowledged"), "s", now, &mut memory).unwrap();
        assert_eq!((told.acks[0].who.as_str(), &told.acks[0].names), ("Tenex Engineer", &vec!["Tenex Engineer".into(), "PLH1HKV".into()]));
        assert_eq!(sent(&event("incident.acknowledged"), "s", now, &mut memory), Ok(Told::default()), "sent again");
        assert!(!sent(&event("incident.resolved"), "s", now, &mut Memory::default()).unwrap().alerts[0].firing);
        assert_eq!(sent(&event("pagey.ping"), "s", now, &mut Memory::default()), Ok(Told::default()));
    }

    #[test]
    fn what_is_forged_or_old_is_refused() {
        let mut memory = Memory::default();
        let acked = event("incident.acknowledged");
        assert_eq!(sent(&acked, "x", "2020-10-02T18:45:25Z", &mut memory), Err(401));
        assert_eq!(sent(&acked, "s", "2020-10-02T19:45:23Z", &mut memory), Err(409), "a recording");
        assert_eq!(sent(&json!({ "event": {} }), "s", "2020-10-02T18:45:25Z", &mut memory), Err(400));
        let mut timeless = acked.clone();
        timeless["event"]["occurred_at"] = json!("x");
        assert_eq!(sent(&timeless, "s", "2020-10-02T18:45:25Z", &mut memory), Err(400));
        let mut robot = acked;
        robot["event"]["agent"]["type"] = json!("service_reference");
        assert_eq!(sent(&robot, "s", "2020-10-02T18:45:25Z", &mut memory).unwrap().acks, [], "nobody took it");
    }

    #[test]
    fn its_api_is_read_page_by_page() {
        let data = event("x")["event"]["data"].clone();
        let (found, more) = incidents(&json!({ "incidents": [data], "limit": 100, "offset": 0, "total": null, "more": true })).unwrap();
        let pushed = sent(&event("incident.triggered"), "s", "2020-10-02T18:45:25Z", &mut Memory::default()).unwrap();
        assert_eq!((&found[0], more), (&pushed.alerts[0].alert, true), "the same alert, however it came");
        let entry = json!({ "id": "R1", "type": "acknowledge_log_entry", "created_at": "2015-11-10T00:32:52Z",
            "agent": { "id": "PXPGF42", "type": "user_reference", "summary": "Earline Greenholt" },
            "incident": { "id": "PT4KHLK", "type": "incident_reference", "summary": "[#1234] The server is on fire." },
            "service": { "id": "PIJ90N7", "type": "service_reference", "summary": "My Mail Service" } });
        let page = json!({ "log_entries": [entry, { "id": "R2", "type": "trigger_log_entry" }], "more": false });
        let (found, more) = acks(&page, &[]).unwrap();
        assert_eq!((found.len(), found[0].0.as_str(), found[0].1.of.as_str(), more), (1, "R1", "[#1234] The server is on fire.", false));
        assert_eq!(acks(&page, &["OTHER".into()]).unwrap().0, []);
        assert!(incidents(&json!([])).is_err() && acks(&json!({ "error": {} }), &[]).is_err());
        assert!(incidents_path(&["P1&x=y".into()], 2).ends_with("&limit=100&offset=200&service_ids%5B%5D=P1xy"));
        assert!(log_path("2026-11-27T03:00:00Z", 0).starts_with("/log_entries?since=2026-11-27T03:00:00Z&is_overview=true"));
    }
}
