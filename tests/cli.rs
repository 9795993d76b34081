//! The life of a drill through the real binary: how it ends, whatever happens to it, and that nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use drill::{Case, Done, Place, case, free_ports, side_by_side, signal, wait};
use serde_json::Value;

/// Long enough for a busy machine; nothing is ever waited for to the full.
const PATIENCE: u64 = 120;

const HEAD: &str = r#"
firedrill: 1
title: A quick drill
owner: tests
environment: laptop
test: recovery
vars: { port: "1" }
probes:
  web:
    http: { url: "http://127.0.0.1:${port}/status" }
    rate: 20/s
    timeout: 500ms
    expect: { status: { equals: 200 } }
steady_state:
  over: 1s
  probes:
    web: { success: { min: 99% } }
recovery: { within: 20s, stable_for: 1s }
"#;

const NODE: &str = r#"
system:
  node:
    run: ["${firedrill}", __demo, node, --name=a, "--listen=127.0.0.1:${port}", "--peer=127.0.0.1:1", "--data=${run.dir}/node", --first]
    ready: { http: { url: "http://127.0.0.1:${port}/status" }, expect: { status: { equals: 200 } }, within: 30s }
"#;

const PAUSE: &str = r#"
faults:
  hold:
    process.pause: { system: node }
    at: 300ms
    for: 2s
"#;

/// A second support that is slow to start, and a fault that is slow to inject and slow to undo: every phase lasts long enough to be met.
const SLOW: &str = r#"
  slow:
    run: [sh, -c, "sleep 1.5; touch \"$0\"; exec sleep 600", "${run.dir}/ready"]
    ready: { command: { run: [test, -e, "${run.dir}/ready"] }, expect: { exit: { equals: 0 } }, within: 30s }
faults:
  mark:
    command: { run: [sh, -c, "touch \"$0\"; sleep 1.5", "${run.dir}/broken"], timeout: 20s }
    at: 300ms
    for: 3s
    confirm: { command: { run: [test, -e, "${run.dir}/broken"] }, expect: { exit: { equals: 0 } }, every: 50ms, within: 10s }
    undo:
      run: [sh, -c, "sleep 1.5; rm -f \"$0\"", "${run.dir}/broken"]
      done_when: { command: { run: [test, "!", -e, "${run.dir}/broken"] }, expect: { exit: { equals: 0 } }, within: 10s }
"#;

/// A place with a scenario and a port of its own.
struct Quick {
    place: Place,
    port: String,
}

impl Quick {
    fn new(parts: &[&str]) -> Quick {
        let place = Place::new();
        place.file("quick.yaml", parts.concat());
        let [port] = free_ports::<1>();
        Quick { place, port: format!("port={port}") }
    }

    fn args(&self) -> [&str; 5] {
        ["run", "quick.yaml", "--yes", "--var", &self.port]
    }

    fn run(&self) -> Done {
        self.place.run(&self.args(), PATIENCE)
    }

    fn start(&self) -> Child {
        self.place.start(&self.args())
    }

    /// Waits for an event of this type, of this item where one is named.
    fn wait_for(&self, kind: &str, id: &str) -> Value {
        let end = Instant::now() + Duration::from_secs(PATIENCE);
        loop {
            let entries = self.place.runs().pop().map(|run| self.place.journal(&run)).unwrap_or_default();
            let found = entries.into_iter().map(|mut entry| entry["event"].take());
            if let Some(event) = found.into_iter().find(|event| event["type"] == kind && (id.is_empty() || event["id"] == id)) {
                return event;
            }
            assert!(Instant::now() < end, "no event {kind} {id}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn last_run(&self) -> PathBuf {
        self.place.runs().pop().expect("a run")
    }

    fn events(&self) -> Vec<Value> {
        self.place.journal(&self.last_run()).into_iter().map(|mut entry| entry["event"].take()).collect()
    }

    fn count(&self, kind: &str) -> usize {
        self.events().iter().filter(|event| event["type"] == kind).count()
    }

    /// Nothing but supports was ever injected.
    fn nothing_was_injected(&self) {
        let faults: Vec<Value> = self
            .events()
            .into_iter()
            .filter(|event| event["type"] == "injecting")
            .filter(|event| !event["id"].as_str().unwrap_or_default().contains('/'))
            .collect();
        assert!(faults.is_empty(), "{faults:?}");
    }

    /// Everything is undone, nobody lives, and firedrill knows it.
    fn all_is_well(&self, code: i32) {
        self.place.assert_nobody_survives(20);
        let run = self.last_run();
        self.no_helper_of(&run);
        assert!(!run.join("broken").exists(), "the fault is still there");
        let last = self.events().pop().unwrap();
        assert_eq!(last["type"], "run_finished", "{last}");
        let done = self.place.run(&["undo"], PATIENCE).expect(0);
        assert!(done.stderr.contains("nothing to undo"), "{}", done.stderr);
        // A runner that is killed after its last word leaves no report: whoever undoes writes it.
        let _ = std::fs::remove_file(run.join("report.html"));
        let done = self.place.run(&["undo", "last"], PATIENCE).expect(0);
        assert!(done.stderr.contains("nothing was owed"), "{}", done.stderr);
        let done = self.place.run(&["runs"], PATIENCE).expect(0);
        assert!(done.stdout.contains(&format!("exit {code:2}")), "{}", done.stdout);
        for report in ["report.html", "report.json", "report.md", "report.xml"] {
            assert!(run.join(report).is_file(), "{report}");
        }
        self.place.run(&["report", "last"], PATIENCE).expect(code);
        assert!(std::fs::read_dir(self.place.path().join("registry/runs")).is_ok_and(|mut dir| dir.next().is_none()), "still registered");
    }

    /// No watchdog or shim of this run lives, which carry no mark; one may be about to end.
    fn no_helper_of(&self, run: &Path) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let left = processes_of(run);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "still there: {left:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Living processes with the directory among their arguments.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(words) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(&dir) {
            found.push(format!("{} {words}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

fn kill9(child: &mut Child) {
    signal(child.id(), "KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

/// Kills watchdog and runner so that neither can do anything about the other's death.
fn kill_both(quick: &Quick, child: &mut Child) {
    let watchdog = quick.wait_for("watchdog_started", "")["pid"].as_u64().unwrap();
    signal(child.id(), "STOP");
    signal(u32::try_from(watchdog).unwrap(), "KILL");
    kill9(child);
}

/// The phases of the slow scenario, each with the event that opens it.
const PHASES: [(&str, &str, &str); 6] = [
    ("starting", "armed", "system/slow"),
    ("baseline", "baseline_started", ""),
    ("injecting", "injecting", "mark"),
    ("held", "effective", "mark"),
    ("undoing", "undoing", "mark"),
    ("settle", "settle_started", ""),
];

// ---- exit codes -------------------------------------------------------------------------------------------------------------------

#[test]
fn a_drill_ends_with_the_code_of_what_it_showed() {
    side_by_side(vec![
        case("0 passed", || {
            let quick = Quick::new(&[HEAD, NODE, PAUSE]);
            let done = quick.run().expect(0);
            assert!(done.stdout.contains("passed") && done.stdout.contains("exit 0"), "{}", done.stdout);
            quick.all_is_well(0);
        }),
        case("30 a claim failed", || {
            let claims = "claims:\n  never-away: { measured_by: [web], rto: { max: 300ms } }\n";
            let quick = Quick::new(&[HEAD, NODE, PAUSE, claims]);
            let done = quick.run().expect(30);
            assert!(done.stdout.contains("failed"), "{}", done.stdout);
            quick.all_is_well(30);
        }),
        case("31 inconclusive", || {
            // The first fault does not recover in its time, so that the second, which the claim is about, never comes.
            let pause = PAUSE.replace("for: 2s", "for: 4s\n    recovery: { within: 2s, stable_for: 1s }");
            let second = "  again:\n    process.pause: { system: node }\n    at: { after: hold.recovered }\n    for: 2s\n";
            let claims = "claims:\n  back-again: { fault: again, measured_by: [web], rto: { max: 1s } }\n";
            let quick = Quick::new(&[HEAD, NODE, &pause, second, claims]);
            let done = quick.run().expect(31);
            assert!(done.stdout.contains("inconclusive"), "{}", done.stdout);
            quick.all_is_well(31);
        }),
        case("33 the fault was not confirmed", || {
            let confirm = "    confirm: { command: { run: [\"false\"] }, expect: { exit: { equals: 0 } }, within: 1s }\n";
            let quick = Quick::new(&[HEAD, NODE, PAUSE, confirm]);
            let done = quick.run().expect(33);
            assert!(done.stdout.contains("not confirmed"), "{}", done.stdout);
            quick.all_is_well(33);
        }),
        case("40 a guard was breached", || {
            let guard = r#"
guards:
  never: { command: { run: [test, "!", -e, "${run.dir}/broken"] }, expect: { exit: { equals: 0 } }, every: 200ms, breaches: 2 }
"#;
            let quick = Quick::new(&[HEAD, NODE, SLOW, guard]);
            let done = quick.run().expect(40);
            assert!(done.stdout.contains("aborted"), "{}", done.stdout);
            assert_eq!(quick.count("guard_breached"), 1);
            quick.all_is_well(40);
        }),
        case("50 an undo failed", an_undo_fails),
        case("before a run", before_a_run),
    ]);
}

fn an_undo_fails() {
    let fault = r#"
faults:
  stays:
    command: { run: ["true"] }
    at: 100ms
    for: 500ms
    confirm: { command: { run: ["true"] }, expect: { exit: { equals: 0 } }, within: 5s }
    undo:
      run: [test, -e, "${run.dir}/allowed"]
      done_when: { command: { run: [test, -e, "${run.dir}/allowed"] }, expect: { exit: { equals: 0 } }, every: 50ms, within: 200ms }
"#;
    let quick = Quick::new(&[HEAD, NODE, fault]);
    let done = quick.run().expect(50);
    let run = quick.last_run();
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    // It would go on trying, and might be first; tests/abort.rs looks at that.
    let watchdog = quick.wait_for("watchdog_started", "")["pid"].as_u64().unwrap();
    signal(u32::try_from(watchdog).unwrap(), "KILL");
    for words in ["UNDO FAILED", "undo it by hand", &format!("test -e {}/allowed", run.display()), &format!("firedrill undo {id}")] {
        assert!(done.stdout.contains(words), "{words}\n{}", done.stdout);
    }
    quick.place.assert_nobody_survives(20);
    quick.place.run(&["report", "last"], PATIENCE).expect(50);
    let done = quick.place.run(&["runs"], PATIENCE).expect(0);
    assert!(done.stdout.contains(&format!("owes an undo: firedrill undo {id}")), "{}", done.stdout);
    // Nobody may break anything else until that is settled.
    let done = quick.run().expect(11);
    assert!(done.stderr.contains(&id) && done.stderr.contains("stays"), "{}", done.stderr);
    let done = quick.place.run(&["undo"], PATIENCE).expect(50);
    assert!(done.stderr.contains("by hand: cd "), "{}", done.stderr);
    std::fs::write(run.join("allowed"), "").unwrap();
    let done = quick.place.run(&["undo", &id], PATIENCE).expect(0);
    assert!(done.stderr.contains("undone and verified: stays"), "{}", done.stderr);
    let done = quick.place.run(&["undo"], PATIENCE).expect(0);
    assert!(done.stderr.contains("nothing to undo"), "{}", done.stderr);
    quick.place.run(&["report", "last"], PATIENCE).expect(40);
}

fn before_a_run() {
    let quick = Quick::new(&[HEAD, NODE, PAUSE]);
    quick.place.run(&["run"], PATIENCE).expect(2);
    quick.place.run(&["nonsense"], PATIENCE).expect(2);
    let done = quick.place.run(&["run", "quick.yaml", "--var", &quick.port], PATIENCE).expect(2);
    assert!(done.stderr.contains("--yes"), "{}", done.stderr);
    quick.place.run(&["report", "last"], PATIENCE).expect(2);
    quick.place.run(&["undo", "01NOSUCHRUN"], PATIENCE).expect(2);
    quick.place.file("bad.yaml", HEAD.replace("rate: 20/s", "rate: 20"));
    quick.place.run(&["run", "bad.yaml", "--yes"], PATIENCE).expect(10);
    quick.place.run(&["run", "no-such.yaml", "--yes"], PATIENCE).expect(10);
    for args in [["--help"], ["--version"], ["kinds"], ["runs"], ["undo"], ["schema"]] {
        quick.place.run(&args, PATIENCE).expect(0);
    }
    assert!(quick.place.runs().is_empty(), "nothing was begun");
}

/// A listener that nobody accepts from: the first connections wait in its queue for ever, later ones are not even made.
#[test]
fn a_target_that_never_answers_is_not_steady() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let fault = "faults:\n  nothing:\n    rehearse.nothing: {}\n    at: 1s\n    for: 1s\n";
    let mut quick = Quick::new(&[HEAD, fault]);
    quick.port = format!("port={}", silent.local_addr().unwrap().port());
    let done = quick.run().expect(20);
    assert!(said(&done).contains("not steady") && said(&done).contains("nothing was injected"), "{}", done.stdout);
    assert!(done.stdout.contains("web"), "says which probe: {}", done.stdout);
    quick.nothing_was_injected();
    quick.all_is_well(20);
}

// ---- could not start --------------------------------------------------------------------------------------------------------------

/// What a report says, without the ends of its lines.
fn said(done: &Done) -> String {
    done.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs it, and looks that it could not start for this reason.
fn cannot_start(quick: &Quick, words: &[&str]) {
    let done = quick.run().expect(11);
    assert!(done.stdout.contains("Could not start") && done.stdout.contains("exit 11"), "{}\n{}", done.stdout, done.stderr);
    let said = said(&done);
    for word in words {
        assert!(said.contains(word), "`{word}` is not said in:\n{}", done.stdout);
    }
    quick.nothing_was_injected();
    quick.all_is_well(11);
    let done = quick.place.run(&["runs"], PATIENCE).expect(0);
    assert!(done.stdout.contains("could not start"), "{}", done.stdout);
}

/// Answers everything with 200 until dropped.
fn somebody_else() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in accepting.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 2048]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
        }
    });
    listener
}

#[test]
fn what_could_not_start_injects_nothing_and_says_why() {
    side_by_side(vec![
        case("port in use, silent", || {
            let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = held.local_addr().unwrap().port();
            let mut quick = Quick::new(&[HEAD, NODE, PAUSE]);
            quick.port = format!("port={port}");
            cannot_start(&quick, &["system/node", &format!("port {port} is in use by"), &format!("pid {}", std::process::id())]);
        }),
        case("port in use, answering", || {
            let held = somebody_else();
            let port = held.local_addr().unwrap().port();
            let mut quick = Quick::new(&[HEAD, NODE, &PAUSE.replace("at: 300ms", "at: 20s")]);
            quick.port = format!("port={port}");
            // What answers is not what was started: the drill must notice.
            cannot_start(&quick, &["system/node", &port.to_string()]);
        }),
        case("never ready", || {
            let node = NODE.replace("expect: { status: { equals: 200 } }, within: 30s", "expect: { status: { equals: 418 } }, within: 1s");
            cannot_start(&Quick::new(&[HEAD, &node, PAUSE]), &["system/node was not ready within 1 s", "200"]);
        }),
        case("proxy's port in use", || {
            let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = held.local_addr().unwrap();
            let proxy = format!("proxies:\n  path: {{ listen: \"{address}\", upstream: \"127.0.0.1:${{port}}\" }}\n");
            let quick = Quick::new(&[HEAD, NODE, PAUSE, &proxy]);
            cannot_start(&quick, &["proxy/path", &address.to_string(), &format!("pid {}", std::process::id())]);
        }),
        case("no such program", || {
            let node = NODE.replace("\"${firedrill}\", __demo", "no-such-program-here, __demo");
            cannot_start(&Quick::new(&[HEAD, &node, PAUSE]), &["system/node", "find the program `no-such-program-here`"]);
        }),
        case("setup fails", || {
            let node = NODE.replace("    run:", "    setup: [[sh, -c, \"echo the disk is on fire >&2; exit 3\"]]\n    run:");
            cannot_start(&Quick::new(&[HEAD, &node, PAUSE]), &["system/node", "exit 3: the disk is on fire"]);
        }),
        case("no such target", || {
            let fault = r#"
faults:
  gone:
    process.kill: { pid_file: "no-such.pid" }
    at: 300ms
    for: once
    undo: { run: ["true"], done_when: { command: { run: ["true"] }, expect: { exit: { equals: 0 } } } }
"#;
            cannot_start(&Quick::new(&[HEAD, NODE, fault]), &["gone: failed to", "no-such.pid"]);
        }),
        case("a ledger that nobody can read back", || {
            let ledger = "probes:
  orders:
    ledger.http:
      write: { method: POST, url: \"http://127.0.0.1:${port}/x/${key}\" }
      readers: [ { url: \"http://127.0.0.1:1/dump\", ids: \"$.ids[*]\" } ]
    rate: 5/s
    timeout: 500ms
  web:";
            let head = HEAD.replace("probes:\n  web:", ledger);
            cannot_start(&Quick::new(&[&head, NODE, PAUSE]), &["read ledger orders at http://127.0.0.1:1/dump", "refused"]);
        }),
        case("no run directory", no_run_directory),
        case("no watchdog", no_watchdog),
    ]);
}

fn no_run_directory() {
    let quick = Quick::new(&[HEAD, NODE, PAUSE]);
    let file = quick.place.file("file", "");
    let mut impossible = vec![file.join("runs"), PathBuf::from("/proc/runs-of-nobody")];
    let sealed = quick.place.path().join("sealed");
    std::fs::create_dir(&sealed).unwrap();
    std::fs::set_permissions(&sealed, std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::write(sealed.join("x"), "").is_ok() {
        println!("SKIPPED read-only directory: this user ignores modes");
    } else {
        impossible.push(sealed.join("runs"));
    }
    for dir in impossible {
        let dir = dir.display().to_string();
        let done = quick.place.run(&["run", "quick.yaml", "--yes", "--var", &quick.port, "--runs", &dir], PATIENCE).expect(11);
        assert!(done.stderr.contains(&dir) && done.stderr.contains("nothing was injected"), "{}", done.stderr);
    }
    // The registry of the machine is no less needed: without it nobody finds what a dead run owes.
    let mut command = quick.place.command(&quick.args());
    command.env("FIREDRILL_REGISTRY", file.join("registry")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = wait(command.spawn().unwrap(), PATIENCE).expect(11);
    assert!(done.stderr.contains("nothing was injected"), "{}", done.stderr);
    assert!(quick.place.survivors().is_empty());
}

/// Started through the dynamic loader, the process's own program is the loader: no helper can be started from it.
fn no_watchdog() {
    let Some(loader) = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"].iter().find(|path| Path::new(path).exists()) else {
        println!("SKIPPED no watchdog: the dynamic loader is not where it usually is");
        return;
    };
    let quick = Quick::new(&[HEAD, NODE, PAUSE]);
    let mut command = std::process::Command::new(loader);
    command.arg(drill::binary()).args(quick.args()).current_dir(quick.place.path());
    command.env("FIREDRILL_REGISTRY", quick.place.path().join("registry")).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = wait(command.spawn().unwrap(), PATIENCE).expect(11);
    assert!(done.stdout.contains("Could not start") && done.stdout.contains("the watchdog"), "{}\n{}", done.stdout, done.stderr);
    assert_eq!(quick.count("armed"), 0);
    quick.all_is_well(11);
}

// ---- signals ----------------------------------------------------------------------------------------------------------------------

/// Whether the tests, and so whatever they start, ignore SIGHUP.
fn hangs_up_on_nobody() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok()).is_some_and(|set| set & 1 != 0)
}

#[test]
fn a_signal_in_any_phase_undoes_everything() {
    let signals = ["INT", "TERM", "HUP", "INT", "TERM", "HUP"];
    let cases = PHASES.iter().zip(signals).enumerate().map(|(n, ((phase, kind, id), name))| {
        // Under nohup nobody can hang up on what we start either, and that is as it should be.
        let name = if name == "HUP" && hangs_up_on_nobody() { "TERM" } else { name };
        case(format!("{name} while {phase}"), move || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let child = quick.start();
            quick.wait_for(kind, id);
            signal(child.id(), name);
            if n % 2 == 0 {
                // Asking twice asks no harder.
                signal(child.id(), name);
            }
            let done = wait(child, PATIENCE).expect(40);
            assert!(done.stdout.contains(&format!("SIG{name}")), "{}", done.stdout);
            if *phase == "starting" || *phase == "baseline" {
                quick.nothing_was_injected();
            }
            quick.all_is_well(40);
        })
    });
    side_by_side(cases.collect());
}

/// The drill on a terminal of its own: what is written here is typed there, and when this dies the terminal is gone.
fn on_a_terminal(quick: &Quick) -> Child {
    let words: Vec<String> = std::iter::once(drill::binary().display().to_string()).chain(quick.args().map(str::to_owned)).collect();
    let mut command = std::process::Command::new("script");
    // Of what `Place` sets, only the line to run is another.
    let ours = quick.place.command(&[]);
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(quick.place.path());
    command.env("TERM", "xterm").args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn in_phases(name: &str, act: fn(&Quick, Child)) {
    if drill::has_program("script").is_none() {
        println!("SKIPPED {name}: `script` is not installed (apt-get install bsdutils)");
        return;
    }
    let cases = PHASES.iter().map(|(phase, kind, id)| {
        case(format!("{name} while {phase}"), move || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let terminal = on_a_terminal(&quick);
            quick.wait_for(kind, id);
            act(&quick, terminal);
            if *phase == "starting" || *phase == "baseline" {
                quick.nothing_was_injected();
            }
            quick.all_is_well(40);
        })
    });
    side_by_side(cases.collect());
}

#[test]
fn ctrl_c_twice_on_a_terminal_never_skips_the_undo() {
    in_phases("Ctrl-C twice", |_, mut terminal| {
        let mut keys = terminal.stdin.take().unwrap();
        keys.write_all(b"\x03\x03").unwrap();
        keys.flush().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        // By now it may have ended.
        let _ = keys.write_all(b"\x03");
        let done = wait(terminal, PATIENCE).expect(40);
        assert!(done.stdout.contains("SIGINT"), "{}", done.stdout);
    });
}

#[test]
fn a_closed_terminal_undoes_everything() {
    if hangs_up_on_nobody() {
        println!("SKIPPED closed terminal: these tests were started to ignore SIGHUP");
        return;
    }
    in_phases("the terminal closes", |quick, mut terminal| {
        terminal.kill().unwrap();
        terminal.wait().unwrap();
        let end = Instant::now() + Duration::from_secs(PATIENCE);
        while quick.events().last().is_none_or(|last| last["type"] != "run_finished") {
            assert!(Instant::now() < end, "the drill does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let asked = quick.events().into_iter().find(|event| event["type"] == "abort_requested").unwrap();
        assert!(asked.to_string().contains("SIGHUP"), "{asked}");
        // Its reports come after its last line.
        let run = quick.last_run();
        while !processes_of(&run).is_empty() || !run.join("report.xml").exists() {
            assert!(Instant::now() < end, "the drill does not report");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

// ---- death ------------------------------------------------------------------------------------------------------------------------

#[test]
fn the_watchdog_finishes_a_drill_whose_runner_was_killed() {
    let cases = PHASES.iter().map(|(phase, kind, id)| {
        case(format!("killed while {phase}"), move || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let mut child = quick.start();
            quick.wait_for(kind, id);
            kill9(&mut child);
            quick.wait_for("run_finished", "");
            let taken = quick.wait_for("taken_over", "");
            assert_eq!(taken["by"], "watchdog", "{taken}");
            // The report follows the last line; the watchdog goes when it is written.
            quick.no_helper_of(&quick.last_run());
            quick.all_is_well(40);
        })
    });
    side_by_side(cases.collect());
}

#[test]
fn a_drill_survives_its_watchdog_and_a_person_can_stand_in_for_both() {
    side_by_side(vec![
        case("watchdog killed", || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let child = quick.start();
            quick.wait_for("effective", "mark");
            let watchdog = quick.wait_for("watchdog_started", "")["pid"].as_u64().unwrap();
            signal(u32::try_from(watchdog).unwrap(), "KILL");
            quick.wait_for("watchdog_lost", "");
            let done = quick.place.run(&["undo", "last"], PATIENCE).expect(11);
            assert!(done.stderr.contains("is alive"), "{}", done.stderr);
            let done = wait(child, PATIENCE);
            done.expect(0);
            assert_eq!(quick.count("watchdog_started"), 2);
            quick.all_is_well(0);
        }),
        case("runner and watchdog killed", || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let mut child = quick.start();
            quick.wait_for("effective", "mark");
            kill_both(&quick, &mut child);
            let run = quick.last_run();
            let id = run.file_name().unwrap().to_string_lossy().into_owned();
            assert!(run.join("broken").exists() && !quick.place.survivors().is_empty(), "there is something to undo");
            let done = quick.run().expect(11);
            assert!(done.stderr.contains(&id) && done.stderr.contains(&format!("firedrill undo {}", run.display())), "{}", done.stderr);
            let done = quick.place.run(&["runs"], PATIENCE).expect(0);
            assert!(done.stdout.contains("owes an undo"), "{}", done.stdout);
            let done = quick.place.run(&["undo", &id], PATIENCE).expect(0);
            assert!(done.stderr.contains("undone and verified") && done.stderr.contains("mark"), "{}", done.stderr);
            quick.place.run(&["report", "last"], PATIENCE).expect(40);
            quick.all_is_well(40);
            quick.run().expect(0);
        }),
        case("runner held still", || {
            let quick = Quick::new(&[HEAD, NODE, &SLOW.replace("for: 3s", "for: 60s")]);
            let mut child = quick.start();
            quick.wait_for("effective", "mark");
            signal(child.id(), "STOP");
            let taken = quick.wait_for("taken_over", "");
            assert!(taken["why"].as_str().unwrap_or_default().contains("silent"), "{taken}");
            assert_eq!(child.wait().unwrap().signal(), Some(9), "there is one writer");
            quick.wait_for("run_finished", "");
            quick.no_helper_of(&quick.last_run());
            quick.all_is_well(40);
        }),
    ]);
}

// ---- the disk ---------------------------------------------------------------------------------------------------------------------

/// Changes the line of this event, and says which line it is.
fn damage(run: &Path, kind: &str, id: &str, change: impl Fn(&str) -> String) -> usize {
    let path = run.join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let id = format!("\"id\":\"{id}\"");
    let at = text.lines().position(|line| line.contains(&format!("\"type\":\"{kind}\"")) && line.contains(&id)).unwrap();
    let lines: Vec<String> = text.lines().enumerate().map(|(n, line)| if n == at { change(line) } else { line.to_owned() }).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    at + 1
}

#[test]
fn a_damaged_journal_is_named_and_still_undone() {
    side_by_side(vec![
        case("a byte", || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let mut child = quick.start();
            quick.wait_for("effective", "mark");
            kill_both(&quick, &mut child);
            let run = quick.last_run();
            let line = damage(&run, "previewed", "mark", |line| line.replace("previewed", "previewex"));
            let damaged = std::fs::read(run.join("events.jsonl")).unwrap();
            let done = quick.place.run(&["report", "last"], PATIENCE).expect(11);
            assert!(done.stderr.contains(&format!("line {line} is damaged")), "{}", done.stderr);
            quick.run().expect(11);
            let done = quick.place.run(&["undo"], PATIENCE).expect(0);
            assert!(done.stderr.contains("undone and verified"), "{}", done.stderr);
            assert_eq!(std::fs::read(run.join("events.damaged-1.jsonl")).unwrap(), damaged, "nothing is lost");
            quick.place.run(&["report", "last"], PATIENCE).expect(40);
            quick.all_is_well(40);
        }),
        case("the undo itself", || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let mut child = quick.start();
            quick.wait_for("effective", "mark");
            kill_both(&quick, &mut child);
            let run = quick.last_run();
            damage(&run, "armed", "mark", |line| line[..line.len() / 2].to_owned());
            // Nobody can read any more how to undo it; but what the plan says still holds.
            let done = quick.place.run(&["undo"], PATIENCE).expect(0);
            assert!(done.stderr.contains("undone and verified") && done.stderr.contains("mark"), "{}", done.stderr);
            assert!(run.join("events.damaged-1.jsonl").is_file());
            quick.all_is_well(40);
        }),
        case("the plan", || {
            let quick = Quick::new(&[HEAD, NODE, SLOW]);
            let mut child = quick.start();
            quick.wait_for("effective", "mark");
            kill_both(&quick, &mut child);
            let plan = quick.last_run().join("plan.json");
            let text = std::fs::read_to_string(&plan).unwrap();
            std::fs::write(&plan, "{").unwrap();
            let done = quick.place.run(&["undo"], PATIENCE).expect(50);
            assert!(done.stderr.contains("plan.json") && done.stderr.contains("by hand: cd "), "{}", done.stderr);
            std::fs::write(&plan, text).unwrap();
            quick.place.run(&["undo"], PATIENCE).expect(0);
            quick.all_is_well(40);
        }),
    ]);
}

/// A small file system of its own, for as long as it lives.
struct Disk(PathBuf);

impl Disk {
    fn mount(dir: PathBuf, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = std::process::Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "none"]).arg(&dir).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success()).then_some(Disk(dir))
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("ballast")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_drill_before_anything_is_injected() {
    let quick = Quick::new(&[HEAD, NODE, &PAUSE.replace("at: 300ms", "at: 60s")]);
    let Some(disk) = Disk::mount(quick.place.path().join(".firedrill"), "512k") else {
        println!("SKIPPED full disk: only root may mount");
        return;
    };
    let child = quick.start();
    quick.wait_for("baseline_started", "");
    disk.fill();
    let done = wait(child, PATIENCE).expect(40);
    assert!(said(&done).contains("the disk refused a line of the journal: No space left"), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("judged from memory") && done.stderr.contains("undo"), "{}", done.stderr);
    quick.nothing_was_injected();
    quick.place.assert_nobody_survives(20);
    std::fs::remove_file(disk.0.join("ballast")).unwrap();
    quick.place.run(&["undo"], PATIENCE).expect(0);
    quick.all_is_well(40);
    drop(disk);
}

// ---- odd surroundings -------------------------------------------------------------------------------------------------------------

/// Runs a line of the shell in a place with `$fd` as the binary.
fn shell(place: &Place, line: &str) -> Done {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", line]).current_dir(place.path()).env("fd", drill::binary());
    command.env("FIREDRILL_REGISTRY", place.path().join("registry"));
    wait(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), PATIENCE)
}

#[test]
fn odd_surroundings_change_nothing() {
    let cases = [
        ("stdout is a closed pipe", "\"$fd\" run quick.yaml --yes --var port=$port 2>/dev/null | true; exit ${PIPESTATUS[0]}"),
        ("stdout is closed", "exec \"$fd\" run quick.yaml --yes --var port=$port >&-"),
        ("stderr is closed", "exec \"$fd\" run quick.yaml --yes --var port=$port 2>&-"),
        ("everything is closed", "exec \"$fd\" run quick.yaml --yes --var port=$port <&- >&- 2>&-"),
        ("no environment", "exec env -i FIREDRILL_REGISTRY=\"$FIREDRILL_REGISTRY\" \"$fd\" run quick.yaml --yes --var port=$port"),
        ("dumb terminal", "TERM=dumb exec \"$fd\" run quick.yaml --yes --var port=$port"),
        ("a job of a CI system", "GITHUB_ACTIONS=true exec \"$fd\" run quick.yaml --yes --var port=$port"),
        ("no colour", "NO_COLOR=1 exec \"$fd\" run quick.yaml --yes --var port=$port"),
        (
            "working directory is gone",
            "here=$PWD; mkdir gone; cd gone; rmdir ../gone; \
             exec \"$fd\" run \"$here/quick.yaml\" --yes --var port=$port --runs \"$here/.firedrill/runs\"",
        ),
    ];
    let mut all: Vec<Case> = cases
        .into_iter()
        .map(|(name, line)| {
            case(name, move || {
                let quick = Quick::new(&[HEAD, NODE, &PAUSE.replace("for: 2s", "for: 500ms")]);
                let done = shell(&quick.place, &format!("{}; {line}", quick.port));
                let done = done.expect(0);
                assert!(!done.stdout.contains('\x1b') && !done.stderr.contains('\x1b'), "{}\n{}", done.stdout, done.stderr);
                let warned =
                    done.stderr.contains("GitHub Actions kills every process of a job") && done.stderr.contains("firedrill undo --all");
                assert_eq!(warned, name == "a job of a CI system", "{}", done.stderr);
                quick.all_is_well(0);
            })
        })
        .collect();
    all.push(case("pipes of short verbs", || {
        let place = Place::new();
        for verb in ["schema", "kinds", "man", "--help", "completions bash"] {
            let done = shell(&place, &format!("\"$fd\" {verb} | head -1; exit ${{PIPESTATUS[0]}}")).expect(0);
            assert!(!done.stderr.contains("panicked") && done.stdout.lines().count() == 1, "{verb}: {}", done.stderr);
        }
        let done = shell(&place, "mkdir gone; cd gone; rmdir ../gone; exec \"$fd\" run quick.yaml --yes");
        assert!(done.code == Some(10) && !done.stderr.contains("panicked"), "{:?}", done);
    }));
    side_by_side(all);
}
