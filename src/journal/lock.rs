//! One writer: the journal belongs to the holder of an exclusive lock on `lock` in the run directory. The lock goes with the process that holds it.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::JournalError;
use crate::base::Span;
use crate::sys::clock;

/// How often a held lock is tried again, and after what time each.
const TRIES: u32 = 10;
const BETWEEN: Span = Span::millis(10);

/// Holds the lock of one run until dropped.
#[derive(Debug)]
pub struct RunLock {
    file: File,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked a moment ago and has not become its program yet shares the open file, and with it the lock.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

impl RunLock {
    /// Takes the lock, or says that somebody else has it. Whoever only looks whether it is held has it for a moment, so it is tried again for
    /// a while.
    ///
    /// # Errors
    /// The lock is held elsewhere, or the file cannot be opened.
    pub fn take(run_dir: &Path) -> Result<RunLock, JournalError> {
        for _ in 0..TRIES {
            match RunLock::try_take(run_dir) {
                Err(JournalError::Locked { .. }) => clock::block(BETWEEN),
                other => return other,
            }
        }
        RunLock::try_take(run_dir)
    }

    fn try_take(run_dir: &Path) -> Result<RunLock, JournalError> {
        let path = run_dir.join("lock");
        let open = || OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        // A disk that turned read-only still keeps locks, and what is owed there is still to be undone.
        let or_read = |error: Error| if error.kind() == ErrorKind::ReadOnlyFilesystem { File::open(&path) } else { Err(error) };
        let file = open().or_else(or_read).map_err(|source| JournalError::os("open", &path, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(RunLock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::Locked { path }),
            Err(errno) => Err(JournalError::os("lock", &path, errno.into())),
        }
    }

    /// Whether somebody holds the lock of this run: a living runner or one who undoes.
    pub fn is_held(run_dir: &Path) -> bool {
        run_dir.join("lock").exists() && matches!(RunLock::try_take(run_dir), Err(JournalError::Locked { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::take(dir.path()).unwrap();
        assert!(matches!(RunLock::take(dir.path()), Err(JournalError::Locked { .. })));
        assert!(RunLock::is_held(dir.path()));
        drop(first);
        assert!(!RunLock::is_held(dir.path()));
    }

    #[test]
    fn a_copy_of_the_open_file_does_not_keep_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = RunLock::take(dir.path()).unwrap();
        let _shared = first.file.try_clone().unwrap();
        drop(first);
        assert!(!RunLock::is_held(dir.path()));
    }
}
