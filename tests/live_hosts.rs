//! Faults on other machines that reach for firedrill itself there: they cut the connection over which they are held, or fill the disk that its state is on;
//! runners that die meanwhile, several of them on one machine, and machines that cannot take it.
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

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use drill::{Done, Place, Stranger, case, has_program, side_by_side, signal, wait};
use sshd::{Disk, Sshd, WHOLE_WITHIN, instead, kill_both, scenario, types, until};

/// Kinds that cut the connection over which they are held, and how a new one ends then: no answer, or refused.
const CUTS: [(&str, &str, i32); 3] = [
    ("loss", "network.loss: { loss: 97%, peer: CLIENT }", 124),
    ("reject", "network.reject: { with: reset, port: PORT, direction: in }", 1),
    ("blackhole", "network.blackhole: { port: PORT, direction: out, protocol: tcp }", 124),
];

/// A fault that is seen from here to cut the machine off.
fn cut(host: &Sshd, kind: &str, exit: i32, hold: &str) -> String {
    let kind = kind.replace("CLIENT", &host.client).replace("PORT", &host.port.to_string());
    let dial = format!("exec 3<>/dev/tcp/{}/{}", host.address, host.port);
    let confirm = format!("{{ command: {{ run: [timeout, \"1\", bash, -c, \"{dial}\"] }}, expect: {{ exit: {{ equals: {exit} }} }} }}");
    format!("  cut:\n    {kind}\n    on: there\n    for: {hold}\n    confirm: {confirm}\n")
}

fn said(done: &Done) -> String {
    format!("{}{}", done.stdout, done.stderr)
}

/// What the runner that is there no more left behind, undone by `firedrill undo`, which finds that the machine did it itself.
fn finished(place: &Place, run: &Path, host: &Sshd) {
    until("nobody holds it there", WHOLE_WITHIN, || host.registered().is_empty());
    let done = place.run(&["undo", run.to_str().unwrap()], 120);
    assert_eq!(done.code, Some(0), "{}", said(&done));
    let told = types(place, run);
    assert!(told.contains(&"undone".to_owned()) && told.contains(&"cut_short".to_owned()), "{told:?}");
}

#[test]
fn what_cuts_its_own_runner_off_lasts_for_the_lease_whoever_lives() {
    let mut cases = Vec::new();
    for (name, kind, exit) in CUTS {
        cases.push(case(format!("{name}, the runner lives"), move || {
            let place = Place::new();
            let Some(host) = Sshd::in_a_namespace(&place) else { return };
            scenario(&place, &host, &cut(&host, kind, exit, "1s"));
            instead(&place, "lease: 5s", "lease: 15s");
            let done = place.run(&["run", "scenario.yaml", "--yes"], 240);
            let told = types(&place, &place.runs().pop().unwrap());
            for event in ["injected", "effective", "undone"] {
                assert!(told.contains(&event.to_owned()), "{event}: {told:?}\n{}", said(&done));
            }
            assert!(!told.contains(&"cut_short".to_owned()), "it lasted longer than was asked for: {told:?}\n{}", said(&done));
            assert!(host.answers() && host.tables().is_empty() && host.registered().is_empty(), "{:?}", host.tables());
        }));
        cases.push(case(format!("{name}, the runner is killed"), move || {
            let place = Place::new();
            let Some(host) = Sshd::in_a_namespace(&place) else { return };
            scenario(&place, &host, &cut(&host, kind, exit, "5m"));
            instead(&place, "lease: 5s", "lease: 15s");
            let mut runner = place.start(&["run", "scenario.yaml", "--yes"]);
            let run = place.wait_until_bitten("cut", 120);
            assert_eq!(host.tables().len(), 1);
            kill_both(&place, &run, &mut runner);
            until("the machine is whole by itself", WHOLE_WITHIN, || host.tables().is_empty());
            until("it can be reached", WHOLE_WITHIN, || host.answers());
            finished(&place, &run, &host);
        }));
    }
    side_by_side(cases);
}

#[test]
fn what_would_cut_its_runner_off_is_told_before_and_what_only_hinders_it_is_not() {
    let place = Place::new();
    let Some(host) = Sshd::in_a_namespace(&place) else { return };
    for (_, kind, exit) in CUTS {
        let fault = cut(&host, kind, exit, "1s");
        scenario(&place, &host, &fault[..fault.find("    confirm:").unwrap()]);
        for verb in [&["plan", "scenario.yaml"][..], &["run", "scenario.yaml", "--yes"]] {
            let done = place.run(verb, 90);
            assert!(
                said(&done).contains("would cut the connection from here") && said(&done).contains("confirm:"),
                "{verb:?} {}",
                said(&done)
            );
            assert!(verb[0] == "plan" || done.code == Some(11), "{}", said(&done));
        }
        assert!(!types(&place, &place.runs().pop().unwrap()).contains(&"armed".to_owned()));
    }
    // Neither the loss of few packets nor another port cuts it off.
    for kind in ["network.loss: { loss: 1%, peer: CLIENT }", "network.blackhole: { port: 9, peer: CLIENT }"] {
        let fault = cut(&host, kind, 0, "1s");
        scenario(&place, &host, &fault[..fault.find("    confirm:").unwrap()]);
        let done = place.run(&["run", "scenario.yaml", "--yes"], 120);
        let told = types(&place, &place.runs().pop().unwrap());
        assert!(told.contains(&"effective".to_owned()) && !told.contains(&"cut_short".to_owned()), "{told:?}\n{}", said(&done));
    }
    assert!(host.tables().is_empty() && host.registered().is_empty());
}

/// The id stands in every line of the journal there: what is written after the disk is full is surely more than a block.
const FULL: &str = "the-disk-that-holds-the-state-of-firedrill-is-full-to-the-brim";

fn fill_home(host: &Sshd, hold: &str) -> String {
    let full = host.home().join("full").display().to_string();
    let look = |words: &str| format!("{{ command: {{ run: [test, {words}, {full}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    let fill = "for size in 4096 1; do dd if=/dev/zero of=full bs=$size oflag=append conv=notrunc 2>/dev/null; done; test -s full";
    format!(
        "  {FULL}:\n    command: {{ run: [sh, -c, \"{fill}\"] }}\n    on: there\n    for: {hold}\n    confirm: {}\n    \
         undo: {{ run: [rm, -f, full], done_when: {} }}\n",
        look("-s"),
        look("\"!\", -e"),
    )
}

/// The journal of the only fault there.
fn journal_there(host: &Sshd) -> String {
    std::fs::read_to_string(host.faults().pop().unwrap().join("events.jsonl")).unwrap()
}

/// A drill that fills the disk of the state there; what becomes of runner and holder; and everything is whole and written down afterwards.
fn filled(hold: &'static str, then: fn(&Place, &Sshd, &Path, Child)) -> impl FnOnce() + Send + 'static {
    move || {
        let place = Place::new();
        let Some(host) = Sshd::start(&place) else { return };
        let Some(disk) = host.home_disk(8 << 20) else { return };
        scenario(&place, &host, &fill_home(&host, hold));
        let runner = place.start(&["run", "scenario.yaml", "--yes"]);
        let run = place.wait_until_bitten(FULL, 90);
        assert!(disk.is_full() || hold == "2s", "there is still room");
        then(&place, &host, &run, runner);
        assert!(!disk.is_full() && !host.home().join("full").exists());
        until("nobody holds it there", WHOLE_WITHIN, || host.registered().is_empty());
        let journal = journal_there(&host);
        assert!(journal.contains("\"type\":\"undone\"") && journal.contains("No space left on device"), "{journal}");
    }
}

fn has_room(host: &Sshd) {
    let full = host.home().join("full");
    until("the disk has room again", WHOLE_WITHIN, || !full.exists());
}

#[test]
fn a_disk_on_which_nothing_can_be_written_down_is_emptied_by_whoever_is_left() {
    let over = filled("2s", |place, _, run, runner| {
        let done = wait(runner, 120);
        let told = types(place, run);
        assert!(told.contains(&"undone".to_owned()) && !told.contains(&"cut_short".to_owned()), "{told:?}\n{}", said(&done));
    });
    let runner_killed = filled("5m", |place, host, run, mut runner| {
        kill_both(place, run, &mut runner);
        has_room(host);
        finished(place, run, host);
    });
    let holder_killed = filled("8s", |place, host, run, runner| {
        signal(host.holder().unwrap(), "KILL");
        has_room(host);
        let done = wait(runner, 120);
        let told = types(place, run);
        assert!(told.contains(&"undone".to_owned()) && told.contains(&"cut_short".to_owned()), "{told:?}\n{}", said(&done));
    });
    side_by_side(vec![
        case("its time is over", over),
        case("the runner is killed", runner_killed),
        case("whoever holds it is killed", holder_killed),
    ]);
}

#[test]
fn a_disk_is_filled_there_but_never_that_of_its_own_state() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let Some(_home) = host.home_disk(8 << 20) else { return };
    let data = place.path().join("data");
    let Some(disk) = Disk::mount(&data, 8 << 20) else { return };
    let fill = |path: &str| format!("  fill: {{ disk.fill: {{ path: {path}, to: 98% }}, on: there, for: 5m }}\n");
    scenario(&place, &host, &fill("."));
    let done = place.run(&["run", "scenario.yaml", "--yes"], 90).expect(11);
    assert!(done.stderr.contains("that one is never filled"), "{}", done.stderr);
    assert!(!types(&place, &place.runs().pop().unwrap()).contains(&"armed".to_owned()));

    scenario(&place, &host, &fill(data.to_str().unwrap()));
    let mut runner = place.start(&["run", "scenario.yaml", "--yes"]);
    let run = place.wait_until_bitten("fill", 90);
    let files =
        || std::fs::read_dir(&data).unwrap().flatten().filter(|entry| entry.file_name().to_string_lossy().contains("firedrill")).count();
    assert_eq!(files(), 1);
    kill_both(&place, &run, &mut runner);
    until("the disk has room again", WHOLE_WITHIN, || files() == 0);
    finished(&place, &run, &host);
    assert!(!disk.is_full());
}

/// Two runners that know nothing of each other, with a machine in common.
#[test]
fn what_one_runner_holds_there_no_other_can_take_and_the_rest_goes_on() {
    let (ours, theirs) = (Place::new(), Place::new());
    let Some(host) = Sshd::start(&ours) else { return };
    let (stranger, other) = (Stranger::start(&ours), Stranger::start(&theirs));
    let pause = |place: &Place, hold: &str| {
        format!("  hang: {{ process.pause: {{ pid_file: {} }}, on: there, for: {hold} }}\n", place.path().join("stranger.pid").display())
    };
    scenario(&ours, &host, &pause(&ours, "5m"));
    let runner = ours.start(&["run", "scenario.yaml", "--yes"]);
    ours.wait_until_bitten("hang", 60);
    assert!(stranger.is_stopped());

    // One that is stopped can be killed: only that it is held stands in the way.
    scenario(
        &theirs,
        &host,
        &pause(&ours, "1s").replace("process.pause", "process.kill").replace("for: 1s", "for: 1s, undo: { run: [\"true\"] }"),
    );
    let done = theirs.run(&["run", "scenario.yaml", "--yes"], 90).expect(11);
    assert!(done.stderr.contains("is held by another drill"), "{}", done.stderr);
    assert!(!types(&theirs, &theirs.runs().pop().unwrap()).contains(&"armed".to_owned()));

    scenario(&theirs, &host, &pause(&theirs, "1s"));
    // Again and again, so that one begins while the other lets go.
    for _ in 0..3 {
        let done = theirs.run(&["run", "scenario.yaml", "--yes"], 120);
        let told = types(&theirs, &theirs.runs().pop().unwrap());
        assert!(told.contains(&"undone".to_owned()) && !told.contains(&"cut_short".to_owned()), "{told:?}\n{}", said(&done));
        assert!(!other.is_stopped() && stranger.is_stopped(), "{}", said(&done));
    }
    assert_eq!(host.registered().len(), 1, "{:?}", host.registered());
    signal(runner.id(), "INT");
    wait(runner, 120).expect(40);
    assert!(!stranger.is_stopped() && host.registered().is_empty());
    // What was held can be taken now.
    scenario(&theirs, &host, &pause(&ours, "1s"));
    let done = theirs.run(&["run", "scenario.yaml", "--yes"], 120);
    assert!(types(&theirs, &theirs.runs().pop().unwrap()).contains(&"undone".to_owned()), "{}", said(&done));
}

/// Starts on both at once, as often as it takes to meet: nobody is broken twice, and whoever is refused is told so.
#[test]
fn two_runners_that_meet_there_do_not_both_hold_it() {
    let (ours, theirs) = (Place::new(), Place::new());
    let Some(host) = Sshd::start(&ours) else { return };
    let stranger = Stranger::start(&ours);
    let fault =
        format!("  hang: {{ process.pause: {{ pid_file: {} }}, on: there, for: 2s }}\n", ours.path().join("stranger.pid").display());
    for place in [&ours, &theirs] {
        scenario(place, &host, &fault);
    }
    let runners = [&ours, &theirs].map(|place| place.start(&["run", "scenario.yaml", "--yes"]));
    let done = runners.map(|runner| wait(runner, 180));
    let held = [&ours, &theirs].map(|place| types(place, &place.runs().pop().unwrap()).contains(&"effective".to_owned()));
    assert!(held[0] || held[1], "{}\n{}", said(&done[0]), said(&done[1]));
    for (done, held) in done.iter().zip(held) {
        let why = said(done);
        assert!(held || why.contains("held by another drill") || why.contains("it is stopped already"), "{why}");
    }
    assert!(!stranger.is_stopped() && host.registered().is_empty());
}

/// A clock that is off by so many seconds, for whatever `program` starts.
fn with_clock_off(place: &Place, program: &Path, seconds: i64) -> Option<PathBuf> {
    let cc = has_program("cc")?;
    let source = place.file(
        "clock.c",
        format!(
            "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <time.h>\n#include <unistd.h>\n\
             int clock_gettime(clockid_t id, struct timespec *now) {{\n  int bad = syscall(SYS_clock_gettime, id, now);\n  \
             if (!bad && id == CLOCK_REALTIME) now->tv_sec += {seconds};\n  return bad;\n}}\n"
        ),
    );
    let library = place.path().join(format!("clock{seconds}.so"));
    let made = Command::new(cc).args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
    assert!(made.success());
    let script = format!("#!/bin/sh\nLD_PRELOAD={} exec {} \"$@\"\n", library.display(), program.display());
    let file = place.file(&format!("firedrill{seconds}"), script);
    must_run(&file);
    Some(file)
}

/// Makes a file a program.
fn must_run(file: &Path) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Refused with these words, before anything is touched.
fn refused(place: &Place, words: &[&str], how: &str) {
    let done = place.run(&["run", "scenario.yaml", "--yes"], 120);
    assert_eq!(done.code, Some(11), "{how}: {}", said(&done));
    for word in words {
        assert!(done.stderr.contains(word), "{how}: no `{word}` in {}", said(&done));
    }
    let run = place.runs().pop().unwrap();
    assert!(!types(place, &run).contains(&"armed".to_owned()), "{how}");
}

#[test]
fn a_machine_that_cannot_take_it_is_told_and_nothing_is_touched() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let stranger = Stranger::start(&place);
    let fault =
        format!("  hang: {{ process.pause: {{ pid_file: {} }}, on: there, for: 2s }}\n", place.path().join("stranger.pid").display());
    scenario(&place, &host, &fault);
    let named = format!("firedrill: {}, ", drill::binary().display());

    for seconds in [300, -300] {
        let Some(off) = with_clock_off(&place, &drill::binary(), seconds) else {
            println!("SKIPPED: no C compiler; a clock that is off was not shown");
            break;
        };
        scenario(&place, &host, &fault);
        instead(&place, &named, &format!("firedrill: {}, ", off.display()));
        let which = if seconds > 0 { "ahead of this one" } else { "behind this one" };
        refused(&place, &["compare clocks with there", which, "NTP"], "a clock that is off");
    }

    scenario(&place, &host, &fault);
    instead(&place, &named, "");
    let uname = host.program("uname", "echo Linux sparc64");
    refused(&place, &["that machine is Linux sparc64", "firedrill: /usr/local/bin/firedrill"], "another architecture");
    std::fs::remove_file(uname).unwrap();

    let Some(disk) = host.home_disk(4 << 20) else { return };
    refused(&place, &["it needs", "and there is less", "make room there"], "no room");
    let df = host.program("df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted\\nx 1 1 999999999 1%% /\\n'");
    refused(&place, &["copy firedrill to", "No space left on device"], "no room, and it is not known before");
    std::fs::remove_file(df).unwrap();
    let left: Vec<_> = std::fs::read_dir(host.home().join(".cache/firedrill")).unwrap().flatten().collect();
    assert!(left.is_empty(), "nothing half-made stays: {left:?}");

    disk.protect();
    refused(&place, &["keep a firedrill on", "cannot be written"], "a home that cannot be written");
    scenario(&place, &host, &fault);
    refused(&place, &["create ", "Read-only file system", "the journal of what was broken is kept there"], "no place for the journal");
    assert!(!stranger.is_stopped() && host.registered().is_empty());
}

/// A machine that lets this user in with a password alone: nobody is asked for it, whatever the user's own configuration says.
#[test]
fn a_password_is_never_asked_for() {
    let place = Place::new();
    let Some(host) = Sshd::start(&place) else { return };
    let _stranger = Stranger::start(&place);
    let fault =
        format!("  hang: {{ process.pause: {{ pid_file: {} }}, on: there, for: 2s }}\n", place.path().join("stranger.pid").display());
    scenario(&place, &host, &fault);
    let config = std::fs::read_to_string(host.config()).unwrap();
    let config: String = config.lines().filter(|line| !line.starts_with("Identit")).map(|line| format!("{line}\n")).collect();
    let other = place.file(
        "asks.conf",
        format!(
            "BatchMode no\nIdentityFile /dev/null\nIdentitiesOnly yes\nPreferredAuthentications keyboard-interactive,password\n{config}"
        ),
    );
    instead(&place, &host.config().display().to_string(), &other.display().to_string());
    let asked = place.path().join("asked");
    let asks = place.file("asks", format!("#!/bin/sh\ntouch {}\necho secret\n", asked.display()));
    must_run(&asks);
    let mut command = place.command(&["run", "scenario.yaml", "--yes"]);
    command.env("SSH_ASKPASS", &asks).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0").env_remove("SSH_AUTH_SOCK");
    let done = wait(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), 90).expect(11);
    for words in ["log in at", "Permission denied", "must work without being asked anything", "add a key"] {
        assert!(done.stderr.contains(words), "no `{words}` in {}", said(&done));
    }
    assert!(!asked.exists(), "somebody was asked for a password");
    assert!(!types(&place, &place.runs().pop().unwrap()).contains(&"armed".to_owned()));
}
