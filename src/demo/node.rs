//! A node of the order service: its HTTP face, and the state that its tasks share.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use super::member::{Member, Reception, Rules};
use super::meter::Page;
use super::store::{Entry, Store};
use super::truth::Truth;
use super::wire::{Role, Ship, Status};
use super::{DemoError, listen, serve, ship};
use crate::base::{At, Span};
use crate::sys::clock;

/// How long a write waits for the replica before the client is told that nothing is known.
const WRITE_LIMIT: Span = Span::secs(2);
const LONGEST_KEY: usize = 256;

/// A node's arguments.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Its name, answered in the header `x-node`.
    #[arg(long)]
    name: String,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the other node listens.
    #[arg(long)]
    pub(super) peer: SocketAddr,
    /// Where it keeps its data.
    #[arg(long)]
    data: PathBuf,
    /// `sync`: acknowledge what the replica has. `async`: acknowledge at once, ship later.
    #[arg(long, value_enum, default_value_t = Replication::Sync)]
    replication: Replication,
    /// How long the primary may be silent before the replica takes over.
    #[arg(long, default_value = "300ms")]
    pub(super) lease: Span,
    /// How far an asynchronous replica stays behind.
    #[arg(long, default_value = "400ms")]
    lag: Span,
    /// Lead when nothing else decides: the pair is new, and the other is not there.
    #[arg(long)]
    first: bool,
    /// Where it writes what really happened.
    #[arg(long)]
    truth: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Replication {
    Sync,
    Async,
}

/// What the tasks of a node share.
pub(super) struct Node {
    pub(super) args: Args,
    inner: Mutex<Inner>,
    /// Counts changes: writers wait on it for their entry to settle, the shipper for something to ship.
    pub(super) changed: watch::Sender<u64>,
    truth: Truth,
}

/// The state behind the lock. Every change goes through [`Node::change`], which keeps file and truth log in step.
pub(super) struct Inner {
    pub(super) member: Member,
    pub(super) store: Store,
    orders: u64,
    /// When there were how many entries, for those that are not old enough to be shipped asynchronously.
    young: VecDeque<(At, usize)>,
    /// How many entries are.
    old: usize,
}

impl Inner {
    /// How many entries were written at least `lag` ago.
    pub(super) fn older_than(&mut self, lag: Span, now: At) -> usize {
        while let Some((_, entries)) = self.young.pop_front_if(|(written, _)| now.since(*written) >= lag) {
            self.old = entries;
        }
        self.old
    }
}

impl Node {
    fn open(args: Args) -> Result<Node, DemoError> {
        let store = Store::open(&args.data)?;
        let truth = Truth::open(args.truth.as_deref())?;
        let rules = Rules { lease: args.lease, first: args.first, sync: args.replication == Replication::Sync };
        let member = Member::new(rules, store.standing(), now());
        let inner = Mutex::new(Inner { member, store, orders: 0, young: VecDeque::new(), old: 0 });
        Ok(Node { args, inner, changed: watch::Sender::new(0), truth })
    }

    /// How far the replica stays behind, with asynchronous replication.
    pub(super) fn lag(&self) -> Option<Span> {
        (self.args.replication == Replication::Async).then_some(self.args.lag)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state; remembers a new standing before anybody can act on it, and logs a new role.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Inner, At) -> T) -> std::io::Result<T> {
        let mut inner = self.lock();
        let before = (inner.member.role(), inner.member.standing());
        let result = change(&mut inner, now());
        let after = (inner.member.role(), inner.member.standing());
        let standing = inner.member.standing();
        inner.store.stand(standing)?;
        if before != after {
            let keys = if after.0 == Role::Primary && before.0 != Role::Primary { json!(inner.store.ledger()) } else { Value::Null };
            let (role, entries) = (after.0, inner.store.len());
            self.truth
                .log("role", json!({ "role": role, "term": standing.term, "alone": standing.alone, "entries": entries, "keys": keys }))?;
        }
        drop(inner);
        self.changed.send_modify(|count| *count += 1);
        Ok(result)
    }

    fn status(&self) -> Status {
        let inner = self.lock();
        Status {
            node: self.args.name.clone(),
            role: inner.member.role(),
            term: inner.member.term(),
            alone: inner.member.alone(),
            in_sync: inner.member.in_sync(),
            entries: inner.store.len(),
            first: self.args.first,
        }
    }

    /// Waits until an entry may be acknowledged under the term in which it was accepted.
    async fn settled(&self, position: usize, term: u64) -> bool {
        let mut changed = self.changed.subscribe();
        let wait = async {
            loop {
                {
                    let inner = self.lock();
                    if inner.member.role() != Role::Primary || inner.member.term() != term {
                        return false;
                    }
                    if inner.member.settled(position) {
                        return true;
                    }
                }
                if changed.changed().await.is_err() {
                    return false;
                }
            }
        };
        timeout(WRITE_LIMIT.std(), wait).await.unwrap_or(false)
    }

    /// Keeps a ledger key or an order and waits until it may be acknowledged. A key that is there already is not kept twice, but waited for.
    async fn write(&self, key: Option<String>) -> Result<(), Response> {
        let accepted = self.change(|inner, now| {
            if !inner.member.serves(now) {
                return Ok(None);
            }
            let known = key.as_deref().and_then(|key| inner.store.position(key));
            let term = inner.member.term();
            if let Some(position) = known {
                return Ok(Some((position, term)));
            }
            inner.orders += 1;
            let entry = key.clone().map_or_else(|| Entry::Order(format!("{}-{term}-{}", self.args.name, inner.orders)), Entry::Ledger);
            inner.store.append(&[entry])?;
            if self.lag().is_some() {
                inner.young.push_back((now, inner.store.len()));
            }
            Ok(Some((inner.store.len() - 1, term)))
        });
        let accepted = accepted.and_then(|inner| inner).map_err(|error| broken(&error))?;
        let Some((position, term)) = accepted else { return Err(refused("not the primary")) };
        if !self.settled(position, term).await {
            return Err(refused("not known to be replicated"));
        }
        if let Some(key) = key {
            // Before the client hears of it, so that the truth never knows less than a client.
            self.truth.log("acked", json!({ "key": key })).map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    /// An order that changes nothing, but goes the way of all: it waits for whatever was written before it.
    async fn rehearse(&self) -> Result<(), Response> {
        let accepted = {
            let inner = self.lock();
            inner.member.serves(now()).then(|| (inner.store.len(), inner.member.term()))
        };
        let Some((entries, term)) = accepted else { return Err(refused("not the primary")) };
        match entries.checked_sub(1) {
            Some(last) if !self.settled(last, term).await => Err(refused("not known to be replicated")),
            _ => Ok(()),
        }
    }
}

fn now() -> At {
    At(clock::mono_ns())
}

fn refused(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "state": "refused", "why": why }))).into_response()
}

fn broken(error: &std::io::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "state": "failed", "why": error.to_string() }))).into_response()
}

type Shared = State<Arc<Node>>;

#[derive(Debug, Deserialize)]
struct OrderHow {
    #[serde(default)]
    rehearse: bool,
}

async fn order(State(node): Shared, Query(how): Query<OrderHow>, Json(_order): Json<Value>) -> Response {
    let done = if how.rehearse { node.rehearse().await } else { node.write(None).await };
    done.map_or_else(|refused| refused, |()| (StatusCode::CREATED, Json(json!({ "state": "accepted" }))).into_response())
}

async fn write_key(State(node): Shared, Path(key): Path<String>) -> Response {
    if key.len() > LONGEST_KEY {
        return (StatusCode::BAD_REQUEST, Json(json!({ "state": "refused", "why": "the key is too long" }))).into_response();
    }
    let done = node.write(Some(key)).await;
    done.map_or_else(|refused| refused, |()| (StatusCode::CREATED, Json(json!({ "state": "written" }))).into_response())
}

async fn read_keys(State(node): Shared) -> Response {
    Json(json!({ "ids": node.lock().store.ledger() })).into_response()
}

async fn health(State(node): Shared) -> Response {
    let (serves, role) = {
        let inner = node.lock();
        (inner.member.serves(now()), inner.member.role())
    };
    let status = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "serves": serves, "role": role }))).into_response()
}

async fn status(State(node): Shared) -> Response {
    Json(node.status()).into_response()
}

async fn metrics(State(node): Shared) -> Page {
    let (status, serves) = (node.status(), node.lock().member.serves(now()));
    Page::default()
        .gauge("node_primary", "Whether it leads", f64::from(u8::from(status.role == Role::Primary)))
        .gauge("node_serves", "Whether it takes orders", f64::from(u8::from(serves)))
        .gauge("node_in_sync", "Whether the replica has everything that was acknowledged", f64::from(u8::from(status.in_sync)))
        .gauge("node_entries", "Entries that it keeps", status.entries as f64)
}

/// The same on every node: what was built, not who answers.
async fn version(State(node): Shared) -> Response {
    let replication = if node.lag().is_some() { "async" } else { "sync" };
    Json(json!({ "service": "firedrill-demo-orders", "version": env!("CARGO_PKG_VERSION"), "replication": replication })).into_response()
}

async fn replicate(State(node): Shared, Json(message): Json<Ship>) -> Response {
    let taken = node.change(|inner, now| {
        let reception = inner.member.receive(now, &message);
        if reception == Reception::Take {
            if message.reset {
                inner.store.reset(inner.member.standing())?;
                inner.young.clear();
                inner.old = 0;
            }
            // What is here already came with an earlier try of the same message; a gap is answered with what there is.
            let known = inner.store.len().saturating_sub(message.start);
            if message.start <= inner.store.len() {
                inner.store.append(message.entries.get(known..).unwrap_or_default())?;
            }
        }
        Ok((reception, inner.member.answer(inner.store.len())))
    });
    match taken.and_then(|inner| inner) {
        Ok((Reception::Stale, answer)) => (StatusCode::CONFLICT, Json(answer)).into_response(),
        Ok((Reception::WantCopy | Reception::Take, answer)) => Json(answer).into_response(),
        Err(error) => broken(&error),
    }
}

async fn name_itself(State(node): Shared, mut response: Response) -> Response {
    if let Ok(name) = HeaderValue::from_str(&node.args.name) {
        response.headers_mut().insert(HeaderName::from_static("x-node"), name);
    }
    response
}

fn router(node: &Arc<Node>) -> Router {
    Router::new()
        .route("/orders", post(order))
        .route("/ledger/{key}", post(write_key))
        .route("/ledger", get(read_keys))
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/replicate", post(replicate))
        .layer(map_response_with_state(node.clone(), name_itself))
        .with_state(node.clone())
}

/// Runs a node until it is told to stop.
pub(super) async fn run(args: Args) -> Result<(), DemoError> {
    let listener = listen(args.listen).await?;
    let data = args.data.clone();
    let node = Arc::new(Node::open(args)?);
    let router = router(&node);
    tokio::select! {
        served = serve(listener, router, Some(&data)) => served?,
        // A node that cannot keep its standing must not go on: it ends, and the other takes over.
        failed = ship::keep_pair(&node) => return Err(DemoError::file(&data)(failed)),
    }
    let inner = node.lock();
    let role = inner.member.role();
    node.truth.log("end", json!({ "role": role, "keys": inner.store.ledger() })).map_err(DemoError::file(&data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(directory: &std::path::Path) -> Arc<Node> {
        let args = Args {
            name: "a".into(),
            listen: ([127, 0, 0, 1], 0).into(),
            peer: ([127, 0, 0, 1], 1).into(),
            data: directory.join("data"),
            replication: Replication::Sync,
            lease: Span::secs(30),
            lag: Span::millis(400),
            first: true,
            truth: Some(directory.join("truth.jsonl")),
        };
        Arc::new(Node::open(args).unwrap())
    }

    fn ship(term: u64, reset: bool, start: usize, keys: &[&str]) -> Ship {
        let entries = keys.iter().map(|key| Entry::Ledger((*key).to_owned())).collect();
        Ship { term, reset, synced: false, wakes: 0, start, entries }
    }

    async fn keys_after(node: &Arc<Node>, message: Ship) -> (StatusCode, String) {
        let status = replicate(State(node.clone()), Json(message)).await.status();
        (status, node.lock().store.ledger().join(" "))
    }

    #[tokio::test]
    async fn a_replica_takes_each_entry_once_and_nothing_from_an_old_term() {
        let directory = tempfile::tempdir().unwrap();
        let node = node(directory.path());
        assert_eq!(keys_after(&node, ship(3, false, 0, &["k0"])).await, (StatusCode::OK, String::new()), "it wants a copy first");
        assert_eq!(keys_after(&node, ship(3, true, 0, &["k1", "k2"])).await.1, "k1 k2");
        assert_eq!(keys_after(&node, ship(3, false, 1, &["k2", "k3"])).await.1, "k1 k2 k3");
        assert_eq!(keys_after(&node, ship(3, false, 9, &["k9"])).await.1, "k1 k2 k3");
        assert_eq!(keys_after(&node, ship(2, true, 0, &[])).await, (StatusCode::CONFLICT, "k1 k2 k3".into()));
        assert_eq!(keys_after(&node, ship(4, true, 0, &["n"])).await.1, "n");
        assert_eq!(node.write(Some("x".into())).await.unwrap_err().status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn the_same_key_is_kept_once_and_its_truth_is_logged() {
        let directory = tempfile::tempdir().unwrap();
        let node = node(directory.path());
        for _ in 0..2 {
            node.change(|inner, now| {
                let later = now + Span::millis(200);
                inner.member.asked(now, Err(super::super::wire::NoAnswer::Refused), 0);
                inner.member.asked(later, Err(super::super::wire::NoAnswer::Refused), 0);
            })
            .unwrap();
        }
        for _ in 0..2 {
            node.write(Some("k1".into())).await.unwrap();
        }
        node.write(None).await.unwrap();
        assert_eq!(node.lock().store.ledger(), ["k1"]);
        assert_eq!(node.lock().store.len(), 2);
        let truth = std::fs::read_to_string(directory.path().join("truth.jsonl")).unwrap();
        assert_eq!(truth.matches(r#""ev":"acked""#).count(), 2);
    }
}
