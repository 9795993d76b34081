//! Folders of invalid files, each with the diagnostics that people see beside it. `FIREDRILL_BLESS=1` rewrites these.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use firedrill::sys::env;

/// Compares every `.yaml` of a folder, of which there must be so many, with the `.stderr` beside it. `shown` gives what is said of a file of that
/// folder, and whether it is refused; files `warn-…` are accepted with a warning, all others refused.
pub fn compare(folder: &str, least: usize, shown: impl Fn(&Path, &str) -> (String, bool)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let bless = env::var("FIREDRILL_BLESS").is_some();
    let mut names: Vec<String> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for name in names.iter().filter(|name| name.ends_with(".yaml")) {
        let (shown, refused) = shown(&folder, name);
        let golden = Path::new(name).with_extension("stderr");
        seen.insert(golden.clone());
        if bless {
            fs::write(folder.join(&golden), &shown).unwrap();
        } else if fs::read_to_string(folder.join(&golden)).unwrap_or_default() != shown {
            wrong.push(format!("=== {name}\n{shown}"));
        }
        if refused == name.starts_with("warn-") || refused != shown.contains("nothing was run") || shown.trim().is_empty() {
            wrong.push(format!("=== {name} is {}\n{shown}", if refused { "refused" } else { "accepted" }));
        }
    }
    assert!(seen.len() >= least, "{} files", seen.len());
    let left: Vec<&String> = names.iter().filter(|name| name.ends_with(".stderr") && !seen.contains(Path::new(name.as_str()))).collect();
    assert!(left.is_empty(), "golden files of nothing: {left:?}");
    assert!(wrong.is_empty(), "{}\nFIREDRILL_BLESS=1 rewrites them", wrong.join("\n"));
}
