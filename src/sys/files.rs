//! Room for open files.

use std::io;
use std::os::fd::AsFd;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process needs beside its probes' connections.
const BESIDE: u64 = 128;

/// The process may not hold so many files open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "up to {wanted} connections may be open at a time, and this process may hold {most} files: allow more (`ulimit -n`), or lower a rate or a time-out"
)]
pub struct TooFew {
    /// How many connections may be open.
    pub wanted: u64,
    /// How many files may be.
    pub most: u64,
}

/// Makes room for `connections` open at a time. The soft limit is raised where it is lower; it stays where it suffices, as whatever this
/// process starts inherits it. And the table of open files is made as large as it will be: the kernel enlarges that of a process with
/// threads only after a grace period, for which the call that needed the room, and so whoever asks a question with it, stands still for
/// up to twenty milliseconds (`expand_fdtable` in Linux `fs/file.c`).
///
/// # Errors
/// The hard limit is lower.
pub fn make_room(connections: u64) -> Result<(), TooFew> {
    let wanted = connections.saturating_add(BESIDE);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|soft| soft < wanted) {
        if let Some(most) = limit.maximum.filter(|hard| *hard < wanted) {
            return Err(TooFew { wanted: connections, most });
        }
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).map_err(|_| TooFew { wanted: connections, most: limit.current.unwrap_or(0) })?;
    }
    // Whether it could be enlarged beforehand is no matter of right or wrong, only of when.
    let highest = i32::try_from(wanted.saturating_sub(1)).unwrap_or(i32::MAX);
    if let Ok(stand_in) = io::stderr().as_fd().try_clone_to_owned() {
        drop(fcntl_dupfd_cloexec(stand_in, highest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_and_what_cannot_be_is_said() {
        assert_eq!(make_room(10), Ok(()));
        let before = getrlimit(Resource::Nofile);
        make_room(before.current.unwrap_or(4096) / 2).unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current, before.current, "what suffices stays");
        if let Some(most) = before.maximum {
            let refused = make_room(most * 2).unwrap_err();
            assert_eq!((refused.wanted, refused.most), (most * 2, most));
            assert!(refused.to_string().contains("ulimit -n"));
        }
    }
}
