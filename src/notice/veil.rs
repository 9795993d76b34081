//! What those who respond to a blind drill are told of it: that it runs, under the name that it is shown as, and everything else when it is revealed or
//! over. Pure.

use super::message::Message;
use crate::event::{Entry, Event, TeamEvent};
use crate::plan::{NoticeOf, Plan};

/// Messages that wait for the reveal: more than a drill tells of itself.
const WITHHELD: usize = 64;

/// What lies between a drill and those who respond to it.
#[derive(Debug, Clone)]
pub(super) struct Veil {
    shown_as: String,
    /// It is blind, and not revealed.
    drawn: bool,
    withheld: Vec<Message>,
}

impl Veil {
    pub(super) fn of(plan: &Plan) -> Veil {
        Veil { shown_as: plan.shown().to_owned(), drawn: plan.is_blind(), withheld: Vec::new() }
    }

    /// Takes an entry in; what was withheld and may be told now.
    pub(super) fn entry(&mut self, entry: &Entry) -> Vec<Message> {
        if self.drawn && matches!(entry.event, Event::Team(TeamEvent::Revealed { .. }) | Event::RunFinished { .. }) {
            self.drawn = false;
        }
        if self.drawn { Vec::new() } else { std::mem::take(&mut self.withheld) }
    }

    /// What may be told of a message now.
    pub(super) fn shown(&mut self, message: &Message) -> Option<Message> {
        if !self.drawn {
            return Some(message.clone());
        }
        let what = match message.of {
            NoticeOf::Started => "has started",
            NoticeOf::Aborted => "was aborted",
            NoticeOf::Stuck => "could not undo everything; those who lead it know how",
            NoticeOf::Finished => "is over",
            NoticeOf::Injected | NoticeOf::Recovered | NoticeOf::Undone => {
                if self.withheld.len() < WITHHELD {
                    self.withheld.push(message.clone());
                }
                return None;
            }
        };
        Some(Message {
            schema: message.schema,
            of: message.of,
            id: format!("{}/{}", message.run, message.of.word()),
            text: format!("Firedrill: {}: the drill {what}.", self.shown_as),
            run: message.run.clone(),
            run_dir: String::new(),
            title: self.shown_as.clone(),
            fault: None,
            by_hand: None,
            exit_code: message.exit_code,
            at_ms: message.at_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::event::Outcome;

    fn message(of: NoticeOf) -> Message {
        let secret = || "SECRET".to_owned();
        Message {
            schema: super::super::SCHEMA,
            of,
            id: format!("R/{}/SECRET", of.word()),
            text: secret(),
            run: "R".into(),
            run_dir: secret(),
            title: secret(),
            fault: Some(secret()),
            by_hand: Some(secret()),
            exit_code: None,
            at_ms: None,
        }
    }

    #[test]
    fn nothing_hidden_is_told_and_what_was_withheld_comes_with_the_reveal() {
        for last in [Event::Team(TeamEvent::Revealed { by: "a".into() }), Event::RunFinished { outcome: Outcome::Completed }] {
            let mut veil = Veil { shown_as: "Exercise".into(), drawn: true, withheld: Vec::new() };
            let shown: Vec<Message> = NoticeOf::ALL.iter().filter_map(|of| veil.shown(&message(*of))).collect();
            let text = serde_json::to_string(&shown).unwrap();
            assert!(!text.contains("SECRET") && text.contains("Firedrill: Exercise: the drill has started."), "{text}");
            assert_eq!(shown.len(), 4);
            assert!(veil.entry(&Entry { seq: 0, at: At(0), event: Event::SettleStarted {} }).is_empty());
            let late = veil.entry(&Entry { seq: 1, at: At(1), event: last });
            assert_eq!(late.iter().map(|m| m.of.word()).collect::<Vec<_>>(), ["injected", "recovered", "undone"]);
            assert_eq!(veil.shown(&message(NoticeOf::Finished)), Some(message(NoticeOf::Finished)));
        }
    }
}
