//! A review over runs: what is judged of them together, in every form, and what it makes of runs that are missing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use drill::{Done, Place};
use firedrill::base::digest_of;
use firedrill::journal;
use serde_json::Value;

const PATIENCE: u64 = 60;
const PASSED: &str = "01M80XV2XFM9FPRHD77D8KWRCS";

fn id(n: usize) -> String {
    format!("{}{n:06}", &PASSED[..20])
}

/// Lays down the `n`th run, which is the golden one in another environment, and says in the register that it was started.
fn lay(place: &Place, n: usize, environment: &str) {
    let runs = place.path().join(".firedrill/runs");
    let dir = runs.join(id(n));
    std::fs::create_dir_all(&dir).unwrap();
    let from = golden::dir("passed");
    std::fs::copy(from.join(journal::SCENARIO), dir.join(journal::SCENARIO)).unwrap();
    let plan = std::fs::read_to_string(from.join(journal::PLAN)).unwrap();
    let mut value: Value = serde_json::from_str(&plan).unwrap();
    value["environment"] = environment.into();
    value["carried"]["cadence"] = "1d".into();
    let anew = serde_json::to_string(&value).unwrap();
    let (before, after) = (digest_of(plan.as_bytes()).to_string(), digest_of(anew.as_bytes()).to_string());
    let events = std::fs::read_to_string(from.join(journal::FILE)).unwrap();
    let lines = golden::rewrite(&events, |body| body.replace(PASSED, &id(n)).replace(&before, &after));
    std::fs::write(dir.join(journal::PLAN), &anew).unwrap();
    std::fs::write(dir.join(journal::FILE), lines.concat()).unwrap();
    let began = journal::read(&dir).unwrap().entries.into_iter().find_map(|entry| {
        let value = serde_json::to_value(&entry.event).unwrap();
        value["wall"].as_str().or(value["started_at"].as_str()).map(str::to_owned)
    });
    journal::register_start(&runs, &id(n), "scenario", &after, &began.unwrap()).unwrap();
}

/// The golden run is old, and grows older.
fn review(place: &Place, more: &[&str]) -> Done {
    place.run(&[&["review", "--since", "3650d"], more].concat(), PATIENCE)
}

fn of<'a>(told: &'a Value, label: &str) -> &'a Value {
    told["practices"].as_array().unwrap().iter().find(|one| one["label"] == label).unwrap()
}

#[test]
fn runs_are_judged_together_in_every_form() {
    let place = Place::new();
    let done = review(&place, &[]).expect(0);
    assert!(done.stderr.contains("nothing is known of how anybody practises"), "{}", done.stderr);

    lay(&place, 0, "test");
    lay(&place, 1, "staging");
    let told = review(&place, &["--output", "json"]).expect(0).json();
    let schema = review(&place, &["--schema"]).expect(0).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&told).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    assert_eq!((&told["runs"], &told["evidence"]), (&2.into(), &2.into()), "{told:#}");
    let several = of(&told, "OPS05-BP08");
    assert_eq!((&several["verdict"], &several["runs"]), (&"supported".into(), &serde_json::json!([id(0), id(1)])), "{several:#}");
    // The golden run's directory is not on this machine: whether its scenario is kept under version control is not known.
    assert_eq!(of(&told, "REL12-BP04")["verdict"], "not_drilled");
    assert_eq!(told["scenarios"][0]["overdue"], true, "{told:#}");

    let text = review(&place, &["--all"]).expect(0).stdout;
    for words in ["2 runs, 2 of them evidence", "supported    OPS05-BP08", "OVERDUE: last run", "not instrumented: "] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let markdown = review(&place, &["--output", "md"]).expect(0).stdout;
    assert!(markdown.starts_with("# Review of ") && markdown.contains("| supported | OPS05-BP08 "), "{markdown}");
    let page = review(&place, &["--output", "html"]).expect(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Review over runs") && page.contains("OPS05-BP08"), "{page}");
    let explained = review(&place, &["--explain", "ops11-bp02"]).expect(0).stdout;
    assert!(explained.contains("review_held_days") && explained.contains("rule, the first that holds"), "{explained}");
    for (name, words) in [("REL11-BP01", "is not judged over runs"), ("OPS99-BP01", "no practice is called")] {
        let done = review(&place, &["--explain", name]).expect(2);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
    let done = place.run(&["review", "--since", "soon"], PATIENCE).expect(2);
    assert!(done.stderr.contains("soon"), "{}", done.stderr);
    // In the last day there was nothing.
    let told = place.run(&["review", "--since", "1d", "--output", "json"], PATIENCE).expect(0).json();
    assert_eq!((&told["runs"], &of(&told, "OPS05-BP08")["verdict"]), (&0.into(), &"not_drilled".into()), "{told:#}");
}

#[test]
fn a_demonstration_counts_for_nothing_and_a_deleted_run_takes_all_support() {
    let place = Place::new();
    lay(&place, 0, "laptop");
    let told = review(&place, &["--output", "json"]).expect(0).json();
    assert_eq!((&told["runs"], &told["evidence"]), (&1.into(), &0.into()));
    assert!(told["practices"].as_array().unwrap().iter().all(|one| one["verdict"] == "not_drilled"), "{told:#}");

    lay(&place, 1, "test");
    lay(&place, 2, "staging");
    assert_eq!(of(&review(&place, &["--output", "json"]).expect(0).json(), "OPS05-BP08")["verdict"], "supported");
    std::fs::remove_dir_all(place.path().join(".firedrill/runs").join(id(0))).unwrap();
    let told = review(&place, &["--output", "json"]).expect(0).json();
    assert!(told["caveats"][0].as_str().unwrap().contains(&id(0)), "{told:#}");
    assert_eq!(of(&told, "OPS05-BP08")["verdict"], "not_drilled");
    let register = place.path().join(".firedrill/register.jsonl");
    let text = std::fs::read_to_string(&register).unwrap();
    std::fs::write(&register, text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let said = review(&place, &[]).expect(0).stdout;
    assert!(said.contains("the register of starts cannot be relied on: line 1"), "{said}");
}

#[test]
fn what_was_talked_over_is_seen() {
    let place = Place::new();
    lay(&place, 0, "test");
    let before = review(&place, &["--output", "json"]).expect(0).json();
    place.run(&["debrief", &id(0), "--well", "It came back.", "--factor", "One node held all sessions."], PATIENCE).expect(0);
    let after = review(&place, &["--output", "json"]).expect(0).json();
    // Nobody took part and nothing was found in that run: it needs no review, and one that was held is not asked for.
    for told in [&before, &after] {
        assert_eq!(told["signals"]["lessons_recorded"]["state"], "not_instrumented", "{told:#}");
    }
    let report = std::fs::read_to_string(place.path().join(".firedrill/runs").join(id(0)).join("report.md")).unwrap();
    assert!(report.contains("What contributed") && report.contains("One node held all sessions."), "{report}");
}
