//! How a run is meant.

use serde::{Deserialize, Serialize};

/// How a run is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Faults are injected.
    #[default]
    Normal,
    /// No fault is touched.
    Tabletop,
    /// Stops after baseline.
    Baseline,
}
