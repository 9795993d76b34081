//! Several drills, or several people, on one machine: what one holds no other touches; somebody lets go of a fault.
#![expect(clippy::unwrap_used, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::path::Path;
use std::process::{Command, Stdio};

use drill::{Done, Place, Stranger, signal, wait};
use serde_json::Value;

const PATIENCE: u64 = 120;

/// A drill that holds something for a minute.
fn holding(place: &Place, fault: &str) {
    let faults = format!("{{ held: {{ {fault}, for: 60s }} }}");
    place.drill_on_a_node("Something is held", &faults, "{ within: 90s, stable_for: 500ms }");
}

/// The same machine: one registry for both.
fn command(place: &Place, machine: &Path, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.env("FIREDRILL_REGISTRY", machine).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &Place, machine: &Path, args: &[&str]) -> Done {
    wait(command(place, machine, args).spawn().unwrap(), PATIENCE)
}

#[test]
fn two_drills_cannot_hold_one_thing() {
    let machine = tempfile::tempdir().unwrap();
    let (first, second) = (Place::new(), Place::new());
    let stranger = Stranger::start(&first);
    holding(&first, "process.pause: { pid_file: stranger.pid }");
    second.file("stranger.pid", stranger.0.id().to_string());
    holding(&second, r#"process.kill: { pid_file: stranger.pid }, undo: { run: ["true"], done_when: { command: { run: ["true"] } } }"#);
    let mut child = command(&first, machine.path(), &["run", "scenario.yaml", "--yes"]).spawn().unwrap();
    first.wait_until_bitten("held", PATIENCE);
    let id = first.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let held = format!("process {} is held by another drill, {id}", stranger.0.id());

    let done = run(&second, machine.path(), &["plan", "scenario.yaml"]).expect(11);
    assert!(done.stderr.contains(&held), "{}", done.stderr);
    let done = run(&second, machine.path(), &["run", "scenario.yaml", "--yes"]).expect(11);
    assert!(done.stdout.contains(&held) || done.stderr.contains(&held), "{}\n{}", done.stdout, done.stderr);
    assert!(second.journal(&second.runs()[0]).iter().all(|entry| entry["event"]["type"] != "armed" || entry["event"]["role"] != "fault"));

    // What another drill has started is not to be had either, while that drill lives.
    let system = first.survivors().iter().find(|line| line.contains("__demo node")).unwrap().split(' ').next().unwrap().to_owned();
    second.file("stranger.pid", &system);
    let done = run(&second, machine.path(), &["plan", "scenario.yaml"]).expect(11);
    assert!(done.stderr.contains(&format!("belongs to another drill, {id}")), "{}", done.stderr);

    // Everybody dies. What the dead run owes it still holds, until somebody has undone it.
    signal(child.id(), "STOP");
    let watchdog = first.journal(&first.runs()[0]).into_iter().find(|entry| entry["event"]["type"] == "watchdog_started").unwrap();
    signal(u32::try_from(watchdog["event"]["pid"].as_u64().unwrap()).unwrap(), "KILL");
    signal(child.id(), "KILL");
    child.wait().unwrap();
    second.file("stranger.pid", stranger.0.id().to_string());
    let done = run(&second, machine.path(), &["plan", "scenario.yaml"]).expect(11);
    assert!(done.stderr.contains(&held), "{}", done.stderr);
    run(&first, machine.path(), &["undo"]).expect(0);
    run(&second, machine.path(), &["plan", "scenario.yaml"]).expect(0);
    first.assert_nobody_survives(20);
    assert_eq!(std::fs::read_dir(machine.path().join("claims")).unwrap().count(), 0);
}

#[test]
fn what_is_undone_is_anybodys() {
    let machine = tempfile::tempdir().unwrap();
    let place = Place::new();
    let stranger = Stranger::start(&place);
    let fault = "{ held: { process.pause: { pid_file: stranger.pid }, for: 200ms } }";
    place.drill_on_a_node("Something is held for a moment", fault, "{ within: 30s, stable_for: 500ms }");
    for _ in 0..2 {
        run(&place, machine.path(), &["run", "scenario.yaml", "--yes"]).expect(0);
        assert_eq!(std::fs::read_dir(machine.path().join("claims")).unwrap().count(), 0);
    }
    drop(stranger);
}

#[test]
fn somebody_lets_go_of_a_fault() {
    let machine = tempfile::tempdir().unwrap();
    let place = Place::new();
    let stranger = Stranger::start(&place);
    let faults = "
  held: { process.pause: { pid_file: stranger.pid }, for: { until: released, at_most: 60s } }
  timed: { rehearse.nothing: {}, at: { after: held.undone }, for: 1s }";
    place.drill_on_a_node("Something is held until released", faults, "{ within: 90s, stable_for: 500ms }");
    let refused = |args: &[&str], words: &str| {
        let done = run(&place, machine.path(), args).expect(11);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    };
    refused(&["release", "held"], "no drill of yours is running");
    let child = command(&place, machine.path(), &["run", "scenario.yaml", "--yes"]).spawn().unwrap();
    let dir = place.wait_until_bitten("held", PATIENCE);
    refused(&["release", "hold"], "no fault of");
    refused(&["release", "timed"], "timed is not held until released");
    run(&place, machine.path(), &["release", "held"]).expect(0);
    wait(child, PATIENCE).expect(0);
    let journal = place.journal(&dir);
    let released: Vec<&Value> = journal.iter().filter(|entry| entry["event"]["type"] == "released").collect();
    assert_eq!(released.len(), 1);
    let undo = journal.iter().find(|entry| entry["event"]["type"] == "undoing" && entry["event"]["id"] == "held").unwrap();
    assert_eq!(undo["event"]["why"], "released");
    assert!(released[0]["event"]["by"].as_str().unwrap().contains("uid"), "{released:?}");
    refused(&["release", "held", "last"], "has ended already");
    drop(stranger);
}
