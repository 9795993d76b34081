//! Which runs there are on this machine. The machine-wide registry names every run directory, so that what a dead run owes
//! is found from anywhere.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{JournalError, Lever};
use crate::sys::env;

/// The directory of run directories, and that of what they announced.
const RUNS: &str = "runs";
const CLAIMS: &str = "claims";
/// The directory of what listens to people: a directory a run, which everybody may look into.
const PEOPLE: &str = "people";
/// More than a run ever announces.
const LARGEST: u64 = 256 * 1024;

/// What one run says of itself to everybody on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The run.
    pub run: String,
    /// The account whose file it is.
    pub uid: u32,
    /// What it says.
    pub text: String,
}

/// A regular file of bearable size, and no link that somebody may have put in its place.
fn named_file(path: &Path) -> std::io::Result<String> {
    let meta = fs::symlink_metadata(path)?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    fs::read_to_string(path)
}

/// The machine-wide registry: a sticky directory with one small file a run.
#[derive(Debug, Clone)]
pub struct Registry {
    dir: PathBuf,
}

impl Registry {
    /// The registry of this machine: `FIREDRILL_REGISTRY`, else `/var/tmp/firedrill`.
    pub fn here() -> Registry {
        Registry { dir: env::var("FIREDRILL_REGISTRY").map_or_else(|| PathBuf::from("/var/tmp/firedrill"), PathBuf::from) }
    }

    /// A registry at another place.
    pub fn at(dir: PathBuf) -> Registry {
        Registry { dir }
    }

    /// The safety lever of this registry.
    pub fn lever(&self) -> Lever {
        Lever::of(&self.dir)
    }

    /// Names a run directory.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn add(&self, run: &str, run_dir: &Path) -> Result<(), JournalError> {
        let path = self.room(RUNS)?.join(run);
        fs::write(&path, run_dir.display().to_string()).map_err(|source| JournalError::os("write", &path, source))
    }

    /// Forgets a run that owes nothing any more, with everything that it announced.
    pub fn remove(&self, run: &str) {
        let _ = self.withdraw(run);
        self.close_to_people(run);
        let _ = fs::remove_file(self.dir.join(RUNS).join(run));
    }

    /// Whether that run is named.
    pub fn names(&self, run: &str) -> bool {
        self.dir.join(RUNS).join(run).exists()
    }

    /// Lets everybody on the machine read what a run says about itself, in the place of what it said before: the old or the new, never half of it.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn announce(&self, run: &str, text: &str) -> Result<(), JournalError> {
        self.announce_to(run, text, 0o644)
    }

    /// The same for a run whose targets are nobody's business: its own account and root can read it, and everybody else sees that it holds something.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn announce_privately(&self, run: &str, text: &str) -> Result<(), JournalError> {
        self.announce_to(run, text, 0o600)
    }

    fn announce_to(&self, run: &str, text: &str, mode: u32) -> Result<(), JournalError> {
        let room = self.room(CLAIMS)?;
        let (path, partial) = (room.join(run), room.join(format!(".{run}.partial")));
        // Everybody may put a file, or a link to somewhere else, under that name: what is there already is never written to.
        let _ = fs::remove_file(&partial);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            fs::rename(&partial, &path)
        };
        write().map_err(|source| JournalError::os("write", &path, source))
    }

    /// Takes back what a run announced.
    ///
    /// # Errors
    /// The registry cannot be written.
    pub fn withdraw(&self, run: &str) -> Result<(), JournalError> {
        let path = self.dir.join(CLAIMS).join(run);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(JournalError::os("remove", &path, source)),
            _ => Ok(()),
        }
    }

    /// What the runs that are named have announced.
    pub fn announced(&self) -> Vec<Announcement> {
        let one = |(run, _): (String, PathBuf)| {
            let path = self.dir.join(CLAIMS).join(&run);
            let uid = fs::symlink_metadata(&path).ok()?.uid();
            // A name that leads elsewhere, or that cannot be read, announces something all the same.
            let text = named_file(&path).unwrap_or_default();
            Some(Announcement { run, uid, text })
        };
        self.runs().into_iter().filter_map(one).collect()
    }

    /// A directory for the participant socket of a run: everybody may look into it, and only its owner may put something there.
    ///
    /// # Errors
    /// The registry cannot be written, or somebody else was there first.
    pub fn room_for_people(&self, run: &str) -> Result<PathBuf, JournalError> {
        let dir = self.room(PEOPLE)?.join(run);
        let make = || fs::create_dir(&dir).and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)));
        make().map_err(|source| JournalError::os("create", &dir, source))?;
        Ok(dir)
    }

    /// Takes that directory away.
    pub fn close_to_people(&self, run: &str) {
        let dir = self.dir.join(PEOPLE).join(run);
        // What is in it is ours: nobody else may write there.
        if fs::symlink_metadata(&dir).is_ok_and(|meta| meta.is_dir()) {
            let _ = fs::remove_dir_all(&dir);
        }
    }

    /// The runs that listen to people, or did when they died: id and directory.
    pub fn listening(&self) -> Vec<(String, PathBuf)> {
        let entries = fs::read_dir(self.dir.join(PEOPLE)).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
            .collect();
        found.sort();
        found
    }

    /// A directory of the registry, made where it is not there yet.
    fn room(&self, name: &str) -> Result<PathBuf, JournalError> {
        let room = self.dir.join(name);
        for dir in [&self.dir, &room] {
            open_to_all(dir)?;
        }
        Ok(room)
    }

    /// Every run that is named: id and directory. Directories that are gone are left out and forgotten; those that only somebody else may look
    /// into are named.
    pub fn runs(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = fs::read_dir(self.dir.join(RUNS)) else { return Vec::new() };
        let mut found: Vec<(String, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let run = entry.file_name().into_string().ok()?;
                let dir = PathBuf::from(fs::read_to_string(entry.path()).ok()?);
                match fs::metadata(&dir) {
                    Ok(meta) if meta.is_dir() => Some((run, dir)),
                    Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Some((run, dir)),
                    Ok(_) | Err(_) => {
                        self.remove(&run);
                        None
                    }
                }
            })
            .collect();
        found.sort();
        found
    }
}

/// Makes a directory in which every user of the machine may add files and nobody may touch another's.
pub(super) fn open_to_all(dir: &Path) -> Result<(), JournalError> {
    fs::create_dir_all(dir).map_err(|source| JournalError::os("create", dir, source))?;
    // Only the first one may set the mode.
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o1777));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_forgets_what_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry { dir: dir.path().join("r") };
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        registry.add("a", &run).unwrap();
        assert_eq!(registry.runs(), [("a".to_owned(), run.clone())]);
        fs::remove_dir(&run).unwrap();
        assert!(registry.runs().is_empty());
    }

    #[test]
    fn a_link_that_somebody_put_there_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::at(dir.path().join("r"));
        let (victim, run_dir) = (dir.path().join("victim"), dir.path().join("run"));
        fs::write(&victim, "precious").unwrap();
        fs::create_dir(&run_dir).unwrap();
        registry.add("a", &run_dir).unwrap();
        registry.announce("a", "first").unwrap();
        for name in ["a", ".a.partial"] {
            let path = dir.path().join("r/claims").join(name);
            let _ = fs::remove_file(&path);
            std::os::unix::fs::symlink(&victim, &path).unwrap();
            assert_ne!(registry.announced().first().map(|said| said.text.as_str()), Some("precious"), "a link is not read");
            registry.announce("a", "again").unwrap();
            assert_eq!(registry.announced()[0].text, "again");
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }
}
