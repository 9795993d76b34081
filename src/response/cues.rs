//! What those who lead a drill have done so far: prompts and hints that were given, roles that are out, the reveal; and the clock of people, which
//! they may stop. A fold of the team's entries.

use std::collections::BTreeMap;

use crate::base::{At, Span};
use crate::event::{Deed, Stamp, TeamEvent};

/// The longest that one pause lasts: whoever forgets it keeps no drill from its end.
pub const LONGEST_PAUSE: Span = Span::secs(30 * 60);
/// How long the clock of people may stand still in one drill, in all.
pub const PAUSED_AT_MOST: Span = Span::secs(2 * 60 * 60);

/// A prompt that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// When.
    pub at: At,
    /// To which role.
    pub to: String,
    /// Somebody has replied.
    pub replied: bool,
}

/// What those who lead have done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cues {
    /// Prompts, by id.
    pub prompts: BTreeMap<String, Given>,
    /// Hints, by id: when they were given.
    pub hints: BTreeMap<String, At>,
    /// Roles that are out, and from when on.
    pub gone: BTreeMap<String, At>,
    /// What stands in the place of the title, whether accounts keep it apart, and what may tell more.
    pub blind: Option<(String, bool, Vec<String>)>,
    /// When those who respond were told, and by whom.
    pub revealed: Option<(At, String)>,
    /// When the drill was ended because something real happened, by whom, and what.
    pub real: Option<(At, String, String)>,
    /// When the clock of people stood still.
    pub clock: Clock,
}

/// The clock of people. Whatever machines do is counted by the run's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clock {
    /// Pauses in order: from, and until; open at the end.
    pauses: Vec<(At, Option<At>)>,
}

impl Cues {
    /// What these entries tell.
    pub fn of<'a>(stamps: impl IntoIterator<Item = &'a Stamp>) -> Cues {
        let mut cues = Cues::default();
        for stamp in stamps {
            cues.take(stamp);
        }
        cues
    }

    fn take(&mut self, stamp: &Stamp) {
        let at = stamp.at;
        match &stamp.event {
            TeamEvent::Blind { shown_as, apart, doubts } => self.blind = Some((shown_as.clone(), *apart, doubts.clone())),
            TeamEvent::Revealed { by } => drop(self.revealed.get_or_insert_with(|| (at, by.clone()))),
            TeamEvent::Real { by, reason } => drop(self.real.get_or_insert_with(|| (at, by.clone(), reason.clone()))),
            TeamEvent::Prompt { id, to, unavailable, .. } => {
                self.prompts.entry(id.clone()).or_insert_with(|| Given { at, to: to.clone(), replied: false });
                if let Some(role) = unavailable {
                    self.gone.entry(role.clone()).or_insert(at);
                }
            }
            TeamEvent::Hint { id, .. } => drop(self.hints.entry(id.clone()).or_insert(at)),
            TeamEvent::Paused { .. } => self.clock.pause(at),
            TeamEvent::Resumed { .. } => self.clock.resume(at),
            TeamEvent::Said(said) => {
                if let Deed::Reply { of: Some(of), .. } = &said.deed
                    && let Some(given) = self.prompts.get_mut(of)
                {
                    given.replied = true;
                }
            }
            TeamEvent::Listening { .. }
            | TeamEvent::Deaf { .. }
            | TeamEvent::Alert(_)
            | TeamEvent::Acked(_)
            | TeamEvent::Refused { .. }
            | TeamEvent::SourceReached { .. }
            | TeamEvent::SourceLost { .. }
            | TeamEvent::Met { .. } => {}
        }
    }

    /// Whether what is hidden in a blind drill is still hidden.
    pub fn hidden(&self) -> bool {
        self.blind.is_some() && self.revealed.is_none()
    }
}

impl Clock {
    fn pause(&mut self, at: At) {
        if self.pauses.last().is_none_or(|(_, until)| until.is_some()) {
            self.pauses.push((at, None));
        }
    }

    fn resume(&mut self, at: At) {
        if let Some((from, until @ None)) = self.pauses.last_mut() {
            *until = Some(at.min(*from + LONGEST_PAUSE));
        }
    }

    /// Since when it stands still, where it does.
    pub fn paused(&self) -> Option<At> {
        self.pauses.last().filter(|(_, until)| until.is_none()).map(|(from, _)| *from)
    }

    /// Pauses with their ends, one that is open up to `now`.
    fn until(&self, now: At) -> impl Iterator<Item = (At, At)> {
        self.pauses.iter().map(move |(from, until)| (*from, until.unwrap_or(now.max(*from).min(*from + LONGEST_PAUSE))))
    }

    /// How long it stood still between two instants, as known at `now`.
    pub fn stood(&self, from: At, to: At, now: At) -> Span {
        self.until(now).fold(Span::ZERO, |sum, (a, b)| sum + b.min(to).since(a.max(from)))
    }

    /// When so much of its time has passed since then, as known at `now`: while it stands still, that moves on.
    pub fn after(&self, from: At, span: Span, now: At) -> At {
        if span == Span::ZERO {
            // Nothing has to pass.
            return from;
        }
        let mut due = from + span;
        for (a, b) in self.until(now) {
            // Pauses lie in order and apart: each that begins before the time is over moves it on by what lies after `from`.
            if a < due {
                due = due + b.since(a.max(from));
            }
        }
        due
    }

    /// How long it has stood still in all.
    pub fn in_all(&self, now: At) -> Span {
        self.stood(At(0), At(u64::MAX), now)
    }

    /// How often it was stopped.
    pub fn pauses(&self) -> usize {
        self.pauses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(seconds: u64) -> At {
        At(seconds * 1_000_000_000)
    }

    fn clock(pauses: &[(u64, u64)]) -> Clock {
        let mut clock = Clock::default();
        for (from, to) in pauses {
            clock.pause(s(*from));
            clock.resume(s(*to));
        }
        clock
    }

    #[test]
    fn what_is_due_moves_by_the_pauses_that_lie_before_it() {
        let clock = clock(&[(10, 20), (40, 45)]);
        for (from, span, due) in
            [(0, 5, 5), (15, 0, 15), (0, 10, 10), (0, 11, 21), (0, 30, 40), (0, 31, 46), (15, 5, 25), (20, 20, 40), (50, 5, 55)]
        {
            assert_eq!(clock.after(s(from), Span::secs(span), s(100)), s(due), "{span} s after {from}");
        }
        assert_eq!(clock.stood(s(15), s(42), s(100)), Span::secs(7));
        assert_eq!((clock.in_all(s(100)), clock.paused()), (Span::secs(15), None));
    }

    #[test]
    fn an_open_pause_moves_everything_on_and_ends_by_itself() {
        let mut clock = Clock::default();
        clock.pause(s(10));
        clock.pause(s(12));
        assert_eq!((clock.paused(), clock.pauses()), (Some(s(10)), 1));
        assert_eq!(clock.after(s(0), Span::secs(15), s(100)), s(105));
        assert_eq!(clock.after(s(0), Span::secs(15), s(10_000)), s(15 + 30 * 60));
        clock.resume(s(10_000));
        assert_eq!(clock.in_all(s(20_000)), LONGEST_PAUSE);
    }

    proptest! {
        #[test]
        fn time_that_passed_and_time_that_is_due_agree(
            gaps in proptest::collection::vec((1_u64..50, 0_u64..50), 0..6), from in 0_u64..200, span in 0_u64..200,
        ) {
            let mut at = 0;
            let pauses: Vec<(u64, u64)> = gaps.iter().map(|(gap, long)| { let a = at + gap; at = a + long; (a, at) }).collect();
            let clock = clock(&pauses);
            let now = s(10_000);
            let due = clock.after(s(from), Span::secs(span), now);
            prop_assert_eq!(due.since(s(from)), Span::secs(span) + clock.stood(s(from), due, now));
        }
    }
}
