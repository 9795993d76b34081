//! Whether the prober had to wait for a processor.

use serde::{Deserialize, Serialize};

use crate::base::{At, Span};

/// For how long the prober's threads were ready to run and did not, within a time of about a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contended {
    /// Its begin.
    pub from: At,
    /// Its end.
    pub to: At,
    /// The longest wait of one thread, added up (`run_delay` of `/proc/PID/task/TID/schedstat`).
    pub waited: Span,
    /// For how long somebody on this machine waited (`some` of `/proc/pressure/cpu`); absent where the kernel does not tell.
    pub pressed: Option<Span>,
}
