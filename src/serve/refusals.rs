//! Calls that were not taken: written down the first few times, then when their number has doubled, so that a flood of them fills no journal and shows
//! nevertheless.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::one_line;
use crate::event::TeamEvent;

/// So many are written down one by one.
const ONE_BY_ONE: u64 = 10;

/// How many there were, by receiver.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<String, u64>>);

impl Refusals {
    /// One more; the event, where it is written down.
    pub fn one_more(&self, source: &str, peer: &str, why: &str) -> Option<TeamEvent> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = counts.entry(source.to_owned()).or_default();
        *times += 1;
        let told = *times <= ONE_BY_ONE || times.is_power_of_two();
        told.then(|| TeamEvent::Refused { source: source.to_owned(), peer: peer.to_owned(), why: one_line(why, 300), times: *times })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_few_lines() {
        let refusals = Refusals::default();
        let told: Vec<TeamEvent> = (0..10_000).filter_map(|_| refusals.one_more("hook", "127.0.0.1", "x\u{1b}")).collect();
        assert_eq!(told.len(), 10 + 10);
        assert!(matches!(&told[19], TeamEvent::Refused { times: 8_192, why, .. } if why == "x"));
    }
}
