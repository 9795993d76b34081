//! The JSON Schema of scenarios and workloads, composed from the model's types and the schemas of the kinds. The same value is published
//! for editors and walked by `shape`. The `x-firedrill` keyword holds what JSON Schema cannot say: which properties name a kind.

mod stored;
mod tidy;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

pub use stored::FileSchema;
use tidy::{drop_unreachable, hoist, tidy};

use super::known::Known;
use super::model::{
    AwsDecl, ClaimHow, ConditionHow, Environment, FaultHow, GuardHow, HoldsDecl, HostDecl, ProbeHow, ProxyDecl, RecoveryDecl, RestoreHow,
    SecretRef, SteadyDecl, SystemHow, TargetHow, TestKind,
};
use super::{sources, team};
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

/// The schema that a file of that kind is walked along: the shipped text where these kinds have one, else what [`file_schema`] makes, once.
pub fn schema_of(known: &Known, kind: FileKind) -> &FileSchema {
    let make = || FileSchema::made(file_schema(known, kind));
    match kind {
        FileKind::Scenario => {
            known.schemas.scenario.get_or_init(|| known.schemas.shipped.and_then(FileSchema::shipped).unwrap_or_else(make))
        }
        FileKind::Workload => known.schemas.workload.get_or_init(make),
    }
}

/// The JSON Schema (draft 2020-12) of a file of that kind.
pub fn file_schema(known: &Known, kind: FileKind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut defs = Map::new();
    let fault_kinds = hoist(&mut defs, "fault", &known.faults);
    let probe_kinds = hoist(&mut defs, "probe", &known.probes);
    let told = Told {
        expectations: own_kinds(team::expectations(&mut generator)),
        notices: own_kinds(team::notices(&mut generator)),
        sources: own_kinds(sources::sources(&mut generator)),
    };
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
    add_composed(known, &mut defs, bases, &fault_kinds, &probe_kinds, &told);
    let mut root = root;
    if let Some(object) = root.as_object_mut() {
        object.insert("$defs".to_owned(), Value::Object(defs));
    }
    tidy(&mut root, None);
    drop_unreachable(&mut root);
    root
}

/// The JSON Schema (draft 2020-12) of a file that kinds do not extend, from its type alone. `version` is the key that holds the version of the
/// language; `names` say what a mapping of a type is called in messages, the file itself under its type's own name.
pub fn plain_schema<T: JsonSchema>(title: &str, version: &str, names: &[(&str, &str)]) -> Value {
    let mut root = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    root["title"] = json!(title);
    root["properties"][version] = json!({ "description": "The version of the language.", "const": 1 });
    for (name, is) in names {
        let at = if *name == T::schema_name() { Some(&mut root) } else { root["$defs"].get_mut(name) };
        if let Some(schema) = at {
            schema["x-firedrill"] = json!({ "is": is });
        }
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
    source: Value,
}

impl Bases {
    const NAMES: [&'static str; 12] = [
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
        "Source",
    ];

    fn collect(generator: &mut SchemaGenerator) -> Bases {
        fn base<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
            generator.subschema_for::<T>();
            generator.definitions().get(T::schema_name().as_ref()).cloned().unwrap_or_default()
        }
        generator.subschema_for::<HoldsDecl>();
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
            source: base::<sources::Source>(generator),
        }
    }
}

/// A kind's name, about and schema.
pub(super) type Kind = (String, String, Value);

fn own_kinds(kinds: Vec<(&str, &str, Value)>) -> Vec<Kind> {
    kinds.into_iter().map(|(name, about, schema)| (name.to_owned(), about.to_owned(), schema)).collect()
}

/// Kinds of what concerns people.
struct Told {
    expectations: Vec<Kind>,
    notices: Vec<Kind>,
    sources: Vec<Kind>,
}

fn add_composed(known: &Known, defs: &mut Map<String, Value>, bases: Bases, faults: &[Kind], probes: &[Kind], told: &Told) {
    let condition = json!({ "$ref": "#/$defs/Condition" });
    let declared = ("probe".to_owned(), "a declared probe, asked once more".to_owned(), json!({ "$ref": "#/$defs/Id" }));
    let once: Vec<Kind> = probes.iter().filter(|(name, ..)| !known.probe(name).is_some_and(|kind| kind.ledger)).cloned().collect();
    let mut observed = once.clone();
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
    fault["properties"]["on"] =
        json!({ "description": "The machine on which it acts: a name of `hosts:`. Default: this one.", "$ref": "#/$defs/Id" });
    for (name, is) in [("Prompt", "a prompt"), ("Hint", "a hint"), ("ProxyDecl", "a proxy"), ("SteadyDecl", "steady state")] {
        if let Some(def) = defs.get_mut(name) {
            def["x-firedrill"] = json!({ "is": is });
        }
    }
    defs.insert("Undo".to_owned(), undo);
    defs.insert("Fault".to_owned(), kinded(fault, "a fault", "fault", faults));
    defs.insert("Probe".to_owned(), kinded(bases.probe, "a probe", "probe", probes));
    defs.insert("Condition".to_owned(), kinded(bases.condition, "a condition", "condition", &observed));
    defs.insert("Guard".to_owned(), kinded(bases.guard, "a guard", "condition", &observed));
    defs.insert("Target".to_owned(), kinded(bases.target, "a target", "probe", &once));
    let pick = json!({ "type": "object", "properties": { "pick": { "description": "An RFC 9535 path into it.", "type": "string" } },
        "additionalProperties": false });
    defs.insert("Subject".to_owned(), kinded(pick, "a subject", "probe", &once));
    defs.insert("System".to_owned(), named(with(bases.system, &[("ready", condition.clone())]), "a process"));
    defs.insert("Restore".to_owned(), named(with(bases.restore, &[("only_if", condition)]), "a restore step"));
    let holds = id_map(json!({ "$ref": "#/$defs/HoldsDecl" }), "What must hold beside.");
    defs.insert("Claim".to_owned(), named(with(bases.claim, &[("holds", holds)]), "a claim"));
    defs.insert("Expectation".to_owned(), kinded(bases.expectation, "an expectation", "expectation", &told.expectations));
    defs.insert("Source".to_owned(), kinded(bases.source, "a source of alerts", "source", &told.sources));
    defs.insert("WrongTurn".to_owned(), kinded(bases.wrong_turn, "a wrong turn", "expectation", &told.expectations));
    defs.insert("Notice".to_owned(), kinded(bases.notice, "a notice", "notice", &told.notices));
}

/// The order in which people write a scenario.
const ORDER: [&str; 29] = [
    "firedrill",
    "title",
    "why",
    "owner",
    "environment",
    "test",
    "aws",
    "hosts",
    "workload",
    "vars",
    "secrets",
    "system",
    "proxies",
    "targets",
    "probes",
    "steady_state",
    "guards",
    "faults",
    "restore",
    "recovery",
    "claims",
    "subject",
    "tabletop",
    "reset",
    "team",
    "score",
    "notify",
    "components",
    "cadence",
];

fn scenario_root(generator: &mut SchemaGenerator) -> Value {
    let mut properties = json!({
        "firedrill": { "description": "The version of the language.", "const": 1 },
        "title": { "description": "What is lost, in one line.", "type": "string", "minLength": 1 },
        "why": { "description": "Why this drill is run.", "type": "string" },
        "owner": { "description": "Who owns the drill.", "type": "string" },
        "environment": generator.subschema_for::<Environment>(),
        "test": generator.subschema_for::<TestKind>(),
        "aws": generator.subschema_for::<AwsDecl>(),
        "hosts": id_map(generator.subschema_for::<HostDecl>().to_value(), "Other machines on which faults act."),
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
    let ordered: Map<String, Value> = ORDER.iter().map(|name| ((*name).to_owned(), properties[*name].take())).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Firedrill scenario",
        "description": "One drill: what is watched, what is broken, what is claimed.",
        "type": "object",
        "properties": ordered,
        "required": ["firedrill", "title"],
        "allOf": [
            { "anyOf": [{ "required": ["workload"] }, { "required": ["probes", "steady_state"],
                "properties": { "probes": { "minProperties": 1 }, "steady_state": { "required": ["probes"], "properties": { "probes": { "minProperties": 1 } } } } }] },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::known::KnownKind;

    #[test]
    fn the_schema_does_not_change_by_itself() {
        let known = || Known {
            faults: vec![KnownKind::plain(
                "x.kill",
                "kills",
                json!({"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"type": "string"}},
                "type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "additionalProperties": false}),
            )],
            probes: vec![KnownKind::plain("http", "asks", json!({"type": "object"}))],
            left_out: Vec::new(),
            schemas: Default::default(),
        };
        let schema = json_schema(&known());
        assert_eq!(schema.to_string(), json_schema(&known()).to_string());
        assert_eq!(schema["$defs"]["fault.x.kill"]["properties"]["a"]["$ref"], "#/$defs/fault.x.kill.A");
        assert_eq!(schema["$defs"]["fault.x.kill.A"]["$ref"], "#/$defs/fault.x.kill.B");
        assert_eq!(schema["$defs"]["Fault"]["oneOf"], json!([{"required": ["x.kill"]}]));
        assert!(!schema.to_string().contains("null"), "optional fields are left out, not null");
        let workload = file_schema(&known(), FileKind::Workload);
        assert!(workload["$defs"].get("Fault").is_none() && workload["$defs"].get("Guard").is_some());
    }
}
