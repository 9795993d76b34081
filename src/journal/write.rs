//! Writing a journal. Numbering happens at once, in the caller's order; the disk is waited for by its own thread, so that only an armed undo waits.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

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
    trouble: Arc<Mutex<Option<String>>>,
    /// Lines that were appended and not yet handed to the kernel.
    queue: Arc<AtomicU64>,
    /// Closes when the thread has ended.
    ended: Mutex<Receiver<()>>,
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
                Event::Armed { id, undo, .. } => Ok(Armed::after_fsync(id, *undo)),
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

    /// Goes on with a journal that another process left: cuts off its torn tail. Where the disk refuses to be written, the journal is poisoned from
    /// the start and keeps its lines to itself, so that what is owed can be undone all the same.
    ///
    /// # Errors
    /// The file cannot be opened or cut, for another reason than that its disk is full, broken or read-only.
    pub fn resume(run_dir: &Path, read: &Read, lock: RunLock) -> Result<Journal, JournalError> {
        let path = run_dir.join(FILE);
        let (next, sum) = (read.entries.len() as u64, read.sum.clone());
        let cut = |file: File| if read.torn > 0 { file.set_len(read.good).map(|()| file) } else { Ok(file) };
        match open_end(&path).and_then(cut) {
            Ok(file) => Journal::on(path, file, next, sum, lock),
            Err(error) if refuses(&error) => {
                let writer = Writer::refused(path.clone(), read.good, &error);
                Journal::with(path, writer, next, sum, lock)
            }
            Err(source) => Err(JournalError::os("open", &path, source)),
        }
    }

    fn on(path: PathBuf, file: File, next: u64, sum: String, lock: RunLock) -> Result<Journal, JournalError> {
        let length = file.metadata().map_err(|source| JournalError::os("look at", &path, source))?.len();
        let writer = Writer::of(path.clone(), file, length);
        Journal::with(path, writer, next, sum, lock)
    }

    fn with(path: PathBuf, mut writer: Writer, next: u64, sum: String, lock: RunLock) -> Result<Journal, JournalError> {
        let (lines, waiting) = channel();
        let queue = Arc::new(AtomicU64::new(0));
        let queued = Arc::clone(&queue);
        let (poisoned, trouble) = (Arc::clone(&writer.poisoned), Arc::clone(&writer.trouble));
        let (end, ended) = channel::<()>();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                writer.serve(&waiting, &queued);
                drop((writer, end));
            })
            .map_err(|source| JournalError::os("start the writer of", &path, source))?;
        Ok(Journal { path, next, sum, lines: Some(lines), poisoned, trouble, queue, ended: Mutex::new(ended), lock })
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

    /// What the disk said when it refused.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many entries wait to be written: rises where the disk is slow.
    pub fn queue(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.queue)
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
        let text = line_of(&entry, &mut self.sum);
        if let Some(lines) = &self.lines {
            self.queue.fetch_add(1, Ordering::Relaxed);
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
        // A hung disk must not hang the undo: the thread is left to itself after a while.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(DURABLE_WITHIN.std());
    }
}

/// Replaces a damaged journal by the entries that can still be read, numbered and chained anew. What was there stays as `events.damaged-N.jsonl`;
/// at every moment one of the two stands under the journal's name.
///
/// # Errors
/// The disk refuses.
pub fn rewrite(run_dir: &Path, entries: Vec<Entry>, _lock: &RunLock) -> Result<Read, JournalError> {
    let (path, partial) = (run_dir.join(FILE), run_dir.join(".events.partial"));
    let aside = |n: u32| run_dir.join(format!("events.damaged-{n}.jsonl"));
    let kept = (1..1000).map(aside).find(|path| !path.exists()).unwrap_or_else(|| aside(1000));
    std::fs::copy(&path, &kept).map_err(|source| JournalError::os("copy", &path, source))?;
    let mut read = Read::default();
    let mut text = String::new();
    for (seq, entry) in (0..).zip(entries) {
        let entry = Entry { seq, ..entry };
        text.push_str(&line_of(&entry, &mut read.sum));
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

/// An entry as a line with its checksum, which continues `sum`.
fn line_of(entry: &Entry, sum: &mut String) -> String {
    let body = match serde_json::to_string(entry) {
        Ok(body) => body,
        // Every event is made of strings, numbers and lists; should one ever not serialise, the line says so instead of being lost.
        Err(error) => format!(
            r#"{{"seq":{},"at":{},"event":{{"type":"note","text":"unwritable event: {}"}}}}"#,
            entry.seq,
            entry.at.0,
            error.classify() as u8
        ),
    };
    *sum = line_sum(sum, &body);
    format!("{},\"sum\":\"{sum}\"}}\n", &body[..body.len() - 1])
}

/// Opens a journal to add to it.
fn open_end(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Whether it is the disk that refuses, and not a permission or a path.
pub(super) fn refuses(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// The journal's own thread.
struct Writer {
    path: PathBuf,
    /// None where the disk refused to open it.
    file: Option<File>,
    /// How long it is: nobody else writes it.
    length: u64,
    poisoned: Arc<AtomicBool>,
    trouble: Arc<Mutex<Option<String>>>,
    /// From the first line that was refused on: how long the file was before it, and everything since.
    unwritten: Option<(u64, String)>,
}

impl Writer {
    fn of(path: PathBuf, file: File, length: u64) -> Writer {
        Writer { path, file: Some(file), length, poisoned: Arc::default(), trouble: Arc::default(), unwritten: None }
    }

    /// One that cannot write at all, after `good` bytes.
    fn refused(path: PathBuf, good: u64, why: &std::io::Error) -> Writer {
        Writer {
            path,
            file: None,
            length: good,
            poisoned: Arc::new(AtomicBool::new(true)),
            trouble: Arc::new(Mutex::new(Some(why.to_string()))),
            unwritten: Some((good, String::new())),
        }
    }

    fn serve(&mut self, waiting: &Receiver<Line>, queue: &AtomicU64) {
        while let Ok(line) = waiting.recv() {
            let result = self.write(&line);
            queue.fetch_sub(1, Ordering::Relaxed);
            if let Err(why) = &result {
                self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.clone());
                self.poisoned.store(true, Ordering::SeqCst);
            }
            if let Some(durable) = line.durable {
                let _ = durable.send(result);
            }
        }
        self.make_up_for_it();
        let _ = self.file.as_ref().map(File::sync_data);
    }

    fn write(&mut self, line: &Line) -> Result<(), String> {
        if let Some((_, unwritten)) = &mut self.unwritten {
            unwritten.push_str(&line.text);
            return Err("the disk has refused before".to_owned());
        }
        let Some(file) = &mut self.file else { return Err("the disk has refused before".to_owned()) };
        if let Err(error) = file.write_all(line.text.as_bytes()) {
            self.unwritten = Some((self.length, line.text.clone()));
            return Err(error.to_string());
        }
        self.length += line.text.len() as u64;
        if line.durable.is_some() {
            // The kernel reports a failed write-back once; a later fsync that returns well proves nothing.
            if self.poisoned.load(Ordering::SeqCst) {
                return Err("the disk has refused before".to_owned());
            }
            file.sync_data().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What the disk refused may fit now that the drill is over: nothing was injected since, and what was undone should be known.
    fn make_up_for_it(&mut self) {
        if let Some((good, unwritten)) = self.unwritten.take()
            && let Some(mut file) = self.file.take().or_else(|| open_end(&self.path).ok())
            && file.set_len(good).is_ok()
        {
            let _ = file.write_all(unwritten.as_bytes());
            self.file = Some(file);
        }
    }
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
        rewrite(dir.path(), found, &lock).unwrap();
        assert!(
            dir.path().join("events.damaged-1.jsonl").exists() && dir.path().join("events.damaged-2.jsonl").exists(),
            "nothing is lost"
        );
    }

    #[test]
    fn what_the_disk_refused_is_written_when_there_is_room_again() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &["a"]);
        let path = dir.path().join(FILE);
        let length = std::fs::metadata(&path).unwrap().len();
        let mut writer = Writer::of(path.clone(), open_end(&path).unwrap(), length);
        let mut sum = read(dir.path()).unwrap().sum;
        let lines: Vec<String> = (1..3).map(|seq| line_of(&Entry { seq, at: At(seq), event: note("later") }, &mut sum)).collect();
        // A part of the first line came through before the disk was full.
        writer.file.as_mut().unwrap().write_all(&lines[0].as_bytes()[..9]).unwrap();
        writer.unwritten = Some((length, lines[0].clone()));
        assert!(writer.write(&Line { text: lines[1].clone(), durable: None }).is_err());
        writer.make_up_for_it();
        let found = read(dir.path()).unwrap();
        assert_eq!((found.entries.len(), found.torn), (3, 0));
    }

    #[test]
    fn what_could_not_even_be_opened_is_written_when_it_can() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path(), &["a"]);
        let (path, before) = (dir.path().join(FILE), read(dir.path()).unwrap());
        let error = std::io::Error::from(ErrorKind::ReadOnlyFilesystem);
        assert!(refuses(&error) && !refuses(&ErrorKind::PermissionDenied.into()));
        let writer = Writer::refused(path.clone(), before.good, &error);
        let mut journal = Journal::with(path, writer, 1, before.sum, RunLock::take(dir.path()).unwrap()).unwrap();
        assert!(journal.is_poisoned() && journal.trouble().is_some());
        journal.append(At(1), note("later"));
        drop(journal);
        assert_eq!(read(dir.path()).unwrap().entries[1].event, note("later"));
    }

    #[tokio::test]
    async fn a_full_disk_poisons() {
        let dir = tempfile::tempdir().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut journal = Journal::on(dir.path().join(FILE), full, 0, String::new(), RunLock::take(dir.path()).unwrap()).unwrap();
        let undo = Box::new(crate::event::UndoRecord {
            kind: "k".into(),
            detail: serde_json::Value::Null,
            by_hand: "true".into(),
            declared: None,
        });
        let armed = Event::Armed { id: "x".into(), role: crate::event::Role::Fault, undo, targets: vec![], summary: String::new() };
        let (_, ack) = journal.append_durable(At(0), armed);
        assert!(matches!(ack.durable().await, Err(JournalError::NotDurable { .. })));
        assert!(journal.is_poisoned());
        assert!(journal.trouble().is_some_and(|why| why.contains("No space left")), "{:?}", journal.trouble());
    }
}
