//! Tests of the rules as a whole: for each, every combination of what its signals can be. No branch is dead, no verdict is out of reach.

use super::catalogue::{Catalogue, Practice, catalogue};
use super::rule::{Branch, Expr, Outcome, Rule};
use super::signal::{Readings, Signal, State, Target, Value};

/// Targets by name: the defaults, and for what only a scenario can say a number that tells multiples apart.
fn targets(all: &Catalogue) -> Readings {
    let mut readings = Readings::default();
    for (name, value) in &all.targets {
        let value = value.unwrap_or(if name == "slo_availability" { 0.99 } else { 10.0 });
        readings.targets.insert(name.clone(), Target { value, from: "default".into() });
    }
    readings
}

fn limits(expr: &Expr, signal: &str, readings: &Readings, found: &mut Vec<f64>) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| limits(part, signal, readings, found)),
        Expr::Not(inner) => limits(inner, signal, readings, found),
        Expr::Compare(name, _, limit) if name == signal => found.extend(limit.value(readings)),
        Expr::Compare(..) | Expr::Yes(_) | Expr::Present(..) => {}
    }
}

/// Every state of a signal that a rule can tell apart: absent, and numbers below, at, between and above its limits.
fn states(all: &Catalogue, rule: &Rule, signal: &str, readings: &Readings) -> Vec<State> {
    if all.signals[signal].unit == "bool" {
        return vec![State::Absent, State::Value(Value::Bool(true)), State::Value(Value::Bool(false))];
    }
    let mut at = Vec::new();
    for branch in &rule.branches {
        if let Branch::When(expr) = branch {
            limits(expr, signal, readings, &mut at);
        }
    }
    at.sort_by(f64::total_cmp);
    at.dedup();
    let mut points: Vec<f64> = at.clone();
    points.extend(at.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0));
    points.extend(at.first().map(|first| first / 2.0));
    // What is a share is never above one.
    let share = |last: f64| all.signals[signal].unit == "ratio" && last <= 1.0;
    points.extend(at.last().map(|last| if share(*last) { (last + 1.0) / 2.0 } else { last + 1.0 }));
    let numbers = points.into_iter().map(|n| State::Value(Value::exactly(n)));
    numbers.chain([State::Absent]).collect()
}

/// Calls `each` with every combination of what the rule's signals can be.
pub(super) fn every(all: &Catalogue, rule: &Rule, mut each: impl FnMut(&Readings)) {
    let mut readings = targets(all);
    let (signals, _) = rule.names();
    let states: Vec<Vec<State>> = signals.iter().map(|signal| states(all, rule, signal, &readings)).collect();
    let total: usize = states.iter().map(Vec::len).product();
    assert!(total < 1_000_000, "{total} combinations");
    for mut n in 0..total {
        for (signal, states) in signals.iter().zip(&states) {
            let state = states[n % states.len()].clone();
            n /= states.len();
            readings.signals.insert((*signal).to_owned(), Signal { state, entries: vec![] });
        }
        each(&readings);
    }
}

fn judged() -> impl Iterator<Item = (&'static Practice, &'static Rule)> {
    catalogue().practices.iter().filter_map(|p| Some((p, p.rule.as_ref()?)))
}

#[test]
fn every_branch_of_every_rule_can_be_reached() {
    let ends = [Outcome::Met, Outcome::Medium, Outcome::High];
    let mut wrong = Vec::new();
    for (practice, rule) in judged() {
        let mut seen = Vec::new();
        every(catalogue(), rule, |readings| {
            let end = rule.outcome(readings);
            if !seen.contains(&end) {
                seen.push(end);
            }
        });
        assert!(!seen.contains(&Outcome::Open), "{}: open though everything is known", practice.label);
        for (branch, end) in rule.branches.iter().zip(ends) {
            if (*branch != Branch::Never) != seen.contains(&end) {
                wrong.push(format!("{}: {end:?} cannot be reached by `{branch:?}`", practice.label));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_part_of_every_rule_matters() {
    fn parts<'a>(expr: &'a Expr, found: &mut Vec<&'a Expr>) {
        match expr {
            Expr::And(inner) | Expr::Or(inner) => inner.iter().for_each(|part| parts(part, found)),
            Expr::Not(inner) => parts(inner, found),
            Expr::Yes(_) | Expr::Present(..) | Expr::Compare(..) => found.push(expr),
        }
    }
    let mut wrong = Vec::new();
    for (practice, rule) in judged() {
        for branch in &rule.branches {
            let Branch::When(expr) = branch else { continue };
            let mut atoms = Vec::new();
            parts(expr, &mut atoms);
            for atom in atoms {
                let (mut holds, mut fails) = (false, false);
                every(catalogue(), rule, |readings| match atom.truth(readings) {
                    super::rule::Truth::Holds => holds = true,
                    super::rule::Truth::Fails | super::rule::Truth::Open => fails = true,
                });
                if !(holds && fails) {
                    wrong.push(format!("{}: `{atom:?}` is always the same", practice.label));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_dead_branch_would_be_seen() {
    let read = |text: &str| super::rule::branch(Some(text)).unwrap();
    let rule = Rule { branches: [read("session_loss_ratio >= 0"), read("session_loss_ratio > 0"), Branch::Never] };
    let mut ends = Vec::new();
    every(catalogue(), &rule, |readings| ends.push(rule.outcome(readings)));
    assert!(ends.contains(&Outcome::Met) && !ends.contains(&Outcome::Medium));
}

/// Best first; what is open or did not happen is no verdict.
fn rank(outcome: Outcome) -> Option<u8> {
    match outcome {
        Outcome::Met => Some(0),
        Outcome::Medium => Some(1),
        Outcome::High => Some(2),
        Outcome::Nothing | Outcome::Open => None,
    }
}

#[test]
fn without_an_instrument_a_verdict_stays_or_is_gone() {
    for (practice, rule) in judged() {
        let (signals, _) = rule.names();
        every(catalogue(), rule, |readings| {
            let whole = rule.outcome(readings);
            for signal in &signals {
                let mut less = readings.clone();
                less.signals.insert((*signal).to_owned(), Signal::not_instrumented("taken away"));
                let left = rule.outcome(&less);
                assert!(left == whole || left == Outcome::Open, "{}: {whole:?} became {left:?} without {signal}", practice.label);
            }
        });
    }
}

#[test]
fn what_takes_longer_or_never_comes_is_never_better() {
    let mut asked = 0;
    for (practice, rule) in judged() {
        let (signals, _) = rule.names();
        for signal in signals.iter().filter(|signal| signal.ends_with("_s")) {
            let slower = states(catalogue(), rule, signal, &targets(catalogue()));
            every(catalogue(), rule, |readings| {
                let State::Value(Value::Number { lo: before, .. }) = *readings.state(signal) else { return };
                let Some(was) = rank(rule.outcome(readings)) else { return };
                for state in &slower {
                    if matches!(state, State::Value(Value::Number { lo, .. }) if *lo < before) {
                        continue;
                    }
                    let mut later = readings.clone();
                    later.signals.insert((*signal).to_owned(), Signal { state: state.clone(), entries: vec![] });
                    if let Some(is) = rank(rule.outcome(&later)) {
                        asked += 1;
                        assert!(is >= was, "{}: later {signal} made {was} into {is}", practice.label);
                    }
                }
            });
        }
    }
    assert!(asked > 1_000, "{asked}");
}
