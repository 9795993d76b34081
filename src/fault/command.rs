//! A command of the scenario's own breaks something; only the scenario knows how that is seen and undone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, FaultError, Permit, Prepared, Privilege, Resource, STEP_LIMIT, Scene, Seen, shell};
use crate::base::{Problem, Span};
use crate::plan::Argv;
use crate::sys::exec::{self, Exec};
use crate::sys::{Cx, env};

/// Runs a command.
#[derive(Debug)]
pub struct Command;

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSpec {
    /// Program and arguments; never a shell string. It must exit with 0.
    pub run: Argv,
    /// How long it may take; it is then ended with everything it started, and the fault is undone.
    #[serde(default = "thirty_seconds")]
    pub timeout: Span,
}

fn thirty_seconds() -> Span {
    STEP_LIMIT
}

/// What was run: there is no undo but the scenario's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandUndo {
    /// The command, secrets not filled.
    pub ran: Argv,
}

impl Fault for Command {
    const KIND: &'static str = "command";
    const ABOUT: &'static str = "runs a command of your own that breaks something";
    const EXAMPLE: &'static str = "command: { run: [touch, \"${run.dir}/maintenance\"], timeout: 10s }\nfor: 10s\n\
        confirm: { command: { run: [test, -e, \"${run.dir}/maintenance\"] }, expect: { exit: { equals: 0 } } }\n\
        undo:\n  run: [rm, -f, \"${run.dir}/maintenance\"]\n  \
        done_when: { command: { run: [test, \"!\", -e, \"${run.dir}/maintenance\"] }, expect: { exit: { equals: 0 } } }\n";
    const UNDO: &'static str = "what the scenario declares under `undo:`";
    const ELSEWHERE: bool = true;
    const READS_BACK: bool = false;
    type Spec = CommandSpec;
    type Undo = CommandUndo;

    fn check(&self, spec: &CommandSpec) -> Vec<Problem> {
        let mut problems = Vec::new();
        if spec.run.first().is_none_or(String::is_empty) {
            problems.push(Problem::new("/run", "there is no program to run").help("write for example `run: [./break.sh, now]`"));
        }
        if spec.timeout == Span::ZERO || spec.timeout > STEP_LIMIT {
            problems.push(
                Problem::new("/timeout", format!("{} is no time-out for a step of a fault", spec.timeout))
                    .help(format!("more than 0s and at most {STEP_LIMIT}; a longer injection belongs in the background of the command")),
            );
        }
        problems
    }

    fn needs_declared_undo(&self, _: &CommandSpec) -> bool {
        true
    }

    fn needs(&self, spec: &CommandSpec) -> Vec<Privilege> {
        spec.run.first().cloned().map(Privilege::Program).into_iter().collect()
    }

    fn claims(&self, spec: &CommandSpec) -> Vec<Resource> {
        vec![Resource::Command(spec.run.join(" "))]
    }

    fn by_hand(&self, undo: &CommandUndo) -> String {
        let ran = shell::words(undo.ran.iter().map(String::as_str));
        format!("echo {}", shell::quote(&format!("undo what this command did, as the scenario's `undo:` says: {ran}").replace('\n', " ")))
    }

    fn runs(&self, _: &CommandSpec, undo: &CommandUndo) -> Vec<String> {
        vec![shell::words(undo.ran.iter().map(String::as_str))]
    }

    async fn prepare(&self, spec: &CommandSpec, scene: &Scene<'_>) -> Result<Prepared<CommandUndo>, FaultError> {
        let cx = scene.cx;
        let ran: Argv = spec.run.iter().map(|word| cx.fill(word)).collect();
        let path = env::var("PATH").unwrap_or_default();
        exec::locate(ran.first().map_or("", String::as_str), &cx.base_dir, &path)?;
        Ok(Prepared {
            targets: vec![format!("whatever `{}` touches", ran.join(" "))],
            summary: format!("run {}", ran.join(" ")),
            population: None,
            claims: self.claims(spec),
            undo: CommandUndo { ran },
        })
    }

    async fn inject(&self, spec: &CommandSpec, _: &CommandUndo, permit: Permit<'_>, cx: &Cx) -> Result<(), FaultError> {
        let owner = Some(format!("{}/fault/{}", cx.run, permit.id()));
        let output = exec::run(Exec { argv: spec.run.clone(), limit: spec.timeout, owner, ..Exec::default() }, cx).await?;
        if output.ok() { Ok(()) } else { Err(FaultError::Command { command: spec.run.join(" "), how: output.summary() }) }
    }

    async fn observe(&self, _: &CommandUndo, _: &Cx) -> Result<Seen, FaultError> {
        Ok(Seen::CannotTell)
    }

    async fn undo(&self, undo: &CommandUndo, _: &Cx) -> Result<(), FaultError> {
        Err(FaultError::Other(format!("undo `{}`: only the scenario's own undo knows how", undo.ran.join(" "))))
    }

    /// Nobody here can tell, and "cannot tell" must never read as "undone".
    async fn verify(&self, _: &CommandUndo, _: &Cx) -> Result<bool, FaultError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_must_name_a_program_and_a_bounded_time() {
        let check =
            |run: &[&str], timeout| Command.check(&CommandSpec { run: run.iter().map(|w| (*w).to_owned()).collect(), timeout }).len();
        assert_eq!(check(&["true"], Span::secs(30)), 0);
        assert_eq!(check(&[], Span::secs(31)), 2);
        assert_eq!(check(&[""], Span::ZERO), 2);
    }
}
