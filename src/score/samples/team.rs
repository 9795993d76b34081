//! The people of the made-up runs: what was expected of them, and a journal of what they and their machines told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::base::{Interval, Span};
use crate::event::{AlertSeen, Deed, Entry, Event, Said, TeamEvent};
use crate::plan::Plan;
use crate::response::{Response, Seen, response};

use super::run::ms;

pub(super) fn plan() -> Value {
    let effective = json!({ "after": { "effective": "lose-primary" }, "plus": "0s" });
    let after = |id: &str| json!({ "after": { "expectation": id }, "plus": "0s" });
    json!({
        "roles": { "ops": ["dan"], "comms": ["erin"] },
        "signals": { "paging": { "kind": "alertmanager", "url": "http://127.0.0.1:9093", "every": "1s", "timeout": "5s" } },
        "expect": {
            "detected": { "what": { "alert": { "labels": { "alertname": "DatabaseDown" } } }, "within": "30s", "from": effective },
            "acknowledged": { "what": { "ack": {} }, "by": "ops", "within": "30s", "from": after("detected") },
            "mitigated": { "what": { "step": "database-failover#promote-replica" }, "by": "ops", "within": "1m", "from": after("acknowledged") },
            "informed": { "what": { "message": "stakeholders" }, "by": "comms", "within": "1m", "from": effective, "training": true } },
        "wrong_turns": { "restarted-api": { "what": { "step": "api#restart" }, "from": effective, "before": "mitigated",
            "teaches": "A restart drops the last good connections." } }
    })
}

/// How the people did.
pub(super) fn told(plan: &Plan, effective: bool, badly: bool) -> Response {
    let said = |at: u64, role: &str, deed: Deed| {
        let by = if role == "ops" { "dan (uid 1000)" } else { "erin (uid 1001)" };
        (at, Event::Team(TeamEvent::Said(Said { role: role.into(), by: by.into(), claimed: None, deed })))
    };
    let step = |step: &str, back_out| Deed::Step { step: step.into(), back_out };
    let alert = AlertSeen {
        source: "paging".into(),
        kind: "alertmanager".into(),
        name: "DatabaseDown".into(),
        labels: BTreeMap::from([("alertname".into(), "DatabaseDown".into())]),
        key: "a1".into(),
        firing: true,
        when: Interval::new(ms(31_000), ms(32_010)),
        starts_at: Some("2026-11-19T09:30:31.5Z".into()),
        starts: Some(31_500_000_000),
        pushed: false,
    };
    let mut events = vec![
        (500, Event::Team(TeamEvent::Listening { place: "/var/tmp/firedrill/people/01JD/socket".into() })),
        (600, Event::Team(TeamEvent::SourceReached { source: "paging".into(), looked: ms(500) })),
        (10_000, Event::SteadyShown { since: ms(0), summary: String::new() }),
        (32_010, Event::Team(TeamEvent::Alert(alert.clone()))),
        (33_000, Event::Team(TeamEvent::Alert(AlertSeen { name: "CacheCold".into(), key: "a2".into(), labels: BTreeMap::new(), ..alert }))),
        said(if badly { 75_400 } else { 44_200 }, "ops", Deed::Mark { mark: "ack".into(), text: String::new() }),
        said(if badly { 79_000 } else { 51_000 }, "ops", step("api#restart", false)),
        said(if badly { 90_000 } else { 54_500 }, "ops", step("api#restart", true)),
        said(if badly { 95_000 } else { 71_000 }, "ops", step("database-failover#promote-replica", false)),
        (100_000, Event::ProbesStopped {}),
    ];
    if effective {
        events.push((
            30_010,
            Event::Effective { id: "lose-primary".into(), when: Interval::new(ms(30_002), ms(30_006)), seen: String::new() },
        ));
        events.sort_by_key(|(at, _)| *at);
    }
    let entries: Vec<Entry> = events
        .into_iter()
        .enumerate()
        .map(|(i, (at, event))| Entry { seq: 200 + i as u64, at: ms(Span::millis(at).as_millis()), event })
        .collect();
    let stamps = Seen::stamps_of(&entries);
    response(plan, &Seen::of(&entries, &stamps))
}
