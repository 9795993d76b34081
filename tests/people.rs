//! People who respond, in whole drills of the real binary: what they say from a terminal stands in the journal and is judged.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use drill::{Done, Place, account, case, free_ports, side_by_side, wait};
use serde_json::Value;

fn scenario(place: &Place, team: &str) {
    let [port] = free_ports();
    place.file(
        "scenario.yaml",
        format!(
            r#"firedrill: 1
title: The node stands still
environment: test
system:
  node:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:{port}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:{port}/status" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 1s, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
faults:
  freeze: {{ process.pause: {{ system: node }}, for: {{ until: mitigated, at_most: 60s }} }}
recovery: {{ within: 70s, stable_for: 1s }}
team:
  roles: {{ ops: [{who}], dba: [{who}], comms: [somebody-else] }}
{team}
"#,
            who = account()
        ),
    );
}

const EXPECT: &str = r#"
  expect:
    acknowledged: { ack: {}, by: ops, within: 50s }
    diagnosed: { answer: { ask: "What is broken?", matches: "(?i)node|frozen" }, by: ops, within: 50s }
    escalated: { handoff: { to: dba }, by: ops, within: 50s }
    mitigated: { step: shop#thaw, within: 55s, from: acknowledged }
  wrong_turns:
    restarted: { step: shop#restart, when: { before: diagnosed } }
"#;

fn say(place: &Place, args: &[&str]) -> Done {
    place.run(args, 20)
}

/// Everything is said in time, from a terminal; a fault that waits for people is undone when they are done.
fn said() {
    let place = Place::new();
    scenario(&place, EXPECT);
    let early = say(&place, &["mark", "ack", "--as", "ops"]).expect(11);
    assert!(early.stderr.contains("no drill on this machine listens to people"), "{}", early.stderr);
    let run = place.start(&["run", "scenario.yaml", "--yes", "--output", "json"]);
    let dir = place.wait_until_bitten("freeze", 40);
    let id = dir.file_name().unwrap().to_string_lossy().into_owned();
    // What cannot be said is refused with what can; the drill goes on.
    for (args, words) in [
        (vec!["mark", "ack"], "several roles: say which, --as ops or --as dba"),
        (vec!["mark", "ack", "--as", "comms"], "has not the role `comms`"),
        (vec!["mark", "ack", "--as", "chief"], "no role is called `chief`"),
        (vec!["mark", "ack", "--as", "ops", "--at", "2h"], "before this drill began"),
        (vec!["mark", "ack", "--as", "ops", "--at", "2999-01-01T00:00:00Z"], "lies in the future"),
        (vec!["step", "thaw", "--as", "ops"], "is not RUNBOOK#STEP"),
    ] {
        let done = say(&place, &args).expect(10);
        assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
    }
    let long = "x".repeat(100_000);
    assert!(say(&place, &["note", &long, "--as", "ops"]).expect(2).stderr.contains("at most 4000 characters"));
    assert!(say(&place, &["mark", "ack", "--as", "ops", "--at", "noon"]).expect(2).stderr.contains("is no time"));
    let gone = say(&place, &["mark", "ack", "01GONE", "--as", "ops"]).expect(11);
    assert!(gone.stderr.contains("no drill 01GONE listens"), "{}", gone.stderr);
    // And what can is heard; half a second ago it bit already.
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    let heard = say(&place, &["mark", "ack", &id[..20], "--as", "ops", "--at", "500ms"]).expect(0);
    assert!(heard.stderr.contains("heard at 00:") && heard.stderr.contains("as ops"), "{}", heard.stderr);
    for args in [
        vec!["note", "the shop\u{1b}[2J hangs\u{202e}", "--as", "dba"],
        vec!["step", "shop#restart", "--as", "ops"],
        vec!["step", "shop#restart", "--as", "ops", "--back-out"],
        vec!["answer", "the node is frozen", "--as", "ops"],
        vec!["handoff", "--to", "dba", "--as", "ops"],
        vec!["handoff", "--accept", "--as", "dba"],
        vec!["step", "shop#thaw", "--as", "dba"],
    ] {
        say(&place, &args).expect(0);
    }
    let done = wait(run, 60).expect(0);
    assert!(done.stderr.contains("hand-off") && done.stderr.contains("ops asks dba to take the lead"), "{}", done.stderr);
    assert!(!done.stderr.contains('\u{1b}') && !done.stderr.contains('\u{202e}'));
    let report = done.json();
    let verdicts: Vec<&Value> = report["team"]["expectations"].as_object().unwrap().values().map(|e| &e["verdict"]).collect();
    assert_eq!(verdicts, ["on_time"; 4], "{:#}", report["team"]);
    assert_eq!(report["run"]["team"], "passed");
    assert_eq!(report["team"]["stamps"], serde_json::json!({ "all": 5, "machine_observed": 0 }));
    assert_eq!(report["team"]["wrong_turns"]["restarted"]["verdict"], "backed_out");
    let acked = &report["team"]["expectations"]["acknowledged"];
    let (received, observed) = (acked["received_mono_ns"].as_u64().unwrap(), acked["observed"]["lo_mono_ns"].as_u64().unwrap());
    assert!(received - observed >= 500_000_000, "{acked:#}");
    // Whoever speaks of a run that is over is told so, and the room is gone.
    assert!(say(&place, &["mark", "ack", "--as", "ops"]).expect(11).stderr.contains("no drill"));
    assert_eq!(std::fs::read_dir(place.path().join("registry/people")).unwrap().count(), 0);
    let again = place.run(&["report", "last"], 20).expect(0);
    assert!(again.stdout.contains("TEAM ✓ passed") && again.stdout.contains("the last good") || again.stdout.contains("mitigated"));
    place.assert_nobody_survives(10);
}

/// Nobody says anything: the system passes, the team has not.
fn silent() {
    let expect = "  expect: { acknowledged: { ack: {}, by: ops, within: 3s } }\n  hints: { look: { at: { after: effective, plus: 1s }, unless: acknowledged, say: Look at the node. } }\n";
    let place = Place::new();
    scenario(&place, expect);
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap().replace("{ until: mitigated, at_most: 60s }", "1s");
    place.file("scenario.yaml", &text);
    let done = place.run(&["run", "scenario.yaml", "--yes", "--output", "json"], 60).expect(32);
    assert!(done.stderr.contains("Look at the node."), "{}", done.stderr);
    let report = done.json();
    assert_eq!((&report["run"]["system"], &report["run"]["team"]), (&"passed".into(), &"failed".into()));
    assert_eq!(report["team"]["expectations"]["acknowledged"]["verdict"], "missed", "{:#}", report["team"]);
    let alone = place.run(&["run", "scenario.yaml", "--yes", "--unattended", "--output", "json"], 60).expect(0);
    assert_eq!(alone.json()["team"]["expectations"]["acknowledged"]["verdict"], "not_observed");
}

/// Another account may speak, as the roles allow, and cannot look into the run's directory.
fn another_account() {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let nobody = passwd.lines().find(|line| line.starts_with("nobody:")).and_then(|line| line.split(':').nth(2)?.parse::<u32>().ok());
    let (Some(nobody), 0) = (nobody, std::fs::metadata("/proc/self").unwrap().uid()) else {
        println!("SKIPPED another_account: needs root and an account `nobody`; nothing was shown");
        return;
    };
    let place = Place::new();
    // The test's own directory must let them through; the run's does not.
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    scenario(&place, "  expect: { acknowledged: { ack: {}, by: comms, within: 40s } }\n");
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    let text = text.replace("somebody-else", "nobody").replace("until: mitigated", "until: acknowledged");
    place.file("scenario.yaml", &text);
    let run = place.start(&["run", "scenario.yaml", "--yes", "--output", "json"]);
    let dir = place.wait_until_bitten("freeze", 40);
    // The binary itself may lie where only its owner may look.
    let copy = place.path().join("firedrill");
    std::fs::copy(drill::binary(), &copy).unwrap();
    let speak = |args: &[&str]| {
        let mut command = std::process::Command::new(&copy);
        command.args(args).current_dir("/").env("FIREDRILL_REGISTRY", place.path().join("registry"));
        command.uid(nobody).gid(nobody).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        wait(command.spawn().unwrap(), 20)
    };
    let mut look = std::process::Command::new("ls");
    look.arg(&dir).uid(nobody).gid(nobody).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(!look.status().unwrap().success(), "the run's directory is closed");
    assert!(speak(&["mark", "ack", "--as", "ops"]).expect(10).stderr.contains("nobody has not the role `ops`, but comms"));
    speak(&["mark", "ack"]).expect(0);
    let report = wait(run, 60).expect(0).json();
    assert!(report["team"]["expectations"]["acknowledged"]["who"].as_str().unwrap().starts_with("nobody (uid "));
}

/// Runbooks that are not whole, and what a scenario names of them.
fn runbooks() {
    let place = Place::new();
    scenario(&place, EXPECT);
    let good =
        "---\nowner: ops\nalerts: [NodeFrozen]\n---\n# Shop\n\n- [ ] Thaw it {#thaw}\n- [ ] Restart it {#restart}\n- [ ] Look {#look}\n";
    place.file("runbooks/shop.md", good);
    place.file("runbooks/page.md", "# Only a page\n");
    let done = place.run(&["runbook", "check", "--scenario", "scenario.yaml"], 20).expect(0);
    assert_eq!(done.stdout, "1 runbook with 3 steps; 1 other page\n1 of 3 steps are expected by no drill:\n  shop#look\n");
    place.file(
        "runbooks/shop.md",
        good.replace("{#restart}", "{#thaw}").replace("owner: ops", "service: shop").replace("Look", "[Look](gone.md)"),
    );
    let done = place.run(&["runbook", "check", "--scenario", "scenario.yaml"], 20).expect(10);
    for words in [
        "runbooks/shop.md:1: nobody owns it",
        "runbooks/shop.md:8: the step id `thaw` is taken: it stands in line 7",
        "runbooks/shop.md:9: it leads to `gone.md`, which is not there",
        "`restarted` names the step `shop#restart`, which is in no runbook",
    ] {
        assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
    }
    place.run(&["runbook", "check", "nowhere"], 20).expect(11);
}

#[test]
fn people_are_heard_and_judged() {
    side_by_side(vec![case("said", said), case("silent", silent), case("another account", another_account), case("runbooks", runbooks)]);
}
