//! When each item of an agenda would be, if each took as long as it may.

use jiff::Timestamp;

use super::model::{GameDay, Item};
use super::when::{Appointment, signed};
use crate::base::Span;

/// An item with its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned<'a> {
    /// From 1.
    pub number: usize,
    /// What.
    pub item: &'a Item,
    /// What it is called where everybody may look: a blind drill does not say what it is.
    pub title: String,
    /// When it begins, at the latest.
    pub begins: Timestamp,
    /// How long it takes, at most.
    pub takes: Span,
}

/// Lays the items out one after another; `drill` says what a drill is called and how long it takes at most.
pub fn schedule<'a>(day: &'a GameDay, when: &Appointment, drill: &dyn Fn(usize) -> (String, Span)) -> Vec<Planned<'a>> {
    let mut at = when.begins;
    let plan = |(index, item): (usize, &'a Item)| {
        let (title, takes) = match (&item.run, item.pause, item.debrief) {
            (Some(_), _, _) => drill(index),
            (_, Some(pause), _) => ("Break".to_owned(), pause),
            (_, _, debrief) => ("Debrief".to_owned(), debrief.unwrap_or_default()),
        };
        let begins = at;
        at = at.checked_add(signed(takes)).unwrap_or(Timestamp::MAX);
        Planned { number: index + 1, item, title, begins, takes }
    };
    day.agenda.iter().enumerate().map(plan).collect()
}

impl Planned<'_> {
    /// When it has ended, at the latest.
    pub fn ends(&self) -> Timestamp {
        self.begins.checked_add(signed(self.takes)).unwrap_or(Timestamp::MAX)
    }
}
