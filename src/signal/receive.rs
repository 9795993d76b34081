//! What arrives of its own accord: whose call is taken, and what it says. Whoever cannot show that they are the sender is refused before anything of
//! what they say is believed; what was said already is known again.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Firing, alertmanager, grafana, json, pagerduty, signature, sns};

/// A call, as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Post<'a> {
    /// Its headers, by lower-case names.
    pub headers: &'a BTreeMap<String, String>,
    /// Its body.
    pub body: &'a [u8],
    /// Wall time here.
    pub now: jiff::Timestamp,
}

impl Post<'_> {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::malformed(format!("the body is no JSON: {error}")))
    }
}

/// Who may send, with what shows that they are who they say. No `Debug`: it holds secrets.
#[derive(Clone)]
pub enum Sender {
    /// Alertmanager's webhook.
    Alertmanager {
        /// The bearer token.
        token: String,
    },
    /// PagerDuty's webhooks, version 3.
    PagerDuty {
        /// What they are signed with.
        secret: String,
    },
    /// Grafana's alerting webhook.
    Grafana {
        /// The bearer token, where one is asked for.
        token: Option<String>,
        /// What it is signed with, where that is asked for.
        secret: Option<String>,
        /// The header that holds its time.
        timestamp_header: Option<String>,
    },
    /// CloudWatch through SNS: signed with a certificate, which is fetched.
    Sns {
        /// The only topic that is heard.
        topic: String,
    },
    /// The documented JSON of whoever writes their own sender.
    Json {
        /// What it is signed with.
        secret: String,
    },
}

/// An alert that was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// It fires; else it has ended.
    pub firing: bool,
    /// Which.
    pub alert: Firing,
}

/// A page that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// By whom, for people.
    pub who: String,
    /// Every name of theirs.
    pub names: Vec<String>,
    /// What was taken, in the source's words.
    pub of: String,
    /// What tells the page from all others.
    pub key: String,
    /// When, by the source's clock: RFC 3339.
    pub at: Option<String>,
}

/// What a call says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Alerts that fire or have ended.
    pub alerts: Vec<Heard>,
    /// Pages that were taken.
    pub acks: Vec<Acked>,
    /// The address that confirms a subscription, where that is what it is about.
    pub confirm: Option<String>,
}

/// Why a call is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// Why, for people; without what was sent.
    pub why: String,
}

impl Refusal {
    /// Whoever called has not shown who they are.
    pub fn forged(why: impl Into<String>) -> Refusal {
        Refusal { status: 401, why: why.into() }
    }

    /// Not what its sender writes.
    pub fn malformed(why: impl Into<String>) -> Refusal {
        Refusal { status: 400, why: why.into() }
    }

    /// It was heard before.
    pub fn replayed(why: impl Into<String>) -> Refusal {
        Refusal { status: 409, why: why.into() }
    }
}

/// Most calls that are remembered of one receiver.
const REMEMBERED: usize = 20_000;

/// Which calls were heard already.
#[derive(Debug, Default)]
pub struct Memory {
    seen: BTreeMap<String, jiff::Timestamp>,
}

impl Memory {
    /// Whether this is the first time; `keep` is how long it must be known again.
    ///
    /// # Errors
    /// There have been so many that this one could not be remembered.
    pub fn first_time(&mut self, id: &str, now: jiff::Timestamp, keep: jiff::SignedDuration) -> Result<bool, Refusal> {
        if self.seen.get(id).is_some_and(|until| *until >= now) {
            return Ok(false);
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.retain(|_, until| *until >= now);
        }
        if self.seen.len() >= REMEMBERED {
            return Err(Refusal { status: 429, why: "more calls than can be remembered: let it send less often".into() });
        }
        let until = now.checked_add(keep).unwrap_or(jiff::Timestamp::MAX);
        self.seen.insert(id.to_owned(), until);
        Ok(true)
    }
}

impl Sender {
    /// Takes a call in. What SNS sends needs a certificate, and goes through [`sns::Envelope`].
    ///
    /// # Errors
    /// It is forged, repeated, too late, or not what its sender writes.
    pub fn hear(&self, post: Post<'_>, memory: &mut Memory) -> Result<Told, Refusal> {
        let alerts =
            |alerts: Result<Vec<Heard>, String>| alerts.map(|alerts| Told { alerts, ..Told::default() }).map_err(Refusal::malformed);
        match self {
            Sender::Alertmanager { token } => {
                signature::bearer(post, token)?;
                alerts(alertmanager::webhook(&post.json()?))
            }
            Sender::Grafana { token, secret, timestamp_header } => {
                grafana::admit(post, token.as_deref(), secret.as_deref(), timestamp_header.as_deref())?;
                alerts(grafana::webhook(&post.json()?))
            }
            Sender::PagerDuty { secret } => pagerduty::hear(post, secret, memory),
            Sender::Json { secret } => json::hear(post, secret, memory),
            Sender::Sns { topic } => Err(match sns::Envelope::read(post, topic) {
                Ok(_) => Refusal::forged("its certificate was not looked at"),
                Err(refusal) => refusal,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_known_until_it_may_be_forgotten() {
        let mut memory = Memory::default();
        let at = |s: i64| jiff::Timestamp::from_second(s).unwrap();
        let keep = jiff::SignedDuration::from_secs(10);
        assert_eq!(memory.first_time("a", at(0), keep), Ok(true));
        assert_eq!(memory.first_time("a", at(10), keep), Ok(false));
        assert_eq!(memory.first_time("a", at(11), keep), Ok(true));
        for n in 1..REMEMBERED {
            assert_eq!(memory.first_time(&n.to_string(), at(12), keep), Ok(true));
        }
        assert_eq!(memory.first_time("one more", at(20), keep).unwrap_err().status, 429, "never forgotten for want of room");
        assert_eq!(memory.first_time("one more", at(30), keep), Ok(true));
    }

    #[test]
    fn deep_json_and_garbage_are_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let headers = BTreeMap::from([("authorization".to_owned(), "Bearer t".to_owned())]);
        let sender = Sender::Alertmanager { token: "t".into() };
        for body in [deep.as_bytes(), b"\xff\xfe\x00", b"", b"null", b"{\"version\":\"4\",\"alerts\":7}"] {
            let post = Post { headers: &headers, body, now: jiff::Timestamp::UNIX_EPOCH };
            assert_eq!(sender.hear(post, &mut Memory::default()).unwrap_err().status, 400);
        }
    }
}
