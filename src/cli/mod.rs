//! The command line: arguments, words and exit codes. The only room that turns errors into sentences. A file a verb.

mod abort;
mod actions;
mod approve;
pub mod args;
mod asking;
mod blind;
pub mod calibrate;
mod debrief;
mod demo;
pub mod evidence;
mod exercised;
pub mod exit;
mod foresee;
mod gameday;
mod hearing;
mod helper;
mod history;
mod hlog;
pub mod init;
mod keys;
pub mod kinds;
pub mod known;
mod lead;
mod lever;
pub mod load;
mod login;
pub mod many;
pub mod metrics;
mod named;
mod notices;
mod onlooker;
mod out;
mod past;
mod people;
mod pin;
mod plan;
mod policy;
mod practice;
mod release;
mod resolve;
mod review;
mod run;
mod runbook;
mod score;
mod scribe;
mod signals;
pub mod store;
mod verbs;
pub mod view;

use clap::{CommandFactory, Parser};
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::{Cli, Runbook, Verb};
use exit::Exit;
use out::{Voice, print};

/// Runs the command line of this process and returns its exit code.
pub fn main() -> std::process::ExitCode {
    // Helper processes come first: they must not wait for anything, and there is one beside every drill.
    if let Some(ended) = helper::main(std::env::args_os()) {
        return ended;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows which is which.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = error.print();
            return std::process::ExitCode::from(code);
        }
    };
    let mut voice = Voice::new(cli.color);
    // Diagnostics between lines that are drawn again would leave debris: whoever asks for them gets plain lines.
    voice.live &= cli.verbose == 0;
    log_to_stderr(cli.verbose, voice);
    dispatch(cli.verb, voice).into()
}

fn dispatch(verb: Verb, voice: Voice) -> Exit {
    match verb {
        Verb::Demo(args) => demo::demo(&args, voice),
        Verb::Practice(args) => practice::practice(&args, voice),
        Verb::Scribe(args) => scribe::scribe(&args, voice),
        Verb::Check(args) => verbs::check(&args, voice),
        Verb::Plan(args) => plan::plan(&args, voice),
        Verb::Run(args) => run::run_file(&args, voice),
        Verb::Approve(args) => approve::approve(&args, voice),
        Verb::Report(args) => verbs::report(&args, voice),
        Verb::Score(args) => score::score(&args, voice),
        Verb::Metrics(args) => metrics::metrics(&args, voice),
        Verb::Undo(args) => verbs::undo(&args, voice),
        Verb::Abort(args) => abort::abort(&args, voice),
        Verb::Mark(args) => people::mark(&args, voice),
        Verb::Answer(args) => people::answer(&args, voice),
        Verb::Note(args) => people::note(&args, voice),
        Verb::Step(args) => people::step(&args, voice),
        Verb::Handoff(args) => people::handoff(&args, voice),
        Verb::Reply(args) => people::reply(&args, voice),
        Verb::Watch(args) => lead::watch(&args, voice),
        Verb::Stop(args) => lead::stop(&args, voice),
        Verb::Prompt(args) => lead::prompt(&args, voice),
        Verb::Hint(args) => lead::hint(&args, voice),
        Verb::Pause(args) => lead::pause(&args, voice),
        Verb::Resume(args) => lead::resume(&args, voice),
        Verb::Reveal(args) => lead::reveal(&args, voice),
        Verb::Debrief(args) => debrief::debrief(&args, voice),
        Verb::Runbook { action: Runbook::Check(args) } => runbook::check(&args, voice),
        Verb::Release(args) => release::release(&args, voice),
        Verb::Lever { action } => lever::lever(&action, voice),
        Verb::Calibrate(args) => calibrate::calibrate(&args, voice),
        Verb::Claims(args) => many::claims(&args, voice),
        Verb::Campaign(asked) => many::campaign::campaign(&asked, voice),
        Verb::Actions(asked) => actions::actions(&asked, voice),
        Verb::Evidence(asked) => evidence::evidence(&asked, voice),
        Verb::Gameday(asked) => gameday::gameday(&asked, voice),
        Verb::History { action } => history::history(&action, voice),
        Verb::Show(args) => history::show(&args, voice),
        Verb::Compare(args) => history::compare(&args, voice),
        Verb::Trend(args) => history::trend(&args, voice),
        Verb::Review(args) => review::review(&args, voice),
        Verb::Runs(args) => verbs::runs(&args),
        Verb::Kinds { kind } => verbs::kinds(kind.as_deref(), voice),
        Verb::Schema { report, policy, gameday } => verbs::schema(report, policy, gameday),
        Verb::Init(args) => init::init(&args, voice),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "firedrill", &mut text);
            print(&String::from_utf8_lossy(&text));
            Exit::Ok
        }
        Verb::Man => {
            let mut text = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut text) {
                Ok(()) => {
                    print(&String::from_utf8_lossy(&text));
                    Exit::Ok
                }
                Err(error) => {
                    voice.error(&format!("failed to write the manual page: {error}"), None);
                    Exit::Bug
                }
            }
        }
    }
}

fn log_to_stderr(verbose: u8, voice: Voice) {
    let level = match verbose {
        0 => "error",
        1 => "firedrill=info",
        _ => "firedrill=debug",
    };
    let filter = crate::sys::env::var("FIREDRILL_LOG").unwrap_or_else(|| level.to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    let told = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(voice.colour_err).finish();
    // What the SDKs trace holds whole requests and answers, with the keys of sessions: that is nobody's, however much is asked for.
    let harmless = filter_fn(|of| *of.level() != Level::TRACE || !of.target().starts_with("aws_"));
    // Set once; a second subscriber in one process (tests) is refused and that is fine.
    let _ = told.with(harmless).try_init();
}

/// The runtime of the orchestrator.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}
