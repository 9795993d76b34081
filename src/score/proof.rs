//! Which entries of the journal prove what is said of an episode: read from the timeline, whose lines carry their entry.

use crate::base::{At, Id};
use crate::measure::facts::{Facts, Moment};
use crate::plan::Plan;

/// The entries of one episode.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proof {
    /// The call, the effect, the edges that probes saw, recovery and undo.
    episode: Vec<u64>,
    /// The call and the begin of the undo: what bounds the time in which probes were sampled.
    phase: Vec<u64>,
    /// Steady state after the last undo.
    settle: Vec<u64>,
    /// By ledger.
    ledgers: Vec<(String, u64)>,
}

const OF_A_FAULT: [&str; 7] = ["inject", "effective", "not confirmed", "recovered", "not recovered", "undo", "undone"];
/// More edges than this prove nothing further.
const MOST: usize = 12;

impl Proof {
    pub(super) fn new(plan: &Plan, facts: &Facts, fault: &str) -> Proof {
        let several = plan.faults.len() > 1;
        let own = |m: &Moment| !several || m.text.starts_with(&format!("{fault}: "));
        let of = |names: &[&str]| -> Vec<u64> {
            let mine = facts.timeline.iter().filter(|m| names.contains(&m.what.as_str()) && own(m));
            mine.map(|m| m.seq).collect()
        };
        let episode = facts.episodes.get(fault);
        let from = episode.and_then(|e| e.command).unwrap_or(At(u64::MAX));
        let until = episode.and_then(|e| e.stable_up.and_then(|up| up.hi).or(e.undo_started)).unwrap_or(facts.run.end);
        let watched = plan.faults.get(fault).map(|f| &f.recovered_by);
        let edges = facts.timeline.iter().filter(|m| {
            let probe = m.source.strip_prefix("probe ");
            m.at >= from && m.at <= until && probe.is_some_and(|p| watched.is_some_and(|w| w.iter().any(|id| id.as_str() == p)))
        });
        let mut entries: Vec<u64> = of(&OF_A_FAULT).into_iter().chain(edges.map(|m| m.seq).take(MOST)).collect();
        entries.sort_unstable();
        entries.dedup();
        Proof {
            episode: entries,
            phase: of(&["inject", "effective", "undo"]),
            settle: facts.timeline.iter().filter(|m| m.what == "settle").map(|m| m.seq).collect(),
            ledgers: facts
                .timeline
                .iter()
                .filter(|m| m.what == "ledger")
                .filter_map(|m| Some((m.text.split_once(": ")?.0.to_owned(), m.seq)))
                .collect(),
        }
    }

    pub(super) fn recovery(&self) -> Vec<u64> {
        self.episode.clone()
    }

    pub(super) fn phase(&self) -> Vec<u64> {
        self.phase.clone()
    }

    pub(super) fn settle(&self) -> Vec<u64> {
        self.settle.clone()
    }

    pub(super) fn ledger(&self, id: &str) -> Vec<u64> {
        self.ledgers.iter().filter(|(ledger, _)| ledger == id).map(|(_, seq)| *seq).collect()
    }
}

/// The entries that show a finding: those of the claim's episode, of a ledger, or of settle.
pub(super) fn of_finding(plan: &Plan, facts: &Facts, id: &str) -> Vec<u64> {
    let of = id.split('.').next().unwrap_or(id);
    let fault = plan.claims.get(of).map_or_else(|| plan.faults.keys().next().map_or("", Id::as_str), |claim| claim.fault.as_str());
    let proof = Proof::new(plan, facts, fault);
    let ledger = plan.claims.get(of).and_then(|claim| claim.rpo.as_ref()).map(|rpo| rpo.ledger.as_str());
    let own = match ledger {
        Some(ledger) if id.ends_with(".rpo") => proof.ledger(ledger),
        None if facts.ledgers.contains_key(of) => proof.ledger(of),
        None if id == "steady-after" => proof.settle(),
        _ => Vec::new(),
    };
    if own.is_empty() { proof.recovery() } else { own }
}
