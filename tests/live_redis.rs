//! Real systems that nobody here wrote: Debian's Redis with Sentinels behind haproxy. A leader that dies loses nothing that a replica has; one that
//! stands still and wakes loses what it told its clients was kept, and how much is counted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;

use drill::{Done, Place, case, free_ports, has_program, side_by_side, until_it_says_something};

/// Runs a shipped scenario on free ports; none where something is not installed.
fn run(name: &str) -> Option<(Place, Done)> {
    for (program, package) in
        [("haproxy", "haproxy"), ("redis-server", "redis-server"), ("redis-sentinel", "redis-sentinel"), ("redis-cli", "redis-tools")]
    {
        if has_program(program).is_none() {
            println!("SKIPPED {name}: {program} is not installed (apt-get install {package}); nothing was shown");
            return None;
        }
    }
    let place = Place::new();
    let ports: [u16; 6] = free_ports();
    let names = ["cache", "redis_a", "redis_b", "sentinel_a", "sentinel_b", "sentinel_c"];
    let mut vars: Vec<String> = names.iter().zip(ports).map(|(name, port)| format!("{name}={port}")).collect();
    vars.push(format!("haproxy={}", has_program("haproxy").unwrap().display()));
    vars.push(format!("redis={}", has_program("redis-server").unwrap().display()));
    let file = format!("{}/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut args = vec!["run", &file, "--yes", "--output", "json"];
    vars.iter().for_each(|var| args.extend(["--var", var.as_str()]));
    let done = place.run(&args, 240);
    Some((place, done))
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
    let Some((place, done)) = until_it_says_something(|| run("redis-split-brain")) else { return };
    let done = done.expect(30);
    let report = done.json();
    let claim = &report["claims"]["nothing-is-lost"];
    assert_eq!((&claim["rto"]["verdict"], &claim["rpo"]["verdict"]), (&"passed".into(), &"failed".into()), "{claim:#}");
    let ledger = &report["ledgers"]["stale-client"];
    let (acknowledged, lost) = (ledger["acknowledged"].as_u64().unwrap(), ledger["lost"].as_u64().unwrap());
    // It led alone for as long as the Sentinels let it, after it woke: seconds of 50 writes each. What was written before is there.
    assert!(lost > 50 && acknowledged > lost + 50, "{ledger:#}");
    assert_eq!((&ledger["duplicated"], &ledger["unexpected"]), (&0.into(), &0.into()), "{ledger:#}");
    let finding = report["score"]["findings"][0]["risk"].as_str().unwrap();
    assert_eq!(finding, "hri", "{}", report["score"]);
    place.assert_nobody_survives(10);
}

#[test]
fn a_dead_leader_loses_nothing_and_one_that_wakes_loses_what_it_promised() {
    side_by_side(vec![case("a lost leader", lost_leader), case("split brain", split_brain)]);
}
