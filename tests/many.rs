//! Many runs of the same thing: repeats, what they can claim together, gaps in the register, campaigns that were declared before.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::path::PathBuf;

use drill::{Done, Place, free_ports, signal, wait};
use firedrill::journal;

const PATIENCE: u64 = 120;

/// A place with a short drill of a node that is paused and comes back.
fn place() -> Place {
    let place = Place::new();
    let [port] = free_ports();
    place.file(
        "s.yaml",
        format!(
            r#"firedrill: 1
title: A node stands still for a moment
why: To see how often it is back in time.
owner: tests
environment: test
vars: {{ port: "{port}" }}
system:
  node:
    run: ["${{firedrill}}", __demo, node, --name=a, "--listen=127.0.0.1:${{port}}", "--peer=127.0.0.1:1", "--data=${{run.dir}}/a", --first]
    ready: {{ http: {{ url: "http://127.0.0.1:${{port}}/status" }}, expect: {{ status: {{ equals: 200 }} }}, within: 20s }}
probes:
  shop: {{ http: {{ url: "http://127.0.0.1:${{port}}/status" }}, rate: 50/s, timeout: 200ms, expect: {{ status: {{ equals: 200 }} }} }}
steady_state: {{ over: 500ms, probes: {{ shop: {{ success: {{ min: 50% }} }} }} }}
faults:
  hold: {{ process.pause: {{ system: node }}, for: 500ms }}
recovery: {{ within: 5s, stable_for: 300ms }}
claims:
  back: {{ fault: hold, measured_by: [shop], rto: {{ max: 3s }} }}
"#
        ),
    );
    place
}

fn run(place: &Place, more: &[&str]) -> Done {
    let args: Vec<&str> = ["run", "s.yaml", "--yes"].iter().chain(more).copied().collect();
    place.run(&args, PATIENCE)
}

fn ids(place: &Place) -> Vec<String> {
    place.runs().iter().map(|run| run.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn repeats_are_runs_of_their_own_and_claim_what_so_many_can() {
    let place = place();
    let done = run(&place, &["--repeat", "3", "--output", "json"]);
    let said = done.json();
    assert_eq!((ids(&place).len(), &said["started"], &said["taken"]), (3, &3.into(), &3.into()));
    assert!(said["stop_rule"].as_str().unwrap().contains("3 runs were asked for at once"));
    let claim = &said["claims"][0];
    assert_eq!((claim["claim"].as_str(), claim["objective_us"].as_u64()), (Some("back"), Some(3_000_000)));
    assert_eq!(claim["counted"].as_array().unwrap().len() + claim["excluded"].as_array().unwrap().len(), 3);
    // Recomputed from the journals alone; nobody said before how many there would be.
    let done = place.run(&["claims"], PATIENCE).expect(0);
    assert!(done.stdout.contains("3 runs taken together, of 3 that were started"), "{}", done.stdout);
    assert!(done.stdout.contains("cannot be excluded") && done.stdout.contains("3 s is claimed"), "{}", done.stdout);
    assert!(done.stdout.contains("comes back within 3 s"), "{}", done.stdout);

    // Whoever names only some of them is told of the others between.
    let all = ids(&place);
    let page = place.run(&["claims", "--output", "html"], PATIENCE).expect(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Claims over runs") && page.contains(all[0].as_str()), "{page}");
    let done = place.run(&["claims", &all[0], &all[2]], PATIENCE).expect(0);
    assert!(done.stdout.contains("2 runs taken together, of 3 that were started"), "{}", done.stdout);
    assert!(done.stdout.contains(&format!("left out: {}: not named", all[1])), "{}", done.stdout);

    // A directory that holds anything but what was run is believed nothing, whether its run is named or not.
    let run = place.runs()[1].clone();
    let whole = [journal::PLAN, journal::FILE].map(|file| (file, std::fs::read(run.join(file)).unwrap()));
    let other = place.runs()[0].clone();
    type Change<'a> = (&'a str, &'a dyn Fn());
    let changes: [Change; 3] = [
        ("its plan was changed after the run", &|| {
            let text = std::fs::read_to_string(run.join(journal::PLAN)).unwrap();
            std::fs::write(run.join(journal::PLAN), text.replace("A node stands still", "A node stands up")).unwrap();
        }),
        ("its journal is that of run", &|| {
            for (file, _) in &whole {
                std::fs::copy(other.join(file), run.join(file)).unwrap();
            }
        }),
        ("cannot be relied on", &|| std::fs::remove_file(run.join(journal::FILE)).unwrap()),
    ];
    for (why, change) in changes {
        change();
        for words in [&["claims"][..], &["claims", &all[0], &all[2]], &["claims", &all[0], &all[1]]] {
            let done = place.run(words, PATIENCE).expect(31);
            assert!(done.stderr.contains(why) || words.len() == 3 && done.stderr.contains("run"), "{words:?}: {}", done.stderr);
            assert!(done.stdout.is_empty(), "{}", done.stdout);
        }
        whole.iter().for_each(|(file, bytes)| std::fs::write(run.join(file), bytes).unwrap());
    }
    place.run(&["claims"], PATIENCE).expect(0);

    // What is gone may have failed.
    std::fs::remove_dir_all(&place.runs()[1]).unwrap();
    let done = place.run(&["claims"], PATIENCE).expect(31);
    assert!(done.stderr.contains("its directory is gone") && done.stdout.is_empty(), "{}", done.stderr);

    // And a register that was changed proves nothing.
    let register = place.path().join(".firedrill/register.jsonl");
    let text = std::fs::read_to_string(&register).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains(&all[1])).collect();
    std::fs::write(&register, kept.join("\n") + "\n").unwrap();
    let done = place.run(&["claims"], PATIENCE).expect(31);
    assert!(done.stderr.contains("line 2 does not continue"), "{}", done.stderr);
    std::fs::remove_file(&register).unwrap();
    let done = place.run(&["claims"], PATIENCE).expect(31);
    assert!(done.stderr.contains("is not in the register"), "{}", done.stderr);
}

#[test]
fn runs_of_different_things_are_not_taken_together() {
    let place = place();
    run(&place, &[]);
    let text = std::fs::read_to_string(place.path().join("s.yaml")).unwrap();
    place.file("s.yaml", text.replace("max: 3s", "max: 2s"));
    run(&place, &[]);
    let all = ids(&place);
    let done = place.run(&["claims", &all[0], &all[1]], PATIENCE).expect(31);
    assert!(done.stderr.contains("not runs of the same thing: the scenario has changed"), "{}", done.stderr);
    // Without names only those like the last one count.
    let done = place.run(&["claims"], PATIENCE).expect(0);
    assert!(done.stdout.contains("1 run taken together, of 1 that were started"), "{}", done.stdout);
}

#[test]
fn a_campaign_is_declared_before_and_not_changed_after() {
    let place = place();
    // What was run before it was declared is no part of it.
    run(&place, &[]);
    let done = place.run(&["campaign", "start", "s.yaml", "--count", "2", "--name", "autumn"], PATIENCE).expect(0);
    assert!(done.stderr.contains("2 runs of A node stands still") && done.stderr.contains("22.3 % at 95 %"), "{}", done.stderr);
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(31);
    assert!(done.stdout.contains("2 runs were declared") && done.stdout.contains("0 were made"), "{}", done.stdout);
    let done = place.run(&["campaign", "start", "s.yaml", "--count", "9", "--name", "autumn"], PATIENCE).expect(11);
    assert!(done.stderr.contains("is not changed afterwards"), "{}", done.stderr);
    run(&place, &[]);
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(31);
    assert!(done.stderr.contains("1 more to come"), "{}\n{}", done.stdout, done.stderr);
    run(&place, &["--repeat", "2"]);
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(0);
    // The third one after the declaration is one too many.
    assert!(done.stdout.contains("2 runs taken together, of 2 that were started"), "{}", done.stdout);
    assert!(done.stdout.contains("2 runs were declared at"), "{}", done.stdout);
    assert!(done.stdout.contains("1 run of it had been started before"), "{}", done.stdout);
    // Nor is it hidden that somebody declared again.
    place.run(&["campaign", "start", "s.yaml", "--count", "1", "--name", "winter"], PATIENCE).expect(0);
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(0);
    assert!(done.stdout.contains("another campaign of it was declared: winter"), "{}", done.stdout);

    // A declaration is no run that could be missing.
    let done = place.run(&["claims"], PATIENCE).expect(0);
    assert!(done.stdout.contains("4 runs taken together, of 4 that were started"), "{}", done.stdout);
    // Nor is one that failed made away with, be it the first.
    let first = place.runs()[1].clone();
    std::fs::rename(&first, place.path().join("away")).unwrap();
    for words in [&["campaign", "status", "autumn"][..], &["claims"]] {
        let done = place.run(words, PATIENCE).expect(31);
        assert!(done.stderr.contains("its directory is gone") && done.stdout.is_empty(), "{}", done.stderr);
    }
    std::fs::rename(place.path().join("away"), &first).unwrap();

    let file = place.path().join(".firedrill/campaigns/autumn.json");
    let declared: PathBuf = file.clone();
    let text = std::fs::read_to_string(&declared).unwrap();
    std::fs::write(&file, text.replace("\"line\": \"", "\"line\": \"0")).unwrap();
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(31);
    assert!(done.stderr.contains("does not hold the declaration"), "{}", done.stderr);
    std::fs::write(&file, text.replace("\"runs\": 2", "\"runs\": 1")).unwrap();
    let done = place.run(&["campaign", "status", "autumn"], PATIENCE).expect(31);
    assert!(done.stderr.contains("does not hold the declaration"), "{}", done.stderr);
}

#[test]
fn what_cannot_be_repeated_is_refused_and_a_signal_ends_all_of_it() {
    let place = place();
    place.file("bare.yaml", "firedrill: 1\ntitle: x\nenvironment: test\nprobes: { p: { tcp: { address: \"127.0.0.1:1\" } } }\nsteady_state: { over: 1s, probes: { p: { success: { min: 1% } } } }\nfaults: { f: { rehearse.nothing: {}, for: 1s } }\nrecovery: { within: 5s, stable_for: 1s }\n");
    let done = place.run(&["run", "bare.yaml", "--yes", "--repeat", "2"], PATIENCE).expect(2);
    assert!(done.stderr.contains("nothing brings the system back between repeats"), "{}", done.stderr);
    let done = run(&place, &["--repeat", "2", "--output", "junit"]).expect(2);
    assert!(done.stderr.contains("as text or as JSON"), "{}", done.stderr);
    assert!(place.runs().is_empty());

    let child = place.start(&["run", "s.yaml", "--yes", "--repeat", "50"]);
    place.wait_until_bitten("hold", PATIENCE);
    signal(child.id(), "INT");
    let done = wait(child, PATIENCE).expect(40);
    assert!(done.stderr.contains("stopped after 1 of 50"), "{}", done.stderr);
    // A rule that was not kept is none.
    assert!(!done.stdout.contains("were asked for at once"), "{}", done.stdout);
    assert_eq!(place.runs().len(), 1);
    place.assert_nobody_survives(20);
}
