//! Real systems that nobody here wrote: Debian's Redis with Sentinels behind haproxy. A leader that dies loses nothing that a replica has; one that
//! stands still and wakes, or that is cut off, loses what it told its clients was kept, and how much is counted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drill::{Done, Place, case, free_ports, has_program, side_by_side, until_it_says_something};

/// Runs a shipped scenario on free ports; none where something is not installed.
fn run(name: &str) -> Option<(Place, Done)> {
    watched(name, |_, _, _| ()).map(|((place, ()), done)| (place, done))
}

/// The same, while somebody looks at the two servers from outside, again and again.
fn watched<T: Default + Send>(name: &str, look: impl Fn(&mut T, &Place, [u16; 2]) + Sync) -> Option<((Place, T), Done)> {
    for (program, package) in
        [("haproxy", "haproxy"), ("redis-server", "redis-server"), ("redis-sentinel", "redis-sentinel"), ("redis-cli", "redis-tools")]
    {
        if has_program(program).is_none() {
            println!("SKIPPED {name}: {program} is not installed (apt-get install {package}); nothing was shown");
            return None;
        }
    }
    let place = Place::new();
    let ports: [u16; 7] = free_ports();
    let names = ["cache", "redis_a", "redis_b", "sentinel_a", "sentinel_b", "sentinel_c", "cut"];
    let declared = if name.ends_with("-partition") { 7 } else { 6 };
    let mut vars: Vec<String> = names.iter().zip(ports).take(declared).map(|(name, port)| format!("{name}={port}")).collect();
    vars.push(format!("haproxy={}", has_program("haproxy").unwrap().display()));
    vars.push(format!("redis={}", has_program("redis-server").unwrap().display()));
    let file = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut args = vec!["run", &file, "--yes", "--output", "json"];
    vars.iter().for_each(|var| args.extend(["--var", var.as_str()]));
    let over = AtomicBool::new(false);
    let (done, seen) = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut seen = T::default();
            while !over.load(Ordering::SeqCst) {
                look(&mut seen, &place, [ports[1], ports[2]]);
                std::thread::sleep(Duration::from_millis(50));
            }
            seen
        });
        let done = place.run(&args, 240);
        over.store(true, Ordering::SeqCst);
        (done, watching.join().unwrap())
    });
    Some(((place, seen), done))
}

fn lost_leader() {
    let Some((place, done)) = until_it_says_something(|| run("redis-failover")) else { return };
    let done = done.expect(0);
    let report = done.json();
    let claim = &report["claims"]["the-cache-is-back"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"passed".into()), "{claim:#}");
    // The Sentinels wait a second before they believe it.
    let (lo, hi) = (claim["rto"]["lo_us"].as_u64().unwrap(), claim["rto"]["hi_us"].as_u64().unwrap());
    assert!(lo > 500_000 && lo < hi && hi <= 10_000_000, "{claim:#}");
    let ledger = &report["ledgers"]["orders"];
    assert!(ledger["acknowledged"].as_u64().unwrap() > 50 && ledger["lost"] == 0 && ledger["unexpected"] == 0, "{ledger:#}");
    place.assert_nobody_survives(10);
}

fn split_brain() {
    let Some(((place, read), done)) = until_it_says_something(|| watched("redis-split-brain", look_at_the_new_one)) else { return };
    let done = done.expect(30);
    let report = done.json();
    let claim = &report["claims"]["nothing-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"failed".into()), "{claim:#}");
    // By reading the new leader: what was acknowledged and is not there was lost, and each of them was counted.
    let acknowledged = acknowledged(&place);
    let lost = acknowledged.iter().filter(|(n, _)| !read.kept.contains(n)).count() as u64;
    let ledger = &report["ledgers"]["stale-client"];
    // It led alone for as long as the Sentinels let it, after it woke: seconds of 50 writes each. What was written before is there.
    assert!(lost > 50 && acknowledged.len() as u64 > lost + 50, "{ledger:#}");
    assert_eq!((ledger["acknowledged"].as_u64(), ledger["lost"].as_u64()), (Some(acknowledged.len() as u64), Some(lost)), "{ledger:#}");
    assert_eq!(claim["rpo"]["lost"].as_u64(), Some(lost), "{claim:#}");
    assert_eq!((&ledger["duplicated"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
    let finding = report["score"]["findings"][0]["risk"].as_str().unwrap();
    assert_eq!(finding, "hri", "{}", report["score"]);
    println!("acknowledged {}, lost {lost}, kept {}", acknowledged.len(), read.kept.len());
    place.assert_nobody_survives(10);
}

/// What the journal says was acknowledged to the client that went on with the old leader: its number, and when it was sent.
fn acknowledged(place: &Place) -> Vec<(u64, u64)> {
    let run = place.runs().pop().unwrap();
    let events: Vec<_> = place.journal(&run).into_iter().map(|mut entry| entry["event"].take()).collect();
    let rows = events.iter().filter(|event| event["type"] == "samples" && event["probe"] == "stale-client");
    let rows = rows.flat_map(|event| event["rows"].as_array().unwrap()).filter(|row| row[5] == "ok");
    rows.map(|row| (row[0].as_u64().unwrap(), row[3].as_u64().unwrap())).collect()
}

/// A leader that stands still answers nobody who looks.
fn look_at_the_new_one(read: &mut Read, place: &Place, [_, b]: [u16; 2]) {
    if redis(b, &["info", "replication"]).contains("role:master") {
        read.kept.extend(numbers(place, b));
    }
}

/// What was read at the servers themselves, by number of write.
#[derive(Default)]
struct Read {
    /// At the old leader while it said that it leads: all that it ever told anybody was kept.
    held: BTreeSet<u64>,
    /// At the old leader once it followed again.
    left: BTreeSet<u64>,
    /// At the new leader.
    kept: BTreeSet<u64>,
}

fn redis(port: u16, words: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The numbers of the writes in this run's list.
fn numbers(place: &Place, port: u16) -> BTreeSet<u64> {
    let Some(run) = place.runs().pop() else { return BTreeSet::new() };
    let list = format!("firedrill:{}", run.file_name().unwrap().to_string_lossy().to_ascii_lowercase());
    let keys = redis(port, &["lrange", &list, "0", "-1"]);
    keys.lines().filter_map(|key| key.rsplit_once('-')?.1.parse().ok()).collect()
}

fn look(read: &mut Read, place: &Place, [a, b]: [u16; 2]) {
    let numbers = |port| numbers(place, port);
    let (before, at_a, role) = (redis(a, &["info", "replication"]), numbers(a), redis(a, &["info", "replication"]));
    if before.contains("role:master") && role.contains("role:master") && at_a.len() > read.held.len() {
        read.held = at_a;
    } else if before.contains("master_link_status:up") && !at_a.is_empty() {
        read.left = at_a;
    }
    let at_b = numbers(b);
    if redis(b, &["info", "replication"]).contains("role:master") && !at_b.is_empty() {
        read.kept = at_b;
    }
}

fn split_brain_by_partition() {
    let Some(((place, read), done)) = until_it_says_something(|| watched("redis-split-brain-partition", look)) else { return };
    let done = done.expect(30);
    let report = done.json();
    let claim = &report["claims"]["nothing-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"failed".into()), "{claim:#}");
    assert_eq!(report["restore"]["follow"]["result"], "done", "{}", report["restore"]);
    let run = place.runs().pop().unwrap();
    let events: Vec<_> = place.journal(&run).into_iter().map(|mut entry| entry["event"].take()).collect();
    let acknowledged = acknowledged(&place);
    let cut = events.iter().find(|event| event["type"] == "effective" && event["id"] == "leader-is-cut-off").unwrap();
    let (cut_lo, cut_hi) = (cut["when"]["lo"].as_u64().unwrap(), cut["when"]["hi"].as_u64().unwrap());
    let lost: Vec<(u64, u64)> = acknowledged.iter().filter(|(n, _)| !read.kept.contains(n)).copied().collect();
    // By reading the servers: nothing of what the old leader acknowledged after the cut has survived, and only what was under way at that moment is lost besides.
    assert!(acknowledged.iter().filter(|(_, sent)| *sent > cut_hi).all(|(n, _)| !read.kept.contains(n)), "something has survived");
    assert!(lost.iter().all(|(_, sent)| *sent + 1_000_000_000 > cut_lo), "lost before the cut: {lost:?}");
    assert!(lost.len() > 300, "it led for ten seconds and more: {}", lost.len());
    let last = *read.held.last().unwrap();
    assert!(acknowledged.iter().filter(|(n, _)| *n <= last).all(|(n, _)| read.held.contains(n)), "it acknowledged what it did not have");
    assert_eq!(read.left, read.kept, "once it follows, it has what the new leader has");
    // And so it was counted.
    let ledger = &report["ledgers"]["stale-client"];
    assert_eq!(ledger["acknowledged"].as_u64(), Some(acknowledged.len() as u64), "{ledger:#}");
    assert_eq!(ledger["lost"].as_u64(), Some(lost.len() as u64), "{ledger:#}");
    assert_eq!(claim["rpo"]["lost"].as_u64(), Some(lost.len() as u64), "{claim:#}");
    assert_eq!((&ledger["duplicated"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
    println!("acknowledged {}, lost {}, kept {}", acknowledged.len(), lost.len(), read.kept.len());
    place.assert_nobody_survives(10);
}

#[test]
fn a_leader_that_is_cut_off_loses_what_it_promised() {
    split_brain_by_partition();
}

#[test]
fn a_dead_leader_loses_nothing_and_one_that_wakes_loses_what_it_promised() {
    side_by_side(vec![case("a lost leader", lost_leader), case("split brain", split_brain)]);
}
