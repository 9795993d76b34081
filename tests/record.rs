//! Records the journals under `tests/journals` from real runs: `cargo test --test record -- --ignored`, then look at what changed. Needed only
//! when the journal's format changes; what a test reads must not change with every run of the tests.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use drill::{Done, Place, binary, signal, wait};
use firedrill::base::digest_of;
use firedrill::journal;

/// Starts a golden scenario in place, so that its relative paths resolve.
fn start(place: &Place, name: &str) -> Child {
    let scenario = golden::dir(name).join(journal::SCENARIO);
    let mut command = place.command(&["run", scenario.to_str().unwrap(), "--yes"]);
    command.env("FIREDRILL_DEMO", binary()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How the run of a scenario is disturbed from outside.
fn disturbed(place: &Place, name: &str) -> Done {
    let child = start(place, name);
    let pid = child.id();
    match name {
        "interrupted" => {
            place.wait_for_event("effective", 30);
            wait_until_hurt(place);
            signal(pid, "INT");
        }
        "taken-over" => {
            wait_until_hurt(place);
            signal(pid, "KILL");
            place.wait_for_event("run_finished", 30);
        }
        _ => {}
    }
    wait(child, 120)
}

/// Until the fault, which is no support, is seen to bite.
fn wait_until_hurt(place: &Place) {
    for _ in 0..3000 {
        if let Some(run) = place.runs().pop() {
            let hurt = |e: &serde_json::Value| e["event"]["type"] == "effective" && !e["event"]["id"].as_str().unwrap().contains('/');
            if place.journal(&run).iter().any(hurt) {
                return;
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the fault never bit");
}

/// Takes the machine out of a text.
fn anonymous(text: &str, run: &Path, base: &Path) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let mut text = text.to_owned();
    for (from, to) in [
        (run.to_str().unwrap(), golden::RUN_DIR),
        (base.to_str().unwrap(), golden::BASE_DIR),
        (binary().to_str().unwrap(), golden::EXE),
        (boot.trim(), golden::BOOT),
    ] {
        text = text.replace(from, to);
    }
    text
}

#[test]
#[ignore = "writes the golden journals"]
fn record() {
    let only = std::env::var("FIREDRILL_RECORD").ok();
    for (name, code) in
        golden::ALL.into_iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == *name)))
    {
        let place = Place::new();
        let done = disturbed(&place, name);
        println!("{name}: {:?}\n{}\n{}", done.code, done.stderr, done.stdout);
        if name != "taken-over" {
            assert_eq!(done.code, Some(i32::from(code)), "{name}");
        }
        place.assert_nobody_survives(5);
        let run = std::fs::canonicalize(place.runs().pop().unwrap()).unwrap();
        let base = golden::dir(name);
        let plan = std::fs::read_to_string(run.join(journal::PLAN)).unwrap();
        let neutral = anonymous(&plan, &run, &base);
        std::fs::write(base.join(journal::PLAN), &neutral).unwrap();
        let events = std::fs::read_to_string(run.join(journal::FILE)).unwrap();
        let (before, after) = (digest_of(plan.as_bytes()).to_string(), digest_of(neutral.as_bytes()).to_string());
        let lines = golden::rewrite(&events, |body| anonymous(body, &run, &base).replace(&before, &after));
        std::fs::write(base.join(journal::FILE), lines.concat()).unwrap();
        println!("{name}: {} lines, {} bytes", lines.len(), lines.concat().len());
    }
}
