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
use std::sync::Mutex;

use drill::{Place, case, free_ports, side_by_side};
use serde_json::Value;

/// Started with nothing else.
const NOTHING: &str = "\"--replica-lag=0\"";

/// What was counted, beside what was true: name of the case, writes truly lost, and the ledger as it was told.
static COUNTED: Mutex<Vec<(String, u64, Value)>> = Mutex::new(Vec::new());

/// A drill in which the server does something to writes; `serve` says what else it was started with. The truth comes from its own account.
fn drill_of(name: &str, state: &str, serve: &str) -> (Value, Vec<Value>) {
    let place = Place::new();
    let (ledger, told) = drilled(&place, state, serve);
    COUNTED.lock().unwrap().push((name.to_owned(), lost_truly(&told) as u64, ledger.clone()));
    (ledger, told)
}

fn print_table() {
    let mut all = COUNTED.lock().unwrap().clone();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    println!(
        "{:26} {:>10} {:>10} {:>8} {:>8} {:>9} {:>6} {:>6}",
        "writes", "truly lost", "told lost", "unknown", "", "found", "stale", "twice"
    );
    for (name, lost, ledger) in all {
        let n = |key: &str| ledger[key].as_u64().unwrap();
        let verdict = if n("lost") == lost { "PASS" } else { "FAIL" };
        println!(
            "{name:26} {lost:>10} {:>10} {:>8} {:>8} {:>9} {:>6} {:>6}  {verdict}",
            n("lost"),
            n("unknown"),
            "",
            n("recovered"),
            n("stale"),
            n("duplicated")
        );
    }
}

fn drilled(place: &Place, state: &str, serve: &str) -> (Value, Vec<Value>) {
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
    run: [\"${{firedrill}}\", __truth, serve, \"--listen=127.0.0.1:{port}\", \"--dir=${{run.dir}}/truth\", {serve}]
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
            let (ledger, told) = drill_of(&format!("{count:2} lost"), &format!("lose:{count}"), NOTHING);
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
            let (ledger, _) = drill_of("kept without an answer", "late", NOTHING);
            let (unknown, recovered) = (ledger["unknown"].as_u64().unwrap(), ledger["recovered"].as_u64().unwrap());
            // Every one of them is there after all, and none of them is a loss, or anything that should not be there.
            assert!(unknown > 5 && recovered == unknown, "{ledger:#}");
            assert_eq!((&ledger["lost"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
        }),
        case("kept twice", || {
            let (ledger, _) = drill_of("kept twice", "twice", NOTHING);
            assert!(ledger["duplicated"].as_u64().unwrap() > 5, "{ledger:#}");
            assert_eq!(ledger["lost"], 0, "{ledger:#}");
        }),
        case("a replica that lags", || {
            let (ledger, _) = drill_of("a replica that lags", "lose:2", "\"--replica-lag=3\"");
            // Loss is judged at the authority alone; the other reader is told apart.
            assert_eq!(ledger["lost"], 2, "{ledger:#}");
            let divergent = ledger["divergent"].to_string();
            assert!(divergent.contains("/replica") && divergent.contains('3'), "{ledger:#}");
        }),
        case("found only by a later read", || {
            let (ledger, told) = drill_of("found only by a later read", "lose:2", "\"--late=5\"");
            // The authority did not show the last five at first: they are no loss, and it is told that a reader could have missed them.
            assert_eq!((lost_truly(&told), &ledger["lost"], &ledger["stale"]), (2, &2.into(), &5.into()), "{ledger:#}");
        }),
        case("no answer and no write", || {
            let (ledger, _) = drill_of("no answer and no write", "hang", NOTHING);
            let (unknown, recovered) = (ledger["unknown"].as_u64().unwrap(), ledger["recovered"].as_u64().unwrap());
            assert!(unknown > 5 && recovered == 0, "{ledger:#}");
            assert_eq!(ledger["lost"], 0, "{ledger:#}");
        }),
    ];
    side_by_side(losing.into_iter().chain(others).collect());
    print_table();
}
