//! Golden files: every invalid scenario under `tests/invalid` with the diagnostics that people see. `FIREDRILL_BLESS=1` rewrites them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod diagnostics;

use std::fs;
use std::path::Path;

use firedrill::cli::known::known;
use firedrill::scenario::{Diagnostic, Severity, check, read, render_all};
use indexmap::IndexMap;

/// What `firedrill check` says of a file, and whether it refuses it.
fn shown(folder: &Path, name: &str) -> (String, bool) {
    let known = known();
    let bytes = fs::read(folder.join(name)).expect("a listed file is there");
    let given: IndexMap<String, String> = String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| line.strip_prefix("# --var ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let load = |path: &str| fs::read_to_string(folder.join(path)).map_err(|_| "there is no such file".to_owned());
    let found = match read(&bytes, &format!("tests/invalid/{name}"), known, &given, &load) {
        Err(diagnostics) => diagnostics,
        Ok(read) => {
            let mut found = read.warnings;
            found.extend(read.documents.diagnose(check(&read.scenario, known)));
            Diagnostic::sort(&mut found);
            found
        }
    };
    (render_all(&found, false), found.iter().any(|diagnostic| diagnostic.severity == Severity::Error))
}

#[test]
fn every_invalid_file_says_what_is_wrong() {
    diagnostics::compare("tests/invalid", 120, shown);
}

/// The goldens are of the library; this is what people have in their hands.
#[test]
fn the_command_line_says_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> = fs::read_dir(root.join("tests/invalid"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    // Vars of the command line are for all files of a call: those files that come with some are left out.
    names.retain(|name| !fs::read(root.join("tests/invalid").join(name)).unwrap().starts_with(b"# --var"));
    let (accepted, refused): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.starts_with("warn-"));
    for (names, code) in [(accepted, 0), (refused, 10)] {
        let files: Vec<String> = names.iter().map(|name| format!("tests/invalid/{name}")).collect();
        let output = assert_cmd::Command::cargo_bin("firedrill").unwrap().current_dir(root).arg("check").args(&files).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        for name in names {
            let golden = fs::read_to_string(root.join("tests/invalid").join(name).with_extension("stderr")).unwrap();
            assert!(said.contains(golden.trim_end()), "{name}: the command line says something else");
            assert_eq!(said.contains(&format!("ok  tests/invalid/{name}")), code == 0, "{name}");
        }
    }
}
