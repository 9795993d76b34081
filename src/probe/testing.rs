//! Scripted servers and a context for this room's tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::kind::Opened;
use super::{Judged, by_kind};
use crate::base::{Rate, Span};
use crate::event::Class;
use crate::plan::{Condition, Expect, Plan, ProbePlan};
use crate::sys::{Clock, Cx, Secret};

pub(super) fn cx() -> Cx {
    Cx {
        clock: Clock::start(),
        run: Arc::from("01jd0000000000000000000000"),
        run_dir: Arc::new(std::env::temp_dir()),
        base_dir: Arc::new(std::env::temp_dir()),
        exe: Arc::new("/bin/false".into()),
        secrets: Arc::new([("path".to_owned(), Secret::Env("PATH".into())), ("gone".to_owned(), Secret::Env("NO_SUCH".into()))].into()),
        account: None,
        cancel: tokio_util::sync::CancellationToken::new(),
    }
}

pub(super) fn expect(value: Value) -> Expect {
    serde_json::from_value(value).unwrap()
}

pub(super) async fn judged(kind: &str, spec: Value, wanted: Value, limit: Span, cx: &Cx) -> Judged {
    let opened = by_kind(kind).unwrap().open(&spec, &expect(wanted), None, cx).unwrap();
    let answer = opened.ask.ask(0, limit, cx).await;
    assert!(answer.sent <= answer.done && answer.done <= cx.clock.now());
    opened.wanted.judge(&answer, None)
}

/// Asks sixty times, every 20 ms and for 300 ms each; half-way what is asked comes back. How each question ended.
pub(super) async fn asked_until_it_is_back(opened: Opened, back: &AtomicBool) -> Vec<Class> {
    let (opened, cx) = (Arc::new(opened), Arc::new(cx()));
    let mut asked = Vec::new();
    for n in 0..60 {
        let (opened, cx) = (Arc::clone(&opened), Arc::clone(&cx));
        asked.push(tokio::spawn(async move { opened.ask.ask(n, Span::millis(300), &cx).await.class }));
        if n == 30 {
            back.store(true, Ordering::SeqCst);
        }
        crate::sys::clock::sleep(Span::millis(20)).await;
    }
    let mut classes = Vec::new();
    for one in asked {
        classes.push(one.await.unwrap());
    }
    classes
}

pub(super) fn probe(kind: &str, spec: Value, hz: f64, timeout: Span) -> ProbePlan {
    ProbePlan {
        kind: kind.into(),
        spec,
        rate: Rate::per_second(hz).unwrap(),
        timeout,
        expect: Expect::new(),
        served_by: None,
        control: false,
        together: None,
        in_flight: ((hz * timeout.as_secs_f64() * 1.2).ceil() as usize).max(4),
        ledger: kind.starts_with("ledger."),
        clean_up: false,
    }
}

pub(super) fn condition(kind: &str, spec: Value, wanted: Value) -> Condition {
    Condition {
        kind: kind.into(),
        spec,
        expect: expect(wanted),
        every: Span::millis(20),
        within: Span::millis(600),
        timeout: Span::millis(200),
    }
}

pub(super) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

/// Reads one request head and its `content-length` body; none when the peer has gone.
pub(super) async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let wanted = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|n| n.parse::<usize>().ok()));
            if body.len() >= wanted.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => seen.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}

pub(super) fn reply(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Serves every connection with one answer a request, for as long as the test lasts.
pub(super) async fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> String {
    let (listener, url) = listen().await;
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                while let Some(request) = request(&mut stream).await {
                    let said = answer(&request);
                    if stream.write_all(&said).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

/// A plan with nothing but probes.
pub(super) fn plan(probes: impl IntoIterator<Item = (&'static str, ProbePlan)>) -> Plan {
    let probes: serde_json::Map<String, Value> =
        probes.into_iter().map(|(id, probe)| (id.to_owned(), serde_json::to_value(probe).unwrap())).collect();
    serde_json::from_value(serde_json::json!({
        "schema": 1, "name": "x", "base_dir": "/", "title": "x", "why": null, "owner": null, "environment": "laptop", "test": "recovery",
        "mode": "normal", "scenario_digest": crate::base::digest_of(b"x"), "workload_digest": null, "secrets": {}, "system": {},
        "proxies": {}, "targets": {}, "probes": probes, "steady": {"over": "1s", "probes": {}}, "guards": {}, "faults": {}, "restore": {},
        "claims": {}, "subject": {}, "baseline_within": "1s", "settle_within": "1s", "reset": null, "not_judged": [], "carried": {},
    }))
    .unwrap()
}

/// A name server that answers by the book of a test.
#[cfg(feature = "dns")]
pub(super) mod name_server {
    use std::net::SocketAddr;

    use hickory_proto::op::{Message, OpCode, ResponseCode};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};

    /// The answers to one question, as bytes; the second argument says whether it came over TCP.
    pub(in crate::probe) type Script = fn(&Message, bool) -> Vec<Vec<u8>>;

    /// A name server that answers by the book of a test, over UDP and TCP at the same port.
    pub(in crate::probe) async fn server(script: Script) -> SocketAddr {
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 1500];
            while let Ok((length, from)) = udp.recv_from(&mut datagram).await {
                for answer in script(&Message::from_vec(&datagram[..length]).unwrap(), false) {
                    udp.send_to(&answer, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let length = stream.read_u16().await.unwrap();
                let mut question = vec![0; usize::from(length)];
                stream.read_exact(&mut question).await.unwrap();
                for answer in script(&Message::from_vec(&question).unwrap(), true) {
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        });
        address
    }

    pub(in crate::probe) fn reply(question: &Message, code: ResponseCode) -> Message {
        let mut message = Message::response(question.metadata.id, OpCode::Query);
        message.metadata.response_code = code;
        message.add_queries(question.queries.clone());
        message
    }
}
