//! Golden files: every invalid scenario under `tests/invalid` with the diagnostics that people see. `FIREDRILL_BLESS=1` rewrites them.

mod known;

use std::fs;
use std::path::Path;

use firedrill::scenario::{read, render_all};
use firedrill::sys::env;
use indexmap::IndexMap;

/// What people see of a file.
fn shown(folder: &Path, name: &str) -> String {
    let known = known::known();
    let bytes = fs::read(folder.join(name)).expect("a listed file is there");
    let given: IndexMap<String, String> = String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| line.strip_prefix("# --var ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let load = |path: &str| fs::read_to_string(folder.join(path)).map_err(|_| "there is no such file".to_owned());
    match read(&bytes, &format!("tests/invalid/{name}"), &known, &given, &load) {
        Ok(read) => render_all(&read.warnings, false),
        Err(diagnostics) => render_all(&diagnostics, false),
    }
}

#[test]
fn every_invalid_file_says_what_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let bless = env::var("FIREDRILL_BLESS").is_some();
    let mut names: Vec<String> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let ours = ["syntax-", "shape-", "kind-", "unit-", "var-", "workload-"];
    let mut wrong = Vec::new();
    let mut seen = 0;
    for name in names.iter().filter(|name| name.ends_with(".yaml") && ours.iter().any(|prefix| name.starts_with(prefix))) {
        let shown = shown(&folder, name);
        let golden = folder.join(name).with_extension("stderr");
        seen += 1;
        if bless {
            fs::write(&golden, &shown).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != shown {
            wrong.push(format!("=== {name}\n{shown}"));
        }
        assert!(name.starts_with("var-unused") || shown.contains("nothing was run"), "{name} is refused:\n{shown}");
    }
    assert!(seen >= 35, "{seen} files");
    assert!(wrong.is_empty(), "{}\nFIREDRILL_BLESS=1 rewrites them", wrong.join("\n"));
}
