//! `firedrill run`: from an accepted scenario to a judged report.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::args::{Format, MetricsTo, Run, Until, ViewFor};
use super::exit::Exit;
use super::known::known;
use super::load::{Loaded, load};
use super::many::repeat;
use super::metrics::Meters;
use super::notices::Notices;
use super::onlooker::{Onlooker, show};
use super::out::{Voice, can_ask, confirm, print, say, stream};
use super::view::{Style, View};
use super::{blind, calibrate, debrief, hearing, hlog, lever, login, policy, runtime, signals, store};
use crate::base::Span;
use crate::engine::drive::{self, Setup};
use crate::engine::finish::cx_for;
use crate::engine::minder::Minder;
use crate::engine::{control, stamp};
use crate::event::{Entry, Event, Outcome, SCHEMA};
use crate::fault::Claims;
use crate::journal::{FILE, Journal, Registry, RunLock, register_start};
use crate::measure;
use crate::plan::{Mode, Plan, preview};
use crate::report::{self, Report};
use crate::score::{Score, score};
use crate::state::RunState;
use crate::sys::surroundings::Surroundings;
use crate::sys::{Clock, clock};

/// The path of this binary, also when it was replaced meanwhile.
pub fn own_exe() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("firedrill"));
    // After an upgrade in mid-run the link reads "… (deleted)"; the kernel's own name still starts what we are.
    if path.exists() { path } else { PathBuf::from("/proc/self/exe") }
}

/// `firedrill run FILE`.
pub fn run_file(args: &Run, mut voice: Voice) -> Exit {
    let mode = match (args.tabletop, args.until) {
        (true, _) => Mode::Tabletop,
        (_, Some(Until::Baseline)) => Mode::Baseline,
        _ => Mode::Normal,
    };
    let named = args.policy.named.as_deref();
    voice.shared = args.view == ViewFor::Participant;
    let loaded = load(&args.file, &args.vars.vars, mode, known(), &voice);
    if let Ok(Loaded { plan, warnings, .. }) = &loaded {
        blind::hide_arguments(plan);
        if voice.shared && !plan.is_blind() {
            // Nothing is hidden of this one: what was kept back is said.
            voice.shared = false;
            warnings.iter().for_each(|warning| say(warning));
        }
    }
    let mut loaded = match loaded.and_then(|loaded| policy::allow(loaded, named, &voice)) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if args.repeat.is_some()
        && let Err((why, help)) = repeat::repeatable(&loaded.plan, args.output)
    {
        voice.error(why, Some(help));
        return Exit::Usage;
    }
    if !args.yes && mode == Mode::Normal {
        if !can_ask() {
            voice.error("nobody can be asked whether to inject the fault", Some("add --yes to run without a terminal"));
            return Exit::Usage;
        }
        say(&if voice.shared { loaded.plan.shown().to_owned() } else { preview::text(&loaded.plan, &[]) });
        if !confirm("Run this drill?") {
            say("nothing was run");
            return Exit::CouldNotStart;
        }
        // People take their time: a window may have closed meanwhile.
        loaded = match policy::allow(loaded, named, &voice) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
    }
    if let Some(team) = &mut loaded.plan.team {
        team.unattended = args.unattended;
    }
    match args.repeat {
        Some(times) => repeat::repeat(args, times, voice),
        None => drill(loaded, &args.runs.dir, args.output, &args.metrics, voice),
    }
}

/// Runs an accepted scenario, whoever made it.
pub fn drill(loaded: Loaded, runs: &Path, output: Format, metrics: &MetricsTo, voice: Voice) -> Exit {
    drill_in(loaded, runs, Some(output), metrics, voice, None).0
}

/// The same without its report on stdout; with its run directory, where it has one.
pub fn drill_quietly(loaded: Loaded, runs: &Path, metrics: &MetricsTo, voice: Voice) -> (Exit, Option<PathBuf>) {
    drill_in(loaded, runs, None, metrics, voice, None)
}

/// The same with somebody who looks on in the place of the view.
pub fn drill_before(onlooker: Box<dyn Onlooker>, loaded: Loaded, runs: &Path, voice: Voice) -> (Exit, Option<PathBuf>) {
    drill_in(loaded, runs, None, &MetricsTo::default(), voice, Some(onlooker))
}

type Eyes = Option<Box<dyn Onlooker>>;

fn drill_in(loaded: Loaded, runs: &Path, output: Option<Format>, metrics: &MetricsTo, voice: Voice, eyes: Eyes) -> (Exit, Option<PathBuf>) {
    if let Some(engaged) = Registry::here().lever().look() {
        lever::refuse(&engaged, voice);
        return (Exit::CouldNotStart, None);
    }
    let debts = store::debts(runs);
    if !debts.is_empty() {
        for debt in &debts {
            voice.error(
                &format!("a dead run still owes an undo: {} ({})", debt.dir.display(), debt.items.join(", ")),
                Some(&format!("clear it first: firedrill undo {}", debt.dir.display())),
            );
        }
        return (Exit::CouldNotStart, None);
    }
    if let Err(exit) = login::ready(&loaded.plan, voice) {
        return (exit, None);
    }
    // Two: a step of a fault that blocks its thread must not stop the loop that counts the seconds and hears the signals.
    let runtimes = Builder::new_current_thread().enable_all().build().and_then(|of_loop| Ok((of_loop, runtime()?)));
    let (of_loop, of_work) = match runtimes {
        Ok(runtimes) => runtimes,
        Err(error) => {
            voice.error(&format!("failed to start: {error}"), None);
            return (Exit::CouldNotStart, None);
        }
    };
    let plan = loaded.plan.clone();
    let meters = match Meters::open(metrics, &plan, of_work.handle(), voice) {
        Ok(meters) => meters,
        Err(exit) => return (exit, None),
    };
    match of_loop.block_on(start_and_run(loaded, runs, voice, eyes, of_work.handle(), &meters)) {
        Ok(Ran { dir, seen, notices }) => {
            let exit = conclude_run(&dir, &plan, &seen, &meters, output, voice);
            of_work.block_on(meters.close(voice));
            of_work.block_on(notices.close(exit, voice));
            // What waits for a disk that hangs has had its time.
            of_work.shutdown_background();
            (exit, Some(dir))
        }
        Err(why) => {
            voice.error(&why, Some("nothing was injected"));
            (Exit::CouldNotStart, None)
        }
    }
}

/// A drill that came to its end.
struct Ran {
    dir: PathBuf,
    seen: Vec<Entry>,
    notices: Notices,
}

/// A directory, wherever it is named from.
fn whole_path(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_default()
}

/// Makes the run's directory, lock, journal and watchdog, and drives the drill to its end.
async fn start_and_run(loaded: Loaded, runs: &Path, voice: Voice, eyes: Eyes, work: &Handle, meters: &Meters) -> Result<Ran, String> {
    let fail = |error: &dyn std::fmt::Display| format!("failed to {error}");
    let id = store::new_id();
    let (plan_text, digest) = loaded.plan.to_text().map_err(|error| fail(&error))?;
    let dir = store::create(runs, &id, &plan_text, &loaded.text, loaded.workload.as_deref()).map_err(|error| fail(&error))?;
    let lock = RunLock::take(&dir).map_err(|error| fail(&error))?;
    let mut journal = Journal::create(&dir, lock).map_err(|error| fail(&error))?;
    meters.queue(journal.queue());
    let hidden = blind::begin(&loaded.plan, loaded.file.as_deref());
    let plan = Arc::new(loaded.plan);
    let cx = cx_for(&plan, &id, &dir, own_exe(), Clock::start());
    // The watchdog starts while the baseline is taken; nothing is armed before it has answered. Whatever comes after this line it takes back.
    let minder = Minder::start(&cx, work);
    let registry = Registry::here();
    let named = registry.add(&id, &dir);
    if let Err(error) = named.and_then(|()| register_start(&whole_path(runs), &id, &plan.name, &digest.to_string(), &clock::wall())) {
        minder.dismiss().await;
        registry.remove(&id);
        return Err(fail(&error));
    }
    let (watch, looking) = mpsc::unbounded_channel();
    let (ask, commands) = mpsc::channel(8);
    // Listeners first: a signal that comes while the watchdog starts must not end us with something owed.
    let signals = signals::listen(ask.clone());
    let notices = Notices::start(&plan, &cx, work, Some(ask.clone()));
    let (hearing, heard) = hearing::start(&plan, &registry, &cx, &ask);
    let (asked, deaf) = match control::listen(&dir, &id, ask) {
        Ok(task) => (Some(task), None),
        Err(error) => {
            let text = format!("`firedrill abort` cannot reach this drill: failed to open its control socket: {error}");
            (None, Some(Event::Note { text }))
        }
    };
    let style = Style { live: voice.live, colour: voice.colour_err, width: voice.width, shared: voice.shared };
    let over = CancellationToken::new();
    let view = eyes.unwrap_or_else(|| Box::new(View::new(Arc::clone(&plan), &id, style)));
    let viewer = work.spawn(show(view, notices, meters.clone(), looking, over.clone(), cx.clock));
    let mut state = RunState::default();
    let started = Event::RunStarted {
        schema: SCHEMA,
        firedrill: env!("CARGO_PKG_VERSION").into(),
        run: id.clone(),
        plan_digest: digest,
        pid: std::process::id(),
    };
    let first = [started, Event::Anchor(cx.clock.anchor())].into_iter().chain(circumstances(runs, voice));
    for event in first.chain(hidden).chain(deaf).chain(heard) {
        let entry = journal.append(stamp(cx.clock, &event), event);
        state.apply(&entry).map_err(|error| fail(&error))?;
        let _ = watch.send(entry);
    }
    let lever = Some(registry.lever());
    let claims = Some(Arc::new(Claims::of(registry.clone(), &id, &dir).private(plan.is_blind())));
    let setup = Setup { plan, cx, journal, state, commands, watch, lever, minder, attempts: Setup::ATTEMPTS, claims, work: work.clone() };
    let outcome = drive::run(setup).await;
    over.cancel();
    signals.abort();
    hearing.close(&registry, &id);
    if let Some(asked) = asked {
        hang_up(&asked, &dir, work).await;
    }
    let (seen, notices) = viewer.await.map_err(|error| fail(&format!("show what happens: {error}")))?;
    if outcome == Outcome::Stuck {
        voice.warn("what could not be undone is tried again by the watchdog for ten minutes; `firedrill undo` tries at once");
    }
    if store::debt(&dir).is_none() {
        registry.remove(&id);
    }
    Ok(Ran { dir, seen, notices })
}

/// Closes the control socket.
async fn hang_up(asked: &tokio::task::JoinHandle<()>, dir: &Path, work: &Handle) {
    asked.abort();
    // A disk that hangs is not waited for.
    let socket = dir.join(control::NAME);
    let gone = work.spawn_blocking(move || std::fs::remove_file(socket));
    let _ = tokio::time::timeout(Span::secs(1).std(), gone).await;
}

/// What is known of the machine before anything begins: whether its numbers were tried, and why its watchdog may not outlive us.
fn circumstances(runs: &Path, voice: Voice) -> Vec<Event> {
    let mut known: Vec<Event> = calibrate::last(runs).into_iter().collect();
    for doubt in Surroundings::here().doubts() {
        voice.warn(&format!("{}\n  help: {}", doubt.what, doubt.help));
        known.push(Event::Note { text: format!("the watchdog may not outlive the runner: {}", doubt.what) });
    }
    known
}

/// Judges a run and writes its report files. A pure function of journal and plan, but for the files.
///
/// # Errors
/// The files cannot be written.
pub fn judge_and_write(dir: &Path, plan: &Plan, entries: &[Entry]) -> std::io::Result<(measure::facts::Facts, Score)> {
    let facts = facts_of(dir, plan, entries);
    let score = score(plan, &facts);
    let whole = Report { plan, facts: &facts, score: &score };
    let files = vec![
        ("report.html", report::html::render(&whole)),
        ("report.md", report::markdown::render(&whole)),
        ("report.json", report::json::render(&whole)),
        ("report.xml", report::junit::render(&whole)),
    ];
    store::write_reports(dir, files)?;
    Ok((facts, score))
}

/// What was measured, and what people wrote down of it afterwards.
fn facts_of(dir: &Path, plan: &Plan, entries: &[Entry]) -> measure::facts::Facts {
    let mut facts = measure::facts(plan, entries);
    facts.team.debrief = debrief::of(dir);
    facts
}

/// Judges a run that has just ended; by what was seen where the disk refused to keep it.
fn conclude_run(dir: &Path, plan: &Plan, seen: &[Entry], meters: &Meters, output: Option<Format>, voice: Voice) -> Exit {
    let last = seen.last().map(|entry| entry.seq);
    match store::read(dir) {
        Ok((_, entries)) if entries.last().map(|entry| entry.seq) >= last => conclude_in(dir, plan, &entries, meters, output, voice),
        _ => {
            let owed = store::debt(dir).map_or_else(String::new, |debt| {
                format!(", so it still counts as owing {}; `firedrill undo` settles that when there is room again", debt.items.join(", "))
            });
            voice.error(
                &format!("the disk refused the end of {}: what follows is judged from memory", dir.join(FILE).display()),
                Some(&format!("make room; the run's own directory does not know how it ended{owed}")),
            );
            conclude_in(dir, plan, seen, meters, output, voice)
        }
    }
}

/// Judges, writes the reports, prints one, and exits as the run did.
pub fn conclude(dir: &Path, plan: &Plan, entries: &[Entry], output: Format, voice: Voice) -> Exit {
    conclude_in(dir, plan, entries, &Meters::default(), Some(output), voice)
}

fn tell(whole: &Report<'_>, output: Format, entries: &[Entry], voice: Voice) {
    let text = match output {
        Format::Text => report::text::render(whole, voice.colour_out),
        Format::Json => report::json::render(whole),
        Format::Html => report::html::render(whole),
        Format::Md => report::markdown::render(whole),
        Format::Junit => report::junit::render(whole),
        Format::Hlog => {
            if let Err(why) = hlog::write(whole.plan, entries, whole.facts, stream()) {
                voice.error(&why, None);
            }
            return;
        }
    };
    print(&text);
}

fn conclude_in(dir: &Path, plan: &Plan, entries: &[Entry], meters: &Meters, output: Option<Format>, voice: Voice) -> Exit {
    let (written, (facts, score)) = match judge_and_write(dir, plan, entries) {
        Ok(judged) => (true, judged),
        Err(error) => {
            voice.warn(&format!("failed to write the report under {}: {error}", dir.display()));
            let facts = facts_of(dir, plan, entries);
            let score = score(plan, &facts);
            (false, (facts, score))
        }
    };
    meters.judged(&facts, &score);
    let whole = Report { plan, facts: &facts, score: &score };
    let report = format!("report   {}", shown(&dir.join("report.html")));
    if let Some(output) = output {
        tell(&whole, output, entries, voice);
    }
    match output {
        _ if !written => {}
        Some(Format::Text) => print(&format!("\n  {report}")),
        _ => say(&report),
    }
    Exit::Run(score.exit_code)
}

/// A path as people like to paste it: relative where that is shorter.
pub fn shown(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf))
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}
