//! Every fault kind, once. Help, schema, documentation and tests derive from this list.

use super::ErasedFault;

/// Every kind that a scenario may name.
pub const KINDS: &[&dyn ErasedFault] = &[];

/// The kind of that name, among those of scenarios and firedrill's own (`system.process`, `system.proxy`).
pub fn by_kind(kind: &str) -> Option<&'static dyn ErasedFault> {
    KINDS.iter().copied().find(|fault| fault.kind() == kind)
}
