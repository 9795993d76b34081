//! `firedrill runbook check`: are the runbooks whole, does every scenario name steps that are there, which steps does no drill expect, and which
//! did no drill ever exercise?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::RunbookCheck;
use super::exercised::Walked;
use super::exit::Exit;
use super::known::known;
use super::load::load;
use super::out::{Voice, print, say};
use super::store;
use crate::base::one_line;
use crate::plan::{Expected, Mode, Plan};
use crate::response::runbook::{LARGEST, Runbook, parse};
use crate::score::words::many;

/// A directory of runbooks, by name.
type Shelf = BTreeMap<String, (PathBuf, Runbook)>;

/// Reads every Markdown file of a directory that is a runbook; how many others there are.
fn shelf(dir: &Path) -> std::io::Result<(Shelf, usize)> {
    let mut found = Shelf::new();
    let mut pages = 0;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ext| ext != "md") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let size = std::fs::metadata(&path)?.len();
        let book = if size > LARGEST as u64 {
            Runbook { is_one: true, problems: vec![(1, format!("it is larger than {LARGEST} bytes, and not read"))], ..Runbook::default() }
        } else {
            parse(&String::from_utf8_lossy(&std::fs::read(&path)?))
        };
        if book.is_one {
            found.insert(name, (path, book));
        } else {
            pages += 1;
        }
    }
    Ok((found, pages))
}

/// The runbooks of a plan: the directory that its scenario names.
fn place(plan: &Plan) -> Option<PathBuf> {
    let named = plan.team.as_ref()?.runbooks.as_ref()?;
    Some(Path::new(&plan.base_dir).join(named))
}

/// Every step of the runbooks of a plan, as `RUNBOOK#STEP`; none where it has none, or they cannot be read.
pub fn steps(plan: &Plan) -> Vec<String> {
    let Some(Ok((found, _))) = place(plan).map(|dir| shelf(&dir)) else { return Vec::new() };
    let of =
        |(name, (_, book)): (&String, &(PathBuf, Runbook))| book.steps.iter().map(|step| format!("{name}#{}", step.id)).collect::<Vec<_>>();
    found.iter().flat_map(of).collect()
}

/// `firedrill runbook check`.
pub fn check(args: &RunbookCheck, voice: Voice) -> Exit {
    let (found, pages) = match shelf(&args.dir) {
        Ok(found) => found,
        Err(error) => {
            voice.error(
                &format!("failed to read the runbooks in {}: {error}", args.dir.display()),
                Some("name their directory: firedrill runbook check DIR"),
            );
            return Exit::CouldNotStart;
        }
    };
    let mut wrong: Vec<String> = Vec::new();
    for (path, book) in found.values() {
        wrong.extend(book.problems.iter().map(|(line, text)| format!("{}:{line}: {text}", path.display())));
        wrong.extend(broken_links(path, book));
    }
    let mut expected: Vec<String> = Vec::new();
    let mut alerts: Vec<(String, String)> = Vec::new();
    for file in &args.scenarios {
        let plan = match load(file, &args.vars.vars, Mode::Normal, known(), &voice) {
            Ok(loaded) => loaded.plan,
            Err(exit) => return exit,
        };
        let label = file.display().to_string();
        for (id, what) in named(&plan) {
            match what {
                Expected::Step(step) => {
                    if !has(&found, step) {
                        wrong.push(format!("{label}: `{id}` names the step `{}`, which is in no runbook", one_line(step, 128)));
                    }
                    expected.push(step.clone());
                }
                Expected::Alert { labels, .. } => {
                    alerts.extend(labels.get("alertname").map(|name| (format!("{label}: `{id}`"), name.clone())))
                }
                _ => {}
            }
        }
    }
    for (place, alert) in &alerts {
        if !found.values().any(|(_, book)| book.alerts.contains(alert)) {
            wrong.push(format!("{place} expects the alert `{}`, for which there is no runbook", one_line(alert, 128)));
        }
    }
    wrong.iter().for_each(|line| say(&format!("error: {line}")));
    let all: Vec<String> =
        found.iter().flat_map(|(name, (_, book))| book.steps.iter().map(move |step| format!("{name}#{}", step.id))).collect();
    let (books, steps, others) = (many(found.len() as u64, "runbook"), many(all.len() as u64, "step"), many(pages as u64, "other page"));
    print(&format!("{books} with {steps}; {others}\n"));
    if !args.scenarios.is_empty() {
        let never: Vec<&String> = all.iter().filter(|step| !expected.contains(step)).collect();
        print(&format!("{} of {} steps are expected by no drill{}\n", never.len(), all.len(), if never.is_empty() { "" } else { ":" }));
        never.iter().for_each(|step| print(&format!("  {step}\n")));
    }
    if args.runs.is_some() || args.times {
        let runs = args.runs.clone().unwrap_or_else(|| PathBuf::from(".firedrill/runs"));
        let walked = Walked::of(&store::all(&runs));
        walked.tell(&all, &runs, args.times).iter().for_each(|line| print(line));
    }
    if wrong.is_empty() { Exit::Ok } else { Exit::Refused }
}

fn has(found: &Shelf, step: &str) -> bool {
    let Some((name, id)) = step.split_once('#') else { return false };
    found.get(name).is_some_and(|(_, book)| book.steps.iter().any(|step| step.id == id))
}

/// What a plan names, by expectation or wrong turn.
fn named(plan: &Plan) -> Vec<(&str, &Expected)> {
    let Some(team) = &plan.team else { return Vec::new() };
    let expected = team.expect.iter().map(|(id, e)| (id.as_str(), &e.what));
    expected.chain(team.wrong_turns.iter().map(|(id, turn)| (id.as_str(), &turn.what))).collect()
}

/// Links to files beside a runbook that are not there.
fn broken_links(path: &Path, book: &Runbook) -> Vec<String> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let broken = |(line, target): &(usize, String)| {
        let file = target.split('#').next().unwrap_or_default();
        let elsewhere = file.is_empty() || target.contains("://") || target.starts_with("mailto:") || target.starts_with('/');
        (!elsewhere && !dir.join(file).exists())
            .then(|| format!("{}:{line}: it leads to `{}`, which is not there", path.display(), one_line(target, 128)))
    };
    book.links.iter().filter_map(broken).collect()
}
