//! `firedrill calibrate`: true outages against this machine, and whether what drills measured of them contains the truth.

mod grid;
mod trial;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::args::{Calibrate, TrialsFormat};
use super::exit::Exit;
use super::out::{Voice, print, say};
use super::{named, runtime, store};
use crate::base::Span;
use crate::event::{Calibrated, Event};
use crate::sys::clock;
use grid::{Case, cases};
use trial::{Bench, Failed};
use verdict::{Summary, Trial};

/// The file's name, beside the directory of runs.
pub const FILE: &str = "calibration.json";
/// How often a trial is taken again that proves nothing, because the server or the prober stood still: patience for about eight minutes.
const TAKES: u32 = 20;
/// More than a calibration ever has.
const LARGEST: u64 = 64 * 1024;

/// What to do where nothing can be written.
const ELSEWHERE: &str = "make room, or give another place with `--runs DIR`";

/// What is kept of a calibration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibration {
    /// `firedrill.calibration/1`.
    pub schema: String,
    /// Version of firedrill.
    pub firedrill: String,
    /// When, RFC 3339.
    pub wall: String,
    /// Which boot of which machine.
    pub boot_id: String,
    /// What came of it.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Runs the trials.
pub fn calibrate(args: &Calibrate, voice: Voice) -> Exit {
    let cases = match cases(&args.state, &args.outage, &args.probe, args.trials as usize) {
        Ok(cases) => cases,
        Err(why) => {
            voice.error(&why, Some("`firedrill calibrate --help` shows what can be asked for"));
            return Exit::Usage;
        }
    };
    let home = home_of(&args.runs.dir);
    let bench = match Bench::make(&home) {
        Ok(bench) => bench,
        Err(error) => {
            voice.error(&format!("failed to make a place for the trials under {}: {error}", home.display()), Some(ELSEWHERE));
            return Exit::CouldNotStart;
        }
    };
    say(&format!("{} true outages, {} at a time; each is a drill of its own", cases.len(), args.jobs));
    let (trials, redone, failed) = run_all(&bench, &cases, args.jobs as usize, voice);
    if let Some(failed) = failed {
        voice.error(&failed.why, failed.help.as_deref());
        return Exit::CouldNotStart;
    }
    let summary = Summary::of(&trials, redone);
    let record = Calibration {
        schema: "firedrill.calibration/1".into(),
        firedrill: env!("CARGO_PKG_VERSION").into(),
        wall: clock::wall(),
        boot_id: clock::boot_id().into(),
        summary,
    };
    match args.output {
        TrialsFormat::Json => {
            let whole = json!({ "calibration": record, "trials": trials });
            print(&format!("{whole:#}"));
        }
        TrialsFormat::Text => print(&verdict::text(&record.summary, &trials)),
    }
    if let Err(error) = keep(&home, &record) {
        voice.error(&format!("failed to write {}: {error}", home.join(FILE).display()), Some(ELSEWHERE));
        return Exit::CouldNotStart;
    }
    let good = record.summary.covered == record.summary.trials;
    if good {
        bench.clear();
        Exit::Ok
    } else {
        say(&format!("the runs of these trials are kept in {}", bench.dir().display()));
        Exit::Run(30)
    }
}

/// Where the runs' directory lies.
pub fn home_of(runs: &Path) -> PathBuf {
    let runs = std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned());
    runs.parent().map_or(runs.clone(), Path::to_owned)
}

/// Runs every case until it has proven something or was taken too often.
fn run_all(bench: &Bench, cases: &[Case], jobs: usize, voice: Voice) -> (Vec<Trial>, u32, Option<Failed>) {
    let (next, redone, over) = (AtomicUsize::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst)
                    && let Some((number, case)) = cases.get(next.fetch_add(1, Ordering::SeqCst)).map(|case| (case.number, case))
                {
                    match take(bench, case, &redone) {
                        Ok(trial) => {
                            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                            if !trial.covered || voice.live || (done.len() + 1) % 10 == 0 {
                                say(&format!("{:4} of {}  {}", done.len() + 1, cases.len(), trial.line()));
                            }
                            done.push((number, trial));
                        }
                        Err(why) => {
                            over.store(true, Ordering::SeqCst);
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                        }
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    let trials = done.into_iter().map(|(_, trial)| trial).collect();
    (trials, redone.into_inner(), failed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn take(bench: &Bench, case: &Case, redone: &AtomicU32) -> Result<Trial, Failed> {
    let mut why = String::new();
    for take in 0..TAKES {
        let Ok(runtime) = runtime() else { break };
        let run = runtime.block_on(bench.drill(case, take))?;
        let (plan, entries) = store::read(&run).map_err(|error| Failed::of(format!("failed to {error}")))?;
        let facts = crate::measure::facts(&plan, &entries);
        let stalls: Vec<_> =
            entries.iter().filter_map(|e| if let Event::Stall { from, to } = e.event { Some((from, to)) } else { None }).collect();
        let told = crate::truth::read(&run.join("truth")).map_err(|error| Failed::of(format!("failed to read the truth: {error}")))?;
        match verdict::compare(case, &facts, &told, &stalls) {
            Ok(trial) => {
                if trial.covered {
                    let _ = std::fs::remove_dir_all(&run);
                }
                return Ok(trial);
            }
            // Nothing was proven either way: the machine, and not firedrill, was too busy.
            Err(doubt) => why = doubt,
        }
        redone.fetch_add(1, Ordering::SeqCst);
        let _ = std::fs::remove_dir_all(&run);
        // What keeps the machine busy may be over soon.
        runtime.block_on(clock::sleep(Span::millis(250 << take.min(7))));
    }
    Err(Failed {
        why: format!("a trial proved nothing {TAKES} times in a row, at last because {why}"),
        help: Some("this machine is too busy now; try again, or with fewer `--jobs`".into()),
    })
}

fn keep(home: &Path, record: &Calibration) -> std::io::Result<()> {
    let (path, partial) = (home.join(FILE), home.join(format!(".{FILE}.partial")));
    std::fs::write(&partial, format!("{:#}\n", serde_json::to_value(record)?))?;
    std::fs::rename(partial, path)
}

/// The last calibration of this machine beside these runs, as a line of the journal. One of another boot is none.
pub fn last(runs: &Path) -> Option<Event> {
    let text = named::whole(&home_of(runs).join(FILE), LARGEST).ok()?;
    let record: Calibration = serde_json::from_slice(&text).ok()?;
    let then: jiff::Timestamp = record.wall.parse().ok()?;
    let age = clock::now().duration_since(then).as_nanos().max(0);
    let Summary { trials, covered, median_width_fast_us, median_width_slow_us, .. } = record.summary;
    let calibrated = Calibrated {
        wall: record.wall,
        age: Span(u64::try_from(age).unwrap_or(u64::MAX)),
        trials,
        covered,
        median_width_fast: median_width_fast_us.map(Span::micros),
        median_width_slow: median_width_slow_us.map(Span::micros),
    };
    (record.boot_id == clock::boot_id()).then_some(Event::Calibrated(calibrated))
}
