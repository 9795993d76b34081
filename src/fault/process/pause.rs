//! Holds processes still: they keep their sockets and answer nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Which;
use crate::base::{Id, Problem, Span};
use crate::fault::system::Recipe;
use crate::fault::{Fault, FaultError, Permit, Prepared, Privilege, Resource, Scene, Seen, shell};
use crate::sys::process::{self, ProcessId, Signal};
use crate::sys::{Cx, clock};

/// Holds processes still.
#[derive(Debug)]
pub struct ProcessPause;

/// Which processes: one of `system`, `target`, `pid_file`, `port`, `name`. Everything below them is held as well.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseSpec {
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
}

impl PauseSpec {
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

/// What is held still.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseUndo {
    /// The processes that ran when the fault was armed.
    pub processes: Vec<ProcessId>,
    /// Those that somebody else had stopped before: they stay so.
    pub stopped_before: Vec<ProcessId>,
    /// The `system:` process they are: finds what was started since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Box<Recipe>>,
}

impl PauseUndo {
    /// Everything that this fault holds or may hold, alive now.
    fn all(&self) -> Vec<ProcessId> {
        let mut all = process::tree(&self.processes);
        let since = self.recipe.iter().flat_map(|recipe| recipe.members()).collect::<Vec<_>>();
        all.extend(since.into_iter().filter(|id| self.processes.iter().all(|known| known != id)));
        let mut unique: Vec<ProcessId> = Vec::with_capacity(all.len());
        for id in all {
            if !self.stopped_before.contains(&id) && !unique.contains(&id) {
                unique.push(id);
            }
        }
        unique
    }
}

fn is_stopped(id: &ProcessId) -> bool {
    process::look(id).is_some_and(|stat| stat.stopped())
}

fn send(id: &ProcessId, signal: Signal) -> Result<bool, FaultError> {
    process::signal(id, signal).map_err(|source| FaultError::Os { doing: format!("signal {}", process::describe(id)), source })
}

impl Fault for ProcessPause {
    const KIND: &'static str = "process.pause";
    const ABOUT: &'static str = "holds processes still: connections stay open and nothing answers";
    const EXAMPLE: &'static str = "process.pause: { system: primary }\nfor: 20s\n";
    const UNDO: &'static str = "the processes go on where they were held";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = true;
    type Spec = PauseSpec;
    type Undo = PauseUndo;

    fn check(&self, spec: &PauseSpec) -> Vec<Problem> {
        spec.which().check()
    }

    fn needs(&self, _: &PauseSpec) -> Vec<Privilege> {
        vec![Privilege::SignalProcess]
    }

    fn claims(&self, spec: &PauseSpec) -> Vec<Resource> {
        spec.which().claims()
    }

    fn by_hand(&self, undo: &PauseUndo) -> String {
        let pids: Vec<String> = undo.processes.iter().map(|id| id.pid.to_string()).collect();
        match &undo.recipe {
            // Some of them may have ended since, which `kill` says and counts as a failure.
            Some(recipe) => format!("kill -s CONT {} $({}) || true # {}", pids.join(" "), shell::marked(&recipe.owner), recipe.id),
            None => format!("kill -s CONT {} || true", pids.join(" ")),
        }
    }

    async fn prepare(&self, spec: &PauseSpec, scene: &Scene<'_>) -> Result<Prepared<PauseUndo>, FaultError> {
        let which = spec.which();
        let found = which.find(scene)?;
        // The first stands for a `system:` process; its children come and go, and a changed target set would end the run.
        let shown = if found.recipe.is_some() { found.processes.get(..1).unwrap_or_default() } else { &found.processes };
        let targets = which.labels(shown);
        let (stopped_before, processes) = process::tree(&found.processes).into_iter().partition::<Vec<_>, _>(is_stopped);
        if processes.is_empty() {
            return Err(FaultError::Target(format!("{}: it is stopped already", which.describe())));
        }
        Ok(Prepared {
            undo: PauseUndo { processes, stopped_before, recipe: found.recipe.map(Box::new) },
            summary: format!("SIGSTOP to {} and everything below", targets.join("; ")),
            targets,
            population: found.population,
            claims: found.claims,
        })
    }

    async fn inject(&self, _: &PauseSpec, undo: &PauseUndo, _: Permit<'_>, _: &Cx) -> Result<(), FaultError> {
        // Parents first, and again until a look finds nothing that runs: what was being started meanwhile is held, too.
        for _ in 0..100 {
            let running: Vec<ProcessId> = undo.all().into_iter().filter(|id| !is_stopped(id)).collect();
            if running.is_empty() {
                return Ok(());
            }
            for id in &running {
                send(id, Signal::STOP)?;
            }
            clock::sleep(Span::millis(2)).await;
        }
        Err(FaultError::Other("hold still what keeps starting processes".to_owned()))
    }

    async fn observe(&self, undo: &PauseUndo, _: &Cx) -> Result<Seen, FaultError> {
        let all = undo.all();
        let running: Vec<String> = all.iter().filter(|id| !is_stopped(id)).map(process::describe).collect();
        Ok(if all.is_empty() {
            Seen::NotBiting("the processes are gone".to_owned())
        } else if running.is_empty() {
            Seen::Biting(format!("stopped: {}", all.iter().map(process::describe).collect::<Vec<_>>().join(", ")))
        } else {
            Seen::NotBiting(format!("still running: {}", running.join(", ")))
        })
    }

    async fn undo(&self, undo: &PauseUndo, _: &Cx) -> Result<(), FaultError> {
        // Children first: a parent that goes on finds them as it left them.
        for id in undo.all().iter().rev() {
            send(id, Signal::CONT)?;
        }
        Ok(())
    }

    async fn verify(&self, undo: &PauseUndo, _: &Cx) -> Result<bool, FaultError> {
        Ok(!undo.all().iter().any(is_stopped))
    }
}
