//! The short verbs: check, report, undo, runs, kinds, schema.

use std::path::{Path, PathBuf};

use super::args::{Check, Report, Runs, Undo};
use super::exit::Exit;
use super::known::known;
use super::load::load;
use super::out::{Voice, print, say};
use super::past::{self, Past};
use super::run::{conclude, judge_and_write, own_exe};
use super::{kinds as pages, login, policy, runtime, store};
use crate::base::Span;
use crate::engine::finish::{self, FinishError, Finished};
use crate::journal::{FILE, JournalError, Registry, RunLock};
use crate::measure;
use crate::plan::Mode;
use crate::score::score;
use crate::sys::clock;

/// `firedrill check FILE…`.
pub fn check(args: &Check, voice: Voice) -> Exit {
    let known = known();
    let mut refused = 0;
    for file in &args.files {
        let loaded = load(file, &args.vars.vars, Mode::Normal, known, &voice);
        match loaded.and_then(|loaded| policy::check(&loaded, args.policy.named.as_deref(), &voice).map(|()| loaded)) {
            Ok(loaded) => say(&format!("ok  {}  {}", file.display(), loaded.plan.title)),
            Err(_) => refused += 1,
        }
    }
    if refused > 0 {
        if args.files.len() > 1 {
            say(&format!("{refused} of {} files refused", args.files.len()));
        }
        return Exit::Refused;
    }
    Exit::Ok
}

/// `firedrill report RUN`.
pub fn report(args: &Report, voice: Voice) -> Exit {
    match past::read(&args.runs.dir, &args.run, voice) {
        Ok(Past { dir, plan, entries }) => conclude(&dir, &plan, &entries, args.output, voice),
        Err(exit) => exit,
    }
}

/// How long `undo` waits for a watchdog that tries on after its runner gave up.
const TURN: Span = Span::secs(60);

/// `firedrill undo [RUN|--all]`.
pub fn undo(args: &Undo, voice: Voice) -> Exit {
    let dirs: Vec<PathBuf> = match &args.run {
        Some(run) => match store::find(&args.runs.dir, run) {
            Ok(dir) => vec![dir],
            Err(why) => {
                voice.error(&why, Some("`firedrill runs` lists them"));
                return Exit::Usage;
            }
        },
        None if args.all => store::dead(&args.runs.dir),
        None => store::debts(&args.runs.dir).into_iter().map(|debt| debt.dir).collect(),
    };
    if dirs.is_empty() {
        say("nothing to undo: no dead run owes anything");
        return Exit::Ok;
    }
    let mut worst = Exit::Ok;
    for dir in dirs {
        let exit = undo_one(&dir, voice);
        if exit != Exit::Ok && worst != Exit::Stuck {
            worst = exit;
        }
    }
    worst
}

fn undo_one(dir: &Path, voice: Voice) -> Exit {
    let shown = dir.display();
    let alive = || {
        voice.error(
            &format!("{shown} is alive: somebody is at work on it"),
            Some("abort that run instead, and it undoes everything itself: `firedrill abort`"),
        );
        Exit::CouldNotStart
    };
    if RunLock::is_held(dir) && !comes_free(dir) {
        return alive();
    }
    login::to_undo(dir, voice);
    let Ok(runtime) = runtime() else { return Exit::Bug };
    let (watch, _) = tokio::sync::mpsc::unbounded_channel();
    match runtime.block_on(finish::finish(dir, own_exe(), "undo", "firedrill undo", watch)) {
        Ok(Finished { owed_before, unwritten: Some(why), .. }) => {
            voice.error(
                &format!("{shown}: undone and verified: {}; but the disk does not take it: {why}", owed_before.join(", ")),
                Some(&format!("the run still counts as owing: repeat `firedrill undo {shown}` when the disk can be written")),
            );
            Exit::CouldNotStart
        }
        Ok(Finished { owed_before, owed_after, .. }) if owed_after.is_empty() => {
            if let Some(id) = dir.file_name() {
                Registry::here().remove(&id.to_string_lossy());
            }
            if owed_before.is_empty() {
                say(&format!("{shown}: nothing was owed"));
            } else {
                say(&format!("{shown}: undone and verified: {}", owed_before.join(", ")));
            }
            // Its runner may have died after its last word and before its report.
            if (!owed_before.is_empty() || !dir.join("report.html").exists())
                && let Ok((plan, entries)) = store::read(dir)
            {
                let _ = judge_and_write(dir, &plan, &entries);
            }
            Exit::Ok
        }
        Ok(Finished { owed_after, .. }) => {
            for (id, by_hand) in owed_after {
                voice.error(&format!("{shown}: {id} could not be undone"), Some(&format!("by hand: {by_hand}")));
            }
            Exit::Stuck
        }
        // A watchdog that was on its way came first.
        Err(FinishError::Journal(JournalError::Locked { .. })) => alive(),
        Err(error) => {
            voice.error(&format!("failed to {error}"), None);
            // Nobody but a person can go on: say what there is to be done.
            let owed = store::owed(dir);
            for (id, by_hand) in &owed {
                voice.error(&format!("{shown}: {id} could not be undone"), Some(&format!("by hand: {by_hand}")));
            }
            if owed.is_empty() { Exit::CouldNotStart } else { Exit::Stuck }
        }
    }
}

/// Waits for the turn of whoever tries on after the runner gave up: each takes the run for one attempt. A run that lives is not waited for.
fn comes_free(dir: &Path) -> bool {
    let end = clock::mono_ns() + TURN.0;
    if !store::given_up(dir) {
        return false;
    }
    while RunLock::is_held(dir) {
        if clock::mono_ns() > end {
            return false;
        }
        clock::block(Span::millis(20));
    }
    true
}

/// `firedrill runs`.
pub fn runs(args: &Runs) -> Exit {
    let dirs = store::all(&args.runs.dir);
    if dirs.is_empty() {
        say(&format!("no runs under {}", args.runs.dir.display()));
        return Exit::Ok;
    }
    for dir in dirs {
        let id = dir.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
        match store::read(&dir) {
            Ok((plan, entries)) => {
                let facts = measure::facts(&plan, &entries);
                let score = score(&plan, &facts);
                let alive = RunLock::is_held(&dir) && !store::given_up(&dir);
                let how = match (alive, facts.owed.is_empty()) {
                    (true, _) => "running".to_owned(),
                    (false, false) => format!("owes an undo: firedrill undo {id}"),
                    (false, true) if score.exit_code == 11 => {
                        format!("exit 11  could not start: {}", facts.run.could_not_start.as_deref().unwrap_or_default())
                    }
                    (false, true) => format!("exit {:2}  system {}", score.exit_code, word(score.system)),
                };
                let started = facts.run.started_at.get(..19).unwrap_or("-");
                print(&format!("{id}  {started}  {:24}  {how}", plan.name));
            }
            Err(_) if !dir.join(FILE).exists() => print(&format!("{id}  died before it began: nothing was armed")),
            Err(error) => print(&format!("{id}  failed to {error}")),
        }
    }
    Exit::Ok
}

fn word(judged: measure::facts::Judged) -> &'static str {
    use measure::facts::Judged;
    match judged {
        Judged::Passed => "passed",
        Judged::Failed => "failed",
        Judged::Inconclusive => "inconclusive",
        Judged::Invalid => "invalid",
    }
}

/// `firedrill kinds [KIND]`.
pub fn kinds(kind: Option<&str>, voice: Voice) -> Exit {
    match kind {
        None => print(&pages::list()),
        Some("signals") => print(&super::score::signals()),
        Some(name) => match pages::one(name) {
            Some(page) => print(&page),
            None => {
                let near = pages::nearest(name).map(|near| format!("did you mean `{near}`?"));
                voice.error(&format!("no kind is called `{name}`"), Some(near.as_deref().unwrap_or("`firedrill kinds` lists them all")));
                return Exit::Usage;
            }
        },
    }
    Exit::Ok
}

/// `firedrill schema`.
pub fn schema(of_report: bool, of_policy: bool, of_gameday: bool) -> Exit {
    let value = match (of_report, of_policy, of_gameday) {
        (true, ..) => crate::report::json::schema(),
        (_, true, _) => crate::policy::json_schema(),
        (_, _, true) => crate::gameday::json_schema(),
        _ => crate::scenario::schema::json_schema(known()),
    };
    match serde_json::to_string_pretty(&value) {
        Ok(text) => {
            print(&text);
            Exit::Ok
        }
        Err(_) => Exit::Bug,
    }
}
