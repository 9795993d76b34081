//! Journals of real runs, recorded once (`tests/record.rs`) and kept under `tests/journals/NAME`: `scenario.yaml`, `plan.json`,
//! `events.jsonl`. What belonged to the recording machine stands there under other names, and is given back when a copy is made.
#![allow(dead_code, reason = "every test file uses another part")]

use std::path::{Path, PathBuf};

use firedrill::base::line_sum;
use firedrill::event::Entry;
use firedrill::journal;
use firedrill::plan::Plan;

/// Every golden journal, and the exit code of its run.
pub const ALL: [(&str, u8); 8] = [
    ("passed", 0),
    ("command", 31),
    ("proxied", 30),
    ("interrupted", 40),
    ("taken-over", 40),
    ("not-steady", 20),
    ("not-confirmed", 33),
    ("stuck", 50),
];

/// The exit codes that a run may end with.
pub const CODES: [u8; 8] = [0, 20, 30, 31, 32, 33, 40, 50];

/// The run's directory in a golden journal.
pub const RUN_DIR: &str = "/golden/run";
/// The scenario's directory.
pub const BASE_DIR: &str = "/golden/base";
/// The binary.
pub const EXE: &str = "/golden/firedrill";
/// The boot of the machine.
pub const BOOT: &str = "00000000-0000-4000-8000-000000000000";

/// The directory of all golden journals.
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals")
}

/// The directory of one golden journal.
pub fn dir(name: &str) -> PathBuf {
    home().join(name)
}

/// Plan and entries of a run directory.
pub fn load(dir: &Path) -> (Plan, Vec<Entry>) {
    let text = std::fs::read_to_string(dir.join(journal::PLAN)).unwrap();
    (serde_json::from_str(&text).unwrap(), journal::read(dir).unwrap().entries)
}

/// The lines of a journal with something replaced, checksums anew; each with its line end.
pub fn rewrite(journal: &str, change: impl Fn(&str) -> String) -> Vec<String> {
    let mut sum = String::new();
    let mut lines = Vec::new();
    for line in journal.lines() {
        let body = change(&format!("{}}}", line.rsplit_once(",\"sum\":\"").unwrap().0));
        sum = line_sum(&sum, &body);
        lines.push(format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1]));
    }
    lines
}
