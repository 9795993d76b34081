//! People: expected against observed, in the words and values that every format uses.

use serde_json::{Map, Value, json};

use crate::base::{At, Span};
use crate::response::{Done, ExpectationFacts, Turn, TurnFacts, Verdict, Walk, verdict_word};
use crate::score::TeamVerdict;
use crate::score::words::many;

use super::Report;
use super::view::{Status, clock};

/// One line of the table.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) within: String,
    pub(super) word: &'static str,
    pub(super) status: Status,
    pub(super) why: String,
    pub(super) source: String,
    /// It is part of the verdict.
    pub(super) counts: bool,
    /// It is a wrong turn.
    pub(super) turn: bool,
}

/// What is said of the team, where something is.
pub(super) fn verdict(report: &Report<'_>) -> Option<Status> {
    match report.score.team {
        TeamVerdict::NotDeclared | TeamVerdict::NotJudged => None,
        TeamVerdict::Passed => Some(Status::Passed),
        TeamVerdict::Failed => Some(Status::Failed),
        TeamVerdict::Inconclusive => Some(Status::Inconclusive),
        TeamVerdict::Invalid => Some(Status::Invalid),
    }
}

/// Whether something was expected.
pub(super) fn declared(report: &Report<'_>) -> bool {
    report.score.team != TeamVerdict::NotDeclared
}

/// All of it in one fragment.
pub(super) fn sentence(report: &Report<'_>) -> String {
    let team = &report.facts.team;
    match report.score.team {
        TeamVerdict::NotDeclared => return "no expectations were declared".to_owned(),
        TeamVerdict::NotJudged if report.score.team_why.is_empty() => return "expectations were declared, and are not judged".to_owned(),
        TeamVerdict::NotJudged => return report.score.team_why.join("; "),
        _ => {}
    }
    let counting = team.expectations.values().filter(|e| e.counts && e.verdict != Verdict::NotDue);
    let (on_time, all) = counting.fold((0, 0), |(good, all), e| (good + u64::from(e.verdict == Verdict::OnTime), all + 1));
    let machines = match team.stamps.all {
        0 => String::new(),
        all => format!(", {} of {} machine-observed", team.stamps.machine, many(all, "stamp")),
    };
    let unattended = if team.unattended { "; nobody took part, so this is no part of the exit code" } else { "" };
    format!("{on_time} of {all} on time{machines}{unattended}")
}

/// The table: what was expected, then wrong turns.
pub(super) fn rows(report: &Report<'_>) -> Vec<Row> {
    let team = &report.facts.team;
    let expected = team.expectations.iter().map(|(id, e)| Row {
        id: id.clone(),
        what: if e.never { format!("never: {}", e.what) } else { e.what.clone() },
        by: e.by.clone().unwrap_or_else(|| if e.kind == "alert" { "machines".into() } else { "anybody".into() }),
        within: format!("{} of: {}", e.within.human(), e.from),
        word: verdict_word(e.verdict),
        status: status(e.verdict),
        why: why(e),
        source: source(e),
        counts: e.counts,
        turn: false,
    });
    let turns = team.wrong_turns.iter().map(|(id, t)| Row {
        id: id.clone(),
        what: format!("wrong turn: {}", t.what),
        by: t.by.clone().unwrap_or_else(|| "anybody".into()),
        within: String::new(),
        word: turn_word(t.turn),
        status: match t.turn {
            Turn::Avoided => Status::Passed,
            Turn::Taken | Turn::BackedOut => Status::Failed,
            Turn::NotObserved => Status::Inconclusive,
        },
        why: t.why.clone(),
        source: t.by.clone().unwrap_or_default(),
        // It costs time and leaves a finding; the verdict is that of what was expected.
        counts: true,
        turn: true,
    });
    expected.chain(turns).collect()
}

/// What stands beside the table.
pub(super) fn remarks(report: &Report<'_>) -> Vec<String> {
    let team = &report.facts.team;
    let mut out = super::cues::remarks(report);
    if !team.unrelated.is_empty() {
        let names: Vec<String> = team.unrelated.iter().take(10).map(|u| format!("{} ({})", u.name, u.source)).collect();
        let more = if team.unrelated.len() > 10 { " and more" } else { "" };
        out.push(format!("{} fired that nobody expected: {}{more}.", many(team.unrelated.len() as u64, "alert"), names.join(", ")));
    }
    out.extend(team.walks.iter().map(walked));
    if !report.plan.not_judged.is_empty() {
        out.push(format!("Declared, checked and not judged: {}.", report.plan.not_judged.join(", ")));
    }
    out
}

/// What was done of a runbook. That something was done otherwise is no fault of whoever did it.
fn walked(walk: &Walk) -> String {
    let took = |done: &Done| done.took.map_or_else(String::new, |took| format!(" ({})", tenths(took)));
    let steps: Vec<String> = walk.done.iter().take(20).map(|done| format!("{}{}", done.step, took(done))).collect();
    let count = walk.done.len() as u64;
    let of = walk.of.map_or_else(|| many(count, "step"), |all| format!("{count} of {all} steps"));
    let mut text = format!("Runbook {}: {of} done: {}", walk.runbook, steps.join(", "));
    let order: Vec<String> =
        walk.done.iter().filter_map(|done| Some(format!("{} after {}", done.step, done.after.as_ref()?))).take(10).collect();
    if !order.is_empty() {
        text += &format!("; in another order than written: {}", order.join(", "));
    }
    if !walk.left_out.is_empty() {
        text += &format!("; not told of: {}", walk.left_out.iter().take(20).cloned().collect::<Vec<_>>().join(", "));
    }
    let back: Vec<&str> = walk.done.iter().filter(|done| done.back.is_some()).map(|done| done.step.as_str()).collect();
    if !back.is_empty() {
        text += &format!("; taken back: {}", back.join(", "));
    }
    text + "."
}

/// A time that people told of, which is no more exact than that.
fn tenths(span: Span) -> String {
    Span(span.0.div_ceil(100_000_000) * 100_000_000).human()
}

fn walk(walk: &Walk, start: u64) -> Value {
    let done = |done: &Done| {
        json!({ "step": done.step, "at_mono_ns": mono(start, done.at), "by": done.by, "took_us": done.took.map(up), "after": done.after,
                "back_mono_ns": done.back.map(|at| mono(start, at)) })
    };
    json!({ "runbook": walk.runbook, "steps": walk.of, "done": walk.done.iter().map(done).collect::<Vec<_>>(), "left_out": walk.of.map(|_| &walk.left_out) })
}

pub(super) fn status(verdict: Verdict) -> Status {
    match verdict {
        Verdict::OnTime => Status::Passed,
        Verdict::Late | Verdict::Missed => Status::Failed,
        Verdict::NotObserved => Status::Inconclusive,
        Verdict::NotDue => Status::NotJudged,
    }
}

fn turn_word(turn: Turn) -> &'static str {
    match turn {
        Turn::Avoided => "avoided",
        Turn::Taken => "taken",
        Turn::BackedOut => "backed out",
        Turn::NotObserved => "not observed",
    }
}

fn why(e: &ExpectationFacts) -> String {
    let claimed = match (e.received, e.at) {
        (Some(received), Some(at)) => format!("; claimed for {}, heard at {}", clock(at.lo), clock(received)),
        _ => String::new(),
    };
    let also = if e.also.is_empty() { String::new() } else { format!("; also said by {}", e.also.join(", ")) };
    format!("{}{claimed}{also}", e.why)
}

fn source(e: &ExpectationFacts) -> String {
    match (&e.source, &e.who) {
        (Some(source), Some(who)) if e.machine => format!("{source} {who}"),
        (Some(source), Some(who)) => format!("{source}, {who}"),
        _ => String::new(),
    }
}

/// `team` of the JSON report.
pub(super) fn value(report: &Report<'_>) -> Value {
    let team = &report.facts.team;
    let start = report.facts.run.start_mono_ns;
    let expectations: Map<String, Value> =
        team.expectations.iter().filter(|(_, e)| e.verdict != Verdict::NotDue).map(|(id, e)| (id.clone(), expectation(e, start))).collect();
    let turns: Map<String, Value> = team.wrong_turns.iter().map(|(id, t)| (id.clone(), turn(t, start))).collect();
    let unrelated: Vec<Value> = team
        .unrelated
        .iter()
        .map(|u| json!({ "name": u.name, "source": u.source, "seen_mono_ns": mono(start, u.at.hi.unwrap_or(u.at.lo)) }))
        .collect();
    let mut value = json!({
        "expectations": expectations,
        "not_due": team.expectations.iter().filter(|(_, e)| e.verdict == Verdict::NotDue).map(|(id, _)| id).collect::<Vec<_>>(),
        "wrong_turns": turns, "unrelated_alerts": unrelated, "unattended": team.unattended,
        "stamps": { "all": team.stamps.all, "machine_observed": team.stamps.machine },
        "why": report.score.team_why, "not_judged": report.plan.not_judged,
    });
    if let Value::Object(fields) = &mut value {
        fields.extend(super::cues::value(report, start));
        if !team.walks.is_empty() {
            fields.insert("runbooks".to_owned(), team.walks.iter().map(|w| walk(w, start)).collect());
        }
    }
    value
}

fn mono(start: u64, at: At) -> u64 {
    start.saturating_add(at.0)
}

fn up(span: Span) -> u64 {
    span.0.div_ceil(1_000)
}

fn expectation(e: &ExpectationFacts, start: u64) -> Value {
    json!({
        "verdict": e.verdict, "why": e.why, "kind": e.kind, "what": e.what, "by": e.by, "within_us": e.within.as_micros(), "from": e.from,
        "counts": e.counts, "never": e.never, "due_mono_ns": e.due.map(|at| mono(start, at)),
        "observed": e.at.map(|at| json!({ "lo_mono_ns": mono(start, at.lo), "hi_mono_ns": at.hi.map(|hi| mono(start, hi)) })),
        "took_us": e.took.map(|(_, hi)| up(hi)), "took_lo_us": e.took.map(|(lo, _)| lo.as_micros()),
        "source": e.source, "who": e.who, "machine": e.machine, "received_mono_ns": e.received.map(|at| mono(start, at)),
        // What a source says of a time before the boot cannot be told in this clock.
        "starts_mono_ns": e.starts.and_then(|starts| start.checked_add_signed(starts)),
        "out_of_order": e.out_of_order, "hinted": e.hinted, "also": e.also,
        "paused_us": (e.paused > Span::ZERO).then(|| e.paused.as_micros()),
        "repeats": e.repeats.as_ref().map(|r| json!({
            "due": r.due, "kept": r.kept, "missed_mono_ns": r.missed.iter().map(|at| mono(start, *at)).collect::<Vec<_>>() })),
        "entries": e.entries,
    })
}

fn turn(t: &TurnFacts, start: u64) -> Value {
    json!({
        "verdict": t.turn, "why": t.why, "what": t.what, "taken_mono_ns": t.taken.map(|at| mono(start, at)), "lost_us": t.lost.map(up),
        "by": t.by, "teaches": t.teaches, "entries": t.entries,
    })
}
