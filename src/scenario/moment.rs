//! Moments of a drill as words: `steady`, `FAULT.effective`, an expectation's id.

use serde_json::Value;

use super::model::{AfterMoment, Scenario, When};
use crate::base::{Id, Span};

/// The three things that happen to a fault.
pub const WORDS: [&str; 3] = ["effective", "recovered", "undone"];

/// A point that a moment counts from, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// Steady state was shown.
    Steady,
    /// The fault was seen to bite.
    Effective(Id),
    /// The episode has recovered.
    Recovered(Id),
    /// The fault was undone.
    Undone(Id),
    /// An expectation was met.
    Expectation(Id),
}

impl Anchor {
    /// The fault that it waits for.
    pub fn fault(&self) -> Option<&Id> {
        match self {
            Anchor::Effective(id) | Anchor::Recovered(id) | Anchor::Undone(id) => Some(id),
            Anchor::Steady | Anchor::Expectation(_) => None,
        }
    }
}

/// Why a word names no point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// `effective` alone, but there are several faults, or none.
    WhichFault,
    /// `FAULT.effective` of a fault that is not there.
    NoSuchFault(String),
    /// Nothing has that name.
    NoSuchMoment,
}

/// The ids of `team.expect`, and of prompts that ask for something, in file order.
pub fn expectations(scenario: &Scenario) -> Vec<&str> {
    let section = |name: &str| scenario.team.as_ref().and_then(|team| team.get(name)).and_then(Value::as_object).into_iter().flatten();
    let asked = section("prompts").filter(|(_, prompt)| prompt.get("expect").is_some());
    section("expect").chain(asked).map(|(id, _)| id.as_str()).collect()
}

/// Every word that names a point in this scenario, for "did you mean".
pub fn all_words(scenario: &Scenario) -> Vec<String> {
    let of_faults = scenario.faults.keys().flat_map(|id| WORDS.iter().map(move |word| format!("{id}.{word}")));
    let mut words: Vec<String> = std::iter::once("steady".to_owned()).chain(of_faults).collect();
    if scenario.faults.len() == 1 {
        words.extend(WORDS.iter().map(|word| (*word).to_owned()));
    }
    words.extend(expectations(scenario).into_iter().map(str::to_owned));
    words
}

fn point(word: &str, fault: Id) -> Anchor {
    match word {
        "effective" => Anchor::Effective(fault),
        "recovered" => Anchor::Recovered(fault),
        _ => Anchor::Undone(fault),
    }
}

/// The point that a word names.
///
/// # Errors
/// Nothing has that name, or it may mean several.
pub fn resolve(text: &str, scenario: &Scenario) -> Result<Anchor, Unresolved> {
    if text == "steady" {
        return Ok(Anchor::Steady);
    }
    if WORDS.contains(&text) {
        return match scenario.faults.keys().next() {
            Some(only) if scenario.faults.len() == 1 => Ok(point(text, only.clone())),
            _ => Err(Unresolved::WhichFault),
        };
    }
    if let Some((fault, word)) = text.rsplit_once('.') {
        return match scenario.faults.get_key_value(fault) {
            Some((id, _)) if WORDS.contains(&word) => Ok(point(word, id.clone())),
            None if WORDS.contains(&word) => Err(Unresolved::NoSuchFault(fault.to_owned())),
            _ => Err(Unresolved::NoSuchMoment),
        };
    }
    match text.parse::<Id>() {
        Ok(id) if expectations(scenario).contains(&text) => Ok(Anchor::Expectation(id)),
        _ => Err(Unresolved::NoSuchMoment),
    }
}

/// A fault's `at` as word and offset; absent means as soon as steady state was shown.
pub fn start(at: Option<&When>) -> (&str, Span) {
    match at {
        None => ("steady", Span::ZERO),
        Some(When::AfterSteady(plus)) => ("steady", *plus),
        Some(When::After(AfterMoment { after, plus })) => (after, *plus),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::sample;
    use super::*;
    use serde_json::json;

    #[test]
    fn words_name_points() {
        let mut scenario = sample::scenario();
        let primary: Id = "lose-primary".parse().unwrap();
        scenario.team = Some(json!({ "expect": { "detected": { "ack": {}, "within": "30s" } } }));
        assert_eq!(resolve("steady", &scenario), Ok(Anchor::Steady));
        assert_eq!(resolve("recovered", &scenario), Ok(Anchor::Recovered(primary.clone())));
        assert_eq!(resolve("lose-primary.undone", &scenario), Ok(Anchor::Undone(primary)));
        assert_eq!(resolve("detected", &scenario), Ok(Anchor::Expectation("detected".parse().unwrap())));
        assert_eq!(resolve("lose-primary.gone", &scenario), Err(Unresolved::NoSuchMoment));
        assert_eq!(resolve("other.undone", &scenario), Err(Unresolved::NoSuchFault("other".into())));
        sample::second_fault(&mut scenario);
        assert_eq!(resolve("recovered", &scenario), Err(Unresolved::WhichFault));
        assert!(all_words(&scenario).contains(&"slow-link.effective".to_owned()));
    }
}
