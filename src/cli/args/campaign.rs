//! What `campaign` can be told.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{RunsDir, TrialsFormat, Vars};

/// What to do with a campaign.
#[derive(Debug, Subcommand)]
pub enum Campaign {
    /// Declare it: how many runs of a scenario there will be from now on
    Start(CampaignStart),
    /// How far it is, and what its runs can claim; exits with 31 until all are made
    Status(CampaignStatus),
}

/// What `campaign start` can be told.
#[derive(Debug, Args)]
pub struct CampaignStart {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many runs
    #[arg(long, value_name = "N", default_value_t = 59, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub count: u32,
    /// Its name; default: the scenario's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Substitutions
    #[command(flatten)]
    pub vars: Vars,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
}

/// What `campaign status` can be told.
#[derive(Debug, Args)]
pub struct CampaignStatus {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where runs live
    #[command(flatten)]
    pub runs: RunsDir,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = TrialsFormat::Text, value_name = "FORMAT")]
    pub output: TrialsFormat,
}
