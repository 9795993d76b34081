//! Metrics of runs: served while a drill goes on, left as a file when it is over, printed of one that was recorded. A drill never waits for a reader.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::args::{Metrics, MetricsTo};
use super::exit::Exit;
use super::out::{Voice, print, say};
use super::past::{self, Past};
use crate::base::Span;
use crate::event::Entry;
use crate::measure::facts::Facts;
use crate::plan::Plan;
use crate::score::{Score, score};
use crate::sys::clock;
use crate::sys::scrape::{Page, Served};
use crate::telemetry::{MEDIA_TYPE, Options, Telemetry};

/// Where a scraper looks.
const PATH: &str = "/metrics";
/// The text is made anew at most so often, however many readers come.
const FRESH: Span = Span::millis(100);
/// Sending the last text may take so long.
const LAST: Span = Span::millis(500);

/// `firedrill metrics RUN`.
pub fn metrics(args: &Metrics, voice: Voice) -> Exit {
    let Past { plan, entries, .. } = match past::read(&args.runs.dir, &args.run, voice) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let facts = crate::measure::facts(&plan, &entries);
    let score = score(&plan, &facts);
    print(&Telemetry::of(Arc::new(plan), &entries, facts, score, Options { hide: args.hide }).text(None));
    Exit::Ok
}

/// What is told of one run, and whoever reads it.
struct Shared {
    telemetry: Mutex<Telemetry>,
    /// Entries that wait for the disk.
    queue: Mutex<Option<Arc<AtomicU64>>>,
    /// The last text, and when it was made.
    last: Mutex<Option<(u64, String)>>,
    judged: AtomicBool,
    /// The judged state was read.
    read: Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked has left numbers that are at worst old.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn text(&self) -> String {
        let mut last = locked(&self.last);
        let now = clock::mono_ns();
        let judged = self.judged.load(Ordering::SeqCst);
        match &*last {
            Some((made, text)) if now < made + FRESH.0 && !judged => text.clone(),
            _ => {
                let queue = locked(&self.queue).as_ref().map(|queue| queue.load(Ordering::Relaxed));
                let text = locked(&self.telemetry).text(queue.filter(|_| !judged));
                *last = Some((now, text.clone()));
                text
            }
        }
    }

    /// The same for a reader.
    fn page(&self) -> String {
        let judged = self.judged.load(Ordering::SeqCst);
        let text = self.text();
        if judged {
            self.read.notify_one();
        }
        text
    }
}

/// The metrics of a run that is about to begin, goes on or has just ended. Nothing where nobody asked for any.
#[derive(Clone, Default)]
pub struct Meters {
    shared: Option<Arc<Shared>>,
    served: Option<Arc<Served>>,
    hold: Span,
    textfile: Option<PathBuf>,
}

impl Meters {
    /// Takes the address and looks at the directory, before anything is touched.
    ///
    /// # Errors
    /// How to exit; why was said.
    pub fn open(to: &MetricsTo, plan: &Plan, work: &Handle, voice: Voice) -> Result<Meters, Exit> {
        if to.at.is_none() && to.textfile.is_none() {
            return Ok(Meters::default());
        }
        if let Some(dir) = &to.textfile
            && !dir.is_dir()
        {
            voice.error(
                &format!("--metrics-textfile {}: there is no such directory", dir.display()),
                Some("make it, or name the directory that node_exporter was started with (--collector.textfile.directory)"),
            );
            return Err(Exit::CouldNotStart);
        }
        let telemetry = Telemetry::new(Arc::new(plan.clone()), Options { hide: plan.is_blind() });
        let shared = Arc::new(Shared {
            telemetry: Mutex::new(telemetry),
            queue: Mutex::default(),
            last: Mutex::default(),
            judged: AtomicBool::new(false),
            read: Notify::new(),
        });
        let mut meters =
            Meters { shared: Some(Arc::clone(&shared)), served: None, hold: to.hold.unwrap_or(Span::ZERO), textfile: to.textfile.clone() };
        if let Some(address) = to.at {
            if !address.ip().is_loopback() && !to.public {
                voice.error(
                    &format!("--metrics {address}: other machines could read these metrics, and with them what is drilled and when"),
                    Some("use a loopback address, for example 127.0.0.1:9464, or add --metrics-public"),
                );
                return Err(Exit::Usage);
            }
            let page: Page = Arc::new(move || shared.page());
            match work.block_on(Served::open(address, PATH, MEDIA_TYPE, page)) {
                Ok(served) => {
                    say(&format!("  metrics  http://{}{PATH}", served.address()));
                    meters.served = Some(Arc::new(served));
                }
                Err(error) => {
                    voice.error(&format!("--metrics {address}: failed to listen: {error}"), Some("take another port; 0 takes a free one"));
                    return Err(Exit::CouldNotStart);
                }
            }
        }
        Ok(meters)
    }

    /// Entries that wait for the disk are counted there.
    pub fn queue(&self, queue: Arc<AtomicU64>) {
        if let Some(shared) = &self.shared {
            *locked(&shared.queue) = Some(queue);
        }
    }

    /// Something happened.
    pub fn entry(&self, entry: &Entry) {
        if let Some(shared) = &self.shared {
            locked(&shared.telemetry).entry(entry);
        }
    }

    /// The run was judged.
    pub fn judged(&self, facts: &Facts, score: &Score) {
        if let Some(shared) = &self.shared {
            locked(&shared.telemetry).judged(facts.clone(), score.clone());
            shared.judged.store(true, Ordering::SeqCst);
        }
    }

    /// Leaves the file, and waits until the judged state was read, or the time for that is over, or somebody wants us to end.
    pub async fn close(self, voice: Voice) {
        let Some(shared) = &self.shared else { return };
        if let Some(dir) = &self.textfile {
            // Each in a statement of its own: both lock the same.
            let path = dir.join(file_name(locked(&shared.telemetry).scenario()));
            let text = shared.text();
            let target = path.clone();
            // A disk that hangs is not waited for.
            let written = tokio::task::spawn_blocking(move || write(&target, &text));
            let written = tokio::time::timeout(Span::secs(10).std(), written).await;
            let why = match written {
                Ok(Ok(Ok(()))) => None,
                Ok(Ok(Err(error))) => Some(error.to_string()),
                Ok(Err(_)) | Err(_) => Some("the disk did not answer within 10 s".to_owned()),
            };
            if let Some(why) = why {
                voice.warn(&format!("failed to write the metrics into {}: {why}", path.display()));
            }
        }
        if self.served.is_some() && self.hold > Span::ZERO {
            let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else { return };
            tokio::select! {
                () = shared.read.notified() => {
                    // The answer is still to be sent.
                    clock::sleep(LAST).await;
                }
                () = clock::sleep(self.hold) => voice.warn(&format!("nobody read the judged metrics within {}", self.hold.human())),
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    }
}

/// One file a scenario: the next run takes the place of the last, and the directory does not grow.
fn file_name(scenario: &str) -> String {
    let plain: String = scenario.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect();
    format!("firedrill_{plain}.prom")
}

/// Never half a file: node_exporter may look at any moment, and belongs to another account.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Only names that end in .prom are read.
    let partial = path.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    let written = fs::write(&partial, text)
        .and_then(|()| fs::set_permissions(&partial, fs::Permissions::from_mode(0o644)))
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_cannot_name_another_file() {
        assert_eq!(file_name("demo"), "firedrill_demo.prom");
        assert_eq!(file_name("../../etc/x y"), "firedrill_______etc_x_y.prom");
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("firedrill_x.prom");
        write(&path, "a 1\n").unwrap();
        write(&path, "a 2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a 2\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(write(&dir.path().join("none/firedrill_x.prom"), "a 1\n").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half-written stays");
    }
}
