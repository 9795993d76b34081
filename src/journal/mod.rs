//! The journal: append-only lines, checksummed, fsynced where an undo depends on it; the lock that makes one writer; the registry of runs on
//! this machine, and its safety lever. It must never know what events mean.

mod armed;
mod lever;
mod lock;
mod read;
mod register;
mod registry;
mod write;

use std::path::{Path, PathBuf};

pub use armed::Armed;
pub use lever::{Engaged, LONGEST_REASON, Lever};
pub use lock::RunLock;
pub use read::{Read, ended_well, length, read, read_from, salvage};
pub use register::{Register, Start, register, register_start};
pub use registry::{Announcement, Registry};
pub use write::{Ack, Journal, rewrite};

/// What can go wrong with a journal: a lower-case fragment that reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk or the file system refused.
    #[error("{doing} {path}: {source}", path = path.display())]
    Os {
        /// What was being done: `create`, `write`, `read`, `lock` …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// A line that is not the last does not have its checksum: damage, not a crash.
    #[error("read {path}: line {line} is damaged ({why}); everything after it is in doubt", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// In what way.
        why: String,
    },
    /// Somebody else writes this journal.
    #[error("lock {path}: another process is at work on this run", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// No fsync in time.
    #[error("write the undo to disk within {limit}: {why}")]
    NotDurable {
        /// The limit.
        limit: crate::base::Span,
        /// What the disk answered, if it did.
        why: String,
    },
}

impl JournalError {
    /// Whether it is the disk that refuses to be written, and not a permission, a path or what stands there.
    pub fn is_refusal(&self) -> bool {
        matches!(self, JournalError::Os { source, .. } if write::refuses(source))
    }

    pub(crate) fn os(doing: &'static str, path: &Path, source: std::io::Error) -> JournalError {
        JournalError::Os { doing, path: path.to_owned(), source }
    }
}

/// The journal's file name in a run directory.
pub const FILE: &str = "events.jsonl";
/// The plan's file name in a run directory.
pub const PLAN: &str = "plan.json";
/// The scenario's file name in a run directory.
pub const SCENARIO: &str = "scenario.yaml";
/// The file name of its workload in a run directory, where it has one.
pub const WORKLOAD: &str = "workload.yaml";
