//! Whether the numbers may be trusted at all: the fault must have been confirmed, the prober must have been alive, and what was tested
//! must have stayed the same.

use indexmap::IndexMap;

use crate::base::Span;
use crate::event::{Entry, Event};

use super::facts::Validity;
use super::prober::{Taint, starved};
use super::read::Read;

/// Subject values before and after.
pub(super) type Subject = IndexMap<String, (Option<String>, Option<String>)>;

/// What was tested, before and after.
pub(super) fn subject(read: &Read<'_>) -> Subject {
    let mut subject: Subject = read.plan.subject.keys().map(|id| (id.to_string(), (None, None))).collect();
    for entry in read.entries {
        if let Event::Subject { when, id, value } = &entry.event {
            let slot = subject.entry(id.clone()).or_default();
            match when.as_str() {
                "before" => slot.0.clone_from(value),
                _ => slot.1.clone_from(value),
            }
        }
    }
    subject
}

/// What makes every claim of the run invalid; what concerns one fault alone is told apart.
pub(super) fn of_run(read: &Read<'_>, taint: &Taint, subject: &Subject) -> Vec<String> {
    let mut reasons: Vec<String> = starved(read, taint).into_iter().collect();
    reasons.extend(read.entries.iter().find_map(|entry| match &entry.event {
        Event::JournalPoisoned { why } => Some(format!("the journal cannot be relied on: {why}")),
        _ => None,
    }));
    reasons.extend(slept(read));
    for (id, values) in subject {
        if let (Some(before), Some(after)) = values
            && before != after
        {
            reasons.push(format!("what was tested changed: {id} was {before} before and {after} after"));
        }
    }
    reasons
}

/// Whether the run is valid, with every reason against it.
pub(super) fn validity(read: &Read<'_>, taint: &Taint, of_run: Vec<String>) -> Validity {
    let unconfirmed = read.items.iter().filter(|(_, i)| !i.support);
    let mut reasons: Vec<String> =
        unconfirmed.filter_map(|(id, i)| i.not_confirmed.map(|why| format!("fault {id} was not confirmed: {why}"))).collect();
    reasons.extend(of_run.iter().cloned());
    Validity { valid: reasons.is_empty(), reasons, of_run, tainted_seconds: taint.seconds() }
}

/// The machine slept while a fault was in play: the clock that everything is measured with stood still meanwhile, and nobody knows what it missed.
fn slept(read: &Read<'_>) -> Option<String> {
    let first = read.first_call()?;
    let told = |entry: &Entry| match &entry.event {
        Event::Suspended { slept } if entry.at >= first => Some(*slept),
        _ => None,
    };
    let all = read.entries.iter().filter_map(told).fold(Span::ZERO, |sum, slept| sum + slept);
    (all > Span::ZERO)
        .then(|| format!("the machine slept for {} while the fault was in play: what is measured may have taken longer", all.human()))
}
