//! What stands in labels: ids of the plan and words of fixed sets, never free text and never without a bound.

use std::collections::BTreeMap;

use crate::base::one_line;
use crate::plan::Plan;

/// Most ids of one sort that have a label value of their own; the others share [`OTHER`].
pub const MOST: usize = 50;
/// Whoever has no label value of its own: one too many, or not of the plan.
pub const OTHER: &str = "other";
/// Longest value.
const LONGEST: usize = 80;

/// A sort of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    Item,
    Probe,
    Guard,
    Claim,
    Expectation,
    Source,
}

impl Sort {
    /// What it is called where ids are hidden.
    fn word(self) -> &'static str {
        match self {
            Sort::Item => "item",
            Sort::Probe => "probe",
            Sort::Guard => "guard",
            Sort::Claim => "claim",
            Sort::Expectation => "expectation",
            Sort::Source => "source",
        }
    }
}

/// Label values of one run.
#[derive(Debug, Clone)]
pub(super) struct Labels {
    known: BTreeMap<(Sort, String), String>,
    /// By fault: its kind.
    kinds: BTreeMap<String, String>,
    /// The scenario.
    pub scenario: String,
}

impl Labels {
    /// Those of a plan. Where they are hidden, numbers in the place of ids, and neither the scenario's name nor kinds of faults.
    pub fn new(plan: &Plan, hide: bool) -> Labels {
        let faults = plan.faults.keys().map(ToString::to_string);
        let systems = plan.system.keys().map(|id| format!("system/{id}"));
        let proxies = plan.proxies.keys().map(|id| format!("proxy/{id}"));
        let ledgers = plan.probes.iter().filter(|(_, probe)| probe.ledger).map(|(id, _)| format!("ledger/{id}"));
        let team = plan.team.as_ref();
        let of = |ids: &mut dyn Iterator<Item = String>, sort: Sort| -> Vec<(Sort, String)> { ids.map(|id| (sort, id)).collect() };
        let all = [
            of(&mut faults.chain(systems).chain(proxies).chain(ledgers), Sort::Item),
            of(&mut plan.probes.keys().map(ToString::to_string), Sort::Probe),
            of(&mut plan.guards.keys().map(ToString::to_string), Sort::Guard),
            of(&mut plan.claims.keys().map(ToString::to_string), Sort::Claim),
            of(&mut team.into_iter().flat_map(|team| team.expect.keys()).map(ToString::to_string), Sort::Expectation),
            of(&mut team.into_iter().flat_map(|team| team.signals.keys()).map(ToString::to_string), Sort::Source),
        ];
        let mut known = BTreeMap::new();
        for ids in all {
            for (n, (sort, id)) in ids.into_iter().take(MOST).enumerate() {
                let value = if hide { format!("{}-{}", sort.word(), n + 1) } else { one_line(&id, LONGEST) };
                known.insert((sort, id), value);
            }
        }
        let hidden = |text: &str| if hide { "hidden".to_owned() } else { one_line(text, LONGEST) };
        let kinds = plan.faults.iter().map(|(id, fault)| (id.to_string(), hidden(&fault.kind))).collect();
        Labels { known, kinds, scenario: hidden(&plan.name) }
    }

    /// The value for an id.
    pub fn of(&self, sort: Sort, id: &str) -> &str {
        self.known.get(&(sort, id.to_owned())).map_or(OTHER, String::as_str)
    }

    /// The kind of a fault.
    pub fn kind(&self, fault: &str) -> &str {
        match self.known.get(&(Sort::Item, fault.to_owned())) {
            Some(_) => self.kinds.get(fault).map_or(OTHER, String::as_str),
            None => OTHER,
        }
    }
}
