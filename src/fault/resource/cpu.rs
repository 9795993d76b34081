//! Takes processor time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LoadUndo;
use crate::base::{Percent, Problem};
use crate::fault::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen};
use crate::sys::Cx;
use crate::sys::process::ProcessId;

/// Takes processor time.
#[derive(Debug)]
pub struct ResourceCpu;

/// How much.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuSpec {
    /// How many threads compute: a number, or `all` for one each processor. Default `all`.
    #[serde(default)]
    pub workers: Workers,
    /// The share of its time that each of them computes; what is left is for the prober as well.
    pub load: Percent,
}

/// How many threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Workers {
    /// One each processor.
    All(AllWord),
    /// So many.
    Count(u16),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AllWord {
    /// One each processor.
    All,
}

impl Default for Workers {
    fn default() -> Workers {
        Workers::All(AllWord::All)
    }
}

/// More threads than this only cost memory.
const MOST: u16 = 256;

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Processor time that a process has used, in clock ticks.
fn used(id: &ProcessId) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.pid)).unwrap_or_default();
    // The name stands in parentheses and may hold spaces; user and system time are the twelfth and thirteenth field after it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

impl Fault for ResourceCpu {
    const KIND: &'static str = "resource.cpu";
    const ABOUT: &'static str = "takes processor time, by threads that compute for a share of their time";
    const EXAMPLE: &'static str = "resource.cpu: { workers: all, load: 80% }\nfor: 30s\n";
    const UNDO: &'static str = "the worker is ended; it also ends by itself when the runner dies";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = CpuSpec;
    type Undo = LoadUndo;

    fn check(&self, spec: &CpuSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Workers::Count(count) = spec.workers
            && !(1..=MOST).contains(&count)
        {
            problems.push(Problem::new("/workers", format!("{count} is no number of workers")).help(format!("1 to {MOST}, or `all`")));
        }
        if spec.load.fraction() <= 0.0 {
            problems.push(Problem::new("/load", "0% is no load").help("for example `80%`"));
        }
        problems
    }

    fn claims(&self, _: &CpuSpec) -> Vec<Resource> {
        vec![Resource::Processors]
    }

    fn by_hand(&self, undo: &LoadUndo) -> String {
        undo.by_hand()
    }

    async fn prepare(&self, spec: &CpuSpec, scene: &Scene<'_>) -> Result<Prepared<LoadUndo>, FaultError> {
        let all = processors();
        let threads = match spec.workers {
            Workers::Count(count) => usize::from(count),
            Workers::All(AllWord::All) => all,
        };
        let hit = threads.min(all);
        Ok(Prepared {
            undo: LoadUndo::new("cpu", threads as u64, scene.cx),
            targets: (1..=hit).map(|n| format!("any processor ({n} of {all})")).collect(),
            summary: format!("{threads} computing {}, {} of the time", if threads == 1 { "thread" } else { "threads" }, spec.load),
            population: Some(all),
            claims: self.claims(spec),
        })
    }

    async fn inject(&self, spec: &CpuSpec, undo: &LoadUndo, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        undo.start(&["cpu".to_owned(), undo.amount.to_string(), spec.load.to_string()], cx).await
    }

    async fn observe(&self, undo: &LoadUndo, _: &Cx) -> Result<Seen, FaultError> {
        let Some(worker) = undo.worker() else { return Ok(Seen::NotBiting("no worker runs".to_owned())) };
        let tasks = std::fs::read_dir(format!("/proc/{}/task", worker.pid)).map_or(0, Iterator::count) as u64;
        // One more thread only waits for the runner's end.
        let threads = tasks.saturating_sub(1);
        Ok(match used(&worker) {
            ticks @ 1.. if threads >= undo.amount => {
                Seen::Biting(format!("{threads} threads compute in {worker}, {ticks} clock ticks so far"))
            }
            ticks => Seen::NotBiting(format!("{threads} threads of {} compute in {worker}, {ticks} clock ticks so far", undo.amount)),
        })
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
    use crate::sys::process;

    #[test]
    fn a_load_is_some_share_of_some_threads() {
        let check = |text: &str| {
            let spec: CpuSpec = serde_json::from_str(text).unwrap();
            ResourceCpu.check(&spec).into_iter().map(|problem| problem.at).collect::<Vec<_>>()
        };
        assert!(check(r#"{"load":"80%"}"#).is_empty());
        assert!(check(r#"{"load":"100%","workers":"all"}"#).is_empty());
        assert_eq!(check(r#"{"load":"0%","workers":0}"#), ["/workers", "/load"]);
        assert_eq!(check(r#"{"load":"1%","workers":257}"#), ["/workers"]);
        assert!(serde_json::from_str::<CpuSpec>(r#"{"load":"80%","workers":"some"}"#).is_err());
    }

    #[test]
    fn the_time_that_a_process_has_used_is_read() {
        let us = process::find(std::process::id()).unwrap();
        let before = used(&us);
        let mut n = 0_u64;
        while used(&us) == before {
            n = std::hint::black_box(n + 1);
        }
        assert!(used(&us) > before);
    }
}
