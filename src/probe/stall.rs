//! The prober's own watchdog: a thread that does nothing but wake up. When it did not, nobody in this process did, and what seems to be an
//! outage may be ours.

use std::sync::Weak;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::News;
use crate::base::{At, Span};
use crate::sys::{Clock, timer};

/// How often it wakes.
const EVERY: Span = Span::millis(5);
/// Between two wake-ups: longer means the process stood still.
const STALLED: Span = Span::millis(20);

/// Watches for as long as somebody holds the other end of `alive`.
pub(super) fn watch(clock: Clock, news: &Sender<News>, alive: &Weak<()>) {
    let mut last = clock.now();
    let mut untold: Option<(At, At)> = None;
    while alive.strong_count() > 0 {
        timer::block_until(clock, last + EVERY);
        let now = clock.now();
        if now.since(last) > STALLED {
            // While nobody listens, several become one that covers them: never fewer tainted seconds, never more memory.
            untold = Some((untold.map_or(last, |(from, _)| from), now));
        }
        last = now;
        if let Some((from, to)) = untold.take() {
            match news.try_send(News::Stall { from, to }) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => untold = Some((from, to)),
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_ends_with_those_it_watches_over() {
        let (news, mut told) = tokio::sync::mpsc::channel(64);
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        let clock = Clock::start();
        let start = clock.now();
        let thread = std::thread::spawn(move || watch(clock, &news, &weak));
        timer::block_until(clock, start + Span::millis(60));
        drop(alive);
        thread.join().unwrap();
        // A busy machine may have stalled it; whatever it says must be long enough to be said, and in order.
        let mut end = At(0);
        while let Ok(News::Stall { from, to }) = told.try_recv() {
            assert!(from >= end && to.since(from) > STALLED, "{from:?} {to:?}");
            end = to;
        }
    }
}
