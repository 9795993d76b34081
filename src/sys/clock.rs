//! Raw clocks. The only place that reads one.

use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

use crate::base::{At, ClockAnchor, Span, one_line};

/// The run's clock: CLOCK_MONOTONIC, counted from an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    origin_ns: i128,
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn mono_ns() -> u64 {
    read(ClockId::Monotonic)
}

/// CLOCK_BOOTTIME in nanoseconds.
pub fn boottime_ns() -> u64 {
    read(ClockId::Boottime)
}

fn read(id: ClockId) -> u64 {
    let t = clock_gettime(id);
    (t.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec as u64)
}

/// Which boot of which machine this is. `FIREDRILL_TEST_BOOT_ID` stands in for it in tests of a reboot.
pub fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        super::env::var("FIREDRILL_TEST_BOOT_ID")
            .or_else(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok())
            .map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
    })
}

impl Clock {
    /// A clock that reads zero now.
    pub fn start() -> Clock {
        Clock { origin_ns: i128::from(mono_ns()) }
    }

    /// The clock on which `at` was the same moment as CLOCK_MONOTONIC `mono_ns`: continues a journal.
    pub fn continuing(at: At, mono_ns: u64) -> Clock {
        Clock { origin_ns: i128::from(mono_ns) - i128::from(at.0) }
    }

    /// Now.
    pub fn now(self) -> At {
        At(u64::try_from(i128::from(mono_ns()) - self.origin_ns).unwrap_or(0))
    }

    /// Raw CLOCK_MONOTONIC of an instant of this clock.
    pub fn mono_of(self, at: At) -> u64 {
        u64::try_from(i128::from(at.0) + self.origin_ns).unwrap_or(0)
    }

    /// The instant of this clock at a raw CLOCK_MONOTONIC: an anchor must stand in the journal under exactly the time it was read at.
    pub fn at_of(self, mono_ns: u64) -> At {
        At(u64::try_from(i128::from(mono_ns) - self.origin_ns).unwrap_or(0))
    }

    /// All raw clocks now.
    pub fn anchor(self) -> ClockAnchor {
        ClockAnchor { boot_id: boot_id().to_owned(), mono_ns: mono_ns(), boottime_ns: boottime_ns(), wall: wall() }
    }

    /// Sleeps until an instant; returns at once when it has passed.
    pub async fn sleep_until(self, at: At) {
        let left = at.since(self.now());
        // The runtime's own timers round up: even no time at all would take a millisecond.
        if left > Span::ZERO {
            sleep(left).await;
        }
    }
}

/// Wall time as RFC 3339 with nanoseconds, in UTC.
pub fn wall() -> String {
    now().to_string()
}

/// Wall time: a label, and what the calendar of a policy is asked about.
#[expect(clippy::disallowed_methods, reason = "the one place that reads wall time")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// How long ago something was that people speak of, in nanoseconds: `90s`, or a time with its zone. Negative in the future.
///
/// # Errors
/// It is neither; for people.
pub fn long_ago(text: &str) -> Result<i64, String> {
    if let Ok(span) = text.parse::<Span>() {
        return i64::try_from(span.0).map_err(|_| format!("`{text}` is too long ago"));
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| format!("`{}` is no time", one_line(text, 64)))?;
    let ago = now().as_nanosecond() - at.as_nanosecond();
    // Centuries away is as wrong as it gets: the drill says how.
    Ok(i64::try_from(ago).unwrap_or(if ago < 0 { i64::MIN } else { i64::MAX }))
}

/// The time zone of an IANA name, as this machine knows it.
pub fn zone(name: &str) -> Option<jiff::tz::TimeZone> {
    // Jiff also takes names in any case and offsets; only exact names are the same on every machine.
    let found = jiff::tz::TimeZone::get(name).ok()?;
    (found.iana_name() == Some(name)).then_some(found)
}

/// Milliseconds since 1970, for run ids.
pub fn wall_ms() -> u64 {
    now().as_millisecond().unsigned_abs()
}

/// Sleeps.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn sleep(span: Span) {
    tokio::time::sleep(span.std()).await;
}

/// Sleeps, and holds up its thread: for helper processes that have no runtime.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub fn block(span: Span) {
    std::thread::sleep(span.std());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_continues_where_another_stopped() {
        let first = Clock::start();
        let at = first.now();
        let second = Clock::continuing(at, first.mono_of(at));
        assert_eq!(second, first);
        assert_eq!(first.at_of(first.mono_of(at)), at);
        assert!(second.now() >= at);
    }
}
