//! Reading a journal: a torn tail is what a crash leaves and is dropped; damage before the tail is an error.

use std::path::Path;

use super::{FILE, JournalError};
use crate::base::line_sum;
use crate::event::Entry;

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
    let entry: Entry = serde_json::from_str(&body).map_err(|error| error.to_string())?;
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
    let bytes = std::fs::read(&path).map_err(|source| JournalError::os("read", &path, source))?;
    let mut out = Read::default();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { break };
        match entry_of(&rest[..end], &out.sum, out.entries.len() as u64) {
            Ok((entry, sum)) => {
                out.entries.push(entry);
                out.sum = sum;
                out.good += end as u64 + 1;
                rest = &rest[end + 1..];
            }
            Err(why) if rest[end + 1..].is_empty() => {
                let _ = why;
                break;
            }
            Err(why) => return Err(JournalError::Damaged { path, line: out.entries.len() + 1, why }),
        }
    }
    out.torn = rest.len() as u64;
    Ok(out)
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
        .filter_map(|(body, _)| serde_json::from_str(&body).ok())
        .collect())
}
