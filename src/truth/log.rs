//! The truth as it is written down: one JSON line a change, with the clock read before and after it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The file's name in the server's directory.
const FILE: &str = "truth.jsonl";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ev", rename_all = "snake_case")]
pub enum Told {
    /// It left `up`.
    Down {
        /// What it does instead.
        state: String,
        /// Raw CLOCK_MONOTONIC before anything was changed.
        before_mono_ns: u64,
        /// The same after everything was.
        after_mono_ns: u64,
    },
    /// It is up again.
    Up {
        /// Raw CLOCK_MONOTONIC before anything was changed.
        before_mono_ns: u64,
        /// The same after everything was.
        after_mono_ns: u64,
    },
    /// The server itself stood still: it cannot vouch for this time.
    Stall {
        /// From.
        from_mono_ns: u64,
        /// To.
        to_mono_ns: u64,
    },
    /// The server was ready to act and was not let, because others had the processors.
    Waited {
        /// From.
        from_mono_ns: u64,
        /// To.
        to_mono_ns: u64,
        /// How long of it, by the kernel's account.
        waited_ns: u64,
    },
    /// Acknowledged writes that are gone.
    Lost {
        /// Their keys.
        keys: Vec<String>,
    },
    /// It ended.
    End {
        /// Connections that it accepted.
        accepted: u64,
        /// Requests that it answered.
        answered: u64,
    },
}

/// What a drill must have seen: one time of being down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// It began within these, raw CLOCK_MONOTONIC in nanoseconds.
    pub down: (u64, u64),
    /// It ended within these; `None` when it did not.
    pub up: Option<(u64, u64)>,
}

/// An open log. Lines go out in one `write` each with O_APPEND, so that a SIGKILL leaves whole lines only.
#[derive(Debug)]
pub(super) struct Log(File);

impl Log {
    pub(super) fn open(dir: &Path) -> io::Result<Log> {
        std::fs::create_dir_all(dir)?;
        OpenOptions::new().create(true).append(true).open(dir.join(FILE)).map(Log)
    }

    pub(super) fn write(&self, told: &Told) -> io::Result<()> {
        let mut line = serde_json::to_vec(told)?;
        line.push(b'\n');
        (&self.0).write_all(&line)
    }
}

/// What the server of this directory told.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn read(dir: &Path) -> io::Result<Vec<Told>> {
    let text = std::fs::read_to_string(dir.join(FILE))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

impl Outage {
    /// The times of being down, in order.
    pub fn all(told: &[Told]) -> Vec<Outage> {
        let mut found: Vec<Outage> = Vec::new();
        for line in told {
            match line {
                Told::Down { before_mono_ns, after_mono_ns, .. } => {
                    found.push(Outage { down: (*before_mono_ns, *after_mono_ns), up: None });
                }
                Told::Up { before_mono_ns, after_mono_ns } => {
                    if let Some(last) = found.last_mut().filter(|last| last.up.is_none()) {
                        last.up = Some((*before_mono_ns, *after_mono_ns));
                    }
                }
                Told::Stall { .. } | Told::Waited { .. } | Told::Lost { .. } | Told::End { .. } => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_paired() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(&dir.path().join("deep")).unwrap();
        let lines = [
            Told::Down { state: "refuse".into(), before_mono_ns: 1, after_mono_ns: 2 },
            Told::Stall { from_mono_ns: 2, to_mono_ns: 9 },
            Told::Up { before_mono_ns: 10, after_mono_ns: 11 },
            Told::Lost { keys: vec!["k".into()] },
            Told::Down { state: "hang".into(), before_mono_ns: 20, after_mono_ns: 21 },
            Told::End { accepted: 3, answered: 2 },
        ];
        lines.iter().for_each(|line| log.write(line).unwrap());
        let told = read(&dir.path().join("deep")).unwrap();
        assert_eq!(told, lines);
        assert_eq!(Outage::all(&told), [Outage { down: (1, 2), up: Some((10, 11)) }, Outage { down: (20, 21), up: None }]);
    }
}
