//! How the processes talk: messages between nodes, and an HTTP client that tries once and tells a refusal from silence.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::store::Entry;
use crate::base::Span;

const LARGEST_ANSWER: usize = 64 << 20;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// It does not know yet who leads.
    Starting,
    /// It follows.
    Replica,
    /// It leads.
    Primary,
}

/// What a node says of itself under `/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) node: String,
    pub(super) role: Role,
    pub(super) term: u64,
    /// A primary that acknowledges by itself.
    pub(super) alone: bool,
    /// A replica that has everything which was acknowledged, or a primary with such a replica.
    pub(super) in_sync: bool,
    /// Number of entries.
    pub(super) entries: usize,
    /// It leads when nothing else decides.
    pub(super) first: bool,
}

/// From the primary to the replica: a heartbeat, with or without entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ship {
    pub(super) term: u64,
    /// Forget everything before taking the entries.
    pub(super) reset: bool,
    /// The primary waits for this replica before it acknowledges.
    pub(super) synced: bool,
    /// The number of wake-ups that the replica last told: shows that this message was not written before the last of them.
    pub(super) wakes: u64,
    /// Position of the first entry.
    pub(super) start: usize,
    pub(super) entries: Vec<Entry>,
}

/// The replica's answer to [`Ship`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shipped {
    /// The replica's term; when the answer is 409 the sender is out of date.
    pub(super) term: u64,
    /// How many entries the replica has.
    pub(super) have: usize,
    /// It needs everything from the start.
    pub(super) copy: bool,
    /// How often it was started or stood still for longer than a lease.
    pub(super) wakes: u64,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Nobody listens: on one machine that process is gone.
    Refused,
    /// Silence.
    TimedOut,
    /// The connection broke, or the answer was not HTTP.
    Broken,
}

/// A connection; dropping it closes the socket at once.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// An answer with its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Link {
    /// Connects, trying once.
    pub(super) async fn open(to: SocketAddr, limit: Span) -> Result<Link, NoAnswer> {
        let stream = match timeout(limit.std(), TcpStream::connect(to)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => return Err(NoAnswer::Refused),
            Ok(Err(_)) => return Err(NoAnswer::Broken),
            Err(_) => return Err(NoAnswer::TimedOut),
        };
        // Closing without lingering leaves no TIME_WAIT behind: a thousand connections a second would use up the ports otherwise.
        if stream.set_nodelay(true).and_then(|()| stream.set_zero_linger()).is_err() {
            return Err(NoAnswer::Broken);
        }
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| NoAnswer::Broken)?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            // Its error is also the sender's, and is told there.
            let _told_by_sender = connection.await;
        }));
        Ok(Link { sender, _driver: driver })
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&mut self, request: Request<Full<Bytes>>, limit: Span) -> Result<Answer, NoAnswer> {
        let exchange = async {
            let response: Response<_> = self.sender.send_request(request).await.map_err(|_| NoAnswer::Broken)?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST_ANSWER).collect().await.map_err(|_| NoAnswer::Broken)?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        timeout(limit.std().max(Duration::from_millis(1)), exchange).await.unwrap_or(Err(NoAnswer::TimedOut))
    }
}

/// One request on a connection of its own.
pub(super) async fn once(to: SocketAddr, request: Request<Full<Bytes>>, connect: Span, limit: Span) -> Result<Answer, NoAnswer> {
    Link::open(to, connect).await?.send(request, limit).await
}

/// A request for a path of a peer, with a JSON body or none.
pub(super) fn request(method: &str, to: SocketAddr, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method.parse().unwrap_or_default();
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    if let Ok(host) = to.to_string().parse() {
        headers.insert(hyper::header::HOST, host);
    }
    headers.insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_is_told_from_silence_and_from_rubbish() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = silent.local_addr().unwrap();
        let get = || request("GET", address, "/", Bytes::new());
        assert_eq!(once(address, get(), Span::secs(1), Span::millis(50)).await.err(), Some(NoAnswer::TimedOut));
        let rude = tokio::spawn(async move {
            // The first connection is the one that timed out above.
            drop(silent.accept().await.unwrap());
            let (mut stream, _) = silent.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"no http\r\n\r\n").await.unwrap();
        });
        assert_eq!(once(address, get(), Span::secs(1), Span::secs(1)).await.err(), Some(NoAnswer::Broken));
        rude.await.unwrap();
        assert_eq!(once(address, get(), Span::secs(1), Span::secs(1)).await.err(), Some(NoAnswer::Refused));
    }
}
