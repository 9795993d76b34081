//! What a run was judged to be, and the objectives that it is judged by.

use super::labels::{Labels, Sort};
use super::names::{
    CLAIM_AVAILABILITY, CLAIM_AVAILABILITY_OBJECTIVE, CLAIM_LOSS, CLAIM_LOSS_OBJECTIVE, CLAIM_RECOVERY, CLAIM_RECOVERY_OBJECTIVE,
    CLAIM_VERDICT, FINDINGS, LEDGER_WRITES, RUN_EXIT_CODE, RUN_VALID, SYSTEM_VERDICT, TAINTED_SECONDS, TEAM_VERDICT,
};
use super::write::Page;
use crate::measure::facts::{ClaimFacts, Facts, Judged};
use crate::plan::Plan;
use crate::score::{Risk, Score, TeamVerdict};

const VERDICTS: &[&str] = &["passed", "failed", "inconclusive", "invalid"];
const OF_SYSTEM: &[&str] = &["passed", "failed", "inconclusive", "invalid", "not_judged"];
const OF_TEAM: &[&str] = &["passed", "failed", "inconclusive", "invalid", "not_judged", "not_declared"];

/// Objectives always; verdicts and numbers once there are any.
pub(super) fn tell(page: &mut Page, labels: &Labels, plan: &Plan, judged: Option<&(Facts, Score)>) {
    for (id, claim) in &plan.claims {
        let of = [("claim", labels.of(Sort::Claim, id.as_str()))];
        if let Some(rto) = &claim.rto {
            page.one(CLAIM_RECOVERY_OBJECTIVE, &of, rto.max.as_secs_f64());
        }
        if let Some(rpo) = &claim.rpo {
            page.one(CLAIM_LOSS_OBJECTIVE, &of, rpo.max.as_secs_f64());
        }
        if let Some(availability) = &claim.availability {
            page.one(CLAIM_AVAILABILITY_OBJECTIVE, &of, availability.min.fraction());
        }
    }
    let Some((facts, score)) = judged else { return };
    page.one(RUN_EXIT_CODE, &[], f64::from(score.exit_code));
    page.flag(RUN_VALID, &[], facts.validity.valid);
    page.one(TAINTED_SECONDS, &[], facts.validity.tainted_seconds as f64);
    let system = if score.judged { verdict(score.system) } else { "not_judged" };
    page.states(SYSTEM_VERDICT, &[], "verdict", OF_SYSTEM, system);
    page.states(TEAM_VERDICT, &[], "verdict", OF_TEAM, of_team(score.team));
    for (word, risk) in [("hri", Risk::Hri), ("mri", Risk::Mri)] {
        page.one(FINDINGS, &[("risk", word)], score.findings.iter().filter(|finding| finding.risk == risk).count() as f64);
    }
    for (id, claim) in facts.claims.iter().filter(|_| score.judged) {
        tell_claim(page, labels.of(Sort::Claim, id), claim);
    }
    for (id, ledger) in facts.ledgers.iter().filter(|(_, ledger)| ledger.not_read.is_none()) {
        let results = [
            ("attempted", ledger.attempted),
            ("acknowledged", ledger.acknowledged),
            ("failed", ledger.failed),
            ("unknown", ledger.unknown),
            ("lost", ledger.lost.len() as u64),
            ("duplicated", ledger.duplicated),
            ("unexpected", ledger.unexpected),
            ("resurrected", ledger.resurrected),
            ("recovered", ledger.recovered),
        ];
        for (result, count) in results {
            page.one(LEDGER_WRITES, &[("ledger", labels.of(Sort::Probe, id)), ("result", result)], count as f64);
        }
    }
}

fn tell_claim(page: &mut Page, claim: &str, facts: &ClaimFacts) {
    page.states(CLAIM_VERDICT, &[("claim", claim)], "verdict", VERDICTS, verdict(facts.verdict));
    let mut bounds = |metric, lower: Option<f64>, upper: Option<f64>| {
        for (bound, value) in [("lower", lower), ("upper", upper)] {
            if let Some(value) = value {
                page.one(metric, &[("claim", claim), ("bound", bound)], value);
            }
        }
    };
    if let Some(measured) = facts.rto.as_ref().and_then(|rto| rto.measured) {
        bounds(CLAIM_RECOVERY, Some(measured.lo.as_secs_f64()), measured.hi.map(crate::base::Span::as_secs_f64));
    }
    if let Some(availability) = &facts.availability {
        bounds(CLAIM_AVAILABILITY, availability.by_time_lo, availability.by_time_hi);
    }
    if let Some(window) = facts.rpo.as_ref().and_then(|rpo| rpo.window) {
        page.one(CLAIM_LOSS, &[("claim", claim)], window.window.as_secs_f64());
    }
}

fn verdict(judged: Judged) -> &'static str {
    match judged {
        Judged::Passed => "passed",
        Judged::Failed => "failed",
        Judged::Inconclusive => "inconclusive",
        Judged::Invalid => "invalid",
    }
}

fn of_team(verdict: TeamVerdict) -> &'static str {
    match verdict {
        TeamVerdict::NotDeclared => "not_declared",
        TeamVerdict::NotJudged => "not_judged",
        TeamVerdict::Passed => "passed",
        TeamVerdict::Failed => "failed",
        TeamVerdict::Inconclusive => "inconclusive",
        TeamVerdict::Invalid => "invalid",
    }
}
