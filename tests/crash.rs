//! The runner dies anywhere: every golden journal is cut after every line and inside lines, and a fresh process finishes what is left. Nothing
//! may stay owed, whatever the last thing was that reached the disk.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod golden;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firedrill::base::{At, Interval};
use firedrill::engine::drive::{self, Command, Setup};
use firedrill::engine::finish::{self, Finished};
use firedrill::event::{Entry, Event, Outcome};
use firedrill::journal::{self, Journal, RunLock};
use firedrill::measure;
use firedrill::report::{self, Report};
use firedrill::score::score;
use firedrill::state::RunState;
use firedrill::sys::Clock;
use golden::{CODES, Golden, Place};
use tokio::sync::{Semaphore, mpsc};

/// As many dead runs are finished side by side; most of them wait for processes and disks.
const AT_ONCE: usize = 24;

/// Where a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    /// So many whole lines …
    lines: usize,
    /// … and this share of the next one: numerator over 2, or 3 for all of it but its last byte.
    part: u8,
}

/// After every line, and twice inside of every line.
fn cuts(lines: usize) -> Vec<Cut> {
    (0..=lines).flat_map(|lines| [0, 1, 3].map(|part| Cut { lines, part })).filter(|cut| cut.lines < lines || cut.part == 0).collect()
}

fn cut(lines: &[String], at: Cut) -> String {
    let mut text = lines[..at.lines].concat();
    if let Some(next) = lines.get(at.lines) {
        let end = match at.part {
            0 => 0,
            1 => next.floor_char_boundary(next.len() / 2),
            _ => next.len() - 1,
        };
        text.push_str(&next[..end]);
    }
    text
}

async fn finish(dir: &Path, exe: &Path) -> Finished {
    let (watch, _) = mpsc::unbounded_channel();
    finish::finish(dir, exe.to_owned(), "undo", "a test", watch).await.unwrap_or_else(|error| panic!("failed to {error}"))
}

/// One dead run.
struct Case {
    golden: Arc<Golden>,
    base_dir: PathBuf,
    run_dir: PathBuf,
    run: String,
    cut: Cut,
    same_boot: bool,
    /// Its undo can never succeed.
    stuck: bool,
}

impl Case {
    async fn check(&self) {
        let exe = assert_cmd::cargo::cargo_bin!("firedrill");
        std::fs::create_dir_all(&self.run_dir).unwrap();
        let place = Place { run_dir: &self.run_dir, base_dir: &self.base_dir, exe, run: &self.run, same_boot: self.same_boot };
        let text = cut(&self.golden.copy(&place), self.cut);
        let file = self.run_dir.join(journal::FILE);
        std::fs::write(&file, &text).unwrap();
        let before = finish::load(&self.run_dir).unwrap();
        let owed: Vec<String> = before.state.owed().map(|(id, _)| id.clone()).collect();
        let over = before.state.outcome.filter(|_| owed.is_empty());
        let faulty = owed.iter().any(|id| !id.contains('/'));

        let finished = finish(&self.run_dir, exe).await;
        assert_eq!(finished.owed_before, owed);
        let stays = self.stuck && faulty;
        for (id, by_hand) in &finished.owed_after {
            assert!(stays && id == "close" && by_hand.contains("open-again"), "still owed: {id}: {by_hand}");
        }
        assert_eq!(finished.owed_after.is_empty(), !stays);

        let after = finish::load(&self.run_dir).unwrap();
        assert_eq!(after.read.torn, 0);
        assert_eq!(after.read.entries[..before.read.entries.len()], before.read.entries, "what was written stays written");
        assert_eq!(after.state.owed().count(), finished.owed_after.len());
        let bytes = std::fs::read(&file).unwrap();
        if over.is_some() {
            assert_eq!(bytes, text.as_bytes(), "a finished run is left alone");
        } else {
            let taken = after.read.entries.iter().find_map(|entry| match &entry.event {
                Event::TakenOver { dropped, .. } if entry.seq >= before.read.entries.len() as u64 => Some(*dropped),
                _ => None,
            });
            assert_eq!(taken, Some(before.read.torn), "what was dropped is said");
        }
        let expected = match (over, before.state.outcome) {
            (Some(outcome), _) | (None, Some(outcome)) => outcome,
            (None, None) if stays => Outcome::Stuck,
            (None, None) => Outcome::Aborted,
        };
        assert_eq!((finished.outcome, after.state.outcome), (expected, Some(expected)));
        if self.cut.part == 0 {
            // A torn line is no part of what is judged.
            self.judge(over, stays);
        }
        if !stays && self.cut.part == 0 {
            assert_eq!(finish(&self.run_dir, exe).await.owed_before, Vec::<String>::new());
            assert_eq!(std::fs::read(&file).unwrap(), bytes, "a second finish does nothing");
        }
        std::fs::remove_dir_all(&self.run_dir).unwrap();
    }

    /// Every reader reads it, and nothing that is missing makes it better.
    fn judge(&self, over: Option<Outcome>, stays: bool) {
        let (plan, entries) = golden::load(&self.run_dir);
        RunState::of(&entries).unwrap();
        let facts = measure::facts(&plan, &entries);
        let score = score(&plan, &facts);
        assert!(CODES.contains(&score.exit_code), "exit code {}", score.exit_code);
        if over.is_none() {
            assert_eq!(score.exit_code, if stays { 50 } else { 40 });
        }
        assert_eq!(facts.owed.len(), usize::from(stays));
        let whole = Report { plan: &plan, facts: &facts, score: &score };
        let texts = [
            report::html::render(&whole),
            report::markdown::render(&whole),
            report::json::render(&whole),
            report::junit::render(&whole),
            report::text::render(&whole, false),
            report::text::render(&whole, true),
        ];
        if stays {
            for text in texts {
                assert!(text.contains("open-again"), "the line to type by hand is in every report:\n{text}");
            }
        }
    }
}

/// Processes that carry the mark of one of these runs.
fn survivors(prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(environ) = std::fs::read(entry.path().join("environ")) else { continue };
        let environ = String::from_utf8_lossy(&environ);
        if environ.split('\0').any(|pair| pair.strip_prefix("FIREDRILL_OWNER=").is_some_and(|owner| owner.starts_with(prefix))) {
            let words = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " ");
            found.push(format!("{} {words}", entry.file_name().to_string_lossy()));
        }
    }
    found
}

fn everywhere(name: &'static str, at_once: usize) {
    let golden = Arc::new(Golden::read(name));
    let dir = tempfile::tempdir().unwrap();
    let prefix = format!("crash-{name}-{}-", std::process::id());
    let lines = journal::read(&golden::dir(name)).unwrap().entries.len();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let slots = Arc::new(Semaphore::new(at_once));
        let mut cases = tokio::task::JoinSet::new();
        for (n, cut) in cuts(lines).into_iter().enumerate() {
            let case = Case {
                golden: Arc::clone(&golden),
                base_dir: golden::dir(name),
                run_dir: dir.path().join(n.to_string()),
                run: format!("{prefix}{n}"),
                cut,
                same_boot: n % 2 == 0,
                stuck: name == "stuck",
            };
            let slots = Arc::clone(&slots);
            cases.spawn(async move {
                let _slot = slots.acquire().await.unwrap();
                let what = format!("{name}, cut at {cut:?}");
                let result = tokio::spawn(async move { case.check().await }).await;
                assert!(result.is_ok(), "{what}");
            });
        }
        while let Some(result) = cases.join_next().await {
            result.unwrap();
        }
    });
    assert_nobody_survives(&prefix);
}

fn assert_nobody_survives(prefix: &str) {
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end && !survivors(prefix).is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(survivors(prefix), Vec::<String>::new());
}

#[test]
fn passed() {
    everywhere("passed", AT_ONCE);
}

#[test]
fn command() {
    everywhere("command", AT_ONCE);
}

#[test]
fn proxied() {
    everywhere("proxied", AT_ONCE);
}

#[test]
fn interrupted() {
    everywhere("interrupted", AT_ONCE);
}

#[test]
fn taken_over() {
    everywhere("taken-over", AT_ONCE);
}

#[test]
fn not_steady() {
    everywhere("not-steady", AT_ONCE);
}

#[test]
fn not_confirmed() {
    everywhere("not-confirmed", AT_ONCE);
}

#[test]
fn stuck() {
    // Each waits for seconds between its attempts.
    everywhere("stuck", 200);
}

/// Lines that an undo depends on.
fn matters(line: &str) -> bool {
    ["armed", "injecting", "injected", "inject_failed", "effective", "undoing", "undone", "undo_failed", "taken_over", "run_finished"]
        .iter()
        .any(|kind| line.contains(&format!(r#""event":{{"type":"{kind}""#)))
}

/// The lines that an undo depends on, as a journal of their own.
fn what_matters(name: &str) -> Vec<String> {
    let journal = std::fs::read_to_string(golden::dir(name).join(journal::FILE)).unwrap();
    let lines: Vec<&str> = journal.lines().filter(|line| matters(line)).collect();
    let seq = std::cell::Cell::new(0);
    golden::rewrite(&lines.join("\n"), |body| {
        let mut entry: Entry = serde_json::from_str(body).unwrap();
        entry.seq = seq.replace(seq.get() + 1);
        serde_json::to_string(&entry).unwrap()
    })
}

/// A torn line is nothing at all, wherever it is torn: the rest reads as if it had never been begun, and goes on from there.
#[test]
fn every_byte_of_the_lines_that_matter() {
    for (name, _) in golden::ALL {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(journal::FILE);
        let mut before = String::new();
        for line in what_matters(name) {
            std::fs::write(&file, &before).unwrap();
            let whole = journal::read(dir.path()).unwrap();
            before.push_str(&line);
            std::fs::write(&file, &before).unwrap();
            let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            let start = before.len() - line.len();
            for torn in (1..line.len()).rev() {
                open.set_len((start + torn) as u64).unwrap();
                let read = journal::read(dir.path()).unwrap();
                assert_eq!((read.good, read.torn), (start as u64, torn as u64), "{name}");
                assert!(read.entries == whole.entries && read.sum == whole.sum, "{name}: {torn} bytes of {line:?}");
            }
            let read = journal::read(dir.path()).unwrap();
            let mut journal = Journal::resume(dir.path(), &read, RunLock::take(dir.path()).unwrap()).unwrap();
            journal.append(At(0), Event::Note { text: "goes on".into() });
            drop(journal);
            let read = journal::read(dir.path()).unwrap();
            assert_eq!((read.entries.len(), read.torn), (whole.entries.len() + 1, 0), "{name}");
        }
    }
}

/// A line that can no longer be read at all.
#[derive(Clone, Copy)]
enum Damage {
    /// Not even JSON.
    Smashed,
    /// One digit of the checksum; what it says is there.
    Sum,
    /// Gone, with its line end.
    Gone,
}

impl Damage {
    fn done_to(self, lines: &mut Vec<String>, n: usize) {
        match self {
            Damage::Smashed => lines[n] = format!("{}\n", "#".repeat(lines[n].len() - 1)),
            Damage::Sum => {
                let sum = lines[n].trim_end().trim_end_matches("\"}").to_owned();
                let last = if sum.ends_with('0') { '1' } else { '0' };
                lines[n] = format!("{}{last}\"}}\n", &sum[..sum.len() - 1]);
            }
            Damage::Gone => drop(lines.remove(n)),
        }
    }
}

/// What a person sees of a damaged journal: undone what can be, said what cannot, and never passed.
async fn undo_damaged(case: &Case, damage: Damage, n: usize) {
    let exe = assert_cmd::cargo::cargo_bin!("firedrill");
    std::fs::create_dir_all(&case.run_dir).unwrap();
    let place = Place { run_dir: &case.run_dir, base_dir: &case.base_dir, exe, run: &case.run, same_boot: case.same_boot };
    let mut lines = case.golden.copy(&place);
    lines.truncate(case.cut.lines);
    let armed = lines[n].contains(r#""type":"armed""#) && !matches!(damage, Damage::Sum);
    damage.done_to(&mut lines, n);
    let text = lines.concat();
    let file = case.run_dir.join(journal::FILE);
    std::fs::write(&file, &text).unwrap();
    // Only the last line in doubt is what a crash leaves.
    let damaged = journal::read(&case.run_dir).is_err();
    let debt = firedrill::cli::store::debt(&case.run_dir).map(|debt| debt.items).unwrap_or_default();

    let finished = finish(&case.run_dir, exe).await;
    // A run whose last line says that it ended well hinders nobody; who asks for it by name still gets everything looked at.
    if debt.is_empty() && !finished.owed_before.is_empty() {
        assert!(lines.last().unwrap().contains(r#""outcome":"aborted""#) || lines.last().unwrap().contains(r#""outcome":"completed""#));
    } else {
        assert_eq!(finished.owed_before, debt, "what hinders the next run is what is undone");
    }
    if std::fs::read(&file).unwrap() == text.as_bytes() {
        assert!(debt.is_empty() && finished.owed_after.is_empty());
        return;
    }
    let after = finish::load(&case.run_dir).unwrap();
    for (id, by_hand) in &finished.owed_after {
        // A pid cannot be known again; what the plan starts or declares can.
        assert!(
            armed && id != "close" && !id.contains('/') && by_hand.contains(case.run_dir.to_str().unwrap()),
            "still owed: {id}: {by_hand}"
        );
    }
    let facts = measure::facts(&after.plan, &after.read.entries);
    let code = score(&after.plan, &facts).exit_code;
    assert!(if finished.owed_after.is_empty() { matches!(code, 33 | 40) } else { code == 50 }, "exit code {code}");
    let kept = std::fs::read_to_string(case.run_dir.join("events.damaged-1.jsonl")).unwrap_or_default();
    assert_eq!(kept, if damaged { text } else { String::new() });
}

#[test]
fn a_damaged_journal_is_no_reason_to_leave_a_fault_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = format!("crash-damage-{}-", std::process::id());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut cases = tokio::task::JoinSet::new();
        for name in ["command", "taken-over"] {
            let golden = Arc::new(Golden::read(name));
            let entries = journal::read(&golden::dir(name)).unwrap().entries;
            // As if the runner had died while the fault bit, and to its end.
            let bites = entries.iter().position(|e| matches!(&e.event, Event::Effective { id, .. } if !id.contains('/'))).unwrap() + 1;
            let lines = std::fs::read_to_string(golden::dir(name).join(journal::FILE)).unwrap();
            let lines: Vec<&str> = lines.lines().collect();
            for end in [bites, lines.len()] {
                for n in (0..end - 1).filter(|n| matters(lines[*n]) || *n < 3) {
                    for damage in [Damage::Smashed, Damage::Sum, Damage::Gone] {
                        let at = cases.len();
                        let case = Case {
                            golden: Arc::clone(&golden),
                            base_dir: golden::dir(name),
                            run_dir: dir.path().join(at.to_string()),
                            run: format!("{prefix}{at}"),
                            cut: Cut { lines: end, part: 0 },
                            same_boot: false,
                            stuck: false,
                        };
                        cases.spawn(async move { undo_damaged(&case, damage, n).await });
                    }
                }
            }
        }
        while let Some(result) = cases.join_next().await {
            result.unwrap();
        }
    });
    assert_nobody_survives(&prefix);
}

/// The drill gave up on a fault and stopped its system; later the undo succeeds and starts a part of that system again: it is stopped again as well.
#[tokio::test]
async fn what_a_late_undo_starts_again_is_stopped_again() {
    let dir = tempfile::tempdir().unwrap();
    let exe = assert_cmd::cargo::cargo_bin!("firedrill");
    let run = format!("crash-late-{}-", std::process::id());
    let base_dir = golden::dir("taken-over");
    let lines = Golden::read("taken-over").copy(&Place { run_dir: dir.path(), base_dir: &base_dir, exe, run: &run, same_boot: true });
    let undoing = lines.iter().position(|line| line.contains(r#""type":"undoing","id":"lose-worker""#)).unwrap();
    std::fs::write(dir.path().join(journal::FILE), lines[..=undoing].concat()).unwrap();
    let read = journal::read(dir.path()).unwrap();
    let mut journal = Journal::resume(dir.path(), &read, RunLock::take(dir.path()).unwrap()).unwrap();
    let (fault, worker) = ("lose-worker".to_owned(), "system/worker".to_owned());
    let at = read.entries.last().unwrap().at;
    for event in [
        Event::UndoFailed { id: fault.clone(), attempt: 5, error: "the port was taken".into(), last: true },
        Event::Undoing { id: worker.clone(), attempt: 1, why: "the drill ends".into() },
        Event::Undone { id: worker, when: Interval::exact(at), seen: "verified".into() },
        Event::RunFinished { outcome: Outcome::Stuck },
    ] {
        journal.append(at, event);
    }
    drop(journal);
    let finished = finish(dir.path(), exe).await;
    assert_eq!((finished.owed_before, finished.owed_after), (vec![fault], vec![]));
    finish::load(dir.path()).unwrap();
    assert_nobody_survives(&run);
    assert_eq!(finish(dir.path(), exe).await.owed_before, Vec::<String>::new());
}

/// Somebody lets go of a fault that is not there; the journal still says only what the table allows.
#[tokio::test]
async fn a_command_that_makes_no_sense_leaves_the_journal_readable() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, _) = golden::load(&golden::dir("command"));
    std::fs::write(dir.path().join(journal::PLAN), plan.to_text().unwrap().0).unwrap();
    let exe = assert_cmd::cargo::cargo_bin!("firedrill").to_owned();
    let cx = finish::cx_for(&plan, "crash-release", dir.path(), exe, Clock::start());
    let journal = Journal::create(dir.path(), RunLock::take(dir.path()).unwrap()).unwrap();
    let (ask, commands) = mpsc::channel(4);
    ask.send(Command::Release { fault: "nobody".into(), by: "a test".into() }).await.unwrap();
    ask.send(Command::Abort { by: "a test".into(), reason: "enough".into() }).await.unwrap();
    let state = RunState::default();
    let setup = Setup::unattended(Arc::new(plan), cx, journal, state, commands);
    assert_eq!(drive::run(setup).await, Outcome::Aborted);
    let entries = finish::load(dir.path()).unwrap().read.entries;
    assert!(entries.iter().any(|e| matches!(&e.event, Event::Note { text } if text.contains("nobody"))), "{entries:?}");
}
