//! What people who respond can say.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Vars;

/// Who says it, to which drill, and of when.
#[derive(Debug, Args)]
pub struct People {
    /// A drill that runs: its id or the beginning of it; without it, the only one that listens
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// As which role; without it, the only one that `team.roles` gives to this account
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
    /// When it was, if not just now: how long ago (`90s`) or an RFC 3339 time; when it was heard is kept as well
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// `firedrill mark`.
#[derive(Debug, Args)]
pub struct Mark {
    /// The mark: `ack` takes the page, others are the scenario's
    #[arg(value_name = "MARK")]
    pub mark: String,
    /// Who, to which drill, when
    #[command(flatten)]
    pub people: People,
    /// A few words with it
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
}

/// `firedrill answer`.
#[derive(Debug, Args)]
pub struct Answer {
    /// The answer
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Who, to which drill, when
    #[command(flatten)]
    pub people: People,
    /// The question, where several are asked: an expectation of the scenario
    #[arg(long, value_name = "QUESTION")]
    pub of: Option<String>,
}

/// `firedrill reply`.
#[derive(Debug, Args)]
pub struct Reply {
    /// The reply
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Who, to which drill, when
    #[command(flatten)]
    pub people: People,
    /// The prompt; without it, the last one that your role was given and nobody has replied to
    #[arg(long, value_name = "PROMPT")]
    pub of: Option<String>,
}

/// `firedrill note`.
#[derive(Debug, Args)]
pub struct Note {
    /// What
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Who, to which drill, when
    #[command(flatten)]
    pub people: People,
    /// It was told to this audience
    #[arg(long, value_name = "AUDIENCE", conflicts_with = "ran")]
    pub to: Option<String>,
    /// It is a command that was run
    #[arg(long)]
    pub ran: bool,
}

/// `firedrill step`.
#[derive(Debug, Args)]
pub struct Step {
    /// The step
    #[arg(value_name = "RUNBOOK#STEP")]
    pub step: String,
    /// Who, to which drill, when
    #[command(flatten)]
    pub people: People,
    /// It was taken back
    #[arg(long)]
    pub back_out: bool,
}

/// `firedrill handoff`.
#[derive(Debug, Args)]
#[group(id = "direction", required = true, multiple = false, args = ["to", "accept"])]
pub struct Handoff {
    /// Who, from which drill, when
    #[command(flatten)]
    pub people: People,
    /// The role that is asked
    #[arg(long, value_name = "ROLE")]
    pub to: Option<String>,
    /// Take the lead that was offered to your role
    #[arg(long)]
    pub accept: bool,
}

/// What to do with runbooks.
#[derive(Debug, Subcommand)]
pub enum Runbook {
    /// Look whether they are whole: owners, step ids, links, and what scenarios name of them; exits with 10 where something is wrong
    Check(RunbookCheck),
}

/// `firedrill runbook check`.
#[derive(Debug, Args)]
pub struct RunbookCheck {
    /// The directory of runbooks
    #[arg(value_name = "DIR", default_value = "runbooks")]
    pub dir: PathBuf,
    /// Where runs live: says as well which steps no drill of theirs ever exercised
    #[arg(long = "runs", value_name = "DIR")]
    pub runs: Option<PathBuf>,
    /// How long each step took, the median over all runs of --runs, or of .firedrill/runs
    #[arg(long)]
    pub times: bool,
    /// A scenario that names steps and alerts; may be repeated. Says as well which steps none of them expects
    #[arg(long = "scenario", value_name = "FILE")]
    pub scenarios: Vec<PathBuf>,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
}
