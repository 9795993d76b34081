//! Kills everything at every moment and looks at the world, not at the journal: no process, no file and no debt may be left.
//!
//! A trial is a fault kind, a line of the journal and a victim. The drill is started for real; when its journal has reached that line, the
//! victim dies (or the runner is frozen). Then nobody helps, unless the runner and its watchdog are both dead: then `firedrill undo` is called,
//! as a person would. `cargo test --test kill_matrix` runs a sample; `FIREDRILL_KILL_MATRIX=all` runs every trial (over 1,000 where everything can be shown).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use drill::{Place, Stranger, comes, free_ports, send, state};

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Runner,
    Watchdog,
    Both,
    /// Every shim around an action and every data plane of a proxy.
    Helpers,
    /// The runner stands still, and wakes after its watchdog has acted.
    Frozen,
}

const VICTIMS: [Victim; 5] = [Victim::Runner, Victim::Watchdog, Victim::Both, Victim::Helpers, Victim::Frozen];

/// The fault kinds, each with what it needs: (kind, fault, sections).
const KINDS: [(&str, &str, &str); 15] = [
    ("process.kill", "process.kill: { system: victim }", "system: { victim: { run: [sleep, '1000'] } }"),
    ("process.pause", "process.pause: { system: victim }", "system: { victim: { run: [sleep, '1000'] } }"),
    ("process.pause of a stranger", "process.pause: { pid_file: stranger.pid }", ""),
    ("command", "command: { run: [touch, ballast] }", ""),
    ("proxy.latency", "proxy.latency: { proxy: edge, delay: 20ms }", PROXY),
    ("proxy.reset", "proxy.reset: { proxy: edge }", PROXY),
    ("proxy.blackhole", "proxy.blackhole: { proxy: edge }", PROXY),
    ("rehearse.nothing", "rehearse.nothing: {}", ""),
    ("resource.cpu", "resource.cpu: { workers: 1, load: 5% }", ""),
    ("resource.memory", "resource.memory: { size: 4MiB }", ""),
    ("disk.fill", "disk.fill: { path: /dev/shm, size: 64KiB }", ""),
    // An address kept for documentation: nobody is cut off.
    ("network.partition", "network.partition: { peer: 192.0.2.1 }", ""),
    ("network.blackhole", "network.blackhole: { peer: 192.0.2.1, port: 9 }", ""),
    ("network.loss", "network.loss: { peer: 192.0.2.1, loss: 20% }", ""),
    ("network.reject", "network.reject: { peer: 192.0.2.1, port: 9 }", ""),
];

const PROXY: &str = "proxies: { edge: { listen: '127.0.0.1:FRONT', upstream: '127.0.0.1:PORT' } }";

/// Lines of the journal, those of samples and clocks left out, up to which trials are made, from none (there is a directory): the drills have
/// about as many.
const LINES: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Trial {
    kind: usize,
    line: usize,
    victim: Victim,
}

fn scenario(kind: usize, port: u16, front: u16) -> String {
    let (_, fault, sections) = KINDS[kind];
    let undo = if fault.starts_with("command") {
        "undo: { run: [rm, -f, ballast], done_when: { command: { run: [test, '!', -e, ballast] }, expect: { exit: { equals: 0 } }, within: 5s } }"
    } else {
        ""
    };
    let confirm = if fault.starts_with("command") {
        "confirm: { command: { run: [test, -e, ballast] }, expect: { exit: { equals: 0 } }, within: 5s }"
    } else {
        ""
    };
    let text = format!(
        "firedrill: 1
title: Killed at some moment
environment: test
test: recovery
{sections}
probes:
  up: {{ tcp: {{ address: '127.0.0.1:PORT' }}, rate: 100/s, timeout: 500ms }}
steady_state: {{ over: 100ms, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
faults:
  broken:
    {fault}
    for: 300ms
    {confirm}
    {undo}
recovery: {{ within: 10s, stable_for: 50ms }}
"
    );
    text.replace("PORT", &port.to_string()).replace("FRONT", &front.to_string())
}

/// A service that takes every connection, for as long as the tests run.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// The lines of a journal that are no samples and no clocks, as far as they are whole.
fn lines(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read(run.join("events.jsonl")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let entries = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    entries.filter(|entry| !matches!(entry["event"]["type"].as_str(), Some("samples" | "anchor") | None)).collect()
}

/// The watchdogs of a run that live.
fn watchdogs(run: &Path) -> Vec<u32> {
    let pids = lines(run).into_iter().filter_map(|entry| {
        let event = &entry["event"];
        (event["type"] == "watchdog_started").then(|| event["pid"].as_u64()).flatten()
    });
    pids.map(|pid| pid as u32).filter(|pid| is_helper(*pid, "__watchdog")).collect()
}

fn is_helper(pid: u32, verb: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    state(pid).is_some() && line.split(|byte| *byte == 0).nth(1) == Some(verb.as_bytes())
}

/// Everybody below a process, shims and data planes only.
fn helpers_of(run: &Path) -> Vec<u32> {
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    all.filter(|pid| is_helper(*pid, "__exec") || is_helper(*pid, "__proxy"))
        .filter(|pid| {
            let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(&name)
        })
        .collect()
}

fn kill(pids: &[u32]) {
    pids.iter().for_each(|pid| send(*pid, "KILL"));
}

/// Starts the drill and lets it come to the line of the trial. None where it ended before that.
fn come_to(trial: Trial, place: &Place, runner: &mut Child) -> Option<std::path::PathBuf> {
    let mut found = None;
    comes(Duration::from_secs(60), || {
        found = place.runs().pop().filter(|run| lines(run).len() >= trial.line);
        found.is_some() || runner.try_wait().unwrap().is_some()
    });
    found
}

/// Tables of the packet filter and files that fill a disk, of runs of this place.
fn left_outside(place: &Place) -> Vec<String> {
    let runs: Vec<String> = place.runs().iter().map(|run| run.file_name().unwrap().to_string_lossy().to_lowercase()).collect();
    let tables = Command::new("nft").args(["list", "tables"]).output().map(|output| drill::text(&output)).unwrap_or_default();
    let files = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let all = tables.lines().map(str::to_owned).chain(files);
    all.filter(|name| runs.iter().any(|run| name.to_lowercase().contains(run.as_str()))).collect()
}

/// What is wrong with the world after a trial.
fn residue(place: &Place, stranger: &Stranger) -> Vec<String> {
    let mut wrong = place.survivors();
    wrong.extend(left_outside(place));
    if place.path().join("ballast").exists() {
        wrong.push("the file is still there".into());
    }
    if stranger.is_stopped() {
        wrong.push("the stranger is still stopped".into());
    }
    for run in place.runs() {
        if !watchdogs(&run).is_empty() {
            wrong.push("a watchdog is still there".into());
        }
    }
    let owed = std::fs::read_dir(place.path().join("registry/runs")).map(|dir| dir.flatten().count()).unwrap_or_default();
    if owed > 0 {
        wrong.push(format!("{owed} runs stand in the registry"));
    }
    wrong
}

/// One trial. What is wrong afterwards, and the end of the journal.
fn run(trial: Trial, port: u16) -> Result<(), String> {
    let place = Place::new();
    let stranger = Stranger::start(&place);
    let [front] = free_ports();
    place.file("s.yaml", scenario(trial.kind, port, front));
    let mut runner = place.command(&["run", "s.yaml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let reached = come_to(trial, &place, &mut runner);
    if let Some(run) = &reached {
        match trial.victim {
            Victim::Runner => kill(&[runner.id()]),
            Victim::Watchdog => kill(&watchdogs(run)),
            Victim::Both => {
                kill(&watchdogs(run));
                kill(&[runner.id()]);
                // One that was started in between has seen the runner die, and undoes: it is a third that we do not kill.
            }
            Victim::Helpers => kill(&helpers_of(run)),
            Victim::Frozen => {
                send(runner.id(), "STOP");
                // It is killed by its watchdog, or wakes as if nothing had been.
                if !comes(Duration::from_secs(20), || runner.try_wait().unwrap().is_some()) {
                    send(runner.id(), "CONT");
                }
            }
        }
    }
    if !comes(Duration::from_secs(60), || runner.try_wait().unwrap().is_some()) {
        let _ = runner.kill();
        let _ = runner.wait();
        return Err("the runner does not end".into());
    }
    if trial.victim == Victim::Both {
        comes(Duration::from_secs(30), || place.runs().iter().all(|run| watchdogs(run).is_empty()));
        // Without a plan it never became a run: nobody can ask for anything there.
        for run in place.runs().into_iter().filter(|run| run.join("plan.json").exists()) {
            let done = place.run(&["undo", run.to_str().unwrap()], 60);
            if !matches!(done.code, Some(0 | 11)) {
                return Err(format!("undo ended with {:?}: {}", done.code, done.stderr));
            }
        }
    }
    comes(Duration::from_secs(30), || residue(&place, &stranger).is_empty());
    let wrong = residue(&place, &stranger);
    if wrong.is_empty() {
        return Ok(());
    }
    let tail: Vec<String> = place.runs().iter().flat_map(|run| lines(run)).map(|entry| entry.to_string()).collect();
    Err(format!("{}\n    {}", wrong.join("; "), tail.join("\n    ")))
}

/// The kinds that can be shown here, by number.
fn kinds() -> Vec<usize> {
    (0..KINDS.len()).filter(|kind| needs::shown(KINDS[*kind].0)).collect()
}

fn trials(all: bool) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in kinds() {
        for line in 0..=LINES {
            for victim in VICTIMS {
                let n = trials.len();
                // Frozen ones take their time: a few of them in the sample. Strides that share no factor with the lists pass through all of them.
                let taken = match victim {
                    Victim::Frozen => (kind * (LINES + 1) + line) % 61 == 9,
                    _ => n % 11 == 3,
                };
                trials.push((taken, Trial { kind, line, victim }));
            }
        }
    }
    trials.into_iter().filter(|(taken, _)| all || *taken).map(|(_, trial)| trial).collect()
}

#[test]
fn nothing_is_left_behind_whoever_dies_and_whenever() {
    let all = std::env::var("FIREDRILL_KILL_MATRIX").is_ok_and(|wish| wish == "all");
    let trials = trials(all);
    assert!(trials.len() >= if all { 500 } else { 60 }, "{} trials", trials.len());
    let port = service();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        // Most of a trial is waiting.
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = run(*trial, port) {
                        let (kind, ..) = KINDS[trial.kind];
                        wrong.lock().unwrap().push(format!("{kind}, line {}, {:?}: {why}", trial.line, trial.victim));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{} trials, {} with residue", trials.len(), wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The lines of everything that is armed, last first: faults before what they stand on.
fn by_hand(run: &Path) -> Vec<(String, String)> {
    let armed = lines(run).into_iter().filter(|entry| entry["event"]["type"] == "armed");
    let mut found: Vec<(String, String)> = armed
        .map(|entry| {
            let event = &entry["event"];
            (event["id"].as_str().unwrap().to_owned(), event["undo"]["by_hand"].as_str().unwrap().to_owned())
        })
        .collect();
    found.reverse();
    found
}

/// Brings a fault about, kills runner, watchdog and every helper, and pastes what the journal says. None when the fault was over too soon.
fn paste(kind: usize, port: u16) -> Option<Result<(), String>> {
    let place = Place::new();
    let stranger = Stranger::start(&place);
    let [front] = free_ports();
    place.file("s.yaml", scenario(kind, port, front));
    let mut runner = place.command(&["run", "s.yaml", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let has = |run: &Path, word: &str| lines(run).iter().any(|entry| entry["event"]["type"] == word && entry["event"]["id"] == "broken");
    let mut found = None;
    comes(Duration::from_secs(60), || {
        found = place.runs().pop().filter(|run| has(run, "effective"));
        found.is_some() || runner.try_wait().unwrap().is_some()
    });
    // Frozen, it starts no second watchdog for the one that is killed.
    send(runner.id(), "STOP");
    let dead = found.as_deref().map(watchdogs).unwrap_or_default();
    kill(&dead);
    kill(&[runner.id()]);
    runner.wait().unwrap();
    let run = found?;
    kill(&helpers_of(&run));
    if has(&run, "undoing") {
        return None;
    }
    for (id, line) in by_hand(&run) {
        let done = Command::new("sh").args(["-c", &line]).current_dir("/").stdin(Stdio::null()).output().unwrap();
        if !done.status.success() {
            return Some(Err(format!("{id}: `{line}` ended with {}: {}", done.status, String::from_utf8_lossy(&done.stderr))));
        }
    }
    let world = || residue(&place, &stranger).into_iter().filter(|what| !what.ends_with("in the registry")).collect::<Vec<_>>();
    if !comes(Duration::from_secs(10), || world().is_empty()) {
        return Some(Err(format!("{:?} after {:#?}", world(), by_hand(&run))));
    }
    // Whoever comes later finds it done, and says so.
    let done = place.run(&["undo", run.to_str().unwrap()], 60);
    let settled = comes(Duration::from_secs(10), || residue(&place, &stranger).is_empty());
    Some(if done.code == Some(0) && settled { Ok(()) } else { Err(format!("undo: {:?} {}", done.code, done.stderr)) })
}

#[test]
fn every_line_by_hand_makes_the_world_whole_after_everybody_was_killed() {
    let port = service();
    let mut wrong = Vec::new();
    for kind in kinds() {
        let (name, ..) = KINDS[kind];
        // A machine that stood still in between decides nothing.
        let tried = (0..10).find_map(|_| paste(kind, port));
        match tried {
            Some(Ok(())) => {}
            Some(Err(why)) => wrong.push(format!("{name}: {why}")),
            None => wrong.push(format!("{name}: was over too soon, ten times")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
