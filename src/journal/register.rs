//! The register of a project: every start, each line chained to the one before, so that a run that was left out is seen.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JournalError;
use crate::base::line_sum;

/// One line of the register of all starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The run.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// Wall time, a label.
    pub wall: String,
    /// Checksum of this line and the one before.
    pub sum: String,
}

impl Start {
    /// What its checksum covers.
    fn body(&self) -> String {
        format!("{}\n{}\n{}\n{}", self.run, self.scenario, self.plan_digest, self.wall)
    }
}

/// A register as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    /// Its lines, in order.
    pub starts: Vec<Start>,
    /// The first line, from 1, that does not continue the one before it: somebody changed, added or took away something there.
    pub broken: Option<usize>,
}

/// Reads the register beside these runs. None of it is no error: nothing was started here.
///
/// # Errors
/// The file cannot be read.
pub fn register(runs_dir: &Path) -> Result<Register, JournalError> {
    let path = path_of(runs_dir);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Register::default()),
        Err(source) => return Err(JournalError::os("read", &path, source)),
    };
    Ok(Register::parse(&text))
}

impl Register {
    /// Reads a register's text, checking that each line continues the one before it.
    pub fn parse(text: &str) -> Register {
        let mut register = Register::default();
        let mut sum = String::new();
        for (number, line) in (1..).zip(text.lines()) {
            match serde_json::from_str::<Start>(line) {
                Ok(start) => {
                    if line_sum(&sum, &start.body()) != start.sum {
                        register.broken.get_or_insert(number);
                    }
                    sum.clone_from(&start.sum);
                    register.starts.push(start);
                }
                Err(_) => {
                    register.broken.get_or_insert(number);
                }
            }
        }
        register
    }
}

fn path_of(runs_dir: &Path) -> PathBuf {
    runs_dir.parent().unwrap_or(runs_dir).join("register.jsonl")
}

/// Appends a start to `register.jsonl` beside the runs: every start, also of runs that end aborted or are deleted later.
///
/// # Errors
/// The file cannot be read or written.
pub fn register_start(runs_dir: &Path, run: &str, scenario: &str, plan_digest: &str, wall: &str) -> Result<(), JournalError> {
    let path = path_of(runs_dir);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| JournalError::os("open", &path, source))?;
    // Two runs may start at once; the chain must not fork.
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).map_err(|errno| JournalError::os("lock", &path, errno.into()))?;
    let text = fs::read_to_string(&path).map_err(|source| JournalError::os("read", &path, source))?;
    let last: Option<Start> = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let mut start =
        Start { run: run.into(), scenario: scenario.into(), plan_digest: plan_digest.into(), wall: wall.into(), sum: String::new() };
    start.sum = line_sum(&last.map(|start| start.sum).unwrap_or_default(), &start.body());
    let mut line = serde_json::to_string(&start).map_err(|error| JournalError::os("write", &path, error.into()))?;
    line.push('\n');
    (&file).write_all(line.as_bytes()).map_err(|source| JournalError::os("write", &path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_shows_what_was_taken_away_or_changed() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join("runs");
        fs::create_dir(&runs).unwrap();
        assert_eq!(register(&runs).unwrap(), Register::default());
        for run in ["a", "b", "c"] {
            register_start(&runs, run, "demo", "sha256:0", "now").unwrap();
        }
        let whole = register(&runs).unwrap();
        assert_eq!((whole.starts.len(), whole.broken), (3, None));
        let path = dir.path().join("register.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (harmed, broken) in [
            (vec![lines[0], lines[2]], Some(2)),
            (vec![lines[1], lines[2]], Some(1)),
            (vec![lines[0], lines[1], "{", lines[2]], Some(3)),
            (vec![lines[0], lines[1]], None),
        ] {
            fs::write(&path, harmed.join("\n")).unwrap();
            assert_eq!(register(&runs).unwrap().broken, broken, "{harmed:?}");
        }
        fs::write(&path, text.replace("\"b\"", "\"x\"")).unwrap();
        assert_eq!(register(&runs).unwrap().broken, Some(2));
    }
}
