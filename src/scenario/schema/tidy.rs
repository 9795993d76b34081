//! Schemas from several sources made one: names of their own, no nulls, nothing left over.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Kind;
use crate::scenario::known::KnownKind;

const UNITS: [&str; 5] = ["Duration", "Rate", "Percent", "Bytes", "Id"];

/// Moves the kinds' schemas and their definitions under names of their own.
pub(super) fn hoist(defs: &mut Map<String, Value>, sort: &str, kinds: &[KnownKind]) -> Vec<Kind> {
    let mut out = Vec::new();
    for kind in kinds {
        let home = format!("{sort}.{}", kind.name);
        let mut schema = kind.schema.clone();
        let own = schema.as_object_mut().and_then(|object| {
            object.remove("$schema");
            object.remove("title");
            object.remove("$defs")
        });
        rename_refs(&mut schema, &home);
        defs.insert(home.clone(), schema);
        if let Some(Value::Object(own)) = own {
            for (name, mut schema) in own {
                rename_refs(&mut schema, &home);
                let name = if UNITS.contains(&name.as_str()) { name } else { format!("{home}.{name}") };
                defs.insert(name, schema);
            }
        }
        out.push((kind.name.clone(), kind.about.clone(), json!({ "$ref": format!("#/$defs/{home}") })));
    }
    out
}

fn rename_refs(schema: &mut Value, home: &str) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref") {
                *target = match target.strip_prefix("#/$defs/") {
                    Some(name) if UNITS.contains(&name) => format!("#/$defs/{name}"),
                    Some(name) => format!("#/$defs/{home}.{name}"),
                    None => format!("#/$defs/{home}"),
                };
            }
            object.values_mut().for_each(|value| rename_refs(value, home));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_refs(item, home)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Properties where zero makes no sense.
const ABOVE_ZERO: [&str; 12] =
    ["for", "timeout", "every", "over", "within", "at_most", "cadence", "then_every", "interval", "max_hold", "max_duration", "valid_for"];

/// Takes out what serde needs and people do not: nulls for optional fields. Marks what must be above zero.
pub(super) fn tidy(schema: &mut Value, name: Option<&str>) {
    match schema {
        Value::Object(object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|t| t != "null");
                if types.len() == 1 {
                    let one = types.remove(0);
                    object.insert("type".to_owned(), one);
                }
            }
            for word in ["anyOf", "oneOf"] {
                // Beside properties it says which keys go together, not which forms there are.
                if object.contains_key("properties") {
                    continue;
                }
                let Some(Value::Array(branches)) = object.get_mut(word) else { continue };
                branches.retain(|branch| branch.get("type").is_none_or(|t| t != "null"));
                if branches.len() == 1
                    && let Some(Value::Object(only)) = branches.pop()
                {
                    object.remove(word);
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            if name.is_some_and(|name| ABOVE_ZERO.contains(&name)) {
                object.insert("x-firedrill-above-zero".to_owned(), json!(true));
            }
            if matches!(name, Some("breaches" | "exactly" | "people")) && object.get("minimum").is_some_and(|least| least == 0) {
                object.insert("minimum".to_owned(), json!(1));
            }
            for (word, value) in object.iter_mut() {
                match (word.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        properties.iter_mut().for_each(|(name, property)| tidy(property, Some(name)));
                    }
                    ("$defs" | "patternProperties", Value::Object(defs)) => defs.values_mut().for_each(|def| tidy(def, None)),
                    ("default" | "enum" | "const" | "required" | "x-firedrill" | "examples", _) => {}
                    (_, value) => tidy(value, None),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| tidy(item, None)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Drops definitions that nothing refers to (a workload needs no faults).
pub(super) fn drop_unreachable(root: &mut Value) {
    fn refs(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(object) => {
                if let Some(name) = object.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/")) {
                    found.push(name.to_owned());
                }
                object.iter().filter(|(word, _)| *word != "$defs").for_each(|(_, value)| refs(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| refs(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut open = Vec::new();
    refs(root, &mut open);
    let mut kept = BTreeSet::new();
    while let Some(name) = open.pop() {
        if kept.insert(name.clone())
            && let Some(def) = root["$defs"].get(&name)
        {
            refs(def, &mut open);
        }
    }
    if let Some(defs) = root["$defs"].as_object_mut() {
        defs.retain(|name, _| kept.contains(name));
        defs.sort_keys();
    }
}
