//! Every fault kind, once. Help, schema, documentation and tests derive from this list.

use super::ErasedFault;
#[cfg(feature = "aws")]
use super::aws::{FisExperiment, SsmCommand};
use super::command::Command;
use super::disk::DiskFill;
use super::host::OnHost;
use super::network::{NetworkBlackhole, NetworkLoss, NetworkPartition, NetworkReject};
use super::process::{ProcessKill, ProcessPause};
use super::proxy::{ProxyBlackhole, ProxyLatency, ProxyReset, SystemProxy};
use super::rehearse::RehearseNothing;
use super::resource::{ResourceCpu, ResourceMemory};
use super::system::SystemProcess;

/// Every kind that a scenario may name.
pub const KINDS: &[&dyn ErasedFault] = &[
    &ProcessKill,
    &ProcessPause,
    &ProxyLatency,
    &ProxyReset,
    &ProxyBlackhole,
    &NetworkPartition::new(),
    &NetworkBlackhole::new(),
    &NetworkLoss::new(),
    &NetworkReject::new(),
    &DiskFill,
    &ResourceCpu,
    &ResourceMemory,
    &Command,
    #[cfg(feature = "aws")]
    &FisExperiment,
    #[cfg(feature = "aws")]
    &SsmCommand,
    &RehearseNothing,
];

/// The kinds that this build was made without, each with the feature that brings it.
pub const LEFT_OUT: &[(&str, &str)] = &[
    #[cfg(not(feature = "aws"))]
    ("aws.fis.experiment", "aws"),
    #[cfg(not(feature = "aws"))]
    ("aws.ssm.command", "aws"),
];

/// Firedrill's own: what a scenario's `system:`, `proxies:` and `on:` become in the journal.
const OWN: &[&dyn ErasedFault] = &[&SystemProcess, &SystemProxy, &OnHost];

/// Why a kind that a journal names is not here, and what to do: a build with fewer features may find what another one owes.
pub fn why_unknown(kind: &str) -> String {
    match LEFT_OUT.iter().find(|(name, _)| *name == kind) {
        Some((_, feature)) => {
            format!("this build of firedrill was made without {kind} (help: undo it with one that has the feature `{feature}`, or by hand)")
        }
        None => format!("no fault kind is called {kind} (help: a later version of firedrill may know it)"),
    }
}

/// The kind of that name, among those of scenarios and firedrill's own (`system.process`, `system.proxy`).
pub fn by_kind(kind: &str) -> Option<&'static dyn ErasedFault> {
    KINDS.iter().chain(OWN).copied().find(|fault| fault.kind() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let mut names: Vec<&str> = KINDS.iter().chain(OWN).map(|fault| fault.kind()).collect();
        let all = names.len();
        assert!(names.iter().all(|name| by_kind(name).is_some_and(|fault| fault.kind() == *name)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(by_kind("process.tickle").is_none());
    }
}
