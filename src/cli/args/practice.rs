//! Practising alone, and writing down what a team does.

use clap::Args;

use super::{PolicyFile, RunsDir};

/// `firedrill practice`.
#[derive(Debug, Args)]
pub struct Practice {
    /// This drill instead of any
    #[arg(long, value_name = "N")]
    pub drill: Option<usize>,
    /// The drills there are, without what they are about
    #[arg(long)]
    pub list: bool,
    /// The same again: which drill, where it hits and when follow from this number, which every practice tells
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Give the first hint at once; it costs what it costs
    #[arg(long)]
    pub hints: bool,
    /// Policies
    #[command(flatten)]
    pub policy: PolicyFile,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// `firedrill scribe`.
#[derive(Debug, Args)]
pub struct Scribe {
    /// A drill that runs: its id or the beginning of it; without it, the only one that listens
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
    /// As which role
    #[arg(long = "as", value_name = "ROLE")]
    pub role: Option<String>,
}
