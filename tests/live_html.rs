//! Reports as a browser shows them: they validate, axe-core finds nothing serious, light and dark, on a telephone and on a wall, and on paper nothing is
//! cut. What looks is `tests/browser/check.mjs`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test may break off anywhere, says what it skips, and waits on real processes"
)]

mod drill;
mod golden;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use drill::{Place, has_program};
use firedrill::report::html::many::{self, Order, Page, Panel};
use firedrill::report::intervals::{Bar, Bars, Measure};
use firedrill::report::{self, Report};
use firedrill::{measure, score};
use serde_json::Value;

/// Everything that looking takes; says what is missing.
fn browser() -> Option<(PathBuf, PathBuf)> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules");
    let found = has_program("node").zip(has_program("chromium"));
    match found {
        None => println!("SKIPPED node or chromium is not installed (apt-get install nodejs chromium); nothing was shown"),
        Some(_) if !modules.join("axe-core").is_dir() => {
            println!("SKIPPED the node packages are not installed (npm ci --prefix tests/browser); nothing was shown");
            return None;
        }
        Some(_) => {}
    }
    found
}

fn look(pages: &[PathBuf]) {
    let Some((node, chromium)) = browser() else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/check.mjs");
    let mut command = Command::new(node);
    let done = command.arg(script).args(pages).env("CHROMIUM", chromium).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for line in said.lines() {
        let page: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        seen += 1;
        for one in page["wrong"].as_array().unwrap() {
            wrong.push(format!("{}: {}", page["file"].as_str().unwrap(), one.as_str().unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done.status.success() && seen == pages.len(), "{seen} of {} pages\n{}", pages.len(), String::from_utf8_lossy(&done.stderr));
}

#[test]
fn every_golden_report_is_fit_to_be_shown() {
    let place = Place::new();
    let pages: Vec<PathBuf> = golden::ALL
        .iter()
        .map(|(name, _)| {
            let (plan, entries) = golden::load(&golden::dir(name));
            let facts = measure::facts(&plan, &entries);
            let score = score::score(&plan, &facts);
            place.file(&format!("{name}/report.html"), report::html::render(&Report::new(&plan, &facts, &score)))
        })
        .collect();
    look(&pages);
}

/// The samples that unit tests write: team late, tabletop, censored, no claims and all the others that no golden run is.
#[test]
fn every_sample_report_is_fit_to_be_shown() {
    let Ok(found) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/report-samples")) else {
        println!("SKIPPED no samples were written yet (cargo test --lib the_samples_can_be_looked_at); nothing was shown");
        return;
    };
    let mut pages: Vec<PathBuf> =
        found.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ext| ext == "html")).collect();
    pages.sort();
    look(&pages);
}

#[test]
fn many_runs_are_fit_to_be_shown() {
    let place = Place::new();
    let bar = |n: u32| {
        let (lo, wide) = (2.0e9 + f64::from(n * 7919 % 31) * 1e8, 2e8);
        let verdict = match n % 11 {
            3 => "failed",
            7 => "inconclusive",
            9 => "invalid",
            _ => "passed",
        };
        let open = n % 11 == 3;
        Bar {
            run: format!("01JD8Z4Q2V7W3N5T9X6M1K{n:04}"),
            day: format!("2026-{:02}-{:02}", n / 28 % 12 + 1, n % 28 + 1),
            lo: (n % 11 != 9).then_some(lo),
            hi: (n % 11 != 9 && !open).then_some(lo + wide),
            verdict: verdict.into(),
            changed: n == 17,
        }
    };
    let pages =
        [(Order::Repeats, 1), (Order::Repeats, 59), (Order::Trend, 2), (Order::Trend, 40), (Order::Trend, 400)].map(|(order, count)| {
            let time =
                Bars { name: "checkout.rto".into(), measure: Measure::Time, objective: Some(5e9), runs: (0..count).map(bar).collect() };
            let share = |bar: Bar| Bar { lo: bar.lo.map(|lo| 1.0 - lo / 1e11), hi: bar.lo.map(|lo| 1.0 - lo / 2e11), ..bar };
            let shares = Bars {
                name: "checkout.availability".into(),
                measure: Measure::Share,
                objective: Some(0.95),
                runs: (0..count).map(bar).map(share).collect(),
            };
            let panel = |bars: Bars| Panel {
                name: bars.name.clone(),
                said: vec!["Held in 50 of 59; at 95 % confidence in at least 74.2 % of such cases.".into()],
                bars: Some(bars),
                more: Some(("What is not known (1)".into(), vec!["Nobody wrote it down.".into()])),
            };
            let page = Page {
                title: "A node is lost during checkout".into(),
                kind: if order == Order::Trend { "Trend over runs" } else { "Claims over runs" },
                meta: vec!["shop".into(), format!("{count} runs")],
                said: vec!["59 runs taken together, of 59 that were started.".into()],
                order,
                panels: vec![
                    panel(time),
                    panel(shares),
                    Panel { name: "checkout".into(), said: vec!["No run says whether it holds.".into()], bars: None, more: None },
                ],
            };
            place.file(&format!("{order:?}-{count}/many.html"), many::render(&page))
        });
    look(&pages);
}
