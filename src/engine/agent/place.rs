//! Where a fault that a runner elsewhere has ordered lives on this machine: a directory of its own, that appears whole or not at all.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::sys::env;
use crate::sys::process::{self, ProcessId};

/// Under the account's home.
const ROOM: &str = ".local/state/firedrill/hosts";
/// Who holds the fault.
const HOLDER: &str = "holder.json";
/// That the undo was asked for.
const ASKED: &str = "asked";
/// When the runner was last heard of, where it has no connection.
const RENEWED: &str = "renewed";

/// The home of this account.
///
/// # Errors
/// It has none that is there.
pub(super) fn home() -> Result<PathBuf, String> {
    let home = env::var("HOME").map(PathBuf::from).filter(|home| home.is_absolute() && home.is_dir());
    home.ok_or_else(|| "find the home of this account (help: it keeps the journal of what was broken)".to_owned())
}

/// The directory of a fault, and makes the one that it is to be in.
///
/// # Errors
/// Nothing can be kept there.
pub(super) fn of(home: &Path, run: &str, item: &str) -> Result<PathBuf, String> {
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !plain(run) || !plain(item) {
        return Err(format!("name a directory after {run} and {item}"));
    }
    let room = home.join(ROOM);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&room);
    made.map_err(|error| format!("create {}: {error} (help: the journal of what was broken is kept there)", room.display()))?;
    Ok(room.join(format!("{run}.{item}")))
}

/// Makes the directory, with this process as the one who holds the fault; or, without one, closes the name so that nobody can make it later.
/// False where it is there already.
///
/// # Errors
/// The disk refuses.
pub(super) fn make(dir: &Path, holder: Option<&ProcessId>) -> Result<bool, String> {
    let fail = |error: std::io::Error| format!("create {}: {error}", dir.display());
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = dir.with_file_name(format!(".{name}.{}", std::process::id()));
    let put = || {
        DirBuilder::new().recursive(true).mode(0o700).create(&partial)?;
        // Never empty: an empty directory may be replaced by a rename.
        match holder.map(serde_json::to_string) {
            Some(text) => fs::write(partial.join(HOLDER), text?)?,
            None => fs::write(partial.join(ASKED), "")?,
        }
        fs::rename(&partial, dir)
    };
    let made = put();
    if made.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    match made {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => Ok(false),
        Err(error) => Err(fail(error)),
    }
}

/// The process that holds the fault, while it lives.
pub(super) fn holder(dir: &Path) -> Option<ProcessId> {
    let text = fs::read_to_string(dir.join(HOLDER)).ok()?;
    serde_json::from_str::<ProcessId>(&text).ok().filter(process::alive)
}

/// Writes down that the undo was asked for.
pub(super) fn ask(dir: &Path) {
    // Where the disk refuses, it reads as undone by itself: nothing is undone the less.
    let _ = fs::write(dir.join(ASKED), "");
}

/// Writes down when the runner was last heard of, as raw CLOCK_MONOTONIC in nanoseconds: the old moment or the new one, never half of it.
///
/// # Errors
/// The disk refuses.
pub(super) fn renew(dir: &Path, at: u64) -> Result<(), String> {
    let (path, partial) = (dir.join(RENEWED), dir.join(format!(".{RENEWED}.{}", std::process::id())));
    let put = fs::write(&partial, at.to_string()).and_then(|()| fs::rename(&partial, &path));
    put.map_err(|error| format!("write {}: {error}", path.display()))
}

/// When the runner was last heard of; nothing where that stands nowhere.
pub(super) fn renewed(dir: &Path) -> Option<u64> {
    fs::read_to_string(dir.join(RENEWED)).ok()?.parse().ok()
}

/// Whether it was asked for.
pub(super) fn was_asked(dir: &Path) -> bool {
    dir.join(ASKED).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let fault = of(dir.path(), "r1", "lose-db").unwrap();
        assert!(of(dir.path(), "../r1", "x").is_err());
        let me = process::find(std::process::id()).unwrap();
        assert!(make(&fault, Some(&me)).unwrap());
        assert!(!make(&fault, None).unwrap(), "what is there is not closed");
        assert_eq!(holder(&fault), Some(me.clone()));
        assert!(!was_asked(&fault) && renewed(&fault).is_none());
        renew(&fault, 7).unwrap();
        assert_eq!(renewed(&fault), Some(7));
        let other = of(dir.path(), "r1", "fill").unwrap();
        assert!(make(&other, None).unwrap());
        assert!(!make(&other, Some(&me)).unwrap(), "nothing begins under a name that was closed");
        assert!(was_asked(&other) && holder(&other).is_none());
        assert_eq!(fs::read_dir(other.parent().unwrap()).unwrap().count(), 2, "nothing half made is left");
    }
}
