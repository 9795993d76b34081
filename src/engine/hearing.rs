//! What the prober tells: read live by the folds and by whoever looks on, and written down, sample by sample or, where a probe is fast and
//! nothing is near that could be an edge, as distributions.

use std::collections::BTreeMap;

use super::drive::{Engine, TICK};
use crate::base::{At, Span};
use crate::event::{Entry, Event};
use crate::fold::edges::Near;
use crate::fold::thin::{Kept, Thinner};
use crate::plan::Plan;
use crate::probe::News;

/// Least time between two readings of the folds.
const SOONEST: Span = Span::millis(2);
/// A reading may take this part of the time until the next.
const SHARE: u64 = 20;
/// Most samples in one line of the journal.
const LINE: usize = 1000;

/// When the folds are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Next, where samples came that they have not been read for.
    pub(super) due: Option<At>,
    /// Last.
    at: At,
    /// How long that took.
    took: Span,
}

/// One for each probe whose samples do not all stand in the journal. A ledger's do: each is a write of its own.
pub(super) fn thinners(plan: &Plan) -> BTreeMap<String, Thinner> {
    let fast = plan.probes.iter().filter(|(_, probe)| !probe.ledger);
    fast.filter_map(|(id, probe)| Some((id.to_string(), Thinner::new(probe.rate.interval(), probe.timeout)?))).collect()
}

impl Engine {
    pub(super) fn news(&mut self, news: Option<News>) {
        match news {
            Some(News::Samples { probe, rows }) => {
                let turned = self.folds.push(&probe, &rows);
                let now = self.cx.clock.now();
                if let Some(thinner) = self.thinners.get_mut(&probe) {
                    let kept = thinner.push(rows.clone());
                    // Who looks on sees samples as they come, however they are written.
                    let _ = self.watch.send(Entry {
                        seq: self.journal.next_seq(),
                        at: now,
                        event: Event::Samples { probe: probe.clone(), rows },
                    });
                    self.write(&probe, now, kept);
                } else {
                    self.record(Event::Samples { probe, rows });
                }
                for event in turned {
                    self.record(event);
                }
                // A window of seconds is read with each tick; a short one must not wait for it.
                let pace = Span(self.plan.shortest_window().0 / 10).max(SOONEST).max(self.reading.took.times(SHARE));
                if pace < TICK && now >= self.reading.at + pace {
                    self.read_folds();
                } else if pace < TICK {
                    self.reading.due = Some(self.reading.at + pace);
                }
            }
            Some(News::Stall { from, to }) => self.record(Event::Stall { from, to }),
            Some(News::Contended(contended)) => self.record(Event::Contended(contended)),
            None => {
                self.prober = None;
                self.busy.remove("probes");
                let now = self.cx.clock.now();
                for (probe, kept) in self.each(Thinner::end) {
                    self.write(&probe, now, kept);
                }
                self.record(Event::ProbesStopped {});
            }
        }
    }

    /// Reads the folds, unless that was done just now, as measured by how long it took: thousands of samples a second must not keep the loop
    /// from undoing.
    pub(super) fn read_folds_with_tick(&mut self) {
        if self.cx.clock.now() >= self.reading.at + self.reading.took.times(SHARE) {
            self.read_folds();
        }
    }

    pub(super) fn read_folds(&mut self) {
        self.reading.due = None;
        self.reading.at = self.cx.clock.now();
        let readings = self.folds.readings(&self.plan, &self.state);
        self.reading.took = self.cx.clock.now().since(self.reading.at);
        for event in readings {
            self.record(event);
        }
    }

    /// Something happened: what is near it is kept sample by sample.
    pub(super) fn keep_around(&mut self, at: At, near: Near) {
        let now = self.cx.clock.now();
        for (probe, kept) in self.each(|thinner| thinner.edge(at, near)) {
            self.write(&probe, now, kept);
        }
    }

    fn each(&mut self, ask: impl Fn(&mut Thinner) -> Vec<Kept>) -> Vec<(String, Vec<Kept>)> {
        self.thinners.iter_mut().map(|(probe, thinner)| (probe.clone(), ask(thinner))).collect()
    }

    /// Writes what nobody who looks on has to be told again.
    fn write(&mut self, probe: &str, at: At, kept: Vec<Kept>) {
        for one in kept {
            match one {
                Kept::Each(rows) => {
                    for rows in rows.chunks(LINE) {
                        self.journal.append(at, Event::Samples { probe: probe.to_owned(), rows: rows.to_vec() });
                    }
                }
                Kept::Run(run) => drop(self.journal.append(at, Event::Quiet { probe: probe.to_owned(), run })),
            }
        }
    }
}
