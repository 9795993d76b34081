//! A change event of PagerDuty (Events API v2): whoever is called to a service sees that a drill was on. Pure. Documented at
//! <https://developer.pagerduty.com/docs/send-change-event>.

use serde_json::{Value, json};

use super::Message;
use crate::base::one_line;

/// Longest summary that PagerDuty takes, in characters.
const SUMMARY: usize = 1_024;

/// The body of the request; `key` is the integration's.
pub(super) fn body(message: &Message, key: &str, now: &str) -> Value {
    let mut details = json!({ "event": message.of.word(), "run": message.run, "title": one_line(&message.title, 500) });
    if let Some(fault) = &message.fault {
        details["fault"] = json!(fault);
    }
    if let Some(by_hand) = &message.by_hand {
        details["by_hand"] = json!(one_line(by_hand, 2_000));
    }
    let summary = one_line(&message.text, SUMMARY);
    json!({ "routing_key": key, "payload": { "summary": summary, "timestamp": now, "source": "firedrill", "custom_details": details } })
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::sample;
    use super::*;

    #[test]
    fn an_event_has_what_pagerduty_asks_for() {
        let body = body(&Message { fault: Some("freeze".into()), ..sample("It\nbegins") }, "KEY", "2026-11-27T03:00:00Z");
        assert_eq!((&body["routing_key"], &body["payload"]["summary"]), (&json!("KEY"), &json!("It begins")));
        assert_eq!(body["payload"]["custom_details"]["fault"], "freeze");
    }
}
