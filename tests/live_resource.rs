//! Processor time, memory and file systems that really get scarce, and are whole again whatever dies.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drill::Place;
use firedrill::base::Span;
use firedrill::fault::{ErasedFault, Seen, by_kind};
use firedrill::sys::{clock, process};
use serde_json::{Value, json};
use world::{World, until};

fn kind(name: &str) -> &'static dyn ErasedFault {
    by_kind(name).unwrap()
}

async fn bites(fault: &dyn ErasedFault, undo: &Value, world: &World) -> String {
    let start = clock::mono_ns();
    loop {
        match fault.observe(undo, &world.cx).await.unwrap() {
            Seen::Biting(seen) => return seen,
            seen => assert!(clock::mono_ns() - start < Span::secs(20).0, "{seen:?}"),
        }
        clock::sleep(Span::millis(20)).await;
    }
}

fn worker(undo: &Value) -> u32 {
    process::marked(undo["owner"].as_str().unwrap()).first().expect("a worker").pid
}

/// Clock ticks of processor time that a process has used.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn processor_time_is_taken_in_the_share_that_was_asked_for() {
    let world = World::new();
    let fault = kind("resource.cpu");
    let undo = world.inject(fault, &json!({ "workers": 1, "load": "30%" })).await;
    bites(fault, &undo, &world).await;
    let pid = worker(&undo);
    let (before, start) = (ticks(pid), clock::mono_ns());
    clock::sleep(Span::secs(2)).await;
    // A tick is a hundredth of a second everywhere on Linux.
    let share = (ticks(pid) - before) as f64 / 100.0 / Span(clock::mono_ns() - start).as_secs_f64();
    // A machine that is busy gives less; nobody gets more than was asked for, but for rounding.
    assert!((0.05..0.4).contains(&share), "{share}");
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(process::find(pid).is_none() && fault.verify(&undo, &world.cx).await.unwrap());
}

#[tokio::test]
async fn memory_is_really_held_and_given_back() {
    let world = World::new();
    let fault = kind("resource.memory");
    let size = 96 << 20;
    let undo = world.inject(fault, &json!({ "size": "96MiB" })).await;
    bites(fault, &undo, &world).await;
    let pid = worker(&undo);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024;
    assert!((size..size + (32 << 20)).contains(&resident), "{resident}");
    assert_eq!(std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "1000");
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(process::find(pid).is_none());
    let error = fault.prepare(&json!({ "size": "900TiB" }), world.scene()).await.unwrap_err().to_string();
    assert!(error.starts_with("find the target: 900TiB of memory:"), "{error}");
}

#[tokio::test]
async fn a_worker_dies_with_the_process_that_started_it() {
    for what in [vec!["cpu", "2", "1%"], vec!["memory", "4MiB"]] {
        let mut parent = Command::new("sleep").arg("600").spawn().unwrap();
        let id = serde_json::to_string(&process::find(parent.id()).unwrap()).unwrap();
        let mut worker = Command::new(drill::binary()).arg("__load").arg(&id).args(&what).stdin(Stdio::null()).spawn().unwrap();
        clock::sleep(Span::millis(200)).await;
        let early = worker.try_wait().unwrap();
        parent.kill().unwrap();
        parent.wait().unwrap();
        assert!(early.is_none(), "{what:?} ended before its parent");
        until("the worker has ended", || worker.try_wait().unwrap().is_some()).await;
    }
}

/// A small file system in memory, unmounted with the test.
struct Mount {
    dir: tempfile::TempDir,
}

impl Mount {
    fn new() -> Option<Mount> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = needs::is_root()
            && Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(dir.path()).status().is_ok_and(|s| s.success());
        if !mounted {
            println!("SKIPPED: no file system can be mounted here (root is needed); nothing was shown");
            return None;
        }
        Some(Mount { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn used(&self) -> f64 {
        let stat = rustix::fs::statvfs(self.path()).unwrap();
        1.0 - stat.f_bfree as f64 / stat.f_blocks as f64
    }

    fn files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.path()).unwrap().flatten().map(|entry| entry.path()).collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

#[tokio::test]
async fn a_file_system_is_filled_as_far_as_asked_and_emptied_of_that_file_alone() {
    let Some(mount) = Mount::new() else { return };
    let world = World::new();
    let fault = kind("disk.fill");
    let theirs = mount.path().join(".firedrill-fill-of-somebody-else");
    std::fs::write(&theirs, [1; 1 << 20]).unwrap();
    let before = mount.used();
    let undo = world.inject(fault, &json!({ "path": mount.path(), "to": "90%" })).await;
    bites(fault, &undo, &world).await;
    assert!((0.895..0.905).contains(&mount.used()), "{}", mount.used());
    let error = std::fs::write(mount.path().join("more"), vec![1; 16 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    std::fs::remove_file(mount.path().join("more")).unwrap();
    fault.undo(&undo, &world.cx).await.unwrap();
    fault.undo(&undo, &world.cx).await.unwrap();
    assert!(fault.verify(&undo, &world.cx).await.unwrap());
    assert_eq!(mount.files(), [theirs]);
    assert!((mount.used() - before).abs() < 0.001, "{} after, {before} before", mount.used());

    let world = &world;
    let refused = |spec: Value| async move { fault.prepare(&spec, world.scene()).await.unwrap_err().to_string() };
    assert!(refused(json!({ "path": mount.path(), "to": "1%" })).await.contains("full enough already"));
    assert!(refused(json!({ "path": mount.path(), "size": "64MiB" })).await.contains("do not fit: 1% must be left free"));
    assert!(refused(json!({ "path": "no/such", "to": "90%" })).await.contains("find the directory"));
}

#[tokio::test]
async fn the_file_systems_that_everything_rests_on_are_never_filled() {
    let world = World::new();
    let refused = |path: PathBuf| {
        let world = &world;
        async move { kind("disk.fill").prepare(&json!({ "path": path, "size": "1MiB" }), world.scene()).await.unwrap_err().to_string() }
    };
    assert!(refused("/".into()).await.contains("is on the file system of `/`: that one is never filled"));
    let run_dir = refused(world.path("")).await;
    assert!(run_dir.contains("that one is never filled"), "{run_dir}");
}

fn scenario(place: &Place, fault: &str) {
    place.drill_on_a_node("Something gets scarce", &format!("{{ scarce: {{ {fault}, for: 60s }} }}"), "{ within: 90s, stable_for: 500ms }");
}

#[tokio::test]
async fn a_run_that_is_killed_gives_everything_back() {
    let mount = Mount::new();
    let mut faults = vec!["resource.cpu: { workers: 1, load: 20% }".to_owned(), "resource.memory: { size: 32MiB }".to_owned()];
    faults.extend(mount.as_ref().map(|mount| format!("disk.fill: {{ path: {}, to: 50% }}", mount.path().display())));
    for fault in faults {
        let place = Place::new();
        scenario(&place, &fault);
        let mut run = place.start(&["run", "scenario.yaml", "--yes"]);
        let dir = place.wait_until_bitten("scarce", 60);
        run.kill().unwrap();
        run.wait().unwrap();
        until(&format!("the watchdog has undone {fault}"), || {
            place.journal(&dir).iter().any(|entry| entry["event"]["type"] == "undone" && entry["event"]["id"] == "scarce")
        })
        .await;
        assert!(mount.as_ref().is_none_or(|mount| mount.files().is_empty()), "{fault}");
        place.assert_nobody_survives(20);
    }
}
