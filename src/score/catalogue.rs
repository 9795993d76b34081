//! The part of the AWS Well-Architected Framework that findings of this version speak to. Keyed by choice id, which is stable; practice
//! numbers are labels that AWS renumbers. Titles are paraphrased.

use serde::Serialize;

use super::Risk;

/// The publication of the framework that labels are taken from.
pub const FRAMEWORK_PUBLICATION: &str = "2024-11-06";

/// A best practice of the framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Practice {
    /// Choice id of the Well-Architected Tool: the stable key.
    pub choice: &'static str,
    /// Its number in this publication.
    pub label: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// Question id of the Well-Architected Tool.
    pub question: &'static str,
    /// The question's number.
    pub question_label: &'static str,
    /// What the question is about.
    pub question_title: &'static str,
    /// The worst that may be said where it is missing: the framework's own risk level.
    pub cap: Risk,
}

impl Practice {
    /// A risk, no worse than the framework's own level allows.
    pub fn capped(&self, risk: Risk) -> Risk {
        risk.max(self.cap)
    }
}

macro_rules! practice {
    ($name:ident, $about:literal, $choice:literal, $label:literal, $title:literal, $question:ident, $cap:ident) => {
        #[doc = $about]
        pub const $name: Practice = Practice {
            choice: $choice,
            label: $label,
            title: $title,
            question: $question.0,
            question_label: $question.1,
            question_title: $question.2,
            cap: Risk::$cap,
        };
    };
}

type Question = (&'static str, &'static str, &'static str);
const REL04: Question = ("prevent-interaction-failure", "REL 4", "Distributed interactions: preventing failure");
const REL05: Question = ("mitigate-interaction-failure", "REL 5", "Distributed interactions: surviving failure");
const REL10: Question = ("fault-isolation", "REL 10", "Isolating faults");
const REL11: Question = ("withstand-component-failures", "REL 11", "Withstanding component failure");
const REL13: Question = ("planning-for-recovery", "REL 13", "Planning disaster recovery");

practice!(
    IDEMPOTENT,
    "Writes that may be repeated.",
    "rel_prevent_interaction_failure_idempotent",
    "REL04-BP04",
    "Mutating calls can be repeated safely",
    REL04,
    Mri
);
practice!(
    DEGRADATION,
    "Graceful degradation.",
    "rel_mitigate_interaction_failure_graceful_degradation",
    "REL05-BP01",
    "Degrade gracefully when a dependency is gone",
    REL05,
    Hri
);
practice!(
    FAIL_FAST,
    "Failing fast.",
    "rel_mitigate_interaction_failure_fail_fast",
    "REL05-BP04",
    "Fail fast, keep queues short",
    REL05,
    Hri
);
practice!(BULKHEAD, "Bulkheads.", "rel_fault_isolation_use_bulkhead", "REL10-BP03", "Bulkheads limit the blast radius", REL10, Hri);
practice!(
    FAIL_OVER,
    "Failing over to healthy resources.",
    "rel_withstand_component_failures_failover2good",
    "REL11-BP02",
    "Traffic fails over to healthy resources",
    REL11,
    Hri
);
practice!(
    AUTO_HEAL,
    "Automatic healing.",
    "rel_withstand_component_failures_auto_healing_system",
    "REL11-BP03",
    "Healing is automatic on every layer",
    REL11,
    Hri
);
practice!(
    STATIC_STABILITY,
    "Static stability.",
    "rel_withstand_component_failures_static_stability",
    "REL11-BP05",
    "Static stability, no second mode under failure",
    REL11,
    Mri
);
practice!(
    AVAILABILITY,
    "Promised availability.",
    "rel_withstand_component_failures_service_level_agreements",
    "REL11-BP07",
    "Built for the promised availability",
    REL11,
    Mri
);
practice!(
    DISASTER_RECOVERY,
    "A recovery strategy that meets its objectives.",
    "rel_planning_for_recovery_disaster_recovery",
    "REL13-BP02",
    "A recovery strategy that meets the objectives is in place",
    REL13,
    Hri
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_practice_is_at_most_a_medium_risk() {
        assert_eq!(AVAILABILITY.capped(Risk::Hri), Risk::Mri);
        assert_eq!(FAIL_OVER.capped(Risk::Hri), Risk::Hri);
        assert_eq!(FAIL_OVER.capped(Risk::Mri), Risk::Mri);
    }
}
