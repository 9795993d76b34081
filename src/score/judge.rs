//! Practices against what a run showed: generic over the catalogue. Validity comes first, a verdict needs every scope that exercised the practice,
//! and the framework's own risk caps it. It must never know how a signal was measured.

use std::collections::BTreeSet;

use crate::measure::facts::{Ended, Facts};
use crate::plan::{Mode, Plan};

use super::catalogue::{Catalogue, Layer, Practice, catalogue};
use super::explain;
use super::extract::{Scope, scopes};
use super::rule::{Branch, Outcome};
use super::signal::{Observed, State};
use super::targets::unknown_targets;
use super::{Finding, Risk};

/// What a run says of a practice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was refuted, and how bad that is.
    Contradicted(Risk),
    /// It was shown, in this run and for what it drilled.
    Supported,
    /// A person says so; no drill has shown it.
    Attested,
    /// Nothing is said.
    NotDrilled,
}

impl Verdict {
    /// As programs read it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Contradicted(_) => "contradicted",
            Verdict::Supported => "supported",
            Verdict::Attested => "attested",
            Verdict::NotDrilled => "not_drilled",
        }
    }

    /// Whether a drill spoke.
    pub fn drilled(self) -> bool {
        matches!(self, Verdict::Contradicted(_) | Verdict::Supported)
    }
}

/// One practice, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct PracticeVerdict {
    /// The practice.
    pub practice: &'static Practice,
    /// What is said.
    pub verdict: Verdict,
    /// Why, in words, with the values that decide.
    pub why: String,
    /// Sequence numbers of the journal entries that show it.
    pub entries: Vec<u64>,
    /// In so many claims of the run it was shown or refuted …
    pub shown: usize,
    /// … of so many whose drill exercises it.
    pub of: usize,
    /// Findings of the run that refute it, by id.
    pub refuted_by: Vec<String>,
    /// What would exercise it, in words; absent when it was drilled.
    pub would: Option<String>,
}

/// A question of the framework, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionScore {
    /// Question id.
    pub id: &'static str,
    /// Its number.
    pub label: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Practices that were refuted.
    pub contradicted: usize,
    /// Practices that a drill spoke to.
    pub drilled: usize,
    /// All of its practices.
    pub total: usize,
}

/// Every practice of the framework against one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// It is a demonstration, not evidence: where it ran, or what was only rehearsed.
    pub demonstration: bool,
    /// People knew beforehand.
    pub announced: bool,
    /// For so many days from the run on it may count as evidence.
    pub expires_days: u64,
    /// Why nothing can be said at all.
    pub no_evidence: Option<String>,
    /// What was judged by itself, with every reading.
    pub scopes: Vec<Scope>,
    /// Every practice, in the framework's order.
    pub practices: Vec<PracticeVerdict>,
    /// Names under `score.targets` that no rule knows.
    pub unknown_targets: Vec<String>,
}

impl Judgement {
    /// The questions, in the framework's order.
    pub fn questions(&self) -> Vec<QuestionScore> {
        let count = |all: &[PracticeVerdict]| QuestionScore {
            id: &all[0].practice.question,
            label: &all[0].practice.question_label,
            title: &all[0].practice.question_title,
            contradicted: all.iter().filter(|p| matches!(p.verdict, Verdict::Contradicted(_))).count(),
            drilled: all.iter().filter(|p| p.verdict.drilled()).count(),
            total: all.len(),
        };
        self.practices.chunk_by(|a, b| a.practice.question == b.practice.question).map(count).collect()
    }

    /// The verdicts of a question: refuted ones first, then shown ones, in the framework's order otherwise.
    pub fn of_question(&self, id: &str) -> Vec<&PracticeVerdict> {
        let mut found: Vec<&PracticeVerdict> = self.practices.iter().filter(|p| p.practice.question == id).collect();
        found.sort_by_key(|p| match p.verdict {
            Verdict::Contradicted(risk) => risk as u8,
            Verdict::Supported => 2,
            Verdict::Attested => 3,
            Verdict::NotDrilled => 4,
        });
        found
    }

    /// The practice of that choice id or label.
    pub fn find(&self, practice: &Practice) -> Option<&PracticeVerdict> {
        self.practices.iter().find(|p| p.practice.choice == practice.choice)
    }
}

/// Judges every practice. `findings` are those of claims: a part of a claim that was refuted refutes the practice that it speaks to.
pub(super) fn judge(plan: &Plan, facts: &Facts, observed: &Observed, findings: &[Finding]) -> Judgement {
    let all = catalogue();
    let no_evidence = no_evidence(plan, facts);
    let scopes = scopes(all, plan, facts, observed);
    let of = |practice| one(all, practice, &scopes, no_evidence.as_deref(), observed, findings);
    let blind = plan.carried.get("team").and_then(|team| team.get("mode")).and_then(serde_json::Value::as_str) == Some("blind");
    let cadence = plan.carried.get("cadence").and_then(serde_json::Value::as_str).and_then(|text| text.parse::<crate::base::Span>().ok());
    let default = all.targets.get("cadence_days").copied().flatten().unwrap_or_default();
    Judgement {
        demonstration: plan.is_demonstration(),
        announced: !blind,
        expires_days: cadence.map_or(default as u64, |span| span.0 / 86_400_000_000_000),
        practices: all.practices.iter().map(of).collect(),
        unknown_targets: unknown_targets(all, plan),
        no_evidence,
        scopes,
    }
}

/// Why a run says nothing of any practice.
fn no_evidence(plan: &Plan, facts: &Facts) -> Option<String> {
    let invalid =
        || facts.validity.reasons.first().map_or_else(|| "the run is not valid".to_owned(), |why| format!("the run is not valid: {why}"));
    match (plan.mode, facts.run.outcome) {
        (Mode::Tabletop, _) => Some("a tabletop touches no fault".to_owned()),
        (Mode::Baseline, _) => Some("the run ended after baseline".to_owned()),
        (Mode::Normal, _) if !facts.validity.valid => Some(invalid()),
        (Mode::Normal, Some(Ended::Completed)) => None,
        (Mode::Normal, Some(Ended::NotSteady)) => Some("the system was not steady beforehand".to_owned()),
        (Mode::Normal, _) => Some("the run did not complete".to_owned()),
    }
}

fn one(
    all: &'static Catalogue,
    practice: &'static Practice,
    scopes: &[Scope],
    no_evidence: Option<&str>,
    observed: &Observed,
    findings: &[Finding],
) -> PracticeVerdict {
    let would = explain::would(all, practice);
    let nothing = |why: String| PracticeVerdict {
        practice,
        verdict: Verdict::NotDrilled,
        why,
        entries: Vec::new(),
        shown: 0,
        of: 0,
        refuted_by: Vec::new(),
        would: Some(would.clone()),
    };
    let mut found = match (&practice.rule, practice.layer, no_evidence) {
        (None, ..) | (_, Layer::None, _) => nothing(practice.note.clone().unwrap_or_else(|| "no drill can show it".to_owned())),
        (_, Layer::Programme, _) => nothing("judged over runs, never in one".to_owned()),
        (_, Layer::Outcome, Some(why)) => nothing(why.to_owned()),
        (Some(_), Layer::Outcome, None) => by_rule(all, practice, scopes, nothing(format!("needs a drill in which {would}"))),
    };
    refute(&mut found, findings);
    if let (Verdict::NotDrilled, Some(word)) = (found.verdict, observed.attested.get(&practice.choice)) {
        found.verdict = Verdict::Attested;
        found.why = format!("{} says: {}", word.by, word.text);
        found.entries = vec![word.entry];
    }
    found
}

/// A part of a claim that was refuted contradicts the practice, whatever its rule could see.
fn refute(found: &mut PracticeVerdict, findings: &[Finding]) {
    for finding in findings.iter().filter(|f| f.practice.choice == found.practice.choice) {
        let risk = match found.verdict {
            Verdict::Contradicted(risk) => {
                if finding.risk < risk {
                    found.why = format!("{}: {}; {}", finding.title, finding.observed, found.why);
                }
                risk.min(finding.risk)
            }
            Verdict::Supported | Verdict::Attested | Verdict::NotDrilled => {
                found.why = format!("{}: {}", finding.title, finding.observed);
                (found.shown, found.of) = (1, found.of.max(1));
                finding.risk
            }
        };
        found.verdict = Verdict::Contradicted(risk);
        found.would = None;
        found.refuted_by.push(finding.id.clone());
        found.entries.extend(&finding.entries);
    }
    found.entries.sort_unstable();
    found.entries.dedup();
}

/// The verdict over every scope that exercises the practice: one that refutes it decides, and it is supported only where none is open.
fn by_rule(all: &Catalogue, practice: &'static Practice, scopes: &[Scope], nothing: PracticeVerdict) -> PracticeVerdict {
    let Some(rule) = &practice.rule else { return nothing };
    let mine: Vec<&Scope> = scopes.iter().filter(|s| exercises(s, practice)).collect();
    let ends: Vec<(&Scope, Outcome)> = mine.iter().map(|s| (*s, rule.outcome(&s.readings))).collect();
    let of = |wanted: &[Outcome]| ends.iter().filter(|(_, end)| wanted.contains(end)).map(|(s, _)| *s).collect::<Vec<_>>();
    let (high, medium, met, open) = (of(&[Outcome::High]), of(&[Outcome::Medium]), of(&[Outcome::Met]), of(&[Outcome::Open]));
    let refuted: Vec<&Scope> = high.iter().chain(&medium).copied().collect();
    let told = |verdict, by: Vec<&Scope>, why: String| PracticeVerdict {
        verdict,
        why,
        entries: entries(practice, &by),
        shown: by.len(),
        of: ends.len(),
        would: None,
        ..nothing.clone()
    };
    let named = |scope: &Scope, why: String| if ends.len() > 1 { format!("{}: {why}", scope.name) } else { why };
    match (refuted.first(), open.first(), met.first()) {
        (Some(scope), ..) => {
            let risk = practice.capped(if high.is_empty() { Risk::Mri } else { Risk::Hri });
            let why = named(scope, explain::missed(all, practice, &scope.readings));
            told(Verdict::Contradicted(risk), refuted, why)
        }
        (None, Some(scope), _) => {
            let why = named(scope, explain::open(all, practice, &scope.readings));
            PracticeVerdict { of: ends.len(), why, ..nothing }
        }
        (None, None, Some(scope)) => {
            let why = named(scope, explain::shown(all, practice, &scope.readings));
            told(Verdict::Supported, met, why)
        }
        (None, None, None) if ends.is_empty() => nothing,
        (None, None, None) => {
            PracticeVerdict { of: ends.len(), why: "what its rule speaks of did not happen in this run".to_owned(), ..nothing }
        }
    }
}

/// Whether a scope's drill is of a sort that the practice speaks of.
pub fn exercises(scope: &Scope, practice: &Practice) -> bool {
    scope.drills.iter().any(|drill| practice.drills.contains(drill)) || practice.drills.iter().any(|drill| drill.starts_with("any"))
}

/// The entries behind every signal that the rule names.
fn entries(practice: &Practice, scopes: &[&Scope]) -> Vec<u64> {
    let Some(rule) = &practice.rule else { return Vec::new() };
    let (names, _) = rule.names();
    let signals = scopes.iter().flat_map(|s| names.iter().filter_map(|name| s.readings.signals.get(*name)));
    let known = signals.filter(|signal| matches!(signal.state, State::Value(_) | State::Absent));
    let found: BTreeSet<u64> = known.flat_map(|signal| signal.entries.iter().copied()).collect();
    found.into_iter().collect()
}

/// The branch that would have been met.
pub(super) fn met(practice: &Practice) -> Option<&super::rule::Expr> {
    match &practice.rule.as_ref()?.branches[0] {
        Branch::When(expr) => Some(expr),
        Branch::Never | Branch::Otherwise => None,
    }
}

/// The verdict by rule alone, over made-up scopes.
#[cfg(test)]
pub(super) fn for_tests(all: &Catalogue, practice: &'static Practice, scopes: &[Scope]) -> PracticeVerdict {
    let nothing = PracticeVerdict {
        practice,
        verdict: Verdict::NotDrilled,
        why: "not exercised".into(),
        entries: vec![],
        shown: 0,
        of: 0,
        refuted_by: vec![],
        would: None,
    };
    by_rule(all, practice, scopes, nothing)
}
