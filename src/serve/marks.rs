//! Marks over HTTP: the same as at the participant socket, by the token of a role. `at` is a time with its zone (RFC 3339) or how long ago (`90s`).

use std::net::IpAddr;

use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Desk, answer};
use crate::base::{Span, one_line};
use crate::engine::people::{Heard, OVER, Saying, Who};
use crate::event::Deed;
use crate::signal::Refusal;
use crate::signal::signature::{same, token_of};
use crate::sys::clock;

/// Largest body: a line at the participant socket is not longer.
const LARGEST: usize = 64 * 1024;
/// How long one who says something may take for it.
const HEAR: Span = Span::secs(2);

/// What is said.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Mark,
    Answer,
    Note,
    Step,
    Handoff,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    mark: String,
    #[serde(default)]
    text: String,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    text: String,
    of: Option<String>,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    to: Option<String>,
    #[serde(default)]
    ran: bool,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    step: String,
    #[serde(default)]
    back_out: bool,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handoff {
    to: Option<String>,
    #[serde(default)]
    accept: bool,
    at: Option<String>,
}

/// `POST /v1/mark` and its like.
pub(super) async fn call(desk: &Desk, peer: IpAddr, what: What, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let authorization = head.headers.get(axum::http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let who = match desk.admit(peer).and_then(|()| role(desk, authorization)) {
        Ok(role) => Who::Token(role),
        Err(refusal) => return desk.refuse("marks", peer, refusal).await,
    };
    let Some(room) = &desk.room else { return answer(403, &json!({ "error": "nobody takes part in this drill" })) };
    let body = match desk.body(&head.headers, body, LARGEST, HEAR).await {
        Ok(body) => body,
        Err(refusal) => return desk.refuse("marks", peer, refusal).await,
    };
    let mut heard = Heard { run: room.run().to_owned(), ..Heard::default() };
    // From here on it is a person who is known: what is wrong is told to them, and is no news for the journal.
    let said = match saying(what, &body) {
        Ok(saying) => room.take(saying, &who).await,
        Err(why) => Err(why),
    };
    match said {
        Ok((at, role)) => {
            (heard.at, heard.role) = (Some(at), Some(role));
            answer(200, &heard)
        }
        Err(why) => {
            let status = if why == OVER { 410 } else { 400 };
            heard.error = Some(why);
            answer(status, &heard)
        }
    }
}

/// The role whose token was shown.
fn role(desk: &Desk, authorization: Option<&str>) -> Result<String, Refusal> {
    let tokens = desk.team.listen.iter().flat_map(|listen| &listen.tokens);
    let given = token_of(authorization).ok_or_else(|| Refusal::forged("it has no bearer token: send `Authorization: Bearer TOKEN`"))?;
    let mut found = None;
    let mut unread = None;
    for (role, token) in tokens {
        match desk.cx.reveal(token, None) {
            // Every one is compared, whichever it is.
            Ok(token) if !token.is_empty() && same(given, &token) => found = Some(role.clone()),
            Ok(_) => {}
            Err(error) => unread = Some(format!("failed to {error}")),
        }
    }
    match (found, unread) {
        (Some(role), _) => Ok(role),
        (None, Some(why)) => Err(Refusal { status: 503, why }),
        (None, None) => Err(Refusal::forged("its bearer token is that of no role")),
    }
}

fn saying(what: What, body: &[u8]) -> Result<Saying, String> {
    fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
        serde_json::from_slice(body).map_err(|error| format!("what was said cannot be read: {}", one_line(&error.to_string(), 200)))
    }
    let (deed, at) = match what {
        What::Mark => {
            let Mark { mark, text, at } = read(body)?;
            (Deed::Mark { mark, text }, at)
        }
        What::Answer => {
            let Answer { text, of, at } = read(body)?;
            (Deed::Answer { of, text }, at)
        }
        What::Note => {
            let Note { text, to, ran, at } = read(body)?;
            let deed = match to {
                Some(to) => Deed::Message { to, text },
                None if ran => Deed::Command { line: text },
                None => Deed::Note { text },
            };
            (deed, at)
        }
        What::Step => {
            let Step { step, back_out, at } = read(body)?;
            (Deed::Step { step, back_out }, at)
        }
        What::Handoff => {
            let Handoff { to, accept, at } = read(body)?;
            let deed = match (to, accept) {
                (Some(to), false) => Deed::Handoff { to },
                (None, true) => Deed::Accept {},
                _ => return Err("say either `to`, with a role, or `accept: true`".into()),
            };
            (deed, at)
        }
    };
    let ago = at.as_deref().map(clock::long_ago).transpose()?;
    Ok(Saying { role: None, ago, deed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_strictly() {
        let read = |what, text: &str| saying(what, text.as_bytes());
        assert_eq!(read(What::Mark, r#"{"mark":"ack","at":"90s"}"#).unwrap().ago, Some(90_000_000_000));
        assert!(read(What::Mark, r#"{"mark":"ack","at":"2999-01-01T00:00:00Z"}"#).unwrap().ago.unwrap() < 0, "told by whoever admits");
        assert_eq!(read(What::Handoff, r#"{"accept":true}"#).unwrap().deed, Deed::Accept {});
        assert_eq!(read(What::Note, r#"{"text":"ls","ran":true}"#).unwrap().deed, Deed::Command { line: "ls".into() });
        for bad in ["", "[]", "{}", r#"{"mark":1}"#, r#"{"mark":"a","role":"dba"}"#, r#"{"mark":"a","at":"noon"}"#] {
            assert!(read(What::Mark, bad).is_err(), "{bad}");
        }
        assert!(read(What::Handoff, "{}").is_err() && read(What::Handoff, r#"{"to":"dba","accept":true}"#).is_err());
    }
}
