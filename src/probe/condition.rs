//! Conditions: a probe kind asked on demand, once or until it holds.

use serde_json::{Value, json};

use super::judge::{outcome_word, pick, plain};
use super::{Judged, Opened, by_kind};
use crate::base::{At, Interval, Span};
use crate::event::{Class, Verdict};
use crate::plan::{Condition, Match};
use crate::probe::Answer;
use crate::sys::Cx;

/// What a look says of a condition: it holds, it does not, or nothing could be seen, which is neither.
pub type Holds = Match;

/// One look.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// When the question was sent.
    pub began: At,
    /// When the answer was complete.
    pub ended: At,
    /// What it says.
    pub holds: Holds,
    /// What was seen, for people; without secrets.
    pub seen: String,
    /// Every field that was seen, as an object.
    pub fields: Value,
}

/// A condition did not hold in time.
#[derive(Debug, Clone, PartialEq)]
pub struct NotHeld {
    /// What was seen last.
    pub last: Looked,
}

fn unseen(at: At, why: impl Into<String>) -> Looked {
    let why = why.into();
    Looked { began: at, ended: at, holds: Holds::NoData(why.clone()), seen: why, fields: json!({}) }
}

fn open(condition: &Condition, cx: &Cx) -> Result<Opened, String> {
    let kind = by_kind(&condition.kind).ok_or_else(|| format!("there is no probe kind `{}`", condition.kind))?;
    kind.open(&condition.spec, &condition.expect, None, cx).map_err(|why| why.to_string())
}

/// Asks once, for at most `limit`; a cancelled context ends it at once.
async fn ask(opened: &Opened, limit: Span, cx: &Cx) -> Answer {
    let began = cx.clock.now();
    tokio::select! {
        biased;
        answer = opened.ask.ask(0, limit, cx) => answer,
        () = cx.cancel.cancelled() => Answer::failed(began, cx.clock.now(), Class::Cancelled, "cancelled"),
    }
}

fn looked(opened: &Opened, answer: &Answer, first: Option<&Value>) -> (Looked, Class) {
    let Judged { verdict, class, note, .. } = opened.wanted.judge(answer, first);
    let seen = note.unwrap_or_else(|| opened.wanted.seen(answer));
    let holds = match (verdict, class) {
        (Verdict::Ok, _) => Holds::Yes,
        (Verdict::Bad, Class::NoData) | (Verdict::Local | Verdict::Capped, _) => Holds::NoData(seen.clone()),
        (Verdict::Bad, _) => Holds::No(seen.clone()),
    };
    (Looked { began: answer.sent, ended: answer.done, holds, seen, fields: Value::Object(answer.all_fields()) }, answer.class)
}

/// Looks once. `first` holds the fields of an earlier look, for `changed`.
pub async fn look(condition: &Condition, first: Option<&Value>, cx: &Cx) -> Looked {
    match open(condition, cx) {
        Ok(opened) => looked(&opened, &ask(&opened, condition.timeout, cx).await, first).0,
        Err(why) => unseen(cx.clock.now(), why),
    }
}

/// Looks every `every` until the condition holds, for at most `within`. The moment it came true lies between the beginning of the last look
/// that did not see it (`since`, from when on it can have been true, when there is none) and the end of the first that did.
///
/// # Errors
/// It did not hold in time, or the context was cancelled.
pub async fn wait_for(condition: &Condition, since: At, cx: &Cx) -> Result<Interval, NotHeld> {
    let start = cx.clock.now();
    let end = start + condition.within;
    let mut lo = since;
    let mut first = None;
    let mut last: Option<Looked> = None;
    for turn in 0_u64.. {
        // A late look does not pull the later ones along; those that would be in the past are left out.
        let due = start + condition.every.times(turn);
        if due + condition.every <= cx.clock.now() && condition.every > Span::ZERO {
            continue;
        }
        if turn > 0 {
            tokio::select! {
                () = cx.clock.sleep_until(due.min(end)) => {}
                () = cx.cancel.cancelled() => {}
            }
        }
        let left = end.since(cx.clock.now());
        if left == Span::ZERO || (cx.cancel.is_cancelled() && last.is_some()) {
            break;
        }
        let opened = match open(condition, cx) {
            Ok(opened) => opened,
            Err(why) => {
                last = Some(unseen(cx.clock.now(), why));
                continue;
            }
        };
        let limit = condition.timeout.min(left);
        let (now, class) = looked(&opened, &ask(&opened, limit, cx).await, first.as_ref());
        if now.holds.is_yes() {
            return Ok(Interval::new(lo, now.ended));
        }
        first.get_or_insert_with(|| now.fields.clone());
        // Nothing seen is no evidence that it was not yet so: only a look that saw otherwise moves the lower bound.
        if matches!(now.holds, Holds::No(_)) {
            lo = now.began;
        }
        // A look that was cut short by the end says less than the one before it.
        let cut = class == Class::Timeout && limit < condition.timeout || class == Class::Cancelled;
        if !cut || last.is_none() {
            last = Some(now);
        }
    }
    Err(NotHeld { last: last.unwrap_or_else(|| unseen(cx.clock.now(), "no time to look")) })
}

/// Looks once and returns what it names: the text, trimmed, or what an RFC 9535 path finds in it. Several results come as a JSON list.
///
/// # Errors
/// The condition does not hold, there is no JSON, or nothing is found; without secrets.
pub async fn read_text(condition: &Condition, path: Option<&str>, cx: &Cx) -> Result<String, String> {
    let opened = open(condition, cx)?;
    let answer = ask(&opened, condition.timeout, cx).await;
    let (looked, _) = looked(&opened, &answer, None);
    if !looked.holds.is_yes() {
        return Err(looked.seen);
    }
    let text = match path {
        None => answer.text.clone().unwrap_or_else(|| outcome_word(answer.class).to_owned()),
        Some(path) => {
            let json = answer.field("json").ok_or("the answer is not JSON")?;
            plain(&pick(&json, Some(path)).ok_or_else(|| format!("nothing at {path}"))?)
        }
    };
    let text = opened.wanted.without_secrets(text.trim());
    if text.is_empty() { Err("the answer is empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{condition, cx, listen, reply, serve};
    use crate::sys::clock::sleep;

    #[tokio::test]
    async fn a_look_says_yes_no_or_nothing() {
        let url = serve(|_| reply("200 OK", "", "{\"role\":\"primary\"}")).await;
        let cx = cx();
        let role = |role: &str| condition("http", json!({"url": url}), json!({"json": {"path": "$.role", "equals": role}}));
        let yes = look(&role("primary"), None, &cx).await;
        assert_eq!((yes.holds, yes.seen.as_str()), (Holds::Yes, "$.role primary"));
        assert_eq!((&yes.fields["status"], &yes.fields["outcome"]), (&json!(200), &json!("ok")));
        assert!(yes.began <= yes.ended);
        assert!(matches!(look(&role("standby"), None, &cx).await.holds, Holds::No(_)));
        let missing = condition("http", json!({"url": url}), json!({"json": {"path": "$.lag", "max": 5}}));
        assert!(matches!(look(&missing, None, &cx).await.holds, Holds::NoData(_)));
        let refused = condition("tcp", json!({"address": "127.0.0.1:1"}), json!({}));
        let no = look(&refused, None, &cx).await;
        assert_eq!((no.holds, no.seen.as_str()), (Holds::No("connection refused".into()), "connection refused"));
        let wanted = condition("tcp", json!({"address": "127.0.0.1:1"}), json!({"outcome": {"equals": "refused"}}));
        assert_eq!(look(&wanted, None, &cx).await.seen, "outcome refused");
        assert!(matches!(look(&condition("pigeon", json!({}), json!({})), None, &cx).await.holds, Holds::NoData(_)));
    }

    #[tokio::test]
    async fn change_is_against_an_earlier_look() {
        let url = serve(|_| reply("200 OK", "", "b")).await;
        let changed = condition("http", json!({"url": url}), json!({"body": {"changed": true}}));
        assert_eq!(look(&changed, Some(&json!({"body": "a"})), &cx()).await.holds, Holds::Yes);
        assert!(matches!(look(&changed, Some(&json!({"body": "b"})), &cx()).await.holds, Holds::No(_)));
        assert!(matches!(look(&changed, None, &cx()).await.holds, Holds::NoData(_)));
    }

    #[tokio::test]
    async fn waiting_brackets_the_moment() {
        let (listener, _) = listen().await;
        let address = listener.local_addr().unwrap();
        drop(listener);
        let cx = cx();
        let start = cx.clock.now();
        let opened = tokio::spawn(async move {
            sleep(Span::millis(110)).await;
            let before = cx.clock.now();
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let after = cx.clock.now();
            sleep(Span::millis(600)).await;
            drop(listener);
            (before, after)
        });
        let wait = condition("tcp", json!({"address": address.to_string()}), json!({}));
        let when = wait_for(&wait, cx.clock.now(), &crate::sys::Cx { clock: cx.clock, ..crate::probe::testing::cx() }).await.unwrap();
        let (before, after) = opened.await.unwrap();
        let hi = when.hi.unwrap();
        assert!(when.lo > start && when.lo <= after && hi >= before, "{when:?} {before:?} {after:?}");
        assert!(hi.since(when.lo) < Span::millis(150), "{when:?}");
    }

    #[tokio::test]
    async fn waiting_ends_at_its_limit_and_says_what_it_saw() {
        let mut wait = condition("tcp", json!({"address": "127.0.0.1:1"}), json!({}));
        wait.within = Span::millis(90);
        let cx = cx();
        let start = cx.clock.now();
        let not = wait_for(&wait, cx.clock.now(), &cx).await.unwrap_err();
        let took = cx.clock.now().since(start);
        assert_eq!(not.last.holds, Holds::No("connection refused".into()));
        assert!(took >= Span::millis(90) && took < Span::millis(500), "{took}");
    }

    #[tokio::test]
    async fn waiting_can_be_cancelled() {
        let (listener, url) = listen().await;
        let mut wait = condition("http", json!({"url": url}), json!({}));
        (wait.timeout, wait.within) = (Span::secs(30), Span::secs(60));
        let cx = cx();
        let cancel = cx.cancel.clone();
        tokio::spawn(async move {
            sleep(Span::millis(50)).await;
            cancel.cancel();
        });
        let start = cx.clock.now();
        assert_eq!(wait_for(&wait, cx.clock.now(), &cx).await.unwrap_err().last.seen, "cancelled");
        assert!(cx.clock.now().since(start) < Span::secs(1));
        drop(listener);
    }

    #[tokio::test]
    async fn a_condition_that_holds_at_once_may_have_held_since_it_could() {
        let url = serve(|_| reply("200 OK", "", "x")).await;
        let cx = cx();
        sleep(Span::millis(20)).await;
        let since = cx.clock.now().minus(Span::millis(15));
        let when = wait_for(&condition("http", json!({"url": url}), json!({})), since, &cx).await.unwrap();
        assert!(when.lo == since && when.hi.unwrap() > since + Span::millis(15));
    }

    #[tokio::test]
    async fn text_is_read_whole_or_picked() {
        let url =
            serve(|request| reply(if request.contains("/down") { "503 Down" } else { "200 OK" }, "", " {\"sha\":\"abc\",\"n\":[1,2]} \n"))
                .await;
        let cx = cx();
        let http = |url: &str| condition("http", json!({"url": url}), json!({}));
        assert_eq!(read_text(&http(&url), None, &cx).await.unwrap(), "{\"sha\":\"abc\",\"n\":[1,2]}");
        assert_eq!(read_text(&http(&url), Some("$.sha"), &cx).await.unwrap(), "abc");
        assert_eq!(read_text(&http(&url), Some("$.n[*]"), &cx).await.unwrap(), "[1,2]");
        assert_eq!(read_text(&http(&url), Some("$.x"), &cx).await.unwrap_err(), "nothing at $.x");
        assert_eq!(read_text(&http(&format!("{url}down")), None, &cx).await.unwrap_err(), "status 503");
    }
}
