//! What the faults really do, to real processes and connections, and what remains when firedrill is gone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod world;

use std::io::ErrorKind;

use firedrill::base::Span;
use firedrill::fault::{ErasedFault, Seen, by_kind, proxy};
use firedrill::sys::process::{self, Signal};
use firedrill::sys::{clock, exec};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use world::{World, echo, free_address, paste, until};

fn kind(name: &str) -> &'static dyn ErasedFault {
    by_kind(name).unwrap()
}

async fn world_with_proxy() -> (World, String) {
    let listen = free_address();
    let world = World::new().with_proxy("db", &listen, &echo().await);
    world.inject(kind("system.proxy"), &json!({ "id": "db" })).await;
    (world, listen)
}

async fn round_trip(stream: &mut TcpStream) -> std::io::Result<u64> {
    let start = clock::mono_ns();
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(clock::mono_ns() - start)
}

#[tokio::test]
async fn latency_reaches_live_and_new_connections_and_leaves_at_once() {
    let (world, listen) = world_with_proxy().await;
    let mut live = TcpStream::connect(&listen).await.unwrap();
    assert!(round_trip(&mut live).await.unwrap() < Span::millis(100).0);
    let fault = kind("proxy.latency");
    let undo = world.inject(fault, &json!({ "proxy": "db", "delay": "100ms", "direction": "both" })).await;
    let seen = fault.observe(&undo, &world.cx).await.unwrap();
    assert_eq!(seen, Seen::Biting("100 ms later each way at proxy db, connections: 1".into()));
    let mut new = TcpStream::connect(&listen).await.unwrap();
    for stream in [&mut live, &mut new] {
        let took = round_trip(stream).await.unwrap();
        assert!((Span::millis(200).0..Span::millis(500).0).contains(&took), "{took} ns");
    }
    fault.undo(&undo, &world.cx).await.unwrap();
    for stream in [&mut live, &mut new] {
        assert!(round_trip(stream).await.unwrap() < Span::millis(100).0);
    }
}

#[tokio::test]
async fn reset_hits_live_and_new_connections() {
    let (world, listen) = world_with_proxy().await;
    let mut live = TcpStream::connect(&listen).await.unwrap();
    round_trip(&mut live).await.unwrap();
    let undo = world.inject(kind("proxy.reset"), &json!({ "proxy": "db" })).await;
    assert_eq!(live.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    // The reset may come before we have seen that we are connected.
    let reset = match TcpStream::connect(&listen).await {
        Ok(mut new) => new.read(&mut [0; 1]).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    kind("proxy.reset").undo(&undo, &world.cx).await.unwrap();
    round_trip(&mut TcpStream::connect(&listen).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_black_hole_closes_nothing_and_new_connections_wait_for_its_end() {
    let (world, listen) = world_with_proxy().await;
    let mut live = TcpStream::connect(&listen).await.unwrap();
    let mut silent = TcpStream::connect(&listen).await.unwrap();
    round_trip(&mut live).await.unwrap();
    round_trip(&mut silent).await.unwrap();
    let undo = world.inject(kind("proxy.blackhole"), &json!({ "proxy": "db" })).await;
    let mut new = TcpStream::connect(&listen).await.unwrap();
    let hour = Span::millis(300).std();
    assert!(tokio::time::timeout(hour, round_trip(&mut live)).await.is_err(), "swallowed, and not closed");
    new.write_all(b"ping").await.unwrap();
    assert!(tokio::time::timeout(hour, new.read(&mut [0; 4])).await.is_err(), "accepted, and nothing");
    kind("proxy.blackhole").undo(&undo, &world.cx).await.unwrap();
    let mut answer = [0; 4];
    new.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
    round_trip(&mut silent).await.unwrap();
    assert_eq!(live.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionReset, "its stream has a gap");
}

#[tokio::test]
async fn a_proxy_drops_its_faults_when_nobody_renews_and_goes_on_forwarding() {
    let (world, listen) = (World::new(), free_address());
    let dir = proxy::dir_of(world.path("").as_path(), "db");
    let (exe, upstream) = (world.cx.exe.display().to_string(), echo().await);
    // The same data plane with a shorter lease.
    let argv = [&exe, "__proxy", "--dir", &dir.display().to_string(), "--listen", &listen, "--upstream", &upstream, "--lease", "400ms"];
    let exec = exec::Exec {
        argv: argv.map(str::to_owned).to_vec(),
        limit: Span::secs(5),
        owner: Some(world.owner("proxy/db")),
        ..exec::Exec::default()
    };
    let what = exec::Detached { exec, log: dir.join("log"), record: dir.join("process.json") };
    exec::spawn_system(what, &world.cx).await.unwrap();
    let world = world.with_proxy("db", &listen, &upstream);
    until("it answers", || dir.join("control.sock").exists()).await;
    let fault = kind("proxy.latency");
    let undo = world.inject(fault, &json!({ "proxy": "db", "delay": "150ms" })).await;
    let mut live = TcpStream::connect(&listen).await.unwrap();
    for _ in 0..5 {
        proxy::renew(&world.path(""), "db").await.unwrap();
        clock::sleep(Span::millis(200)).await;
    }
    assert!(!fault.verify(&undo, &world.cx).await.unwrap(), "renewed: it holds longer than its lease");
    assert!(round_trip(&mut live).await.unwrap() >= Span::millis(150).0);
    clock::sleep(Span::millis(500)).await;
    assert!(fault.verify(&undo, &world.cx).await.unwrap(), "silence: it has gone");
    assert!(round_trip(&mut live).await.unwrap() < Span::millis(100).0, "an old connection goes on");
    round_trip(&mut TcpStream::connect(&listen).await.unwrap()).await.unwrap();
    fault.undo(&undo, &world.cx).await.unwrap();
}

#[tokio::test]
async fn a_proxy_drains_before_it_ends() {
    let (world, listen) = world_with_proxy().await;
    let mut live = TcpStream::connect(&listen).await.unwrap();
    round_trip(&mut live).await.unwrap();
    let item = kind("system.proxy");
    let undo = item.prepare(&json!({ "id": "db" }), world.scene()).await.unwrap().undo;
    let stopping = item.undo(&undo, &world.cx);
    let using = async {
        until("it accepts no more", || std::net::TcpStream::connect(&listen).is_err()).await;
        let answered = round_trip(&mut live).await;
        drop(live);
        answered
    };
    let (stopped, answered) = tokio::join!(stopping, using);
    stopped.unwrap();
    answered.unwrap();
    assert!(item.verify(&undo, &world.cx).await.unwrap());
}

#[tokio::test]
async fn a_dead_proxy_holds_nothing_and_a_stopped_one_cannot_say() {
    let (world, _) = world_with_proxy().await;
    let fault = kind("proxy.reset");
    let undo = world.inject(fault, &json!({ "proxy": "db" })).await;
    let process = process::marked(&world.owner("proxy/db")).pop().unwrap();
    process::signal(&process, Signal::STOP).unwrap();
    // Each of its threads stops when it next meets the kernel.
    until("it is stopped", || process::look(&process).is_some_and(|stat| stat.stopped())).await;
    clock::sleep(Span::millis(100)).await;
    assert!(fault.verify(&undo, &world.cx).await.is_err(), "no answer is not an answer");
    assert!(fault.undo(&undo, &world.cx).await.is_err());
    process::signal(&process, Signal::CONT).unwrap();
    // The undo removed the file; that was enough.
    clock::sleep(Span::millis(100)).await;
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    let undo = world.inject(fault, &json!({ "proxy": "db" })).await;
    process::signal(&process, Signal::KILL).unwrap();
    until("it is dead", || !process::alive(&process)).await;
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
}

#[tokio::test]
async fn a_port_in_use_names_its_holder() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = holder.local_addr().unwrap().to_string();
    let world = World::new().with_proxy("db", &listen, "127.0.0.1:1");
    let error = kind("system.proxy").prepare(&json!({ "id": "db" }), world.scene()).await.unwrap_err().to_string();
    let us = std::process::id();
    assert!(error.starts_with(&format!("find the target: {listen} for proxy db is in use by ")), "{error}");
    assert!(error.ends_with(&format!("(pid {us})")), "{error}");
}

fn server(port: u16) -> Value {
    json!({ "run": ["python3", "-m", "http.server", port.to_string(), "--bind", "127.0.0.1"], "stop": { "signal": "INT", "within": "3s" } })
}

async fn world_with_server(port: u16) -> World {
    let world = World::new().with_system("web", server(port));
    world.inject(kind("system.process"), &json!({ "id": "web" })).await;
    until("it listens", || !process::listening_on(port).is_empty()).await;
    world
}

fn free_port() -> u16 {
    free_address().rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_killed_system_process_comes_back_on_its_port() {
    let port = free_port();
    let world = world_with_server(port).await;
    let before = process::listening_on(port);
    let fault = kind("process.kill");
    let undo = world.inject(fault, &json!({ "system": "web" })).await;
    until("it is gone", || process::listening_on(port).is_empty()).await;
    assert!(matches!(fault.observe(&undo, &world.cx).await.unwrap(), Seen::Biting(_)));
    fault.undo(&undo, &world.cx).await.unwrap();
    until("it is back", || !process::listening_on(port).is_empty()).await;
    assert_ne!(process::listening_on(port), before);
    let item = kind("system.process");
    let owed = item.prepare(&json!({ "id": "web" }), world.scene()).await.unwrap().undo;
    item.undo(&owed, &world.cx).await.unwrap();
    assert!(process::listening_on(port).is_empty(), "the undo of the support item finds the second life, too");
}

#[tokio::test]
async fn a_process_that_was_asked_to_end_and_has_not_yet_is_not_healthy() {
    let deaf = json!({ "run": ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], "stop": { "within": "100ms" } });
    let world = World::new().with_system("deaf", deaf);
    world.inject(kind("system.process"), &json!({ "id": "deaf" })).await;
    let leader = exec::recorded(&world.path("system/deaf.json")).unwrap();
    clock::sleep(Span::millis(100)).await;
    let fault = kind("process.kill");
    let undo = world.inject(fault, &json!({ "system": "deaf", "signal": "TERM" })).await;
    clock::sleep(Span::millis(100)).await;
    assert!(matches!(fault.observe(&undo, &world.cx).await.unwrap(), Seen::NotBiting(_)));
    assert!(!fault.verify(&undo, &world.cx).await.unwrap(), "it may still die of it");
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    assert!(!process::alive(&leader));
}

#[tokio::test]
async fn other_selectors_find_the_same_process_and_see_it_come_back() {
    let port = free_port();
    let world = world_with_server(port).await;
    let found = process::listening_on(port);
    std::fs::write(world.path("web.pid"), format!("{}\n", found[0].pid)).unwrap();
    let fault = kind("process.kill");
    for spec in [json!({ "port": port }), json!({ "pid_file": "web.pid" })] {
        assert!(fault.needs_declared_undo(&spec));
        let prepared = fault.prepare(&spec, world.scene()).await.unwrap();
        assert!(prepared.targets[0].ends_with(&format!(", pid {}", found[0].pid)), "{:?}", prepared.targets);
        assert!(prepared.claims.contains(&firedrill::fault::Resource::System("web".into())), "{:?}", prepared.claims);
    }
    let undo = world.inject(fault, &json!({ "port": port })).await;
    until("it is gone", || process::listening_on(port).is_empty()).await;
    assert!(!fault.verify(&undo, &world.cx).await.unwrap());
    assert!(fault.undo(&undo, &world.cx).await.is_err(), "only the scenario knows how");
    let item = kind("system.process");
    let recipe = item.prepare(&json!({ "id": "web" }), world.scene()).await.unwrap();
    let armed = world.arm("system/web", item, &recipe).await;
    item.inject(&json!({ "id": "web" }), &armed, &world.cx).await.unwrap();
    until("it is back", || !process::listening_on(port).is_empty()).await;
    assert!(fault.verify(&undo, &world.cx).await.unwrap(), "whoever brought it back");
}

#[tokio::test]
async fn no_target_is_an_error_and_so_is_firedrill_itself() {
    let world = World::new().with_system("web", server(1));
    let fault = kind("process.kill");
    let port = free_port();
    std::fs::write(world.path("old.pid"), "soon\n").unwrap();
    for (spec, says) in [
        (json!({ "system": "web" }), "web: nothing like that runs".to_owned()),
        (json!({ "system": "db" }), "the scenario has no system process `db`".to_owned()),
        (json!({ "port": port }), format!("the process on port {port}: nothing like that runs")),
        (json!({ "name": "no-such-name" }), "processes named no-such-name: nothing like that runs".to_owned()),
        (json!({ "pid_file": "old.pid" }), "holds no pid".to_owned()),
    ] {
        let error = fault.prepare(&spec, world.scene()).await.unwrap_err().to_string();
        assert!(error.ends_with(&says), "{error}");
    }
    std::fs::write(world.path("us.pid"), std::process::id().to_string()).unwrap();
    let error = fault.prepare(&json!({ "pid_file": "us.pid" }), world.scene()).await.unwrap_err().to_string();
    assert!(error.ends_with("is firedrill itself, its helper or its ancestor"), "{error}");
}

#[tokio::test]
async fn a_process_that_was_stopped_before_stays_stopped() {
    let world = World::new().with_system("a", json!({ "run": ["sh", "-c", "sleep 1000 & sleep 1001; :"] }));
    world.inject(kind("system.process"), &json!({ "id": "a" })).await;
    let children = || process::marked(&world.owner("system/a")).split_off(1);
    until("all run", || children().len() == 2).await;
    let before = children().remove(0);
    process::signal(&before, Signal::STOP).unwrap();
    until("one is stopped", || process::look(&before).is_some_and(|stat| stat.stopped())).await;
    let fault = kind("process.pause");
    let undo = world.inject(fault, &json!({ "system": "a" })).await;
    assert!(matches!(fault.observe(&undo, &world.cx).await.unwrap(), Seen::Biting(_)));
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    let stopped = |id: &process::ProcessId| process::look(id).is_some_and(|stat| stat.stopped());
    assert!(stopped(&before), "prior state is restored");
    assert_eq!(children().iter().filter(|id| stopped(id)).count(), 1);
}

#[tokio::test]
async fn set_up_runs_first_and_a_failing_one_starts_nothing() {
    let mkdir = json!(["mkdir", "${run.dir}/data"]);
    let how = |setup| json!({ "setup": setup, "run": ["sh", "-c", "pwd; exec sleep 1000"], "cwd": "${run.dir}/data" });
    let world = World::new().with_system("a", how(json!([mkdir, mkdir])));
    let item = kind("system.process");
    let prepared = item.prepare(&json!({ "id": "a" }), world.scene()).await.unwrap();
    let armed = world.arm("system/a", item, &prepared).await;
    let error = item.inject(&json!({ "id": "a" }), &armed, &world.cx).await.unwrap_err().to_string();
    assert!(error.contains("exit 1") && error.contains("File exists"), "{error}");
    assert!(item.verify(&prepared.undo, &world.cx).await.unwrap());

    // The working directory is made by the first command and used from then on.
    let world = World::new().with_system("a", how(json!([mkdir, ["touch", "made"]])));
    let undo = world.inject(item, &json!({ "id": "a" })).await;
    assert!(world.path("data/made").exists());
    assert!(matches!(item.observe(&undo, &world.cx).await.unwrap(), Seen::Biting(_)));
    let data = format!("{}\n", world.path("data").display());
    until("it has written", || std::fs::read_to_string(world.path("system/a.log")).unwrap() == data).await;
    process::signal(&process::marked(&world.owner("system/a"))[0], Signal::KILL).unwrap();
    let leader = exec::recorded(&world.path("system/a.json")).unwrap();
    until("its end is known", || exec::exit_of(&leader).is_some()).await;
    let says = format!("a does not run (signal 9); it last wrote: {}", data.trim_end());
    assert_eq!(item.observe(&undo, &world.cx).await.unwrap(), Seen::NotBiting(says));
    // Started again, it is not set up again: a second `mkdir` would fail.
    world.inject(item, &json!({ "id": "a" })).await;
    let second = exec::recorded(&world.path("system/a.json")).unwrap();
    assert!(second != leader && process::alive(&second));
    process::signal(&second, Signal::KILL).unwrap();
    until("it is dead again", || !process::alive(&second)).await;
    // By hand it is back, and it is the same item.
    let kill = kind("process.kill");
    paste(&kill.by_hand(&json!({ "processes": [], "signalled": "/x", "back": { "recipe": undo } })).unwrap()).await;
    until("it is back", || process::marked(&world.owner("system/a")).len() == 1).await;
    assert!(!item.verify(&undo, &world.cx).await.unwrap());
    item.undo(&undo, &world.cx).await.unwrap();
}
