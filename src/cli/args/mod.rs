//! What can be typed. Parsing may validate, never do.

mod actions;
mod campaign;
mod evidence;
mod gameday;
mod history;
mod lead;
mod metrics;
mod modes;
mod options;
mod people;
mod practice;

use clap::{Parser, Subcommand, ValueEnum};

use super::exit::EXIT_CODES;
pub use actions::*;
pub use campaign::*;
pub use evidence::*;
pub use gameday::*;
pub use history::*;
pub use lead::*;
pub use metrics::*;
pub use modes::*;
pub use options::*;
pub use people::*;
pub use practice::*;

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
    /// Latencies as a HdrHistogram log (version 1.3), one histogram a second, probe, phase and kind
    Hlog,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a complete drill on a small order service that comes with firedrill: nothing to install or configure
    ///
    /// Starts a primary, a replica and a load balancer on free ports of this machine, kills the primary, and judges whether checkout came back
    /// and no acknowledged order was lost. Takes about 25 seconds. What it shows is a demonstration, not evidence.
    Demo(Demo),
    /// Practise alone: one of several drills, blind, with alerts, runbooks, hints that cost time, and a debrief
    ///
    /// Something goes wrong in a small shop that comes with firedrill, and nobody tells what. Takes about four minutes, needs neither root nor a
    /// network, and is undone whatever happens. Exits as the run did: with 0 when everything was said and done in time.
    Practice(Practice),
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
    /// What a run says of the AWS Well-Architected Framework: questions and practices with coverage, each with its proof
    ///
    /// Exits with 0 whatever it says; `report` exits as the run did.
    Score(Score),
    /// The metrics of a recorded run, in Prometheus' text format
    ///
    /// Everything that `run --metrics` serves, in its final, judged state. Nothing is run.
    Metrics(Metrics),
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
    /// Tell the drill that runs what you just did or saw: a mark of its scenario, or `ack` for “I take the page”
    Mark(Mark),
    /// Tell the drill what you think is wrong
    Answer(Answer),
    /// Write something into the drill's timeline: an observation, a message that was sent, a command that was run
    Note(Note),
    /// Tell the drill which step of a runbook you did
    Step(Step),
    /// Write down what a team does, a key for each of the usual marks, while what happens goes by above
    Scribe(Scribe),
    /// Ask another role to take the lead, or take it
    Handoff(Handoff),
    /// Reply to what the facilitator said
    Reply(Reply),
    /// Follow a drill that runs, from any account: what it is called, what was said; nothing that is hidden in a blind drill
    Watch(Watch),
    /// Something real has happened: end the drill, undo everything and tell everybody, from any account
    ///
    /// Without a RUN every drill of this machine that listens to people ends. The report says that it was stopped for something real.
    Stop(Stop),
    /// Say a prompt of the scenario now, as its facilitator
    Prompt(Cue),
    /// Give a hint of the scenario now, as its facilitator
    Hint(Cue),
    /// Let the clock of people stand still, as its facilitator: what is expected of them is due later by as much. The system's clocks go on
    Pause(Leading),
    /// Let the clock of people go on
    Resume(Leading),
    /// Tell those who respond to a blind drill what it is, as its facilitator
    Reveal(Leading),
    /// Write down what was learnt of a run: what went well, what surprised, what contributed, what to change, and who does what until when
    ///
    /// Without an option it opens $VISUAL or $EDITOR, or reads standard input where that is no terminal. What is written is kept beside the run, is never
    /// changed any more, and stands in every report of it.
    Debrief(Debrief),
    /// Runbooks that drills can name
    Runbook {
        /// What to do with them
        #[command(subcommand)]
        action: Runbook,
    },
    /// The safety lever of this machine: while it is engaged, running drills abort and none starts
    ///
    /// Every user of the machine may engage it; whoever did, and root, may release it. `check`, `plan` and `undo` work all the same.
    Lever {
        /// What to do with it
        #[command(subcommand)]
        action: Lever,
    },
    /// Try true outages on this machine: do the numbers of a drill hold the truth?
    ///
    /// Runs drills against a service of firedrill's own that is down at moments it writes down itself. What came of it is kept beside the runs, and
    /// reports of later runs tell it. Exits with 30 when a bound does not hold the truth.
    Calibrate(Calibrate),
    /// What many runs of the same thing can claim, and what they cannot
    ///
    /// Without a RUN: every run of what was run last. Says how many were started and which are left out and why; exits with 31 where the register of
    /// starts has a gap, because nobody knows then whether the others held.
    Claims(Claims),
    /// Fix how many runs there will be before the first of them, and see how far they are
    #[command(subcommand)]
    Campaign(Campaign),
    /// The improvement plan: what runs found and debriefs resolved, who owns it, by when, and which run showed it mended
    #[command(subcommand)]
    Actions(Actions),
    /// Pack runs into one archive that somebody else can check, and check such an archive
    #[command(subcommand)]
    Evidence(Evidence),
    /// A game day: an agenda of drills with one roster, go or no-go before each, breaks, and one report
    #[command(subcommand)]
    Gameday(Gameday),
    /// List runs: when, which scenario, and how each ended or what it owes
    Runs(Runs),
    /// One run on one screen: how it ended, and each claim with its bounds
    Show(Show),
    /// What was changed between two runs, and what came of it: differences with their bounds, and how large the effect is
    Compare(Compare),
    /// Every claim of a scenario over all of its runs: intervals, how often it held, what flips, whether it drifts
    ///
    /// Reads history.db beside the runs, and judges what it does not know yet.
    Trend(Trend),
    /// What all runs together say of how a team practises: programme practices, how regularly each scenario is run, answers by role and quarter
    ///
    /// Reads the history, the improvement plan, debriefs and game days beside the runs. Missing data never improves a verdict: what nobody wrote down
    /// is not known, and where a run that was started is gone, nothing is supported.
    Review(Review),
    /// The history beside the runs: a copy of what they came to, so that it need not be worked out again
    History {
        /// What to do with it
        #[command(subcommand)]
        action: HistoryAction,
    },
    /// List every fault and probe kind, or explain one with its keys and an example; `signals` lists what practices are judged by
    Kinds {
        /// A kind, for example `process.kill`, or `signals`
        kind: Option<String>,
    },
    /// Print the JSON Schema of a scenario (for editors), of a policy, of a game day, or of the JSON report
    Schema {
        /// The schema of the JSON report (firedrill.report/1) instead
        #[arg(long)]
        report: bool,
        /// The schema of a policy instead
        #[arg(long, conflicts_with = "report")]
        policy: bool,
        /// The schema of a game day instead
        #[arg(long, conflicts_with_all = ["report", "policy"])]
        gameday: bool,
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
