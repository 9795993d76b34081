//! What a node keeps: an append-only file of entries and of its standing (term, whether it leads alone). An entry counts once the kernel has
//! it: that survives the death of the process, not of the machine.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DemoError;

/// Something that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Entry {
    /// A ledger key.
    Ledger(String),
    /// An order's number.
    Order(String),
}

/// What must be remembered over a restart, beside the entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// The latest term that the node knows.
    pub(super) term: u64,
    /// It leads without a peer that has everything, so nobody else can have more.
    pub(super) alone: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Standing(Standing),
    Entry(Entry),
}

/// A node's data.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: File,
    standing: Standing,
    entries: Vec<Entry>,
    keys: HashMap<String, usize>,
}

impl Store {
    /// Opens or creates the data in a directory. A torn last line, left by a SIGKILL, is cut off.
    pub(super) fn open(directory: &Path) -> Result<Store, DemoError> {
        std::fs::create_dir_all(directory).map_err(DemoError::file(directory))?;
        let path = directory.join("ledger.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(DemoError::file(&path))?;
        let text = std::fs::read(&path).map_err(DemoError::file(&path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64).map_err(DemoError::file(&path))?;
        let mut store = Store { path, file, standing: Standing::default(), entries: Vec::new(), keys: HashMap::new() };
        for (number, line) in text[..whole].split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Standing(standing)) => store.standing = standing,
                Ok(Line::Entry(entry)) => store.remember(entry),
                Err(_) => return Err(DemoError::Damaged { path: store.path, line: number + 1 }),
            }
        }
        Ok(store)
    }

    fn remember(&mut self, entry: Entry) {
        if let Entry::Ledger(key) = &entry {
            self.keys.entry(key.clone()).or_insert(self.entries.len());
        }
        self.entries.push(entry);
    }

    fn write(&self, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        (&self.file).write_all(&text)
    }

    /// Keeps entries at the end.
    pub(super) fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        self.write(&entries.iter().cloned().map(Line::Entry).collect::<Vec<_>>())?;
        entries.iter().cloned().for_each(|entry| self.remember(entry));
        Ok(())
    }

    /// Keeps the standing, when it is another one.
    pub(super) fn stand(&mut self, standing: Standing) -> io::Result<()> {
        if standing != self.standing {
            self.write(&[Line::Standing(standing)])?;
            self.standing = standing;
        }
        Ok(())
    }

    /// Forgets all entries, to take a full copy. A new file takes the old one's place in one step, so that a node that dies here never looks
    /// as if it had never been used.
    pub(super) fn reset(&mut self, standing: Standing) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        self.file = OpenOptions::new().create(true).append(true).open(&fresh)?;
        self.file.set_len(0)?;
        self.write(&[Line::Standing(standing)])?;
        std::fs::rename(&fresh, &self.path)?;
        self.standing = standing;
        self.entries.clear();
        self.keys.clear();
        Ok(())
    }

    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Where a ledger key stands.
    pub(super) fn position(&self, key: &str) -> Option<usize> {
        self.keys.get(key).copied()
    }

    /// At most `limit` entries from a position on.
    pub(super) fn from(&self, start: usize, limit: usize) -> &[Entry] {
        let start = start.min(self.entries.len());
        &self.entries[start..self.entries.len().min(start + limit)]
    }

    /// All ledger keys in the order they were written.
    pub(super) fn ledger(&self) -> Vec<&str> {
        let keys = self.entries.iter().filter_map(|entry| match entry {
            Entry::Ledger(key) => Some(key.as_str()),
            Entry::Order(_) => None,
        });
        keys.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(key: &str) -> Entry {
        Entry::Ledger(key.into())
    }

    #[test]
    fn entries_and_standing_survive_a_restart_and_a_torn_tail() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        assert_eq!((store.len(), store.standing()), (0, Standing::default()));
        store.stand(Standing { term: 3, alone: true }).unwrap();
        store.append(&[ledger("k1"), Entry::Order("o1".into())]).unwrap();
        let path = directory.path().join("ledger.jsonl");
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"ledger\":\"k").unwrap();
        let mut again = Store::open(directory.path()).unwrap();
        assert_eq!(again.standing(), Standing { term: 3, alone: true });
        assert_eq!(again.ledger(), ["k1"]);
        assert_eq!(again.len(), 2);
        again.append(&[ledger("k2")]).unwrap();
        assert_eq!(Store::open(directory.path()).unwrap().ledger(), ["k1", "k2"]);
    }

    #[test]
    fn damage_before_the_tail_is_told_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ledger.jsonl"), "{\"ledger\":\"k1\"}\nrubbish\n{\"ledger\":\"k2\"}\n").unwrap();
        assert!(matches!(Store::open(directory.path()), Err(DemoError::Damaged { line: 2, .. })));
    }

    #[test]
    fn a_reset_forgets_entries_but_not_that_it_was_used() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path()).unwrap();
        store.append(&[ledger("old")]).unwrap();
        store.reset(Standing { term: 2, alone: false }).unwrap();
        store.append(&[ledger("new")]).unwrap();
        assert_eq!(store.position("old"), None);
        assert_eq!(store.position("new"), Some(0));
        let again = Store::open(directory.path()).unwrap();
        assert_eq!(again.ledger(), ["new"]);
        assert_eq!(again.standing().term, 2);
    }
}
