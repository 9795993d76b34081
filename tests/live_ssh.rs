//! Faults on other machines, through a real sshd of our own: on loopback, and in a network namespace of its own. Whatever dies, the machine is whole again
//! by itself.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;
mod sshd;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use drill::{Place, Stranger, signal, state, wait};
use sshd::{Sshd, WHOLE_WITHIN, instead, kill_both, scenario, types, until};

fn pause(place: &Place) -> String {
    format!("  hang: {{ process.pause: {{ pid_file: {} }}, on: there, for: 2s }}\n", place.path().join("stranger.pid").display())
}

#[test]
fn a_fault_goes_there_and_comes_back() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    scenario(&place, &host, &pause(&place));
    let plan = place.run(&["plan", "scenario.yaml"], 60).expect(0);
    assert!(plan.stdout.contains("on         there"), "{}", plan.stdout);
    assert!(plan.stdout.contains("is there"), "{}", plan.stdout);
    assert!(!stranger.is_stopped());
    place.run(&["run", "scenario.yaml", "--yes"], 120).expect(0);
    assert!(!stranger.is_stopped());
    let run = place.runs().pop().unwrap();
    let told = types(&place, &run);
    for event in ["armed", "injected", "effective", "undone"] {
        assert!(told.contains(&event.to_owned()), "{told:?}");
    }
    assert!(!told.contains(&"cut_short".to_owned()), "{told:?}");
    let armed = place.journal(&run).into_iter().find(|entry| entry["event"]["type"] == "armed").unwrap();
    assert!(armed["event"]["targets"][0].as_str().unwrap().ends_with(" on there"), "{armed}");
    assert!(host.registered().is_empty(), "{:?}", host.registered());
}

#[test]
fn a_dead_runner_is_missed_there() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    scenario(&place, &host, &pause(&place).replace("for: 2s", "for: 60s"));
    let mut runner = place.start(&["run", "scenario.yaml", "--yes"]);
    let run = place.wait_until_bitten("hang", 60);
    assert!(stranger.is_stopped());
    kill_both(&place, &run, &mut runner);
    until("the machine is whole by itself", WHOLE_WITHIN, || !stranger.is_stopped());
    until("nobody holds it there", WHOLE_WITHIN, || host.registered().is_empty());
    let done = place.run(&["undo", run.to_str().unwrap()], 90);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(types(&place, &run).contains(&"cut_short".to_owned()), "the journal says that it was undone before: {:?}", types(&place, &run));
    assert!(state(stranger.0.id()).is_some());
}

#[test]
fn whoever_holds_it_there_may_die() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    scenario(&place, &host, &pause(&place).replace("for: 2s", "for: 6s"));
    let runner = place.start(&["run", "scenario.yaml", "--yes"]);
    let run = place.wait_until_bitten("hang", 60);
    signal(host.holder().unwrap(), "KILL");
    until("its watchdog undoes", WHOLE_WITHIN, || !stranger.is_stopped());
    let done = wait(runner, 120);
    let told = types(&place, &run);
    assert!(told.contains(&"undone".to_owned()) && told.contains(&"cut_short".to_owned()), "{told:?}\n{}{}", done.stdout, done.stderr);
}

#[test]
fn the_line_by_hand_works_when_it_is_pasted() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    scenario(&place, &host, &pause(&place).replace("for: 2s", "for: 60s"));
    let runner = place.start(&["run", "scenario.yaml", "--yes"]);
    let run = place.wait_until_bitten("hang", 60);
    let armed = place.journal(&run).into_iter().find(|entry| entry["event"]["type"] == "armed").unwrap();
    let line = armed["event"]["undo"]["by_hand"].as_str().unwrap().to_owned();
    assert!(line.starts_with("ssh "), "{line}");
    let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", drill::text(&output));
    assert!(!stranger.is_stopped());
    signal(runner.id(), "INT");
    wait(runner, 120);
    assert!(host.registered().is_empty());
}

#[test]
fn what_stands_in_the_way_is_told_before_anything_is_touched() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let _stranger = Stranger::start(&place);
    let refused = |what: &str, how: &str| {
        let done = place.run(&["run", "scenario.yaml", "--yes"], 90);
        assert_eq!(done.code, Some(11), "{how}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(what), "{how}: {}{}", done.stdout, done.stderr);
        let run = place.runs().pop().unwrap();
        assert!(!types(&place, &run).contains(&"armed".to_owned()), "{how}");
    };
    scenario(&place, &host, &pause(&place));
    host.know("");
    refused("is not known here", "unknown host key");
    host.know(&host.other_key);
    refused("not the one that was known", "host key changed");
    host.know(&host.key);
    let text = std::fs::read_to_string(place.path().join("scenario.yaml")).unwrap();
    place.file("scenario.yaml", text.replace(&format!("{}@", host.user), "nobody-of-that-name@"));
    refused("log in at", "no such user, or a password prompt");
    place.file("scenario.yaml", text.replace(&format!("@{}", host.address), "@no-such-host.invalid"));
    refused("find ", "no such host");
    place.file("scenario.yaml", text.replace(&format!("firedrill: {}", drill::binary().display()), "firedrill: /nowhere/firedrill"));
    refused("start /nowhere/firedrill", "no firedrill there");
    place.file("scenario.yaml", text.replace("stranger.pid", "no-such.pid"));
    refused("prepare it on there", "no target there");
}

/// Without a firedrill there, this one is copied: whole, once, and only where nobody else can enter.
#[test]
fn the_binary_goes_there_once() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    scenario(&place, &host, &pause(&place));
    instead(&place, &format!("firedrill: {}, ", drill::binary().display()), "");
    let cache = host.home().join(".cache");
    std::fs::write(&cache, "in the way").unwrap();
    let done = place.run(&["run", "scenario.yaml", "--yes"], 120).expect(11);
    assert!(done.stderr.contains("cannot be written") && done.stderr.contains("firedrill: PATH"), "{}", done.stderr);
    std::fs::remove_file(&cache).unwrap();

    let dir = cache.join("firedrill");
    std::fs::create_dir_all(&dir).unwrap();
    let old = |letter: &str, end: &str| dir.join(format!("firedrill-{}{end}", letter.repeat(64)));
    let (gone, half, runs, young) = (old("a", ""), old("a", ".4121"), old("b", ""), old("c", ""));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 24 * 3600);
    for path in [&gone, &half, &runs, &young] {
        std::fs::copy("/bin/sh", path).unwrap();
        if path != &young {
            std::fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
        }
    }
    let mut running = std::process::Command::new(&runs).args(["-c", "read x"]).stdin(std::process::Stdio::piped()).spawn().unwrap();

    place.run(&["run", "scenario.yaml", "--yes"], 240).expect(0);
    let _ = running.kill();
    let _ = running.wait();
    let mut kept: Vec<PathBuf> = std::fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(kept.contains(&runs) && kept.contains(&young), "what is in use or young stays: {kept:?}");
    kept.retain(|path| ![&runs, &young].contains(&path));
    let [copy] = &kept[..] else { panic!("one copy, and nothing half-way: {kept:?}") };
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(copy)), (0o700, 0o700));
    assert!(std::fs::read(copy).unwrap() == std::fs::read(drill::binary()).unwrap(), "it is this binary");
    let made = std::fs::metadata(copy).unwrap();
    place.run(&["run", "scenario.yaml", "--yes"], 120).expect(0);
    let used = std::fs::metadata(copy).unwrap();
    assert_eq!(used.ino(), made.ino(), "the second time it is there");
    assert!(used.modified().unwrap() > made.modified().unwrap(), "its age is that of its last use");
    assert!(!stranger.is_stopped());
}

#[test]
fn a_cut_connection_is_the_end_of_the_fault() {
    let place = Place::new();
    let Some(host) = Sshd::in_a_namespace(&place) else { return };
    let dial = format!("exec 3<>/dev/tcp/{}/{}", host.address, host.port);
    let confirm = format!("{{ command: {{ run: [timeout, \"1\", bash, -c, \"{dial}\"] }}, expect: {{ exit: {{ equals: 124 }} }} }}");
    let fault =
        format!("  cut:\n    network.partition: {{ peer: {} }}\n    on: there\n    for: 20s\n    confirm: {confirm}\n", host.client);
    scenario(&place, &host, &fault);
    instead(&place, "lease: 5s", "lease: 15s");
    let done = place.run(&["run", "scenario.yaml", "--yes"], 240);
    let run = place.runs().pop().unwrap();
    let told = types(&place, &run);
    assert!(host.answers(), "the machine can be reached again: {told:?}\n{}{}", done.stdout, done.stderr);
    for event in ["injected", "effective", "cut_short", "undone"] {
        assert!(told.contains(&event.to_owned()), "{event}: {told:?}\n{}{}", done.stdout, done.stderr);
    }
    assert!(host.registered().is_empty());
}

#[test]
fn kinds_run_there_unchanged() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let flag = host.home().join("flag").display().to_string();
    let there = format!("{{ command: {{ run: [test, -e, {flag}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    let gone = format!("{{ command: {{ run: [test, \"!\", -e, {flag}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    let faults = format!(
        "  flag: {{ command: {{ run: [touch, flag] }}, on: there, for: 1s, confirm: {there}, undo: {{ run: [rm, -f, flag], done_when: {gone} }} }}\n  \
         load: {{ resource.cpu: {{ workers: 1, load: 20% }}, on: there, at: {{ after: flag.undone }}, for: 1s }}\n"
    );
    scenario(&place, &host, &faults);
    let done = place.run(&["run", "scenario.yaml", "--yes"], 180);
    let told = types(&place, &place.runs().pop().unwrap());
    let count = |event: &str| told.iter().filter(|one| *one == event).count();
    assert_eq!((count("effective"), count("undone"), count("cut_short")), (2, 2, 0), "{told:?}\n{}{}", done.stdout, done.stderr);
    assert!(!Path::new(&flag).exists());
    assert!(host.registered().is_empty());
}
