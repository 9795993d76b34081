//! From the first failure that users saw to the first alert that was expected of a fault (`impact_to_detect`, design 1.6). How long detection took from the
//! effect on is the team's clock, and stands with what was expected of it.

use crate::base::Interval;
use crate::plan::{Plan, Point};
use crate::response::{Response, Verdict};

use super::facts::Range;
use super::words::between;

/// None where no alert is expected of the fault, none came, or one that nobody could observe may have been the first.
pub(super) fn impact_to_detect(plan: &Plan, team: &Response, fault: &str, onset: Interval) -> Option<Range> {
    let expected = plan.team.as_ref()?.expect.iter();
    let of_fault =
        expected.filter(|(_, e)| matches!(&e.from.after, Point::Effective(id) if id.as_str() == fault)).map(|(id, _)| id.as_str());
    let alerts =
        of_fault.filter_map(|id| team.expectations.get(id)).filter(|e| e.kind == "alert" && !e.never && e.verdict != Verdict::NotDue);
    let mut first: Option<Interval> = None;
    for alert in alerts {
        if alert.verdict == Verdict::NotObserved {
            return None;
        }
        if let Some(at) = alert.at {
            first = Some(first.map_or(at, |f| if at.lo < f.lo { at } else { f }));
        }
    }
    Some(between(onset, first?, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{At, Span, digest_of};
    use crate::event::{AlertSeen, Entry, Event, TeamEvent};
    use crate::plan::{Mode, Origin, build};
    use crate::response::{Seen, response};
    use crate::scenario::check::sample;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn s(seconds: f64) -> At {
        At((seconds * 1e9) as u64)
    }

    fn plan() -> Plan {
        let mut scenario = sample::scenario();
        scenario.team = Some(json!({
            "roles": { "ops": ["dan"] },
            "signals": { "paging": { "alertmanager": { "url": "http://127.0.0.1:9093" } } },
            "expect": {
                "slow": { "alert": { "labels": { "alertname": "Slow" } }, "within": "60s" },
                "down": { "alert": { "labels": { "alertname": "Down" } }, "within": "30s" },
            },
        }));
        let origin =
            Origin { name: "x".into(), base_dir: "/".into(), scenario_digest: digest_of(b"x"), workload_digest: None, mode: Mode::Normal };
        build(&scenario, &sample::known(), origin)
    }

    fn fires(name: &str, at: f64) -> (f64, Event) {
        let alert = AlertSeen {
            source: "paging".into(),
            kind: "alertmanager".into(),
            name: name.into(),
            labels: BTreeMap::from([("alertname".into(), name.into())]),
            key: name.into(),
            firing: true,
            when: Interval::new(s(at - 1.0), s(at)),
            starts_at: None,
            starts: None,
            pushed: false,
        };
        (at, Event::Team(TeamEvent::Alert(alert)))
    }

    /// The fault bites at 10 s, users see it from 11.0 to 11.1 s on.
    fn found(alerts: &[(f64, Event)]) -> Option<Range> {
        let mut events = vec![
            (0.5, Event::Team(TeamEvent::SourceReached { source: "paging".into(), looked: s(0.4) })),
            (10.1, Event::Effective { id: "lose-primary".into(), when: Interval::new(s(10.0), s(10.0)), seen: String::new() }),
            (200.0, Event::ProbesStopped {}),
        ];
        events.extend_from_slice(alerts);
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let entries: Vec<Entry> = (0..).zip(events).map(|(seq, (at, event))| Entry { seq, at: s(at), event }).collect();
        let (plan, stamps) = (plan(), Seen::stamps_of(&entries));
        let team = response(&plan, &Seen::of(&entries, &stamps));
        impact_to_detect(&plan, &team, "lose-primary", Interval::new(s(11.0), s(11.1)))
    }

    #[test]
    fn from_the_first_failure_to_the_first_alert_of_the_fault() {
        let range = found(&[fires("Slow", 25.0), fires("Down", 15.0), fires("Other", 12.0)]).unwrap();
        assert_eq!((range.lo, range.hi), (Span::millis(2_900), Some(Span::secs(4))));
        // An alert before users saw anything was there in time.
        assert_eq!(found(&[fires("Down", 10.9), fires("Slow", 30.0)]).unwrap().hi, Some(Span::ZERO));
        assert_eq!(found(&[]), None, "nobody was told");
    }
}
