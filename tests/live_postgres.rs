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

use std::path::PathBuf;

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

/// Runs a shipped scenario on free ports and data of its own; none where something is not installed.
fn run(name: &str) -> Option<((Place, PathBuf), Done)> {
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
    let done = place.run(&args, 240);
    Some(((place, data), done))
}

fn synchronous() {
    let Some(((place, data), done)) = until_it_says_something(|| run("postgres-synchronous")) else { return };
    let report = done.expect(0).json();
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
    let Some(((place, data), done)) = until_it_says_something(|| run("postgres-asynchronous")) else { return };
    let report = done.expect(30).json();
    let claim = &report["claims"]["no-order-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"failed".into()), "{claim:#}");
    let ledger = &report["ledgers"]["orders"];
    let (acknowledged, lost) = (ledger["acknowledged"].as_u64().unwrap(), ledger["lost"].as_u64().unwrap());
    // Two seconds of 20 writes each, as far as the machine kept up; all of them are charged to the episode of which something is claimed.
    assert!((10..=150).contains(&lost) && acknowledged > lost + 20, "{ledger:#}");
    assert_eq!(claim["rpo"]["lost"].as_u64(), Some(lost), "{claim:#}");
    assert_eq!((&ledger["duplicated"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
    place.assert_nobody_survives(10);
    assert!(!data.exists(), "the data is still there");
}

#[test]
fn commits_that_wait_survive_and_those_that_do_not_are_counted() {
    side_by_side(vec![case("synchronous", synchronous), case("asynchronous", asynchronous)]);
}
