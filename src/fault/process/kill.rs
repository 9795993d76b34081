//! Ends processes by a signal.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Which;
use crate::base::{Id, Problem, Span};
use crate::fault::system::{Recipe, to_kernel};
use crate::fault::{Fault, FaultError, Permit, Prepared, Privilege, Resource, Scene, Seen, shell};
use crate::plan::Signal;
use crate::sys::process::{self, ProcessId};
use crate::sys::{Cx, clock};

/// Ends processes by a signal.
#[derive(Debug)]
pub struct ProcessKill;

/// Which processes, and how: one of `system`, `target`, `pid_file`, `port`, `name`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KillSpec {
    /// A process of the scenario's own `system:`, with everything it started.
    #[serde(default)]
    pub system: Option<Id>,
    /// A target of the scenario's `targets:`, resolved when the fault is armed.
    #[serde(default)]
    pub target: Option<Id>,
    /// A file that holds a pid.
    #[serde(default)]
    pub pid_file: Option<String>,
    /// Whoever listens on this TCP port.
    #[serde(default)]
    pub port: Option<u16>,
    /// Every process of this name.
    #[serde(default)]
    pub name: Option<String>,
    /// The signal. Default `KILL`.
    #[serde(default = "kill")]
    pub signal: Signal,
}

fn kill() -> Signal {
    Signal::Kill
}

impl KillSpec {
    fn which(&self) -> Which {
        Which {
            system: self.system.clone(),
            target: self.target.clone(),
            pid_file: self.pid_file.clone(),
            port: self.port,
            name: self.name.clone(),
        }
    }
}

/// What was hit and how it comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KillUndo {
    /// The processes that are to end.
    pub processes: Vec<ProcessId>,
    /// A file that exists from just before the first signal on: a process that was asked to end and has not yet is no healthy process.
    pub signalled: PathBuf,
    /// How it comes back.
    pub back: Back,
}

/// How what was ended comes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Back {
    /// Firedrill starts it again.
    Recipe(Box<Recipe>),
    /// The scenario's own undo does; this is how one sees that it did.
    Declared {
        /// What to look for.
        which: Which,
        /// How many there were.
        at_least: usize,
        /// Their name.
        name: String,
    },
}

impl KillUndo {
    fn dying(&self) -> bool {
        self.signalled.exists() && self.processes.iter().any(process::alive)
    }

    fn is_back(&self, cx: &Cx) -> bool {
        match &self.back {
            Back::Recipe(recipe) => recipe.up().is_some(),
            Back::Declared { which, at_least, name } => {
                // A pid file that is missing or empty says that the process is not back.
                let found = which.processes(cx).unwrap_or_default();
                found.iter().filter_map(process::look).filter(|stat| stat.comm == *name).count() >= *at_least
            }
        }
    }
}

impl Fault for ProcessKill {
    const KIND: &'static str = "process.kill";
    const ABOUT: &'static str = "ends processes by a signal";
    const EXAMPLE: &'static str = "process.kill: { system: primary, signal: KILL }\nfor: once\n";
    const UNDO: &'static str = "a `system:` process is started again; any other by the undo that the scenario declares";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = KillSpec;
    type Undo = KillUndo;

    fn check(&self, spec: &KillSpec) -> Vec<Problem> {
        let mut problems = spec.which().check();
        if spec.signal == Signal::Stop {
            problems.push(Problem::new("/signal", "STOP does not end a process").help("use `process.pause`, which undoes itself"));
        }
        problems
    }

    fn needs_declared_undo(&self, spec: &KillSpec) -> bool {
        spec.system.is_none() && spec.target.is_none()
    }

    fn needs(&self, _: &KillSpec) -> Vec<Privilege> {
        vec![Privilege::SignalProcess]
    }

    fn claims(&self, spec: &KillSpec) -> Vec<Resource> {
        spec.which().claims()
    }

    fn by_hand(&self, undo: &KillUndo) -> String {
        match &undo.back {
            Back::Recipe(recipe) => recipe.start_by_hand(),
            Back::Declared { which, name, .. } => {
                let pids: Vec<String> = undo.processes.iter().map(|id| id.pid.to_string()).collect();
                let text =
                    format!("start {name} again ({}; it was pid {}), as the scenario's `undo:` says", which.describe(), pids.join(", "));
                format!("echo {}", shell::quote(&text.replace('\n', " ")))
            }
        }
    }

    async fn prepare(&self, spec: &KillSpec, scene: &Scene<'_>) -> Result<Prepared<KillUndo>, FaultError> {
        let which = spec.which();
        let found = which.find(scene)?;
        // The leader stands for a `system:` process; its children come and go, and a changed target set would end the run.
        let shown = if found.recipe.is_some() { found.processes.get(..1).unwrap_or_default() } else { &found.processes };
        let targets = which.labels(shown);
        let first = found.processes.first();
        let signalled = first.map(|id| format!("kill-{}-{}.signalled", id.pid, id.start_time)).unwrap_or_default();
        let name = first.and_then(process::look).map(|stat| stat.comm).unwrap_or_default();
        let back = match found.recipe {
            Some(recipe) => Back::Recipe(Box::new(recipe)),
            None => Back::Declared { which, at_least: found.processes.len(), name },
        };
        Ok(Prepared {
            summary: format!("SIG{} to {}", spec.signal.name(), targets.join("; ")),
            undo: KillUndo { processes: found.processes, signalled: scene.cx.run_dir.join(signalled), back },
            targets,
            population: found.population,
            claims: found.claims,
        })
    }

    async fn inject(&self, spec: &KillSpec, undo: &KillUndo, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
        std::fs::write(&undo.signalled, b"")
            .map_err(|source| FaultError::Os { doing: format!("write {}", undo.signalled.display()), source })?;
        let send = |id: &ProcessId| {
            process::signal(id, to_kernel(spec.signal))
                .map_err(|source| FaultError::Os { doing: format!("signal {}", process::describe(id)), source })
        };
        let mut hit = 0;
        for id in &undo.processes {
            hit += usize::from(send(id)?);
        }
        if hit == 0 {
            return Err(FaultError::Target("every process had ended before it was signalled".to_owned()));
        }
        // What a `system:` process started between the look and the signal dies with it.
        if let (Back::Recipe(recipe), Signal::Kill) = (&undo.back, spec.signal) {
            for _ in 0..50 {
                let left = recipe.members();
                if left.is_empty() {
                    break;
                }
                for id in &left {
                    send(id)?;
                }
                clock::sleep(Span::millis(5)).await;
            }
        }
        Ok(())
    }

    async fn observe(&self, undo: &KillUndo, _: &Cx) -> Result<Seen, FaultError> {
        let list = |ids: Vec<&ProcessId>| ids.iter().map(|id| id.pid.to_string()).collect::<Vec<_>>().join(", ");
        let left: Vec<&ProcessId> = undo.processes.iter().filter(|id| process::alive(id)).collect();
        Ok(if left.is_empty() {
            Seen::Biting(format!("gone: pid {}", list(undo.processes.iter().collect())))
        } else {
            Seen::NotBiting(format!("still there: pid {}", list(left)))
        })
    }

    async fn undo(&self, undo: &KillUndo, cx: &Cx) -> Result<(), FaultError> {
        if self.verify(undo, cx).await? {
            return Ok(());
        }
        match &undo.back {
            Back::Recipe(recipe) => recipe.start(cx).await.map(drop),
            Back::Declared { name, .. } => Err(FaultError::Other(format!("start {name} again: only the scenario's own undo knows how"))),
        }
    }

    async fn verify(&self, undo: &KillUndo, cx: &Cx) -> Result<bool, FaultError> {
        Ok(!undo.dying() && undo.is_back(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_is_not_killing() {
        let spec: KillSpec = serde_json::from_str(r#"{"system":"a","signal":"STOP"}"#).unwrap();
        assert_eq!(ProcessKill.check(&spec)[0].at, "/signal");
        let spec: KillSpec = serde_json::from_str(r#"{"port":1}"#).unwrap();
        assert_eq!(spec.signal, Signal::Kill);
        assert!(ProcessKill.needs_declared_undo(&spec));
    }
}
