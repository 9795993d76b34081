//! Writes that are lost, kept without an answer, kept twice, or not shown by a replica, on purpose: each is counted exactly, and what is unknown is
//! never counted as lost.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::path::Path;

use drill::{Place, case, free_ports, side_by_side};
use serde_json::Value;

fn drill_of(place: &Place, state: &str, replica_lag: usize) -> (Value, Vec<Value>) {
    let [port] = free_ports();
    let tell = "\"${firedrill}\", __truth, tell, \"${run.dir}/truth\"";
    let asks =
        |word: &str| format!("{{ command: {{ run: [{tell}, {word}] }}, expect: {{ exit: {{ equals: 0 }} }}, every: 20ms, within: 10s }}");
    place.file(
        "s.yaml",
        format!(
            "firedrill: 1
title: What becomes of writes
environment: test
test: recovery
system:
  truth:
    run: [\"${{firedrill}}\", __truth, serve, \"--listen=127.0.0.1:{port}\", \"--dir=${{run.dir}}/truth\", \"--replica-lag={replica_lag}\"]
    ready: {{ http: {{ url: \"http://127.0.0.1:{port}/\" }}, within: 20s }}
probes:
  orders:
    ledger.http:
      write: {{ method: POST, url: \"http://127.0.0.1:{port}/w/${{key}}\" }}
      acknowledged_when: {{ status: {{ equals: 201 }} }}
      readers:
        - {{ url: \"http://127.0.0.1:{port}/dump\", ids: \"$.ids[*]\", authority: true }}
        - {{ url: \"http://127.0.0.1:{port}/replica\", ids: \"$.ids[*]\" }}
      clean_up: {{ method: DELETE, url: \"http://127.0.0.1:{port}/w/${{key.prefix}}\" }}
    rate: 50/s
    timeout: 200ms
  up: {{ http: {{ url: \"http://127.0.0.1:{port}/\" }}, rate: 20/s, timeout: 200ms }}
steady_state: {{ over: 1s, probes: {{ up: {{ success: {{ min: 50% }} }} }} }}
faults:
  broken:
    command: {{ run: [{tell}, down, '{state}', '300000'] }}
    at: 300ms
    for: 1s
    confirm: {was_down}
    undo: {{ run: [{tell}, up], done_when: {is_up} }}
recovery: {{ within: 20s, stable_for: 300ms }}
",
            was_down = asks("was-down"),
            is_up = asks("is-up"),
        ),
    );
    let done = place.run(&["run", "s.yaml", "--yes", "--output", "json"], 120);
    let run = place.runs().pop().unwrap_or_else(|| panic!("{}", done.stderr));
    let undone = place.journal(&run).iter().any(|entry| entry["event"]["type"] == "undone" && entry["event"]["id"] == "ledger/orders");
    assert!(undone, "what was written is still owed: {}", done.stderr);
    let told = std::fs::read_to_string(Path::new(&run).join("truth/truth.jsonl")).unwrap();
    (done.json()["ledgers"]["orders"].take(), told.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn lost_truly(told: &[Value]) -> usize {
    told.iter().filter(|line| line["ev"] == "lost").map(|line| line["keys"].as_array().unwrap().len()).sum()
}

#[test]
fn what_becomes_of_writes_is_counted_exactly() {
    let losing = [0, 1, 2, 7, 25].map(|count| {
        case(format!("{count} lost"), move || {
            let place = Place::new();
            let (ledger, told) = drill_of(&place, &format!("lose:{count}"), 0);
            assert_eq!(lost_truly(&told), count, "{told:?}");
            assert_eq!(ledger["lost"], count, "{ledger:#}");
            assert_eq!(
                (&ledger["duplicated"], &ledger["unexpected"], &ledger["resurrected"]),
                (&0.into(), &0.into(), &0.into()),
                "{ledger:#}"
            );
            assert_eq!(ledger["divergent"].as_array().map(Vec::len), Some(0), "{ledger:#}");
        })
    });
    let others = [
        case("kept without an answer", || {
            let place = Place::new();
            let (ledger, _) = drill_of(&place, "late", 0);
            let (unknown, recovered) = (ledger["unknown"].as_u64().unwrap(), ledger["recovered"].as_u64().unwrap());
            // Every one of them is there after all, and none of them is a loss, or anything that should not be there.
            assert!(unknown > 5 && recovered == unknown, "{ledger:#}");
            assert_eq!((&ledger["lost"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
        }),
        case("kept twice", || {
            let place = Place::new();
            let (ledger, _) = drill_of(&place, "twice", 0);
            assert!(ledger["duplicated"].as_u64().unwrap() > 5, "{ledger:#}");
            assert_eq!(ledger["lost"], 0, "{ledger:#}");
        }),
        case("a replica that lags", || {
            let place = Place::new();
            let (ledger, _) = drill_of(&place, "lose:2", 3);
            // Loss is judged at the authority alone; the other reader is told apart.
            assert_eq!(ledger["lost"], 2, "{ledger:#}");
            let divergent = ledger["divergent"].to_string();
            assert!(divergent.contains("/replica") && divergent.contains('3'), "{ledger:#}");
        }),
        case("no answer and no write", || {
            let place = Place::new();
            let (ledger, _) = drill_of(&place, "hang", 0);
            let (unknown, recovered) = (ledger["unknown"].as_u64().unwrap(), ledger["recovered"].as_u64().unwrap());
            assert!(unknown > 5 && recovered == 0, "{ledger:#}");
            assert_eq!(ledger["lost"], 0, "{ledger:#}");
        }),
    ];
    side_by_side(losing.into_iter().chain(others).collect());
}
