//! Command probes with real processes, and a prober whose own process is stopped.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::process::Stdio;
use std::sync::Arc;

use firedrill::base::Span;
use firedrill::event::{Class, Verdict};
use firedrill::plan::{Condition, Expect, Match};
use firedrill::probe::{self, News};
use firedrill::sys::{Clock, Cx, clock};
use serde_json::{Value, json};

struct World {
    cx: Cx,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let cx = Cx {
            clock: Clock::start(),
            run: Arc::from(format!("test-{}", clock::mono_ns())),
            run_dir: Arc::new(dir.path().to_owned()),
            base_dir: Arc::new(dir.path().to_owned()),
            exe: Arc::new(assert_cmd::cargo::cargo_bin!("firedrill").to_owned()),
            secrets: Arc::default(),
            account: None,
            cancel: tokio_util::sync::CancellationToken::new(),
        };
        World { cx, dir }
    }
}

fn condition(run: Value, expect: Value, timeout: Span) -> Condition {
    Condition {
        kind: "command".into(),
        spec: json!({ "run": run }),
        expect: serde_json::from_value(expect).unwrap_or_else(|error| panic!("{error}")),
        every: Span::millis(50),
        within: Span::secs(2),
        timeout,
    }
}

#[tokio::test]
async fn a_command_is_judged_by_its_exit_and_output() {
    let world = World::new();
    let look = async |run: Value, expect: Value| probe::look(&condition(run, expect, Span::secs(2)), None, &world.cx).await;
    assert_eq!(look(json!(["true"]), json!({})).await.holds, Match::Yes);
    let failed = look(json!(["sh", "-c", "exit 3"]), json!({})).await;
    assert_eq!((failed.holds, failed.seen.as_str()), (Match::No("exit 3".into()), "exit 3"));
    let out = look(
        json!(["sh", "-c", "echo primary; echo noise >&2"]),
        json!({"stdout": {"equals": "primary"}, "stderr": {"contains": "noise"}}),
    )
    .await;
    assert_eq!(out.holds, Match::Yes, "{out:?}");
    let json = look(json!(["echo", "{\"lag\": 3}"]), json!({"json": {"path": "$.lag", "max": 5}})).await;
    assert_eq!(json.holds, Match::Yes);
    let gone = look(json!(["no-such-program"]), json!({})).await;
    assert!(matches!(gone.holds, Match::NoData(_)), "what cannot be run says nothing of the target: {gone:?}");
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_it_started() {
    let world = World::new();
    let pid_file = world.dir.path().join("pid");
    let script = format!("sleep 30 & echo $! > {}; wait", pid_file.display());
    let looked = probe::look(&condition(json!(["sh", "-c", script]), json!({}), Span::millis(400)), None, &world.cx).await;
    assert_eq!(looked.holds, Match::No("not finished within 400ms".into()));
    assert_eq!(looked.ended.since(looked.began), Span::millis(400));
    let pid = std::fs::read_to_string(pid_file).unwrap_or_default();
    assert!(!pid.trim().is_empty(), "the script ran");
    let child = std::path::Path::new("/proc").join(pid.trim());
    let end = world.cx.clock.now() + Span::secs(5);
    while child.exists() {
        assert!(world.cx.clock.now() < end, "the child's child is still there");
        clock::sleep(Span::millis(5)).await;
    }
}

#[tokio::test]
async fn text_is_read_from_a_command() {
    let world = World::new();
    let echo = condition(json!(["echo", "postgres 16"]), json!({}), Span::secs(2));
    assert_eq!(probe::read_text(&echo, None, &world.cx).await, Ok("postgres 16".to_owned()));
    assert!(probe::read_text(&echo, Some("$.x"), &world.cx).await.is_err_and(|why| why.contains("not JSON")));
}

#[tokio::test]
async fn commands_are_watched_like_anything_else() {
    let world = World::new();
    let kind = probe::by_kind("command").unwrap_or_else(|| panic!("the kind is registered"));
    let opened = kind.open(&json!({"run": ["sh", "-c", "exit 1"]}), &Expect::new(), None, &world.cx).unwrap_or_else(|why| panic!("{why}"));
    let answer = opened.ask.ask(0, Span::secs(2), &world.cx).await;
    let judged = opened.wanted.judge(&answer, None);
    assert_eq!((judged.verdict, judged.class, judged.note.as_deref()), (Verdict::Bad, Class::Status, Some("exit 1")));
}

/// A ledger of files: one is made for each key, by this script, and another lists them.
fn ledger(put: &str, list: &str) -> Value {
    json!({ "write": { "run": ["sh", "-c", put, "put", "${key}"] }, "readers": [{ "run": ["sh", "-c", list] }] })
}

#[tokio::test]
async fn a_write_by_a_command_is_known_to_be_there_or_never_started_or_neither() {
    let world = World::new();
    let kind = probe::by_kind("ledger.command").unwrap_or_else(|| panic!("the kind is registered"));
    let write = async |put: &str, acknowledged: Value| {
        let mut spec = ledger(put, "true");
        spec["acknowledged_when"] = acknowledged;
        let opened = kind.open(&spec, &Expect::new(), None, &world.cx).unwrap_or_else(|why| panic!("{why}"));
        let answer = opened.ask.ask(7, Span::millis(600), &world.cx).await;
        let judged = opened.wanted.judge(&answer, None);
        (judged.verdict, judged.class)
    };
    assert_eq!(write("touch $1", json!({})).await, (Verdict::Ok, Class::Ok));
    let key = probe::key_of(&world.cx.run, "w1", 7);
    assert!(world.dir.path().join(key).exists());
    // However it ends otherwise, it may have written: none of these classes means that it has not.
    assert_eq!(write("exit 3", json!({})).await, (Verdict::Bad, Class::Status));
    assert_eq!(write("kill -9 $$", json!({})).await, (Verdict::Bad, Class::Status));
    assert_eq!(write("sleep 5", json!({})).await, (Verdict::Bad, Class::Timeout));
    let stored = json!({ "stdout": { "equals": "stored" } });
    assert_eq!(write("echo stored; exit 1", stored.clone()).await, (Verdict::Ok, Class::Ok));
    assert_eq!(write("echo queued", stored).await, (Verdict::Bad, Class::Assertion));
}

#[tokio::test]
async fn a_ledger_of_commands_is_read_back_whole_or_not_at_all() {
    let world = World::new();
    let of = |list: &str| {
        let probe = json!({
            "kind": "ledger.command", "spec": ledger("touch $1", list), "rate": "10/s", "timeout": "1s", "expect": {}, "served_by": null,
            "control": false, "in_flight": 12, "ledger": true,
        });
        serde_json::from_value(probe).unwrap_or_else(|error| panic!("{error}"))
    };
    let key = |n| probe::key_of(&world.cx.run, "w1", n);
    let read = async |list: &str, written| match probe::read_ledger("orders", &of(list), written, &world.cx).await.remove(0) {
        firedrill::event::Event::LedgerRead { found, duplicated, unexpected, error, settled, .. } => {
            (serde_json::json!([found, duplicated]), unexpected, error, settled)
        }
        other => panic!("{other:?}"),
    };
    let none = read("true", 5).await;
    assert_eq!((none.0, none.1, none.2, none.3), (json!([[], []]), 0, None, true));
    let some = read(&format!("echo {}; echo; echo ' {} '; echo {}; echo {}", key(0), key(1), key(1), key(9)), 3).await;
    assert_eq!((some.0, some.1, some.2), (json!([[[0, 1]], [1]]), 1, None));
    // More than a probe would keep of an output.
    let last = 5_000;
    let many = read(&format!("seq -f '{}%.0f' 0 {last}", key(0).trim_end_matches('0')), last + 1).await;
    assert_eq!((many.0, many.2), (json!([[[0, last]], []]), None));
    for (list, why) in [
        ("echo no such store >&2; exit 1", "exit 1: no such store"),
        ("no-such-program", "exit 127: "),
        // Somebody still holds the output: what is missing of it would look lost.
        ("sleep 3 & echo x", "read the whole list: "),
    ] {
        let (_, _, error, settled) = read(list, 5).await;
        assert!(!settled && error.as_deref().is_some_and(|error| error.starts_with(why)), "{list}: {error:?}");
    }
    assert!(probe::check_ledger_empty("orders", &of("true"), &world.cx).await.is_ok());
    let there = probe::check_ledger_empty("orders", &of(&format!("echo {}", key(3))), &world.cx).await;
    assert!(there.is_err_and(|why| why.contains("already lists 1 keys of this run")));
}

/// The process that the test below stops: a prober at work, which then tells how it was.
#[tokio::test]
#[ignore = "started by `a_stopped_process_shows_as_a_stall`"]
async fn prober_at_work() {
    let Some(address) = std::env::var_os("FIREDRILL_TEST_ADDRESS").and_then(|address| address.into_string().ok()) else { return };
    let world = World::new();
    let digest = firedrill::base::digest_of(b"x");
    let plan = json!({
        "schema": 1, "name": "x", "base_dir": "/", "title": "x", "why": null, "owner": null, "environment": "laptop", "test": "recovery",
        "mode": "normal", "scenario_digest": digest, "workload_digest": null, "secrets": {}, "system": {}, "proxies": {}, "targets": {},
        "probes": {"port": {
            "kind": "tcp", "spec": {"address": address}, "rate": "100/s", "timeout": "500ms", "expect": {}, "served_by": null,
            "control": false, "in_flight": 60, "ledger": false,
        }},
        "steady": {"over": "1s", "probes": {}}, "guards": {}, "faults": {}, "restore": {}, "claims": {}, "subject": {},
        "baseline_within": "1s", "settle_within": "1s", "reset": null, "not_judged": [], "carried": {},
    });
    let plan = serde_json::from_value(plan).unwrap_or_else(|error| panic!("{error}"));
    let mut prober = probe::start(&plan, &world.cx).unwrap_or_else(|error| panic!("{error}"));
    let end = world.cx.clock.now() + Span::millis(1_200);
    let (mut longest, mut numbers, mut latest) = (Span::ZERO, Vec::new(), Span::ZERO);
    while let Some(news) = prober.next().await {
        if world.cx.clock.now() >= end {
            prober.stop();
        }
        match news {
            News::Stall { from, to } => longest = longest.max(to.since(from)),
            News::Samples { rows, .. } => {
                latest = rows.iter().map(firedrill::event::Sample::lag).fold(latest, Span::max);
                numbers.extend(rows.into_iter().map(|sample| sample.n));
            }
            News::Contended(_) => {}
        }
    }
    numbers.sort_unstable();
    assert!(numbers.iter().enumerate().all(|(index, n)| *n == index as u64), "no sample is lost or doubled: {numbers:?}");
    println!("told: stall {} lag {} samples {}", longest.as_millis(), latest.as_millis(), numbers.len());
}

#[tokio::test]
async fn a_stopped_process_shows_as_a_stall() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("{error}"));
    let address = listener.local_addr().unwrap_or_else(|error| panic!("{error}"));
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let this = std::env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    #[expect(clippy::disallowed_methods, reason = "the test needs a process of its own that it can stop")]
    let mut command = tokio::process::Command::new(this);
    command.args(["--exact", "prober_at_work", "--ignored", "--nocapture"]).env("FIREDRILL_TEST_ADDRESS", address.to_string());
    let child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap_or_else(|error| panic!("{error}"));
    let pid = child.id().and_then(|pid| rustix::process::Pid::from_raw(pid as i32)).unwrap_or_else(|| panic!("it lives"));
    clock::sleep(Span::millis(500)).await;
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap_or_else(|error| panic!("{error}"));
    signal(rustix::process::Signal::STOP);
    clock::sleep(Span::millis(300)).await;
    signal(rustix::process::Signal::CONT);
    let output = child.wait_with_output().await.unwrap_or_else(|error| panic!("{error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.lines().find_map(|line| line.split_once("told: ")).unwrap_or_else(|| panic!("{text}")).1.to_owned();
    let number = |name: &str| {
        let mut words = told.split(' ').skip_while(|word| *word != name);
        words.nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or_else(|| panic!("{told}"))
    };
    assert!((280..1_000).contains(&number("stall")), "{told}");
    assert!(number("lag") >= 250, "what was due meanwhile was sent late and says so: {told}");
    assert!(number("samples") >= 110, "what was due meanwhile was sent at all: {told}");
}

#[tokio::test]
async fn what_a_program_wrote_is_removed_and_nothing_else() {
    let world = World::new();
    let store = world.dir.path().join("store");
    let key = |writer| probe::key_of(&world.cx.run, writer, 7);
    let spec = json!({
        "write": {"run": ["tee", "-a", "store"]}, "readers": [{"run": ["cat", "store"]}],
        "clean_up": {"run": ["sed", "-i", "/^${key.prefix}/d", "store"]},
    });
    let all = format!("{}\nsomebody-else\n{}\n", key("w1"), key("w2"));
    let others = format!("somebody-else\n{}\n", key("w2"));
    let now = || std::fs::read_to_string(&store).unwrap_or_default();
    std::fs::write(&store, &all).unwrap_or_else(|error| panic!("{error}"));
    let removal = probe::removal("ledger.command", &spec, &world.cx);
    let removal = removal.ok().flatten().unwrap_or_else(|| panic!("it can be removed"));
    assert_eq!(removal.is_done(&world.cx).await, Ok(false));
    let typed = removal.by_hand(&world.cx).remove(0);
    assert!(std::process::Command::new(&typed.argv[0]).args(&typed.argv[1..]).status().is_ok_and(|status| status.success()));
    assert_eq!(now(), others, "what a person types does the same");
    std::fs::write(&store, &all).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(removal.remove(&world.cx).await, Ok(()));
    assert_eq!((removal.is_done(&world.cx).await, now()), (Ok(true), others));
}
