//! Alertmanager, API v2: `GET /api/v2/alerts`.

use serde_json::Value;

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
