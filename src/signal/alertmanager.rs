//! Alertmanager: what its API v2 answers (`GET /api/v2/alerts`), and what its webhook tells (version 4 of the payload).

use serde_json::Value;

use super::receive::Heard;
use super::{Firing, MOST, key_of, labels, name_of};
use crate::base::one_line;

/// Alerts that somebody is told of: what is silenced or inhibited calls nobody.
pub(super) fn read(answer: &Value) -> Result<Vec<Firing>, String> {
    let list = answer.as_array().ok_or("the answer is not a list of alerts, as Alertmanager's API v2 gives it")?;
    let mut out = Vec::new();
    for alert in list.iter().take(MOST) {
        let labels = labels(&alert["labels"]).ok_or("an alert has no labels")?;
        if alert["status"]["state"].as_str() == Some("suppressed") {
            continue;
        }
        let key = alert["fingerprint"].as_str().map_or_else(|| key_of(&labels), |print| one_line(print, 64));
        let starts_at = alert["startsAt"].as_str().map(|at| one_line(at, 64));
        out.push(Firing { name: name_of(&labels), key, labels, starts_at });
    }
    Ok(out)
}

/// What a webhook tells of: Alertmanager's own, and Grafana's, which has the same list under other surroundings.
pub(super) fn told(payload: &Value) -> Result<Vec<Heard>, String> {
    let list = payload["alerts"].as_array().ok_or("it has no list of `alerts`")?;
    if list.len() > MOST {
        return Err(format!("it has {} alerts, and at most {MOST} are read: let it send fewer (`max_alerts`)", list.len()));
    }
    let one = |alert: &Value| {
        let labels = labels(&alert["labels"]).ok_or("an alert has no labels")?;
        let firing = match alert["status"].as_str() {
            Some("firing") => true,
            Some("resolved") => false,
            _ => return Err("an alert has no status `firing` or `resolved`".to_owned()),
        };
        let key = alert["fingerprint"].as_str().map_or_else(|| key_of(&labels), |print| one_line(print, 64));
        let starts_at = alert["startsAt"].as_str().map(|at| one_line(at, 64));
        Ok(Heard { firing, alert: Firing { name: name_of(&labels), key, labels, starts_at } })
    };
    list.iter().map(one).collect()
}

/// The webhook of Alertmanager itself.
pub(super) fn webhook(payload: &Value) -> Result<Vec<Heard>, String> {
    match payload["version"].as_str() {
        Some("4") => told(payload),
        Some(other) => Err(format!("it is version {} of Alertmanager's payload, and only version 4 is read", one_line(other, 16))),
        None => Err("it is not what Alertmanager's webhook sends: it has no `version`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// As Alertmanager 0.25 sends; the form is the one of its documentation (`webhook_config`).
    const SENT: &str = r#"{"receiver":"drill","status":"firing","alerts":[
        {"status":"firing","labels":{"alertname":"DatabaseDown","severity":"page"},"annotations":{"summary":"gone"},
         "startsAt":"2026-11-27T03:00:22.912Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://h:9090/graph","fingerprint":"3b15fd163d36582e"},
        {"status":"resolved","labels":{"alertname":"Slow"},"annotations":{},"startsAt":"2026-11-27T02:00:00Z","endsAt":"2026-11-27T03:00:00Z",
         "generatorURL":"","fingerprint":"aa"}],
        "groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://h:9093","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#;

    #[test]
    fn a_webhook_tells_what_fires_and_what_has_ended() {
        let told = webhook(&serde_json::from_str(SENT).unwrap()).unwrap();
        let pulled = read(&serde_json::from_str(ANSWER).unwrap()).unwrap();
        assert_eq!(
            told.iter().map(|heard| (heard.alert.name.as_str(), heard.firing)).collect::<Vec<_>>(),
            [("DatabaseDown", true), ("Slow", false)]
        );
        assert_eq!(
            (&told[0].alert.key, &told[0].alert.starts_at),
            (&pulled[0].key, &pulled[0].starts_at),
            "the same alert, however it came"
        );
        for bad in [json!({}), json!([]), json!({ "version": "5", "alerts": [] }), json!({ "version": "4", "alerts": [{ "labels": {} }] })]
        {
            assert!(webhook(&bad).is_err(), "{bad}");
        }
        let many = json!({ "version": "4", "alerts": vec![json!({ "status": "firing", "labels": {} }); 1_001] });
        assert!(webhook(&many).unwrap_err().contains("1001 alerts"));
    }

    /// As Alertmanager 0.25 answers.
    const ANSWER: &str = r#"[{"annotations":{"summary":"the database is gone"},"endsAt":"2026-11-27T03:04:22.912Z",
        "fingerprint":"3b15fd163d36582e","receivers":[{"name":"nobody"}],"startsAt":"2026-11-27T03:00:22.912Z",
        "status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},"updatedAt":"2026-11-27T03:00:22.915Z",
        "generatorURL":"http://h:9090/graph","labels":{"alertname":"DatabaseDown","instance":"127.0.0.1:8080","severity":"page"}},
        {"annotations":{},"endsAt":"2026-11-27T03:04:22.912Z","fingerprint":"aa","receivers":[],"startsAt":"2026-11-27T03:00:22.912Z",
        "status":{"inhibitedBy":[],"silencedBy":["x"],"state":"suppressed"},"updatedAt":"2026-11-27T03:00:22.915Z","labels":{"alertname":"Quiet"}}]"#;

    #[test]
    fn what_fires_is_read_and_what_is_silenced_is_not() {
        let found = read(&serde_json::from_str(ANSWER).unwrap()).unwrap();
        assert_eq!(found.len(), 1);
        let alert = &found[0];
        assert_eq!((alert.name.as_str(), alert.key.as_str()), ("DatabaseDown", "3b15fd163d36582e"));
        assert_eq!(alert.starts_at.as_deref(), Some("2026-11-27T03:00:22.912Z"));
        assert_eq!(alert.labels["severity"], "page");
    }

    #[test]
    fn anything_else_is_an_error_and_text_is_harmless() {
        for bad in [json!({}), json!("x"), json!([{}]), json!([{ "labels": { "a": 1 } }])] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        let evil = json!([{ "labels": { "alertname": "x\u{1b}[2Jy" } }]);
        assert_eq!(read(&evil).unwrap()[0].name, "x [2Jy");
        assert_eq!(read(&json!([])).unwrap(), []);
    }
}
