//! What a judged run leaves for improvement and review: its findings with what they are about, and what it showed instead.

use serde_json::Value;

use crate::history::{Account, Found, Limit, Responded, Said, Shown};
use crate::measure::facts::{ClaimFacts, Ended, Facts, Judged, PartVerdict, SteadyAfter};
use crate::plan::{Mode, Plan, TestKind};
use crate::response::{Turn, Verdict as Answer};
use crate::score::catalogue::catalogue;
use crate::score::judge::exercises;
use crate::score::{Finding, Risk, Score, Verdict, explain, service};

/// Everything that is kept of a run beside the numbers of its claims.
pub fn account(plan: &Plan, facts: &Facts, score: &Score) -> Account {
    let judgement = &score.practices;
    let cadence = plan.carried.get("cadence").and_then(Value::as_str).and_then(|text| text.parse::<crate::base::Span>().ok());
    let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let tabletop = plan.mode == Mode::Tabletop && facts.run.outcome == Some(Ended::Completed);
    let counts = judgement.no_evidence.is_none() || tabletop;
    let roles: Vec<String> = plan.team.iter().flat_map(|team| team.roles.keys().map(ToString::to_string)).collect();
    let acted = |role: &&String| {
        let mine = |by: &Option<String>| by.as_deref() == Some(role.as_str());
        let expected = facts.team.expectations.values().any(|e| !e.machine && e.at.is_some() && (mine(&e.by) || mine(&e.source)));
        expected || facts.team.wrong_turns.values().any(|turn| turn.taken.is_some() && mine(&turn.by))
    };
    let mut drills: Vec<String> = judgement.scopes.iter().flat_map(|scope| scope.drills.iter().cloned()).collect();
    drills.sort();
    drills.dedup();
    Account {
        environment: word(serde_json::to_value(plan.environment).unwrap_or_default()),
        demonstration: plan.is_demonstration(),
        mode: word(serde_json::to_value(plan.mode).unwrap_or_default()),
        counts,
        lasted_ns: facts.run.end.0,
        cadence_days: cadence.map(|span| span.as_secs_f64() / 86_400.0),
        expires_days: judgement.expires_days,
        hypothesis: !plan.claims.is_empty(),
        base_dir: plan.base_dir.clone(),
        people: plan.team.is_some() && !facts.team.unattended && facts.team.stamps.all > facts.team.stamps.machine,
        acted: roles.iter().filter(acted).cloned().collect(),
        roles,
        response: facts.team.expectations.iter().map(|(id, e)| responded(id, e)).collect(),
        drills,
        practices: judgement.practices.iter().filter(|told| told.verdict.drilled()).map(said).collect(),
        findings: score.findings.iter().map(|finding| found(plan, facts, finding)).collect(),
        shown: if counts { shown(plan, facts, score) } else { Vec::new() },
        last_seq: facts.timeline.last().map_or(0, |moment| moment.seq),
    }
}

fn responded(id: &str, e: &crate::response::ExpectationFacts) -> Responded {
    let word = serde_json::to_value(e.verdict).unwrap_or_default();
    Responded {
        id: id.to_owned(),
        kind: e.kind.to_owned(),
        role: e.by.clone(),
        verdict: word.as_str().unwrap_or_default().to_owned(),
        lo: e.took.map(|(lo, _)| lo.0 as f64),
        hi: e.took.map(|(_, hi)| hi.0 as f64),
        counted: e.counts,
        entries: e.entries.clone(),
    }
}

fn said(told: &crate::score::PracticeVerdict) -> Said {
    Said {
        choice: told.practice.choice.clone(),
        supported: told.verdict == Verdict::Supported,
        high: told.verdict == Verdict::Contradicted(Risk::Hri),
        why: told.why.clone(),
        entries: told.entries.clone(),
    }
}

fn found(plan: &Plan, facts: &Facts, finding: &Finding) -> Found {
    Found {
        id: finding.id.clone(),
        choice: finding.practice.choice.clone(),
        label: finding.practice.label.clone(),
        subject: subject(plan, &finding.id),
        high: finding.risk == Risk::Hri,
        title: finding.title.clone(),
        observed: finding.observed.clone(),
        expected: finding.expected.clone(),
        impact: finding.impact.clone(),
        remediation: finding.remediation.clone(),
        owner: finding.owner.clone(),
        due: finding.due.clone(),
        limit: limit(plan, facts, &finding.id),
        entries: finding.entries.clone(),
    }
}

/// What a finding is about, whatever it is called: the service of its claim, a ledger, an expectation.
fn subject(plan: &Plan, id: &str) -> String {
    let first = || plan.claims.keys().next().map(|claim| service(plan, claim.as_str()));
    if let Some(rest) = id.strip_prefix("team.") {
        return rest.strip_prefix("wrong-turn.").unwrap_or(rest).to_owned();
    }
    if id.starts_with("practice.") || id == "steady-after" || id == "sustained" {
        return first().unwrap_or_else(|| plan.name.clone());
    }
    let head = id.split('.').next().unwrap_or(id);
    if plan.claims.contains_key(head) { service(plan, head) } else { head.to_owned() }
}

/// The number that was asked for, where the finding, or its opposite, is about one.
fn limit(plan: &Plan, facts: &Facts, id: &str) -> Option<Limit> {
    let time = |ns: u64| Some(Limit { value: ns as f64, more_is_harder: false });
    if id == "steady-after" {
        return time(plan.settle_within.0);
    }
    if let Some(expectation) = id.strip_prefix("team.") {
        return facts.team.expectations.get(expectation).and_then(|e| time(e.within.0));
    }
    let (claim, part) = id.split_once('.')?;
    let claim = facts.claims.get(claim)?;
    match part {
        "rto" => time(claim.rto.as_ref()?.claimed.0),
        "rpo" => time(claim.rpo.as_ref()?.claimed.0),
        "availability" => Some(Limit { value: claim.availability.as_ref()?.claimed, more_is_harder: true }),
        "latency" => time(claim.latency.as_ref()?.quantiles.values().map(|(claimed, _)| claimed.0).fold(0, u64::saturating_add)),
        _ => None,
    }
}

fn parts(claim: &ClaimFacts) -> Vec<(String, &PartVerdict)> {
    let mut parts: Vec<(String, &PartVerdict)> = Vec::new();
    parts.extend(claim.rto.as_ref().map(|part| ("rto".to_owned(), &part.part)));
    parts.extend(claim.rpo.as_ref().map(|part| ("rpo".to_owned(), &part.part)));
    parts.extend(claim.availability.as_ref().map(|part| ("availability".to_owned(), &part.part)));
    parts.extend(claim.latency.as_ref().map(|part| ("latency".to_owned(), &part.part)));
    parts.extend(claim.by.as_ref().map(|part| ("by".to_owned(), &part.part)));
    parts.extend(claim.holds.iter().map(|(name, part)| (format!("holds.{name}"), &part.part)));
    parts
}

/// Everything that was asked for and was there, by the id that its finding would have. What was not looked at is not in it.
fn shown(plan: &Plan, facts: &Facts, score: &Score) -> Vec<Shown> {
    let mut ids: Vec<String> = Vec::new();
    for (id, claim) in &facts.claims {
        let passed = parts(claim).into_iter().filter(|(_, part)| part.verdict == Judged::Passed);
        ids.extend(passed.map(|(name, _)| format!("{id}.{name}")));
    }
    for (id, ledger) in facts.ledgers.iter().filter(|(_, ledger)| ledger.not_read.is_none()) {
        let clean = [
            ("lost", ledger.lost.is_empty()),
            ("repeated", ledger.duplicated == 0 && ledger.resurrected == 0),
            ("divergent", ledger.divergent.is_empty()),
        ];
        ids.extend(clean.into_iter().filter(|(_, clean)| *clean).map(|(name, _)| format!("{id}.{name}")));
    }
    ids.extend(matches!(facts.steady_after, SteadyAfter::Held(_)).then(|| "steady-after".to_owned()));
    let sustained = plan.test == TestKind::Sustained && score.system == Judged::Passed;
    ids.extend(sustained.then(|| "sustained".to_owned()));
    let on_time = facts.team.expectations.iter().filter(|(_, e)| e.verdict == Answer::OnTime);
    ids.extend(on_time.map(|(id, _)| format!("team.{id}")));
    let avoided = facts.team.wrong_turns.iter().filter(|(_, turn)| turn.turn == Turn::Avoided);
    ids.extend(avoided.map(|(id, _)| format!("team.wrong-turn.{id}")));
    let mut all: Vec<Shown> = ids.into_iter().map(|id| Shown { limit: limit(plan, facts, &id), id, asked: None }).collect();
    for told in score.practices.practices.iter().filter(|told| told.verdict == Verdict::Supported) {
        let scope = score.practices.scopes.iter().find(|scope| exercises(scope, told.practice));
        let asked = scope.map(|scope| explain::expectation(catalogue(), told.practice, &scope.readings));
        all.push(Shown { id: format!("practice.{}", told.practice.choice), limit: None, asked: asked.filter(|asked| !asked.is_empty()) });
    }
    all
}
