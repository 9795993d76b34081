//! The JSON Schema of scenarios and workloads, composed from the model's types and the schemas of the kinds. The same value is published
//! for editors and walked by `shape`. The `x-firedrill` keyword holds what JSON Schema cannot say: which properties name a kind.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::known::{Known, KnownKind};
use super::model::{
    ClaimHow, ConditionHow, Environment, FaultHow, GuardHow, HoldsDecl, ProbeHow, ProxyDecl, RecoveryDecl, RestoreHow, SecretRef,
    SteadyDecl, SystemHow, TargetHow, TestKind,
};
use super::team;
use crate::base::Span;

/// What a whole file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `firedrill: 1`.
    Scenario,
    /// `workload: 1`.
    Workload,
}

/// The JSON Schema (draft 2020-12) of a scenario.
pub fn json_schema(known: &Known) -> Value {
    file_schema(known, FileKind::Scenario)
}

/// The JSON Schema (draft 2020-12) of a file of that kind.
pub fn file_schema(known: &Known, kind: FileKind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut defs = Map::new();
    let fault_kinds = hoist(&mut defs, "fault", &known.faults);
    let probe_kinds = hoist(&mut defs, "probe", &known.probes);
    let expectation_kinds = own_kinds(team::expectations(&mut generator));
    let notice_kinds = own_kinds(team::notices(&mut generator));
    let root = match kind {
        FileKind::Scenario => scenario_root(&mut generator),
        FileKind::Workload => workload_root(&mut generator),
    };
    let bases = Bases::collect(&mut generator);
    for (name, schema) in generator.take_definitions(true) {
        defs.insert(name, schema);
    }
    for unused in Bases::NAMES {
        defs.remove(unused);
    }
    add_composed(&mut defs, bases, &fault_kinds, &probe_kinds, &expectation_kinds, &notice_kinds);
    let mut root = root;
    if let Some(object) = root.as_object_mut() {
        object.insert("$defs".to_owned(), Value::Object(defs));
    }
    tidy(&mut root, None);
    drop_unreachable(&mut root);
    root
}

/// Schemas of the structs that are extended by kinds.
struct Bases {
    probe: Value,
    condition: Value,
    guard: Value,
    fault: Value,
    system: Value,
    target: Value,
    restore: Value,
    claim: Value,
    expectation: Value,
    wrong_turn: Value,
    notice: Value,
}

impl Bases {
    const NAMES: [&'static str; 11] = [
        "ProbeHow",
        "ConditionHow",
        "GuardHow",
        "FaultHow",
        "SystemHow",
        "TargetHow",
        "RestoreHow",
        "ClaimHow",
        "Expectation",
        "WrongTurn",
        "Notice",
    ];

    fn collect(generator: &mut SchemaGenerator) -> Bases {
        fn base<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
            generator.subschema_for::<T>();
            generator.definitions().get(T::schema_name().as_ref()).cloned().unwrap_or_default()
        }
        generator.subschema_for::<HoldsDecl>();
        generator.subschema_for::<team::On>();
        Bases {
            probe: base::<ProbeHow>(generator),
            condition: base::<ConditionHow>(generator),
            guard: base::<GuardHow>(generator),
            fault: base::<FaultHow>(generator),
            system: base::<SystemHow>(generator),
            target: base::<TargetHow>(generator),
            restore: base::<RestoreHow>(generator),
            claim: base::<ClaimHow>(generator),
            expectation: base::<team::Expectation>(generator),
            wrong_turn: base::<team::WrongTurn>(generator),
            notice: base::<team::Notice>(generator),
        }
    }
}

/// A kind's name, about and schema.
type Kind = (String, String, Value);

fn own_kinds(kinds: Vec<(&str, &str, Value)>) -> Vec<Kind> {
    kinds.into_iter().map(|(name, about, schema)| (name.to_owned(), about.to_owned(), schema)).collect()
}

fn add_composed(defs: &mut Map<String, Value>, bases: Bases, faults: &[Kind], probes: &[Kind], expectations: &[Kind], notices: &[Kind]) {
    let condition = json!({ "$ref": "#/$defs/Condition" });
    let declared = ("probe".to_owned(), "a declared probe, asked once more".to_owned(), json!({ "$ref": "#/$defs/Id" }));
    let mut observed = probes.to_vec();
    observed.push(declared);
    let undo = json!({
        "description": "How it is undone when its kind has no undo of its own.", "type": "object", "additionalProperties": false,
        "properties": {
            "run": { "description": "A command that undoes.", "type": "array", "items": { "type": "string" } },
            "left_to": { "description": "Who else undoes it.", "type": "string" },
            "done_when": condition,
        },
        "x-firedrill": { "is": "an undo" },
    });
    let mut fault = with(bases.fault, &[("confirm", condition.clone()), ("undo", json!({ "$ref": "#/$defs/Undo" }))]);
    fault["properties"]["on"] = json!({ "description": "Where it runs.", "$ref": "#/$defs/On" });
    defs.insert("Undo".to_owned(), undo);
    defs.insert("Fault".to_owned(), kinded(fault, "a fault", "fault", faults));
    defs.insert("Probe".to_owned(), kinded(bases.probe, "a probe", "probe", probes));
    defs.insert("Condition".to_owned(), kinded(bases.condition, "a condition", "condition", &observed));
    defs.insert("Guard".to_owned(), kinded(bases.guard, "a guard", "condition", &observed));
    defs.insert("Target".to_owned(), kinded(bases.target, "a target", "probe", probes));
    let pick = json!({ "type": "object", "properties": { "pick": { "description": "An RFC 9535 path into it.", "type": "string" } },
        "additionalProperties": false });
    defs.insert("Subject".to_owned(), kinded(pick, "a subject", "probe", probes));
    defs.insert("System".to_owned(), named(with(bases.system, &[("ready", condition.clone())]), "a process"));
    defs.insert("Restore".to_owned(), named(with(bases.restore, &[("only_if", condition)]), "a restore step"));
    let holds = id_map(json!({ "$ref": "#/$defs/HoldsDecl" }), "What must hold beside.");
    defs.insert("Claim".to_owned(), named(with(bases.claim, &[("holds", holds)]), "a claim"));
    defs.insert("Expectation".to_owned(), kinded(bases.expectation, "an expectation", "expectation", expectations));
    defs.insert("WrongTurn".to_owned(), kinded(bases.wrong_turn, "a wrong turn", "expectation", expectations));
    defs.insert("Notice".to_owned(), kinded(bases.notice, "a notice", "notice", notices));
}

fn scenario_root(generator: &mut SchemaGenerator) -> Value {
    let mut properties = json!({
        "firedrill": { "description": "The version of the language.", "const": 1 },
        "title": { "description": "What is lost, in one line.", "type": "string", "minLength": 1 },
        "why": { "description": "Why this drill is run.", "type": "string" },
        "owner": { "description": "Who owns the drill.", "type": "string" },
        "environment": generator.subschema_for::<Environment>(),
        "test": generator.subschema_for::<TestKind>(),
        "workload": { "description": "A workload file that shares probes, steady state, guards and claims.", "type": "string", "minLength": 1 },
        "secrets": id_map(generator.subschema_for::<SecretRef>().to_value(), "Secrets by reference."),
        "system": id_map(json!({ "$ref": "#/$defs/System" }), "Processes that firedrill starts, watches and stops."),
        "proxies": id_map(generator.subschema_for::<ProxyDecl>().to_value(), "Proxies in the path from baseline on."),
        "targets": id_map(json!({ "$ref": "#/$defs/Target" }), "Things only known late."),
        "faults": id_map(json!({ "$ref": "#/$defs/Fault" }), "What is broken."),
        "restore": id_map(json!({ "$ref": "#/$defs/Restore" }), "After-care that is not undoing."),
        "recovery": generator.subschema_for::<RecoveryDecl>(),
        "subject": id_map(json!({ "$ref": "#/$defs/Subject" }), "What exactly was tested."),
        "tabletop": { "description": "No fault is touched.", "type": "boolean" },
        "reset": {
            "description": "How the system is brought back between repeats.", "type": "object", "additionalProperties": false,
            "properties": {
                "run": { "description": "The command.", "type": "array", "items": { "type": "string" } },
                "done_when": { "$ref": "#/$defs/Condition" },
            },
            "required": ["run"], "x-firedrill": { "is": "a reset" },
        },
        "team": generator.subschema_for::<team::Team>(),
        "score": generator.subschema_for::<team::Score>(),
        "notify": id_map(json!({ "$ref": "#/$defs/Notice" }), "Who is told."),
    });
    shared_sections(&mut properties, generator);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firedrill scenario",
        "description": "One drill: what is watched, what is broken, what is claimed.",
        "type": "object",
        "properties": properties,
        "required": ["firedrill", "title"],
        "allOf": [
            { "anyOf": [{ "required": ["workload"] }, { "required": ["probes", "steady_state"] }] },
            { "anyOf": [{ "required": ["faults"] }, { "required": ["tabletop"], "properties": { "tabletop": { "const": true } } }] },
        ],
        "additionalProperties": false,
        "x-firedrill": { "is": "a scenario" },
    })
}

fn workload_root(generator: &mut SchemaGenerator) -> Value {
    let mut properties = json!({ "workload": { "description": "The version of the language.", "const": 1 } });
    shared_sections(&mut properties, generator);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firedrill workload",
        "description": "What many drills share.",
        "type": "object",
        "properties": properties,
        "required": ["workload"],
        "additionalProperties": false,
        "x-firedrill": { "is": "a workload" },
    })
}

fn shared_sections(properties: &mut Value, generator: &mut SchemaGenerator) {
    properties["vars"] = json!({
        "description": "Text substitutions: `${name}`.", "type": "object",
        "additionalProperties": { "type": ["string", "number", "boolean"] },
    });
    properties["probes"] = id_map(json!({ "$ref": "#/$defs/Probe" }), "What is watched from outside.");
    properties["steady_state"] = generator.subschema_for::<SteadyDecl>().to_value();
    properties["guards"] = id_map(json!({ "$ref": "#/$defs/Guard" }), "What may never fail.");
    properties["claims"] = id_map(json!({ "$ref": "#/$defs/Claim" }), "What a reviewer wants shown.");
    properties["components"] = id_map(generator.subschema_for::<team::Component>().to_value(), "Parts of the system.");
    properties["cadence"] = generator.subschema_for::<Span>().to_value();
}

/// A map from ids.
fn id_map(schema: Value, about: &str) -> Value {
    json!({
        "description": about, "type": "object",
        "patternProperties": { "^[a-z]([a-z0-9]|-[a-z0-9])*$": schema }, "additionalProperties": false,
    })
}

fn with(mut base: Value, more: &[(&str, Value)]) -> Value {
    for (name, schema) in more {
        base["properties"][*name] = schema.clone();
    }
    base
}

fn named(mut base: Value, is: &str) -> Value {
    base["x-firedrill"] = json!({ "is": is });
    base
}

/// An object with exactly one key that is a kind, beside the language's own keys.
fn kinded(mut base: Value, is: &str, sort: &str, kinds: &[Kind]) -> Value {
    let names: Vec<&str> = kinds.iter().map(|(name, ..)| name.as_str()).collect();
    base["x-firedrill"] = json!({ "is": is, "sort": sort, "kinds": names });
    base["oneOf"] = names.iter().map(|name| json!({ "required": [name] })).collect();
    let own = base["properties"].take();
    let mut properties = Map::new();
    for (name, about, schema) in kinds {
        let mut schema = schema.clone();
        if let Some(object) = schema.as_object_mut() {
            object.insert("description".to_owned(), json!(about));
        }
        properties.insert(name.clone(), schema);
    }
    if let Value::Object(own) = own {
        properties.extend(own);
    }
    base["properties"] = Value::Object(properties);
    base
}

const UNITS: [&str; 5] = ["Duration", "Rate", "Percent", "Bytes", "Id"];

/// Moves the kinds' schemas and their definitions under names of their own.
fn hoist(defs: &mut Map<String, Value>, sort: &str, kinds: &[KnownKind]) -> Vec<Kind> {
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
const ABOVE_ZERO: [&str; 9] = ["for", "timeout", "every", "over", "within", "at_most", "cadence", "then_every", "interval"];

/// Takes out what serde needs and people do not: nulls for optional fields. Marks what must be above zero.
fn tidy(schema: &mut Value, name: Option<&str>) {
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
            if matches!(name, Some("breaches" | "exactly")) && object.get("minimum").is_some_and(|least| least == 0) {
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
fn drop_unreachable(root: &mut Value) {
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
    let mut kept = std::collections::BTreeSet::new();
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
