//! The safety lever of the machine: a file in the registry. While it is there, running drills end and none starts. Whoever may use the machine may
//! engage it; who did is told by the file's owner, not by what stands in it. A file that cannot be read counts as engaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::JournalError;
use super::registry::open_to_all;
use crate::base::one_line;
use crate::sys::{account, clock};

/// The lever's name in the registry.
const NAME: &str = "lever";
/// Its format.
const FORMAT: u32 = 1;
/// A file longer than this is not one of ours.
const MOST: u64 = 4096;
/// Characters of a reason.
pub const LONGEST_REASON: usize = 300;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    lever: u32,
    reason: String,
    at: String,
}

/// Who stopped all drills, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engaged {
    /// The owner of the lever's file: `dan (uid 1000)`.
    pub by: String,
    /// Why; where the file cannot be read, that.
    pub reason: String,
    /// Wall time, a label; absent where the file cannot be read.
    pub at: Option<String>,
}

/// The lever of one registry.
#[derive(Debug, Clone)]
pub struct Lever {
    dir: PathBuf,
}

impl Lever {
    pub(super) fn of(dir: &Path) -> Lever {
        Lever { dir: dir.to_owned() }
    }

    /// Its file: whoever sees nothing else can remove it.
    pub fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    /// Whether it is engaged. Costs one look at the file system while it is not.
    pub fn look(&self) -> Option<Engaged> {
        let path = self.path();
        let unreadable = |by: String, why: String| {
            let why = one_line(&why, LONGEST_REASON);
            Some(Engaged {
                by,
                reason: format!("the lever's file {} cannot be read, which counts as engaged: {why}", path.display()),
                at: None,
            })
        };
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(error) if absent(&error) => return None,
            Err(error) => return unreadable("nobody knows whom".to_owned(), error.to_string()),
        };
        let by = account::who(meta.uid());
        match read(&path) {
            Ok(written) => Some(Engaged { by, reason: one_line(&written.reason, LONGEST_REASON), at: Some(one_line(&written.at, 40)) }),
            // Released while we looked.
            Err(error) if absent(&error) => None,
            Err(error) => unreadable(by, error.to_string()),
        }
    }

    /// Engages it. `false`: somebody had done so before, and what they said stays.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn engage(&self, reason: &str) -> Result<bool, JournalError> {
        open_to_all(&self.dir)?;
        let path = self.path();
        let partial = self.dir.join(format!(".{NAME}-{}-{}", std::process::id(), clock::mono_ns()));
        let written = Written { lever: FORMAT, reason: one_line(reason, LONGEST_REASON), at: clock::wall() };
        let done = write(&partial, &written).and_then(|()| put(&partial, &path));
        if !matches!(done, Ok(true)) {
            let _ = fs::remove_file(&partial);
        }
        let engaged = done.map_err(|source| JournalError::os("write", &path, source))?;
        // Only its survival of a crash of the machine hangs on this, and it is engaged already.
        let _ = File::open(&self.dir).and_then(|dir| dir.sync_all());
        Ok(engaged)
    }

    /// Releases it. `false`: it was not engaged.
    ///
    /// # Errors
    /// The file cannot be removed: in a sticky directory only its owner, the directory's owner and root may.
    pub fn release(&self) -> Result<bool, JournalError> {
        let path = self.path();
        let removed = fs::remove_file(&path).or_else(|error| match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir(&path),
            _ => Err(error),
        });
        match removed {
            Ok(()) => Ok(true),
            Err(error) if absent(&error) => Ok(false),
            Err(source) => Err(JournalError::os("remove", &path, source)),
        }
    }
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Reads the file without following a link or waiting for a pipe, and no more of it than ours can be.
fn read(path: &Path) -> io::Result<Written> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW).bits();
    let file = OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!("it is longer than {MOST} bytes")));
    }
    let written: Written = serde_json::from_slice(&bytes)?;
    if written.lever != FORMAT {
        return Err(io::Error::other(format!("its format is {}, not {FORMAT}", written.lever)));
    }
    Ok(written)
}

fn write(partial: &Path, written: &Written) -> io::Result<()> {
    // Nobody can have put anything there that we would follow or overwrite.
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o644).open(partial)?;
    // Everybody must be able to read it, whatever our umask.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(&serde_json::to_vec(written)?)?;
    file.sync_all()
}

/// Moves the whole file to its name at once. `false`: the name is taken.
fn put(partial: &Path, path: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    match renameat_with(CWD, partial, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // A file system that cannot refuse: of two who engage it at once, the last is named.
        Err(Errno::INVAL | Errno::NOSYS) if fs::symlink_metadata(path).is_ok() => Ok(false),
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(partial, path).map(|()| true),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lever() -> (tempfile::TempDir, Lever) {
        let dir = tempfile::tempdir().unwrap();
        let lever = Lever::of(&dir.path().join("registry"));
        (dir, lever)
    }

    #[test]
    fn the_first_who_engages_it_is_named_until_it_is_released() {
        let (_dir, lever) = lever();
        assert_eq!(lever.look(), None);
        assert!(!lever.release().unwrap(), "nothing to release");
        assert!(lever.engage("the shop\nis \x1b[31mdown").unwrap());
        assert!(!lever.engage("another reason").unwrap());
        let engaged = lever.look().unwrap();
        assert_eq!(engaged.reason, "the shop is [31mdown");
        assert_eq!(engaged.by, account::who(rustix::process::geteuid().as_raw()));
        assert!(engaged.at.is_some_and(|at| at.starts_with("20")));
        let left: Vec<_> = fs::read_dir(&lever.dir).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, [NAME], "nothing else is left");
        assert_eq!(fs::metadata(lever.path()).unwrap().mode() & 0o777, 0o644);
        assert_eq!(fs::metadata(&lever.dir).unwrap().mode() & 0o7777, 0o1777, "others may engage it as well");
        assert!(lever.release().unwrap());
        assert_eq!(lever.look(), None);
    }

    #[test]
    fn what_cannot_be_read_counts_as_engaged_and_can_be_released() {
        let (_dir, lever) = lever();
        fs::create_dir_all(&lever.dir).unwrap();
        let path = lever.path();
        let garbage: [(&str, &dyn Fn()); 8] = [
            ("empty", &|| fs::write(&path, "").unwrap()),
            ("no text", &|| fs::write(&path, b"\xff\xfe\0").unwrap()),
            ("too long", &|| fs::write(&path, format!(r#"{{"lever":1,"reason":"{}","at":""}}"#, "x".repeat(5000))).unwrap()),
            ("deep", &|| fs::write(&path, "[".repeat(4000)).unwrap()),
            ("newer", &|| fs::write(&path, r#"{"lever":2,"reason":"x","at":"y"}"#).unwrap()),
            ("a directory", &|| fs::create_dir(&path).unwrap()),
            ("a link", &|| std::os::unix::fs::symlink("/etc/passwd", &path).unwrap()),
            ("a pipe", &|| rustix::fs::mkfifoat(CWD, &path, rustix::fs::Mode::RUSR).unwrap()),
        ];
        for (name, make) in garbage {
            make();
            let engaged = lever.look().unwrap_or_else(|| panic!("{name} counts as engaged"));
            assert!(engaged.reason.contains("counts as engaged") && engaged.at.is_none(), "{name}: {engaged:?}");
            assert!(!lever.engage("again").unwrap(), "{name}: engaged already");
            assert!(lever.release().unwrap(), "{name}");
            assert_eq!(lever.look(), None, "{name}");
        }
    }

    #[test]
    fn without_a_registry_it_is_not_engaged() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        for at in ["none", "file", "file/registry"] {
            assert_eq!(Lever::of(&dir.path().join(at)).look(), None, "{at}");
        }
    }
}
