//! Where we are: the only transition table. Live running, taking over after a crash and audits all call [`RunState::apply`]; nobody derives a
//! phase anywhere else.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::base::{At, Interval, Span};
use crate::event::{Entry, Event, Outcome, Role, Stamp, TeamEvent, UndoRecord};

/// Where one armed item is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemPhase {
    /// Its undo is durable; it may or may not have been touched.
    Armed,
    /// The injector was called.
    Injecting,
    /// The injector returned well.
    Active,
    /// Nobody knows whether it bites: it owes an undo at once.
    Suspect,
    /// An undo attempt is under way.
    Undoing,
    /// The last undo attempt failed.
    UndoFailed,
    /// Somebody looked and agreed that it is undone.
    Undone,
    /// Its undo is somebody else's.
    LeftTo,
}

impl ItemPhase {
    /// Whether an undo is owed.
    pub fn owes(self) -> bool {
        !matches!(self, ItemPhase::Undone | ItemPhase::LeftTo)
    }

    /// The word of reports.
    pub fn word(self) -> &'static str {
        match self {
            ItemPhase::Armed => "armed",
            ItemPhase::Injecting => "injecting",
            ItemPhase::Active => "active",
            ItemPhase::Suspect => "suspect",
            ItemPhase::Undoing => "undoing",
            ItemPhase::UndoFailed => "undo_failed",
            ItemPhase::Undone => "undone",
            ItemPhase::LeftTo => "left_to",
        }
    }
}

/// An item that was armed.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Support or fault.
    pub role: Role,
    /// Where it is.
    pub phase: ItemPhase,
    /// How to undo it.
    pub undo: Box<UndoRecord>,
    /// What is hit, for people.
    pub targets: Vec<String>,
    /// When its undo became durable.
    pub armed_at: At,
    /// `t_cmd`.
    pub command_at: Option<At>,
    /// `t_eff`.
    pub effective: Option<Interval>,
    /// No effect was seen in time.
    pub not_confirmed: bool,
    /// When it was decided that it has recovered.
    pub recovered_at: Option<At>,
    /// When the recovery limit passed.
    pub not_recovered_at: Option<At>,
    /// A person let go.
    pub released_at: Option<At>,
    /// Failed undo attempts of the present process; a crash spends none.
    pub failed_undos: u32,
    /// The present process has given up.
    pub gave_up: bool,
    /// When the last undo attempt failed.
    pub undo_failed_at: Option<At>,
    /// What was tried and what it answered.
    pub tried: Vec<String>,
    /// When it was seen to be undone.
    pub undone_at: Option<At>,
}

/// Where a run is. A fold of the journal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunState {
    /// The first entry was seen.
    pub started: bool,
    /// Previews of faults: item → targets.
    pub previews: IndexMap<String, Vec<String>>,
    /// Subject values captured before.
    pub subjects_before: usize,
    /// The ledgers' readers were asked before anything was written.
    pub ledgers_checked: bool,
    /// Subject values captured after.
    pub subjects_after: usize,
    /// When baseline began.
    pub baseline_at: Option<At>,
    /// When steady state was shown.
    pub steady_at: Option<At>,
    /// Steady state was not shown in time.
    pub steady_missed: bool,
    /// Everything that was armed, in order.
    pub items: IndexMap<String, Item>,
    /// Faults that are not run, and why.
    pub not_run: IndexMap<String, String>,
    /// Restore steps that ended: how.
    pub restored: IndexMap<String, String>,
    /// The drill is to end now: by whom, and why.
    pub abort: Option<(String, String)>,
    /// When settle began.
    pub settle_at: Option<At>,
    /// Steady state after the last undo: `Some(true)` held, `Some(false)` missed.
    pub steady_after: Option<bool>,
    /// Probes have stopped.
    pub probes_stopped: bool,
    /// Ledgers were read back.
    pub ledgers_read: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// A fresh process took over.
    pub taken_over: bool,
    /// The journal cannot be relied on.
    pub poisoned: bool,
    /// When it was seen that the machine had slept, and for how long: time that CLOCK_MONOTONIC does not count.
    pub sleeps: Vec<(At, Span)>,
    /// What people and their machines told.
    pub team: Vec<Stamp>,
    /// Expectations that were met, and when.
    pub met: IndexMap<String, At>,
    /// Hints that were given.
    pub hinted: BTreeSet<String>,
}

/// An event that may not follow what went before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {what} while `{item}` is {phase}")]
pub struct Illegal {
    /// The entry.
    pub seq: u64,
    /// The event.
    pub what: &'static str,
    /// The item.
    pub item: String,
    /// Where it is.
    pub phase: &'static str,
}

impl RunState {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// The first entry that may not follow what went before.
    pub fn of(entries: &[Entry]) -> Result<RunState, Illegal> {
        let mut state = RunState::default();
        for entry in entries {
            state.apply(entry)?;
        }
        Ok(state)
    }

    /// Folds a journal that may be damaged: what may not follow is skipped, for a doubtful undo is better than none. Returns the entries that were
    /// taken in, and the items of which something was heard that was never armed and not undone: how to undo those is not known.
    pub fn of_what_is_left(entries: Vec<Entry>) -> (RunState, Vec<Entry>, BTreeSet<String>) {
        let mut state = RunState::default();
        let mut lost = BTreeSet::new();
        let mut kept = Vec::new();
        for entry in entries {
            match state.apply(&entry) {
                Ok(()) => kept.push(entry),
                Err(Illegal { what: "undone" | "left_to", item, .. }) => drop(lost.remove(&item)),
                Err(Illegal { what, item, .. }) if what != "released" && !state.items.contains_key(&item) => drop(lost.insert(item)),
                Err(_) => {}
            }
        }
        (state, kept, lost)
    }

    /// How long the machine has slept since then. Holds and limits count that time; measurement does not (design, Clocks).
    pub fn slept_since(&self, at: At) -> Span {
        self.sleeps.iter().filter(|(seen, _)| *seen > at).fold(Span::ZERO, |sum, (_, slept)| sum + *slept)
    }

    /// Everything that owes an undo, in the order it was armed.
    pub fn owed(&self) -> impl DoubleEndedIterator<Item = (&String, &Item)> {
        self.items.iter().filter(|(_, item)| item.phase.owes())
    }

    /// Whether every fault of the scenario that was armed is done with.
    pub fn faults_done(&self) -> bool {
        self.items.values().all(|item| item.role == Role::Support || !item.phase.owes())
    }

    /// Takes one entry in.
    ///
    /// # Errors
    /// The entry may not follow what went before; the state is unchanged then.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), Illegal> {
        let at = entry.at;
        match &entry.event {
            Event::RunStarted { .. } => self.started = true,
            Event::Armed { id, role, undo, targets, .. } => self.arm(entry, id, *role, undo, targets)?,
            Event::Injecting { id } => {
                let item = self.step(entry, id, "injecting", &[ItemPhase::Armed])?;
                item.phase = ItemPhase::Injecting;
                item.command_at = Some(at);
            }
            Event::Injected { id } => self.step(entry, id, "injected", &[ItemPhase::Injecting])?.phase = ItemPhase::Active,
            Event::InjectFailed { id, error } => {
                let item = self.step(entry, id, "inject_failed", &[ItemPhase::Armed, ItemPhase::Injecting])?;
                item.phase = ItemPhase::Suspect;
                let why = error.clone();
                self.abort_for(format!("inject {id}"), why);
            }
            Event::Effective { id, when, .. } => self.step(entry, id, "effective", &[ItemPhase::Active])?.effective = Some(*when),
            Event::NotConfirmed { id, .. } => self.step(entry, id, "not_confirmed", &[ItemPhase::Active])?.not_confirmed = true,
            Event::Undoing { id, .. } => {
                use ItemPhase::{Active, Armed, Suspect, UndoFailed};
                self.step(entry, id, "undoing", &[Armed, Active, Suspect, UndoFailed])?.phase = ItemPhase::Undoing;
            }
            Event::UndoFailed { id, error, last, .. } => {
                let item = self.step(entry, id, "undo_failed", &[ItemPhase::Undoing])?;
                item.phase = ItemPhase::UndoFailed;
                item.failed_undos += 1;
                item.gave_up = *last;
                item.undo_failed_at = Some(at);
                item.tried.push(error.clone());
            }
            Event::Undone { id, .. } => {
                let item = self.step(entry, id, "undone", &[ItemPhase::Undoing])?;
                item.phase = ItemPhase::Undone;
                item.undone_at = Some(at);
            }
            Event::LeftTo { id, .. } => self.step(entry, id, "left_to", &[ItemPhase::Undoing])?.phase = ItemPhase::LeftTo,
            Event::Recovered { id, .. } => self.known(entry, id, "recovered")?.recovered_at = Some(at),
            Event::NotRecovered { id, .. } => self.known(entry, id, "not_recovered")?.not_recovered_at = Some(at),
            Event::Released { id, .. } => self.known(entry, id, "released")?.released_at = Some(at),
            Event::TakenOver { by, why, .. } => self.take_over(by, why),
            _ => self.apply_run(entry),
        }
        Ok(())
    }

    /// The entries that concern the run as a whole.
    fn apply_run(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Previewed { id, targets, .. } => drop(self.previews.insert(id.clone(), targets.clone())),
            Event::Subject { when, .. } if when == "before" => self.subjects_before += 1,
            Event::LedgersChecked {} => self.ledgers_checked = true,
            Event::Subject { .. } => self.subjects_after += 1,
            Event::BaselineStarted {} => self.baseline_at = Some(entry.at),
            Event::SteadyShown { .. } => self.steady_at = Some(entry.at),
            Event::SteadyMissed { .. } => self.steady_missed = true,
            Event::NotRun { id, why } => drop(self.not_run.insert(id.clone(), why.clone())),
            Event::Restored { id, result, .. } => drop(self.restored.insert(id.clone(), result.clone())),
            Event::AbortRequested { by, reason } => self.abort_for(by.clone(), reason.clone()),
            Event::GuardBreached { id, why } => self.abort_for(format!("guard {id}"), why.clone()),
            Event::SettleStarted {} => self.settle_at = Some(entry.at),
            Event::SteadyAfter { .. } => self.steady_after = Some(true),
            Event::NotSteadyAfter { .. } => self.steady_after = Some(false),
            Event::ProbesStopped {} => self.probes_stopped = true,
            Event::LedgersRead {} => self.ledgers_read = true,
            Event::Suspended { slept } => self.sleeps.push((entry.at, *slept)),
            Event::JournalPoisoned { why } => {
                self.poisoned = true;
                self.abort_for("journal".into(), why.clone());
            }
            Event::RunFinished { outcome } => self.outcome = Some(*outcome),
            Event::Team(event) => self.team_event(entry, event),
            // Data and remarks move nothing; item events are handled by `apply`.
            _ => {}
        }
    }

    fn team_event(&mut self, entry: &Entry, event: &TeamEvent) {
        match event {
            TeamEvent::Met { id, at, .. } => drop(self.met.entry(id.clone()).or_insert(*at)),
            TeamEvent::Hint { id, .. } => drop(self.hinted.insert(id.clone())),
            _ => {}
        }
        self.team.push(Stamp { seq: entry.seq, at: entry.at, event: event.clone() });
    }

    fn abort_for(&mut self, by: String, reason: String) {
        if self.abort.is_none() {
            self.abort = Some((by, reason));
        }
    }

    /// A fresh process cannot know how far the dead one got: what was under way is suspect, and no attempt counts as spent.
    fn take_over(&mut self, by: &str, why: &str) {
        self.taken_over = true;
        self.probes_stopped = true;
        for item in self.items.values_mut() {
            item.failed_undos = 0;
            item.gave_up = false;
            item.undo_failed_at = None;
            if matches!(item.phase, ItemPhase::Injecting | ItemPhase::Undoing | ItemPhase::Armed | ItemPhase::UndoFailed) {
                item.phase = ItemPhase::Suspect;
            }
        }
        self.abort_for(by.to_owned(), why.to_owned());
    }

    fn arm(&mut self, entry: &Entry, id: &str, role: Role, undo: &UndoRecord, targets: &[String]) -> Result<(), Illegal> {
        if let Some(item) = self.items.get(id)
            && item.phase.owes()
        {
            return Err(Illegal { seq: entry.seq, what: "armed", item: id.to_owned(), phase: item.phase.word() });
        }
        let item = Item {
            role,
            phase: ItemPhase::Armed,
            undo: Box::new(undo.clone()),
            targets: targets.to_vec(),
            armed_at: entry.at,
            command_at: None,
            effective: None,
            not_confirmed: false,
            recovered_at: None,
            not_recovered_at: None,
            released_at: None,
            failed_undos: 0,
            gave_up: false,
            undo_failed_at: None,
            tried: Vec::new(),
            undone_at: None,
        };
        self.items.insert(id.to_owned(), item);
        Ok(())
    }

    fn known(&mut self, entry: &Entry, id: &str, what: &'static str) -> Result<&mut Item, Illegal> {
        self.items.get_mut(id).ok_or_else(|| Illegal { seq: entry.seq, what, item: id.to_owned(), phase: "not armed" })
    }

    fn step(&mut self, entry: &Entry, id: &str, what: &'static str, from: &[ItemPhase]) -> Result<&mut Item, Illegal> {
        let item = self.known(entry, id, what)?;
        if from.contains(&item.phase) {
            Ok(item)
        } else {
            Err(Illegal { seq: entry.seq, what, item: id.to_owned(), phase: item.phase.word() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn entry(seq: u64, event: Event) -> Entry {
        Entry { seq, at: At(seq), event }
    }

    fn armed(id: &str) -> Event {
        let undo = Box::new(UndoRecord { kind: "rehearse.nothing".into(), detail: Value::Null, by_hand: "true".into(), declared: None });
        Event::Armed { id: id.into(), role: Role::Fault, undo, targets: vec![], summary: String::new() }
    }

    #[test]
    fn a_whole_life_ends_with_nothing_owed() {
        let id = || "x".to_owned();
        let events = [
            armed("x"),
            Event::Injecting { id: id() },
            Event::Injected { id: id() },
            Event::Effective { id: id(), when: Interval::exact(At(3)), seen: String::new() },
            Event::Undoing { id: id(), attempt: 1, why: String::new() },
            Event::UndoFailed { id: id(), attempt: 1, error: "no".into(), last: false },
            Event::Undoing { id: id(), attempt: 2, why: String::new() },
            Event::Undone { id: id(), when: Interval::exact(At(7)), seen: String::new() },
        ];
        let mut state = RunState::default();
        for (seq, event) in events.into_iter().enumerate() {
            assert_eq!(state.owed().count(), usize::from(seq > 0), "before {event:?}");
            state.apply(&entry(seq as u64, event)).unwrap();
        }
        assert_eq!(state.owed().count(), 0);
    }

    #[test]
    fn what_may_not_follow_is_named() {
        let mut state = RunState::default();
        state.apply(&entry(0, armed("x"))).unwrap();
        let error =
            state.apply(&entry(1, Event::Undone { id: "x".into(), when: Interval::exact(At(0)), seen: String::new() })).unwrap_err();
        assert_eq!(error.to_string(), "entry 1: undone while `x` is armed");
        assert!(state.apply(&entry(2, armed("x"))).is_err(), "armed twice");
        assert!(state.apply(&entry(3, Event::Injected { id: "y".into() })).is_err(), "never armed");
    }

    #[test]
    fn what_is_left_of_a_damaged_journal_says_what_is_lost() {
        let undone = |id: &str| Event::Undone { id: id.into(), when: Interval::exact(At(0)), seen: String::new() };
        let events = [
            Event::Injecting { id: "lost".into() },
            armed("x"),
            Event::Injected { id: "x".into() },
            Event::Injecting { id: "came-back".into() },
            undone("came-back"),
            Event::Released { id: "never-there".into(), by: String::new() },
        ];
        let entries = (0..).zip(events).map(|(seq, event)| entry(seq, event)).collect();
        let (state, kept, lost) = RunState::of_what_is_left(entries);
        assert_eq!(kept.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1]);
        assert_eq!(state.items["x"].phase, ItemPhase::Armed);
        assert_eq!(lost.into_iter().collect::<Vec<_>>(), ["lost"]);
        assert!(RunState::of(&kept).is_ok());
    }

    #[test]
    fn a_fresh_process_suspects_what_was_under_way_and_spends_no_attempt() {
        let mut state = RunState::default();
        for (seq, event) in [
            armed("x"),
            Event::Injecting { id: "x".into() },
            Event::Injected { id: "x".into() },
            Event::Undoing { id: "x".into(), attempt: 1, why: String::new() },
            Event::TakenOver { by: "watchdog".into(), dropped: 0, why: "runner died".into() },
        ]
        .into_iter()
        .enumerate()
        {
            state.apply(&entry(seq as u64, event)).unwrap();
        }
        assert_eq!(state.items["x"].phase, ItemPhase::Suspect);
        assert_eq!(state.items["x"].failed_undos, 0);
        assert!(state.abort.is_some());
    }
}
