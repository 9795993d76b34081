//! What happened near which samples may be asked about one by one.

use crate::event::Event;

/// How much around an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Near {
    /// As much as around an outage: a phase begins or ends here, or something went wrong.
    Wide,
    /// A moment: a number is counted from or to here.
    Barely,
}

/// How near an event its samples stand one by one; none where it is no edge of anything.
pub fn near(event: &Event) -> Option<Near> {
    match event {
        Event::Samples { .. }
        | Event::Quiet { .. }
        | Event::Turned { .. }
        | Event::Anchor(_)
        | Event::Stall { .. }
        | Event::Contended(_)
        | Event::Guard { .. }
        | Event::Note { .. }
        | Event::Calibrated(_)
        | Event::Subject { .. } => None,
        Event::RunStarted { .. }
        | Event::CutShort(_)
        | Event::WatchdogStarted { .. }
        | Event::BaselineStarted {}
        | Event::SteadyShown { .. }
        | Event::Previewed { .. }
        | Event::TargetResolved { .. }
        | Event::Armed { .. }
        | Event::Recovered { .. }
        | Event::SettleStarted {}
        | Event::SteadyAfter { .. }
        | Event::ProbesStopped {}
        | Event::LedgersChecked { .. }
        | Event::LedgerRead { .. }
        | Event::LedgersRead {}
        | Event::RunFinished { .. } => Some(Near::Barely),
        _ => Some(Near::Wide),
    }
}
