//! What is asked of a running drill from outside: commands of people and signals, and the safety lever of the machine.

use tokio::sync::mpsc;

use super::drive::Engine;
use super::lead::{AnswerTo, Asked};
use super::people::OVER;
use super::{cues, moments};
use crate::base::At;
use crate::event::{Event, Role, Said, TeamEvent};
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
    /// Somebody said something: it stands in the journal, or they are told why not.
    Said(Box<Said>, Told),
    /// What a sender of alerts told, or tried to.
    Told(Box<TeamEvent>),
    /// Somebody asked for a cue, a stop or a look: it is done, or they are told why not.
    Asked(Box<Asked>, AnswerTo),
    /// Let go of a fault that is held until released.
    Release {
        /// The fault.
        fault: String,
        /// Who asks.
        by: String,
    },
}

/// Most that is heard of people in one drill: whoever says more floods it.
const MOST_SAID: usize = 10_000;

/// Where the answer to what was said goes.
#[derive(Debug, Clone)]
pub struct Told(pub mpsc::Sender<Result<At, String>>);

impl PartialEq for Told {
    fn eq(&self, other: &Told) -> bool {
        self.0.same_channel(&other.0)
    }
}

impl Eq for Told {}

impl Engine {
    fn hear(&mut self, said: Said, told: &Told) {
        let said_so_far = self.state.team.iter().filter(|stamp| matches!(stamp.event, TeamEvent::Said(_))).count();
        let answer = if self.state.outcome.is_some() {
            Err(OVER.to_owned())
        } else if said_so_far >= MOST_SAID {
            Err(format!("this drill has heard {MOST_SAID} things and hears no more"))
        } else {
            cues::hear(&self.plan, &self.state, said, self.cx.clock.now()).map(|said| {
                self.record(Event::Team(TeamEvent::Said(said)));
                self.tell_of_the_team();
                self.cx.clock.now()
            })
        };
        // They may be gone.
        let _ = told.0.try_send(answer);
    }

    /// Writes down which expectations were met, and gives hints that are due.
    pub(super) fn tell_of_the_team(&mut self) {
        if self.plan.team.is_none() || self.state.outcome.is_some() || self.state.steady_at.is_none() {
            return;
        }
        for event in moments::news(&self.plan, &self.state, self.cx.clock.now()) {
            self.record(Event::Team(event));
        }
    }

    /// A command has no effect until it has become an event.
    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Abort { by, reason } if self.state.outcome.is_none() => self.record(Event::AbortRequested { by, reason }),
            Command::Abort { .. } => {}
            Command::Said(said, told) => self.hear(*said, &told),
            Command::Told(event) => {
                self.record(Event::Team(*event));
                self.tell_of_the_team();
            }
            Command::Asked(asked, answer) => self.lead(&asked, &answer),
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
