//! Kinds that look from outside, at work in whole drills.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod drill;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use drill::Place;
use serde_json::{Value, json};

/// Looks of the guard that see what is good.
const GOOD: usize = 6;

/// One exchange over a connection: what Prometheus says to a query.
fn exchange(mut stream: TcpStream, guarded: &AtomicUsize, then: &Value) {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk) {
            Ok(n @ 1..) => head.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
    // The parentheses of the guard's query are written as an address wants them.
    let is_guard = String::from_utf8_lossy(&head).contains("query=sum%28rate%28errors%5B1m%5D%29%29");
    let good = json!([{ "metric": {}, "value": [1, "1"] }]);
    let result = if is_guard && guarded.fetch_add(1, Ordering::SeqCst) >= GOOD { then } else { &good };
    let body = json!({ "status": "success", "data": { "resultType": "vector", "result": result } }).to_string();
    let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

/// A Prometheus that counts few errors, and after a while this.
fn prometheus(then: Value) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let guarded = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (guarded, then) = (Arc::clone(&guarded), then.clone());
            std::thread::spawn(move || exchange(stream, &guarded, &then));
        }
    });
    port
}

/// A drill that the design's own guard watches; returns how it ended and what was said of the guard.
fn guarded(then: Value) -> (Option<i32>, String) {
    let place = Place::new();
    let url = format!("http://127.0.0.1:{}", prometheus(then));
    let scenario = json!({
        "firedrill": 1, "title": "A guard over Prometheus", "owner": "sre", "environment": "laptop",
        "probes": { "up": { "prometheus": { "url": url, "query": "up" }, "rate": "10/s" } },
        "steady_state": { "over": "1s", "probes": { "up": { "success": { "min": "90%" } } } },
        "guards": { "neighbours": {
            "prometheus": { "url": url, "query": "sum(rate(errors[1m]))" }, "expect": { "value": { "max": 5 } }, "every": "500ms", "breaches": 2,
        } },
        "faults": { "nothing": { "rehearse.nothing": {}, "for": "30s" } },
        "recovery": { "within": "40s", "stable_for": "1s" },
    });
    place.file("scenario.yaml", scenario.to_string());
    let done = place.run(&["run", "scenario.yaml", "--yes"], 90);
    place.assert_nobody_survives(10);
    (done.code, done.stdout + &done.stderr)
}

#[test]
fn a_guard_over_prometheus_aborts_on_a_number_and_on_nothing() {
    let above = std::thread::spawn(|| guarded(json!([{ "metric": {}, "value": [1, "9"] }])));
    let (code, told) = guarded(json!([]));
    assert!(
        code == Some(40) && told.contains("guard neighbours: no data for ") && told.contains(": value: the result is empty; undoing"),
        "{code:?}\n{told}"
    );
    let (code, told) = above.join().unwrap();
    assert!(code == Some(40) && told.contains("guard neighbours: value: 9 is above 5, 2 times in a row"), "{code:?}\n{told}");
}
