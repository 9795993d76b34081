//! Stopping drills from outside: `abort`, the safety lever, `undo --all`, and the watchdog that goes on trying after the runner gave up. Real
//! processes throughout; states are waited for, never times.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at the world from outside, and stops where it cannot")]

mod drill;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Done, Place, binary, case, side_by_side, signal, wait};
use serde_json::Value;

/// Long enough for a busy machine; nothing is ever waited for to the full.
const PATIENCE: u64 = 120;

/// Each phase lasts as long as it is told to; the mark is a file, so that anybody can see whether it is there.
const SCENARIO: &str = r#"
firedrill: 1
title: A drill that is to be stopped
probes: { web: { tcp: { address: "127.0.0.1:PORT" }, rate: 10/s } }
steady_state: { over: BASELINE, probes: { web: { success: { min: 50% } } } }
recovery: { within: 60s, stable_for: 500ms }
claims: { there: { measured_by: [web], availability: { min: 1%, over: SETTLE } } }
faults:
  mark:
    command: { run: [touch, "${run.dir}/broken"] }
    at: 100ms
    for: HOLD
    confirm: { command: { run: [test, -e, "${run.dir}/broken"] }, expect: { exit: { equals: 0 } }, every: 50ms, within: 20s }
    undo:
      run: UNDO
      done_when: { command: { run: [test, "!", -e, "${run.dir}/broken"] }, expect: { exit: { equals: 0 } }, every: 50ms, within: 2s }
"#;
const REMOVE: &str = r#"[rm, -f, "${run.dir}/broken"]"#;
/// Works once somebody has allowed it.
const WHEN_ALLOWED: &str = r#"[sh, -c, "test -e \"$0/allowed\" && rm -f \"$0/broken\"", "${run.dir}"]"#;

/// A place with a drill of given lengths, and somebody who answers its probe.
struct Stage {
    place: Place,
    /// The machine's registry; places may share one.
    registry: PathBuf,
}

impl Stage {
    fn new(baseline: &str, hold: &str, settle: &str, undo: &str) -> Stage {
        let place = Place::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let text = SCENARIO.replace("PORT", &port).replace("BASELINE", baseline).replace("SETTLE", settle);
        place.file("drill.yaml", text.replace("HOLD", hold).replace("UNDO", undo));
        let registry = place.path().join("registry");
        Stage { place, registry }
    }

    /// A drill that holds its fault for a minute.
    fn held() -> Stage {
        Stage::new("500ms", "60s", "1s", REMOVE)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.env("FIREDRILL_REGISTRY", &self.registry).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Child {
        self.command(&["run", "drill.yaml", "--yes"]).spawn().unwrap()
    }

    /// Starts the drill and waits for an event of this type.
    fn start_until(&self, kind: &str) -> Child {
        let child = self.start();
        self.place.wait_for_event(kind, PATIENCE);
        child
    }

    fn run(&self, args: &[&str]) -> Done {
        wait(self.command(args).spawn().unwrap(), PATIENCE)
    }

    /// The same, from a directory in which there are no runs.
    fn run_elsewhere(&self, args: &[&str]) -> Done {
        wait(self.command(args).current_dir("/").spawn().unwrap(), PATIENCE)
    }

    fn dir(&self) -> PathBuf {
        self.place.runs().pop().unwrap()
    }

    fn id(&self) -> String {
        self.dir().file_name().unwrap().to_string_lossy().into_owned()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let entries = self.place.journal(&self.dir()).into_iter().map(|mut entry| entry["event"].take());
        entries.filter(|event| event["type"] == kind).collect()
    }

    /// Everything is undone, and firedrill knows it.
    fn all_is_well(&self) {
        self.place.assert_nobody_survives(20);
        assert!(!self.dir().join("broken").exists(), "the fault is still there");
        assert!(!self.dir().join("control").exists(), "the control socket is still there");
        assert!(self.registered().is_empty(), "still registered: {:?}", self.registered());
        let done = self.run(&["undo"]).expect(0);
        assert!(done.stderr.contains("nothing to undo"), "{}", done.stderr);
    }

    fn registered(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.registry.join("runs")).map(|dir| dir.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
    }

    /// Kills watchdog and runner so that neither can do anything about the other's death.
    fn kill_both(&self, child: &mut Child) {
        signal(child.id(), "STOP");
        signal(self.watchdog(), "KILL");
        signal(child.id(), "KILL");
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    fn watchdog(&self) -> u32 {
        self.place.wait_for_event("watchdog_started", PATIENCE);
        u32::try_from(self.events("watchdog_started")[0]["pid"].as_u64().unwrap()).unwrap()
    }
}

/// What a report says, without the ends of its lines.
fn said(done: &Done) -> String {
    done.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(PATIENCE);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// ---- abort ------------------------------------------------------------------------------------------------------------------------

#[test]
fn an_abort_from_anywhere_ends_a_drill_in_any_phase() {
    let phases = [
        ("baseline", "baseline_started", ["60s", "60s", "1s"]),
        ("held", "effective", ["500ms", "60s", "1s"]),
        ("settle", "settle_started", ["500ms", "200ms", "120s"]),
    ];
    let cases = phases.into_iter().map(|(phase, kind, [baseline, hold, settle])| {
        case(phase, move || {
            let stage = Stage::new(baseline, hold, settle, REMOVE);
            let child = stage.start_until(kind);
            let id = stage.id();
            let done = stage.run_elsewhere(&["abort", &id[..id.len() - 2], "--reason", "the shop\nis down"]).expect(0);
            assert!(done.stderr.contains(&format!("{id}: aborted; everything is undone")), "{}", done.stderr);
            let done = wait(child, PATIENCE).expect(40);
            assert!(said(&done).contains("the shop is down"), "{}", done.stdout);
            let [asked] = &stage.events("abort_requested")[..] else { panic!("asked once") };
            assert_eq!(asked["reason"], "the shop is down");
            let uid = rustix::process::geteuid().as_raw();
            assert!(asked["by"].as_str().unwrap().ends_with(&format!("uid {uid})")), "{asked}");
            assert_eq!(stage.events("injecting").is_empty(), phase == "baseline");
            stage.all_is_well();
        })
    });
    side_by_side(cases.collect());
}

#[test]
fn an_abort_says_whom_it_cannot_reach() {
    let stage = Stage::held();
    let abort = |run: &str| stage.run_elsewhere(&["abort", run, "--reason", "x"]);
    let done = stage.run(&["abort", "--reason", "x"]).expect(11);
    assert!(done.stderr.contains("no drill of yours is running") && done.stderr.contains("help: "), "{}", done.stderr);
    stage.run(&["abort", "--all", "--reason", "x"]).expect(11);
    abort("01NOSUCHRUN").expect(11);
    stage.run(&["abort"]).expect(2);
    stage.run(&["abort", "--reason", " \n"]).expect(2);
    // A drill that died with all who could undo it.
    let mut child = stage.start_until("effective");
    let id = stage.id();
    stage.kill_both(&mut child);
    let done = abort(&id).expect(11);
    let help = format!("firedrill undo {}", stage.dir().display());
    assert!(done.stderr.contains("is dead") && done.stderr.contains(&help), "{}", done.stderr);
    let done = stage.run(&["abort", "--all", "--reason", "x"]).expect(11);
    assert!(done.stderr.contains("firedrill undo --all"), "{}", done.stderr);
    stage.run(&["undo", "--all"]).expect(0);
    let done = stage.run(&["abort", &id, "--reason", "x"]).expect(11);
    assert!(done.stderr.contains("has ended already"), "{}", done.stderr);
}

#[test]
fn all_running_drills_of_a_machine_are_aborted_at_once_and_several_need_a_name() {
    let first = Stage::held();
    let mut second = Stage::held();
    second.registry.clone_from(&first.registry);
    let running = [first.start_until("effective"), second.start_until("effective")];
    let done = first.run_elsewhere(&["abort", "--reason", "x"]).expect(11);
    assert!(done.stderr.contains(&first.id()) && done.stderr.contains(&second.id()), "{}", done.stderr);
    // Who waits for nothing is told that it is not over.
    let done = first.run_elsewhere(&["abort", "--all", "--reason", "all of them", "--wait", "1ms"]);
    assert!(done.code == Some(0) || (done.code == Some(50) && done.stderr.contains("still undoing")), "{done:?}");
    for child in running {
        wait(child, PATIENCE).expect(40);
    }
    first.all_is_well();
    second.all_is_well();
}

// ---- the lever --------------------------------------------------------------------------------------------------------------------

#[test]
fn the_lever_aborts_what_runs_and_lets_nothing_start() {
    let stage = Stage::held();
    let done = stage.run(&["lever", "status"]).expect(0);
    assert!(done.stdout.contains("released"), "{}", done.stdout);
    let child = stage.start_until("effective");
    stage.run_elsewhere(&["lever", "engage", "--reason", "the shop is down"]).expect(0);
    let done = wait(child, PATIENCE).expect(40);
    assert!(said(&done).contains("safety lever, engaged by") && said(&done).contains("the shop is down"), "{}", done.stdout);
    assert_eq!(stage.events("abort_requested").len(), 1);
    stage.all_is_well();
    // The first one's words stay.
    let done = stage.run(&["lever", "engage", "--reason", "another"]).expect(0);
    assert!(done.stderr.contains("the shop is down"), "{}", done.stderr);
    let runs = stage.place.runs().len();
    for args in [&["run", "drill.yaml", "--yes"][..], &["run", "drill.yaml", "--yes", "--until", "baseline"], &["demo"]] {
        let done = stage.run(args).expect(11);
        let uid = format!("uid {}", rustix::process::geteuid().as_raw());
        for words in ["safety lever", &uid, " at 20", "the shop is down", "firedrill lever release"] {
            assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
        }
    }
    assert_eq!(stage.place.runs().len(), runs, "nothing was begun");
    stage.run(&["check", "drill.yaml"]).expect(0);
    stage.run(&["plan", "drill.yaml"]).expect(0);
    let done = stage.run(&["lever", "status"]).expect(11);
    assert!(done.stdout.contains("engaged by") && done.stdout.contains("the shop is down"), "{}", done.stdout);
    let done = stage.run(&["lever", "release"]).expect(0);
    assert!(done.stderr.contains("the shop is down"), "{}", done.stderr);
    let done = stage.run(&["lever", "release"]).expect(0);
    assert!(done.stderr.contains("was not engaged"), "{}", done.stderr);
    stage.run(&["run", "drill.yaml", "--yes", "--until", "baseline"]).expect(0);
}

#[test]
fn a_dead_run_is_undone_while_the_lever_is_engaged() {
    let stage = Stage::held();
    let mut child = stage.start_until("effective");
    stage.kill_both(&mut child);
    stage.run(&["lever", "engage", "--reason", "x"]).expect(0);
    let done = stage.run(&["undo"]).expect(0);
    assert!(done.stderr.contains("undone and verified: mark"), "{}", done.stderr);
    stage.place.assert_nobody_survives(20);
    assert!(!stage.dir().join("broken").exists());
}

#[test]
fn a_lever_that_cannot_be_read_counts_as_engaged() {
    let stage = Stage::held();
    let child = stage.start_until("effective");
    let lever = stage.registry.join("lever");
    std::fs::write(&lever, b"\xff\x1b[2J{\"lever\":").unwrap();
    let done = wait(child, PATIENCE).expect(40);
    assert!(said(&done).contains("counts as engaged") && !done.stdout.contains("\x1b[2J"), "{}", done.stdout);
    stage.all_is_well();
    let done = stage.run(&["run", "drill.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("counts as engaged") && done.stderr.contains("firedrill lever release"), "{}", done.stderr);
    let done = stage.run(&["lever", "status"]).expect(11);
    assert!(done.stdout.contains("counts as engaged"), "{}", done.stdout);
    stage.run(&["lever", "release"]).expect(0);
    stage.run(&["lever", "status"]).expect(0);
}

/// Runs a command as an account that owns nothing; `None` where this is not root, or the account cannot reach the binary.
fn as_nobody(stage: &Stage, args: &[&str]) -> Option<Done> {
    let run = |program: &Path, args: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).args(args).current_dir("/");
        command.env("FIREDRILL_REGISTRY", &stage.registry).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().ok().map(|child| wait(child, PATIENCE))
    };
    let reached = run(&binary(), &["--version"]).is_some_and(|done| done.code == Some(0));
    reached.then(|| run(&binary(), args)).flatten()
}

#[test]
fn another_user_may_engage_the_lever_but_neither_release_it_for_others_nor_reach_their_drills() {
    let stage = Stage::held();
    std::fs::set_permissions(stage.place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let child = stage.start_until("effective");
    let Some(done) = as_nobody(&stage, &["abort", &stage.id(), "--reason", "x"]) else {
        println!("SKIPPED another user: only root can become one, and it must reach the binary");
        stage.run(&["abort", "--reason", "the test is skipped"]).expect(0);
        wait(child, PATIENCE).expect(40);
        return;
    };
    let done = done.expect(11);
    assert!(done.stderr.contains("another user's") && done.stderr.contains("firedrill lever engage"), "{}", done.stderr);
    as_nobody(&stage, &["lever", "engage", "--reason", "not on my machine"]).unwrap().expect(0);
    let done = wait(child, PATIENCE).expect(40);
    assert!(said(&done).contains("uid 65534") && said(&done).contains("not on my machine"), "{}", done.stdout);
    stage.all_is_well();
    stage.run(&["lever", "release"]).expect(0);
    stage.run(&["lever", "engage", "--reason", "root's own"]).expect(0);
    let done = as_nobody(&stage, &["lever", "release"]).unwrap().expect(11);
    assert!(done.stderr.contains("or root, can release it") && done.stderr.contains("root's own"), "{}", done.stderr);
    as_nobody(&stage, &["lever", "status"]).unwrap().expect(11);
}

// ---- undo -------------------------------------------------------------------------------------------------------------------------

#[test]
fn every_dead_run_of_the_machine_is_undone_by_one_command() {
    let first = Stage::held();
    // This one dies before it owes anything; nobody would bring it to an end otherwise.
    let mut second = Stage::new("60s", "60s", "1s", REMOVE);
    second.registry.clone_from(&first.registry);
    let mut third = Stage::held();
    third.registry.clone_from(&first.registry);
    let mut running = [first.start_until("effective"), second.start_until("baseline_started"), third.start_until("effective")];
    for (stage, child) in [&first, &second, &third].into_iter().zip(&mut running) {
        stage.kill_both(child);
    }
    assert!(first.dir().join("broken").exists() && third.dir().join("broken").exists(), "there is something to undo");
    let done = first.run_elsewhere(&["undo", "--all"]).expect(0);
    let line = |stage: &Stage, words: &str| format!("{}: {words}", stage.dir().display());
    for (stage, words) in [(&first, "undone and verified: mark"), (&second, "nothing was owed"), (&third, "undone and verified: mark")] {
        assert!(done.stderr.lines().any(|said| said == line(stage, words)), "{}\n{}", line(stage, words), done.stderr);
        assert_eq!(stage.events("run_finished").len(), 1);
    }
    assert_eq!(done.stderr.lines().count(), 3, "one line each: {}", done.stderr);
    for stage in [&first, &third] {
        stage.all_is_well_but_for_the_socket();
    }
    let done = first.run_elsewhere(&["undo", "--all"]).expect(0);
    assert!(done.stderr.contains("nothing to undo"), "{}", done.stderr);
    first.run(&["undo", "--all", "last"]).expect(2);
}

impl Stage {
    /// A killed runner leaves its socket, on which nobody answers.
    fn all_is_well_but_for_the_socket(&self) {
        let _ = std::fs::remove_file(self.dir().join("control"));
        self.all_is_well();
    }
}

#[test]
fn the_watchdog_goes_on_trying_when_the_runner_has_given_up() {
    let stage = Stage::new("500ms", "200ms", "1s", WHEN_ALLOWED);
    let done = wait(stage.start(), PATIENCE).expect(50);
    assert!(done.stdout.contains("UNDO FAILED") && done.stderr.contains("tried again by the watchdog"), "{}\n{}", done.stdout, done.stderr);
    let run = stage.dir();
    assert!(run.join("broken").exists());
    // Its runner is gone and it tries by itself; meanwhile it counts as owed, also at the moments at which it is at work.
    wait_until("the watchdog has taken over", || stage.events("taken_over").iter().any(|taken| taken["by"] == "watchdog"));
    let done = stage.run(&["runs"]).expect(0);
    assert!(done.stdout.contains("owes an undo"), "{}", done.stdout);
    let done = stage.run(&["run", "drill.yaml", "--yes"]).expect(11);
    assert!(done.stderr.contains("mark"), "{}", done.stderr);
    // A person who tries is not refused because of it.
    let done = stage.run(&["undo"]).expect(50);
    assert!(done.stderr.contains("by hand: cd "), "{}", done.stderr);
    std::fs::write(run.join("allowed"), "").unwrap();
    wait_until("the watchdog has undone it", || !stage.events("undone").is_empty());
    // Nobody may have reaped it; what is left then has no command line.
    let lives = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty());
    wait_until("the watchdog has ended", || stage.registered().is_empty() && !lives(stage.watchdog()));
    stage.all_is_well();
    let by: Vec<Value> = stage.events("taken_over").iter().map(|taken| taken["by"].clone()).collect();
    assert_eq!(by.last().unwrap(), "watchdog", "{by:?}");
    stage.run(&["report", "last"]).expect(40);
}

/// The shim of an injection ends it when the runner is gone; one that is held up does so late, and until then the fault may still come.
#[test]
fn nobody_takes_a_fault_for_undone_that_a_dead_runner_is_still_injecting() {
    let stage = Stage::held();
    let text = std::fs::read_to_string(stage.place.path().join("drill.yaml")).unwrap();
    let late = r#"[sh, -c, "sleep 2; touch \"$0\"; sleep 60", "${run.dir}/broken"], timeout: 25s }"#;
    let changed = text.replace(r#"[touch, "${run.dir}/broken"] }"#, late);
    assert_ne!(changed, text);
    stage.place.file("drill.yaml", changed);
    let mut child = stage.start_until("injecting");
    let mut found = None;
    wait_until("the injection has a shim and a command", || {
        let marked = stage.place.survivors();
        found = marked.iter().find(|line| line.contains("__exec")).and_then(|line| line.split(' ').next()?.parse().ok());
        found.is_some() && marked.iter().any(|line| !line.contains("__exec"))
    });
    signal(found.unwrap(), "STOP");
    assert!(stage.events("injected").is_empty(), "it is under way");
    signal(child.id(), "KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    wait_until("the watchdog has finished the run", || !stage.events("run_finished").is_empty() && stage.registered().is_empty());
    assert_eq!(stage.events("undone").len(), 1);
    stage.all_is_well_but_for_the_socket();
}
