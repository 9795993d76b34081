//! Grafana's alerting webhook: the list of alerts that Alertmanager has, with Grafana's own version and signature. Documented at
//! <https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/>.

use serde_json::Value;

use super::alertmanager;
use super::receive::{Heard, Post, Refusal};
use super::signature::{bearer, signed};

/// Where Grafana puts its signature unless told otherwise.
const SIGNATURE: &str = "x-grafana-alerting-signature";
/// How old a signed call may be, and how far ahead a clock.
const AGE: i64 = 300;

/// Whether the call is Grafana's: by token, by signature, or by both where both are asked for.
pub(super) fn admit(post: Post<'_>, token: Option<&str>, secret: Option<&str>, timestamp_header: Option<&str>) -> Result<(), Refusal> {
    if token.is_none() && secret.is_none() {
        return Err(Refusal::forged("this receiver has neither token nor secret"));
    }
    if let Some(token) = token {
        bearer(post, token)?;
    }
    let Some(secret) = secret else { return Ok(()) };
    let given = post.header(SIGNATURE).ok_or_else(|| Refusal::forged("it has no X-Grafana-Alerting-Signature"))?;
    let Some(header) = timestamp_header else {
        return if signed(secret, &[post.body], given) { Ok(()) } else { Err(Refusal::forged("its signature is wrong")) };
    };
    let time = post.header(&header.to_ascii_lowercase()).ok_or_else(|| Refusal::forged(format!("it has no {header}")))?;
    if !signed(secret, &[time.as_bytes(), b":", post.body], given) {
        return Err(Refusal::forged("its signature is wrong"));
    }
    let sent: i64 = time.parse().map_err(|_| Refusal::malformed("its time is not in seconds since 1970"))?;
    if post.now.as_second().abs_diff(sent) > AGE.unsigned_abs() {
        return Err(Refusal::forged("it was signed more than 5 minutes ago, or ahead of time"));
    }
    Ok(())
}

/// What it tells.
pub(super) fn webhook(payload: &Value) -> Result<Vec<Heard>, String> {
    if payload["orgId"].as_i64().is_none() {
        return Err("it is not what Grafana's alerting sends: it has no `orgId`".into());
    }
    alertmanager::told(payload)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::receive::{Memory, Sender};
    use super::super::signature::sign;
    use super::*;

    /// The form of Grafana's documentation.
    const SENT: &str = r#"{"receiver":"My Super Webhook","status":"firing","orgId":1,"alerts":[{"status":"firing",
        "labels":{"alertname":"High memory usage","team":"blue","zone":"us-1"},"annotations":{"description":"The system has high memory usage"},
        "startsAt":"2026-11-27T09:51:03.157076+02:00","endsAt":"0001-01-01T00:00:00Z","generatorURL":"https://play.grafana.org/alerting/1afz29v7z/edit",
        "fingerprint":"c6eadffa33fcdf37","silenceURL":"https://play.grafana.org/alerting/silence/new","dashboardURL":"","panelURL":"","values":{"B":44.23,"C":1}}],
        "groupLabels":{},"commonLabels":{"team":"blue"},"commonAnnotations":{},"externalURL":"https://play.grafana.org/","version":"1","groupKey":"{}:{}",
        "truncatedAlerts":0,"title":"[FIRING:2]  (blue)","state":"alerting","message":"**Firing**"}"#;

    fn hear(headers: &[(&str, &str)], secret: Option<&str>, timestamp_header: Option<&str>, now: i64) -> Result<usize, u16> {
        let headers: BTreeMap<String, String> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let token = secret.is_none().then(|| "t".to_owned());
        let sender = Sender::Grafana { token, secret: secret.map(str::to_owned), timestamp_header: timestamp_header.map(str::to_owned) };
        let post = Post { headers: &headers, body: SENT.as_bytes(), now: jiff::Timestamp::from_second(now).unwrap() };
        sender.hear(post, &mut Memory::default()).map(|told| told.alerts.len()).map_err(|refusal| refusal.status)
    }

    #[test]
    fn it_is_known_by_token_or_by_signature() {
        assert_eq!(hear(&[("authorization", "Bearer t")], None, None, 0), Ok(1));
        assert_eq!(hear(&[("authorization", "Bearer x")], None, None, 0), Err(401));
        let plain = sign("s", &[SENT.as_bytes()]);
        assert_eq!(hear(&[(SIGNATURE, &plain)], Some("s"), None, 0), Ok(1));
        assert_eq!(hear(&[(SIGNATURE, &plain)], Some("other"), None, 0), Err(401));
        assert_eq!(hear(&[], Some("s"), None, 0), Err(401));
        let timed = sign("s", &[b"1000:", SENT.as_bytes()]);
        let headers = [(SIGNATURE, timed.as_str()), ("x-grafana-alerting-signature-timestamp", "1000")];
        let header = Some("X-Grafana-Alerting-Signature-Timestamp");
        assert_eq!(hear(&headers, Some("s"), header, 1_300), Ok(1));
        assert_eq!(hear(&headers, Some("s"), header, 1_301), Err(401), "too old");
        assert_eq!(hear(&headers, Some("s"), header, 699), Err(401), "ahead of time");
        assert_eq!(hear(&[(SIGNATURE, &plain)], Some("s"), header, 1_000), Err(401), "a time was asked for");
        let told = webhook(&serde_json::from_str(SENT).unwrap()).unwrap();
        assert_eq!((told[0].alert.name.as_str(), told[0].alert.key.as_str()), ("High memory usage", "c6eadffa33fcdf37"));
        assert!(webhook(&serde_json::json!({ "alerts": [] })).is_err());
    }
}
