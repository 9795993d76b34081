//! What happened: every line that a journal can hold. Owned and serialisable, the only interface between those who act and those who
//! read. Events must never know who produced them or who reads them.

mod bulk;
mod calibrated;
mod contended;
mod ending;
mod legs;
mod outcome;
mod quiet;
mod sample;
mod team;
mod undo;
mod words;

use serde::{Deserialize, Serialize};

pub use calibrated::Calibrated;
pub use contended::Contended;
pub use ending::CutShort;
pub use legs::{Leg, Legs};
pub use outcome::Outcome;
pub use quiet::{Packed, Quiet};
pub use sample::{BROKE, Class, Sample, Verdict, unmet};
pub use team::{AckSeen, AlertSeen, Deed, Said, Stamp, TeamEvent};
pub use undo::{DeclaredUndo, UndoRecord};
pub use words::Words;

pub use crate::base::ClockAnchor;
use crate::base::{At, Digest, Interval, Span};

/// The version of the journal's format, written in [`Event::RunStarted`].
pub const SCHEMA: u32 = 1;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Dense, from 0.
    pub seq: u64,
    /// When it was written, on the run's clock.
    pub at: At,
    /// What happened.
    pub event: Event,
}

/// What an armed item is: something the drill needs, or something it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A `system:` process or a proxy: started first, stopped last.
    Support,
    /// A fault of the scenario.
    Fault,
}

/// Everything that can happen in a run. `id` of an item is a fault's id, `system/ID` or `proxy/ID`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// First line of every journal.
    RunStarted {
        /// Version of the journal's format.
        schema: u32,
        /// Version of firedrill.
        firedrill: String,
        /// The run's id.
        run: String,
        /// Digest of `plan.json`.
        plan_digest: Digest,
        /// The runner's process id.
        pid: u32,
    },
    /// Raw clocks; repeated each second by whoever writes.
    Anchor(ClockAnchor),
    /// What true outages showed about this machine before.
    Calibrated(Calibrated),
    /// A fresh process took over from a dead or silent one.
    TakenOver {
        /// `watchdog` or `undo`.
        by: String,
        /// Bytes of a torn last line that were dropped.
        dropped: u64,
        /// What made it act.
        why: String,
    },
    /// The watchdog is there and has acknowledged.
    WatchdogStarted {
        /// Its process id.
        pid: u32,
    },
    /// The watchdog went away.
    WatchdogLost {},
    /// Probes are running; baseline begins.
    BaselineStarted {},
    /// Steady state has held for its window.
    SteadyShown {
        /// First instant of the window that held.
        since: At,
        /// A sentence for people, for example `checkout 100 %, p99 11 ms, served by a`.
        summary: String,
    },
    /// Steady state was not shown in time.
    SteadyMissed {
        /// Which bound was not met.
        why: String,
    },
    /// Something of what was tested, before or after.
    Subject {
        /// `before` or `after`.
        when: String,
        /// The subject's id.
        id: String,
        /// What was seen; absent when it could not be seen.
        value: Option<String>,
    },
    /// A target that is only known late was resolved.
    TargetResolved {
        /// The target's id.
        id: String,
        /// The candidates it is.
        is: Vec<String>,
    },
    /// Targets were looked for before anything was touched.
    Previewed {
        /// The fault.
        id: String,
        /// What would be hit, for people.
        targets: Vec<String>,
        /// How many there are of that sort, when it is known.
        population: Option<u64>,
        /// What would be done, for people.
        summary: String,
        /// How to undo it by hand.
        by_hand: String,
    },
    /// The undo is durable: the item may now be injected. The only event that waits for the disk.
    Armed {
        /// The item.
        id: String,
        /// Support or fault.
        role: Role,
        /// How to undo it.
        undo: Box<UndoRecord>,
        /// What exactly is hit, for people: `primary, pid 4121`.
        targets: Vec<String>,
        /// What will be done, for people: `SIGKILL to primary, pid 4121`.
        summary: String,
    },
    /// The injector is about to be called: `t_cmd`.
    Injecting {
        /// The item.
        id: String,
    },
    /// The injector returned well: `t_ack`.
    Injected {
        /// The item.
        id: String,
    },
    /// The injector failed or ran out of time: the item is suspect and owes an undo at once.
    InjectFailed {
        /// The item.
        id: String,
        /// Why.
        error: String,
    },
    /// The fault was seen to bite (or a support item to be ready): `t_eff`.
    Effective {
        /// The item.
        id: String,
        /// From the last look without effect to the first with it.
        when: Interval,
        /// What was seen.
        seen: String,
    },
    /// No effect was seen in time: the run is invalid.
    NotConfirmed {
        /// The item.
        id: String,
        /// What was seen instead.
        why: String,
    },
    /// An undo attempt begins: `t_undo` when it is the first.
    Undoing {
        /// The item.
        id: String,
        /// From 1.
        attempt: u32,
        /// Why now: `held 60 s`, `recovered`, `abort` …
        why: String,
    },
    /// An undo attempt failed.
    UndoFailed {
        /// The item.
        id: String,
        /// From 1.
        attempt: u32,
        /// What was tried and what it answered.
        error: String,
        /// No more attempts by this process.
        last: bool,
    },
    /// Somebody looked and agreed: the world is as it was.
    Undone {
        /// The item.
        id: String,
        /// From the last look without to the first with it.
        when: Interval,
        /// What was seen.
        seen: String,
    },
    /// The undo is somebody else's, and it was not seen to happen.
    LeftTo {
        /// The item.
        id: String,
        /// Who.
        who: String,
    },
    /// A batch of samples of one probe, in order of planned time within the batch.
    Samples {
        /// The probe.
        probe: String,
        /// The samples.
        rows: Vec<Sample>,
    },
    /// Good samples of a fast probe, far from any edge, as their distribution.
    Quiet {
        /// The probe.
        probe: String,
        /// The samples.
        run: Box<Quiet>,
    },
    /// A probe turned from up to down or back, for the eyes of people; numbers come from the samples.
    Turned {
        /// The probe.
        probe: String,
        /// Up or down.
        up: bool,
        /// When, with bounds.
        when: Interval,
        /// In a few words: `connection reset`, `answering again, served by b`.
        seen: String,
    },
    /// All probes of the episode have been steady for `stable_for`.
    Recovered {
        /// The fault.
        id: String,
        /// First good sample of the stable time, with bounds.
        when: Interval,
    },
    /// The episode's limit has passed without recovery.
    NotRecovered {
        /// The fault.
        id: String,
        /// Which bound was not met.
        why: String,
    },
    /// A later fault is not injected.
    NotRun {
        /// The fault.
        id: String,
        /// Why.
        why: String,
    },
    /// A person let go of a fault that is held until released.
    Released {
        /// The fault.
        id: String,
        /// Who.
        by: String,
    },
    /// A restore step ended.
    Restored {
        /// The step.
        id: String,
        /// When its command started.
        started: At,
        /// `done`, `failed`, `skipped`.
        result: String,
        /// Details for people.
        detail: String,
    },
    /// A guard was asked; written when its answer changes and for the deciding one.
    Guard {
        /// The guard.
        id: String,
        /// `ok`, `bad`, `no_data`.
        state: String,
        /// What was seen.
        seen: String,
        /// When the deciding look began.
        looked: At,
    },
    /// A guard failed as often as it may: the drill aborts.
    GuardBreached {
        /// The guard.
        id: String,
        /// What was seen.
        why: String,
    },
    /// A `system:` process ended by itself or by a fault.
    SystemExited {
        /// `system/ID`.
        id: String,
        /// How: `signal 9`, `exit 1`.
        how: String,
    },
    /// A `system:` process was started again by its own restart rule.
    SystemRestarted {
        /// `system/ID`.
        id: String,
        /// Its new process id.
        pid: u32,
    },
    /// The last fault is undone; steady state must hold once more.
    SettleStarted {},
    /// Steady state held after the last undo.
    SteadyAfter {
        /// First instant of the window that held.
        since: At,
    },
    /// Steady state did not come back after the last undo.
    NotSteadyAfter {
        /// Which bound was not met.
        why: String,
    },
    /// Probes have stopped and drained.
    ProbesStopped {},
    /// One reader's answer about a ledger.
    LedgerRead {
        /// The ledger probe.
        ledger: String,
        /// The reader, for people.
        reader: String,
        /// Whether loss is judged here.
        authority: bool,
        /// Two successive full reads agreed.
        settled: bool,
        /// Write numbers found, as inclusive ranges.
        found: Vec<(u64, u64)>,
        /// Write numbers found more than once.
        duplicated: Vec<u64>,
        /// Keys found that this run never wrote.
        unexpected: u64,
        /// Write numbers found that its first full read did not have, as inclusive ranges.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        appeared: Vec<(u64, u64)>,
        /// Why it could not be read, when it could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Every reader of every ledger was asked before anything was written, and holds none of this run's keys.
    LedgersChecked {},
    /// Ledger read-back is over.
    LedgersRead {},
    /// Somebody or something wants the drill to end now.
    AbortRequested {
        /// `signal INT`, `guard neighbours`, `watchdog lost`, a person.
        by: String,
        /// Why.
        reason: String,
    },
    /// The prober itself stood still: outages must not be read from this time.
    Stall {
        /// Last sign of life before.
        from: At,
        /// First sign of life after.
        to: At,
    },
    /// A fault was over before anybody undid it.
    CutShort(CutShort),
    /// The prober's threads waited for a processor.
    Contended(Contended),
    /// Wall time jumped against the monotonic clock.
    ClockStep {
        /// By how much, in nanoseconds; positive when wall time jumped ahead.
        by_ns: i64,
    },
    /// The machine slept.
    Suspended {
        /// How long.
        slept: Span,
    },
    /// Disk trouble: no more faults are injected, undo goes on from memory.
    JournalPoisoned {
        /// What the disk answered.
        why: String,
    },
    /// Anything that people should see in the timeline.
    Note {
        /// The text.
        text: String,
    },
    /// Something about the people who respond, or of what calls them.
    Team(TeamEvent),
    /// Last line of a run; only undo entries may follow.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_json() {
        let sample = Sample {
            n: 3,
            planned: At(1),
            woken: At(2),
            sent: At(3),
            done: At(4),
            verdict: Verdict::Bad,
            class: Class::Status,
            by: None,
            note: Some("status 503".into()),
            legs: Legs::default(),
        };
        let entry = Entry { seq: 1, at: At(9), event: Event::Samples { probe: "checkout".into(), rows: vec![sample] } };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(
            text,
            r#"{"seq":1,"at":9,"event":{"type":"samples","probe":"checkout","rows":[[3,1,2,3,4,"bad","status",null,"status 503"]]}}"#
        );
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        let bare = Entry { seq: 0, at: At(0), event: Event::LedgersRead {} };
        assert_eq!(serde_json::from_str::<Entry>(&serde_json::to_string(&bare).unwrap()).unwrap(), bare);
    }
}
