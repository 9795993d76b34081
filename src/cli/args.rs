//! What can be typed. Parsing may validate, never do.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit::EXIT_CODES;

/// Game days you can trust: inject a fault, measure the recovery from outside, undo everything whatever dies, judge the claims.
#[derive(Debug, Parser)]
#[command(name = "firedrill", version, max_term_width = 110, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Colour: auto (on a terminal, unless NO_COLOR is set), always or never
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "WHEN", help_heading = EVERYWHERE)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: Colour,
    /// Say on stderr what firedrill itself does; -vv says more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = EVERYWHERE)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

const EVERYWHERE: &str = "Everywhere";

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
    /// Run a complete drill on a small order service that comes with firedrill: nothing to install or configure
    ///
    /// Starts a primary, a replica and a load balancer on free ports of this machine, kills the primary, and judges whether checkout came back
    /// and no acknowledged order was lost. Takes about 25 seconds. What it shows is a demonstration, not evidence.
    Demo(Demo),
    /// Check scenario files: every problem of every file in one go
    ///
    /// Exits with 0 when all were accepted (warnings allowed), else with 10. Nothing is run and nothing is connected to.
    Check(Check),
    /// Show what a scenario would do: targets, blast radius, commands, undo, limits and every default
    ///
    /// Looks for the targets that are there already, and touches nothing. Exits with 11 where a run could not start, as things are.
    Plan(PlanArgs),
    /// Run a drill: show steady state, inject, measure, undo, judge
    ///
    /// Ctrl-C, SIGTERM and SIGHUP end it at any time and undo everything. Progress goes to stderr, the report to stdout and into the run's directory.
    #[command(after_help = EXIT_CODES)]
    Run(Run),
    /// Approve a scenario under a policy that asks for approvals
    ///
    /// Writes a small file into firedrill.approvals/ beside the scenario. It is bound to the scenario, its workload, its vars, the policies and the
    /// targets: when one of them changes, the approval is void.
    Approve(Approve),
    /// Judge a run again from its journal and print the report; exits as the run did
    ///
    /// Also writes report.html, report.md, report.json and report.xml into the run's directory again.
    Report(Report),
    /// Undo what a dead run still owes
    ///
    /// Works from the run's directory alone, in a fresh process, also after a reboot. Exits with 0 when nothing is owed any more, with 50 when
    /// something could not be undone; then it prints the line to paste by hand.
    Undo(Undo),
    /// Ask a running drill to end now and undo everything, from anywhere on this machine
    ///
    /// Waits until it has ended. Exits with 0 when nothing is owed any more, with 50 when something could not be undone or the undo was still
    /// under way after --wait, and with 11 when there is no such drill.
    Abort(Abort),
    /// Let go of a fault that is held until somebody does: `for: { until: released, at_most: … }`
    ///
    /// The fault is undone at once and the drill goes on. Exits with 11 when there is nothing to let go of.
    Release(Release),
    /// The safety lever of this machine: while it is engaged, running drills abort and none starts
    ///
    /// Every user of the machine may engage it; whoever did, and root, may release it. `check`, `plan` and `undo` work all the same.
    Lever {
        /// What to do with it
        #[command(subcommand)]
        action: Lever,
    },
    /// List runs: when, which scenario, and how each ended or what it owes
    Runs(Runs),
    /// List every fault and probe kind, or explain one with its keys and an example
    Kinds {
        /// A kind, for example `process.kill`
        kind: Option<String>,
    },
    /// Print the JSON Schema of a scenario (for editors), of a policy, or of the JSON report
    Schema {
        /// The schema of the JSON report (firedrill.report/1) instead
        #[arg(long)]
        report: bool,
        /// The schema of a policy instead
        #[arg(long, conflicts_with = "report")]
        policy: bool,
    },
    /// Watch a service for a while and write a first scenario for it
    Init(Init),
    /// Print a completion script for a shell
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff): `firedrill man | man -l -`
    Man,
}

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
}

/// In what form a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people
    Text,
    /// For programs (schema firedrill.plan/1): everything that text says, and the whole plan as a run records it
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
    /// Touch no fault: probes and clocks are real, nothing is said of the system
    #[arg(long, conflicts_with = "until")]
    pub tabletop: bool,
    /// End after this phase
    #[arg(long, value_enum, value_name = "PHASE")]
    pub until: Option<Until>,
    /// No people take part (this version observes none anyway)
    #[arg(long)]
    pub unattended: bool,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
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
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
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

fn span(text: &str) -> Result<crate::base::Span, String> {
    text.parse::<crate::base::Span>().map_err(|error| format!("{error}: {}", error.help()))
}
