//! Every scenario that is shipped: accepted without a word, valid by the published schema, and with the plan that its golden file says.
//! `FIREDRILL_BLESS=1` rewrites the golden files and the schema.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use firedrill::base::digest_of;
use firedrill::cli::known::known;
use firedrill::plan::{Mode, Origin, Plan, build, preview};
use firedrill::scenario::{Diagnostic, check, json_schema, read, render_all};
use firedrill::sys::env;
use indexmap::IndexMap;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn bless() -> bool {
    env::var("FIREDRILL_BLESS").is_some()
}

/// Every shipped scenario by its path under `scenarios/`, and every workload.
fn shipped() -> (Vec<String>, Vec<String>) {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).expect("a folder of the repository").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml") {
                found.push(path);
            }
        }
    }
    let folder = root().join("scenarios");
    let mut found = Vec::new();
    walk(&folder, &mut found);
    let mut names: Vec<String> =
        found.iter().filter_map(|path| path.strip_prefix(&folder).ok()).map(|path| path.display().to_string()).collect();
    names.sort();
    // A policy is no scenario, nor is a game day; tests/policy.rs and tests/gameday.rs look at them.
    names.retain(|name| !text_of(name).lines().any(|line| line.starts_with("policy: 1") || line.starts_with("gameday: 1")));
    names.into_iter().partition(|name| !text_of(name).lines().any(|line| line.starts_with("workload: 1")))
}

fn text_of(name: &str) -> String {
    fs::read_to_string(root().join("scenarios").join(name)).expect("a listed file is there")
}

/// The plan of a scenario, after it was accepted without a word.
fn plan_of(name: &str) -> Result<Plan, String> {
    let known = known();
    let text = text_of(name);
    let path = root().join("scenarios").join(name);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let load = |file: &str| fs::read_to_string(folder.join(file)).map_err(|error| error.to_string());
    let read = read(text.as_bytes(), name, known, &IndexMap::new(), &load).map_err(|found| render_all(&found, false))?;
    let mut found: Vec<Diagnostic> = read.warnings;
    found.extend(read.documents.diagnose(check(&read.scenario, known)));
    if !found.is_empty() {
        return Err(render_all(&found, false));
    }
    let origin = Origin {
        name: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default(),
        base_dir: "/srv/scenarios".into(),
        scenario_digest: digest_of(text.as_bytes()),
        workload_digest: None,
        mode: Mode::Normal,
    };
    Ok(build(&read.scenario, known, origin))
}

#[test]
fn every_shipped_scenario_is_accepted_without_a_word() {
    let (scenarios, _) = shipped();
    assert!(scenarios.len() >= 2, "{scenarios:?}");
    let wrong: Vec<String> = scenarios.iter().filter_map(|name| plan_of(name).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_scenario_is_valid_by_the_published_schema() {
    let schema = json_schema(known());
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    let validator = jsonschema::draft202012::new(&schema).expect("the schema is one");
    let mut wrong = Vec::new();
    for name in shipped().0 {
        let text = text_of(&name);
        let value: Value = serde_saphyr::from_str(&text).expect("YAML");
        // Where a practice hits and when is filled in first: a `${var}` is no duration and no id yet.
        let filled = !name.starts_with("practice/");
        wrong.extend(validator.iter_errors(&value).filter(|_| filled).map(|error| format!("{name}: {}: {error}", error.instance_path())));
        // Editors find the schema by the first line.
        let depth = name.matches('/').count();
        let path = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
        let line = format!("# yaml-language-server: $schema={path}scenario.schema.json");
        if text.lines().next() != Some(line.as_str()) {
            wrong.push(format!("{name}: does not begin with `{line}`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_shipped_schema_is_the_published_one() {
    let shown = serde_json::to_string_pretty(&json_schema(known())).expect("JSON") + "\n";
    let path = root().join("scenarios/scenario.schema.json");
    if bless() {
        fs::write(&path, &shown).expect("the repository can be written");
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == shown, "scenarios/scenario.schema.json is not what `firedrill schema` prints; FIREDRILL_BLESS=1 rewrites it");
}

#[test]
fn every_shipped_scenario_has_the_plan_of_its_golden_file() {
    let folder = root().join("tests/plans");
    fs::create_dir_all(&folder).expect("the repository can be written");
    let mut wrong = Vec::new();
    let mut golden = BTreeSet::new();
    for name in shipped().0 {
        let Ok(plan) = plan_of(&name) else { continue };
        let file = name.replace('/', "-").replace(".yaml", ".txt");
        let shown = preview::text(&plan, &[]);
        if bless() {
            fs::write(folder.join(&file), &shown).expect("the repository can be written");
        } else if fs::read_to_string(folder.join(&file)).unwrap_or_default() != shown {
            wrong.push(format!("=== {name}\n{shown}"));
        }
        golden.insert(file);
    }
    for entry in fs::read_dir(&folder).expect("a folder of the repository").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if !golden.contains(&file) {
            wrong.push(format!("tests/plans/{file} is the plan of no scenario"));
        }
    }
    assert!(wrong.is_empty(), "{}\nFIREDRILL_BLESS=1 rewrites them", wrong.join("\n"));
}

#[test]
fn a_shipped_scenario_with_a_mistake_is_invalid_by_the_schema_as_well() {
    let validator = jsonschema::draft202012::new(&json_schema(known())).expect("the schema is one");
    let text = text_of("demo.yaml");
    for (what, instead) in [
        ("    for: once", "    four: once"),
        ("title: ", "titel: "),
        ("rate: 50/s", "rate: 50"),
        ("environment: laptop", "environment: lapdog"),
        ("process.kill:", "process.kil:"),
        ("  lose-primary:", "  Lose_Primary:"),
        ("    ledger.http:", "    http: { url: x }\n    ledger.http:"),
        ("    checkout: { success: { min: 99% }, p99: { max: 200ms } }", "    {}"),
    ] {
        assert!(text.contains(what), "{what}");
        let value: Value = serde_saphyr::from_str(&text.replacen(what, instead, 1)).expect("YAML");
        assert!(!validator.is_valid(&value), "{what:?} → {instead:?}");
    }
}
