//! What a receiver was told, and what of it is news.

use std::collections::BTreeMap;

use super::on_clock;
use super::receive::{Acked, Heard};
use crate::base::{At, Interval};
use crate::event::{AckSeen, AlertSeen, TeamEvent};

/// Most alerts of one receiver that are known at the same time.
const KNOWN: usize = 1_000;

/// A receiver's memory of what fires.
#[derive(Debug)]
pub struct Inbox {
    source: String,
    kind: &'static str,
    firing: BTreeMap<String, Option<String>>,
}

impl Inbox {
    /// Nothing told yet.
    pub fn new(source: &str, kind: &'static str) -> Inbox {
        Inbox { source: source.to_owned(), kind, firing: BTreeMap::new() }
    }

    /// Takes in what arrived at that time; `wall_ns` is the same in nanoseconds since 1970. Says what is new: senders repeat themselves.
    pub fn alerts(&mut self, told: &[Heard], at: At, wall_ns: i128) -> Vec<TeamEvent> {
        let mut news = Vec::new();
        for Heard { firing, alert } in told {
            let known = self.firing.get(&alert.key);
            let is_news = match (firing, known) {
                // One that began anew is another.
                (true, Some(starts_at)) => *starts_at != alert.starts_at,
                (true, None) => self.firing.len() < KNOWN,
                (false, known) => known.is_some(),
            };
            if !is_news {
                continue;
            }
            match firing {
                true => drop(self.firing.insert(alert.key.clone(), alert.starts_at.clone())),
                false => drop(self.firing.remove(&alert.key)),
            }
            news.push(TeamEvent::Alert(AlertSeen {
                source: self.source.clone(),
                kind: self.kind.to_owned(),
                name: alert.name.clone(),
                labels: alert.labels.clone(),
                key: alert.key.clone(),
                firing: *firing,
                when: Interval::exact(at),
                starts_at: alert.starts_at.clone(),
                starts: on_clock(alert.starts_at.as_deref(), at, wall_ns),
                pushed: true,
            }));
        }
        news
    }

    /// Somebody took a page.
    pub fn ack(&self, ack: &Acked, roles: Option<Vec<String>>, at: At, wall_ns: i128) -> TeamEvent {
        acked(&self.source, self.kind, ack, roles, Interval::exact(at), (at, wall_ns), true)
    }
}

/// A page that was taken, as an event; `now` is one moment on the run's clock and in nanoseconds since 1970.
pub fn acked(
    source: &str,
    kind: &str,
    ack: &Acked,
    roles: Option<Vec<String>>,
    when: Interval,
    now: (At, i128),
    pushed: bool,
) -> TeamEvent {
    TeamEvent::Acked(AckSeen {
        source: source.to_owned(),
        kind: kind.to_owned(),
        who: ack.who.clone(),
        roles,
        of: ack.of.clone(),
        key: ack.key.clone(),
        when,
        acked_at: ack.at.clone(),
        acked: on_clock(ack.at.as_deref(), now.0, now.1),
        pushed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Firing;
    use super::*;

    fn heard(key: &str, firing: bool, starts_at: &str) -> Heard {
        Heard { firing, alert: Firing { name: "Down".into(), labels: BTreeMap::new(), key: key.into(), starts_at: Some(starts_at.into()) } }
    }

    #[test]
    fn only_what_changes_is_news() {
        let mut inbox = Inbox::new("hook", "alertmanager");
        let mut told = |heard: Heard| inbox.alerts(&[heard], At(5_000_000_000), 10_000_000_000).len();
        assert_eq!(told(heard("a", false, "x")), 0, "it was never heard of");
        assert_eq!(told(heard("a", true, "1970-01-01T00:00:07Z")), 1);
        assert_eq!(told(heard("a", true, "1970-01-01T00:00:07Z")), 0, "repeated");
        assert_eq!(told(heard("a", true, "1970-01-01T00:00:08Z")), 1, "it began anew");
        assert_eq!(told(heard("a", false, "x")), 1);
        assert_eq!(told(heard("a", false, "x")), 0);
        for n in 0..2 * KNOWN {
            told(heard(&n.to_string(), true, "x"));
        }
        assert_eq!(inbox.firing.len(), KNOWN, "bounded, whatever is sent");
    }

    #[test]
    fn its_time_is_when_it_arrived_here() {
        let mut inbox = Inbox::new("hook", "alertmanager");
        let events = inbox.alerts(&[heard("a", true, "1970-01-01T00:00:07Z")], At(5_000_000_000), 10_000_000_000);
        let TeamEvent::Alert(seen) = &events[0] else { panic!("{events:?}") };
        assert_eq!((seen.when, seen.starts, seen.pushed), (Interval::exact(At(5_000_000_000)), Some(2_000_000_000), true));
    }
}
