//! What is asked of a running drill from outside: commands of people and signals, and the safety lever of the machine.

use super::drive::Engine;
use crate::event::{Event, Role};
use crate::state::ItemPhase;

/// What people or other processes ask of a running drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// End now and undo everything.
    Abort {
        /// Who or what asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// Something that people should see beside what happened.
    Note {
        /// What.
        text: String,
    },
    /// Let go of a fault that is held until released.
    Release {
        /// The fault.
        fault: String,
        /// Who asks.
        by: String,
    },
}

impl Engine {
    /// A command has no effect until it has become an event.
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Abort { by, reason } if self.state.outcome.is_none() => self.record(Event::AbortRequested { by, reason }),
            Command::Abort { .. } => {}
            Command::Note { text } => self.record(Event::Note { text }),
            Command::Release { fault, by } => {
                let bites = self.state.items.get(&fault).is_some_and(|item| item.role == Role::Fault && item.phase == ItemPhase::Active);
                self.record(match bites {
                    true => Event::Released { id: fault, by },
                    false => Event::Note { text: format!("{by} asked to let go of {fault}, which is no fault that bites") },
                });
            }
        }
    }

    /// Ends the drill while the lever is engaged. One look at the file system with each tick; whoever undoes for a dead run has no lever.
    pub(super) fn look_at_lever(&mut self) {
        if self.state.abort.is_some() || self.state.outcome.is_some() {
            return;
        }
        if let Some(engaged) = self.lever.as_ref().and_then(|lever| lever.look()) {
            self.record(Event::AbortRequested { by: format!("safety lever, engaged by {}", engaged.by), reason: engaged.reason });
        }
    }
}
