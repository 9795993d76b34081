//! What the people and the alerts of a run tell the practices: from the judged response to signals. A source that could not be asked, and what nobody
//! looked for, never becomes a value.

use crate::base::{Id, Interval};
use crate::measure::facts::Facts;
use crate::plan::{Plan, Point};
use crate::response::{ExpectationFacts, Verdict};

use super::signal::{Observed, Signal, Value};

/// The signals that come from `team`, where a scenario expects something of the kind.
pub const PRODUCED: [&str; 15] = [
    "ttd_s",
    "expected_alerts_fired_ratio",
    "unrelated_alerts",
    "detected_by_monitoring",
    "tta_s",
    "first_action_s",
    "diagnosis_s",
    "diagnosis_correct",
    "runbook_used",
    "response_steps_on_time_ratio",
    "tt_comms_s",
    "comms_update_gap_s",
    "escalation_due",
    "tt_escalate_s",
    "escalation_target_correct",
];

/// Everything that the response shows, by fault.
pub(super) fn observed(plan: &Plan, facts: &Facts) -> Observed {
    let mut observed = Observed::default();
    for fault in plan.faults.keys() {
        let people = People { plan, facts, mine: expectations(plan, facts, fault.as_str()) };
        let episode = facts.episodes.get(fault.as_str());
        let mut signals = people.signals(episode.and_then(|episode| episode.effective));
        signals.extend(people.counting().response(onset(plan, facts, fault)));
        if !signals.is_empty() {
            observed.signals.insert(fault.to_string(), signals.into_iter().map(|(name, signal)| (name.to_owned(), signal)).collect());
        }
    }
    observed
}

/// When the users of a fault's probes first noticed it.
fn onset(plan: &Plan, facts: &Facts, fault: &Id) -> Option<Interval> {
    let from = facts.episodes.get(fault.as_str())?.command?;
    let probes = plan.faults.get(fault)?.recovered_by.iter().filter_map(|id| facts.probes.get(id.as_str()));
    probes
        .flat_map(|probe| &probe.outages)
        .map(|outage| outage.onset)
        .filter(|onset| onset.hi.is_none_or(|hi| hi >= from))
        .min_by_key(|onset| onset.lo)
}

/// What is expected because of a fault, by itself or after something else that is.
fn expectations<'a>(plan: &Plan, facts: &'a Facts, fault: &str) -> Vec<&'a ExpectationFacts> {
    let Some(team) = &plan.team else { return Vec::new() };
    let of_fault = |id: &str| {
        let mut id = id.to_owned();
        // Each step leads to another expectation, or the plan is a circle.
        for _ in 0..=team.expect.len() {
            match team.expect.get(id.as_str()).map(|expected| &expected.from.after) {
                Some(Point::Effective(from) | Point::Recovered(from) | Point::Undone(from)) => return from.as_str() == fault,
                Some(Point::Expectation(before)) => id = before.to_string(),
                Some(Point::Steady | Point::Prompt(_)) | None => return false,
            }
        }
        false
    };
    let due = |e: &&ExpectationFacts| !e.never && e.verdict != Verdict::NotDue;
    facts.team.expectations.iter().filter(|(id, _)| of_fault(id)).map(|(_, e)| e).filter(due).collect()
}

struct People<'a> {
    plan: &'a Plan,
    facts: &'a Facts,
    mine: Vec<&'a ExpectationFacts>,
}

/// What is known of several expectations together.
enum Known {
    /// The first that was met, when and shown by what.
    At(Interval, Vec<u64>),
    /// None was, and somebody looked.
    Missed,
    /// It cannot be told.
    Open,
    /// Nothing of the kind is expected.
    Nothing,
}

impl People<'_> {
    fn of(&self, kinds: &[&str]) -> impl Iterator<Item = &ExpectationFacts> {
        self.mine.iter().copied().filter(move |e| kinds.contains(&e.kind))
    }

    /// The same without what was only training, which is shown and judges nobody.
    fn counting(&self) -> People<'_> {
        People { mine: self.mine.iter().copied().filter(|e| e.counts).collect(), ..*self }
    }

    /// The first of these kinds. One that was not observed may have been the first.
    fn first(&self, kinds: &[&str]) -> Known {
        if self.of(kinds).next().is_none() {
            return Known::Nothing;
        }
        if self.of(kinds).any(|e| e.verdict == Verdict::NotObserved) {
            return Known::Open;
        }
        let met = self.of(kinds).filter_map(|e| e.at.map(|at| (at, e.entries.clone()))).min_by_key(|(at, _)| at.lo);
        met.map_or(Known::Missed, |(at, entries)| Known::At(at, entries))
    }

    fn signals(&self, effective: Option<Interval>) -> Vec<(&'static str, Signal)> {
        let alert = self.first(&["alert"]);
        let mut found = Vec::new();
        if !matches!(alert, Known::Nothing) {
            found.push(("ttd_s", after(effective, &alert, "the effect")));
            found.push(("expected_alerts_fired_ratio", self.fired()));
            found.push(("unrelated_alerts", self.unrelated(&alert)));
            found.push(("detected_by_monitoring", self.by_monitoring(&alert)));
        }
        // Counted from the alert: without one there is nothing to answer.
        if let Known::At(fired, _) = alert {
            for (name, kinds) in [("tta_s", &["ack"][..]), ("first_action_s", &["step", "command"][..])] {
                let first = self.first(kinds);
                if !matches!(first, Known::Nothing) {
                    found.push((name, after(Some(fired), &first, "the alert")));
                }
            }
        }
        found
    }

    /// What those who respond did beside answering the alert; `onset` is when users first noticed.
    fn response(&self, onset: Option<Interval>) -> Vec<(&'static str, Signal)> {
        let mut found = Vec::new();
        let answer = self.first(&["answer"]);
        if !matches!(answer, Known::Nothing) {
            let acknowledged = match self.first(&["ack"]) {
                Known::At(at, _) => Some(at),
                Known::Missed | Known::Open | Known::Nothing => None,
            };
            found.push(("diagnosis_s", after(acknowledged, &answer, "the acknowledgement")));
            // Who knows what was broken has nothing to find out.
            if self.plan.team.as_ref().is_some_and(|team| team.blind) {
                found.push(("diagnosis_correct", done(&answer)));
            }
        }
        let step = self.first(&["step"]);
        if !matches!(step, Known::Nothing) {
            found.push(("runbook_used", done(&step)));
        }
        found.extend(self.on_time().map(|signal| ("response_steps_on_time_ratio", signal)));
        // Where users noticed nothing, there is nobody to be told.
        let told = self.first(&["message"]);
        if !matches!(told, Known::Nothing) && onset.is_some() {
            found.push(("tt_comms_s", after(onset, &told, "the first failure that users saw")));
            found.extend(self.gap().map(|signal| ("comms_update_gap_s", signal)));
        }
        let escalated = self.first(&["handoff"]);
        if !matches!(escalated, Known::Nothing) {
            let base = self.of(&["handoff"]).filter(|e| e.at.is_some()).min_by_key(|e| e.at.map(|at| at.lo)).and_then(|e| e.base);
            found.push(("escalation_due", Signal::of(Value::Bool(true), Vec::new())));
            found.push(("tt_escalate_s", after(base, &escalated, "its trigger")));
            found.push(("escalation_target_correct", done(&escalated)));
        }
        found
    }

    /// How much of what people were expected to do was done in time. What nobody can say may have been, or not.
    fn on_time(&self) -> Option<Signal> {
        let steps: Vec<&ExpectationFacts> = self.mine.iter().copied().filter(|e| e.kind != "alert").collect();
        let count = |verdict: Verdict| steps.iter().filter(|e| e.verdict == verdict).count() as f64;
        let (all, kept, open) = (steps.len() as f64, count(Verdict::OnTime), count(Verdict::NotObserved));
        let entries = steps.iter().flat_map(|e| e.entries.iter().copied()).collect();
        (all > 0.0).then(|| Signal::of(Value::Number { lo: kept / all, hi: Some((kept + open) / all) }, entries))
    }

    /// The longest time between two updates, where they were expected again and again.
    fn gap(&self) -> Option<Signal> {
        let team = self.plan.team.as_ref()?;
        let each = team.expect.iter().filter_map(|(id, expected)| {
            let facts =
                self.facts.team.expectations.get(id.as_str()).filter(|facts| self.mine.iter().any(|mine| std::ptr::eq(*mine, *facts)))?;
            let (every, repeats) = (expected.then_every?, facts.repeats.as_ref()?);
            (facts.kind == "message" && repeats.due > 0).then(|| (every.as_secs_f64(), !repeats.missed.is_empty(), facts))
        });
        let (every, missed, facts) = each.max_by(|a, b| (a.1, a.0).partial_cmp(&(b.1, b.0)).unwrap_or(std::cmp::Ordering::Equal))?;
        if facts.verdict == Verdict::NotObserved {
            return Some(Signal::undecided("people could not be heard", facts.entries.clone()));
        }
        let value = if missed { Value::Number { lo: every, hi: None } } else { Value::Number { lo: 0.0, hi: Some(every) } };
        Some(Signal::of(value, facts.entries.clone()))
    }

    fn fired(&self) -> Signal {
        let entries: Vec<u64> = self.of(&["alert"]).flat_map(|e| e.entries.iter().copied()).collect();
        if self.of(&["alert"]).any(|e| e.verdict == Verdict::NotObserved) {
            return Signal::undecided("an alert's source could not be asked", entries);
        }
        let (all, fired) = (self.of(&["alert"]).count(), self.of(&["alert"]).filter(|e| e.at.is_some()).count());
        Signal::of(Value::exactly(fired as f64 / all.max(1) as f64), entries)
    }

    fn unrelated(&self, alert: &Known) -> Signal {
        let count = self.facts.team.unrelated.len() as f64;
        match alert {
            // What was seen was there; more may have been.
            Known::Open => Signal::of(Value::Number { lo: count, hi: None }, Vec::new()),
            _ => Signal::of(Value::exactly(count), Vec::new()),
        }
    }

    /// Whether an alert came before anybody said anything.
    fn by_monitoring(&self, alert: &Known) -> Signal {
        let (at, entries) = match alert {
            Known::At(at, entries) => (at, entries.clone()),
            Known::Missed => return Signal::of(Value::Bool(false), Vec::new()),
            Known::Open | Known::Nothing => return Signal::undecided("an alert's source could not be asked", Vec::new()),
        };
        if self.facts.team.unattended {
            return Signal::undecided("nobody took part who could have noticed before", entries);
        }
        let people: Vec<Interval> = self.facts.team.expectations.values().filter(|e| !e.machine).filter_map(|e| e.at).collect();
        let before = |one: &Interval| one.hi.is_some_and(|hi| hi < at.lo);
        if people.iter().any(before) {
            Signal::of(Value::Bool(false), entries)
        } else if at.hi.is_some_and(|hi| people.iter().all(|one| hi <= one.lo)) {
            Signal::of(Value::Bool(true), entries)
        } else {
            Signal::undecided("people and alert came too close to each other", entries)
        }
    }
}

/// Whether it was done at all.
fn done(what: &Known) -> Signal {
    match what {
        Known::At(_, entries) => Signal::of(Value::Bool(true), entries.clone()),
        Known::Missed => Signal::of(Value::Bool(false), Vec::new()),
        Known::Open | Known::Nothing => Signal::undecided("it was not observed", Vec::new()),
    }
}

/// How long after a moment something came.
fn after(from: Option<Interval>, what: &Known, called: &str) -> Signal {
    match what {
        Known::At(at, entries) => match from.and_then(|from| Some((from.lo, from.hi?))) {
            Some((lo, hi)) => {
                let took = Value::Number { lo: at.lo.since(hi).as_secs_f64(), hi: at.hi.map(|end| end.since(lo).as_secs_f64()) };
                Signal::of(took, entries.clone())
            }
            None => Signal::undecided(format!("it is not known when {called} was"), entries.clone()),
        },
        Known::Missed => Signal::absent(Vec::new()),
        Known::Open | Known::Nothing => Signal::undecided("it was not observed", Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Sample, all};
    use super::super::signal::State;
    use super::*;

    fn named(name: &str) -> Sample {
        all().into_iter().find(|sample| sample.name == name).unwrap()
    }

    fn of(sample: &Sample, name: &str) -> State {
        observed(&sample.plan, &sample.facts).signals["lose-primary"][name].state.clone()
    }

    fn number(state: &State) -> (f64, f64) {
        match state {
            State::Value(Value::Number { lo, hi: Some(hi) }) => (*lo, *hi),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn alerts_and_people_become_signals() {
        let sample = named("passed");
        let (lo, hi) = number(&of(&sample, "ttd_s"));
        assert!(lo <= hi && lo > 0.9 && hi < 2.1, "{lo} {hi}");
        assert_eq!(of(&sample, "expected_alerts_fired_ratio"), State::Value(Value::exactly(1.0)));
        assert_eq!(of(&sample, "unrelated_alerts"), State::Value(Value::exactly(1.0)));
        assert_eq!(of(&sample, "detected_by_monitoring"), State::Value(Value::Bool(true)));
        let (acknowledged, acted) = (number(&of(&sample, "tta_s")), number(&of(&sample, "first_action_s")));
        assert!(acknowledged.0 > 12.0 && acknowledged.1 < 13.3 && acted.0 > acknowledged.1, "{acknowledged:?} {acted:?}");
    }

    #[test]
    fn an_alert_that_never_came_is_absent_and_one_that_nobody_could_see_is_open() {
        let mut sample = named("passed");
        let alert = sample.facts.team.expectations.get_mut("detected").unwrap();
        (alert.verdict, alert.at, alert.took) = (Verdict::Missed, None, None);
        assert_eq!(of(&sample, "ttd_s"), State::Absent);
        assert_eq!(of(&sample, "expected_alerts_fired_ratio"), State::Value(Value::exactly(0.0)));
        assert_eq!(of(&sample, "detected_by_monitoring"), State::Value(Value::Bool(false)));
        assert!(!observed(&sample.plan, &sample.facts).signals["lose-primary"].contains_key("tta_s"), "there was nothing to answer");
        sample.facts.team.expectations.get_mut("detected").unwrap().verdict = Verdict::NotObserved;
        for name in ["ttd_s", "expected_alerts_fired_ratio", "detected_by_monitoring"] {
            assert!(matches!(of(&sample, name), State::Undecided(_)), "{name}");
        }
        assert_eq!(of(&sample, "unrelated_alerts"), State::Value(Value::Number { lo: 1.0, hi: None }));
    }

    #[test]
    fn what_people_did_becomes_signals_and_what_nobody_can_say_does_not() {
        let sample = named("passed");
        assert_eq!(of(&sample, "runbook_used"), State::Value(Value::Bool(true)));
        let State::Value(Value::Number { lo, hi }) = of(&sample, "response_steps_on_time_ratio") else { panic!("a number") };
        assert!(lo > 0.0 && hi == Some(lo), "{lo} {hi:?}");
        // Training is shown, and no part of any judgement; nothing was asked, nobody had to hand over.
        let told = observed(&sample.plan, &sample.facts);
        for name in ["diagnosis_s", "escalation_due", "comms_update_gap_s"] {
            assert!(!told.signals["lose-primary"].contains_key(name), "{name}");
        }
        let mut worse = named("passed");
        let step = worse.facts.team.expectations.get_mut("mitigated").unwrap();
        (step.verdict, step.at, step.took) = (Verdict::NotObserved, None, None);
        assert!(matches!(of(&worse, "runbook_used"), State::Undecided(_)));
        let State::Value(Value::Number { lo: less, hi: Some(more) }) = of(&worse, "response_steps_on_time_ratio") else {
            panic!("a range")
        };
        assert!(less < lo && more == lo, "{less} {more}");
        let step = worse.facts.team.expectations.get_mut("mitigated").unwrap();
        step.verdict = Verdict::Missed;
        assert_eq!(of(&worse, "runbook_used"), State::Value(Value::Bool(false)));
    }

    #[test]
    fn an_answer_a_hand_over_and_a_message_are_measured_from_where_they_begin() {
        let mut sample = named("passed");
        let kinds = [("acknowledged", "ack"), ("mitigated", "answer"), ("informed", "message")];
        kinds.iter().for_each(|(id, kind)| sample.facts.team.expectations.get_mut(*id).unwrap().kind = kind);
        let message = sample.facts.team.expectations.get_mut("informed").unwrap();
        message.counts = true;
        (message.verdict, message.at) =
            (Verdict::OnTime, Some(Interval::new(crate::base::At(90_000_000_000), crate::base::At(90_000_000_000))));
        let (lo, hi) = number(&of(&sample, "diagnosis_s"));
        assert!(lo <= hi && lo > 25.0 && hi < 28.0, "{lo} {hi}");
        assert!(!observed(&sample.plan, &sample.facts).signals["lose-primary"].contains_key("diagnosis_correct"), "who led it knew");
        sample.plan.team.as_mut().unwrap().blind = true;
        assert_eq!(of(&sample, "diagnosis_correct"), State::Value(Value::Bool(true)));
        let (lo, hi) = number(&of(&sample, "tt_comms_s"));
        assert!(lo <= hi && lo > 50.0 && hi < 61.0, "{lo} {hi}");
        // Again and again: kept, so that the gap was no longer than that; or missed once.
        sample.plan.team.as_mut().unwrap().expect.get_mut("informed").unwrap().then_every = Some(crate::base::Span::secs(30));
        let informed = |sample: &mut Sample, missed: Vec<crate::base::At>| {
            let repeats = crate::response::Repeats { due: 2, kept: 2 - missed.len() as u64, missed };
            sample.facts.team.expectations.get_mut("informed").unwrap().repeats = Some(repeats);
        };
        informed(&mut sample, vec![]);
        assert_eq!(of(&sample, "comms_update_gap_s"), State::Value(Value::Number { lo: 0.0, hi: Some(30.0) }));
        informed(&mut sample, vec![crate::base::At(1)]);
        assert_eq!(of(&sample, "comms_update_gap_s"), State::Value(Value::Number { lo: 30.0, hi: None }));
        // Users that noticed nothing had nobody to be told by.
        sample.facts.probes.values_mut().for_each(|probe| probe.outages.clear());
        assert!(!observed(&sample.plan, &sample.facts).signals["lose-primary"].contains_key("tt_comms_s"));
        let step = sample.facts.team.expectations.get_mut("mitigated").unwrap();
        step.kind = "handoff";
        assert_eq!(of(&sample, "escalation_due"), State::Value(Value::Bool(true)));
        let (lo, hi) = number(&of(&sample, "tt_escalate_s"));
        assert!(lo <= hi && lo > 25.0 && hi < 28.0, "{lo} {hi}");
        let step = sample.facts.team.expectations.get_mut("mitigated").unwrap();
        (step.verdict, step.at) = (Verdict::Missed, None);
        assert_eq!(of(&sample, "tt_escalate_s"), State::Absent);
        assert_eq!(of(&sample, "escalation_target_correct"), State::Value(Value::Bool(false)));
    }

    #[test]
    fn somebody_who_was_first_is_no_monitoring() {
        let mut sample = named("passed");
        let ack = sample.facts.team.expectations.get_mut("acknowledged").unwrap();
        let early = crate::base::At(30_500_000_000);
        ack.at = Some(Interval::new(early, early));
        assert_eq!(of(&sample, "detected_by_monitoring"), State::Value(Value::Bool(false)));
        sample.facts.team.unattended = true;
        assert!(matches!(of(&sample, "detected_by_monitoring"), State::Undecided(_)));
    }

    #[test]
    fn a_run_without_a_team_tells_nothing() {
        let mut sample = named("passed");
        sample.plan.team = None;
        assert!(observed(&sample.plan, &sample.facts).signals.is_empty());
    }
}
