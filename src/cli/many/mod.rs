//! What many runs of the same thing can claim: `firedrill claims`, and what `run --repeat` and `campaign status` say at their end.

pub mod campaign;
mod page;
pub mod repeat;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::{Claims, ManyFormat};
use super::exit::Exit;
use super::out::{Voice, print};
use super::store;
use crate::base::{Digest, Span, digest_of};
use crate::journal::{self, Register, Start};
use crate::measure::facts::Facts;
use crate::plan::{Mode, Plan};
use crate::score::many::{Bound, CONFIDENCE, Counted, Excluded, Many, Share};
use crate::score::words::{self, bounds};

/// One run as it was found.
struct Found {
    id: String,
    plan: Plan,
    facts: Facts,
    /// What was planned and tested: two runs of one sameness may be taken together.
    same: Digest,
    /// What was planned alone.
    planned: Digest,
}

/// What is said of many runs.
#[derive(Debug)]
pub struct Said {
    /// The scenario's title.
    pub title: String,
    /// Its name.
    pub scenario: String,
    /// Runs that were started of it, according to the register, from the first of these to the last.
    pub started: usize,
    /// Runs that are taken together.
    pub taken: usize,
    /// Runs that were started and are not among them, and why.
    pub left_out: Vec<Excluded>,
    /// The rule that was fixed before the first of them; nothing where none was.
    pub stop_rule: Option<String>,
    /// By claim.
    pub claims: Vec<Many>,
}

/// `firedrill claims [RUN…]`.
pub fn claims(args: &Claims, voice: Voice) -> Exit {
    let dirs = if args.run.is_empty() {
        match newest(&args.runs.dir) {
            Ok(dirs) => dirs,
            Err((why, exit)) => {
                voice.error(&why, Some("`firedrill runs` lists them"));
                return exit;
            }
        }
    } else {
        let found: Result<Vec<PathBuf>, String> = args.run.iter().map(|run| store::find(&args.runs.dir, run)).collect();
        match found {
            Ok(dirs) => dirs,
            Err(why) => {
                voice.error(&why, Some("`firedrill runs` lists them"));
                return Exit::Usage;
            }
        }
    };
    let over = if args.run.is_empty() { Over::All } else { Over::Between };
    conclude(&args.runs.dir, &dirs, None, over, args.output, voice)
}

/// Of which starts the register is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Of every one of the scenario, for whoever names none.
    All,
    /// From the first of the runs that are taken to the last.
    Between,
}

/// Says what these runs can claim together; exits with 31 where the register does not bear it out.
fn conclude(runs: &Path, dirs: &[PathBuf], rule: Option<String>, over: Over, output: ManyFormat, voice: Voice) -> Exit {
    match said(runs, dirs, rule, over) {
        Ok(said) => {
            match output {
                ManyFormat::Json => print(&format!("{:#}", value(&said))),
                ManyFormat::Text => print(&text(&said)),
                ManyFormat::Html => print(&page::html(&said)),
            }
            Exit::Ok
        }
        Err(Refused { why, help }) => {
            voice.error(&why, Some(&help));
            Exit::Run(31)
        }
    }
}

/// Why nothing is claimed.
struct Refused {
    why: String,
    help: String,
}

/// Every run of what was run last.
fn newest(runs: &Path) -> Result<Vec<PathBuf>, (String, Exit)> {
    let last = store::find(runs, "last").map_err(|why| (why, Exit::Usage))?;
    let wanted = found(&last).map_err(|why| (format!("{} cannot be relied on: {why}", last.display()), Exit::Run(31)))?.same;
    Ok(store::all(runs).into_iter().filter(|dir| found(dir).is_ok_and(|found| found.same == wanted)).collect())
}

/// A run as it was found, if its directory holds what was run: the plan that its journal names, and the journal of that run.
fn found(dir: &Path) -> Result<Found, String> {
    let (plan, entries) = store::read(dir).map_err(|error| format!("failed to {error}"))?;
    let path = dir.join(journal::PLAN);
    let bytes = std::fs::read(&path).map_err(|error| format!("failed to read {}: {error}", path.display()))?;
    let facts = crate::measure::facts(&plan, &entries);
    let id = dir.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
    if facts.run.id.is_empty() {
        return Err("its journal is empty".into());
    }
    if facts.run.id != id {
        return Err(format!("its journal is that of run {}", facts.run.id));
    }
    if digest_of(&bytes).to_string() != facts.run.plan_digest {
        return Err("its plan was changed after the run".into());
    }
    let (same, planned) = (sameness(&plan, &facts), of_plan(&plan, ""));
    Ok(Found { id, plan, facts, same, planned })
}

/// What makes two runs runs of the same thing: everything that was planned but for whose leave there was, and what was tested.
pub fn sameness(plan: &Plan, facts: &Facts) -> Digest {
    let subject: Vec<String> = facts.subject.iter().map(|(id, (before, _))| format!("{id}={before:?}")).collect();
    of_plan(plan, &subject.join("\n"))
}

fn of_plan(plan: &Plan, beside: &str) -> Digest {
    let plan = Plan { policy: None, pins: None, base_dir: String::new(), ..plan.clone() };
    let text = serde_json::to_string(&plan).unwrap_or_default();
    digest_of(format!("{text}\n{beside}").as_bytes())
}

fn said(runs: &Path, dirs: &[PathBuf], rule: Option<String>, over: Over) -> Result<Said, Refused> {
    let refused = |why: String, help: &str| Refused { why, help: help.to_owned() };
    let mut all = Vec::new();
    for dir in dirs {
        all.push(found(dir).map_err(|why| refused(why, "leave that run out by naming the others; it is then listed as left out"))?);
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all.dedup_by(|a, b| a.id == b.id);
    let Some(first) = all.first() else {
        return Err(refused("there is no run to claim anything from".into(), "run the scenario first: `firedrill run FILE --repeat 59`"));
    };
    if let Some(other) = all.iter().find(|found| found.same != first.same) {
        let why = format!("{} and {} are not runs of the same thing: {}", first.id, other.id, difference(first, other));
        return Err(refused(why, "only runs of the same scenario, vars, workload and subject say something together"));
    }
    let register = journal::register(&std::path::absolute(runs).unwrap_or_default());
    let register =
        register.map_err(|error| refused(format!("failed to {error}"), "without the register nobody knows how many were started"))?;
    let (started, left_out) = gaps(runs, &register, &all, over)?;
    let claims = first
        .plan
        .claims
        .keys()
        .map(|claim| Many::of(claim.as_str(), all.iter().map(|found| (found.id.as_str(), &found.plan, &found.facts))));
    Ok(Said {
        title: first.plan.title.clone(),
        scenario: first.plan.name.clone(),
        started,
        taken: all.len(),
        left_out,
        stop_rule: rule,
        claims: claims.collect(),
    })
}

fn difference(a: &Found, b: &Found) -> &'static str {
    if a.plan.scenario_digest != b.plan.scenario_digest {
        "the scenario has changed"
    } else if a.plan.workload_digest != b.plan.workload_digest {
        "the workload has changed"
    } else if a.facts.subject.iter().map(|(id, (seen, _))| (id, seen)).ne(b.facts.subject.iter().map(|(id, (seen, _))| (id, seen))) {
        "what was tested (`subject`) has changed"
    } else {
        "their vars, their mode or the version of firedrill differ"
    }
}

/// A start as it was found; one that is gone or cannot be read may have failed, and nothing is said without it.
fn there(runs: &Path, start: &Start) -> Result<Found, Refused> {
    let help =
        "name runs, and only those from the first to the last of them are spoken of; or begin anew, in a directory of its own (`--runs`)";
    let refused = |what: String| Refused {
        why: format!("run {} was started and {what}: whether it held, nobody can say", start.run),
        help: help.into(),
    };
    let dir = runs.join(&start.run);
    if !dir.is_dir() {
        return Err(refused("its directory is gone".into()));
    }
    let found = found(&dir).map_err(|why| refused(format!("cannot be relied on ({why})")))?;
    if found.facts.run.plan_digest != start.plan_digest {
        return Err(refused("its directory holds the record of another plan".into()));
    }
    Ok(found)
}

/// What the register says: how many were started of this, and which are not among these runs.
fn gaps(runs: &Path, register: &Register, taken: &[Found], over: Over) -> Result<(usize, Vec<Excluded>), Refused> {
    let help = "a claim over many runs rests on the register being whole: begin anew, in a directory of its own (`--runs`)";
    if let Some(line) = register.broken {
        let why = format!("the register of starts was changed: line {line} does not continue the one before it");
        return Err(Refused { why, help: help.into() });
    }
    let known: BTreeSet<&str> = register.starts.iter().map(|start| start.run.as_str()).collect();
    if let Some(foreign) = taken.iter().find(|found| !known.contains(found.id.as_str())) {
        return Err(Refused { why: format!("{} is not in the register of starts beside these runs", foreign.id), help: help.into() });
    }
    let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return Ok((0, Vec::new())) };
    let between = |start: &Start| over == Over::All || start.run >= first.id && start.run <= last.id;
    let runs_of_it = register.starts.iter().filter(|start| start.scenario == first.plan.name && !campaign::declares(start));
    let (mut started, mut left_out) = (0, Vec::new());
    for start in runs_of_it.filter(|start| between(start)) {
        let other = there(runs, start)?;
        if taken.iter().any(|found| found.id == start.run) {
            started += 1;
            continue;
        }
        let unread = other.facts.subject.values().any(|(before, _)| before.is_none());
        let why = if other.same == first.same {
            Some("not named")
        } else if other.planned == first.planned && unread {
            Some("what was tested (`subject`) could not be read before it")
        } else {
            // Of another version of the scenario, of other vars, or of something else: no part of this.
            None
        };
        if let Some(why) = why.filter(|_| other.plan.mode == Mode::Normal) {
            started += 1;
            left_out.push(Excluded { run: start.run.clone(), why: why.into() });
        }
    }
    Ok((started, left_out))
}

/// For programs: `firedrill.claims/1`. Lower bounds are rounded down and upper ones up; what is not known is absent.
fn value(said: &Said) -> Value {
    let left_out = |all: &[Excluded]| all.iter().map(|one| json!({ "run": one.run, "why": one.why })).collect::<Vec<_>>();
    let share = |share: Share| json!({ "held": share.held, "of": share.of, "at_least": share.at_least, "confidence": CONFIDENCE });
    let put = |object: &mut Value, name: &str, value: Option<Value>| {
        if let (Some(value), Some(map)) = (value, object.as_object_mut()) {
            map.insert(name.to_owned(), value);
        }
    };
    let counted = |run: &Counted| {
        let mut one = json!({ "run": run.run, "whole": run.whole });
        put(&mut one, "rto", run.rto.map(|rto| json!(rto)));
        put(&mut one, "lo_us", run.lo.map(|lo| json!(lo.as_micros())));
        put(&mut one, "hi_us", run.hi.map(|hi| json!(hi.0.div_ceil(1000))));
        one
    };
    let claim = |many: &Many| {
        let mut one = json!({
            "claim": many.claim, "counted": many.counted.iter().map(counted).collect::<Vec<_>>(), "excluded": left_out(&many.excluded),
            "whole": share(many.whole()),
        });
        put(&mut one, "objective_us", many.objective.map(|objective| json!(objective.as_micros())));
        put(&mut one, "within", many.within().map(share));
        let at_most =
            |bound: Bound| json!({ "share": bound.share, "us": bound.within.0.div_ceil(1000), "rank": bound.rank.0, "of": bound.rank.1 });
        put(&mut one, "at_most", many.bound().map(at_most));
        one
    };
    let mut value = json!({
        "schema": "firedrill.claims/1", "scenario": said.scenario, "title": said.title, "started": said.started, "taken": said.taken,
        "left_out": left_out(&said.left_out), "claims": said.claims.iter().map(claim).collect::<Vec<_>>(),
    });
    put(&mut value, "stop_rule", said.stop_rule.as_ref().map(|rule| json!(rule)));
    value
}

/// Most intervals that are drawn.
const DRAWN: usize = 80;
const WIDE: usize = 48;

fn text(said: &Said) -> String {
    let mut lines = vec![format!("{} ({})", said.title, said.scenario), String::new()];
    lines.push(format!("  {} taken together, of {} that were started", words::many(said.taken as u64, "run"), said.started));
    lines.extend(said.left_out.iter().map(|one| format!("  left out: {}: {}", one.run, one.why)));
    lines.push(match &said.stop_rule {
        Some(rule) => format!("  {rule}"),
        None => {
            "  no stop rule was fixed before the first of them: that they were stopped when it looked good cannot be excluded".to_owned()
        }
    });
    if said.claims.is_empty() {
        lines.push("  the scenario claims nothing".into());
    }
    for many in &said.claims {
        lines.push(String::new());
        lines.push(format!("  {}: {}", many.claim, many.counts()));
        if let (Some(share), Some(objective)) = (many.within(), many.objective) {
            lines.push(format!("    {}", share.sentence(&format!("it comes back within {}", objective.human()))));
            lines.extend(many.bound().map(|bound| format!("    {}", bound.sentence())));
            lines.push(String::new());
            lines.extend(drawn(&many.counted, objective).into_iter().map(|line| format!("    {line}")));
            lines.push(String::new());
        }
        lines.push(format!("    {}", many.whole().sentence("the whole claim holds")));
    }
    lines.join("\n")
}

/// The bounds of each run as a picture: `╶──╴` between them, and where the objective stands.
fn drawn(runs: &[Counted], objective: Span) -> Vec<String> {
    let top = runs.iter().filter_map(|run| run.hi.or(run.lo)).map(|span| span.0).chain([objective.0]).max().unwrap_or(1).max(1);
    let place = |ns: u64| ((u128::from(ns) * (WIDE as u128 - 1)) / u128::from(top)) as usize;
    let line = |run: &Counted| {
        let mut cells = vec![' '; WIDE];
        cells[place(objective.0)] = '┊';
        let measured = match (run.lo, run.hi) {
            (Some(lo), hi) => {
                let (from, to) = (place(lo.0), hi.map_or(WIDE - 1, |hi| place(hi.0)));
                cells[from..=to].fill('━');
                if hi.is_none() {
                    cells[WIDE - 1] = '▶';
                }
                bounds(lo, hi)
            }
            (None, _) => "not measured".to_owned(),
        };
        let cells: String = cells.into_iter().collect();
        format!("{}  {cells}  {measured}", run.run)
    };
    let mut lines: Vec<String> = runs.iter().take(DRAWN).map(line).collect();
    if runs.len() > DRAWN {
        lines.push(format!("and {} more", runs.len() - DRAWN));
    }
    let mut scale = vec![' '; WIDE];
    scale[place(objective.0)] = '┊';
    let scale: String = scale.into_iter().collect();
    let pad = runs.first().map_or(0, |run| run.run.chars().count());
    lines.push(format!("{:pad$}  {scale}  {} is claimed", "", objective.human()));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::facts::Judged;

    #[test]
    fn intervals_are_drawn_to_scale() {
        let run = |run: &str, lo: u64, hi: Option<u64>| Counted {
            run: run.into(),
            lo: Some(Span::millis(lo)),
            hi: hi.map(Span::millis),
            itself: hi.map(Span::millis),
            rto: Some(Judged::Passed),
            whole: Judged::Passed,
        };
        let lines = drawn(&[run("a", 0, Some(5_000)), run("b", 5_000, None), run("c", 0, Some(0))], Span::secs(10));
        assert_eq!(lines.len(), 4);
        let cells = |line: &str| line.chars().skip(3).take(WIDE).collect::<String>();
        assert_eq!(cells(&lines[0]).chars().filter(|c| *c == '━').count(), 24);
        assert!(cells(&lines[1]).ends_with('▶'), "{}", lines[1]);
        assert!(lines[2].starts_with("c  ━ ") && cells(&lines[2]).ends_with('┊'), "{}", lines[2]);
        assert!(lines[3].contains("10 s is claimed"));
    }
}
