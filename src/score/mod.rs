//! How a run measures up: the system's verdict with its reasons, findings with a way forward, and the exit code.
//! It must never know HTML, or how a probe gets its numbers.

pub mod catalogue;
pub mod explain;
pub mod extract;
mod finding;
mod gap;
pub mod judge;
#[cfg(test)]
mod judge_tests;
pub mod many;
pub mod people;
mod proof;
pub mod rule;
#[cfg(test)]
mod rule_tests;
pub mod signal;
mod targets;
mod team;
mod verdict;
pub mod words;

use serde::Serialize;

pub use catalogue::Practice;
pub use judge::{Judgement, PracticeVerdict, QuestionScore, Verdict};
pub use signal::Observed;

use crate::measure::facts::{Facts, Judged};
use crate::plan::Plan;

/// A run, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The system was put to the test at all: false for a tabletop and for a baseline-only run, whose `system` says nothing.
    pub judged: bool,
    /// What is said of the system: its claims, and steady state after undo.
    pub system: Judged,
    /// Why, in sentences for people; the deciding ones first.
    pub system_why: Vec<String>,
    /// What is said of the team.
    pub team: TeamVerdict,
    /// Why, in fragments for people; the deciding ones first.
    pub team_why: Vec<String>,
    /// What should be mended, worst first.
    pub findings: Vec<Finding>,
    /// Every practice of the Well-Architected Framework against this run.
    pub practices: Judgement,
    /// The exit code of the run.
    pub exit_code: u8,
}

/// What is said of the team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamVerdict {
    /// The scenario declares no expectations of people.
    NotDeclared,
    /// It declares some that say nothing: all of it training, never due, of a run that ended after baseline, or of a version that could not judge them.
    NotJudged,
    /// Everything that counts was on time.
    Passed,
    /// Something was late or missed.
    Failed,
    /// Something was not observed.
    Inconclusive,
    /// The run is no evidence at all.
    Invalid,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// High-risk issue.
    Hri,
    /// Medium-risk issue.
    Mri,
}

impl Risk {
    /// As Well-Architected reviewers abbreviate it.
    pub fn abbreviation(self) -> &'static str {
        match self {
            Risk::Hri => "HRI",
            Risk::Mri => "MRI",
        }
    }

    /// In full.
    pub fn name(self) -> &'static str {
        match self {
            Risk::Hri => "high risk",
            Risk::Mri => "medium risk",
        }
    }
}

/// Something that should be mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Stable within the scenario: `CLAIM.PART`.
    pub id: String,
    /// How bad it is, capped by the framework's own risk level of the practice.
    pub risk: Risk,
    /// In one line.
    pub title: String,
    /// What was observed, with its bounds.
    pub observed: String,
    /// What was expected.
    pub expected: String,
    /// What it means for the business.
    pub impact: String,
    /// What to do about it, concretely.
    pub remediation: String,
    /// The Well-Architected practice it speaks to.
    pub practice: &'static Practice,
    /// Who owns the drill: whoever sees to it that it is mended, until somebody else takes it.
    pub owner: Option<String>,
    /// By when, as the catalogue proposes it: a date.
    pub due: Option<String>,
    /// The scenario that shows whether it is mended.
    pub retest: String,
    /// Sequence numbers of the journal entries that show it.
    pub entries: Vec<u64>,
}

/// What users call the thing that a claim is about: its service, else its probes, else the claim's id.
pub fn service(plan: &Plan, claim: &str) -> String {
    plan.claims.get(claim).map_or_else(|| claim.to_owned(), |declared| finding::service(claim, declared))
}

/// Judges a run. A pure function: the same plan and facts always give the same score, and a fact that is missing never improves it.
pub fn score(plan: &Plan, facts: &Facts) -> Score {
    score_with(plan, facts, &people::observed(plan, facts))
}

/// The same, with what others saw beside the measurement.
pub fn score_with(plan: &Plan, facts: &Facts, observed: &Observed) -> Score {
    let (judged, system, system_why) = verdict::system(plan, facts);
    let (team, team_why) = team::team(plan, facts);
    let mut findings = if judged && facts.validity.valid { finding::findings(plan, facts) } else { Vec::new() };
    let practices = judge::judge(plan, facts, observed, &findings);
    let of_team: Vec<Finding> = team::findings(plan, facts).into_iter().filter(|_| facts.validity.valid || !judged).collect();
    // What the team's findings say of a practice is not said twice.
    let told = |gap: &Finding| of_team.iter().any(|finding| finding.practice.label == gap.practice.label);
    findings.extend(gap::findings(plan, facts, &practices).into_iter().filter(|gap| !told(gap)));
    findings.extend(of_team);
    findings.sort_by_key(|f| f.risk);
    let exit_code = team::exit_code(verdict::exit_code(facts, judged, system), team, facts);
    Score { judged, system, system_why, team, team_why, findings, practices, exit_code }
}

#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests {
    use super::samples::{Sample, all, facts, plan};
    use super::*;
    use crate::base::{At, Interval, Span};
    use crate::measure::facts::{Ended, Range, SteadyAfter};
    use crate::plan::TestKind;

    fn named(name: &str) -> Sample {
        all().into_iter().find(|s| s.name == name).unwrap()
    }

    fn code(sample: &Sample) -> u8 {
        score(&sample.plan, &sample.facts).exit_code
    }

    #[test]
    fn every_sample_has_its_exit_code() {
        let codes: Vec<(&str, u8)> = all().iter().map(|s| (s.name, code(s))).collect();
        assert_eq!(
            codes,
            [
                ("passed", 0),
                ("failed", 30),
                ("aborted", 40),
                ("not-steady", 20),
                ("not-confirmed", 33),
                ("stuck", 50),
                ("inconclusive", 31),
                ("censored", 30),
                ("no-claims", 0),
                ("unfinished", 40),
                ("team-failed", 32),
                ("laptop", 0),
                ("baseline", 0),
                ("tabletop", 0),
            ]
        );
    }

    #[test]
    fn worse_comes_first() {
        let mut s = named("failed");
        s.facts.validity.valid = false;
        assert_eq!(code(&s), 33, "invalid before failed");
        s.facts.run.outcome = Some(Ended::NotSteady);
        assert_eq!(code(&s), 20);
        s.facts.run.outcome = Some(Ended::Aborted);
        assert_eq!(code(&s), 40);
        s.facts.owed = named("stuck").facts.owed;
        assert_eq!(code(&s), 50);
        s.facts.run.outcome = None;
        assert_eq!(code(&s), 50, "killed, and something is owed");
    }

    #[test]
    fn what_could_not_start_is_told_from_what_was_aborted() {
        let mut s = named("aborted");
        s.facts.run.could_not_start = Some("system/a: failed to find the program `x`".into());
        assert_eq!(code(&s), 11);
        s.facts.owed = named("stuck").facts.owed;
        assert_eq!(code(&s), 50, "what is owed is worse");
        let mut s = named("passed");
        s.facts.run.could_not_start = Some("never mind".into());
        assert_eq!(code(&s), 0, "a run that completed did start");
    }

    #[test]
    fn a_fault_that_is_neither_undone_nor_owed_is_still_an_emergency() {
        for phase in ["injecting", "active", "suspect", "undoing", "undo_failed"] {
            let mut s = named("passed");
            s.facts.episodes["lose-primary"].phase = phase.into();
            assert_eq!(code(&s), 50, "{phase}");
        }
    }

    #[test]
    fn what_is_missing_never_helps() {
        let (plan, facts) = (plan(), facts());
        let whole = score(&plan, &facts);
        assert_eq!(whole.system, Judged::Passed);
        type Change = (&'static str, fn(&mut Facts));
        let changes: [Change; 5] = [
            ("claims", |f| f.claims.clear()),
            ("end", |f| f.run.outcome = None),
            ("steady after", |f| f.steady_after = SteadyAfter::NotReached),
            ("effect", |f| f.episodes["lose-primary"].effective = None),
            ("validity", |f| f.validity.valid = false),
        ];
        for (name, change) in changes {
            let mut less = facts.clone();
            change(&mut less);
            let scored = score(&plan, &less);
            assert_ne!(scored.exit_code, 0, "{name}");
        }
    }

    #[test]
    fn findings_name_the_practice_and_the_way_out() {
        let s = named("failed");
        let scored = score(&s.plan, &s.facts);
        let found: Vec<(&str, Risk, &str)> = scored.findings.iter().map(|f| (f.id.as_str(), f.risk, f.practice.label.as_str())).collect();
        assert_eq!(
            found,
            [
                ("checkout-node-loss.rto", Risk::Hri, "REL11-BP02"),
                ("checkout-node-loss.rpo", Risk::Hri, "REL13-BP02"),
                ("checkout-node-loss.availability", Risk::Mri, "REL11-BP07"),
                ("team.wrong-turn.restarted-api", Risk::Mri, "REL12-BP01"),
            ]
        );
        assert_eq!(scored.findings[0].observed, "recovery took 14.2 – 14.4 s");
        assert!(scored.findings[1].observed.starts_with("37 writes of 1,043"), "{}", scored.findings[1].observed);
        assert!(scored.findings[1].remediation.contains("synchronous"));
        assert_eq!(scored.findings[0].impact, "Orders stop; about 900 a minute at peak.");
        assert_eq!(scored.findings[0].retest, "postgres-primary-loss");
    }

    #[test]
    fn no_evidence_gives_no_finding() {
        let mut s = named("failed");
        s.facts.validity.valid = false;
        assert!(score(&s.plan, &s.facts).findings.is_empty());
    }

    #[test]
    fn a_restart_is_not_a_failover() {
        let mut s = named("passed");
        let claim = &mut s.facts.claims["checkout-node-loss"];
        claim.verdict = Judged::Failed;
        let by = claim.by.as_mut().unwrap();
        by.part.verdict = Judged::Failed;
        by.after = Some("a".into());
        let scored = score(&s.plan, &s.facts);
        assert_eq!(scored.exit_code, 30);
        assert_eq!(scored.findings[0].observed, "a answered before, a after");
    }

    #[test]
    fn never_back_is_another_finding_than_late() {
        let s = named("censored");
        let found = score(&s.plan, &s.facts).findings;
        assert_eq!(found[0].practice.label, "REL11-BP03");
        assert_eq!(found[0].observed, "not back 89.9 s after the fault");
        assert_eq!(found[1].id, "steady-after");
    }

    #[test]
    fn not_steady_after_undo_fails_though_every_claim_passed() {
        let mut s = named("passed");
        s.facts.steady_after = SteadyAfter::Missed("checkout p99 900 ms is above 300 ms".into());
        let scored = score(&s.plan, &s.facts);
        assert_eq!((scored.exit_code, scored.system), (30, Judged::Failed));
        assert!(scored.system_why[0].contains("p99 900 ms"), "{:?}", scored.system_why);
    }

    #[test]
    fn a_sustained_test_allows_no_outage_during_its_fault() {
        let mut s = named("passed");
        s.plan.test = TestKind::Sustained;
        let scored = score(&s.plan, &s.facts);
        assert_eq!(scored.exit_code, 30);
        assert_eq!(scored.findings[0].practice.label, "REL11-BP05");
        let outage = &mut s.facts.probes["checkout"].outages[0];
        outage.onset = Interval::new(At(Span::secs(90).0), At(Span::secs(91).0));
        outage.recovery = Interval::new(At(Span::secs(92).0), At(Span::secs(93).0));
        s.facts.probes["checkout"].phases["lose-primary.during"].response.as_mut().unwrap().p99 = Span::millis(20);
        assert_eq!(code(&s), 0, "an outage long after the fault is not its own");
        let during = |s: &mut Sample, counts: (u64, u64, u64)| {
            let phase = &mut s.facts.probes["checkout"].phases["lose-primary.during"];
            (phase.counts.local, phase.counts.capped, phase.in_doubt) = counts;
        };
        for one in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            during(&mut s, one);
            assert_eq!(code(&s), 31, "one that was lost, not sent or in doubt may have failed: {one:?}");
        }
        during(&mut s, (0, 0, 0));
        s.facts.probes["checkout"].phases.shift_remove("lose-primary.during");
        assert_eq!(code(&s), 31, "not watched is not sustained");
    }

    #[test]
    fn no_claims_says_so() {
        let s = named("no-claims");
        assert!(score(&s.plan, &s.facts).system_why.iter().any(|w| w.contains("no claims were made")));
    }

    #[test]
    fn slow_recovery_shows_where_the_time_went() {
        let mut s = named("failed");
        s.facts.episodes["lose-primary"]
            .times
            .insert("failover_time".into(), Range { lo: Span::millis(14_161), hi: Some(Span::millis(14_314)), point: None });
        let scored = score(&s.plan, &s.facts);
        assert!(scored.findings[0].remediation.contains("14.1 – 14.4 s"), "{}", scored.findings[0].remediation);
    }
}
