//! What kinds there are, as the language front end takes them.

use std::sync::LazyLock;

use crate::fault::{self, ErasedFault};
use crate::probe::{self, ErasedProbe};
use crate::scenario::known::{Known, KnownKind, Schemas};

/// Every fault and probe kind of this binary.
pub fn known() -> &'static Known {
    static KNOWN: LazyLock<Known> = LazyLock::new(|| Known {
        faults: fault::KINDS.iter().map(|kind| of_fault(*kind)).collect(),
        probes: probe::KINDS.iter().map(|kind| of_probe(*kind)).collect(),
        left_out: probe::LEFT_OUT.iter().chain(fault::LEFT_OUT).copied().collect(),
        // A test holds it equal to what `json_schema` makes of all kinds; a build without some makes its own.
        schemas: match (probe::LEFT_OUT, fault::LEFT_OUT) {
            ([], []) => Schemas::shipped(include_str!("../../scenarios/scenario.schema.json")),
            _ => Schemas::default(),
        },
    });
    &KNOWN
}

fn of_fault(kind: &'static dyn ErasedFault) -> KnownKind {
    KnownKind {
        name: kind.kind().into(),
        about: kind.about().into(),
        schema: LazyLock::new(Box::new(move || kind.schema().to_value())),
        check: Box::new(|spec| kind.check(spec)),
        needs_declared_undo: Box::new(|spec| kind.needs_declared_undo(spec)),
        reads_back: kind.reads_back(),
        confirm: kind.confirm(),
        in_account: kind.in_account(),
        elsewhere: kind.elsewhere(),
        fields: Vec::new(),
        ledger: false,
        cleans_up: Box::new(|_| false),
    }
}

fn of_probe(kind: &'static dyn ErasedProbe) -> KnownKind {
    KnownKind {
        name: kind.kind().into(),
        about: kind.about().into(),
        schema: LazyLock::new(Box::new(move || kind.schema().to_value())),
        check: Box::new(|spec| kind.check(spec)),
        needs_declared_undo: Box::new(|_| false),
        reads_back: true,
        confirm: Default::default(),
        in_account: kind.in_account(),
        elsewhere: false,
        fields: kind.fields().iter().map(|(name, _)| (*name).to_owned()).collect(),
        ledger: kind.ledger(),
        cleans_up: Box::new(|spec| kind.cleans_up(spec)),
    }
}
