//! Exit codes: public API.

use std::process::ExitCode;

/// How firedrill ends. `score` decides the codes of a run; these are the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked was done; for a run: passed.
    Ok,
    /// A bug in firedrill.
    Bug,
    /// The command line makes no sense.
    Usage,
    /// The scenario or the policy was refused.
    Refused,
    /// The run could not start.
    CouldNotStart,
    /// An undo failed: a fault may still be there.
    Stuck,
    /// As the run ended.
    Run(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Ok => 0,
            Exit::Bug => 1,
            Exit::Usage => 2,
            Exit::Refused => 10,
            Exit::CouldNotStart => 11,
            Exit::Stuck => 50,
            Exit::Run(code) => code,
        })
    }
}
