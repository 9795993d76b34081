//! Paths that a workload names, as the scenario that uses it sees them: relative paths resolve against the file that names them.
//!
//! In the spec of a probe or guard of a workload, these keys hold paths, wherever the kind's schema declares them as text: `ca_file`,
//! `pid_file`, `file` and `cwd`. Whatever takes a `cwd` beside its `run` is given the workload's folder when it names none, so that the program and
//! its arguments resolve there; where there is no `cwd`, the first word of `run` is a path when it has a slash. Nothing else is touched:
//! absolute paths, what begins with `${`, request bodies and texts of other keys stay as they are.

use serde_json::{Map, Value};

use super::known::Known;
use super::model::{Kinded, Observed, Scenario};

/// Keys that hold a path.
const PATHS: [&str; 4] = ["ca_file", "pid_file", "file", "cwd"];

/// Makes a workload's relative paths relative to the scenario's folder. `path` is the workload's as the scenario names it.
pub fn rebase(workload: &mut Scenario, path: &str, known: &Known) {
    let folder = match path.rfind('/') {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => return,
    };
    let probes = workload.probes.values_mut().map(|probe| &mut probe.what);
    let guards = workload.guards.values_mut().filter_map(|guard| match &mut guard.what {
        Observed::Kind(kinded) => Some(kinded),
        Observed::Probe(_) => None,
    });
    for Kinded { kind, spec } in probes.chain(guards) {
        let Some(kind) = known.probe(kind) else { continue };
        paths(spec, &kind.schema, &kind.schema, folder);
    }
}

fn paths(value: &mut Value, schema: &Value, root: &Value, folder: &str) {
    let schema = resolve(schema, root);
    match value {
        Value::Object(map) => {
            for (key, value) in &mut *map {
                let Some(schema) = schema.pointer("/properties").and_then(|properties| properties.get(key)) else { continue };
                match value {
                    Value::String(path) if PATHS.contains(&key.as_str()) => *path = beside(folder, path),
                    _ => paths(value, schema, root, folder),
                }
            }
            program(map, schema, folder);
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| paths(item, schema, root, folder));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Where a program runs, or is, at whatever depth of a spec one is named.
fn program(map: &mut Map<String, Value>, schema: &Value, folder: &str) {
    let takes = |key: &str| schema.pointer(&format!("/properties/{key}")).is_some();
    if !takes("run") || !map.contains_key("run") {
        return;
    }
    if takes("cwd") {
        let unset = map.get("cwd").is_none_or(Value::is_null);
        if unset {
            map.insert("cwd".to_owned(), folder.into());
        }
    } else if let Some(Value::String(program)) = map.get_mut("run").and_then(|run| run.get_mut(0))
        && program.contains('/')
    {
        *program = beside(folder, program);
    }
}

/// A schema with its reference followed, and the one form of something optional taken.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..16 {
        let optional = schema.get("anyOf").and_then(Value::as_array).and_then(|forms| forms.iter().find(|form| form["type"] != "null"));
        let next = match schema.get("$ref").and_then(Value::as_str) {
            Some(target) => target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)),
            None => optional,
        };
        match next {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

fn beside(folder: &str, path: &str) -> String {
    if path.starts_with('/') || path.starts_with("${") || path.is_empty() {
        return path.to_owned();
    }
    let path = path.strip_prefix("./").unwrap_or(path);
    format!("{}/{path}", folder.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::super::known::KnownKind;
    use super::super::model::{GuardDecl, GuardHow, ProbeDecl, ProbeHow};
    use super::*;
    use serde_json::json;

    fn known() -> Known {
        let text = json!({ "type": ["string", "null"] });
        let tls = json!({ "type": "object", "properties": { "ca_file": text, "server_name": text } });
        let http = json!({ "type": "object", "properties": { "url": text, "json": true, "headers": { "type": "object" },
            "tls": { "anyOf": [{ "$ref": "#/$defs/Tls" }, { "type": "null" }] } }, "$defs": { "Tls": tls } });
        let run = json!({ "type": "array", "items": { "type": "string" } });
        let list = json!({ "type": "object", "properties": { "run": run, "parts": { "type": "array", "items": { "$ref": "#/$defs/Tls" } } },
            "$defs": { "Tls": tls } });
        Known {
            faults: Vec::new(),
            probes: vec![
                KnownKind::plain("http", "", http),
                KnownKind::plain("command", "", json!({ "type": "object", "properties": { "run": run, "cwd": text } })),
                KnownKind::plain("list", "", list),
                KnownKind::plain(
                    "ledger",
                    "",
                    json!({ "type": "object", "properties": { "readers": { "type": "array", "items": { "$ref": "#/$defs/R" } } },
                    "$defs": { "R": { "type": "object", "properties": { "run": run, "cwd": text } } } }),
                ),
            ],
            left_out: Vec::new(),
            schemas: Default::default(),
        }
    }

    fn rebased(kind: &str, spec: Value, path: &str) -> Value {
        let what = Kinded { kind: kind.into(), spec };
        let mut workload = Scenario::default();
        workload.probes.insert("p".parse().unwrap(), ProbeDecl { what: what.clone(), how: ProbeHow::default() });
        workload.guards.insert("g".parse().unwrap(), GuardDecl { what: Observed::Kind(what), how: GuardHow::default() });
        rebase(&mut workload, path, &known());
        assert_eq!(workload.guards[0].what, Observed::Kind(workload.probes[0].what.clone()), "guards as probes");
        workload.probes[0].what.spec.clone()
    }

    #[test]
    fn a_command_runs_in_the_workloads_folder() {
        let run = json!(["./look.sh", "data/x"]);
        assert_eq!(rebased("command", json!({ "run": run }), "w/web.yaml"), json!({ "run": run, "cwd": "w" }));
        assert_eq!(rebased("command", json!({ "run": run, "cwd": null }), "/w.yaml"), json!({ "run": run, "cwd": "/" }));
        assert_eq!(rebased("command", json!({ "run": run, "cwd": "sub" }), "../w/web.yaml"), json!({ "run": run, "cwd": "../w/sub" }));
        for stays in ["/srv", "${run.dir}/x"] {
            assert_eq!(rebased("command", json!({ "run": run, "cwd": stays }), "w/web.yaml"), json!({ "run": run, "cwd": stays }));
        }
        assert_eq!(rebased("command", json!({ "run": run }), "web.yaml"), json!({ "run": run }), "the scenario's own folder");
    }

    #[test]
    fn programs_within_a_spec_run_there_as_well() {
        let readers = json!({ "readers": [{ "run": ["./list.sh"] }, { "run": ["./list.sh"], "cwd": "sub" }] });
        let there = json!({ "readers": [{ "run": ["./list.sh"], "cwd": "w" }, { "run": ["./list.sh"], "cwd": "w/sub" }] });
        assert_eq!(rebased("ledger", readers, "w/x.yaml"), there);
    }

    #[test]
    fn without_a_cwd_the_programs_path_is_what_moves() {
        assert_eq!(rebased("list", json!({ "run": ["./a", "./b"] }), "w/x.yaml"), json!({ "run": ["w/a", "./b"] }));
        assert_eq!(rebased("list", json!({ "run": ["sh", "./b"] }), "w/x.yaml"), json!({ "run": ["sh", "./b"] }));
    }

    #[test]
    fn only_what_the_kind_declares_is_a_path() {
        let spec = json!({ "url": "a/b", "json": { "ca_file": "x", "cwd": "y" }, "headers": { "file": "z" }, "tls": { "ca_file": "ca.pem", "server_name": "s" } });
        let mut expected = spec.clone();
        expected["tls"]["ca_file"] = json!("w/ca.pem");
        assert_eq!(rebased("http", spec, "w/x.yaml"), expected);
        let parts = json!({ "parts": [{ "ca_file": "./a" }, { "ca_file": "/b" }] });
        assert_eq!(rebased("list", parts, "w/x.yaml"), json!({ "parts": [{ "ca_file": "w/a" }, { "ca_file": "/b" }] }));
    }
}
