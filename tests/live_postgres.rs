//! A real system that nobody here wrote: Debian's PostgreSQL with a standby behind haproxy. Commits that wait for the standby survive the loss of the
//! leader; those that do not are lost while replication stands still, and each of them is counted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use drill::{Done, Place, case, free_ports, has_program, side_by_side, until_it_says_something};

/// The newest PostgreSQL of Debian's packages.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

/// What was seen of the two servers from outside, by asking them.
#[derive(Debug, Default)]
struct Seen {
    /// Whether the lost leader might be rejoined, asked while it led.
    fenced_before: Option<(Option<i32>, String)>,
    /// The same, after it was rejoined.
    fenced_after: Option<(Option<i32>, String)>,
    /// The numbers of all writes that the second server had at some time while it led.
    kept: BTreeSet<u64>,
    /// Afterwards: whether each is in recovery, how many follow the new leader, and whether both have the same rows.
    follows: Option<(String, String, String, bool)>,
}

struct Pair<'a> {
    bin: &'a Path,
    a: u16,
    b: u16,
    data: &'a Path,
}

impl Pair<'_> {
    fn ask(&self, port: u16, query: &str) -> String {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "firedrill", "-d", "postgres", "-Atqc", query]);
        drill::text(&command.output().unwrap()).trim().to_owned()
    }

    fn fenced(&self) -> (Option<i32>, String) {
        let script = format!("{}/scenarios/postgres/fenced.sh", env!("CARGO_MANIFEST_DIR"));
        let (a, b) = (self.a.to_string(), self.b.to_string());
        let output = Command::new(script).args([self.bin.to_str().unwrap(), "a", &a, &b, self.data.to_str().unwrap()]).output().unwrap();
        (output.status.code(), drill::text(&output))
    }

    fn look(&self, seen: &mut Seen, place: &Place) {
        let Some(run) = place.runs().pop() else { return };
        let events: Vec<String> =
            place.journal(&run).iter().map(|entry| entry["event"]["type"].as_str().unwrap_or_default().to_owned()).collect();
        let has = |word: &str| events.iter().any(|event| event == word);
        if has("baseline_started") && seen.fenced_before.is_none() {
            seen.fenced_before = Some(self.fenced());
        }
        if self.ask(self.b, "select pg_is_in_recovery()") == "f" {
            let keys = self.ask(self.b, "select key from firedrill_ledger");
            seen.kept.extend(keys.lines().filter_map(|key| key.rsplit_once('-')?.1.parse::<u64>().ok()));
        }
        if has("restored") && !has("probes_stopped") && !seen.follows.as_ref().is_some_and(|(.., same)| *same) {
            seen.fenced_after.get_or_insert_with(|| self.fenced());
            let recovering = "select pg_is_in_recovery()";
            let streaming = "select count(*) from pg_stat_replication where state = 'streaming' and application_name = 'standby'";
            // What is written goes on: the standby has every row that the leader had a moment before.
            let rows = "select coalesce(string_agg(key, ' '), '') from firedrill_ledger";
            let (at_b, at_a) = (self.ask(self.b, rows), self.ask(self.a, rows));
            let kept: BTreeSet<&str> = at_a.split(' ').collect();
            // And nothing that the leader has not: what was never sent was taken back.
            let led = self.ask(self.b, rows);
            let leads: BTreeSet<&str> = led.split(' ').collect();
            let same = at_b.split(' ').all(|key| kept.contains(key)) && kept.iter().all(|key| leads.contains(key));
            seen.follows = Some((self.ask(self.a, recovering), self.ask(self.b, recovering), self.ask(self.b, streaming), same));
        }
    }
}

/// The old leader was made a standby of the new one by the guarded step, and by nothing else.
fn assert_rejoined(report: &serde_json::Value, seen: &Seen) {
    let rejoin = &report["restore"]["rejoin"];
    assert_eq!(rejoin["result"], "done", "{rejoin}");
    assert!(rejoin["detail"].as_str().unwrap().contains("a was taken back with pg_rewind and follows"), "{rejoin}");
    let (code, why) = seen.fenced_before.as_ref().unwrap();
    assert!(*code == Some(1) && why.contains("not fenced"), "a leader that lives is not to be touched: {seen:?}");
    assert_eq!(seen.fenced_after.as_ref().unwrap().0, Some(1), "{seen:?}");
    let (a, b, streaming, same) = seen.follows.as_ref().expect("nobody looked between the step and the end");
    assert_eq!((a.as_str(), b.as_str(), streaming.as_str(), *same), ("t", "f", "1", true), "{seen:?}");
}

/// Runs a shipped scenario on free ports and data of its own; none where something is not installed.
fn run(name: &str) -> Option<((Place, PathBuf, Seen), Done)> {
    let (Some(bin), Some(haproxy)) = (programs(), has_program("haproxy")) else {
        println!("SKIPPED {name}: postgresql or haproxy is not installed (apt-get install postgresql haproxy); nothing was shown");
        return None;
    };
    let place = Place::new();
    let [database, a, b, replication] = free_ports();
    // Not below the place: the servers run as another account, which may not look into it.
    let data = PathBuf::from(format!("/tmp/firedrill-test-{database}"));
    let mut vars =
        vec![format!("postgres={}", bin.display()), format!("haproxy={}", haproxy.display()), format!("data={}", data.display())];
    vars.extend([("database", database), ("postgres_a", a), ("postgres_b", b)].map(|(name, port)| format!("{name}={port}")));
    if name.ends_with("-asynchronous") {
        vars.push(format!("replication={replication}"));
    }
    let file = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut args = vec!["run", &file, "--yes", "--output", "json"];
    vars.iter().for_each(|var| args.extend(["--var", var.as_str()]));
    let (seen, over) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    let pair = Pair { bin: &bin, a, b, data: &data };
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                pair.look(&mut seen.lock().unwrap(), &place);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let done = place.run(&args, 240);
        over.store(true, Ordering::SeqCst);
        done
    });
    let seen = seen.into_inner().unwrap();
    Some(((place, data, seen), done))
}

fn synchronous() {
    let Some(((place, data, seen), done)) = until_it_says_something(|| run("postgres-synchronous")) else { return };
    let report = done.expect(0).json();
    assert_rejoined(&report, &seen);
    let claim = &report["claims"]["no-order-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"passed".into()), "{claim:#}");
    // The script waits for three answers that do not come before it promotes.
    assert!(claim["rto"]["lo_us"].as_u64().unwrap() > 300_000, "{claim:#}");
    let ledger = &report["ledgers"]["orders"];
    assert!(ledger["acknowledged"].as_u64().unwrap() > 40 && ledger["lost"] == 0 && ledger["unexpected"] == 0, "{ledger:#}");
    place.assert_nobody_survives(10);
    assert!(!data.exists(), "the data is still there");
}

fn asynchronous() {
    let Some(((place, data, seen), done)) = until_it_says_something(|| run("postgres-asynchronous")) else { return };
    let report = done.expect(30).json();
    assert_rejoined(&report, &seen);
    let claim = &report["claims"]["no-order-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"failed".into()), "{claim:#}");
    let ledger = &report["ledgers"]["orders"];
    let (acknowledged, lost) = (ledger["acknowledged"].as_u64().unwrap(), ledger["lost"].as_u64().unwrap());
    // Two seconds of 20 writes each, as far as the machine kept up; all of them are charged to the episode of which something is claimed.
    assert!((10..=150).contains(&lost) && acknowledged > lost + 20, "{ledger:#}");
    assert_eq!(claim["rpo"]["lost"].as_u64(), Some(lost), "{claim:#}");
    // By reading the server that took over: what was acknowledged and was never there is what was counted.
    let run = place.runs().pop().unwrap();
    let events: Vec<_> = place.journal(&run).into_iter().map(|mut entry| entry["event"].take()).collect();
    let rows = events.iter().filter(|event| event["type"] == "samples" && event["probe"] == "orders");
    let rows = rows.flat_map(|event| event["rows"].as_array().unwrap()).filter(|row| row[5] == "ok");
    let told: BTreeSet<u64> = rows.map(|row| row[0].as_u64().unwrap()).collect();
    assert_eq!((told.len() as u64, told.difference(&seen.kept).count() as u64), (acknowledged, lost), "{ledger:#}");
    println!("acknowledged {acknowledged}, lost {lost}, kept {}", seen.kept.len());
    assert_eq!((&ledger["duplicated"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
    place.assert_nobody_survives(10);
    assert!(!data.exists(), "the data is still there");
}

#[test]
fn commits_that_wait_survive_and_those_that_do_not_are_counted() {
    side_by_side(vec![case("synchronous", synchronous), case("asynchronous", asynchronous)]);
}
