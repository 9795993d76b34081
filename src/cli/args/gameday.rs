//! What `gameday` can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{MetricsTo, PolicyFile, RunsDir};

/// What to do with a game day.
#[derive(Debug, Subcommand)]
pub enum Gameday {
    /// Check a game day with all of its drills, and show its agenda, roster and times
    ///
    /// Exits with 10 where the file, one of its scenarios or a policy refuses. Nothing is run.
    Plan(GamedayPlan),
    /// Hold it: each drill in turn, after its go, with breaks and resets, then one report
    ///
    /// Exits as its worst drill does; with 31 where one that was planned was not held to its end; with 11 outside of its window.
    Run(GamedayRun),
    /// Say go to the drill, or the end of the break, that waits for it
    Go(GamedaySay),
    /// Say no-go to the drill that waits: it is left out, and the day goes on
    NoGo(GamedaySay),
    /// One report on everything that was held
    Report(GamedayReport),
    /// The agenda for calendars
    Export(GamedayExport),
}

/// `firedrill gameday plan`.
#[derive(Debug, Args)]
pub struct GamedayPlan {
    /// The game day file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
}

/// `firedrill gameday run`.
#[derive(Debug, Args)]
pub struct GamedayRun {
    /// The game day file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Ask for no go that the agenda does not name; needed without a terminal. After an aborted drill the day then ends
    #[arg(long, short)]
    pub yes: bool,
    /// Go on with a day whose process died, after the item that was under way
    #[arg(long, value_name = "DAY")]
    pub resume: Option<String>,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Metrics of each drill while it runs
    #[command(flatten)]
    pub metrics: MetricsTo,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout at the end
    #[arg(long, value_enum, default_value_t = DayFormat::Text, value_name = "FORMAT")]
    pub output: DayFormat,
}

/// `firedrill gameday go` and `no-go`.
#[derive(Debug, Args)]
pub struct GamedaySay {
    /// The day: its id or the beginning of it; without it, the only one that waits
    #[arg(value_name = "DAY")]
    pub day: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// `firedrill gameday report`.
#[derive(Debug, Args)]
pub struct GamedayReport {
    /// A day: its id, the beginning of its id, `last`, or its directory
    #[arg(value_name = "DAY")]
    pub day: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print
    #[arg(long, value_enum, default_value_t = DayFormat::Text, value_name = "FORMAT")]
    pub output: DayFormat,
}

/// `firedrill gameday export`.
#[derive(Debug, Args)]
pub struct GamedayExport {
    /// The game day file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// As iCalendar: into this file, or `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub ics: PathBuf,
}

/// In what form a report on a game day is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DayFormat {
    /// A summary for the terminal
    Text,
    /// As JSON (schema firedrill.gameday/1)
    Json,
    /// One self-contained HTML file
    Html,
    /// Markdown
    Md,
}
