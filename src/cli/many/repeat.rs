//! `firedrill run FILE --repeat N`: the same drill again and again, each its own run, brought back in between.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::super::args::{Format, Run, TrialsFormat};
use super::super::exit::{self, Exit};
use super::super::known::known;
use super::super::load::{Loaded, load};
use super::super::out::{Voice, say};
use super::super::run::{drill_quietly, own_exe};
use super::super::{policy, runtime, store};
use crate::base::Span;
use crate::engine::finish::cx_for;
use crate::plan::{Mode, Plan};
use crate::probe;
use crate::sys::Clock;
use crate::sys::exec::{self, Exec};

/// Longest that a reset may take.
const RESET_WITHIN: Span = Span::secs(600);

/// Whether this plan can be repeated, else why not and what to do.
pub fn repeatable(plan: &Plan, output: Format) -> Result<(), (&'static str, &'static str)> {
    if plan.mode != Mode::Normal {
        return Err(("a drill that touches no fault proves nothing by being repeated", "leave out `--tabletop` or `--until`"));
    }
    if plan.reset.is_none() && plan.system.is_empty() {
        return Err((
            "nothing brings the system back between repeats",
            "give the scenario a `reset: { run: […], done_when: … }`, or let it start what it tests under `system:`",
        ));
    }
    if !matches!(output, Format::Text | Format::Json) {
        return Err(("many runs are told as text or as JSON", "each run has its own reports; `firedrill report RUN` prints one"));
    }
    Ok(())
}

/// Runs it so many times and says what that can claim. Ends early when a run was aborted, could not start, or left something owed.
pub fn repeat(args: &Run, times: u32, voice: Voice) -> Exit {
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop);
    let mut worst = Exit::Ok;
    let mut dirs: Vec<PathBuf> = Vec::new();
    for n in 1..=times {
        if n > 1 && stop.load(Ordering::SeqCst) {
            say(&format!("stopped after {} of {times}", n - 1));
            break;
        }
        let loaded = load(&args.file, &args.vars.vars, Mode::Normal, known(), &voice);
        let loaded = match loaded.and_then(|loaded| policy::allow(loaded, args.policy.named.as_deref(), &voice)) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        if n > 1
            && let Err(why) = bring_back(&loaded.plan)
        {
            voice.error(&format!("the system could not be brought back after run {}: {why}", n - 1), Some("see `reset` in the scenario"));
            worst = Exit::CouldNotStart;
            break;
        }
        let (exit, dir) = drill_quietly(unattended(loaded), &args.runs.dir, &args.metrics, voice);
        say(&format!("run {n} of {times}: {}", exit.meaning()));
        dirs.extend(dir);
        if exit::worst([worst.code(), exit.code()]) == exit.code() {
            worst = exit;
        }
        // 33, 31 and 30 are results like any other; what follows is not.
        if matches!(exit.code(), 50 | 40 | 11 | 1) {
            say(&format!("stopped after {n} of {times}"));
            break;
        }
    }
    let output = if args.output == Format::Json { TrialsFormat::Json } else { TrialsFormat::Text };
    if dirs.is_empty() {
        return worst;
    }
    // Whoever stops before the end has no rule by which it ended.
    let whole = dirs.len() as u64 >= u64::from(times);
    let rule = whole.then(|| format!("{times} runs were asked for at once, before the first of them; {} were made", dirs.len()));
    let said = super::conclude(&args.runs.dir, &dirs, rule, super::Over::Between, output.into(), voice);
    if worst.code() == 0 { said } else { worst }
}

/// Nobody responds to the same thing again and again as if for the first time: what only people can show is not observed.
fn unattended(mut loaded: Loaded) -> Loaded {
    if let Some(team) = &mut loaded.plan.team {
        team.unattended = true;
    }
    loaded
}

/// A signal ends a run by itself; one that comes between two runs must not be lost.
pub fn listen(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let streams: Vec<_> =
                [SignalKind::interrupt(), SignalKind::terminate()].into_iter().filter_map(|kind| signal(kind).ok()).collect();
            let mut waiting = tokio::task::JoinSet::new();
            for mut stream in streams {
                let stop = Arc::clone(&stop);
                waiting.spawn(async move {
                    while stream.recv().await.is_some() {
                        stop.store(true, Ordering::SeqCst);
                    }
                });
            }
            while waiting.join_next().await.is_some() {}
        });
    });
}

/// Runs the scenario's `reset`, and waits until it is seen to have worked. A scenario without one starts its system anew.
pub fn bring_back(plan: &Plan) -> Result<(), String> {
    let Some(reset) = &plan.reset else { return Ok(()) };
    let runtime = runtime().map_err(|error| error.to_string())?;
    let dir = PathBuf::from(&plan.base_dir);
    let cx = cx_for(plan, &store::new_id(), &dir, own_exe(), Clock::start());
    runtime.block_on(async {
        let output = exec::run(Exec { argv: reset.run.clone(), limit: RESET_WITHIN, ..Exec::default() }, &cx).await;
        let output = output.map_err(|error| format!("failed to {error}"))?;
        if !output.ok() {
            return Err(output.summary());
        }
        match &reset.done_when {
            Some(condition) => probe::wait_for(condition, cx.clock.now(), &cx)
                .await
                .map(|_| ())
                .map_err(|not| format!("it was not seen to have worked: {}", not.last.seen)),
            None => Ok(()),
        }
    })
}
