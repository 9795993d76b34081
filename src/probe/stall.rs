//! The prober's own watchdog: a thread that does nothing but wake up. When it did not, nobody in this process did, and what seems to be an
//! outage may be ours.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

use super::News;
use crate::base::{At, Span};
use crate::event::Contended;
use crate::sys::{Clock, contention, timer};

/// How often it wakes, at least and at most: as often as the shortest interval between samples asks for, since each time costs a little.
const EVERY: (Span, Span) = (Span::millis(2), Span::millis(5));
/// A gap of so many of its turns means that the process stood still, but no shorter one than …
const MISSED: u64 = 4;
/// … this with the finest grain: what is shorter shows as the lag of the samples themselves.
const SHORTEST: Span = Span::millis(5);

/// How often the threads' waiting for a processor is read.
const ACCOUNT: Span = Span::secs(1);
/// Less waiting than this, in that time, is not told.
const NOTABLE: Span = Span::millis(20);

/// The prober's threads, by the kernel's number.
pub(super) type Threads = Arc<Mutex<Vec<i32>>>;

/// How often to wake for probes whose shortest interval this is.
pub(super) fn grain(interval: Span) -> Span {
    interval.clamp(EVERY.0, EVERY.1)
}

/// Watches for as long as somebody holds the other end of `alive`, waking every `every`.
pub(super) fn watch(clock: Clock, every: Span, threads: &Threads, news: &Sender<News>, alive: &Weak<()>) {
    let mut account = Account { at: clock.now(), waited: Vec::new(), pressed: contention::pressed() };
    let stalled = if every == EVERY.0 { SHORTEST } else { every.times(MISSED) };
    let mut last = clock.now();
    let mut untold: Option<(At, At)> = None;
    let mut waiting: Option<Contended> = None;
    while alive.strong_count() > 0 {
        timer::block_until(clock, last + every);
        let now = clock.now();
        if now.since(last) > stalled {
            // While nobody listens, several become one that covers them: never fewer tainted seconds, never more memory.
            untold = Some((untold.map_or(last, |(from, _)| from), now));
        }
        last = now;
        if now >= account.at + ACCOUNT
            && let Some(contended) = account.turn(now, &threads.lock().unwrap_or_else(PoisonError::into_inner))
        {
            // The same: one that covers both, with the longer wait.
            waiting = Some(waiting.take().map_or(contended, |before: Contended| Contended {
                from: before.from,
                waited: before.waited.max(contended.waited),
                pressed: before.pressed.max(contended.pressed),
                ..contended
            }));
        }
        if let Some(contended) = waiting.take() {
            match news.try_send(News::Contended(contended)) {
                Ok(()) => {}
                Err(TrySendError::Full(News::Contended(contended))) => waiting = Some(contended),
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Closed(_)) => return,
            }
        }
        if let Some((from, to)) = untold.take() {
            match news.try_send(News::Stall { from, to }) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => untold = Some((from, to)),
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

/// What had been waited for when it was last read.
struct Account {
    at: At,
    /// By thread.
    waited: Vec<(i32, Span)>,
    pressed: Option<Span>,
}

impl Account {
    fn turn(&mut self, now: At, threads: &[i32]) -> Option<Contended> {
        let read: Vec<(i32, Span)> = threads.iter().filter_map(|tid| Some((*tid, contention::waited(*tid)?))).collect();
        let pressed = contention::pressed();
        let before = |tid: i32| self.waited.iter().find(|(known, _)| *known == tid).map(|(_, waited)| *waited);
        let more = |(tid, waited): &(i32, Span)| before(*tid).map(|before| Span(waited.0.saturating_sub(before.0)));
        let waited = read.iter().filter_map(more).max().unwrap_or_default();
        let pressed_more = pressed.zip(self.pressed).map(|(now, before)| Span(now.0.saturating_sub(before.0)));
        let told = (waited > NOTABLE).then_some(Contended { from: self.at, to: now, waited, pressed: pressed_more });
        *self = Account { at: now, waited: read, pressed };
        told
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
        let thread = std::thread::spawn(move || watch(clock, grain(Span::secs(1)), &Threads::default(), &news, &weak));
        timer::block_until(clock, start + Span::millis(60));
        drop(alive);
        thread.join().unwrap();
        // A busy machine may have stalled it; whatever it says must be long enough to be said, and in order.
        let mut end = At(0);
        while let Ok(News::Stall { from, to }) = told.try_recv() {
            assert!(from >= end && to.since(from) > Span::millis(20), "{from:?} {to:?}");
            end = to;
        }
    }
}
