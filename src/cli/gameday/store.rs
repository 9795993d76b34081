//! Where a game day's log lies: `.firedrill/gamedays/ID/` beside the runs. One writer, by a lock; each line is on the disk before the day goes on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::calibrate::home_of;
use super::super::named;
use super::super::store::new_id;
use crate::gameday::{Happened, Log};
use crate::sys::clock;

/// The file as it was written.
pub const FILE: &str = "gameday.yaml";
const LOG: &str = "log.jsonl";
/// More than a log ever has.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A day that is being held.
pub struct Open {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What has happened.
    pub log: Log,
    file: File,
}

fn home(runs: &Path) -> PathBuf {
    home_of(runs).join("gamedays")
}

/// Makes a new day.
pub fn create(runs: &Path, text: &[u8]) -> Result<Open, String> {
    let id = new_id();
    let dir = home(runs).join(&id);
    let fail = |what: &Path, error: std::io::Error| format!("failed to write {}: {error}", what.display());
    fs::create_dir_all(home(runs)).map_err(|error| fail(&home(runs), error))?;
    fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|error| fail(&dir, error))?;
    fs::write(dir.join(FILE), text).map_err(|error| fail(&dir.join(FILE), error))?;
    open(&id, dir)
}

/// Opens a day that is not being held by anybody else.
pub fn open(id: &str, dir: PathBuf) -> Result<Open, String> {
    let path = dir.join(LOG);
    let fail = |error: std::io::Error| format!("failed to open {}: {error}", path.display());
    let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path).map_err(fail)?;
    let taken = |_| format!("the game day {id} is being held by another process");
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(taken)?;
    let log = log(&dir)?;
    // A torn tail would make the next line unreadable.
    file.set_len(log.whole as u64).map_err(fail)?;
    Ok(Open { id: id.to_owned(), dir, log, file })
}

/// What a day's log says.
pub fn log(dir: &Path) -> Result<Log, String> {
    let path = dir.join(LOG);
    let bytes = named::whole(&path, LARGEST).map_err(|unread| format!("failed to read {}: {}", path.display(), unread.why))?;
    let text = String::from_utf8_lossy(&bytes);
    Log::parse(&text).map_err(|line| format!("{}: line {line} does not continue the one before it: it was changed", path.display()))
}

/// The day of this name: its id, the beginning of its id, `last`, or its directory.
pub fn find(runs: &Path, name: &str) -> Result<(String, PathBuf), String> {
    let as_path = Path::new(name);
    if as_path.join(LOG).is_file() {
        let id = as_path.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
        return Ok((id, as_path.to_owned()));
    }
    let mut all: Vec<String> =
        fs::read_dir(home(runs)).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    all.sort();
    let found: Vec<&String> = if name == "last" {
        all.last().into_iter().collect()
    } else {
        all.iter().filter(|id| id.starts_with(&name.to_ascii_uppercase())).collect()
    };
    match found.as_slice() {
        [one] => Ok(((*one).clone(), home(runs).join(one))),
        [] => Err(format!("no game day {} under {}", crate::base::one_line(name, 80), home(runs).display())),
        many => {
            Err(format!("{} game days begin with {name}: {}", many.len(), many.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ")))
        }
    }
}

impl Open {
    /// Writes down what happened; the day goes on even if the disk refuses, and that is said.
    pub fn note(&mut self, what: Happened) -> Result<(), String> {
        let line = self.log.note(clock::wall(), what);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| format!("failed to write {}: {error}", self.dir.join(LOG).display()))
    }
}
