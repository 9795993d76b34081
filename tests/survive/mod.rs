//! What must hold whatever bytes a file has. The property tests call this on bytes they make up, and the fuzz targets (`fuzz/`) on bytes that a
//! fuzzer has grown: one harness, so that both ask the same.
#![allow(dead_code, reason = "each test and each fuzz target uses its part")]

use std::path::Path;
use std::time::{Duration, Instant};

use firedrill::base::digest_of;
use firedrill::cli::known::known;
use firedrill::engine::finish;
use firedrill::event::Event;
use firedrill::journal::{self, FILE, PLAN};
use firedrill::measure;
use firedrill::plan::{Mode, Origin, Plan, build};
use firedrill::scenario::{Diagnostic, check, render_all};
use firedrill::score::score;
use firedrill::state::RunState;
use firedrill::sys::clock;
use indexmap::IndexMap;

/// No input of bearable size takes a reader longer than this, on the slowest machine that runs tests.
const PATIENCE: Duration = Duration::from_secs(5);

fn in_time<T>(act: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = act();
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    done
}

/// What people see of findings: nothing that drives their terminal.
fn shown(found: &[Diagnostic]) {
    let shown = render_all(found, false);
    assert!(!shown.contains(['\u{1b}', '\0', '\u{9b}', '\u{202e}']), "{shown:?}");
}

/// The language front end reads these bytes to an end: a plan, or at least one error.
pub fn language(bytes: &[u8]) {
    let no_files = |_: &str| Err("no files here".to_owned());
    let found = in_time(|| match firedrill::scenario::read(bytes, "x.yaml", known(), &IndexMap::new(), &no_files) {
        Ok(read) => {
            let mut found = read.warnings;
            found.extend(read.documents.diagnose(check(&read.scenario, known())));
            if !found.iter().any(Diagnostic::is_error) {
                let origin = Origin {
                    name: "x".into(),
                    base_dir: "/nowhere".into(),
                    scenario_digest: digest_of(bytes),
                    workload_digest: None,
                    mode: Mode::default(),
                };
                build(&read.scenario, known(), origin).to_text().unwrap();
            }
            found
        }
        Err(found) => {
            assert!(found.iter().any(Diagnostic::is_error));
            found
        }
    });
    shown(&found);
}

/// The policy reader reads these bytes to an end: a policy, or at least one error.
pub fn policy(bytes: &[u8]) {
    if let Err(found) = in_time(|| firedrill::policy::read(bytes, "x.yaml", known(), &clock::zone)) {
        assert!(!found.is_empty());
        shown(&found);
    }
}

/// Everything that reads a run reads this journal and this plan to an end, and forgets no debt that can still be read.
pub fn run_directory(journal_bytes: &[u8], plan_bytes: &[u8], plan: &Plan) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FILE), journal_bytes).unwrap();
    std::fs::write(dir.path().join(PLAN), plan_bytes).unwrap();
    in_time(|| everybody_reads(dir.path(), plan));
}

fn everybody_reads(dir: &Path, plan: &Plan) {
    let _ = journal::ended_well(dir);
    let _ = finish::load(dir);
    let entries = match journal::read(dir) {
        Ok(read) => read.entries,
        Err(_) => journal::salvage(dir).unwrap_or_default(),
    };
    let (state, followed, _) = RunState::of_what_is_left(entries);
    // An undo that was armed in what is left, and not seen done, is owed.
    for (id, item) in &state.items {
        let undone = followed.iter().any(|entry| match &entry.event {
            Event::Undone { id: other, .. } | Event::LeftTo { id: other, .. } => other == id,
            _ => false,
        });
        assert!(undone || item.phase.owes(), "{id} was armed, never undone, and is not owed");
    }
    let facts = measure::facts(plan, &followed);
    let score = score(plan, &facts);
    let _ = firedrill::report::json::render(&firedrill::report::Report { plan, facts: &facts, score: &score });
}
