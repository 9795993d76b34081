//! What each verb can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, ManyFormat, MetricsTo, Until, ViewFor};

/// Where runs live.
#[derive(Debug, Args)]
pub struct RunsDir {
    /// The directory that holds the runs
    #[arg(long = "runs", value_name = "DIR", default_value = ".firedrill/runs")]
    pub dir: PathBuf,
}

/// `${name}` substitutions.
#[derive(Debug, Args)]
pub struct Vars {
    /// Set a variable of the scenario, for example `--var api=http://127.0.0.1:8080`; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub vars: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

/// Which policy applies beside those that are found.
#[derive(Debug, Args)]
pub struct PolicyFile {
    /// A policy that must allow it as well, beside every firedrill.policy.yaml from the scenario's directory up to the repository's root
    #[arg(long = "policy", value_name = "FILE")]
    pub named: Option<PathBuf>,
}

/// `firedrill approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Who approves
    #[arg(long = "as", value_name = "NAME")]
    pub who: String,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
}

/// `firedrill demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Drill a badly configured system instead (late replication, slow health checks), to see what failure looks like
    #[arg(long)]
    pub fragile: bool,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsTo,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
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
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
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
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// In what form
    #[arg(long, value_enum, default_value_t = PlanFormat::Text, value_name = "FORMAT")]
    pub output: PlanFormat,
    /// Pin scenario, vars, policies and targets in NAME.lock.json beside the scenario: while that file is there, `run` refuses whatever differs
    #[arg(long)]
    pub lock: bool,
    /// Ask AWS itself what its experiments would hit: each is started with all its actions skipped, and what was made for it is removed
    #[arg(long)]
    pub resolve: bool,
}

/// In what form a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// For programs (schema firedrill.plan/1): everything that text says, and the whole plan as a run records it
    Json,
    /// The least that AWS must allow whoever runs it, and the roles of its experiments, as IAM policies (firedrill.iam/1). Nothing is asked or looked at
    Iam,
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
    /// Touch no fault: probes and clocks are real, nothing is said of the system
    #[arg(long, conflicts_with = "until")]
    pub tabletop: bool,
    /// End after this phase
    #[arg(long, value_enum, value_name = "PHASE")]
    pub until: Option<Until>,
    /// Run it so many times, each its own run, and say what that can claim; `reset` or a `system:` of the scenario brings it back in between
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["tabletop", "until"])]
    pub repeat: Option<u32>,
    /// No people take part: what only they can show is not observed, and the team's verdict is no part of the exit code
    #[arg(long)]
    pub unattended: bool,
    /// Whom the terminal is for: on a screen that participants see, a blind drill shows nothing that is hidden until it is revealed or over
    #[arg(long, value_enum, default_value_t = ViewFor::Facilitator, value_name = "WHOM")]
    pub view: ViewFor,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Metrics
    #[command(flatten)]
    pub metrics: MetricsTo,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
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
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
}

/// `firedrill score`.
#[derive(Debug, Args)]
pub struct Score {
    /// A run: its id, the beginning of its id, `last`, or its directory
    #[arg(value_name = "RUN")]
    pub run: String,
    /// One practice with its rule, values, entries and what would have made it better: a choice id or a label, for example REL11-BP01
    #[arg(long, value_name = "PRACTICE", conflicts_with = "all")]
    pub explain: Option<String>,
    /// Also the questions that the run does not speak to
    #[arg(long)]
    pub all: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = ScoreFormat::Text, value_name = "FORMAT")]
    pub output: ScoreFormat,
}

/// In what form a score is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// For people
    Text,
    /// For programs: the score object of firedrill.report/1 with every practice
    Json,
    /// Markdown for a pull request
    Md,
}

/// `firedrill undo`.
#[derive(Debug, Args)]
pub struct Undo {
    /// A run: its id, the beginning of its id, `last`, or its directory; without it, every dead run of this machine that owes something
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Every dead run of this machine, also those that died before they owed anything
    #[arg(long, conflicts_with = "run")]
    pub all: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill abort`.
#[derive(Debug, Args)]
pub struct Abort {
    /// A run: its id, the beginning of its id, `last`, or its directory; without it, the one drill that is running
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Every running drill of this user, or of the machine for root
    #[arg(long, conflicts_with = "run")]
    pub all: bool,
    /// Why; stands in the journal and in the report
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,
    /// How long to wait for the end
    #[arg(long, default_value = "60s", value_parser = span, value_name = "DURATION")]
    pub wait: crate::base::Span,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill release`.
#[derive(Debug, Args)]
pub struct Release {
    /// The fault
    #[arg(value_name = "FAULT")]
    pub fault: String,
    /// A run: its id, the beginning of its id, `last`, or its directory; without it, the one drill that is running
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill lever`.
#[derive(Debug, Subcommand)]
pub enum Lever {
    /// Abort every running drill of this machine, and let none start
    Engage {
        /// Why; whoever is refused is told
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// Let drills run again
    Release,
    /// Say who engaged it, when and why; exits with 11 while it is engaged
    Status,
}

fn reason(text: &str) -> Result<String, String> {
    let line = crate::base::one_line(text, usize::MAX);
    match line.chars().count() {
        0 => Err("a reason needs words".to_owned()),
        n if n > crate::journal::LONGEST_REASON => {
            Err(format!("a reason has at most {} characters, not {n}", crate::journal::LONGEST_REASON))
        }
        _ => Ok(line),
    }
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
    /// The service, as its users reach it, for example http://127.0.0.1:8080/health
    #[arg(long, value_name = "URL")]
    pub url: String,
    /// The process to disturb, by its name
    #[arg(long, value_name = "NAME", conflicts_with = "port")]
    pub pid_of: Option<String>,
    /// The process to disturb, by the TCP port it listens on
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// How long to watch before writing
    #[arg(long = "for", default_value = "30s", value_parser = span, value_name = "DURATION")]
    pub watch_for: crate::base::Span,
    /// The file to write; an existing one is never overwritten
    #[arg(long, default_value = "scenario.yaml", value_name = "FILE")]
    pub out: PathBuf,
}

pub(super) fn span(text: &str) -> Result<crate::base::Span, String> {
    text.parse::<crate::base::Span>().map_err(|error| format!("{error}: {}", error.help()))
}

/// What `calibrate` can be told.
#[derive(Debug, Args)]
pub struct Calibrate {
    /// How many outages
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub trials: u32,
    /// How many drills at the same time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub jobs: u32,
    /// A way to be down: refuse, reset, hang, stall, blackhole, status:CODE or slow:MS; may be given several times [default: refuse, reset, hang, status:503]
    #[arg(long, value_name = "STATE")]
    pub state: Vec<String>,
    /// For how long: a duration, `never` (until undone), `none`, or flapping like `5x137.3ms/61.9ms`; may be given several times [default: 137.3ms, 703.7ms]
    #[arg(long, value_name = "LENGTH")]
    pub outage: Vec<String>,
    /// Time between two samples and longest wait for an answer; may be given several times [default: 10ms,250ms]
    #[arg(long, value_name = "EVERY,TIMEOUT")]
    pub probe: Vec<String>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = TrialsFormat::Text, value_name = "FORMAT")]
    pub output: TrialsFormat,
}

/// In what form trials are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrialsFormat {
    /// A summary for the terminal
    Text,
    /// Every trial, as JSON
    Json,
}

/// What `claims` can be told.
#[derive(Debug, Args)]
pub struct Claims {
    /// Runs: ids, beginnings of ids, or directories
    #[arg(value_name = "RUN")]
    pub run: Vec<String>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = ManyFormat::Text, value_name = "FORMAT")]
    pub output: ManyFormat,
}
