//! From the history to the signals that programme rules ask, each with the runs that show it. What nobody wrote down anywhere is not in here: it
//! counts as not instrumented.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan};

use super::{Debriefed, Input, began, days_between, is_evidence};
use crate::actions::{Action, Change, Source, Status};
use crate::history::{Quantity, Reading, Row};
use crate::score::catalogue::catalogue;
use crate::score::signal::{Readings, Signal, Target, Value};

/// The signals that a review produces; every other one that a programme rule asks is not instrumented.
pub const PRODUCED: [&str; 25] = [
    "runs_in_window",
    "days_since_last_run",
    "hypothesis_declared",
    "scenario_as_code",
    "environments_used",
    "baseline_exists",
    "response_metrics_complete_ratio",
    "dr_drill_days_since",
    "drill_environment",
    "days_since_last_restore",
    "rto_measured_s",
    "rpo_measured_s",
    "lessons_recorded",
    "review_held_days",
    "contributing_factors_n",
    "actions_total",
    "actions_with_owner_due_ratio",
    "actions_closed_ratio",
    "actions_overdue",
    "retest_done",
    "retest_passed",
    "repeat_findings",
    "stale_doc_findings",
    "monitoring_gaps_open",
    "gate_decision_recorded",
];

/// Drills that recover from a disaster, as the catalogue calls them.
const RECOVERY: [&str; 2] = ["region_failover", "restore_drill"];

/// Readings, and the runs behind each.
pub(super) struct Gathered {
    pub(super) readings: Readings,
    pub(super) cites: Vec<(&'static str, Vec<String>)>,
}

impl Gathered {
    pub(super) fn new(input: &Input<'_>) -> Gathered {
        let all = catalogue();
        let targets =
            all.targets.iter().filter_map(|(name, value)| value.map(|value| (name.clone(), Target { value, from: "default".to_owned() })));
        let readings = Readings { signals: Default::default(), targets: targets.collect() };
        let mut gathered = Gathered { readings, cites: Vec::new() };
        let evidence: Vec<&Row> = input.rows.iter().filter(|row| is_evidence(row)).collect();
        let Some(last) = evidence.last() else {
            let why = if input.rows.is_empty() {
                "no run is there"
            } else {
                "no run is evidence: they are demonstrations, or did not come to their end"
            };
            PRODUCED.iter().for_each(|name| gathered.set(name, Signal::not_instrumented(why), Vec::new()));
            return gathered;
        };
        let window: Vec<&Row> = evidence.iter().copied().filter(|row| input.is_within(row)).collect();
        gathered.practice(input, &evidence, &window, last);
        gathered.recovery(input, &evidence);
        gathered.learning(input, &window);
        gathered.actions(input, &window);
        gathered
    }

    pub(super) fn runs(&self, name: &str) -> &[String] {
        self.cites.iter().find(|(known, _)| *known == name).map_or(&[], |(_, runs)| runs)
    }

    fn set(&mut self, name: &'static str, signal: Signal, runs: Vec<String>) {
        self.readings.signals.insert(name.to_owned(), signal);
        self.cites.push((name, runs));
    }

    fn say(&mut self, name: &'static str, value: Value, runs: Vec<String>) {
        self.set(name, Signal::of(value, Vec::new()), runs);
    }

    fn number(&mut self, name: &'static str, n: f64, runs: Vec<String>) {
        self.say(name, Value::exactly(n), runs);
    }

    /// Whether drills are held, and what they are.
    fn practice(&mut self, input: &Input<'_>, evidence: &[&Row], window: &[&Row], last: &Row) {
        self.number("runs_in_window", window.len() as f64, ids(window));
        match began(last) {
            Some(at) => self.number("days_since_last_run", days_between(at, input.now).max(0.0), vec![last.run.clone()]),
            None => self.set("days_since_last_run", Signal::not_instrumented("the last run does not say when it began"), Vec::new()),
        }
        if let Some(days) = evidence.iter().filter_map(|row| row.account.cadence_days).min_by(f64::total_cmp) {
            self.readings
                .targets
                .insert("cadence_days".to_owned(), Target { value: days, from: "the shortest `cadence` of a scenario".to_owned() });
        }
        // What was run in the window, else what was run last: an old programme is judged by its age, not by its shape.
        let recent = if window.is_empty() { std::slice::from_ref(evidence.last().unwrap_or(&last)).to_vec() } else { window.to_vec() };
        let with: Vec<&Row> = recent.iter().copied().filter(|row| row.account.hypothesis).collect();
        self.say("hypothesis_declared", Value::Bool(!with.is_empty()), ids(if with.is_empty() { &recent } else { &with }));
        let known: Vec<bool> =
            recent.iter().filter_map(|row| input.versioned.iter().find(|(name, _)| *name == row.scenario)).map(|(_, yes)| *yes).collect();
        match known.len() == recent.len() {
            true => self.say("scenario_as_code", Value::Bool(known.iter().all(|yes| *yes)), ids(&recent)),
            false => {
                self.set("scenario_as_code", Signal::not_instrumented("where a scenario of these runs lies now is not known"), Vec::new())
            }
        }
        let places: BTreeSet<&str> = window.iter().map(|row| row.account.environment.as_str()).collect();
        self.number("environments_used", places.len() as f64, ids(window));
        let same: Vec<&Row> = evidence.iter().copied().filter(|row| row.same == last.same && row.run != last.run).collect();
        self.say("baseline_exists", Value::Bool(!same.is_empty()), ids(&same));
        let declared: Vec<_> = window.iter().flat_map(|row| row.account.response.iter().map(move |one| (*row, one))).collect();
        let due: Vec<_> = declared.iter().filter(|(_, one)| one.counted && one.verdict != "not_due").collect();
        let seen = due.iter().filter(|(_, one)| one.verdict != "not_observed").count();
        let runs: BTreeSet<String> = due.iter().map(|(row, _)| row.run.clone()).collect();
        match due.len() {
            0 => self.set(
                "response_metrics_complete_ratio",
                Signal::not_instrumented("no run in this time expects anything of people or alerts"),
                Vec::new(),
            ),
            n => self.number("response_metrics_complete_ratio", seen as f64 / n as f64, runs.into_iter().collect()),
        }
    }

    /// Whether recovery from a disaster was drilled, and what came of it.
    fn recovery(&mut self, input: &Input<'_>, evidence: &[&Row]) {
        let of = |drills: &[&str]| {
            evidence.iter().rev().copied().find(|row| row.account.drills.iter().any(|drill| drills.contains(&drill.as_str())))
        };
        for (name, drills) in [("dr_drill_days_since", &RECOVERY[..]), ("days_since_last_restore", &RECOVERY[1..])] {
            match of(drills).map(|row| (row, began(row))) {
                Some((row, Some(at))) => self.number(name, days_between(at, input.now).max(0.0), vec![row.run.clone()]),
                Some((_, None)) => self.set(name, Signal::not_instrumented("that drill does not say when it began"), Vec::new()),
                None => self.set(name, Signal::absent(Vec::new()), Vec::new()),
            }
        }
        let Some(drill) = of(&RECOVERY) else {
            for name in ["drill_environment", "rto_measured_s", "rpo_measured_s"] {
                self.set(name, Signal::not_instrumented("no drill of a recovery from a disaster"), Vec::new());
            }
            return;
        };
        // Words are no numbers, and no rule asks for it: it stands for being known.
        self.say("drill_environment", Value::Bool(!drill.account.environment.is_empty()), vec![drill.run.clone()]);
        for (name, part, target) in [("rto_measured_s", ".rto", "rto_s"), ("rpo_measured_s", ".rpo", "rpo_s")] {
            let asked = drill.readings.iter().filter(|reading| reading.name.ends_with(part) && reading.quantity == Quantity::Time);
            match asked.max_by(|a, b| badness(a).total_cmp(&badness(b))) {
                Some(Reading { lo: Some(lo), hi, objective: Some(objective), .. }) => {
                    self.say(name, Value::Number { lo: lo / 1e9, hi: hi.map(|hi| hi / 1e9) }, vec![drill.run.clone()]);
                    self.readings
                        .targets
                        .insert(target.to_owned(), Target { value: objective / 1e9, from: format!("claimed in {}", drill.run) });
                }
                Some(_) => self.set(name, Signal::undecided("it was claimed, and not measured", Vec::new()), vec![drill.run.clone()]),
                None => self.set(name, Signal::not_instrumented("that drill claims none"), Vec::new()),
            }
        }
    }

    /// Whether anything is learnt of it.
    fn learning(&mut self, input: &Input<'_>, window: &[&Row]) {
        let decided: Vec<_> = input.days.iter().filter(|day| input.is_recent(day.at)).collect();
        match decided.is_empty() {
            true => self.set("gate_decision_recorded", Signal::not_instrumented("no game day was held in this time"), Vec::new()),
            false => {
                let runs = decided.iter().filter(|day| day.decisions > 0).flat_map(|day| day.runs.clone()).collect();
                self.say("gate_decision_recorded", Value::Bool(decided.iter().any(|day| day.decisions > 0)), runs);
            }
        }
        // A drill that nobody took part in, and in which nothing was found, needs no review.
        let due: Vec<&Row> = window.iter().copied().filter(|row| row.account.people || !row.account.findings.is_empty()).collect();
        if due.is_empty() {
            for name in ["lessons_recorded", "review_held_days", "contributing_factors_n"] {
                self.set(name, Signal::not_instrumented("in this time nobody took part in a run, and nothing was found"), Vec::new());
            }
            return;
        }
        let reviews: Vec<(&Row, Option<&Debriefed>)> = due.iter().map(|row| (*row, debrief_of(input, &row.run))).collect();
        let lessons: Vec<&Row> =
            reviews.iter().filter(|(_, review)| review.is_some_and(|review| review.lessons > 0)).map(|(row, _)| *row).collect();
        let deadline = self.readings.targets.get("review_days").map_or(5.0, |target| target.value);
        let ages: Vec<(&Row, Age)> =
            reviews.iter().filter_map(|(row, review)| Some((*row, age(row, *review, deadline, input.now)?))).collect();
        let pending = ages.iter().any(|(_, age)| matches!(age, Age::Pending));
        match (lessons.is_empty(), pending) {
            (true, true) => {
                self.set("lessons_recorded", Signal::undecided("the review of the last run is still to come", Vec::new()), ids(&due))
            }
            (true, false) => self.say("lessons_recorded", Value::Bool(false), ids(&due)),
            (false, _) => self.say("lessons_recorded", Value::Bool(true), ids(&lessons)),
        }
        let worst = ages.iter().filter_map(|(row, age)| Some((*row, age.days()?))).max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        match worst {
            Some((row, (lo, hi))) => self.say("review_held_days", Value::Number { lo, hi }, vec![row.run.clone()]),
            None => self.set("review_held_days", Signal::undecided("the review of the last run is still to come", Vec::new()), ids(&due)),
        }
        let counted: Vec<(&Row, usize)> = reviews.iter().filter_map(|(row, review)| Some((*row, review.as_ref()?.factors))).collect();
        match (counted.iter().map(|(_, n)| *n).min(), pending) {
            // Of every review: one that names what contributed does not speak for the others.
            (Some(fewest), _) => {
                self.number("contributing_factors_n", fewest as f64, counted.iter().map(|(row, _)| row.run.clone()).collect())
            }
            (None, true) => {
                self.set("contributing_factors_n", Signal::undecided("the review of the last run is still to come", Vec::new()), ids(&due))
            }
            (None, false) => self.set("contributing_factors_n", Signal::absent(Vec::new()), ids(&due)),
        }
    }

    /// Whether lessons land.
    fn actions(&mut self, input: &Input<'_>, window: &[&Row]) {
        let real: Vec<&Action> = input.actions.iter().filter(|action| !action.demonstration).collect();
        let seen = |actions: &[&Action]| {
            actions.iter().filter_map(|action| action.last_seen.clone()).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        self.number("actions_total", real.len() as f64, seen(&real));
        let closed = |action: &&&Action| action.status == Status::Closed;
        let overdue: Vec<&Action> = real.iter().copied().filter(|action| action.overdue).collect();
        self.number("actions_overdue", overdue.len() as f64, seen(&overdue));
        let owned = real.iter().filter(|action| action.owner.is_some() && action.due.is_some()).count();
        // Closed before its day, or due: what may still wait counts for neither side.
        let fell_due = real.iter().filter(|action| closed(action) || action.overdue).count();
        let ratios = [
            ("actions_with_owner_due_ratio", owned, real.len(), "there is nothing to be mended"),
            ("actions_closed_ratio", real.iter().filter(closed).count(), fell_due, "nothing was due yet"),
        ];
        for (name, part, of, why) in ratios {
            match of {
                0 => self.set(name, Signal::not_instrumented(why), Vec::new()),
                n => self.number(name, part as f64 / n as f64, seen(&real)),
            }
        }
        self.retests(input, &real);
        let again: Vec<&Action> = real
            .iter()
            .copied()
            .filter(|action| action.about.source == Source::Finding && action.seen > 1 && action.status != Status::Closed)
            .collect();
        self.number("repeat_findings", again.len() as f64, seen(&again));
        let gaps: Vec<&Action> = real.iter().copied().filter(|action| action.status != Status::Closed && of_monitoring(action)).collect();
        self.number("monitoring_gaps_open", gaps.len() as f64, seen(&gaps));
        let walked: Vec<&Row> = window
            .iter()
            .copied()
            .filter(|row| row.account.response.iter().any(|one| one.kind == "step" && !one.verdict.starts_with("not_")))
            .collect();
        let misled: Vec<&Row> = walked
            .iter()
            .copied()
            .filter(|row| row.account.findings.iter().any(|found| found.id.starts_with("team.wrong-turn.")))
            .collect();
        match walked.is_empty() {
            true => {
                self.set("stale_doc_findings", Signal::not_instrumented("in this time no run saw anybody follow a runbook"), Vec::new())
            }
            false => self.number("stale_doc_findings", misled.len() as f64, ids(if misled.is_empty() { &walked } else { &misled })),
        }
    }

    /// Whether what was said to be mended was tried again, and how that went.
    fn retests(&mut self, input: &Input<'_>, real: &[&Action]) {
        let mended =
            |action: &&&Action| action.told.iter().any(|(_, change)| matches!(change, Change::Done { .. } | Change::Closed { .. }));
        let mended: Vec<&Action> = real.iter().filter(mended).copied().collect();
        if mended.is_empty() {
            for name in ["retest_done", "retest_passed"] {
                self.set(name, Signal::not_instrumented("nothing was said to be mended yet"), Vec::new());
            }
            return;
        }
        let later = |action: &Action| {
            let since =
                action.told.iter().filter(|(_, change)| matches!(change, Change::Done { .. })).map(|(wall, _)| wall.as_str()).next_back();
            let again = |row: &&Row| {
                row.scenario == action.about.scenario && is_evidence(row) && since.is_none_or(|since| row.started_at.as_str() > since)
            };
            action.closed_by.clone().or_else(|| since.and_then(|_| input.rows.iter().rev().find(again)).map(|row| row.run.clone()))
        };
        let tried: Vec<(&Action, String)> = mended.iter().filter_map(|action| Some((*action, later(action)?))).collect();
        let runs: Vec<String> = tried.iter().map(|(_, run)| run.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        self.say("retest_done", Value::Bool(tried.len() == mended.len()), runs.clone());
        match tried.is_empty() {
            true => self.set("retest_passed", Signal::absent(Vec::new()), Vec::new()),
            false => self.say("retest_passed", Value::Bool(tried.iter().all(|(action, _)| action.status == Status::Closed)), runs),
        }
    }
}

fn ids(rows: &[&Row]) -> Vec<String> {
    rows.iter().map(|row| row.run.clone()).collect()
}

/// How far beyond what is claimed; what has not ended, or was not measured, is worst.
fn badness(reading: &Reading) -> f64 {
    match (reading.lo, reading.hi, reading.objective) {
        (Some(_), Some(hi), Some(objective)) => hi / objective.max(1.0),
        _ => f64::INFINITY,
    }
}

fn of_monitoring(action: &Action) -> bool {
    action.about.practice.as_deref().is_some_and(|label| label.starts_with("REL06-") || label.starts_with("OPS08-"))
}

/// What was written down after a run: about itself, else about another run of its game day, where all of them are talked over at once.
fn debrief_of<'a>(input: &Input<'a>, run: &str) -> Option<&'a Debriefed> {
    let of = |run: &str| input.debriefs.iter().find(|one| one.run == run);
    let day = || input.days.iter().find(|day| day.runs.iter().any(|one| one == run));
    of(run).or_else(|| day()?.runs.iter().rev().find_map(|other| of(other)))
}

/// When a run was talked over.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Age {
    /// So many days after its end.
    Held(f64),
    /// Not yet, and there is still time.
    Pending,
    /// Not for so many days since, which is too long.
    Missing(f64),
}

impl Age {
    /// At least and at most so many days; none while there is still time.
    fn days(self) -> Option<(f64, Option<f64>)> {
        match self {
            Age::Held(days) => Some((days, Some(days))),
            Age::Missing(days) => Some((days, None)),
            Age::Pending => None,
        }
    }
}

fn age(row: &Row, review: Option<&Debriefed>, deadline: f64, now: Timestamp) -> Option<Age> {
    let lasted = i64::try_from(row.account.lasted_ns).ok()?;
    let ended = began(row)?.checked_add(lasted.nanoseconds()).ok()?;
    Some(match review {
        Some(review) => Age::Held(days_between(ended, review.at).max(0.0)),
        None if days_between(ended, now) > deadline => Age::Missing(days_between(ended, now)),
        None => Age::Pending,
    })
}
