//! Which kinds there are, told to the front end as values: it never sees a fault or a probe itself.

use std::fmt;
use std::sync::{LazyLock, OnceLock};

use serde_json::Value;

use super::defaults;
use super::schema::FileSchema;
use crate::base::{Problem, Span};

/// Says what is wrong with a spec that has the right shape.
pub type CheckSpec = Box<dyn Fn(&Value) -> Vec<Problem> + Send + Sync>;
/// Answers a question about a spec.
pub type AskSpec = Box<dyn Fn(&Value) -> bool + Send + Sync>;

/// Makes the JSON Schema of a spec, when somebody asks.
pub type MakeSchema = Box<dyn FnOnce() -> Value + Send>;

/// Every kind that a scenario may name.
#[derive(Debug, Default)]
pub struct Known {
    /// What can be broken.
    pub faults: Vec<KnownKind>,
    /// What can be observed.
    pub probes: Vec<KnownKind>,
    /// Probe and fault kinds that this build was made without, each with the feature that brings it.
    pub left_out: Vec<(&'static str, &'static str)>,
    /// The schemas that follow from these.
    pub schemas: Schemas,
}

/// Schemas of files, made once when they are first asked for: a hundred scenarios are checked against the same one.
#[derive(Debug, Default)]
pub struct Schemas {
    /// Of a scenario, as text, where these kinds are those of a published schema: parsing what is needed of it costs far less than making it.
    pub(super) shipped: Option<&'static str>,
    /// Of a scenario.
    pub(super) scenario: OnceLock<FileSchema>,
    /// Of a workload.
    pub(super) workload: OnceLock<FileSchema>,
}

impl Schemas {
    /// Those of kinds whose scenario schema is published: that text is used, and must be what `json_schema` makes of them.
    pub fn shipped(scenario: &'static str) -> Schemas {
        Schemas { shipped: Some(scenario), ..Schemas::default() }
    }
}

/// One kind, as far as the language needs to know it.
pub struct KnownKind {
    /// Its key in a scenario: `process.kill`.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// JSON Schema of its spec.
    pub schema: LazyLock<Value, MakeSchema>,
    /// What is wrong with a spec of the right shape; pointers are relative to the spec.
    pub check: CheckSpec,
    /// Whether this spec has no undo of its own, so that the scenario must declare one. False for probes.
    pub needs_declared_undo: AskSpec,
    /// Whether a fault of this kind can see by itself that it bites. True for probes.
    pub reads_back: bool,
    /// How often, and for how long, its own read-back is asked whether it bites. Of no meaning for probes.
    pub confirm: (Span, Span),
    /// Whether it acts in the AWS account that the scenario names under `aws:`.
    pub in_account: bool,
    /// Whether it can act on another machine (`on:`). False for probes.
    pub elsewhere: bool,
    /// Observable fields that a probe kind offers to `expect`. Empty for faults.
    pub fields: Vec<String>,
    /// Numbered writes that are read back after recovery.
    pub ledger: bool,
    /// Whether what is written so is removed at the end. False for everything else.
    pub cleans_up: AskSpec,
}

impl fmt::Debug for KnownKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownKind")
            .field("name", &self.name)
            .field("reads_back", &self.reads_back)
            .field("fields", &self.fields)
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl KnownKind {
    /// A kind whose schema says everything: no check of its own, an undo of its own, a read-back, no fields, no ledger.
    pub fn plain(name: impl Into<String>, about: impl Into<String>, schema: Value) -> KnownKind {
        KnownKind {
            name: name.into(),
            about: about.into(),
            schema: LazyLock::new(Box::new(move || schema)),
            check: Box::new(|_| Vec::new()),
            needs_declared_undo: Box::new(|_| false),
            reads_back: true,
            confirm: (defaults::CONFIRM_EVERY, defaults::CONFIRM_WITHIN),
            in_account: false,
            elsewhere: false,
            fields: Vec::new(),
            ledger: false,
            cleans_up: Box::new(|_| false),
        }
    }
}

impl Known {
    /// The fault kind of that name.
    pub fn fault(&self, name: &str) -> Option<&KnownKind> {
        self.faults.iter().find(|kind| kind.name == name)
    }

    /// The probe kind of that name.
    pub fn probe(&self, name: &str) -> Option<&KnownKind> {
        self.probes.iter().find(|kind| kind.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_name_may_be_a_fault_and_a_probe() {
        let known = Known {
            faults: vec![KnownKind::plain("command", "runs a command", json!({}))],
            probes: vec![KnownKind { ledger: true, ..KnownKind::plain("command", "asks a command", json!({})) }],
            left_out: Vec::new(),
            schemas: Default::default(),
        };
        assert!(!known.fault("command").unwrap().ledger);
        assert!(known.probe("command").unwrap().ledger);
        assert!(known.fault("http").is_none());
    }
}
