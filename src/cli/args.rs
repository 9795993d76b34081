//! What can be typed. Parsing may validate, never do.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Game days you can trust: inject a fault, measure the recovery from outside, undo everything whatever dies, judge the claims.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, max_term_width = 110, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub color: Colour,
    /// Say more about what firedrill itself does (-vv: even more), on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The exit codes, as help shows them.
pub const EXIT_CODES: &str = "Exit codes, worst first:
  50  an undo failed: a fault may still be there
  40  aborted, everything undone
  20  not steady beforehand, nothing injected
  33  invalid: the fault was not confirmed, the prober was starved, or what was tested changed
  30  a system claim failed, or not steady after the undo
  31  inconclusive
  32  only the team's expectations failed
   0  passed
Before a run:
  11  could not start (target, privilege, port, run directory, lock, something still owed)
  10  scenario refused
   2  usage
   1  a bug in firedrill";

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// In what form a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A summary for the terminal
    Text,
    /// The whole report as JSON (schema firedrill.report/1)
    Json,
    /// One self-contained HTML file
    Html,
    /// Markdown for a pull request
    Md,
    /// JUnit XML for CI
    Junit,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a complete drill on an embedded order service: nothing to install, nothing to configure
    Demo(Demo),
    /// Check scenarios: every problem of every file in one go
    Check(Check),
    /// Show what a scenario would do, with every default
    Plan(PlanArgs),
    /// Run a drill
    Run(Run),
    /// Show the report of a run again; exits as the run did
    Report(Report),
    /// Finish a dead run: undo whatever it still owes
    Undo(Undo),
    /// List runs
    Runs(Runs),
    /// List every fault and probe kind, or explain one
    Kinds {
        /// A kind, for example `process.kill`
        kind: Option<String>,
    },
    /// Print the JSON Schema of a scenario, or of the JSON report
    Schema {
        /// The schema of the JSON report instead
        #[arg(long)]
        report: bool,
    },
    /// Watch a service and write a first scenario for it
    Init(Init),
    /// Print a completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// The watchdog of a run
    #[command(name = "__watchdog", hide = true)]
    Watchdog {
        /// The run's directory
        run_dir: PathBuf,
        /// The runner's identity, as JSON
        runner: String,
    },
    /// The shim around every action
    #[command(name = "__exec", hide = true, disable_help_flag = true)]
    Exec {
        /// What to run
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// The data plane of a proxy
    #[command(name = "__proxy", hide = true, disable_help_flag = true)]
    Proxy {
        /// Its own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// A process of the demo's order service
    #[command(name = "__demo", hide = true, disable_help_flag = true)]
    DemoService {
        /// Its own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Where runs live.
#[derive(Debug, Args)]
pub struct RunsDir {
    /// Directory of the runs
    #[arg(long = "runs", value_name = "DIR", default_value = ".firedrill/runs")]
    pub dir: PathBuf,
}

/// `${name}` substitutions.
#[derive(Debug, Args)]
pub struct Vars {
    /// Set a variable of the scenario, for example `--var api=http://127.0.0.1:8080`
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub vars: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// `firedrill demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Drill a badly configured system instead, to see what failure looks like
    #[arg(long)]
    pub fragile: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// `firedrill check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
}

/// `firedrill plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// `text` or `json`
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub output: PlanFormat,
}

/// In what form a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// The whole plan
    Json,
}

/// `firedrill run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do not ask before the fault is injected; needed without a terminal
    #[arg(long, short)]
    pub yes: bool,
    /// Touch no fault: clocks and probes are real
    #[arg(long, conflicts_with = "until")]
    pub tabletop: bool,
    /// Stop after this phase
    #[arg(long, value_enum)]
    pub until: Option<Until>,
    /// People are not observed
    #[arg(long)]
    pub unattended: bool,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// A phase to stop after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Steady state was shown; nothing is injected
    Baseline,
}

/// `firedrill report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A run: its id, the beginning of its id, `last`, or its directory
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// `firedrill undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// A run: its id, the beginning of its id, `last`, or its directory; without it every dead run of this machine that owes something
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The service, as its users reach it
    #[arg(long)]
    pub url: String,
    /// A process to disturb, by name
    #[arg(long, value_name = "NAME", conflicts_with = "port")]
    pub pid_of: Option<String>,
    /// A process to disturb, by the port it listens on
    #[arg(long)]
    pub port: Option<u16>,
    /// How long to watch
    #[arg(long = "for", default_value = "30s", value_parser = span, value_name = "DURATION")]
    pub watch_for: crate::base::Span,
    /// The file to write
    #[arg(long, default_value = "scenario.yaml")]
    pub out: PathBuf,
}

fn span(text: &str) -> Result<crate::base::Span, String> {
    text.parse::<crate::base::Span>().map_err(|error| format!("{error}: {}", error.help()))
}
