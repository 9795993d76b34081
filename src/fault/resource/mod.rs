//! Faults of what the machine has to give: processor time and memory, taken by a worker process of firedrill's own. The worker carries the
//! fault's mark, ends by itself when the process that started it dies, and is ended by whoever finds the mark. This room must never know
//! who goes short.

mod cpu;
mod memory;
mod worker;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use cpu::ResourceCpu;
pub use memory::ResourceMemory;
pub use worker::load_main;

use super::{FaultError, shell};
use crate::base::Span;
use crate::sys::exec::{self, Detached, Exec};
use crate::sys::process::{self, ProcessId, Signal};
use crate::sys::{Cx, clock, title};

/// How long a worker may take to start.
const START_LIMIT: Span = Span::secs(5);

/// Enough to find the worker in a fresh process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadUndo {
    /// The mark that the worker carries.
    pub owner: String,
    /// Where it wrote down who it is.
    pub record: PathBuf,
    /// How much it takes: threads, or bytes.
    pub amount: u64,
}

impl LoadUndo {
    /// A worker's mark and record, never used twice.
    fn new(what: &str, amount: u64, cx: &Cx) -> LoadUndo {
        let token = format!("{what}-{}", clock::mono_ns());
        LoadUndo { owner: format!("{}/fault/{token}", cx.run), record: cx.run_dir.join("load").join(format!("{token}.json")), amount }
    }

    fn members(&self) -> Vec<ProcessId> {
        exec::members(&self.owner, &self.record)
    }

    fn worker(&self) -> Option<ProcessId> {
        exec::recorded(&self.record).filter(process::alive)
    }

    fn by_hand(&self) -> String {
        shell::stop(&self.owner, &self.record, "KILL", 1)
    }

    /// Starts the worker: the hidden verb `__load`.
    async fn start(&self, words: &[String], cx: &Cx) -> Result<(), FaultError> {
        let us = process::find(std::process::id()).ok_or_else(|| FaultError::Other("find this very process in /proc".to_owned()))?;
        let us = serde_json::to_string(&us).map_err(|error| FaultError::Other(format!("write down this very process: {error}")))?;
        let argv = vec![cx.exe.display().to_string(), "__load".to_owned()];
        let arguments: Vec<String> = std::iter::once(us).chain(words.iter().cloned()).collect();
        // What it takes is read by its owner alone.
        let env = title::packed(&arguments).map(|packed| (title::HELPER.to_owned(), packed)).into_iter().collect();
        let exec = Exec { argv, env, limit: START_LIMIT, owner: Some(self.owner.clone()), ..Exec::default() };
        exec::spawn_system(Detached { exec, log: self.record.with_extension("log"), record: self.record.clone() }, cx).await?;
        Ok(())
    }

    async fn stop(&self) -> Result<(), FaultError> {
        Ok(exec::stop_marked(&self.owner, &self.record, Signal::KILL, Span::ZERO).await?)
    }
}
