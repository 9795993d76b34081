//! `command`: a program that looks, for whatever has no kind of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::error::Why;
use super::judge::Answer;
use super::kind::{Ask, Asked, Probe, expect_one};
use crate::base::{Problem, Span};
use crate::event::Class;
use crate::plan::{Expect, Matcher};
use crate::sys::Cx;
use crate::sys::exec::{Exec, ExecError, Exit, Output, run};

/// The kind.
pub(super) struct Command;

/// What a scenario writes under `command:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandSpec {
    /// The program and its arguments; never a shell string.
    run: Vec<String>,
    /// Working directory; default: where the scenario is.
    #[serde(default)]
    cwd: Option<String>,
}

/// What is wrong with a program and its arguments; `at` is where they stand.
pub(super) fn check_run(run: &[String], at: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if run.first().is_none_or(String::is_empty) {
        problems.push(Problem::new(format!("{at}/run"), "a command needs a program").help("for example `[pg_isready, -h, 127.0.0.1]`"));
    }
    if let [line] = run
        && line.contains(' ')
        && !line.contains('/')
    {
        let help = format!("write `[{}]`", line.split_whitespace().collect::<Vec<_>>().join(", "));
        problems.push(Problem::new(format!("{at}/run/0"), "`run` is a list of words, not a line for a shell").help(help));
    }
    problems
}

/// The fields of a command that ended.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("outcome", "ok (it ended, however) or timeout"),
    ("exit", "the exit code; 128 and the signal's number when a signal ended it"),
    ("stdout", "the end of its output, without the last line's end"),
    ("stderr", "the end of its error output, without the last line's end"),
    ("json", "its output as JSON"),
    ("duration", "seconds from start to end"),
];

impl Probe for Command {
    const KIND: &'static str = "command";
    const ABOUT: &'static str = "Runs a command and looks at its exit code and output.";
    const EXAMPLE: &'static str =
        concat!("command: { run: [pg_isready, -h, 127.0.0.1] }\n", "rate: 1/s\ntimeout: 1s\n", "expect: { exit: { equals: 0 } }\n",);
    const FIELDS: &'static [(&'static str, &'static str)] = FIELDS;
    const RATE_HZ: f64 = 1.0;
    type Spec = CommandSpec;

    fn check(&self, spec: &CommandSpec) -> Vec<Problem> {
        check_run(&spec.run, "")
    }

    fn good(&self, _: &CommandSpec) -> Expect {
        expect_one("exit", Matcher::equals(0))
    }

    fn open(&self, spec: CommandSpec, _: &Cx) -> Result<Box<dyn Ask>, Why> {
        Ok(Box::new(spec))
    }
}

impl Ask for CommandSpec {
    fn ask<'a>(&'a self, _: u64, limit: Span, cx: &'a Cx) -> Asked<'a> {
        Box::pin(async move {
            let exec = Exec { argv: self.run.clone(), cwd: self.cwd.as_ref().map(Into::into), limit, ..Exec::default() };
            let sent = cx.clock.now();
            let ended = run(exec, cx).await;
            let done = cx.clock.now();
            match ended {
                // The command's own time: how long it takes to start its helper is not the target's slowness.
                Ok(output) => answer(sent, (sent + output.took).min(done), output),
                Err(error) => failure(sent, done, limit, &error),
            }
            .within(limit)
        })
    }
}

pub(super) fn answer(sent: crate::base::At, done: crate::base::At, output: Output) -> Answer {
    let exit = match output.exit {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128 + signal,
    };
    let trimmed = |text: &str| text.trim_end_matches(['\n', '\r']).to_owned();
    let mut fields = Map::new();
    fields.insert("exit".into(), json!(exit));
    fields.insert("stdout".into(), json!(trimmed(&output.stdout)));
    fields.insert("stderr".into(), json!(trimmed(&output.stderr)));
    Answer { fields, text: Some(output.stdout), ..Answer::of(sent, done) }
}

/// What cannot be run is our own failure, not the target's.
pub(super) fn failure(sent: crate::base::At, done: crate::base::At, limit: Span, error: &ExecError) -> Answer {
    match error {
        ExecError::TimedOut { .. } => Answer::failed(sent, done, Class::Timeout, format!("not finished within {limit}")),
        ExecError::Cancelled { .. } => Answer::failed(sent, done, Class::Cancelled, "cancelled"),
        other => Answer::failed(sent, done, Class::Local, format!("failed to {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::event::Verdict;
    use crate::probe::by_kind;
    use crate::probe::testing::expect;

    fn judged(wanted: serde_json::Value, answer: &Answer) -> (Verdict, Class, Option<String>) {
        let kind = by_kind("command").unwrap();
        let opened = kind.open(&json!({"run": ["true"]}), &expect(wanted), None, &crate::probe::testing::cx()).unwrap();
        let judged = opened.wanted.judge(answer, None);
        (judged.verdict, judged.class, judged.note)
    }

    #[test]
    fn an_exit_code_and_output_are_judged() {
        let ended = |exit, stdout: &str| {
            answer(At(0), At(5), Output { exit, stdout: stdout.into(), stderr: String::new(), took: Span(5), whole: true })
        };
        assert_eq!(judged(json!({}), &ended(Exit::Code(0), "")), (Verdict::Ok, Class::Ok, None));
        assert_eq!(judged(json!({}), &ended(Exit::Code(2), "")), (Verdict::Bad, Class::Status, Some("exit 2".into())));
        assert_eq!(judged(json!({}), &ended(Exit::Signal(9), "")).2.as_deref(), Some("exit 137"));
        assert_eq!(judged(json!({"stdout": {"equals": "ok"}}), &ended(Exit::Code(0), "ok\n")).0, Verdict::Ok);
        assert_eq!(judged(json!({"json": {"path": "$.a", "equals": 1}}), &ended(Exit::Code(0), "{\"a\":1}\n")).0, Verdict::Ok);
    }

    #[test]
    fn what_cannot_be_run_is_our_own_failure() {
        let failed = |error| failure(At(0), At(9), Span::secs(1), &error);
        let missing = ExecError::NotFound { program: "psql".into(), looked: "/bin".into() };
        assert_eq!(judged(json!({}), &failed(missing)).0, Verdict::Local);
        let late = ExecError::TimedOut { program: "psql".into(), limit: Span::secs(1), output: "secret".into() };
        assert_eq!(judged(json!({}), &failed(late)), (Verdict::Bad, Class::Timeout, Some("not finished within 1s".into())));
        assert_eq!(judged(json!({}), &failed(ExecError::Cancelled { program: "psql".into() })).1, Class::Cancelled);
    }

    #[test]
    fn a_command_is_a_list_of_words() {
        let check = |run| Probe::check(&Command, &CommandSpec { run, cwd: None });
        assert!(check(vec!["pg_isready".into(), "-h x".into()]).is_empty());
        assert_eq!(check(vec![])[0].at, "/run");
        assert_eq!(check(vec!["pg_isready -q".into()])[0].help.as_deref(), Some("write `[pg_isready, -q]`"));
    }
}
