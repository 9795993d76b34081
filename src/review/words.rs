//! A review in sentences, as every form of it says them.

use std::fmt::Write as _;

use super::response::named;
use super::{Answers, Cadence, Judged, Quarter, Review};
use crate::base::{Span, one_line};
use crate::score::words::{bounds, capital, many};
use crate::score::{Risk, Verdict};

/// Most runs that are named in a line; all of them stand in the JSON.
const NAMED: usize = 3;

pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Contradicted(Risk::Hri) => "high risk",
        Verdict::Contradicted(Risk::Mri) => "medium risk",
        Verdict::Supported => "supported",
        Verdict::Attested => "attested",
        Verdict::NotDrilled => "not known",
    }
}

pub(super) fn cited(runs: &[String]) -> String {
    let shown: Vec<String> = runs.iter().rev().take(NAMED).map(|run| one_line(run, 40)).collect();
    match runs.len() {
        0 => String::new(),
        n if n > NAMED => format!(" [{} and {} more]", shown.join(", "), n - NAMED),
        _ => format!(" [{}]", shown.join(", ")),
    }
}

/// Contradicted ones first, then supported ones, each group in the framework's order.
pub(super) fn ordered(review: &Review) -> Vec<&Judged> {
    let mut all: Vec<&Judged> = review.practices.iter().collect();
    all.sort_by_key(|judged| match judged.verdict {
        Verdict::Contradicted(risk) => risk as u8,
        Verdict::Supported => 2,
        Verdict::Attested | Verdict::NotDrilled => 3,
    });
    all
}

/// What the review stands on, in sentences.
pub fn grounds(review: &Review) -> Vec<String> {
    let of = many(review.of as u64, "run");
    let mut said = vec![format!("The last {} days: {of}, {} of them evidence.", review.window_days, review.evidence)];
    if review.evidence < review.of {
        said.push("Demonstrations, tabletops and runs that did not come to their end count for nothing here.".to_owned());
    }
    said.extend(review.caveats.iter().map(|caveat| format!("Nothing is supported: {}.", one_line(caveat, 300))));
    said
}

/// One scenario's cadence in words.
pub(super) fn regular(cadence: &Cadence) -> String {
    let days = |n: f64| many(n.round().max(0.0) as u64, "day");
    let every = format!("{}{}", days(cadence.every_days), if cadence.declared { "" } else { " by default" });
    let runs = match (cadence.runs, cadence.others) {
        (n, 0) => many(n as u64, "run"),
        (0, others) => format!("{} that count for nothing", many(others as u64, "run")),
        (n, others) => format!("{} and {others} that count for nothing", many(n as u64, "run")),
    };
    match (cadence.days_ago, cadence.overdue()) {
        (Some(ago), Some(true)) => format!("OVERDUE: last run {} ago, every {every}; {runs}", days(ago)),
        (Some(ago), _) => format!("last run {} ago, every {every}; {runs}", days(ago)),
        (None, _) => format!("never run as evidence, every {every}; {runs}"),
    }
}

pub(super) fn span(ns: f64) -> Span {
    Span(if ns.is_finite() && ns > 0.0 { ns.min(9e18).round() as u64 } else { 0 })
}

/// One quarter's answers in words.
pub fn quarter(quarter: &Quarter) -> String {
    let looked = quarter.seen + quarter.missed;
    let median = match quarter.median {
        Some((lo, hi)) => format!("median {}", bounds(span(lo), hi.map(span))),
        None => "nothing was observed".to_owned(),
    };
    let mut said = format!("{median}; {} of {looked} in time", quarter.on_time);
    if quarter.missed > 0 {
        let _ = write!(said, ", {} missed", quarter.missed);
    }
    if quarter.not_observed > 0 {
        let _ = write!(said, ", {} not observed", quarter.not_observed);
    }
    said
}

/// Whose answers, and which.
pub fn whose(answers: &Answers) -> String {
    format!("{}: {}", answers.role.as_deref().map_or_else(|| "alerts".to_owned(), |role| one_line(role, 60)), named(&answers.kind))
}

/// Which roles took part.
pub(super) fn roles(review: &Review) -> String {
    let one = |(role, acted): &(String, bool)| format!("{}{}", one_line(role, 60), if *acted { "" } else { " (did nothing yet)" });
    review.roles.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Every practice in a sentence: those that something is known of, and those of which nothing is.
pub fn practices(review: &Review) -> (Vec<String>, Vec<String>) {
    let one = |judged: &Judged| {
        let practice = judged.practice;
        let said = format!("{}: {} {}.", capital(word(judged.verdict)), practice.label, practice.title);
        format!("{said} {}{}", capital(&one_line(&judged.why, 400)), cited(&judged.runs))
    };
    let (known, unknown): (Vec<&Judged>, Vec<&Judged>) =
        ordered(review).into_iter().partition(|judged| judged.verdict != Verdict::NotDrilled);
    (known.into_iter().map(one).collect(), unknown.into_iter().map(one).collect())
}

/// How regularly each scenario is run, in sentences.
pub fn cadences(review: &Review) -> Vec<String> {
    let mut said: Vec<String> = review.cadences.iter().map(|one| format!("{}: {}.", one_line(&one.scenario, 60), regular(one))).collect();
    said.extend((!review.roles.is_empty()).then(|| format!("Roles in this time: {}.", roles(review))));
    said
}
