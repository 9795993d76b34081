//! What a node does by itself: the primary ships entries and heartbeats to the replica, everybody watches the time and asks the peer when it
//! does not know who leads.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::time::timeout;

use super::node::Node;
use super::wire::{Link, NoAnswer, Ship, Shipped, Status, once, request};
use crate::base::{At, Span};
use crate::sys::clock;

/// Entries in one message; a full copy takes several.
const BATCH: usize = 2_000;

/// Keeps the pair together for ever; returns when the node's own files cannot be written.
pub(super) async fn keep_pair(node: &Arc<Node>) -> io::Error {
    tokio::select! {
        Err(error) = watch_time(node) => error,
        Err(error) = ship(node) => error,
        else => io::Error::other("stopped"),
    }
}

fn fraction(span: Span, parts: u64) -> Span {
    Span(span.0 / parts).max(Span::millis(5))
}

async fn watch_time(node: &Node) -> io::Result<std::convert::Infallible> {
    let every = fraction(node.args.lease, 10).min(Span::millis(50));
    loop {
        if node.change(|inner, now| inner.member.tick(now))? {
            let limit = fraction(node.args.lease, 4);
            let peer = once(node.args.peer, request("GET", node.args.peer, "/status", Bytes::new()), limit, limit).await;
            let peer = peer.and_then(|answer| serde_json::from_slice::<Status>(&answer.body).map_err(|_| NoAnswer::Broken));
            node.change(|inner, now| inner.member.asked(now, peer.as_ref().map_err(|why| *why), inner.store.len()))?;
        }
        clock::sleep(every).await;
    }
}

/// A message, and how many entries there were when it was made.
struct Batch {
    message: Ship,
    entries: usize,
}

impl Node {
    fn next_batch(&self) -> Option<Batch> {
        let mut inner = self.lock();
        let (start, reset) = inner.member.to_ship()?;
        let end = match self.lag() {
            Some(lag) if !inner.member.alone() => inner.older_than(lag, At(clock::mono_ns())),
            Some(_) | None => inner.store.len(),
        };
        let entries = inner.store.from(start, BATCH.min(end.saturating_sub(start))).to_vec();
        let member = &inner.member;
        let message = Ship { term: member.term(), reset, synced: !member.alone(), wakes: member.peer_wakes(), start, entries };
        Some(Batch { message, entries: inner.store.len() })
    }
}

async fn ship(node: &Node) -> io::Result<std::convert::Infallible> {
    let heartbeat = fraction(node.args.lease, 6);
    let mut link = None;
    let mut changed = node.changed.subscribe();
    loop {
        let Some(batch) = node.next_batch() else {
            link = None;
            clock::sleep(heartbeat).await;
            continue;
        };
        let (term, sent) = (batch.message.term, batch.entries);
        let answer = send(node, &mut link, &batch.message).await;
        let reached = answer.is_ok();
        node.change(|inner, now| match answer {
            Ok((StatusCode::OK, answer)) => {
                let entries = inner.store.len();
                inner.member.shipped(now, term, answer, sent, entries);
            }
            Ok(_) => inner.member.outdated(now),
            Err(why) => inner.member.unreachable(now, why),
        })?;
        if !reached {
            link = None;
            clock::sleep(heartbeat).await;
        } else if node.all_shipped() {
            // Whatever is written meanwhile ends the wait.
            wait_for_entries(node, &mut changed, heartbeat).await;
        }
    }
}

impl Node {
    /// Nothing is to be shipped at once. An asynchronous replica that has had everything gets the rest with the heartbeats.
    fn all_shipped(&self) -> bool {
        let inner = self.lock();
        let late = self.lag().is_some() && !inner.member.alone();
        inner.member.to_ship().is_none_or(|(start, reset)| !reset && (late || start >= inner.store.len()))
    }
}

async fn wait_for_entries(node: &Node, changed: &mut tokio::sync::watch::Receiver<u64>, limit: Span) {
    let wait = async {
        while node.all_shipped() {
            if changed.changed().await.is_err() {
                return;
            }
        }
    };
    // Nothing written in this time: a heartbeat is due.
    let _heartbeat = timeout(limit.std(), wait).await;
}

async fn send(node: &Node, link: &mut Option<Link>, message: &Ship) -> Result<(StatusCode, Shipped), NoAnswer> {
    let body = serde_json::to_vec(message).map_err(|_| NoAnswer::Broken)?;
    let mut open = match link.take() {
        Some(open) => open,
        None => Link::open(node.args.peer, fraction(node.args.lease, 2)).await?,
    };
    let answer = open.send(request("POST", node.args.peer, "/replicate", body.into()), node.args.lease).await?;
    *link = Some(open);
    if answer.status != StatusCode::OK && answer.status != StatusCode::CONFLICT {
        return Err(NoAnswer::Broken);
    }
    serde_json::from_slice(&answer.body).map(|shipped| (answer.status, shipped)).map_err(|_| NoAnswer::Broken)
}
