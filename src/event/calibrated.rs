//! What true outages showed about this machine before a run.

use serde::{Deserialize, Serialize};

use crate::base::Span;

/// The last calibration of the machine, as it was known when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calibrated {
    /// When it was made, RFC 3339: a label.
    pub wall: String,
    /// How long before the run that was, by wall time.
    pub age: Span,
    /// True outages that count.
    pub trials: u32,
    /// Of these, how many were held by every bound.
    pub covered: u32,
    /// Median width of the bounds where clients are told at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_width_fast: Option<Span>,
    /// The same where they wait for their time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_width_slow: Option<Span>,
}

impl Calibrated {
    /// Older than this it says little about a machine that others share.
    pub const FRESH: Span = Span::secs(24 * 3600);

    /// Whether it may be relied on: not old, and every bound held.
    pub fn is_good(&self) -> bool {
        self.age <= Calibrated::FRESH && self.covered == self.trials && self.trials > 0
    }
}
