//! `prometheus`: one instant query over the HTTP API of Prometheus, or of anything that speaks it. What is not there is no data, and never 0.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::Why;
use super::exchange::Client;
use super::http::{HttpSpec, TlsSpec, check_request};
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one};
use super::request::Template;
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;

/// The kind.
pub(super) struct Prometheus;

/// Longest query, in bytes: it travels in an address.
const LONGEST: usize = 8 * 1024;

/// What a scenario writes under `prometheus:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PrometheusSpec {
    /// Where Prometheus is: `http://HOST:PORT`, with the path that stands before `/api/v1`, if any.
    url: String,
    /// The instant query.
    query: String,
    /// Request headers.
    #[serde(default)]
    headers: IndexMap<String, String>,
    /// How TLS is spoken, for `https`.
    #[serde(default)]
    tls: TlsSpec,
}

impl PrometheusSpec {
    /// The request for a query that is already written as a part of an address.
    fn request(&self, query: &str) -> Result<HttpSpec, serde_json::Error> {
        let url = format!("{}/api/v1/query?query={query}", self.url.trim_end_matches('/'));
        serde_json::from_value(json!({ "url": url, "headers": self.headers, "tls": self.tls }))
    }
}

impl Probe for Prometheus {
    const KIND: &'static str = "prometheus";
    const ABOUT: &'static str = "Asks Prometheus an instant query and looks at the number.";
    const EXAMPLE: &'static str = concat!(
        "prometheus: { url: \"http://127.0.0.1:9090\", query: \"sum(rate(errors[1m]))\" }\n",
        "rate: 1/s\ntimeout: 1s\n",
        "expect: { value: { max: 5 } }\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("outcome", "ok (a result, also an empty one), refused, reset, timeout, dns, tls or error (also what Prometheus says is one)"),
        (
            "value",
            "the number, of a scalar or of exactly one series; no data when there is none, there are several, or it is NaN or infinite",
        ),
        ("values", "every series as a list of its `labels` and its `value`, for a `path`"),
        ("series", "how many series there are"),
        ("json", "the whole answer as JSON"),
        ("duration", "seconds from the first byte sent to the last received"),
    ];
    const RATE_HZ: f64 = 1.0;
    type Spec = PrometheusSpec;

    fn check(&self, spec: &PrometheusSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if spec.url.contains(['?', '#']) {
            let help = "write for example `http://127.0.0.1:9090`; the query stands beside it";
            problems.push(Problem::new("/url", "the address of Prometheus has no query").help(help));
        } else if let Ok(request) = spec.request("1") {
            problems.extend(check_request(&request, "", false));
        }
        if spec.query.trim().is_empty() {
            problems.push(Problem::new("/query", "there is no query").help("for example `sum(rate(errors[1m]))`"));
        } else if spec.query.len() > LONGEST {
            let help = "record it by a rule of Prometheus, and ask for that";
            problems.push(Problem::new("/query", format!("the query is longer than {LONGEST} bytes")).help(help));
        }
        if spec.query.contains("${key}") {
            problems.push(Problem::new("/query", "only a ledger's write has a key").help("write `$${key}` for the text itself"));
        }
        problems
    }

    fn good(&self, _: &PrometheusSpec) -> Expect {
        // A number at all; it says nothing of which.
        expect_one("value", Matcher::default())
    }

    fn open(&self, spec: PrometheusSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let request = spec.request(&escaped(&cx.reveal(&spec.query, None)?))?;
        let template = Template::new(&request, cx)?;
        template.fill("").map_err(Why::Spec)?;
        Ok(Box::new(Queries { template, client: Client::new(&request, cx)? }))
    }
}

/// A text as it may stand in the query of an address.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

struct Queries {
    template: Template,
    client: Client,
}

impl Ask for Queries {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move { answer(self.client.ask(self.template.fill(""), limit, cx).await) })
    }
}

/// What an HTTP answer says about the query.
fn answer(http: Answer) -> Answer {
    if http.class != Class::Ok {
        return http;
    }
    let failed = |note: String| Answer { legs: http.legs, ..Answer::failed(http.sent, http.done, Class::Error, note) };
    let status = http.field("status").unwrap_or_default();
    let Some(said) = http.text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return failed(format!("the answer is not that of Prometheus: HTTP status {status}"));
    };
    match said["status"].as_str() {
        Some("success") => {}
        Some("error") => {
            let part = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
            return failed(format!("{}: {}", part("errorType"), part("error")));
        }
        _ => return failed(format!("the answer is not that of Prometheus: HTTP status {status}")),
    }
    match read(&said["data"]) {
        Ok((fields, note)) => Answer { fields, note, legs: http.legs, text: http.text, ..Answer::of(http.sent, http.done) },
        Err(note) => failed(note),
    }
}

/// The fields of a result, and why there is no `value`, where there is none.
fn read(data: &Value) -> Result<(Map<String, Value>, Option<String>), String> {
    let sort = data["resultType"].as_str().unwrap_or("nothing known");
    let series: Vec<Value> = match (sort, &data["result"]) {
        ("vector", Value::Array(all)) => {
            all.iter().map(|one| json!({ "labels": one["metric"], "value": number(&one["value"]).unwrap_or_default() })).collect()
        }
        ("scalar", one) => vec![json!({ "labels": {}, "value": number(one).unwrap_or_default() })],
        _ => return Err(format!("the query gives a {sort}: ask for an instant vector or a scalar")),
    };
    let mut fields = Map::new();
    let note = match series.as_slice() {
        [] => Some("the result is empty".to_owned()),
        [one] if one["value"].is_number() => {
            fields.insert("value".into(), one["value"].clone());
            None
        }
        [_] => Some("the result is no finite number".to_owned()),
        several => Some(format!("the result has {} series, not one: aggregate them, for example by `sum(…)`", several.len())),
    };
    fields.insert("series".into(), json!(series.len()));
    fields.insert("values".into(), Value::Array(series));
    Ok((fields, note))
}

/// The number of `[time, "text"]`; none for what is not finite, as JSON has no word for it.
fn number(sample: &Value) -> Option<Value> {
    let text = sample.get(1)?.as_str()?;
    let whole = text.parse::<i64>().ok().map(Value::from);
    whole.or_else(|| serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::plan::Match;
    use crate::probe::testing::{condition, cx, expect, listen, reply, request, serve};
    use crate::probe::{Judged, by_kind, look};
    use tokio::io::AsyncWriteExt;

    async fn asked(body: &str, wanted: Value) -> (Answer, Judged) {
        told("200 OK", body, wanted).await
    }

    async fn told(status: &str, body: &str, wanted: Value) -> (Answer, Judged) {
        let (status, body) = (status.to_owned(), body.to_owned());
        let url = serve(move |_| reply(&status, "", &body)).await;
        let spec = json!({"url": url, "query": "up"});
        let opened = by_kind("prometheus").unwrap().open(&spec, &expect(wanted), None, &cx()).unwrap();
        let answer = opened.ask.ask(0, Span::secs(1), &cx()).await;
        let judged = opened.wanted.judge(&answer, None);
        (answer, judged)
    }

    fn vector(samples: &[(&str, &str)]) -> String {
        let one = |(instance, value): &(&str, &str)| json!({"metric": {"instance": instance}, "value": [1_790_000_000.5, value]});
        let all: Vec<Value> = samples.iter().map(one).collect();
        json!({"status": "success", "data": {"resultType": "vector", "result": all}}).to_string()
    }

    #[tokio::test]
    async fn the_question_travels_whole_in_an_address() {
        let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let url = serve(move |request| {
            heard.send(request.to_owned()).unwrap();
            reply("200 OK", "", &vector(&[("a", "1")]))
        })
        .await;
        let spec = json!({
            "url": format!("{url}prom/"), "query": "sum(rate(errors{job=\"a b\"}[1m])) / 2 & \"é\"", "headers": {"authorization": "Bearer ${secret:path}"},
        });
        let opened = by_kind("prometheus").unwrap().open(&spec, &expect(json!({})), None, &cx()).unwrap();
        assert_eq!(opened.ask.ask(0, Span::secs(1), &cx()).await.class, Class::Ok);
        let head = hears.recv().await.unwrap();
        let query = "sum%28rate%28errors%7Bjob%3D%22a%20b%22%7D%5B1m%5D%29%29%20%2F%202%20%26%20%22%C3%A9%22";
        assert!(head.starts_with(&format!("GET /prom/api/v1/query?query={query} HTTP/1.1\r\n")), "{head}");
        assert!(head.to_lowercase().contains("authorization: bearer /"), "{head}");
    }

    #[tokio::test]
    async fn one_number_is_a_value() {
        let (answer, judged) = asked(&vector(&[("a", "4.5")]), json!({"value": {"max": 5}})).await;
        assert_eq!((judged.verdict, judged.class), (Verdict::Ok, Class::Ok));
        assert_eq!((&answer.fields["value"], &answer.fields["series"]), (&json!(4.5), &json!(1)));
        assert_eq!(answer.fields["values"], json!([{"labels": {"instance": "a"}, "value": 4.5}]));
        let above = asked(&vector(&[("a", "5.1")]), json!({"value": {"max": 5}})).await.1;
        assert_eq!((above.verdict, above.note.as_deref()), (Verdict::Bad, Some("value: 5.1 is above 5")));
        let scalar = json!({"status": "success", "data": {"resultType": "scalar", "result": [1.5, "-3"]}}).to_string();
        assert_eq!(asked(&scalar, json!({})).await.0.fields["value"], json!(-3));
    }

    #[tokio::test]
    async fn several_series_are_no_value_but_may_be_looked_at() {
        let two = vector(&[("a", "1"), ("b", "9")]);
        for wanted in [json!({}), json!({"value": {"max": 5}}), json!({"value": {"equals": 1}}), json!({"value": {"not": {"min": 5}}})] {
            let judged = asked(&two, wanted).await.1;
            assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::NoData));
            assert_eq!(judged.note.as_deref(), Some("value: the result has 2 series, not one: aggregate them, for example by `sum(…)`"));
        }
        let one = json!({"values": {"path": "$[?@.labels.instance == 'b'].value", "min": 5}, "series": {"equals": 2}});
        assert_eq!(asked(&two, one).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn nothing_and_what_is_no_number_are_no_data_and_never_zero() {
        for (body, note) in [
            (vector(&[]), "value: the result is empty"),
            (vector(&[("a", "NaN")]), "value: the result is no finite number"),
            (vector(&[("a", "+Inf")]), "value: the result is no finite number"),
            (vector(&[("a", "1e999")]), "value: the result is no finite number"),
            (vector(&[("a", "many")]), "value: the result is no finite number"),
        ] {
            for wanted in [
                json!({}),
                json!({"value": {"max": 5}}),
                json!({"value": {"min": 0}}),
                json!({"outcome": {"equals": "ok"}, "value": {"max": 5}}),
            ] {
                let judged = asked(&body, wanted).await.1;
                assert_eq!((judged.verdict, judged.class, judged.note.as_deref()), (Verdict::Bad, Class::NoData, Some(note)), "{body}");
            }
        }
        assert_eq!(asked(&vector(&[]), json!({"series": {"equals": 0}})).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn a_guard_counts_an_empty_result_as_no_data() {
        let url = serve(|_| reply("200 OK", "", &vector(&[]))).await;
        let guard = condition("prometheus", json!({"url": url, "query": "sum(rate(errors[1m]))"}), json!({"value": {"max": 5}}));
        let looked = look(&guard, None, &cx()).await;
        assert_eq!(looked.holds, Match::NoData("value: the result is empty".into()));
        assert_eq!(looked.fields["series"], json!(0));
    }

    #[tokio::test]
    async fn what_prometheus_calls_an_error_is_a_measured_failure_with_its_words() {
        let body = json!({"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}).to_string();
        let judged = told("400 Bad Request", &body, json!({"value": {"max": 5}})).await.1;
        assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::Error));
        assert_eq!(judged.note.as_deref(), Some("bad_data: parse error: unclosed left parenthesis"));
        let matrix = json!({"status": "success", "data": {"resultType": "matrix", "result": []}}).to_string();
        assert_eq!(
            asked(&matrix, json!({})).await.1.note.as_deref(),
            Some("the query gives a matrix: ask for an instant vector or a scalar")
        );
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for body in [
            "",
            "<html>502</html>",
            "[]",
            "{}",
            "null",
            "{\"status\":\"success\"}",
            "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":7}}",
            &deep,
        ] {
            let judged = told("502 Bad Gateway", body, json!({})).await.1;
            assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::Error), "{judged:?}");
        }
        let odd = "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[7,{\"value\":7},{\"value\":[1]}]}}";
        assert_eq!(asked(odd, json!({})).await.1.class, Class::NoData);
    }

    #[tokio::test]
    async fn no_answer_is_what_it_is_for_every_connection() {
        let (listener, url) = listen().await;
        let spec = json!({"url": url, "query": "up"});
        let class = async || crate::probe::testing::judged("prometheus", spec.clone(), json!({}), Span::millis(200), &cx()).await.class;
        let holding = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{").await;
            crate::sys::clock::sleep(Span::millis(400)).await;
        });
        assert_eq!(class().await, Class::Timeout);
        holding.await.unwrap();
        assert_eq!(class().await, Class::Refused);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |spec: Value| by_kind("prometheus").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        assert!(check(json!({"url": "https://prom.example/prometheus/", "query": "up"})).is_empty());
        assert!(check(json!({"url": "${secret:url}", "query": "up"})).is_empty());
        assert_eq!(check(json!({"url": "prom:9090", "query": " ", "headers": {"a b": "c"}})), ["/url", "/headers/a b", "/query"]);
        assert_eq!(check(json!({"url": "http://p/?query=1", "query": "x".repeat(9000)})), ["/url", "/query"]);
        assert_eq!(check(json!({"url": "http://p/${key}", "query": "${key}"})), ["/url", "/query"]);
    }
}
