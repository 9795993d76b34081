//! Findings from practices: each practice that a run contradicts, and that no finding of a claim speaks to yet.

use crate::measure::facts::Facts;
use crate::plan::Plan;

use super::catalogue::catalogue;
use super::judge::{Judgement, PracticeVerdict, Verdict, exercises};
use super::{Finding, Risk, explain, finding};

/// What should be mended beside the parts of claims that failed.
pub(super) fn findings(plan: &Plan, facts: &Facts, judgement: &Judgement) -> Vec<Finding> {
    let told = judgement.practices.iter().filter(|told| told.refuted_by.is_empty());
    told.filter_map(|told| one(plan, facts, judgement, told)).collect()
}

fn one(plan: &Plan, facts: &Facts, judgement: &Judgement, told: &PracticeVerdict) -> Option<Finding> {
    let Verdict::Contradicted(risk) = told.verdict else { return None };
    let practice = told.practice;
    let readings = judgement.scopes.iter().find(|s| exercises(s, practice)).map(|s| &s.readings)?;
    let advice = practice.remedy.clone().unwrap_or_else(|| {
        format!(
            "Look at what the rule of {} asks for (`firedrill score {} --explain {}`), and mend the first that is missing.",
            practice.label, facts.run.id, practice.label
        )
    });
    let cost = || practice.impact.clone().unwrap_or_else(|| "What the design relies on was not there.".to_owned());
    let expected = explain::expectation(catalogue(), practice, readings);
    Some(Finding {
        id: format!("practice.{}", practice.choice),
        risk,
        title: format!("Refuted: {}", practice.title),
        observed: told.why.clone(),
        expected: if expected.is_empty() { practice.title.clone() } else { expected },
        impact: finding::impact(plan).unwrap_or_else(cost),
        remediation: advice,
        practice,
        owner: plan.owner.clone(),
        due: due(facts, risk),
        retest: plan.name.clone(),
        entries: told.entries.clone(),
    })
}

/// The day by which it should be mended, as the catalogue proposes it; none where the run has no wall time.
pub(super) fn due(facts: &Facts, risk: Risk) -> Option<String> {
    let start: jiff::Timestamp = facts.run.started_at.parse().ok()?;
    let days = match risk {
        Risk::Hri => catalogue().due_days.high,
        Risk::Mri => catalogue().due_days.medium,
    };
    let end = start.checked_add(jiff::SignedDuration::from_hours(i64::from(days) * 24)).ok()?;
    Some(end.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
}
