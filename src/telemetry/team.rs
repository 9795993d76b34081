//! The people who respond and what calls them: expectations as they stand, alerts of each source, and what people told.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::{Labels, MOST, Sort};
use super::names::{
    ALERTS_FIRING, ALERTS_SEEN, DEEDS, EXPECTATION_LEFT, EXPECTATION_LIMIT, EXPECTATION_STATE, EXPECTATION_TOOK, HINTS, SOURCE_UP,
};
use super::write::Page;
use crate::base::At;
use crate::event::{Deed, TeamEvent};
use crate::measure::facts::Facts;
use crate::plan::Plan;
use crate::response::{ExpectationFacts, FaultSeen, Response, Seen, Verdict, response};
use crate::state::{Item, RunState};

/// Most alerts of a source that are told apart; later ones are counted and not followed.
const MOST_ALERTS: usize = 20 * MOST;
/// Everything that people can tell.
const DEED_WORDS: &[&str] = &["mark", "answer", "step", "note", "message", "command", "handoff", "accept", "reply"];
const STATES: &[&str] = &["waiting", "due", "on_time", "late", "missed", "not_observed", "not_due"];

/// One source of alerts.
#[derive(Debug, Clone, Default)]
struct Source {
    up: Option<bool>,
    seen: u64,
    firing: BTreeSet<String>,
}

/// What was told of the response.
#[derive(Debug, Clone, Default)]
pub(super) struct Team {
    sources: BTreeMap<String, Source>,
    deeds: BTreeMap<&'static str, u64>,
    hints: u64,
}

impl Team {
    /// Takes one event in.
    pub fn event(&mut self, event: &TeamEvent) {
        match event {
            TeamEvent::Alert(alert) => {
                let source = self.source(&alert.source);
                if !alert.firing {
                    source.firing.remove(&alert.key);
                } else if source.firing.contains(&alert.key) {
                    // Told again: it is the same one.
                } else {
                    source.seen += 1;
                    if source.firing.len() < MOST_ALERTS {
                        source.firing.insert(alert.key.clone());
                    }
                }
            }
            TeamEvent::SourceReached { source, .. } => self.source(source).up = Some(true),
            TeamEvent::SourceLost { source, .. } => self.source(source).up = Some(false),
            TeamEvent::Said(said) => *self.deeds.entry(word(&said.deed)).or_default() += 1,
            TeamEvent::Hint { .. } => self.hints += 1,
            TeamEvent::Listening { .. }
            | TeamEvent::Deaf { .. }
            | TeamEvent::Acked(_)
            | TeamEvent::Refused { .. }
            | TeamEvent::Blind { .. }
            | TeamEvent::Revealed { .. }
            | TeamEvent::Prompt { .. }
            | TeamEvent::Paused { .. }
            | TeamEvent::Resumed { .. }
            | TeamEvent::Real { .. }
            | TeamEvent::Met { .. } => {}
        }
    }

    fn source(&mut self, id: &str) -> &mut Source {
        self.sources.entry(id.to_owned()).or_default()
    }

    /// Everything there is to tell; where the run was judged, by the judgement.
    pub fn tell(&self, page: &mut Page, labels: &Labels, plan: &Plan, state: &RunState, now: At, judged: Option<&Facts>) {
        let Some(team) = &plan.team else { return };
        for id in team.signals.keys() {
            let of = [("source", labels.of(Sort::Source, id.as_str()))];
            let source = self.sources.get(id.as_str()).cloned().unwrap_or_default();
            page.one(ALERTS_SEEN, &of, source.seen as f64);
            page.one(ALERTS_FIRING, &of, source.firing.len() as f64);
            if let Some(up) = source.up {
                page.flag(SOURCE_UP, &of, up);
            }
        }
        for deed in DEED_WORDS {
            page.one(DEEDS, &[("deed", deed)], self.deeds.get(deed).copied().unwrap_or_default() as f64);
        }
        page.one(HINTS, &[], self.hints as f64);
        let so_far;
        let (response, open) = match judged {
            Some(facts) => (&facts.team, false),
            None => {
                so_far = as_it_stands(plan, state, now);
                (&so_far, true)
            }
        };
        for (id, expectation) in &response.expectations {
            let name = labels.of(Sort::Expectation, id);
            let of = [("expectation", name)];
            page.one(EXPECTATION_LIMIT, &of, expectation.within.as_secs_f64());
            let word = stands(expectation, open);
            page.states(EXPECTATION_STATE, &of, "state", STATES, word);
            if let (true, Some(due)) = (word == "due", expectation.due) {
                page.one(EXPECTATION_LEFT, &of, due.signed_since(now) as f64 / 1e9);
            }
            if let Some((lo, hi)) = expectation.took {
                page.one(EXPECTATION_TOOK, &[("expectation", name), ("bound", "lower")], lo.as_secs_f64());
                page.one(EXPECTATION_TOOK, &[("expectation", name), ("bound", "upper")], hi.as_secs_f64());
            }
        }
    }
}

/// The response by what the run has shown so far.
fn as_it_stands(plan: &Plan, state: &RunState, now: At) -> Response {
    let fault = |item: &Item| FaultSeen { effective: item.effective, recovered: item.recovered_at, undone: item.undone_at };
    let faults = state.items.iter().map(|(id, item)| (id.clone(), fault(item))).collect();
    let open = state.outcome.is_none() && !state.probes_stopped;
    response(plan, &Seen { stamps: state.team.iter().collect(), steady: state.steady_at, faults, until: now, open, cut: None })
}

/// What is not observed may still come while the run goes on: then its judge gives no reason yet.
fn stands(expectation: &ExpectationFacts, open: bool) -> &'static str {
    match expectation.verdict {
        Verdict::NotObserved if open && expectation.why.is_empty() => {
            if expectation.base.is_some() {
                "due"
            } else {
                "waiting"
            }
        }
        Verdict::OnTime => "on_time",
        Verdict::Late => "late",
        Verdict::Missed => "missed",
        Verdict::NotObserved => "not_observed",
        Verdict::NotDue => "not_due",
    }
}

fn word(deed: &Deed) -> &'static str {
    match deed {
        Deed::Mark { .. } => "mark",
        Deed::Answer { .. } => "answer",
        Deed::Step { .. } => "step",
        Deed::Note { .. } => "note",
        Deed::Message { .. } => "message",
        Deed::Command { .. } => "command",
        Deed::Handoff { .. } => "handoff",
        Deed::Accept {} => "accept",
        Deed::Reply { .. } => "reply",
    }
}
