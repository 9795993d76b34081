//! Whatever stands in a journal, nobody who reads it may break: events of real runs in any order, changed in any place.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod golden;

use firedrill::event::{Entry, Event};
use firedrill::measure;
use firedrill::plan::Plan;
use firedrill::report::{self, Report};
use firedrill::score::score;
use firedrill::state::RunState;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

/// Events that no golden journal holds.
fn rare() -> Vec<Entry> {
    let id = "lose-primary";
    let events = json!([
        { "type": "inject_failed", "id": id, "error": "no" },
        { "type": "not_confirmed", "id": id, "why": "still there" },
        { "type": "undo_failed", "id": id, "attempt": 1, "error": "no", "last": true },
        { "type": "left_to", "id": id, "who": "somebody" },
        { "type": "not_recovered", "id": id, "why": "down" },
        { "type": "not_run", "id": id, "why": "no time" },
        { "type": "released", "id": id, "by": "somebody" },
        { "type": "taken_over", "by": "undo", "dropped": 3, "why": "dead" },
        { "type": "watchdog_lost" },
        { "type": "target_resolved", "id": "leader", "is": ["node-a"] },
        { "type": "restored", "id": "rejoin", "started": 5, "result": "failed", "detail": "exit 1" },
        { "type": "guard_breached", "id": "survivor", "why": "down" },
        { "type": "system_restarted", "id": "system/node-a", "pid": 1 },
        { "type": "not_steady_after", "why": "down" },
        { "type": "stall", "from": 10, "to": 2_000_000_000 },
        { "type": "clock_step", "by_ns": -5_000_000_000_i64 },
        { "type": "suspended", "slept": "5s" },
        { "type": "journal_poisoned", "why": "disk full" },
        { "type": "note", "text": "hm" },
        { "type": "samples", "probe": "checkout", "rows": [] },
        { "type": "samples", "probe": "nobody", "rows": [[0, 1, 2, 3, 4, "local", "local", null, null], [7, 1, 2, 3, 4, "capped", "capped", null, null]] },
        { "type": "ledger_read", "ledger": "orders", "reader": "x", "authority": true, "settled": false, "found": [[5, 2], [0, 9]],
          "duplicated": [1], "unexpected": 2, "error": "no" },
        { "type": "run_finished", "outcome": "stuck" },
    ]);
    let events: Vec<Event> = serde_json::from_value(events).unwrap();
    (0..).zip(events).map(|(seq, event)| Entry { seq, at: firedrill::base::At(seq * 400_000_000), event }).collect()
}

/// What may be done to an entry.
#[derive(Debug, Clone)]
enum Change {
    Drop(Index),
    Twice(Index, Index),
    Move(Index, Index),
    Rare(Index, Index),
    /// The so-manieth number becomes another.
    Number(Index, Index, u64),
    /// The so-manieth text becomes another.
    Text(Index, Index, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    // Up to a month: a run may be finished long after it died.
    let number = prop_oneof![0..4u64, 0..20_000_000_000u64, 0..2_600_000_000_000_000u64];
    let text =
        prop::sample::select(vec!["checkout", "orders", "lose-primary", "system/node-a", "", "ok", "bad", "timeout", "close", "ä\u{0}<&"]);
    prop_oneof![
        any::<Index>().prop_map(Change::Drop),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Twice(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Move(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Rare(a, b)),
        (any::<Index>(), any::<Index>(), number).prop_map(|(a, b, n)| Change::Number(a, b, n)),
        (any::<Index>(), any::<Index>(), text).prop_map(|(a, b, t)| Change::Text(a, b, t)),
    ]
}

fn leaves<'a>(value: &'a mut Value, wanted: fn(&Value) -> bool, found: &mut Vec<&'a mut Value>) {
    if wanted(value) {
        found.push(value);
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| leaves(item, wanted, found)),
        Value::Object(map) => map.iter_mut().filter(|(key, _)| *key != "type").for_each(|(_, item)| leaves(item, wanted, found)),
        _ => {}
    }
}

fn replaced(entry: &Entry, wanted: fn(&Value) -> bool, which: &Index, by: Value) -> Option<Entry> {
    let mut value = serde_json::to_value(entry).unwrap();
    let mut found = Vec::new();
    leaves(&mut value, wanted, &mut found);
    if found.is_empty() {
        return None;
    }
    let place = which.index(found.len());
    *found.remove(place) = by;
    // What does not decode is no entry, and the journal's reader says so.
    serde_json::from_value(value).ok()
}

fn apply(entries: &mut Vec<Entry>, change: &Change) {
    if entries.is_empty() {
        return;
    }
    let len = entries.len();
    match change {
        Change::Drop(a) => drop(entries.remove(a.index(len))),
        Change::Twice(a, b) => {
            let again = entries[a.index(len)].clone();
            entries.insert(b.index(len), again);
        }
        Change::Move(a, b) => {
            let moved = entries.remove(a.index(len));
            entries.insert(b.index(len), moved);
        }
        Change::Rare(a, b) => {
            let rare = rare();
            entries.insert(b.index(len), rare[a.index(rare.len())].clone());
        }
        Change::Number(a, b, n) => {
            let a = a.index(len);
            entries[a] = replaced(&entries[a], Value::is_number, b, json!(n)).unwrap_or_else(|| entries[a].clone());
        }
        Change::Text(a, b, text) => {
            let a = a.index(len);
            entries[a] = replaced(&entries[a], Value::is_string, b, json!(text)).unwrap_or_else(|| entries[a].clone());
        }
    }
}

fn everybody_reads(plan: &Plan, entries: &[Entry]) {
    let (state, kept, _) = RunState::of_what_is_left(entries.to_vec());
    assert_eq!(RunState::of(&kept), Ok(state.clone()), "what is left can be followed");
    let facts = measure::facts(plan, entries);
    let score = score(plan, &facts);
    assert!(golden::CODES.contains(&score.exit_code), "exit code {}", score.exit_code);
    let whole = Report { plan, facts: &facts, score: &score };
    for text in
        [report::html::render(&whole), report::markdown::render(&whole), report::json::render(&whole), report::junit::render(&whole)]
    {
        assert!(!text.is_empty());
    }
    let _ = report::text::render(&whole, true);
}

#[test]
fn rare_events_are_read() {
    for (name, _) in golden::ALL {
        let (plan, mut entries) = golden::load(&golden::dir(name));
        for event in rare() {
            entries.insert(entries.len() / 2, event);
            everybody_reads(&plan, &entries);
        }
    }
}

#[test]
fn a_run_that_is_finished_a_month_later_makes_no_report_of_a_month() {
    let (plan, mut entries) = golden::load(&golden::dir("interrupted"));
    let month = 30 * 86_400 * 1_000_000_000;
    for entry in entries.iter_mut().filter(|entry| entry.seq > 30) {
        entry.at.0 += month;
    }
    let facts = measure::facts(&plan, &entries);
    let score = score(&plan, &facts);
    let html = report::html::render(&Report { plan: &plan, facts: &facts, score: &score });
    assert!(html.len() < 500_000, "{} bytes", html.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_breaks(which in any::<Index>(), changes in prop::collection::vec(change(), 1..40)) {
        let (name, _) = golden::ALL[which.index(golden::ALL.len())];
        let (plan, mut entries) = golden::load(&golden::dir(name));
        for change in &changes {
            apply(&mut entries, change);
        }
        everybody_reads(&plan, &entries);
    }
}
