//! The two commands that everybody runs first, for real, and their output in the README. `FIREDRILL_BLESS=1` records it anew.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod page;

use drill::Place;
use page::{blesses, generated, write_generated};

/// How one demo went.
struct Told {
    code: i32,
    text: String,
    report: serde_json::Value,
}

/// Runs a demo as people do. A machine that is busy enough to starve the prober gives no evidence (31, 33); that is told, and tried once more.
fn demo(args: &[&str]) -> Told {
    let mut told = once(args);
    if [31, 33].contains(&told.code) {
        println!("{args:?} was not decided on this machine, once more:\n{}", told.text);
        told = once(args);
    }
    told
}

fn once(args: &[&str]) -> Told {
    let place = Place::new();
    let done = place.run(args, 120);
    place.assert_nobody_survives(10);
    let report = place.run(&["report", "last", "--output", "json"], 30);
    assert_eq!(report.code, done.code, "`report` exits as the run did:\n{}", report.stderr);
    let undo = place.run(&["undo"], 30).expect(0);
    assert!(undo.stderr.contains("nothing to undo"), "{}", undo.stderr);
    let code = done.code.unwrap_or_else(|| panic!("{args:?} was killed:\n{}", done.stderr));
    Told { code, report: report.json(), text: done.stdout }
}

/// What must not change from run to run: verdicts and the first word of each line of the claim table.
fn outline(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let second = words.next().unwrap_or_default();
        let third = words.next().unwrap_or_default();
        match first {
            "SYSTEM" => out.push(format!("{first} {second} {third}")),
            "✓" | "✗" | "?" | "exit" => out.push(format!("{first} {second}")),
            _ => {}
        }
    }
    out
}

fn check_readme(marker: &str, command: &str, told: &Told) {
    let block = format!("```console\n$ firedrill {command}\n{}\n```\n", told.text.trim_end());
    if blesses() {
        write_generated("README.md", marker, &block);
    }
    let shown = outline(&generated("README.md", marker));
    assert!(!shown.is_empty() && shown == outline(&block), "README.md shows\n{shown:#?}\nand the demo now says\n{block}");
}

#[test]
fn the_demo_passes_and_the_fragile_one_fails_as_the_readme_shows() {
    let fragile = std::thread::spawn(|| demo(&["demo", "--fragile"]));
    let strong = demo(&["demo"]);
    let fragile = fragile.join().unwrap();
    assert_eq!((strong.code, fragile.code), (0, 30), "{}\n{}", strong.text, fragile.text);
    let claim = |told: &Told, part: &str| told.report["claims"]["checkout-survives-a-node"][part]["verdict"].clone();
    for part in ["rto", "rpo", "availability", "by"] {
        assert_eq!(claim(&strong, part), "passed", "{part}\n{}", strong.text);
    }
    for part in ["rto", "rpo"] {
        assert_eq!(claim(&fragile, part), "failed", "{part}\n{}", fragile.text);
    }
    assert_eq!(strong.report["faults"]["lose-primary"]["phase"], "undone");
    assert_eq!(fragile.report["faults"]["lose-primary"]["phase"], "undone");
    check_readme("output: demo", "demo", &strong);
    check_readme("output: demo --fragile", "demo --fragile", &fragile);
}
