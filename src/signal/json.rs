//! The JSON of whoever writes their own sender: alerts, and pages that were taken. Signed with a shared secret over a time, a number that is never used
//! twice and the body, so that nobody can send again what somebody else sent.
//!
//! `X-Firedrill-Signature: v1=HEX`, where `HEX` is HMAC-SHA256 of `TIMESTAMP.NONCE.BODY`; `X-Firedrill-Timestamp` in seconds since 1970, at most five
//! minutes off; `X-Firedrill-Nonce`, 16 to 64 letters, digits, `-` or `_`.

use serde::Deserialize;
use serde_json::Value;

use super::receive::{Acked, Heard, Memory, Post, Refusal, Told};
use super::signature::signed;
use super::{CHARS, Firing, MOST, key_of, labels};
use crate::base::one_line;

/// The header of the time, in lower case.
pub const TIMESTAMP: &str = "x-firedrill-timestamp";
/// The header of the number that is never used twice.
pub const NONCE: &str = "x-firedrill-nonce";
/// The header of the signature.
pub const SIGNATURE: &str = "x-firedrill-signature";
/// How far its time may be off, in seconds.
const OFF: u64 = 300;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    #[serde(default)]
    alerts: Vec<Alert>,
    #[serde(default)]
    acks: Vec<Ack>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    name: String,
    status: Status,
    #[serde(default)]
    labels: Value,
    key: Option<String>,
    starts_at: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ack {
    by: String,
    of: String,
    key: Option<String>,
    at: Option<String>,
}

/// Takes a call in.
pub(super) fn hear(post: Post<'_>, secret: &str, memory: &mut Memory) -> Result<Told, Refusal> {
    let needed = |name: &str| post.header(name).ok_or_else(|| Refusal::forged(format!("it has no `{name}`")));
    let (time, nonce) = (needed(TIMESTAMP)?, needed(NONCE)?);
    let given = needed(SIGNATURE)?.trim();
    let given = given.strip_prefix("v1=").ok_or_else(|| Refusal::forged("its signature does not begin with `v1=`"))?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !(16..=64).contains(&nonce.len()) || !nonce.chars().all(good) {
        return Err(Refusal::malformed("its nonce is not 16 to 64 letters, digits, `-` or `_`"));
    }
    if !signed(secret, &[time.as_bytes(), b".", nonce.as_bytes(), b".", post.body], given) {
        return Err(Refusal::forged("its signature is wrong"));
    }
    let sent: i64 = time.parse().map_err(|_| Refusal::malformed("its time is not in seconds since 1970"))?;
    if post.now.as_second().abs_diff(sent) > OFF {
        return Err(Refusal::forged("it was signed more than 5 minutes ago, or ahead of time"));
    }
    // Twice as long as its time is good, since that may lie ahead as far.
    if !memory.first_time(nonce, post.now, jiff::SignedDuration::from_secs(2 * 300))? {
        return Err(Refusal::replayed("its nonce was used before"));
    }
    read(post.body)
}

fn read(body: &[u8]) -> Result<Told, Refusal> {
    // A list would be read as one by one what an object has.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::malformed("the body is no JSON object"));
    }
    let payload: Payload = serde_json::from_slice(body).map_err(|error| Refusal::malformed(one_line(&error.to_string(), 200)))?;
    if payload.alerts.len() + payload.acks.len() > MOST {
        return Err(Refusal::malformed(format!("it tells of more than {MOST} things")));
    }
    let mut told = Told::default();
    for alert in payload.alerts {
        let mut labels = match &alert.labels {
            Value::Null => Some(Default::default()),
            given => labels(given),
        };
        let labels = labels.as_mut().ok_or_else(|| Refusal::malformed("labels are texts by their names"))?;
        let name = one_line(&alert.name, CHARS);
        labels.entry("alertname".into()).or_insert_with(|| name.clone());
        let key = alert.key.map_or_else(|| key_of(labels), |key| one_line(&key, 64));
        let starts_at = alert.starts_at.map(|at| one_line(&at, 64));
        told.alerts.push(Heard { firing: alert.status == Status::Firing, alert: Firing { name, labels: labels.clone(), key, starts_at } });
    }
    for ack in payload.acks {
        let (who, of) = (one_line(&ack.by, CHARS), one_line(&ack.of, CHARS));
        let key = ack.key.map_or_else(|| of.clone(), |key| one_line(&key, 64));
        told.acks.push(Acked { names: vec![ack.by], who, of, key, at: ack.at.map(|at| one_line(&at, 64)) });
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::signature::sign;
    use super::*;

    const BODY: &str = r#"{"alerts":[{"name":"Down\u001b[2J","status":"firing","labels":{"severity":"page"},"starts_at":"2026-11-27T03:00:22Z"}],"acks":[{"by":"dana","of":"Down"}]}"#;
    const NOW: i64 = 1_000_000;

    struct Call {
        time: String,
        nonce: String,
        secret: &'static str,
        body: String,
    }

    fn call() -> Call {
        Call { time: NOW.to_string(), nonce: "0123456789abcdef".into(), secret: "s", body: BODY.into() }
    }

    fn sent(call: &Call, memory: &mut Memory) -> Result<Told, u16> {
        let signature =
            format!("v1={}", sign(call.secret, &[call.time.as_bytes(), b".", call.nonce.as_bytes(), b".", call.body.as_bytes()]));
        let headers = BTreeMap::from([
            (TIMESTAMP.to_owned(), call.time.clone()),
            (NONCE.to_owned(), call.nonce.clone()),
            (SIGNATURE.to_owned(), signature),
        ]);
        let post = Post { headers: &headers, body: call.body.as_bytes(), now: jiff::Timestamp::from_second(NOW).unwrap() };
        hear(post, "s", memory).map_err(|refusal| refusal.status)
    }

    #[test]
    fn what_is_signed_is_read_once() {
        let mut memory = Memory::default();
        let told = sent(&call(), &mut memory).unwrap();
        assert_eq!((told.alerts[0].alert.name.as_str(), told.alerts[0].alert.labels["alertname"].as_str()), ("Down [2J", "Down [2J"));
        assert_eq!((told.acks[0].who.as_str(), told.acks[0].key.as_str()), ("dana", "Down"));
        assert_eq!(sent(&call(), &mut memory), Err(409), "the same again");
        let other = Call { nonce: "another-nonce-0123".into(), ..call() };
        assert!(sent(&other, &mut memory).is_ok());
    }

    #[test]
    fn what_is_forged_late_or_malformed_is_refused() {
        let mut memory = Memory::default();
        let mut refused = |call: Call, status| assert_eq!(sent(&call, &mut memory), Err(status));
        refused(Call { secret: "x", ..call() }, 401);
        refused(Call { time: (NOW - 301).to_string(), ..call() }, 401);
        refused(Call { time: (NOW + 301).to_string(), ..call() }, 401);
        refused(Call { time: "soon".into(), ..call() }, 400);
        refused(Call { time: i64::MIN.to_string(), ..call() }, 401);
        refused(Call { nonce: "short".into(), ..call() }, 400);
        refused(Call { nonce: "0123456789abcde\u{1b}".into(), ..call() }, 400);
        for (n, body) in
            ["", "[]", "{\"alerts\":[{}]}", "{\"what\":1}", "{\"alerts\":[{\"name\":\"a\",\"status\":\"firing\",\"labels\":[1]}]}"]
                .iter()
                .enumerate()
        {
            refused(Call { nonce: format!("0123456789abcde{n}-"), body: (*body).to_owned(), ..call() }, 400);
        }
        let headers = BTreeMap::new();
        let bare = Post { headers: &headers, body: BODY.as_bytes(), now: jiff::Timestamp::UNIX_EPOCH };
        assert_eq!(hear(bare, "s", &mut memory).unwrap_err().status, 401);
    }
}
