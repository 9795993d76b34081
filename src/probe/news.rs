//! What the prober tells those who listen to it.

use crate::base::At;
use crate::event::{Contended, Sample};

/// What the prober has to tell.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// Finished samples of one probe, by number.
    Samples {
        /// The probe.
        probe: String,
        /// The samples.
        rows: Vec<Sample>,
    },
    /// The whole process stood still.
    Stall {
        /// Last sign of life before.
        from: At,
        /// First sign of life after.
        to: At,
    },
    /// The threads of the probes waited for a processor.
    Contended(Contended),
}
