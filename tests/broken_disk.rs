//! A disk that turns read-only in the middle of a drill, as ext4 does of itself after an error: the fault is undone, and how the run ended is said.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod needs;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use drill::{Place, Stranger, free_ports, signal, wait};

/// A small ext4 of its own, which turns read-only after an error.
struct Disk {
    there: PathBuf,
    image: PathBuf,
}

fn does(program: &str, args: &[&std::ffi::OsStr]) -> bool {
    Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Disk {
    /// None where only somebody else may do that.
    fn mount(place: &Path) -> Option<Disk> {
        let disk = Disk { there: place.join(".firedrill"), image: place.join("image") };
        std::fs::create_dir_all(&disk.there).unwrap();
        std::fs::File::create(&disk.image).unwrap().set_len(32 << 20).unwrap();
        let made = does("mkfs.ext4", &["-q".as_ref(), disk.image.as_os_str()]);
        (made && disk.again()).then_some(disk)
    }

    fn again(&self) -> bool {
        does("mount", &["-o".as_ref(), "loop,errors=remount-ro".as_ref(), self.image.as_os_str(), self.there.as_os_str()])
    }

    /// Makes the kernel meet an error there. False where this kernel has no such switch.
    fn breaks(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let there = self.there.to_str().unwrap();
        let device = mounts.lines().find(|line| line.split(' ').nth(1) == Some(there)).and_then(|line| line.split(' ').next()).unwrap();
        let name = device.rsplit('/').next().unwrap();
        std::fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").is_ok()
    }

    /// Leaves no room, not even for a byte.
    fn fills(&self) -> bool {
        let mut file = std::fs::File::create(self.there.join("ballast")).unwrap();
        for size in [4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        true
    }

    fn refuses(&self) -> bool {
        std::fs::write(self.there.join("probe"), "").is_err_and(|error| error.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
    }

    /// As an administrator mends it.
    fn mends(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while !does("umount", &[self.there.as_os_str()]) {
            assert!(Instant::now() < end, "somebody still holds the disk");
            std::thread::sleep(Duration::from_millis(100));
        }
        // 1: errors were corrected.
        let checked = Command::new("e2fsck").arg("-pf").arg(&self.image).stdout(Stdio::null()).status().unwrap();
        assert!(matches!(checked.code(), Some(0 | 1)), "{checked}");
        assert!(self.again());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = does("umount", &["-l".as_ref(), self.there.as_os_str()]);
    }
}

#[test]
fn a_disk_that_turns_read_only_keeps_no_fault() {
    let place = Place::new();
    let Some(disk) = Disk::mount(place.path()) else {
        println!("SKIPPED read-only disk: no ext4 can be mounted here");
        return;
    };
    let stranger = Stranger::start(&place);
    place.drill_on_a_node(
        "The disk turns read-only",
        "{ hold: { process.pause: { pid_file: stranger.pid }, for: 60s } }",
        "{ within: 10s, stable_for: 500ms }",
    );
    let child = place.start(&["run", "scenario.yaml", "--yes"]);
    place.wait_until_bitten("hold", 60);
    assert!(stranger.is_stopped());
    if !disk.breaks() {
        println!("SKIPPED read-only disk: this kernel cannot be made to meet an error");
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        wait(child, 60).expect(40);
        return;
    }
    assert!(disk.refuses());
    let done = wait(child, 60).expect(40);
    let said = format!("{}{}", done.stdout, done.stderr);
    // Long before it should have ended, and the reason is named.
    assert!(!stranger.is_stopped(), "{said}");
    assert!(said.contains("the disk refused a line of the journal: Read-only file system"), "{said}");
    assert!(said.contains("judged from memory"), "{said}");
    place.assert_nobody_survives(20);
    // What stands on the disk is older than what was done: the run is finished again, which harms nobody.
    let done = place.run(&["undo"], 60).expect(11);
    assert!(
        done.stderr.contains("undone and verified: system/node, hold; but the disk") && done.stderr.contains("Read-only file system"),
        "{}",
        done.stderr
    );
    disk.mends();
    let done = place.run(&["undo"], 60).expect(0);
    assert!(done.stderr.contains("hold"), "{}", done.stderr);
    assert!(!stranger.is_stopped());
    let run = place.runs().pop().unwrap();
    let last = place.journal(&run).pop().unwrap();
    assert_eq!(last["event"]["type"], "run_finished", "{last}");
    place.run(&["report", "last"], 60).expect(40);
}

/// One fault of every sort, all at the same time.
fn many(place: &Place) -> Vec<&'static str> {
    let [front, port] = free_ports();
    let mut faults = vec![
        ("a", "process.pause: { pid_file: stranger.pid }"),
        (
            "b",
            "command: { run: [touch, ballast] }, confirm: { command: { run: [test, -e, ballast] }, expect: { exit: { equals: 0 } }, within: 5s },
        undo: { run: [rm, -f, ballast], done_when: { command: { run: [test, '!', -e, ballast] }, expect: { exit: { equals: 0 } }, within: 5s } }",
        ),
        ("c", "proxy.latency: { proxy: edge, delay: 20ms }"),
        ("d", "resource.memory: { size: 4MiB }"),
    ];
    if needs::shown("disk.fill") {
        faults.push(("e", "disk.fill: { path: /dev/shm, size: 64KiB }"));
    }
    if needs::shown("network.reject") {
        faults.push(("f", "network.reject: { peer: 192.0.2.1, port: 9 }"));
    }
    let lines: Vec<String> = faults.iter().map(|(id, fault)| format!("  {id}: {{ {fault}, at: 0s, for: 60s }}\n")).collect();
    place.file(
        "scenario.yaml",
        format!(
            "firedrill: 1
title: Everything at once
environment: test
system: {{ node: {{ run: [sleep, '1000'] }} }}
proxies: {{ edge: {{ listen: '127.0.0.1:{front}', upstream: '127.0.0.1:{port}' }} }}
probes: {{ up: {{ command: {{ run: ['true'] }}, rate: 10/s, timeout: 500ms }} }}
steady_state: {{ over: 1s, probes: {{ up: {{ success: {{ min: 20% }} }} }} }}
faults:
{}recovery: {{ within: 10s, stable_for: 50ms }}
",
            lines.concat()
        ),
    );
    faults.into_iter().map(|(id, _)| id).collect()
}

/// What of it is still there.
fn left(place: &Place, stranger: &Stranger) -> Vec<String> {
    let mut left = place.survivors();
    let run = place.runs().pop().unwrap().file_name().unwrap().to_string_lossy().to_lowercase();
    let tables = Command::new("nft").args(["list", "tables"]).output().map(|output| drill::text(&output)).unwrap_or_default();
    let fillers =
        std::fs::read_dir("/dev/shm").into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    left.extend(tables.lines().map(str::to_owned).chain(fillers).filter(|name| name.to_lowercase().contains(&run)));
    if stranger.is_stopped() {
        left.push("the stranger is stopped".into());
    }
    if place.path().join("ballast").exists() {
        left.push("the file is there".into());
    }
    left
}

/// How a disk refuses to be written (false where that cannot be shown here), and how it is mended.
type Way = (fn(&Disk) -> bool, fn(&Disk));

/// Nobody can write down that the faults are undone; they are undone all the same: by the watchdog, and by a person where that is dead too.
#[test]
fn what_cannot_be_written_down_is_undone_all_the_same() {
    let whole: fn(&Disk) = Disk::mends;
    let ways: [Way; 2] = [(Disk::breaks, whole), (Disk::fills, |disk| drop(std::fs::remove_file(disk.there.join("ballast"))))];
    for ((breaks, mends), watchdog_lives) in ways.into_iter().flat_map(|way| [(way, true), (way, false)]) {
        let place = Place::new();
        let Some(disk) = Disk::mount(place.path()) else {
            println!("SKIPPED read-only disk: no ext4 can be mounted here");
            return;
        };
        let stranger = Stranger::start(&place);
        let ids = many(&place);
        place.run(&["check", "scenario.yaml"], 60).expect(0);
        let mut child = place.start(&["run", "scenario.yaml", "--yes"]);
        ids.iter().for_each(|id| drop(place.wait_until_bitten(id, 60)));
        let run = place.runs().pop().unwrap();
        let started = |entry: &serde_json::Value| (entry["event"]["type"] == "watchdog_started").then(|| entry["event"]["pid"].as_u64());
        let watchdog = place.journal(&run).iter().find_map(started).flatten().unwrap() as u32;
        // It must not see the disk break: it would undo by itself.
        signal(child.id(), "STOP");
        let broken = breaks(&disk);
        if !watchdog_lives {
            signal(watchdog, "KILL");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !broken {
            println!("SKIPPED read-only disk: this kernel cannot be made to meet an error");
            place.run(&["undo"], 60);
            continue;
        }
        if !watchdog_lives {
            let done = place.run(&["undo"], 60).expect(11);
            assert!(done.stderr.contains("undone and verified") && done.stderr.contains("repeat `firedrill undo"), "{}", done.stderr);
        }
        let end = Instant::now() + Duration::from_secs(60);
        while !left(&place, &stranger).is_empty() {
            assert!(Instant::now() < end, "still there: {:#?}", left(&place, &stranger));
            std::thread::sleep(Duration::from_millis(20));
        }
        mends(&disk);
        // The watchdog may still be at it.
        let finished = || place.journal(&run).pop().is_some_and(|entry| entry["event"]["type"] == "run_finished");
        let end = Instant::now() + Duration::from_secs(60);
        while !finished() {
            assert!(Instant::now() < end, "the journal has no end");
            place.run(&["undo"], 60).expect(0);
        }
        assert!(left(&place, &stranger).is_empty());
    }
}
