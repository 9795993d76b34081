//! How a run is meant, and whom it is shown to.

use clap::ValueEnum;

/// Whom a terminal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ViewFor {
    /// Those who lead: everything
    Facilitator,
    /// Those who respond
    Participant,
}

/// A phase to stop after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Steady state was shown; nothing is injected
    Baseline,
}
