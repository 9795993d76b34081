//! The lock file of a scenario, `NAME.lock.json` beside it: which scenario, vars, policies and targets were looked at by `plan --lock`. While it is
//! there, nothing else is run.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::exit::Exit;
use super::foresee::Foreseen;
use super::load::Loaded;
use super::named;
use super::out::Voice;
use crate::base::{Digest, Id, digest_of};
use crate::plan::Pins;
use crate::policy::Bound;
use crate::sys::clock;

/// What to do when something differs.
pub const HELP: &str = "look at it with `firedrill plan`, and pin it again with `firedrill plan FILE --lock`";
/// More than a lock file ever has.
const LARGEST: u64 = 1024 * 1024;

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    /// Version of this file's format: 1.
    firedrill_lock: u32,
    /// The scenario's name, for people.
    scenario: String,
    /// When, RFC 3339.
    at: String,
    /// What everything was.
    of: Bound,
    /// Of each fault what it hits, by name.
    targets: IndexMap<Id, Vec<String>>,
    /// The digest over all of it.
    digest: Digest,
}

impl Lock {
    fn digest(&self) -> Digest {
        let targets = serde_json::to_string(&self.targets).unwrap_or_default();
        digest_of(format!("{}\n{targets}", self.of.digest()).as_bytes())
    }
}

/// Where the lock file of a scenario is.
pub fn path_of(scenario: &Path) -> PathBuf {
    scenario.with_extension("lock.json")
}

/// Pins what was foreseen. Written whole or not at all.
///
/// # Errors
/// The disk refuses.
pub fn write(path: &Path, loaded: &Loaded, bound: &Bound, foreseen: &[(Id, Foreseen)]) -> std::io::Result<()> {
    let names = |(id, told): &(Id, Foreseen)| {
        let fault = loaded.plan.faults.get(id)?;
        Some((id.clone(), told.names(fault)))
    };
    let mut lock = Lock {
        firedrill_lock: 1,
        scenario: loaded.plan.name.clone(),
        at: clock::wall(),
        of: bound.clone(),
        targets: foreseen.iter().filter_map(names).collect(),
        digest: digest_of(b""),
    };
    lock.digest = lock.digest();
    let text = serde_json::to_string_pretty(&lock).map_err(std::io::Error::from)? + "\n";
    let partial = path.with_extension("json.partial");
    std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path)).inspect_err(|_| {
        // Half a file on a full disk helps nobody.
        let _ = std::fs::remove_file(&partial);
    })
}

fn read(path: &Path) -> Result<Option<Lock>, String> {
    if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let bytes = named::whole(path, LARGEST).map_err(|unread| format!("failed to read {}: {}", path.display(), unread.why))?;
    let lock: Lock = serde_json::from_slice(&bytes).map_err(|error| format!("{} is no lock file: {error}", path.display()))?;
    if lock.firedrill_lock != 1 {
        return Err(format!("{}: its format is version {}, and this firedrill reads version 1", path.display(), lock.firedrill_lock));
    }
    if lock.digest != lock.digest() {
        return Err(format!("{}: its digest is not that of what it lists: it was edited", path.display()));
    }
    Ok(Some(lock))
}

/// What a lock file pins; nothing where there is none.
///
/// # Errors
/// In what way the scenario differs from what was pinned, or why the file cannot be believed.
pub fn compare(path: &Path, loaded: &Loaded, bound: &Bound) -> Result<Option<Pins>, String> {
    let Some(lock) = read(path)? else { return Ok(None) };
    let changes = lock.of.changes(bound);
    if !changes.is_empty() {
        return Err(format!("{} changed since {} was pinned in {}", changes.join(" and "), loaded.plan.name, path.display()));
    }
    Ok(Some(Pins { digest: lock.digest, at: lock.at, targets: lock.targets }))
}

/// Holds a run to its lock file, where there is one.
///
/// # Errors
/// The exit code, after it was said what differs.
pub fn hold(mut loaded: Loaded, bound: &Bound, voice: &Voice) -> Result<Loaded, Exit> {
    let Some(lock) = loaded.file.as_deref().map(path_of) else { return Ok(loaded) };
    match compare(&lock, &loaded, bound) {
        Ok(pins) => {
            loaded.plan.pins = pins;
            Ok(loaded)
        }
        Err(why) => {
            voice.error(&why, Some(HELP));
            Err(Exit::Refused)
        }
    }
}
