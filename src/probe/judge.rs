//! What an answer is worth: from what was observed to a verdict. Pure.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Map, Value};

use crate::base::{At, Span};
use crate::event::{Class, Leg, Verdict, unmet};
use crate::plan::{Expect, Match, Matcher, ServedBy};

/// Longest note, in characters.
const NOTE: usize = 80;

/// What one question brought, before anybody judges it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// When the first byte was handed to the kernel.
    pub sent: At,
    /// When the answer was complete, or the failure plain.
    pub done: At,
    /// `Ok` when there is an answer; else how it failed.
    pub class: Class,
    /// The kind's fields, except `outcome`, `duration` and `json`, which are the same for all.
    pub fields: Map<String, Value>,
    /// What stands above the body of an HTTP answer: made into fields only when somebody asks, as few do.
    pub head: Option<Head>,
    /// How long each part of the way took, where the kind tells them apart, in seconds.
    pub legs: Option<Reached>,
    /// The text that `json` is read from.
    pub text: Option<String>,
    /// How it failed, in a few words.
    pub note: Option<String>,
}

/// When each part of a question's way was done, in the order of [`Leg::ALL`]. None where it did not come that far, or went another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached(pub [Option<At>; 4]);

impl Reached {
    /// How long each part took that was gone, from when the one before it was done.
    pub fn took(&self, sent: At) -> [Option<Span>; 4] {
        let mut from = sent;
        self.0.map(|done| {
            done.map(|done| {
                let took = done.since(from);
                from = done;
                took
            })
        })
    }

    /// The same by name, in seconds.
    fn named(&self, sent: At) -> Map<String, Value> {
        let known = Leg::ALL.into_iter().zip(self.took(sent));
        known.filter_map(|(leg, took)| Some((leg.word().to_owned(), Value::from(took?.as_secs_f64())))).collect()
    }
}

/// Status and headers of an HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// As they came.
    pub headers: HeaderMap,
}

impl Head {
    /// A header by name; several of one name are joined.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn all(&self) -> Value {
        let named = |name: &HeaderName| Some((name.as_str().to_owned(), Value::from(self.header(name.as_str())?)));
        Value::Object(self.headers.keys().filter_map(named).collect())
    }
}

impl Answer {
    /// An answer, of which nothing is known yet but its times.
    pub fn of(sent: At, done: At) -> Answer {
        Answer { sent, done, class: Class::Ok, fields: Map::new(), head: None, legs: None, text: None, note: None }
    }

    /// A question that got no answer.
    pub fn failed(sent: At, done: At, class: Class, note: impl Into<String>) -> Answer {
        Answer { class, note: Some(note.into()), ..Answer::of(sent, done) }
    }

    /// Holds an answer to its limit: what came later is a time-out, and a time-out ends when the limit does.
    #[must_use]
    pub fn within(mut self, limit: Span) -> Answer {
        let end = self.sent + limit;
        if self.class == Class::Ok && self.done > end {
            self.class = Class::Timeout;
            self.note = Some(format!("no full answer within {limit}"));
        }
        if self.class == Class::Timeout {
            self.done = self.done.min(end);
        }
        self
    }

    /// One field by name; `json` is read from the text only when somebody asks.
    pub fn field(&self, name: &str) -> Option<Value> {
        match name {
            "outcome" => Some(Value::from(outcome_word(self.class))),
            "duration" => Some(Value::from(self.done.since(self.sent).as_secs_f64())),
            "json" => self.text.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            "timing" => self.legs.map(|legs| Value::Object(legs.named(self.sent))),
            "status" | "headers" | "body" if self.head.is_some() => self.head.as_ref().and_then(|head| match name {
                "status" => Some(Value::from(head.status)),
                "headers" => Some(head.all()),
                _ => self.text.as_deref().map(Value::from),
            }),
            _ => self.fields.get(name).cloned(),
        }
    }

    /// Every field there is.
    pub fn all_fields(&self) -> Map<String, Value> {
        let mut all = self.fields.clone();
        for name in ["outcome", "duration", "json", "timing", "status", "headers", "body"] {
            if let Some(value) = self.field(name) {
                all.insert(name.to_owned(), value);
            }
        }
        all
    }
}

/// The word of the scenario language for how a question ended.
pub fn outcome_word(class: Class) -> &'static str {
    match class {
        Class::Ok | Class::Status | Class::Assertion | Class::NoData => "ok",
        Class::Refused => "refused",
        Class::Reset => "reset",
        Class::Timeout => "timeout",
        Class::Dns => "dns",
        Class::Tls => "tls",
        Class::Error => "error",
        Class::Local | Class::Capped => "local",
        Class::Cancelled => "cancelled",
    }
}

/// What an answer is held against.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// Matchers, each with the field it looks at; the deciding fields first.
    expect: Vec<(String, Matcher)>,
    served_by: Option<ServedBy>,
    /// Texts that may never stand in a note: revealed secrets.
    hidden: Vec<String>,
}

/// A judged answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whose fault it is, if anybody's.
    pub verdict: Verdict,
    /// Why.
    pub class: Class,
    /// Who answered.
    pub by: Option<String>,
    /// A few words when it is not ok.
    pub note: Option<String>,
}

impl Wanted {
    /// Several expectations in one; all must hold.
    pub fn new(expectations: &[&Expect], served_by: Option<ServedBy>, hidden: Vec<String>) -> Wanted {
        let mut expect: Vec<(String, Matcher)> =
            expectations.iter().flat_map(|expect| expect.iter().map(|(field, matcher)| (field.clone(), matcher.clone()))).collect();
        // Whether there was an answer at all, and its status, explain more than a body that therefore looks different.
        expect.sort_by_key(|(field, _)| match field.as_str() {
            "outcome" => 0,
            "status" | "exit" => 1,
            _ => 2,
        });
        Wanted { expect, served_by, hidden: hidden.into_iter().filter(|text| !text.is_empty()).collect() }
    }

    /// Whether a matcher compares with what was seen first.
    pub fn compares(&self) -> bool {
        fn compares(matcher: &Matcher) -> bool {
            let inner = matcher.all.iter().chain(&matcher.any).flatten().chain(matcher.not.as_deref());
            matcher.changed.is_some() || inner.into_iter().any(compares)
        }
        self.expect.iter().any(|(_, matcher)| compares(matcher))
    }

    /// Judges an answer; `first` holds the fields of the first one.
    pub fn judge(&self, answer: &Answer, first: Option<&Value>) -> Judged {
        let by = self.by(answer);
        let with =
            |verdict, class, note: Option<String>| Judged { verdict, class, by: by.clone(), note: note.map(|note| self.clean(&note)) };
        let failed = || answer.note.clone().or_else(|| Some(outcome_word(answer.class).to_owned()));
        if matches!(answer.class, Class::Local | Class::Cancelled | Class::Capped) {
            return with(Verdict::Local, answer.class, failed());
        }
        let failure_is_expected = self.expect.iter().any(|(field, _)| field == "outcome");
        if answer.class != Class::Ok && !failure_is_expected {
            return with(Verdict::Bad, answer.class, failed());
        }
        for (field, matcher) in &self.expect {
            let value = answer.field(field);
            let first = first.and_then(|first| first.get(field)).and_then(|first| pick(first, matcher.path.as_deref()));
            match matcher.test(value.as_ref(), first.as_ref()) {
                Match::Yes => {}
                Match::No(_) if field == "outcome" && answer.class != Class::Ok => return with(Verdict::Bad, answer.class, failed()),
                Match::No(_) if field == "status" || field == "exit" => {
                    let seen = value.map(|value| value.to_string()).unwrap_or_default();
                    return with(Verdict::Bad, Class::Status, Some(format!("{field} {seen}")));
                }
                Match::No(why) => return with(Verdict::Bad, Class::Assertion, Some(unmet(field, &why))),
                Match::NoData(why) => {
                    // The kind may know better why there is nothing than the matcher that missed it.
                    let why = answer.note.clone().filter(|_| answer.class == Class::Ok && value.is_none()).unwrap_or(why);
                    return with(Verdict::Bad, Class::NoData, Some(format!("{field}: {why}")));
                }
            }
        }
        with(Verdict::Ok, Class::Ok, None)
    }

    /// What was seen of the fields that matter, for people.
    pub fn seen(&self, answer: &Answer) -> String {
        let mut parts = Vec::new();
        for (field, matcher) in &self.expect {
            let Some(value) = answer.field(field).and_then(|value| pick(&value, matcher.path.as_deref())) else { continue };
            parts.push(match &matcher.path {
                Some(path) => format!("{path} {}", plain(&value)),
                None => format!("{field} {}", plain(&value)),
            });
        }
        if parts.is_empty() { outcome_word(answer.class).to_owned() } else { self.clean(&parts.join(", ")) }
    }

    fn by(&self, answer: &Answer) -> Option<String> {
        let value = match self.served_by.as_ref()? {
            ServedBy::Header(name) => answer.head.as_ref()?.header(name)?,
            ServedBy::Json(path) => plain(&pick(&answer.field("json")?, Some(path))?),
        };
        let text = self.clean(&value);
        (!text.is_empty()).then_some(text)
    }

    /// Text that may stand in a journal: one line, short, no secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.hidden {
            text = text.replace(secret.as_str(), "***");
        }
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = line.trim();
        if line.chars().count() <= NOTE { line.to_owned() } else { line.chars().take(NOTE - 3).chain("...".chars()).collect() }
    }

    /// The whole text without secrets.
    pub fn without_secrets(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// What an RFC 9535 path finds: the value itself, or a list where it finds several. Nothing: `None`.
pub fn pick(value: &Value, path: Option<&str>) -> Option<Value> {
    let Some(path) = path else { return Some(value.clone()) };
    let parsed = serde_json_path::JsonPath::parse(path).ok()?;
    let mut found = parsed.query(value).all();
    match found.len() {
        0 => None,
        1 => Some(found.remove(0).clone()),
        _ => Some(Value::Array(found.into_iter().cloned().collect())),
    }
}

/// A value as text: strings without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use serde_json::json;

    fn answer(status: u16, body: &str) -> Answer {
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-node"), HeaderValue::from_static("a\tb"))]);
        Answer { head: Some(Head { status, headers }), text: Some(body.into()), ..Answer::of(At(0), At(10_000_000)) }
    }

    #[test]
    fn headers_are_by_lower_case_name_and_joined() {
        let mut answer = answer(200, "");
        let headers = &mut answer.head.as_mut().unwrap().headers;
        headers.append("Via", HeaderValue::from_static("a"));
        headers.append("VIA", HeaderValue::from_static("b"));
        assert_eq!(answer.field("headers"), Some(json!({"x-node": "a\tb", "via": "a, b"})));
    }

    #[test]
    fn why_there_is_nothing_is_told_by_who_knows() {
        let empty = Answer { note: Some("the result is empty".into()), ..answer(200, "{}") };
        assert_eq!(say(json!({"value": {"max": 5}}), &empty), (Verdict::Bad, Class::NoData, Some("value: the result is empty".into())));
        assert_eq!(say(json!({"json": {"path": "$.x", "max": 5}}), &empty).2.as_deref(), Some("json: nothing at $.x"));
        assert_eq!(say(json!({"value": {"max": 5}}), &answer(200, "{}")).2.as_deref(), Some("value: no such field"));
    }

    fn wanted(expect: Value) -> Wanted {
        Wanted::new(&[&serde_json::from_value(expect).unwrap()], None, Vec::new())
    }

    fn say(expect: Value, answer: &Answer) -> (Verdict, Class, Option<String>) {
        let judged = wanted(expect).judge(answer, None);
        (judged.verdict, judged.class, judged.note)
    }

    #[test]
    fn each_sort_of_answer_has_its_class() {
        let good = answer(200, r#"{"state":"accepted"}"#);
        let refused = Answer::failed(At(0), At(1), Class::Refused, "connection refused");
        let status = json!({"status": {"equals": 200}});
        assert_eq!(say(status.clone(), &good), (Verdict::Ok, Class::Ok, None));
        assert_eq!(say(status.clone(), &answer(503, "")), (Verdict::Bad, Class::Status, Some("status 503".into())));
        assert_eq!(say(status.clone(), &refused), (Verdict::Bad, Class::Refused, Some("connection refused".into())));
        let state = json!({"json": {"path": "$.state", "equals": "done"}, "status": {"equals": 200}});
        assert_eq!(say(state.clone(), &good).1, Class::Assertion);
        assert_eq!(say(state.clone(), &answer(503, "")).1, Class::Status, "the status explains more than the body");
        assert_eq!(say(state, &answer(200, "no json")).1, Class::NoData);
        assert_eq!(say(json!({"status": {"max": "many"}, "body": {"max": 5}}), &answer(200, "text")).1, Class::Assertion);
        for class in [Class::Local, Class::Cancelled] {
            let ours = Answer::failed(At(0), At(1), class, "no files left");
            assert_eq!(say(status.clone(), &ours), (Verdict::Local, class, Some("no files left".into())));
            assert_eq!(say(json!({"outcome": {"equals": "refused"}}), &ours).0, Verdict::Local);
        }
    }

    #[test]
    fn a_failure_can_be_what_was_wanted() {
        let refused = Answer::failed(At(0), At(1), Class::Refused, "connection refused");
        assert_eq!(say(json!({"outcome": {"equals": "refused"}}), &refused), (Verdict::Ok, Class::Ok, None));
        assert_eq!(say(json!({"outcome": {"equals": "ok"}}), &refused).1, Class::Refused);
        assert_eq!(say(json!({"outcome": {"equals": "refused"}}), &answer(200, "")).1, Class::Assertion);
        let both = json!({"outcome": {"one_of": ["ok", "refused"]}, "status": {"equals": 200}});
        assert_eq!(say(both, &refused).1, Class::NoData, "no status to look at is never good");
    }

    #[test]
    fn what_came_too_late_is_a_time_out_that_ends_with_its_limit() {
        let late = answer(200, "").within(Span::millis(9));
        assert_eq!((late.class, late.done), (Class::Timeout, At(9_000_000)));
        let good = answer(200, "").within(Span::millis(10));
        assert_eq!((good.class, good.done), (Class::Ok, At(10_000_000)));
        let refused = Answer::failed(At(0), At(50), Class::Refused, "").within(Span(10));
        assert_eq!(refused.done, At(50));
    }

    #[test]
    fn durations_are_compared_with_their_unit() {
        assert_eq!(say(json!({"duration": {"max": "10ms"}}), &answer(200, "")).0, Verdict::Ok);
        assert_eq!(say(json!({"duration": {"max": "9ms"}}), &answer(200, "")).1, Class::Assertion);
    }

    #[test]
    fn who_answered_is_read_from_header_or_body() {
        let judge = |served_by, body: &str| Wanted::new(&[], Some(served_by), Vec::new()).judge(&answer(503, body), None).by;
        assert_eq!(judge(ServedBy::Header("X-Node".into()), "").as_deref(), Some("a b"));
        assert_eq!(judge(ServedBy::Header("x-other".into()), ""), None);
        assert_eq!(judge(ServedBy::Json("$.by".into()), r#"{"by":7}"#).as_deref(), Some("7"));
        assert_eq!(judge(ServedBy::Json("$.by".into()), "text"), None);
    }

    #[test]
    fn notes_are_short_and_hold_no_secret() {
        let expect = serde_json::from_value(json!({"body": {"equals": "x"}})).unwrap();
        let wanted = Wanted::new(&[&expect], None, vec!["hunter2".into(), String::new()]);
        let note = wanted.judge(&answer(200, "the password is hunter2\n"), None).note.unwrap();
        assert!(!note.contains("hunter2") && note.contains("***") && !note.contains('\n'), "{note}");
        assert_eq!(wanted.clean(&"ä".repeat(500)).chars().count(), 80);
        assert!(!wanted.seen(&answer(200, "hunter2")).contains("hunter2"));
    }

    #[test]
    fn change_is_seen_against_the_first_answer() {
        let wanted = wanted(json!({"json": {"path": "$.sha", "changed": true}}));
        let first = json!({"json": {"sha": "aaa"}});
        assert_eq!(wanted.judge(&answer(200, r#"{"sha":"bbb"}"#), Some(&first)).verdict, Verdict::Ok);
        assert_eq!(wanted.judge(&answer(200, r#"{"sha":"aaa"}"#), Some(&first)).class, Class::Assertion);
        assert_eq!(wanted.judge(&answer(200, r#"{"sha":"aaa"}"#), None).class, Class::NoData);
        assert!(wanted.compares() && !self::wanted(json!({"status": {"equals": 1}})).compares());
    }

    #[test]
    fn a_path_finds_one_many_or_nothing() {
        let value = json!({"a": [{"id": 1}, {"id": 2}]});
        assert_eq!(pick(&value, Some("$.a[*].id")), Some(json!([1, 2])));
        assert_eq!(pick(&value, Some("$.a[0].id")), Some(json!(1)));
        assert_eq!(pick(&value, Some("$.b")), None);
        assert_eq!(pick(&value, Some("nonsense")), None);
    }
}
