//! What `history`, `show`, `compare` and `trend` can be told.

use clap::{Args, Subcommand, ValueEnum};

use super::{RunsDir, TrialsFormat};

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
