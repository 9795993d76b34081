//! A plan's parts as people say them: moments, holds, conditions, claims; and how long it all may take.

use std::collections::BTreeMap;

use super::{By, ClaimPlan, Condition, Expect, FaultPlan, Hold, Mode, Moment, PhaseName, Plan, Point, RtoFrom, UndoPlan};
use crate::base::{Id, Percent, Span};

/// A share as people read it: `99.5 %`.
pub(super) fn share(percent: Percent) -> String {
    percent.to_string().replace('%', " %")
}

fn joined(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", ")
}

/// A point as people say it. With a single fault its name says nothing.
pub(super) fn point(plan: &Plan, point: &Point) -> String {
    let of = |what: &str, id: &Id| if plan.faults.len() == 1 { what.to_owned() } else { format!("{id} {what}") };
    match point {
        Point::Steady => "steady state was shown".into(),
        Point::Effective(id) => of("took effect", id),
        Point::Recovered(id) => of("recovered", id),
        Point::Undone(id) => of("was undone", id),
        Point::Expectation(id) => format!("{id} was met"),
        Point::Prompt(id) => format!("the prompt {id} was given"),
    }
}

/// A moment as people say it.
pub(super) fn moment(plan: &Plan, moment: &Moment) -> String {
    let after = point(plan, &moment.after);
    if moment.plus == Span::ZERO { format!("as soon as {after}") } else { format!("{} after {after}", moment.plus.human()) }
}

/// How long a fault is held.
pub(super) fn hold(fault: &FaultPlan) -> String {
    let most = |span: &Span| format!("at most {}", span.human());
    match &fault.hold {
        Hold::Once => format!("one shot: undone once recovered, at the latest after {}", fault.recovery_within.human()),
        Hold::Time(span) => format!("for {}", span.human()),
        Hold::UntilRecovered(span) => format!("until recovered, {}", most(span)),
        Hold::UntilReleased(span) => format!("until released by a person (firedrill release), {}", most(span)),
        Hold::UntilExpectation(id, span) => format!("until {id} is met, {}", most(span)),
    }
}

/// What must be seen, in one line.
pub(super) fn expect(expect: &Expect) -> String {
    if expect.is_empty() {
        return "what its kind calls good".into();
    }
    let one = |(field, matcher): (&String, &super::Matcher)| {
        let text = serde_json::to_string(matcher).unwrap_or_default();
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(&text);
        format!("{field} {}", inner.replace(",\"", ", \"").replace("\":", ": ").replace('"', ""))
    };
    expect.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// A kind and its spec in one line; secrets stand in it as references.
pub(super) fn kind(name: &str, spec: &serde_json::Value) -> String {
    match spec.as_object() {
        Some(map) if map.is_empty() => name.to_owned(),
        _ => format!("{name} {spec}"),
    }
}

/// A condition with its pace.
pub(super) fn condition(look: &Condition) -> String {
    let (every, within) = (look.every.human(), look.within.human());
    format!("{} sees {}; asked every {every}, within {within}", kind(&look.kind, &look.spec), expect(&look.expect))
}

/// How a fault is undone.
pub(super) fn undo(undo: Option<&UndoPlan>) -> Vec<String> {
    let Some(undo) = undo else { return vec!["by its kind; verified by looking".into()] };
    let mut lines = Vec::new();
    if let Some(run) = &undo.run {
        lines.push(format!("run {}", command(run)));
    }
    if let Some(who) = &undo.left_to {
        lines.push(format!("left to {who}"));
    }
    if let Some(done) = &undo.done_when {
        lines.push(format!("done when {}", condition(done)));
    }
    lines
}

/// A command as a person would type it.
pub(super) fn command(run: &[String]) -> String {
    let plain = |arg: &String| !arg.is_empty() && arg.chars().all(|c| c.is_alphanumeric() || "-_./:=@%+,${}".contains(c));
    let quoted = |arg: &String| if plain(arg) { arg.clone() } else { format!("'{}'", arg.replace('\'', r"'\''")) };
    run.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn phase(phase: PhaseName) -> &'static str {
    match phase {
        PhaseName::Before => "before the fault",
        PhaseName::Inject => "while it is injected",
        PhaseName::During => "during the fault",
        PhaseName::Undo => "while it is undone",
        PhaseName::After => "after the fault",
        PhaseName::Recovering => "while recovering",
    }
}

fn by(by: By) -> &'static str {
    match by {
        By::AnotherInstance => "another instance",
        By::SameInstance => "the same instance",
    }
}

/// What one claim says.
pub(super) fn claim(plan: &Plan, claim: &ClaimPlan) -> Vec<String> {
    let who = claim.service.clone().unwrap_or_else(|| joined(&claim.measured_by));
    let mut parts = Vec::new();
    match (&claim.rto, claim.by) {
        (Some(rto), how) => {
            let from = match rto.from {
                RtoFrom::Effect => "",
                RtoFrom::Impact => " of the first failure",
                RtoFrom::Command => " of the injection",
                RtoFrom::Declared => " of the declared incident",
            };
            let on = how.map(|how| format!(" on {}", by(how))).unwrap_or_default();
            parts.push(format!("{who} back within {}{from}{on}", rto.max.human()));
        }
        (None, Some(how)) => parts.push(format!("{who} answered by {}", by(how))),
        (None, None) => {}
    }
    if let Some(rpo) = &claim.rpo {
        parts.push(match rpo.max {
            Span::ZERO => format!("no acknowledged write to {} lost", rpo.ledger),
            most => format!("at most {} of acknowledged writes to {} lost", most.human(), rpo.ledger),
        });
    }
    if let Some(given) = &claim.availability {
        let subject = if parts.is_empty() { format!("{who} up ") } else { String::new() };
        parts.push(format!("{subject}{} over {}", share(given.min), given.over.human()));
    }
    if let Some(latency) = &claim.latency {
        let bounds = [("p50", latency.p50), ("p90", latency.p90), ("p95", latency.p95), ("p99", latency.p99), ("p99.9", latency.p999)];
        let bounds = bounds.iter().filter_map(|(name, bound)| bound.map(|bound| format!("{name} within {}", bound.max.human())));
        let subject = if parts.is_empty() { format!("{who} ") } else { String::new() };
        parts.push(format!("{subject}{} {}", bounds.collect::<Vec<_>>().join(", "), phase(latency.phase)));
    }
    for holds in claim.holds.values() {
        let least = holds.success.min.map(|min| format!("at least {}", share(min)));
        let most = holds.success.max.map(|max| format!("at most {}", share(max)));
        let bounds = [least, most].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        parts.push(format!("{} {bounds} good from {} on", holds.probe, from(plan, &holds.from)));
    }
    parts
}

fn from(plan: &Plan, given: &Moment) -> String {
    let what = match &given.after {
        Point::Effective(_) if plan.faults.len() == 1 => "effect".to_owned(),
        Point::Recovered(_) if plan.faults.len() == 1 => "recovery".to_owned(),
        Point::Undone(_) if plan.faults.len() == 1 => "undo".to_owned(),
        Point::Effective(id) => format!("effect of {id}"),
        Point::Recovered(id) => format!("recovery from {id}"),
        Point::Undone(id) => format!("undo of {id}"),
        Point::Steady => "steady state".to_owned(),
        Point::Expectation(id) => id.to_string(),
        Point::Prompt(id) => format!("prompt {id}"),
    };
    if given.plus == Span::ZERO { what } else { format!("{} after {what}", given.plus.human()) }
}

/// All claims in one line, as the head of a run shows them.
pub fn claim_line(plan: &Plan) -> String {
    if plan.claims.is_empty() {
        return "none: what happens is measured, and nothing is judged".into();
    }
    let several = plan.faults.len() > 1;
    let one = |claim_plan: &ClaimPlan| {
        let said = claim(plan, claim_plan).join("; ");
        if several { format!("{}: {said}", claim_plan.fault) } else { said }
    };
    plan.claims.values().map(one).collect::<Vec<_>>().join("; ")
}

impl FaultPlan {
    /// The longest this fault can be held after it was seen to bite.
    pub fn longest_hold(&self) -> Span {
        match &self.hold {
            Hold::Once => self.recovery_within,
            Hold::Time(most) | Hold::UntilRecovered(most) | Hold::UntilReleased(most) | Hold::UntilExpectation(_, most) => *most,
        }
    }
}

/// When things may happen at the latest, counted from the start of baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Latest {
    pub start: Span,
    pub effective: Span,
    pub recovered: Span,
    pub undone: Span,
}

/// The latest times of every fault. A fault that waits for something that never comes is not injected and takes no time.
pub(super) fn latest(plan: &Plan) -> BTreeMap<&Id, Latest> {
    let mut known: BTreeMap<&Id, Latest> = BTreeMap::new();
    for _ in 0..plan.faults.len() {
        for (id, fault) in &plan.faults {
            let base = match &fault.at.after {
                Point::Steady | Point::Expectation(_) | Point::Prompt(_) => Some(plan.baseline_within),
                Point::Effective(of) => known.get(of).map(|latest| latest.effective),
                Point::Recovered(of) => known.get(of).map(|latest| latest.recovered),
                Point::Undone(of) => known.get(of).map(|latest| latest.undone),
            };
            let Some(base) = base else { continue };
            let start = base + fault.at.plus;
            let effective = start + fault.confirm_within;
            let held = fault.longest_hold();
            known.insert(id, Latest { start, effective, recovered: effective + fault.recovery_within, undone: effective + held });
        }
    }
    known
}

/// The longest that a run may take from the start of baseline, when everything takes as long as it may.
pub fn worst_case(plan: &Plan) -> Span {
    if plan.mode == Mode::Baseline {
        return plan.baseline_within;
    }
    let latest = latest(plan);
    let mut quiet = plan.baseline_within;
    let mut counted = Span::ZERO;
    for times in latest.values() {
        quiet = quiet.max(times.undone).max(times.recovered);
    }
    for step in plan.restore.values() {
        let after = match &step.after {
            Point::Steady | Point::Expectation(_) | Point::Prompt(_) => Some(plan.baseline_within),
            Point::Effective(of) => latest.get(of).map(|latest| latest.effective),
            Point::Recovered(of) => latest.get(of).map(|latest| latest.recovered),
            Point::Undone(of) => latest.get(of).map(|latest| latest.undone),
        };
        let waits = step.only_if.as_ref().map_or(Span::ZERO, |only| only.within);
        quiet = quiet.max(after.unwrap_or(plan.baseline_within) + waits + step.within);
    }
    for claim in plan.claims.values() {
        if let (Some(given), Some(times)) = (&claim.availability, latest.get(&claim.fault)) {
            counted = counted.max(times.effective + given.over);
        }
    }
    (quiet + plan.settle_within).max(counted)
}

#[cfg(test)]
mod tests {
    use super::super::build::tests::of;
    use super::*;
    use crate::scenario::check::sample::{self, id};
    use crate::scenario::model::{HoldDecl, HoldsDecl, RecoveryDecl, RestoreDecl, RestoreHow};
    use serde_json::json;

    #[test]
    fn claims_are_said_in_words() {
        let mut s = sample::scenario();
        assert_eq!(
            claim_line(&of(&s)),
            "checkout back within 10 s on another instance; no acknowledged write to orders lost; 99 % over 15 min"
        );
        let holds = json!({ "probe": "write-old", "success": { "max": "0%" }, "from": { "after": "effective", "plus": "5s" } });
        s.claims[0] = sample::claim(json!({ "service": "shop", "latency": { "p99": { "max": "800ms" } } }));
        s.claims[0].holds.insert(id("quiet"), serde_json::from_value::<HoldsDecl>(holds).unwrap());
        assert_eq!(claim_line(&of(&s)), "shop p99 within 800 ms during the fault; write-old at most 0 % good from 5 s after effect on");
        sample::second_fault(&mut s);
        let line = claim_line(&of(&s));
        assert!(line.contains("slow-link: checkout back within 10 s"), "{line}");
        s.claims.clear();
        assert!(claim_line(&of(&s)).starts_with("none"));
    }

    #[test]
    fn an_availability_alone_says_of_what() {
        let mut s = sample::scenario();
        s.claims[0] = sample::claim(json!({ "availability": { "min": "99.95%", "over": "5m" } }));
        assert_eq!(claim_line(&of(&s)), "checkout up 99.95 % over 5 min");
        s.claims[0] = sample::claim(json!({ "rto": { "max": "30s", "from": "impact" }, "rpo": { "max": "5s", "ledger": "orders" } }));
        assert_eq!(
            claim_line(&of(&s)),
            "checkout back within 30 s of the first failure; at most 5 s of acknowledged writes to orders lost"
        );
    }

    #[test]
    fn the_worst_case_is_the_longest_path() {
        let mut s = sample::scenario();
        // 60 s baseline, 20 s until injected, 5 s until effective, 15 min of counting.
        assert_eq!(worst_case(&of(&s)), Span::secs(60 + 20 + 5 + 900));
        s.claims[0].how.availability = None;
        assert_eq!(worst_case(&of(&s)), Span::secs(60 + 20 + 5 + 60 + 60));
        s.faults[0].how.hold = HoldDecl::Time(Span::secs(600));
        assert_eq!(worst_case(&of(&s)), Span::secs(60 + 20 + 5 + 600 + 60));
        let how = RestoreHow { run: vec!["x".into()], after: "undone".into(), within: Some(Span::secs(30)) };
        s.restore.insert(id("rejoin"), RestoreDecl { how, only_if: None });
        assert_eq!(worst_case(&of(&s)), Span::secs(60 + 20 + 5 + 600 + 30 + 60));
        s.restore.clear();
        s.recovery = Some(RecoveryDecl { within: Span::secs(700), stable_for: Span::secs(10) });
        assert_eq!(worst_case(&of(&s)), Span::secs(60 + 20 + 5 + 700 + 60));
        sample::second_fault(&mut s);
        let second = 60 + 20 + 5 + 700 + 900 + 5;
        assert_eq!(worst_case(&of(&s)), Span::secs(second + 700 + 60));
        let baseline = Plan { mode: Mode::Baseline, ..of(&s) };
        assert_eq!(worst_case(&baseline), Span::secs(60));
    }

    #[test]
    fn faults_are_planned_whatever_their_order_in_the_file() {
        let mut s = sample::scenario();
        sample::second_fault(&mut s);
        let one = worst_case(&of(&s));
        s.faults.reverse();
        assert_eq!(worst_case(&of(&s)), one);
    }

    #[test]
    fn matchers_are_shown_without_their_quotes() {
        let not = crate::plan::Matcher { not: Some(Box::new(crate::plan::Matcher::equals("ok"))), ..Default::default() };
        assert_eq!(expect(&[("outcome".to_owned(), not)].into_iter().collect()), "outcome not: {equals: ok}");
        assert_eq!(expect(&Expect::new()), "what its kind calls good");
    }

    #[test]
    fn commands_are_shown_as_typed() {
        assert_eq!(command(&["pg_ctl".into(), "-D".into(), "${run.dir}/a".into(), "it's".into()]), r"pg_ctl -D ${run.dir}/a 'it'\''s'");
    }
}
