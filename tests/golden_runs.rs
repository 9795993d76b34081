//! Ten runs as they may end, made here without a clock or a machine: a prober that watches a service over time, and a drill around both. Each is kept as
//! plan and journal with every form of its report under `tests/journals/golden/NAME`; judged again they give the same bytes. `FIREDRILL_BLESS=1` writes
//! them anew; then look at what changed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::path::PathBuf;

use drill::Place;
use firedrill::base::{digest_of, line_sum};
use firedrill::event::Entry;
use firedrill::journal;
use firedrill::measure;
use firedrill::plan::Plan;
use firedrill::report::{self, Report};
use firedrill::score::{Verdict, score};
use serde_json::{Value, json};

/// Every run: its exit code, and words that its terminal report must hold.
const RUNS: [(&str, u8, &str); 10] = [
    ("passed", 0, "passed"),
    ("failed-rto", 30, "back within"),
    ("lost-writes", 30, "acknowledged"),
    ("same-node", 30, "a restart, not a failover"),
    ("flapping", 30, "back within"),
    ("aborted", 40, "guard neighbours"),
    ("not-steady", 20, "not steady"),
    ("not-confirmed", 33, "not confirmed"),
    ("starved", 33, "stood still"),
    ("team-late", 32, "acknowledged"),
];

const EVERY: u64 = 100;
const END: u64 = 40_000;
const HURT: u64 = 10_000;

fn ns(ms: u64) -> u64 {
    ms * 1_000_000
}

fn plan(name: &str) -> Value {
    let probe = |kind: &str, ledger: bool| {
        json!({ "kind": kind, "spec": null, "rate": "10/s", "timeout": "800ms", "expect": {}, "served_by": { "header": "x-node" }, "control": false,
                "in_flight": 32, "ledger": ledger })
    };
    let mut plan = json!({
        "schema": 1, "name": "primary-loss", "base_dir": "/golden/base", "title": "The primary is lost", "why": null, "owner": "payments-sre",
        "environment": "test", "test": "recovery", "mode": "normal", "scenario_digest": digest_of(name.as_bytes()).to_string(),
        "workload_digest": null, "secrets": {}, "system": {}, "proxies": {}, "targets": {},
        "probes": { "checkout": probe("http", false), "orders": probe("ledger.http", true) },
        "steady": { "over": "5s", "probes": { "checkout": { "success": { "min": "99.5%" }, "p99": { "max": "300ms" } } } },
        "guards": {},
        "faults": { "lose-primary": { "kind": "process.kill", "spec": null, "at": { "after": "steady", "plus": "5s" }, "hold": "once",
            "confirm": null, "confirm_every": "50ms", "confirm_within": "5s", "recovery_within": "60s", "stable_for": "3s",
            "recovered_by": ["checkout"], "undo": null } },
        "restore": {},
        "claims": { "back-soon": { "fault": "lose-primary", "service": "checkout", "disruption": "node-loss", "measured_by": ["checkout"],
            "rto": { "max": "10s", "from": "effect" }, "rpo": { "max": "0s", "ledger": "orders" }, "availability": null, "latency": null,
            "by": "another-instance", "holds": {}, "source": null } },
        "subject": {}, "baseline_within": "60s", "settle_within": "60s", "reset": null, "not_judged": [], "carried": {}
    });
    if name == "team-late" {
        let effective = json!({ "after": { "effective": "lose-primary" }, "plus": "0s" });
        plan["team"] = json!({ "roles": { "ops": ["dan"] },
            "expect": { "acknowledged": { "what": { "ack": {} }, "by": "ops", "within": "5s", "from": effective } } });
    }
    plan
}

/// When the service is down, in milliseconds.
fn down(name: &str) -> Vec<(u64, u64)> {
    match name {
        "failed-rto" => vec![(HURT + 2, HURT + 14_000)],
        "flapping" => vec![(HURT + 2, HURT + 5_000), (HURT + 6_500, HURT + 9_000), (HURT + 10_500, HURT + 12_000)],
        "not-steady" => vec![(1_000, END)],
        "not-confirmed" => vec![],
        _ => vec![(HURT + 2, HURT + 4_000)],
    }
}

fn samples(name: &str, probe: &str, until: u64) -> Vec<(u64, Value)> {
    let down = down(name);
    let up = down.last().map_or(END, |(_, up)| *up);
    let rows: Vec<(u64, Value)> = (0..until / EVERY)
        .map(|n| {
            let planned = 3 + n * EVERY;
            // Four to nine milliseconds, the same each time.
            let took = 4_000_000 + (n.wrapping_mul(2_654_435_761) >> 9) % 5_000_000;
            let bad = down.iter().any(|(from, to)| (*from..*to).contains(&(planned + 2)));
            let who = if planned >= up && name != "same-node" { "b" } else { "a" };
            let (verdict, class) = if bad { ("bad", "refused") } else { ("ok", "ok") };
            let by = (!bad).then_some(who);
            (ns(planned) + took, json!([n, ns(planned), ns(planned), ns(planned), ns(planned) + took, verdict, class, by, null]))
        })
        .collect();
    let batch = |rows: &[(u64, Value)]| {
        let all: Vec<&Value> = rows.iter().map(|(_, row)| row).collect();
        (rows.iter().map(|(at, _)| *at).max().unwrap(), json!({ "type": "samples", "probe": probe, "rows": all }))
    };
    rows.chunks(10).map(batch).collect()
}

fn events(name: &str, digest: &str) -> Vec<(u64, Value)> {
    let run = format!("01M80GOLDEN{:015}", RUNS.iter().position(|(run, ..)| *run == name).unwrap());
    let anchor = json!({ "type": "anchor", "boot_id": golden::BOOT, "mono_ns": 5_000_000_000_u64, "boottime_ns": 5_000_000_000_u64, "wall": "2026-01-05T09:00:00Z" });
    let mut all: Vec<(u64, Value)> = vec![
        (0, json!({ "type": "run_started", "schema": 1, "firedrill": "0.1.0", "run": run, "plan_digest": digest, "pid": 1 })),
        (0, anchor),
        (0, json!({ "type": "baseline_started" })),
    ];
    let mut at = |ms: u64, event: Value| all.push((ns(ms), event));
    let end = match name {
        "not-steady" => 20_000,
        "not-confirmed" => 16_000,
        "aborted" => 13_000,
        _ => END,
    };
    if name == "not-steady" {
        at(end, json!({ "type": "steady_missed", "why": "checkout success 0 % is below 99.5 %" }));
        at(end, json!({ "type": "probes_stopped" }));
        at(end, json!({ "type": "run_finished", "outcome": "not_steady" }));
    } else {
        at(5_000, json!({ "type": "steady_shown", "since": 0, "summary": "checkout 100 %" }));
        let undo = json!({ "kind": "process.kill", "detail": null, "by_hand": "start a", "declared": null });
        at(
            HURT - 10,
            json!({ "type": "armed", "id": "lose-primary", "role": "fault", "undo": undo, "targets": ["a, pid 7"], "summary": "SIGKILL to a, pid 7" }),
        );
        at(HURT, json!({ "type": "injecting", "id": "lose-primary" }));
        at(HURT + 1, json!({ "type": "injected", "id": "lose-primary" }));
        if name == "not-confirmed" {
            at(
                end - 1_000,
                json!({ "type": "not_confirmed", "id": "lose-primary", "why": "127.0.0.1:6001 still accepts connections after 5 s" }),
            );
        } else {
            at(
                HURT + 2,
                json!({ "type": "effective", "id": "lose-primary", "when": { "lo": ns(HURT + 1), "hi": ns(HURT + 2) }, "seen": "gone" }),
            );
        }
        if name == "starved" {
            at(HURT + 6_000, json!({ "type": "stall", "from": ns(HURT + 3_000), "to": ns(HURT + 5_500) }));
        }
        if name == "team-late" {
            at(10, json!({ "type": "team", "what": "listening", "place": "/golden/people" }));
            at(HURT + 9_000, json!({ "type": "team", "what": "said", "role": "ops", "by": "dan", "deed": { "mark": { "mark": "ack" } } }));
        }
        if name == "aborted" {
            at(12_500, json!({ "type": "abort_requested", "by": "guard neighbours", "reason": "value 7 is above 5" }));
        }
        let undoing = if end == END { 30_000 } else { end - 500 };
        at(undoing, json!({ "type": "undoing", "id": "lose-primary", "attempt": 1, "why": "held" }));
        at(
            undoing + 10,
            json!({ "type": "undone", "id": "lose-primary", "when": { "lo": ns(undoing + 5), "hi": ns(undoing + 10) }, "seen": "back" }),
        );
        if end == END {
            at(31_000, json!({ "type": "settle_started" }));
            at(END, json!({ "type": "steady_after", "since": ns(31_000) }));
        }
        at(end, json!({ "type": "probes_stopped" }));
        if end == END {
            at(END, ledger(name));
            at(END, json!({ "type": "ledgers_read" }));
        }
        at(end, json!({ "type": "run_finished", "outcome": if name == "aborted" { "aborted" } else { "completed" } }));
    }
    all.extend(samples(name, "checkout", end - 200));
    all.extend(samples(name, "orders", end - 200));
    all.sort_by_key(|(at, _)| *at);
    all
}

/// What is found: everything that was acknowledged, but for a few in the last second before the effect.
fn ledger(name: &str) -> Value {
    let down = down(name);
    let acked = (0..(END - 200) / EVERY).filter(|n| !down.iter().any(|(from, to)| (*from..*to).contains(&(5 + n * EVERY))));
    let lost = |n: &u64| name == "lost-writes" && (93..98).contains(n);
    let found: Vec<(u64, u64)> = acked.filter(|n| !lost(n)).map(|n| (n, n)).collect();
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (from, to) in found {
        match ranges.last_mut().filter(|last| last.1 + 1 == from) {
            Some(last) => last.1 = to,
            None => ranges.push((from, to)),
        }
    }
    json!({ "type": "ledger_read", "ledger": "orders", "reader": "b", "authority": true, "settled": true, "found": ranges, "duplicated": [], "unexpected": 0 })
}

/// Plan and journal of a run, as they lie on disk.
fn made(name: &str) -> [(&'static str, String); 2] {
    // As this version writes them, so that a digest covers what is there.
    let plan: Plan = serde_json::from_value(plan(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let plan = serde_json::to_string_pretty(&plan).unwrap();
    let (mut sum, mut lines) = (String::new(), String::new());
    for (seq, (at, event)) in events(name, &digest_of(plan.as_bytes()).to_string()).into_iter().enumerate() {
        let body = json!({ "seq": seq, "at": at, "event": event }).to_string();
        let entry: Entry = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{name}: {error}: {body}"));
        let body = serde_json::to_string(&entry).unwrap();
        sum = line_sum(&sum, &body);
        lines += &format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1]);
    }
    [(journal::PLAN, plan), (journal::FILE, lines)]
}

fn dir(name: &str) -> PathBuf {
    golden::home().join("golden").join(name)
}

fn forms(whole: &Report<'_>) -> [(&'static str, String); 5] {
    [
        ("report.html", report::html::render(whole)),
        ("report.md", report::markdown::render(whole)),
        ("report.json", report::json::render(whole)),
        ("report.xml", report::junit::render(whole)),
        ("report.txt", report::text::render(whole, false)),
    ]
}

#[test]
fn ten_runs_are_judged_as_they_were() {
    let bless = std::env::var("FIREDRILL_BLESS").is_ok();
    let mut wrong = Vec::new();
    for (name, code, words) in RUNS {
        let dir = dir(name);
        let mut hold = |file: &str, text: &str| {
            if bless {
                std::fs::create_dir_all(&dir).unwrap();
                std::fs::write(dir.join(file), text).unwrap();
            }
            if std::fs::read_to_string(dir.join(file)).unwrap_or_default() != text {
                wrong.push(format!("tests/journals/golden/{name}/{file}"));
            }
        };
        made(name).iter().for_each(|(file, text)| hold(file, text));
        let (plan, entries) = golden::load(&dir);
        let facts = measure::facts(&plan, &entries);
        let scored = score(&plan, &facts);
        let forms = forms(&Report { plan: &plan, facts: &facts, score: &scored });
        forms.iter().for_each(|(file, text)| hold(file, text));
        let text = forms[4].1.split_whitespace().collect::<Vec<_>>().join(" ");
        if scored.exit_code != code || !text.contains(words) {
            wrong.push(format!("{name}: exit {}, not {code}, or `{words}` is not in: {text}", scored.exit_code));
        }
        if scored.practices.practices.iter().any(|told| told.verdict == Verdict::Supported) && !matches!(code, 0 | 30 | 32) {
            wrong.push(format!("{name}: what is no evidence supports something"));
        }
        if matches!(code, 30 | 32) == scored.findings.is_empty() {
            wrong.push(format!("{name}: {} findings", scored.findings.len()));
        }
    }
    assert!(wrong.is_empty(), "FIREDRILL_BLESS=1 writes them anew:\n{}", wrong.join("\n"));
}

/// The binary says the same of a copy, in every form, and a plan of an earlier version, without what was added since, still reads.
#[test]
fn the_binary_says_the_same_and_reads_what_earlier_versions_wrote() {
    let place = Place::new();
    for (name, code, _) in RUNS {
        let to = place.path().join("runs").join(name);
        std::fs::create_dir_all(&to).unwrap();
        for file in [journal::PLAN, journal::FILE] {
            std::fs::copy(dir(name).join(file), to.join(file)).unwrap();
        }
        let done = place.run(&["report", to.to_str().unwrap(), "--output", "json"], 60).expect(i32::from(code));
        assert_eq!(done.json()["run"]["exit_code"], code, "{name}");
        for file in ["report.html", "report.md", "report.json", "report.xml"] {
            let (here, there) = (std::fs::read(to.join(file)).unwrap(), std::fs::read(dir(name).join(file)).unwrap());
            assert!(here == there, "{name}/{file} differs");
        }
    }
    let to = place.path().join("runs/earlier");
    std::fs::create_dir_all(&to).unwrap();
    let text = std::fs::read_to_string(dir("failed-rto").join(journal::PLAN)).unwrap();
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    let optional = ["notify", "team", "policy", "pins", "aws"];
    plan.as_object_mut().unwrap().retain(|key, _| !optional.contains(&key.as_str()));
    plan["probes"].as_object_mut().unwrap().values_mut().for_each(|probe| drop(probe.as_object_mut().unwrap().remove("clean_up")));
    let anew = plan.to_string();
    let (before, after) = (digest_of(text.as_bytes()).to_string(), digest_of(anew.as_bytes()).to_string());
    let events = std::fs::read_to_string(dir("failed-rto").join(journal::FILE)).unwrap();
    std::fs::write(to.join(journal::PLAN), anew).unwrap();
    std::fs::write(to.join(journal::FILE), golden::rewrite(&events, |body| body.replace(&before, &after)).concat()).unwrap();
    place.run(&["report", to.to_str().unwrap(), "--output", "text"], 60).expect(30);
}
