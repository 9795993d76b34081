//! The documentation is held to the code: every YAML block checks, every command runs, every table is current.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod drill;
mod page;

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory;
use drill::Place;
use firedrill::cli::args::Cli;
use firedrill::cli::exit::EXIT_CODES;
use firedrill::cli::known::known;
use firedrill::scenario::finding::Severity;
use firedrill::scenario::{check, json_schema, read, render_all};
use firedrill::{fault, probe};
use indexmap::IndexMap;
use page::{Block, blocks, compare_generated, is_there, page, root, rows, section};
use serde_json::{Map, Value, json};

/// Every page with blocks.
fn pages() -> Vec<String> {
    let mut names = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    for entry in std::fs::read_dir(root().join("runbooks")).unwrap().flatten() {
        if entry.path().is_file() {
            names.push(format!("runbooks/{}", entry.file_name().to_string_lossy()));
        }
    }
    names.sort();
    names
}

// ---------------------------------------------------------------------------------------------------------------- YAML

/// What completes a fragment: its mappings are merged into these one level deep, but `faults` and `claims` replace what is here.
fn frame() -> Value {
    json!({
        "firedrill": 1,
        "title": "A fragment of the documentation",
        "system": { "primary": { "run": ["sleep", "600"] } },
        "proxies": { "db": { "listen": "127.0.0.1:6432", "upstream": "127.0.0.1:6001" } },
        "probes": {
            "checkout": { "http": { "url": "http://127.0.0.1:8080/orders" }, "rate": "50/s", "timeout": "2s", "served_by": { "header": "x-node" } },
            "orders": { "ledger.http": {
                "write": { "method": "POST", "url": "http://127.0.0.1:8080/ledger/${key}" },
                "readers": [{ "url": "http://127.0.0.1:8080/ledger", "ids": "$.ids[*]" }],
            } },
        },
        "steady_state": { "probes": { "checkout": { "success": { "min": "99%" } } } },
        "faults": { "lose-primary": { "process.kill": { "system": "primary" }, "for": "once" } },
    })
}

fn completed(fragment: Value) -> String {
    let mut whole = frame();
    let Value::Object(parts) = fragment else { panic!("a fragment is a mapping") };
    for (key, part) in parts {
        match (whole.get_mut(&key), part) {
            (Some(Value::Object(there)), Value::Object(part)) if !["faults", "claims", "recovery"].contains(&key.as_str()) => {
                for (id, value) in part {
                    match (there.get_mut(&id), value) {
                        (Some(Value::Object(old)), Value::Object(new)) if key == "steady_state" => old.extend(new),
                        (_, value) => drop(there.insert(id, value)),
                    }
                }
            }
            (_, part) => whole[&key] = part,
        }
    }
    // JSON is YAML.
    serde_json::to_string_pretty(&whole).unwrap()
}

/// What people would see; empty when there is nothing to say.
fn problems(text: &str, label: &str, workload: &str) -> (bool, String) {
    let load =
        |path: &str| if path == "workloads/checkout.yaml" { Ok(workload.to_owned()) } else { Err("there is no such file".to_owned()) };
    let known = known();
    let found = match read(text.as_bytes(), label, known, &IndexMap::new(), &load) {
        Ok(found) => found,
        Err(diagnostics) => return (true, render_all(&diagnostics, false)),
    };
    let findings = check::check(&found.scenario, known);
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let mut all = found.documents.diagnose(findings);
    all.extend(found.warnings);
    (refused, if all.is_empty() { String::new() } else { render_all(&all, false) })
}

const NO_WORKLOAD: &str = "workload: 1\n";

fn yaml_blocks() -> Vec<Block> {
    pages().iter().flat_map(|name| blocks(name)).filter(|block| block.language == "yaml").collect()
}

#[test]
fn every_yaml_block_checks() {
    let blocks = yaml_blocks();
    let workload = blocks.iter().find(|block| block.text.starts_with("workload: 1")).map_or(NO_WORKLOAD, |block| block.text.as_str());
    let mut wrong = Vec::new();
    let mut seen = 0;
    for block in &blocks {
        let value: Value = serde_saphyr::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.at));
        seen += 1;
        let (refused, said) = if value.get("policy").is_some() {
            let found = firedrill::policy::read(block.text.as_bytes(), &block.at, known(), &firedrill::sys::clock::zone).err();
            (found.is_some(), found.map(|found| render_all(&found, false)).unwrap_or_default())
        } else if value.get("firedrill").is_some() {
            // A complete file has nothing to be said of it at all.
            let (_, said) = problems(&block.text, &block.at, workload);
            (!said.is_empty(), said)
        } else if value.get("workload").is_some_and(Value::is_number) {
            let names = json!({
                "firedrill": 1, "title": "x", "workload": "workloads/checkout.yaml", "tabletop": true,
                "steady_state": { "probes": {} },
            });
            problems(&names.to_string(), &block.at, &block.text)
        } else {
            problems(&completed(value), &block.at, workload)
        };
        if refused {
            wrong.push(format!("=== {}\n{said}", block.at));
        }
    }
    assert!(seen >= 20, "{seen} blocks");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_of_a_kind_checks() {
    let examples = fault::KINDS
        .iter()
        .map(|kind| ("faults", kind.kind(), kind.example()))
        .chain(probe::KINDS.iter().map(|kind| ("probes", kind.kind(), kind.example())));
    let mut seen = 0;
    for (section, kind, example) in examples {
        let value: Value = serde_saphyr::from_str(example).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let mut fragment = json!({ section: { "example": value } });
        if kind.starts_with("aws.") {
            fragment["aws"] = json!({ "account": "111122223333", "region": "eu-west-1" });
        }
        let text = completed(fragment);
        let (refused, said) = problems(&text, kind, NO_WORKLOAD);
        assert!(!refused, "{kind}\n{said}");
        seen += 1;
    }
    assert!(seen >= 10, "{seen} examples");
}

#[test]
fn the_check_of_the_documentation_can_fail() {
    let (refused, said) = problems(&completed(json!({ "faults": { "x": { "process.kill": { "system": "nobody" } } } })), "x", NO_WORKLOAD);
    assert!(refused && said.contains("a fault needs a bound"), "{said}");
}

// -------------------------------------------------------------------------------------------------------------- tables

fn kind_rows(out: &mut String, name: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let default = match &property["default"] {
            _ if required.contains(&key.as_str()) => "**required**".to_owned(),
            Value::Null => String::new(),
            Value::Object(_) | Value::Array(_) => "none".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let about = property["description"].as_str().unwrap_or_else(|| panic!("{name}: `{key}` has no description"));
        *out += &format!("| `{name}` | `{key}` | {default} | {about} |\n");
    }
}

#[test]
fn the_tables_of_kinds_are_current() {
    let mut faults = String::from("| kind | what it does | undone by | seen to bite by |\n|---|---|---|---|\n");
    let mut keys = String::from("\n| kind | key | default | meaning |\n|---|---|---|---|\n");
    for kind in fault::KINDS {
        let seen = if kind.reads_back() { "its own look" } else { "`confirm:`, which must be given" };
        faults += &format!("| `{}` | {} | {} | {seen} |\n", kind.kind(), kind.about(), kind.undo_means());
        kind_rows(&mut keys, kind.kind(), &kind.schema().to_value());
    }
    compare_generated("README.md", "generated: fault kinds", &format!("{faults}{keys}"), "docs");
    let mut probes = String::from("| kind | what it does | rate | what `expect` may name |\n|---|---|---|---|\n");
    let mut keys = String::from("\n| kind | key | default | meaning |\n|---|---|---|---|\n");
    for kind in probe::KINDS {
        let fields: Vec<String> = kind.fields().iter().map(|(field, about)| format!("`{field}`: {about}")).collect();
        probes += &format!("| `{}` | {} | {}/s | {} |\n", kind.kind(), kind.about(), kind.rate_hz(), fields.join("; "));
        kind_rows(&mut keys, kind.kind(), &kind.schema().to_value());
    }
    compare_generated("README.md", "generated: probe kinds", &format!("{probes}{keys}"), "docs");
}

/// The keys of a definition in the published schema, without those that name kinds.
fn keys_of(schema: &Value, name: &str) -> Map<String, Value> {
    let definition = if name.is_empty() { schema } else { &schema["$defs"][name] };
    let mut keys = Map::new();
    for part in definition["oneOf"].as_array().into_iter().flatten().chain([definition]) {
        keys.extend(part["properties"].as_object().cloned().unwrap_or_default());
    }
    let kinds: BTreeSet<&str> = fault::KINDS.iter().map(|k| k.kind()).chain(probe::KINDS.iter().map(|k| k.kind())).collect();
    keys.retain(|key, _| !kinds.contains(key.as_str()));
    assert!(!keys.is_empty(), "the schema has no `{name}`");
    keys
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let schema = json_schema(known());
    let tables = [
        ("### The file", ""),
        ("### Secrets", "SecretRef"),
        ("### `system`", "System"),
        ("### `aws`", "AwsDecl"),
        ("### `hosts`", "HostDecl"),
        ("### `proxies`", "ProxyDecl"),
        ("### `targets`", "Target"),
        ("### `probes`", "Probe"),
        ("### `steady_state`", "SteadyDecl"),
        ("### Conditions", "Condition"),
        ("### `guards`", "Guard"),
        ("### `faults`", "Fault"),
        ("### `restore`", "Restore"),
        ("### `recovery`", "RecoveryDecl"),
        ("### `claims`", "Claim"),
        ("### `subject`", "Subject"),
        ("### Matchers", "Matcher"),
    ];
    the_tables_agree(&schema, &tables);
    let policy = [
        ("### The policy file", ""),
        ("### A rule", "Rule"),
        ("### A window", "Window"),
        ("### A freeze", "Freeze"),
        ("### Approvals", "Approvals"),
    ];
    the_tables_agree(&firedrill::policy::json_schema(), &policy);
}

/// Each heading's table names the keys of that definition, and says what they default to.
fn the_tables_agree(schema: &Value, tables: &[(&str, &str)]) {
    for (heading, name) in tables {
        let text = section("README.md", heading);
        let shown: BTreeMap<String, Vec<String>> = rows(&text).into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row)).collect();
        let there = keys_of(schema, name);
        let (left, right): (Vec<&String>, Vec<&String>) =
            (shown.keys().collect(), there.keys().collect::<BTreeSet<_>>().into_iter().collect());
        assert_eq!(left, right, "{heading}: the table has the left, the language the right");
        let definition = if name.is_empty() { schema } else { &schema["$defs"][name] };
        let required: Vec<&str> = definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, property) in &there {
            let row = &shown[key];
            if *heading != "### Matchers" {
                assert_eq!(row[2] == "**required**", required.contains(&key.as_str()), "{heading}: is `{key}` required?");
                if let Value::String(default) = &property["default"] {
                    assert!(row[2].contains(&format!("`{default}`")), "{heading}: the default of `{key}` is `{default}`, not {}", row[2]);
                }
            }
            // What is within a key is named as well.
            let inner = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")).map(|inner| &schema["$defs"][inner]);
            for within in inner.and_then(|inner| inner["properties"].as_object()).into_iter().flatten().map(|(within, _)| within) {
                let elsewhere = ["steady_state", "recovery", "team", "score", "ready", "confirm", "only_if", "undo", "not", "on"];
                assert!(elsewhere.contains(&key.as_str()) || row.join(" ").contains(within.as_str()), "{heading}: `{key}` has `{within}`");
            }
        }
    }
}

#[test]
fn the_table_of_exit_codes_is_that_of_help() {
    let told: BTreeSet<String> =
        EXIT_CODES.lines().filter(|line| line.starts_with(' ')).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    let shown: Vec<String> = rows(&section("README.md", "## Verdicts and exit codes")).into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(shown.iter().cloned().collect::<BTreeSet<_>>(), told);
    let order: Vec<String> =
        EXIT_CODES.lines().filter(|line| line.starts_with(' ')).map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert_eq!(shown, order, "worst first, as help has it");
}

#[test]
fn the_environment_variables_are_those_that_are_read() {
    let shown: BTreeSet<String> =
        rows(&section("README.md", "### Environment variables")).into_iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    let mut read = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let body = text.find("\nmod tests {").map_or(text.as_str(), |at| &text[..at]);
            for (at, _) in body.match_indices("env::var(\"") {
                read.insert(body[at + 10..].split('"').next().unwrap().to_owned());
            }
        }
    }
    // What every program looks at is not told.
    for everyday in ["TERM", "PATH", "HOME"] {
        read.remove(everyday);
    }
    read.retain(|name| !name.starts_with("FIREDRILL_TEST_"));
    assert_eq!(shown, read);
}

// ------------------------------------------------------------------------------------------------------------ commands

/// Verbs, each with its flags.
fn verbs() -> BTreeMap<String, BTreeSet<String>> {
    let cli = Cli::command();
    let everywhere: BTreeSet<String> = cli.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}")).collect();
    let visible = cli.get_subcommands().filter(|verb| !verb.is_hide_set());
    visible
        .map(|verb| {
            let within = verb.get_subcommands().flat_map(|inner| inner.get_arguments());
            let flags = verb.get_arguments().chain(within).filter_map(|arg| arg.get_long()).map(|long| format!("--{long}"));
            (verb.get_name().to_owned(), flags.chain(everywhere.clone()).chain(["--help".to_owned()]).collect())
        })
        .collect()
}

#[test]
fn no_page_names_a_verb_or_a_flag_that_help_does_not_know() {
    let verbs = verbs();
    let mut seen = BTreeSet::new();
    for name in pages().into_iter().chain(["CHANGELOG.md".to_owned()]) {
        for (number, line) in page(&name).lines().enumerate() {
            // In prose a command stands in backticks or behind a prompt; in a block it starts the line.
            let quoted = line.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("firedrill "));
            let prompted = line.strip_prefix("$ firedrill ").or_else(|| line.strip_prefix("firedrill "));
            let started = prompted.into_iter().chain(line.strip_prefix("cargo run --release -- "));
            for command in quoted.chain(started) {
                let command = command.split(" #").next().unwrap();
                let mut words = command.split_whitespace();
                let verb = words.next().unwrap().trim_matches(|c: char| !c.is_alphanumeric());
                let flags = verbs.get(verb).unwrap_or_else(|| panic!("{name}:{}: there is no verb `{verb}`", number + 1));
                for flag in words.filter(|word| word.starts_with("--")) {
                    let flag = flag.split('=').next().unwrap();
                    assert!(flags.contains(flag), "{name}:{}: `firedrill {verb}` has no {flag}", number + 1);
                }
                seen.insert(verb.to_owned());
            }
        }
    }
    let untold: Vec<&String> = verbs.keys().filter(|verb| !seen.contains(*verb) && *verb != "help").collect();
    assert!(untold.is_empty(), "no page names {untold:?}");
}

/// A drill that breaks nothing and is over in a few seconds.
fn rehearsal(place: &Place) {
    place.drill_on_a_node("A rehearsal", "{ nothing: { rehearse.nothing: {}, for: 500ms } }", "{ within: 10s, stable_for: 500ms }");
}

/// Every command of the README with the exit code that it has here, in the order of the page. `None` is run elsewhere, and says where.
const COMMANDS: &[(&str, Result<i32, &str>)] = &[
    ("cargo run --release -- demo", Err("tests/readme.rs")),
    ("cargo test", Err(".ci/run")),
    ("firedrill init --url http://127.0.0.1:8080/health --port 8080 --out scenario.yaml", Err("tests/init.rs")),
    ("firedrill check scenario.yaml", Ok(0)),
    ("firedrill plan scenario.yaml", Ok(0)),
    ("firedrill run scenario.yaml --until baseline", Ok(0)),
    // Nobody can be asked here, and nothing is run then.
    ("firedrill run scenario.yaml", Ok(2)),
    ("firedrill run scenario.yaml --yes", Ok(0)),
    ("firedrill report last", Ok(0)),
    ("firedrill score last", Ok(0)),
    ("firedrill score last --explain REL11-BP02", Ok(0)),
    ("firedrill runs", Ok(0)),
    ("firedrill undo", Ok(0)),
    ("firedrill kinds", Ok(0)),
    ("firedrill kinds process.kill", Ok(0)),
    ("firedrill kinds signals", Ok(0)),
    ("firedrill schema", Ok(0)),
    ("firedrill schema --report", Ok(0)),
    ("firedrill schema --policy", Ok(0)),
    ("firedrill completions bash", Ok(0)),
    ("firedrill man", Ok(0)),
    ("firedrill gameday plan scenarios/gameday.yaml", Err("tests/gameday.rs")),
    ("firedrill gameday export scenarios/gameday.yaml --ics checkout.ics", Err("tests/gameday.rs")),
    ("firedrill calibrate", Err("tests/calibrate.rs")),
    ("firedrill run scenario.yaml --yes --repeat 3", Err("tests/many.rs")),
    ("firedrill claims", Ok(0)),
    ("firedrill campaign start scenario.yaml --count 59", Ok(0)),
    ("firedrill campaign status scenario", Ok(31)),
    // Nothing is running by then.
    ("firedrill abort --reason outage", Ok(11)),
    ("firedrill abort --all --reason outage", Ok(11)),
    ("firedrill release FAULT", Ok(11)),
    ("firedrill undo --all", Ok(0)),
    ("firedrill lever engage --reason outage", Ok(0)),
    ("firedrill lever status", Ok(11)),
    ("firedrill lever release", Ok(0)),
    ("firedrill approve scenario.yaml --as alice", Err("tests/policy.rs")),
    ("firedrill show last", Ok(0)),
    ("firedrill compare first second", Err("tests/history.rs")),
    ("firedrill trend scenario", Ok(0)),
    ("firedrill review --since 90d", Ok(0)),
    ("firedrill history rebuild", Ok(0)),
    ("firedrill metrics last", Ok(0)),
    ("firedrill actions list", Ok(0)),
    ("firedrill actions export", Ok(0)),
    ("firedrill actions show F-12345678", Err("tests/actions.rs")),
    ("firedrill actions assign F-12345678 --owner payments --due 2026-12-24", Err("tests/actions.rs")),
    ("firedrill actions close F-12345678", Err("tests/actions.rs")),
    ("firedrill actions close F-12345678 --run last", Err("tests/actions.rs")),
    ("firedrill evidence keygen", Ok(0)),
    ("firedrill evidence pack last --out drill.tar --key firedrill.key", Ok(0)),
    ("firedrill evidence verify drill.tar --trust firedrill.key.pub", Ok(0)),
    ("firedrill evidence diff drill.tar other.tar", Err("tests/evidence.rs")),
];

#[test]
fn every_command_of_the_readme_runs() {
    let told: Vec<String> = blocks("README.md")
        .into_iter()
        .filter(|block| block.language == "sh")
        .flat_map(|block| block.text.lines().map(|line| line.split(" #").next().unwrap().trim().to_owned()).collect::<Vec<_>>())
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(told, COMMANDS.iter().map(|(command, _)| (*command).to_owned()).collect::<Vec<_>>());
    let place = Place::new();
    rehearsal(&place);
    for (command, code) in COMMANDS {
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        if let Ok(code) = code {
            let done = place.run(&words, 120);
            assert_eq!(done.code, Some(*code), "{command}\n{}\n{}", done.stdout, done.stderr);
            assert!(*code != 0 || !done.stdout.is_empty() || !done.stderr.is_empty(), "{command} says nothing");
        }
    }
    place.assert_nobody_survives(10);
}

#[test]
fn what_is_run_elsewhere_is_run_there() {
    assert!(page(".ci/run").lines().any(|line| line.starts_with("cargo test")));
    assert!(page("tests/readme.rs").contains(r#"demo(&["demo"])"#));
    for (command, code) in COMMANDS {
        if let Err(file) = code {
            assert!(is_there(file) || *file == "tests/init.rs", "{command} is to be run by {file}");
        }
    }
}

#[test]
fn the_sample_of_a_refused_file_is_real() {
    let place = Place::new();
    place.file("shop.yaml", page("tests/invalid/shape-many.yaml"));
    let done = place.run(&["check", "shop.yaml"], 30).expect(10);
    let block = format!("```console\n$ firedrill check shop.yaml\n{}\n```\n", done.stderr.trim_end());
    compare_generated("README.md", "output: check", &block, "docs");
}

// --------------------------------------------------------------------------------------------------------------- files

#[test]
fn links_and_files_are_there() {
    let mut seen = 0;
    for name in pages().into_iter().chain(["CHANGELOG.md".to_owned()]) {
        let text = page(&name);
        let anchors: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#'))
            .map(|line| {
                let title = line.trim_start_matches('#').trim().to_lowercase().replace('`', "");
                title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
            })
            .collect();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            seen += 1;
            match target.strip_prefix('#') {
                Some(anchor) => assert!(anchors.contains(anchor), "{name}: no heading #{anchor}"),
                None if target.starts_with("https://") => {}
                None => assert!(is_there(target), "{name}: no file {target}"),
            }
        }
    }
    assert!(seen >= 10, "{seen} links");
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "benches/startup.py"] {
        assert!(is_there(file), "{file}");
    }
    assert!(page("CHANGELOG.md").contains(&format!("## [{}]", env!("CARGO_PKG_VERSION"))));
}
