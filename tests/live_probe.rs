//! Command probes with real processes, and the prober under a stopped process's eyes.

mod world;

use firedrill::base::Span;
use firedrill::event::{Class, Verdict};
use firedrill::plan::{Condition, Expect, Match};
use firedrill::probe;
use serde_json::{Value, json};
use world::World;

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
    let pid_file = world.path("pid");
    let script = format!("sleep 30 & echo $! > {}; wait", pid_file.display());
    let looked = probe::look(&condition(json!(["sh", "-c", script]), json!({}), Span::millis(400)), None, &world.cx).await;
    assert_eq!(looked.holds, Match::No("not finished within 400ms".into()));
    assert_eq!(looked.ended.since(looked.began), Span::millis(400));
    let pid = std::fs::read_to_string(pid_file).unwrap_or_default();
    world::until("the child's child is gone", || !std::path::Path::new("/proc").join(pid.trim()).exists() || pid.is_empty()).await;
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
