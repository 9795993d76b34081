//! What is parsed and checked but belongs to later versions: it stands in the plan as it was written, and is named as not judged.

use indexmap::IndexMap;
use serde_json::Value;

use crate::scenario::model::Scenario;

/// What was parsed and checked but is not judged by this version, one line each.
pub(super) fn not_judged(scenario: &Scenario) -> Vec<String> {
    let mut out = Vec::new();
    let each = |out: &mut Vec<String>, path: &str, value: Option<&Value>| {
        out.extend(value.and_then(Value::as_object).into_iter().flat_map(|map| map.keys()).map(|key| format!("{path}.{key}")));
    };
    let team = scenario.team.as_ref();
    // What only a prompt can ask for.
    for section in ["expect", "wrong_turns"] {
        let items = team.and_then(|team| team.get(section)).and_then(Value::as_object).into_iter().flatten();
        out.extend(items.filter(|(_, value)| value.get("reply").is_some()).map(|(id, _)| format!("team.{section}.{id}")));
    }
    each(&mut out, "components", scenario.components.as_ref());
    if let Some(cadence) = scenario.cadence {
        out.push(format!("cadence: {cadence}"));
    }
    out
}

/// Those blocks as they are written.
pub(super) fn blocks(scenario: &Scenario) -> IndexMap<String, Value> {
    let cadence = scenario.cadence.map(|cadence| Value::String(cadence.to_string()));
    let blocks = [
        ("team", scenario.team.clone()),
        ("score", scenario.score.clone()),
        ("notify", scenario.notify.clone()),
        ("components", scenario.components.clone()),
        ("cadence", cadence),
    ];
    blocks.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect()
}
