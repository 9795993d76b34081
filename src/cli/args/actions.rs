//! What `actions` can be told.

use clap::{Args, Subcommand, ValueEnum};

use super::RunsDir;

/// What to do with actions.
#[derive(Debug, Subcommand)]
pub enum Actions {
    /// Everything that runs found and debriefs resolved: high risk first, with owner, date and state
    List(ActionsList),
    /// One action with everything that was observed, said and done
    Show(ActionsOne),
    /// Give it an owner, and a day by which it is mended
    Assign(ActionsAssign),
    /// Write a remark to it
    Note(ActionsNote),
    /// Take its risk for a time
    Accept(ActionsAccept),
    /// With --run: closed, when that later run shows it mended, else exit 31. Without: said to be done, and waiting for a retest
    Close(ActionsClose),
    /// The plan as Markdown, CSV or JSON
    Export(ActionsExport),
}

/// What `actions list` can be told.
#[derive(Debug, Args)]
pub struct ActionsList {
    /// Closed ones as well
    #[arg(long)]
    pub all: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = ActionsFormat::Text, value_name = "FORMAT")]
    pub output: ActionsFormat,
}

/// In what form a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ActionsFormat {
    /// For the terminal
    Text,
    /// A table
    Md,
    /// For a spreadsheet; nothing in it is taken for a formula
    Csv,
    /// Schema firedrill.actions/1
    Json,
}

/// What `actions show` can be told.
#[derive(Debug, Args)]
pub struct ActionsOne {
    /// The action: its name or the beginning of it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `actions assign` can be told.
#[derive(Debug, Args)]
pub struct ActionsAssign {
    /// The action
    #[arg(value_name = "ID")]
    pub id: String,
    /// Who: a team or a role
    #[arg(long, value_name = "ROLE")]
    pub owner: String,
    /// By when: a day, for example 2026-12-24
    #[arg(long, value_name = "DAY")]
    pub due: Option<String>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `actions note` can be told.
#[derive(Debug, Args)]
pub struct ActionsNote {
    /// The action
    #[arg(value_name = "ID")]
    pub id: String,
    /// What to write
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `actions accept` can be told.
#[derive(Debug, Args)]
pub struct ActionsAccept {
    /// The action
    #[arg(value_name = "ID")]
    pub id: String,
    /// The last day: then it is open again
    #[arg(long, value_name = "DAY")]
    pub until: String,
    /// Who takes it: a role
    #[arg(long, value_name = "ROLE")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub why: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `actions close` can be told.
#[derive(Debug, Args)]
pub struct ActionsClose {
    /// The action
    #[arg(value_name = "ID")]
    pub id: String,
    /// The later run that shows it
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// What was done
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `actions export` can be told.
#[derive(Debug, Args)]
pub struct ActionsExport {
    /// In what form
    #[arg(long, value_enum, default_value_t = ActionsFormat::Md, value_name = "FORMAT")]
    pub output: ActionsFormat,
    /// Only the JSON Schema of the JSON form
    #[arg(long)]
    pub schema: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}
