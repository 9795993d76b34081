//! A workload merged into a scenario that names it. The scenario may add and tighten, never loosen.

use super::finding::Finding;
use super::model::{Map, MaxSpan, Scenario, SteadyBounds};

/// A problem in the scenario with the place in the workload that it runs against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The problem, by place in the scenario.
    pub finding: Finding,
    /// Where the workload says otherwise, and what to write there.
    pub there: (String, String),
}

/// The scenario with the workload's parts in front of its own.
pub fn merge(mut scenario: Scenario, workload: Scenario) -> (Scenario, Vec<Clash>) {
    let mut clashes = Vec::new();
    scenario.probes = join("probes", workload.probes, scenario.probes, &mut clashes);
    scenario.guards = join("guards", workload.guards, scenario.guards, &mut clashes);
    scenario.claims = join("claims", workload.claims, scenario.claims, &mut clashes);
    let mut steady = workload.steady_state;
    match (steady.over, scenario.steady_state.over) {
        (Some(there), Some(here)) if here < there => clashes.push(looser("/steady_state/over", &here.to_string(), &there.to_string())),
        (_, Some(here)) => steady.over = Some(here),
        (_, None) => {}
    }
    for (id, bounds) in scenario.steady_state.probes {
        let merged = steady.probes.entry(id.clone()).or_default();
        tighten(merged, bounds, &format!("/steady_state/probes/{id}"), &mut clashes);
    }
    scenario.steady_state = steady;
    scenario.components = scenario.components.or(workload.components);
    scenario.cadence = scenario.cadence.or(workload.cadence);
    (scenario, clashes)
}

fn join<T>(section: &str, there: Map<T>, here: Map<T>, clashes: &mut Vec<Clash>) -> Map<T> {
    let mut out = there;
    for (id, value) in here {
        if out.contains_key(&id) {
            let at = format!("/{section}/{id}");
            let what = section.trim_end_matches('s');
            let finding = Finding::error(at.clone(), format!("the workload declares the {what} `{id}` already"), "declared again")
                .on_key()
                .help("a scenario may add to its workload, not redefine it: choose another id");
            clashes.push(Clash { finding, there: (at, "first declared here".to_owned()) });
        } else {
            out.insert(id, value);
        }
    }
    out
}

fn tighten(merged: &mut SteadyBounds, own: SteadyBounds, at: &str, clashes: &mut Vec<Clash>) {
    match (merged.success, own.success) {
        (Some(there), Some(here)) if here.min < there.min => {
            clashes.push(looser(&format!("{at}/success/min"), &here.min.to_string(), &there.min.to_string()));
        }
        (_, Some(here)) => merged.success = Some(here),
        (_, None) => {}
    }
    let mut quantile = |merged: &mut Option<MaxSpan>, own: Option<MaxSpan>, name: &str| match (*merged, own) {
        (Some(there), Some(here)) if here.max > there.max => {
            clashes.push(looser(&format!("{at}/{name}/max"), &here.max.to_string(), &there.max.to_string()));
        }
        (_, Some(here)) => *merged = Some(here),
        (_, None) => {}
    };
    quantile(&mut merged.p50, own.p50, "p50");
    quantile(&mut merged.p90, own.p90, "p90");
    quantile(&mut merged.p95, own.p95, "p95");
    quantile(&mut merged.p99, own.p99, "p99");
}

fn looser(at: &str, here: &str, there: &str) -> Clash {
    let finding = Finding::error(at, "a scenario may tighten its workload, never loosen it", format!("`{here}` is looser than `{there}`"))
        .help(format!("write `{there}` or stricter, or leave it out"));
    Clash { finding, there: (at.to_owned(), "the workload asks for this".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steady(over: &str, min: &str, p99: &str) -> Scenario {
        let steady_state =
            serde_json::from_value(json!({"over": over, "probes": {"web": {"success": {"min": min}, "p99": {"max": p99}}}})).unwrap();
        Scenario { steady_state, ..Scenario::default() }
    }

    #[test]
    fn bounds_can_only_become_stricter() {
        let (merged, clashes) = merge(steady("20s", "99.9%", "100ms"), steady("10s", "99%", "300ms"));
        assert_eq!(clashes, []);
        assert_eq!(merged.steady_state, steady("20s", "99.9%", "100ms").steady_state);
        let (_, clashes) = merge(steady("5s", "98%", "400ms"), steady("10s", "99%", "300ms"));
        let at: Vec<&str> = clashes.iter().map(|clash| clash.finding.at.as_str()).collect();
        assert_eq!(at, ["/steady_state/over", "/steady_state/probes/web/success/min", "/steady_state/probes/web/p99/max"]);
    }

    #[test]
    fn what_the_scenario_does_not_say_comes_from_the_workload() {
        let (merged, clashes) = merge(Scenario::default(), steady("10s", "99%", "300ms"));
        assert_eq!(clashes, []);
        assert_eq!(merged.steady_state, steady("10s", "99%", "300ms").steady_state);
    }
}
