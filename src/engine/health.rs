//! The machine's clocks, looked at each second: steps of wall time, sleeps, anchors.

use crate::base::{At, Span};
use crate::event::{ClockAnchor, Event};
use crate::sys::Clock;

const EVERY: Span = Span::secs(1);
/// Wall time may drift this far from the monotonic clock between two anchors (design 1.1).
const STEP: i128 = 50_000_000;
/// CLOCK_BOOTTIME may gain this much on CLOCK_MONOTONIC before it counts as a sleep (design 1.1).
const SLEEP: u64 = 10_000_000;

/// Remembers the last anchor.
#[derive(Debug)]
pub struct Health {
    last: ClockAnchor,
    due: At,
}

fn wall_ns(anchor: &ClockAnchor) -> Option<i128> {
    anchor.wall.parse::<jiff::Timestamp>().ok().map(|t| t.as_nanosecond())
}

/// What two anchors show.
pub fn compare(before: &ClockAnchor, after: &ClockAnchor) -> Vec<Event> {
    let mut events = Vec::new();
    let mono = after.mono_ns.saturating_sub(before.mono_ns);
    let boot = after.boottime_ns.saturating_sub(before.boottime_ns);
    if boot.saturating_sub(mono) > SLEEP {
        events.push(Event::Suspended { slept: Span(boot - mono) });
    }
    if let (Some(a), Some(b)) = (wall_ns(before), wall_ns(after)) {
        let drift = (b - a) - i128::from(mono);
        if drift.abs() > STEP {
            events.push(Event::ClockStep { by_ns: i64::try_from(drift).unwrap_or(i64::MAX) });
        }
    }
    events
}

/// The time under which an event is written: an anchor stands under exactly the moment at which its clocks were read, or every raw time of the run
/// would be off by the delay in between.
pub fn stamp(clock: Clock, event: &Event) -> At {
    match event {
        Event::Anchor(anchor) => clock.at_of(anchor.mono_ns),
        _ => clock.now(),
    }
}

impl Health {
    /// The first anchor is the writer's own.
    pub fn start(clock: Clock) -> Health {
        Health { last: clock.anchor(), due: clock.now() + EVERY }
    }

    /// Once a second: an anchor, and what it shows against the last one.
    pub fn tick(&mut self, clock: Clock) -> Vec<Event> {
        if clock.now() < self.due {
            return Vec::new();
        }
        self.due = clock.now() + EVERY;
        let anchor = clock.anchor();
        let mut events = compare(&self.last, &anchor);
        self.last = anchor.clone();
        events.insert(0, Event::Anchor(anchor));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(mono_ms: u64, boot_ms: u64, wall: &str) -> ClockAnchor {
        ClockAnchor { boot_id: "b".into(), mono_ns: mono_ms * 1_000_000, boottime_ns: boot_ms * 1_000_000, wall: wall.into() }
    }

    #[test]
    fn an_anchor_stands_under_the_time_it_was_read_at() {
        let clock = Clock::start();
        let anchor = clock.anchor();
        let mono = anchor.mono_ns;
        while clock.now().since(clock.at_of(mono)) < Span::millis(2) {}
        let at = stamp(clock, &Event::Anchor(anchor));
        assert_eq!(clock.mono_of(at), mono);
        assert!(stamp(clock, &Event::LedgersRead {}) > at);
    }

    #[test]
    fn steps_and_sleeps_are_seen_and_nothing_else() {
        let first = anchor(0, 0, "2026-01-01T00:00:00Z");
        assert!(compare(&first, &anchor(1000, 1000, "2026-01-01T00:00:01.02Z")).is_empty());
        let stepped = compare(&first, &anchor(1000, 1000, "2026-01-01T00:00:03Z"));
        assert_eq!(stepped, [Event::ClockStep { by_ns: 2_000_000_000 }]);
        let slept = compare(&first, &anchor(1000, 6000, "2026-01-01T00:00:06Z"));
        assert!(matches!(slept[0], Event::Suspended { slept } if slept == Span::secs(5)));
    }
}
