//! Where a game day's log lies: `.firedrill/gamedays/ID/` beside the runs. One writer, by a lock; each line is on the disk before the day goes on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::calibrate::home_of;
use super::super::named;
use super::super::store::new_id;
use crate::base::one_line;
use crate::gameday::{Happened, Log};
use crate::sys::clock;

/// The file as it was written.
pub const FILE: &str = "gameday.yaml";
const LOG: &str = "log.jsonl";
/// More than a log ever has.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Why a day cannot be held, or told.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// Its directory refuses.
    #[error("failed to write {path}: {source}")]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Its log cannot be read.
    #[error("failed to read {path}: {why}")]
    Read {
        /// The log.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A line of its log does not continue the one before it.
    #[error("{path}: line {line} does not continue the one before it: it was changed")]
    Changed {
        /// The log.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Somebody else holds it.
    #[error("the game day {0} is being held by another process")]
    Held(String),
    /// There is none of this name, or several.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be taken up again.
    #[error("{0}")]
    Over(String),
}

impl DayError {
    /// What to do.
    pub fn help(&self) -> &'static str {
        match self {
            DayError::Write { .. } => "make room, or give a place that may be written with `--runs DIR`",
            DayError::Read { .. } | DayError::Changed { .. } => "the runs of the day are whole for themselves: `firedrill runs`",
            DayError::Held(_) => "`firedrill gameday go` and `no-go` speak to it; it ends with its process",
            DayError::Unknown(_) => "`firedrill gameday run FILE` holds one",
            DayError::Over(_) => "`firedrill gameday report DAY` tells it; without `--resume` a new day begins",
        }
    }
}

/// A day that is being held.
pub struct Open {
    /// Its id.
    pub id: String,
    /// Its directory.
    pub dir: PathBuf,
    /// What has happened.
    pub log: Log,
    file: File,
    /// How many bytes of the file are whole lines.
    written: u64,
    /// Lines that the disk refused, for the next time.
    refused: String,
}

fn home(runs: &Path) -> PathBuf {
    home_of(runs).join("gamedays")
}

/// The directories of every day beside these runs.
pub fn all(runs: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(home(runs)).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.join(LOG).is_file());
    found.sort();
    found
}

/// Makes a new day.
///
/// # Errors
/// Its directory cannot be written; nothing is left of it then.
pub fn create(runs: &Path, text: &[u8]) -> Result<Open, DayError> {
    let id = new_id();
    let dir = home(runs).join(&id);
    let fail = |path: &Path, source: std::io::Error| DayError::Write { path: path.to_owned(), source };
    fs::create_dir_all(home(runs)).map_err(|error| fail(&home(runs), error))?;
    fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|error| fail(&dir, error))?;
    let made = fs::write(dir.join(FILE), text).map_err(|error| fail(&dir.join(FILE), error)).and_then(|()| open(&id, dir.clone()));
    if made.is_err() {
        // Half a day is none that could be told.
        let _ = fs::remove_dir_all(&dir);
    }
    made
}

/// Opens a day that is not being held by anybody else.
///
/// # Errors
/// Somebody holds it, or its log cannot be used.
pub fn open(id: &str, dir: PathBuf) -> Result<Open, DayError> {
    let path = dir.join(LOG);
    let fail = |source: std::io::Error| DayError::Write { path: path.clone(), source };
    let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path).map_err(fail)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| DayError::Held(id.to_owned()))?;
    let log = log(&dir)?;
    // A torn tail would make the next line unreadable.
    let written = log.whole as u64;
    file.set_len(written).map_err(fail)?;
    Ok(Open { id: id.to_owned(), dir, log, file, written, refused: String::new() })
}

/// What a day's log says.
///
/// # Errors
/// It cannot be read, or was changed.
pub fn log(dir: &Path) -> Result<Log, DayError> {
    let path = dir.join(LOG);
    let bytes = named::whole(&path, LARGEST).map_err(|unread| DayError::Read { path: path.clone(), why: unread.why })?;
    Log::parse(&String::from_utf8_lossy(&bytes)).map_err(|line| DayError::Changed { path, line })
}

/// The day of this name: its id, the beginning of its id, `last`, or its directory.
///
/// # Errors
/// There is none, or several.
pub fn find(runs: &Path, name: &str) -> Result<(String, PathBuf), DayError> {
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
        [] if name == "last" => Err(DayError::Unknown(format!("no game day was held under {} yet", home(runs).display()))),
        [] => Err(DayError::Unknown(format!("no game day {} under {}", one_line(name, 80), home(runs).display()))),
        many => {
            let ids: Vec<&str> = many.iter().map(|id| id.as_str()).collect();
            Err(DayError::Unknown(format!("{} game days begin with {}: {}", ids.len(), one_line(name, 80), ids.join(", "))))
        }
    }
}

impl Open {
    /// Writes down what happened. What the disk refuses is kept and written with the next line, so that the log stays whole and nothing is left out
    /// once there is room again.
    ///
    /// # Errors
    /// The disk refuses; the day can go on.
    pub fn note(&mut self, what: Happened) -> Result<(), DayError> {
        self.refused.push_str(&self.log.note(clock::wall(), what));
        let written = self.file.write_all(self.refused.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.written += self.refused.len() as u64;
                self.refused.clear();
                Ok(())
            }
            Err(source) => {
                // Half a line would make the next one unreadable.
                let _ = self.file.set_len(self.written);
                Err(DayError::Write { path: self.dir.join(LOG), source })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_the_disk_refused_is_written_when_there_is_room_again() {
        let home = tempfile::tempdir().unwrap();
        let mut day = create(&home.path().join("runs"), b"gameday: 1").unwrap();
        day.note(Happened::Began { item: 1 }).unwrap();
        // A file that takes nothing, in the place of a disk that is full.
        let whole = std::mem::replace(&mut day.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        for item in 2..4 {
            let refused = day.note(Happened::Began { item }).unwrap_err();
            assert!(refused.to_string().contains("No space left") && refused.help().contains("make room"), "{refused}");
        }
        day.file = whole;
        day.note(Happened::Finished {}).unwrap();
        let lines = log(&day.dir).unwrap().lines;
        assert_eq!(lines.len(), 4);
        assert_eq!(lines, day.log.lines);
        let mut text = String::new();
        File::open(day.dir.join(LOG)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, day.written);
    }
}
