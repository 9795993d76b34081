//! A small set of kinds, made by hand, for tests of the language alone.

use firedrill::base::Problem;
use firedrill::scenario::{Known, KnownKind};
use serde_json::{Value, json};

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Spec", "type": "object",
        "properties": properties, "required": required, "additionalProperties": false,
        "$defs": {
            "Duration": { "type": "string", "format": "firedrill-duration", "pattern": r"^(\d+(\.\d+)?(d|h|m|s|ms|us|ns))+$" },
            "Bytes": { "type": "string", "format": "firedrill-bytes", "pattern": r"^\d+(\.\d+)?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$" },
            "Id": { "type": "string", "format": "firedrill-id", "pattern": "^[a-z]([a-z0-9]|-[a-z0-9])*$" },
            "Signal": { "type": "string", "enum": ["TERM", "KILL", "INT", "STOP"] },
            "Write": {
                "type": "object", "properties": { "url": { "type": "string" }, "method": { "type": "string" }, "json": true },
                "required": ["url"], "additionalProperties": false,
            },
            "Reader": {
                "type": "object",
                "properties": { "url": { "type": "string" }, "ids": { "type": "string" }, "authority": { "type": "boolean" } },
                "required": ["url", "ids"], "additionalProperties": false,
            },
        },
    })
}

fn argv() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn fields(mut kind: KnownKind, fields: &[&str]) -> KnownKind {
    kind.fields = fields.iter().map(|field| (*field).to_owned()).collect();
    kind
}

fn one_target(spec: &Value) -> Vec<Problem> {
    let named = ["system", "pid_file", "target"].iter().filter(|key| spec.get(**key).is_some()).count();
    if named == 1 {
        Vec::new()
    } else {
        vec![Problem::new("", "name the process exactly once").help("write `system: ID`, `target: ID` or `pid_file: PATH`")]
    }
}

fn port(spec: &Value) -> Vec<Problem> {
    match spec["address"].as_str().and_then(|address| address.rsplit_once(':')) {
        Some((_, port)) if port.parse::<u16>().is_ok() => Vec::new(),
        _ => vec![Problem::new("/address", "an address is `HOST:PORT`").help("for example `127.0.0.1:5432`")],
    }
}

/// The kinds that the tests know.
pub fn known() -> Known {
    let kill = object(
        json!({
            "system": { "$ref": "#/$defs/Id", "description": "A process of `system:`." },
            "target": { "$ref": "#/$defs/Id" },
            "pid_file": { "type": ["string", "null"] },
            "signal": { "$ref": "#/$defs/Signal", "default": "KILL" },
        }),
        &[],
    );
    let latency = object(
        json!({ "proxy": { "$ref": "#/$defs/Id" }, "delay": { "$ref": "#/$defs/Duration", "description": "How much is added." },
            "rate": { "anyOf": [{ "$ref": "#/$defs/Bytes" }, { "type": "null" }] } }),
        &["proxy", "delay"],
    );
    let http = object(
        json!({
            "url": { "type": "string", "description": "The address." }, "method": { "type": "string", "enum": ["GET", "POST", "PUT"] },
            "headers": { "type": "object", "additionalProperties": { "type": "string" } }, "json": true,
        }),
        &["url"],
    );
    let ledger = object(
        json!({
            "write": { "$ref": "#/$defs/Write" }, "acknowledged_when": { "type": "object", "additionalProperties": true },
            "readers": { "type": "array", "items": { "$ref": "#/$defs/Reader" }, "minItems": 1 },
        }),
        &["write", "readers"],
    );
    let prometheus = object(json!({ "url": { "type": "string" }, "query": { "type": "string" } }), &["url", "query"]);
    let tcp = KnownKind {
        check: Box::new(port),
        ..KnownKind::plain("tcp", "opens a TCP connection", object(json!({ "address": { "type": "string" } }), &["address"]))
    };
    Known {
        faults: vec![
            KnownKind {
                check: Box::new(one_target),
                needs_declared_undo: Box::new(|spec| spec.get("pid_file").is_some()),
                ..KnownKind::plain("process.kill", "sends a signal to a process", kill)
            },
            KnownKind {
                needs_declared_undo: Box::new(|_| true),
                reads_back: false,
                ..KnownKind::plain("command", "runs a command", object(json!({ "run": argv() }), &["run"]))
            },
            KnownKind::plain("proxy.latency", "adds latency to a proxy", latency),
        ],
        probes: vec![
            fields(KnownKind::plain("http", "an HTTP request", http), &["outcome", "status", "json", "header"]),
            fields(tcp, &["outcome"]),
            fields(
                KnownKind::plain("command", "runs a command", object(json!({ "run": argv() }), &["run"])),
                &["outcome", "exit", "answer", "json"],
            ),
            fields(KnownKind::plain("prometheus", "asks a Prometheus server", prometheus), &["outcome", "value"]),
            KnownKind { ledger: true, ..KnownKind::plain("ledger.http", "numbered writes over HTTP", ledger) },
        ],
        schemas: Default::default(),
    }
}
