//! What a journal says that matters to the response.

use std::collections::BTreeMap;

use crate::base::{At, Interval};
use crate::event::{AlertSeen, Entry, Event, Said, Stamp, TeamEvent};

/// What happened to one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FaultSeen {
    /// When it was seen to bite.
    pub effective: Option<Interval>,
    /// When it was decided that the system had recovered.
    pub recovered: Option<At>,
    /// When it was seen to be undone.
    pub undone: Option<At>,
}

/// What a run has shown so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen<'a> {
    /// What people and machines told, in the order of the journal.
    pub stamps: Vec<&'a Stamp>,
    /// When steady state had been shown.
    pub steady: Option<At>,
    /// By fault.
    pub faults: BTreeMap<String, FaultSeen>,
    /// Until when people and sources were heard.
    pub until: At,
    /// The run goes on: what is not there yet may still come.
    pub open: bool,
    /// Why it ended early, where it did.
    pub cut: Option<String>,
}

/// The team's entries of a journal.
pub(crate) fn stamps(entries: &[Entry]) -> Vec<Stamp> {
    let one = |entry: &Entry| match &entry.event {
        Event::Team(event) => Some(Stamp { seq: entry.seq, at: entry.at, event: event.clone() }),
        _ => None,
    };
    entries.iter().filter_map(one).collect()
}

impl<'a> Seen<'a> {
    /// What a whole journal shows; `stamps` are those of [`Seen::stamps_of`].
    pub fn of(entries: &[Entry], stamps: &'a [Stamp]) -> Seen<'a> {
        let mut seen = Seen {
            stamps: stamps.iter().collect(),
            steady: None,
            faults: BTreeMap::new(),
            until: entries.last().map_or(At(0), |entry| entry.at),
            open: false,
            cut: None,
        };
        let mut stopped = false;
        for entry in entries {
            match &entry.event {
                Event::SteadyShown { .. } => seen.steady = Some(entry.at),
                Event::Effective { id, when, .. } => seen.fault(id).effective = Some(*when),
                Event::Recovered { id, .. } => seen.fault(id).recovered = Some(entry.at),
                Event::Undone { id, .. } => seen.fault(id).undone = Some(entry.at),
                Event::AbortRequested { by, .. } if !stopped => {
                    (seen.until, seen.cut, stopped) = (entry.at, Some(format!("aborted by {by}")), true)
                }
                Event::GuardBreached { id, .. } if !stopped => {
                    (seen.until, seen.cut, stopped) = (entry.at, Some(format!("aborted by guard {id}")), true);
                }
                Event::TakenOver { .. } if !stopped => {
                    (seen.cut, stopped) = (Some("the runner died".to_owned()), true);
                }
                Event::ProbesStopped {} if !stopped => (seen.until, stopped) = (entry.at, true),
                _ => {}
            }
        }
        seen
    }

    /// The team's entries of a journal, to be borrowed by [`Seen::of`].
    pub fn stamps_of(entries: &[Entry]) -> Vec<Stamp> {
        stamps(entries)
    }

    fn fault(&mut self, id: &str) -> &mut FaultSeen {
        self.faults.entry(id.to_owned()).or_default()
    }

    /// What people said, in order.
    pub(super) fn said(&self) -> impl Iterator<Item = (&'a Stamp, &'a Said)> {
        self.stamps.iter().filter_map(|stamp| match &stamp.event {
            TeamEvent::Said(said) => Some((*stamp, said)),
            _ => None,
        })
    }

    /// What sources told, in order.
    pub(super) fn alerts(&self) -> impl Iterator<Item = &'a AlertSeen> {
        self.stamps.iter().filter_map(|stamp| match &stamp.event {
            TeamEvent::Alert(alert) => Some(alert),
            _ => None,
        })
    }

    /// Whether people could be heard, and why not.
    pub(super) fn deaf(&self) -> Option<String> {
        let mut why = Some("people could not be heard in this run".to_owned());
        for stamp in &self.stamps {
            match &stamp.event {
                TeamEvent::Listening { .. } => why = None,
                TeamEvent::Deaf { why: said } => why = Some(format!("people could not be heard: {said}")),
                _ => {}
            }
        }
        why
    }

    /// When a source was not reached, in order.
    pub(super) fn dark(&self, source: &str) -> Vec<(At, At, String)> {
        let mut out: Vec<(At, At, String)> = Vec::new();
        let mut dark: Option<(At, String)> = Some((At(0), "it was never asked".to_owned()));
        for stamp in &self.stamps {
            match &stamp.event {
                TeamEvent::SourceReached { source: of, looked } if of == source => {
                    out.extend(dark.take().map(|(since, why)| (since, *looked, why)));
                }
                // Dark already: only the reason is news.
                TeamEvent::SourceLost { source: of, since, why } if of == source => {
                    let since = dark.take().map_or(*since, |(earlier, _)| earlier);
                    dark = Some((since, why.clone()));
                }
                _ => {}
            }
        }
        out.extend(dark.map(|(since, why)| (since, At(u64::MAX), why)));
        out
    }
}
