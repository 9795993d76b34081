//! Faults on machines that AWS Systems Manager reaches, on a double of an account whose hosts are directories of this machine, where the real binary is the
//! host's firedrill. Whatever dies or is lost, the machine is whole again by itself.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![cfg(feature = "aws")]

mod aws;
mod drill;
mod needs;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws::{Double, Trouble, in_account};
use drill::{Done, Place, Stranger, send, service, wait};
use serde_json::Value;

const HOST: &str = "i-0000a001";
/// Longer than any lease of these tests and the undo that follows it.
const WHOLE_WITHIN: u64 = 120;

/// An account, a place to run drills in, and somebody on the host.
struct Scene {
    double: Double,
    place: Place,
    stranger: Stranger,
}

impl Scene {
    fn new() -> Scene {
        let (double, place) = (Double::start(Duration::from_secs(60)), Place::new());
        let stranger = Stranger::start(&place);
        Scene { double, place, stranger }
    }

    /// Writes `s.yaml`: a drill with these faults on `web1`.
    fn scenario(&self, faults: &str) {
        let text = format!(
            "firedrill: 1\ntitle: Another machine\nenvironment: test\naws: {{ account: \"111122223333\", region: eu-west-1 }}\n\
             hosts:\n  web1: {{ ssm: {HOST}, firedrill: {exe}, lease: 30s }}\n\
             probes:\n  up: {{ tcp: {{ address: '127.0.0.1:{port}' }}, rate: 50/s, timeout: 500ms }}\n\
             steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}\n\
             faults:\n{faults}recovery: {{ within: 30s, stable_for: 50ms }}\n",
            exe = drill::binary().display(),
            port = service(),
        );
        self.place.file("s.yaml", text);
    }

    fn change(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.place.path().join("s.yaml")).unwrap();
        assert!(text.contains(from), "{from} is not in\n{text}");
        self.place.file("s.yaml", text.replace(from, to));
    }

    /// A fault that stops the stranger for so long.
    fn pause(&self, hold: &str) -> String {
        format!(
            "  hang: {{ process.pause: {{ pid_file: {} }}, on: web1, for: {hold} }}\n",
            self.place.path().join("stranger.pid").display()
        )
    }

    fn command(&self, args: &[&str]) -> Command {
        in_account(&self.place, &self.double, args)
    }

    fn run(&self, args: &[&str]) -> Done {
        wait(self.command(args).spawn().unwrap(), 240)
    }

    fn start(&self) -> Child {
        self.command(&["run", "s.yaml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.double.with(|world| world.ssm.dir(HOST))
    }

    /// What is named in the registry of the host.
    fn registered(&self) -> Vec<String> {
        self.double.with(|world| world.ssm.hosts[0].registered())
    }

    /// What was sent, each by its last word: `prepare`, `inject`, `renew`.
    fn sent(&self) -> Vec<String> {
        let word = |comment: String| comment.rsplit(' ').next().unwrap_or_default().to_owned();
        self.double.with(|world| world.ssm.states()).into_iter().map(|(_, comment, _)| word(comment)).collect()
    }

    fn count(&self, word: &str) -> usize {
        self.sent().iter().filter(|one| *one == word).count()
    }

    fn events(&self) -> Vec<Value> {
        self.place
            .runs()
            .pop()
            .map(|run| self.place.journal(&run))
            .unwrap_or_default()
            .into_iter()
            .map(|entry| entry["event"].clone())
            .collect()
    }

    fn types(&self) -> Vec<String> {
        self.events().iter().map(|event| event["type"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn told(&self, kind: &str) -> bool {
        self.types().iter().any(|one| one == kind)
    }

    /// The journal that the host keeps of the only fault.
    fn there(&self) -> Vec<Value> {
        let dir = self.double.with(|world| world.ssm.hosts[0].faults()).pop().unwrap();
        self.place.journal(&dir)
    }

    /// Kills the runner and its watchdog, so that nobody here undoes anything.
    fn kill_everybody(&self, runner: &mut Child) {
        // Frozen, it starts no second watchdog for the one that is killed.
        send(runner.id(), "STOP");
        let watchdogs = self.events().into_iter().filter(|event| event["type"] == "watchdog_started");
        watchdogs.filter_map(|event| event["pid"].as_u64()).for_each(|pid| send(u32::try_from(pid).unwrap(), "KILL"));
        send(runner.id(), "KILL");
        runner.wait().unwrap();
    }

    /// What is wrong with the host after a drill.
    fn residue(&self) -> Vec<String> {
        let mut wrong: Vec<String> = self.registered().into_iter().map(|run| format!("{run} is still named on the host")).collect();
        if self.stranger.is_stopped() {
            wrong.push("the stranger is stopped".into());
        }
        if self.count("inject") > 1 {
            wrong.push("it was broken twice".into());
        }
        wrong
    }

    fn whole(&self) {
        until("the machine is whole", WHOLE_WITHIN, || self.residue().is_empty());
    }
}

fn until(what: &str, seconds: u64, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn program(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_fault_goes_there_and_comes_back() {
    let scene = Scene::new();
    scene.scenario(&scene.pause("500ms"));
    let plan = scene.run(&["plan", "s.yaml"]).expect(0);
    let does = "on web1 (i-0000a001 by Systems Manager in 111122223333, eu-west-1, as ";
    for part in ["on         web1 (i-0000a001)", "111122223333 in eu-west-1", does, "ssm send-command"] {
        assert!(plan.stdout.contains(part), "{part} is missing in\n{}", plan.stdout);
    }
    assert!(!scene.stranger.is_stopped() && scene.sent() == ["prepare"], "{:?}", scene.sent());
    let done = scene.run(&["run", "s.yaml", "--yes"]);
    let told = scene.types();
    for event in ["armed", "injected", "effective", "undone"] {
        assert!(scene.told(event), "{event}: {told:?}\n{}", done.stderr);
    }
    assert!(!scene.told("cut_short"), "{told:?}");
    let armed = scene.events().into_iter().find(|event| event["type"] == "armed").unwrap();
    assert!(armed["targets"][0].as_str().unwrap().ends_with(" on web1"), "{armed}");
    assert_eq!((scene.residue(), scene.count("undo")), (Vec::new(), 1), "{:?}", scene.sent());
    let comments: Vec<String> = scene.double.with(|world| world.ssm.states()).into_iter().map(|(_, comment, _)| comment).collect();
    assert_eq!(comments.iter().collect::<BTreeSet<_>>().len(), comments.len(), "no comment is used twice: {comments:?}");
    assert_eq!(scene.double.operations()[0], "GetCallerIdentity");
}

#[test]
fn kinds_run_there_unchanged() {
    let scene = Scene::new();
    let flag = scene.dir().join("home/flag").display().to_string();
    let there = format!("{{ command: {{ run: [test, -e, {flag}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    let gone = format!("{{ command: {{ run: [test, \"!\", -e, {flag}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    let mut faults = format!(
        "  flag: {{ command: {{ run: [touch, flag] }}, on: web1, for: 500ms, confirm: {there}, undo: {{ run: [rm, -f, flag], done_when: {gone} }} }}\n  \
         load: {{ resource.cpu: {{ workers: 1, load: 20% }}, on: web1, at: {{ after: flag.undone }}, for: 500ms }}\n"
    );
    let mut last = "load";
    for (id, kind, spec) in [
        ("fill", "disk.fill", "{ path: /dev/shm, size: 1MiB }".to_owned()),
        ("closed", "network.reject", format!("{{ port: {}, peer: 127.0.0.1 }}", drill::free_ports::<1>()[0])),
    ] {
        match needs::lacking(kind) {
            None => {
                faults.push_str(&format!("  {id}: {{ {kind}: {spec}, on: web1, at: {{ after: {last}.undone }}, for: 500ms }}\n"));
                last = id;
            }
            Some(what) => println!("SKIPPED: {kind}: {what}; nothing was shown of it"),
        }
    }
    let count = faults.lines().count();
    scene.scenario(&faults);
    let done = scene.run(&["run", "s.yaml", "--yes"]);
    let told = scene.types();
    let of = |event: &str| told.iter().filter(|one| *one == event).count();
    assert_eq!((of("effective"), of("undone"), of("cut_short")), (count, count, 0), "{told:?}\n{}{}", done.stdout, done.stderr);
    assert!(!Path::new(&flag).exists());
    assert!(scene.registered().is_empty());
}

#[test]
fn a_dead_runner_is_missed_there_and_one_that_lives_is_not() {
    let scene = Scene::new();
    scene.scenario(&scene.pause("5m"));
    let mut runner = scene.start();
    let run = scene.place.wait_until_bitten("hang", 120);
    until("a renewal arrives", WHOLE_WITHIN, || {
        scene.double.with(|world| world.ssm.hosts[0].faults()).iter().any(|dir| dir.join("renewed").exists())
    });
    assert!(scene.stranger.is_stopped());
    scene.kill_everybody(&mut runner);
    scene.whole();
    let there = scene.there();
    let at = |kind: &str| there.iter().find(|entry| entry["event"]["type"] == kind).map(|entry| entry["at"].as_u64().unwrap()).unwrap();
    let taken = there.iter().find(|entry| entry["event"]["type"] == "taken_over").unwrap();
    assert_eq!(taken["event"]["why"], "nothing was heard of the runner for 30 s");
    // The first renewal is sent ten seconds after the injection, and counts from when it was said.
    let held = at("taken_over") - at("injected");
    assert!(held >= 35_000_000_000, "a renewal counts: {held}");
    let done = scene.run(&["undo", run.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(scene.told("cut_short"), "the journal says that it was undone before: {:?}", scene.types());
}

/// Where there is systemd, whoever holds the fault is in a scope of its own; and may die.
#[test]
fn whoever_holds_it_there_may_die() {
    let scene = Scene::new();
    program(
        &scene.dir().join("bin/systemd-run"),
        "#!/bin/sh\necho \"$@\" >>$0.log\nwhile :; do case $1 in --*) shift;; *) break;; esac; done\nexec \"$@\"\n",
    );
    scene.scenario(&scene.pause("6s"));
    let runner = scene.command(&["run", "s.yaml", "--yes"]).spawn().unwrap();
    scene.place.wait_until_bitten("hang", 120);
    let log = std::fs::read_to_string(scene.dir().join("bin/systemd-run.log")).unwrap();
    assert!(log.lines().any(|line| line.starts_with("--quiet --scope") && line.ends_with("__host hold")), "{log}");
    let holders = scene.double.with(|world| world.ssm.hosts[0].holders());
    assert_eq!(holders.len(), 1);
    send(holders[0], "KILL");
    until("its watchdog undoes", WHOLE_WITHIN, || !scene.stranger.is_stopped());
    let done = wait(runner, 240);
    assert!(scene.told("undone") && scene.told("cut_short"), "{:?}\n{}{}", scene.types(), done.stdout, done.stderr);
    scene.whole();
}

/// The fault cuts the machine off from AWS: nobody hears that it began, nothing can be asked, and it undoes by itself.
#[test]
fn a_machine_that_is_cut_off_undoes_by_itself() {
    let scene = Scene::new();
    let cut = scene.dir().join("offline").display().to_string();
    let there = format!("{{ command: {{ run: [test, -e, {cut}] }}, expect: {{ exit: {{ equals: 0 }} }}, within: 30s }}");
    let gone = format!("{{ command: {{ run: [test, \"!\", -e, {cut}] }}, expect: {{ exit: {{ equals: 0 }} }} }}");
    scene.scenario(&format!(
        "  cut: {{ command: {{ run: [touch, {cut}] }}, on: web1, for: 10s, confirm: {there}, undo: {{ run: [rm, -f, {cut}], done_when: {gone} }} }}\n"
    ));
    let done = scene.run(&["run", "s.yaml", "--yes"]);
    let told = scene.types();
    assert!(!Path::new(&cut).exists(), "the machine can be reached again: {told:?}\n{}{}", done.stdout, done.stderr);
    for event in ["injected", "effective", "undone"] {
        assert!(scene.told(event), "{event}: {told:?}\n{}{}", done.stdout, done.stderr);
    }
    // It lasted for as long as it was to be held, and longer.
    assert!(!scene.told("cut_short"), "{told:?}");
    scene.whole();
}

/// Drills of which the nth command loses its answer: found by its comment, or not found at all.
#[test]
fn a_command_whose_answer_is_lost_is_found_or_does_no_harm() {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let case = next.fetch_add(1, Ordering::SeqCst);
                    let (nth, lists) = (case / 2 + 1, case.is_multiple_of(2));
                    if nth > 5 {
                        break;
                    }
                    let scene = Scene::new();
                    scene.scenario(&scene.pause("300ms"));
                    scene.double.with(|world| world.nth = Some(("SendCommand", nth, Trouble::LoseAnswer)));
                    if !lists {
                        scene.double.trouble("ListCommands", &[Trouble::Break; 9]);
                    }
                    let done = scene.run(&["run", "s.yaml", "--yes"]);
                    let mut found = scene.residue();
                    if lists && (scene.count("inject"), scene.count("undo")) != (1, 1) {
                        found.push(format!("sent: {:?}", scene.sent()));
                    }
                    if !lists && scene.told("armed") && !scene.told("undone") {
                        found.push("it was not undone".into());
                    }
                    if !found.is_empty() {
                        let what = if lists { "found by its comment" } else { "never found" };
                        wrong.lock().unwrap().push(format!("answer {nth} lost, {what}: {found:?}\n{:?}\n{}", scene.types(), done.stderr));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn throttling_does_not_delay_an_undo() {
    let scene = Scene::new();
    scene.scenario(&scene.pause("5m"));
    let runner = scene.command(&["run", "s.yaml", "--yes"]).spawn().unwrap();
    scene.place.wait_until_bitten("hang", 120);
    scene.double.trouble("SendCommand", &[Trouble::Throttle; 3]);
    scene.double.trouble("GetCommandInvocation", &[Trouble::Throttle; 3]);
    send(runner.id(), "INT");
    let done = wait(runner, 240);
    assert_eq!(done.code, Some(40), "{}", done.stderr);
    assert_eq!(scene.residue(), Vec::<String>::new());
    assert!(!scene.told("undo_failed"), "one attempt was enough: {:?}", scene.types());
    let throttled = scene.double.with(|world| world.calls.iter().filter(|call| call.trouble == Some(Trouble::Throttle)).count());
    assert_eq!(throttled, 6);
}

#[test]
fn the_line_by_hand_works_after_everybody_was_killed() {
    if !Command::new("aws").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("SKIPPED: the AWS command line is not installed (pip install awscli); the line by hand was not pasted");
        return;
    }
    let scene = Scene::new();
    scene.scenario(&scene.pause("5m"));
    let mut runner = scene.start();
    let run = scene.place.wait_until_bitten("hang", 120);
    scene.kill_everybody(&mut runner);
    let armed = scene.events().into_iter().find(|event| event["type"] == "armed").unwrap();
    let line = armed["undo"]["by_hand"].as_str().unwrap();
    for _ in 0..2 {
        let mut shell = Command::new("sh");
        let pasted = shell.args(["-c", line]).current_dir("/").envs(scene.double.environment()).stdin(Stdio::null()).output().unwrap();
        assert!(pasted.status.success(), "{line}\n{}", drill::text(&pasted));
        assert_eq!(scene.residue(), Vec::<String>::new());
    }
    scene.run(&["undo", run.to_str().unwrap()]).expect(0);
}

#[test]
fn what_stands_in_the_way_is_told_before_anything_is_touched() {
    type Change<'a> = &'a (dyn Fn(&Scene) + Sync);
    let exe = format!("firedrill: {}", drill::binary().display());
    let cases: [(&str, Change<'_>); 10] = [
        ("start /nowhere/firedrill on i-0000a001 by Systems Manager", &|scene| scene.change(&exe, "firedrill: /nowhere/firedrill")),
        ("talk to firedrill 0.0.1 on i-0000a001", &|scene| {
            let path = scene.dir().join("old");
            program(&path, "#!/bin/sh\necho 'firedrill: {\"answer\":\"ready\",\"version\":\"0.0.1\"}'\n");
            scene.change(&exe, &format!("firedrill: {}", path.display()));
        }),
        ("the agent of i-0000a001 (web-001, Linux) is not connected", &|scene| {
            scene.double.with(|world| world.ssm.hosts[0].online = false)
        }),
        ("i-0000a001 (web-001, Windows) runs Windows", &|scene| scene.double.with(|world| world.ssm.hosts[0].platform = "Windows")),
        ("i-0000a009 does not carry the tag firedrill=allowed", &|scene| scene.change(HOST, "i-0000a009")),
        ("i-0000affe is no managed instance in eu-west-1", &|scene| scene.change(HOST, "i-0000affe")),
        ("enter account 999988887777", &|scene| scene.change("111122223333", "999988887777")),
        ("AWS keeps 24,000 characters of what a command prints, and has cut it", &|scene| scene.double.with(|world| world.ssm.kept = 200)),
        ("prepare it on web1: failed to", &|scene| scene.change("stranger.pid", "no-such.pid")),
        ("DeliveryTimedOut", &|scene| {
            scene
                .double
                .with(|world| (world.ssm.pending, world.ssm.delivery) = (Duration::from_secs(60), Some(Duration::from_millis(300))));
        }),
    ];
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((says, change)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let scene = Scene::new();
                    scene.scenario(&scene.pause("300ms"));
                    change(&scene);
                    let done = scene.run(&["run", "s.yaml", "--yes"]);
                    assert_eq!(done.code, Some(11), "{says}: {}{}", done.stdout, done.stderr);
                    assert!(done.stderr.contains(says), "{says} is missing in\n{}", done.stderr);
                    assert!(!scene.told("armed") && scene.count("inject") == 0 && scene.residue().is_empty(), "{says}");
                }
            });
        }
    });
}

#[test]
fn everything_that_is_called_is_allowed_and_a_policy_may_forbid_the_host() {
    let scene = Scene::new();
    scene.scenario(&scene.pause("300ms"));
    let policies = scene.run(&["plan", "s.yaml", "--output", "iam"]).expect(0).json();
    assert_eq!(policies["unknown"], serde_json::json!([]), "{policies:#}");
    assert_eq!(scene.double.operations(), Vec::<String>::new(), "nothing is asked for it");
    scene.run(&["run", "s.yaml", "--yes"]);
    assert!(scene.told("undone"), "{:?}", scene.types());
    let statements = policies["runner"]["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|one| one["Action"].as_array().unwrap()).map(|one| one.as_str().unwrap());
    let may: BTreeSet<String> = actions.map(|one| one.split_once(':').unwrap().1.to_owned()).collect();
    let called: BTreeSet<String> = scene.double.operations().into_iter().filter(|one| one != "GetCallerIdentity").collect();
    // The list is only read when an answer was lost.
    assert_eq!(may.difference(&called).collect::<Vec<_>>(), ["ListCommands"], "{called:?}");
    assert!(called.is_subset(&may), "{called:?} of {may:?}");
    assert!(policies["runner"].to_string().contains(&format!("arn:aws:ec2:eu-west-1:111122223333:instance/{HOST}")), "{policies:#}");

    scene.place.file("firedrill.policy.yaml", "policy: 1\nrules: { far: { hosts: { forbid: [\"i-0000a00*\"] } } }\n");
    let done = scene.run(&["run", "s.yaml", "--yes"]);
    assert!(done.code == Some(10) && done.stderr.contains("`hang` acts on"), "{:?} {}", done.code, done.stderr);
}
