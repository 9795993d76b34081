//! What a policy said when a run was allowed: a record, kept with the plan.

use serde::{Deserialize, Serialize};

use crate::base::Digest;

/// What was applied, and who had agreed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Digest over every policy that applied.
    pub digest: Digest,
    /// The files.
    pub files: Vec<String>,
    /// When it was decided, RFC 3339.
    pub decided_at: String,
    /// Every demand that applied; all of them held.
    pub rules: Vec<RuleRecord>,
    /// Approvals that counted.
    pub approvals: Vec<ApprovalRecord>,
}

/// A demand of a policy that held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRecord {
    /// What it is called: `production.max_hold`.
    pub rule: String,
    /// What it asks.
    pub asks: String,
    /// Where it is written: `firedrill.policy.yaml:12`.
    pub at: String,
}

/// An approval that counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Who, by their own word.
    pub who: String,
    /// The account it was written under.
    pub account: String,
    /// When, RFC 3339.
    pub at: String,
    /// To what.
    pub digest: Digest,
}
