//! What `history`, `show`, `compare`, `trend` and `review` can be told.

use clap::{Args, Subcommand, ValueEnum};

use super::{RunsDir, TrialsFormat};
use crate::base::Span;

/// What to do with the history.
#[derive(Debug, Subcommand)]
pub enum HistoryAction {
    /// Make history.db again from the run directories, which are the truth
    Rebuild(RunsDir),
}

/// What `show` can be told.
#[derive(Debug, Args)]
pub struct Show {
    /// The run: an id, the beginning of one, `last`, or a directory
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `compare` can be told.
#[derive(Debug, Args)]
pub struct Compare {
    /// The run from before
    #[arg(value_name = "A")]
    pub first: String,
    /// The run from after
    #[arg(value_name = "B")]
    pub second: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = TrialsFormat::Text, value_name = "FORMAT")]
    pub output: TrialsFormat,
}

/// In what form many runs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ManyFormat {
    /// A summary for the terminal
    Text,
    /// Every run, as JSON
    Json,
    /// One self-contained HTML file with pictures
    Html,
}

impl From<TrialsFormat> for ManyFormat {
    fn from(format: TrialsFormat) -> ManyFormat {
        match format {
            TrialsFormat::Text => ManyFormat::Text,
            TrialsFormat::Json => ManyFormat::Json,
        }
    }
}

/// What `trend` can be told.
#[derive(Debug, Args)]
pub struct Trend {
    /// The scenario's name: its file name without `.yaml`
    #[arg(value_name = "SCENARIO")]
    pub scenario: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = ManyFormat::Text, value_name = "FORMAT")]
    pub output: ManyFormat,
}

/// In what form a review is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReviewFormat {
    /// A summary for the terminal
    Text,
    /// Tables for a wiki or a pull request
    Md,
    /// Everything, as JSON (firedrill.review/1)
    Json,
    /// One self-contained HTML file with pictures
    Html,
}

/// What `review` can be told.
#[derive(Debug, Args)]
pub struct Review {
    /// How far back it looks
    #[arg(long, value_name = "DURATION", default_value = "90d")]
    pub since: Span,
    /// List what is not known as well, with what is missing
    #[arg(long)]
    pub all: bool,
    /// One practice in full: its rule, every value with the runs behind it, and what would make it better
    #[arg(long, value_name = "PRACTICE", conflicts_with_all = ["all", "output"])]
    pub explain: Option<String>,
    /// Print the JSON Schema of the review instead
    #[arg(long)]
    pub schema: bool,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = ReviewFormat::Text, value_name = "FORMAT")]
    pub output: ReviewFormat,
}
