//! Exit codes: public API.

use std::process::ExitCode;

/// The exit codes, as help shows them.
pub const EXIT_CODES: &str = "Exit codes, worst first:
  50  an undo failed: a fault may still be there
  40  aborted, everything undone
  20  not steady beforehand, nothing injected
  33  invalid: the fault was not confirmed, the prober was starved, or what was tested changed
  30  a system claim failed, or not steady after the undo
  31  inconclusive, the system or the team
  32  only the team's expectations failed
   0  passed
Before a run:
  11  could not start (target, privilege, port, run directory, lock, something still owed, the safety lever)
  10  refused by the language or by a policy
   2  usage
   1  a bug in firedrill";

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

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Bug => 1,
            Exit::Usage => 2,
            Exit::Refused => 10,
            Exit::CouldNotStart => 11,
            Exit::Stuck => 50,
            Exit::Run(code) => code,
        }
    }

    /// What it means, as help says it.
    pub fn meaning(self) -> &'static str {
        let line = |line: &'static str| line.trim().split_once(' ').filter(|(code, _)| code.parse() == Ok(self.code()));
        EXIT_CODES.lines().find_map(line).map_or("", |(_, meaning)| meaning.trim())
    }
}

/// The codes of a run, worst first, as help lists them.
const WORST_FIRST: [u8; 9] = [50, 40, 11, 20, 33, 30, 31, 32, 0];

/// The worst of these; a code that no run has is worse than all of them. Passed, where there are none.
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: &u8| WORST_FIRST.iter().position(|known| known == code).unwrap_or(0);
    codes.into_iter().min_by_key(rank).unwrap_or(0)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_by_the_order_of_help() {
        let told: Vec<u8> = EXIT_CODES.lines().filter_map(|line| line.trim().split_once(' ')?.0.parse().ok()).collect();
        let of_runs: Vec<u8> = told.into_iter().filter(|code| WORST_FIRST.contains(code)).collect();
        let expected: Vec<u8> = WORST_FIRST.into_iter().filter(|code| *code != 11).collect();
        assert_eq!(of_runs.iter().copied().filter(|code| *code != 11).collect::<Vec<_>>(), expected);
        assert_eq!((worst([0, 31, 0]), worst([30, 40, 0]), worst([0, 1]), worst([])), (31, 40, 1, 0));
    }

    #[test]
    fn every_code_has_a_meaning() {
        for code in [0, 1, 2, 10, 11, 20, 30, 31, 32, 33, 40, 50] {
            assert!(!Exit::Run(code).meaning().is_empty(), "{code}");
        }
        assert_eq!(Exit::Stuck.meaning(), "an undo failed: a fault may still be there");
        assert_eq!(Exit::Run(99).meaning(), "");
    }
}
