//! The front end of the language as a whole: what is right is read, what is published agrees, and nothing makes it panic.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod survive;

use std::time::Duration;

use firedrill::base::Span;
use firedrill::cli::known::known;
use firedrill::scenario::known::{Known, KnownKind};
use firedrill::scenario::model::{HoldDecl, Observed, Scenario, When};
use firedrill::scenario::{Diagnostic, Finding, Read, check, json_schema, read, render_all};
use firedrill::sys::clock;
use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

const FULL: &str = include_str!("language/full.yaml");

fn no_files(_: &str) -> Result<String, String> {
    Err("there is no such file".to_owned())
}

fn read_text(text: &str) -> Result<Read, Vec<Diagnostic>> {
    read(text.as_bytes(), "full.yaml", known(), &IndexMap::new(), &no_files)
}

fn good(text: &str) -> Scenario {
    match read_text(text) {
        Ok(read) => read.scenario,
        Err(found) => panic!("{}", render_all(&found, false)),
    }
}

#[test]
fn every_section_of_the_language_is_read() {
    let scenario = good(FULL);
    assert_eq!(scenario.title, "The primary database is lost during checkout");
    assert_eq!(scenario.probes["checkout"].what.kind, "http");
    assert_eq!(scenario.probes["checkout"].what.spec["url"], "http://127.0.0.1:8080/orders");
    assert_eq!(scenario.probes["orders"].what.spec["write"]["url"], "http://127.0.0.1:8080/ledger/${key}");
    assert_eq!(scenario.probes["checkout"].how.timeout, Some(Span::millis(800)));
    assert!(scenario.probes["internet"].how.control);
    let fault = &scenario.faults["lose-primary"];
    assert_eq!((fault.what.kind.as_str(), &fault.what.spec["signal"]), ("process.kill", &"KILL".into()));
    assert_eq!(fault.how.at, Some(When::AfterSteady(Span::secs(20))));
    assert!(matches!(fault.how.hold, HoldDecl::Once(_)));
    let undo = fault.undo.as_ref().unwrap();
    assert_eq!(undo.run.as_ref().unwrap()[2], "${run.dir}/a");
    assert!(matches!(&undo.done_when.as_ref().unwrap().what, Observed::Kind(kind) if kind.kind == "tcp"));
    assert_eq!(fault.confirm.as_ref().unwrap().how.every, Some(Span::millis(50)));
    assert!(matches!(scenario.guards["declared"].what, Observed::Probe(_)));
    assert_eq!(scenario.claims["checkout-node-loss"].holds.len(), 1);
    assert_eq!(scenario.steady_state.probes["checkout"].success.unwrap().min.fraction(), 0.995);
    assert_eq!(scenario.system["primary"].how.setup.len(), 1);
    assert!(scenario.team.is_some() && scenario.score.is_some() && scenario.notify.is_some());
    assert_eq!(scenario.probes.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["checkout", "orders", "write-old", "internet"]);
}

#[test]
fn a_full_scenario_fits_the_published_schema() {
    let schema = json_schema(known());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(FULL).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for broken in ["    for: once\n", "title: The primary database is lost during checkout\n", "        within: 10s\n"] {
        assert!(FULL.contains(broken), "{broken}");
    }
    for (what, instead) in [
        ("    for: once\n", ""),
        ("timeout: 800ms", "timeout: 800"),
        ("    process.kill:", "    process.kil:"),
        ("environment: staging", "environment: stage"),
        ("  lose-primary:", "  losePrimary:"),
        ("mode: blind", "mode: secret"),
    ] {
        let value: serde_json::Value = serde_saphyr::from_str(&FULL.replacen(what, instead, 1)).unwrap();
        assert!(!validator.is_valid(&value), "{what:?} → {instead:?}");
        assert!(read_text(&FULL.replacen(what, instead, 1)).is_err(), "{what:?} → {instead:?}");
    }
}

#[test]
fn the_command_line_wins_over_declared_vars() {
    let given = IndexMap::from([("api".to_owned(), "https://shop".to_owned())]);
    let read = read(FULL.as_bytes(), "s", known(), &given, &no_files).unwrap();
    assert_eq!(read.scenario.vars["api"], "https://shop");
    assert_eq!(read.scenario.probes["checkout"].what.spec["url"], "https://shop/orders");
}

#[test]
fn a_kind_that_this_build_lacks_names_its_feature() {
    let known = Known { probes: vec![KnownKind::plain("http", "asks", json!({}))], left_out: vec![("dns", "dns")], ..Known::default() };
    let text = "firedrill: 1\ntitle: x\ntabletop: true\nprobes:\n  name: { dns: { name: a }, rate: 1/s }\nsteady_state: { probes: { name: { success: { min: 99% } } } }\n";
    let found = read(text.as_bytes(), "x.yaml", &known, &IndexMap::new(), &no_files).err().unwrap_or_default();
    let said = render_all(&found, false);
    assert!(said.contains("this build has no probe kind `dns`") && said.contains("build firedrill with `--features dns`"), "{said}");
    assert_eq!(found.len(), 1, "{said}");

    let kinds = vec![KnownKind::plain("process.kill", "kills", json!({}))];
    let left_out = vec![("aws.fis.experiment", "aws")];
    let known = Known { faults: kinds, left_out, ..Known::default() };
    let text = text.replace("tabletop: true", "faults: { lost: { aws.fis.experiment: { template: EXT1 }, for: 1m } }");
    let said = render_all(&read(text.as_bytes(), "x.yaml", &known, &IndexMap::new(), &no_files).err().unwrap_or_default(), false);
    assert!(
        said.contains("this build has no fault kind `aws.fis.experiment`") && said.contains("build firedrill with `--features aws`"),
        "{said}"
    );
}

#[test]
fn every_kind_of_the_shipped_schema_is_in_a_full_build() {
    assert!(firedrill::probe::LEFT_OUT.is_empty() && firedrill::fault::LEFT_OUT.is_empty());
}

#[test]
fn line_ends_do_not_matter() {
    let crlf = FULL.replace('\n', "\r\n");
    assert_eq!(format!("{:?}", good(&crlf)), format!("{:?}", good(FULL)));
    let found = read_text(&crlf.replacen("timeout: 800ms", "timeout: 800", 1)).unwrap_err();
    let shown = found[0].render(false);
    assert!(shown.contains("timeout: 800 ") && shown.contains("^^^ a number without a unit"), "{shown}");
    assert!(!shown.contains('\r'));
}

#[test]
fn findings_are_shown_where_they_belong() {
    let workload = "workload: 1\nprobes:\n  web:\n    tcp: { address: \"h:1\" }\n";
    let scenario =
        "firedrill: 1\ntitle: x\nworkload: w/load.yaml\nsteady_state: { probes: { web: { success: { min: 99% } } } }\ntabletop: true\n";
    let load = |path: &str| if path == "w/load.yaml" { Ok(workload.to_owned()) } else { Err("no".to_owned()) };
    let read = read(scenario.as_bytes(), "d/s.yaml", known(), &IndexMap::new(), &load).unwrap();
    assert_eq!(read.scenario.probes.len(), 1);
    let findings = vec![
        Finding::warning("/tabletop", "second", ""),
        Finding::error("/steady_state/probes/web", "first", "here").on_key().also("/probes/web", "declared here"),
        Finding::error("/probes/web/tcp/address", "third", "there"),
        Finding::error("/probes/web/rate", "fourth", "nearest").on_key(),
    ];
    let shown: Vec<String> = read.documents.diagnose(findings).iter().map(|found| found.render(false)).collect();
    assert!(shown[0].contains("d/s.yaml:4:27") && shown[0].contains("::: d/w/load.yaml:3:3"), "{}", shown[0]);
    assert!(shown[1].starts_with("warning: second"), "{}", shown[1]);
    assert!(shown[2].contains("d/w/load.yaml:3:3"), "{}", shown[2]);
    assert!(shown[3].contains("d/w/load.yaml:4:21"), "{}", shown[3]);
}

/// Reads a scenario in `drills/` that names a workload in `shared/`.
fn with_workload(scenario: &str, workload: &str) -> Scenario {
    let load = |path: &str| if path == "../shared/web.yaml" { Ok(workload.to_owned()) } else { Err(format!("no {path}")) };
    let text = format!("firedrill: 1\ntitle: x\nworkload: ../shared/web.yaml\ntabletop: true\n{scenario}");
    let read = match read(text.as_bytes(), "drills/s.yaml", known(), &IndexMap::new(), &load) {
        Ok(read) => read,
        Err(found) => panic!("{}", render_all(&found, false)),
    };
    let findings = read.documents.diagnose(check(&read.scenario, known()));
    assert!(findings.is_empty(), "{}", render_all(&findings, false));
    read.scenario
}

const WORKLOAD: &str = "workload: 1
probes:
  web: { http: { url: \"https://h/\", tls: { ca_file: ca.pem }, json: { ca_file: ca.pem } } }
  look: { command: { run: [./look.sh, data/x] } }
steady_state:
  over: 10s
  probes: { web: { success: { min: 99% } } }
guards:
  fence: { command: { run: [./fence.sh], cwd: sub } }
";

#[test]
fn a_workloads_paths_resolve_against_its_own_folder() {
    let scenario = with_workload("", WORKLOAD);
    let web = &scenario.probes["web"].what.spec;
    assert_eq!((&web["tls"]["ca_file"], &web["json"]["ca_file"]), (&"../shared/ca.pem".into(), &"ca.pem".into()));
    let look = &scenario.probes["look"].what.spec;
    assert_eq!(look.to_string(), r#"{"run":["./look.sh","data/x"],"cwd":"../shared"}"#);
    let Observed::Kind(fence) = &scenario.guards["fence"].what else { panic!("a kind") };
    assert_eq!(fence.spec["cwd"], "../shared/sub");
    // The scenario's own paths stay as they are.
    let own = with_workload("probes: { own: { command: { run: [./look.sh] } } }\n", WORKLOAD);
    assert_eq!(own.probes["own"].what.spec.to_string(), r#"{"run":["./look.sh"]}"#);
}

#[test]
fn a_scenario_may_tighten_the_window_alone() {
    let scenario = with_workload("steady_state: { over: 30s }\n", WORKLOAD);
    assert_eq!(scenario.steady_state.over, Some(Span::secs(30)));
    assert_eq!(scenario.steady_state.probes.len(), 1);
}

#[test]
fn what_is_escaped_reaches_the_drill_as_it_is_written() {
    let text = "firedrill: 1\ntitle: \"a $${run.dir}\"\ntabletop: true\nprobes:\n  web:\n    command: { run: [sh, -c, \"echo $${HOME:-${run.dir}} $${run.dir}\"] }\n\
        \x20   expect: { stdout: { contains: \"$${run.dir}\" } }\nsteady_state: { probes: { web: { success: { min: 50% } } } }\n";
    let scenario = good(text);
    assert_eq!(scenario.title, "a ${run.dir}");
    let web = &scenario.probes["web"];
    assert_eq!(web.what.spec["run"][2], "echo ${$}{HOME:-${run.dir}} ${$}{run.dir}");
    assert_eq!(web.how.expect["stdout"].contains, Some("${run.dir}".into()));
}

#[test]
fn a_hostile_file_is_refused_in_time() {
    let mut line = String::from("firedrill: 1\ntitle: x\nprobes: {");
    (0..6_000).for_each(|n| line += &format!("P{n}: {{ htp: {{}} }}, "));
    let texts = [
        "{".repeat(1 << 20),
        "- ".repeat(1 << 18),
        "a: &a [*b, *a]\n".repeat(20_000),
        format!("firedrill: 1\ntitle: \"{}", "x".repeat((1 << 20) - 40)),
        "\"${\"\n".repeat(50_000),
        line + "}\n",
        "? ".repeat(100_000),
    ];
    for text in texts {
        let start = clock::mono_ns();
        let found = read_text(&text).unwrap_err();
        let shown = render_all(&found, false);
        let took = clock::mono_ns().saturating_sub(start);
        assert!(Duration::from_nanos(took) < Duration::from_secs(20), "{took} ns for {:?}", &text[..20]);
        assert!(shown.len() < 200_000, "{} bytes for {:?}", shown.len(), &text[..20]);
    }
}

/// A scenario with a few pieces cut out, doubled or replaced.
fn mangled() -> impl Strategy<Value = String> {
    let bits = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "\"",
        "'",
        "\t",
        "\n",
        "\r",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: *a",
        "!t ",
        "|",
        ">",
        "#",
        "---\n",
        "...",
        "${",
        "${x}",
        "$${",
        "~",
        "null",
        "0",
        "-1",
        "1e9",
        ".nan",
        "0s",
        "99%",
        "\u{1b}[0m",
        "\u{0}",
        "ä",
        "𝄞",
        "\u{202e}",
        "probe: x",
        "http: {}",
        "process.kill: {}",
        "for: 10",
        "%YAML 1.2\n",
        "\u{feff}",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, bits, any::<bool>()), 1..6);
    edits.prop_map(|edits| {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, cut, bit, cuts) in edits {
            let at = at.index(text.len());
            let end = (at + if cuts { cut } else { 0 }).min(text.len());
            text.splice(at..end, bit.chars());
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survive::language(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(firedrill: 1\n)?[\\PC\n\t]{0,200}") {
        survive::language(text.as_bytes());
    }

    #[test]
    fn no_mangled_scenario_makes_it_panic(text in mangled()) {
        survive::language(text.as_bytes());
    }
}
