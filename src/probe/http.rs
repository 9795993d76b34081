//! `http`: one request over a connection that is ours alone: no pool, no retry, and no redirect unless it is asked for.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::Why;
use super::exchange::Client;
use super::kind::{Ask, Asked, Probe, expect_one, without_templates};
use super::request::Template;
use crate::base::{Problem, Span};
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;
use crate::sys::http::Trust;

/// The kind.
pub(super) struct Http;

/// What a scenario writes under `http:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpSpec {
    /// The method. Default `GET`.
    #[serde(default = "get")]
    pub(super) method: String,
    /// Where: `http://HOST:PORT/PATH` or `https://…`.
    pub(super) url: String,
    /// Request headers.
    #[serde(default)]
    pub(super) headers: IndexMap<String, String>,
    /// A JSON body.
    #[serde(default)]
    pub(super) json: Option<Value>,
    /// A text body.
    #[serde(default)]
    pub(super) body: Option<String>,
    /// Whether each request gets a connection of its own.
    #[serde(default)]
    pub(super) connection: Connection,
    /// When the host's name is resolved.
    #[serde(default)]
    pub(super) resolve: Resolve,
    /// The name server for `resolve: ttl`: `IP` or `IP:PORT`. Default: those of `/etc/resolv.conf`.
    #[cfg(feature = "dns")]
    #[serde(default)]
    pub(super) name_server: Option<String>,
    /// How many redirects are followed, each over a connection of its own; headers go to no other host. Default 0: a redirect is an answer.
    #[serde(default)]
    pub(super) redirects: u8,
    /// How TLS is spoken, for `https`.
    #[serde(default)]
    pub(super) tls: TlsSpec,
}

fn get() -> String {
    "GET".into()
}

/// Whether each request gets a connection of its own. Fail-over looks different over the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Connection {
    /// A new one each.
    #[default]
    New,
    /// An idle one is used again while it lasts.
    KeepAlive,
    /// One for all, over HTTP/2: by agreement within TLS, without it on trust.
    Http2,
}

/// When the host's name is resolved. Who keeps to the first answer does not see a fail-over by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Resolve {
    /// For each connection.
    #[default]
    Each,
    /// As long as the name server lets it be kept. It is asked itself: neither the hosts file nor a cache of the host's has a say.
    #[cfg(feature = "dns")]
    Ttl,
    /// Once, for the whole run.
    Once,
}

/// How TLS is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSpec {
    /// Take any certificate.
    #[serde(default)]
    pub(super) insecure: bool,
    /// A PEM file of authorities, in place of the host's trust store.
    #[serde(default)]
    pub(super) ca_file: Option<String>,
    /// The name the certificate must be for; default: the URL's host.
    #[serde(default)]
    pub(super) server_name: Option<String>,
}

impl TlsSpec {
    /// Whom to trust, with paths resolved.
    pub(super) fn trust(&self, cx: &Cx) -> Result<Trust, Why> {
        let ca_file = self.ca_file.as_deref().map(|path| cx.reveal(path, None)).transpose()?;
        Ok(Trust { insecure: self.insecure, ca_file: ca_file.map(|path| cx.base_dir.join(path)) })
    }
}

/// The fields of an HTTP answer.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("outcome", "ok (any answer), refused, reset, timeout, dns, tls or error"),
    ("status", "the status code"),
    ("headers", "response headers by lower-case name"),
    ("body", "the body as text, at most 1 MiB"),
    ("json", "the body as JSON"),
    ("duration", "seconds from the first byte sent to the last received"),
    ("timing", "seconds that each part took, for a `path`: $.dns, $.connect, $.tls, $.first_byte; a part that was not gone is missing"),
];

/// Any success.
pub(super) fn success() -> Expect {
    expect_one("status", Matcher { between: Some((json!(200), json!(299))), ..Matcher::default() })
}

/// What is wrong with a request; `at` is where it stands, `keyed` whether `${key}` may stand in it.
pub(super) fn check_request(spec: &HttpSpec, at: &str, keyed: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Err(why) = super::request::target_of(&without_templates(&spec.url))
        && !spec.url.starts_with("${")
    {
        let help = "write for example `http://127.0.0.1:8080/health`; credentials belong into `headers`";
        problems.push(Problem::new(format!("{at}/url"), why).help(help));
    }
    if hyper::Method::from_bytes(spec.method.as_bytes()).is_err() || spec.method != spec.method.to_ascii_uppercase() {
        problems.push(Problem::new(format!("{at}/method"), format!("`{}` is not a method", spec.method)).help("for example `POST`"));
    }
    problems.extend(check_headers(&spec.headers, at));
    if spec.json.is_some() && spec.body.is_some() {
        problems.push(Problem::new(format!("{at}/body"), "a request has one body: `json` or `body`"));
    }
    if spec.tls.insecure && spec.tls.ca_file.is_some() {
        problems.push(Problem::new(format!("{at}/tls/ca_file"), "`ca_file` has no meaning beside `insecure: true`"));
    }
    problems.extend(check_redirects(spec, at));
    #[cfg(feature = "dns")]
    if let Some(server) = &spec.name_server {
        let place = format!("{at}/name_server");
        if spec.resolve != Resolve::Ttl {
            problems.push(Problem::new(place, "`name_server` has a meaning beside `resolve: ttl` alone"));
        } else if let Err(why) = super::dns::server_of(&without_templates(server))
            && !server.starts_with("${")
        {
            problems.push(Problem::new(place, why).help("write `IP` or `IP:PORT`, for example `10.0.0.2`"));
        }
    }
    if !keyed && let Some(place) = place_of_key(spec) {
        let help = "`${key}` numbers the writes of a ledger: use `ledger.http`, or write `$${key}` for the text itself";
        problems.push(Problem::new(format!("{at}{place}"), "only a ledger's write has a key").help(help));
    }
    problems
}

fn check_redirects(spec: &HttpSpec, at: &str) -> Option<Problem> {
    let place = format!("{at}/redirects");
    let problem = |text: &str, help: &str| Some(Problem::new(place.clone(), text).help(help));
    match spec.redirects {
        0 => None,
        n if n > super::redirect::MOST => problem("nobody is redirected so often", "at most 10"),
        _ if !matches!(spec.method.as_str(), "GET" | "HEAD") || spec.json.is_some() || spec.body.is_some() => {
            problem("what is written is not sent to somebody else", "only `GET` and `HEAD` without a body follow redirects")
        }
        _ if spec.connection != Connection::New => {
            problem("redirects are followed over new connections alone", "write `connection: new`, or the URL that it ends at")
        }
        _ if spec.tls.server_name.is_some() => problem("`server_name` is one host's", "write the URL that it ends at"),
        _ => None,
    }
}

/// What is wrong with headers.
pub(super) fn check_headers(headers: &IndexMap<String, String>, at: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in headers {
        let place = format!("{at}/headers/{}", pointer_part(name));
        if hyper::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            problems.push(Problem::new(place, format!("`{name}` is not a header name")));
        } else if hyper::header::HeaderValue::from_str(&without_templates(value)).is_err() {
            problems.push(Problem::new(place, "a header value is one line of ASCII text"));
        }
    }
    problems
}

/// The first place where `${key}` stands and is sent.
pub(super) fn place_of_key(spec: &HttpSpec) -> Option<String> {
    let json = spec.json.as_ref().map(Value::to_string);
    let texts = [("/url", Some(&spec.url)), ("/json", json.as_ref()), ("/body", spec.body.as_ref())];
    let own = texts.into_iter().filter_map(|(place, text)| Some((place.to_owned(), text?)));
    let headers = spec.headers.iter().map(|(name, text)| (format!("/headers/{}", pointer_part(name)), text));
    own.chain(headers).find(|(_, text)| text.contains("${key}")).map(|(place, _)| place)
}

fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Probe for Http {
    const KIND: &'static str = "http";
    const ABOUT: &'static str = "Sends an HTTP request and reads the whole answer; a redirect is an answer, unless `redirects` follows it.";
    const EXAMPLE: &'static str = concat!(
        "http: { url: \"http://127.0.0.1:8080/health\" }\n",
        "rate: 20/s\ntimeout: 500ms\n",
        "expect: { status: { equals: 200 } }\n",
        "served_by: { header: x-node }\n",
    );
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    type Spec = HttpSpec;

    fn check(&self, spec: &HttpSpec) -> Vec<Problem> {
        check_request(spec, "", false)
    }

    fn good(&self, _: &HttpSpec) -> Expect {
        success()
    }

    fn open(&self, spec: HttpSpec, cx: &Cx) -> Result<Box<dyn Ask>, Why> {
        let template = Template::new(&spec, cx)?;
        // What is wrong with the request is better said now than by each sample.
        template.fill("1").map_err(Why::Spec)?;
        Ok(Box::new(Requests { template, client: Client::new(&spec, cx)? }))
    }
}

struct Requests {
    template: Template,
    client: Client,
}

impl Ask for Requests {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(self.client.ask(self.template.fill(""), limit, cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Class, Verdict};
    use crate::probe::by_kind;
    use crate::probe::testing::{cx, expect, judged, listen, reply, request, serve};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncWriteExt;

    async fn class(url: &str, wanted: Value) -> (Verdict, Class, Option<String>) {
        let judged = judged("http", json!({"url": url}), wanted, Span::millis(200), &cx()).await;
        (judged.verdict, judged.class, judged.note)
    }

    /// A server that writes these bytes after the first request, then closes (or holds) the connection.
    async fn scripted(bytes: Vec<u8>, hold: bool) -> String {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    request(&mut stream).await;
                    let _ = stream.write_all(&bytes).await;
                    if hold {
                        crate::sys::clock::sleep(Span::secs(3)).await;
                    }
                });
            }
        });
        url
    }

    #[tokio::test]
    async fn good_answers_and_statuses() {
        let url = serve(|request| match request.split(' ').nth(1) {
            Some("/") => reply("200 OK", "", "{\"state\":\"accepted\"}"),
            Some("/moved") => reply("302 Found", "location: /\r\n", ""),
            _ => reply("503 Down", "", "no"),
        })
        .await;
        assert_eq!(class(&url, json!({})).await, (Verdict::Ok, Class::Ok, None));
        let state = json!({"status": {"one_of": [200, 201]}, "json": {"path": "$.state", "equals": "accepted"}});
        assert_eq!(class(&url, state).await.0, Verdict::Ok);
        assert_eq!(class(&format!("{url}down"), json!({})).await, (Verdict::Bad, Class::Status, Some("status 503".into())));
        assert_eq!(class(&format!("{url}moved"), json!({})).await.2.as_deref(), Some("status 302"), "redirects are not followed");
        assert_eq!(class(&format!("{url}moved"), json!({"headers": {"path": "$.location", "equals": "/"}})).await.0, Verdict::Ok);
    }

    #[tokio::test]
    async fn every_way_to_fail_has_its_class() {
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf".to_vec();
        for (bytes, hold, expected) in [
            (half.clone(), false, Class::Reset),
            (half, true, Class::Timeout),
            (Vec::new(), false, Class::Reset),
            (Vec::new(), true, Class::Timeout),
            (b"HTTP/1.1 200".to_vec(), false, Class::Reset),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(), false, Class::Error),
        ] {
            let url = scripted(bytes.clone(), hold).await;
            let (verdict, class, note) = class(&url, json!({})).await;
            assert_eq!((verdict, class), (Verdict::Bad, expected), "{:?} hold {hold}: {note:?}", String::from_utf8_lossy(&bytes));
        }
        let (listener, url) = listen().await;
        assert_eq!(class(&url, json!({})).await.1, Class::Timeout, "connected by the kernel, never accepted");
        drop(listener);
        assert_eq!(class(&url, json!({})).await.1, Class::Refused);
    }

    #[tokio::test]
    async fn a_reset_after_accept_is_a_reset() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Unread data in a closed socket makes the kernel send RST.
                crate::sys::clock::sleep(Span::millis(20)).await;
                drop(stream);
            }
        });
        let (verdict, class, note) = class(&url, json!({})).await;
        assert_eq!((verdict, class), (Verdict::Bad, Class::Reset), "{note:?}");
    }

    #[tokio::test]
    async fn a_huge_body_is_refused_and_a_large_one_read() {
        let url = serve(|request| reply("200 OK", "", &"x".repeat(if request.contains("/huge") { 2 << 20 } else { 1 << 20 }))).await;
        assert_eq!(class(&url, json!({})).await.0, Verdict::Ok);
        let (verdict, class, note) = class(&format!("{url}huge"), json!({})).await;
        assert_eq!((verdict, class, note.as_deref()), (Verdict::Bad, Class::Error, Some("the answer is larger than 1 MiB")));
    }

    #[tokio::test]
    async fn a_slow_answer_is_in_time_or_not() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    request(&mut stream).await;
                    crate::sys::clock::sleep(Span::millis(80)).await;
                    let _ = stream.write_all(&reply("200 OK", "", "late")).await;
                });
            }
        });
        let opened = by_kind("http").unwrap().open(&json!({"url": url}), &expect(json!({})), None, &cx()).unwrap();
        let cx = cx();
        let answer = opened.ask.ask(0, Span::millis(900), &cx).await;
        assert_eq!(answer.class, Class::Ok);
        assert!(answer.done.since(answer.sent) >= Span::millis(80));
        let late = opened.ask.ask(1, Span::millis(40), &cx).await;
        assert_eq!((late.class, late.done.since(late.sent)), (Class::Timeout, Span::millis(40)));
    }

    #[tokio::test]
    async fn tls_to_a_plain_port_is_a_tls_failure() {
        // Some plain servers wait for the end of a request head that never comes …
        let waiting = scripted(Vec::new(), true).await.replace("http://", "https://");
        let spec = json!({"url": waiting, "tls": {"insecure": true}});
        assert_eq!(judged("http", spec, json!({}), Span::millis(200), &cx()).await.class, Class::Timeout);
        // … others answer what is not TLS.
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
                let mut rest = [0; 4096];
                while tokio::io::AsyncReadExt::read(&mut stream, &mut rest).await.is_ok_and(|n| n > 0) {}
            }
        });
        let spec = json!({"url": url.replace("http://", "https://"), "tls": {"insecure": true}});
        let judged = judged("http", spec, json!({}), Span::millis(500), &cx()).await;
        assert_eq!((judged.verdict, judged.class), (Verdict::Bad, Class::Tls), "{:?}", judged.note);
    }

    #[tokio::test]
    async fn a_certificate_is_checked_as_the_scenario_says() {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        let chain = vec![CertificateDer::from_pem_file(fixtures.join("localhost.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(fixtures.join("localhost.key")).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(crate::sys::http::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = [0; 4096];
                    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
                    let _ = stream.write_all(&reply("200 OK", "", "secret")).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        let by_ip = url.replace("http://", "https://");
        let by_name = by_ip.replace("127.0.0.1", "localhost");
        let ca = fixtures.join("ca.pem");
        for (url, tls, class) in [
            (&by_name, json!({"ca_file": ca}), Class::Ok),
            (&by_ip, json!({"ca_file": ca}), Class::Tls),
            (&by_ip, json!({"ca_file": ca, "server_name": "localhost"}), Class::Ok),
            (&by_ip, json!({"insecure": true}), Class::Ok),
        ] {
            let judged = judged("http", json!({"url": url, "tls": tls}), json!({}), Span::secs(1), &cx()).await;
            assert_eq!(judged.class, class, "{url} {tls}: {:?}", judged.note);
        }
    }

    /// Connections taken and requests served over `n` questions one after the other.
    async fn connections(connection: &str, close_after: usize, questions: u64) -> (usize, Vec<Class>) {
        let (listener, url) = listen().await;
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    for _ in 0..close_after {
                        if request(&mut stream).await.is_none() {
                            return;
                        }
                        let _ = stream.write_all(&reply("200 OK", "", "hello")).await;
                    }
                });
            }
        });
        let cx = cx();
        let spec = json!({"url": url, "connection": connection});
        let opened = by_kind("http").unwrap().open(&spec, &expect(json!({})), None, &cx).unwrap();
        let mut classes = Vec::new();
        for n in 0..questions {
            classes.push(opened.ask.ask(n, Span::millis(500), &cx).await.class);
            // Time for the server's close to arrive.
            crate::sys::clock::sleep(Span::millis(10)).await;
        }
        (taken.load(Ordering::SeqCst), classes)
    }

    #[tokio::test]
    async fn connections_are_new_or_kept_and_made_again_when_they_end() {
        assert_eq!(connections("new", 100, 5).await, (5, vec![Class::Ok; 5]));
        assert_eq!(connections("keep-alive", 100, 5).await, (1, vec![Class::Ok; 5]));
        assert_eq!(connections("keep-alive", 2, 6).await, (3, vec![Class::Ok; 6]));
    }

    #[tokio::test]
    async fn who_answered_and_what_was_sent() {
        let url = serve(|request| {
            let sent = request.starts_with("POST /a?b=c HTTP/1.1\r\n")
                && request.contains("content-type: application/json\r\n")
                && request.contains("x-path: /")
                && request.ends_with("\r\n\r\n{\"sku\":1}");
            reply(if sent { "201 Created" } else { "400 Bad" }, "X-Node: b\r\n", "")
        })
        .await;
        let cx = cx();
        let spec = json!({"method": "POST", "url": format!("{url}a?b=c"), "json": {"sku": 1}, "headers": {"x-path": "/${secret:path}"}});
        let served_by = crate::plan::ServedBy::Header("X-Node".into());
        let opened = by_kind("http").unwrap().open(&spec, &expect(json!({})), Some(&served_by), &cx).unwrap();
        let answer = opened.ask.ask(0, Span::millis(500), &cx).await;
        let judged = opened.wanted.judge(&answer, None);
        assert_eq!((judged.verdict, judged.by.as_deref()), (Verdict::Ok, Some("b")), "{judged:?}");
        assert!(by_kind("http").unwrap().open(&json!({"url": "http://h/${secret:gone}"}), &expect(json!({})), None, &cx).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_where_it_stands() {
        let check = |spec: Value| by_kind("http").unwrap().check(&spec).into_iter().map(|p| p.at).collect::<Vec<_>>();
        for good in ["http://127.0.0.1:1/x?y=${secret:z}", "https://host", "http://[::1]:80/", "${secret:base}/x"] {
            assert!(check(json!({"url": good})).is_empty(), "{good}");
        }
        for bad in ["127.0.0.1:80", "ftp://x/", "http://", "http://a b/", "http://u:p@host/"] {
            assert_eq!(check(json!({"url": bad})), ["/url"], "{bad}");
        }
        let many = json!({"url": "http://h/", "method": "get", "headers": {"a b": "x", "c": "\u{1}"}, "json": 1, "body": "x"});
        assert_eq!(check(many), ["/method", "/headers/a b", "/headers/c", "/body"]);
        assert_eq!(check(json!({"url": "http://h/${key}"})), ["/url"]);
        assert_eq!(check(json!({"url": "http://h/", "headers": {"x": "${key}"}})), ["/headers/x"]);
        assert!(check(json!({"url": "http://h/", "body": "${$}{key}"})).is_empty(), "escaped");
        assert_eq!(check(json!({"url": "http://h/", "follow": true})), [""]);
    }
}
