//! The truth about an outage: would the balancer answer well a request that arrives now? It asks itself through the very path that it forwards
//! clients on, every millisecond or two, and logs each change with the arrival of the last request that was answered the old way and of the first
//! that was answered the new way. The moment of truth lies between the two, whenever the answers came: a request is judged by when it came in,
//! as its sender judges it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::balancer::Balancer;
use crate::base::Span;
use crate::sys::clock;

/// While that many are not answered, the canary sings slower, so that a node that hangs is not flooded.
const MANY: usize = 16;
const SLOWER: Span = Span::millis(10);
const TOO_MANY: usize = 128;

/// The state machine of availability, fed in the order of arrival.
#[derive(Debug, Default)]
struct Availability {
    up: bool,
    last: Option<u64>,
}

/// A change of availability.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    up: bool,
    before: Option<u64>,
    after: u64,
}

impl Availability {
    fn next(&mut self, arrived: u64, good: bool) -> Option<Change> {
        let before = self.last.replace(arrived);
        if good == self.up {
            return None;
        }
        self.up = good;
        Some(Change { up: good, before, after: arrived })
    }
}

async fn ask(balancer: Arc<Balancer>) -> bool {
    let order = Bytes::from_static(br#"{"sku":1}"#);
    let asked = balancer.forward(Method::POST, "/orders?rehearse=true", HeaderMap::new(), order);
    timeout(balancer.args.answer_within.std(), asked).await.is_ok_and(|response| response.status().is_success())
}

/// Watches for ever; returns when the truth log cannot be written.
pub(super) async fn watch(balancer: &Arc<Balancer>) -> Result<std::convert::Infallible, io::Error> {
    let mut availability = Availability::default();
    let mut asked: VecDeque<(u64, JoinHandle<bool>)> = VecDeque::new();
    loop {
        let next = clock::mono_ns();
        if asked.len() < TOO_MANY {
            asked.push_back((next, tokio::spawn(ask(balancer.clone()))));
        }
        let every = if asked.len() < MANY { balancer.args.canary_every } else { SLOWER };
        clock::sleep(every).await;
        while asked.front().is_some_and(|(_, task)| task.is_finished()) {
            let Some((arrived, task)) = asked.pop_front() else { break };
            let good = task.await.unwrap_or(false);
            if let Some(change) = availability.next(arrived, good) {
                let event = if change.up { "up" } else { "down" };
                let before = change.before.unwrap_or(change.after);
                balancer.truth.log(event, json!({ "before_mono_ns": before, "after_mono_ns": change.after }))?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_lies_between_two_arrivals() {
        let mut availability = Availability::default();
        let changes: Vec<Change> = [(1, false), (2, true), (3, true), (4, false), (5, false), (6, true)]
            .into_iter()
            .filter_map(|(at, good)| availability.next(at, good))
            .collect();
        assert_eq!(
            changes,
            [
                Change { up: true, before: Some(1), after: 2 },
                Change { up: false, before: Some(3), after: 4 },
                Change { up: true, before: Some(5), after: 6 },
            ]
        );
    }

    #[test]
    fn what_is_up_from_the_first_request_on_has_no_request_before() {
        let mut availability = Availability::default();
        assert_eq!(availability.next(7, true), Some(Change { up: true, before: None, after: 7 }));
    }
}
