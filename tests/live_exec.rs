//! Real commands under the real shim: what ends them, and what is left of them (nothing).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod world;

use firedrill::base::Span;
use firedrill::sys::exec::{self, Detached, Exec, ExecError, Exit};
use firedrill::sys::process::{self, Signal};
use world::{World, until};

fn sh(world: &World, script: &str) -> Exec {
    Exec {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        limit: Span::secs(10),
        owner: Some(world.owner("act/test")),
        ..Exec::default()
    }
}

#[tokio::test]
async fn exit_codes_signals_and_output_come_back() {
    let world = World::new();
    let output = exec::run(sh(&world, "echo out; echo err >&2; pwd; exit 3"), &world.cx).await.unwrap();
    assert_eq!(output.exit, Exit::Code(3));
    assert_eq!(output.stdout, format!("out\n{}\n", world.path("").display().to_string().trim_end_matches('/')));
    assert_eq!(output.stderr, "err\n");
    assert_eq!(output.summary(), "exit 3: err");
    let output = exec::run(sh(&world, "kill -9 $$"), &world.cx).await.unwrap();
    assert_eq!(output.exit, Exit::Signal(9));
    let output = exec::run(sh(&world, "exit 137"), &world.cx).await.unwrap();
    assert_eq!(output.exit, Exit::Code(137), "an exit code is not a signal");
    assert!(exec::run(sh(&world, "cat; true"), &world.cx).await.unwrap().ok(), "standard input is empty");
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let world = World::new();
    let error = exec::run(Exec { argv: vec!["no-such-thing".into()], ..sh(&world, "") }, &world.cx).await.unwrap_err();
    assert!(matches!(error, ExecError::NotFound { .. }), "{error}");
    std::fs::write(world.path("odd"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(world.path("odd"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = exec::run(Exec { argv: vec!["./odd".into()], ..sh(&world, "") }, &world.cx).await.unwrap_err();
    assert!(matches!(error, ExecError::Start { .. }), "{error}");
    let error = exec::run(Exec { cwd: Some("gone".into()), ..sh(&world, "true") }, &world.cx).await.unwrap_err();
    assert!(matches!(error, ExecError::Directory(_)), "{error}");
    let error = exec::run(Exec { user: Some("nobody-here".into()), ..sh(&world, "true") }, &world.cx).await.unwrap_err();
    assert!(matches!(error, ExecError::User { .. }), "{error}");
}

#[tokio::test]
async fn a_late_command_is_gone_with_everything_it_started_when_the_error_comes() {
    let world = World::new();
    // Deaf to SIGTERM, with a child in its group and one in a session of its own.
    let script = "trap '' TERM; sleep 300 & setsid sleep 301 & echo begun; sleep 302; sleep 303";
    let error = exec::run(Exec { limit: Span::millis(300), ..sh(&world, script) }, &world.cx).await.unwrap_err();
    assert_eq!(error.to_string(), "finish `sh` within 300ms; it last wrote: begun");
    assert_eq!(process::marked(&world.owner("act/test")), vec![]);
}

#[tokio::test]
async fn a_cancelled_command_is_reaped_before_the_call_returns() {
    let world = World::new();
    let cancel = world.cx.cancel.clone();
    let owner = world.owner("act/test");
    let call = exec::run(sh(&world, "sleep 300; touch too-late"), &world.cx);
    let other = async {
        until("it runs", || process::marked(&owner).len() == 3).await;
        cancel.cancel();
    };
    let (result, ()) = tokio::join!(call, other);
    assert!(matches!(result, Err(ExecError::Cancelled { .. })), "{result:?}");
    assert_eq!(process::marked(&owner), vec![]);
    assert!(!world.path("too-late").exists());
}

#[tokio::test]
async fn a_command_dies_with_its_runner_and_with_its_shim() {
    let world = World::new();
    let owner = world.owner("act/test");
    let (cx, exec) = (world.cx.clone(), sh(&world, "trap '' TERM; sleep 300; sleep 301"));
    let task = tokio::spawn(async move { exec::run(exec, &cx).await });
    until("it runs", || process::marked(&owner).len() == 3).await;
    // As far as the shim can tell the runner is dead: nobody holds the socket.
    task.abort();
    until("everything is dead", || process::marked(&owner).is_empty()).await;

    let (cx, exec) = (world.cx.clone(), sh(&world, "trap '' TERM; sleep 300; sleep 301"));
    let task = tokio::spawn(async move { exec::run(exec, &cx).await });
    until("it runs again", || process::marked(&owner).len() == 3).await;
    let shim = process::marked(&owner).into_iter().find(|id| process::arguments(id.pid).contains(&"__exec".to_owned())).unwrap();
    process::signal(&shim, Signal::KILL).unwrap();
    let result = task.await.unwrap();
    assert!(matches!(result, Err(ExecError::ShimLost { .. })), "{result:?}");
    assert_eq!(process::marked(&owner), vec![]);
}

#[tokio::test]
async fn something_left_behind_does_not_hold_the_call_up() {
    let world = World::new();
    let output = exec::run(sh(&world, "sleep 300 & echo done"), &world.cx).await.unwrap();
    assert!(output.took < Span::secs(5));
    assert_eq!(output.stdout, "done\n");
}

fn system(world: &World, script: &str) -> Detached {
    Detached {
        exec: Exec { owner: Some(world.owner("system/a")), ..sh(world, script) },
        log: world.path("system/a.log"),
        record: world.path("system/a.json"),
    }
}

#[tokio::test]
async fn a_system_process_has_its_own_session_and_is_found_without_its_mark() {
    let world = World::new();
    // `env -i` takes the mark away, as programs do that write over their environment.
    let id = exec::spawn_system(system(&world, "echo hello; exec env -i sh -c 'sleep 300 & sleep 301'"), &world.cx).await.unwrap();
    let record = world.path("system/a.json");
    assert_eq!(exec::recorded(&record), Some(id.clone()));
    until("both run", || exec::members(&world.owner("system/a"), &record).len() == 3).await;
    assert_eq!(process::stat(id.pid).unwrap().session, id.pid);
    assert_eq!(std::fs::read_to_string(world.path("system/a.log")).unwrap(), "hello\n");
    // Even when the leader was killed and only unmarked orphans are left.
    process::signal(&id, Signal::KILL).unwrap();
    until("the leader is reaped", || exec::exit_of(&id).is_some()).await;
    assert_eq!(exec::exit_of(&id), Some(Exit::Signal(9)));
    assert_eq!(exec::members(&world.owner("system/a"), &record).len(), 2);
    exec::stop_marked(&world.owner("system/a"), &record, Signal::TERM, Span::secs(5)).await.unwrap();
    assert!(exec::members(&world.owner("system/a"), &record).is_empty());
    exec::stop_marked(&world.owner("system/a"), &record, Signal::TERM, Span::secs(5)).await.unwrap();
}

#[tokio::test]
async fn a_deaf_and_stopped_system_process_is_killed() {
    let world = World::new();
    let id = exec::spawn_system(system(&world, "trap '' TERM; while :; do sleep 1; done"), &world.cx).await.unwrap();
    process::signal(&id, Signal::STOP).unwrap();
    exec::stop_marked(&world.owner("system/a"), &world.path("system/a.json"), Signal::TERM, Span::millis(200)).await.unwrap();
    assert!(process::marked(&world.owner("system/a")).is_empty());
}

#[tokio::test]
async fn a_system_process_that_cannot_start_is_an_error() {
    let world = World::new();
    std::fs::write(world.path("odd"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(world.path("odd"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut what = system(&world, "");
    what.exec.argv = vec!["./odd".into()];
    let error = exec::spawn_system(what, &world.cx).await.unwrap_err().to_string();
    assert!(error.starts_with("start `./odd`: "), "{error}");
}
