//! One scenario for each fault kind under `scenarios/kinds/`: each is run as it is shipped and must pass.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use drill::{Place, free_ports};
use firedrill::fault::KINDS;
use serde_json::Value;

/// How many drills run at one time: more would disturb each other's probes.
const AT_ONCE: usize = 3;
/// A machine that was too busy to watch from decides nothing: such a drill is repeated without company, so often.
const TRIES_ALONE: usize = 4;

fn file(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/kinds/{}.yaml", kind.replace('.', "-")))
}

fn text(kind: &str) -> String {
    let file = file(kind);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The ports that a scenario declares, by name.
fn ports(kind: &str) -> Vec<(String, u16)> {
    let scenario: Value = serde_saphyr::from_str(&text(kind)).unwrap();
    let vars = scenario["vars"].as_object().unwrap();
    vars.iter().map(|(name, port)| (name.clone(), port.as_str().unwrap().parse().unwrap())).collect()
}

#[test]
fn every_kind_has_a_scenario_of_its_own_with_ports_of_its_own() {
    let mut taken = Vec::new();
    for kind in KINDS {
        let kind = kind.kind();
        let text = text(kind);
        assert_eq!(text.lines().next(), Some("# yaml-language-server: $schema=../scenario.schema.json"), "{kind}");
        let scenario: Value = serde_saphyr::from_str(&text).unwrap();
        let faults: Vec<&Value> = scenario["faults"].as_object().unwrap().values().collect();
        assert!(faults.len() == 1 && faults[0].get(kind).is_some(), "{kind}: its scenario shows something else");
        for (_, port) in ports(kind) {
            // Above, the kernel hands them out to clients; twice, two examples could not run beside each other.
            assert!(port < 32768 && !taken.contains(&port), "{kind}: port {port}");
            taken.push(port);
        }
    }
    let shipped = std::fs::read_dir(file("x").parent().unwrap()).unwrap().flatten().count();
    assert_eq!(shipped, KINDS.len(), "a file under scenarios/kinds is of no kind");
}

#[test]
fn every_scenario_is_accepted_without_a_warning() {
    let place = Place::new();
    let files: Vec<String> = KINDS.iter().map(|kind| file(kind.kind()).display().to_string()).collect();
    let args: Vec<&str> = ["check"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let done = place.run(&args, 30).expect(0);
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
}

/// Runs the scenario of a kind; false when the prober was in doubt, which is no result, unless there `must` be one.
fn run(kind: &str, free: &[u16], must: bool) -> bool {
    let place = Place::new();
    let file = file(kind).display().to_string();
    let vars: Vec<String> = ports(kind).iter().zip(free).map(|((name, _), port)| format!("{name}={port}")).collect();
    let mut args = vec!["run", &file, "--yes", "--output", "json"];
    for var in &vars {
        args.extend(["--var", var]);
    }
    let done = place.run(&args, 90);
    let in_doubt = matches!(done.code, Some(31 | 33)) && done.json()["validity"]["tainted_seconds"] != 0;
    if in_doubt && !must {
        place.assert_nobody_survives(5);
        return false;
    }
    let done = done.expect(0);
    let report = done.json();
    assert_eq!(report["run"]["outcome"], "completed", "{kind}");
    assert_eq!(report["run"]["system"], "passed", "{kind}");
    let faults = report["faults"].as_object().unwrap();
    assert_eq!(faults.len(), 1, "{kind}");
    for fault in faults.values() {
        assert_eq!((&fault["kind"], &fault["phase"]), (&Value::from(kind), &Value::from("undone")), "{kind}");
        assert!(fault["effective"]["hi_mono_ns"].is_u64(), "{kind}: nobody saw it bite");
    }
    assert_eq!(report["owed"], Value::Array(Vec::new()), "{kind}");
    let outages = report["probes"]["checkout"]["outages"].as_array().unwrap().len();
    match kind {
        "process.kill" | "process.pause" | "proxy.reset" | "proxy.blackhole" | "network.blackhole" | "network.reject" => {
            assert!(outages >= 1, "{kind}: users noticed nothing");
        }
        "proxy.latency" => {
            // 60 ms, 20 more or less, on the way down.
            let p50 = report["probes"]["checkout"]["phases"]["slow-path.during"]["p50_us"].as_u64().unwrap();
            assert!((40_000..300_000).contains(&p50), "{kind}: {p50} µs");
        }
        _ => {}
    }
    place.assert_nobody_survives(5);
    true
}

#[test]
fn every_scenario_passes_and_leaves_nothing() {
    // All ports at once, so that no two are the same.
    let free: [u16; 2 * KINDS.len()] = free_ports();
    let waiting =
        Mutex::new(KINDS.iter().map(|kind| kind.kind()).zip(free.chunks(2)).filter(|(kind, _)| needs::shown(kind)).collect::<Vec<_>>());
    let undecided = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().pop();
                    let Some((kind, ports)) = next else { break };
                    if !run(kind, ports, false) {
                        undecided.lock().unwrap().push((kind, ports));
                    }
                }
            });
        }
    });
    for (kind, ports) in undecided.into_inner().unwrap() {
        assert!((1..=TRIES_ALONE).any(|nth| run(kind, ports, nth == TRIES_ALONE)), "{kind}");
    }
}
