//! The house rules, held by a test: who may use whom, what is pure, how large a file and a function may be, which words are banned.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    found.sort();
    let src = root().join("src");
    found.into_iter().map(|path| (path.strip_prefix(&src).unwrap().display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The part of a file that is not its unit tests.
fn body(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod tests").map_or(text, |at| &text[..at])
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Whether the file is compiled for tests only.
fn is_test_file(file: &str) -> bool {
    file.ends_with("_tests.rs") || file.ends_with("/tests.rs") || file.ends_with("samples.rs") || file.ends_with("sample_journal.rs")
}

/// Who may use whom: the table of ARCHITECTURE.md.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let table = [
        ("base", ""),
        ("event", "base"),
        ("fold", "base event"),
        ("state", "base event"),
        ("scenario", "base"),
        ("plan", "base scenario"),
        ("policy", "base scenario plan"),
        ("signal", "base event"),
        ("response", "base event plan"),
        ("measure", "base event fold plan response"),
        ("score", "base event plan measure response"),
        ("gameday", "base scenario"),
        ("report", "base event plan measure score response gameday"),
        ("telemetry", "base event fold state plan response measure score"),
        ("sys", "base"),
        ("journal", "base event sys"),
        ("evidence", "base event state plan journal"),
        ("fault", "base event plan sys journal"),
        ("probe", "base event fold plan sys"),
        ("engine", "base event fold state plan response signal sys journal fault probe"),
        ("history", "base"),
        ("actions", "base sys history"),
        ("review", "base score history actions"),
        ("notice", "base event plan sys"),
        ("serve", "base event plan signal engine sys"),
        ("demo", "base sys"),
        ("truth", "base sys"),
    ];
    table.into_iter().map(|(room, may)| (room, may.split_whitespace().collect())).collect()
}

#[test]
fn rooms_use_only_what_the_table_allows() {
    let table = allowed();
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let Some(may) = table.get(room(&file)) else { continue };
        if is_test_file(&file) {
            continue;
        }
        for (number, line) in body(&text).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for (at, _) in line.match_indices("crate::") {
                let used: String = line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used != room(&file) && table.contains_key(used.as_str()) | (used == "cli") && !may.contains(&used.as_str()) {
                    wrong.push(format!("src/{file}:{}: `{}` may not use `{used}`", number + 1, room(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table_and_in_the_map() {
    let table = allowed();
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (file, _) in all() {
        let room = room(&file);
        assert!(["lib", "main", "cli"].contains(&room) || table.contains_key(room), "src/{file} is in no room of the table");
        assert!(["lib", "main"].contains(&room) || map.contains(&format!("| {room}")), "ARCHITECTURE.md does not name the room `{room}`");
    }
}

const PURE: &[&str] = &[
    "base",
    "event",
    "fold",
    "state",
    "scenario",
    "plan",
    "policy",
    "signal",
    "response",
    "measure",
    "score",
    "gameday",
    "report",
    "telemetry",
    "review",
];
const PURE_FILES: &[&str] = &[
    "demo/rules.rs",
    "engine/decide.rs",
    "engine/moments.rs",
    "engine/cues.rs",
    "engine/look.rs",
    "notice/veil.rs",
    "probe/pace.rs",
    "notice/change.rs",
    "notice/grafana.rs",
    "notice/message.rs",
    "notice/slack.rs",
    "truth/state.rs",
    "truth/store.rs",
    "evidence/archive.rs",
    "evidence/compare.rs",
    "evidence/key.rs",
    "evidence/manifest.rs",
    "evidence/register.rs",
    "evidence/run.rs",
    "evidence/verify.rs",
    "actions/export.rs",
    "actions/fold.rs",
    "actions/verify.rs",
    "history/account.rs",
    "history/drift.rs",
    "history/effect.rs",
];

#[test]
fn the_purity_line_holds() {
    let banned =
        ["tokio", "std::fs", "std::net", "std::env", "std::process", "std::thread", "rustix", "Instant::", "SystemTime", "async fn"];
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let pure = PURE.contains(&room(&file)) || PURE_FILES.contains(&file.as_str());
        if !pure || is_test_file(&file) {
            continue;
        }
        for (number, line) in body(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if let Some(word) = banned.iter().find(|word| code.contains(**word)) {
                wrong.push(format!("src/{file}:{}: {word} above the purity line", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_functions_are_small() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        if is_test_file(&file) {
            continue;
        }
        let body = body(&text);
        let lines = body.lines().count();
        if lines > 400 {
            wrong.push(format!("src/{file}: {lines} lines without tests; 400 are allowed"));
        }
        let mut start: Option<(usize, usize, String)> = None;
        for (number, line) in body.lines().enumerate() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            let head = trimmed.trim_start_matches("pub ").trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
            let head = head.trim_start_matches("async ").trim_start_matches("const ");
            if head.starts_with("fn ") && !line.trim_end().ends_with(';') && start.is_none() {
                start = Some((number, indent, head.chars().take(50).collect()));
            }
            // A signature over several lines that ends in a semicolon has no body.
            if let Some((began, ..)) = &start
                && !body.lines().skip(*began).take(number - began + 1).any(|line| line.trim_end().ends_with('{'))
                && trimmed.ends_with(';')
            {
                start = None;
            }
            if let Some((began, depth, name)) = &start
                && indent == *depth
                && (trimmed == "}" || (trimmed.ends_with('}') && number == *began))
            {
                let length = number - began + 1;
                if length > 70 {
                    wrong.push(format!("src/{file}:{}: {name} has {length} lines; 70 are allowed", began + 1));
                }
                start = None;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_that_mean_trouble_are_absent() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        assert!(!file.contains("util"), "src/{file}: name what it is for");
        assert!(text.starts_with("//!"), "src/{file}: says what it is for");
        for (number, line) in text.lines().enumerate() {
            for word in ["TODO", "FIXME", "XXX", "HACK", "#[allow(", "unsafe {", "MTTR"] {
                if line.contains(word) {
                    wrong.push(format!("src/{file}:{}: {word}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_readme_tells_every_exit_code() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for line in firedrill::cli::exit::EXIT_CODES.lines().filter(|line| line.starts_with(' ')) {
        let code = line.split_whitespace().next().unwrap();
        assert!(readme.contains(&format!("| {code} |")), "README.md does not explain exit code {code}");
    }
}

/// Every word of a text that names one of our metrics or recorded series.
fn metric_words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut words: Vec<String> = text
        .split(|c| !is_part(c))
        .filter(|word| word.starts_with("firedrill_") || word.starts_with("firedrill:"))
        .map(str::to_owned)
        .collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn dashboards_and_rules_name_only_metrics_that_there_are() {
    use firedrill::telemetry::names::{ALL, Kind};
    let mut known: Vec<String> = Vec::new();
    for metric in ALL {
        known.push(metric.name.to_owned());
        if metric.kind == Kind::Histogram {
            known.extend(["_bucket", "_sum", "_count"].map(|end| format!("{}{end}", metric.name)));
        }
    }
    let mut files = Vec::new();
    for dir in ["dashboards", "dashboards/rules"] {
        for entry in fs::read_dir(root().join(dir)).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            files.push((entry.path(), fs::read_to_string(entry.path()).unwrap()));
        }
    }
    assert!(files.len() >= 5, "three dashboards, rules and their tests");
    for (_, text) in &files {
        known.extend(text.lines().filter_map(|line| Some(line.trim().trim_start_matches("- ").strip_prefix("record: ")?.to_owned())));
    }
    let mut used = Vec::new();
    for (path, text) in &files {
        for word in metric_words(text) {
            assert!(known.contains(&word), "{}: there is no metric `{word}`", path.display());
            used.push(word);
        }
    }
    // What nobody looks at is a cost without a use.
    let unused: Vec<&str> = ALL
        .iter()
        .map(|m| m.name)
        .filter(|name| {
            !used
                .iter()
                .any(|word| word == name || word.strip_prefix(*name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end)))
        })
        .collect();
    assert!(unused.is_empty(), "no dashboard and no rule shows {unused:?}");
}

#[test]
fn every_event_is_in_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let events = fs::read_to_string(root().join("src/event/mod.rs")).unwrap();
    let list = &events[events.find("pub enum Event {").unwrap()..];
    let list = &list[..list.find("\n}").unwrap()];
    let names = list.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?;
        let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
        (name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.is_empty()).then_some(name)
    });
    let mut seen = 0;
    for name in names {
        seen += 1;
        assert!(map.contains(&format!("`{name}`")), "ARCHITECTURE.md does not name the event `{name}`");
    }
    assert!(seen > 30, "the list of events was not found");
}

#[test]
fn no_file_is_orphaned() {
    let files: BTreeMap<String, String> = all().into_iter().collect();
    for file in files.keys() {
        let path = Path::new(file);
        let (dir, stem) = (path.parent().unwrap(), path.file_stem().unwrap().to_string_lossy().into_owned());
        if ["lib.rs", "main.rs"].contains(&file.as_str()) {
            continue;
        }
        let (dir, name) =
            if stem == "mod" { (dir.parent().unwrap(), dir.file_name().unwrap().to_string_lossy().into_owned()) } else { (dir, stem) };
        let parents = [dir.join("mod.rs"), dir.with_extension("rs"), dir.join("lib.rs")];
        let declared = parents.iter().any(|parent| {
            files.get(parent.to_str().unwrap()).is_some_and(|text| {
                text.lines().any(|line| line.trim_end_matches(';').ends_with(&format!("mod {name}")) && line.trim_end().ends_with(';'))
            })
        });
        assert!(declared, "src/{file} is declared by nobody");
    }
}
