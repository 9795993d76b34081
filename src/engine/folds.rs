//! What the live drill reads out of its own samples: steady, recovered, turned. The definitions are `fold::steady`'s; nothing is measured here.

use std::collections::BTreeMap;

use crate::base::{At, Id, Span};
use crate::event::{Event, Sample};
use crate::fold::steady::{Bounds, Held, SteadyFold, Turns, Watched};
use crate::plan::{Plan, ProbePlan, SteadyBounds};
use crate::state::RunState;

/// The live readings of one run.
#[derive(Debug)]
pub struct Folds {
    steady: SteadyFold,
    episodes: SteadyFold,
    turns: BTreeMap<String, Turns>,
    written: BTreeMap<String, u64>,
}

/// Steady bounds as the fold takes them.
pub fn bounds_of(bounds: &SteadyBounds) -> Bounds {
    let quantiles = [(0.5, bounds.p50), (0.9, bounds.p90), (0.95, bounds.p95), (0.99, bounds.p99)];
    Bounds {
        success_min: bounds.success.map(|share| share.min.fraction()),
        quantiles: quantiles.into_iter().filter_map(|(q, max)| max.map(|max| (q, max.max))).collect(),
    }
}

fn watched(plan: &Plan, id: &Id, probe: &ProbePlan) -> Watched {
    let bounds = plan.steady.probes.get(id).map(bounds_of).unwrap_or_default();
    Watched { interval: probe.rate.interval(), timeout: probe.timeout, bounds }
}

impl Folds {
    /// Nothing seen yet.
    pub fn new(plan: &Plan) -> Folds {
        let normal: Vec<(String, Watched)> = plan
            .probes
            .iter()
            .filter(|(id, _)| plan.steady.probes.contains_key(*id))
            .map(|(id, probe)| (id.to_string(), watched(plan, id, probe)))
            .collect();
        let all = plan.probes.iter().map(|(id, probe)| (id.to_string(), watched(plan, id, probe))).collect();
        let longest = plan.faults.values().map(|fault| fault.recovery_within + fault.stable_for).max().unwrap_or(Span::ZERO);
        let keep = plan.steady.over.max(longest) + Span::secs(30);
        Folds {
            steady: SteadyFold::new(plan.steady.over, plan.steady.over + Span::secs(30), normal),
            episodes: SteadyFold::new(plan.steady.over, keep, all),
            turns: plan.probes.iter().map(|(id, probe)| (id.to_string(), Turns::new(probe.timeout))).collect(),
            written: plan.probes.iter().filter(|(_, probe)| probe.ledger).map(|(id, _)| (id.to_string(), 0)).collect(),
        }
    }

    /// Takes samples in; returns what people should see at once.
    pub fn push(&mut self, probe: &str, rows: &[Sample]) -> Vec<Event> {
        self.steady.push(probe, rows);
        self.episodes.push(probe, rows);
        if let (Some(written), Some(last)) = (self.written.get_mut(probe), rows.iter().map(|row| row.n + 1).max()) {
            *written = (*written).max(last);
        }
        let turns = self.turns.get_mut(probe).map(|turns| turns.push(rows)).unwrap_or_default();
        turns.into_iter().map(|turn| Event::Turned { probe: probe.to_owned(), up: turn.up, when: turn.when, seen: turn.seen }).collect()
    }

    /// How many writes each ledger has planned.
    pub fn written(&self) -> Vec<(String, u64)> {
        self.written.iter().map(|(id, n)| (id.clone(), *n)).collect()
    }

    /// Why steady state does not hold now; `None` when it does.
    pub fn why_not_steady(&self) -> Option<String> {
        match self.steady.held() {
            Held::Yes { .. } => None,
            Held::No { why } => Some(why),
        }
    }

    /// What the samples say about where the drill is.
    pub fn readings(&self, plan: &Plan, state: &RunState) -> Vec<Event> {
        let mut events = Vec::new();
        if state.baseline_at.is_none() || state.abort.is_some() || state.probes_stopped {
            return events;
        }
        if state.steady_at.is_none() {
            if let Held::Yes { since, summary } = self.steady.held()
                && !state.steady_missed
            {
                events.push(Event::SteadyShown { since, summary });
            }
            return events;
        }
        for (id, fault) in &plan.faults {
            let Some(item) = state.items.get(id.as_str()) else { continue };
            let Some(effect) = item.effective.and_then(|when| when.hi) else { continue };
            if item.recovered_at.is_some() || item.not_recovered_at.is_some() {
                continue;
            }
            let probes: Vec<String> = fault.recovered_by.iter().map(Id::to_string).collect();
            if let Some(when) = self.episodes.recovery(&probes, effect, fault.stable_for) {
                events.push(Event::Recovered { id: id.to_string(), when });
            }
        }
        if let (Some(began), None, Held::Yes { since, .. }) = (state.settle_at, state.steady_after, self.steady.held())
            && since >= began
        {
            events.push(Event::SteadyAfter { since });
        }
        events
    }

    /// Why an episode's probes are not up, for people.
    pub fn why_not_recovered(&self, fault: &Id, limit: Span, at: At) -> String {
        let why = self.why_not_steady().unwrap_or_else(|| "it was up, but not for long enough".to_owned());
        format!("{fault} had not recovered {} after its effect: {why} (at {})", limit.human(), Span(at.0).human())
    }
}
