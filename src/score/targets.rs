//! What rules compare with: the catalogue's proposals, the objectives of the claim, and what the scenario says for itself.

use indexmap::IndexMap;

use crate::base::Span;
use crate::plan::{ClaimPlan, Plan};

use super::catalogue::Catalogue;
use super::signal::Target;

/// Target times that the scenario names and the catalogue does not know.
pub(super) fn unknown_targets(catalogue: &Catalogue, plan: &Plan) -> Vec<String> {
    own_targets(plan).filter(|(name, _)| target_name(catalogue, name).is_none()).map(|(name, _)| name).collect()
}

fn own_targets(plan: &Plan) -> impl Iterator<Item = (String, Span)> + '_ {
    let written = plan.carried.get("score").and_then(|score| score.get("targets")).and_then(serde_json::Value::as_object);
    written.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.parse().ok()?)))
}

/// `detect` is the target `detect_s`; also `latency_p99` and `cadence`, whose units are others.
fn target_name(catalogue: &Catalogue, name: &str) -> Option<(String, f64)> {
    let units = [("", 1e9), ("_s", 1e9), ("_ms", 1e6), ("_days", 86_400e9)];
    let found = units.into_iter().map(|(unit, ns)| (format!("{name}{unit}"), ns)).find(|(full, _)| catalogue.targets.contains_key(full));
    let (full, _) = found?;
    let (_, ns) = units.into_iter().skip(1).find(|(unit, _)| full.ends_with(unit))?;
    Some((full, ns))
}

/// Every target of one claim: the defaults, then what the claim says, then what the scenario says under `score.targets`.
pub(super) fn targets(catalogue: &Catalogue, plan: &Plan, scope: &str, claim: Option<&ClaimPlan>) -> IndexMap<String, Target> {
    let mut targets: IndexMap<String, Target> = IndexMap::new();
    let mut set = |name: &str, value: f64, from: String| {
        targets.insert(name.to_owned(), Target { value, from });
    };
    for (name, value) in catalogue.targets.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
        set(name, value, "default".to_owned());
    }
    if let Some(claim) = claim {
        let at = |part: &str| format!("claims.{scope}.{part}");
        if let Some(rto) = claim.rto {
            set("rto_s", rto.max.as_secs_f64(), at("rto"));
            set("failover_s", rto.max.as_secs_f64(), at("rto"));
        }
        if let Some(rpo) = &claim.rpo {
            set("rpo_s", rpo.max.as_secs_f64(), at("rpo"));
        }
        if let Some(availability) = claim.availability {
            set("slo_availability", availability.min.fraction(), at("availability"));
        }
        if let Some(p99) = claim.latency.as_ref().and_then(|latency| latency.p99) {
            set("latency_p99_ms", p99.max.0 as f64 / 1e6, at("latency"));
        }
    }
    for (name, value) in own_targets(plan) {
        if let Some((full, ns)) = target_name(catalogue, &name) {
            set(&full, value.0 as f64 / ns, format!("score.targets.{name}"));
        }
    }
    targets
}
