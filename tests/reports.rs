//! A report is a pure function of plan and journal: the same bytes each time, in the form that is promised, and never better for something that
//! is missing or came twice. `FIREDRILL_BLESS=1` writes the reports beside the golden journals; then look at what changed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::path::Path;

use drill::Place;
use firedrill::event::{Entry, Event};
use firedrill::journal;
use firedrill::measure::facts::{ClaimFacts, Facts, Judged, PartVerdict};
use firedrill::measure::{self};
use firedrill::plan::Plan;
use firedrill::report::{self, Report};
use firedrill::score::{Score, Verdict, score};

/// Every form of a report, by file name.
fn forms(plan: &Plan, facts: &Facts, score: &Score) -> [(&'static str, String); 5] {
    let whole = Report { plan, facts, score };
    [
        ("report.html", report::html::render(&whole)),
        ("report.md", report::markdown::render(&whole)),
        ("report.json", report::json::render(&whole)),
        ("report.xml", report::junit::render(&whole)),
        ("report.txt", report::text::render(&whole, false)),
    ]
}

fn judged(plan: &Plan, entries: &[Entry]) -> (Facts, Score) {
    let facts = measure::facts(plan, entries);
    let score = score(plan, &facts);
    (facts, score)
}

/// The first line in which two texts differ: whole pages help nobody.
fn differs(expected: &str, found: &str) -> Option<String> {
    if expected == found {
        return None;
    }
    let pair = expected.lines().zip(found.lines()).enumerate().find(|(_, (a, b))| a != b);
    Some(pair.map_or_else(
        || format!("{} lines, not {}", found.lines().count(), expected.lines().count()),
        |(n, (a, b))| format!("line {}:\n- {}\n+ {}", n + 1, around(a, b), around(b, a)),
    ))
}

/// What surrounds the first difference in a line.
fn around(text: &str, other: &str) -> String {
    let same = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    text.chars().skip(same.saturating_sub(60)).take(200).collect()
}

#[test]
fn every_form_is_as_it_was() {
    let bless = std::env::var("FIREDRILL_BLESS").is_ok();
    let mut wrong = Vec::new();
    for (name, code) in golden::ALL {
        let dir = golden::dir(name);
        let (plan, entries) = golden::load(&dir);
        let (facts, score) = judged(&plan, &entries);
        assert_eq!(score.exit_code, code, "{name}: {:?}", score.system_why);
        for (file, text) in forms(&plan, &facts, &score) {
            if bless {
                std::fs::write(dir.join(file), &text).unwrap();
            }
            let expected = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            wrong.extend(differs(&expected, &text).map(|how| format!("tests/journals/{name}/{file}, {how}")));
        }
    }
    assert!(wrong.is_empty(), "FIREDRILL_BLESS=1 writes them anew:\n{}", wrong.join("\n"));
}

#[test]
fn json_is_what_its_schema_promises() {
    let schema = report::json::schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, _) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        for end in 0..=entries.len() {
            // Unfinished runs are reported as well.
            let (facts, score) = judged(&plan, &entries[..end]);
            let value = report::json::value(&Report { plan: &plan, facts: &facts, score: &score });
            let errors: Vec<String> = validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(errors.is_empty(), "{name}, the first {end} entries:\n{}", errors.join("\n"));
        }
    }
}

/// A copy of a golden run where `firedrill report` finds it.
fn copied(place: &Place, name: &str) -> std::path::PathBuf {
    let dir = place.path().join("runs").join(name);
    std::fs::create_dir_all(&dir).unwrap();
    for file in [journal::PLAN, journal::FILE, journal::SCENARIO] {
        std::fs::copy(golden::dir(name).join(file), dir.join(file)).unwrap();
    }
    dir
}

fn files(dir: &Path) -> Vec<(String, String)> {
    let read = |name: &str| (name.to_owned(), std::fs::read_to_string(dir.join(name)).unwrap_or_default());
    ["report.html", "report.md", "report.json", "report.xml"].map(read).to_vec()
}

#[test]
fn a_deleted_report_is_written_again_with_the_same_bytes_and_the_same_exit_code() {
    let place = Place::new();
    for (name, code) in golden::ALL {
        let dir = copied(&place, name);
        let expected = files(&golden::dir(name));
        for form in ["json", "html", "md", "junit", "text"] {
            let done = place.run(&["report", dir.to_str().unwrap(), "--output", form], 20).expect(i32::from(code));
            assert_eq!(files(&dir), expected, "{name}");
            let file = match form {
                "junit" => "report.xml".to_owned(),
                "text" => "report.txt".to_owned(),
                other => format!("report.{other}"),
            };
            let printed = std::fs::read_to_string(golden::dir(name).join(file)).unwrap();
            let printed = printed.trim_end_matches('\n');
            assert!(done.stdout.starts_with(printed), "{name} as {form}: {:?}", differs(printed, &done.stdout));
            if form == "json" {
                assert_eq!(done.json()["run"]["exit_code"], code);
            }
            for (file, _) in &expected {
                std::fs::remove_file(dir.join(file)).unwrap();
            }
        }
        let journal = |dir: &Path| std::fs::read(dir.join(journal::FILE)).unwrap();
        assert_eq!(journal(&dir), journal(&golden::dir(name)), "a report changes nothing");
    }
}

#[test]
fn a_practice_is_explained_by_label_earlier_label_and_choice_id() {
    let place = Place::new();
    let dir = copied(&place, "passed");
    let run = dir.to_str().unwrap();
    let whole = place.run(&["score", run, "--output", "json"], 20).expect(0).json();
    assert_eq!(whole["practices"].as_object().map(serde_json::Map::len), Some(133));
    let report = place.run(&["report", run, "--output", "json"], 20).json();
    assert_eq!(report["score"]["questions"], whole["questions"]);
    for (choice, practice) in report["score"]["practices"].as_object().unwrap() {
        assert_eq!(practice, &whole["practices"][choice], "{choice}");
    }
    let one = |name: &str| place.run(&["score", run, "--explain", name, "--output", "json"], 20).expect(0).json();
    let failover = one("REL11-BP02");
    assert_eq!(failover, one("rel_withstand_component_failures_failover2good"));
    assert_eq!(failover["choice"], "rel_withstand_component_failures_failover2good");
    let entries = std::fs::read_to_string(dir.join(journal::FILE)).unwrap().lines().count() as u64;
    for seq in failover["entries"].as_array().unwrap() {
        assert!(seq.as_u64().unwrap() < entries, "{seq} is no entry");
    }
    assert_eq!(one("rel12-bp06")["label"], "REL12-BP05");
    let page = place.run(&["score", run, "--explain", "REL11-BP02"], 20).expect(0).stdout;
    assert!(page.contains("failover_s <= target.failover_s") && page.contains("target.slo_availability"), "{page}");
    for form in ["text", "md"] {
        assert!(place.run(&["score", run, "--output", form], 20).expect(0).stdout.contains("2024-11-06"));
    }
    let wrong = place.run(&["score", run, "--explain", "REL11-BP1"], 20).expect(2);
    assert!(wrong.stderr.contains("did you mean REL11-BP01?"), "{}", wrong.stderr);
    assert!(place.run(&["score", "01NOBODY"], 20).expect(2).stderr.contains("no run `01NOBODY`"));
    let text = std::fs::read_to_string(dir.join(journal::FILE)).unwrap();
    std::fs::write(dir.join(journal::FILE), text.replacen("steady_shown", "steady_shaken", 1)).unwrap();
    place.run(&["score", run], 20).expect(11);
}

/// Everything that a claim says, by name.
fn parts(claim: &ClaimFacts) -> Vec<(&'static str, &PartVerdict)> {
    let mut parts = Vec::new();
    parts.extend(claim.rto.as_ref().map(|p| ("rto", &p.part)));
    parts.extend(claim.rpo.as_ref().map(|p| ("rpo", &p.part)));
    parts.extend(claim.availability.as_ref().map(|p| ("availability", &p.part)));
    parts.extend(claim.latency.as_ref().map(|p| ("latency", &p.part)));
    parts.extend(claim.by.as_ref().map(|p| ("by", &p.part)));
    parts
}

/// Nothing passes that did not pass with everything there; how the run ended stays.
fn assert_no_better(what: &str, plan: &Plan, whole: &(Facts, Score), entries: &[Entry]) {
    let (facts, score) = judged(plan, entries);
    if entries.len().is_multiple_of(16) {
        // Rendering is the slow part, and looks at facts alone.
        let _ = forms(plan, &facts, &score);
    }
    assert!(golden::CODES.contains(&score.exit_code), "{what}: {}", score.exit_code);
    let passes = |before: Judged, after: Judged| after == Judged::Passed && before != Judged::Passed;
    assert!(!passes(whole.1.system, score.system), "{what}: the system passes: {:?}", score.system_why);
    for (before, after) in whole.1.practices.practices.iter().zip(&score.practices.practices) {
        let supported = after.verdict == Verdict::Supported && before.verdict != Verdict::Supported;
        assert!(!supported, "{what}: {} is supported: {}", after.practice.label, after.why);
    }
    for (id, claim) in &facts.claims {
        let before = &whole.0.claims[id];
        assert!(!passes(before.verdict, claim.verdict), "{what}: {id} passes");
        for ((name, before), (_, after)) in parts(before).into_iter().zip(parts(claim)) {
            assert!(!passes(before.verdict, after.verdict), "{what}: {id}.{name}: {} ⇒ {}", before.why, after.why);
        }
    }
    if matches!(whole.1.exit_code, 20 | 40 | 50) {
        assert_eq!(score.exit_code, whole.1.exit_code, "{what}");
    }
    assert!(score.exit_code != 0 || whole.1.exit_code == 0, "{what}");
    let owed = |facts: &Facts| facts.owed.iter().map(|owed| owed.id.clone()).collect::<Vec<_>>();
    assert_eq!(owed(&facts), owed(&whole.0), "{what}: what is owed");
}

#[test]
fn what_comes_twice_makes_nothing_better() {
    for (name, _) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        let whole = judged(&plan, &entries);
        let twice: Vec<Entry> = entries.iter().flat_map(|entry| [entry.clone(), entry.clone()]).collect();
        assert_no_better(&format!("{name}, every entry twice"), &plan, &whole, &twice);
        // Of many alike a few are enough: this is the slow part.
        for n in (0..entries.len()).filter(|n| !droppable(&entries[*n]) || n % 4 == 0) {
            let mut twice = entries.clone();
            twice.insert(n, entries[n].clone());
            assert_no_better(&format!("{name}, entry {n} twice"), &plan, &whole, &twice);
        }
        let again: Vec<Entry> = entries.iter().chain(entries.iter().filter(|e| droppable(e))).cloned().collect();
        assert_no_better(&format!("{name}, samples again at the end"), &plan, &whole, &again);
    }
}

/// What a crash or a full disk may take away without anybody noticing: samples, and remarks.
fn droppable(entry: &Entry) -> bool {
    matches!(entry.event, Event::Samples { .. } | Event::Turned { .. } | Event::Note { .. })
}

#[test]
fn what_is_missing_makes_nothing_better() {
    for (name, _) in golden::ALL {
        let (plan, entries) = golden::load(&golden::dir(name));
        let whole = judged(&plan, &entries);
        let without = |what: String, lost: &dyn Fn(usize, &Entry) -> bool| {
            let rest: Vec<Entry> =
                entries.iter().enumerate().filter(|(n, e)| !(droppable(e) && lost(*n, e))).map(|(_, e)| e.clone()).collect();
            assert_no_better(&format!("{name}, without {what}"), &plan, &whole, &rest);
        };
        without("any samples".into(), &|_, _| true);
        for n in (0..entries.len()).filter(|n| droppable(&entries[*n])) {
            without(format!("entry {n}"), &|m, _| m == n);
            if n % 4 != 0 {
                continue;
            }
            without(format!("samples from entry {n}"), &|m, _| m >= n);
            without(format!("samples up to entry {n}"), &|m, _| m <= n);
        }
        for step in 2..7 {
            for rest in 0..step {
                without(format!("samples {rest} of every {step}"), &|n, _| n % step == rest);
                without(format!("samples but {rest} of every {step}"), &|n, _| n % step != rest);
            }
        }
        for probe in plan.probes.keys() {
            without(format!("samples of {probe}"), &|_, e| matches!(&e.event, Event::Samples { probe: p, .. } if p == probe.as_str()));
        }
    }
}
