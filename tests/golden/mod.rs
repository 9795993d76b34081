//! Journals of real runs, recorded once (`tests/record.rs`) and kept under `tests/journals/NAME`: `scenario.yaml`, `plan.json`,
//! `events.jsonl`. What belonged to the recording machine stands there under other names, and is given back when a copy is made.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    reason = "a test may break off anywhere, wait and print; every file uses another part of what is shared"
)]

use std::path::{Path, PathBuf};

use firedrill::base::{digest_of, line_sum};
use firedrill::event::{Entry, Event};
use firedrill::journal;
use firedrill::plan::Plan;
use firedrill::sys::clock;

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
pub const CODES: [u8; 9] = [0, 11, 20, 30, 31, 32, 33, 40, 50];

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

/// A golden journal that is given a machine again.
pub struct Golden {
    plan: String,
    journal: String,
    run: String,
    end: u64,
}

/// Where a copy lives.
pub struct Place<'a> {
    /// Its run directory.
    pub run_dir: &'a Path,
    /// The scenario's directory.
    pub base_dir: &'a Path,
    /// The binary.
    pub exe: &'a Path,
    /// The run's id.
    pub run: &'a str,
    /// It ended a moment ago on this boot of this machine; else on another boot.
    pub same_boot: bool,
}

impl Golden {
    /// Reads one.
    pub fn read(name: &str) -> Golden {
        let (_, entries) = load(&dir(name));
        let run = entries.iter().find_map(|entry| match &entry.event {
            Event::RunStarted { run, .. } => Some(run.clone()),
            _ => None,
        });
        Golden {
            plan: std::fs::read_to_string(dir(name).join(journal::PLAN)).unwrap(),
            journal: std::fs::read_to_string(dir(name).join(journal::FILE)).unwrap(),
            run: run.unwrap(),
            end: entries.iter().map(|entry| entry.at.0).max().unwrap(),
        }
    }

    /// Writes the plan of a copy and returns the lines of its journal.
    pub fn copy(&self, place: &Place<'_>) -> Vec<String> {
        let fill = |text: &str| {
            let dir = |path: &Path| path.to_str().unwrap().to_owned();
            text.replace(RUN_DIR, &dir(place.run_dir))
                .replace(BASE_DIR, &dir(place.base_dir))
                .replace(EXE, &dir(place.exe))
                .replace(&self.run, place.run)
        };
        let plan = fill(&self.plan);
        std::fs::write(place.run_dir.join(journal::PLAN), &plan).unwrap();
        let (before, after) = (digest_of(self.plan.as_bytes()).to_string(), digest_of(plan.as_bytes()).to_string());
        let now = clock::mono_ns();
        rewrite(&self.journal, |body| {
            if place.same_boot && body.contains(r#""type":"anchor""#) {
                let mut entry: Entry = serde_json::from_str(body).unwrap();
                if let Event::Anchor(anchor) = &mut entry.event {
                    anchor.boot_id = clock::boot_id().to_owned();
                    anchor.mono_ns = now.saturating_sub(self.end - entry.at.0);
                }
                return serde_json::to_string(&entry).unwrap();
            }
            fill(body).replace(&before, &after)
        })
    }
}
