//! `actions.jsonl` beside the runs: what people said and did about actions, one line each, chained by checksums, only ever added to. A torn last line is
//! dropped; whatever else is wrong is named and nothing is written.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{About, Change, Record};
use crate::base::{Span, line_sum};
use crate::sys::clock;

/// The file's name beside the runs.
pub const FILE: &str = "actions.jsonl";
const LOCK: &str = "actions.lock";
/// Version of its lines.
const VERSION: u32 = 1;
/// How long another process may write before it is said.
const PATIENCE: Span = Span::secs(10);
/// Largest that is read: a plan of a hundred thousand changes is none.
const LARGEST: u64 = 64 << 20;

/// What can be wrong: reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ActionsError {
    /// A line does not continue the one before.
    #[error("read {path}: line {line} was changed, or is none of firedrill's; the lines before it are whole", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Written by a later version.
    #[error("read {path}: line {line} has format {found}; this version of firedrill reads {VERSION}", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What it says.
        found: u64,
    },
    /// Another process has it for too long.
    #[error("write {path}: another process has been writing it for more than 10 s", path = .0.display())]
    Busy(PathBuf),
    /// The disk, or who may use it.
    #[error("{doing} {path}: {source}", path = path.display())]
    Os {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What was said.
        source: std::io::Error,
    },
}

/// The file, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// Every whole line.
    pub records: Vec<Record>,
    /// Bytes of a torn last line.
    pub torn: u64,
    sum: String,
    whole: u64,
}

impl Log {
    /// Reads the text of a file.
    fn parse(path: &Path, text: &[u8]) -> Result<Log, ActionsError> {
        let mut log = Log::default();
        for (line, bytes) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
            if !bytes.ends_with(b"\n") {
                // Only a write that was cut off leaves a line without its end.
                log.torn = bytes.len() as u64;
                break;
            }
            let damaged = || ActionsError::Damaged { path: path.to_owned(), line };
            let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
            let (body, sum) = text.trim_end().strip_suffix("\"}").and_then(|rest| rest.rsplit_once(",\"sum\":\"")).ok_or_else(damaged)?;
            let body = format!("{body}}}");
            if line_sum(&log.sum, &body) != sum {
                return Err(damaged());
            }
            let version: Option<u64> = serde_json::from_str::<serde_json::Value>(&body).ok().and_then(|value| value.get("v")?.as_u64());
            if let Some(found) = version.filter(|found| *found != u64::from(VERSION)) {
                return Err(ActionsError::Version { path: path.to_owned(), line, found });
            }
            let record: Record = serde_json::from_str(&body).map_err(|_| damaged())?;
            if record.seq != log.records.len() as u64 {
                return Err(damaged());
            }
            log.records.push(record);
            log.sum = sum.to_owned();
            log.whole += bytes.len() as u64;
        }
        Ok(log)
    }

    fn line(&mut self, wall: &str, about: &About, change: Change) -> Result<String, serde_json::Error> {
        let record = Record { v: VERSION, seq: self.records.len() as u64, wall: wall.to_owned(), about: about.clone(), change };
        let body = serde_json::to_string(&record)?;
        self.sum = line_sum(&self.sum, &body);
        self.records.push(record);
        Ok(format!("{},\"sum\":\"{}\"}}\n", body.strip_suffix('}').unwrap_or(&body), self.sum))
    }
}

fn os(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> ActionsError {
    let path = path.to_owned();
    move |source| ActionsError::Os { doing, path: path.clone(), source }
}

/// Reads the file of a directory; nothing where there is none.
///
/// # Errors
/// See [`ActionsError`].
pub fn read(home: &Path) -> Result<Log, ActionsError> {
    let path = home.join(FILE);
    match File::open(&path) {
        Ok(file) => read_from(&path, &file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Log::default()),
        Err(error) => Err(os("read", &path)(error)),
    }
}

fn read_from(path: &Path, file: &File) -> Result<Log, ActionsError> {
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text).map_err(os("read", path))?;
    if text.len() as u64 > LARGEST {
        return Err(os("read", path)(std::io::Error::other("it is larger than 64 MiB")));
    }
    Log::parse(path, &text)
}

/// Adds what somebody did. One writer at a time; durable when this returns, and unchanged when it fails.
///
/// # Errors
/// See [`ActionsError`].
pub fn append(home: &Path, about: &About, change: Change) -> Result<(), ActionsError> {
    let path = home.join(FILE);
    let _lock = lock(home, &path)?;
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(os("write", &path))?;
    let mut log = read_from(&path, &file)?;
    let whole = log.whole;
    let line = log.line(&clock::wall(), about, change).map_err(|error| os("write", &path)(error.into()))?;
    let write = |file: &mut File| {
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    write(&mut file).map_err(|error| {
        // Half a line on a full disk would be dropped as torn in any case.
        let _ = file.set_len(whole);
        os("write", &path)(error)
    })
}

/// Held until dropped.
fn lock(home: &Path, path: &Path) -> Result<File, ActionsError> {
    let lock = home.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock).map_err(os("write", &lock))?;
    let end = clock::mono_ns() + PATIENCE.0;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if clock::mono_ns() < end => clock::block(Span::millis(10)),
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(ActionsError::Busy(path.to_owned())),
            Err(errno) => return Err(os("lock", &lock)(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, name};
    use super::*;

    fn about(n: u32) -> About {
        About {
            id: name(Source::Finding, &[&n.to_string()]),
            source: Source::Finding,
            scenario: "s".into(),
            practice: Some("REL11-BP02".into()),
            subject: "checkout".into(),
            title: "late, \"sum\":\"x".into(),
        }
    }

    fn noted(n: u32) -> Change {
        Change::Noted { text: format!("n{n}") }
    }

    #[test]
    fn a_torn_tail_is_dropped_at_every_byte_and_any_other_change_is_named() {
        let dir = tempfile::tempdir().unwrap();
        (0..3).for_each(|n| append(dir.path(), &about(n), noted(n)).unwrap());
        let path = dir.path().join(FILE);
        let text = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        for cut in 0..text.len() {
            std::fs::write(&path, &text[..cut]).unwrap();
            assert_eq!(read(dir.path()).unwrap().records.len(), ends.iter().filter(|end| **end <= cut).count(), "{cut}");
        }
        append(dir.path(), &about(9), noted(9)).unwrap();
        let log = read(dir.path()).unwrap();
        assert_eq!((log.records.len(), log.torn), (3, 0), "what was torn makes room");
        for at in 0..text.len() - 1 {
            let mut harmed = text.clone();
            harmed[at] = if harmed[at] == b'\n' { b' ' } else { harmed[at] ^ 1 };
            std::fs::write(&path, &harmed).unwrap();
            assert!(matches!(read(dir.path()), Err(ActionsError::Damaged { .. })), "{at}");
            assert!(append(dir.path(), &about(1), noted(1)).is_err());
            assert_eq!(std::fs::read(&path).unwrap(), harmed, "nothing is written over what is damaged");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        let body = r#"{"v":7,"anything":true}"#;
        let line = format!("{},\"sum\":\"{}\"}}\n", &body[..body.len() - 1], line_sum("", body));
        std::fs::write(dir.path().join(FILE), line).unwrap();
        assert!(matches!(read(dir.path()), Err(ActionsError::Version { found: 7, line: 1, .. })));
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for who in 0..4 {
                let home = dir.path();
                scope.spawn(move || (0..10).for_each(|n| append(home, &about(who), noted(n)).unwrap()));
            }
        });
        assert_eq!(read(dir.path()).unwrap().records.len(), 40);
    }
}
