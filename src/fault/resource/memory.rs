//! Takes memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LoadUndo;
use crate::base::{Bytes, Problem, Span};
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen};
use crate::sys::process::ProcessId;
use crate::sys::{Cx, clock};

/// Takes memory.
#[derive(Debug)]
pub struct ResourceMemory;

/// How much.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemorySpec {
    /// How much is taken and really used. What would leave the host less than 5% of its memory is refused.
    pub size: Bytes,
}

/// How long taking it may last; less than a step of a fault may.
const FILL_LIMIT: Span = Span::secs(25);

/// A number of `/proc/meminfo` or `/proc/PID/status`, which count in KiB, in bytes.
fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0).saturating_mul(1024)
}

/// How much the worker holds, and which process it is; what was swapped out is taken all the same.
fn held(undo: &LoadUndo) -> Option<(u64, ProcessId)> {
    let worker = undo.worker()?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.pid)).ok()?;
    Some((kib(&status, "VmRSS").saturating_add(kib(&status, "VmSwap")), worker))
}

/// What has to be left, so that the kernel does not begin to end processes.
fn reserve(total: u64) -> u64 {
    total / 20
}

fn refuse_too_much(size: Bytes, meminfo: &str) -> Result<(), FaultError> {
    let (total, available) = (kib(meminfo, "MemTotal"), kib(meminfo, "MemAvailable"));
    let most = available.saturating_sub(reserve(total));
    if size.0 <= most {
        return Ok(());
    }
    let mib = |bytes: u64| Bytes(bytes >> 20 << 20);
    Err(FaultError::Target(format!(
        "{size} of memory: {} are available and {} must be left, or the kernel ends processes; at most {} can be asked for",
        mib(available),
        mib(reserve(total)),
        mib(most)
    )))
}

impl Fault for ResourceMemory {
    const KIND: &'static str = "resource.memory";
    const ABOUT: &'static str = "takes memory and keeps it in use";
    const EXAMPLE: &'static str = "resource.memory: { size: 512MiB }\nfor: 30s\n";
    const UNDO: &'static str = "the worker is ended; it also ends by itself when the runner dies";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = MemorySpec;
    type Undo = LoadUndo;

    fn check(&self, spec: &MemorySpec) -> Vec<Problem> {
        if spec.size.0 == 0 {
            return vec![Problem::new("/size", "nothing would be taken").help("for example `512MiB`")];
        }
        Vec::new()
    }

    fn claims(&self, _: &MemorySpec) -> Vec<Resource> {
        vec![Resource::Memory]
    }

    fn by_hand(&self, undo: &LoadUndo) -> String {
        undo.by_hand()
    }

    async fn prepare(&self, spec: &MemorySpec, scene: &Scene<'_>) -> Result<Prepared<LoadUndo>, FaultError> {
        let meminfo =
            std::fs::read_to_string("/proc/meminfo").map_err(|source| FaultError::Os { doing: "read /proc/meminfo".to_owned(), source })?;
        refuse_too_much(spec.size, &meminfo)?;
        Ok(Prepared {
            undo: LoadUndo::new("memory", spec.size.0, scene.cx),
            targets: vec!["the memory of this host".to_owned()],
            summary: format!("{} of memory taken and used", spec.size),
            population: Some(1),
            claims: self.claims(spec),
        })
    }

    async fn inject(&self, spec: &MemorySpec, undo: &LoadUndo, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        undo.start(&["memory".to_owned(), spec.size.to_string()], cx).await?;
        // Making much memory real takes seconds, which are not to be counted as time without effect.
        let start = clock::mono_ns();
        while let Some((held, _)) = held(undo)
            && held < undo.amount
        {
            if cx.cancel.is_cancelled() || clock::mono_ns().saturating_sub(start) > FILL_LIMIT.0 {
                return Err(FaultError::Other(format!("take more than {} of {}", Bytes(held), spec.size)));
            }
            clock::sleep(Span::millis(5)).await;
        }
        Ok(())
    }

    async fn observe(&self, undo: &LoadUndo, _: &Cx) -> Result<Seen, FaultError> {
        let Some((held, worker)) = held(undo) else { return Ok(Seen::NotBiting("no worker runs".to_owned())) };
        let seen = format!("{worker} holds {} of {}", Bytes(held), Bytes(undo.amount));
        Ok(if held >= undo.amount { Seen::Biting(seen) } else { Seen::NotBiting(seen) })
    }

    async fn undo(&self, undo: &LoadUndo, _: &Cx) -> Result<(), FaultError> {
        undo.stop().await
    }

    async fn verify(&self, undo: &LoadUndo, _: &Cx) -> Result<bool, FaultError> {
        Ok(undo.members().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       1024000 kB\nMemFree:          10000 kB\nMemAvailable:    512000 kB\n";

    #[test]
    fn what_would_leave_too_little_is_refused() {
        // 512000 KiB are available, a twentieth of 1024000 KiB must be left.
        assert!(refuse_too_much(Bytes(460_800 * 1024), MEMINFO).is_ok());
        let error = refuse_too_much(Bytes(460_801 * 1024), MEMINFO).unwrap_err().to_string();
        assert!(error.contains("500MiB are available and 50MiB must be left") && error.contains("at most 450MiB"), "{error}");
        assert!(refuse_too_much(Bytes(1), "").is_err(), "nothing known is nothing available");
    }

    #[test]
    fn numbers_are_found_by_their_whole_name() {
        assert_eq!(kib(MEMINFO, "MemTotal"), 1_024_000 * 1024);
        assert_eq!(kib(MEMINFO, "Mem"), 0);
    }
}
