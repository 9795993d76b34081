//! Reading a journal: a torn tail is what a crash leaves and is dropped; damage before the tail is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use super::{FILE, JournalError};
use crate::base::line_sum;
use crate::event::{Entry, Event, Outcome, Words};

/// A journal as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Read {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Bytes of the file up to the end of the last good line.
    pub good: u64,
    /// Bytes of a torn last line.
    pub torn: u64,
    /// Checksum of the last good line: the next line continues it.
    pub sum: String,
}

/// Splits a line into body and checksum.
fn split(line: &str) -> Option<(String, &str)> {
    let cut = line.len().checked_sub(r#","sum":"0123456789abcdef"}"#.len())?;
    let (body, tail) = (line.get(..cut)?, line.get(cut..)?);
    let sum = tail.strip_prefix(r#","sum":""#)?.strip_suffix(r#""}"#)?;
    Some((format!("{body}}}"), sum))
}

/// One line, checked against the checksum before it.
fn entry_of(line: &[u8], previous: &str, seq: u64) -> Result<(Entry, String), String> {
    let text = std::str::from_utf8(line).map_err(|_| "not text".to_owned())?;
    let (body, sum) = split(text).ok_or("no checksum")?;
    if line_sum(previous, &body) != sum {
        return Err("wrong checksum".into());
    }
    let entry = Entry::parse(&body).map_err(|error| error.to_string())?;
    if entry.seq != seq {
        return Err(format!("entry {} where {seq} belongs", entry.seq));
    }
    Ok((entry, sum.to_owned()))
}

/// Reads the journal of a run directory.
///
/// # Errors
/// The file cannot be read, or a line before the last is damaged.
pub fn read(run_dir: &Path) -> Result<Read, JournalError> {
    let path = run_dir.join(FILE);
    let file = File::open(&path).map_err(|source| JournalError::os("read", &path, source))?;
    // Line by line: a day of a fast probe is some hundred megabytes.
    read_from(BufReader::new(file), &path)
}

/// Reads a journal that is not in a run directory; `path` is its name for people.
///
/// # Errors
/// It cannot be read, or a line before the last is damaged.
pub fn read_from(mut file: impl BufRead, path: &Path) -> Result<Read, JournalError> {
    let os = |source| JournalError::os("read", path, source);
    let mut out = Read::default();
    let mut line = Vec::new();
    let mut words = Words::default();
    loop {
        line.clear();
        let length = file.read_until(b'\n', &mut line).map_err(os)? as u64;
        if length == 0 {
            return Ok(out);
        }
        let whole = line.pop_if(|byte| *byte == b'\n').is_some();
        match entry_of(&line, &out.sum, out.entries.len() as u64) {
            Ok((mut entry, sum)) if whole => {
                words.share(&mut entry.event);
                if let Event::Samples { rows, .. } = &mut entry.event {
                    // Of a day with hundreds of thousands, what a list has kept free counts.
                    rows.shrink_to_fit();
                }
                out.entries.push(entry);
                out.sum = sum;
                out.good += length;
            }
            Err(why) if whole && !file.fill_buf().map_err(os)?.is_empty() => {
                return Err(JournalError::Damaged { path: path.to_owned(), line: out.entries.len() + 1, why });
            }
            Ok(_) | Err(_) => {
                out.torn = length;
                return Ok(out);
            }
        }
    }
}

/// How many bytes the journal of a run directory has.
///
/// # Errors
/// The file cannot be looked at.
pub fn length(run_dir: &Path) -> Result<u64, JournalError> {
    let path = run_dir.join(FILE);
    std::fs::metadata(&path).map(|meta| meta.len()).map_err(|source| JournalError::os("look at", &path, source))
}

/// Whether the last line says that the run ended with everything undone: a quick look at the end of the file. False when in doubt.
pub fn ended_well(run_dir: &Path) -> bool {
    tail(&run_dir.join(FILE)).is_some_and(|tail| {
        let Some(line) = tail.strip_suffix('\n').and_then(|tail| tail.rsplit('\n').next()) else { return false };
        let entry = split(line).and_then(|(body, _)| Entry::parse(&body).ok());
        matches!(entry, Some(Entry { event: Event::RunFinished { outcome }, .. }) if outcome != Outcome::Stuck)
    })
}

/// The end of a file as text.
fn tail(path: &Path) -> Option<String> {
    const ENOUGH: u64 = 1024;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH))).ok()?;
    let mut bytes = Vec::new();
    file.take(ENOUGH).read_to_end(&mut bytes).ok()?;
    // What is cut off at the front may be half a character; the last line is whole, or in doubt.
    let cut = length > ENOUGH;
    let start = bytes.iter().position(|byte| *byte == b'\n').filter(|_| cut).map_or(0, |at| at + 1);
    String::from_utf8(bytes.split_off(start)).ok()
}

/// Reads whatever can still be read, line by line, without trusting order or checksums: for undoing after damage, where a doubtful undo is better
/// than none. Entries keep their own numbers.
///
/// # Errors
/// The file cannot be read at all.
pub fn salvage(run_dir: &Path) -> Result<Vec<Entry>, JournalError> {
    let path = run_dir.join(FILE);
    let bytes = std::fs::read(&path).map_err(|source| JournalError::os("read", &path, source))?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter_map(|line| split(line))
        .filter_map(|(body, _)| Entry::parse(&body).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::At;
    use crate::journal::{Journal, RunLock};

    fn journal(events: Vec<Event>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), RunLock::take(dir.path()).unwrap()).unwrap();
        for (n, event) in events.into_iter().enumerate() {
            journal.append(At(n as u64), event);
        }
        dir
    }

    #[test]
    fn only_a_last_line_that_says_so_ends_a_run_well() {
        let note = |length: usize| Event::Note { text: "ä".repeat(length) };
        let end = |outcome| Event::RunFinished { outcome };
        let well = |events| ended_well(journal(events).path());
        assert!(well(vec![end(Outcome::Completed)]));
        assert!(well(vec![note(2_000), end(Outcome::Aborted)]));
        assert!(well(vec![note(499), note(9), end(Outcome::NotSteady)]));
        assert!(!well(vec![note(3), end(Outcome::Stuck)]));
        assert!(!well(vec![end(Outcome::Completed), note(3)]));
        assert!(!well(vec![end(Outcome::Completed), note(3_000)]));
        assert!(!well(Vec::new()));
        let torn = journal(vec![note(3), end(Outcome::Completed)]);
        let file = torn.path().join(FILE);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert!(!ended_well(torn.path()));
        std::fs::remove_file(&file).unwrap();
        assert!(!ended_well(torn.path()));
    }
}
