//! `grpc.health`: one call of the standard health service (`grpc.health.v1.Health/Check`), over an HTTP/2 connection that is new for each question.
//!
//! Its two messages have one field each, with the numbers and types of protobuf's own `StringValue` and `Int32Value`: on the wire they are the same.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use indexmap::IndexMap;
use prost::Message;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::Why;
use super::http::{TlsSpec, check_headers};
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::tcp;
use super::wire::{Failure, Resolving, dial, of_hyper, of_io};
use crate::base::{At, Problem, Span};
use crate::event::{Class, Leg};
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;
use crate::sys::http::client_config;

/// The kind.
pub(super) struct GrpcHealth;

/// Most of an answer that is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// The call.
const PATH: &str = "/grpc.health.v1.Health/Check";
/// Length of what stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// What gRPC calls its status codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// What the health service says, by number.
const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// What a scenario writes under `grpc.health:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthSpec {
    /// Where to connect: `HOST:PORT`.
    address: String,
    /// The service that is asked about, for example `shop.Orders`. Default: the server as a whole.
    #[serde(default)]
    service: String,
    /// Metadata that is sent along.
    #[serde(default)]
    headers: IndexMap<String, String>,
    /// How TLS is spoken; `{}` for the usual way. Default: without TLS.
    #[serde(default)]
    tls: Option<TlsSpec>,
}

impl Probe for GrpcHealth {
    const KIND: &'static str = "grpc.health";
    const ABOUT: &'static str = "Asks a gRPC server for its health, over a connection of its own.";
    const EXAMPLE: &'static str = concat!(
        "grpc.health: { address: \"127.0.0.1:50051\", service: shop.Orders }\n",
        "rate: 10/s\ntimeout: 500ms\n",
        "expect: { serving: { equals: SERVING } }\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("outcome", "ok (the service said how it is), refused, reset, timeout, dns, tls or error (any other gRPC status, or no gRPC)"),
        ("serving", "SERVING, NOT_SERVING, UNKNOWN or SERVICE_UNKNOWN"),
        ("code", "the gRPC status: OK, NOT_FOUND, UNAVAILABLE …; known of an `error` as well"),
        ("duration", "seconds until the answer"),
    ];
    type Spec = HealthSpec;

    fn check(&self, spec: &HealthSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(why) = tcp::split(&without_templates(&spec.address)) {
            problems.push(Problem::new("/address", why).help("write `HOST:PORT`, for example `127.0.0.1:50051`"));
        }
        if spec.tls.as_ref().is_some_and(|tls| tls.insecure && tls.ca_file.is_some()) {
            problems.push(Problem::new("/tls/ca_file", "`ca_file` has no meaning beside `insecure: true`"));
        }
        if spec.service.len() > LARGEST {
            problems.push(Problem::new("/service", "a service's name is shorter"));
        }
        problems.extend(check_headers(&spec.headers, ""));
        problems
    }

    fn good(&self, _: &HealthSpec) -> Expect {
        expect_one("serving", Matcher::equals("SERVING"))
    }

    fn open(&self, spec: HealthSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let address = cx.reveal(&spec.address, None)?;
        let (host, port) = tcp::split(&address).map_err(Why::Spec)?;
        let tls = spec.tls.as_ref().map(|tls| trust(tls, &host, cx)).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let body = framed(&cx.reveal(&spec.service, None)?);
        let request = Request::post(format!("{scheme}://{address}{PATH}"))
            .header(USER_AGENT, concat!("firedrill/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(Full::new(body));
        let mut request = request.map_err(|_| Why::Spec("the address is none once it is filled".into()))?;
        for (name, value) in &spec.headers {
            let bad = || Why::Spec(format!("the header {name} is not valid once it is filled"));
            let value = HeaderValue::from_str(&cx.reveal(value, None)?).map_err(|_| bad())?;
            request.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        Ok(Box::new(Calls { host, port, tls, request }))
    }
}

type Trusted = (Arc<ClientConfig>, ServerName<'static>);

fn trust(tls: &TlsSpec, host: &str, cx: &Cx) -> Result<Trusted, Why> {
    let name = tls.server_name.as_deref().map(|name| cx.reveal(name, None)).transpose()?.unwrap_or_else(|| host.to_owned());
    let name = ServerName::try_from(name).map_err(|_| Why::Spec("the server's name cannot stand in a certificate".into()))?;
    let mut config = client_config(&tls.trust(cx)?)?;
    Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
    Ok((config, name))
}

struct Calls {
    host: String,
    port: u16,
    tls: Option<Trusted>,
    request: Request<Full<Bytes>>,
}

/// How a call ended: its status, what was said with it, and the message.
struct Ended {
    code: usize,
    said: String,
    message: Vec<u8>,
}

impl Ask for Calls {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let resolving = Resolving::timed(cx.clock);
            let sent = cx.clock.now();
            let called = tokio::time::timeout(limit.std(), self.call(limit, &resolving)).await;
            let done = cx.clock.now();
            let answer = match called.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
                Ok(ended) => answer(sent, done, &ended),
                Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
            };
            Answer { legs: Some(resolving.legs()), ..answer }.within(limit)
        })
    }
}

impl Calls {
    async fn call(&self, limit: Span, resolving: &Resolving) -> Result<Ended, Failure> {
        let stream = dial(&self.host, self.port, limit, resolving).await?;
        let (mut sender, _driver) = match &self.tls {
            None => speak(stream).await?,
            Some((config, name)) => {
                let shaken = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await;
                let stream = shaken.map_err(|error| of_io(&error))?;
                resolving.did(Leg::Tls);
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    return Err(Failure::new(Class::Tls, "TLS: the server does not offer HTTP/2"));
                }
                speak(stream).await?
            }
        };
        let response = sender.send_request(self.request.clone()).await.map_err(|error| of_hyper(&error))?;
        resolving.did(Leg::FirstByte);
        read(response).await
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>), Failure> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
    // Its errors reach whoever waits for an answer.
    Ok((sender, AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }))))
}

/// Reads a whole answer: headers, messages and what comes after them.
async fn read(response: Response<Incoming>) -> Result<Ended, Failure> {
    let (head, mut body) = response.into_parts();
    let is_grpc = head.headers.get(CONTENT_TYPE).is_some_and(|sort| sort.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        return Err(Failure::new(Class::Error, format!("the answer is not gRPC: HTTP status {}", head.status.as_u16())));
    }
    let mut message = Vec::new();
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        match frame.map_err(|error| of_hyper(&error))?.into_data() {
            Ok(data) if message.len() + data.len() > LARGEST => return Err(Failure::new(Class::Error, "the answer is larger than 64 KiB")),
            Ok(data) => message.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    // A call that fails at once has its status among the headers.
    let place = trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(&head.headers);
    let text = |name: &str| place.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let code = text("grpc-status").ok_or_else(|| Failure::new(Class::Error, "the answer has no gRPC status"))?;
    let code = code.parse().map_err(|_| Failure::new(Class::Error, "the gRPC status is not a number"))?;
    Ok(Ended { code, said: text("grpc-message").unwrap_or_default(), message })
}

fn answer(sent: At, done: At, ended: &Ended) -> Answer {
    let code = CODES.get(ended.code).copied().unwrap_or("UNKNOWN");
    let mut fields = Map::from_iter([("code".to_owned(), json!(code))]);
    let serving = match code {
        "OK" => match serving_of(&ended.message) {
            Ok(serving) => serving,
            Err(note) => return Answer { fields, ..Answer::failed(sent, done, Class::Error, note) },
        },
        // The service that is asked about is none of this server's.
        "NOT_FOUND" => "SERVICE_UNKNOWN",
        _ => {
            let note = format!("gRPC {code} {}", ended.said);
            return Answer { fields, ..Answer::failed(sent, done, Class::Error, note.trim_end()) };
        }
    };
    fields.insert("serving".into(), json!(serving));
    Answer { fields, ..Answer::of(sent, done) }
}

fn serving_of(message: &[u8]) -> Result<&'static str, &'static str> {
    let Some((prefix, rest)) = message.split_first_chunk::<PREFIX>() else { return Err("the answer holds no message") };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err("the answer is compressed, which nobody asked for");
    }
    let message = usize::try_from(u32::from_be_bytes(length)).ok().and_then(|length| rest.get(..length));
    let message = message.ok_or("the message in the answer is cut short")?;
    let status = i32::decode(message).map_err(|_| "the message in the answer is not one of the health service")?;
    usize::try_from(status).ok().and_then(|status| SERVING.get(status)).copied().ok_or("the health service says what nobody knows")
}

/// The question with what stands before it.
fn framed(service: &str) -> Bytes {
    let message = service.to_owned().encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Verdict;
    use crate::probe::testing::{cx, expect};
    use crate::probe::{Judged, by_kind};
    use hyper::HeaderMap;
    use hyper::server::conn::http2;
    use hyper::service::service_fn;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use serde_json::Value;
    use std::convert::Infallible;
    use std::path::Path;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What a server says to a service's name: the HTTP headers, the body, and what comes after it.
    type Told = (Vec<(&'static str, &'static str)>, Vec<u8>, Vec<(&'static str, &'static str)>);
    type Script = fn(&str, &HeaderMap) -> Told;

    const GRPC: (&str, &str) = ("content-type", "application/grpc");

    fn serving(status: i32) -> Told {
        let message = status.encode_to_vec();
        let body = [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], &message[..]].concat();
        (vec![GRPC], body, vec![("grpc-status", "0")])
    }

    fn headers_of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    async fn respond(
        request: Request<Incoming>,
        script: Script,
    ) -> Result<Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>, Infallible> {
        let (head, body) = request.into_parts();
        assert_eq!((head.uri.path(), head.method.as_str()), (PATH, "POST"));
        assert!(head.headers["content-type"] == "application/grpc" && head.headers["te"] == "trailers");
        let body = body.collect().await.unwrap().to_bytes();
        let service = String::decode(&body[PREFIX..]).unwrap();
        assert_eq!(framed(&service), body);
        let (headers, body, trailers) = script(&service, &head.headers);
        let body = Full::new(Bytes::from(body)).with_trailers(async move { (!trailers.is_empty()).then(|| Ok(headers_of(&trailers))) });
        let mut response = Response::new(body.boxed());
        *response.headers_mut() = headers_of(&headers);
        Ok(response)
    }

    async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, script: Script) {
        let service = service_fn(move |request| respond(request, script));
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    }

    /// A health service by hyper's own HTTP/2.
    async fn server(script: Script) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script));
            }
        });
        address
    }

    async fn asked(spec: Value, wanted: Value) -> (Answer, Judged) {
        let opened = by_kind("grpc.health").unwrap().open(&spec, &expect(wanted), None, &cx()).unwrap();
        let answer = opened.ask.ask(0, Span::millis(400), &cx()).await;
        let judged = opened.wanted.judge(&answer, None);
        (answer, judged)
    }

    #[tokio::test]
    async fn a_server_says_how_it_is() {
        let address = server(|service, _| match service {
            "" | "shop.Orders" => serving(1),
            "shop.Stock" => serving(2),
            "shop.New" => (vec![GRPC], vec![0; 5], vec![("grpc-status", "0")]),
            _ => (vec![GRPC, ("grpc-status", "5"), ("grpc-message", "unknown service")], Vec::new(), Vec::new()),
        })
        .await;
        for (service, verdict, serving, code) in [
            ("", Verdict::Ok, "SERVING", "OK"),
            ("shop.Orders", Verdict::Ok, "SERVING", "OK"),
            ("shop.Stock", Verdict::Bad, "NOT_SERVING", "OK"),
            ("shop.New", Verdict::Bad, "UNKNOWN", "OK"),
            ("shop.Gone", Verdict::Bad, "SERVICE_UNKNOWN", "NOT_FOUND"),
        ] {
            let (answer, judged) = asked(json!({"address": address, "service": service}), json!({})).await;
            assert_eq!((judged.verdict, answer.class), (verdict, Class::Ok), "{service}: {judged:?}");
            assert_eq!((&answer.fields["serving"], &answer.fields["code"]), (&json!(serving), &json!(code)), "{service}");
        }
        let wanted = json!({"serving": {"equals": "NOT_SERVING"}});
        assert_eq!(asked(json!({"address": address, "service": "shop.Stock"}), wanted).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn other_statuses_and_what_is_no_grpc_are_errors_with_their_words() {
        for (script, code, note) in [
            (
                (|_, _| (vec![GRPC], Vec::new(), vec![("grpc-status", "14"), ("grpc-message", "no backend")])) as Script,
                Some("UNAVAILABLE"),
                "gRPC UNAVAILABLE no backend",
            ),
            (|_, _| (vec![GRPC, ("grpc-status", "12")], Vec::new(), Vec::new()), Some("UNIMPLEMENTED"), "gRPC UNIMPLEMENTED"),
            (|_, _| (vec![GRPC, ("grpc-status", "99")], Vec::new(), Vec::new()), Some("UNKNOWN"), "gRPC UNKNOWN"),
            (|_, _| (vec![GRPC, ("grpc-status", "many")], Vec::new(), Vec::new()), None, "the gRPC status is not a number"),
            (|_, _| (vec![GRPC], Vec::new(), Vec::new()), None, "the answer has no gRPC status"),
            (|_, _| (vec![("content-type", "text/html")], b"<html>".to_vec(), Vec::new()), None, "the answer is not gRPC: HTTP status 200"),
            (|_, _| (vec![GRPC], Vec::new(), vec![("grpc-status", "0")]), Some("OK"), "the answer holds no message"),
            (
                |_, _| (vec![GRPC], vec![1, 0, 0, 0, 0], vec![("grpc-status", "0")]),
                Some("OK"),
                "the answer is compressed, which nobody asked for",
            ),
            (
                |_, _| (vec![GRPC], vec![0, 255, 255, 255, 255, 8, 1], vec![("grpc-status", "0")]),
                Some("OK"),
                "the message in the answer is cut short",
            ),
            (
                |_, _| (vec![GRPC], vec![0xff; 300], vec![("grpc-status", "0")]),
                Some("OK"),
                "the answer is compressed, which nobody asked for",
            ),
            (
                |_, _| (vec![GRPC], vec![0, 0, 0, 0, 2, 0x0f, 0xff], vec![("grpc-status", "0")]),
                Some("OK"),
                "the message in the answer is not one of the health service",
            ),
            (
                |_, _| (vec![GRPC], vec![0, 0, 0, 0, 2, 8, 77], vec![("grpc-status", "0")]),
                Some("OK"),
                "the health service says what nobody knows",
            ),
            (|_, _| (vec![GRPC], vec![0; LARGEST + 1], vec![("grpc-status", "0")]), None, "the answer is larger than 64 KiB"),
        ] {
            let (answer, judged) = asked(json!({"address": server(script).await}), json!({})).await;
            assert_eq!((judged.verdict, judged.class, judged.note.as_deref()), (Verdict::Bad, Class::Error, Some(note)));
            assert_eq!(answer.fields.get("code"), code.map(Value::from).as_ref(), "{note}");
        }
        let down = server(|_, _| (vec![GRPC, ("grpc-status", "14")], Vec::new(), Vec::new())).await;
        let wanted = json!({"outcome": {"equals": "error"}, "code": {"equals": "UNAVAILABLE"}});
        assert_eq!(asked(json!({"address": down}), wanted).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn metadata_is_sent_along() {
        let address = server(|_, headers| serving(if headers["authorization"].as_bytes().starts_with(b"Bearer /") { 1 } else { 2 })).await;
        let spec = json!({"address": address, "headers": {"authorization": "Bearer ${secret:path}"}});
        assert_eq!(asked(spec, json!({})).await.1.verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn tls_is_spoken_where_it_is_asked_for() {
        async fn offering(alpn: &'static [u8]) -> String {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
            let chain = CertificateDer::pem_file_iter(fixtures.join("chain.pem")).unwrap().map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_file(fixtures.join("chain.key")).unwrap();
            let config = rustls::ServerConfig::builder_with_provider(crate::sys::http::provider()).with_safe_default_protocol_versions();
            let mut config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
            config.alpn_protocols = if alpn.is_empty() { Vec::new() } else { vec![alpn.to_vec()] };
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        tokio::spawn(serve(stream, |_, _| serving(1)));
                    }
                }
            });
            address
        }
        let address = offering(b"h2").await;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/root.pem");
        let of = async |address: &str, tls: Value| asked(json!({"address": address, "tls": tls}), json!({})).await.1;
        for tls in [json!({"ca_file": root}), json!({"ca_file": root, "server_name": "localhost"}), json!({"insecure": true})] {
            assert_eq!(of(&address, tls.clone()).await.verdict, Verdict::Ok, "{tls}");
        }
        assert_eq!(of(&address, json!({})).await.class, Class::Tls);
        assert_eq!(of(&address, json!({"ca_file": root, "server_name": "bank.example"})).await.class, Class::Tls);
        let plain = of(&offering(b"").await, json!({"insecure": true})).await;
        assert_eq!((plain.class, plain.note.as_deref()), (Class::Tls, Some("TLS: the server does not offer HTTP/2")));
        assert_ne!(asked(json!({"address": address}), json!({})).await.1.verdict, Verdict::Ok, "TLS that nobody asked for");
    }

    #[tokio::test]
    async fn what_is_no_answer_has_its_class() {
        async fn scripted(bytes: Vec<u8>, hold: bool) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let bytes = bytes.clone();
                    tokio::spawn(async move {
                        let _ = stream.read(&mut [0; 4096]).await;
                        let _ = stream.write_all(&bytes).await;
                        if hold {
                            crate::sys::clock::sleep(Span::secs(2)).await;
                        }
                    });
                }
            });
            address
        }
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let settings = vec![0, 0, 0, 4, 0, 0, 0, 0, 0];
        for (address, class) in [
            (free, Class::Refused),
            (scripted(Vec::new(), true).await, Class::Timeout),
            (scripted(settings.clone(), true).await, Class::Timeout),
            (scripted(Vec::new(), false).await, Class::Reset),
            (scripted(settings, false).await, Class::Reset),
            (scripted(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec(), true).await, Class::Error),
            (scripted(vec![0xff; 5000], true).await, Class::Error),
        ] {
            let judged = asked(json!({"address": address}), json!({})).await.1;
            assert_eq!((judged.verdict, judged.class), (Verdict::Bad, class), "{judged:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let check = |spec: Value| by_kind("grpc.health").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        assert!(check(json!({"address": "[::1]:50051", "tls": {}})).is_empty());
        let wrong = json!({"address": "shop", "headers": {"a b": "c"}, "tls": {"insecure": true, "ca_file": "x"}});
        assert_eq!(check(wrong), ["/address", "/tls/ca_file", "/headers/a b"]);
    }
}
