//! A precise timer. The runtime's own has a resolution of one millisecond, which at a hundred samples a second would already show as the
//! prober's lag.

use std::io;
use std::os::fd::OwnedFd;

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::Clock;
use crate::base::At;

/// Wakes a task at an instant, as precisely as the kernel can.
#[derive(Debug)]
pub struct Timer {
    fd: AsyncFd<OwnedFd>,
    /// What it is set to, while it has not been seen to come.
    set_to: Option<u64>,
}

fn timespec(ns: u64) -> Timespec {
    Timespec { tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX), tv_nsec: (ns % 1_000_000_000) as _ }
}

impl Timer {
    /// A timer of the current runtime.
    ///
    /// # Errors
    /// The process has no file descriptor left.
    pub fn new() -> io::Result<Timer> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types that may lose their descriptor; an OwnedFd that we alone hold cannot"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Timer { fd, set_to: None })
    }

    /// Waits until the instant has come; returns at once when it has passed. May be dropped half-way and asked again.
    ///
    /// # Errors
    /// The kernel refuses the timer.
    pub async fn until(&mut self, clock: Clock, at: At) -> io::Result<()> {
        if clock.now() >= at {
            return Ok(());
        }
        // A zero value would disarm the timer: one nanosecond after boot is as good as "at once".
        let instant = clock.mono_of(at).max(1);
        if self.set_to != Some(instant) {
            let when = Itimerspec { it_interval: timespec(0), it_value: timespec(instant) };
            timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &when)?;
            self.set_to = Some(instant);
        }
        loop {
            let mut ready = self.fd.readable().await?;
            // Nothing is read: setting it anew clears it, and each time it comes is told once. What is left over from an earlier, abandoned wait
            // comes too early.
            ready.clear_ready();
            if clock.now() >= at {
                self.set_to = None;
                return Ok(());
            }
        }
    }
}

/// Waits until an instant with a timer where there is one, and it works; else with the runtime's own, to a millisecond.
pub async fn wait(timer: &mut Option<Timer>, clock: Clock, at: At) {
    let precise = match timer {
        Some(timer) => timer.until(clock, at).await.is_ok(),
        None => false,
    };
    if !precise {
        clock.sleep_until(at).await;
    }
}

/// Blocks the calling thread until an instant of the clock; for threads of their own without a runtime.
pub fn block_until(clock: Clock, at: At) {
    let request = timespec(clock.mono_of(at));
    while clock_nanosleep_absolute(ClockId::Monotonic, &request).is_err() && clock.now() < at {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Span;

    #[tokio::test]
    async fn it_wakes_at_the_instant_and_not_before() {
        let clock = Clock::start();
        let mut timer = Timer::new().unwrap();
        for _ in 0..5 {
            let at = clock.now() + Span::millis(3);
            timer.until(clock, at).await.unwrap();
            assert!(clock.now() >= at);
        }
    }

    #[tokio::test]
    async fn an_abandoned_wait_does_not_end_the_next_one() {
        let clock = Clock::start();
        let mut timer = Timer::new().unwrap();
        let early = clock.now() + Span::millis(5);
        assert!(tokio::time::timeout(Span::millis(20).std(), async { timer.until(clock, early + Span::secs(9)).await }).await.is_err());
        timer.until(clock, clock.now() + Span::millis(1)).await.unwrap();
        let at = clock.now() + Span::millis(30);
        timer.until(clock, at).await.unwrap();
        assert!(clock.now() >= at);
        timer.until(clock, At(0)).await.unwrap();
    }

    #[test]
    fn a_thread_sleeps_until_the_instant() {
        let clock = Clock::start();
        let at = clock.now() + Span::millis(5);
        block_until(clock, at);
        assert!(clock.now() >= at);
    }
}
