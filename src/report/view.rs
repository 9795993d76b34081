//! What every format says in the same words: the headline, the claim table, what is owed, the definitions of the numbers.

use crate::base::{At, Span};
use crate::event::{Calibrated, Outcome};
use crate::measure::facts::{ClaimFacts, Facts, Judged, PartVerdict, Percentiles, Range, SteadyAfter};
use crate::plan::{By, Environment, Mode, PhaseName, RtoFrom, TestKind};
use crate::score::service;
use crate::score::words::{bounds, capital, count, many, range};

use super::Report;

/// What a thing came to: always a word and a shape, colour only beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Passed,
    Failed,
    Inconclusive,
    Invalid,
    NotJudged,
    Aborted,
    NotStarted,
    NotSteady,
    Stuck,
}

impl Status {
    pub(super) fn of(verdict: Judged) -> Status {
        match verdict {
            Judged::Passed => Status::Passed,
            Judged::Failed => Status::Failed,
            Judged::Inconclusive => Status::Inconclusive,
            Judged::Invalid => Status::Invalid,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Inconclusive => "inconclusive",
            Status::Invalid => "invalid",
            Status::NotJudged => "not judged",
            Status::Aborted => "aborted",
            Status::NotStarted => "not started",
            Status::NotSteady => "not steady",
            Status::Stuck => "undo failed",
        }
    }

    pub(super) fn shape(self) -> &'static str {
        match self {
            Status::Passed => "✓",
            Status::Failed | Status::Stuck => "✗",
            Status::Inconclusive => "?",
            Status::Invalid => "∅",
            Status::NotJudged => "–",
            Status::Aborted | Status::NotStarted | Status::NotSteady => "■",
        }
    }
}

/// The first thing that is said.
pub(super) struct Headline {
    pub(super) status: Status,
    /// The number that matters most, with its bounds, and what it is.
    pub(super) number: Option<(String, String)>,
    /// A sentence that stands alone.
    pub(super) sentence: String,
}

pub(super) const DEMONSTRATION: &str = "Demonstration, not evidence";
pub(super) const ONE_RUN: &str =
    "One run supports no percentile claim; 59 clean runs would support “95 % of recoveries within the objective” at 95 % confidence.";

/// Why the run is a demonstration.
pub(super) fn demonstration(report: &Report<'_>) -> Option<String> {
    report.plan.is_demonstration().then(|| {
        let why = if report.plan.mode == Mode::Tabletop {
            "a tabletop touches no fault"
        } else if report.plan.mode == Mode::Baseline {
            "the run ended after baseline, nothing was injected"
        } else if report.plan.environment == Environment::Laptop {
            "it ran on one machine, set up for the drill"
        } else {
            "at least one fault was only rehearsed"
        };
        format!("{DEMONSTRATION}: {why}.")
    })
}

/// The headline of a run.
pub(super) fn headline(report: &Report<'_>) -> Headline {
    let facts = report.facts;
    let because = |text: &str| if text.is_empty() { ".".to_owned() } else { format!(": {text}.") };
    let (status, sentence) = match report.score.exit_code {
        50 => (Status::Stuck, stuck_sentence(facts)),
        40 => {
            let undone = if facts.episodes.values().all(|episode| episode.command.is_none()) {
                " Nothing was injected."
            } else if facts.left_to.is_empty() {
                " Every fault was undone."
            } else {
                ""
            };
            match facts.run.outcome {
                None => (Status::Aborted, "The run has no end: it was killed, or is still going. Nothing is owed.".to_owned()),
                Some(_) => {
                    let why = facts.run.aborted.as_deref().unwrap_or_default();
                    (Status::Aborted, format!("The drill was aborted{}{undone}", because(why)))
                }
            }
        }
        11 => {
            let why = facts.run.could_not_start.as_deref().unwrap_or_default();
            (Status::NotStarted, format!("Could not start{} Nothing was injected.", because(why)))
        }
        20 => {
            let seen = facts.timeline.iter().rev().find(|m| m.what == "baseline").map_or("", |m| m.text.as_str());
            let seen = seen.strip_prefix("not steady: ").unwrap_or(seen).trim_end_matches("; nothing is injected");
            (Status::NotSteady, format!("The system was not steady beforehand, so nothing was injected{}", because(seen)))
        }
        33 => (Status::Invalid, format!("No valid evidence{}", because(report.score.system_why.first().map_or("", String::as_str)))),
        32 => {
            // What people missed says nothing of the system.
            let system =
                if report.score.judged { judged_sentence(report) } else { capital(&format!("{}.", report.score.system_why.join("; "))) };
            let status = if report.score.judged { Status::of(report.score.system) } else { Status::NotJudged };
            (status, format!("{system} The team: {}.", report.score.team_why.first().map_or("", String::as_str)))
        }
        _ if !report.score.judged => (Status::NotJudged, capital(&format!("{}.", report.score.system_why.join("; ")))),
        _ => (Status::of(report.score.system), judged_sentence(report)),
    };
    let shown = matches!(status, Status::Passed | Status::Failed | Status::Inconclusive);
    Headline { status, number: if shown { number(report) } else { None }, sentence }
}

fn stuck_sentence(facts: &Facts) -> String {
    let Some(first) = facts.owed.first() else {
        return "An undo failed: a fault may still be there. Look at the faults below.".to_owned();
    };
    let what = if first.targets.is_empty() { first.id.clone() } else { first.targets.join(", ") };
    let more = match facts.owed.len() {
        1 => String::new(),
        n => format!(" {} more are owed.", n - 1),
    };
    format!("An undo failed: {} may still be broken by {}.{more}", what, first.id)
}

/// The claim part that decides, as number and caption.
fn number(report: &Report<'_>) -> Option<(String, String)> {
    let claims = || report.facts.claims.iter();
    let worst = claims().find(|(_, c)| Status::of(c.verdict) == Status::of(report.score.system)).or_else(|| claims().next());
    let (id, claim) = worst?;
    let name = service(report.plan, id);
    let rto = claim.rto.as_ref()?;
    let measured = rto.measured.as_ref().filter(|m| was_down(m))?;
    Some((range(measured), format!("{} of {name}, claimed {}", definition_words(rto.from), rto.claimed.human())))
}

fn judged_sentence(report: &Report<'_>) -> String {
    let facts = report.facts;
    let mut said = Vec::new();
    for (id, claim) in &facts.claims {
        if Status::of(claim.verdict) == Status::of(report.score.system) || report.score.system == Judged::Passed {
            said.push(claim_sentence(report, id, claim));
        }
    }
    if facts.claims.is_empty() {
        said.push("no claims were made".into());
    }
    match &facts.steady_after {
        SteadyAfter::Missed(why) => said.insert(0, format!("not steady after undo ({why})")),
        SteadyAfter::NotReached => said.push("steady state after undo was not reached".into()),
        SteadyAfter::Held(_) if facts.claims.is_empty() => said.insert(0, "steady state came back after the last undo".into()),
        SteadyAfter::Held(_) => {}
    }
    if report.plan.test == TestKind::Sustained && report.score.system == Judged::Failed {
        let left = report.score.system_why.iter().find(|w| w.contains("while"));
        said.extend(left.cloned());
    }
    capital(&format!("{}.", said.join("; ")))
}

fn claim_sentence(report: &Report<'_>, id: &str, claim: &ClaimFacts) -> String {
    let mut said = Vec::new();
    let name = service(report.plan, id);
    if let Some(rto) = &claim.rto {
        let by = claim.by.as_ref().map_or("", |b| match (b.part.verdict, b.claimed) {
            (Judged::Passed, By::AnotherInstance) => ", on another instance",
            (Judged::Passed, By::SameInstance) => ", on the same instance",
            (Judged::Failed | Judged::Inconclusive | Judged::Invalid, _) => "",
        });
        let decided = matches!(rto.part.verdict, Judged::Passed | Judged::Failed) && rto.self_recovered == Some(true);
        said.push(match rto.measured.filter(|m| decided && was_down(m)) {
            Some(m) => {
                let verb = if rto.part.verdict == Judged::Passed { "within the claimed" } else { "longer than the claimed" };
                format!("{name} was back after {}{by}, {verb} {}", range(&m), rto.claimed.human())
            }
            None => rto.part.why.clone(),
        });
    }
    if let Some(rpo) = &claim.rpo {
        let of = report.facts.ledgers.get(&rpo.ledger).map(|l| format!(", of {}", count(l.acknowledged))).unwrap_or_default();
        said.push(match &rpo.window {
            Some(w) if w.lost == 0 && rpo.part.verdict == Judged::Passed => format!("no acknowledged write was lost{of}"),
            Some(w) => format!("{} lost{of} acknowledged", many(w.lost, "write")),
            None => rpo.part.why.clone(),
        });
    }
    let others: Vec<&PartVerdict> =
        [claim.availability.as_ref().map(|a| &a.part), claim.latency.as_ref().map(|l| &l.part), claim.by.as_ref().map(|b| &b.part)]
            .into_iter()
            .flatten()
            .chain(claim.holds.values().map(|h| &h.part))
            .filter(|p| p.verdict != Judged::Passed)
            .collect();
    said.extend(others.iter().map(|p| p.why.clone()));
    if said.is_empty() { format!("{name}: {}", Status::of(claim.verdict).word()) } else { said.join("; ") }
}

/// An outage was seen; without one, a recovery time is only the resolution.
pub(super) fn was_down(measured: &Range) -> bool {
    measured.hi.is_none() || measured.lo > Span::ZERO || measured.point.is_some_and(|p| p > Span::ZERO)
}

fn definition_words(from: RtoFrom) -> &'static str {
    match from {
        RtoFrom::Effect => "recovery time",
        RtoFrom::Impact => "failover time",
        RtoFrom::Command => "recovery time from the injector's call",
        RtoFrom::Declared => "recovery time from the declared incident",
    }
}

pub(super) fn phase_word(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Before => "before",
        PhaseName::Inject => "inject",
        PhaseName::During => "during",
        PhaseName::Undo => "undo",
        PhaseName::After => "after",
        PhaseName::Recovering => "recovering",
    }
}

/// An instant on the run's clock: `00:30`, `1:02:03`.
pub(super) fn clock(at: At) -> String {
    let s = at.0 / 1_000_000_000;
    if s >= 3600 { format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60) } else { format!("{:02}:{:02}", s / 60, s % 60) }
}

/// How far a moment's bounds lie from the effect before it, as `+7.31 – 7.42 s`; from nothing when no fault was effective by then.
pub(super) fn after_effect(facts: &Facts, at: At, moment: Option<crate::base::Interval>) -> Option<String> {
    let moment = moment?;
    let effect = facts.episodes.values().filter_map(|e| e.effective).filter(|e| e.lo <= at).max_by_key(|e| e.lo)?;
    if moment == effect {
        return None;
    }
    let lo = moment.lo.since(effect.hi.unwrap_or(effect.lo));
    let hi = moment.hi.map(|hi| hi.since(effect.lo));
    Some(match hi {
        Some(hi) if lo == Span::ZERO => format!("within {}", bounds(hi, Some(hi))),
        hi => format!("+{}", bounds(lo, hi)),
    })
}

/// What true outages had shown about the machine, for people.
pub(super) fn calibration(report: &Report<'_>) -> String {
    let Some(c) = &report.facts.run.calibration else {
        return "not calibrated since this machine started: `firedrill calibrate` tries true outages on it".to_owned();
    };
    let width = c.median_width_fast.map_or_else(String::new, |width| format!(", bounds {} wide (median)", width.human()));
    let age = if c.age > Calibrated::FRESH { "; older than a day" } else { "" };
    let held = if c.covered == c.trials { "every bound held the truth" } else { "NOT every bound held the truth" };
    format!("{} of {} true outages, {} before this run{width}: {held}{age}", c.covered, c.trials, c.age.human())
}

pub(super) fn environment(report: &Report<'_>) -> &'static str {
    match report.plan.environment {
        Environment::Laptop => "laptop",
        Environment::Test => "test",
        Environment::Staging => "staging",
        Environment::Production => "production",
    }
}

pub(super) fn test_kind(report: &Report<'_>) -> &'static str {
    match (report.plan.mode, report.plan.test) {
        (Mode::Tabletop, _) => "tabletop",
        (Mode::Baseline, _) => "baseline only",
        (Mode::Normal, TestKind::Recovery) => "recovery test",
        (Mode::Normal, TestKind::Sustained) => "sustained test",
    }
}

pub(super) fn outcome(facts: &Facts) -> &'static str {
    match facts.run.outcome {
        Some(Outcome::Completed) => "completed",
        Some(Outcome::NotSteady) => "not steady beforehand",
        Some(Outcome::Aborted) => "aborted",
        Some(Outcome::Stuck) => "an undo failed",
        None => "no end in the journal",
    }
}

/// A fragment as a sentence of its own.
pub(super) fn sentence(text: &str) -> String {
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{end}", capital(text))
}

/// The largest smallest-outage of the probes that were watched: what might have been missed.
pub(super) fn min_detectable(report: &Report<'_>) -> Option<Span> {
    report.facts.probes.values().filter(|p| !p.control).map(|p| p.min_detectable).max()
}

/// The quantiles of a phase: name, thousandths, value.
pub(super) fn quantiles(p: &Percentiles) -> [(&'static str, u32, Span); 6] {
    [("p50", 500, p.p50), ("p90", 900, p.p90), ("p95", 950, p.p95), ("p99", 990, p.p99), ("p999", 999, p.p999), ("max", 1000, p.max)]
}

/// Whether a quantile, in thousandths, falls among time-outs, which lie at their limit: then it is only a lower bound.
pub(super) fn is_censored(percentiles: &Percentiles, thousandths: u32) -> bool {
    percentiles.censored_from.is_some_and(|from| thousandths >= from)
}

/// Text from outside, fit for a terminal: control and direction characters cannot act, line ends become spaces.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// What each name in the report means, from where to where.
pub(super) const DEFINITIONS: [(&str, &str); 25] = [
    ("recovery_time", "from the fault's effect to stably up again; compared with a recovery objective counted from effect"),
    ("failover_time", "from the first failure that users saw to stably up again"),
    ("command_to_recovery", "from the injector's call to stably up again"),
    ("outage", "from the first failed sample's start to the next good one's start, with bounds from the samples around both edges"),
    (
        "arrival",
        "the outage if each answer is decided when its request arrives, at most p99.9 of the good answers before the fault after its sending; no verdict rests on it",
    ),
    ("total_down", "all outages of the episode together, any of its probes down"),
    ("total_down_all", "all outages of the episode together, all of its probes down"),
    ("unstable_span", "from the first failure to stably up, with the good spells between"),
    ("time_to_effect", "from the injector's call to the effect, which is observed independently of the injector"),
    ("time_to_impact", "from the effect to the first failure that users would have seen"),
    ("impact_to_detect", "from the first failure that users would have seen to the first alert that was expected of the fault"),
    ("undo_time", "from the start of the undo to the look that agreed that all is as it was"),
    ("restore_time", "from the start of the undo to stably up again, where recovery came only after the undo"),
    (
        "stably up",
        "good and steady for the whole of the hold time (stable_for); the time is that of the first good sample, only the decision waits",
    ),
    ("availability_time", "one minus the time down over the window, within the bounds of the outages"),
    ("availability_requests", "good over good and failed samples in the window"),
    (
        "error_budget",
        "time down over (1 − objective) × period, and failed requests over (1 − objective) for its pace; of what the probes asked, which is synthetic",
    ),
    (
        "rpo_point",
        "from the newest acknowledged write that was found, as all before it were, to the effect: how old the state is that survived",
    ),
    ("rpo_time", "from the first to the last acknowledged write that was not found at the authority, at least up to the effect"),
    ("response_all", "from the planned send time to the classified answer, time-outs at their limit; waiting for the prober counts"),
    ("degraded", "whole seconds with good answers that did not keep to the bounds of the steady state"),
    ("share_ok", "good over good and failed samples in the time that the claim names"),
    ("served_by", "the last instance that answered before the fault, and the first that answered after recovery"),
    ("steady_state", "every bound of the scenario's steady state held over its whole window"),
    (
        "min_detectable",
        "the shortest outage that is certain to be seen: the probe's interval, or the widest gap that lateness or lost samples left between two; “none seen” means none as long as that",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_clock_times() {
        assert_eq!(clock(At(Span::millis(30_900).0)), "00:30");
        assert_eq!(clock(At(Span::secs(3_723).0)), "1:02:03");
    }

    #[test]
    fn text_from_outside_cannot_drive_a_terminal() {
        assert_eq!(plain("a\x1b[31mb\nc\u{202e}d"), "a\u{fffd}[31mb c\u{fffd}d");
    }
}
