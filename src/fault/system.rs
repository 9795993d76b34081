//! `system:` processes: how one is started, found, stopped and started again. The kind `system.process` makes them items of the journal,
//! owed and undone like faults; `process.kill` uses the same recipe to bring one back.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultError, Permit, Prepared, Resource, Scene, Seen, shell};
use crate::base::{Id, Problem, Span};
use crate::plan::{Argv, Signal, SystemHow};
use crate::sys::exec::{self, Detached, Exec};
use crate::sys::process::{self, ProcessId};
use crate::sys::{Cx, account};

/// Each setup command may take so long.
const SETUP_LIMIT: Span = Span::secs(60);
/// How long a process may take to become its program.
const START_LIMIT: Span = Span::secs(10);

/// Everything a fresh process needs to find, stop or start a `system:` process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its id in the scenario.
    pub id: String,
    /// The mark it carries.
    pub owner: String,
    /// How it runs; `${…}` is filled, but for secrets. The working directory is absolute.
    pub how: SystemHow,
    /// Where its output goes.
    pub log: PathBuf,
    /// Where it wrote down who it is.
    pub record: PathBuf,
}

impl Recipe {
    /// The recipe of a process of the plan.
    ///
    /// # Errors
    /// The plan has no such process.
    pub fn of(id: &str, scene: &Scene<'_>) -> Result<Recipe, FaultError> {
        let cx = scene.cx;
        let plan = scene.plan.system.get(id).ok_or_else(|| FaultError::Target(format!("the scenario has no system process `{id}`")))?;
        let value = serde_json::to_value(&plan.how).map(|value| cx.fill_value(&value)).and_then(serde_json::from_value);
        let mut how: SystemHow = value.map_err(|source| FaultError::Decode { kind: SystemProcess::KIND, what: "recipe", source })?;
        how.cwd = Some(cx.base_dir.join(how.cwd.as_deref().unwrap_or("")).display().to_string());
        let dir = cx.run_dir.join("system");
        Ok(Recipe {
            id: id.to_owned(),
            owner: format!("{}/system/{id}", cx.run),
            how,
            log: dir.join(format!("{id}.log")),
            record: dir.join(format!("{id}.json")),
        })
    }

    /// Everything that lives of it, leader first.
    pub fn members(&self) -> Vec<ProcessId> {
        exec::members(&self.owner, &self.record)
    }

    /// The process that is it, when it is up: the recorded leader, or one that carries the mark in a session of its own (it daemonised, or
    /// a person started it by hand). What a dead leader left behind does not count.
    pub fn up(&self) -> Option<ProcessId> {
        let leader = exec::recorded(&self.record);
        if let Some(alive) = leader.as_ref().filter(|id| process::alive(id)) {
            return Some(alive.clone());
        }
        let old = leader.map(|id| id.pid);
        process::marked(&self.owner).into_iter().find(|id| process::look(id).is_some_and(|stat| Some(stat.session) != old))
    }

    fn command(&self, argv: &Argv, limit: Span) -> Exec {
        Exec {
            argv: argv.clone(),
            env: self.how.env.clone(),
            cwd: self.how.cwd.as_ref().map(PathBuf::from),
            user: self.how.user.clone(),
            limit,
            owner: Some(self.owner.clone()),
            ..Exec::default()
        }
    }

    /// Starts it; what an earlier one left behind is stopped first.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn start(&self, cx: &Cx) -> Result<ProcessId, FaultError> {
        self.stop().await?;
        let what = Detached { exec: self.command(&self.how.run, START_LIMIT), log: self.log.clone(), record: self.record.clone() };
        Ok(exec::spawn_system(what, cx).await?)
    }

    /// Stops everything that is left of it, as the scenario says.
    ///
    /// # Errors
    /// Something survives.
    pub async fn stop(&self) -> Result<(), FaultError> {
        Ok(exec::stop_marked(&self.owner, &self.record, to_kernel(self.how.stop.signal), self.how.stop.within).await?)
    }

    async fn set_up(&self, cx: &Cx) -> Result<(), FaultError> {
        for argv in &self.how.setup {
            let mut command = self.command(argv, SETUP_LIMIT);
            // Making the working directory may be what a command is there for.
            command.cwd = command.cwd.filter(|cwd| cwd.is_dir());
            let output = exec::run(command, cx).await?;
            if !output.ok() {
                return Err(FaultError::Command { command: argv.join(" "), how: output.summary() });
            }
        }
        Ok(())
    }

    /// Whether it was started by this very process, has ended, and not well.
    pub fn has_failed(&self) -> bool {
        let exit = exec::recorded(&self.record).and_then(|id| exec::exit_of(&id));
        exit.is_some_and(|exit| exit != exec::Exit::Code(0)) && self.up().is_none()
    }

    /// Which of the ports that its command names somebody else listens on, who is no part of the run, for people.
    pub fn taken(&self) -> String {
        let words = self.how.run.iter().flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric() && c != ':'));
        let ports = words.filter_map(|word| word.rsplit(':').next().filter(|port| port.len() > 1)?.parse::<u16>().ok());
        let run = self.owner.split('/').next().unwrap_or_default();
        let ours = |id: &ProcessId| process::started_with(id.pid, process::OWNER).is_some_and(|owner| owner.split('/').next() == Some(run));
        let mut taken: Vec<String> = Vec::new();
        for port in ports {
            let others: Vec<String> = process::listening_on(port).iter().filter(|id| !ours(id)).map(process::describe).collect();
            let text = format!("; port {port} is in use by {}", others.join(", "));
            if !others.is_empty() && !taken.contains(&text) {
                taken.push(text);
            }
        }
        taken.concat()
    }

    /// The last line of its output, for people.
    pub fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(log.get(log.len().saturating_sub(2048)..).unwrap_or_default()).into_owned();
        log.lines().rev().find(|line| !line.trim().is_empty()).map_or_else(String::new, |line| format!("; it last wrote: {}", line.trim()))
    }

    /// One line that stops it.
    pub fn stop_by_hand(&self) -> String {
        shell::stop(&self.owner, &self.record, self.how.stop.signal.name(), self.how.stop.within.as_millis().div_ceil(1000))
    }

    /// One line that starts it unless it runs.
    pub fn start_by_hand(&self) -> String {
        let user = self.how.user.as_ref().map(|user| format!("runuser -u {} -- ", shell::quote(user))).unwrap_or_default();
        let env: String = self.how.env.iter().map(|(name, value)| format!("{} ", shell::assignment(name, value))).collect();
        format!(
            "[ -n \"$({})\" ] || (cd {} && {}{}setsid {user}{} </dev/null >>{} 2>&1 &)",
            shell::marked(&self.owner),
            shell::quote(self.how.cwd.as_deref().unwrap_or(".")),
            env,
            format_args!("{} ", shell::assignment(process::OWNER, &self.owner)),
            shell::words(self.how.run.iter().map(String::as_str)),
            shell::path(&self.log),
        )
    }
}

/// The signal of a scenario as the kernel knows it.
pub fn to_kernel(signal: Signal) -> process::Signal {
    match signal {
        Signal::Hup => process::Signal::HUP,
        Signal::Int => process::Signal::INT,
        Signal::Quit => process::Signal::QUIT,
        Signal::Kill => process::Signal::KILL,
        Signal::Term => process::Signal::TERM,
        Signal::Usr1 => process::Signal::USR1,
        Signal::Usr2 => process::Signal::USR2,
        Signal::Stop => process::Signal::STOP,
        Signal::Abrt => process::Signal::ABORT,
    }
}

/// Starts a `system:` process.
#[derive(Debug)]
pub struct SystemProcess;

/// Which process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    /// Its id under `system:`.
    pub id: Id,
}

impl Fault for SystemProcess {
    const KIND: &'static str = "system.process";
    const ABOUT: &'static str = "starts a process of the scenario's own system";
    const EXAMPLE: &'static str = "system.process: { id: primary }\nfor: 10s\n";
    const UNDO: &'static str = "the process and everything it started are stopped";
    const READS_BACK: bool = true;
    type Spec = SystemSpec;
    type Undo = Recipe;

    fn check(&self, _: &SystemSpec) -> Vec<Problem> {
        Vec::new()
    }

    fn claims(&self, spec: &SystemSpec) -> Vec<Resource> {
        vec![Resource::System(spec.id.to_string())]
    }

    fn by_hand(&self, undo: &Recipe) -> String {
        undo.stop_by_hand()
    }

    async fn prepare(&self, spec: &SystemSpec, scene: &Scene<'_>) -> Result<Prepared<Recipe>, FaultError> {
        let recipe = Recipe::of(spec.id.as_str(), scene)?;
        if let Some(user) = &recipe.how.user
            && account::find(user).is_none()
        {
            return Err(FaultError::Target(format!("the machine has no account `{user}` for system process `{}`", recipe.id)));
        }
        Ok(Prepared {
            targets: vec![recipe.id.clone()],
            summary: format!("start {}: {}", recipe.id, recipe.how.run.join(" ")),
            population: Some(scene.plan.system.len()),
            claims: self.claims(spec),
            undo: recipe,
        })
    }

    async fn inject(&self, _: &SystemSpec, undo: &Recipe, _: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        // What was set up once in a run is there when the process is started again by its restart rule.
        if exec::recorded(&undo.record).is_none() {
            undo.set_up(cx).await?;
        }
        undo.start(cx).await?;
        Ok(())
    }

    async fn observe(&self, undo: &Recipe, _: &Cx) -> Result<Seen, FaultError> {
        if let Some(id) = undo.up() {
            return Ok(Seen::Biting(format!("{} runs, {id}", undo.id)));
        }
        let how = exec::recorded(&undo.record).and_then(|id| exec::exit_of(&id)).map_or_else(String::new, |exit| format!(" ({exit})"));
        Ok(Seen::NotBiting(format!("{} does not run{how}{}", undo.id, undo.last_words())))
    }

    async fn undo(&self, undo: &Recipe, _: &Cx) -> Result<(), FaultError> {
        undo.stop().await
    }

    async fn verify(&self, undo: &Recipe, _: &Cx) -> Result<bool, FaultError> {
        Ok(undo.members().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_hand_quotes_what_the_scenario_wrote() {
        let how: SystemHow = serde_json::from_value(serde_json::json!({
            "run": ["sh", "-c", "echo it's $HOME"], "cwd": "/a b", "env": {"K": "v w"}, "user": "postgres"
        }))
        .unwrap();
        let recipe =
            Recipe { id: "a".into(), owner: "r/system/a".into(), how, log: "/run dir/a.log".into(), record: "/run dir/a.json".into() };
        let line = recipe.start_by_hand();
        assert!(
            line.contains(r#"(cd '/a b' && K='v w' FIREDRILL_OWNER=r/system/a setsid runuser -u postgres -- sh -c 'echo it'\''s $HOME'"#)
        );
        assert!(recipe.stop_by_hand().contains("'/run dir/a.json'"));
        assert!(!line.contains('\n') && !recipe.stop_by_hand().contains('\n'));
    }
}
