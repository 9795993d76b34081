//! Writing a journal. Numbering happens at once, in the caller's order; the disk is waited for by its own thread, so that only an armed undo waits.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

use super::{Armed, FILE, JournalError, Read, RunLock};
use crate::base::{At, Span, line_sum};
use crate::event::{Entry, Event};

/// How long an armed undo may wait for the disk.
const DURABLE_WITHIN: Span = Span::secs(2);

/// The one writer of a run's journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    next: u64,
    sum: String,
    lines: Option<Sender<Line>>,
    poisoned: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    #[expect(dead_code, reason = "held for as long as we write")]
    lock: RunLock,
}

struct Line {
    text: String,
    durable: Option<oneshot::Sender<Result<(), String>>>,
}

/// Waits for the disk.
#[derive(Debug)]
pub struct Ack {
    entry: Entry,
    answer: oneshot::Receiver<Result<(), String>>,
}

impl Ack {
    /// Waits until the entry is on the disk, at most 2 s, and returns the proof.
    ///
    /// # Errors
    /// The disk refused or took too long.
    pub async fn durable(self) -> Result<Armed, JournalError> {
        let late = |why: &str| JournalError::NotDurable { limit: DURABLE_WITHIN, why: why.to_owned() };
        match tokio::time::timeout(DURABLE_WITHIN.std(), self.answer).await {
            Ok(Ok(Ok(()))) => match self.entry.event {
                Event::Armed { id, undo, .. } => Ok(Armed::after_fsync(id, undo)),
                other => Err(late(&format!("only an armed item is waited for, not {other:?}"))),
            },
            Ok(Ok(Err(why))) => Err(late(&why)),
            Ok(Err(_)) => Err(late("the journal's thread is gone")),
            Err(_) => Err(late("no answer from the disk")),
        }
    }
}

impl Journal {
    /// Starts a new journal; `lock` shows that nobody else writes it.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn create(run_dir: &Path, lock: RunLock) -> Result<Journal, JournalError> {
        let path = run_dir.join(FILE);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| JournalError::os("create", &path, source))?;
        // The name must be as durable as the lines.
        File::open(run_dir).and_then(|dir| dir.sync_all()).map_err(|source| JournalError::os("sync", run_dir, source))?;
        Journal::on(path, file, 0, String::new(), lock)
    }

    /// Goes on with a journal that another process left: cuts off its torn tail.
    ///
    /// # Errors
    /// The file cannot be opened or cut.
    pub fn resume(run_dir: &Path, read: &Read, lock: RunLock) -> Result<Journal, JournalError> {
        let path = run_dir.join(FILE);
        let file = OpenOptions::new().append(true).open(&path).map_err(|source| JournalError::os("open", &path, source))?;
        if read.torn > 0 {
            file.set_len(read.good).map_err(|source| JournalError::os("truncate", &path, source))?;
        }
        Journal::on(path, file, read.entries.len() as u64, read.sum.clone(), lock)
    }

    fn on(path: PathBuf, file: File, next: u64, sum: String, lock: RunLock) -> Result<Journal, JournalError> {
        let (lines, queue) = channel();
        let poisoned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&poisoned);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_all(file, &queue, &flag))
            .map_err(|source| JournalError::os("start the writer of", &path, source))?;
        Ok(Journal { path, next, sum, lines: Some(lines), poisoned, thread: Some(thread), lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of the entry that is appended next.
    pub fn next_seq(&self) -> u64 {
        self.next
    }

    /// Whether the disk has refused: nothing more may be injected.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::SeqCst)
    }

    /// Appends an event; the disk is not waited for.
    pub fn append(&mut self, at: At, event: Event) -> Entry {
        self.put(at, event, None)
    }

    /// Appends an event and hands out what waits for the disk.
    pub fn append_durable(&mut self, at: At, event: Event) -> (Entry, Ack) {
        let (sender, answer) = oneshot::channel();
        let entry = self.put(at, event, Some(sender));
        (entry.clone(), Ack { entry, answer })
    }

    fn put(&mut self, at: At, event: Event, durable: Option<oneshot::Sender<Result<(), String>>>) -> Entry {
        let entry = Entry { seq: self.next, at, event };
        self.next += 1;
        let body = match serde_json::to_string(&entry) {
            Ok(body) => body,
            // Every event is made of strings, numbers and lists; should one ever not serialise, the line says so instead of being lost.
            Err(error) => format!(
                r#"{{"seq":{},"at":{},"event":{{"type":"note","text":"unwritable event: {}"}}}}"#,
                entry.seq,
                at.0,
                error.classify() as u8
            ),
        };
        self.sum = line_sum(&self.sum, &body);
        let text = line_of(&body, &self.sum);
        if let Some(lines) = &self.lines {
            // A dead writer shows as poison and as an ack that never comes.
            if lines.send(Line { text, durable }).is_err() {
                self.poisoned.store(true, Ordering::SeqCst);
            }
        }
        entry
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            // A hung disk must not hang the undo: the thread is left to itself after a while.
            for _ in 0..100 {
                if thread.is_finished() {
                    break;
                }
                std::thread::park_timeout(Span::millis(20).std());
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
    }
}

/// Replaces a damaged journal by the entries that can still be read, numbered and chained anew. What was there stays as `events.damaged.jsonl`; at
/// every moment one of the two stands under the journal's name.
///
/// # Errors
/// The disk refuses.
pub fn rewrite(run_dir: &Path, entries: Vec<Entry>, _lock: &RunLock) -> Result<Read, JournalError> {
    let (path, kept, partial) = (run_dir.join(FILE), run_dir.join("events.damaged.jsonl"), run_dir.join(".events.partial"));
    std::fs::copy(&path, &kept).map_err(|source| JournalError::os("copy", &path, source))?;
    let mut read = Read::default();
    let mut text = String::new();
    for (seq, entry) in (0..).zip(entries) {
        let entry = Entry { seq, ..entry };
        let body = serde_json::to_string(&entry).map_err(|source| JournalError::os("write", &path, source.into()))?;
        read.sum = line_sum(&read.sum, &body);
        text.push_str(&line_of(&body, &read.sum));
        read.entries.push(entry);
    }
    read.good = text.len() as u64;
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        File::open(&kept)?.sync_all()?;
        std::fs::rename(&partial, &path)?;
        File::open(run_dir)?.sync_all()
    };
    write().map_err(|source| JournalError::os("write", &path, source))?;
    Ok(read)
}

fn line_of(body: &str, sum: &str) -> String {
    format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1])
}

fn write_all(mut file: File, queue: &Receiver<Line>, poisoned: &AtomicBool) {
    while let Ok(line) = queue.recv() {
        let mut result = if poisoned.load(Ordering::SeqCst) {
            Err("the disk has refused before".to_owned())
        } else {
            file.write_all(line.text.as_bytes()).map_err(|error| error.to_string())
        };
        if result.is_ok() && line.durable.is_some() {
            result = file.sync_data().map_err(|error| error.to_string());
        }
        if result.is_err() {
            poisoned.store(true, Ordering::SeqCst);
        }
        if let Some(durable) = line.durable {
            let _ = durable.send(result);
        }
    }
    let _ = file.sync_data();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{read, salvage};

    fn note(text: &str) -> Event {
        Event::Note { text: text.into() }
    }

    fn written(dir: &Path, notes: &[&str]) {
        let mut journal = Journal::create(dir, RunLock::take(dir).unwrap()).unwrap();
        for (n, text) in notes.iter().enumerate() {
            journal.append(At(n as u64), note(text));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &["a", "b\nc", "ä"]);
        let found = read(dir.path()).unwrap();
        assert_eq!(found.entries.len(), 3);
        assert_eq!(found.entries[1].event, note("b\nc"));
        assert_eq!(found.torn, 0);
    }

    #[test]
    fn every_cut_leaves_whole_entries_and_can_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &["a", "b", "c"]);
        let bytes = std::fs::read(dir.path().join(FILE)).unwrap();
        for cut in 0..=bytes.len() {
            std::fs::write(dir.path().join(FILE), &bytes[..cut]).unwrap();
            let found = read(dir.path()).unwrap();
            assert_eq!(found.good + found.torn, cut as u64);
            let mut journal = Journal::resume(dir.path(), &found, RunLock::take(dir.path()).unwrap()).unwrap();
            journal.append(At(9), note("next"));
            drop(journal);
            let again = read(dir.path()).unwrap();
            assert_eq!(again.entries.len(), found.entries.len() + 1, "cut at {cut}");
            assert_eq!(again.torn, 0);
        }
    }

    #[test]
    fn damage_before_the_tail_is_named_and_can_be_salvaged() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &["a", "b", "c"]);
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap().replace("\"b\"", "\"x\"");
        std::fs::write(dir.path().join(FILE), text).unwrap();
        assert!(matches!(read(dir.path()), Err(JournalError::Damaged { line: 2, .. })));
        let found = salvage(dir.path()).unwrap();
        assert_eq!(found.len(), 3);
        let lock = RunLock::take(dir.path()).unwrap();
        let anew = rewrite(dir.path(), found[1..].to_vec(), &lock).unwrap();
        assert_eq!(anew, read(dir.path()).unwrap());
        assert_eq!(anew.entries.iter().map(|e| (e.seq, e.at)).collect::<Vec<_>>(), [(0, At(1)), (1, At(2))]);
        assert_eq!(salvage(dir.path()).unwrap().len(), 2);
        assert!(dir.path().join("events.damaged.jsonl").exists());
    }

    #[tokio::test]
    async fn a_full_disk_poisons() {
        let dir = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut journal = Journal::on(dir.path().join(FILE), full, 0, String::new(), RunLock::take(dir.path()).unwrap()).unwrap();
        let undo = crate::event::UndoRecord { kind: "k".into(), detail: serde_json::Value::Null, by_hand: "true".into(), declared: None };
        let armed = Event::Armed { id: "x".into(), role: crate::event::Role::Fault, undo, targets: vec![], summary: String::new() };
        let (_, ack) = journal.append_durable(At(0), armed);
        assert!(matches!(ack.durable().await, Err(JournalError::NotDurable { .. })));
        assert!(journal.is_poisoned());
    }
}
