//! What every fault kind owes, over the list of kinds: its documentation, and every rule of undo, on real processes and sockets.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod needs;
mod world;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;

use firedrill::base::Span;
use firedrill::fault::{ErasedFault, KINDS, Seen, by_kind};
use firedrill::sys::{clock, process};
use serde_json::{Value, json};
use world::{World, echo, free_address, paste, until};

/// A process with a child, that starts a new one five times a second.
fn system() -> Value {
    json!({ "run": ["sh", "-c", "sleep 1000 & while :; do sleep 0.2; done"], "env": { "NOTE": "it's" }, "stop": { "within": "1s" } })
}

/// A world with everything that the kinds' specs name, running.
async fn world() -> World {
    let world = World::new().with_system("primary", system()).with_proxy("db", &free_address(), &echo().await);
    world.inject(by_kind("system.process").unwrap(), &json!({ "id": "primary" })).await;
    world.inject(by_kind("system.proxy").unwrap(), &json!({ "id": "db" })).await;
    world
}

/// A spec for each kind, and what its line by hand must name.
fn case(kind: &str) -> Option<(Value, &'static str)> {
    Some(match kind {
        "process.kill" => (json!({ "system": "primary" }), "system/primary"),
        "process.pause" => (json!({ "system": "primary" }), "system/primary"),
        "proxy.latency" => (json!({ "proxy": "db", "delay": "100ms" }), "proxy/db/faults/latency-"),
        "proxy.reset" => (json!({ "proxy": "db" }), "proxy/db/faults/reset-"),
        "proxy.blackhole" => (json!({ "proxy": "db" }), "proxy/db/faults/blackhole-"),
        // An address kept for documentation, which nobody has.
        "network.partition" => (json!({ "peer": "192.0.2.1" }), "_partition_"),
        "network.blackhole" => (json!({ "peer": "192.0.2.1", "port": 5432, "direction": "out" }), "_blackhole_"),
        "network.loss" => (json!({ "peer": ["192.0.2.1", "2001:db8::/32"], "loss": "20%" }), "_loss_"),
        "network.reject" => (json!({ "peer": "192.0.2.1", "port": [80, 443] }), "_reject_"),
        "disk.fill" => (json!({ "path": "/dev/shm", "size": "1MiB" }), "/dev/shm/.firedrill-fill-test-"),
        "resource.cpu" => (json!({ "workers": 1, "load": "10%" }), "/fault/cpu-"),
        "resource.memory" => (json!({ "size": "8MiB" }), "/fault/memory-"),
        "rehearse.nothing" => (json!({}), "true"),
        _ => return None,
    })
}

/// Kinds that only the scenario can undo; they are tested by themselves.
fn undone_by_the_scenario(fault: &dyn ErasedFault) -> bool {
    fault.kind() == "command"
}

fn cases() -> impl Iterator<Item = (&'static dyn ErasedFault, Value, &'static str)> {
    KINDS.iter().copied().filter(|fault| !undone_by_the_scenario(*fault) && needs::shown(fault.kind())).map(|fault| {
        let (spec, names) = case(fault.kind()).unwrap_or_else(|| panic!("{} has no case here", fault.kind()));
        (fault, spec, names)
    })
}

/// A rehearsal is never seen to be there.
fn leaves_a_mark(fault: &dyn ErasedFault) -> bool {
    fault.kind() != "rehearse.nothing"
}

async fn bites(fault: &dyn ErasedFault, undo: &Value, world: &World) -> String {
    for _ in 0..500 {
        match fault.observe(undo, &world.cx).await.unwrap() {
            Seen::Biting(seen) => return seen,
            Seen::NotBiting(_) => clock::sleep(Span::millis(10)).await,
            Seen::Failed(seen) => panic!("{} never bites: {seen}", fault.kind()),
            Seen::CannotTell => panic!("{} says that it reads back", fault.kind()),
        }
    }
    panic!("{} never bites: {:?}", fault.kind(), fault.observe(undo, &world.cx).await);
}

async fn verified(fault: &dyn ErasedFault, undo: &Value, world: &World) -> bool {
    fault.verify(undo, &world.cx).await.unwrap()
}

/// What is in a directory, with what is in its files.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// What stands in the world's directory, but for what its running processes say: they may say it at any moment.
fn written(world: &World) -> Vec<(String, Vec<u8>)> {
    contents(&world.path("")).into_iter().filter(|(path, _)| !path.ends_with("/log")).collect()
}

#[test]
fn every_kind_documents_itself() {
    for fault in KINDS {
        let kind = fault.kind();
        let example: Value = serde_saphyr::from_str(fault.example()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let spec = example.get(kind).unwrap_or_else(|| panic!("{kind}: its example has no key `{kind}`"));
        assert_eq!(fault.check(spec), vec![], "{kind}");
        assert!(example.get("for").is_some(), "{kind}: its example does not say how long");
        if fault.needs_declared_undo(spec) {
            assert!(example.get("undo").is_some(), "{kind}: its example declares no undo");
        }
        if !fault.reads_back() {
            assert!(example.get("confirm").is_some(), "{kind}: its example does not say how one sees it");
        }
        assert!(!fault.about().is_empty() && !fault.undo_means().is_empty(), "{kind}");
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("runbooks/undo-{}.md", kind.replace('.', "-")));
        let page = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for part in ["# ", "## What it looks like", "## How to see it", "## The line to paste", "## How to see that it is gone"] {
            assert!(page.contains(part), "{kind}: its runbook has no `{part}`");
        }
    }
}

#[test]
fn every_schema_closes_the_spec() {
    for fault in KINDS {
        let problems = fault.check(&json!({ "no-such-key": 1 }));
        assert!(!problems.is_empty(), "{}", fault.kind());
        assert_eq!(fault.schema().get("additionalProperties"), Some(&json!(false)), "{}", fault.kind());
    }
}

#[tokio::test]
async fn preparing_only_reads() {
    let world = world().await;
    for (fault, spec, _) in cases() {
        let before = written(&world);
        let first = fault.prepare(&spec, world.scene()).await.unwrap();
        let second = fault.prepare(&spec, world.scene()).await.unwrap();
        assert_eq!(first.targets, second.targets, "{}: the same target set each time", fault.kind());
        assert!(!first.targets.is_empty() && !first.summary.is_empty() && !first.claims.is_empty(), "{}", fault.kind());
        assert!(first.population.is_some_and(|all| all >= first.targets.len()), "{}", fault.kind());
        let after = written(&world);
        let changed: Vec<&String> = after.iter().filter(|file| !before.contains(file)).map(|(path, _)| path).collect();
        assert!(after == before, "{} wrote something: {changed:?}", fault.kind());
        assert!(verified(fault, &first.undo, &world).await, "{}", fault.kind());
    }
}

#[tokio::test]
async fn an_undo_needs_no_injection_and_may_come_twice() {
    let world = world().await;
    for (fault, spec, _) in cases() {
        let leader = process::marked(&world.owner("system/primary")).first().cloned();
        let undo = fault.prepare(&spec, world.scene()).await.unwrap().undo;
        fault.undo(&undo, &world.cx).await.unwrap();
        fault.undo(&undo, &world.cx).await.unwrap();
        assert!(verified(fault, &undo, &world).await, "{}", fault.kind());
        assert_eq!(process::marked(&world.owner("system/primary")).first().cloned(), leader, "{} restarted it", fault.kind());
    }
}

#[tokio::test]
async fn it_bites_until_it_is_undone() {
    let world = world().await;
    for (fault, spec, _) in cases() {
        let undo = world.inject(fault, &spec).await;
        bites(fault, &undo, &world).await;
        assert_eq!(verified(fault, &undo, &world).await, !leaves_a_mark(fault), "{}: verify while it bites", fault.kind());
        // A fresh process has nothing but the journal's text.
        let undo: Value = serde_json::from_str(&undo.to_string()).unwrap();
        fault.undo(&undo, &world.cx).await.unwrap();
        assert!(verified(fault, &undo, &world).await, "{}", fault.kind());
        fault.undo(&undo, &world.cx).await.unwrap();
        assert!(verified(fault, &undo, &world).await, "{}", fault.kind());
        if leaves_a_mark(fault) && fault.kind() != "process.kill" {
            assert!(matches!(fault.observe(&undo, &world.cx).await.unwrap(), Seen::NotBiting(_)), "{}", fault.kind());
        }
    }
}

#[tokio::test]
async fn the_line_by_hand_undoes_it() {
    let world = world().await;
    for (fault, spec, names) in cases() {
        let undo = world.inject(fault, &spec).await;
        bites(fault, &undo, &world).await;
        let line = fault.by_hand(&undo).unwrap();
        assert!(line.contains(names) && !line.contains('\n'), "{}: {line}", fault.kind());
        paste(&line).await;
        for n in 0.. {
            if verified(fault, &undo, &world).await {
                break;
            }
            assert!(n < 200, "{}: still there after {line}", fault.kind());
            clock::sleep(Span::millis(10)).await;
        }
        paste(&line).await;
        assert!(verified(fault, &undo, &world).await, "{}: pasted twice", fault.kind());
    }
}

/// Drops the injection after it was polled `steps` times; true when it had ended by then.
async fn cut_short(injection: impl Future, steps: usize) -> bool {
    let mut injection = pin!(injection);
    for _ in 0..steps {
        let ended = std::future::poll_fn(|cx| Poll::Ready(injection.as_mut().poll(cx).is_ready())).await;
        if ended {
            return true;
        }
        clock::sleep(Span::millis(2)).await;
    }
    false
}

#[tokio::test]
async fn an_injection_that_was_cut_short_anywhere_is_undone() {
    let world = world().await;
    for (fault, spec, _) in cases() {
        for steps in 0..50 {
            let prepared = fault.prepare(&spec, world.scene()).await.unwrap();
            let armed = world.arm("example", fault, &prepared).await;
            let ended = cut_short(fault.inject(&spec, &armed, &world.cx), steps).await;
            fault.undo(&prepared.undo, &world.cx).await.unwrap();
            for n in 0.. {
                if verified(fault, &prepared.undo, &world).await {
                    break;
                }
                assert!(n < 50, "{} after {steps} steps", fault.kind());
                clock::sleep(Span::millis(10)).await;
                fault.undo(&prepared.undo, &world.cx).await.unwrap();
            }
            if ended {
                break;
            }
        }
    }
}

#[tokio::test]
async fn support_items_are_stopped_by_hand_as_well() {
    let world = world().await;
    for (kind, id, item) in [("system.process", "primary", "system/primary"), ("system.proxy", "db", "proxy/db")] {
        let fault = by_kind(kind).unwrap();
        let undo = fault.prepare(&json!({ "id": id }), world.scene()).await.unwrap().undo;
        assert!(!verified(fault, &undo, &world).await, "{kind} runs");
        bites(fault, &undo, &world).await;
        let line = fault.by_hand(&undo).unwrap();
        assert!(line.contains(&world.owner(item)) && !line.contains('\n'), "{line}");
        paste(&line).await;
        until("it is gone", || process::marked(&world.owner(item)).is_empty()).await;
        assert!(verified(fault, &undo, &world).await, "{kind}");
        paste(&line).await;
        fault.undo(&undo, &world.cx).await.unwrap();
    }
}

#[tokio::test]
async fn a_command_has_no_undo_of_its_own_and_says_so() {
    let world = World::new();
    let fault = by_kind("command").unwrap();
    let spec = json!({ "run": ["touch", "${run.dir}/broken"] });
    let before = contents(&world.path(""));
    let prepared = fault.prepare(&spec, world.scene()).await.unwrap();
    assert!(contents(&world.path("")) == before);
    assert!(fault.by_hand(&prepared.undo).unwrap().contains("touch"));
    paste(&fault.by_hand(&prepared.undo).unwrap()).await;
    let armed = world.arm("example", fault, &prepared).await;
    fault.inject(&spec, &armed, &world.cx).await.unwrap();
    assert!(world.path("broken").exists());
    assert_eq!(fault.observe(&prepared.undo, &world.cx).await.unwrap(), Seen::CannotTell);
    assert!(fault.undo(&prepared.undo, &world.cx).await.is_err());
    assert!(!verified(fault, &prepared.undo, &world).await);

    let spec = json!({ "run": ["sh", "-c", "echo no such database >&2; exit 3"] });
    let prepared = fault.prepare(&spec, world.scene()).await.unwrap();
    let armed = world.arm("example", fault, &prepared).await;
    let error = fault.inject(&spec, &armed, &world.cx).await.unwrap_err().to_string();
    assert!(error.ends_with("exit 3: no such database"), "{error}");
    let error = fault.prepare(&json!({ "run": ["./gone.sh"] }), world.scene()).await.unwrap_err().to_string();
    assert!(error.starts_with("find the program `./gone.sh`"), "{error}");
}
