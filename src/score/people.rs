//! What the people and the alerts of a run tell the practices: from the judged response to signals. A source that could not be asked, and what nobody
//! looked for, never becomes a value.

use crate::base::Interval;
use crate::measure::facts::Facts;
use crate::plan::{Plan, Point};
use crate::response::{ExpectationFacts, Verdict};

use super::signal::{Observed, Signal, Value};

/// The signals that come from `team`, where a scenario expects something of the kind.
pub const PRODUCED: [&str; 6] =
    ["ttd_s", "expected_alerts_fired_ratio", "unrelated_alerts", "detected_by_monitoring", "tta_s", "first_action_s"];

/// Everything that the response shows, by fault.
pub(super) fn observed(plan: &Plan, facts: &Facts) -> Observed {
    let mut observed = Observed::default();
    for fault in plan.faults.keys() {
        let people = People { facts, mine: expectations(plan, facts, fault.as_str()) };
        let signals = people.signals(facts.episodes.get(fault.as_str()).and_then(|episode| episode.effective));
        if !signals.is_empty() {
            observed.signals.insert(fault.to_string(), signals.into_iter().map(|(name, signal)| (name.to_owned(), signal)).collect());
        }
    }
    observed
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
