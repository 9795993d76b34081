//! Bytes to a checked policy, or every problem of the file.

use std::sync::LazyLock;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::check;
use super::model::Policy;
use super::when::Calendar;
use crate::base::{Digest, digest_of};
use crate::scenario::node::Node;
use crate::scenario::schema::FileSchema;
use crate::scenario::{Diagnostic, Documents, Finding, Known, plain_schema, read_alone, version};

/// Knows time zones by their IANA names.
pub type Zones<'a> = dyn Fn(&str) -> Option<TimeZone> + 'a;

/// A policy that was read and checked.
#[derive(Debug, Clone)]
pub struct Ruled {
    /// What it says.
    pub policy: Policy,
    /// Its windows and freezes, with their time zones.
    pub calendar: Calendar,
    /// Where it says what.
    pub documents: Documents,
    /// Digest of its text.
    pub digest: Digest,
    /// How the file is called for people.
    pub label: String,
}

/// The JSON Schema (draft 2020-12) of a policy.
pub fn json_schema() -> Value {
    let names = [
        ("Policy", "a policy"),
        ("Window", "a window"),
        ("Freeze", "a freeze"),
        ("Rule", "a rule"),
        ("Globs", "a list of names"),
        ("MaxTargets", "a limit of targets"),
        ("Approvals", "approvals"),
    ];
    plain_schema::<Policy>("Firedrill policy", "policy", &names)
}

/// Reads a policy.
///
/// # Errors
/// Every problem that can be found, sorted by place.
pub fn read(bytes: &[u8], label: &str, known: &Known, zones: &Zones<'_>) -> Result<Ruled, Vec<Diagnostic>> {
    static SCHEMA: LazyLock<FileSchema> = LazyLock::new(|| FileSchema::made(json_schema()));
    let (value, documents) = read_alone(bytes, label, "policy: 1", &recognise, &SCHEMA)?;
    let policy: Policy = match serde_json::from_value(value) {
        Ok(policy) => policy,
        Err(error) => return Err(documents.diagnose(vec![Finding::error("", error.to_string(), "cannot be read")])),
    };
    let mut findings = check::check(&policy, known);
    let calendar = Calendar::of(&policy, zones, &mut findings);
    if !findings.is_empty() {
        return Err(documents.diagnose(findings));
    }
    Ok(Ruled { policy, calendar, documents, digest: digest_of(bytes), label: label.to_owned() })
}

fn recognise(root: &Node) -> (Option<Finding>, bool) {
    if let Some(node) = root.get("policy").filter(|_| root.get("firedrill").is_none()) {
        return version(node, "policy", "policies");
    }
    let other = ["firedrill", "workload", "gameday"].iter().find(|key| root.get(key).is_some());
    let (title, go_on) = match other {
        Some(_) => ("this is another sort of file, not a policy", false),
        None => ("this file does not say that it is a policy", true),
    };
    (Some(Finding::error("", title, "has no `policy:`").on_key().help("a policy begins with `policy: 1`")), go_on)
}
