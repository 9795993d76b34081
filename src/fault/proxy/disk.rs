//! What the data plane does on the disk, on a thread of its own: a disk that hangs must not stop what is forwarded, nor keep a fault.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::oneshot;

use crate::base::Span;

/// How long an answer of the disk is waited for.
const LIMIT: Span = Span::secs(2);

enum Work {
    Mark(PathBuf, String, oneshot::Sender<io::Result<()>>),
    Unmark(PathBuf),
    Say(String),
    Done(oneshot::Sender<()>),
}

/// The way to the thread; whoever asks for nothing back does not wait.
#[derive(Debug, Clone)]
pub struct Disk(Sender<Work>);

impl Disk {
    /// Starts the thread.
    ///
    /// # Errors
    /// The machine has no threads left.
    pub fn start() -> io::Result<Disk> {
        let (work, queue) = channel();
        std::thread::Builder::new().name("disk".into()).spawn(move || serve(&queue))?;
        Ok(Disk(work))
    }

    fn put(&self, work: Work) {
        // The thread lives as long as somebody holds its queue.
        let _ = self.0.send(work);
    }

    /// Writes a file and waits for it.
    ///
    /// # Errors
    /// The disk refuses, or does not answer.
    pub async fn mark(&self, file: PathBuf, text: String) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let name = file.display().to_string();
        self.put(Work::Mark(file, text, done));
        match tokio::time::timeout(LIMIT.std(), answer).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(format!("{name}: {error}")),
            Ok(Err(_)) | Err(_) => Err(format!("{name}: the disk did not answer within {}", LIMIT.human())),
        }
    }

    /// Removes a file.
    pub fn unmark(&self, file: PathBuf) {
        self.put(Work::Unmark(file));
    }

    /// Writes a line into the log of the proxy, which is its standard error.
    pub fn say(&self, line: &str) {
        self.put(Work::Say(line.to_owned()));
    }

    /// Waits until everything before is done, but not for ever.
    pub async fn settle(&self) {
        let (done, answer) = oneshot::channel();
        self.put(Work::Done(done));
        let _ = tokio::time::timeout(LIMIT.std(), answer).await;
    }
}

fn serve(queue: &Receiver<Work>) {
    while let Ok(work) = queue.recv() {
        match work {
            Work::Mark(file, text, done) => {
                let written = std::fs::write(&file, text);
                if let Err(Ok(())) = done.send(written) {
                    // Whoever asked has given up, and told that it is not there.
                    let _ = std::fs::remove_file(&file);
                }
            }
            Work::Unmark(file) => drop(std::fs::remove_file(file)),
            Work::Say(line) => drop(writeln!(io::stderr(), "{line}")),
            Work::Done(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_come_and_go_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::start().unwrap();
        let file = dir.path().join("a");
        disk.mark(file.clone(), "x".into()).await.unwrap();
        assert!(file.exists());
        disk.unmark(file.clone());
        disk.settle().await;
        assert!(!file.exists());
        let refused = disk.mark(dir.path().join("no/such"), String::new()).await.unwrap_err();
        assert!(refused.contains("no/such: No such file"), "{refused}");
    }
}
