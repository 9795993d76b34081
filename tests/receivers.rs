//! What comes in while a drill runs, in whole drills of the real binary: senders of alerts, marks over HTTP, and whoever pretends to be one of them. The
//! drill goes on, whatever is sent, and nothing that was taken is lost.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drill::{Place, case, free_ports, side_by_side, wait};
use firedrill::signal::signature::sign;
use serde_json::{Value, json};

const PATIENCE: u64 = 120;

/// Writes a drill that is held until somebody mitigates, with these parts of a team, and gives its port for calls.
fn scenario(place: &Place, team: &str) -> u16 {
    let [port, calls] = free_ports();
    place.file(
        "scenario.yaml",
        format!(
            r#"firedrill: 1
title: The node stands still
environment: test
secrets: {{ am: {{ env: AM }}, pd: {{ env: PD }}, gr: {{ env: GR }}, js: {{ env: JS }}, ops: {{ env: OPS }}, dba: {{ env: DBA }}, gone: {{ env: IS_NOT_SET }} }}
system:
  node:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:{port}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 1s, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
faults:
  freeze: {{ process.pause: {{ system: node }}, for: {{ until: mitigated, at_most: 90s }} }}
recovery: {{ within: 100s, stable_for: 1s }}
team:
  roles: {{ ops: [Dana Ops], dba: [Gina] }}
{team}"#
        )
        .replace("CALLS", &calls.to_string()),
    );
    calls
}

const TEAM: &str = r#"  listen: { address: "127.0.0.1:CALLS", tokens: { ops: "${secret:ops}", dba: "${secret:dba}" } }
  signals:
    paging: { receive.alertmanager: { token: "${secret:am}" } }
    pager: { receive.pagerduty: { secret: "${secret:pd}" } }
    graphs: { receive.grafana: { secret: "${secret:gr}" } }
    own: { receive.json: { secret: "${secret:js}" } }
    unset: { receive.json: { secret: "${secret:gone}" } }
  expect:
    detected: { alert: { labels: { alertname: NodeFrozen }, source: paging }, within: 80s }
    seen: { alert: { labels: { alertname: "High memory usage" }, source: graphs }, within: 80s }
    told: { alert: { labels: { severity: page }, source: own }, within: 80s }
    acknowledged: { ack: { matches: bump }, by: ops, within: 80s }
    diagnosed: { answer: { ask: "What is broken?", matches: frozen }, by: ops, within: 80s }
    escalated: { handoff: { to: dba }, by: ops, within: 80s }
    mitigated: { step: shop#thaw, within: 85s }
"#;

fn start(place: &Place) -> Child {
    let mut command = place.command(&["run", "scenario.yaml", "--yes", "--output", "json"]);
    for (name, value) in
        [("AM", "am-token"), ("PD", "pd-secret"), ("GR", "gr-secret"), ("JS", "js-secret"), ("OPS", "ops-token"), ("DBA", "dba-token")]
    {
        command.env(name, value);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Status and body of an answer; 0 where there was none.
fn answer(mut stream: &TcpStream) -> (u16, Value) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap_or(0);
            if body.len() >= length {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
                return (status, serde_json::from_str(body).unwrap_or_default());
            }
        }
        match stream.read(&mut part) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&part[..n]),
            _ => return (0, Value::Null),
        }
    }
}

fn post(port: u16, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, Value) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return (0, Value::Null) };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    // Whoever is refused may be hung up on before everything was sent. In one piece: two small ones wait for each other.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    answer(&stream)
}

/// Like a sender that was told to come again.
fn patiently(port: u16, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let said = post(port, path, headers, body.to_string().as_bytes());
        if said.0 != 429 || Instant::now() > end {
            return said;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

fn firing(name: &str) -> Value {
    let alert = json!({ "status": "firing", "labels": { "alertname": name, "severity": "page" }, "annotations": {}, "startsAt": now().to_string(),
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": format!("f-{name}") });
    json!({ "version": "4", "status": "firing", "receiver": "drill", "alerts": [alert] })
}

/// Headers of a signed call of somebody's own sender.
fn own(secret: &str, time: i64, nonce: &str, body: &str) -> [(&'static str, String); 3] {
    let time = time.to_string();
    let signature = format!("v1={}", sign(secret, &[time.as_bytes(), b".", nonce.as_bytes(), b".", body.as_bytes()]));
    [("x-firedrill-timestamp", time), ("x-firedrill-nonce", nonce.to_owned()), ("x-firedrill-signature", signature)]
}

fn send_own(port: u16, id: &str, headers: &[(&'static str, String); 3], body: &str) -> u16 {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    post(port, &format!("/v1/signals/{id}"), &headers, body.as_bytes()).0
}

fn mark(port: u16, token: &str, path: &str, body: &Value) -> (u16, Value) {
    patiently(port, path, &[("authorization", &format!("Bearer {token}"))], body)
}

fn pagerduty(kind: &str) -> Value {
    json!({ "event": { "id": format!("e-{kind}"), "event_type": kind, "resource_type": "incident", "occurred_at": now().to_string(),
        "agent": { "id": "PLH1HKV", "summary": "Dana Ops", "type": "user_reference" },
        "data": { "id": "PGR0VU2", "type": "incident", "status": "acknowledged", "created_at": now().to_string(), "title": "A little bump in the road",
            "service": { "id": "PF9KMXH", "summary": "API Service" }, "urgency": "high" } } })
}

fn events(place: &Place, run: &Path, what: &str) -> Vec<Value> {
    let all = place.journal(run).into_iter().map(|entry| entry["event"].clone());
    all.filter(|event| event["type"] == "team" && event["what"] == what).collect()
}

/// Every sender is heard, and everybody by their token; each time is that of its arrival here.
fn heard() {
    let place = Place::new();
    let port = scenario(&place, TEAM);
    let run = start(&place);
    let dir = place.wait_until_bitten("freeze", PATIENCE);
    std::thread::sleep(Duration::from_millis(800));
    let bearer = [("authorization", "Bearer am-token")];
    assert_eq!(post(port, "/v1/signals/paging", &bearer, firing("NodeFrozen").to_string().as_bytes()).0, 200);
    assert_eq!(post(port, "/v1/signals/paging", &bearer, firing("Unheard of").to_string().as_bytes()).0, 200);
    let mut grafana = firing("High memory usage");
    (grafana["version"], grafana["orgId"]) = (json!("1"), json!(1));
    let grafana = grafana.to_string();
    assert_eq!(
        post(
            port,
            "/v1/signals/graphs",
            &[("x-grafana-alerting-signature", &sign("gr-secret", &[grafana.as_bytes()]))],
            grafana.as_bytes()
        )
        .0,
        200
    );
    let body = r#"{"alerts":[{"name":"Own\u001b[2J","status":"firing","labels":{"severity":"page"}}]}"#;
    assert_eq!(send_own(port, "own", &own("js-secret", now().as_second(), "0123456789abcdef", body), body), 200);
    let acked = pagerduty("incident.acknowledged").to_string();
    let signature = format!("v1={}", sign("pd-secret", &[acked.as_bytes()]));
    for _ in 0..2 {
        assert_eq!(
            post(port, "/v1/signals/pager", &[("x-pagerduty-signature", &signature)], acked.as_bytes()).0,
            200,
            "sent again, it is no offence"
        );
    }
    let said = mark(port, "ops-token", "/v1/answer", &json!({ "text": "the node is frozen", "at": "500ms" }));
    assert_eq!((said.0, &said.1["role"]), (200, &json!("ops")), "{said:?}");
    assert_eq!(mark(port, "ops-token", "/v1/note", &json!({ "text": "looking" })).0, 200);
    assert_eq!(mark(port, "ops-token", "/v1/handoff", &json!({ "to": "dba" })).0, 200);
    assert_eq!(mark(port, "dba-token", "/v1/handoff", &json!({ "accept": true })).0, 200);
    assert_eq!(mark(port, "dba-token", "/v1/step", &json!({ "step": "shop#thaw" })).0, 200);
    let done = wait(run, PATIENCE).expect(0);
    assert!(!done.stderr.contains('\u{1b}') && done.stderr.contains("Own [2J"), "{}", done.stderr);
    let report = done.json();
    let expectations = report["team"]["expectations"].as_object().unwrap();
    for (id, expectation) in expectations {
        assert_eq!(expectation["verdict"], "on_time", "{id}: {expectation:#}");
    }
    assert_eq!((&expectations["acknowledged"]["source"], &expectations["acknowledged"]["machine"]), (&json!("pagerduty"), &json!(true)));
    assert_eq!(expectations["acknowledged"]["who"], "Dana Ops");
    let diagnosed = &expectations["diagnosed"];
    assert_eq!(diagnosed["who"], "token of ops");
    let apart = diagnosed["received_mono_ns"].as_u64().unwrap() - diagnosed["observed"]["lo_mono_ns"].as_u64().unwrap();
    assert!(apart >= 500_000_000, "what is claimed and when it was heard are both kept: {diagnosed:#}");
    assert_eq!(report["team"]["unrelated_alerts"].as_array().map(Vec::len), Some(1), "{:#}", report["team"]["unrelated_alerts"]);
    assert_eq!(events(&place, &dir, "acked").len(), 1);
    let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap() + &std::fs::read_to_string(dir.join("plan.json")).unwrap();
    for secret in ["am-token", "pd-secret", "gr-secret", "js-secret", "ops-token", "dba-token"] {
        assert!(!text.contains(secret), "{secret} stands in the run's directory");
    }
    assert_eq!(mark(port, "ops-token", "/v1/mark", &json!({ "mark": "ack" })).0, 0, "nobody listens for a run that is over");
}

/// Whatever is sent, the drill goes on.
fn hostile() {
    let place = Place::new();
    let port = scenario(&place, TEAM);
    let run = start(&place);
    let dir = place.wait_until_bitten("freeze", PATIENCE);
    let alert = firing("NodeFrozen").to_string();
    let good = [("authorization", "Bearer am-token")];
    let status = |path: &str, headers: &[(&str, &str)], body: &[u8]| post(port, path, headers, body).0;
    // Forged.
    assert_eq!(status("/v1/signals/paging", &[], alert.as_bytes()), 401);
    assert_eq!(status("/v1/signals/paging", &[("authorization", "Bearer other")], alert.as_bytes()), 401);
    assert_eq!(status("/v1/signals/pager", &[("x-pagerduty-signature", "v1=00")], alert.as_bytes()), 401);
    assert_eq!(status("/v1/signals/graphs", &[("x-grafana-alerting-signature", &sign("x", &[b"{}"]))], b"{}"), 401);
    assert_eq!(status("/v1/signals/nobody", &good, alert.as_bytes()), 404);
    assert_eq!(status("/elsewhere", &good, alert.as_bytes()), 404);
    let body = r#"{"alerts":[]}"#;
    let time = now().as_second();
    assert_eq!(send_own(port, "own", &own("other", time, "0123456789abcde0", body), body), 401);
    assert_eq!(send_own(port, "own", &own("js-secret", time - 3_600, "0123456789abcde1", body), body), 401, "old");
    assert_eq!(send_own(port, "own", &own("js-secret", time, "0123456789abcde2", body), body), 200);
    assert_eq!(send_own(port, "own", &own("js-secret", time, "0123456789abcde2", body), body), 409, "replayed");
    assert_eq!(send_own(port, "unset", &own("js-secret", time, "0123456789abcde3", body), body), 503, "its secret is not there");
    // Malformed.
    for bad in
        [&b"\xff\xfe\x00garbage"[..], b"", b"[]", "[".repeat(200_000).as_bytes(), br#"{"version":"4","alerts":[{"labels":{"a":{}}}]}"#]
    {
        assert_eq!(status("/v1/signals/paging", &good, bad), 400);
    }
    // Too much, said beforehand or not.
    assert_eq!(status("/v1/signals/paging", &good, &vec![b'x'; 1 << 20]), 413);
    let mut chunked = TcpStream::connect(("127.0.0.1", port)).unwrap();
    chunked
        .write_all(b"POST /v1/signals/paging HTTP/1.1\r\nhost: h\r\nauthorization: Bearer am-token\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    for _ in 0..64 {
        if chunked
            .write_all(b"4000\r\n")
            .and_then(|()| chunked.write_all(&[b'x'; 0x4000]))
            .and_then(|()| chunked.write_all(b"\r\n"))
            .is_err()
        {
            break;
        }
    }
    let cut = answer(&chunked).0;
    assert!(cut == 413 || cut == 0, "hung up on, at the latest: {cut}");
    slow(port);
    people(port);
    flood(port, &alert);
    // What is right is taken nevertheless.
    assert_eq!(patiently(port, "/v1/signals/paging", &good, &firing("NodeFrozen")).0, 200);
    for (token, path, body) in [
        ("ops-token", "/v1/mark", json!({ "mark": "ack", "text": "bump" })),
        ("ops-token", "/v1/answer", json!({ "text": "frozen" })),
        ("dba-token", "/v1/step", json!({ "step": "shop#thaw" })),
    ] {
        assert_eq!(mark(port, token, path, &body).0, 200);
    }
    let done = wait(run, PATIENCE).expect(32);
    let report = done.json();
    assert_eq!((&report["run"]["system"], &report["team"]["expectations"]["detected"]["verdict"]), (&json!("passed"), &json!("on_time")));
    let refused = events(&place, &dir, "refused");
    let of = |source: &str| refused.iter().filter(|event| event["source"] == source).collect::<Vec<_>>();
    assert!(refused.len() < 120, "bounded, whatever comes: {}", refused.len());
    assert!(of("paging").last().unwrap()["times"].as_u64().unwrap() >= 4_096, "counted: {:#?}", of("paging").last());
    for source in ["paging", "pager", "graphs", "own", "unset", "marks", "listen"] {
        assert!(!of(source).is_empty(), "{source}");
    }
    let words = |source: &str| of(source).iter().map(|event| event["why"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n");
    assert!(words("own").contains("nonce was used before") && words("own").contains("more than 5 minutes ago"), "{}", words("own"));
    assert!(words("unset").contains("IS_NOT_SET"), "{}", words("unset"));
    let journal = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    assert!(!journal.contains("\\u001b") && !journal.contains('\u{202e}') && !done.stderr.contains('\u{1b}'));
    assert!(done.stderr.contains("refused"), "{}", done.stderr);
    place.assert_nobody_survives(10);
}

/// Heads and bodies that never come.
fn slow(port: u16) {
    let open = |text: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let body = open("POST /v1/signals/paging HTTP/1.1\r\nhost: h\r\nauthorization: Bearer am-token\r\ncontent-length: 1000\r\n\r\n{");
    let head = open("POST /v1/signals/paging HTTP/1.1\r\nhost");
    let said = open("POST /v1/note HTTP/1.1\r\nhost: h\r\nauthorization: Bearer ops-token\r\ncontent-length: 1000\r\n\r\n{");
    assert_eq!(answer(&body).0, 408);
    assert_eq!(answer(&said).0, 408);
    assert!([0, 408].contains(&answer(&head).0), "hung up on");
}

/// What people may not say.
fn people(port: u16) {
    let steps = [
        ("ops-token", "/v1/step", json!({ "step": "thaw" }), "is not RUNBOOK#STEP"),
        ("ops-token", "/v1/mark", json!({ "mark": "ack", "at": "2h" }), "before this drill began"),
        ("ops-token", "/v1/mark", json!({ "mark": "ack", "at": "2999-01-01T00:00:00Z" }), "lies in the future"),
        ("ops-token", "/v1/mark", json!({ "mark": "Not A Mark\u{1b}[2J" }), "is no name of a mark"),
        ("ops-token", "/v1/mark", json!({ "mark": "ack", "role": "dba" }), "unknown field"),
        ("ops-token", "/v1/handoff", json!({ "to": "chief" }), "no role is called `chief`"),
        ("ops-token", "/v1/note", json!({ "text": "x".repeat(5_000) }), "at most 4000 characters"),
    ];
    for (token, path, body, words) in steps {
        let (status, said) = mark(port, token, path, &body);
        let error = said["error"].as_str().unwrap_or_default();
        assert!(status == 400 && error.contains(words) && !error.contains('\u{1b}'), "{path}: {status} {said}");
    }
    assert_eq!(mark(port, "nobody", "/v1/mark", &json!({ "mark": "ack" })).0, 401);
    let long = json!({ "text": "x".repeat(1 << 20) });
    assert_eq!(mark(port, "ops-token", "/v1/note", &long).0, 413);
    assert_eq!(mark(port, "ops-token", "/v1/note", &json!({ "text": "it \u{1b}[2J hangs\u{202e}" })).0, 200);
}

/// Ten thousand calls, from several at once.
fn flood(port: u16, alert: &str) {
    let sent = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (sent, alert) = (Arc::clone(&sent), alert.to_owned());
            std::thread::spawn(move || {
                let mut odd = Vec::new();
                while sent.fetch_add(1, Ordering::SeqCst) < 10_000 {
                    let status = post(port, "/v1/signals/paging", &[("authorization", "Bearer forged")], alert.as_bytes()).0;
                    if ![401, 429, 0].contains(&status) {
                        odd.push(status);
                    }
                }
                odd
            })
        })
        .collect();
    let odd: Vec<u16> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

const ONE: &str = r#"  listen: { address: "127.0.0.1:CALLS" }
  signals: { paging: { receive.alertmanager: { token: "${secret:am}" } } }
  expect: { detected: { alert: { labels: { alertname: NodeFrozen } }, within: 4s } }
"#;

fn one_receiver() -> (Place, u16) {
    let place = Place::new();
    let port = scenario(&place, ONE);
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    place.file("scenario.yaml", text.replace("{ until: mitigated, at_most: 90s }", "1s"));
    (place, port)
}

/// Without a receiver nobody can say.
fn somebody_else_has_the_port() {
    let (place, port) = one_receiver();
    let _taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let done = wait(start(&place), PATIENCE).expect(31);
    let detected = done.json()["team"]["expectations"]["detected"].clone();
    assert_eq!(detected["verdict"], "not_observed", "{detected:#}");
    assert!(detected["why"].as_str().unwrap().contains("failed to listen at 127.0.0.1:"), "{detected:#}");
}

/// With one that is not told it is missed.
fn nothing_is_told() {
    let (place, _) = one_receiver();
    let done = wait(start(&place), PATIENCE).expect(32);
    assert_eq!(done.json()["team"]["expectations"]["detected"]["verdict"], "missed");
}

/// What fired before the fault shows nothing.
fn told_too_early() {
    let (place, port) = one_receiver();
    let run = start(&place);
    place.wait_for_event("baseline_started", PATIENCE);
    let early = firing("NodeFrozen");
    assert_eq!(patiently(port, "/v1/signals/paging", &[("authorization", "Bearer am-token")], &early).0, 200);
    let done = wait(run, PATIENCE).expect(31);
    let detected = done.json()["team"]["expectations"]["detected"].clone();
    assert!(detected["why"].as_str().unwrap().contains("it was firing before"), "{detected:#}");
}

/// A double of PagerDuty's API: two pages of incidents, and a call that comes too early.
fn pagerduty_api() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&calls);
    let start = Instant::now();
    let mut acked_at = None;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0; 1];
            while !head.ends_with(b"\r\n\r\n") && (&stream).read(&mut byte).is_ok_and(|n| n == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let n = log.lock().unwrap().len();
            log.lock().unwrap().push(head.clone());
            let incident = |id: &str, title: &str| json!({ "id": id, "title": title, "created_at": "2020-01-01T00:00:00Z", "service": { "id": "S1", "summary": "Shop" }, "urgency": "high" });
            let known = head.contains("authorization: Token token=pd-secret\r\n")
                && head.contains("accept: application/vnd.pagerduty+json;version=2\r\n");
            let (status, more, answer) = match path.as_str() {
                _ if !known => ("401 Unauthorized", "", json!({ "error": {} })),
                _ if n == 2 => ("429 Too Many Requests", "ratelimit-reset: 1\r\n", json!({})),
                path if path.starts_with("/incidents") && path.contains("offset=0") => {
                    ("200 OK", "", json!({ "incidents": [incident("P1", "An old one")], "more": true }))
                }
                path if path.starts_with("/incidents") => ("200 OK", "", json!({ "incidents": [incident("P2", "A bump")], "more": false })),
                path if path.starts_with("/log_entries") => {
                    let entry = |at: String| {
                        json!({ "id": "R1", "type": "acknowledge_log_entry", "created_at": at, "incident": { "id": "P2", "summary": "A bump" },
                            "agent": { "id": "U1", "type": "user_reference", "summary": "Dana Ops" }, "service": { "id": "S1" } })
                    };
                    // Somebody acknowledges, some time after the drill has begun.
                    if start.elapsed() > Duration::from_secs(6) {
                        acked_at.get_or_insert_with(|| now().to_string());
                    }
                    let entries: Vec<Value> = acked_at.clone().map(entry).into_iter().collect();
                    ("200 OK", "", json!({ "log_entries": entries, "more": false }))
                }
                _ => ("404 Not Found", "", json!({})),
            };
            let body = answer.to_string();
            let _ = (&stream).write_all(
                format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        }
    });
    (port, calls)
}

/// PagerDuty is asked page by page, and waits as long as it says; who acknowledged is who did, and the key stands nowhere.
fn pagerduty_is_asked() {
    let (api, calls) = pagerduty_api();
    let place = Place::new();
    let team = r#"  signals: { pager: { pagerduty: { token: "${secret:pd}", services: [S1], url: "http://127.0.0.1:API" }, every: 300ms } }
  expect: { mitigated: { ack: { matches: bump }, by: ops, within: 80s } }
"#;
    scenario(&place, &team.replace("API", &api.to_string()));
    let done = wait(start(&place), PATIENCE).expect(0);
    let report = done.json();
    let acked = &report["team"]["expectations"]["mitigated"];
    assert_eq!(
        (&acked["verdict"], &acked["source"], &acked["who"]),
        (&json!("on_time"), &json!("pagerduty"), &json!("Dana Ops")),
        "{acked:#}"
    );
    assert_eq!(acked["machine"], true);
    let calls = calls.lock().unwrap().clone();
    assert!(calls[0].contains("service_ids%5B%5D=S1") && calls[1].contains("offset=100"), "{:#?}", &calls[..2]);
    let run = &place.runs()[0];
    let journal = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(!journal.contains("pd-secret") && journal.contains("asked too often"), "the key stands nowhere, and a gap is told");
    let fired = events(&place, run, "alert");
    assert_eq!(
        fired.iter().map(|event| event["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["An old one", "A bump"],
        "each once: {fired:#?}"
    );
}

#[test]
fn calls_are_heard_or_refused_and_the_drill_goes_on() {
    side_by_side(vec![
        case("heard", heard),
        case("hostile", hostile),
        case("somebody else has the port", somebody_else_has_the_port),
        case("nothing is told", nothing_is_told),
        case("told too early", told_too_early),
        case("PagerDuty is asked", pagerduty_is_asked),
    ]);
}
