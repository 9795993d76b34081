//! The team's verdict, and the findings that wrong turns leave. Late is not lost: what machines and people could not show is inconclusive, never failed.

use crate::measure::facts::{Facts, Judged};
use crate::plan::{Mode, Plan};
use crate::response::{ExpectationFacts, Turn, TurnFacts, Verdict, verdict_word};

use super::catalogue::catalogue;
use super::gap::due;
use super::words::capital;
use super::{Finding, Risk, TeamVerdict};

/// What is said of the team, and why, the deciding reasons first.
pub(super) fn team(plan: &Plan, facts: &Facts) -> (TeamVerdict, Vec<String>) {
    let Some(team) = plan.team.as_ref().filter(|team| !team.expect.is_empty()) else {
        // A plan of an earlier version carries what it could not judge.
        let carried = plan.team.is_none() && plan.carried.get("team").is_some_and(|team| team.get("expect").is_some());
        return (if carried { TeamVerdict::NotJudged } else { TeamVerdict::NotDeclared }, Vec::new());
    };
    if plan.mode == Mode::Baseline {
        return (TeamVerdict::NotJudged, vec!["the run ended after baseline".into()]);
    }
    let mut parts: Vec<(Judged, String)> = Vec::new();
    for (id, e) in counting(facts) {
        parts.push((judged(e.verdict), format!("{id} {}: {}", verdict_word(e.verdict), e.why)));
    }
    if team.expect.values().all(|expected| expected.training) {
        return (TeamVerdict::NotJudged, vec!["everything was training, which never counts".into()]);
    }
    if parts.is_empty() {
        return (TeamVerdict::NotJudged, vec!["nothing that was expected became due".into()]);
    }
    if plan.mode == Mode::Normal && !facts.validity.valid {
        parts.insert(0, (Judged::Invalid, "the run is not valid, so nothing is said of those who responded to it".into()));
    }
    parts.sort_by_key(|(verdict, _)| std::cmp::Reverse(rank(*verdict)));
    let verdict = match parts.first().map(|(verdict, _)| *verdict) {
        Some(Judged::Passed) => TeamVerdict::Passed,
        Some(Judged::Failed) => TeamVerdict::Failed,
        Some(Judged::Invalid) => TeamVerdict::Invalid,
        Some(Judged::Inconclusive) | None => TeamVerdict::Inconclusive,
    };
    (verdict, parts.into_iter().map(|(_, why)| why).collect())
}

/// What is part of the verdict.
pub(super) fn counting(facts: &Facts) -> impl Iterator<Item = (&String, &ExpectationFacts)> {
    facts.team.expectations.iter().filter(|(_, e)| e.counts && e.verdict != Verdict::NotDue)
}

fn judged(verdict: Verdict) -> Judged {
    match verdict {
        Verdict::OnTime => Judged::Passed,
        Verdict::Late | Verdict::Missed => Judged::Failed,
        Verdict::NotObserved | Verdict::NotDue => Judged::Inconclusive,
    }
}

fn rank(verdict: Judged) -> u8 {
    match verdict {
        Judged::Passed => 0,
        Judged::Inconclusive => 1,
        Judged::Failed => 2,
        Judged::Invalid => 3,
    }
}

/// The exit code with the team in it: only where the system itself came out well, and people took part.
pub(super) fn exit_code(system: u8, team: TeamVerdict, facts: &Facts) -> u8 {
    if facts.team.unattended || system != 0 {
        return system;
    }
    match team {
        TeamVerdict::Inconclusive | TeamVerdict::Invalid => 31,
        TeamVerdict::Failed => 32,
        TeamVerdict::Passed | TeamVerdict::NotJudged | TeamVerdict::NotDeclared => 0,
    }
}

/// The practices that a response speaks to, by their choice ids.
const NOTIFIED: &str = "rel_monitor_aws_resources_notification_monitor";
const PLAYBOOK: &str = "rel_testing_resiliency_playbook_resiliency";
const PROCESS: &str = "ops_event_response_event_incident_problem_process";
const ESCALATION: &str = "ops_event_response_define_escalation_paths";

/// What should be mended of alerts, runbooks and procedures. Roles, never persons.
pub(super) fn findings(plan: &Plan, facts: &Facts) -> Vec<Finding> {
    let mut out: Vec<Finding> = counting(facts).filter_map(|(id, e)| expected(plan, facts, id, e)).collect();
    out.extend(facts.team.wrong_turns.iter().filter_map(|(id, turn)| wrong_turn(plan, facts, id, turn)));
    out.sort_by_key(|finding| finding.risk);
    out
}

fn impact(plan: &Plan) -> String {
    let told = plan.carried.get("score").and_then(|score| score.get("impact")).and_then(|impact| impact.as_str());
    told.unwrap_or("An incident lasts as long as it takes people to notice, decide and act.").to_owned()
}

fn expected(plan: &Plan, facts: &Facts, id: &str, e: &ExpectationFacts) -> Option<Finding> {
    if !matches!(e.verdict, Verdict::Late | Verdict::Missed) {
        return None;
    }
    let (practice, remediation) = match e.kind {
        "alert" if e.never => {
            (NOTIFIED, format!("Look at the rule behind {}: it called people for what it must stay silent about.", e.what))
        }
        "alert" => (
            NOTIFIED,
            format!("Look at the rule behind {}: does it see this fault, how long does it wait, and how often is it evaluated?", e.what),
        ),
        "handoff" => (ESCALATION, "Write down who takes over, how they are reached, and what happens when they do not answer.".to_owned()),
        "step" => (PLAYBOOK, format!("Walk through the runbook of {} with those who need it: what kept them from this step?", e.what)),
        _ => (PROCESS, format!("Go through the response to {} with those who took part: what did they wait for?", e.from)),
    };
    let wished = if e.never { "it never happens" } else { "it is observed" };
    let by = e.by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
    let practice = catalogue().find(practice)?;
    let risk = if e.verdict == Verdict::Missed { Risk::Hri } else { Risk::Mri };
    Some(Finding {
        id: format!("team.{id}"),
        risk: practice.capped(risk),
        title: format!("{} ({}): {}", capital(&e.what), id, verdict_word(e.verdict)),
        observed: e.why.clone(),
        expected: format!("{wished}{by} within {} of: {}", e.within.human(), e.from),
        impact: impact(plan),
        remediation,
        practice,
        owner: plan.owner.clone(),
        due: due(facts, practice.capped(risk)),
        retest: plan.name.clone(),
        entries: e.entries.clone(),
    })
}

fn wrong_turn(plan: &Plan, facts: &Facts, id: &str, turn: &TurnFacts) -> Option<Finding> {
    if !matches!(turn.turn, Turn::Taken | Turn::BackedOut) {
        return None;
    }
    let practice = catalogue().find(PLAYBOOK)?;
    let teaches = turn.teaches.as_ref().map_or_else(String::new, |teaches| format!(" It teaches: {teaches}"));
    Some(Finding {
        id: format!("team.wrong-turn.{id}"),
        risk: practice.capped(Risk::Mri),
        title: format!(
            "A wrong turn was {}: {} ({id})",
            if turn.turn == Turn::Taken { "taken" } else { "taken and taken back" },
            turn.what
        ),
        observed: turn.why.clone(),
        expected: "nobody is led there".into(),
        impact: impact(plan),
        remediation: format!("Find the runbook or alert that led there, and say in it when not to do this.{teaches}"),
        practice,
        owner: plan.owner.clone(),
        due: due(facts, practice.capped(Risk::Mri)),
        retest: plan.name.clone(),
        entries: turn.entries.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::all;
    use super::super::score;
    use super::*;

    #[test]
    fn the_team_comes_after_the_system() {
        let failed = all().into_iter().find(|s| s.name == "team-failed").unwrap();
        let mut s = failed;
        let scored = score(&s.plan, &s.facts);
        assert_eq!((scored.team, scored.exit_code), (TeamVerdict::Failed, 32));
        assert!(scored.team_why[0].starts_with("acknowledged late: "), "{:?}", scored.team_why);
        let found: Vec<(&str, Risk)> = scored.findings.iter().map(|f| (f.id.as_str(), f.risk)).collect();
        assert_eq!(found, [("team.acknowledged", Risk::Mri), ("team.wrong-turn.restarted-api", Risk::Mri)]);
        s.facts.team.unattended = true;
        assert_eq!(score(&s.plan, &s.facts).exit_code, 0, "nobody took part");
        s.facts.team.unattended = false;
        s.facts.team.expectations["acknowledged"].verdict = Verdict::NotObserved;
        let scored = score(&s.plan, &s.facts);
        assert_eq!((scored.team, scored.exit_code), (TeamVerdict::Inconclusive, 31));
        s.facts.team.expectations["detected"].verdict = Verdict::Missed;
        assert_eq!(score(&s.plan, &s.facts).exit_code, 32, "what failed is not made better by what nobody saw");
        s.facts.validity.valid = false;
        let scored = score(&s.plan, &s.facts);
        assert_eq!((scored.team, scored.exit_code), (TeamVerdict::Invalid, 33));
    }

    #[test]
    fn training_never_counts() {
        let mut s = all().into_iter().next().unwrap();
        assert_eq!(s.facts.team.expectations["informed"].verdict, Verdict::Missed);
        assert_eq!((score(&s.plan, &s.facts).team, score(&s.plan, &s.facts).exit_code), (TeamVerdict::Passed, 0));
        for e in s.plan.team.as_mut().unwrap().expect.values_mut() {
            e.training = true;
        }
        s.facts.team.expectations.values_mut().for_each(|e| (e.counts, e.verdict) = (false, Verdict::Missed));
        let scored = score(&s.plan, &s.facts);
        assert_eq!((scored.team, scored.exit_code), (TeamVerdict::NotJudged, 0));
        assert!(scored.findings.iter().all(|f| f.id == "team.wrong-turn.restarted-api"), "{:?}", scored.findings);
    }
}
