//! The connections that requests travel on. hyper's own connection types, driven by us: what is measured is one exchange and nothing that a
//! client library does behind it.
//!
//! An HTTP/1.1 connection is polled by the question that uses it and by nobody else: a thousand answers that come at once then cost a thousand
//! steps of one task, between which the next request leaves on time, and not a thousand tasks that all stand before it.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::error::Why;
use super::http::{Connection, HttpSpec, Resolve};
use super::judge::{Answer, Head};
#[cfg(feature = "dns")]
use super::names::Names;
use super::redirect::{again, leads_to};
use super::request::{Filled, Target};
use super::wire::{Failure, Resolving, addresses, dial, dial_any, of_hyper, of_io};
use crate::base::Span;
use crate::event::{Class, Leg};
use crate::sys::Cx;
use crate::sys::http::client_config;

/// Largest body that is read, in bytes.
const BODY: usize = 1 << 20;

/// A request that can be sent.
type Question = Request<Full<Bytes>>;

/// An HTTP/1.1 connection of ours. Dropping it closes it.
struct Held {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The connection's own work; none once it has ended.
    driver: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Held {
    /// Does the connection's work along with what waits for it.
    async fn along<T>(driver: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
                *driver = None;
            }
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Whether an idle connection takes a request: nobody has looked since its last answer.
    async fn lives(&mut self) -> bool {
        Held::along(&mut self.driver, std::future::ready(())).await;
        self.driver.is_some() && self.sender.is_ready()
    }
}

/// An HTTP/2 connection that requests share. Dropping it closes it.
struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// Exchanges requests for answers.
pub(super) struct Client {
    tls: Option<(Arc<ClientConfig>, Option<ServerName<'static>>)>,
    connection: Connection,
    /// How many redirects are followed.
    redirects: u8,
    resolve: Resolve,
    /// What the name stood for when it was first resolved.
    addresses: OnceCell<Vec<SocketAddr>>,
    #[cfg(feature = "dns")]
    names: Names,
    /// Connections that wait for their next request; never more than were in flight at one time.
    idle: Mutex<Vec<Held>>,
    /// The one that is shared. Whoever comes while it is made waits for it, but no longer than half of its limit: see [`Client::common`].
    shared: Mutex<Option<Arc<Shared>>>,
    making: tokio::sync::Mutex<()>,
}

impl Client {
    /// A client for one probe.
    pub(super) fn new(spec: &HttpSpec, cx: &Cx) -> Result<Client, Why> {
        let tls = if spec.redirects > 0 || cx.reveal(&spec.url, Some("1"))?.starts_with("https:") {
            let name = spec.tls.server_name.as_deref().map(|name| cx.reveal(name, None)).transpose()?;
            let name =
                name.map(|name| ServerName::try_from(name).map_err(|_| Why::Spec("`server_name` is not a name".into()))).transpose()?;
            let mut config = client_config(&spec.tls.trust(cx)?)?;
            if spec.connection == Connection::Http2 {
                Arc::make_mut(&mut config).alpn_protocols = vec![b"h2".to_vec()];
            }
            Some((config, name))
        } else {
            None
        };
        Ok(Client {
            tls,
            connection: spec.connection,
            redirects: spec.redirects,
            resolve: spec.resolve,
            addresses: OnceCell::new(),
            #[cfg(feature = "dns")]
            names: Names::new(spec, cx)?,
            idle: Mutex::default(),
            shared: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        })
    }

    /// One exchange within a limit that covers name, connection, TLS, request and the whole answer.
    pub(super) async fn ask(&self, request: Filled, limit: Span, cx: &Cx) -> Answer {
        let sent = cx.clock.now();
        let (target, request) = match request {
            Ok(filled) => filled,
            Err(why) => return Answer::failed(sent, sent, Class::Local, why),
        };
        let resolving = Resolving::timed(cx.clock);
        let exchanged = if self.redirects == 0 {
            tokio::time::timeout(limit.std(), self.exchange(&target, request, limit, &resolving)).await
        } else {
            tokio::time::timeout(limit.std(), Box::pin(self.follow(target, request, limit, &resolving))).await
        };
        let done = cx.clock.now();
        let mut answer = match exchanged.unwrap_or_else(|_| Err(resolving.timed_out(limit))) {
            Ok((head, body)) => Answer { text: Some(body), head: Some(head), ..Answer::of(sent, done) },
            Err(failure) => Answer::failed(sent, done, failure.class, failure.note),
        };
        answer.legs = Some(resolving.legs());
        answer.within(limit)
    }

    /// Exchanges for as long as answers lead on.
    async fn follow(
        &self,
        mut target: Arc<Target>,
        mut request: Question,
        limit: Span,
        resolving: &Resolving,
    ) -> Result<(Head, String), Failure> {
        for _ in 0..=self.redirects {
            let (method, headers) = (request.method().clone(), request.headers().clone());
            let (head, body) = self.exchange(&target, request, limit, resolving).await?;
            let Some(next) = leads_to(&head, &target) else { return Ok((head, body)) };
            let next = Arc::new(next?);
            request = again(&method, &headers, &target, &next)?;
            target = next;
        }
        let times = if self.redirects == 1 { "once".to_owned() } else { format!("{} times", self.redirects) };
        Err(Failure::new(Class::Error, format!("redirected more than {times}")))
    }

    async fn exchange(&self, target: &Target, request: Question, limit: Span, resolving: &Resolving) -> Result<(Head, String), Failure> {
        let (head, body) = if self.connection == Connection::Http2 {
            let (mut used, response) = Box::pin(self.send_shared(target, request, limit, resolving)).await?;
            let (head, body) = response.into_parts();
            let body = read_bounded(body).await;
            used.answered = true;
            (head, body?)
        } else {
            let (mut held, response) = self.send(target, request, limit, resolving).await?;
            let (head, body) = response.into_parts();
            let body = Held::along(&mut held.driver, read_bounded(body)).await?;
            // Whether it can be used again is seen when somebody wants to: waiting for that here would count as waiting for the answer.
            if self.connection == Connection::KeepAlive && held.driver.is_some() {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            }
            (head, body)
        };
        let body = String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok((Head { status: head.status.as_u16(), headers: head.headers }, body))
    }

    /// Sends over an idle connection, or a new one. A request that never left, because its idle connection had ended, is sent over another:
    /// that is no retry. One that left is not sent again.
    async fn send(
        &self,
        target: &Target,
        mut request: Question,
        limit: Span,
        resolving: &Resolving,
    ) -> Result<(Held, Response<Incoming>), Failure> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reused = idle.is_some();
            let mut held = match idle {
                Some(mut held) => {
                    if !held.lives().await {
                        continue;
                    }
                    held
                }
                // Most questions find a connection: they need not carry the room for making one.
                None => Box::pin(async { speak(self.connect(target, limit, resolving).await?).await }).await?,
            };
            let answer = held.sender.try_send_request(request);
            match Held::along(&mut held.driver, answer).await {
                Ok(response) => {
                    resolving.did(Leg::FirstByte);
                    return Ok((held, response));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if reused => request = unsent,
                    _ => return Err(of_hyper(error.error())),
                },
            }
        }
    }

    /// Sends over the shared connection, which is made anew when it has ended. One that left a request unanswered until its time-out is not used
    /// for further ones: a path that lost a connection's packets would otherwise hold all requests up for as long as the kernel repeats them.
    async fn send_shared(
        &self,
        target: &Target,
        request: Question,
        limit: Span,
        resolving: &Resolving,
    ) -> Result<(Used<'_>, Response<Incoming>), Failure> {
        let shared = self.common(target, limit, resolving).await?;
        let mut used = Used { client: self, shared, answered: false };
        let mut sender = used.shared.sender.clone();
        sender.ready().await.map_err(|error| of_hyper(&error))?;
        let response = sender.send_request(request).await;
        used.answered = response.is_err();
        resolving.did(Leg::FirstByte);
        Ok((used, response.map_err(|error| of_hyper(&error))?))
    }

    /// The shared connection, made where there is none. While somebody makes it the others wait, but only for half of their limits: then each makes its own, as
    /// it would over connections of its own. Waiting to the end would leave whoever is next nothing but what its predecessor left it, and a service that came
    /// back would never be reached.
    async fn common(&self, target: &Target, limit: Span, resolving: &Resolving) -> Result<Arc<Shared>, Failure> {
        let there = || {
            let place = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            place.as_ref().filter(|shared| !shared.sender.is_closed()).cloned()
        };
        if let Some(shared) = there() {
            return Ok(shared);
        }
        let _turn = tokio::time::timeout(Span(limit.0 / 2).std(), self.making.lock()).await;
        if let Some(shared) = there() {
            return Ok(shared);
        }
        let made = Arc::new(speak_shared(self.connect(target, limit, resolving).await?).await?);
        let mut place = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::clone(&made));
        Ok(made)
    }

    async fn connect(&self, target: &Target, limit: Span, resolving: &Resolving) -> Result<Stream, Failure> {
        let stream = match self.resolve {
            Resolve::Each => dial(&target.host, target.port, limit, resolving).await?,
            #[cfg(feature = "dns")]
            Resolve::Ttl => {
                resolving.begins();
                let known = self.names.addresses(&target.host, target.port, limit).await?;
                resolving.did(Leg::Dns);
                dial_any(&known, limit, resolving).await?
            }
            Resolve::Once => {
                let known = self.addresses.get_or_try_init(|| addresses(&target.host, target.port, resolving)).await?;
                dial_any(known, limit, resolving).await?
            }
        };
        let Some((config, name)) = self.tls.as_ref().filter(|_| target.tls) else { return Ok(Stream::Plain(stream)) };
        let host = target.host.trim_start_matches('[').trim_end_matches(']');
        let name = match name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|_| Failure::new(Class::Tls, "TLS: the host's name cannot stand in a certificate"))?,
        };
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.map_err(|error| of_io(&error))?;
        resolving.did(Leg::Tls);
        if self.connection == Connection::Http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(Failure::new(Class::Tls, "TLS: the server does not offer HTTP/2"));
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// A request's hold on the shared connection.
struct Used<'a> {
    client: &'a Client,
    shared: Arc<Shared>,
    answered: bool,
}

impl Drop for Used<'_> {
    fn drop(&mut self) {
        let mut place = self.client.shared.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made a new one: that is none of ours.
        if !self.answered && place.as_ref().is_some_and(|shared| Arc::ptr_eq(shared, &self.shared)) {
            *place = None;
        }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn speak(stream: Stream) -> Result<Held, Failure> {
    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Held, Failure> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| of_hyper(&error))?;
        // Its errors reach whoever waits for an answer.
        let driver: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move { drop(connection.await) });
        Ok(Held { sender, driver: Some(driver) })
    }
    match stream {
        Stream::Plain(stream) => over(stream).await,
        Stream::Tls(stream) => over(stream).await,
    }
}

async fn speak_shared(stream: Stream) -> Result<Shared, Failure> {
    async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Shared, Failure> {
        let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| of_hyper(&error))?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Shared { sender, _driver: AbortOnDropHandle::new(driver) })
    }
    match stream {
        Stream::Plain(stream) => over(stream).await,
        Stream::Tls(stream) => over(stream).await,
    }
}

async fn read_bounded(mut body: Incoming) -> Result<Vec<u8>, Failure> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| of_hyper(&error))?.into_data() {
            if read.len() + data.len() > BODY {
                return Err(Failure::new(Class::Error, "the answer is larger than 1 MiB"));
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::by_kind;
    use crate::probe::kind::Opened;
    use crate::probe::testing::{cx, expect, listen, reply, request};
    use hyper::service::service_fn;
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use tokio::io::AsyncWriteExt;

    fn open(spec: Value) -> Opened {
        by_kind("http").unwrap().open(&spec, &expect(json!({})), None, &cx()).unwrap()
    }

    /// A server of HTTP/2 that counts its connections, and answers while it is not told to be silent.
    async fn multiplexing() -> (String, Arc<AtomicUsize>, Arc<AtomicBool>) {
        let (listener, url) = listen().await;
        let (made, silent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, mute) = (Arc::clone(&made), Arc::clone(&silent));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mute = Arc::clone(&mute);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let mute = mute.load(Ordering::SeqCst);
                    async move {
                        if mute {
                            std::future::pending::<()>().await;
                        }
                        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(request.uri().to_string()))))
                    }
                });
                let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(async move { drop(served.serve_connection(TokioIo::new(stream), answer).await) });
            }
        });
        (url, made, silent)
    }

    #[tokio::test]
    async fn http2_shares_one_connection_and_leaves_one_that_went_silent() {
        let (url, made, silent) = multiplexing().await;
        let opened = open(json!({"url": url, "connection": "http2"}));
        let cx = cx();
        let limit = Span::secs(2);
        let many = futures_util::future::join_all((0..20).map(|n| opened.ask.ask(n, limit, &cx))).await;
        for answer in &many {
            assert_eq!((answer.class, answer.field("body")), (Class::Ok, Some(json!(url))), "{answer:?}");
        }
        assert_eq!(made.load(Ordering::SeqCst), 1, "twenty at once over one");
        silent.store(true, Ordering::SeqCst);
        assert_eq!(opened.ask.ask(20, Span::millis(80), &cx).await.class, Class::Timeout);
        silent.store(false, Ordering::SeqCst);
        assert_eq!(opened.ask.ask(21, limit, &cx).await.class, Class::Ok);
        assert_eq!(made.load(Ordering::SeqCst), 2, "the silent one is left");
    }

    #[tokio::test]
    async fn a_service_that_comes_back_is_reached_although_many_wait() {
        // Nobody answers the first connections; from then on the handshake takes longer than the time between two questions.
        let (listener, url) = listen().await;
        let back = Arc::new(AtomicBool::new(false));
        let up = Arc::clone(&back);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let up = up.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    if !up {
                        std::future::pending::<()>().await;
                    }
                    crate::sys::clock::sleep(Span::millis(60)).await;
                    let answer = service_fn(|_: Request<Incoming>| async {
                        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new())))
                    });
                    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    drop(served.serve_connection(TokioIo::new(stream), answer).await);
                });
            }
        });
        let classes = crate::probe::testing::asked_until_it_is_back(open(json!({"url": url, "connection": "http2"})), &back).await;
        assert!(classes[..10].iter().all(|class| *class == Class::Timeout), "{classes:?}");
        assert!(classes[40..].contains(&Class::Ok), "{classes:?}");
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_http2_is_the_targets_failure() {
        let url = crate::probe::testing::serve(|_| reply("400 Bad Request", "", "")).await;
        let answer = open(json!({"url": url, "connection": "http2"})).ask.ask(0, Span::millis(500), &cx()).await;
        assert!(matches!(answer.class, Class::Error | Class::Reset), "{answer:?}");
    }

    #[tokio::test]
    async fn an_idle_connection_that_the_server_closed_costs_no_sample() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            // One answer a connection, which is then closed without a word.
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    request(&mut stream).await;
                    let _ = stream.write_all(&reply("200 OK", "", "ok")).await;
                });
            }
        });
        let opened = open(json!({"url": url, "connection": "keep-alive"}));
        for n in 0..20 {
            let answer = opened.ask.ask(n, Span::secs(2), &cx()).await;
            assert_eq!(answer.class, Class::Ok, "{n}: {answer:?}");
            crate::sys::clock::sleep(Span::millis(5)).await;
        }
    }

    #[tokio::test]
    async fn each_part_of_the_way_has_its_time() {
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                request(&mut stream).await;
                crate::sys::clock::sleep(Span::millis(40)).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").await;
                crate::sys::clock::sleep(Span::millis(30)).await;
                let _ = stream.write_all(b"half").await;
            }
        });
        let opened = open(json!({"url": url.replace("127.0.0.1", "localhost"), "resolve": "once"}));
        let cx = cx();
        for n in 0..2 {
            let answer = opened.ask.ask(n, Span::secs(2), &cx).await;
            let timing = answer.field("timing").unwrap();
            let of = |name: &str| timing.get(name).and_then(Value::as_f64);
            assert_eq!((answer.class, of("dns").is_some(), of("tls")), (Class::Ok, n == 0, None), "resolved once: {timing}");
            assert!(of("connect").is_some() && of("first_byte").unwrap() >= 0.04, "{timing}");
            let total: f64 = timing.as_object().unwrap().values().filter_map(Value::as_f64).sum();
            assert!(answer.done.since(answer.sent).as_secs_f64() >= total + 0.02, "the rest of the body came later: {timing}");
        }
        let late = opened.ask.ask(2, Span::millis(55), &cx).await;
        assert_eq!((late.class, late.note.as_deref()), (Class::Timeout, Some("the answer was not complete within 55ms")));
    }
}
