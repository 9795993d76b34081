//! Who looks on at a drill while it runs: the view of a run, or whatever else takes its place on the terminal.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::metrics::Meters;
use super::notices::Notices;
use super::view::View;
use crate::base::{At, Span};
use crate::event::Entry;
use crate::sys::Clock;

/// How often they look.
const LOOK: Span = Span::millis(50);

/// Is shown a drill, entry by entry.
pub trait Onlooker: Send + std::fmt::Debug {
    /// Before anything.
    fn head(&mut self);
    /// An entry of the journal, as it is written.
    fn entry(&mut self, entry: &Entry);
    /// Some time has passed. Called about twenty times a second.
    fn tick(&mut self, now: At);
    /// The drill is over.
    fn finish(&mut self);
}

impl Onlooker for View {
    fn head(&mut self) {
        View::head(self);
    }

    fn entry(&mut self, entry: &Entry) {
        View::entry(self, entry);
    }

    fn tick(&mut self, now: At) {
        View::tick(self, now);
    }

    fn finish(&mut self) {
        View::finish(self);
    }
}

/// Shows what happens, and keeps it for the case that the disk does not. Looks when it is time to: people cannot see that something is shown
/// 50 ms late, and nobody is woken for every sample.
pub async fn show(
    mut view: Box<dyn Onlooker>,
    mut notices: Notices,
    meters: Meters,
    mut looking: mpsc::UnboundedReceiver<Entry>,
    over: CancellationToken,
    clock: Clock,
) -> (Vec<Entry>, Notices) {
    let mut seen = Vec::new();
    view.head();
    loop {
        let ended = over.is_cancelled();
        while let Ok(entry) = looking.try_recv() {
            view.entry(&entry);
            notices.entry(&entry);
            meters.entry(&entry);
            seen.push(entry);
        }
        if ended {
            break;
        }
        view.tick(clock.now());
        tokio::select! {
            () = clock.sleep_until(clock.now() + LOOK) => {}
            () = over.cancelled() => {}
        }
    }
    view.finish();
    (seen, notices)
}
