//! What a fault would hit, as far as it is known: from the plan alone, or with what was looked up.

use serde::Serialize;
use serde_json::Value;

use crate::base::Id;
use crate::plan::{FaultPlan, Plan};

/// What one fault would hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// The fault.
    pub fault: Id,
    /// Each key of its spec with its values: `port` with `5432`, `system` with every candidate.
    pub names: Vec<(String, Vec<String>)>,
    /// How many targets; nothing while they were not looked up.
    pub count: Option<usize>,
    /// How many there are of that sort.
    pub population: Option<usize>,
}

/// What every fault would hit, from the plan alone.
pub fn reach_of(plan: &Plan) -> Vec<Reach> {
    plan.faults.iter().map(|(id, fault)| one(plan, id, fault)).collect()
}

fn one(plan: &Plan, id: &Id, fault: &FaultPlan) -> Reach {
    let mut names = Vec::new();
    flatten("", &fault.spec, &mut names);
    let named = |key: &str| fault.spec.get(key).and_then(Value::as_str);
    let (count, population) = if let Some(target) = named("target").and_then(|target| plan.targets.get(target)) {
        // Any of the candidates may turn out to be the one.
        names.push(("system".to_owned(), target.among.iter().map(Id::to_string).collect()));
        (Some(target.exactly), Some(target.among.len()))
    } else if named("system").is_some() {
        (Some(1), Some(plan.system.len()))
    } else if named("proxy").is_some() {
        (Some(1), Some(plan.proxies.len()))
    } else if fault.kind.starts_with("rehearse.") {
        (Some(0), Some(1))
    } else {
        (None, None)
    };
    Reach { fault: id.clone(), names, count, population }
}

/// Every text and number of a spec under its key; deeper ones under `a.b`.
fn flatten(key: &str, value: &Value, out: &mut Vec<(String, Vec<String>)>) {
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                flatten(&if key.is_empty() { name.clone() } else { format!("{key}.{name}") }, value, out);
            }
        }
        Value::Array(items) => {
            let words: Vec<String> = items.iter().filter_map(word).collect();
            if !words.is_empty() {
                // A command is one thing, and its arguments are no targets of their own.
                out.push((key.to_owned(), if key == "run" { vec![words.join(" ")] } else { words }));
            }
            items.iter().filter(|item| item.is_object() || item.is_array()).for_each(|item| flatten(key, item, out));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.extend(word(value).map(|word| (key.to_owned(), vec![word])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_spec_names_what_it_hits() {
        let mut names = Vec::new();
        flatten("", &json!({"port": 5432, "peer": {"hosts": ["a", "b"]}, "run": ["sh", "-c", "x"], "none": null}), &mut names);
        let shown: Vec<String> = names.iter().map(|(key, values)| format!("{key}={}", values.join("|"))).collect();
        assert_eq!(shown, ["port=5432", "peer.hosts=a|b", "run=sh -c x"]);
    }
}
