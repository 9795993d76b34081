//! The history beside the runs: filled when it is asked, made again when it is gone, and never better informed than the run directories.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drill::{Done, Place, wait};
use firedrill::base::digest_of;
use firedrill::history::{FILE, History, HistoryError, SCHEMA};
use firedrill::journal;
use serde_json::{Value, json};

const PATIENCE: u64 = 60;
const PASSED: &str = "01M80XV2XFM9FPRHD77D8KWRCS";

/// A run that begins like the golden one and is the `n`th.
fn id(n: usize) -> String {
    format!("{}{n:06}", &PASSED[..20])
}

/// Lays down the `n`th run: the golden one under another id, with its plan changed.
fn lay(place: &Place, n: usize, change: impl Fn(&str) -> String) -> PathBuf {
    let dir = place.path().join(".firedrill/runs").join(id(n));
    std::fs::create_dir_all(&dir).unwrap();
    let from = golden::dir("passed");
    std::fs::copy(from.join(journal::SCENARIO), dir.join(journal::SCENARIO)).unwrap();
    let plan = std::fs::read_to_string(from.join(journal::PLAN)).unwrap();
    let anew = change(&plan);
    let (before, after) = (digest_of(plan.as_bytes()).to_string(), digest_of(anew.as_bytes()).to_string());
    let events = std::fs::read_to_string(from.join(journal::FILE)).unwrap();
    let lines = golden::rewrite(&events, |body| body.replace(PASSED, &id(n)).replace(&before, &after));
    std::fs::write(dir.join(journal::PLAN), anew).unwrap();
    std::fs::write(dir.join(journal::FILE), lines.concat()).unwrap();
    dir
}

fn runs(count: usize) -> Place {
    let place = Place::new();
    (0..count).for_each(|n| drop(lay(&place, n, str::to_owned)));
    place
}

fn file(place: &Place) -> PathBuf {
    place.path().join(".firedrill").join(FILE)
}

fn trend(place: &Place) -> Done {
    place.run(&["trend", "scenario", "--output", "json"], PATIENCE)
}

fn told(place: &Place) -> Value {
    trend(place).expect(0).json()
}

#[test]
fn a_trend_is_told_from_all_runs_and_follows_them() {
    let place = runs(3);
    let first = told(&place);
    assert_eq!((&first["schema"], first["runs"].as_array().unwrap().len()), (&json!("firedrill.trend/1"), 3));
    let claim = |told: &Value, name: &str| told["claims"].as_array().unwrap().iter().find(|claim| claim["name"] == name).unwrap().clone();
    let rto = claim(&first, "survives-a-node.rto");
    assert_eq!((&rto["held"], &rto["of"], &rto["flaky"], &rto["unit"]), (&json!(3), &json!(3), &json!(false), &json!("ns")));
    // What the report of the golden run says.
    let lo = rto["runs"][0]["lo"].as_f64().unwrap();
    assert!((lo / 1000.0).floor() as u64 == 326_381 && rto["runs"][0]["objective"] == 6_000_000_000.0, "{rto}");
    assert_eq!(told(&place), first, "from the history, the same");

    // A stricter objective is another thing, and is not held.
    lay(&place, 3, |plan| plan.replacen("\"max\": \"6s\"", "\"max\": \"200ms\"", 1));
    let done = place.run(&["trend", "scenario"], PATIENCE).expect(0);
    assert!(done.stdout.contains("4 runs") && done.stdout.contains("held in 3 of 4"), "{}", done.stdout);
    assert!(done.stdout.contains(&format!("something was changed before {}", id(3))) && !done.stdout.contains("flips"), "{}", done.stdout);
    // A run that is gone is no part of it, and one that went on is judged again.
    std::fs::remove_dir_all(place.path().join(".firedrill/runs").join(id(0))).unwrap();
    let journal = place.path().join(".firedrill/runs").join(id(3)).join(journal::FILE);
    let text = std::fs::read_to_string(&journal).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&journal, lines[..60].concat()).unwrap();
    let last = told(&place);
    assert_eq!(last["runs"].as_array().unwrap().len(), 3);
    assert_eq!(last["runs"][2]["exit_code"], 50, "{last:#}");
    let page = place.run(&["trend", "scenario", "--output", "html"], PATIENCE).expect(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Trend over runs") && page.contains("class=\"bound"), "{page}");
    let done = place.run(&["trend", "nothing"], PATIENCE).expect(2);
    assert!(done.stderr.contains("no run of `nothing`"), "{}", done.stderr);
    let done = place.run(&["show", "last"], PATIENCE).expect(0);
    assert!(done.stdout.contains("exit 50") && done.stdout.contains("survives-a-node.rto  "), "{}", done.stdout);
    assert!(!done.stdout.contains("survives-a-node  inconclusive  not measured"), "{}", done.stdout);
}

#[test]
fn a_comparison_says_what_was_changed_and_how_far_apart_they_are() {
    let place = runs(1);
    lay(&place, 1, |plan| plan.replacen("\"max\": \"6s\"", "\"max\": \"200ms\"", 1));
    let done = place.run(&["compare", &id(0), &id(1)], PATIENCE).expect(0);
    for words in ["`claims.survives-a-node.rto.max` is \"6s\" here, \"200ms\" there", "passed → failed", "no difference is shown", ": 50 %"]
    {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let other = place.path().join(".firedrill/runs").join("01M80XWTC3C8E4M6K75ZZNNRNG");
    std::fs::create_dir_all(&other).unwrap();
    for name in [journal::PLAN, journal::FILE] {
        std::fs::copy(golden::dir("proxied").join(name), other.join(name)).unwrap();
    }
    let told = place.run(&["compare", &id(0), "last", "--output", "json"], PATIENCE).expect(0).json();
    assert_eq!(told["schema"], "firedrill.comparison/1");
    assert!(told["changes"].as_array().unwrap().len() > 5, "{told:#}");
    assert_eq!(place.run(&["compare", &id(0), "nobody"], PATIENCE).code, Some(2));
    assert!(!file(&place).exists(), "two runs need no history");
}

#[test]
fn what_is_wrong_with_the_file_is_said_and_mended() {
    let place = runs(3);
    let whole = told(&place);
    let rebuild = || place.run(&["history", "rebuild"], PATIENCE);
    let bad = |told: &str| {
        let done = trend(&place).expect(11);
        assert!(done.stderr.contains(told) && done.stderr.contains("history rebuild") && done.stdout.is_empty(), "{}", done.stderr);
    };
    // Damaged at its beginning, and cut in the middle.
    let good = std::fs::read(file(&place)).unwrap();
    std::fs::write(file(&place), "no database at all, but long enough to be looked at ".repeat(100)).unwrap();
    bad("is damaged");
    let done = rebuild().expect(0);
    assert!(done.stdout.contains("3 runs") && done.stderr.contains("history.db.damaged"), "{}{}", done.stdout, done.stderr);
    assert_eq!(told(&place), whole);
    std::fs::write(file(&place), &good[..good.len() / 2]).unwrap();
    bad("is damaged");
    rebuild().expect(0);
    assert_eq!(told(&place), whole);
    // Of another version, older or newer.
    for version in [0, SCHEMA + 1] {
        let db = rusqlite::Connection::open(file(&place)).unwrap();
        db.pragma_update(None, "user_version", version).unwrap();
        drop(db);
        bad(&format!("has format {version}; this version of firedrill reads {SCHEMA}"));
        rebuild().expect(0);
        assert_eq!(told(&place), whole);
    }
    // Rows that another version judged are judged again; so is a value of another type than ours.
    let db = rusqlite::Connection::open(file(&place)).unwrap();
    db.execute("UPDATE run SET firedrill = '0.0.9', exit_code = 99", []).unwrap();
    drop(db);
    assert_eq!(told(&place), whole);
    // Somebody else's database is left alone.
    std::fs::remove_file(file(&place)).unwrap();
    let db = rusqlite::Connection::open(file(&place)).unwrap();
    db.execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)").unwrap();
    drop(db);
    for done in [trend(&place), rebuild()] {
        assert!(done.code == Some(11) && done.stderr.contains("is not a history of firedrill"), "{}", done.stderr);
    }
    let db = rusqlite::Connection::open(file(&place)).unwrap();
    assert_eq!(db.query_row("SELECT x FROM mine", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_file_that_another_process_holds_is_waited_for_and_then_said() {
    let place = runs(2);
    told(&place);
    lay(&place, 2, str::to_owned);
    let db = rusqlite::Connection::open(file(&place)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The new run cannot be kept: it is told all the same.
    let done = trend(&place).expect(0);
    assert!(
        done.stderr.contains("another process has been writing") && done.stderr.contains("1 run judged for now only"),
        "{}",
        done.stderr
    );
    assert_eq!(done.json()["runs"].as_array().unwrap().len(), 3);
    let done = place.run(&["history", "rebuild"], PATIENCE).expect(11);
    assert!(done.stderr.contains("another process") && done.stderr.contains("try again"), "{}", done.stderr);
    db.execute_batch("ROLLBACK").unwrap();
    assert_eq!(told(&place)["runs"].as_array().unwrap().len(), 3);
}

#[test]
fn processes_that_write_at_once_lose_nothing() {
    let place = runs(24);
    let many: Vec<_> = (0..6)
        .map(|n| place.start(if n % 3 == 0 { &["history", "rebuild"][..] } else { &["trend", "scenario", "--output", "json"][..] }))
        .collect();
    for child in many {
        wait(child, PATIENCE).expect(0);
    }
    let home = place.path().join(".firedrill");
    let rows = History::open(&home).unwrap().rows(None).unwrap();
    assert_eq!(rows.len(), 24);
    assert!(rows.iter().all(|row| row.readings.len() >= 2 && row.exit_code == 0), "{rows:?}");
}

#[test]
fn a_history_that_cannot_be_written_is_done_without() {
    let place = runs(2);
    let whole = told(&place);
    let nobody = |args: &[&str]| {
        let command = place.command(args);
        let mut other = Command::new("setpriv");
        other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(command.get_program()).args(args);
        other.current_dir(place.path()).env("FIREDRILL_REGISTRY", place.path().join("registry")).stdin(Stdio::null());
        wait(other.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), PATIENCE)
    };
    open_to_all(place.path());
    let able =
        Command::new("setpriv").args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(drill::binary()).arg("--version").output();
    if !able.is_ok_and(|out| out.status.success()) {
        println!("skipped: this account cannot become another one, or that one cannot run the binary");
        return;
    }
    let told = nobody(&["trend", "scenario", "--output", "json"]).expect(0);
    assert_eq!(told.json(), whole);
    assert!(told.stderr.is_empty(), "{}", told.stderr);
    lay(&place, 2, str::to_owned);
    open_to_all(place.path());
    let told = nobody(&["trend", "scenario", "--output", "json"]).expect(0);
    assert_eq!(told.json()["runs"].as_array().unwrap().len(), 3);
    assert!(told.stderr.contains("cannot be written: 1 run judged for now only"), "{}", told.stderr);
    let done = nobody(&["history", "rebuild"]).expect(11);
    assert!(done.stderr.contains("cannot be written"), "{}", done.stderr);
    std::fs::remove_file(file(&place)).unwrap();
    let told = nobody(&["trend", "scenario", "--output", "json"]).expect(0);
    assert!(told.stderr.contains("3 runs judged for now only"), "{}", told.stderr);
    let home = place.path().join(".firedrill");
    assert!(matches!(History::open(&home.join("nowhere")), Err(HistoryError::ReadOnly(_))));
}

/// Everything may be read by everybody and written by its owner only.
fn open_to_all(path: &Path) {
    let is_dir = path.is_dir();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(if is_dir { 0o755 } else { 0o644 })).unwrap();
    if is_dir {
        std::fs::read_dir(path).unwrap().flatten().for_each(|entry| open_to_all(&entry.path()));
    }
}
