//! Drills against true outages: every bound holds the truth, for every way to be down; and a truth server that is not believed when it stood still.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drill::{Done, Place};

fn calibrate(place: &Place, more: &[&str]) -> Done {
    let args: Vec<&str> = ["calibrate", "--output", "json", "--jobs", "3"].iter().chain(more).copied().collect();
    place.run(&args, 600)
}

/// Every way to be down, for a while, for ever, again and again, and not at all. The machine may be too busy to prove anything (exit 11); it may never
/// be wrong.
#[test]
fn the_bounds_hold_the_truth_in_every_way_to_be_down() {
    let ways = ["refuse", "reset", "hang", "blackhole", "status:503", "slow:2000", "stall"];
    let lengths = ["3.7ms", "137.3ms", "703.7ms", "never", "none", "5x137.3ms/61.9ms"];
    let place = Place::new();
    let mut args = vec!["--trials".to_owned(), (ways.len() * lengths.len()).to_string(), "--probe".to_owned(), "10ms,250ms".to_owned()];
    args.extend(ways.iter().flat_map(|way| ["--state".to_owned(), (*way).to_owned()]));
    args.extend(lengths.iter().flat_map(|length| ["--outage".to_owned(), (*length).to_owned()]));
    let done = calibrate(&place, &args.iter().map(String::as_str).collect::<Vec<_>>());
    if done.code == Some(11) && done.stderr.contains("too busy") {
        println!("SKIPPED: {}", done.stderr);
        return;
    }
    let done = done.expect(0);
    let said = done.json();
    let trials = said["trials"].as_array().unwrap();
    assert_eq!(trials.len(), ways.len() * lengths.len());
    assert_eq!(said["calibration"]["covered"], trials.len());
    let of = |length: &str| trials.iter().filter(|trial| trial["length"] == length).collect::<Vec<_>>();
    // A whole outage of 704 ms cannot go unseen, one that did not happen cannot be seen, and one that never ends has no upper bound.
    assert!(of("704 ms").iter().all(|trial| trial["measured_us"].is_array()), "{:#?}", of("704 ms"));
    assert!(of("none").iter().all(|trial| trial["measured_us"].is_null()));
    assert!(of("never").iter().all(|trial| trial["truth_us"].is_array()));
    let kept = std::fs::read_to_string(place.path().join(".firedrill/calibration.json")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["schema"], "firedrill.calibration/1");
    assert!(!place.path().join(".firedrill/calibration").exists(), "good trials leave nothing");
    // Whoever reads the report of a later drill is told.
    place.drill_on_a_node("After a calibration", "{ hold: { rehearse.nothing: {}, for: 300ms } }", "{ within: 10s, stable_for: 300ms }");
    place.run(&["run", "scenario.yaml", "--yes"], 60);
    let run = place.runs().pop().unwrap();
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(run.join("report.json")).unwrap()).unwrap();
    assert_eq!((&report["calibration"]["trials"], &report["calibration"]["good"]), (&trials.len().into(), &true.into()));
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("42 of 42 true outages"), "the page does not tell of the calibration");
    place.assert_nobody_survives(20);
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let place = Place::new();
    for (more, words) in [
        (vec!["--state", "down"], "is no state"),
        (vec!["--state", "up"], "is not down"),
        (vec!["--outage", "soon"], "is no duration"),
        (vec!["--outage", "90s"], "is not between"),
        (vec!["--probe", "10ms"], "is no probe"),
        (vec!["--trials", "0"], "0 is not in"),
    ] {
        let done = calibrate(&place, &more).expect(2);
        assert!(done.stderr.contains(words), "{more:?}: {}", done.stderr);
    }
    assert!(!place.path().join(".firedrill").exists());
}

/// Its drills are drills: they end by themselves, with everything undone, also when nobody waits for them any more.
#[test]
fn a_calibration_that_is_killed_leaves_nothing_that_stands_in_anybodys_way() {
    let place = Place::new();
    for moment in ["injecting", "effective"] {
        let mut child = place.start(&["calibrate", "--trials", "8", "--outage", "703.7ms"]);
        let end = Instant::now() + Duration::from_secs(120);
        let reached = || {
            let trials = std::fs::read_dir(place.path().join(".firedrill/calibration")).into_iter().flatten().flatten();
            let runs = trials.flat_map(|one| walk(&one.path())).filter(|path| path.ends_with("events.jsonl"));
            runs.filter_map(|path| std::fs::read_to_string(path).ok())
                .any(|text| text.contains(&format!("\"type\":\"{moment}\",\"id\":\"outage\"")))
        };
        while !reached() {
            assert!(Instant::now() < end, "no trial comes to `{moment}`");
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let owes = || std::fs::read_dir(place.path().join("registry/runs")).is_ok_and(|mut dir| dir.next().is_some());
        while owes() {
            assert!(Instant::now() < end, "a drill of a killed calibration does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        let done = place.run(&["undo", "--all"], 60).expect(0);
        assert!(done.stderr.contains("nothing to undo"), "{}", done.stderr);
        // A drill that owes nothing any more still judges itself and writes its report.
        while place.is_lived_in() {
            assert!(Instant::now() < end, "a drill of a killed calibration does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::remove_dir_all(place.path().join(".firedrill/calibration")).unwrap();
    }
}

/// Every file below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
