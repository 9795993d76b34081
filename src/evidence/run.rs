//! One run of a bundle: its record against itself, and everything that follows from the record against what is said to follow.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::compare::{first_line, values};
use super::manifest::{journal_of, plan};
use super::{DERIVED, Files, Judge, Said, Verdict, path_of};
use crate::base::{Digest, digest_of};
use crate::event::{Entry, Event, Role, SCHEMA};
use crate::journal::{self, Start};
use crate::plan::Plan;
use crate::plan::pins::name_of;
use crate::state::RunState;

/// How far clocks of one machine that are read at the same moment may lie apart in a record, in seconds.
const APART: i64 = 60;

/// A run under examination.
pub struct Case<'a> {
    /// The bundle.
    pub files: &'a Files,
    /// The run's id, as its directory says.
    pub run: &'a str,
    /// Its line in the register, and the number of that line.
    pub start: Option<(usize, &'a Start)>,
    /// Whether the reports were written by this version of firedrill, so that it would write the same bytes.
    pub same_version: bool,
}

impl Case<'_> {
    fn path(&self, name: &str) -> String {
        path_of(self.run, name)
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(&self.path(name)).map(Vec::as_slice)
    }

    /// Looks at all of it.
    pub fn check(&self, judge: &Judge<'_>, verdict: &mut Verdict) {
        let before = verdict.problems.len();
        let plan = plan(self.files, self.run).map_err(|said| verdict.problems.push(said)).ok();
        let read = journal_of(self.files, self.run).map_err(|said| verdict.problems.push(said)).ok();
        if let Some(plan) = &plan {
            verdict.problems.extend(self.sources(plan));
        }
        let Some(read) = read else { return };
        if read.torn > 0 {
            let what = "the last line is torn, or its checksum is wrong: it was changed, or the run never came to an end";
            verdict.problems.push(Said::at(&self.path(journal::FILE), read.entries.len() + 1, what));
        }
        verdict.problems.extend(self.beginning(&read.entries));
        verdict.problems.extend(self.clocks(&read.entries));
        if let Err(illegal) = RunState::of(&read.entries) {
            let line = usize::try_from(illegal.seq).unwrap_or(usize::MAX).saturating_add(1);
            verdict.problems.push(Said::at(&self.path(journal::FILE), line, format!("this may not follow what went before: {illegal}")));
        }
        let Some(plan) = plan else { return };
        verdict.problems.extend(self.calibration(&read.entries));
        verdict.problems.extend(self.names(&plan, &read.entries));
        if verdict.problems.len() > before {
            verdict.notes.push(Said::of(format!("run {} was not judged again: its record does not hold", self.run)));
            return;
        }
        self.again(&plan, &read.entries, judge, verdict);
    }

    /// Scenario and workload are what the plan was made from.
    fn sources(&self, plan: &Plan) -> Vec<Said> {
        let mut found = Vec::new();
        let mut compare = |name: &str, digest: &Digest| match self.bytes(name) {
            Some(bytes) if digest_of(bytes) != *digest => {
                let what = format!(
                    "its digest is {}; the plan was made from {digest}: one of the two was changed after the run",
                    digest_of(bytes)
                );
                found.push(Said::in_file(&self.path(name), what));
            }
            None if name == journal::SCENARIO => found.push(Said::in_file(&self.path(name), "it is missing")),
            _ => {}
        };
        compare(journal::SCENARIO, &plan.scenario_digest);
        match &plan.workload_digest {
            Some(digest) => compare(journal::WORKLOAD, digest),
            None if self.bytes(journal::WORKLOAD).is_some() => {
                found.push(Said::in_file(&self.path(journal::WORKLOAD), "the plan knows of no workload"));
            }
            None => {}
        }
        found
    }

    /// The first line names the run and the plan; so does the register.
    fn beginning(&self, entries: &[Entry]) -> Vec<Said> {
        let path = self.path(journal::FILE);
        let Some(Entry { event: Event::RunStarted { schema, run, plan_digest, .. }, .. }) = entries.first() else {
            return vec![Said::at(&path, 1, "a journal begins with the start of its run, and this one does not")];
        };
        let mut found = Vec::new();
        if *schema > SCHEMA {
            found.push(Said::at(
                &path,
                1,
                format!("it is written in format {schema}; this version reads up to {SCHEMA}: use a newer firedrill"),
            ));
        }
        if run != self.run {
            found.push(Said::at(&path, 1, format!("it is the journal of run {run}, not of {}", self.run)));
        }
        for (line, _) in (1..).zip(entries).skip(1).filter(|(_, entry)| matches!(entry.event, Event::RunStarted { .. })) {
            found.push(Said::at(&path, line, "the run starts a second time"));
        }
        let here = self.bytes(journal::PLAN).map(digest_of);
        if let Some(here) = here.filter(|here| here != plan_digest) {
            let what = format!("its digest is {here}; the run was started with {plan_digest}: the plan was changed after the run");
            found.push(Said::in_file(&self.path(journal::PLAN), what));
        }
        if let Some((line, start)) = self.start
            && start.plan_digest != plan_digest.to_string()
        {
            let what = format!("run {run} was started with plan {}; its journal says {plan_digest}", start.plan_digest);
            found.push(Said::at(super::REGISTER, line, what));
        }
        found
    }

    /// The id of a run holds the moment of its start, the register another, the journal a third, and each anchor one more: they belong together.
    fn clocks(&self, entries: &[Entry]) -> Vec<Said> {
        let path = self.path(journal::FILE);
        let anchors = (1..).zip(entries).filter_map(|(line, entry)| match &entry.event {
            Event::Anchor(anchor) => Some((line, anchor, anchor.wall.parse::<Timestamp>())),
            _ => None,
        });
        let mut found = Vec::new();
        let mut first: Option<(Timestamp, u64, &str)> = None;
        let stepped = entries.iter().any(|entry| matches!(entry.event, Event::ClockStep { .. }));
        for (line, anchor, wall) in anchors {
            let Ok(wall) = wall else {
                found.push(Said::at(&path, line, format!("`{}` is no time", anchor.wall)));
                continue;
            };
            let Some((since, ns, boot)) = first else {
                first = Some((wall, anchor.boottime_ns, &anchor.boot_id));
                continue;
            };
            // A clock that is kept in time by slewing gains or loses half a millisecond a second.
            let passed = i64::try_from(anchor.boottime_ns.saturating_sub(ns) / 1_000_000_000).unwrap_or(i64::MAX);
            let told = wall.as_second().saturating_sub(since.as_second());
            if !stepped && boot == anchor.boot_id && told.saturating_sub(passed).abs() > APART + passed / 1000 {
                let what = format!("{told} s have passed here by wall time and {passed} s by the machine's own clock: a time was changed");
                found.push(Said::at(&path, line, what));
                break;
            }
        }
        let id =
            ulid::Ulid::from_string(self.run).ok().and_then(|id| Timestamp::from_millisecond(i64::try_from(id.timestamp_ms()).ok()?).ok());
        let begun = first.map(|(wall, ..)| wall);
        if let Some((id, begun)) = id.zip(begun).filter(|(id, begun)| too_far(*id, *begun)) {
            found.push(Said::in_file(
                &path,
                format!("it begins at {begun}; the run's id was given at {id}: one of the two is not the run's time"),
            ));
        }
        if let (Some((line, start)), Some(id)) = (self.start, id) {
            match start.wall.parse::<Timestamp>() {
                Ok(wall) if too_far(wall, id) => {
                    let what = format!(
                        "run {} was registered at {wall}; its id was given at {id}: one of the two is not the run's time",
                        self.run
                    );
                    found.push(Said::at(super::REGISTER, line, what));
                }
                Ok(_) => {}
                Err(_) => found.push(Said::at(super::REGISTER, line, format!("`{}` is no time", start.wall))),
            }
        }
        found
    }

    /// The calibration is the one that the journal tells of.
    fn calibration(&self, entries: &[Entry]) -> Option<Said> {
        let path = self.path("calibration.json");
        let value: Value = match serde_json::from_slice(self.bytes("calibration.json")?) {
            Ok(value) => value,
            Err(error) => return Some(Said::at(&path, error.line(), format!("it is no JSON: {error}"))),
        };
        let told = entries.iter().find_map(|entry| match &entry.event {
            Event::Calibrated(told) => Some(told),
            _ => None,
        });
        let Some(told) = told else { return Some(Said::in_file(&path, "the journal tells of no calibration")) };
        let here = json!({ "wall": value["wall"], "trials": value["trials"], "covered": value["covered"] });
        let there = json!({ "wall": told.wall, "trials": told.trials, "covered": told.covered });
        values(&here, &there).first().map(|what| Said::in_file(&path, format!("it is not the one that the journal tells of: {what}")))
    }

    /// Whatever the journal names, the plan knows; and what was hit is what was looked for before.
    fn names(&self, plan: &Plan, entries: &[Entry]) -> Vec<Said> {
        let path = self.path(journal::FILE);
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut previewed: Map<String, Value> = Map::new();
        let mut told = BTreeSet::new();
        let mut unknown = |line: usize, what: &str, id: &str, is_known: bool, found: &mut Vec<(usize, String)>| {
            if !is_known && told.insert(format!("{what} {id}")) {
                found.push((line, format!("the {what} `{id}` is not in the plan: it was taken out of the one, or put into the other")));
            }
        };
        for (line, entry) in (1..).zip(entries) {
            match &entry.event {
                Event::Samples { probe: id, .. } | Event::Quiet { probe: id, .. } | Event::Turned { probe: id, .. } => {
                    unknown(line, "probe", id, plan.probes.keys().any(|one| one.as_str() == id), &mut found);
                }
                Event::LedgerRead { ledger: id, .. } => {
                    unknown(line, "ledger", id, plan.probes.keys().any(|one| one.as_str() == id), &mut found);
                }
                Event::Guard { id, .. } | Event::GuardBreached { id, .. } => {
                    unknown(line, "guard", id, plan.guards.keys().any(|one| one.as_str() == id), &mut found);
                }
                Event::Subject { id, .. } => {
                    unknown(line, "subject", id, plan.subject.keys().any(|one| one.as_str() == id), &mut found);
                }
                Event::Previewed { id, targets, .. } => {
                    unknown(line, "fault", id, plan.faults.keys().any(|one| one.as_str() == id), &mut found);
                    previewed.insert(id.clone(), json!(targets.iter().map(|target| name(target)).collect::<Vec<_>>()));
                }
                Event::Armed { id, role: Role::Fault, undo, targets, .. } => {
                    let fault = plan.faults.iter().find(|(one, _)| one.as_str() == id).map(|(_, fault)| fault);
                    unknown(line, "fault", id, fault.is_some(), &mut found);
                    if let Some(fault) = fault.filter(|fault| fault.kind != undo.kind) {
                        found.push((line, format!("`{id}` is armed as {}; the plan says {}", undo.kind, fault.kind)));
                    }
                    let looked_for = previewed.get(id).and_then(Value::as_array);
                    if let Some(other) = targets.iter().find(|target| looked_for.is_some_and(|all| !all.contains(&json!(name(target))))) {
                        found.push((line, format!("`{id}` hits `{other}`, which the preview of this run does not name")));
                    }
                }
                _ => {}
            }
        }
        found.into_iter().map(|(line, what)| Said::at(&path, line, what)).collect()
    }

    /// Judges again and compares.
    fn again(&self, plan: &Plan, entries: &[Entry], judge: &Judge<'_>, verdict: &mut Verdict) {
        let ours = match judge(plan, entries) {
            Ok(ours) => ours,
            Err(why) => {
                verdict.problems.push(Said::of(format!("run {} cannot be judged again: {why}", self.run)));
                return;
            }
        };
        for name in DERIVED {
            let path = self.path(name);
            let Some(theirs) = self.bytes(name) else {
                verdict.problems.push(Said::in_file(&path, "it is missing"));
                continue;
            };
            let Some(ours) = ours.get(name).filter(|ours| ours.as_slice() != theirs) else { continue };
            if self.same_version {
                verdict.problems.extend(differs(&path, theirs, ours));
            } else if name == "report.json" {
                let what = verdicts(theirs).and_then(|theirs| Some(values(&theirs, &verdicts(ours)?))).unwrap_or_default();
                let say =
                    |what| Said::in_file(&path, format!("this version judges otherwise (there: judged again by this version): {what}"));
                verdict.doubts.extend(what.into_iter().map(say));
            }
        }
    }
}

/// What is named before its process id, which changes when it is started again.
fn name(target: &str) -> &str {
    let name = name_of(target);
    name.split(" (pid ").next().unwrap_or(name)
}

fn too_far(a: Timestamp, b: Timestamp) -> bool {
    a.as_second().saturating_sub(b.as_second()).abs() > APART
}

/// In what a derived file differs from what follows from the journal.
fn differs(path: &str, theirs: &[u8], ours: &[u8]) -> Vec<Said> {
    let text = |bytes| String::from_utf8_lossy(bytes);
    let (theirs, ours) = (text(theirs), text(ours));
    let Some((line, a, b)) = first_line(&theirs, &ours) else {
        return vec![Said::in_file(path, "it is not text")];
    };
    let mut found = vec![Said::at(path, line, format!("`{a}` stands there; judged again from the journal it is `{b}`"))];
    if path.ends_with(".json")
        && let (Ok(a), Ok(b)) = (serde_json::from_str(&theirs), serde_json::from_str(&ours))
    {
        let of_value = |what| Said::in_file(path, format!("{what} (there: judged again from the journal)"));
        found.extend(values(&a, &b).into_iter().map(of_value));
    }
    found
}

/// What a report says in the end.
fn verdicts(report: &[u8]) -> Option<Value> {
    let report: Value = serde_json::from_slice(report).ok()?;
    let claims = report["claims"].as_object()?;
    let claims: Map<String, Value> = claims.iter().map(|(id, claim)| (id.clone(), claim["verdict"].clone())).collect();
    Some(json!({ "exit_code": report["run"]["exit_code"], "system": report["run"]["system"], "claims": claims }))
}
