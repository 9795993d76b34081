//! The balancer: asks each node whether it is healthy and forwards every request to one that is, trying once. What it adds to an outage is
//! `check-every` times `fall` and `rise`, as with any real one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, extract};
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use super::meter::{Meter, Page};
use super::truth::Truth;
use super::wire::{Answer, NoAnswer, once, request};
use super::{DemoError, canary, listen, serve};
use crate::base::Span;
use crate::sys::clock;

const LARGEST_REQUEST: usize = 1 << 20;
const CONNECT_LIMIT: Span = Span::millis(100);
const ANSWER_LIMIT: Span = Span::secs(3);
const NONE: usize = usize::MAX;

/// The balancer's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// A node as `NAME=ADDRESS`; several.
    #[arg(long = "node", required = true, value_parser = named)]
    nodes: Vec<(String, SocketAddr)>,
    /// How often each node is asked.
    #[arg(long, default_value = "100ms")]
    check_every: Span,
    /// Bad answers in a row after which a node is down.
    #[arg(long, default_value_t = 2)]
    fall: u32,
    /// Good answers in a row after which a node is up.
    #[arg(long, default_value_t = 2)]
    rise: u32,
    /// Forward to all nodes that are up in turn, instead of staying with one.
    #[arg(long)]
    spread: bool,
    /// It ends when this directory is removed; only without `--truth`.
    #[arg(long)]
    lives_by: Option<PathBuf>,
    /// Where it writes what really happened.
    #[arg(long)]
    truth: Option<PathBuf>,
    /// How often it asks itself whether it would answer well; only with `--truth`.
    #[arg(long, default_value = "1ms")]
    pub(super) canary_every: Span,
    /// What comes later than this does not count as an answer.
    #[arg(long, default_value = "500ms")]
    pub(super) answer_within: Span,
}

fn named(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("write NAME=ADDRESS, for example a=127.0.0.1:18081")?;
    address.parse().map(|address| (name.to_owned(), address)).map_err(|error| format!("{address}: {error}"))
}

/// One node as the balancer sees it: a change of mind needs several answers in a row.
#[derive(Debug, Default)]
struct Seen {
    up: Option<bool>,
    against: u32,
}

impl Seen {
    /// True when the mind was changed. The first answer decides at once.
    fn look(&mut self, good: bool, fall: u32, rise: u32) -> bool {
        match self.up {
            None => {
                self.up = Some(good);
                good
            }
            Some(up) if up == good => {
                self.against = 0;
                false
            }
            Some(up) => {
                self.against += 1;
                let changed = self.against >= if up { fall } else { rise };
                if changed {
                    self.up = Some(good);
                    self.against = 0;
                }
                changed
            }
        }
    }
}

/// What the tasks of the balancer share.
pub(super) struct Balancer {
    pub(super) args: Args,
    up: Vec<AtomicBool>,
    /// Taken out by an operator.
    drained: Vec<AtomicBool>,
    current: AtomicUsize,
    turn: AtomicUsize,
    meter: Meter,
    pub(super) truth: Truth,
}

impl Balancer {
    /// Forwards one request: what every client gets, and the canary as well.
    pub(super) async fn forward(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Response {
        let Some((_, to)) = self.args.nodes.get(self.next()) else {
            return told(StatusCode::SERVICE_UNAVAILABLE, "no node is up");
        };
        let mut forwarded = request(method.as_str(), *to, path, Bytes::new());
        *forwarded.body_mut() = Full::new(body);
        if headers.contains_key(header::CONTENT_TYPE) {
            forwarded.headers_mut().remove(header::CONTENT_TYPE);
        }
        for (name, value) in &headers {
            if !is_of_one_hop(name) && *name != header::HOST {
                forwarded.headers_mut().append(name, value.clone());
            }
        }
        match once(*to, forwarded, CONNECT_LIMIT, ANSWER_LIMIT).await {
            Ok(answer) => answered(answer),
            Err(NoAnswer::Refused | NoAnswer::Broken) => told(StatusCode::BAD_GATEWAY, "the node is not there"),
            Err(NoAnswer::TimedOut) => told(StatusCode::GATEWAY_TIMEOUT, "the node does not answer"),
        }
    }

    /// Whether a node may be given requests.
    fn usable(&self, node: usize) -> bool {
        let is = |of: &[AtomicBool]| of.get(node).is_some_and(|is| is.load(Ordering::Relaxed));
        is(&self.up) && !is(&self.drained)
    }

    /// Where the next request goes.
    fn next(&self) -> usize {
        if !self.args.spread {
            return self.current.load(Ordering::Relaxed);
        }
        let (turn, nodes) = (self.turn.fetch_add(1, Ordering::Relaxed), self.args.nodes.len());
        (0..nodes).map(|n| (turn + n) % nodes).find(|node| self.usable(*node)).unwrap_or(NONE)
    }

    /// Stays with the node that is used while it is up; otherwise takes the first that is.
    fn choose(&self) {
        if self.usable(self.current.load(Ordering::Relaxed)) {
            return;
        }
        let next = (0..self.args.nodes.len()).find(|node| self.usable(*node)).unwrap_or(NONE);
        self.current.store(next, Ordering::Relaxed);
    }

    fn standing(&self) -> Value {
        let named = |is: &[AtomicBool]| -> Vec<&str> {
            let nodes = self.args.nodes.iter().zip(is).filter(|(_, is)| is.load(Ordering::Relaxed));
            nodes.map(|((name, _), _)| name.as_str()).collect()
        };
        let mut standing = json!({ "up": named(&self.up), "forwards_to": self.name_of(self.current.load(Ordering::Relaxed)) });
        if self.args.spread {
            let recent = self.meter.recent();
            standing["forwards_to"] = json!("all that are up, in turn");
            standing["drained"] = json!(named(&self.drained));
            standing["checked_every"] = json!(self.args.check_every.human());
            standing["last_5s"] =
                json!({ "requests": recent.asked, "failed": format!("{:.0}%", recent.failed * 100.0), "p90_ms": recent.p90.as_millis() });
        }
        standing
    }

    fn name_of(&self, node: usize) -> Option<&str> {
        self.args.nodes.get(node).map(|(name, _)| name.as_str())
    }

    async fn check(&self, node: usize, to: SocketAddr) -> Result<std::convert::Infallible, std::io::Error> {
        let mut seen = Seen::default();
        let limit = self.args.check_every.max(Span::millis(50)).min(Span::secs(1));
        loop {
            let started = clock::mono_ns();
            let answer = once(to, request("GET", to, "/health", Bytes::new()), limit, limit).await;
            let good = answer.is_ok_and(|answer| answer.status == StatusCode::OK);
            if seen.look(good, self.args.fall, self.args.rise) {
                self.up[node].store(good, Ordering::Relaxed);
                self.choose();
                let current = self.name_of(self.current.load(Ordering::Relaxed));
                self.truth.log("node", json!({ "node": self.name_of(node), "up": good, "forwards_to": current }))?;
            }
            let took = Span(clock::mono_ns().saturating_sub(started));
            clock::sleep((self.args.check_every - took).max(Span::millis(1))).await;
        }
    }
}

/// Headers that belong to one connection, and lengths that are written anew.
fn is_of_one_hop(name: &header::HeaderName) -> bool {
    [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::UPGRADE, header::TE, header::TRAILER, header::EXPECT]
        .contains(name)
        || name.as_str() == "keep-alive"
}

fn answered(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in &answer.headers {
        if !is_of_one_hop(name) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn told(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "state": "failed", "why": why }))).into_response()
}

async fn forward(State(balancer): State<Arc<Balancer>>, request: Request) -> Response {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return told(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let asked = balancer.meter.begin();
    let response = balancer.forward(method, path, headers, body).await;
    asked.answered(!response.status().is_server_error());
    response
}

/// Answered by the balancer itself, whatever happens to the nodes.
async fn about(extract::State(balancer): State<Arc<Balancer>>) -> Response {
    Json(balancer.standing()).into_response()
}

async fn metrics(extract::State(balancer): State<Arc<Balancer>>) -> Page {
    let number = |is: &AtomicBool| f64::from(u8::from(is.load(Ordering::Relaxed)));
    let each = |of: &[AtomicBool]| -> Vec<f64> { of.iter().map(number).collect() };
    let named = |values: Vec<f64>| -> Vec<(&str, f64)> { balancer.args.nodes.iter().map(|(name, _)| name.as_str()).zip(values).collect() };
    Page::default()
        .recent("balancer", balancer.meter.recent())
        .each("balancer_node_up", "Whether it believes a node to be up", "node", &named(each(&balancer.up)))
        .each("balancer_node_drained", "Whether an operator took a node out", "node", &named(each(&balancer.drained)))
}

/// Takes a node out, or back in.
async fn steer(extract::State(balancer): State<Arc<Balancer>>, extract::Path((what, node)): extract::Path<(String, String)>) -> Response {
    let no = |status, why: &str| (status, Json(json!({ "why": why }))).into_response();
    let Some(at) = balancer.args.nodes.iter().position(|(name, _)| *name == node) else {
        return no(StatusCode::NOT_FOUND, "there is no such node");
    };
    let others = (0..balancer.args.nodes.len()).any(|other| other != at && balancer.usable(other));
    match what.as_str() {
        "drain" if !others => return no(StatusCode::CONFLICT, "no node would be left"),
        "drain" => balancer.drained[at].store(true, Ordering::Relaxed),
        "restore" => balancer.drained[at].store(false, Ordering::Relaxed),
        _ => return no(StatusCode::NOT_FOUND, "a node can be asked to `drain`, and to `restore`"),
    }
    balancer.choose();
    Json(balancer.standing()).into_response()
}

/// Runs the balancer until it is told to stop.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let listener = listen(args.listen).await?;
    let truth = Truth::open(args.truth.as_deref())?;
    let none = || args.nodes.iter().map(|_| false.into()).collect();
    let (up, drained) = (none(), none());
    let path = args.truth.clone();
    let lives_by = path.clone().or(args.lives_by.clone());
    let (current, turn, meter) = (NONE.into(), 0.into(), Meter::default());
    let balancer = Arc::new(Balancer { args, up, drained, current, turn, meter, truth });
    let (failed, mut failure) = tokio::sync::mpsc::channel(1);
    for (node, (_, address)) in balancer.args.nodes.iter().enumerate() {
        let (balancer, address, failed) = (balancer.clone(), *address, failed.clone());
        tokio::spawn(async move {
            let Err(error) = balancer.check(node, address).await;
            // Full means that another has failed already.
            let _another_failed = failed.try_send(error);
        });
    }
    if path.is_some() {
        let balancer = balancer.clone();
        tokio::spawn(async move {
            let Err(error) = canary::watch(&balancer).await;
            let _another_failed = failed.try_send(error);
        });
    }
    let own = Router::new().route("/balancer", get(about)).route("/metrics", get(metrics));
    let router = own.route("/balancer/{what}/{node}", post(steer)).fallback(forward).with_state(balancer.clone());
    tokio::select! {
        served = serve(listener, router, lives_by.as_deref()) => served,
        Some(error) = failure.recv() => Err(DemoError::file(path.as_deref().unwrap_or("the truth log".as_ref()))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_falls_and_rises_only_after_several_answers_in_a_row() {
        let mut seen = Seen::default();
        let changes: Vec<bool> =
            [true, false, true, false, false, true, false, true, true].into_iter().map(|good| seen.look(good, 2, 2)).collect();
        assert_eq!(changes, [true, false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_node_that_was_never_up_needs_to_rise() {
        let mut seen = Seen::default();
        let changes: Vec<bool> = [false, true, true].into_iter().map(|good| seen.look(good, 2, 2)).collect();
        assert_eq!(changes, [false, false, true]);
    }

    #[test]
    fn nodes_are_named() {
        assert_eq!(named("a=127.0.0.1:80").unwrap().0, "a");
        assert!(named("127.0.0.1:80").unwrap_err().contains("NAME=ADDRESS"));
    }
}
