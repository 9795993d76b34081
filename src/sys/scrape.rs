//! One page over HTTP, for machines that come by and read it: nothing can be changed through it, and whoever reads slowly, never ends or comes in crowds
//! costs a bounded amount of memory and time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

use crate::base::Span;

/// Most readers at a time; a further one takes the place of whoever came first.
pub const MOST_READERS: usize = 16;
/// A request's head may take so long …
const HEAD_WITHIN: Span = Span::secs(5);
/// … and a whole visit so long.
const VISIT_WITHIN: Span = Span::secs(10);
/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;
/// How long nobody is accepted where the machine has no descriptor left.
const REST: Span = Span::millis(100);

/// The text of the page, made anew for each reader.
pub type Page = Arc<dyn Fn() -> String + Send + Sync>;

/// A page that is served until it is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    /// Serves the page under `path` at an address; port 0 takes a free one. Must be called on a runtime.
    ///
    /// # Errors
    /// The address cannot be taken.
    pub async fn open(address: SocketAddr, path: &'static str, media_type: &'static str, page: Page) -> io::Result<Served> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let what = Arc::new(What { path, media_type, page });
        Ok(Served { address, task: tokio::spawn(accept(listener, what)) })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct What {
    path: &'static str,
    media_type: &'static str,
    page: Page,
}

/// Ends a visit when nobody keeps it any more.
struct Visit(AbortHandle);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, what: Arc<What>) {
    let mut visits: VecDeque<Visit> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Whoever waits is told later; a loop that spins helps nobody.
            super::clock::sleep(REST).await;
            continue;
        };
        visits.retain(|visit| !visit.0.is_finished());
        while visits.len() >= MOST_READERS {
            visits.pop_front();
        }
        let visit = tokio::spawn(tokio::time::timeout(VISIT_WITHIN.std(), answer(stream, Arc::clone(&what))));
        visits.push_back(Visit(visit.abort_handle()));
    }
}

async fn answer(stream: TcpStream, what: Arc<What>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let what = Arc::clone(&what);
        async move { Ok::<_, Infallible>(respond(&request, &what)) }
    });
    let mut server = http1::Builder::new();
    // One answer a connection: an idle one would hold a place.
    server.keep_alive(false).max_buf_size(LARGEST_HEAD).timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN.std());
    // A reader that goes away, or speaks no HTTP, is no error of ours.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn respond(request: &Request<Incoming>, what: &What) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "this page can only be read\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match request.uri().path() {
        path if path == what.path => {
            let mut response = Response::new(Full::new(Bytes::from((what.page)())));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(what.media_type));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        "/" => plain(StatusCode::OK, format!("firedrill: metrics of a running drill are at {}\n", what.path)),
        _ => plain(StatusCode::NOT_FOUND, format!("there is nothing here; metrics are at {}\n", what.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn page() -> Served {
        let text: Page = Arc::new(|| "up 1\n".to_owned());
        Served::open(([127, 0, 0, 1], 0).into(), "/metrics", "text/plain", text).await.unwrap()
    }

    async fn ask(to: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // Whoever is refused half-way is reset.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn it_can_be_read_and_nothing_else() {
        let served = page().await;
        let at = served.address();
        let read = ask(at, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(read.starts_with("HTTP/1.1 200") && read.ends_with("\r\n\r\nup 1\n"), "{read}");
        let head = ask(at, "HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
        assert!(ask(at, "POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.starts_with("HTTP/1.1 405"));
        assert!(ask(at, "GET /etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(ask(at, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.contains("/metrics"));
        assert!(!ask(at, "nonsense\r\n\r\n").await.contains("200 OK"));
        let long = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(2 * LARGEST_HEAD));
        assert!(!ask(at, &long).await.contains("200 OK"));
    }

    #[tokio::test]
    async fn whoever_only_holds_on_keeps_nobody_out() {
        let served = page().await;
        let mut held = Vec::new();
        for _ in 0..4 * MOST_READERS {
            let mut stream = TcpStream::connect(served.address()).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
            held.push(stream);
        }
        let read = ask(served.address(), "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(read.ends_with("up 1\n"), "{read}");
        let mut first = held.remove(0);
        let mut rest = Vec::new();
        // It lost its place: the end comes, as an end or as a reset, without a wait for its time to be over.
        let _ = first.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "{rest:?}");
    }
}
