//! Faults of processes: ended or held still. One way to say which processes are meant, for all of them. This room must never know why a
//! process matters.

mod kill;
mod pause;

pub use kill::ProcessKill;
pub use pause::ProcessPause;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::system::Recipe;
use super::{FaultError, Resource, Scene};
use crate::base::{Id, Problem};
use crate::journal::Registry;
use crate::sys::Cx;
use crate::sys::process::{self, OWNER, ProcessId};

/// Which processes are meant: exactly one of the keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// A process of the scenario's own `system:`, with everything it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Id>,
    /// A target of the scenario's `targets:`, resolved when the fault is armed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Id>,
    /// A file that holds a pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<String>,
    /// Whoever listens on this TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Every process of this name: as `ps -o comm` shows it, or the file name of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The processes themselves.
    pub processes: Vec<ProcessId>,
    /// How to bring it back, for a `system:` process.
    pub recipe: Option<Recipe>,
    /// How many there are of that sort.
    pub population: Option<usize>,
    /// What is touched.
    pub claims: Vec<Resource>,
}

impl Which {
    /// What is wrong with it.
    pub fn check(&self) -> Vec<Problem> {
        let given = [self.system.is_some(), self.target.is_some(), self.pid_file.is_some(), self.port.is_some(), self.name.is_some()];
        let help = "write exactly one of `system`, `target`, `pid_file`, `port`, `name`";
        let mut problems = match given.into_iter().filter(|given| *given).count() {
            0 => vec![Problem::new("", "it does not say which process").help(help)],
            1 => Vec::new(),
            _ => vec![Problem::new("", "it says more than once which process").help(help)],
        };
        let empty = |at: &str| Problem::new(at, format!("`{}` names nothing", at.trim_start_matches('/')));
        problems.extend((self.port == Some(0)).then(|| empty("/port")));
        problems.extend(self.pid_file.as_deref().is_some_and(str::is_empty).then(|| empty("/pid_file")));
        problems.extend(
            self.name
                .as_deref()
                .is_some_and(|name| name.is_empty() || name.contains('/'))
                .then(|| empty("/name").help("a name without directories, for example `redis-server`")),
        );
        problems
    }

    /// What it will touch, as far as it tells.
    pub fn claims(&self) -> Vec<Resource> {
        self.system.iter().map(|id| Resource::System(id.to_string())).collect()
    }

    /// What was looked for, for people.
    pub fn describe(&self) -> String {
        match (&self.system, &self.target, &self.pid_file, self.port, &self.name) {
            (Some(id), ..) => id.to_string(),
            (_, Some(id), ..) => format!("target {id}"),
            (.., Some(file), _, _) => format!("the process of {file}"),
            (.., Some(port), _) => format!("the process on port {port}"),
            (.., Some(name)) => format!("processes named {name}"),
            _ => "no process".to_owned(),
        }
    }

    /// The processes that are meant, now, without regard to whether they may be hit; for a `system:` process see [`Recipe::members`].
    pub fn processes(&self, cx: &Cx) -> Result<Vec<ProcessId>, FaultError> {
        if let Some(file) = &self.pid_file {
            let path = cx.base_dir.join(cx.fill(file));
            let text = std::fs::read_to_string(&path)
                .map_err(|source| FaultError::Os { doing: format!("read the pid file {}", path.display()), source })?;
            let pid = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
            let pid = pid.ok_or_else(|| FaultError::Target(format!("{} holds no pid", path.display())))?;
            return Ok(process::find(pid).into_iter().collect());
        }
        Ok(match (self.port, &self.name) {
            (Some(port), _) => process::listening_on(port),
            (_, Some(name)) => process::by_name(name),
            (None, None) => Vec::new(),
        })
    }

    /// Finds and counts, and refuses what must not be hit.
    pub fn find(&self, scene: &Scene<'_>) -> Result<Found, FaultError> {
        let found = if let Some(id) = &self.system {
            let recipe = Recipe::of(id.as_str(), scene)?;
            Found { processes: recipe.members(), recipe: Some(recipe), population: Some(scene.plan.system.len()), claims: self.claims() }
        } else {
            let processes = self.processes(scene.cx)?;
            let name = processes.first().and_then(process::look).map(|stat| stat.comm);
            let population = name.map(|name| process::all().values().filter(|stat| stat.comm == name).count().max(processes.len()));
            let claims = processes.iter().flat_map(|id| claims_of(id, scene)).collect();
            Found { processes, recipe: None, population, claims }
        };
        if found.processes.is_empty() {
            return Err(FaultError::Target(format!("{}: nothing like that runs", self.describe())));
        }
        for id in &found.processes {
            refuse_ourselves(id, scene.cx)?;
            refuse_another_drills(id, scene.cx)?;
            process::may_signal(id)
                .map_err(|source| FaultError::Os { doing: format!("get the right to signal {}", process::describe(id)), source })?;
        }
        Ok(found)
    }

    /// The processes for people: `primary, pid 4121`.
    pub fn labels(&self, processes: &[ProcessId]) -> Vec<String> {
        let name = |id: &ProcessId| match &self.system {
            Some(system) => system.to_string(),
            None => process::look(id).map_or_else(|| self.describe(), |stat| stat.comm),
        };
        processes.iter().map(|id| format!("{}, {id}", name(id))).collect()
    }
}

/// A process, and the `system:` process it belongs to.
fn claims_of(id: &ProcessId, scene: &Scene<'_>) -> Vec<Resource> {
    let owner = process::started_with(id.pid, OWNER);
    let system = owner.and_then(|owner| Some(owner.strip_prefix(&format!("{}/system/", scene.cx.run))?.to_owned()));
    [Resource::Process(id.pid)].into_iter().chain(system.map(Resource::System)).collect()
}

/// What another drill has started is that drill's to break. A daemon that a drill started and left behind is anybody's once that drill is over.
fn refuse_another_drills(id: &ProcessId, cx: &Cx) -> Result<(), FaultError> {
    let owner = process::started_with(id.pid, OWNER).unwrap_or_default();
    let run = owner.split('/').next().unwrap_or_default();
    if !run.is_empty() && run != &*cx.run && Registry::here().names(run) {
        return Err(FaultError::Target(format!("{} belongs to another drill, {run}", process::describe(id))));
    }
    Ok(())
}

/// A drill that stops its own runner, watchdog or data plane, or the terminal it runs in, could not be undone by it.
fn refuse_ourselves(id: &ProcessId, cx: &Cx) -> Result<(), FaultError> {
    let program = std::fs::read_link(format!("/proc/{}/exe", id.pid)).is_ok_and(|exe| exe == *cx.exe);
    let helper =
        program && process::arguments(id.pid).get(1).is_some_and(|verb| ["__watchdog", "__proxy", "__exec"].contains(&verb.as_str()));
    if id.pid == 1 || helper || process::ourselves().contains(&id.pid) {
        return Err(FaultError::Target(format!("{} is firedrill itself, its helper or its ancestor", process::describe(id))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(text: &str) -> Which {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn exactly_one_selector_is_given() {
        assert!(which(r#"{"system":"a"}"#).check().is_empty());
        assert!(which(r#"{"target":"a"}"#).check().is_empty());
        assert_eq!(which("{}").check()[0].text, "it does not say which process");
        assert_eq!(which(r#"{"port":80,"name":"nginx"}"#).check()[0].text, "it says more than once which process");
        assert_eq!(which(r#"{"port":0}"#).check()[0].at, "/port");
        assert_eq!(which(r#"{"name":"/usr/sbin/nginx"}"#).check()[0].at, "/name");
        assert!(serde_json::from_str::<Which>(r#"{"pid":1}"#).is_err());
    }

    #[test]
    fn people_read_what_was_looked_for() {
        assert_eq!(which(r#"{"port":6001}"#).describe(), "the process on port 6001");
        assert_eq!(which(r#"{"pid_file":"/run/x.pid"}"#).describe(), "the process of /run/x.pid");
    }
}
