//! What changed from one look at a source to the next.

use std::collections::BTreeMap;

use super::{Firing, on_clock};
use crate::base::{At, Interval, one_line};
use crate::event::{AlertSeen, TeamEvent};

/// A source that is looked at again and again.
#[derive(Debug)]
pub struct Watch {
    source: String,
    kind: String,
    /// When the last look began that was answered.
    last: Option<At>,
    /// When the first look of all began.
    first: Option<At>,
    lost: bool,
    firing: BTreeMap<String, Firing>,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(source: &str, kind: &str) -> Watch {
        Watch { source: source.to_owned(), kind: kind.to_owned(), last: None, first: None, lost: false, firing: BTreeMap::new() }
    }

    /// Takes a look in, from its beginning to its end; `wall_ns` is wall time at its end, in nanoseconds since 1970. Says what is new.
    pub fn look(&mut self, began: At, ended: At, wall_ns: i128, answer: Result<Vec<Firing>, String>) -> Vec<TeamEvent> {
        self.first.get_or_insert(began);
        let now = match answer {
            Ok(now) => now,
            Err(why) => {
                let news = !self.lost;
                self.lost = true;
                let since = self.last.or(self.first).unwrap_or(began);
                let lost = TeamEvent::SourceLost { source: self.source.clone(), since, why: one_line(&why, 300) };
                return if news { vec![lost] } else { Vec::new() };
            }
        };
        let mut news = Vec::new();
        if self.last.is_none() || self.lost {
            news.push(TeamEvent::SourceReached { source: self.source.clone(), looked: began });
        }
        // What is there at the first look may have been there for ever.
        let when = Interval::new(self.last.unwrap_or(At(0)), ended);
        let now: BTreeMap<String, Firing> = now.into_iter().map(|alert| (alert.key.clone(), alert)).collect();
        for (key, alert) in &now {
            // One that began anew between two looks is another.
            let same = self.firing.get(key).is_some_and(|before| before.starts_at == alert.starts_at);
            if !same {
                news.push(self.told(alert, true, when, ended, wall_ns));
            }
        }
        for (key, alert) in &self.firing {
            if !now.contains_key(key) {
                news.push(self.told(alert, false, when, ended, wall_ns));
            }
        }
        (self.firing, self.last, self.lost) = (now, Some(began), false);
        news
    }

    fn told(&self, alert: &Firing, firing: bool, when: Interval, ended: At, wall_ns: i128) -> TeamEvent {
        TeamEvent::Alert(AlertSeen {
            source: self.source.clone(),
            kind: self.kind.clone(),
            name: alert.name.clone(),
            labels: alert.labels.clone(),
            key: alert.key.clone(),
            firing,
            when,
            starts_at: alert.starts_at.clone(),
            starts: on_clock(alert.starts_at.as_deref(), ended, wall_ns),
            pushed: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(starts_at: Option<&str>) -> Firing {
        let labels = BTreeMap::from([("alertname".to_owned(), "Down".to_owned())]);
        Firing { name: "Down".into(), labels, key: "k".into(), starts_at: starts_at.map(str::to_owned) }
    }

    fn s(n: u64) -> At {
        At(n * 1_000_000_000)
    }

    fn words(events: &[TeamEvent]) -> Vec<String> {
        let word = |event: &TeamEvent| match event {
            TeamEvent::SourceReached { looked, .. } => format!("reached {}", looked.0 / 1_000_000_000),
            TeamEvent::SourceLost { since, .. } => format!("lost since {}", since.0 / 1_000_000_000),
            TeamEvent::Alert(a) => {
                let hi = a.when.hi.map(|hi| hi.0 / 1_000_000_000);
                format!("{} {}..{:?}", if a.firing { "fires" } else { "ended" }, a.when.lo.0 / 1_000_000_000, hi)
            }
            other => format!("{other:?}"),
        };
        events.iter().map(word).collect()
    }

    #[test]
    fn an_alert_came_between_two_looks() {
        let mut watch = Watch::new("paging", "alertmanager");
        let mut look = |at: u64, answer| words(&watch.look(s(at), s(at + 1), 0, answer));
        assert_eq!(look(10, Err("refused".into())), ["lost since 10"]);
        assert_eq!(look(12, Err("refused".into())), Vec::<String>::new(), "said once");
        assert_eq!(look(14, Ok(vec![])), ["reached 14"]);
        assert_eq!(look(16, Ok(vec![alert(None)])), ["fires 14..Some(17)"]);
        assert_eq!(look(18, Ok(vec![alert(None)])), Vec::<String>::new());
        assert_eq!(look(20, Err("reset".into())), ["lost since 18"]);
        assert_eq!(look(22, Ok(vec![])), ["reached 22", "ended 18..Some(23)"]);
        assert_eq!(look(24, Ok(vec![alert(Some("2026-01-01T00:00:00Z"))])), ["fires 22..Some(25)"]);
        assert_eq!(look(26, Ok(vec![alert(Some("2026-01-01T00:01:00Z"))])), ["fires 24..Some(27)"], "it began anew");
    }

    #[test]
    fn what_is_there_at_once_may_always_have_been_there() {
        let mut watch = Watch::new("paging", "alertmanager");
        let wall: jiff::Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let events = watch.look(s(9), s(10), wall.as_nanosecond(), Ok(vec![alert(Some("2026-01-01T00:00:57.5Z"))]));
        let TeamEvent::Alert(seen) = &events[1] else { panic!("{events:?}") };
        assert_eq!((seen.when.lo, seen.starts), (At(0), Some(7_500_000_000)));
        let mut watch = Watch::new("paging", "alertmanager");
        let events = watch.look(s(9), s(10), wall.as_nanosecond(), Ok(vec![alert(Some("2025-12-31T23:00:00Z"))]));
        let TeamEvent::Alert(seen) = &events[1] else { panic!("{events:?}") };
        assert_eq!(seen.starts, Some(-3_650_000_000_000), "before the run");
    }
}
