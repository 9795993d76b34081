//! What those who lead a drill can ask of it, and what anybody may.

use clap::Args;

use super::RunsDir;

/// Which drill, and as whom.
#[derive(Debug, Args)]
pub struct Leading {
    /// A drill that runs: its id or the beginning of it; without it, the only one that listens
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// As which role: `facilitator` or `safety`; without it, the one that `team.roles` gives to this account, or that of whoever runs the drill
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
}

/// `firedrill prompt` and `firedrill hint`.
#[derive(Debug, Args)]
pub struct Cue {
    /// Which one: its id in the scenario
    #[arg(value_name = "ID")]
    pub id: String,
    /// Which drill, and as whom
    #[command(flatten)]
    pub leading: Leading,
}

/// `firedrill stop`.
#[derive(Debug, Args)]
pub struct Stop {
    /// A drill that runs: its id or the beginning of it; without it, every drill that listens
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Something real has happened
    #[arg(long, required = true)]
    pub real: bool,
    /// What has happened; stands in the journal and in the report
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// As which role
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
}

/// `firedrill watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// A drill that runs: its id or the beginning of it; without it, the only one that listens
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// Look once, and do not follow it to its end
    #[arg(long)]
    pub once: bool,
    /// As which role; those who lead see all that was said
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
}

/// `firedrill debrief`.
#[derive(Debug, Args)]
pub struct Debrief {
    /// A run that is over: its id, the beginning of its id, `last`, or its directory
    #[arg(value_name = "RUN")]
    pub run: String,
    /// What went well; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub well: Vec<String>,
    /// What surprised us; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub surprise: Vec<String>,
    /// What contributed to what happened: a condition, never a person; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub factor: Vec<String>,
    /// What to change; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub change: Vec<String>,
    /// An action item, for example `Alert on replica lag; owner: dan; due: 2026-12-24`; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub action: Vec<String>,
    /// Read it from this file, `-` for standard input, in the form that the editor shows
    #[arg(long, value_name = "FILE", conflicts_with_all = ["well", "surprise", "factor", "change", "action"])]
    pub from: Option<std::path::PathBuf>,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}
